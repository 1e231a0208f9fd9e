//! Security roles that the members of groups get for named projects.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, NewRoles},
    model::report::Outcome,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{
    Situation,
    edits::edits,
    roles::{LEADS, leads, role_calls, set_members, whys},
};
use crate::{
    rules::{approve, give_role},
    studio::Studio,
};

/// Members of `leads` get a role for one project.
const ON_SHOW_A: &str = "\
roles = { \"Project Manager\" = { groups = [\"cn=leads,ou=groups,dc=studio,dc=test\"], projects = [\"show_a\"] } }
limits = { revoke = 10 }";

/// The same for two projects.
const ON_BOTH: &str = "\
roles = { \"Project Manager\" = { groups = [\"cn=leads,ou=groups,dc=studio,dc=test\"], projects = [\"show_a\", \"Show_B\"] } }
limits = { revoke = 10 }";

fn add_projects(studio: &Studio) {
    for (name, is_private) in [("show_a", false), ("show_b", false), ("secret", true)] {
        let row = json!({"id": format!("p-{name}"), "name": name, "is_private": is_private});
        studio.ftrack().insert("Project", &row).unwrap();
    }
}

/// People of whom these are in the group `leads`, and projects.
pub fn shows(people: &[&str], members: &[&str]) -> Situation {
    leads(people, members).job(ON_SHOW_A).then(add_projects)
}

/// Gives somebody a role by hand: for all open projects, or for none yet.
pub fn by_hand(studio: &Studio, username: &str, is_on_all_open: bool) {
    give_role(studio, username, "Project Manager");
    let row = json!({"is_all_open_projects": is_on_all_open, "is_all_projects": is_on_all_open});
    let key = json!([format!("role-of-{username}")]);
    studio
        .ftrack()
        .change("UserSecurityRole", &key, &row)
        .unwrap();
}

fn project_by_hand(studio: &Studio, username: &str, project: &str) {
    let role = format!("role-of-{username}");
    let row = json!({"id": format!("{project}-{username}"), "user_security_role_id": role, "project_id": project});
    studio
        .ftrack()
        .insert("UserSecurityRoleProject", &row)
        .unwrap();
}

/// For what somebody has the role, and what the link names as given.
pub fn projects(studio: &Studio, username: &str) -> String {
    let user = studio.user(username);
    let roles = studio.ftrack().rows("UserSecurityRole").unwrap();
    let grants = studio.ftrack().rows("UserSecurityRoleProject").unwrap();
    let mut all = Vec::new();
    for role in roles.iter().filter(|row| row["user_id"] == json!(user.id)) {
        if role["is_all_open_projects"] == json!(true) {
            all.push("all".to_owned());
        }
        let of_role = grants
            .iter()
            .filter(|row| row["user_security_role_id"] == role["id"]);
        all.extend(of_role.map(|row| row["project_id"].as_str().unwrap().to_owned()));
    }
    all.sort();
    let link: Value =
        serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap_or(Value::Null);
    let given = |list: &str| link[list].as_array().map_or(0, Vec::len);
    format!(
        "{}; {} + {} given",
        all.join(" "),
        given("roles"),
        given("project_roles")
    )
}

#[test]
fn members_get_the_role_for_the_project_and_lose_it_when_they_leave_the_group() {
    for new_roles in [NewRoles::NoProjects, NewRoles::AllOpenProjects] {
        let situation = shows(&["ada", "bob"], &["ada"]).then(|studio| {
            studio
                .ftrack()
                .change_rules(|rules| rules.new_roles = new_roles);
        });
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!((report.counts.created, report.counts.role_changes), (2, 1));
        assert_eq!(
            projects(&situation, "ada"),
            "p-show_a; 0 + 1 given",
            "{new_roles:?}"
        );
        assert_eq!(projects(&situation, "bob"), "; 0 + 0 given");
        let calls = role_calls(&situation);
        match new_roles {
            NewRoles::NoProjects => {
                assert_eq!(
                    calls,
                    ["add_user_security_role", "grant_user_security_role_project"]
                );
            }
            // What the server gave by itself is taken again.
            NewRoles::AllOpenProjects => assert_eq!(
                calls,
                [
                    "add_user_security_role",
                    "revoke_user_security_role_project",
                    "grant_user_security_role_project"
                ]
            ),
        }
        situation.sync_changes_nothing();
        set_members(&situation, "leads", &["bob"]);
        let plan = situation.plan_text();
        assert!(
            plan.contains("roles.Project Manager@show_a: show_a -> (none)"),
            "{plan}"
        );
        let report = situation.sync();
        let revoked = json!([{"kind": "revoke", "role": "Project Manager", "project": "show_a"}]);
        assert_eq!(edits(&report, "ada"), revoked);
        assert_eq!(report.counts.role_changes, 2);
        assert_eq!(projects(&situation, "ada"), "; 0 + 0 given");
        assert_eq!(projects(&situation, "bob"), "p-show_a; 0 + 1 given");
        situation.sync_changes_nothing();
    }
}

#[test]
fn who_has_the_role_by_hand_keeps_it_as_it_is() {
    let situation = shows(&["all", "this", "other"], &[]).after_sync();
    by_hand(&situation, "all", true);
    by_hand(&situation, "this", false);
    project_by_hand(&situation, "this", "p-show_a");
    by_hand(&situation, "other", false);
    project_by_hand(&situation, "other", "p-show_b");
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &["all", "this", "other"]);
    // Who has it for all open projects has it for this one.
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert_eq!(
        projects(&situation, "other"),
        "p-show_a p-show_b; 0 + 1 given"
    );
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &[]);
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert_eq!(projects(&situation, "all"), "all; 0 + 0 given");
    assert_eq!(projects(&situation, "this"), "p-show_a; 0 + 0 given");
    assert_eq!(projects(&situation, "other"), "p-show_b; 0 + 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn a_private_project_is_given_beside_all_open_ones() {
    let job = ON_SHOW_A.replace("show_a", "secret");
    let situation = shows(&["ada", "bob"], &[]).job(&job).after_sync();
    by_hand(&situation, "ada", true);
    set_members(&situation, "leads", &["ada"]);
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert_eq!(projects(&situation, "ada"), "all p-secret; 0 + 1 given");
    situation.sync_changes_nothing();
    set_members(&situation, "leads", &[]);
    situation.sync();
    assert_eq!(projects(&situation, "ada"), "all; 0 + 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn several_projects_of_one_role_are_given_and_taken_together() {
    for new_roles in [NewRoles::NoProjects, NewRoles::AllOpenProjects] {
        let situation = shows(&["ada", "bob"], &[]).job(ON_BOTH).after_sync();
        situation
            .ftrack()
            .change_rules(|rules| rules.new_roles = new_roles);
        set_members(&situation, "leads", &["ada"]);
        assert_eq!(situation.sync().counts.role_changes, 2);
        assert_eq!(
            projects(&situation, "ada"),
            "p-show_a p-show_b; 0 + 2 given"
        );
        situation.sync_changes_nothing();
        set_members(&situation, "leads", &[]);
        assert_eq!(situation.sync().counts.role_changes, 2);
        assert_eq!(role_calls(&situation), ["remove_user_security_role"]);
        assert_eq!(projects(&situation, "ada"), "; 0 + 0 given");
        situation.sync_changes_nothing();
        // One that is not configured any more stays.
        set_members(&situation, "leads", &["ada"]);
        let situation = situation.after_sync().job(ON_SHOW_A);
        situation.sync_changes_nothing();
        assert_eq!(
            projects(&situation, "ada"),
            "p-show_a p-show_b; 0 + 2 given"
        );
    }
}

#[test]
fn a_project_that_is_missing_or_over_fails_the_run_before_anything_is_written() {
    let failed = |situation: &Situation| {
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Failed);
        assert_eq!(situation.ftrack().counters().write_calls, 0);
        situation.plain(&report.error.unwrap())
    };
    let situation = shows(&["ada"], &["ada"]).job(&ON_SHOW_A.replace("show_a", "show_c"));
    assert_snapshot!(failed(&situation), @r#"ftrack has no project "show_c" visible to this key, which the job's roles name (did you mean "show_a"?); it has: demo, secret, show_a, show_b. Correct the job's roles and groups; nothing was written"#);
    let situation = situation.job(ON_SHOW_A);
    let over = json!({"status": "hidden"});
    situation
        .ftrack()
        .change("Project", &json!(["p-show_a"]), &over)
        .unwrap();
    assert_snapshot!(failed(&situation), @r#"the project "show_a", which the job's roles name, has the status "hidden": roles are given only for active ones; take it out of the job's roles, or open it again; it has: demo, secret, show_b. Correct the job's roles and groups; nothing was written"#);
    let again = json!({"id": "p-2", "name": "SHOW_B"});
    situation.ftrack().insert("Project", &again).unwrap();
    let situation = situation.job(&ON_SHOW_A.replace("show_a", "show_b"));
    assert_snapshot!(failed(&situation), @r#"ftrack has several projects "show_b", which the job's roles name; it has: demo, SHOW_B, secret, show_b. Correct the job's roles and groups; nothing was written"#);
}

#[test]
fn a_role_for_all_open_projects_that_becomes_one_for_named_ones_is_restricted_once_approved() {
    let situation = leads(&["ada", "bob"], &["ada"])
        .job(LEADS)
        .then(add_projects)
        .after_sync();
    by_hand(&situation, "bob", true);
    let situation = situation.job(ON_SHOW_A);
    let report = situation.sync();
    assert_eq!((report.outcome, report.counts.held), (Outcome::Held, 1));
    let whys = whys(&report);
    assert!(
        whys.contains("configuration: the configuration changed (roles),"),
        "{whys}"
    );
    assert_eq!(projects(&situation, "ada"), "all; 1 + 0 given");
    assert_eq!(situation.ftrack().counters().write_calls, 0);
    let report = approve(&situation);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    situation.sync();
    assert_eq!(projects(&situation, "ada"), "p-show_a; 0 + 1 given");
    assert_eq!(projects(&situation, "bob"), "all; 0 + 0 given");
    situation.sync_changes_nothing();
}

#[test]
fn a_lost_answer_is_followed_by_a_look_and_gives_no_more_than_the_project() {
    for new_roles in [NewRoles::NoProjects, NewRoles::AllOpenProjects] {
        for nth in 1..=3 {
            for fault in [Fault::ResetAfter, Fault::ResetBefore] {
                let situation = shows(&["ada", "bob"], &["bob"]).after_sync();
                set_members(&situation, "leads", &["ada"]);
                let (mut writes, lost) = (0, fault.clone());
                situation
                    .ftrack()
                    .change_rules(|rules| rules.new_roles = new_roles);
                situation.ftrack().fail_when(move |call| {
                    writes += u64::from(call.kind == CallKind::Write);
                    (call.kind == CallKind::Write && writes == nth).then(|| lost.clone())
                });
                let report = situation.sync();
                assert_eq!(report.outcome, Outcome::Succeeded, "{fault:?} {report:#?}");
                assert_eq!(projects(&situation, "ada"), "p-show_a; 0 + 1 given");
                assert_eq!(projects(&situation, "bob"), "; 0 + 0 given");
                situation.ftrack().heal();
                situation.sync_changes_nothing();
            }
        }
    }
}
