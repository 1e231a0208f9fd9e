//! `link`, `unlink` and `release`: whose user is whose, by a person's word.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    job,
    progress::ProgressLine,
    sync::{approver, prepare, show_new},
    terminal, users,
};
use crate::{
    cli::{Exit, LinkArgs, ReleaseArgs, Stop, UnlinkArgs},
    config::Config,
    escape::escape_control,
    run::{
        by_hand::{Asked, Request},
        people::UserState,
    },
};

/// `link`: one run that gives a user to a person of the directory.
///
/// # Errors
/// There is no such job, or the run could not start.
pub async fn link(
    config: &Arc<Config>,
    args: &LinkArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let asked = Asked::Link {
        who: named(&args.who, "WHO")?,
        user: named(&args.user, "USER")?,
    };
    let name = job_of_option(config, args.job.as_deref())?;
    run(config, name, (asked, args.dry_run), args.format, cancel).await
}

/// `unlink`: one run that ends that a user is a person's.
///
/// # Errors
/// There is no such job, or the run could not start.
pub async fn unlink(
    config: &Arc<Config>,
    args: &UnlinkArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let asked = Asked::Unlink {
        user: named(&args.user, "USER")?,
    };
    let name = job_of_option(config, args.job.as_deref())?;
    run(config, name, (asked, args.dry_run), args.format, cancel).await
}

/// `release`: one run that takes the links of all users of a job away, once a person said so.
///
/// # Errors
/// There is no such job, nobody said so, or the run could not start.
pub async fn release(
    config: &Arc<Config>,
    args: &ReleaseArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (name, _) = job(config, Some(&args.job))?;
    if !args.yes && !args.dry_run {
        if !terminal::can_ask() {
            return Err(Stop::usage(
                "release hands back all users of the job: say --yes, or run it on a terminal, where \
                 it asks; --dry-run shows whom",
            ));
        }
        let users = users::known(config, name, cancel).await?;
        let linked = users
            .iter()
            .filter(|person| person.state != UserState::Unlinked);
        let question = format!(
            "The links of {} users of the job {} are taken away; nobody is deactivated, and a later \
             sync of the job is a first contact again. Release them? [y/N]",
            linked.count(),
            escape_control(name)
        );
        if !terminal::confirmed(&question, cancel).await? {
            return Err(Stop::failed("not released: nothing was written"));
        }
    }
    let what = (Asked::Release, args.dry_run);
    run(config, name, what, args.format, cancel).await
}

fn named(text: &str, what: &str) -> Result<String, Stop> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Stop::usage(&format!("{what} is empty")));
    }
    Ok(text.to_owned())
}

/// The job of the option, or the only one; the names stand before it, so that it is not one of them.
pub(super) fn job_of_option<'c>(config: &'c Config, named: Option<&str>) -> Result<&'c str, Stop> {
    match job(config, named) {
        Ok((name, _)) => Ok(name),
        Err(stop) if named.is_some() => Err(stop),
        Err(Stop { exit, lines }) => {
            let lines = lines.into_iter();
            let lines = lines.map(|line| format!("{line}, with --job")).collect();
            Err(Stop { exit, lines })
        }
    }
}

async fn run(
    config: &Arc<Config>,
    name: &str,
    (asked, dry_run): (Asked, bool),
    format: crate::cli::Format,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (prepared, servers) = prepare(config, name)?;
    prepared
        .can_be_planned()
        .map_err(|error| Stop::usage(&error))?;
    let state = super::open_state(config)?;
    let is_link = matches!(asked, Asked::Link { .. });
    let request = Request {
        asked,
        by: approver(),
        dry_run,
    };
    let line = ProgressLine::start();
    let show = |progress| line.show(progress);
    let report = prepared.by_hand(&state, &request, cancel, &show).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    let report = report.map_err(|error| super::not_started(&error))?;
    show_new(&report, format)?;
    let exit = Exit::of(&report);
    if exit == Exit::Done && is_link && !dry_run {
        // Where a pause holds it, nothing is written.
        return Ok(Exit::of_approval(&report));
    }
    Ok(exit)
}
