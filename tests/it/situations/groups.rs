//! Jobs whose people are the members of groups.

use std::fs;

use ftrack_ldap_sync::{
    demo::directory::TreeEntry,
    model::report::{Outcome, Report},
};
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::approve,
    studio::{Studio, dn, person},
};

/// Keys of a job whose people are the members of `artists`, with limits that hold nobody.
const OF_ARTISTS: &str = "\
member_of = [\"cn=artists,ou=groups,dc=studio,dc=test\"]
limits = { deactivate = 10 }";

fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,dc=studio,dc=test")
}

/// A group with these members, by their DNs.
fn group(name: &str, members: &[&str]) -> TreeEntry {
    let group = TreeEntry::new(group_dn(name)).with("objectClass", "groupOfNames");
    members
        .iter()
        .fold(group.with("cn", name), |group, member| {
            group.with("member", member)
        })
}

/// People of whom these are artists.
fn artists(people: &[&str], members: &[&str]) -> Situation {
    Situation::of(people)
        .entry(
            TreeEntry::new("ou=groups,dc=studio,dc=test").with("objectClass", "organizationalUnit"),
        )
        .entry(group("artists", members))
        .job(OF_ARTISTS)
}

fn set_members(studio: &Studio, name: &str, members: &[&str]) {
    studio
        .tree()
        .replace(&group_dn(name), "member", members)
        .unwrap();
}

fn causes(report: &Report) -> Vec<String> {
    let causes = report
        .changes
        .iter()
        .map(|change| format!("{:?}", change.cause));
    causes.collect()
}

#[test]
fn people_are_the_members_however_the_groups_are_nested() {
    let nested = [
        "cn=Lighting, OU=Groups, dc=studio,dc=test",
        "uid=gone,ou=people,dc=studio,dc=test",
    ];
    let lighting = [
        "CN=artists,ou=groups,dc=studio,dc=test",
        "UID=ada , ou=People,dc=studio,dc=test",
    ];
    let situation = artists(&["ada", "bob", "cyd", "dan"], &nested)
        .entry(group("lighting", &lighting))
        .entry(
            TreeEntry::new(group_dn("unique"))
                .with("objectClass", "groupOfUniqueNames")
                .with("uniqueMember", format!("{}#'0101'B", dn("cyd"))),
        )
        .entry(
            TreeEntry::new(group_dn("posix"))
                .with("objectClass", "posixGroup")
                .with("gidNumber", "100")
                .with("memberUid", "DAN"),
        )
        .entry(group(
            "others",
            &[
                &group_dn("unique"),
                &group_dn("posix"),
                &group_dn("lighting"),
            ],
        ))
        .job(
            "member_of = [\"cn=artists,ou=groups,dc=studio,dc=test\", \
             \"cn=others,ou=groups,dc=studio,dc=test\"]",
        );
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let read = report.directory.as_ref().unwrap();
    assert_eq!((read.entries, read.group_searches.len()), (3, 1));
    assert_snapshot!(format!("{:#?}", read.groups), @r#"
    {
        "cn=artists,ou=groups,dc=studio,dc=test": 2,
        "cn=lighting,ou=groups,dc=studio,dc=test": 2,
        "cn=others,ou=groups,dc=studio,dc=test": 3,
        "cn=posix,ou=groups,dc=studio,dc=test": 1,
        "cn=unique,ou=groups,dc=studio,dc=test": 1,
    }
    "#);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    dan: active, "Given" "dan" <dan@studio.test>; artists, settled
    "#);
    assert_snapshot!(report.warnings.join("\n"), @"members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): uid=gone,ou=people,dc=studio,dc=test");
    situation.sync_changes_nothing();
}

#[test]
fn who_left_the_groups_is_deactivated_for_that_reason() {
    let all = [dn("ada"), dn("bob")];
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let situation = artists(&["ada", "bob"], &all)
        .after_sync()
        .then(|studio| set_members(studio, "artists", &all[..1]));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate bob  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of
    ");
    let report = situation.sync();
    assert_eq!(causes(&report), ["Some(OutOfScope)"]);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    "#);
    // Who is back gets the same user.
    set_members(&situation, "artists", &all);
    assert_eq!(situation.sync().counts.reactivated, 1);
}

#[test]
fn who_leaves_the_groups_stays_for_as_long_as_out_of_scope_after_says() {
    let both = [dn("ada"), dn("bob")];
    let situation = artists(&["ada", "bob", "cyd"], &[&both[0], &both[1]])
        .job(&format!(
            "{OF_ARTISTS}\nusers = {{ out_of_scope_after = \"2d\", absent_after = \"0s\" }}"
        ))
        .after_sync()
        .then(|studio| {
            set_members(studio, "artists", &[&both[0]]);
        });
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 0, "{report:#?}");
    assert_snapshot!(situation.plain(&report.warnings.join("\n")), @r#"the person of the user "bob" has been missing since [time]; the user stays active until users.out_of_scope_after is over"#);
    // Whoever is gone altogether does not.
    situation.tree().remove(&both[1]).unwrap();
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn a_group_that_cannot_be_read_is_not_an_empty_one() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &dn("bob")]).after_sync();
    let tree = situation.tree();
    tree.remove(&group_dn("artists")).unwrap();
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_snapshot!(situation.report_text(&report), @r#"
    failed  the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,ou=groups,dc=studio,dc=test" cannot be known: it does not exist, or is not visible to the account; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases

    It failed, and nothing was written.
    "#);
    tree.add(TreeEntry::new(group_dn("artists")).with("objectClass", "organizationalRole"))
        .unwrap();
    let report = situation.sync();
    assert_snapshot!(situation.plain(&report.error.unwrap()), @r#"the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,ou=groups,dc=studio,dc=test" cannot be known: it is not a group whose members the program knows (groupOfNames, groupOfUniqueNames, posixGroup, a group of Active Directory), or lies outside of group_bases; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases"#);
    assert_eq!(situation.users().matches("active, ").count(), 2);
}

#[test]
fn a_nested_group_that_is_hidden_takes_nobody_along() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &group_dn("lighting")])
        .entry(group("lighting", &[&dn("bob")]))
        .after_sync()
        .then(|studio| studio.tree().remove(&group_dn("lighting")).unwrap());
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of

      1 change is held: the group cn=lighting,ou=groups,dc=studio,dc=test is not seen any longer, and is still a member of another one: can the bind account still read it and its members? If so, and the person left the groups, approve it

      Warnings:
        members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): cn=lighting,ou=groups,dc=studio,dc=test
    ");
    assert_eq!(situation.sync().counts.held, 1);
    assert_eq!(
        situation.sync().counts.held,
        1,
        "time alone releases nobody"
    );
    // The reports remember it where the state is lost.
    fs::remove_file(situation.state_dir().join("state.db")).unwrap();
    assert_eq!(situation.sync().counts.held, 1);
    let report = approve(&situation);
    assert_eq!(causes(&report), ["Some(OutOfScope)"]);
    situation.sync_changes_nothing();
}

#[test]
fn a_new_group_that_is_not_seen_may_have_whoever_left_the_others() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &group_dn("lighting")])
        .entry(group("lighting", &[&dn("bob")]))
        .after_sync()
        .then(|studio| {
            studio.tree().remove(&group_dn("lighting")).unwrap();
            set_members(studio, "artists", &[&dn("ada"), &group_dn("effects")]);
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of

      1 change is held: the groups of member_of have a member that is not seen, cn=effects,ou=groups,dc=studio,dc=test: if it is a group, let the bind account read it, since the person may be in it; or, if the person left the groups, approve it, after which this member is taken for no group

      Warnings:
        members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): cn=effects,ou=groups,dc=studio,dc=test
    ");
    assert_eq!(situation.sync().counts.held, 1);
    assert_eq!(
        situation.sync().counts.held,
        1,
        "time alone releases nobody"
    );
    assert_eq!(approve(&situation).counts.deactivated, 1);
    // From then on it is known.
    situation.tree().add(person("cyd", "Given", "cyd")).unwrap();
    let members = [dn("ada"), dn("cyd"), group_dn("effects")];
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    set_members(&situation, "artists", &members);
    assert_eq!(situation.sync().counts.created, 1);
    set_members(&situation, "artists", &[members[0], members[2]]);
    assert_eq!(situation.sync().counts.deactivated, 1);
    // What names somebody who is gone is no group.
    set_members(&situation, "artists", &members);
    assert_eq!(situation.sync().counts.reactivated, 1);
    situation.tree().remove(&dn("cyd")).unwrap();
    let report = situation.sync();
    assert_eq!((report.counts.deactivated, report.counts.held), (1, 0));
}

/// A group that may be empty, with members by their logins.
fn posix(logins: &[&str]) -> TreeEntry {
    let group = TreeEntry::new(group_dn("lighting"))
        .with("objectClass", "posixGroup")
        .with("gidNumber", "100");
    logins
        .iter()
        .fold(group, |group, login| group.with("memberUid", login))
}

fn set_logins(studio: &Studio, logins: &[&str]) {
    let group = group_dn("lighting");
    studio.tree().replace(&group, "memberUid", logins).unwrap();
}

#[test]
fn a_group_that_is_suddenly_empty_takes_nobody_along() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &group_dn("lighting")])
        .entry(posix(&["bob"]))
        .after_sync()
        .then(|studio| set_logins(studio, &[]));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of

      1 change is held: the group cn=lighting,ou=groups,dc=studio,dc=test shows no members, and had some before: can the bind account still read it and its members? If so, and the person left the groups, approve it
    ");
    assert_eq!(situation.sync().counts.held, 1);
    set_logins(&situation, &["bob"]);
    situation.sync_changes_nothing();
    // A group that is taken out of another one is no doubt.
    set_members(&situation, "artists", &[&dn("ada")]);
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn groups_without_anybody_fail_the_read() {
    let situation = artists(&["ada"], &[&group_dn("lighting")])
        .entry(posix(&["ada"]))
        .after_sync()
        .then(|studio| set_logins(studio, &[]));
    assert_snapshot!(situation.sync().error.unwrap(), @"the directory shows 0 people, and limits.min_entries asks for at least 1: the read is not used; the searches found 1 entries, of whom nobody is a member of the groups in member_of: check member_of, and whether the bind account may read the groups' members");
}

#[test]
fn other_groups_are_a_changed_configuration() {
    let situation = artists(&["ada", "bob"], &[&dn("ada")])
        .job("limits = { deactivate = 10 }")
        .after_sync()
        .job(OF_ARTISTS);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of

      1 change is held: the configuration changed (member_of), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    assert_eq!(approve(&situation).counts.deactivated, 1);
}

#[test]
fn posix_members_need_logins_that_can_be_read() {
    let situation = Situation::of(&[])
        .entry(
            TreeEntry::new(group_dn("artists").replace("ou=groups,", ""))
                .with("objectClass", "posixGroup")
                .with("gidNumber", "100")
                .with("memberUid", "ada"),
        )
        .entry(
            TreeEntry::new("cn=ada,ou=people,dc=studio,dc=test")
                .with("objectClass", "inetOrgPerson")
                .with("sn", "Ada")
                .with("mail", "ada@studio.test"),
        )
        .job("member_of = [\"cn=artists,dc=studio,dc=test\"]");
    assert_snapshot!(situation.plain(&situation.sync().error.unwrap()), @r#"the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,dc=studio,dc=test" cannot be known: no entry shows uid, by which people are members of groups; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases"#);
}

#[test]
fn who_is_renamed_and_stands_in_the_groups_under_the_former_name_is_held() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &dn("bob")])
        .after_sync()
        .then(|studio| studio.tree().rename(&dn("bob"), &dn("robert")).unwrap());
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  uid=robert,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but is in none of the groups of the job's member_of

      1 change is held: the groups of member_of still name uid=bob,ou=people,dc=studio,dc=test, where the person's entry was before it was renamed or moved: correct the groups' members; or, if the person left the groups, approve it

      Warnings:
        members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): uid=bob,ou=people,dc=studio,dc=test
    ");
    assert_eq!(situation.sync().counts.held, 1);
    set_members(&situation, "artists", &[&dn("ada"), &dn("robert")]);
    assert_eq!(situation.sync().counts.updated, 1);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    robert: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

/// So many users were deactivated, and so many changes are held.
fn assert_deactivated(report: &Report, deactivated: usize, held: usize) {
    assert_eq!(
        (report.counts.deactivated, report.counts.held),
        (deactivated, held),
        "{report:#?}"
    );
}

/// Lets time go by for those who are missing.
fn pass(studio: &Studio, time: chrono::Duration) {
    crate::nobody_wrongly::let_pass(studio, time);
    crate::rules::missing::move_absences(studio, time);
}

#[test]
fn a_new_group_that_is_not_seen_stays_a_doubt_while_people_wait() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &group_dn("lighting")])
        .job(&format!(
            "{OF_ARTISTS}\nusers = {{ deactivate_after = \"2d\" }}"
        ))
        .entry(group("lighting", &[&dn("bob")]))
        .after_sync()
        .then(|studio| {
            // The nested group moves where the account cannot see it, and the server changes the
            // reference along, as Active Directory does.
            studio.tree().remove(&group_dn("lighting")).unwrap();
            set_members(studio, "artists", &[&dn("ada"), &group_dn("effects")]);
        });
    assert_eq!(situation.sync().counts.deactivated, 0, "it waits");
    pass(&situation, chrono::Duration::days(3));
    let report = situation.sync();
    assert_deactivated(&report, 0, 1);
}

#[test]
fn a_group_that_was_never_seen_may_have_whoever_left_the_others() {
    // Somebody first puts the hidden group into the group, and later takes the people out who are in
    // both.
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &dn("bob")])
        .after_sync()
        .then(|studio| {
            set_members(
                studio,
                "artists",
                &[&dn("ada"), &dn("bob"), &group_dn("effects")],
            );
        })
        .after_sync()
        .then(|studio| set_members(studio, "artists", &[&dn("ada"), &group_dn("effects")]));
    let report = situation.sync();
    assert_deactivated(&report, 0, 1);
}

#[test]
fn a_member_who_moved_away_is_no_unseen_group_whatever_its_name() {
    // As Active Directory names people: "Last, First".
    let holm = |ou: &str| format!("cn=Holm\\, Anna,{ou}dc=studio,dc=test");
    let anna = TreeEntry::new(holm("ou=people,"))
        .with("objectClass", "inetOrgPerson")
        .with("uid", "anna")
        .with("cn", "Holm, Anna")
        .with("sn", "Holm")
        .with("mail", "anna@studio.test");
    let situation = artists(
        &["ada", "bob"],
        &[&dn("ada"), &dn("bob"), &holm("ou=people,")],
    )
    .entry(anna)
    .after_sync()
    .then(|studio| {
        // Anna moves out of the bases, and the server changes the reference along; bob leaves the
        // group.
        let to = holm("ou=groups,");
        studio.tree().rename(&holm("ou=people,"), &to).unwrap();
        set_members(studio, "artists", &[&dn("ada"), &to]);
    });
    let report = situation.sync();
    assert_deactivated(&report, 2, 0);
}

#[test]
fn the_approval_of_another_change_releases_nobody_who_may_be_in_an_unseen_group() {
    let situation = artists(&["ada", "bob"], &[&dn("ada"), &group_dn("lighting")])
        .entry(group("lighting", &[&dn("bob")]))
        .after_sync()
        .then(|studio| studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap());
    // A plan that changes the name of ada, and nobody else.
    let plan = situation.folder().join("of-ada.json");
    let plan = plan.to_str().unwrap();
    situation.plan(&["--out", plan]).unwrap();
    situation.tree().remove(&group_dn("lighting")).unwrap();
    set_members(&situation, "artists", &[&dn("ada"), &group_dn("effects")]);
    let report = situation.synced(&["apply", plan, "--format", "json"]);
    assert_eq!(
        (report.counts.updated, report.counts.deactivated),
        (1, 0),
        "{report:#?}"
    );
    let report = situation.sync();
    assert_deactivated(&report, 0, 1);
}

#[test]
fn a_nested_group_that_is_hidden_stays_a_doubt_though_nobody_was_missing_at_first() {
    let both = [&*dn("ada"), &dn("bob"), &group_dn("lighting")].map(ToOwned::to_owned);
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    let situation = artists(&["ada", "bob"], &both)
        .entry(group("lighting", &[&dn("bob")]))
        .after_sync()
        .then(|studio| studio.tree().remove(&group_dn("lighting")).unwrap())
        .after_sync()
        // Bob is in the hidden group, and need not stand in the other one as well.
        .then(|studio| set_members(studio, "artists", &[&dn("ada"), &group_dn("lighting")]));
    let report = situation.sync();
    assert_deactivated(&report, 0, 1);
}

#[test]
fn check_names_the_groups_of_the_configuration_first() {
    let names = ["ab", "ac", "ad"];
    let nested: Vec<String> = names.iter().map(|name| group_dn(name)).collect();
    let nested: Vec<&str> = nested.iter().map(String::as_str).collect();
    let situation = names
        .iter()
        .fold(artists(&["ada"], &nested), |situation, name| {
            situation.entry(group(name, &[&dn("ada")]))
        });
    let ended = situation.run(&["check"]);
    let line = ended.stdout.lines().find(|line| line.contains("member_of"));
    assert_snapshot!(line.unwrap_or_default(), @"  ok    groups              1 of 1 entries are members of member_of; of 4 groups, these count: cn=artists,ou=groups,dc=studio,dc=test names 3; cn=ab,ou=groups,dc=studio,dc=test names 1; cn=ac,ou=groups,dc=studio,dc=test names 1, and 1 more");
}
