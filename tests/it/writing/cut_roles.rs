//! A run that is cut off after it gave a role and before it said for which projects: nobody keeps a role
//! for no project.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::Outcome,
};
use serde_json::{Value, json};

use crate::{
    studio::Studio,
    undo::{ROLE, set_members, with_role},
};

/// What a user has: the rows of the roles, and for how many single projects; and how much of it the
/// link names as given.
fn roles(studio: &Studio, login: &str) -> (Vec<Value>, usize, usize) {
    let user = studio.user(login);
    let all = |entity: &str| studio.ftrack().rows(entity).unwrap().into_iter();
    let rows = all("UserSecurityRole").filter(|row| row["user_id"] == json!(user.id));
    let rows: Vec<Value> = rows.collect();
    let is_theirs = |of: &Value| {
        rows.iter()
            .any(|row| row["id"] == of["user_security_role_id"])
    };
    let projects = all("UserSecurityRoleProject").filter(is_theirs).count();
    let link: Value = serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
    let given = ["roles", "project_roles"].map(|kind| link[kind].as_array().map_or(0, Vec::len));
    (rows, projects, given.iter().sum())
}

/// A studio with bob, who was to be given a role, for all open projects or for one: the run was cut
/// off when he had it for none.
fn cut_off(is_for_one: bool) -> Studio {
    let mut studio = with_role(&["ada", "bob"], &["ada"]);
    studio.ftrack_settings = "attempts = 1".into();
    if is_for_one {
        let project = json!({"id": "p-1", "name": "show_a"});
        studio.ftrack().insert("Project", &project).unwrap();
        let group =
            "{ groups = [\"cn=leads,ou=groups,dc=studio,dc=test\"], projects = [\"show_a\"] }";
        studio.job = format!("roles = {{ {ROLE:?} = {group} }}\nlimits = {{ revoke = 10 }}");
    }
    studio.sync();
    assert_eq!(roles(&studio, "bob"), (Vec::new(), 0, 0));
    set_members(&studio, &["ada", "bob"]);
    // The role itself is given by the first call that writes.
    let mut writes = 0;
    studio.ftrack().fail_when(move |call| {
        writes += u64::from(call.kind == CallKind::Write);
        (writes > 1).then_some(Fault::Html(503))
    });
    let report = studio.sync();
    assert_ne!(report.outcome, Outcome::Succeeded, "{report:#?}");
    studio.ftrack().heal();
    let (rows, projects, given) = roles(&studio, "bob");
    assert_eq!((rows.len(), projects), (1, 0), "{rows:#?}");
    assert_eq!(rows[0]["is_all_open_projects"], false);
    assert!(given > 0, "it is noted before it is given");
    studio
}

#[test]
fn the_next_run_gives_the_rest() {
    for is_for_one in [false, true] {
        let studio = cut_off(is_for_one);
        for _ in 0..2 {
            let report = studio.sync();
            assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        }
        let (rows, projects, given) = roles(&studio, "bob");
        let is_on_all = rows[0]["is_all_open_projects"] == json!(true);
        assert_eq!(
            (rows.len(), is_on_all, projects, given),
            (1, !is_for_one, usize::from(is_for_one), 1)
        );
        studio.sync_changes_nothing();
    }
}

#[test]
fn whoever_left_the_group_meanwhile_has_no_role_left() {
    for is_for_one in [false, true] {
        let studio = cut_off(is_for_one);
        set_members(&studio, &["ada"]);
        let report = studio.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!(roles(&studio, "bob"), (Vec::new(), 0, 0));
        assert_eq!(roles(&studio, "ada").0.len(), 1);
        studio.sync_changes_nothing();
    }
}

#[test]
fn what_somebody_made_of_it_by_hand_stays() {
    let studio = cut_off(false);
    let (rows, ..) = roles(&studio, "bob");
    let project = json!({"id": "p-2", "name": "show_b"});
    studio.ftrack().insert("Project", &project).unwrap();
    let row = json!({"id": "by-hand", "user_security_role_id": rows[0]["id"], "project_id": "p-2"});
    let ftrack = studio.ftrack();
    ftrack.insert("UserSecurityRoleProject", &row).unwrap();
    set_members(&studio, &["ada"]);
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.role_changes),
        (Outcome::Succeeded, 0),
        "{report:#?}"
    );
    assert_eq!(roles(&studio, "bob"), (rows, 1, 0));
    studio.sync_changes_nothing();
}
