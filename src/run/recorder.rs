//! Takes the results of changes as they become known: into the report, the journal and the log.

use std::ops::Range;

use tokio_util::sync::CancellationToken;

use super::{Progress, record};
use crate::{
    event::{Event, RunName},
    ftrack::outcome::ChangeOutcome,
    model::{edit::Field, report::Reported, stored_value::StoredOtherwise},
    state::{files::StateError, journal::Journal},
};

/// The results so far.
pub(super) struct Recorder<'a> {
    pub reported: &'a mut [Reported],
    pub stored: &'a mut StoredOtherwise,
    pub journal: Journal,
    pub of: RunName<'a>,
    /// Where what only links say stands in the report for now.
    pub notes: &'a Range<usize>,
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// How many changes there are, and how many of them ended.
    pub changes: usize,
    pub ended: usize,
    /// Ends the writing.
    pub cancel: &'a CancellationToken,
    /// Why results cannot be saved.
    pub failed: Option<StateError>,
}

impl Recorder<'_> {
    /// Some changes ended.
    pub fn record(&mut self, done: &[ChangeOutcome]) {
        self.ended += done.len();
        (self.progress)(Progress::Changes(self.ended, self.changes));
        let lines = record::record_results(self.reported, done, (self.of, self.notes));
        record::add_stored(self.stored, self.reported, done);
        if let (Err(error), None) = (self.journal.add(&lines), &self.failed) {
            Event::StateFailed {
                of: self.of,
                error: &error.to_string(),
            }
            .emit();
            self.failed = Some(error);
            // Writes from here on would be in no report if the program were killed.
            self.cancel.cancel();
        }
    }

    /// The picture of a change is not among what was written; returns what a report says of it.
    pub fn without_picture(&mut self, place: usize, why: &str) -> Option<String> {
        let change = self.reported.get_mut(place)?;
        change.fields.remove(&Field::Thumbnail);
        Some(format!(
            "the picture of {} was not sent: {why}",
            change.username
        ))
    }
}
