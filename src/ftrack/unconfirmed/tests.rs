//! Who made a change, by the times in the link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::model::{
    change::{Change, ChangeParts},
    edit::Edit,
    entry::DirectoryId,
    id::IdAttribute,
    link::{Form, LinkFound, Signature},
    link_notes::LinkNotes,
    reason::Reason,
    sent::Sent,
};

fn link(activity: Activity) -> Link {
    Link {
        source: "artists".into(),
        directory: Some("d-1".into()),
        id: DirectoryId::new("p-1").unwrap(),
        attribute: IdAttribute::EntryUuid,
        activity,
        protected: None,
        given: crate::model::given::Given::default(),
        notes: LinkNotes::default(),
        sent: Sent::default(),
        form: Form::Current,
        signature: Signature::NotChecked,
    }
}

/// What becomes of a reactivation by a run that began at noon, of a user who is active by now, with a
/// link that says since when it was not.
fn reactivation(since: &str) -> ChangeResult {
    let since = since.to_owned();
    let change = Change::new(ChangeParts {
        action: Action::Reactivate,
        username: "ada".into(),
        dn: None,
        directory_id: DirectoryId::new("p-1").unwrap(),
        ftrack_id: EntityId::new("u-1").unwrap(),
        edits: vec![Edit::Activate],
        reason: Reason::OtherValues,
        before: Some(link(Activity::Deactivated {
            since: since.clone(),
        })),
        link: link(Activity::Settled),
    });
    let seen = UserState {
        username: "ada".into(),
        first_name: None,
        last_name: None,
        email: None,
        is_active: true,
        user_type: None,
        link: LinkFound::Link(Box::new(link(Activity::Deactivated { since }))),
        link_made_by: None,
        custom_values: Box::default(),
        grants: crate::model::grant::HeldGrants::default(),
    };
    let mut reported = Reported::new(&change, ChangeResult::Unconfirmed);
    let run = EarlierRun {
        began_at: "2026-11-25T12:00:00Z".parse().unwrap(),
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
    for (since, expected) in [
        ("2026-11-25T11:00:00Z", ChangeResult::Applied),
        ("2026-11-25T13:00:00Z", ChangeResult::Unconfirmed),
    ] {
        assert_eq!(reactivation(since), expected, "{since}");
    }
}
