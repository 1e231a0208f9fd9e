//! A security role that the members of a group get, also of a group in it, on each kind of directory.

use ftrack_ldap_sync::model::report::Outcome;
use serde_json::json;

use super::{
    servers::RealDirectory,
    views::{View, views},
};
use crate::{
    ldap_proxy::LdapProxy, rules::give_role, situations::Situation, slapd::PEOPLE, studio::Studio,
};

const LEADS: &str = "cn=leads,ou=groups,dc=studio,dc=test";
const SENIORS: &str = "cn=senior leads\\, and more,ou=services,dc=studio,dc=test";
const ROLE: &str = "Project Manager";

/// The role is given to members and to members of members, and taken from those who leave; whoever
/// had it by hand keeps it.
pub fn follow(directory: &RealDirectory, proxy: &LdapProxy) {
    let person = |nth: usize| format!("cn=p{nth:02},{PEOPLE}");
    let job = format!("roles = {{ {ROLE:?} = [{LEADS:?}] }}\nlimits = {{ revoke = 10 }}");
    let views: Vec<View> = views(directory, proxy)
        .into_iter()
        .map(|View { name, situation }| View {
            name,
            situation: Situation::job(situation, &job),
        })
        .collect();
    directory.group(SENIORS, &[person(2), person(3)]);
    directory.group(LEADS, &[person(1), SENIORS.to_owned()]);
    expect(&views, "the first run", &["p01", "p02", "p03"]);
    for View { situation, .. } in &views {
        give(situation, "p04");
        give(situation, "p05");
    }
    directory.members(LEADS, "add", &person(4));
    directory.members(SENIORS, "add", &person(6));
    directory.members(SENIORS, "delete", &person(3));
    let by_hand = ["p04", "p05"];
    let now = [&["p01", "p02", "p06"][..], &by_hand].concat();
    expect(&views, "somebody leaves the inner group", &now);
    // The group leaves the group, and whoever has it by hand leaves as well.
    directory.members(LEADS, "delete", SENIORS);
    directory.members(LEADS, "delete", &person(4));
    let now = [&["p01"][..], &by_hand].concat();
    expect(&views, "the inner group leaves", &now);
    directory.members(LEADS, "add", SENIORS);
    let now = [&["p01", "p02", "p06"][..], &by_hand].concat();
    expect(&views, "the inner group comes back", &now);
}

/// After a run, these have the role in effect, and the next run changes nothing.
fn expect(views: &[View], what: &str, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    for View { name, situation } in views {
        let report = situation.sync();
        assert_eq!(
            report.outcome,
            Outcome::Succeeded,
            "{what}, {name}: {report:#?}"
        );
        assert_eq!(managers(situation), expected, "{what}, {name}: {report:#?}");
        situation.sync_changes_nothing();
    }
}

fn give(studio: &Studio, uid: &str) {
    give_role(studio, uid, ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    let key = json!([format!("role-of-{uid}")]);
    let ftrack = studio.ftrack();
    ftrack.change("UserSecurityRole", &key, &row).unwrap();
}

fn managers(studio: &Studio) -> Vec<String> {
    let mut with: Vec<String> = crate::put_back::in_effect(studio)
        .into_values()
        .filter(|user| user.roles.contains(ROLE))
        .map(|user| user.username)
        .collect();
    with.sort_unstable();
    with
}
