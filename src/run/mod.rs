//! One run, from the first read to the report.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, FtrackLdapJob, Job, Mode},
    event::{Event, RunName},
    ftrack::session::{Reader, Session, Until, Writer},
};

mod administrators;
pub mod approval;
mod builtin;
pub mod by_hand;
mod carried;
mod changes;
mod compiled_rules;
mod confirm;
mod confirm_earlier;
pub mod decided;
mod elsewhere;
pub mod explain;
pub mod failure;
mod finish;
mod grant_members;
mod group_members;
pub mod host;
mod invitations;
mod known_changes;
mod last_known;
mod ldap;
mod ldap_work;
mod left_groups;
mod link_notes;
mod memory;
mod numbering;
mod observe;
mod only;
mod own_links;
pub mod people;
mod pictures;
mod preferred_server;
mod purpose;
pub mod put_back;
mod read_and_plan;
mod record;
mod recorder;
mod recovered;
pub mod rejection;
pub mod saved;
mod seats;
mod second_look;
pub mod servers;
mod snapshot;
pub mod taking_back;
pub mod text;
mod trusted_files;
mod unsettled_changes;
mod waiting;
mod watch;

use crate::{
    model::{
        change_kind::ChangeKind,
        clocks::Clocks,
        entry::DirectoryId,
        own_links::OwnLinks,
        pause::Pause,
        report::{
            Approver, Counts, FtrackPart, Observed, Outcome, Report, Reported, RunPhase, Trigger,
        },
        work::WorkOfUsers,
    },
    state::{
        self, Remembered, State,
        files::StateError,
        history::History,
        journal::{Journal, RunMarks},
        lock::{self, JobLock},
    },
};
use approval::{ApprovedHold, HoldDecision};
use builtin::OpenSync;
use changes::ChangesEnd;
pub use compiled_rules::CompiledRules;
use failure::{Failure, NoChanges, NotPlannable, OnlyObserves, PlanError, RunStartError};
pub use ldap_work::{LdapRules, LdapWork};
pub use purpose::Start;
use saved::SavedPlan;
use servers::Servers;
use trusted_files::TrustedFile;

/// One job with its connections; everything about it that can be wrong before a run has been
/// checked.
#[derive(Debug)]
pub struct CompiledJob {
    name: String,
    job: Job,
    work: Work,
    config: Arc<Config>,
    /// The connections to the directories of the other jobs, which may have a person who left this
    /// one.
    servers: Servers,
    session: Session,
    trusted_files: Vec<TrustedFile>,
    /// The people whom a run is for; everybody where it is empty.
    only: Vec<String>,
    /// The person who starts runs at the command line.
    started_by: Option<Approver>,
}

/// What a run of a job does, compiled.
#[derive(Debug)]
enum Work {
    Ldap(Box<LdapWork>),
    FtrackLdap(FtrackLdapJob),
}

/// What a run does with its plan.
#[derive(Debug)]
pub enum Purpose {
    /// Write what the guard allows.
    Sync,
    /// Write nothing.
    DryRun,
    /// Write exactly what a person approved.
    Approved {
        /// What was approved.
        plan: SavedPlan,
        /// The person who did.
        by: Approver,
    },
    /// Write what a person approved of a hold.
    Hold(HoldDecision),
    /// Do what a person asks for by hand.
    ByHand(by_hand::Request),
}

/// What a person approved.
enum Approved {
    Plan(SavedPlan),
    Hold(ApprovedHold),
}

/// A purpose, with the means for it: what only looks has no writer.
enum Aim {
    Look,
    /// The same, for the runs of a job that never writes.
    Observe,
    Write {
        writer: Writer,
        /// What a person approved, if the run is for that.
        approved: Option<Box<Approved>>,
    },
}

impl Aim {
    fn new(purpose: Purpose, mode: Mode, writer: Writer, hold: Option<ApprovedHold>) -> Self {
        let approved = match (purpose, mode) {
            (Purpose::DryRun, _) => return Self::Look,
            (Purpose::ByHand(request), _) if request.dry_run => return Self::Look,
            // What is approved for such a job has ended before it comes to this.
            (
                Purpose::Sync | Purpose::Approved { .. } | Purpose::Hold(_) | Purpose::ByHand(_),
                Mode::Observe,
            ) => return Self::Observe,
            (Purpose::Sync | Purpose::ByHand(_), Mode::Sync) => None,
            (Purpose::Approved { plan, by: _ }, Mode::Sync) => Some(Box::new(Approved::Plan(plan))),
            (Purpose::Hold(_), Mode::Sync) => hold.map(Approved::Hold).map(Box::new),
        };
        Self::Write { writer, approved }
    }

    /// What a person approved, if the run is for that.
    fn approved(&self) -> Option<&Approved> {
        match self {
            Self::Look | Self::Observe => None,
            Self::Write { approved, .. } => approved.as_deref(),
        }
    }
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Entries read from the directory so far.
    Entries(u64),
    /// Changes with a result, and all changes.
    Changes(usize, usize),
    /// ftrack's own synchronisation waits for one of the server's workers.
    ServerJobQueued,
    /// ftrack's own synchronisation is running.
    ServerJobRunning,
    /// Another run of the job is in progress, and has to end first.
    WaitingForRun,
}

/// A run in progress: its inputs, and the report so far.
struct RunContext<'a, W> {
    prepared: &'a CompiledJob,
    work: &'a W,
    until: Until,
    progress: &'a (dyn Fn(Progress) + Sync),
    history: History,
    report: Report,
    /// Warnings about the run as a whole, before there is a plan.
    notes: Vec<String>,
    has_begun: bool,
    /// Why it turned out to be no run.
    no_run: Option<RunStartError>,
    /// The last known DNs of those who may be absent, where they were looked up already: opening
    /// the state database once more checks all of it.
    known_dns: Option<BTreeMap<DirectoryId, String>>,
    /// The kinds of change that a person paused, as they are when it is decided what is written.
    paused: BTreeMap<ChangeKind, Pause>,
    /// What a person asked for by hand.
    asked: Option<by_hand::Asked>,
    /// Who gets a user by hand, once that is known.
    given_to: Option<DirectoryId>,
    /// People of the directory without an active user, whom the plan cannot help.
    unsettled: usize,
    /// Users that the plan leaves active although their person left, or may not sign in.
    active_leavers: usize,
    /// Which links are the job's, once that is known.
    own: OwnLinks,
    /// What people carry who are due to be deactivated, as far as that was found out.
    carried: Arc<WorkOfUsers>,
    reader: Reader,
}

impl CompiledJob {
    /// Compiles the rules of a job; the connections are those of its configuration, and none is
    /// opened yet.
    ///
    /// # Errors
    /// There is no such job, or a rule cannot be used.
    pub fn new(config: &Arc<Config>, name: &str, servers: &Servers) -> anyhow::Result<Self> {
        let (name, job) = config.job(Some(name))?;
        CompiledRules::new(config, name, job).connect(servers)
    }

    /// The same job, for runs that write only what concerns these people, who are named by login,
    /// mail address, DN, directory id or ftrack id.
    #[must_use]
    pub fn only(self, people: Vec<String>) -> Self {
        Self {
            only: people,
            ..self
        }
    }

    /// The same job, for runs that this person starts.
    #[must_use]
    pub fn started_by(self, person: Approver) -> Self {
        Self {
            started_by: Some(person),
            ..self
        }
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a job that reads a directory does; `None` for any other kind.
    #[must_use]
    pub fn ldap(&self) -> Option<&LdapWork> {
        match &self.work {
            Work::Ldap(work) => Some(work),
            Work::FtrackLdap(_) => None,
        }
    }

    /// Checks that the changes of a run can be planned.
    ///
    /// # Errors
    /// ftrack decides what a run changes.
    pub fn can_be_planned(&self) -> Result<(), NotPlannable> {
        match self.work {
            Work::Ldap(_) => Ok(()),
            Work::FtrackLdap(_) => Err(self.not_plannable()),
        }
    }

    fn not_plannable(&self) -> NotPlannable {
        NotPlannable {
            job: self.name.clone(),
        }
    }

    /// One run, from its start to its report.
    ///
    /// # Errors
    /// Another run of this job is in progress, the state directory cannot be used, or the changes
    /// of a dry run cannot be planned; a run that has started always returns a report.
    pub async fn run(
        &self,
        state: &State,
        start: impl Into<Start>,
        purpose: Purpose,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, RunStartError> {
        let start = start.into();
        let history = History::new(&self.config.state_dir);
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        self.recover(&history, state)?;
        match &self.work {
            Work::Ldap(work) => {
                let mode = work.job.mode;
                if !self.only.is_empty()
                    && matches!((&purpose, mode), (Purpose::Sync, Mode::Observe))
                {
                    let job = self.name.clone();
                    return Err(OnlyObserves { job }.into());
                }
                let hold = match (&purpose, mode) {
                    (
                        Purpose::Approved { .. } | Purpose::Hold(_) | Purpose::ByHand(_),
                        Mode::Observe,
                    ) => {
                        let job = self.name.clone();
                        return Err(OnlyObserves { job }.into());
                    }
                    (Purpose::Hold(decision), Mode::Sync) => {
                        Some(self.approved_hold(state, decision)?)
                    }
                    (
                        Purpose::Sync
                        | Purpose::DryRun
                        | Purpose::Approved { .. }
                        | Purpose::ByHand(_),
                        _,
                    ) => None,
                };
                let (mut context, writer) =
                    RunContext::start(self, &**work, start, &purpose, history, cancel, progress);
                // Also the report of a run that is killed must say that none was reached.
                if !context.asks_ftrack_alone() {
                    context.directory_part();
                }
                let is_observing = mode == Mode::Observe && !context.report.dry_run;
                context.report.observed = is_observing.then(Observed::default);
                if self.only.is_empty() && context.asked.is_none() {
                    context.begin()?;
                }
                // On the heap: both kinds of runs in one value exceed a thread's stack in a debug
                // build.
                let aim = Aim::new(purpose, mode, writer, hold);
                let ended = Box::pin(context.execute(aim, state)).await;
                if let Some(error) = context.no_run.take() {
                    return Err(error);
                }
                context.begin()?;
                Ok(context.finish(ended, state))
            }
            Work::FtrackLdap(work) => {
                if !matches!(purpose, Purpose::Sync) {
                    return Err(self.not_plannable().into());
                }
                let _one_at_a_time = lock::take_sync(&self.config.state_dir)?;
                let (mut context, writer) =
                    RunContext::start(self, work, start, &purpose, history, cancel, progress);
                context.begin()?;
                let (ended, reported) = Box::pin(context.have_ftrack_synchronise(&writer)).await;
                let report = context.finish(ended, state);
                // After a report that could not be saved, the next run logs the same again.
                let is_kept = History::new(&self.config.state_dir).has(&self.name, &report.run);
                if let Err(error) = is_kept
                    .then(|| OpenSync::settle(&reported, &self.config.state_dir))
                    .transpose()
                {
                    let (job, run) = (self.name.as_str(), report.run.as_str());
                    Event::StateFailed {
                        of: RunName { job, run },
                        error: &error.to_string(),
                    }
                    .emit();
                }
                Ok(report)
            }
        }
    }

    /// One run, of a person where it is one's, that reads only what changed since the last one, or everything where that cannot be
    /// told; without a report where nothing was to be done.
    ///
    /// # Errors
    /// As for `run`, and that the job has neither `changes_schedule` nor `watch`.
    pub async fn run_changes(
        &self,
        state: &State,
        start: impl Into<Start>,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<Report>, RunStartError> {
        let work = match &self.work {
            Work::Ldap(work) if work.job.reads_changes() => work,
            Work::Ldap(_) | Work::FtrackLdap(_) => {
                let job = self.name.clone();
                return Err(NoChanges { job }.into());
            }
        };
        let history = History::new(&self.config.state_dir);
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        self.recover(&history, state)?;
        let purpose = Purpose::Sync;
        let (mut context, writer) = RunContext::start(
            self,
            &**work,
            start.into(),
            &purpose,
            history,
            cancel,
            progress,
        );
        context.directory_part();
        let aim = Aim::new(purpose, Mode::Sync, writer, None);
        let ended = match Box::pin(context.execute_changes(aim, state)).await {
            Ok(ChangesEnd::Nothing) => return Ok(None),
            Ok(ChangesEnd::Done) => Ok(()),
            Err(failure) => Err(failure),
        };
        context.begin()?;
        Ok(Some(context.finish(ended, state)))
    }

    /// Reads both servers and plans, without saving anything: what `plan` shows.
    ///
    /// # Errors
    /// Either server could not be read completely, or the changes cannot be planned.
    pub async fn plan(
        &self,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<SavedPlan, PlanError> {
        let (mut context, remembered) = self.look(cancel, progress)?;
        context
            .plan_only(&remembered)
            .await
            .map_err(|Failure { why, .. }| PlanError::Read(why))
    }

    /// A run that saves nothing, and what is known before it.
    fn look<'a>(
        &'a self,
        cancel: &CancellationToken,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Result<(RunContext<'a, LdapWork>, Remembered), PlanError> {
        let Work::Ldap(work) = &self.work else {
            return Err(self.not_plannable().into());
        };
        let remembered = state::known(&self.config.state_dir, &self.name, self.session.server())?;
        let history = History::new(&self.config.state_dir);
        let (context, _) = RunContext::start(
            self,
            &**work,
            Trigger::Manual,
            &Purpose::DryRun,
            history,
            cancel,
            progress,
        );
        let remembered = context.knowing_seats(remembered);
        Ok((context, remembered))
    }
}

impl<'a, W> RunContext<'a, W> {
    /// A run with its own reader, and the writer for those that write.
    fn start(
        prepared: &'a CompiledJob,
        work: &'a W,
        start: impl Into<Start>,
        purpose: &Purpose,
        history: History,
        cancel: &CancellationToken,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> (Self, Writer) {
        let now = Utc::now();
        let Start { trigger, by } = start.into();
        let report = Report {
            run: history.next_id(now),
            job: prepared.name.clone(),
            trigger,
            approved_by: purpose.approved_by().cloned(),
            approves: purpose.approves(),
            undoes: None,
            restores: None,
            rejects: None,
            redoes: None,
            dry_run: purpose.is_dry_run(),
            only: purpose
                .asked()
                .map_or_else(|| prepared.only.clone(), by_hand::Asked::only),
            named: Vec::new(),
            started_by: by.or_else(|| prepared.started_by.clone()),
            observed: None,
            started_at: now,
            finished_at: now,
            outcome: Outcome::Failed,
            error: None,
            error_kind: None,
            retry_after: None,
            seconds: BTreeMap::new(),
            directory: None,
            builtin: None,
            alarm: false,
            ftrack: FtrackPart {
                server: prepared.session.server().to_owned(),
                ..FtrackPart::default()
            },
            counts: Counts::default(),
            planned: BTreeMap::new(),
            changes: Vec::new(),
            holds_opened: Vec::new(),
            holds_closed: Vec::new(),
            open_holds: 0,
            oldest_hold: None,
            last_hold: None,
            skipped: Vec::new(),
            warnings: Vec::new(),
        };
        let until = Until {
            deadline: Instant::now() + prepared.job.time_limit,
            cancel: cancel.clone(),
        };
        // Other jobs may use the same connections; their calls are not counted for this run.
        let (reader, writer) = prepared.session.for_run(RunName {
            job: &report.job,
            run: &report.run,
        });
        let context = Self {
            prepared,
            work,
            until,
            progress,
            history,
            report,
            notes: Vec::new(),
            has_begun: false,
            no_run: None,
            known_dns: None,
            paused: BTreeMap::new(),
            asked: purpose.asked().cloned(),
            given_to: None,
            unsettled: 0,
            active_leavers: 0,
            own: OwnLinks::default(),
            carried: Arc::default(),
            reader,
        };
        (context, writer)
    }

    /// From here on, a run that is killed leaves a report all the same.
    fn begin(&mut self) -> Result<(), StateError> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        let state_dir = &self.prepared.config.state_dir;
        Journal::open(state_dir, &self.report, self.marks(None))?;
        Event::RunStarted {
            of: self.name(),
            dry_run: self.report.dry_run,
            trigger: self.report.trigger,
        }
        .emit();
        Ok(())
    }

    /// What the run leaves in links, where it deactivates users with that time in theirs.
    fn marks(&self, deactivated_at: Option<DateTime<Utc>>) -> RunMarks<'_> {
        RunMarks {
            run_mark: self.reader.run_mark(),
            deactivated_at,
            began_at: self.clocks().latest(),
        }
    }

    fn name(&self) -> RunName<'_> {
        RunName {
            job: &self.prepared.name,
            run: &self.report.run,
        }
    }

    /// The calls to ftrack so far.
    fn record_calls(&mut self) {
        let calls = self.reader.calls();
        self.report.ftrack.read_calls = calls.reads;
        self.report.ftrack.write_calls = calls.writes;
        self.report.ftrack.retries = self.reader.retries();
    }

    /// What the clocks show.
    fn clocks(&self) -> Clocks {
        Clocks {
            here: Utc::now(),
            ftrack: self.reader.time(),
        }
    }

    /// Adds to the duration of a phase.
    fn record_phase(&mut self, phase: RunPhase, time: Duration) {
        *self.report.seconds.entry(phase).or_default() += time.as_secs_f64();
    }
}

/// The outcome of a run whose writing is complete. What a later run writes by itself changes none.
fn outcome(
    Report {
        counts, changes, ..
    }: &Report,
) -> Outcome {
    let not_done = counts.failed + counts.unconfirmed + counts.unsettled;
    match (changes.iter().any(Reported::waits_for_a_person), not_done) {
        (false, 0) => Outcome::Succeeded,
        (false, _) => Outcome::Partial,
        (true, _) => Outcome::Held,
    }
}
