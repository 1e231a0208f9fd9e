//! Changes that somebody makes in ftrack between the read and the write.

use std::{sync::mpsc, time::Duration};

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Atomicity, CallKind, Fault, Rules},
    model::report::{Outcome, Report},
};
use serde_json::json;

use super::errors;
use crate::{
    faults::NO_LIMIT,
    rules::{
        account, activity, by_hand, leave,
        missing::{links, set_link},
    },
    studio::{Studio, dn, person},
};

/// A sync whose first write is lost on its way, while this is done at ftrack. That it does not arrive
/// late is nothing that the program can know.
fn sync_while(studio: &Studio, meanwhile: impl FnOnce()) -> Report {
    let (began, waits) = mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write && began.send(()).is_ok()).then_some(Fault::ResetBefore)
    });
    let program = studio.start(&["sync", "--format", "json"]);
    waits.recv_timeout(Duration::from_secs(30)).unwrap();
    meanwhile();
    // Nobody listens any more, so that the next write goes through.
    drop(waits);
    let output = program.wait_with_output().unwrap();
    studio.ftrack().heal();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn studio(uids: &[&str]) -> Studio {
    let studio = Studio::with(Rules {
        atomicity: Atomicity::PartialUntilError,
        ..Rules::default()
    });
    for uid in uids {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    studio
}

fn changed(studio: &Studio, uids: &[&str]) {
    for uid in uids {
        studio.tree().replace(&dn(uid), "sn", &["Changed"]).unwrap();
    }
}

#[test]
fn a_user_whom_somebody_deleted_is_named_and_the_others_are_written() {
    let studio = studio(&["ada", "bob", "cyd"]);
    studio.sync();
    changed(&studio, &["ada", "bob", "cyd"]);
    let bob = studio.user("bob").id;
    let report = sync_while(&studio, || {
        studio.ftrack().remove("User", &json!([bob])).unwrap()
    });
    assert_eq!(
        (report.counts.updated, report.outcome),
        (2, Outcome::Partial),
        "{report:#?}"
    );
    assert_eq!(
        errors(&report),
        [("bob", "the user no longer exists in ftrack")]
    );
}

#[test]
fn a_user_whom_somebody_else_took_is_not_adopted_and_keeps_its_values() {
    let studio = studio(&["ada", "bob"]);
    for uid in ["ada", "bob"] {
        studio.ftrack().add_user(&account(uid)).unwrap();
    }
    let before = studio.user("ada");
    let link = r#"{"source":"painters","id":"7","attribute":"entryUUID","activity":"settled"}"#;
    let fields = json!({"parent_id": before.id, "parent_type": "User", "key": "ftrack-ldap-sync", "value": link});
    let report = sync_while(&studio, || {
        drop(studio.ftrack().insert("Metadata", &fields).unwrap())
    });
    assert_eq!(
        (report.counts.adopted, report.counts.unconfirmed),
        (1, 1),
        "{report:#?}"
    );
    assert!(
        errors(&report)[0]
            .1
            .contains("now belongs to the source \"painters\""),
        "{report:#?}"
    );
    let after = studio.user("ada");
    assert_eq!(
        (after.first_name, &*after.metadata["ftrack-ldap-sync"]),
        (before.first_name, link)
    );
}

#[test]
fn a_user_whose_link_somebody_took_away_is_left_alone() {
    let studio = studio(&["ada", "bob"]);
    studio.sync();
    changed(&studio, &["ada", "bob"]);
    let id = studio.user("ada").id;
    let report = sync_while(&studio, || {
        studio
            .ftrack()
            .remove("Metadata", &json!([id, "ftrack-ldap-sync"]))
            .unwrap()
    });
    assert_eq!(
        (report.counts.updated, report.counts.unconfirmed),
        (1, 1),
        "{report:#?}"
    );
    assert!(
        errors(&report)[0].1.contains("its link was deleted"),
        "{report:#?}"
    );
    assert!(studio.user("ada").metadata.is_empty());
}

#[test]
fn a_value_that_somebody_changed_is_neither_overwritten_nor_misreported() {
    let studio = studio(&["ada", "bob"]);
    studio.sync();
    changed(&studio, &["ada", "bob"]);
    let report = sync_while(&studio, || {
        by_hand(&studio, "ada", &json!({"last_name": "Byron"}))
    });
    assert_eq!(
        (report.counts.updated, report.counts.unconfirmed),
        (1, 1),
        "{report:#?}"
    );
    assert!(
        errors(&report)[0]
            .1
            .contains("last_name was changed to \"Byron\" since it was read"),
        "{report:#?}"
    );
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("Byron"));
    let report = studio.sync();
    assert_eq!(
        (
            report.counts.updated,
            &report.changes[0].fields.iter().next().unwrap().1.old
        ),
        (1, &json!("Byron"))
    );
}

#[test]
fn whom_somebody_deactivated_first_stays_theirs_to_reactivate() {
    let studio = studio(&["ada", "bob"]);
    studio.sync();
    leave(&studio, "ada");
    let report = sync_while(&studio, || {
        by_hand(&studio, "ada", &json!({"is_active": false}))
    });
    assert_eq!(
        (report.counts.deactivated, report.counts.unconfirmed),
        (0, 1),
        "{report:#?}"
    );
    assert_eq!(activity(&studio, "ada"), "settled");
    crate::rules::come_back(&studio, "ada");
    studio.sync_changes_nothing();
    assert!(!studio.user("ada").is_active);
}

#[test]
fn a_login_that_somebody_took_is_named() {
    let mut studio = studio(&["ada", "bob"]);
    studio.job = NO_LIMIT.into();
    let report = sync_while(&studio, || {
        drop(studio.ftrack().add_user(&account("ada")).unwrap())
    });
    let counts = &report.counts;
    assert_eq!(
        (counts.created, counts.failed, counts.unconfirmed),
        (1, 0, 1),
        "{report:#?}"
    );
    assert!(
        errors(&report)[0].1.contains("Duplicate entry \"ada\""),
        "{report:#?}"
    );
    // It is nobody's, and so the next run may adopt it.
    assert_eq!(studio.sync().counts.adopted, 1);
    studio.sync_changes_nothing();
}

#[test]
fn a_key_that_is_refused_in_the_middle_ends_the_run_and_says_so() {
    let studio = studio(&["ada", "bob"]);
    let report = sync_while(&studio, || {
        by_hand(&studio, "ldap-sync", &json!({"is_active": false}))
    });
    // The first attempt had no answer, and nothing tells what became of it.
    assert_eq!(
        (
            report.outcome,
            report.counts.created,
            report.counts.unconfirmed
        ),
        (Outcome::Failed, 0, 2),
        "{report:#?}"
    );
    assert!(
        report
            .error
            .as_deref()
            .unwrap()
            .contains("with its API key"),
        "{report:#?}"
    );
    let api_user = Account {
        is_active: true,
        ..studio.user("ldap-sync")
    };
    studio
        .ftrack()
        .change("User", &json!([api_user.id]), &json!({"is_active": true}))
        .unwrap();
    assert_eq!(studio.sync().counts.created, 2);
}

#[test]
fn what_a_link_says_by_now_stays_when_it_is_noted_that_somebody_is_missing() {
    let mut studio = studio(&["ada", "bob"]);
    studio.job = "users = { deactivate_after = \"1h\" }".into();
    studio.sync();
    leave(&studio, "ada");
    let ada = json!(studio.user("ada").id);
    let link = |studio: &Studio| {
        let mut links = links(studio).into_iter();
        links.find(|(user, _)| *user == ada).unwrap().1
    };
    let report = sync_while(&studio, || {
        let mut protected = link(&studio);
        protected["protected"] = json!(true);
        set_link(&studio, &ada, &protected);
    });
    assert_eq!(
        (report.outcome, &report.changes[..]),
        (Outcome::Succeeded, &[][..])
    );
    let now = link(&studio);
    assert!(
        now["missing"].is_object() && now["protected"] == json!(true),
        "{now}"
    );
}
