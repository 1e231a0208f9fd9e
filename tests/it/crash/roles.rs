//! Killed while roles are given and taken: the next run finishes the rest, and nobody keeps a role
//! that neither side gave, or loses one that somebody gave by hand.

use ftrack_ldap_sync::{
    demo::{directory::TreeEntry, ftrack::Atomicity},
    model::report::Outcome,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Effect, after_first_write, kill_at, late, moment};
use crate::{
    faults::cases,
    rules::give_role,
    studio::{Studio, dn},
};

const GROUP: &str = "cn=leads,ou=groups,dc=studio,dc=test";
const ROLE: &str = "Project Manager";
const PEOPLE: [&str; 5] = ["joins", "leaves", "stays", "by-hand", "never"];

fn set_members(studio: &Studio, members: &[&str]) {
    let members: Vec<String> = members.iter().map(|uid| dn(uid)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    studio.tree().replace(GROUP, "member", &members).unwrap();
}

/// Whether somebody has the role, and whether the link names it as given.
fn state(studio: &Studio, uid: &str) -> (bool, bool) {
    let user = studio.user(uid);
    let link: Value = serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
    let is_given = link["roles"]
        .as_array()
        .is_some_and(|roles| !roles.is_empty());
    let held = studio.ftrack().rows("UserSecurityRole").unwrap();
    let held = held.iter().find(|row| row["user_id"] == json!(user.id));
    let is_held = held.is_some_and(|row| row["is_all_open_projects"] == json!(true));
    (is_held, is_given)
}

fn studio(batch_size: usize, atomicity: Atomicity) -> Studio {
    let mut studio = Studio::of(&PEOPLE).end_to_end();
    studio.job =
        format!("roles = {{ {ROLE:?} = [{GROUP:?}] }}\nlimits = {{ revoke = 10, create = 10 }}");
    studio.ftrack_settings = format!("batch_size = {batch_size}");
    studio
        .ftrack()
        .change_rules(|rules| rules.atomicity = atomicity);
    let groups = TreeEntry::new("ou=groups,dc=studio,dc=test");
    let tree = studio.tree();
    tree.add(groups.with("objectClass", "organizationalUnit"))
        .unwrap();
    let group = TreeEntry::new(GROUP).with("objectClass", "groupOfNames");
    tree.add(group.with("cn", "leads").with("member", dn("leaves")))
        .unwrap();
    set_members(&studio, &["leaves", "stays"]);
    studio.sync();
    give_role(&studio, "by-hand", ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    studio
        .ftrack()
        .change("UserSecurityRole", &json!(["role-of-by-hand"]), &row)
        .unwrap();
    set_members(&studio, &["joins", "stays", "by-hand", "new"]);
    tree.add(crate::studio::person("new", "New", "Face"))
        .unwrap();
    studio
}

proptest! {
    #![proptest_config(cases(8))]
    #[test]
    fn the_next_run_gives_and_takes_what_a_killed_one_did_not(
        nth in 1_u64..9,
        batch_size in 1_usize..5,
        effect in select(vec![Effect::Lost, Effect::Done]),
        atomicity in select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]),
    ) {
        let studio = studio(batch_size, atomicity);
        let moment = moment(&studio, effect, after_first_write(nth));
        let mut child = studio.start(&["sync", "--format", "json"]);
        kill_at(&studio, &mut child, &moment, effect);
        studio.ftrack().heal();

        let report = studio.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        let found = ["joins", "leaves", "stays", "by-hand", "never", "new"];
        let found = found.map(|uid| state(&studio, uid));
        let (ours, none) = ((true, true), (false, false));
        assert_eq!(found, [ours, none, ours, (true, false), none, ours]);
        late::pass_time(&studio);
        studio.sync_changes_nothing();
        // What is by hand stays, and only that.
        set_members(&studio, &["stays"]);
        let report = studio.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!(state(&studio, "by-hand"), (true, false));
        assert_eq!((state(&studio, "joins"), state(&studio, "new")), (none, none));
    }
}
