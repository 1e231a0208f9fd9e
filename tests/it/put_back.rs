//! `undo` and `restore` where something comes in between: a crash, another job, a real directory.

mod campaign;
mod custom;
mod killed;
mod pictures;
mod two_jobs;

use std::collections::BTreeMap;

use ftrack_ldap_sync::demo::ftrack::Account;
use serde_json::{Value, json};

use crate::{studio::Studio, undo::seen};

/// The users as a person sees them, with their roles: by name those for all open projects, and those for
/// one with `@` before it. One for none, which a call that was cut off leaves, gives nothing.
pub fn in_effect(studio: &Studio) -> BTreeMap<String, Account> {
    let mut seen = seen(studio);
    let rows = |of: &str| studio.ftrack().rows(of).unwrap();
    let (names, projects) = (rows("SecurityRole"), rows("Project"));
    let name = |rows: &[Value], id: &Value| {
        let row = rows.iter().find(|row| row["id"] == *id);
        row.and_then(|row| row["name"].as_str()).unwrap().to_owned()
    };
    seen.values_mut().for_each(|user| user.roles.clear());
    for row in rows("UserSecurityRole") {
        let Some(user) = seen.get_mut(row["user_id"].as_str().unwrap()) else {
            continue;
        };
        let role = name(&names, &row["security_role_id"]);
        let of_row = rows("UserSecurityRoleProject").into_iter();
        let of_row = of_row.filter(|on| on["user_security_role_id"] == row["id"]);
        let on = of_row.map(|on| format!("{role}@{}", name(&projects, &on["project_id"])));
        user.roles.extend(on);
        if row["is_all_open_projects"] == json!(true) {
            user.roles.insert(role);
        }
    }
    seen
}

/// The same without the users whom a run created, of whom it is certain that they are inactive: they
/// cannot be put back otherwise.
fn without(studio: &Studio, created: &[&str]) -> BTreeMap<String, Account> {
    let mut seen = in_effect(studio);
    for login in created {
        if let Some(user) = studio.ftrack().user(login) {
            assert!(!user.is_active, "{login} is active");
            seen.remove(&user.id);
        }
    }
    seen
}
