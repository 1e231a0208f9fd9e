//! `undo` and `restore` where something comes in between: a crash, another job, a real directory.

mod campaign;
mod killed;
mod two_jobs;

use std::collections::BTreeMap;

use ftrack_ldap_sync::demo::ftrack::Account;
use serde_json::json;

use crate::{studio::Studio, undo::seen};

/// The users as a person sees them, with the roles that are for all open projects: one for none, which
/// a call that was cut off leaves, gives nothing.
pub fn in_effect(studio: &Studio) -> BTreeMap<String, Account> {
    let mut seen = seen(studio);
    let names = studio.ftrack().rows("SecurityRole").unwrap();
    for row in studio.ftrack().rows("UserSecurityRole").unwrap() {
        let role = names
            .iter()
            .find(|role| role["id"] == row["security_role_id"]);
        let name = role.and_then(|role| role["name"].as_str()).unwrap();
        let user = row["user_id"].as_str().unwrap();
        if let Some(user) = seen.get_mut(user)
            && row["is_all_open_projects"] != json!(true)
        {
            user.roles.remove(name);
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
