//! One run, from the first read to the report.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use chrono::Utc;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Job},
    directory::DirectoryPool,
    event::{Event, RunName},
    ftrack::{
        self,
        session::{Session, Until},
        stopped::Stopped,
        user::Current,
        write::Limits,
    },
    sync::{
        change::Plan,
        guard::{self, Approval, Vetted},
        mapping::Mapping,
        rules::Rules,
    },
};

mod administrators;
mod confirming;
pub mod failure;
pub mod history;
pub mod journal;
pub mod lock;
mod looking_again;
mod reading;
mod remembering;
pub mod report;
pub mod saved;
pub mod servers;
pub mod state;
pub mod store;
pub mod summary;
mod telling;
pub mod text;

use failure::{Failure, NotBegun, StateOrRead};
use history::History;
use journal::Journal;
use lock::JobLock;
use reading::Worked;
use report::{Counts, DirectoryPart, FailureKind, FtrackPart, Outcome, Phase, Report, Trigger};
use saved::SavedPlan;
use servers::Servers;
use state::State;
use store::StateError;
use summary::RunSummary;

/// One job with the connections that it uses, and everything about it that can be wrong before a run.
#[derive(Debug)]
pub struct Prepared {
    name: String,
    job: Job,
    config: Arc<Config>,
    mapping: Mapping,
    rules: Rules,
    pool: DirectoryPool,
    /// The way to the directories of the other jobs, among whose people somebody may be who left.
    servers: Servers,
    session: Session,
}

/// What a run is to do with its plan.
#[derive(Debug)]
pub enum Purpose {
    /// Write what the guard lets through.
    Sync,
    /// Write nothing.
    DryRun,
    /// Write exactly what a person approved.
    Approved(SavedPlan),
}

/// How far a run is, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// So many entries were read from the directory.
    Entries(u64),
    /// So many of so many changes have a result.
    Changes(usize, usize),
}

/// A run in its course: what it needs, and the report as it stands.
struct Course<'a> {
    prepared: &'a Prepared,
    until: Until,
    progress: &'a (dyn Fn(Progress) + Sync),
    history: History,
    report: Report,
    session: Session,
    /// How many entries each search base showed in the last report, once somebody asked.
    bases_before: OnceLock<Option<BTreeMap<String, usize>>>,
}

impl Prepared {
    /// Compiles the rules of a job; the connections are those of its configuration, and none is made yet.
    ///
    /// # Errors
    /// There is no such job, or a rule cannot be used.
    pub fn new(config: &Arc<Config>, name: &str, servers: &Servers) -> anyhow::Result<Self> {
        let (name, job, _) = config.job(Some(name))?;
        let pool = servers
            .directory(&job.directory)
            .ok_or_else(|| anyhow::anyhow!("the job {name} names the directory {:?}, which is not among the servers", job.directory))?;
        let mapping = Mapping::new(&job.attributes)?;
        if let Some((attribute, error)) = mapping.broken_templates().first() {
            anyhow::bail!("jobs.{name}.attributes.{attribute}: {error}");
        }
        Ok(Self {
            name: name.to_owned(),
            job: job.clone(),
            config: Arc::clone(config),
            mapping,
            rules: Rules::new(job, &config.ftrack.api_user)?
                .beside(config, &job.directory)
                .with_signature(servers.ftrack().signer().signature()),
            pool: pool.clone(),
            servers: servers.clone(),
            session: servers.ftrack().clone(),
        })
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job as it is configured.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// One run: reads both servers, works out the difference, writes what may be written, and keeps the report.
    ///
    /// # Errors
    /// Another run of this job is under way, or the state folder cannot be used; a run that began always gives a report.
    pub async fn run(
        &self,
        state: &State,
        trigger: Trigger,
        purpose: Purpose,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, NotBegun> {
        let history = History::new(&self.config.state_dir);
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        self.recover(&history, state)?;
        let mut course = Course::start(self, trigger, &purpose, history, cancel, progress);
        // From here on, a run that is killed leaves a report all the same.
        Journal::open(&self.config.state_dir, &course.report)?;
        Event::RunStarted(course.name()).emit();
        if let Err(Failure { kind, why }) = course.whole(purpose, state).await {
            course.report.outcome = Outcome::Failed;
            course.report.error = Some(why);
            course.report.error_kind = Some(kind);
        }
        Ok(course.finish(state))
    }

    /// Reads both servers and plans, without keeping anything: what `plan` shows.
    ///
    /// # Errors
    /// Either server could not be read completely.
    pub async fn plan(&self, cancel: &CancellationToken, progress: &(dyn Fn(Progress) + Sync)) -> Result<SavedPlan, StateOrRead> {
        let remembered = state::known(&self.config.state_dir, &self.name, self.session.server())?;
        let mut course = Course::start(self, Trigger::Manual, &Purpose::DryRun, History::new(&self.config.state_dir), cancel, progress);
        let Worked { mut plan, .. } = course.work_out(&remembered).await.map_err(|Failure { why, .. }| StateOrRead::Read(why))?;
        plan.warnings.extend(course.fall_of_links(&plan, &remembered));
        let vetted = guard::vet(&plan, course.bounds(&plan, &remembered));
        Ok(SavedPlan::new(&self.name, Utc::now(), &plan, &vetted))
    }

    /// Gives runs of this job that were cut off their reports, when none is under way.
    ///
    /// # Errors
    /// A run of this job is under way, or the state folder cannot be used.
    pub fn mend(&self, state: &State) -> Result<(), NotBegun> {
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        Ok(self.recover(&History::new(&self.config.state_dir), state)?)
    }

    /// Gives runs that were cut off their reports.
    fn recover(&self, history: &History, state: &State) -> Result<(), StateError> {
        let (job, retention) = (&self.name, &self.config.reports);
        for (journal, mut report) in journal::recover(&self.config.state_dir, job, |run| history.has(job, run))? {
            report.finished_at = Utc::now();
            history.keep(&report, retention, report.finished_at)?;
            state.add_run(&RunSummary::of(&report), retention.keep)?;
            journal::remove(&journal);
            Event::RunRecovered(RunName { job, run: &report.run }).emit();
        }
        Ok(())
    }
}

impl<'a> Course<'a> {
    fn start(
        prepared: &'a Prepared,
        trigger: Trigger,
        purpose: &Purpose,
        history: History,
        cancel: &CancellationToken,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let now = Utc::now();
        let report = Report {
            run: run_id(now),
            job: prepared.name.clone(),
            trigger,
            dry_run: matches!(purpose, Purpose::DryRun),
            started_at: now,
            finished_at: now,
            outcome: Outcome::Failed,
            error: None,
            error_kind: None,
            seconds: BTreeMap::new(),
            directory: DirectoryPart::default(),
            ftrack: FtrackPart {
                server: prepared.session.server().to_owned(),
                ..FtrackPart::default()
            },
            counts: Counts::default(),
            planned: BTreeMap::new(),
            changes: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
        };
        let until = Until {
            deadline: Instant::now() + prepared.job.time_limit,
            cancel: cancel.clone(),
        };
        Self {
            prepared,
            until,
            progress,
            history,
            report,
            // Other jobs may be at work over the same connections; their calls are not this run's.
            session: prepared.session.for_run(),
            bases_before: OnceLock::new(),
        }
    }

    fn name(&self) -> RunName<'_> {
        RunName {
            job: &self.prepared.name,
            run: &self.report.run,
        }
    }

    fn took(&mut self, phase: Phase, time: Duration) {
        self.report.seconds.insert(phase, time.as_secs_f64());
    }

    /// The whole story.
    async fn whole(&mut self, purpose: Purpose, state: &State) -> Result<(), Failure> {
        let remembered = state.remembered(&self.prepared.name, self.session.server())?;
        let worked = self.work_out(&remembered).await?;
        let (plan, mut vetted, approval) = match &purpose {
            Purpose::Sync | Purpose::DryRun => {
                if let Some(fall) = self.fall_of_links(&worked.plan, &remembered) {
                    return Err(Failure::refused(fall));
                }
                let vetted = guard::vet(&worked.plan, self.bounds(&worked.plan, &remembered));
                (worked.plan, vetted, Approval::None)
            }
            Purpose::Approved(saved) => {
                let held_now = guard::vet(&worked.plan, self.bounds(&worked.plan, &remembered));
                let approved = saved.approved(&worked.plan, &held_now).map_err(Failure::refused)?;
                let vetted = guard::approve(&approved);
                (approved, vetted, Approval::Given)
            }
        };
        let _lock = match self.report.dry_run {
            true => None,
            false => self.look_at_administrators(&mut vetted, approval).await?,
        };
        self.tell_plan(&plan, &vetted);
        if self.report.dry_run {
            self.report.outcome = outcome(&self.report.counts);
            return Ok(());
        }
        self.remember(state, &remembered, &plan, &vetted, approval)?;
        let mut counted = remembering::deactivations(&self.report.run, &vetted, approval);
        if let Some(written) = &counted {
            // Before they are written: a run that is killed counts as well.
            state.count_deactivations(&self.prepared.name, written)?;
        }
        let applied = self.apply(&plan, &vetted, &worked.current).await;
        if let (Some(written), Ok(())) = (&mut counted, &applied) {
            if approval == Approval::None {
                written.number = self.report.counts.deactivated;
            }
            written.is_settled = true;
            state.count_deactivations(&self.prepared.name, written)?;
        }
        applied
    }

    /// Writes what was let through, with the old values safe on disk before the first write.
    async fn apply(&mut self, plan: &Plan, vetted: &Vetted, current: &Current) -> Result<(), Failure> {
        let began = Instant::now();
        let changes = vetted.allowed().len();
        let mut stopped = None;
        let mut journal_failed = None;
        if changes > 0 {
            let mut journal = Journal::open(&self.prepared.config.state_dir, &self.report)?;
            let until = Until {
                deadline: self.until.deadline,
                cancel: self.until.cancel.child_token(),
            };
            let limits = Limits {
                batch_size: self.prepared.config.ftrack.batch_size,
                attempts: self.prepared.config.ftrack.attempts,
                until: &until,
            };
            let mut done_so_far = 0;
            let progress = self.progress;
            let reported = &mut self.report.changes;
            let of = RunName {
                job: &self.prepared.name,
                run: &self.report.run,
            };
            stopped = ftrack::write::write(&self.session, vetted, current, limits, |done| {
                done_so_far += done.len();
                progress(Progress::Changes(done_so_far, changes));
                let lines = telling::tell_results(reported, done, of);
                if let (Err(error), None) = (journal.add(&lines), &journal_failed) {
                    Event::StateFailed { of, error: &error.to_string() }.emit();
                    journal_failed = Some(error);
                    // What is written from here on would be in no report if the program were killed.
                    until.cancel.cancel();
                }
            })
            .await;
        }
        self.took(Phase::Writing, began.elapsed());
        self.report.counts = Counts::of(plan, &self.report.changes);
        self.report.outcome = outcome(&self.report.counts);
        match (stopped, journal_failed) {
            (Some(_), Some(error)) => Err(Failure {
                kind: FailureKind::State,
                why: format!("not everything was written, since results cannot be kept: {error}"),
            }),
            (Some(Stopped { why, cause }), None) => Err(Failure {
                kind: cause.into(),
                why: format!("not everything was written: {why}"),
            }),
            (None, _) => Ok(()),
        }
    }

    /// Keeps the report; it is safe on disk before the journal goes. One that cannot be kept is given back all the same, and says so.
    fn finish(mut self, state: &State) -> Report {
        let calls = self.session.calls();
        self.report.ftrack.read_calls = calls.reads;
        self.report.ftrack.write_calls = calls.writes;
        self.report.finished_at = Utc::now();
        let config = &self.prepared.config;
        match self.history.keep(&self.report, &config.reports, self.report.finished_at) {
            Ok(_) => journal::remove(&journal::path(&config.state_dir, &self.prepared.name, &self.report.run)),
            Err(error) => {
                let error = self.tell_failed(&error);
                self.report.outcome = Outcome::Failed;
                self.report.error_kind.get_or_insert(FailureKind::State);
                let before = self.report.error.take().map(|before| format!("{before}; ")).unwrap_or_default();
                self.report.error = Some(format!("{before}this report could not be kept: {error}"));
            }
        }
        // The report stands without it, and the next one to open the database takes it from there.
        if let Err(error) = state.add_run(&RunSummary::of(&self.report), config.reports.keep) {
            self.tell_failed(&error);
        }
        Event::RunFinished(&self.report).emit();
        self.report
    }

    /// Says that something about this run cannot be kept, and gives back why.
    fn tell_failed(&self, error: &StateError) -> String {
        let error = error.to_string();
        Event::StateFailed {
            of: self.name(),
            error: &error,
        }
        .emit();
        error
    }
}

/// The id of a run that starts now: ids sort by time, also within a second, of which the last four digits are 65,536ths.
fn run_id(now: chrono::DateTime<Utc>) -> String {
    let part = u64::from(now.timestamp_subsec_nanos().min(999_999_999)) * 0x1_0000 / 1_000_000_000;
    format!("{}-{part:04x}", now.format("%Y%m%d-%H%M%S"))
}

/// How a run whose writing came to its end turned out.
fn outcome(counts: &Counts) -> Outcome {
    match (counts.held, counts.failed) {
        (0, 0) => Outcome::Succeeded,
        (0, _) => Outcome::Partial,
        _ => Outcome::Held,
    }
}
