//! What is held: too many deactivations at once, the last administrator, and doubtful absences.

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::{Action, HeldBy},
        report::{ChangeResult, Outcome, Report},
    },
};
use serde_json::json;

use super::{account, add_config, approve, leave, logins, people::make_administrator};
use crate::studio::{Studio, person};

/// A studio of so many people, synced, of whom so many then leave under this limit, while one comes
/// and 100 strangers are there too.
fn after_leaving(people: usize, leavers: usize, limit: &str) -> (Studio, Report) {
    let uids: Vec<String> = (0..people)
        .map(|number| format!("user{number:03}"))
        .collect();
    let mut studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    let strangers = (0..100).map(|number| account(&format!("stranger{number}")));
    studio.ftrack().add_users(strangers).unwrap();
    studio.sync();
    for uid in &uids[..leavers] {
        leave(&studio, uid);
    }
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    studio.job = format!("limits = {{ deactivate = {limit} }}");
    let report = studio.sync();
    assert_eq!(
        logins(&report, Action::Create),
        ["joiner"],
        "limits hold the dangerous part only: {report:#?}"
    );
    assert!(studio.user("joiner").is_active);
    (studio, report)
}

#[test]
fn a_limit_holds_from_one_past_its_edge() {
    for (people, leavers, limit, held) in [
        (20, 2, "\"10%\"", 0),
        (20, 3, "\"10%\"", 3),
        (29, 2, "\"10%\"", 0),
        (29, 3, "\"10%\"", 3),
        (5, 1, "\"10%\"", 0),
        (5, 1, "\"0%\"", 1),
        (5, 2, "\"0%\"", 2),
        (5, 5, "\"100%\"", 0),
        (5, 3, "3", 0),
        (5, 4, "3", 4),
        (5, 1, "0", 1),
    ] {
        let (studio, report) = after_leaving(people, leavers, limit);
        let what = format!("{leavers} of {people} under {limit}");
        assert_eq!(
            (report.counts.held, report.counts.deactivated),
            (held, leavers - held.min(leavers)),
            "{what}: {report:#?}"
        );
        let expected = if held > 0 {
            Outcome::Held
        } else {
            Outcome::Succeeded
        };
        assert_eq!(report.outcome, expected, "{what}");
        let inactive = studio
            .ftrack()
            .users()
            .iter()
            .filter(|user| !user.is_active)
            .count();
        assert_eq!(inactive, leavers - held, "{what}");
        if let Some(change) = report
            .changes
            .iter()
            .find(|change| change.result == ChangeResult::Held)
        {
            assert!(
                change
                    .error
                    .as_deref()
                    .unwrap()
                    .contains("limits.deactivate allows"),
                "{change:#?}"
            );
        }
    }
}

/// Takes every role from everybody.
fn nobody_is_an_administrator(studio: &Studio) {
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        studio
            .ftrack()
            .remove("UserSecurityRole", &json!([role["id"]]))
            .unwrap();
    }
}

#[test]
fn the_last_active_administrator_stays() {
    let mut studio = Studio::of(&["boss", "chief", "ada", "anchor"]);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    studio.sync();
    nobody_is_an_administrator(&studio);
    make_administrator(&studio, "boss");
    make_administrator(&studio, "chief");
    for uid in ["boss", "chief", "ada"] {
        leave(&studio, uid);
    }
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.counts.deactivated),
        (2, 1),
        "{report:#?}"
    );
    assert!(
        !studio.user("ada").is_active
            && studio.user("boss").is_active
            && studio.user("chief").is_active
    );
    let holds = |report: &Report| -> Vec<_> {
        report
            .changes
            .iter()
            .filter_map(|change| change.held_by)
            .collect()
    };
    assert_eq!(holds(&report), [HeldBy::Administrator; 2]);
    assert_eq!(
        holds(&approve(&studio)),
        [HeldBy::Administrator; 2],
        "nobody can approve that"
    );
    assert!(studio.user("boss").is_active && studio.user("chief").is_active);
    // With another administrator about, both may go.
    studio
        .ftrack()
        .add_user(&Account {
            roles: ["Administrator".to_owned()].into(),
            ..account("keeper")
        })
        .unwrap();
    let report = studio.sync();
    assert_eq!(holds(&report), [HeldBy::Protected; 2], "{report:#?}");
    assert_eq!(
        logins(&approve(&studio), Action::Deactivate),
        ["boss", "chief"]
    );
    assert!(!studio.user("boss").is_active && studio.user("keeper").is_active);
}

#[test]
fn an_inactive_administrator_is_no_administrator() {
    let mut studio = Studio::of(&["boss", "ada"]);
    studio.job = "limits = { deactivate = 5 }".into();
    studio.sync();
    nobody_is_an_administrator(&studio);
    make_administrator(&studio, "boss");
    let gone = Account {
        roles: ["Administrator".to_owned()].into(),
        is_active: false,
        ..account("former")
    };
    studio.ftrack().add_user(&gone).unwrap();
    leave(&studio, "boss");
    let report = studio.sync();
    assert_eq!(report.counts.held, 1, "{report:#?}");
    assert!(studio.user("boss").is_active);
}

#[test]
fn nobody_is_deactivated_where_no_administrator_is_visible() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = ["UserSecurityRole".to_owned()].into());
    leave(&studio, "ada");
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.outcome),
        (1, Outcome::Held),
        "{report:#?}"
    );
    let why = report.changes[0].error.as_deref().unwrap();
    assert!(
        why.contains("no active administrator except the API user is visible"),
        "{why}"
    );
    assert!(studio.user("ada").is_active);
}

#[test]
fn nobody_is_called_otherwise_where_no_administrator_is_visible() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = ["UserSecurityRole".to_owned()].into());
    studio
        .tree()
        .rename(&crate::studio::dn("ada"), &crate::studio::dn("eve"))
        .unwrap();
    studio
        .tree()
        .replace(&crate::studio::dn("eve"), "sn", &["Changed"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.counts.updated),
        (1, 1),
        "{report:#?}"
    );
    assert!(
        report
            .changes
            .iter()
            .any(|change| change.held_by == Some(HeldBy::Protected)),
        "{report:#?}"
    );
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("Changed"));
}

#[test]
fn nobody_is_gone_while_an_entry_shows_no_id() {
    let studio = Studio::of(&[]);
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    for (uid, number) in [("ada", "1"), ("bob", "2"), ("cyd", "3")] {
        studio
            .tree()
            .add(person(uid, "G", uid).with("employeeNumber", number))
            .unwrap();
    }
    studio.sync();
    studio
        .tree()
        .replace(&crate::studio::dn("ada"), "employeeNumber", &[])
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.counts.skipped),
        (1, 1),
        "{report:#?}"
    );
    assert!(studio.user("ada").is_active);
}
