//! Security roles that the members of groups get.

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Atomicity, CallKind, Fault, NewRoles},
    },
    model::report::{ChangeResult, Outcome, Report},
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Situation;
use crate::{
    rules::{approve, by_hand, give_role, leave, make_administrator},
    studio::{Studio, dn},
};

/// Members of `leads` get a role.
pub(super) const LEADS: &str = "\
roles = { \"Project Manager\" = [\"cn=leads,ou=groups,dc=studio,dc=test\"] }
limits = { revoke = 10 }";

/// A member who is not among the people.
const NOBODY: &str = "cn=nobody,dc=studio,dc=test";

fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,dc=studio,dc=test")
}

pub(super) fn group(name: &str, members: &[&str]) -> TreeEntry {
    let group = TreeEntry::new(group_dn(name)).with("objectClass", "groupOfNames");
    let members = members.iter().map(|uid| dn(uid)).chain([NOBODY.to_owned()]);
    members.fold(group.with("cn", name), |group, member| {
        group.with("member", member)
    })
}

/// People of whom these are in the group `leads`.
pub fn leads(people: &[&str], members: &[&str]) -> Situation {
    Situation::of(people)
        .entry(
            TreeEntry::new("ou=groups,dc=studio,dc=test").with("objectClass", "organizationalUnit"),
        )
        .entry(group("leads", members))
        .job(LEADS)
}

pub fn set_members(studio: &Studio, name: &str, members: &[&str]) {
    let members: Vec<String> = members.iter().map(|uid| dn(uid)).collect();
    let mut members: Vec<&str> = members.iter().map(String::as_str).collect();
    if members.is_empty() {
        // A group of names has a member, whoever that is.
        members.push(NOBODY);
    }
    studio
        .tree()
        .replace(&group_dn(name), "member", &members)
        .unwrap();
}

/// The roles of somebody, each with whether it is for all open projects; and how many the link names.
fn roles(studio: &Studio, username: &str) -> String {
    let user = studio.user(username);
    let names = studio.ftrack().rows("SecurityRole").unwrap();
    let held = studio.ftrack().rows("UserSecurityRole").unwrap();
    let mut roles: Vec<String> = held
        .iter()
        .filter(|row| row["user_id"] == json!(user.id))
        .map(|row| {
            let name = names
                .iter()
                .find(|role| role["id"] == row["security_role_id"]);
            let all = if row["is_all_open_projects"] == json!(true) {
                "all open projects"
            } else {
                "no projects"
            };
            format!("{} ({all})", name.unwrap()["name"].as_str().unwrap())
        })
        .collect();
    roles.sort();
    let link: Value =
        serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap_or(Value::Null);
    let given = link["roles"].as_array().map_or(0, Vec::len);
    format!("{}; {given} given", roles.join(", "))
}

/// What was written of roles.
pub(super) fn role_calls(studio: &Studio) -> Vec<String> {
    let applied = studio.ftrack().applied();
    let of_roles = applied
        .iter()
        .filter(|applied| applied.entity_type == "UserSecurityRole");
    of_roles.map(|applied| applied.action.clone()).collect()
}

pub(super) fn whys(report: &Report) -> String {
    let whys = report.changes.iter().filter_map(|change| {
        let by = change.held_by.map_or("", |by| by.as_str());
        Some(format!("{by}: {}\n", change.error.as_deref()?))
    });
    whys.collect()
}

#[test]
fn members_get_the_role_and_lose_it_when_they_leave_the_group() {
    let situation = leads(&["ada", "bob"], &["ada"]);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!((report.counts.created, report.counts.role_changes), (2, 1));
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
    assert_eq!(roles(&situation, "bob"), "; 0 given");
    assert_eq!(
        role_calls(&situation),
        ["add_user_security_role", "grant_user_security_role_project"]
    );
    situation.sync_changes_nothing();

    set_members(&situation, "leads", &["bob", "ada"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          roles.Project Manager: all open projects
          the groups give the person other roles or memberships than the user has
    ");
    let report = situation.sync();
    assert_eq!((report.counts.updated, report.counts.role_changes), (0, 1));
    situation.sync_changes_nothing();

    set_members(&situation, "leads", &["bob"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          roles.Project Manager: all open projects -> (none)
          the groups give the person other roles or memberships than the user has
    ");
    let report = situation.sync();
    assert_eq!(report.counts.role_changes, 1, "{report:#?}");
    assert_eq!(role_calls(&situation), ["remove_user_security_role"]);
    assert_eq!(roles(&situation, "ada"), "; 0 given");
    assert_eq!(
        roles(&situation, "bob"),
        "Project Manager (all open projects); 1 given"
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_server_that_gives_new_roles_all_open_projects_is_not_asked_for_them_again() {
    let situation = leads(&["ada"], &["ada"]).then(|studio| {
        studio
            .ftrack()
            .change_rules(|rules| rules.new_roles = NewRoles::AllOpenProjects);
    });
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_eq!(role_calls(&situation), ["add_user_security_role"]);
    situation.sync_changes_nothing();
}

#[test]
fn members_of_nested_groups_are_members() {
    let situation = leads(&["ada", "bob"], &["ada"]).entry(group("seniors", &["bob"]));
    let members = [dn("ada"), group_dn("seniors")];
    situation
        .tree()
        .replace(&group_dn("leads"), "member", &[&members[0], &members[1]])
        .unwrap();
    situation.sync();
    assert_eq!(
        roles(&situation, "bob"),
        "Project Manager (all open projects); 1 given"
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_role_that_was_given_by_hand_stays() {
    let situation = leads(&["ada", "bob"], &["bob"])
        .after_sync()
        .then(|studio| {
            give_role(studio, "ada", "Project Manager");
            let row = json!({"is_all_open_projects": true, "is_all_projects": true});
            studio
                .ftrack()
                .change("UserSecurityRole", &json!(["role-of-ada"]), &row)
                .unwrap();
            give_role(studio, "bob", "User");
        });
    situation.sync_changes_nothing();
    // Also of somebody who was a member meanwhile.
    set_members(&situation, "leads", &["ada", "bob"]);
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &["bob"]);
    situation.sync_changes_nothing();
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 0 given"
    );
    assert_eq!(
        roles(&situation, "bob"),
        "Project Manager (all open projects), User (no projects); 1 given"
    );
}

#[test]
fn what_somebody_gave_for_single_projects_is_left_when_the_role_is_taken() {
    let situation = leads(&["ada", "bob"], &["bob"]).after_sync();
    give_role(&situation, "ada", "Project Manager");
    let project = situation.ftrack().rows("Project").unwrap()[0]["id"].clone();
    let grant = json!({"id": "p-1", "user_security_role_id": "role-of-ada", "project_id": project});
    situation
        .ftrack()
        .insert("UserSecurityRoleProject", &grant)
        .unwrap();
    set_members(&situation, "leads", &["ada", "bob"]);
    situation.sync();
    assert_eq!(role_calls(&situation), ["grant_user_security_role_project"]);
    set_members(&situation, "leads", &["bob"]);
    situation.sync();
    assert_eq!(
        role_calls(&situation),
        ["revoke_user_security_role_project"]
    );
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (no projects); 0 given"
    );
    let projects = situation.ftrack().rows("UserSecurityRoleProject").unwrap();
    assert_eq!(projects.len(), 1);
    situation.sync_changes_nothing();
}

#[test]
fn a_role_that_somebody_takes_by_hand_is_given_again_while_the_group_says_so() {
    let situation = leads(&["ada", "bob"], &["ada", "bob"]).after_sync();
    let take = |username: &str| {
        let user = situation.user(username).id;
        let rows = situation.ftrack().rows("UserSecurityRole").unwrap();
        let row = rows
            .iter()
            .find(|row| row["user_id"] == json!(user))
            .unwrap();
        situation
            .ftrack()
            .remove("UserSecurityRole", &json!([row["id"]]))
            .unwrap();
    };
    take("ada");
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
    // Of somebody who left the group as well, only the link is corrected.
    take("ada");
    set_members(&situation, "leads", &["bob"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          the user's link names a role or membership that is gone
    ");
    situation.sync();
    assert_eq!(roles(&situation, "ada"), "; 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn a_deactivation_leaves_the_roles_as_they_are() {
    let situation = leads(&["ada", "bob", "cyd"], &["ada", "bob"]).after_sync();
    let situation = situation.then(|studio| {
        leave(studio, "ada");
        set_members(studio, "leads", &["bob"]);
    });
    assert_eq!(situation.sync().counts.deactivated, 1);
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
    situation.sync_changes_nothing();
}

#[test]
fn who_has_no_access_keeps_the_role_and_is_not_looked_for_in_its_groups() {
    let situation = leads(&["ada", "bob"], &["ada", "bob"]).after_sync();
    by_hand(&situation, "ada", &json!({"is_active": false}));
    let searches_of_a_sync = || {
        let before = situation.directory().counts().searches;
        situation.sync_changes_nothing();
        situation.directory().counts().searches - before
    };
    situation.sync_changes_nothing();
    let as_a_member = searches_of_a_sync();
    set_members(&situation, "leads", &["bob"]);
    assert_eq!(searches_of_a_sync(), as_a_member);
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
}

#[test]
fn more_roles_than_the_limit_allows_are_held_until_a_person_approves() {
    let people = ["ada", "bob", "cyd", "dan"];
    let limit = LEADS.replace("revoke = 10", "revoke = 1");
    let situation = leads(&people, &people).job(&limit).after_sync();
    set_members(&situation, "leads", &["cyd", "dan"]);
    let report = situation.sync();
    assert_eq!((report.outcome, report.counts.held), (Outcome::Held, 2));
    assert_snapshot!(whys(&report), @"
    limit: 2 revoked roles or memberships are more than limits.revoke allows (1); review them, and approve: `holds` shows its number, `approve N` writes it
    limit: 2 revoked roles or memberships are more than limits.revoke allows (1); review them, and approve: `holds` shows its number, `approve N` writes it
    ");
    assert_eq!(situation.ftrack().counters().write_calls, 0);
    // Time alone does not release them, and one fewer neither.
    set_members(&situation, "leads", &["bob", "cyd", "dan"]);
    assert_eq!(situation.sync().counts.held, 1);
    assert_eq!(approve(&situation).counts.role_changes, 1);
    assert_eq!(roles(&situation, "ada"), "; 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn one_of_few_given_roles_may_be_taken() {
    let limit = LEADS.replace("revoke = 10", "revoke = \"10%\"");
    let situation = leads(&["ada", "bob"], &["ada", "bob"])
        .job(&limit)
        .after_sync();
    set_members(&situation, "leads", &["bob"]);
    assert_eq!(situation.sync().counts.role_changes, 1);
    // Over several runs the same limit.
    set_members(&situation, "leads", &["cyd"]);
    assert_eq!(situation.sync().counts.held, 1);
}

#[test]
fn a_group_that_is_missing_or_hidden_fails_the_reading_and_nothing_is_written() {
    let situation = leads(&["ada"], &["ada"]).after_sync();
    situation
        .tree()
        .rename(&group_dn("leads"), &group_dn("others"))
        .unwrap();
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(situation.ftrack().counters().write_calls, 0);
    assert_snapshot!(situation.plain(&report.error.unwrap()), @r#"the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=leads,ou=groups,dc=studio,dc=test" cannot be known: it does not exist, or is not visible to the account; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases"#);
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
}

#[test]
fn a_group_that_shows_no_members_any_more_takes_nobodys_role() {
    let posix = TreeEntry::new(group_dn("posix"))
        .with("objectClass", "posixGroup")
        .with("cn", "posix")
        .with("gidNumber", "100")
        .with("memberUid", "ada");
    let situation = leads(&["ada", "bob"], &[])
        .entry(posix)
        .job(&LEADS.replace("cn=leads", "cn=posix"))
        .after_sync();
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
    situation
        .tree()
        .replace(&group_dn("posix"), "memberUid", &[])
        .unwrap();
    for _ in 0..2 {
        let report = situation.sync();
        assert_eq!((report.outcome, report.counts.held), (Outcome::Held, 1));
        let doubt = "doubt: roles or memberships would be taken, and the group \
                     cn=posix,ou=groups,dc=studio,dc=test shows no members any more: can the bind \
                     account still read them? If they left, approve it\n";
        assert_eq!(whys(&report), doubt);
    }
    approve(&situation);
    assert_eq!(roles(&situation, "ada"), "; 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn a_role_that_ftrack_does_not_have_fails_the_run_before_anything_is_written() {
    let wrong = |role: &str| {
        let job = LEADS.replace("Project Manager", role);
        let situation = leads(&["ada"], &["ada"]).job(&job);
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Failed);
        assert_eq!(situation.ftrack().counters().write_calls, 0);
        situation.plain(&report.error.unwrap())
    };
    assert_snapshot!(wrong("Project Manger"), @r#"ftrack has no security role "Project Manger", which the job's roles name (did you mean "Project Manager"?); it has: Administrator, Project Manager, User. Correct the job's roles and groups; nothing was written"#);
    assert_snapshot!(wrong("Restricted User"), @r#"the security role "Restricted User", which the job's roles name, is of the type "ASSIGNED": users can be given only those of the type PROJECT; it has: Administrator, Project Manager, User. Correct the job's roles and groups; nothing was written"#);
}

#[test]
fn roles_of_administrators_wait_for_a_person() {
    let admins = LEADS.replace("Project Manager", "Administrator");
    let situation = leads(&["ada", "bob"], &["ada"]).job(&admins);
    // A new user is no administrator.
    assert_eq!(situation.sync().counts.role_changes, 0);
    let report = situation.sync();
    assert_eq!((report.outcome, report.counts.held), (Outcome::Held, 1));
    assert_snapshot!(whys(&report), @r#"protected: the role "Administrator" makes an administrator, which takes a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it"#);
    approve(&situation);
    assert_eq!(
        roles(&situation, "ada"),
        "Administrator (all open projects); 1 given"
    );
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &["bob"]);
    let report = situation.sync();
    assert_eq!(report.counts.held, 2);
    let mut lines: Vec<String> = whys(&report).lines().map(str::to_owned).collect();
    lines.sort();
    assert_snapshot!(lines.join("\n"), @r#"
    protected: it is an administrator, whose roles change only with a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it
    protected: the role "Administrator" makes an administrator, which takes a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it
    "#);
}

#[test]
fn the_last_administrator_keeps_the_role_whoever_approves() {
    let admins = LEADS.replace("Project Manager", "Administrator");
    let situation = leads(&["ada", "bob"], &["ada"]).job(&admins).after_sync();
    approve(&situation);
    // The one who was there before is gone.
    let admin = situation.user("admin").id;
    situation
        .ftrack()
        .change("User", &json!([admin]), &json!({"is_active": false}))
        .unwrap();
    set_members(&situation, "leads", &[]);
    let report = approve(&situation);
    assert_eq!(report.counts.held, 1, "{report:#?}");
    assert_snapshot!(whys(&report), @"administrator: it would leave ftrack without an active administrator");
    assert_eq!(
        roles(&situation, "ada"),
        "Administrator (all open projects); 1 given"
    );
    make_administrator(&situation, "bob");
    approve(&situation);
    assert_eq!(roles(&situation, "ada"), "; 0 given");
}

#[test]
fn a_refused_role_stops_nobody_else_and_is_not_noted_as_given() {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        let situation = leads(&["ada", "bob"], &[]).after_sync().then(|studio| {
            studio.ftrack().change_rules(|rules| {
                rules.atomicity = atomicity;
                rules.refused_roles.insert("Project Manager".to_owned());
            });
            set_members(studio, "leads", &["ada"]);
            let mail = studio
                .tree()
                .replace(&dn("bob"), "mail", &["b@studio.test"]);
            mail.unwrap();
        });
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Partial);
        assert_eq!((report.counts.updated, report.counts.failed), (1, 1));
        assert_eq!(roles(&situation, "ada"), "; 0 given", "{atomicity:?}");
        // Whoever gives it by hand then has given it.
        give_role(&situation, "ada", "Project Manager");
        let row = json!({"is_all_open_projects": true, "is_all_projects": true});
        situation
            .ftrack()
            .change("UserSecurityRole", &json!(["role-of-ada"]), &row)
            .unwrap();
        set_members(&situation, "leads", &[]);
        situation.sync_changes_nothing();
    }
}

#[test]
fn a_new_user_whose_role_is_refused_is_created_all_the_same() {
    let situation = leads(&["ada"], &["ada"]).then(|studio| {
        studio.ftrack().change_rules(|rules| {
            rules.refused_roles.insert("Project Manager".to_owned());
        });
    });
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Partial);
    assert!(situation.user("ada").is_active);
    assert_eq!(report.changes[0].result, ChangeResult::Failed);
    assert_snapshot!(situation.plain(report.changes[0].error.as_ref().unwrap()), @r#"updating Metadata and 2 more operations at http://ftrack failed: the server refused it: ValidationError: The security role "Project Manager" cannot be changed (a retry alone does not help); but these were written: username, first_name, last_name, email, is_active"#);
    situation
        .ftrack()
        .change_rules(|rules| rules.refused_roles.clear());
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_eq!(
        roles(&situation, "ada"),
        "Project Manager (all open projects); 1 given"
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_lost_answer_is_followed_by_a_look_and_not_by_a_second_grant() {
    for nth in 1..=2 {
        for fault in [Fault::ResetAfter, Fault::ResetBefore] {
            let situation = leads(&["ada", "bob"], &["bob"]).after_sync();
            set_members(&situation, "leads", &["ada"]);
            let lost = fault.clone();
            situation.ftrack().forget();
            let mut writes = 0;
            situation.ftrack().fail_when(move |call| {
                writes += u64::from(call.kind == CallKind::Write);
                (call.kind == CallKind::Write && writes == nth).then(|| lost.clone())
            });
            let report = situation.sync();
            assert_eq!(report.outcome, Outcome::Succeeded, "{fault:?} {report:#?}");
            assert_eq!(report.counts.role_changes, 2, "{fault:?}");
            let mut calls = role_calls(&situation);
            calls.sort();
            assert_eq!(
                calls,
                [
                    "add_user_security_role",
                    "grant_user_security_role_project",
                    "remove_user_security_role"
                ]
            );
            assert_eq!(roles(&situation, "bob"), "; 0 given");
            situation.ftrack().heal();
            situation.sync_changes_nothing();
        }
    }
}

#[test]
fn roles_for_a_role_that_new_users_have_anyway_are_not_noted_as_given() {
    let job = LEADS.replace("Project Manager", "User");
    let situation = leads(&["ada"], &["ada"]).job(&job).then(|studio| {
        studio.ftrack().change_rules(|rules| {
            rules.default_role = Some("User".to_owned());
            rules.new_roles = NewRoles::AllOpenProjects;
        });
    });
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(
        roles(&situation, "ada"),
        "User (all open projects); 0 given"
    );
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &[]);
    situation.sync_changes_nothing();
}

#[test]
fn whoever_a_group_still_names_by_the_former_dn_keeps_the_role() {
    let situation = leads(&["ada", "bob"], &["ada", "bob"]).after_sync();
    let new = dn("ada.new");
    situation.tree().rename(&dn("ada"), &new).unwrap();
    let report = situation.sync();
    // The login is written, and the role stays.
    assert_eq!((report.counts.updated, report.counts.held), (1, 1));
    assert_snapshot!(whys(&report), @"doubt: the role's groups still name uid=ada,ou=people,dc=studio,dc=test, where the person's entry was before it was renamed or moved: correct the groups' members; or, if the person left the groups, approve it");
    assert_eq!(
        roles(&situation, "ada.new"),
        "Project Manager (all open projects); 1 given"
    );
    set_members(&situation, "leads", &["ada.new", "bob"]);
    situation.sync_changes_nothing();
}

#[test]
fn whoever_is_a_member_on_another_server_keeps_the_role() {
    let other = leads(&["ada", "bob"], &["ada", "bob"]);
    let situation = leads(&["ada", "bob"], &["ada", "bob"]);
    let numbers = |studio: &Studio| {
        for uid in ["ada", "bob"] {
            let tree = studio.tree();
            tree.replace(&dn(uid), "employeeNumber", &[uid]).unwrap();
        }
    };
    numbers(&other);
    numbers(&situation);
    let urls = [situation.directory_url.clone(), other.directory_url.clone()];
    let situation = situation
        .config(&format!(
            "[directories.studio]\nurls = {urls:?}\nid_attribute = \"employeeNumber\"\nid = \"d\"\n"
        ))
        .after_sync();
    set_members(&situation, "leads", &["bob"]);
    let report = situation.sync();
    assert_eq!((report.counts.role_changes, report.counts.held), (0, 1));
    let why = whys(&report).replace(&other.directory_url, "ldap://other");
    assert_snapshot!(why, @"replica: ldap://other still shows the person as a member of the role's groups; the role is taken once all servers agree, or with a person's approval: `holds` shows its number, `approve N` writes it");
    set_members(&other, "leads", &["bob"]);
    assert_eq!(situation.sync().counts.role_changes, 1);
    situation.sync_changes_nothing();
}

#[test]
fn changed_groups_of_a_role_hold_what_they_would_take() {
    let situation = leads(&["ada", "bob"], &["ada"])
        .entry(group("others", &["bob"]))
        .after_sync();
    let situation = situation.job(&LEADS.replace("cn=leads", "cn=others"));
    let report = situation.sync();
    assert_eq!((report.counts.role_changes, report.counts.held), (1, 1));
    assert_snapshot!(whys(&report), @r#"configuration: the configuration changed (roles), which may explain it; if it is meant, approve it: `holds` shows its number, `approve N` writes it; or else take it back; config_change = "apply" applies such changes without asking"#);
    // A role that is not configured any more is nobody's.
    let situation = situation.job("");
    situation.sync_changes_nothing();
}
