//! Faults of ftrack while it is read: the run succeeds, or it fails and changes no user.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::{Account, CallKind, Fault, RetryAfter},
    model::report::Outcome,
};
use proptest::{prelude::*, sample::select};

use super::{Expected, NO_LIMIT, assert_done, cases};
use crate::studio::{Studio, dn, person};

/// Ten people of whom one has left, one has a new mail and one is new; small pages, little
/// patience.
fn studio() -> Studio {
    let mut studio = Studio::of(&[
        "ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ida", "jim",
    ])
    .end_to_end();
    studio.job = NO_LIMIT.into();
    studio.ftrack_settings = "page_size = 3\nattempts = 2\nconnections = 2".into();
    studio.sync();
    studio.tree().remove(&dn("ada")).unwrap();
    studio
        .tree()
        .replace(&dn("bob"), "mail", &["bob@new.test"])
        .unwrap();
    studio.tree().add(person("kim", "Given", "Kim")).unwrap();
    studio
}

const DUE: Expected = Expected {
    created: 1,
    updated: 1,
    deactivated: 1,
};

fn troubles() -> Vec<Fault> {
    vec![
        Fault::TooManyRequests(Some(RetryAfter::Seconds(0))),
        Fault::TooManyRequests(None),
        Fault::Html(502),
        Fault::Html(200),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::StallBefore,
        Fault::TruncatedJson,
        Fault::CutBody,
        Fault::Redirect("http://127.0.0.1:1/api".into()),
    ]
}

#[test]
fn a_fault_that_stays_fails_the_run_and_touches_nobody() {
    let mut studio = studio();
    studio.ftrack_settings += "\nrequest_timeout = \"500ms\"";
    let before = studio.ftrack().users();
    for fault in troubles() {
        // From the second reading call on, so that some of ftrack was read.
        let (wanted, given) = (fault.clone(), 2);
        studio.ftrack().fail_when(move |call| {
            (call.kind == CallKind::Read && call.number_of_kind >= given).then(|| wanted.clone())
        });
        let report = studio.sync();
        studio.ftrack().heal();
        assert_eq!(
            (report.outcome, &report.changes[..]),
            (Outcome::Failed, &[][..]),
            "{fault:?}: {report:#?}"
        );
        let error = report.error.as_deref().unwrap_or_default();
        assert!(
            error.contains("ftrack could not be read, and nothing was written"),
            "{fault:?}: {error}"
        );
        assert_eq!(
            (
                studio.ftrack().counters().write_calls,
                report.ftrack.write_calls
            ),
            (0, 0),
            "{fault:?}"
        );
        assert_eq!(studio.ftrack().users(), before, "{fault:?}");
    }
    studio.ftrack_settings = String::new();
    assert_done(&studio.sync(), DUE);
    studio.sync_changes_nothing();
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn a_fault_that_passes_changes_nothing_about_the_result(fault in select(troubles()), nth in 1_u64..16) {
        let mut studio = studio();
        if fault == Fault::StallBefore {
            studio.ftrack_settings += "\nrequest_timeout = \"1s\"";
        }
        let before = studio.ftrack().users();
        studio.ftrack().forget();
        let wanted = fault.clone();
        studio.ftrack().fail_when(move |call| (call.kind == CallKind::Read && call.number_of_kind == nth).then(|| wanted.clone()));
        let report = studio.sync();
        studio.ftrack().heal();
        if matches!(fault, Fault::Redirect(_)) && report.outcome == Outcome::Failed {
            // Where the key would be sent elsewhere, asking again is no help.
            assert_eq!(studio.ftrack().users(), before);
            studio.ftrack_settings = String::new();
            assert_done(&studio.sync(), DUE);
        } else {
            assert_done(&report, DUE);
        }
        studio.ftrack_settings = String::new();
        studio.sync_changes_nothing();
    }
}

#[test]
fn a_server_that_gives_shorter_pages_than_asked_for() {
    for cap in [2, 3, 7] {
        let mut studio = studio();
        studio.ftrack_settings = String::new();
        studio
            .ftrack()
            .change_rules(|rules| rules.page_cap = Some(cap));
        assert_done(&studio.sync(), DUE);
        studio.sync_changes_nothing();
    }
}

/// Lists are read in pages, and others work at the same time.
#[test]
fn users_who_come_and_go_between_two_pages() {
    for nth in 1..14 {
        let mut studio = studio();
        studio.ftrack_settings = "page_size = 3\nconnections = 1".into();
        let stranger = |id: &str, username: &str| Account {
            id: id.into(),
            username: username.into(),
            ..Account::default()
        };
        let early = "00000000-0000-4000-8000-000000000001";
        studio.ftrack().add_user(&stranger(early, "early")).unwrap();
        studio.ftrack().forget();
        let gate =
            studio.hold_when(move |call| call.kind == CallKind::Read && call.number_of_kind == nth);
        let child = studio.start(&["sync", "--format", "json"]);
        assert!(gate.wait_for(1, Duration::from_secs(20)), "{nth}");
        // One comes before all others, one goes and so moves all others.
        let (came, gone) = (
            "00000000-0000-4000-8000-000000000000",
            serde_json::json!([early]),
        );
        if nth % 2 == 0 {
            studio.ftrack().add_user(&stranger(came, "late")).unwrap();
        } else {
            studio.ftrack().remove("User", &gone).unwrap();
        }
        gate.open();
        let ended = child.wait_with_output().unwrap();
        studio.ftrack().heal();
        assert_done(&serde_json::from_slice(&ended.stdout).unwrap(), DUE);
        assert_eq!(
            studio
                .ftrack()
                .user("late")
                .is_some_and(|late| late.is_active),
            nth % 2 == 0
        );
        studio.sync_changes_nothing();
    }
}
