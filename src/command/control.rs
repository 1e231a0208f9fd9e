//! `status`, `trigger`, `pause` and `resume`: commands to a running daemon.

use std::{path::Path, time::Duration};

use chrono::Local;
use tokio_util::sync::CancellationToken;

use super::{
    print_json, print_text,
    progress::ProgressLine,
    sync::{approver, nothing_changed, show_new},
    terminal,
    terminal::Screen,
};
use crate::{
    cli::{Exit, Format, StatusArgs, Stop, TriggerArgs},
    config::{Findings, default_control_socket},
    daemon::{
        commands::{CommandError, RunUpdate},
        control::{StatusReply, TriggerRequest},
        heartbeat::HEALTHY,
        status::{JobStatus, Status},
        status_text::StatusRow,
    },
    escape::escape_control,
    model::readable_time::readable_time,
};

pub(super) mod client;
mod elsewhere;
pub(super) mod monitoring;
mod offline;
mod pause_text;
mod pausing;

use client::Daemon;
pub use elsewhere::reachable;
pub use pausing::{pause, resume};

/// Explains why the configuration does not tell where the daemon listens.
#[must_use]
pub fn unreadable(findings: &Findings) -> Stop {
    Stop::usage(findings).with_way_out(format!(
        "it does not say where the daemon listens; give its control socket with --socket PATH \
         (the default is {})",
        default_control_socket().display()
    ))
}

/// `status`: 0 when the daemon answers and its scheduler makes progress, 1 otherwise.
///
/// # Errors
/// The daemon does not answer, its scheduler makes no progress, or standard output cannot be
/// written.
pub async fn status(socket: &Path, args: &StatusArgs) -> Result<Exit, Stop> {
    let now = Daemon::at(socket)?.status().await?;
    match args.format {
        Format::Text => print_text(&table(&now.status, Screen::of_stdout()))?,
        Format::Json => print_json(&now)?,
    };
    let StatusReply {
        beat_age_seconds, ..
    } = now;
    if Duration::try_from_secs_f64(beat_age_seconds).is_ok_and(|age| age < HEALTHY) {
        Ok(Exit::Done)
    } else {
        let what = format!(
            "the daemon answers, but its scheduler made no progress for {beat_age_seconds:.0} \
             s; restart it"
        );
        Err(Stop::failed(&what))
    }
}

/// `trigger`: one run in the daemon, and its report; the exit status is that of `sync`.
///
/// # Errors
/// The daemon refuses the run or goes away, or a stop was requested; the run then continues without
/// being watched.
pub async fn trigger(
    socket: &Path,
    args: &TriggerArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let daemon = Daemon::at(socket)?;
    let job = match &args.job {
        Some(job) => job.clone(),
        None => chosen(&daemon.status().await?.status, None)?.job.clone(),
    };
    let line = ProgressLine::start();
    line.say("asking the daemon");
    let wish = TriggerRequest {
        dry_run: args.dry_run,
        changes: args.changes,
        sudo_user: approver().sudo_user,
    };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(left(&job)),
        ended = watched(&daemon, &job, wish, &line) => ended,
    };
    drop(line);
    match ended? {
        RunUpdate::Finished { report } => show_new(&report, args.format).map(|_| Exit::of(&report)),
        RunUpdate::NothingChanged => nothing_changed(args.format),
        RunUpdate::Ended { error } => Err(Stop::failed(&error)),
        RunUpdate::Waiting | RunUpdate::Started | RunUpdate::Progress(_) => {
            Err(client::daemon_gone())
        }
    }
}

/// Follows a run until it ends.
async fn watched(
    daemon: &Daemon,
    job: &str,
    wish: TriggerRequest,
    line: &ProgressLine,
) -> Result<RunUpdate, Stop> {
    let mut run = daemon.trigger(job, wish).await?;
    loop {
        match run.next().await? {
            RunUpdate::Waiting => {
                line.say("waiting for another run on the same directory, or for a free slot")
            }
            RunUpdate::Started => line.say("reading both servers"),
            RunUpdate::Progress(progress) => line.show(progress),
            end @ (RunUpdate::Finished { .. }
            | RunUpdate::NothingChanged
            | RunUpdate::Ended { .. }) => return Ok(end),
        }
    }
}

fn left(job: &str) -> Stop {
    Stop::failed(&format!(
        "stopped watching; the run of {} continues in the daemon: `status` shows its progress, \
         `runs` its result",
        escape_control(job)
    ))
}

/// The named job, or the only one.
fn chosen<'s>(status: &'s Status, name: Option<&str>) -> Result<&'s JobStatus, Stop> {
    let known = || {
        status
            .jobs
            .iter()
            .map(|job| job.job.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, status.jobs.as_slice()) {
        (Some(name), _) => status.job(name).ok_or_else(|| {
            let job = name.to_owned();
            Stop::usage(&CommandError::UnknownJob {
                job,
                known: known(),
            })
        }),
        (None, [job]) => Ok(job),
        (None, []) => Err(Stop::usage("the daemon has no jobs")),
        (None, [..]) => Err(Stop::usage(&format!(
            "there are several jobs; name one of {}",
            known()
        ))),
    }
}

/// The daemon and its jobs, as text.
fn table(status: &Status, screen: Screen) -> String {
    let mut table = screen.table();
    table.set_header(["JOB", "PHASE", "LAST RUN ENDED", "OUTCOME", "NEXT RUN"]);
    let jobs: Vec<StatusRow> = status.jobs.iter().map(StatusRow::of).collect();
    for StatusRow {
        job,
        phase,
        last_run,
        outcome,
        next_run,
        notes: _,
    } in &jobs
    {
        table.add_row([job, *phase, last_run, outcome, next_run]);
    }
    let mut lines = vec![format!(
        "ftrack-ldap-sync {}, process {}, up since {}{}",
        escape_control(&status.version),
        status.pid,
        status.zone().map_or_else(
            || readable_time(status.started_at, &Local),
            |zone| readable_time(status.started_at, &zone)
        ),
        if status.stopping { ", stopping" } else { "" }
    )];
    for contact in status
        .contacts
        .iter()
        .filter(|contact| contact.since.is_none())
    {
        let why = contact.error.as_deref().unwrap_or("not tried yet");
        lines.push(format!(
            "{} has not been reached: {}",
            escape_control(&contact.server),
            escape_control(why)
        ));
    }
    if let Some(error) = &status.config.error {
        lines.push(format!(
            "the last configuration reload was refused: {}",
            escape_control(error)
        ));
    }
    if !status.config.restart_for.is_empty() {
        lines.push(format!(
            "takes effect after a restart: {}",
            escape_control(&status.config.restart_for.join(", "))
        ));
    }
    lines.push(String::new());
    terminal::unbroken(&mut table, &[0, 2, 4]);
    lines.push(terminal::lines(&table).trim_end().to_owned());
    let notes = jobs.iter().flat_map(|job| {
        job.notes
            .iter()
            .map(move |note| format!("{}: {note}", job.job))
    });
    let mut notes = notes.peekable();
    if notes.peek().is_some() {
        lines.push(String::new());
    }
    lines.extend(notes);
    lines
        .into_iter()
        .flat_map(|line| [line, "\n".to_owned()])
        .collect()
}
