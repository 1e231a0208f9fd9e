//! What other reports of the job have of a change, so that it is in one of them. No I/O.

use std::collections::BTreeSet;

use crate::{
    model::{
        change::Action,
        edit::{Field, Values},
        report::Reported,
        stored_value::{Likeness, likeness},
    },
    sync::custom::equal,
};

/// What other reports of the job have of a change.
pub(super) struct InOtherReports {
    /// All of it.
    pub is_whole: bool,
    /// The fields with the same new values.
    pub fields: BTreeSet<Field>,
}

impl InOtherReports {
    pub fn of(change: &Reported, reported: &[Reported]) -> Self {
        let of_user = || {
            let mut of_user = reported.iter();
            std::iter::from_fn(move || of_user.find(|other| other.ftrack_id == change.ftrack_id))
        };
        let is_there = |field: &Field, values: &Values| {
            let mut others = of_user().filter_map(|other| other.fields.get(field));
            // What was there in another form was written before, and once more.
            let is_first =
                |other: &Values| likeness(field, &other.new, &other.old) != Likeness::Form;
            others.any(|other| equal(&other.new, &values.new) && is_first(other))
        };
        let fields = change.fields.iter();
        let fields: BTreeSet<Field> = fields
            .filter(|(field, values)| is_there(field, values))
            .map(|(field, _)| field.clone())
            .collect();
        let is_whole = match change.action {
            Action::Update => fields.len() == change.fields.len(),
            // Whose user it is, and whether it is active, changes once.
            Action::Create | Action::Deactivate | Action::Reactivate | Action::Adopt => {
                of_user().any(|other| other.action == change.action)
            }
        };
        Self { is_whole, fields }
    }
}
