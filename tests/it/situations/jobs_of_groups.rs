//! Two jobs with the same search bases, each with groups of its own: one person has one user, and
//! one owner, whichever groups the person is in.

use ftrack_ldap_sync::{demo::directory::TreeEntry, model::report::Outcome};
use insta::assert_snapshot;

use super::{
    Situation,
    jobs::{assert_nothing_to_do, sync},
};
use crate::studio::{Studio, dn};

const SUFFIX: &str = "dc=studio,dc=test";

fn group_dn(name: &str) -> String {
    format!("cn={name},{SUFFIX}")
}

/// Keys of a job whose people are the members of a group.
fn members_of(name: &str) -> String {
    format!("member_of = [{:?}]\n", group_dn(name))
}

/// Ada and bob are in house, cyd is a freelancer, and each has a user by the job of their group;
/// that of the freelancers has a table, a filter and more keys of its own.
fn in_house(table: &str, more: &str) -> Situation {
    let group = |name: &str, uids: &[&str]| {
        let group = TreeEntry::new(group_dn(name))
            .with("objectClass", "groupOfNames")
            .with("cn", name);
        uids.iter()
            .fold(group, |group, uid| group.with("member", dn(uid)))
    };
    let situation = Situation::of(&["ada", "bob", "cyd"])
        .entry(group("inhouse", &["ada", "bob"]))
        .entry(group("freelancers", &["cyd"]));
    let url = &situation.directory_url;
    let own_table = match table {
        "studio" => String::new(),
        other => format!(
            "[directories.{other}]\nurls = [{url:?}]\nbind_dn = \
             \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
             \"ldap-password\"\n"
        ),
    };
    let others = format!(
        "{own_table}[jobs.others]\ndirectory = \"{table}\"\nsearch_bases = \
         [\"ou=people,{SUFFIX}\"]\nattributes = {{ username = \"uid\", email = \"mail\", \
         first_name = \"givenName\", last_name = \"sn\" }}\nlimits = {{ min_entries = 0, \
         deactivate = 10 }}\n{more}"
    );
    let of_artists = members_of("inhouse") + "limits = { deactivate = 10 }";
    let situation = situation.job(&of_artists).config(&others);
    let number = ["7"];
    let tree = situation.tree();
    tree.replace(&dn("cyd"), "departmentNumber", &number)
        .unwrap();
    assert_eq!(sync(&situation, "artists").counts.created, 2);
    assert_eq!(sync(&situation, "others").counts.created, 1);
    situation
}

fn freelancers(table: &str) -> Situation {
    in_house(table, &members_of("freelancers"))
}

fn set(studio: &Studio, name: &str, uids: &[&str]) {
    let members: Vec<String> = uids.iter().map(|uid| dn(uid)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    studio
        .tree()
        .replace(&group_dn(name), "member", &members)
        .unwrap();
}

fn told(situation: &Situation, jobs: &[&str]) -> String {
    let told = jobs.iter().map(|job| {
        let report = sync(situation, job);
        format!("{job}: {}\n", situation.report_text(&report))
    });
    told.collect()
}

/// What the two jobs say and do after bob leaves the house and stays on as a freelancer.
fn bob_moves(table: &str, jobs: &[&str]) -> String {
    let situation = freelancers(table);
    let before = situation.user("bob").id;
    set(&situation, "inhouse", &["ada"]);
    set(&situation, "freelancers", &["bob", "cyd"]);
    let told = told(&situation, jobs);
    assert_eq!(situation.user("bob").id, before, "with its history");
    assert_nothing_to_do(&situation);
    format!("{told}{}", situation.users())
}

#[test]
fn who_moves_from_the_group_of_one_job_to_that_of_another_keeps_access() {
    let of_one_table = bob_moves("studio", &["artists", "artists", "others", "artists"]);
    assert_snapshot!(of_one_table, @r#"
    artists: succeeded
      Warnings:
        the person with the directory id [id] left the groups of this job, and is now in the job "others", which takes the user over

    1 unchanged.

    artists: succeeded
      Warnings:
        the person with the directory id [id] left the groups of this job, and is now in the job "others", which takes the user over

    1 unchanged.

    others: succeeded
      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          the person left the groups of the job "artists", and is now in this job's

    1 updated, 1 unchanged.

    artists: succeeded
    1 unchanged.

    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; others, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; others, settled
    "#);
    let of_two = bob_moves("again", &["artists", "artists", "others", "artists"]);
    assert_eq!(of_two, of_one_table);
}

#[test]
fn who_moves_to_the_group_of_another_job_is_taken_over_also_where_that_one_runs_first() {
    assert_snapshot!(bob_moves("studio", &["others", "artists"]), @r#"
    others: succeeded
      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          the person left the groups of the job "artists", and is now in this job's

    1 updated, 1 unchanged.

    artists: succeeded
    1 unchanged.

    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; others, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; others, settled
    "#);
}

#[test]
fn who_is_in_the_groups_of_two_jobs_stays_with_the_first() {
    let situation = freelancers("studio");
    set(&situation, "freelancers", &["bob", "cyd"]);
    assert_nothing_to_do(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; others, settled
    "#);
    // Whoever moves back is taken over once more, and stays there while in both.
    set(&situation, "inhouse", &["ada"]);
    assert_eq!(sync(&situation, "others").counts.updated, 1);
    set(&situation, "inhouse", &["ada", "bob"]);
    assert_nothing_to_do(&situation);
    set(&situation, "freelancers", &["cyd"]);
    assert_eq!(sync(&situation, "others").counts.deactivated, 0);
    assert_eq!(sync(&situation, "artists").counts.updated, 1);
    assert_nothing_to_do(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; others, settled
    "#);
}

#[test]
fn who_is_in_the_groups_of_no_job_is_deactivated_by_the_owner() {
    let situation = freelancers("studio");
    set(&situation, "inhouse", &["ada"]);
    assert_eq!(sync(&situation, "others").ftrack.write_calls, 0);
    assert_eq!(sync(&situation, "artists").counts.deactivated, 1);
    assert_nothing_to_do(&situation);
    // A freelancer later, the same person gets the same user back.
    set(&situation, "freelancers", &["bob", "cyd"]);
    assert_snapshot!(situation.plan_text_of(&["others"]), @r#"
    Plan for others: 1 to reactivate

      ^ reactivate bob  uid=bob,ou=people,dc=studio,dc=test
          is_active: false -> true
          the person left the groups of the job "artists", which deactivated the user, and is now in this job's
    "#);
    sync(&situation, "others");
    assert_nothing_to_do(&situation);
}

#[test]
fn only_the_groups_of_another_job_let_in_who_left_those_of_the_owner() {
    for keys in [
        // Everybody below the bases.
        String::new(),
        // A member that the filter excludes is none of that job's people.
        members_of("freelancers") + "filter = \"(departmentNumber=7)\"\n",
    ] {
        let situation = in_house("studio", &keys);
        set(&situation, "inhouse", &["ada"]);
        set(&situation, "freelancers", &["bob", "cyd"]);
        sync(&situation, "others");
        let report = sync(&situation, "artists");
        assert_eq!(report.counts.deactivated, 1, "{keys}: {report:#?}");
        assert_nothing_to_do(&situation);
    }
}

#[test]
fn groups_that_cannot_be_read_are_left_by_nobody() {
    let situation = freelancers("studio");
    set(&situation, "inhouse", &["ada"]);
    set(&situation, "freelancers", &["bob", "cyd"]);
    // The former owner's are gone: its own runs fail, and the other job does not know who left them.
    situation.tree().remove(&group_dn("inhouse")).unwrap();
    assert_eq!(sync(&situation, "artists").outcome, Outcome::Failed);
    let report = sync(&situation, "others");
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Succeeded, 0)
    );
    let warnings = report.warnings.join("\n");
    let why = "it is not known who left the groups of the job \"artists\"";
    assert!(warnings.contains(why), "{warnings}");
    assert!(situation.user("bob").is_active);
}

#[test]
fn who_left_the_groups_is_held_while_those_of_another_job_cannot_be_read() {
    let situation = freelancers("studio");
    set(&situation, "inhouse", &["ada"]);
    situation.tree().remove(&group_dn("freelancers")).unwrap();
    let report = sync(&situation, "artists");
    assert_eq!((report.counts.deactivated, report.counts.held), (0, 1));
    assert!(situation.user("bob").is_active);
}
