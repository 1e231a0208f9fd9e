//! `pause` and `resume`: of one job, or of all of them, in the running daemon, or where none runs, for
//! whatever runs next.

use std::{path::Path, sync::Arc};

use chrono_tz::Tz;

use super::{
    chosen,
    client::{Daemon, is_there},
    offline,
    pause_text::{Done, GOES_ON, paused_until, until_of},
};
use crate::{
    cli::{Exit, PauseArgs, ResumeArgs, Stop},
    command::sync::approver,
    config::Config,
    daemon::{
        control::{PauseRequest, ResumeRequest},
        status::{JobStatus, Status},
        status_text::StatusRow,
    },
    model::change_kind::ChangeKind,
};

/// `pause`: stops further runs of a job, or one kind of its changes; where no daemon runs, it is saved
/// for whatever runs next.
///
/// # Errors
/// The time is invalid, there is no such job, it has no kinds of change, the daemon does not answer, or
/// the state cannot be written.
pub async fn pause(
    (socket, load): (&Path, &dyn Fn() -> Result<Arc<Config>, Stop>),
    args: &PauseArgs,
) -> Result<Exit, Stop> {
    if !is_there(socket) && args.daemon.socket.is_none() {
        return offline::pause(&*load()?, args);
    }
    let daemon = Daemon::at(socket)?;
    let status = daemon.status().await?.status;
    let jobs = meant(&status, args.job.as_deref(), args.all)?;
    // A time that is wrong for one of them pauses none.
    let mut wishes = Vec::new();
    for job in jobs {
        let zone = job.timezone.parse().unwrap_or(Tz::UTC);
        wishes.push((job, zone, until_of(args, zone)?));
    }
    let mut done = Done::default();
    for (job, zone, until) in wishes {
        let wish = PauseRequest {
            until,
            reason: args.reason.clone(),
            only: args.only,
            sudo_user: approver().sudo_user,
        };
        let paused = daemon.pause(&job.job, &wish).await;
        let line = |job: JobStatus| {
            let running = match (&job.running, args.only) {
                (None, _) => "",
                (Some(_), None) => "; the current run continues",
                (Some(_), Some(_)) => "; the current run goes on with what it has begun to write",
            };
            paused_until(&job.job, args.only, (until, zone), running)
        };
        done.add(&job.job, args.all, paused.map(line))?;
    }
    let goes_on = match (args.only, args.all) {
        (None, false) => format!("The daemon starts no run of it. {GOES_ON}\n"),
        (None, true) => format!("The daemon starts no run of them. {GOES_ON}\n"),
        (Some(_), _) => String::new(),
    };
    done.end(&goes_on)
}

/// `resume`: ends a pause of a job, or of one kind of its changes.
///
/// # Errors
/// There is no such job, the daemon does not answer, or the state cannot be written.
pub async fn resume(
    (socket, load): (&Path, &dyn Fn() -> Result<Arc<Config>, Stop>),
    args: &ResumeArgs,
) -> Result<Exit, Stop> {
    if !is_there(socket) && args.daemon.socket.is_none() {
        return offline::resume(&*load()?, args);
    }
    let daemon = Daemon::at(socket)?;
    let status = daemon.status().await?.status;
    let mut done = Done::default();
    for before in meant(&status, args.job.as_deref(), args.all)? {
        let wish = ResumeRequest { only: args.only };
        match daemon.resume(&before.job, wish).await {
            // No kind of change of that job can be paused, so none is.
            Err(stop) if args.all && args.only.is_some() && stop.exit == Exit::Usage => {}
            resumed => {
                let line = |job: JobStatus| resumed_line(before, &job, args.only);
                done.add(&before.job, args.all, resumed.map(line))?;
            }
        }
    }
    done.end("")
}

/// What became of a pause that was ended.
fn resumed_line(before: &JobStatus, job: &JobStatus, only: Option<ChangeKind>) -> String {
    let StatusRow {
        job: name,
        next_run,
        ..
    } = StatusRow::of(job);
    let (what, was_paused) = match only {
        None => (name.clone(), before.pause.is_some()),
        Some(kind) => (
            format!("{kind} of {name}"),
            before.paused_kinds.contains_key(&kind),
        ),
    };
    let was = if was_paused {
        "is resumed"
    } else {
        "was not paused"
    };
    let stays = job.paused_kinds.keys();
    let stays =
        stays.map(|kind| format!("; {kind} stays paused until `resume {name} --only {kind}`"));
    let stays: String = stays.collect();
    format!("{what} {was}; next run: {next_run}{stays}.\n")
}

/// The jobs that are meant: all of them, the named one, or the only one.
fn meant<'s>(
    status: &'s Status,
    name: Option<&str>,
    all: bool,
) -> Result<Vec<&'s JobStatus>, Stop> {
    if !all {
        let several = |mut stop: Stop| {
            if name.is_none() && status.jobs.len() > 1 {
                stop.lines.push("--all means all of them".to_owned());
            }
            stop
        };
        return chosen(status, name).map(|job| vec![job]).map_err(several);
    }
    if status.jobs.is_empty() {
        return Err(Stop::usage("the daemon has no jobs"));
    }
    Ok(status.jobs.iter().collect())
}
