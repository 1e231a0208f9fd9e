//! The first lines of a report: which run it was, what it was for, and what it read.

use super::{is_interrupted, line, outcome_style, paint, several, why};
use crate::{
    escape::escape_control,
    model::report::{BuiltinPart, DirectoryPart, FailureKind, FtrackPart, Report, Seats},
};

/// The width of what a line of [`facts`] is about, with the blanks around it.
pub(super) const ABOUT: usize = 13;

/// Which run it was, and how it ended.
pub(super) fn headline(report: &Report) -> String {
    let seconds = report
        .finished_at
        .signed_duration_since(report.started_at)
        .as_seconds_f64()
        .max(0.0);
    let dry = match (report.dry_run, &report.observed) {
        (true, _) => ", dry run",
        (false, Some(_)) => ", observing",
        (false, None) => "",
    };
    let alarm = if report.alarm { ", ALARM" } else { "" };
    let outcome = paint(
        outcome_style(report.outcome),
        &format!("{}{alarm}", report.outcome.as_str()),
    );
    format!(
        "Run {} of {}{dry}: {outcome} in {seconds:.1} s",
        report.run, report.job
    )
}

/// What the run was for, and what it read: lines that begin with what they are about, in a column of
/// [`ABOUT`] characters.
pub(super) fn facts(text: &mut String, report: &Report) {
    put_back(text, report);
    if !report.only.is_empty() {
        let only = report.only.iter().map(|who| escape_control(who));
        let only: Vec<_> = only.collect();
        line(text, &format!("  only       {}", only.join(", ")));
    }
    if let Some(approver) = report.approved_by.as_ref().filter(|_| !report.dry_run) {
        let approver = escape_control(&approver.to_string()).into_owned();
        line(text, &format!("  approved   by {approver}"));
    }
    if !is_interrupted(report) {
        why::not_all(text, report);
    }
    if let Some(directory) = &report.directory {
        if was_waited_for(report, directory) {
            read(text, directory);
        } else {
            line(text, "  directory  not read, since the run failed before");
        }
    }
    ftrack_line(text, report);
    if let Some(builtin) = &report.builtin {
        builtin_line(text, builtin);
    }
}

/// What a person had put back.
fn put_back(text: &mut String, report: &Report) {
    if let Some(run) = &report.undoes {
        let again = report.redoes.as_deref().map(|run| {
            let run = escape_control(run);
            format!(", so it does again what the run {run} did")
        });
        let again = again.unwrap_or_default();
        let undone = escape_control(run);
        line(text, &format!("  undoes     the run {undone}{again}"));
    }
    if let Some(snapshot) = &report.restores {
        let snapshot = escape_control(snapshot);
        line(text, &format!("  restores   the snapshot {snapshot}"));
    }
}

/// Whether only what changed was read.
fn is_of_changes(report: &Report) -> bool {
    let directory = report.directory.as_ref();
    directory.is_some_and(|directory| directory.changes.is_some())
}

fn ftrack_line(text: &mut String, report: &Report) {
    let ftrack = &report.ftrack;
    let calls = match (is_interrupted(report), ftrack.read_calls) {
        (false, reads) => format!(
            "{}, {}",
            several(reads, "read call", "read calls"),
            several(ftrack.write_calls, "write call", "write calls")
        ),
        (true, 0) => "calls not known".to_owned(),
        (true, reads) => format!(
            "at least {}, write calls not known",
            several(reads, "read call", "read calls")
        ),
    };
    // The API user always exists, so zero users mean that the run ended before the number was
    // known.
    let users = match ftrack.users {
        0 => String::new(),
        // For a run that failed before, it is not known who owns them.
        users if ftrack.owned == 0 && ftrack.linked.is_none() => {
            format!("{}; ", several(users, "user", "users"))
        }
        users if is_of_changes(report) => format!(
            "only the {} whom that may concern; ",
            several(users, "user", "users")
        ),
        users => format!(
            "{}, {} of this job{}; ",
            several(users, "user", "users"),
            ftrack.owned,
            if is_interrupted(report) {
                " when it was read"
            } else {
                ""
            }
        ),
    };
    line(
        text,
        &format!("  ftrack     {}: {users}{calls}", ftrack.server),
    );
    seats(text, ftrack);
}

/// The seats of the licence, where they matter and are known.
pub(super) fn seats(text: &mut String, ftrack: &FtrackPart) {
    if let Some(Seats {
        all, free, needed, ..
    }) = ftrack.seats
    {
        let needed = several(needed, "user becomes active", "users become active");
        line(
            text,
            &format!("  seats      {free} of {all} free; {needed}"),
        );
    }
}

fn builtin_line(text: &mut String, builtin: &BuiltinPart) {
    let BuiltinPart {
        job_id,
        status,
        text: said,
    } = builtin;
    let job = job_id
        .as_ref()
        .map_or_else(|| "no known job".to_owned(), |id| format!("job {id}"));
    let status = status
        .as_deref()
        .map(|status| format!(": {}", escape_control(status)))
        .unwrap_or_default();
    let said = said
        .as_deref()
        .map(|said| format!(", {}", escape_control(said)))
        .unwrap_or_default();
    line(
        text,
        &format!("             its own synchronisation, {job}{status}{said}"),
    );
}

/// Whether the directory was read, or is why the run failed: both servers are read at the same time,
/// and when ftrack fails the directory is not waited for.
fn was_waited_for(report: &Report, directory: &DirectoryPart) -> bool {
    let is_why = match report.error_kind {
        None
        | Some(FailureKind::DirectoryRefused | FailureKind::Directory | FailureKind::TimeLimit) => {
            true
        }
        Some(
            FailureKind::FtrackRefused
            | FailureKind::Ftrack
            | FailureKind::FtrackUnclear
            | FailureKind::State
            | FailureKind::Refused
            | FailureKind::PlanRefused
            | FailureKind::Stopped
            | FailureKind::Internal,
        ) => false,
    };
    is_why || directory.complete || directory.server.is_some() || !directory.searches.is_empty()
}

/// What was read from the directory.
pub(super) fn read(text: &mut String, directory: &DirectoryPart) {
    let server = directory.server.as_deref().unwrap_or("no server reached");
    let read = if let Some(changes) = &directory.changes {
        format!(
            "only what changed: {}, and {} no longer there",
            several(changes.changed, "entry", "entries"),
            several(changes.deleted, "person", "people")
        )
    } else if directory.complete {
        let without = match directory.disabled_without_user {
            0 => String::new(),
            1 => "; 1 person may not sign in, and gets no user".to_owned(),
            many => format!("; {many} people may not sign in, and get no user"),
        };
        format!(
            "{}, read completely{without}",
            several(directory.entries, "entry", "entries")
        )
    } else if directory.searches.is_empty() {
        "not read".to_owned()
    } else {
        "not read to its end".to_owned()
    };
    line(text, &format!("  directory  {server}: {read}"));
    for search in directory
        .searches
        .iter()
        .filter(|search| search.result != "success")
    {
        line(
            text,
            &format!(
                "             {} {}: {} after {} entries",
                escape_control(&search.base),
                escape_control(&search.filter),
                escape_control(&search.result),
                search.entries
            ),
        );
    }
}
