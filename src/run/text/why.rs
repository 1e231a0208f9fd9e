//! Why a run did not do everything.

use std::collections::BTreeSet;

use super::{line, paint, several, yellow};
use crate::{
    escape::escape_control,
    model::report::{ChangeResult, Report},
};

/// The most people that are named where a report says why it is `partial`; below are all of them.
const NAMED: usize = 3;

/// Why a run did not do everything, beside what is held: who failed, and who needs a person.
pub(super) fn not_all(text: &mut String, report: &Report) {
    let with = |result: ChangeResult| -> BTreeSet<&str> {
        let changes = report.changes.iter();
        let changes = changes.filter(|change| change.result == result);
        changes.map(|change| change.username.as_str()).collect()
    };
    let unsettled = report.skipped.iter().filter(|entry| entry.unsettled);
    let unsettled = unsettled.map(|entry| entry.dn.as_str()).collect();
    let counts = &report.counts;
    let without_seat = with(ChangeResult::Unsettled);
    let others = counts.unsettled.saturating_sub(without_seat.len());
    let people = if others == 1 {
        "1 person needs a decision".to_owned()
    } else {
        format!("{others} people need a decision")
    };
    let no_seat = several(
        without_seat.len(),
        "person is without a seat",
        "people are without a seat",
    );
    let failed = several(counts.failed, "change failed", "changes failed");
    let unconfirmed = several(
        counts.unconfirmed,
        "change is unconfirmed",
        "changes are unconfirmed",
    );
    for (count, what, who) in [
        (counts.failed, failed, with(ChangeResult::Failed)),
        (
            counts.unconfirmed,
            unconfirmed,
            with(ChangeResult::Unconfirmed),
        ),
        (without_seat.len(), no_seat, without_seat),
        (others, people, unsettled),
    ] {
        if count > 0 {
            let who = named(&who);
            line(text, &format!("  {}{who}", paint(yellow(), &what)));
        }
    }
}

/// The first of these names, and how many others there are.
fn named(names: &BTreeSet<&str>) -> String {
    let first: Vec<_> = names
        .iter()
        .take(NAMED)
        .map(|name| escape_control(name))
        .collect();
    match (first.as_slice(), names.len().saturating_sub(NAMED)) {
        ([], _) => String::new(),
        (first, 0) => format!(": {}", first.join("; ")),
        (first, more) => format!(": {}; and {more} more", first.join("; ")),
    }
}
