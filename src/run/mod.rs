//! One run, from the first read to the report.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use chrono::Utc;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Job},
    directory::{self, DirectoryPool, IdAttribute, ReadFailure, ReadRequest, entry::DirectoryId},
    event::{Event, RunName},
    ftrack::{
        self,
        read::ReadCurrent,
        session::{Session, Until},
        user::Current,
        write::Limits,
    },
    sync::{
        change::{Absences, Action, Change, Plan},
        desired::Desired,
        guard::{self, Vetted},
        mapping::Mapping,
        plan::plan,
        rules::Rules,
    },
};

pub mod absences;
pub mod history;
pub mod journal;
pub mod lock;
pub mod report;
pub mod saved;
pub mod store;
pub mod summary;
mod telling;
pub mod text;

use history::History;
use journal::Journal;
use lock::JobLock;
use report::{Counts, DirectoryPart, FtrackPart, Outcome, Report, Trigger};
use saved::SavedPlan;
use store::StateError;

/// So many users do not lose their links one by one between two runs.
const MANY_OWNED: usize = 5;

/// The connections of one configuration, and everything about one of its jobs that can be wrong before a run.
#[derive(Debug)]
pub struct Prepared<'a> {
    name: &'a str,
    job: &'a Job,
    config: &'a Config,
    mapping: Mapping,
    rules: Rules,
    pool: DirectoryPool,
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
    prepared: &'a Prepared<'a>,
    until: Until,
    progress: &'a (dyn Fn(Progress) + Sync),
    history: History,
    report: Report,
    calls_before: ftrack::session::CallCounts,
}

/// Why a run ended early, in words; the report tells the rest.
struct Failure(String);

/// What a run works out before it writes anything.
pub struct Worked {
    /// The plan.
    pub plan: Plan,
    current: Current,
}

impl<'a> Prepared<'a> {
    /// Compiles the rules of a job and opens nothing yet.
    ///
    /// # Errors
    /// A certificate cannot be read, or a rule cannot be used.
    pub fn new(config: &'a Config, name: &'a str, job: &'a Job) -> anyhow::Result<Self> {
        let directory = config
            .directories
            .get(&job.directory)
            .ok_or_else(|| anyhow::anyhow!("the job {name} names the directory {:?}, which is not configured", job.directory))?;
        let mapping = Mapping::new(&job.attributes)?;
        if let Some((attribute, error)) = mapping.broken_templates().first() {
            anyhow::bail!("jobs.{name}.attributes.{attribute}: {error}");
        }
        Ok(Self {
            name,
            job,
            config,
            mapping,
            rules: Rules::new(job, &config.ftrack.api_user)?.beside(config, &job.directory),
            pool: DirectoryPool::new(&job.directory, directory)?,
            session: Session::new(&config.ftrack)?,
        })
    }

    /// One run: reads both servers, works out the difference, writes what may be written, and keeps the report.
    ///
    /// # Errors
    /// The state folder cannot be used, or another run of this job is under way; a run that began always gives a report.
    pub async fn run(
        &self,
        trigger: Trigger,
        purpose: Purpose,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, StateError> {
        let history = History::new(&self.config.state_dir);
        let _lock = JobLock::take(&self.config.state_dir, self.name)?;
        recover(&self.config.state_dir, self.name, &history, &self.config.reports)?;
        let mut course = Course::start(self, trigger, &purpose, history, cancel, progress);
        // From here on, a run that is killed leaves a report all the same.
        Journal::open(&self.config.state_dir, &course.report)?;
        Event::RunStarted(course.name()).emit();
        if let Err(Failure(why)) = course.whole(purpose).await {
            course.report.outcome = Outcome::Failed;
            course.report.error = Some(why);
        }
        Ok(course.finish())
    }

    /// Reads both servers and plans, without keeping anything: what `plan` shows.
    ///
    /// # Errors
    /// Either server could not be read completely.
    pub async fn plan(&self, cancel: &CancellationToken, progress: &(dyn Fn(Progress) + Sync)) -> Result<SavedPlan, StateOrRead> {
        let absences = absences::load(&self.config.state_dir, self.name)?;
        let mut course = Course::start(self, Trigger::Manual, &Purpose::DryRun, History::new(&self.config.state_dir), cancel, progress);
        let worked = course.work_out(&absences).await.map_err(|Failure(why)| StateOrRead::Read(why))?;
        let vetted = guard::vet(&worked.plan, self.job.limits.deactivate);
        Ok(SavedPlan::new(self.name, Utc::now(), &worked.plan, &vetted))
    }
}

/// A plan could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StateOrRead {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A server could not be read.
    #[error("{0}")]
    Read(String),
}

/// Gives runs that were cut off their reports.
fn recover(state_dir: &std::path::Path, job: &str, history: &History, retention: &crate::config::Reports) -> Result<(), StateError> {
    for (journal, mut report) in journal::recover(state_dir, job, |run| history.has(job, run))? {
        report.finished_at = Utc::now();
        history.keep(&report, retention, report.finished_at)?;
        journal::remove(&journal);
        Event::RunRecovered(RunName { job, run: &report.run }).emit();
    }
    Ok(())
}

impl<'a> Course<'a> {
    fn start(
        prepared: &'a Prepared<'a>,
        trigger: Trigger,
        purpose: &Purpose,
        history: History,
        cancel: &CancellationToken,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let now = Utc::now();
        let report = Report {
            run: run_id(now),
            job: prepared.name.to_owned(),
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
            calls_before: prepared.session.calls(),
        }
    }

    fn name(&self) -> RunName<'_> {
        RunName {
            job: self.prepared.name,
            run: &self.report.run,
        }
    }

    /// The whole story.
    async fn whole(&mut self, purpose: Purpose) -> Result<(), Failure> {
        let state_dir = &self.prepared.config.state_dir;
        let absences = absences::load(state_dir, self.prepared.name).map_err(in_words)?;
        let worked = self.work_out(&absences).await?;
        let (plan, vetted) = match &purpose {
            Purpose::Sync | Purpose::DryRun => {
                self.links_are_in_sight(&worked.plan)?;
                let vetted = guard::vet(&worked.plan, self.prepared.job.limits.deactivate);
                (worked.plan, vetted)
            }
            Purpose::Approved(saved) => {
                let approved = saved.approved(&worked.plan).map_err(in_words)?;
                let vetted = guard::approve(&approved);
                (approved, vetted)
            }
        };
        self.tell_plan(&plan, &vetted);
        if self.report.dry_run {
            self.report.outcome = outcome(&self.report.counts);
            return Ok(());
        }
        absences::save(state_dir, self.prepared.name, &absences, &plan.absences).map_err(in_words)?;
        self.apply(&plan, &vetted, &worked.current).await
    }

    /// Refuses to take everybody for nobody's: a key that may not read metadata any more sees no link, without an error, and would take over
    /// the accounts of those who left, and forget whom the program deactivated. A person's approval goes past this.
    fn links_are_in_sight(&self, plan: &Plan) -> Result<(), Failure> {
        let before = match plan.owned {
            0 => self.history.owned_before(self.prepared.name, &self.report.ftrack.server).map_err(in_words)?,
            _ => return Ok(()),
        };
        if before < MANY_OWNED {
            return Ok(());
        }
        Err(Failure(format!(
            "no user at ftrack shows a link of this job, which owned {before} users after the run before, so nothing was written: may the key's role \
             still read metadata? If the links were taken away on purpose, review `plan --out FILE` and approve it with `apply FILE`"
        )))
    }

    /// Reads both servers at the same time, and plans.
    async fn work_out(&mut self, absences: &Absences) -> Result<Worked, Failure> {
        let prepared = self.prepared;
        let request = self.read_request();
        let began = Instant::now();
        let directory = async {
            let reading = directory::read(
                &prepared.pool,
                &request,
                |entry| prepared.mapping.map(entry),
                &self.until.cancel,
                |entries| (self.progress)(Progress::Entries(entries)),
            )
            .await;
            reading.map(|reading| (reading, began.elapsed())).map_err(Unread::Directory)
        };
        let roles = &prepared.config.ftrack.administrator_roles;
        let wanted = ReadCurrent {
            custom_attributes: prepared.mapping.custom_keys(),
            administrator_roles: roles,
        };
        let ftrack = async {
            let current = ftrack::read::read(&prepared.session, wanted, &self.until).await;
            current.map(|current| (current, began.elapsed())).map_err(Unread::Ftrack)
        };
        let both = tokio::try_join!(directory, ftrack);
        let ((reading, directory_took), (current, ftrack_took)) = both.map_err(|unread| self.tell_unread(unread))?;
        let server = reading.server().to_owned();
        self.tell_reading(&reading, directory_took);
        self.report.ftrack.users = current.users.len();
        Event::FtrackRead {
            of: self.name(),
            users: current.users.len(),
            took: ftrack_took,
        }
        .emit();
        self.report.ftrack.owned = prepared.rules.owned(&current);
        let desired = Desired::new(reading, prepared.job.limits.min_entries).map_err(in_words)?;
        prepared.rules.check_user_type(&current).map_err(in_words)?;
        let mut plan = plan(&desired, &current, &prepared.rules, absences, Utc::now());
        drop(desired);
        self.look_again(&mut plan, &server, &request).await?;
        self.warn_of_empty_bases(&mut plan);
        Ok(Worked { plan, current })
    }

    /// Asks once more for each person who would be deactivated: an entry that moved while the directory was read was in no page, and is there all the same.
    async fn look_again(&mut self, plan: &mut Plan, server: &str, request: &ReadRequest) -> Result<(), Failure> {
        let mut gone: Vec<(IdAttribute, Vec<DirectoryId>)> = Vec::new();
        for Change { directory_id, link, .. } in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
            match gone.iter_mut().find(|(attribute, _)| *attribute == link.attribute) {
                Some((_, ids)) => ids.push(directory_id.clone()),
                None => gone.push((link.attribute.clone(), vec![directory_id.clone()])),
            }
        }
        let mut there = BTreeSet::new();
        for (attribute, ids) in &gone {
            let found = directory::still_there(&self.prepared.pool, server, request, attribute, ids, &self.until.cancel).await;
            there.extend(found.map_err(|failure| self.tell_unread(Unread::Directory(failure)))?);
        }
        for id in &there {
            plan.absences.remove(id.as_str());
            plan.warnings.push(format!(
                "the person with the directory id {id} was missing from the read, and was found when asked for by id; nothing is concluded"
            ));
        }
        plan.changes
            .retain(|change| change.action != Action::Deactivate || !there.contains(&change.directory_id));
        Ok(())
    }

    /// A base that shows nobody, while people are gone, may be one that the bind account cannot look into any more, which a server need not say.
    fn warn_of_empty_bases(&self, plan: &mut Plan) {
        if plan.absences.is_empty() {
            return;
        }
        let searches = &self.report.directory.searches;
        for search in searches.iter().filter(|search| search.entries == 0) {
            plan.warnings.push(format!(
                "people are gone, and the search base {} shows nobody at all: may the bind account still read what is below it, and is it no alias?",
                search.base
            ));
        }
    }

    /// Writes what was let through, with the old values safe on disk before the first write.
    async fn apply(&mut self, plan: &Plan, vetted: &Vetted, current: &Current) -> Result<(), Failure> {
        let changes = vetted.allowed().len();
        let mut stopped = None;
        let mut journal_failed = None;
        if changes > 0 {
            let mut journal = Journal::open(&self.prepared.config.state_dir, &self.report).map_err(in_words)?;
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
                job: self.prepared.name,
                run: &self.report.run,
            };
            stopped = ftrack::write::write(&self.prepared.session, vetted, current, limits, |done| {
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
        self.report.counts = Counts::of(plan, &self.report.changes);
        self.report.outcome = outcome(&self.report.counts);
        match (stopped, journal_failed) {
            (Some(_), Some(error)) => Err(Failure(format!("not everything was written, since results cannot be kept: {error}"))),
            (Some(why), None) => Err(Failure(format!("not everything was written: {why}"))),
            (None, _) => Ok(()),
        }
    }

    fn read_request(&self) -> ReadRequest {
        let job = self.prepared.job;
        ReadRequest {
            bases: job.search_bases.clone(),
            scope: job.scope,
            filter: job.filter.clone(),
            attributes: self.prepared.mapping.ldap_attributes(),
            id_attribute: None,
            deadline: self.until.deadline.into(),
        }
    }

    /// Keeps the report; it is safe on disk before the journal goes. One that cannot be kept is given back all the same, and says so.
    fn finish(mut self) -> Report {
        let calls = self.prepared.session.calls();
        self.report.ftrack.read_calls = calls.reads - self.calls_before.reads;
        self.report.ftrack.write_calls = calls.writes - self.calls_before.writes;
        self.report.finished_at = Utc::now();
        let config = self.prepared.config;
        match self.history.keep(&self.report, &config.reports, self.report.finished_at) {
            Ok(_) => journal::remove(&journal::path(&config.state_dir, self.prepared.name, &self.report.run)),
            Err(error) => {
                let error = error.to_string();
                Event::StateFailed {
                    of: self.name(),
                    error: &error,
                }
                .emit();
                self.report.outcome = Outcome::Failed;
                let before = self.report.error.take().map(|before| format!("{before}; ")).unwrap_or_default();
                self.report.error = Some(format!("{before}this report could not be kept: {error}"));
            }
        }
        Event::RunFinished(&self.report).emit();
        self.report
    }
}

/// The id of a run that starts now: ids sort by time, also within a second, of which the last four digits are 65,536ths.
fn run_id(now: chrono::DateTime<Utc>) -> String {
    let part = u64::from(now.timestamp_subsec_nanos().min(999_999_999)) * 0x1_0000 / 1_000_000_000;
    format!("{}-{part:04x}", now.format("%Y%m%d-%H%M%S"))
}

/// Which server could not be read.
enum Unread {
    Directory(ReadFailure),
    Ftrack(ftrack::error::FtrackError),
}

fn in_words(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

/// How a run whose writing came to its end turned out.
fn outcome(counts: &Counts) -> Outcome {
    match (counts.held, counts.failed) {
        (0, 0) => Outcome::Succeeded,
        (0, _) => Outcome::Partial,
        _ => Outcome::Held,
    }
}
