//! `pause` and `resume` where no daemon runs: they are saved where a daemon would save them.

use chrono::Utc;

use super::{GOES_ON, paused_until, until_of};
use crate::{
    cli::{Exit, PauseArgs, ResumeArgs, Stop},
    command::{job, open_state, print_text, sync::approver},
    config::{Config, Job, JobKind},
    daemon::{
        commands::CommandError,
        control::{PauseRequest, pause_of},
    },
    escape::escape_control,
    model::{change_kind::ChangeKind, pause::Pause},
};

/// Saves a pause.
///
/// # Errors
/// There is no such job, it has no kinds of change, the time is invalid, or the state cannot be
/// written.
pub(super) fn pause(config: &Config, args: &PauseArgs) -> Result<Exit, Stop> {
    let (name, job) = pausable(config, args.job.as_deref(), args.only)?;
    let wish = PauseRequest {
        until: until_of(args, job.timezone)?,
        reason: args.reason.clone(),
        only: args.only,
        sudo_user: None,
    };
    let until = wish.until;
    let pause =
        pause_of(wish, Utc::now(), &approver()).map_err(|error| Stop::usage(&error.error))?;
    save(config, name, args.only, Some(&pause))?;
    let counts = match args.only {
        Some(_) => {
            "for `sync` by hand and from cron, and for the daemon when it starts. A run that \
                    is under way and has not begun to write holds it as well."
                .to_owned()
        }
        None => format!("for the daemon when it starts. {GOES_ON}"),
    };
    let paused = paused_until(name, args.only, (until, job.timezone), "");
    print_text(&format!("{paused}{}", saved(config, &counts)))
}

/// Saves the end of a pause.
///
/// # Errors
/// There is no such job, it has no kinds of change, or the state cannot be written.
pub(super) fn resume(config: &Config, args: &ResumeArgs) -> Result<Exit, Stop> {
    let (name, _) = pausable(config, args.job.as_deref(), args.only)?;
    let now = Utc::now();
    let was_paused = {
        let state = open_state(config)?;
        let pause = match args.only {
            None => state.pause(name),
            Some(kind) => state
                .paused_kinds(name)
                .map(|mut paused| paused.remove(&kind)),
        };
        let pause = pause.map_err(|error| Stop::failed(&error))?;
        pause.is_some_and(|pause: Pause| !pause.is_over(now))
    };
    save(config, name, args.only, None)?;
    let name = escape_control(name);
    let what = args
        .only
        .map_or_else(|| name.to_string(), |kind| format!("{kind} of {name}"));
    let was = if was_paused {
        "is resumed"
    } else {
        "was not paused"
    };
    print_text(&format!("{what} {was}.\n{}", saved(config, "at once.")))
}

fn saved(config: &Config, counts: &str) -> String {
    format!(
        "No daemon listens on {}, so it is saved in {}: it counts {counts}\n",
        config.control_socket.display(),
        config.state_dir.display()
    )
}

/// The named job, or the only one, if that can be paused.
fn pausable<'c>(
    config: &'c Config,
    name: Option<&str>,
    only: Option<ChangeKind>,
) -> Result<(&'c str, &'c Job), Stop> {
    let (name, job) = job(config, name)?;
    match (&job.kind, only) {
        (JobKind::FtrackLdap(_), Some(_)) => {
            Err(Stop::usage(&CommandError::NoKinds(name.to_owned())))
        }
        (JobKind::FtrackLdap(_), None) | (JobKind::Ldap(_), _) => Ok((name, job)),
    }
}

fn save(
    config: &Config,
    job: &str,
    only: Option<ChangeKind>,
    pause: Option<&Pause>,
) -> Result<(), Stop> {
    let state = open_state(config)?;
    let saved = match only {
        None => state.set_pause(job, pause),
        Some(kind) => state.set_paused_kind(job, kind, pause),
    };
    saved.map_err(|error| Stop::failed(&error))
}
