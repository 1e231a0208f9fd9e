//! `status`, `trigger`, `pause` and `resume`: what people ask of a running daemon.

use std::{path::Path, time::Duration};

use chrono::Utc;
use comfy_table::{Table, presets::NOTHING};
use tokio_util::sync::CancellationToken;

use super::{print, print_json, progress::ProgressLine, sync::show};
use crate::{
    cli::{Exit, Format, PauseArgs, ResumeArgs, StatusArgs, Stop, TriggerArgs},
    config::Findings,
    daemon::{
        commands::{CommandError, RunUpdate},
        control::{PauseRequest, StatusReply, TriggerRequest},
        heartbeat::HEALTHY,
        status::{JobStatus, Status},
        status_text::{StatusRow, in_words},
    },
    escape::escape_control,
};

mod client;
mod until;

use client::Daemon;

/// Says why the configuration does not tell where the daemon is.
#[must_use]
pub fn unreadable(findings: &Findings) -> Stop {
    let mut stop = Stop::usage(findings);
    stop.lines.push(
        "where the daemon listens is not known from it; --socket PATH names its control socket"
            .to_owned(),
    );
    stop
}

/// `status`: 0 when the daemon answers and makes progress, 1 otherwise.
///
/// # Errors
/// The daemon does not answer, makes no progress, or standard output cannot be written.
pub async fn status(socket: &Path, args: &StatusArgs) -> Result<Exit, Stop> {
    let now = Daemon::at(socket)?.status().await?;
    match args.format {
        Format::Text => print(&table(&now.status))?,
        Format::Json => print_json(&now)?,
    };
    let StatusReply {
        beat_age_seconds, ..
    } = now;
    if Duration::try_from_secs_f64(beat_age_seconds).is_ok_and(|age| age < HEALTHY) {
        Ok(Exit::Done)
    } else {
        let what = format!(
            "the daemon answers, but its scheduler has made no progress for {beat_age_seconds:.0} \
             s; restart it"
        );
        Err(Stop::failed(&what))
    }
}

/// `trigger`: one run in the daemon, and its report; the status is that of `sync`.
///
/// # Errors
/// The daemon does not run it, goes away, or somebody asked to stop watching; the run goes on then.
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
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(left(&job)),
        ended = watched(&daemon, &job, TriggerRequest { dry_run: args.dry_run }, &line) => ended,
    };
    drop(line);
    match ended? {
        RunUpdate::Finished { report } => show(&report, args.format).map(|_| Exit::of(&report)),
        RunUpdate::Ended { error } => Err(Stop::failed(&error)),
        RunUpdate::Waiting | RunUpdate::Started | RunUpdate::Progress(_) => {
            Err(client::daemon_gone())
        }
    }
}

/// `pause`: a job waits.
///
/// # Errors
/// The time is none, there is no such job, or the daemon does not answer.
pub async fn pause(socket: &Path, args: &PauseArgs) -> Result<Exit, Stop> {
    let daemon = Daemon::at(socket)?;
    let status = daemon.status().await?.status;
    let job = chosen(&status, args.job.as_deref())?;
    let zone = job.timezone.parse().unwrap_or(chrono_tz::Tz::UTC);
    let until = args
        .until
        .as_deref()
        .map(|text| until::time(text, Utc::now(), zone))
        .transpose();
    let until = until.map_err(|error| {
        Stop::usage(&format!(
            "--until {}: {error}",
            escape_control(args.until.as_deref().unwrap_or_default())
        ))
    })?;
    let wish = PauseRequest {
        until,
        reason: args.reason.clone(),
    };
    let job = daemon.pause(&job.job, &wish).await?;
    let name = escape_control(&job.job);
    let running = if job.running.is_some() {
        "; the run that is under way goes on"
    } else {
        ""
    };
    match job.pause.as_ref().and_then(|pause| pause.until) {
        Some(until) => print(&format!(
            "{name} is paused until {}{running}.\n",
            in_words(until, zone)
        )),
        None => print(&format!(
            "{name} is paused until `resume {name}`{running}.\n"
        )),
    }
}

/// `resume`: a job goes on.
///
/// # Errors
/// There is no such job, or the daemon does not answer.
pub async fn resume(socket: &Path, args: &ResumeArgs) -> Result<Exit, Stop> {
    let daemon = Daemon::at(socket)?;
    let status = daemon.status().await?.status;
    let before = chosen(&status, args.job.as_deref())?;
    let job = daemon.resume(&before.job).await?;
    let StatusRow {
        job: name,
        next_run,
        ..
    } = StatusRow::of(&job);
    let was = if before.pause.is_some() {
        "goes on"
    } else {
        "was not paused"
    };
    print(&format!("{name} {was}; next run: {next_run}.\n"))
}

/// Hears of a run until its end.
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
                line.say("waiting for another run on the directory, or for a free place")
            }
            RunUpdate::Started => line.say("reading both servers"),
            RunUpdate::Progress(progress) => line.show(progress),
            end @ (RunUpdate::Finished { .. } | RunUpdate::Ended { .. }) => return Ok(end),
        }
    }
}

fn left(job: &str) -> Stop {
    Stop::failed(&format!(
        "watches no longer; a run of {} goes on in the daemon, `status` shows how far it is and \
         `runs` what became of it",
        escape_control(job)
    ))
}

/// The job that was named, or the only one.
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
        (None, []) => Err(Stop::usage("the daemon has no job")),
        (None, [..]) => Err(Stop::usage(&format!(
            "there are several jobs; name one of {}",
            known()
        ))),
    }
}

/// The daemon and its jobs, for people.
fn table(status: &Status) -> String {
    let mut table = Table::new();
    *table.style_mut() = NOTHING;
    table.set_header(["JOB", "PHASE", "LAST RUN", "OUTCOME", "NEXT RUN"]);
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
        in_words(status.started_at, Utc),
        if status.stopping { ", stopping" } else { "" }
    )];
    for contact in status
        .contacts
        .iter()
        .filter(|contact| contact.since.is_none())
    {
        let why = contact.error.as_deref().unwrap_or("it was not tried yet");
        lines.push(format!(
            "{} was not reached: {}",
            escape_control(&contact.server),
            escape_control(why)
        ));
    }
    if let Some(error) = &status.config.error {
        lines.push(format!(
            "the configuration that was last to be loaded is refused: {}",
            escape_control(error)
        ));
    }
    if !status.config.restart_for.is_empty() {
        lines.push(format!(
            "used after a restart only: {}",
            escape_control(&status.config.restart_for.join(", "))
        ));
    }
    lines.push(String::new());
    lines.extend(
        table
            .to_string()
            .lines()
            .map(|line| line.trim_end().to_owned()),
    );
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
