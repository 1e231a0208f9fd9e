//! Groups of ftrack to which the members of LDAP groups belong.

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, CallKind, Fault},
    model::report::{ChangeResult, Outcome},
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    Situation,
    edits::edits,
    roles::{group, leads, set_members, whys},
};
use crate::{
    rules::{approve, by_hand, leave, make_administrator},
    studio::Studio,
};

/// Members of `leads` belong to a group that is nested in another.
const LIGHTING: &str = "\
groups = { \"Departments/Lighting\" = [\"cn=leads,ou=groups,dc=studio,dc=test\"] }
limits = { revoke = 10 }";

/// The same, and the groups of ftrack are made where they are missing.
pub const MADE: &str = "\
groups = { \"Departments/Lighting\" = [\"cn=leads,ou=groups,dc=studio,dc=test\"] }
limits = { revoke = 10 }
users = { create_groups = true }";

fn add_group(studio: &Studio, id: &str, name: &str, parent: Option<&str>) {
    let row = json!({"id": id, "name": name, "parent_id": parent});
    studio.ftrack().insert("Group", &row).unwrap();
}

/// People of whom these are in the group `leads`, and the group in ftrack.
pub fn lighting(people: &[&str], members: &[&str]) -> Situation {
    leads(people, members).job(LIGHTING).then(|studio| {
        add_group(studio, "g-dep", "Departments", None);
        add_group(studio, "g-light", "Lighting", Some("g-dep"));
    })
}

/// Lets somebody be a member of a group, or not any more, as a person does in ftrack.
pub fn join_by_hand(studio: &Studio, username: &str, group: &str) {
    let user = studio.user(username).id;
    let row = json!({"id": format!("{group}-{username}"), "user_id": user, "group_id": group});
    studio.ftrack().insert("Membership", &row).unwrap();
}

fn leave_by_hand(studio: &Studio, username: &str) {
    let user = studio.user(username).id;
    let rows = studio.ftrack().rows("Membership").unwrap();
    let mut rows = rows.iter();
    let row = rows.find(|row| row["user_id"] == json!(user)).unwrap();
    let key = json!([row["id"]]);
    studio.ftrack().remove("Membership", &key).unwrap();
}

/// The groups of somebody, one for each membership; and how many the link names.
pub fn groups(studio: &Studio, username: &str) -> String {
    let user = studio.user(username);
    let names = studio.ftrack().rows("Group").unwrap();
    let name = |row: &Value| {
        let group = names.iter().find(|group| group["id"] == row["group_id"]);
        group.map_or("?".to_owned(), |group| {
            group["name"].as_str().unwrap().to_owned()
        })
    };
    let rows = studio.ftrack().rows("Membership").unwrap();
    let of_user = rows.iter().filter(|row| row["user_id"] == json!(user.id));
    let mut groups: Vec<String> = of_user.map(name).collect();
    groups.sort();
    let link: Value =
        serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap_or(Value::Null);
    let given = link["groups"].as_array().map_or(0, Vec::len);
    format!("{}; {given} given", groups.join(", "))
}

/// What was written of groups and memberships.
fn calls(studio: &Studio) -> Vec<String> {
    let applied = studio.ftrack().applied();
    let of_groups = applied
        .iter()
        .filter(|applied| ["Group", "Membership"].contains(&&*applied.entity_type));
    of_groups
        .map(|applied| format!("{} {}", applied.action, applied.entity_type))
        .collect()
}

/// All groups of ftrack, each with the one that it is in.
pub fn all_groups(studio: &Studio) -> String {
    let rows = studio.ftrack().rows("Group").unwrap();
    let name = |id: &Value| {
        let row = rows.iter().find(|row| row["id"] == *id);
        row.map_or("", |row| row["name"].as_str().unwrap())
    };
    let mut groups: Vec<String> = rows
        .iter()
        .map(|row| format!("{}/{}", name(&row["parent_id"]), name(&row["id"])))
        .collect();
    groups.sort();
    groups.join(" ")
}

#[test]
fn members_join_the_group_and_leave_it() {
    let situation = lighting(&["ada", "bob"], &["ada"]);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!((report.counts.created, report.counts.group_changes), (2, 1));
    assert_eq!(report.counts.role_changes, 0);
    assert_eq!(groups(&situation, "ada"), "Lighting; 1 given");
    assert_eq!(groups(&situation, "bob"), "; 0 given");
    assert_eq!(calls(&situation), ["create Membership"]);
    situation.sync_changes_nothing();

    set_members(&situation, "leads", &["bob", "ada"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          groups.Departments/Lighting: member
          the groups give the person other roles or memberships than the user has
    ");
    let report = situation.sync();
    assert_eq!((report.counts.updated, report.counts.group_changes), (0, 1));
    let joined = json!([{"kind": "join", "group": "Departments/Lighting"}]);
    assert_eq!(edits(&report, "bob"), joined);
    situation.sync_changes_nothing();

    set_members(&situation, "leads", &["bob"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          groups.Departments/Lighting: member -> (none)
          the groups give the person other roles or memberships than the user has
    ");
    let report = situation.sync();
    let left = json!([{"kind": "leave", "group": "Departments/Lighting"}]);
    assert_eq!(edits(&report, "ada"), left);
    assert!(
        situation
            .report_text(&report)
            .contains("1 membership change")
    );
    assert_eq!(calls(&situation), ["delete Membership"]);
    assert_eq!(groups(&situation, "ada"), "; 0 given");
    assert_eq!(groups(&situation, "bob"), "Lighting; 1 given");
    situation.sync_changes_nothing();
}

#[test]
fn what_somebody_did_by_hand_stays() {
    let situation = lighting(&["ada", "bob", "cyd"], &["bob"]).after_sync();
    join_by_hand(&situation, "ada", "g-light");
    situation.sync_changes_nothing();
    // Also of somebody who was in the LDAP group meanwhile.
    set_members(&situation, "leads", &["ada", "bob"]);
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &["bob"]);
    situation.sync_changes_nothing();
    assert_eq!(groups(&situation, "ada"), "Lighting; 0 given");
    // And beside the membership that the program made.
    join_by_hand(&situation, "bob", "g-light");
    set_members(&situation, "leads", &["cyd"]);
    assert_eq!(situation.sync().counts.group_changes, 2);
    assert_eq!(groups(&situation, "bob"), "Lighting; 0 given");
    assert_eq!(groups(&situation, "cyd"), "Lighting; 1 given");
    situation.sync_changes_nothing();
    // Who is in the LDAP group is a member again.
    leave_by_hand(&situation, "cyd");
    assert_eq!(situation.sync().counts.group_changes, 1);
    assert_eq!(groups(&situation, "cyd"), "Lighting; 1 given");
    // Of somebody who left both, only the link is corrected.
    leave_by_hand(&situation, "cyd");
    set_members(&situation, "leads", &["bob"]);
    assert_eq!(situation.sync().counts.group_changes, 0);
    assert_eq!(groups(&situation, "cyd"), "; 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn groups_that_are_not_mapped_are_nobodys() {
    let situation = lighting(&["ada", "bob"], &["ada"]).after_sync();
    add_group(&situation, "g-comp", "Compositing", None);
    join_by_hand(&situation, "bob", "g-comp");
    situation.sync_changes_nothing();
    // One that is not configured any more stays with everybody who has it.
    let situation = situation.job("");
    situation.sync_changes_nothing();
    assert_eq!(groups(&situation, "ada"), "Lighting; 1 given");
}

#[test]
fn a_group_that_ftrack_does_not_have_fails_the_run_before_anything_is_written() {
    let failed = |situation: &Situation| {
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Failed);
        assert_eq!(situation.ftrack().counters().write_calls, 0);
        situation.plain(&report.error.unwrap())
    };
    let situation = leads(&["ada"], &["ada"]).job(LIGHTING);
    assert_snapshot!(failed(&situation), @r#"ftrack has no group "Departments/Lighting", which the job's groups name; users.create_groups = true makes it; it has: none that the key can see. Correct the job's roles and groups; nothing was written"#);
    // The one in a group is not the one at the top.
    add_group(&situation, "g-dep", "Departments", None);
    add_group(&situation, "g-light", "Lighting", Some("g-dep"));
    let at_the_top = LIGHTING.replace("Departments/", "");
    let situation = situation.job(&at_the_top);
    assert_snapshot!(failed(&situation), @r#"ftrack has no group "Lighting", which the job's groups name; there is "Departments/Lighting": name the groups above it as well; it has: Departments, Departments/Lighting. Correct the job's roles and groups; nothing was written"#);
    // Two of one name.
    add_group(&situation, "g-2", "LIGHTING", Some("g-dep"));
    let situation = situation.job(LIGHTING);
    assert_snapshot!(failed(&situation), @r#"ftrack has several groups "Departments/Lighting", which the job's groups name; it has: Departments/LIGHTING, Departments, Departments/Lighting. Correct the job's roles and groups; nothing was written"#);
    situation.ftrack().remove("Group", &json!(["g-2"])).unwrap();
    // One of a project.
    let local = json!({"id": "g-3", "name": "Crew", "local": true});
    situation.ftrack().insert("Group", &local).unwrap();
    let situation = situation.job(&LIGHTING.replace("Departments/Lighting", "Crew"));
    assert_snapshot!(failed(&situation), @r#"ftrack has no group "Crew", which the job's groups name; the one of that name is of a single project; it has: Departments, Departments/Lighting. Correct the job's roles and groups; nothing was written"#);
}

#[test]
fn a_name_that_contains_the_separator_is_found() {
    let situation = leads(&["ada"], &["ada"])
        .job(&LIGHTING.replace("Departments/Lighting", "2D/3D/Paint"))
        .then(|studio| {
            add_group(studio, "g-2d", "2D/3D", None);
            add_group(studio, "g-paint", "Paint", Some("g-2d"));
        });
    assert_eq!(situation.sync().counts.group_changes, 1);
    assert_eq!(groups(&situation, "ada"), "Paint; 1 given");
    // Another one whose path reads the same.
    add_group(&situation, "g-0", "2D", None);
    add_group(&situation, "g-1", "3D/Paint", Some("g-0"));
    assert_eq!(situation.sync().outcome, Outcome::Failed);
    assert_eq!(groups(&situation, "ada"), "Paint; 1 given");
}

#[test]
fn missing_groups_are_made_with_those_above_them_once_somebody_is_a_member() {
    let situation = leads(&["ada", "bob"], &[]).job(MADE);
    situation.sync();
    assert_eq!(calls(&situation), [""; 0]);
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &["ada", "bob"]);
    let plan = situation.plan_text();
    assert!(
        plan.contains("groups.Departments/Lighting: member"),
        "{plan}"
    );
    assert!(
        plan.contains("\n  new groups Departments, Departments/Lighting\n"),
        "{plan}"
    );
    assert_eq!(all_groups(&situation), "");
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert!(!situation.plan_text().contains("new groups"));
    assert_eq!(report.counts.group_changes, 2);
    assert_eq!(
        report.warnings,
        ["the group \"Departments/Lighting\" was made in ftrack"]
    );
    assert_eq!(all_groups(&situation), "/Departments Departments/Lighting");
    assert_eq!(
        calls(&situation),
        [
            "create Group",
            "create Group",
            "create Membership",
            "create Membership"
        ]
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_missing_group_is_made_within_the_group_that_exists() {
    let situation = leads(&["ada"], &["ada"]).job(MADE).then(|studio| {
        add_group(studio, "g-dep", "departments", None);
    });
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_eq!(all_groups(&situation), "/departments departments/Lighting");
    situation.sync_changes_nothing();
}

#[test]
fn a_plan_with_a_group_that_is_still_to_be_made_can_be_applied() {
    let situation = leads(&["ada"], &["ada"]).job(MADE);
    let report = approve(&situation);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(groups(&situation, "ada"), "Lighting; 1 given");
    situation.sync_changes_nothing();
}

#[test]
fn a_group_that_cannot_be_made_ends_the_run_before_users_are_written() {
    let situation = leads(&["ada", "bob"], &["ada"]).job(MADE).then(|studio| {
        studio.ftrack().change_rules(|rules| {
            rules.refused_groups.insert("Lighting".to_owned());
        });
    });
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Failed, 0)
    );
    assert_snapshot!(situation.plain(&report.error.unwrap()), @r#"the writing ended early: creating Group and 1 more operations at http://ftrack failed: the server refused it: ValidationError: The group "Lighting" cannot be changed (a retry alone does not help)"#);
    assert!(
        report
            .changes
            .iter()
            .all(|change| change.result == ChangeResult::Failed)
    );
    situation
        .ftrack()
        .change_rules(|rules| rules.refused_groups.clear());
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_eq!(all_groups(&situation), "/Departments Departments/Lighting");
    situation.sync_changes_nothing();
}

#[test]
fn a_lost_answer_makes_no_second_group_and_no_second_membership() {
    for nth in 1..=3 {
        for fault in [Fault::ResetAfter, Fault::ResetBefore] {
            let situation = leads(&["ada", "bob"], &[]).job(MADE).after_sync();
            set_members(&situation, "leads", &["ada", "bob"]);
            situation.ftrack().forget();
            let (mut writes, lost) = (0, fault.clone());
            situation.ftrack().fail_when(move |call| {
                writes += u64::from(call.kind == CallKind::Write);
                (call.kind == CallKind::Write && writes == nth).then(|| lost.clone())
            });
            let report = situation.sync();
            assert_eq!(
                report.outcome,
                Outcome::Succeeded,
                "{nth} {fault:?} {report:#?}"
            );
            assert_eq!(report.counts.group_changes, 2, "{nth} {fault:?}");
            assert_eq!(all_groups(&situation), "/Departments Departments/Lighting");
            for uid in ["ada", "bob"] {
                assert_eq!(
                    groups(&situation, uid),
                    "Lighting; 1 given",
                    "{nth} {fault:?}"
                );
            }
            situation.ftrack().heal();
            situation.sync_changes_nothing();
        }
    }
}

#[test]
fn a_group_that_was_renamed_or_deleted_in_ftrack_stops_the_run_and_takes_nothing() {
    let situation = lighting(&["ada"], &["ada"]).after_sync();
    let renamed = json!({"name": "Lights"});
    situation
        .ftrack()
        .change("Group", &json!(["g-light"]), &renamed)
        .unwrap();
    assert_eq!(situation.sync().outcome, Outcome::Failed);
    assert_eq!(groups(&situation, "ada"), "Lights; 1 given");
    // Mapped by its new name, nothing is to be written.
    let situation = situation.job(&LIGHTING.replace("Lighting", "Lights"));
    situation.sync_changes_nothing();
    situation
        .ftrack()
        .remove("Group", &json!(["g-light"]))
        .unwrap();
    assert_eq!(situation.sync().outcome, Outcome::Failed);
    assert_eq!(situation.ftrack().counters().write_calls, 0);
}

#[test]
fn a_group_that_the_program_made_and_somebody_renamed_is_not_made_again() {
    let situation = leads(&["ada"], &["ada"]).job(MADE).after_sync();
    let rows = situation.ftrack().rows("Group").unwrap();
    let row = rows.iter().find(|row| row["name"] == "Lighting").unwrap();
    let renamed = json!({"name": "Lights"});
    situation
        .ftrack()
        .change("Group", &json!([row["id"]]), &renamed)
        .unwrap();
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    let why = situation.plain(&report.error.unwrap());
    assert_snapshot!(why, @r#"the group "Lighting" of the path "Departments/Lighting", which the job's groups name, was made by this program and is now called "Lights", or is elsewhere: name it so in the job's groups, or undo that in ftrack; it has: Departments/Lights, Departments. Correct the job's roles and groups; nothing was written"#);
    let situation = situation.job(&MADE.replace("Lighting", "Lights"));
    situation.sync_changes_nothing();
}

#[test]
fn a_refused_membership_stops_nobody_else_and_is_not_noted_as_given() {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        let situation = lighting(&["ada", "bob"], &[]).after_sync().then(|studio| {
            studio.ftrack().change_rules(|rules| {
                rules.atomicity = atomicity;
                rules.refused_groups.insert("Lighting".to_owned());
            });
            set_members(studio, "leads", &["ada"]);
            by_hand(studio, "bob", &json!({"last_name": "Other"}));
        });
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Partial);
        assert_eq!((report.counts.updated, report.counts.failed), (1, 1));
        assert_eq!(groups(&situation, "ada"), "; 0 given", "{atomicity:?}");
        // Whoever joins by hand then has joined by hand.
        join_by_hand(&situation, "ada", "g-light");
        set_members(&situation, "leads", &[]);
        situation.sync_changes_nothing();
    }
}

#[test]
fn a_deactivation_leaves_the_memberships_as_they_are() {
    let situation = lighting(&["ada", "bob", "cyd"], &["ada", "bob"]).after_sync();
    leave(&situation, "ada");
    set_members(&situation, "leads", &["bob"]);
    assert_eq!(situation.sync().counts.deactivated, 1);
    assert_eq!(groups(&situation, "ada"), "Lighting; 1 given");
    situation.sync_changes_nothing();
}

#[test]
fn more_memberships_than_the_limit_allows_are_held_until_a_person_approves() {
    let people = ["ada", "bob", "cyd", "dan"];
    let limit = LIGHTING.replace("revoke = 10", "revoke = 1");
    let situation = lighting(&people, &people).job(&limit).after_sync();
    set_members(&situation, "leads", &["cyd", "dan"]);
    let report = situation.sync();
    assert_eq!((report.outcome, report.counts.held), (Outcome::Held, 2));
    assert!(whys(&report).starts_with("limit: 2 revoked roles or memberships are more than"));
    assert_eq!(situation.ftrack().counters().write_calls, 0);
    assert_eq!(approve(&situation).counts.group_changes, 2);
    situation.sync_changes_nothing();
}

#[test]
fn memberships_of_administrators_and_protected_users_wait_for_a_person() {
    let protect = format!("{LIGHTING}\nusers = {{ protect = [\"bo*\"] }}");
    let situation = lighting(&["ada", "bob", "cyd"], &[]).after_sync();
    make_administrator(&situation, "ada");
    let situation = situation.job(&protect).after_sync();
    set_members(&situation, "leads", &["ada", "bob", "cyd"]);
    let report = situation.sync();
    assert_eq!((report.counts.group_changes, report.counts.held), (1, 2));
    let mut lines: Vec<String> = whys(&report).lines().map(str::to_owned).collect();
    lines.sort();
    assert_snapshot!(lines.join("\n"), @"
    protected: it is an administrator, whose memberships change only with a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it
    protected: it is protected by users.protect, whose memberships change only with a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it
    ");
    assert_eq!(approve(&situation).counts.group_changes, 2);
    situation.sync_changes_nothing();
}

#[test]
fn changed_groups_of_a_group_hold_what_they_would_take() {
    let situation = lighting(&["ada", "bob"], &["ada"])
        .entry(group("others", &["bob"]))
        .after_sync();
    let situation = situation.job(&LIGHTING.replace("cn=leads", "cn=others"));
    let report = situation.sync();
    assert_eq!((report.counts.group_changes, report.counts.held), (1, 1));
    assert!(whys(&report).starts_with("configuration: the configuration changed (groups),"));
    assert_eq!(groups(&situation, "ada"), "Lighting; 1 given");
}

#[test]
fn whoever_a_group_still_names_by_the_former_dn_stays_a_member() {
    let situation = lighting(&["ada", "bob"], &["ada", "bob"]).after_sync();
    let (old, new) = (crate::studio::dn("ada"), crate::studio::dn("ada.new"));
    situation.tree().rename(&old, &new).unwrap();
    let report = situation.sync();
    assert_eq!((report.counts.updated, report.counts.held), (1, 1));
    let why = "doubt: the membership's groups still name uid=ada,ou=people,dc=studio,dc=test,";
    assert!(whys(&report).starts_with(why), "{}", whys(&report));
    assert_eq!(groups(&situation, "ada.new"), "Lighting; 1 given");
}

#[test]
fn ftrack_groups_whose_members_are_not_shown_are_joined_once_and_said() {
    let situation = lighting(&["ada"], &[]).after_sync();
    situation.ftrack().change_rules(|rules| {
        rules.unreadable.insert("Membership".to_owned());
    });
    set_members(&situation, "leads", &["ada"]);
    for _ in 0..2 {
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.counts.failed),
            (Outcome::Partial, 1)
        );
    }
    assert_eq!(situation.ftrack().rows("Membership").unwrap().len(), 1);
}
