//! What is still to be written for a change: the difference between the user's state and the
//! target. No I/O.
//!
//! Every attempt computes it again, so an attempt that was interrupted, refused or not answered
//! continues where it stopped, and the order of the operations keeps the link true wherever a
//! server may stop.

mod by_hand;
mod grants;
mod links;
#[cfg(test)]
mod tests;

use grants::{GrantStep, grant_steps, there};
pub use grants::{is_yet_to_be_given, link_without_refused_grants};
use links::{is_same_but_for_given, links, noted, unsettled};

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{
    cannot_write::CannotWrite, earlier::EarlierWrites, operation::Operation, outcome::Progress,
    rotation, user_state::UserState,
};
use crate::{
    ftrack::signer::Signer,
    model::{
        change::{Action, Change, LinkRow},
        edit::{Attribute, Edit, Field},
        grant::Grant,
        link::{Activity, Link, LinkFound},
        stored_value::{Likeness, likeness},
        user::EntityId,
    },
    sync::custom::equal,
};

/// What is left of a change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remaining {
    /// What is to be written, in order.
    steps: Vec<Step>,
    /// The attributes of the user that still differ, with their present value.
    pub differing: Vec<(Field, Value)>,
    /// Whether the change is in effect, and only the link remains to be updated.
    pub only_settles: bool,
}

/// One write to a user.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// Create the user with these values.
    Create(Map<String, Value>),
    /// Set these values.
    Update(Map<String, Value>),
    /// Set a custom attribute.
    Custom(EntityId, Value),
    /// Give or take a security role or a membership.
    Grant(GrantStep),
    /// Write the link, with the mark of the run that made it.
    Link {
        link: Link,
        row: Row,
        made_by: Option<Box<str>>,
    },
    /// Take the link away.
    DeleteLink,
}

impl Remaining {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// The operations, in order.
    ///
    /// # Errors
    /// A link cannot be serialised.
    pub fn operations(
        self,
        user: &EntityId,
        signer: &Signer,
    ) -> Result<Vec<Operation>, CannotWrite> {
        let operation = |step| match step {
            Step::Create(values) => Ok(Operation::create_user(user, values)),
            Step::Update(values) => Ok(Operation::update_user(user, values)),
            Step::Custom(configuration, value) => {
                Ok(Operation::set_custom_value(&configuration, user, value))
            }
            Step::Grant(step) => Ok(step.operation(user)),
            Step::DeleteLink => Ok(Operation::delete_link(user)),
            Step::Link { link, row, made_by } => match row {
                Row::Stands => Operation::update_link(user, &link, made_by.as_deref(), signer),
                Row::None => Operation::create_link(user, &link, made_by.as_deref(), signer),
            },
        };
        let operations: Result<_, serde_json::Error> =
            self.steps.into_iter().map(operation).collect();
        operations.map_err(|error| CannotWrite::Unwritable(error.to_string()))
    }

    /// Whether the user's activity still has to change.
    #[must_use]
    pub fn differs_in_activity(&self) -> bool {
        self.differing
            .iter()
            .any(|(field, _)| *field == Field::IsActive)
    }
}

/// The input for operations, besides the change and the user's state.
#[derive(Debug, Clone, Copy)]
pub struct WriteContext<'a> {
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: &'a [(String, EntityId)],
    /// What the job gives and takes.
    pub grants: &'a [Arc<Grant>],
    /// The mark of the run, for the links that it makes.
    pub run_mark: &'a str,
    /// What earlier runs of the job may write late.
    pub earlier: &'a EarlierWrites,
    /// Users that do not exist, although they have a link.
    pub orphans: &'a BTreeSet<EntityId>,
}

/// Whether a link belongs to the person of the change: it is the job's, or the one that the change was
/// planned to replace.
fn is_of(link: &Link, change: &Change) -> bool {
    let new = &change.link;
    let is_before = |is_same: fn(&Link, &Link) -> bool| {
        let before = change.before.as_ref();
        before.is_some_and(|before| is_same(link, before))
    };
    (link.source == new.source || is_before(|link, before| link.source == before.source))
        && (link.directory == new.directory
            || is_before(|link, before| link.directory == before.directory)
            || change.before.is_none() && link.directory.is_none())
        && (is_same_person(link, new) || is_before(is_same_person))
}

fn is_same_person(link: &Link, other: &Link) -> bool {
    link.id == other.id && link.attribute == other.attribute
}

/// The writes that bring a user from its present state to the target of a change; none when it is
/// done.
///
/// # Errors
/// The user cannot be brought there at all.
pub fn remaining(
    change: &Change,
    seen: Option<&UserState>,
    so_far: Progress,
    means: WriteContext<'_>,
) -> Result<Remaining, CannotWrite> {
    let Some(seen) = seen else {
        return if change.action == Action::Create {
            Ok(create(change, means))
        } else {
            Err(CannotWrite::Gone)
        };
    };
    let found = match change.row {
        LinkRow::Deleted => by_hand::link_to_delete(change, &seen.link)?,
        LinkRow::Kept => found(change, seen, so_far, means)?,
    };
    // Somebody who is to be inactive as by hand may be so already.
    let is_by_program = change.link.activity.deactivated_since().is_some();
    if change.action == Action::Deactivate && !seen.is_active && is_by_program {
        match found.map(|link| &link.activity) {
            Some(Activity::Settled) => return Err(CannotWrite::DeactivatedByHand),
            Some(Activity::Deactivating { .. } | Activity::Deactivated { .. })
                if so_far == Progress::Nothing
                    && found
                        .is_some_and(|link| means.earlier.deactivated(&change.ftrack_id, link)) =>
            {
                return Err(CannotWrite::DeactivatedEarlier);
            }
            // Made by another program; its own link tells when.
            Some(Activity::Deactivating { .. } | Activity::Deactivated { .. })
                if so_far == Progress::Nothing =>
            {
                return Ok(Remaining::default());
            }
            Some(Activity::Activating | Activity::Released | Activity::Unlinked)
                if so_far == Progress::Nothing =>
            {
                return Err(CannotWrite::DeactivatedByHand);
            }
            Some(_) | None => {}
        }
    }
    let differing = differing(change, seen, means.custom_attributes);
    let deletes = change.row == LinkRow::Deleted;
    if deletes && found.is_none() {
        let is_done = differing.is_empty();
        return is_done
            .then(Remaining::default)
            .ok_or(CannotWrite::Disowned);
    }
    let row = if seen.link.is_row() {
        Row::Stands
    } else {
        Row::None
    };
    let made_by = if found.is_some() {
        seen.link_made_by.as_deref()
    } else {
        Some(means.run_mark)
    };
    if let Some((field, there)) = differing
        .iter()
        .find(|(field, there)| drifted(change, field, there))
    {
        return Err(CannotWrite::Drifted {
            field: field.name(),
            there: there.clone(),
        });
    }
    let link = |link, row| Step::Link {
        link,
        row,
        made_by: made_by.map(Into::into),
    };
    let (before, after) = links(change, seen, found, &differing);
    let row_after = if before.is_some() { Row::Stands } else { row };
    let mut steps: Vec<Step> = before.map(|before| link(before, row)).into_iter().collect();
    let still = |field: &Field| differing.iter().any(|(differs, _)| differs == field);
    let values = columns(change, still);
    if !values.is_empty() {
        steps.push(Step::Update(values));
    }
    steps.extend(set_custom(change, means.custom_attributes, still));
    let of_grants = grant_steps(change, seen, still).into_iter();
    steps.extend(of_grants.map(Step::Grant));
    steps.extend(deletes.then_some(Step::DeleteLink));
    steps.extend(after.map(|after| link(after, row_after)));
    if let (Progress::Nothing, false, Some(obstructed)) = (
        so_far,
        steps.is_empty(),
        begun_by_others(change, seen, found, means.earlier),
    ) {
        return Err(obstructed);
    }
    let only_settles =
        differing.is_empty() && !deletes && !(change.action == Action::Create && found.is_none());
    Ok(Remaining {
        steps,
        differing,
        only_settles,
    })
}

/// The link with which a change continues; none where the user still has to get one.
fn found<'s>(
    change: &Change,
    seen: &'s UserState,
    so_far: Progress,
    means: WriteContext<'_>,
) -> Result<Option<&'s Link>, CannotWrite> {
    match &seen.link {
        LinkFound::Absent | LinkFound::OfAnotherUser => match (change.action, so_far) {
            (Action::Create, Progress::Nothing) => Err(CannotWrite::CreatedMeanwhile),
            // Of two programs, the one whose link exists has created the user: only one of them can
            // write it.
            (Action::Create, Progress::Sent | Progress::Linked) | (Action::Adopt, _) => Ok(None),
            (Action::Update | Action::Deactivate | Action::Reactivate, _)
                if is_of_nobody(change) =>
            {
                Ok(None)
            }
            (Action::Update | Action::Deactivate | Action::Reactivate, _) => {
                Err(CannotWrite::Disowned)
            }
        },
        LinkFound::Link(link) if !is_of(link, change) => {
            Err(if link.source == change.link.source {
                CannotWrite::Relinked
            } else {
                CannotWrite::OwnedBy(link.source.to_string())
            })
        }
        LinkFound::Link(link)
            if change.action == Action::Create
                && so_far != Progress::Linked
                && !is_own(seen, means) =>
        {
            Err(match link.activity {
                Activity::Activating | Activity::Settled => CannotWrite::CreatedElsewhere,
                Activity::Deactivating { .. }
                | Activity::Deactivated { .. }
                | Activity::Released
                | Activity::Unlinked => CannotWrite::CreatedMeanwhile,
            })
        }
        LinkFound::Link(link) => Ok(Some(link)),
        LinkFound::Unlinked(unlinked) => by_hand::of_unlinked(change, unlinked),
        LinkFound::Unreadable => Err(CannotWrite::UnreadableLink),
    }
}

/// Whether a change is one to a user without an owner, who gets none by it: only what ftrack's own
/// synchronisation did is put back so.
fn is_of_nobody(change: &Change) -> bool {
    match change.action {
        Action::Update | Action::Deactivate | Action::Reactivate => change.before.is_none(),
        Action::Create | Action::Adopt => false,
    }
}

/// Whether the run made a user's link, by which it created the user or adopted it: this run, or an
/// earlier one of the job, whose report does not count it.
#[must_use]
pub fn is_own(seen: &UserState, means: WriteContext<'_>) -> bool {
    let made_by = seen.link_made_by.as_deref();
    let is_own = |mark: &str| mark == means.run_mark || means.earlier.made(mark);
    seen.link.link().is_some() && made_by.is_some_and(is_own)
}

/// Whether another program is about to do what a change, for which nothing was sent yet, would do.
fn begun_by_others(
    change: &Change,
    seen: &UserState,
    found: Option<&Link>,
    earlier: &EarlierWrites,
) -> Option<CannotWrite> {
    match change.action {
        Action::Reactivate if seen.is_active && earlier.reactivated.contains(&change.ftrack_id) => {
            Some(CannotWrite::ActivatedEarlier)
        }
        Action::Reactivate if seen.is_active => Some(CannotWrite::ActivatedMeanwhile),
        Action::Adopt if found.is_some() => Some(CannotWrite::TakenMeanwhile),
        Action::Create
        | Action::Update
        | Action::Deactivate
        | Action::Reactivate
        | Action::Adopt => None,
    }
}

/// Whether a change is in effect in ftrack, although its link may still be marked as pending: what
/// the next run would take it for.
#[must_use]
pub fn holds(
    change: &Change,
    seen: Option<&UserState>,
    custom_attributes: &[(String, EntityId)],
) -> bool {
    let Some(seen) = seen else { return false };
    let is_in_effect = || differing(change, seen, custom_attributes).is_empty();
    match change.row {
        LinkRow::Deleted => return by_hand::is_deleted(change, &seen.link) && is_in_effect(),
        LinkRow::Kept => {}
    }
    let Some(found) = by_hand::link_of(change, &seen.link) else {
        let is_free = seen.link.unlinked().is_none();
        return is_free && is_of_nobody(change) && is_in_effect();
    };
    let ours = found.source == change.link.source && found.id == change.link.id;
    let link_holds = if change.is_note() {
        noted(change, found).is_none()
    } else {
        !change.has(&Edit::Link) || is_same_but_for_given(found, &change.link)
    };
    ours && link_holds && is_in_effect()
}

/// Whether a part of a change has come into effect between two states of its user.
#[must_use]
pub fn has_begun(
    change: &Change,
    before: Option<&UserState>,
    after: Option<&UserState>,
    custom_attributes: &[(String, EntityId)],
) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return before.is_none() && after.is_some();
    };
    if by_hand::is_deleted(change, &after.link) {
        return before.link.is_row();
    }
    let link = by_hand::link_of(change, &after.link).filter(|link| is_of(link, change));
    // Where the link is written first, nothing comes into effect without it.
    let is_its_own = match change.action {
        Action::Create | Action::Update | Action::Reactivate => true,
        Action::Adopt => link.is_some(),
        Action::Deactivate => {
            let since = change.link.activity.deactivated_since();
            link.is_some_and(|link| link.activity.deactivated_since() == since)
        }
    };
    let is_linked = before.link != after.link && link.is_some();
    let still = differing(change, after, custom_attributes);
    let is_written = |field: &Field| !still.iter().any(|(differs, _)| differs == field);
    let mut missing = differing(change, before, custom_attributes).into_iter();
    is_its_own && (is_linked || missing.any(|(field, _)| is_written(&field)))
}

/// The attributes of an unfinished change that were written all the same.
#[must_use]
pub fn written_all_the_same(
    change: &Change,
    seen: Option<&UserState>,
    custom_attributes: &[(String, EntityId)],
) -> BTreeSet<Field> {
    let Some(seen) = seen else {
        return BTreeSet::new();
    };
    let still = differing(change, seen, custom_attributes);
    let written = change.fields().into_iter().filter(|(field, values)| {
        let changes = change.action == Action::Create || !equal(&values.old, &values.new);
        !matches!(field, Field::Link | Field::Invitation | Field::Thumbnail)
            && changes
            && !still.iter().any(|(differs, _)| differs == field)
    });
    written.map(|(field, _)| field).collect()
}

/// Whether an attribute differs from the wanted value, and also from the value that was read and
/// from the program's own intermediate values.
fn drifted(change: &Change, field: &Field, there: &Value) -> bool {
    let between = change.rotation.is_some()
        && match field {
            Field::Username => *there == rotation::parked(&change.ftrack_id),
            Field::Email => there.is_null(),
            Field::FirstName
            | Field::LastName
            | Field::IsActive
            | Field::UserType
            | Field::Invitation
            | Field::Thumbnail
            | Field::Custom(_)
            | Field::Role(_)
            | Field::ProjectRole { .. }
            | Field::Group(_)
            | Field::Link => false,
        };
    let is_old = || {
        let of_field = |edit: &&Edit| wanted(edit).is_some_and(|(of, _)| of == *field);
        change
            .edits
            .iter()
            .find(of_field)
            .is_none_or(|edit| match edit {
                Edit::Set { values, .. } => equal(&values.old, there),
                Edit::Activate => *there == false,
                Edit::Deactivate => *there == true,
                // There is no third value.
                Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => true,
            })
    };
    // What ftrack made of the wanted value in an earlier attempt is nobody's own.
    let is_form = || {
        let values = change.fields().remove(field);
        values.is_some_and(|values| likeness(field, &values.new, there) == Likeness::Form)
    };
    change.action != Action::Create && !between && !is_old() && !is_form()
}

/// The column that an edit writes, and its new value; none for the link and what the link notes.
fn wanted(edit: &Edit) -> Option<(Field, Value)> {
    match edit {
        Edit::Set {
            attribute: Attribute::Invitation | Attribute::Thumbnail,
            ..
        } => None,
        Edit::Set { attribute, values } => Some((attribute.field(), values.new.clone())),
        Edit::Activate => Some((Field::IsActive, Value::Bool(true))),
        Edit::Deactivate => Some((Field::IsActive, Value::Bool(false))),
        Edit::Grant(grant) => Some((grant.field(), grant.value())),
        Edit::Revoke(grant) => Some((grant.field(), Value::Null)),
        Edit::Link => None,
    }
}

/// The user's own columns that a change writes, by name.
fn columns(change: &Change, still: impl Fn(&Field) -> bool) -> Map<String, Value> {
    let own = change.edits.iter().filter_map(wanted);
    let is_own = |field: &Field| !matches!(field, Field::Custom(_)) && !field.is_grant();
    own.filter(|(field, _)| is_own(field) && still(field))
        .map(|(field, new)| (field.name(), new))
        .collect()
}

/// A user is created active and marked as not confirmed; the result is read back before the mark is
/// removed.
fn create(change: &Change, means: WriteContext<'_>) -> Remaining {
    let link = Step::Link {
        link: change.link.clone().with(|link| {
            link.activity = Activity::Activating;
            link.sent = unsettled(change, None);
        }),
        row: if means.orphans.contains(&change.ftrack_id) {
            Row::Stands
        } else {
            Row::None
        },
        made_by: Some(means.run_mark.into()),
    };
    let mut steps = vec![Step::Create(columns(change, |_| true)), link];
    steps.extend(set_custom(change, means.custom_attributes, |_| true));
    let written = change.edits.iter().filter_map(wanted);
    let written = written.filter(|(field, _)| !field.is_grant());
    let differing = written.map(|(field, _)| (field, Value::Null)).collect();
    Remaining {
        steps,
        differing,
        only_settles: false,
    }
}

/// Whether there is already a row where a link is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    None,
    Stands,
}

fn set_custom(
    change: &Change,
    custom_attributes: &[(String, EntityId)],
    still: impl Fn(&Field) -> bool,
) -> Vec<Step> {
    let configuration = |key: &str| {
        custom_attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, id)| id)
    };
    let sets = change.edits.iter().filter_map(Edit::set);
    let custom = sets.filter_map(|(attribute, values)| match attribute {
        Attribute::Custom(key) if still(&attribute.field()) => Some(Step::Custom(
            configuration(key)?.clone(),
            values.new.clone(),
        )),
        Attribute::Custom(_)
        | Attribute::Username
        | Attribute::Email
        | Attribute::FirstName
        | Attribute::LastName
        | Attribute::UserType
        | Attribute::Invitation
        | Attribute::Thumbnail => None,
    });
    custom.collect()
}

/// The attributes of a change that the user does not have as wanted.
pub(super) fn differing(
    change: &Change,
    seen: &UserState,
    custom_attributes: &[(String, EntityId)],
) -> Vec<(Field, Value)> {
    let values = change.edits.iter().filter_map(|edit| {
        let (field, new) = wanted(edit)?;
        let there = there(change, seen, edit);
        let there = there.unwrap_or_else(|| seen.value(&field, custom_attributes));
        Some((field, new, there))
    });
    values
        .filter(|(_, new, there)| !equal(new, there))
        .map(|(field, _, there)| (field, there))
        .collect()
}

/// Why a change that ftrack accepted failed all the same.
pub(super) fn not_kept(change: &Change, left: &Remaining) -> String {
    let all = change.fields();
    let fields = left.differing.iter().filter_map(|(field, there)| {
        let wanted = &all.get(field)?.new;
        let hint = if *field == Field::IsActive && *wanted == true {
            " (are there no seats left?)"
        } else {
            ""
        };
        Some(format!(
            "{} as {there} instead of {wanted}{hint}",
            field.name()
        ))
    });
    format!(
        "ftrack accepted the change, but stored {}",
        fields.collect::<Vec<_>>().join(", ")
    )
}
