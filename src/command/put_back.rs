//! `undo` and `restore`: a person has users put back.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    open_state,
    progress::ProgressLine,
    runs, snapshots,
    sync::{approver, prepare, show_new},
};
use crate::{
    cli::{Exit, RestoreArgs, Stop, UndoArgs},
    config::Config,
    run::{
        failure::{PutBackError, RunStartError},
        put_back::{PutBackOrder, ToPutBack},
    },
    state::{State, history::History, snapshots::Snapshots},
};

/// `undo`: one run that puts back what another one wrote.
///
/// # Errors
/// There is no such run, it cannot be undone, or the run could not start.
pub async fn undo(
    config: &Arc<Config>,
    args: &UndoArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let state = open_state(config)?;
    recover_all(config, &state)?;
    let history = History::new(&config.state_dir);
    let undone = history
        .find(&args.run, args.job.as_deref())
        .map_err(runs::stop)?;
    let order = PutBackOrder {
        what: ToPutBack::Run(undone.run.clone()),
        only: args.only.clone(),
        dry_run: args.dry_run,
        by: approver(),
    };
    if !config.jobs.contains_key(&undone.job) {
        let (run, job) = (undone.run, undone.job);
        return Err(Stop::usage(&PutBackError::NoJob { run, job }));
    }
    put_back(config, (&state, &undone.job), &order, args.format, cancel).await
}

/// `restore`: one run that puts users back to a snapshot.
///
/// # Errors
/// There is no such snapshot, it cannot be restored, or the run could not start.
pub async fn restore(
    config: &Arc<Config>,
    args: &RestoreArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let saved = Snapshots::new(&config.state_dir);
    let found = saved.find(&args.snapshot, args.job.as_deref());
    let head = found.map_err(|error| snapshots::stop(&error))?.head;
    let order = PutBackOrder {
        what: ToPutBack::Snapshot(head.run.clone()),
        only: args.only.clone(),
        dry_run: args.dry_run,
        by: approver(),
    };
    if !config.jobs.contains_key(&head.job) {
        return Err(Stop::usage(&format!(
            "the snapshot {} is of the job {:?}, which is not configured any more, so it cannot be \
             restored",
            head.snapshot, head.job
        )));
    }
    let state = open_state(config)?;
    put_back(config, (&state, &head.job), &order, args.format, cancel).await
}

/// Makes the reports of interrupted runs, so that the last one is among those that can be named; a job
/// that runs now has none.
fn recover_all(config: &Arc<Config>, state: &State) -> Result<(), Stop> {
    for name in config.jobs.keys() {
        let (job, _) = prepare(config, name)?;
        match job.recover_interrupted(state) {
            Ok(_) | Err(RunStartError::Busy(_)) => {}
            Err(error) => return Err(stop(&error)),
        }
    }
    Ok(())
}

async fn put_back(
    config: &Arc<Config>,
    (state, job): (&State, &str),
    order: &PutBackOrder,
    format: crate::cli::Format,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (prepared, servers) = prepare(config, job)?;
    let line = ProgressLine::start();
    line.say("reading ftrack");
    let progress = |progress| line.show(progress);
    let report = prepared.put_back(state, order, cancel, &progress).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    let report = report.map_err(|error| stop(&error))?;
    show_new(&report, format)?;
    Ok(Exit::of(&report))
}

fn stop(error: &RunStartError) -> Stop {
    match error {
        RunStartError::PutBack(
            PutBackError::NoJob { .. }
            | PutBackError::OfFtrack { .. }
            | PutBackError::DryRun { .. }
            | PutBackError::OtherServer { .. }
            | PutBackError::Nobody { .. },
        )
        | RunStartError::NoChanges(_)
        | RunStartError::OnlyObserves(_)
        | RunStartError::Misnamed(_) => Stop::usage(error),
        RunStartError::Busy(_)
        | RunStartError::State(_)
        | RunStartError::NotPlannable(_)
        | RunStartError::Hold(_)
        | RunStartError::PutBack(PutBackError::Report(_) | PutBackError::Snapshot(_)) => {
            Stop::failed(error)
        }
    }
}
