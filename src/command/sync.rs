//! `sync`, `plan` and `apply`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{job, notify, print, print_json, print_text, progress::ProgressLine, terminal::Screen};
use crate::{
    cli::{ApplyArgs, Exit, Format, PlanArgs, Stop, SyncArgs},
    config::{Config, Environment, Job, Mode, NoSuchJob},
    escape::escape_control,
    event::was_interrupted,
    model::{
        change::HeldBy,
        report::{Approver, Report, Trigger},
    },
    run::{CompiledJob, Purpose, saved::SavedPlan, servers::Servers, text, text::Extent},
    state::paths,
};

mod next_steps;

/// `sync`: one run in the foreground, and its report.
///
/// # Errors
/// There is no such job, or the run could not start.
pub async fn sync(
    config: &Arc<Config>,
    args: &SyncArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let what = match (args.dry_run, args.changes) {
        (true, _) => What::Everything(Box::new(Purpose::DryRun)),
        (false, false) => What::Everything(Box::new(Purpose::Sync)),
        (false, true) => What::Changes,
    };
    if let Some(word) = &args.job
        && let Err(error @ NoSuchJob::Unknown { .. }) = config.job(Some(word))
    {
        let word = escape_control(word);
        return Err(Stop::usage(&format!(
            "{error}; one person is named with --only: `sync --only {word}`"
        )));
    }
    let of_job = (args.job.as_deref(), args.only.as_slice());
    run(config, of_job, what, args.format, cancel).await
}

/// `apply`: one run that applies exactly a saved plan.
///
/// # Errors
/// The file is not a plan, its job is not configured, or the run could not start.
pub async fn apply(
    config: &Arc<Config>,
    args: &ApplyArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let plan = SavedPlan::load(&args.file).map_err(|error| Stop::usage(&error))?;
    let name = plan.job.clone();
    job(config, Some(&name)).map_err(|Stop { exit, lines }| Stop {
        exit,
        lines: lines
            .iter()
            .map(|line| format!("{}: {line}", args.file.display()))
            .collect(),
    })?;
    run(
        config,
        (Some(&name), &[]),
        What::Everything(Box::new(Purpose::Approved {
            plan,
            by: approver(),
        })),
        args.format,
        cancel,
    )
    .await
}

/// Who runs this command.
pub(super) fn approver() -> Approver {
    Approver::of_user(
        rustix::process::getuid().as_raw(),
        Environment::of_process().sudo_user(),
    )
}

/// `plan`: what a sync would change.
///
/// # Errors
/// There is no such job, a server cannot be read, or the plan cannot be saved.
pub async fn plan(
    config: &Arc<Config>,
    args: &PlanArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (name, of_job) = job(config, args.job.as_deref())?;
    let (prepared, servers) = prepare(config, name)?;
    prepared
        .can_be_planned()
        .map_err(|error| Stop::usage(&error))?;
    if let Some(path) = &args.out {
        // Not only after both servers were read.
        paths::can_replace(path).map_err(|error| Stop::failed(&error))?;
    }
    let line = ProgressLine::start();
    let plan = prepared.plan(cancel, &|progress| line.show(progress)).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    let plan = plan.map_err(|error| Stop::failed(&error))?;
    if let Some(path) = &args.out {
        let content = serde_json::to_vec_pretty(&plan).map_err(|error| Stop::failed(&error))?;
        paths::replace(path, &content).map_err(|error| Stop::failed(&error))?;
    }
    match args.format {
        Format::Text => {
            let screen = Screen::of_stdout();
            let on = next_steps::of(config, args, &plan, of_job);
            let on = on
                .filter(|_| screen != Screen::Unbounded)
                .unwrap_or_default();
            let on = screen.fit(&on);
            let extent = less(extent(args.all), on.lines().count());
            print_text(&text::plan(&plan, extent))?;
            saved(args, &plan, of_job)?;
            print(&on)?
        }
        Format::Json => print_json(&plan)?,
    };
    Ok(
        match (
            args.detailed_exitcode,
            plan.is_all_rejected(),
            plan.waits_for_a_person(),
        ) {
            (false, _, _) | (true, true, _) => Exit::Done,
            (true, false, false) => Exit::Changes,
            (true, false, true) => Exit::Held,
        },
    )
}

/// Prints where the plan was saved, and what its application writes.
fn saved(args: &PlanArgs, plan: &SavedPlan, job: &Job) -> Result<Exit, Stop> {
    let Some(path) = &args.out else {
        return Ok(Exit::Done);
    };
    let path = path.display();
    let observes = job.ldap().is_some_and(|ldap| ldap.mode == Mode::Observe);
    // A plan that is applied releases also what is paused.
    let is_released = |by: HeldBy| by.ends_by_approval() || by == HeldBy::Paused;
    let mut held = plan.changes.iter().filter_map(|planned| planned.held_by);
    let held = held.any(is_released);
    let what = match (observes, held) {
        (true, _) => "the job only observes (mode = \"observe\"), so `apply` refuses it".to_owned(),
        (false, true) => format!("`apply {path}` writes exactly this, what is held included"),
        (false, false) => format!("`apply {path}` writes exactly this"),
    };
    print_text(&format!("\nSaved to {path}; {what}.\n"))
}

/// What a run reads, and what for.
enum What {
    Everything(Box<Purpose>),
    /// What changed.
    Changes,
}

async fn run(
    config: &Arc<Config>,
    (name, only): (Option<&str>, &[String]),
    what: What,
    format: Format,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (name, _) = job(config, name)?;
    let (prepared, servers) = prepare(config, name)?;
    let prepared = prepared.only(only.to_vec()).started_by(approver());
    let is_sync = match &what {
        What::Everything(purpose) => matches!(**purpose, Purpose::Sync),
        What::Changes => true,
    };
    if !is_sync || !only.is_empty() {
        prepared
            .can_be_planned()
            .map_err(|error| Stop::usage(&error))?;
    }
    let state = super::open_state(config)?;
    let interrupted = prepared
        .recover_interrupted(&state)
        .map_err(|error| Stop::failed(&error))?;
    if format == Format::Text {
        for run in interrupted {
            print_text(&format!("Note: {}.\n\n", was_interrupted(&run)))?;
        }
    }
    let line = ProgressLine::start();
    let show = |progress| line.show(progress);
    let report = match what {
        What::Everything(purpose) => {
            let report = prepared
                .run(&state, Trigger::Manual, *purpose, cancel, &show)
                .await;
            report.map(Some)
        }
        What::Changes => {
            prepared
                .run_changes(&state, Trigger::Changes, cancel, &show)
                .await
        }
    };
    drop(line);
    super::lift_lockouts(config, &servers);
    let report = report.map_err(|error| super::not_started(&error))?;
    let Some(report) = report else {
        return nothing_changed(format);
    };
    let shown = show_new(&report, format);
    let is_told = notify::tell(config, &report, cancel).await;
    shown?;
    if !is_told && format == Format::Text {
        print_text("\nNot everybody was told about it: `notify test` shows who is not reached.\n")?;
    }
    Ok(Exit::of(&report))
}

/// Says that a reading of what changed found nothing to do; as JSON there is no report.
///
/// # Errors
/// Standard output cannot be written.
pub fn nothing_changed(format: Format) -> Result<Exit, Stop> {
    match format {
        Format::Text => print_text("Nothing changed in the directory that concerns the users.\n"),
        Format::Json => print_json(&serde_json::Value::Null),
    }
}

/// One job with its own connections.
///
/// # Errors
/// The connections or the rules cannot be made.
pub(super) fn prepare(config: &Arc<Config>, name: &str) -> Result<(CompiledJob, Servers), Stop> {
    let servers = Servers::new(config).map_err(|error| Stop::usage(&error))?;
    let compiled = CompiledJob::new(config, name, &servers).map_err(|error| Stop::usage(&error))?;
    Ok((compiled, servers))
}

/// Prints the report of a run that has just ended: on a terminal, as much as fits.
///
/// # Errors
/// Standard output cannot be written.
pub fn show_new(report: &Report, format: Format) -> Result<Exit, Stop> {
    match format {
        Format::Text => print_text(&text::report(report, extent(false))),
        Format::Json => print_json(report),
    }
}

/// The same with so many rows kept for something else.
fn less(extent: Extent, rows: usize) -> Extent {
    match extent {
        Extent::Rows(all) => Extent::Rows(all.saturating_sub(rows)),
        Extent::Whole | Extent::OfEachKind(_) => extent,
    }
}

/// How much is shown: everything in a pipe or file, a screenful on a terminal.
fn extent(all: bool) -> Extent {
    match Screen::of_stdout().rows() {
        Some(rows) if !all => Extent::Rows(rows),
        Some(_) | None => Extent::Whole,
    }
}
