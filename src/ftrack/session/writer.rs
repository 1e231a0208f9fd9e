//! Calls that write.

use std::sync::Arc;

use super::{CallKind, Failed, Reader, Until};
use crate::ftrack::{
    answer::{Acknowledged, Expected, ResponseItem},
    error::{FtrackErrorKind, WriteFailure},
    operation::Operation,
};

/// Calls that write; with the key and the counts of the reader of the same run.
#[derive(Debug, Clone)]
pub struct Writer(Reader);

impl Writer {
    /// The writer that belongs to a reader.
    pub(super) fn of(reader: Reader) -> Self {
        Self(reader)
    }

    /// The reader of the same run.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.0
    }

    /// Sends operations that write: once, except where the server provably did not process them (no
    /// connection, 429), which is repeated.
    ///
    /// An attempt in progress is not ended by `until`, only by the request's own time limit: its
    /// result is worth waiting for. The wait for the next attempt is ended: nothing was sent.
    ///
    /// # Errors
    /// Classified by what is known about the operations: see [`WriteFailure`].
    pub async fn write_call(
        &self,
        operations: &[Operation],
        until: &Until,
    ) -> Result<(), WriteFailure> {
        self.write_as::<Acknowledged>(operations, until)
            .await
            .map(drop)
    }

    /// As [`Writer::write_call`], with the answers parsed into types of the caller's.
    pub(in crate::ftrack) async fn write_as<A: ResponseItem>(
        &self,
        operations: &[Operation],
        until: &Until,
    ) -> Result<Vec<A>, WriteFailure> {
        let Self(reader) = self;
        let body = reader.body(operations).map_err(WriteFailure::of)?;
        let again = |failed: &Failed| {
            failed.trouble.passes()
                && matches!(
                    failed.trouble,
                    FtrackErrorKind::Unreachable { .. } | FtrackErrorKind::Busy(_)
                )
        };
        let expected = Expected {
            answers: operations.len(),
            rows: 0,
            budget: Arc::clone(reader.budget()),
        };
        reader
            .attempts(
                (&body, &expected),
                operations,
                until,
                CallKind::Write,
                again,
            )
            .await
            .map(|(answers, _)| answers)
            .map_err(WriteFailure::of)
    }
}
