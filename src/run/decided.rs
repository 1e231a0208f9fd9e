//! What became of somebody in a hold, when, and by whom, for people.

use std::fmt::Display;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};

use crate::{
    model::{
        open_hold::{Became, Decided, HeldPerson, OpenHold},
        readable_time::readable_time,
        summary::RunSummary,
    },
    state::history::{History, RunFilter},
};

/// The longest time that a run may take which undid something.
const LONGEST: TimeDelta = TimeDelta::hours(25);

/// The most runs that are looked through for the one that undid something.
const RUNS: usize = 500;

/// The run that put users of a job back at that time, as far as the history has it.
#[must_use]
pub fn put_back_at(history: &History, job: &str, at: DateTime<Utc>) -> Option<RunSummary> {
    let filter = RunFilter {
        job: Some(job.to_owned()),
        since: at.checked_sub_signed(LONGEST),
        until: at.checked_add_signed(TimeDelta::seconds(1)),
        ..RunFilter::default()
    };
    let is_it = |run: &RunSummary| {
        run.trigger.puts_back() && !run.dry_run && run.started_at <= at && at <= run.finished_at
    };
    let runs = history.list(&filter, RUNS).ok()?.runs;
    runs.into_iter().find(is_it)
}

/// What became of somebody who left a hold, with the person who decided that, and how a rejection is
/// taken back; not escaped.
#[must_use]
pub fn became_in_words<Z: TimeZone<Offset: Display>>(
    hold: &OpenHold,
    person: &HeldPerson,
    zone: &Z,
) -> String {
    let Some(became) = person.became else {
        return "not held any more".to_owned();
    };
    let decided = person.decided.as_ref().map(|Decided { by, at }| {
        let at = readable_time(*at, zone);
        format!(", by {by}, at {at}")
    });
    let back = match became {
        Became::Rejected => format!(
            "; `unreject {} --only {}` takes it back",
            hold.hold, person.username
        ),
        Became::Written
        | Became::Released
        | Became::HeldOtherwise
        | Became::Changed
        | Became::NotDue => String::new(),
    };
    format!("{}{}{back}", became.in_words(), decided.unwrap_or_default())
}
