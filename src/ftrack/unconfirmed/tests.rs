//! Who made a change, by the times in the link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use super::*;
use crate::model::{
    change::{Change, ChangeParts},
    edit::Edit,
    entry::DirectoryId,
    link::LinkFound,
    reason::Reason,
    snapshot::{FORMAT, LinkThen, SnapshotExtent, SnapshotHead, SnapshotUser},
};

/// What ftrack had of the user before a run: inactive since then.
fn snapshot(since: &str) -> Snapshot {
    let user = SnapshotUser {
        ftrack_id: EntityId::new("u-1").unwrap(),
        fields: BTreeMap::new(),
        link: LinkThen::Link(Box::new(Link::for_tests(Activity::Deactivated {
            since: since.into(),
        }))),
    };
    Snapshot {
        head: SnapshotHead {
            format: FORMAT,
            snapshot: "s-1".into(),
            job: "artists".into(),
            run: "s-1".into(),
            taken_at: "2026-11-25T12:00:00Z".parse().unwrap(),
            users: 1,
            ftrack: "https://ftrack.test".into(),
            extent: SnapshotExtent::Job,
            managed: BTreeSet::new(),
        },
        users: vec![user],
    }
}

/// What becomes of a reactivation by a run that began at noon, of a user who is active by now, with a
/// link that says since when it was not; and what the one of before the run said.
fn reactivation(since: &str, before: Option<&str>) -> ChangeResult {
    let snapshot = before.map(snapshot);
    let since = since.to_owned();
    let change = Change::new(ChangeParts {
        action: Action::Reactivate,
        username: "ada".into(),
        dn: None,
        directory_id: DirectoryId::new("p-1").unwrap(),
        ftrack_id: EntityId::new("u-1").unwrap(),
        edits: vec![Edit::Activate],
        reason: Reason::OtherValues,
        before: Some(Link::for_tests(Activity::Deactivated {
            since: since.clone(),
        })),
        link: Link::for_tests(Activity::Settled),
    });
    let seen = UserState {
        username: "ada".into(),
        first_name: None,
        last_name: None,
        email: None,
        is_active: true,
        user_type: None,
        link: LinkFound::Link(Link::for_tests(Activity::Deactivated { since })),
        link_made_by: None,
        custom_values: Box::default(),
        grants: crate::model::grant::HeldGrants::default(),
    };
    let mut reported = Reported::new(&change, ChangeResult::Unconfirmed);
    let run = EarlierRun {
        began_at: "2026-11-25T12:00:00Z".parse().unwrap(),
        before: snapshot.as_ref(),
        run_mark: Some("mark"),
        marks_before: &[],
        deactivated_at: None,
        other_deactivations: &[],
        in_other_reports: &[],
        late_calls: LateCalls::Possible,
        custom_attributes: &[],
    };
    let _ = settle(&mut reported, UserNow::Seen(&seen), run);
    assert!(!is_open(&reported), "{reported:#?}");
    reported.result
}

#[test]
fn a_reactivation_is_of_the_run_unless_the_user_was_deactivated_since() {
    const APPLIED: ChangeResult = ChangeResult::Applied;
    const UNKNOWN: ChangeResult = ChangeResult::Unconfirmed;
    for (since, before, expected) in [
        ("2026-11-25T11:00:00Z", None, APPLIED),
        ("2026-11-25T13:00:00Z", None, UNKNOWN),
        // The link of before the run tells, whatever the clocks showed: one that was ahead at the
        // deactivation, and one that was set back since.
        (
            "2026-11-25T13:00:00Z",
            Some("2026-11-25T13:00:00Z"),
            APPLIED,
        ),
        (
            "2026-11-25T11:00:00Z",
            Some("2026-11-25T10:00:00Z"),
            UNKNOWN,
        ),
    ] {
        assert_eq!(reactivation(since, before), expected, "{since} {before:?}");
    }
}
