//! Who caused a user's state, by what was sent and by what the link says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;
use crate::model::{
    change::ChangeParts,
    edit::Values,
    entry::DirectoryId,
    grant::{Grant, HeldGrants, HeldRole, Role},
    reason::Reason,
};

const RUN: &str = "this-run";

fn change(action: Action, edit: Edit, activity: Activity) -> Change {
    Change::new(ChangeParts {
        action,
        username: "ada".into(),
        dn: None,
        directory_id: DirectoryId::new("p-1").unwrap(),
        ftrack_id: EntityId::new("u-1").unwrap(),
        edits: vec![edit],
        reason: Reason::OtherValues,
        before: match action {
            Action::Create | Action::Adopt => None,
            Action::Update | Action::Deactivate | Action::Reactivate => {
                Some(Link::for_tests(Activity::Settled))
            }
        },
        link: Link::for_tests(activity),
    })
}

fn create() -> Change {
    change(Action::Create, Edit::Activate, Activity::Settled)
}

/// A user with a link that some run made, or without one.
fn user(is_active: bool, link_of: Option<(Activity, Option<&str>)>) -> UserState {
    let (activity, made_by) = link_of.unzip();
    UserState {
        username: "ada".into(),
        first_name: None,
        last_name: Some("Lovelace".into()),
        email: None,
        is_active,
        user_type: None,
        link: activity.map_or(LinkFound::Absent, |activity| {
            LinkFound::Link(Link::for_tests(activity))
        }),
        link_made_by: made_by.flatten().map(Into::into),
        custom_values: Box::default(),
        grants: crate::model::grant::HeldGrants::default(),
    }
}

/// What is left, as the operations show it.
fn left_of(
    change: &Change,
    seen: &UserState,
    so_far: Progress,
) -> Result<(Vec<String>, bool), CannotWrite> {
    left_with(&EarlierWrites::default(), change, seen, so_far)
}

/// The same, with what earlier runs may write.
fn left_with(
    earlier: &EarlierWrites,
    change: &Change,
    seen: &UserState,
    so_far: Progress,
) -> Result<(Vec<String>, bool), CannotWrite> {
    let (signer, orphans) = (Signer::default(), BTreeSet::new());
    let means = WriteContext {
        grants: &[],
        earlier,
        custom_attributes: &[],
        run_mark: RUN,
        orphans: &orphans,
    };
    let left = remaining(change, Some(seen), so_far, means)?;
    let only_settles = left.only_settles;
    let operations = left.operations(&change.ftrack_id, &signer)?;
    let shown = operations
        .iter()
        .map(|operation| serde_json::to_string(operation).unwrap());
    Ok((shown.collect(), only_settles))
}

#[test]
fn a_created_user_is_whose_mark_its_link_bears() {
    let settled = || Some((Activity::Settled, None));
    for seen in [
        user(true, Some((Activity::Activating, Some("another-run")))),
        user(false, Some((Activity::Activating, Some("another-run")))),
        user(true, settled()),
        user(false, settled()),
        user(true, Some((Activity::Settled, Some("another-run")))),
    ] {
        for so_far in [Progress::Nothing, Progress::Sent] {
            assert_eq!(
                left_of(&create(), &seen, so_far),
                Err(CannotWrite::CreatedElsewhere),
                "{seen:?}"
            );
        }
    }
    let since = "2026-01-01T00:00:00Z".to_owned();
    let seen = user(false, Some((Activity::Deactivated { since }, None)));
    assert_eq!(
        left_of(&create(), &seen, Progress::Nothing),
        Err(CannotWrite::CreatedMeanwhile)
    );
    // Another run may have finished it since: the mark stays.
    for activity in [Activity::Activating, Activity::Settled] {
        let seen = user(true, Some((activity.clone(), Some(RUN))));
        let (operations, only_settles) = left_of(&create(), &seen, Progress::Sent).unwrap();
        assert!(
            only_settles && operations.len() == usize::from(activity == Activity::Activating),
            "{operations:?}"
        );
        assert!(
            operations.iter().all(|operation| operation.contains(RUN)),
            "{operations:?}"
        );
    }
}

#[test]
fn a_created_user_without_a_link_is_taken_by_a_link_before_anything_else() {
    for is_active in [true, false] {
        let seen = user(is_active, None);
        assert_eq!(
            left_of(&create(), &seen, Progress::Nothing),
            Err(CannotWrite::CreatedMeanwhile)
        );
        let (operations, only_settles) = left_of(&create(), &seen, Progress::Sent).unwrap();
        assert!(
            !only_settles && operations.len() == 1 + usize::from(!is_active),
            "{operations:?}"
        );
        let first = &operations[0];
        assert!(
            first.contains("\"create\"") && first.contains("activating") && first.contains(RUN),
            "{first}"
        );
    }
}

#[test]
fn what_another_program_did_before_anything_was_sent_is_its_own() {
    let since = || "2026-01-01T00:00:00Z".to_owned();
    let done = Ok((Vec::new(), true));
    let deactivated = Activity::Deactivated {
        since: "2026-02-02T00:00:00Z".into(),
    };
    let deactivate = change(Action::Deactivate, Edit::Deactivate, deactivated);
    for (activity, wanted) in [
        (Activity::Settled, Err(CannotWrite::DeactivatedByHand)),
        (Activity::Activating, Err(CannotWrite::DeactivatedByHand)),
        (Activity::Released, Err(CannotWrite::DeactivatedByHand)),
        (
            Activity::Deactivating { since: since() },
            Ok((Vec::new(), false)),
        ),
        (
            Activity::Deactivated { since: since() },
            Ok((Vec::new(), false)),
        ),
    ] {
        let seen = user(false, Some((activity, None)));
        assert_eq!(
            left_of(&deactivate, &seen, Progress::Nothing),
            wanted,
            "{seen:?}"
        );
    }
    let seen = user(
        false,
        Some((Activity::Deactivating { since: since() }, None)),
    );
    assert_eq!(
        left_of(&deactivate, &seen, Progress::Sent).unwrap().0.len(),
        1,
        "its own is finished"
    );

    let reactivate = change(Action::Reactivate, Edit::Activate, Activity::Settled);
    let unsettled = user(true, Some((Activity::Activating, None)));
    assert_eq!(
        left_of(&reactivate, &unsettled, Progress::Nothing),
        Err(CannotWrite::ActivatedMeanwhile)
    );
    assert_eq!(
        left_of(&reactivate, &unsettled, Progress::Sent)
            .unwrap()
            .0
            .len(),
        1
    );
    assert_eq!(
        left_of(
            &reactivate,
            &user(true, Some((Activity::Settled, None))),
            Progress::Nothing
        ),
        done
    );

    let last_name = Edit::Set {
        attribute: Attribute::LastName,
        values: Values::new(json!("Byron"), json!("Lovelace")),
    };
    let adopt = change(Action::Adopt, last_name, Activity::Settled);
    let taken = user(true, Some((Activity::Settled, Some("another-run"))));
    assert_eq!(left_of(&adopt, &taken, Progress::Nothing), done);
    let unfinished = UserState {
        last_name: Some("Byron".into()),
        ..taken
    };
    assert_eq!(
        left_of(&adopt, &unfinished, Progress::Nothing),
        Err(CannotWrite::TakenMeanwhile)
    );
    assert_eq!(
        left_of(&adopt, &unfinished, Progress::Linked)
            .unwrap()
            .0
            .len(),
        1
    );
}

#[test]
fn a_deactivation_of_an_earlier_run_is_left_to_its_report_only_where_that_counts_it() {
    let since = "2026-01-01T00:00:00Z";
    let activity = |since: &str| Activity::Deactivated {
        since: since.to_owned(),
    };
    let seen = user(false, Some((activity(since), None)));
    let change = change(
        Action::Deactivate,
        Edit::Deactivate,
        activity("2026-02-02T00:00:00Z"),
    );
    for (user, expected) in [
        ("u-1", Err(CannotWrite::DeactivatedEarlier)),
        ("u-2", Ok((Vec::new(), true))),
    ] {
        let mut earlier = EarlierWrites::default();
        let at = since.parse().unwrap();
        earlier
            .deactivated
            .insert((EntityId::new(user).unwrap(), at));
        let left = left_with(&earlier, &change, &seen, Progress::Nothing);
        assert_eq!(
            left.map(|(steps, _)| steps),
            expected.map(|(steps, _)| steps),
            "{user}"
        );
    }
}

#[test]
fn a_role_that_was_read_as_gone_and_is_there_stays_noted() {
    let grant = Grant::Role(Role {
        id: EntityId::new("r-1").unwrap(),
        name: "Lead".into(),
        is_administrator: false,
    });
    let mut given = Link::for_tests(Activity::Settled);
    given.given.note(&grant.id());
    let forgets = Change {
        before: Some(given.clone()),
        ..change(Action::Update, Edit::Link, Activity::Settled)
    };
    let seen = |roles: Vec<HeldRole>| UserState {
        link: LinkFound::Link(given.clone()),
        grants: HeldGrants {
            roles: roles.into(),
            groups: [].into(),
        },
        ..user(true, None)
    };
    let held = |is_on_all_open| HeldRole {
        role: EntityId::new("r-1").unwrap(),
        is_on_all_open,
        projects: [].into(),
        is_on_others: !is_on_all_open,
    };
    for (roles, operations) in [(vec![], 1), (vec![held(false)], 1), (vec![held(true)], 0)] {
        let (left, _) = left_of(&forgets, &seen(roles.clone()), Progress::Nothing).unwrap();
        assert_eq!(left.len(), operations, "{roles:?} {left:?}");
        assert!(left.iter().all(|left| !left.contains("r-1")), "{left:?}");
    }
}
