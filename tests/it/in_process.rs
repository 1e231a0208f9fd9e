//! The commands `sync`, `plan` and `apply` in the process of the test: the same configuration
//! file, the same clients and the same state directory, without a program around them.
//!
//! This is the only place where the tests call a run.

use std::{fs, path::Path, sync::Arc};

use clap::Parser;
use ftrack_ldap_sync::{
    cli::{ApplyArgs, Cli, Command, Exit, PlanArgs, SyncArgs},
    config,
    config::{Config, Environment},
    model::report::{Report, Trigger},
    run::{CompiledJob, Purpose, saved::SavedPlan, servers::Servers},
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

/// A command that gives a report: `sync` or `apply`, with the arguments of the command line.
pub async fn report(file: &Path, arguments: &[&str]) -> Result<Finished<Report>, String> {
    let (job, purpose) = match command(arguments)? {
        Command::Sync(SyncArgs { job, dry_run, .. }) => {
            let purpose = if dry_run {
                Purpose::DryRun
            } else {
                Purpose::Sync
            };
            (job, purpose)
        }
        Command::Apply(ApplyArgs { file, .. }) => {
            let plan = SavedPlan::load(&file).map_err(|error| error.to_string())?;
            (Some(plan.job.clone()), Purpose::Approved(plan))
        }
        other => return Err(format!("{other:?} gives no report")),
    };
    let config = load(file)?;
    let job = compiled(&config, job.as_deref())?;
    if !matches!(purpose, Purpose::Sync) {
        job.can_be_planned().map_err(|error| error.to_string())?;
    }
    let (state, _) = State::open(&config).map_err(|error| error.to_string())?;
    let cancel = CancellationToken::new();
    let result = job
        .run(&state, Trigger::Manual, purpose, &cancel, &|_| ())
        .await
        .map_err(|error| error.to_string())?;
    let status = Exit::of(&result) as i32;
    Ok(Finished { result, status })
}

/// `plan`, with the arguments of the command line; `--out` writes the file.
pub async fn plan(file: &Path, arguments: &[&str]) -> Result<SavedPlan, String> {
    let Command::Plan(PlanArgs { job, out, .. }) = command(arguments)? else {
        return Err(format!("{arguments:?} gives no plan"));
    };
    let config = load(file)?;
    let job = compiled(&config, job.as_deref())?;
    let plan = job
        .plan(&CancellationToken::new(), &|_| ())
        .await
        .map_err(|error| error.to_string())?;
    if let Some(path) = out {
        fs::write(path, serde_json::to_vec_pretty(&plan).unwrap()).unwrap();
    }
    Ok(plan)
}

fn command(arguments: &[&str]) -> Result<Command, String> {
    let line = ["ftrack-ldap-sync"].iter().chain(arguments);
    let cli = Cli::try_parse_from(line).map_err(|error| error.to_string())?;
    Ok(cli.command)
}

fn load(file: &Path) -> Result<Arc<Config>, String> {
    let config = config::load(file, &Environment::default());
    config
        .map(Arc::new)
        .map_err(|findings| findings.to_string())
}

fn compiled(config: &Arc<Config>, job: Option<&str>) -> Result<CompiledJob, String> {
    let (name, _) = config.job(job).map_err(|error| error.to_string())?;
    let servers = Servers::new(config).map_err(|error| format!("{error:#}"))?;
    CompiledJob::new(config, name, &servers).map_err(|error| format!("{error:#}"))
}
