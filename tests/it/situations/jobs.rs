//! Several jobs: one person has one user, and one owner, over all sources.

use ftrack_ldap_sync::{
    demo::directory::TreeEntry,
    model::report::{Outcome, Report},
};
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    rules::{approve, by_hand},
    studio::{Studio, dn, person},
};

pub(super) const EVERYBODY: &str = "(objectClass=inetOrgPerson)";
const SUFFIX: &str = "dc=studio,dc=test";
pub(super) const LONDON: &str = "ou=london,dc=studio,dc=test";

/// The configuration of a second job, with these bases and this filter, on a table of its own or
/// the same.
fn others(studio: &Studio, table: &str, bases: &str, filter: &str) -> String {
    let url = &studio.directory_url;
    let own_table = match table {
        "studio" => String::new(),
        other => format!(
            "[directories.{other}]\nurls = [{url:?}]\nbind_dn = \
             \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
             \"ldap-password\"\n"
        ),
    };
    format!(
        "{own_table}[jobs.others]\ndirectory = \"{table}\"\nsearch_bases = [\"{bases}\"]\nfilter = \
         \"{filter}\"\nattributes = {{ username = \"uid\", email = \"mail\", first_name = \
         \"givenName\", last_name = \"sn\" }}\nlimits = {{ min_entries = 0, deactivate = \"100%\" \
         }}\n"
    )
}

/// Two jobs on one directory: artists in the people's unit, and others.
pub(super) fn beside(uids: &[&str], table: &str, bases: &str, filter: &str) -> Situation {
    let situation = Situation::of(uids);
    let more = others(&situation, table, bases, filter);
    situation.config(&more)
}

/// With a unit in London, in which these people are.
pub(super) fn with_london(situation: Situation, uids: &[&str]) -> Situation {
    let unit = TreeEntry::new(LONDON)
        .with("objectClass", "organizationalUnit")
        .with("ou", "london");
    let in_london = |uid: &&str| {
        let mut entry = person(uid, "Given", uid);
        entry.dn = format!("uid={uid},{LONDON}");
        entry
    };
    uids.iter()
        .map(in_london)
        .fold(situation.entry(unit), Situation::entry)
}

pub(super) fn sync(studio: &Studio, job: &str) -> Report {
    studio.synced(&["sync", job])
}

/// Neither job has anything to do, also not after the other one.
pub(super) fn assert_nothing_to_do(studio: &Studio) {
    for job in ["artists", "others", "artists"] {
        let report = sync(studio, job);
        assert_eq!(
            (
                report.outcome,
                report.changes.len(),
                report.ftrack.write_calls
            ),
            (Outcome::Succeeded, 0, 0),
            "{report:#?}"
        );
    }
}

/// What the second of two jobs plans, whose bases contain the first one's, after a rename; the same
/// whichever table it names.
fn overlapping(table: &str) -> String {
    let situation = beside(&["ada", "bob"], table, SUFFIX, EVERYBODY);
    assert_eq!(sync(&situation, "artists").counts.created, 2);
    situation.tree().rename(&dn("bob"), &dn("robert")).unwrap();
    let plan = situation.plan_text_of(&["others"]);
    let before = situation.ftrack().users();
    assert_eq!(sync(&situation, "others").ftrack.write_calls, 0);
    assert_eq!(situation.ftrack().users(), before);
    sync(&situation, "artists");
    assert_nothing_to_do(&situation);
    format!("{plan}\n{}", situation.users())
}

#[test]
fn overlapping_jobs_and_a_rename_make_no_second_user() {
    let of_one_table = overlapping("studio");
    assert_snapshot!(of_one_table, @r#"
    Plan for others: nothing to do

      Warnings:
        2 of these people are in the search bases of the job "artists", which owns their users

    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    robert: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    assert_eq!(overlapping("again"), of_one_table);
}

#[test]
fn a_job_that_was_renamed_with_a_person_that_was_makes_no_second_user() {
    let situation = Situation::synced(&["ada", "bob", "cyd"])
        .config("[jobs.artists]\nsource = \"painters\"\n")
        .then(|studio| studio.tree().rename(&dn("bob"), &dn("robert")).unwrap());
    assert_snapshot!(situation.plan_text(), @r#"error: 3 of 3 people have users that belong to the source "artists", which no job has, so nothing was written: if this job had that name before, or should take over that job's people, set source = "artists"; if that job was removed by mistake, restore it"#);
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    "#);
}

#[test]
fn a_few_people_of_a_source_that_no_job_has_are_handed_over_by_a_person() {
    let situation = beside(&["ada", "bob", "cyd"], "studio", LONDON, EVERYBODY);
    let situation = with_london(situation, &["lou"]).then(|studio| {
        sync(studio, "artists");
        sync(studio, "others");
        // The job goes, its people come to the other one's, and one of them is renamed.
        std::fs::remove_dir_all(studio.folder().join("config.d")).unwrap();
        let lou = format!("uid=lou,{LONDON}");
        studio.tree().rename(&lou, &dn("louise")).unwrap();
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update, 1 of them held

      ~ update     louise HELD  uid=louise,ou=people,dc=studio,dc=test
          username: lou -> louise
          the user moves from the source "others", which no job has, to this job

      1 change is held: the user belongs to the source "others", which no job has any more; an approval assigns it to this job
    "#);
    assert_eq!(situation.sync().ftrack.write_calls, 0);
    assert_eq!(approve(&situation).counts.updated, 1);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    louise: active, "Given" "lou" <lou@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

/// What the two jobs report of a move from the one's bases to the other's, and the users after it.
fn who_moves(table: &str, first: &str) -> String {
    let situation = with_london(beside(&["ada", "bob"], table, LONDON, EVERYBODY), &["lou"]);
    sync(&situation, "artists");
    sync(&situation, "others");
    let before = situation.user("bob").id;
    let robert = format!("uid=robert,{LONDON}");
    situation.tree().rename(&dn("bob"), &robert).unwrap();
    let second = match first {
        "artists" => "others",
        _ => "artists",
    };
    let told = [first, second, first, second].map(|job| {
        let report = sync(&situation, job);
        format!("{job}: {}\n", situation.report_text(&report))
    });
    assert_eq!(situation.user("robert").id, before, "with its history");
    assert_nothing_to_do(&situation);
    format!("{}{}", told.concat(), situation.users())
}

#[test]
fn who_moves_from_one_jobs_bases_to_anothers_is_never_locked_out() {
    let of_one_table = who_moves("studio", "artists");
    assert_snapshot!(of_one_table, @r#"
    artists: succeeded
      Warnings:
        the person with the directory id [id] left the search bases of this job, and is now in the job "others", which takes the user over

    1 unchanged.

    others: succeeded
      ~ update     robert  uid=robert,ou=london,dc=studio,dc=test
          username: bob -> robert
          the person left the search bases of the job "artists", and is now in this job's

    1 updated, 1 unchanged.

    artists: succeeded
    1 unchanged.

    others: succeeded
    2 unchanged.

    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    lou: active, "Given" "lou" <lou@studio.test>; others, settled
    robert: active, "Given" "bob" <bob@studio.test>; others, settled
    "#);
    assert_eq!(who_moves("again", "artists"), of_one_table);
}

#[test]
fn who_moves_is_taken_over_also_where_the_new_job_runs_first() {
    let of_one_table = who_moves("studio", "others");
    assert_snapshot!(of_one_table, @r#"
    others: succeeded
      ~ update     robert  uid=robert,ou=london,dc=studio,dc=test
          username: bob -> robert
          the person left the search bases of the job "artists", and is now in this job's

    1 updated, 1 unchanged.

    artists: succeeded
    1 unchanged.

    others: succeeded
    2 unchanged.

    artists: succeeded
    1 unchanged.

    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    lou: active, "Given" "lou" <lou@studio.test>; others, settled
    robert: active, "Given" "bob" <bob@studio.test>; others, settled
    "#);
    assert_eq!(who_moves("again", "others"), of_one_table);
}

#[test]
fn who_moves_keeps_the_activity_that_a_person_gave() {
    let situation = with_london(beside(&["ada", "bob"], "studio", LONDON, EVERYBODY), &[]);
    let situation = situation.then(|studio| {
        sync(studio, "artists");
        by_hand(studio, "bob", &json!({"is_active": false}));
        let bob = format!("uid=bob,{LONDON}");
        studio.tree().rename(&dn("bob"), &bob).unwrap();
    });
    assert_snapshot!(situation.plan_text_of(&["others"]), @r#"
    Plan for others: 1 to update

      ~ update     bob  uid=bob,ou=london,dc=studio,dc=test
          the person left the search bases of the job "artists", and is now in this job's
    "#);
    sync(&situation, "others");
    // Deactivated by hand, it stays so.
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; others, settled
    "#);
    assert_nothing_to_do(&situation);
}

#[test]
fn who_moves_to_where_no_job_has_them_in_scope_is_gone() {
    let numbered = "(&(objectClass=inetOrgPerson)(departmentNumber=*))";
    let situation = with_london(beside(&["ada", "bob"], "studio", LONDON, numbered), &[]);
    let bob = format!("uid=bob,{LONDON}");
    let situation = situation.then(|studio| {
        sync(studio, "artists");
        studio.tree().rename(&dn("bob"), &bob).unwrap();
    });
    assert_snapshot!(situation.plan_text_of(&["artists"]), @"
    Plan for artists: 1 to deactivate

      - deactivate bob  uid=bob,ou=london,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    sync(&situation, "artists");
    assert!(!situation.user("bob").is_active);
    // Once the other job has the person in scope, it takes the user over, and lets the person in.
    let number = ["7"];
    let tree = situation.tree();
    tree.replace(&bob, "departmentNumber", &number).unwrap();
    assert_snapshot!(situation.plan_text_of(&["others"]), @r#"
    Plan for others: 1 to reactivate

      ^ reactivate bob  uid=bob,ou=london,dc=studio,dc=test
          is_active: false -> true
          the person left the search bases of the job "artists", which deactivated the user, and is now in this job's
    "#);
    sync(&situation, "others");
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; others, settled
    "#);
    assert_nothing_to_do(&situation);
}

#[test]
fn who_may_not_be_reactivated_is_not_taken_over_by_half() {
    let numbered = "(&(objectClass=inetOrgPerson)(departmentNumber=*))";
    let situation = Situation::of(&["ada", "bob"]);
    let more = others(&situation, "studio", LONDON, numbered);
    let robert = format!("uid=robert,{LONDON}");
    let situation = with_london(situation, &[])
        .config(&format!("{more}[jobs.others.users]\nreactivate = false\n"))
        .then(|studio| {
            sync(studio, "artists");
            studio.tree().rename(&dn("bob"), &robert).unwrap();
            sync(studio, "artists");
            assert!(!studio.user("bob").is_active);
            let tree = studio.tree();
            tree.replace(&robert, "departmentNumber", &["7"]).unwrap();
        });
    assert_snapshot!(situation.plan_text_of(&["others"]), @"Plan for others: nothing to do");
    assert_nothing_to_do(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    "#);
}

#[test]
fn a_locked_person_stays_out_whichever_job_runs() {
    let situation = Situation::of(&["ada", "bob"]);
    let more = others(&situation, "studio", SUFFIX, EVERYBODY);
    let situation = situation
        .config(&format!(
            "{more}[jobs.artists]\nfilter = \
             \"(&(objectClass=inetOrgPerson)(!(employeeType=locked)))\"\n"
        ))
        .then(|studio| {
            sync(studio, "artists");
            let locked = ["locked"];
            let tree = studio.tree();
            tree.replace(&dn("bob"), "employeeType", &locked).unwrap();
        });
    assert_snapshot!(situation.plan_text_of(&["artists"]), @"
    Plan for artists: 1 to deactivate

      - deactivate bob  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter
    ");
    for _ in 0..3 {
        for job in ["artists", "others"] {
            let report = sync(&situation, job);
            assert_eq!(
                report.counts.reactivated + report.counts.created,
                0,
                "{report:#?}"
            );
        }
    }
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    "#);
    let tree = situation.tree();
    tree.replace(&dn("bob"), "employeeType", &[]).unwrap();
    assert_snapshot!(situation.plan_text_of(&["artists"]), @"
    Plan for artists: 1 to reactivate

      ^ reactivate bob  uid=bob,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]
    ");
    sync(&situation, "artists");
    // Whom nobody owns the first job takes that sees them.
    let situation = situation.entry(person("new", "New", "Face"));
    assert_snapshot!(situation.plan_text_of(&["others"]), @r#"
    Plan for others: 1 to create

      + create     new  uid=new,ou=people,dc=studio,dc=test
          username: new
          first_name: New
          last_name: Face
          email: new@studio.test
          is_active: true
          the person is in the directory and has no user

      Warnings:
        2 of these people are in the search bases of the job "artists", which owns their users
    "#);
    sync(&situation, "others");
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    new: active, "New" "Face" <new@studio.test>; others, settled
    "#);
    assert_nothing_to_do(&situation);
}
