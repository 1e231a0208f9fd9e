//! A job's status as text, for the table of `status` and for the status page.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{
    commands::CommandError,
    status::{JobPhase, JobStatus, Running},
};
use crate::{
    escape::escape_control,
    model::{pause::Pause, readable_time::readable_time, report::Trigger, summary::RunSummary},
    run::Progress,
};

/// The longest error shown, in characters, beyond what errors of both servers have; what to do is at
/// their end. `runs show` prints all of it.
const ERROR: usize = 2000;

/// A job as text, safe to print on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StatusRow {
    pub job: String,
    pub phase: &'static str,
    /// When its last run ended, or `never`.
    pub last_run: String,
    /// Its outcome; empty before the first run.
    pub outcome: String,
    /// When it runs next by itself, or `on request`.
    pub next_run: String,
    /// Notes: its progress, its pause, its failures.
    pub notes: Vec<String>,
}

impl StatusRow {
    /// A job as text, with times in the zone of its schedule, and what its last run left to a person.
    #[must_use]
    pub fn of(job: &JobStatus) -> Self {
        let mut row = Self::of_now(job);
        let last = job.last_run.as_ref();
        let waits = last.and_then(waiting);
        // It says how many changes that are.
        row.notes
            .extend(last.and_then(held).filter(|_| waits.is_none()));
        row.notes.extend(last.and_then(not_written));
        row.notes.extend(last.and_then(unsettled));
        row.notes.extend(waits);
        row
    }

    /// The same without what the last run left to a person.
    #[must_use]
    pub fn of_now(job: &JobStatus) -> Self {
        let zone: Tz = job.timezone.parse().unwrap_or(Tz::UTC);
        let at = |time: DateTime<Utc>| readable_time(time, &zone);
        let mut notes = Vec::new();
        notes.extend(job.running.as_ref().map(|running| progress(running, zone)));
        notes.extend(job.pause.as_ref().map(|pause| paused(pause, &zone)));
        let kinds = job.paused_kinds.iter();
        notes.extend(kinds.map(|(kind, pause)| format!("{kind} {}", paused(pause, &zone))));
        if let Some(backoff) = &job.backoff {
            let failures = if backoff.failures == 1 {
                "failed once".to_owned()
            } else {
                format!(
                    "failed {} times in a row since {}",
                    backoff.failures,
                    at(backoff.since)
                )
            };
            let again = backoff.retries_at().map_or_else(
                || "no retry before its next run".to_owned(),
                |time| format!("retry at {}", at(time)),
            );
            notes.push(format!(
                "{failures}, {again}: {}",
                beginning(&backoff.error)
            ));
        }
        if let Some(refused) = &job.refused {
            let why = CommandError::from(refused).in_zone(zone).to_string();
            notes.push(format!("no run is started: {}", beginning(&why)));
        }
        notes.extend(job.elsewhere_since.map(|since| {
            let since = at(since);
            format!("another program has been running this job since {since}")
        }));
        notes.extend(watch(job, at));
        notes.extend(changes(job, at));
        let last = job.last_run.as_ref();
        notes.extend(last.and_then(replica));
        notes.extend(last.and_then(active_leavers));
        Self {
            job: escape_control(&job.job).into_owned(),
            phase: job.phase.as_str(),
            last_run: last.map_or_else(|| "never".to_owned(), |last| at(last.finished_at)),
            outcome: last
                .map(|last| {
                    let looked = match (last.dry_run, last.observed, last.trigger) {
                        (true, _, _) => " (dry run)",
                        (false, true, _) => " (observed)",
                        (false, false, Trigger::Changes) => " (changes)",
                        (false, false, Trigger::Watch) => " (watch)",
                        (false, false, Trigger::Approval) => " (approval)",
                        (false, false, Trigger::Link) => " (link)",
                        (false, false, Trigger::Release) => " (release)",
                        (false, false, Trigger::Undo) => " (undo)",
                        (false, false, Trigger::Restore) => " (restore)",
                        (false, false, _) => "",
                    };
                    format!("{}{looked}", last.outcome.as_str())
                })
                .unwrap_or_default(),
            next_run: job.next_run.map_or_else(|| nothing_next(job), at),
            notes,
        }
    }
}

/// That somebody paused something, until when, why, since when, and who.
pub(crate) fn paused(pause: &Pause, zone: &Tz) -> String {
    let until = pause.until.map(|until| readable_time(until, zone));
    let until = until.map(|until| format!(" until {until}"));
    let reason = pause.reason.as_deref().map(escape_control);
    let reason = reason.map(|reason| format!(": {reason}"));
    format!(
        "paused{}{} ({})",
        until.unwrap_or_default(),
        reason.unwrap_or_default(),
        escape_control(&pause.since_words(zone))
    )
}

/// Whether the directory is watched.
fn watch(job: &JobStatus, at: impl Fn(DateTime<Utc>) -> String) -> Option<String> {
    let watch = job.watch.as_ref()?;
    let since = at(watch.since);
    Some(match (watch.watching, &watch.error) {
        (true, _) => format!("watching the directory since {since}"),
        (false, None) => format!("not watching the directory since {since}: it connects"),
        (false, Some(why)) => format!(
            "not watching the directory since {since}, because {}",
            beginning(why)
        ),
    })
}

/// When what changed was read last, and will be next.
fn changes(job: &JobStatus, at: impl Fn(DateTime<Utc>) -> String) -> Option<String> {
    let last = job.last_changes.map(&at);
    let next = job.next_changes.map(&at);
    Some(match (last, next) {
        (Some(last), Some(next)) => format!("what changed was read at {last}, next at {next}"),
        (Some(last), None) => format!("what changed was read at {last}"),
        (None, Some(next)) => format!("what changed is read at {next}"),
        (None, None) => return None,
    })
}

/// How many holds wait for a person.
fn waiting(last: &RunSummary) -> Option<String> {
    let held = match last.held {
        0 => String::new(),
        1 => " (1 held change)".to_owned(),
        many => format!(" ({many} held changes)"),
    };
    match last.open_holds {
        0 => None,
        1 => Some(format!("1 hold waits for a person{held}: see `holds`")),
        many => Some(format!("{many} holds wait for a person{held}: see `holds`")),
    }
}

/// What the last run held, and where it is shown.
fn held(last: &RunSummary) -> Option<String> {
    match last.held {
        0 => None,
        1 => Some("1 held change: see `holds`".to_owned()),
        many => Some(format!("{many} held changes: see `holds`")),
    }
}

/// That the last run did not read the preferred server of the directory.
fn replica(last: &RunSummary) -> Option<String> {
    let server = escape_control(last.replica.as_deref()?);
    Some(format!(
        "{server} was read, since the preferred server of the directory could not be: leavers keep \
         their access until it can, see `check`"
    ))
}

/// What else the last run did not write, and where it is shown.
fn not_written(last: &RunSummary) -> Option<String> {
    let counts = [
        (last.failed, "failed"),
        (last.counts.unconfirmed, "unconfirmed"),
    ];
    let said: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let run = escape_control(&last.run);
    let all = last.failed + last.counts.unconfirmed;
    let noun = if all == 1 { "change" } else { "changes" };
    (all > 0).then(|| format!("{} {noun}: see `runs show {run}`", said.join(", ")))
}

/// How many leavers have an active user that no run deactivates.
fn active_leavers(last: &RunSummary) -> Option<String> {
    let who = match last.counts.active_leavers {
        0 => return None,
        1 => "1 leaver has".to_owned(),
        several => format!("{several} leavers have"),
    };
    let run = escape_control(&last.run);
    Some(format!(
        "{who} an active user, which no run deactivates: see `runs show {run}`"
    ))
}

/// How many people a person must settle, and where they are shown.
fn unsettled(last: &RunSummary) -> Option<String> {
    let who = match last.unsettled {
        0 => return None,
        1 => "1 person needs".to_owned(),
        several => format!("{several} people need"),
    };
    let run = escape_control(&last.run);
    Some(format!("{who} a decision: see `runs show {run}`"))
}

fn nothing_next(job: &JobStatus) -> String {
    let words = match (job.phase, &job.schedule) {
        (JobPhase::Running | JobPhase::Waiting, _) => "after this run",
        (JobPhase::Paused, _) => "when resumed",
        (JobPhase::Idle | JobPhase::BackingOff | JobPhase::Suspended, None) => "on request",
        (JobPhase::Idle | JobPhase::BackingOff | JobPhase::Suspended, Some(_)) => "unknown",
    };
    words.to_owned()
}

fn progress(running: &Running, zone: Tz) -> String {
    let since = readable_time(running.started_at, &zone);
    match running.progress {
        None => format!("running since {since}"),
        Some(Progress::Entries(entries)) => {
            format!("running since {since}: {entries} entries read")
        }
        Some(Progress::Changes(done, of)) => {
            format!("running since {since}: {done} of {of} changes written")
        }
        Some(Progress::ServerJobQueued) => {
            format!("running since {since}: ftrack's own synchronisation is queued")
        }
        Some(Progress::ServerJobRunning) => {
            format!("running since {since}: ftrack's own synchronisation is running")
        }
        Some(Progress::WaitingForRun) => {
            format!("waiting since {since} for another run of the job to end")
        }
    }
}

fn beginning(error: &str) -> String {
    let mut characters = error.chars();
    let text: String = characters.by_ref().take(ERROR).collect();
    let cut = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{}{cut}", escape_control(&text))
}
