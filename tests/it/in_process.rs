//! The commands `sync`, `plan` and `apply` in the process of the test: the same configuration
//! file, the same clients and the same state directory, without a program around them.
//!
//! This is the only place where the tests call a run.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Result, anyhow};
use clap::Parser;
use ftrack_ldap_sync::{
    cli::{ApplyArgs, Cli, Command, Exit, PlanArgs, SyncArgs},
    config,
    config::{Config, Environment},
    model::{
        explanation::Explanation,
        report::{Approver, Report, Trigger},
    },
    run::{CompiledJob, Purpose, failure::RunStartError, saved::SavedPlan, servers::Servers},
    state::State,
};
use tokio_util::sync::CancellationToken;

/// What the program would print, and how it would end.
#[derive(Debug)]
pub struct Finished<T> {
    /// The report, or the plan.
    pub result: T,
    /// The exit status.
    pub status: i32,
}

/// Whether a run could not start because another one has the lock of its job.
///
/// A process that another test starts shares the open files of this one until its own program
/// begins, the lock of a run that has just ended included.
pub fn is_busy(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RunStartError::Busy(_)))
}

/// A command that gives a report: `sync` or `apply`, with the arguments of the command line.
pub async fn report(file: &Path, arguments: &[&str]) -> Result<Finished<Report>> {
    let command = command(arguments)?;
    let mut only = Vec::new();
    let (job, purpose) = if let Command::Sync(args) = command {
        let SyncArgs { job, dry_run, .. } = args;
        only = args.only;
        let purpose = if dry_run {
            Purpose::DryRun
        } else {
            Purpose::Sync
        };
        (job, purpose)
    } else if let Command::Apply(ApplyArgs { file, .. }) = command {
        let plan = SavedPlan::load(&file)?;
        let by = Approver::of_user(0, None);
        (Some(plan.job.clone()), Purpose::Approved { plan, by })
    } else {
        return Err(anyhow!("{arguments:?} gives no report"));
    };
    let config = load(file)?;
    let job = compiled(&config, job.as_deref())?.only(only);
    if !matches!(purpose, Purpose::Sync) {
        job.can_be_planned()?;
    }
    let (state, _) = State::open(&config)?;
    let cancel = CancellationToken::new();
    let result = job
        .run(&state, Trigger::Manual, purpose, &cancel, &|_| ())
        .await?;
    let status = i32::from(Exit::of(&result).number());
    Ok(Finished { result, status })
}

/// `plan`, with the arguments of the command line; `--out` writes the file.
pub async fn plan(file: &Path, arguments: &[&str]) -> Result<SavedPlan> {
    let Command::Plan(PlanArgs { job, out, .. }) = command(arguments)? else {
        return Err(anyhow!("{arguments:?} gives no plan"));
    };
    let config = load(file)?;
    let job = compiled(&config, job.as_deref())?;
    let plan = job.plan(&CancellationToken::new(), &|_| ()).await?;
    if let Some(path) = out {
        fs::write(path, serde_json::to_vec_pretty(&plan)?)?;
    }
    Ok(plan)
}

/// `explain`, with the arguments of the command line.
pub async fn explain(file: &Path, arguments: &[&str]) -> Result<Explanation> {
    let Command::Explain(args) = command(arguments)? else {
        return Err(anyhow!("{arguments:?} explains nobody"));
    };
    let config = load(file)?;
    let [who] = args.who.as_slice() else {
        return Err(anyhow!("{arguments:?} names a job"));
    };
    let job = compiled(&config, None)?;
    Ok(job.explain(who, &CancellationToken::new(), &|_| ()).await?)
}

fn command(arguments: &[&str]) -> Result<Command> {
    let line = ["ftrack-ldap-sync"].iter().chain(arguments);
    Ok(Cli::try_parse_from(line)?.command)
}

fn load(file: &Path) -> Result<Arc<Config>> {
    let config = config::load(file, &Environment::default());
    config
        .map(Arc::new)
        .map_err(|findings| anyhow!("{findings}"))
}

fn compiled(config: &Arc<Config>, job: Option<&str>) -> Result<CompiledJob> {
    let (name, _) = config.job(job)?;
    CompiledJob::new(config, name, &Servers::new(config)?)
}
