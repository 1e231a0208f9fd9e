//! Killed while roles and memberships are given and taken, and groups made: the next run finishes the
//! rest, and nobody keeps what neither side gave, or loses what somebody gave by hand.

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Atomicity, NewRoles},
    },
    model::report::Outcome,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Effect, after_first_write, kill_at, late, moment};
use crate::{
    faults::cases,
    studio::{Studio, dn},
};

/// Its members get everything.
const GROUP: &str = "cn=leads,ou=groups,dc=studio,dc=test";
/// Its members get a membership of a group that is made in the killed run.
const FRESH: &str = "cn=fresh,ou=groups,dc=studio,dc=test";
const NOBODY: &str = "cn=nobody,dc=studio,dc=test";
const PEOPLE: [&str; 5] = ["joins", "leaves", "stays", "by-hand", "never"];

fn job() -> String {
    format!(
        "users = {{ create_groups = true }}\n\
         limits = {{ revoke = 100, create = 10 }}\n\
         [jobs.artists.roles]\n\
         \"Project Manager\" = [{GROUP:?}]\n\
         User = {{ groups = [{GROUP:?}], projects = [\"show_a\"] }}\n\
         [jobs.artists.groups]\n\
         \"Departments/Lighting\" = [{GROUP:?}]\n\
         \"Departments/Fresh\" = [{FRESH:?}]\n"
    )
}

fn set_members(studio: &Studio, group: &str, members: &[&str]) {
    let members: Vec<String> = members.iter().map(|uid| dn(uid)).collect();
    let mut members: Vec<&str> = members.iter().map(String::as_str).collect();
    members.push(NOBODY);
    studio.tree().replace(group, "member", &members).unwrap();
}

/// What somebody has of what the job gives, and what of it the link names as given: the role for all
/// open projects, the role for a project, the memberships.
fn state(studio: &Studio, uid: &str) -> (String, String) {
    let user = studio.user(uid);
    let rows = |entity: &str| studio.ftrack().rows(entity).unwrap();
    let (roles, projects, groups) = (rows("SecurityRole"), rows("Project"), rows("Group"));
    let name = |all: &[Value], id: &Value| {
        let found = all.iter().find(|row| row["id"] == *id);
        found.map_or("?".to_owned(), |row| {
            row["name"].as_str().unwrap().to_owned()
        })
    };
    let mut has = Vec::new();
    let held = rows("UserSecurityRole");
    for row in held.iter().filter(|row| row["user_id"] == json!(user.id)) {
        let role = name(&roles, &row["security_role_id"]);
        if row["is_all_open_projects"] == json!(true) {
            has.push(format!("{role} on all"));
        }
        for of_role in rows("UserSecurityRoleProject") {
            if of_role["user_security_role_id"] == row["id"] {
                has.push(format!(
                    "{role} on {}",
                    name(&projects, &of_role["project_id"])
                ));
            }
        }
    }
    for row in rows("Membership") {
        if row["user_id"] == json!(user.id) {
            has.push(name(&groups, &row["group_id"]));
        }
    }
    let link: Value = serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
    let mut given = Vec::new();
    for role in link["roles"].as_array().into_iter().flatten() {
        given.push(format!("{} on all", name(&roles, role)));
    }
    for pair in link["project_roles"].as_array().into_iter().flatten() {
        given.push(format!(
            "{} on {}",
            name(&roles, &pair[0]),
            name(&projects, &pair[1])
        ));
    }
    for group in link["groups"].as_array().into_iter().flatten() {
        given.push(name(&groups, group));
    }
    has.sort();
    given.sort();
    (has.join(", "), given.join(", "))
}

/// Gives somebody by hand what the job would give.
fn give_by_hand(studio: &Studio, username: &str) {
    let (ftrack, user) = (studio.ftrack(), studio.user(username).id);
    let id_of = |entity: &str, name: &str| {
        let rows = ftrack.rows(entity).unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap()["id"].clone()
    };
    for (id, name, is_on_all) in [("r-1", "Project Manager", true), ("r-2", "User", false)] {
        let row = json!({"id": id, "user_id": user, "security_role_id": id_of("SecurityRole", name),
                         "is_all_open_projects": is_on_all, "is_all_projects": is_on_all});
        ftrack.insert("UserSecurityRole", &row).unwrap();
    }
    let row = json!({"id": "r-3", "user_security_role_id": "r-2", "project_id": "p-1"});
    ftrack.insert("UserSecurityRoleProject", &row).unwrap();
    let row = json!({"id": "m-1", "user_id": user, "group_id": id_of("Group", "Lighting")});
    ftrack.insert("Membership", &row).unwrap();
}

fn studio(batch_size: usize, atomicity: Atomicity, new_roles: NewRoles) -> Studio {
    let mut studio = Studio::of(&PEOPLE).end_to_end();
    studio.job = job();
    studio.ftrack_settings = format!("batch_size = {batch_size}");
    studio.ftrack().change_rules(|rules| {
        rules.atomicity = atomicity;
        rules.new_roles = new_roles;
    });
    let project = json!({"id": "p-1", "name": "show_a"});
    studio.ftrack().insert("Project", &project).unwrap();
    let groups = TreeEntry::new("ou=groups,dc=studio,dc=test");
    let tree = studio.tree();
    tree.add(groups.with("objectClass", "organizationalUnit"))
        .unwrap();
    for (group, name) in [(GROUP, "leads"), (FRESH, "fresh")] {
        let group = TreeEntry::new(group).with("objectClass", "groupOfNames");
        tree.add(group.with("cn", name).with("member", NOBODY))
            .unwrap();
    }
    set_members(&studio, GROUP, &["leaves", "stays"]);
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    give_by_hand(&studio, "by-hand");
    set_members(&studio, GROUP, &["joins", "stays", "by-hand", "new"]);
    set_members(&studio, FRESH, &["joins"]);
    tree.add(crate::studio::person("new", "New", "Face"))
        .unwrap();
    studio
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn the_next_run_gives_and_takes_what_a_killed_one_did_not(
        nth in 1_u64..13,
        batch_size in 1_usize..5,
        effect in select(vec![Effect::Lost, Effect::Done]),
        atomicity in select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]),
        new_roles in select(vec![NewRoles::NoProjects, NewRoles::AllOpenProjects]),
    ) {
        let studio = studio(batch_size, atomicity, new_roles);
        let moment = moment(&studio, effect, after_first_write(nth));
        let mut child = studio.start(&["sync", "--format", "json"]);
        kill_at(&studio, &mut child, &moment, effect);
        studio.ftrack().heal();

        // A role that the server made one for all open projects, and that was to be one for a single
        // one, may take another run.
        for _ in 0..2 {
            let report = studio.sync();
            assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        }
        let all = "Lighting, Project Manager on all, User on show_a";
        let with_fresh = "Fresh, Lighting, Project Manager on all, User on show_a";
        let of = |has: &str, given: &str| (has.to_owned(), given.to_owned());
        for (uid, expected) in [
            ("joins", of(with_fresh, with_fresh)),
            ("leaves", of("", "")),
            ("stays", of(all, all)),
            ("by-hand", of(all, "")),
            ("never", of("", "")),
            ("new", of(all, all)),
        ] {
            assert_eq!(state(&studio, uid), expected, "{uid}");
        }
        // No group was made twice.
        assert_eq!(studio.ftrack().rows("Group").unwrap().len(), 3);
        late::pass_time(&studio);
        studio.sync_changes_nothing();
        // What is by hand stays, and only that.
        set_members(&studio, GROUP, &["stays"]);
        set_members(&studio, FRESH, &[]);
        let report = studio.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!(state(&studio, "by-hand"), of(all, ""));
        for uid in ["joins", "new"] {
            assert_eq!(state(&studio, uid), of("", ""), "{uid}");
        }
    }
}
