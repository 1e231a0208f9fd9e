//! `undo` and `restore`: a person has users put back.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    not_started, open_state,
    progress::ProgressLine,
    runs, snapshots,
    sync::{approver, prepare, show_new},
    terminal,
};
use crate::{
    cli::{Exit, Format, RestoreArgs, Stop, UndoArgs},
    config::Config,
    escape::escape_control,
    model::report::{Outcome, Report, Trigger},
    run::{
        failure::{PutBackError, RunStartError},
        put_back::{PutBackOrder, ToPutBack, many},
        text::capital,
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
    let (run, job) = undone(config, args)?;
    let order = PutBackOrder {
        what: ToPutBack::Run(run.clone()),
        only: args.put_back.only.clone(),
        dry_run: args.put_back.dry_run,
        confirmed: args.yes,
        by: approver(),
    };
    if !config.jobs.contains_key(&job) {
        let mut stop = Stop::usage(&PutBackError::NoJob { run, job });
        if args.run == "last" && args.put_back.job.is_none() {
            stop.lines.push(undo_of_others(config));
        }
        return Err(stop);
    }
    let asking = Asking {
        question: "Undo this? [y/N]",
        refused: "not undone: nothing was written",
        yes: args.yes,
    };
    let of = (&state, &*job);
    once_confirmed(config, of, (order, &asking), args.put_back.format, cancel).await
}

/// A job that is named exists, or did.
fn check_job(config: &Config, history: &History, job: Option<&str>) -> Result<(), Stop> {
    runs::check_known(history, job, config.jobs.keys().cloned())
}

/// How the last runs of the jobs are undone that are configured.
fn undo_of_others(config: &Config) -> String {
    let known: Vec<String> = config
        .jobs
        .keys()
        .map(|job| format!("`undo last --job {}`", escape_control(job)))
        .collect();
    let known = known.join(", ");
    format!("it is the last run that wrote anything; of a job that is configured: {known}")
}

/// The run that is meant, and its job. `last` is the last one that wrote anything: others may have run
/// since, or only shown what they would do.
fn undone(config: &Config, args: &UndoArgs) -> Result<(String, String), Stop> {
    let history = History::new(&config.state_dir);
    check_job(config, &history, args.put_back.job.as_deref())?;
    if args.run != "last" {
        let found = history.find(&args.run, args.put_back.job.as_deref());
        let found = found.map_err(runs::stop)?;
        return Ok((found.run, found.job));
    }
    if args.put_back.job.is_none() && config.jobs.len() > 1 {
        return Err(Stop::usage(
            "there are several jobs: name the one whose last run is to be undone, with --job, or name \
             the run",
        ));
    }
    let last = history.last_that_wrote(args.put_back.job.as_deref());
    let last = last.map_err(runs::stop)?;
    if last.trigger == Trigger::Undo {
        let undo = history.load(&last.job, &last.run).map_err(runs::stop)?;
        return Err(Stop::usage(&format!(
            "the last run that wrote anything, {}, is an undo itself. `undo {}` finishes it, where it \
             was interrupted; `undo {}` puts back what it wrote; `runs` lists the runs before it",
            undo.run,
            undo.undoes.as_deref().unwrap_or_default(),
            undo.run
        )));
    }
    Ok((last.run, last.job))
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
    let job = args.put_back.job.as_deref();
    check_job(config, &History::new(&config.state_dir), job)?;
    if args.snapshot == "last" && job.is_none() && config.jobs.len() > 1 {
        return Err(Stop::usage(
            "there are several jobs: name the one whose last snapshot is to be restored, with --job, \
             or name the snapshot",
        ));
    }
    let saved = Snapshots::new(&config.state_dir);
    let found = saved.find(&args.snapshot, job);
    let head = found.map_err(|error| snapshots::stop(&error))?.head;
    let order = PutBackOrder {
        what: ToPutBack::Snapshot(head.run.clone()),
        only: args.put_back.only.clone(),
        dry_run: args.put_back.dry_run,
        confirmed: args.yes,
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
    let asking = Asking {
        question: "The next run does not do it again. Restore this? [y/N]",
        refused: "not restored: nothing was written",
        yes: args.yes,
    };
    let of = (&state, &*head.job);
    once_confirmed(config, of, (order, &asking), args.put_back.format, cancel).await
}

/// What somebody at a terminal is asked before anything is put back.
struct Asking {
    question: &'static str,
    /// What is said where the answer is not yes.
    refused: &'static str,
    /// Whether the answer was given on the command line.
    yes: bool,
}

/// Puts it back; on a terminal only after it was shown and confirmed, since it may reach far more than
/// whoever asks for it has in mind. Where nobody can be asked, it must not deactivate many.
async fn once_confirmed(
    config: &Arc<Config>,
    of: (&State, &str),
    (mut order, asking): (PutBackOrder, &Asking),
    format: Format,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    if order.dry_run || asking.yes || !terminal::can_ask() {
        return put_back(config, of, &order, format, cancel).await;
    }
    order.dry_run = true;
    let shown = run(config, of, &order, cancel).await?;
    show_new(&shown, format)?;
    if shown.outcome == Outcome::Failed || shown.changes.is_empty() {
        return Ok(Exit::of(&shown));
    }
    let many = many::warning_in(&shown).map(|many| format!("{}\n", capital(many)));
    let question = many.unwrap_or_default() + asking.question;
    if !terminal::confirmed(&question, cancel).await? {
        return Err(Stop::failed(asking.refused));
    }
    (order.dry_run, order.confirmed) = (false, true);
    put_back(config, of, &order, format, cancel).await
}

/// Makes the reports of interrupted runs, so that the last one is among those that can be named; a job
/// that runs now has none.
fn recover_all(config: &Arc<Config>, state: &State) -> Result<(), Stop> {
    for name in config.jobs.keys() {
        let (job, _) = prepare(config, name)?;
        match job.recover_interrupted(state) {
            Ok(_) | Err(RunStartError::Busy(_)) => {}
            Err(error) => return Err(not_started(&error)),
        }
    }
    Ok(())
}

async fn put_back(
    config: &Arc<Config>,
    of: (&State, &str),
    order: &PutBackOrder,
    format: Format,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let report = run(config, of, order, cancel).await?;
    show_new(&report, format)?;
    Ok(Exit::of(&report))
}

async fn run(
    config: &Arc<Config>,
    (state, job): (&State, &str),
    order: &PutBackOrder,
    cancel: &CancellationToken,
) -> Result<Report, Stop> {
    let (prepared, servers) = prepare(config, job)?;
    let line = ProgressLine::start();
    line.say("reading ftrack");
    let progress = |progress| line.show(progress);
    let report = prepared.put_back(state, order, cancel, &progress).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    report.map_err(|error| not_started(&error))
}
