//! Holds beside windows, pauses, doubts and each other: what one approval does not touch stays as it
//! was.

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Account, CallKind, Fault, Gate, NewRoles},
    },
    model::{
        change::HeldBy,
        report::{Outcome, Report},
    },
};
use serde_json::json;

use super::{approving::status_of, holds, json_of, left, only_hold};
use crate::{
    crash::LIMIT,
    daemon::{Daemon, must},
    rules::{account, come_back, leave, make_administrator},
    studio::{Ended, Studio, dn, person},
    windows::closed,
};

/// A group whose members get a role.
const LEADS: &str = "cn=leads,ou=groups,dc=studio,dc=test";

fn approved(studio: &Studio, hold: u64) -> (i32, Report) {
    let ended = studio.run(&["approve", &hold.to_string(), "--format", "json"]);
    let report = ended.report();
    assert_eq!(ended.status, status_of(&report), "{report:#?}");
    (ended.status, report)
}

/// The number of the open hold of this: what holds, and what kind.
fn number(studio: &Studio, of: &str) -> u64 {
    let all = holds(studio);
    let found = all.iter().find(|(_, known, _)| known == of);
    found
        .unwrap_or_else(|| panic!("no hold of {of}: {all:?}"))
        .0
}

/// Somebody who would adopt a user that is there already.
fn newcomer(studio: &Studio) {
    let user = studio.ftrack().add_user(&account("newcomer"));
    user.unwrap();
    let entry = person("newcomer", "New", "Comer");
    studio.tree().add(entry).unwrap();
}

/// Each change that has a number is in the hold of that number, and held by the same.
fn assert_numbered(studio: &Studio, report: &Report) {
    for change in &report.changes {
        let Some(number) = change.hold else { continue };
        let shown = json_of(studio, &["holds", "show", &number.to_string()]);
        let by = change.held_by.map(|by| by.as_str());
        assert_eq!(shown["held_by"].as_str(), by, "{change:#?}");
        let people = shown["people"].as_array().unwrap();
        let is_in = people
            .iter()
            .any(|person| person["username"] == json!(change.username));
        assert!(is_in, "{shown} {change:#?}");
    }
}

#[test]
fn the_number_of_a_change_is_that_of_its_hold_also_beside_a_window() {
    let mut studio = left(&[0, 1]);
    studio.job = format!(
        "limits = {{ deactivate = \"100%\" }}\nwindows = {{ deactivate = [{0:?}], create = [{0:?}], \
         rename = [{0:?}] }}",
        closed()
    );
    newcomer(&studio);
    let tree = studio.tree();
    tree.add(person("joiner", "New", "Face")).unwrap();
    make_administrator(&studio, "user5");
    tree.replace(&dn("user5"), "mail", &["five@studio.test"])
        .unwrap();
    let report = studio.sync();
    let by = |by: HeldBy| {
        let mut changes = report.changes.iter();
        let held = changes.find(|change| change.held_by == Some(by));
        held.unwrap_or_else(|| panic!("{report:#?}"))
    };
    let windows = report
        .changes
        .iter()
        .filter(|change| change.held_by == Some(HeldBy::Window));
    assert_eq!(windows.count(), 3, "{report:#?}");
    assert_numbered(&studio, &report);
    for (held_by, of) in [
        (HeldBy::Adoption, "adoption adopt"),
        (HeldBy::Protected, "protected update"),
    ] {
        let of_change = by(held_by).hold.map(|hold| hold.get());
        assert_eq!(of_change, Some(number(&studio, of)), "{report:#?}");
    }
}

#[test]
fn a_paused_adoption_is_not_written_in_part() {
    let mut studio = Studio::of(&["ada"]);
    studio.job = "users = { adopt = \"email\" }".into();
    studio.sync();
    let head = Account {
        email: Some("bob@studio.test".into()),
        ..account("head")
    };
    studio.ftrack().add_user(&head).unwrap();
    studio.tree().add(person("bob", "Given", "bob")).unwrap();
    studio.sync();
    let hold = number(&studio, "adoption adopt");
    let before = studio.user("head");
    let job = studio.job.clone();
    let studio = studio.for_a_daemon(&job);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["pause", "--only", "adopt"]);
    let refused = must(&studio, 1, &["approve", &hold.to_string()]);
    assert!(
        refused.stderr.contains("a person paused adopt"),
        "{}",
        refused.stderr
    );
    assert_eq!(studio.user("head"), before);
    must(&studio, 0, &["resume", "--only", "adopt"]);
    assert_eq!(approved(&studio, hold).0, 0);
    assert_eq!(studio.user("bob").id, before.id);
    assert!(daemon.stop().0.success());
}

#[test]
fn whoever_a_limit_holds_for_the_first_time_beside_an_approval_stays_held() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (first, _) = only_hold(&studio);
    leave(&studio, "user3");
    let (status, report) = approved(&studio, first);
    assert_eq!((status, report.counts.deactivated), (0, 3), "{report:#?}");
    let (second, logins) = only_hold(&studio);
    assert_eq!(
        (second > first, &*logins),
        (true, &["user3".to_owned()][..])
    );
    // One alone would be within the limit, but time releases nobody.
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (report.counts.held, report.counts.deactivated),
            (1, 0),
            "{report:#?}"
        );
        assert_eq!(only_hold(&studio), (second, logins.clone()));
    }
    assert_eq!(approved(&studio, second).1.counts.deactivated, 1);
    studio.sync_changes_nothing();
}

#[test]
fn a_hold_says_what_holds_it_now() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (hold, _) = only_hold(&studio);
    let why = || {
        let shown = json_of(&studio, &["holds", "show", &hold.to_string()]);
        shown["why"].as_str().unwrap().to_owned()
    };
    assert!(why().contains("3 deactivations are more"), "{}", why());
    come_back(&studio, "user1");
    come_back(&studio, "user2");
    studio.sync();
    assert_eq!(only_hold(&studio), (hold, vec!["user0".to_owned()]));
    assert!(why().contains("in an earlier run"), "{}", why());
}

/// A synced studio of ten with a group of these, whose members get this role.
fn leads(roles: &[&str], members: &[&str]) -> Studio {
    let mut studio = left(&[]);
    let groups = TreeEntry::new("ou=groups,dc=studio,dc=test");
    let group = TreeEntry::new(LEADS)
        .with("objectClass", "posixGroup")
        .with("cn", "leads")
        .with("gidNumber", "100");
    let group = members
        .iter()
        .fold(group, |group, uid| group.with("memberUid", *uid));
    let tree = studio.tree();
    tree.add(groups.with("objectClass", "organizationalUnit"))
        .unwrap();
    tree.add(group).unwrap();
    let roles: Vec<String> = roles
        .iter()
        .map(|role| format!("{role:?} = [{LEADS:?}]"))
        .collect();
    studio.job = format!(
        "roles = {{ {} }}\nlimits = {{ revoke = 10 }}",
        roles.join(", ")
    );
    studio.sync();
    studio
}

/// How many roles somebody has, and how many of them the link names.
fn roles(studio: &Studio, login: &str) -> (usize, usize) {
    let user = studio.user(login);
    let rows = studio.ftrack().rows("UserSecurityRole").unwrap();
    let held = rows.iter().filter(|row| row["user_id"] == json!(user.id));
    let link: serde_json::Value = serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
    (held.count(), link["roles"].as_array().map_or(0, Vec::len))
}

#[test]
fn a_doubt_about_a_roles_group_outlives_the_approval_of_something_else() {
    let studio = leads(&["Project Manager"], &["user0", "user1"]);
    assert_eq!(roles(&studio, "user0"), (1, 1));
    studio.tree().replace(LEADS, "memberUid", &[]).unwrap();
    newcomer(&studio);
    studio.sync();
    let doubt = number(&studio, "doubt revoke");
    let (status, report) = approved(&studio, number(&studio, "adoption adopt"));
    assert_eq!((status, report.counts.adopted), (0, 1), "{report:#?}");
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.counts.role_changes),
        (2, 0),
        "{report:#?}"
    );
    assert_eq!(roles(&studio, "user0"), (1, 1));
    assert_eq!(approved(&studio, doubt).1.counts.role_changes, 2);
    assert_eq!(roles(&studio, "user0"), (0, 0));
    studio.sync_changes_nothing();
}

#[test]
fn two_held_changes_of_one_user_are_written_together() {
    for new_roles in [NewRoles::AllOpenProjects, NewRoles::default()] {
        let both = ["Administrator", "Project Manager"];
        let mut studio = leads(&[], &["user0", "user1"]);
        studio.ftrack_settings = format!("administrator_roles = {both:?}");
        studio
            .ftrack()
            .change_rules(|rules| rules.new_roles = new_roles);
        let roles_of = both.map(|role| format!("{role:?} = [{LEADS:?}]"));
        studio.job = format!(
            "roles = {{ {} }}\nlimits = {{ revoke = 10 }}",
            roles_of.join(", ")
        );
        studio.sync();
        let hold = number(&studio, "protected grant");
        let why = json_of(&studio, &["holds", "show", &hold.to_string()])["why"].clone();
        let why = why.as_str().unwrap();
        assert!(both.iter().all(|role| why.contains(role)), "{why}");
        let shown = |hold: u64| studio.run(&["holds", "show", &hold.to_string()]).stdout;
        let text = shown(hold);
        for role in both {
            let told = format!("      gives the role {role}\n");
            assert_eq!(text.matches(&told).count(), 2, "{text}");
        }
        let (status, report) = approved(&studio, hold);
        assert_eq!((status, report.counts.role_changes), (0, 4), "{report:#?}");
        for uid in ["user0", "user1"] {
            assert_eq!(roles(&studio, uid), (2, 2), "{new_roles:?}");
        }
        assert_eq!(holds(&studio), []);
        studio.sync_changes_nothing();
        studio
            .tree()
            .replace(LEADS, "memberUid", &["user1"])
            .unwrap();
        studio.sync();
        let hold = number(&studio, "protected revoke");
        let text = shown(hold);
        assert!(text.contains("takes the role Project Manager\n"), "{text}");
        let (status, report) = approved(&studio, hold);
        assert_eq!((status, report.counts.role_changes), (0, 2), "{report:#?}");
        assert_eq!(roles(&studio, "user0"), (0, 0));
        assert_eq!(report.outcome, Outcome::Succeeded);
        studio.sync_changes_nothing();
    }
}

#[test]
fn a_name_that_two_people_of_a_hold_have_approves_neither() {
    let mut studio = left(&[]);
    studio.attributes = studio.attributes.replace("\"uid\"", "\"employeeNumber\"");
    studio.job = "limits = { rename = 0 }\nconfig_change = \"apply\"".into();
    for number in 0..10 {
        let uid = format!("user{number}");
        let new = match number {
            8 => "new8",
            9 => "user8",
            _ => &uid,
        };
        let tree = studio.tree();
        tree.replace(&dn(&uid), "employeeNumber", &[new]).unwrap();
    }
    studio.sync();
    let (hold, logins) = only_hold(&studio);
    assert_eq!(logins, ["new8", "user8"]);
    let hold = hold.to_string();
    for verb in ["approve", "reject"] {
        studio.ftrack().forget();
        let refused = studio.run(&[verb, &hold, "--only", "user8"]);
        assert_eq!(refused.status, 2, "{}", refused.stderr);
        for who in [dn("user8"), dn("user9")] {
            assert!(refused.stderr.contains(&who), "{}", refused.stderr);
        }
        assert_eq!(studio.ftrack().counters().write_calls, 0);
    }
    let approved = studio.run(&["approve", &hold, "--only", &dn("user8"), "--format", "json"]);
    assert_eq!(approved.status, 0, "{}", approved.stderr);
    assert_eq!(approved.report().counts.updated, 1);
    assert_eq!(only_hold(&studio).1, ["user8"]);
}

#[test]
fn an_approval_takes_no_administrator_who_was_none_when_it_was_read() {
    let studio = left(&[0, 1, 2]);
    let reads = studio.sync().ftrack.read_calls;
    let (hold, _) = only_hold(&studio);
    let gate = Gate::new();
    let last = gate.clone();
    let mut read = 0;
    // The answer to the last reading before the administrators are looked at once more.
    studio.ftrack().fail_when(move |call| {
        read += u64::from(call.kind == CallKind::Read);
        (call.kind == CallKind::Read && read == reads).then(|| Fault::HoldAnswer(last.clone()))
    });
    let child = studio.start(&["approve", &hold.to_string(), "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT));
    make_administrator(&studio, "user1");
    gate.open();
    let ended = Ended::of(child.wait_with_output().unwrap());
    let report = ended.report();
    assert!(studio.user("user1").is_active, "{report:#?}");
    assert_eq!(
        (ended.status, report.counts.deactivated),
        (4, 2),
        "{report:#?}"
    );
}
