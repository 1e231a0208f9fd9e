//! `approve` and `reject`: a person lets a hold be written, or never.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    control::client::{Daemon, daemon_gone, is_there},
    holds, not_decided, not_started, open_state, print_text,
    progress::ProgressLine,
    sync::{approver, prepare, show_new},
};
use crate::{
    cli::{ApproveArgs, Exit, RejectArgs, Stop},
    config::Config,
    daemon::{commands::RunUpdate, control::DecisionRequest},
    escape::escape_control,
    model::{
        hold_number::{HoldName, HoldNumber},
        report::Report,
    },
    run::{
        approval::HoldDecision,
        failure::{HoldError, RunStartError},
        rejection,
        rejection::Rejection,
    },
    state::State,
};

/// `approve`: one run that writes what a hold holds, in the running daemon, or here where none runs.
///
/// # Errors
/// There is nothing to approve, or the run could not start.
pub async fn approve(
    (socket, load): (&Path, &dyn Fn() -> Result<Arc<Config>, Stop>),
    args: &ApproveArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let line = ProgressLine::start();
    let report = if is_there(socket) || args.daemon.socket.is_some() {
        line.say("asking the daemon");
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Stop::failed(
                "stopped watching; the approval continues in the daemon: `runs` shows its result",
            )),
            report = by_daemon(socket, args, &line) => report,
        }
    } else {
        here(&load()?, args, cancel, &line).await
    };
    drop(line);
    let report = report?;
    show_new(&report, args.format)?;
    Ok(Exit::of(&report))
}

/// `reject`: what a hold holds is not written until its cause has ended.
///
/// # Errors
/// There is nothing to reject, or it cannot be saved.
pub async fn reject(
    (socket, load): (&Path, &dyn Fn() -> Result<Arc<Config>, Stop>),
    args: &RejectArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let by = approver();
    let by_daemon = is_there(socket) || args.daemon.socket.is_some();
    let (hold, Rejection { people, pending }) = if by_daemon {
        let only = args.only.clone();
        let sudo_user = by.sudo_user;
        let decision = DecisionRequest { only, sudo_user };
        let daemon = Daemon::at(socket)?;
        let hold = asked(&daemon, &args.hold).await?;
        let reply = daemon.reject(hold, &decision).await?;
        let (people, pending) = (reply.rejected, reply.pending);
        (hold, Rejection { people, pending })
    } else {
        let config = load()?;
        let state = open_state(&config)?;
        let (hold, only) = (known(&state, &args.hold)?, args.only.clone());
        let decision = HoldDecision { hold, only, by };
        let rejected = reject_here(&config, &state, &decision, cancel).await?;
        (hold, rejected.map_err(|error| not_started(&error))?)
    };
    let what = if people == 1 {
        "change is"
    } else {
        "changes are"
    };
    let pending = pending.map_or_else(String::new, |why| {
        let why = escape_control(&why);
        format!(
            "It does not stand in the users' links at ftrack yet, and the next run writes it into \
             them: {why}\n"
        )
    });
    print_text(&format!(
        "{people} {what} rejected, and not written until the cause has ended, or until \
         `unreject {hold}`.\n{pending}"
    ))
}

/// Rejects without a daemon: of a job that is configured no more, in the state alone.
async fn reject_here(
    config: &Arc<Config>,
    state: &State,
    decision: &HoldDecision,
    cancel: &CancellationToken,
) -> Result<Result<Rejection, RunStartError>, Stop> {
    let job = decision.job(state).map_err(|error| not_decided(&error))?;
    if !config.jobs.contains_key(&job) {
        let rejected = rejection::reject(state, &config.state_dir, decision, cancel).await;
        return Ok(rejected.map(|people| {
            let pending = None;
            Rejection { people, pending }
        }));
    }
    let (prepared, servers) = prepare(config, &job)?;
    let rejected = prepared.reject(state, decision, cancel).await;
    super::lift_lockouts(config, &servers);
    Ok(rejected)
}

/// The number of the hold that a person means, among those of a daemon.
async fn asked(daemon: &Daemon, name: &HoldName) -> Result<HoldNumber, Stop> {
    let open = match name.exact() {
        Some(_) => Vec::new(),
        None => daemon.holds().await?,
    };
    holds::number(name, open.into_iter().map(|hold| hold.hold))
}

/// The same among those of the state.
pub(super) fn known(state: &State, name: &HoldName) -> Result<HoldNumber, Stop> {
    let all = state.all_holds().map_err(|error| Stop::failed(&error))?;
    holds::meant(name, &all)
}

async fn by_daemon(socket: &Path, args: &ApproveArgs, line: &ProgressLine) -> Result<Report, Stop> {
    let decision = DecisionRequest {
        only: args.only.clone(),
        sudo_user: approver().sudo_user,
    };
    let daemon = Daemon::at(socket)?;
    let hold = asked(&daemon, &args.hold).await?;
    let mut run = daemon.approve(hold, &decision).await?;
    loop {
        match run.next().await? {
            RunUpdate::Waiting | RunUpdate::Started => line.say("reading both servers"),
            RunUpdate::Progress(progress) => line.show(progress),
            RunUpdate::Finished { report } => return Ok(*report),
            RunUpdate::Ended { error } => return Err(Stop::failed(&error)),
            RunUpdate::NothingChanged => return Err(daemon_gone()),
        }
    }
}

async fn here(
    config: &Arc<Config>,
    args: &ApproveArgs,
    cancel: &CancellationToken,
    line: &ProgressLine,
) -> Result<Report, Stop> {
    let state = open_state(config)?;
    let hold = known(&state, &args.hold)?;
    let decision = HoldDecision {
        hold,
        only: args.only.clone(),
        by: approver(),
    };
    let job = decision.job(&state).map_err(|error| not_decided(&error))?;
    if !config.jobs.contains_key(&job) {
        return Err(not_decided(&HoldError::NoJob { hold, job }));
    }
    let (prepared, servers) = prepare(config, &job)?;
    let progress = |progress| line.show(progress);
    let report = prepared.approve(&state, &decision, cancel, &progress).await;
    super::lift_lockouts(config, &servers);
    report.map_err(|error| not_started(&error))
}
