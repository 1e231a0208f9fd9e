//! `pause` and `resume` where no daemon can be reached: they are saved where a daemon saves them, and
//! where a running one looks each second, and before each run.

use chrono::Utc;

use super::elsewhere::elsewhere;
use super::pause_text::{Done, GOES_ON, paused_until, until_of};
use crate::{
    cli::{Exit, PauseArgs, ResumeArgs, Stop},
    command::{job, open_state, sync::approver},
    config::{Config, Job, JobKind},
    daemon::{
        commands::CommandError,
        control::{PauseRequest, pause_of},
    },
    escape::escape_control,
    model::{change_kind::ChangeKind, pause::Pause},
    state::{State, lock::has_daemon},
};

/// Saves a pause.
///
/// # Errors
/// There is no such job, it has no kinds of change, the time is invalid, or the state cannot be
/// written.
pub(super) fn pause(config: &Config, args: &PauseArgs) -> Result<Exit, Stop> {
    let jobs = meant(config, args.job.as_deref(), args.all)?;
    let mut wishes = Vec::new();
    for (name, job) in jobs {
        let wish = PauseRequest {
            until: until_of(args, job.timezone)?,
            reason: args.reason.clone(),
            only: args.only,
            sudo_user: None,
        };
        let until = wish.until;
        let pause =
            pause_of(wish, Utc::now(), &approver()).map_err(|error| Stop::usage(&error.error))?;
        wishes.push((name, job, until, pause));
    }
    let state = open_state(config)?;
    let mut done = Done::default();
    for (name, job, until, pause) in wishes {
        let saved = has_kinds(name, job, args.only)
            .and_then(|()| save(&state, name, args.only, Some(&pause)));
        let line = |()| paused_until(name, args.only, (until, job.timezone), "");
        done.add(name, args.all, saved.map(line))?;
    }
    let for_daemon = if has_daemon(&config.state_dir) {
        "for the daemon within a second"
    } else {
        "for the daemon when it starts"
    };
    let counts = match args.only {
        Some(_) => format!(
            "for `sync` by hand and from cron, and {for_daemon}. A run that is under way and has not \
             begun to write holds it as well."
        ),
        None => format!("{for_daemon}, which then starts no run of it. {GOES_ON}"),
    };
    done.end(&saved(config, &counts))
}

/// Saves the end of a pause.
///
/// # Errors
/// There is no such job, it has no kinds of change, or the state cannot be written.
pub(super) fn resume(config: &Config, args: &ResumeArgs) -> Result<Exit, Stop> {
    let jobs = meant(config, args.job.as_deref(), args.all)?;
    let state = open_state(config)?;
    let mut done = Done::default();
    for (name, job) in jobs {
        let has_kinds = has_kinds(name, job, args.only);
        // No kind of change of that job can be paused, so none is.
        if !(args.all && has_kinds.is_err()) {
            let resumed = has_kinds.and_then(|()| end(&state, name, args.only));
            done.add(name, args.all, resumed)?;
        }
    }
    let counts = if has_daemon(&config.state_dir) {
        "for the daemon within a second."
    } else {
        "at once."
    };
    done.end(&saved(config, counts))
}

/// Ends a pause, and says of what.
fn end(state: &State, name: &str, only: Option<ChangeKind>) -> Result<String, Stop> {
    let pause = match only {
        None => state.pause(name),
        Some(kind) => state
            .paused_kinds(name)
            .map(|mut paused| paused.remove(&kind)),
    };
    let pause = pause.map_err(|error| Stop::failed(&error))?;
    let now = Utc::now();
    let was_paused = pause.is_some_and(|pause: Pause| !pause.is_over(now));
    save(state, name, only, None)?;
    let name = escape_control(name);
    let what = only.map_or_else(|| name.to_string(), |kind| format!("{kind} of {name}"));
    let was = if was_paused {
        "is resumed"
    } else {
        "was not paused"
    };
    Ok(format!("{what} {was}.\n"))
}

fn saved(config: &Config, counts: &str) -> String {
    let (socket, state_dir) = (&config.control_socket, config.state_dir.display());
    match elsewhere(&config.state_dir, socket) {
        Some(why) => format!("It is saved in {state_dir}, and counts {counts} But {why}.\n"),
        None => format!(
            "No daemon listens on {}, so it is saved in {state_dir}: it counts {counts}\n",
            socket.display()
        ),
    }
}

/// The jobs that are meant: all of them, the named one, or the only one.
fn meant<'c>(
    config: &'c Config,
    name: Option<&str>,
    all: bool,
) -> Result<Vec<(&'c str, &'c Job)>, Stop> {
    if !all {
        return job(config, name).map(|job| vec![job]);
    }
    let jobs = config.jobs.iter();
    Ok(jobs.map(|(name, job)| (name.as_str(), job)).collect())
}

/// Whether a job can be paused, or this kind of its changes.
fn has_kinds(name: &str, job: &Job, only: Option<ChangeKind>) -> Result<(), Stop> {
    match (&job.kind, only) {
        (JobKind::FtrackLdap(_), Some(_)) => {
            Err(Stop::usage(&CommandError::NoKinds(name.to_owned())))
        }
        (JobKind::FtrackLdap(_), None) | (JobKind::Ldap(_), _) => Ok(()),
    }
}

fn save(
    state: &State,
    job: &str,
    only: Option<ChangeKind>,
    pause: Option<&Pause>,
) -> Result<(), Stop> {
    let saved = match only {
        None => state.set_pause(job, pause),
        Some(kind) => state.set_paused_kind(job, kind, pause),
    };
    saved.map_err(|error| Stop::failed(&error))
}
