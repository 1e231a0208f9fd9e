//! What links say beside who owns their users is written with the changes, and is none: the report
//! shows it only where its result is not known, and warns of what failed.

use std::ops::Range;

use super::RunContext;
use crate::{
    event::Event,
    model::report::{ChangeResult, Reported},
    sync::guard::{Vetted, VettedNotes},
};

impl<W> RunContext<'_, W> {
    /// Puts the notes into the report behind the allowed changes, as they are written; returns their
    /// places.
    pub(super) fn insert_notes(&mut self, vetted: &Vetted, notes: &VettedNotes) -> Range<usize> {
        let first = vetted.allowed().len().min(self.report.changes.len());
        let notes = notes.changes().iter();
        let notes: Vec<Reported> = notes
            .map(|note| Reported::new(note, ChangeResult::Planned))
            .collect();
        let places = first..first + notes.len();
        self.report.changes.splice(first..first, notes);
        places
    }

    /// Takes the notes out of the report. One whose result is not known stays, at the end, since a
    /// later run has to find out.
    pub(super) fn take_notes(&mut self, places: &Range<usize>) {
        let notes: Vec<Reported> = self.report.changes.drain(places.clone()).collect();
        let failed = notes
            .iter()
            .filter(|note| note.result == ChangeResult::Failed);
        let number = failed.clone().count();
        if let Some((note, why)) = failed
            .clone()
            .find_map(|note| Some((note, note.error.as_deref()?)))
        {
            let warning = format!(
                "the links of {number} users could not be written with since when their people \
                 have been missing, or that they are back, and the next run tries again; of {:?}: \
                 {why}",
                note.username
            );
            let of = self.name();
            Event::RunWarning {
                of,
                warning: &warning,
            }
            .emit();
            self.report.warnings.push(warning);
        }
        let is_open = |note: &Reported| note.result == ChangeResult::Unconfirmed;
        self.report
            .changes
            .extend(notes.into_iter().filter(is_open));
    }
}
