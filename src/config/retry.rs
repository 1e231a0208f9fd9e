//! `[jobs.NAME.retry]`: how failed runs are retried.

use super::{
    finding::KeyPath,
    notes::Notes,
    table::table,
    value::{DAY, Number, Period, SECOND},
};
use crate::model::backoff::Retry;

/// The longest delay that may be configured.
const LONGEST: u64 = 7 * DAY;

table! {
    /// How failed runs are retried.
    #[schemars(rename = "Retry")]
    struct RetryTable => Retry {
        /// The first delay; it doubles with each failure.
        initial: Period<SECOND, DAY> => std::time::Duration = Period::minutes(1),
        /// The longest delay.
        max: Period<SECOND, LONGEST> => std::time::Duration = Period::hours(1),
        /// The number of failures in a row after which the job is suspended: from then on it is tried
        /// once in `max`.
        suspend_after: Number<1, 1_000> => u32 = Number(10),
    }
}

/// Checks the table at this key.
pub fn check(notes: &mut Notes, at: &KeyPath, table: RetryTable) -> Option<Retry> {
    let retry = table.complete()?;
    let is_judged = ["initial", "max"]
        .iter()
        .any(|key| notes.is_judged(&at.key(key)));
    if retry.initial > retry.max && !is_judged {
        notes.find(&at.key("initial"), "longer than max");
    }
    Some(retry)
}
