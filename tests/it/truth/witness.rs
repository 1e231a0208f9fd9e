//! Compares a report with ftrack before and after, and with the stand-in's log.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::Action,
        edit::Field,
        report::{ChangeResult, Report, Reported},
    },
};
use serde_json::Value;

use crate::studio::Studio;

type Users = BTreeMap<String, Account>;

/// One sync, whose report is compared with everything that can be known about it.
pub fn sync(studio: &Studio) -> Report {
    synced(studio, &["sync", "--format", "json"])
}

/// One command that gives a report, compared in the same way.
pub fn synced(studio: &Studio, arguments: &[&str]) -> Report {
    let before = users(studio);
    let report = studio.synced(arguments);
    let after = users(studio);
    assert_eq!(
        report.ftrack.write_calls,
        studio.ftrack().counters().write_calls
    );
    for change in &report.changes {
        let (was, is) = (
            before.get(&change.ftrack_id.to_string()),
            after.get(&change.ftrack_id.to_string()),
        );
        match change.result {
            ChangeResult::Applied => applied(
                change,
                was,
                is.unwrap_or_else(|| panic!("nobody there: {change:#?}")),
            ),
            ChangeResult::Failed | ChangeResult::Unsettled => failed(change, was, is),
            ChangeResult::Unconfirmed if may_arrive(change) => not_as_a_whole(change, was, is),
            // It could not be read back. Whatever it is, nothing is claimed.
            ChangeResult::Unconfirmed => {
                assert!(change.error.as_deref().unwrap().contains("is not known"));
            }
            ChangeResult::Held | ChangeResult::Rejected => {
                assert_eq!(was, is, "held: {change:#?}")
            }
            ChangeResult::Planned => panic!("no result: {change:#?}"),
        }
    }
    nothing_but_what_is_reported(&before, &after, &report);
    counts_are_those_of_the_stand_in(&before, &after, &report);
    report
}

fn users(studio: &Studio) -> Users {
    studio
        .ftrack()
        .users()
        .into_iter()
        .map(|user| (user.id.clone(), user))
        .collect()
}

fn shown(user: &Account, field: &Field) -> Value {
    let text = |text: &Option<String>| {
        text.as_ref()
            .filter(|text| !text.is_empty())
            .map_or(Value::Null, |text| text.as_str().into())
    };
    match field {
        Field::Username => user.username.as_str().into(),
        Field::FirstName => text(&user.first_name),
        Field::LastName => text(&user.last_name),
        Field::Email => text(&user.email),
        Field::IsActive => user.is_active.into(),
        Field::Link => user
            .metadata
            .get("ftrack-ldap-sync")
            .map_or(Value::Null, |link| {
                let mut link: Value = serde_json::from_str(link).unwrap();
                // Which run made a link is in no report.
                link.as_object_mut().unwrap().remove("by");
                link
            }),
        Field::UserType
        | Field::Invitation
        | Field::Thumbnail
        | Field::Custom(_)
        | Field::Role(_)
        | Field::ProjectRole { .. }
        | Field::Group(_) => {
            panic!("not part of these scenarios")
        }
    }
}

fn same(reported: &Value, shown: &Value) -> bool {
    reported == shown || (reported == "" && shown.is_null())
}

/// An applied change says truly from what to what.
fn applied(change: &Reported, was: Option<&Account>, is: &Account) {
    assert_eq!(
        change.action == Action::Create,
        was.is_none(),
        "{change:#?}"
    );
    for (field, values) in &change.fields {
        assert!(
            same(&values.new, &shown(is, field)),
            "{field:?} is {}: {change:#?}",
            shown(is, field)
        );
        if let Some(was) = was {
            assert!(
                same(&values.old, &shown(was, field)),
                "{field:?} was {}: {change:#?}",
                shown(was, field)
            );
        }
    }
    assert_eq!(change.error, None);
}

/// Whether a call of the change may take effect after the run: what is in effect by then is known.
fn may_arrive(change: &Reported) -> bool {
    let error = change.error.as_deref().unwrap();
    error.contains("the result is not known, since a call was not clearly answered")
}

/// A failed change does not hold, and what of it was but these were written is named.
fn failed(change: &Reported, was: Option<&Account>, is: Option<&Account>) {
    assert!(!change.error.as_deref().unwrap().contains("is not known"));
    not_as_a_whole(change, was, is);
}

/// A change that failed, or that may take effect still, does not hold, and what of it is written is
/// named.
fn not_as_a_whole(change: &Reported, was: Option<&Account>, is: Option<&Account>) {
    let error = change.error.as_deref().unwrap();
    let holds = is.is_some_and(|is| {
        change
            .fields
            .iter()
            .all(|(field, values)| same(&values.new, &shown(is, field)))
    });
    let linked = is.is_some_and(|is| is.metadata.contains_key("ftrack-ldap-sync"));
    assert!(!holds || !linked, "it holds: {change:#?}");
    if was != is {
        let said = [
            "but these were written",
            "accepted the change, but stored",
            "so it has the new one",
        ];
        let only_link = was.zip(is).is_some_and(|(was, is)| {
            let mut is = is.clone();
            is.metadata.clone_from(&was.metadata);
            is == *was
        });
        assert!(
            only_link || said.iter().any(|said| error.contains(said)),
            "{change:#?}\nwas {was:#?}\nis {is:#?}"
        );
    }
}

/// Whoever is in no change is as before.
fn nothing_but_what_is_reported(before: &Users, after: &Users, report: &Report) {
    for (id, is) in after {
        if !report
            .changes
            .iter()
            .any(|change| change.ftrack_id.to_string() == *id)
        {
            assert_eq!(before.get(id), Some(is), "{report:#?}");
        }
    }
    assert!(
        before.keys().all(|id| after.contains_key(id)),
        "nobody is ever deleted"
    );
}

/// The counts equal what became of ftrack's users; what is written in part is in changes that failed,
/// or that may take effect still.
fn counts_are_those_of_the_stand_in(before: &Users, after: &Users, report: &Report) {
    let in_part = |action| {
        let of_action = report.changes.iter().filter(move |change| {
            let is_in_part = match change.result {
                ChangeResult::Failed | ChangeResult::Unsettled => true,
                ChangeResult::Unconfirmed => may_arrive(change),
                ChangeResult::Applied
                | ChangeResult::Held
                | ChangeResult::Rejected
                | ChangeResult::Planned => false,
            };
            change.action == action && is_in_part
        });
        of_action
            .filter(|change| {
                before.get(&change.ftrack_id.to_string())
                    != after.get(&change.ftrack_id.to_string())
            })
            .count()
    };
    let appeared = after.keys().filter(|id| !before.contains_key(*id)).count();
    assert_eq!(
        appeared,
        report.counts.created + in_part(Action::Create),
        "{report:#?}"
    );
    let flips = |to: bool| {
        let flipped = before.iter().filter(|(id, was)| {
            was.is_active != to && after.get(*id).is_some_and(|is| is.is_active == to)
        });
        flipped.count()
    };
    assert_eq!(flips(false), report.counts.deactivated, "{report:#?}");
    assert_eq!(flips(true), report.counts.reactivated, "{report:#?}");
    let adopted = before
        .iter()
        .filter(|(id, was)| was.metadata.is_empty() && !after[*id].metadata.is_empty())
        .count();
    assert_eq!(
        adopted,
        report.counts.adopted + in_part(Action::Adopt),
        "{report:#?}"
    );
    let updated = |change: &&Reported| {
        change.action == Action::Update && change.result == ChangeResult::Applied
    };
    let updated = report.changes.iter().filter(updated).filter(|change| {
        before.get(&change.ftrack_id.to_string()) != after.get(&change.ftrack_id.to_string())
    });
    assert_eq!(updated.count(), report.counts.updated, "{report:#?}");
}
