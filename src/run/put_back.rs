//! A run that puts back what an earlier one wrote, or what a snapshot has: it reads ftrack alone, so
//! that it works also while the directory is what is wrong.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use chrono::{DateTime, SubsecRound, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Progress, Purpose, RunContext, Work,
    administrators::AdministratorLock,
    confirm_earlier::EarlierRuns,
    failure::{Failure, OnlyObserves, PutBackError, RunStartError},
    ldap_work::LdapWork,
    outcome,
};
use crate::{
    config::Mode,
    event::Event,
    ftrack,
    ftrack::{earlier::EarlierWrites, read::ReadCurrent, session::Writer},
    model::{
        change::{Action, Change, LinkRow, Skipped},
        change_kind::ChangeKind,
        clocks::Clocks,
        listed_rejection::RejectedWho,
        reason::Reason,
        report::{Approver, ChangeResult, Report, Reported, RunPhase, Trigger},
        snapshot::Snapshot,
        stored_value::StoredOtherwise,
        user::{Current, EntityId, User},
    },
    state::{
        Remembered, State, Written,
        files::StateError,
        history::History,
        lock::JobLock,
        snapshots::{SnapshotError, Snapshots},
    },
    sync::{
        guard,
        guard::{Approval, ClosedKinds, Vetted, VettedNotes},
        later::written,
        put_back::{Guarding, PutBack, Rejections},
        undo,
    },
};

pub mod many;
mod restoring;

/// How many undos of undos are followed back.
const LONGEST_CHAIN: usize = 50;

/// What a person wants to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct PutBackOrder {
    pub what: ToPutBack,
    /// Only these people: login, mail address, DN, directory id or ftrack id; everybody, where it is
    /// empty.
    pub only: Vec<String>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Whether somebody knows how many it deactivates; otherwise it must not be many.
    pub confirmed: bool,
    /// Who wants it.
    pub by: Approver,
}

impl PutBackOrder {
    /// Whether it may deactivate many: somebody knows, or nothing is written.
    fn may_be_many(&self) -> bool {
        self.confirmed || self.dry_run
    }
}

/// To what it is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToPutBack {
    /// To what was before this run, as far as the run changed it.
    Run(String),
    /// To this snapshot.
    Snapshot(String),
}

/// What it is put back to, read from the state directory.
enum Target {
    Run(Box<Report>),
    Snapshot(Box<Snapshot>),
}

impl CompiledJob {
    /// Puts back what a run of this job wrote, or what a snapshot has, once no other run of the job is
    /// in progress.
    ///
    /// # Errors
    /// There is nothing to put back, another run does not end within the job's time limit, or the
    /// state directory cannot be used; a run that has started always returns a report.
    pub async fn put_back(
        &self,
        state: &State,
        order: &PutBackOrder,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, RunStartError> {
        let begin = || self.put_back_now(state, order, cancel, progress);
        self.once_free(cancel, begin, || progress(Progress::WaitingForRun))
            .await
    }

    async fn put_back_now(
        &self,
        state: &State,
        order: &PutBackOrder,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, RunStartError> {
        let history = History::new(&self.config.state_dir);
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        self.recover(&history, state)?;
        let target = self.target(order, &history)?;
        let (trigger, purpose) = (
            match order.what {
                ToPutBack::Run(_) => Trigger::Undo,
                ToPutBack::Snapshot(_) => Trigger::Restore,
            },
            if order.dry_run {
                Purpose::DryRun
            } else {
                Purpose::Sync
            },
        );
        match &self.work {
            Work::Ldap(work) => {
                if work.job.mode == Mode::Observe {
                    let job = self.name.clone();
                    return Err(OnlyObserves { job }.into());
                }
                let redone = redone(&history, &target);
                let (mut context, writer) =
                    RunContext::start(self, &**work, trigger, &purpose, history, cancel, progress);
                context.ordered(order);
                context.report.redoes = redone;
                context.begin_unless_unsure(order)?;
                let writer = (!order.dry_run).then_some(&writer);
                let ended = context.execute_put_back(state, (order, target), writer);
                let ended = Box::pin(ended).await;
                context.end_put_back(ended, state)
            }
            Work::FtrackLdap(work) => {
                let (mut context, writer) =
                    RunContext::start(self, work, trigger, &purpose, history, cancel, progress);
                context.ordered(order);
                context.begin_unless_unsure(order)?;
                let writer = (!order.dry_run).then_some(&writer);
                let ended = context.execute_restore_of_all((order, target), writer);
                let ended = Box::pin(ended).await;
                context.end_put_back(ended, state)
            }
        }
    }

    /// What is wanted, if it can be put back.
    fn target(&self, order: &PutBackOrder, history: &History) -> Result<Target, PutBackError> {
        let here = self.session.server();
        let other = |what: String, there: &str| PutBackError::OtherServer {
            what,
            job: self.name.clone(),
            there: there.to_owned(),
            here: here.to_owned(),
        };
        let nobody = |what: &str, who: &String| PutBackError::Nobody {
            what: what.to_owned(),
            who: who.clone(),
        };
        match &order.what {
            ToPutBack::Run(run) => {
                let report = history.load(&self.name, run)?;
                let run = run.clone();
                if report.builtin.is_some() || matches!(self.work, Work::FtrackLdap(_)) {
                    return Err(PutBackError::OfFtrack { run });
                }
                if report.dry_run || report.observed.is_some() {
                    return Err(PutBackError::DryRun { run });
                }
                if report
                    .changes
                    .iter()
                    .all(|change| written(change).is_empty())
                {
                    return Err(PutBackError::WroteNothing { run });
                }
                let what = format!("the run {run}");
                if report.ftrack.server != here {
                    return Err(other(what, &report.ftrack.server));
                }
                let is_known = |who: &String| {
                    report
                        .changes
                        .iter()
                        .any(|change| undo::is_about(change, who))
                };
                match order.only.iter().find(|who| !is_known(who)) {
                    Some(who) => Err(nobody(&what, who)),
                    None => Ok(Target::Run(Box::new(report))),
                }
            }
            ToPutBack::Snapshot(run) => {
                let snapshot = Snapshots::new(&self.config.state_dir).load(&self.name, run)?;
                if snapshot.head.ftrack != here {
                    let what = format!("the snapshot {run}");
                    return Err(other(what, &snapshot.head.ftrack));
                }
                Ok(Target::Snapshot(Box::new(snapshot)))
            }
        }
    }
}

/// The run whose changes are written again where an undo is undone; none where it is not known.
fn redone(history: &History, target: &Target) -> Option<String> {
    let Target::Run(undone) = target else {
        return None;
    };
    let mut run = undone.undoes.clone()?;
    // An undo of an undo of an undo puts back again.
    for _ in 0..LONGEST_CHAIN {
        let report = history.load(&undone.job, &run).ok()?;
        let Some(before) = &report.undoes else {
            return (report.trigger != Trigger::Restore).then_some(run);
        };
        run = history.load(&undone.job, before).ok()?.undoes?;
    }
    None
}

impl<W> RunContext<'_, W> {
    /// It is no run before the people that it names are known, nor while it may turn out to deactivate
    /// more than whoever wants it knows.
    fn begin_unless_unsure(&mut self, order: &PutBackOrder) -> Result<(), StateError> {
        if order.only.is_empty() && order.may_be_many() {
            self.begin()?;
        }
        Ok(())
    }

    fn end_put_back(
        mut self,
        ended: Result<(), Failure>,
        state: &State,
    ) -> Result<Report, RunStartError> {
        if let Some(error) = self.no_run.take() {
            return Err(error);
        }
        self.begin()?;
        Ok(self.finish(ended, state))
    }

    /// Notes in the report who wants what.
    fn ordered(&mut self, order: &PutBackOrder) {
        self.report.only.clone_from(&order.only);
        self.report.approved_by = Some(order.by.clone());
        match &order.what {
            ToPutBack::Run(run) => self.report.undoes = Some(run.clone()),
            ToPutBack::Snapshot(run) => self.report.restores = Some(run.clone()),
        }
    }

    /// Reads all of ftrack, and nothing else.
    async fn read_all(&mut self, wanted: ReadCurrent<'_>) -> Result<Current, Failure> {
        let began = Instant::now();
        self.reader
            .take_key()
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        let current = ftrack::read::read(&self.reader, wanted, &self.until).await;
        self.record_phase(RunPhase::Ftrack, began.elapsed());
        let current = current.map_err(|error| self.ftrack_unread(&error))?;
        self.record_current(&current, began.elapsed());
        Ok(current)
    }

    /// Names in the report who and what is left alone.
    fn record_left(&mut self, left: Vec<Skipped>) {
        for entry in &left {
            Event::EntrySkipped {
                of: self.name(),
                dn: &entry.dn,
                reason: &entry.reason,
            }
            .emit();
        }
        self.report.skipped = left;
    }

    /// Links that were taken away are no users of the job any more, for the run after this one.
    fn record_unlinked(&mut self, vetted: &Vetted) {
        let changes = self.report.changes.iter().zip(vetted.allowed());
        let is_gone = |(reported, change): &(&Reported, &Change)| {
            let is_gone = reported.result == ChangeResult::Applied || reported.is_so_already();
            is_gone && change.row == LinkRow::Deleted
        };
        let gone = changes.filter(is_gone).count();
        let ftrack = &mut self.report.ftrack;
        ftrack.owned = ftrack.owned.saturating_sub(gone);
        ftrack.linked = ftrack.linked.map(|linked| linked.saturating_sub(gone));
    }

    /// Decides what may be written of what is to be put back, and puts it into the report; returns
    /// it, with what that rejects.
    async fn vetted_put_back(
        &mut self,
        put_back: PutBack<'_>,
        current: &Current,
        order: &PutBackOrder,
        (guarding, reason, closed): (Guarding<'_>, &Reason, &ClosedKinds),
    ) -> Result<ToWrite, Failure> {
        let unchanged = put_back.unchanged;
        let (plan, left, rejections) = put_back.plan(current, guarding, reason);
        let mut vetted = guard::put_back(&plan, closed);
        let lock = self
            .look_at_administrators(&mut vetted, Approval::None)
            .await?;
        let of = (vetted.allowed(), plan.owned_active);
        if let Some(many) = many::warning(&self.prepared.job, of.0, of.1, current) {
            if !order.may_be_many() {
                let error = PutBackError::Unconfirmed { many };
                let failure = Failure::refused(&error);
                self.no_run = Some(error.into());
                return Err(failure);
            }
            self.notes.insert(0, many);
        }
        self.begin()?;
        self.record_plan(&plan, &vetted);
        self.record_left(left);
        self.count(unchanged);
        let allowed: BTreeSet<&EntityId> = vetted
            .allowed()
            .iter()
            .map(|change| &change.ftrack_id)
            .collect();
        let rejections = rejections.of_users(&allowed);
        Ok(ToWrite {
            vetted,
            rejections,
            unchanged,
            _lock: lock,
        })
    }
}

/// What is put back.
struct ToWrite {
    vetted: Vetted,
    /// What the next run must not do again, and what it may.
    rejections: Rejections,
    /// Users that are as they were.
    unchanged: usize,
    /// Held until everything is written.
    _lock: Option<AdministratorLock>,
}

impl RunContext<'_, LdapWork> {
    async fn execute_put_back(
        &mut self,
        state: &State,
        (order, target): (&PutBackOrder, Target),
        writer: Option<&Writer>,
    ) -> Result<(), Failure> {
        let job = &self.prepared.name;
        let mut remembered = state.remembered(job, self.reader.server())?;
        let custom = self.custom_of_now().await?;
        let wanted = ReadCurrent {
            custom_attributes: &custom,
            ..self.current_wanted()
        };
        let current = self.read_all(wanted).await?;
        let earlier = self.confirm_earlier(state, &remembered, &current).await?;
        if earlier.is_changed {
            remembered = state.remembered(job, self.reader.server())?;
        }
        self.look_at_pauses(state)?;
        let closed = self.times().closed_at(self.clocks().here);
        let work = self.work;
        self.own = self.known_links(&remembered, &current)?;
        let own = self.own.clone();
        let is_api_user = |login: &str| work.rules.is_api_user(login);
        let guarded = |user: &_| work.rules.guarded(user);
        let guarding = Guarding {
            is_api_user: &is_api_user,
            guarded: &guarded,
            own: &own,
            signature: work.rules.signature,
        };
        // To the millisecond, as links have it.
        let now = self.clocks().latest().trunc_subsecs(3);
        let (put_back, reason) = match &target {
            Target::Run(report) => {
                // What later runs found out by now is in it.
                let report = self.history.load(&report.job, &report.run);
                let report = report.map_err(Failure::refused)?;
                let before = self.snapshot_before(&report.run);
                let later = self.later_runs(&report)?;
                let undoing = undo::Undoing {
                    report: &report,
                    before: before.as_ref(),
                    later: &later,
                    current: &current,
                    stored: &remembered.stored_otherwise,
                    only: &order.only,
                    now,
                };
                let reason = format!("a person had the run {} undone", report.run);
                (undo::undo(undoing, guarding), reason)
            }
            Target::Snapshot(snapshot) => {
                let put_back = self.restored(snapshot, &current, (order, guarding), now)?;
                let snapshot = &snapshot.head.snapshot;
                (
                    put_back,
                    format!("a person had the snapshot {snapshot} restored"),
                )
            }
        };
        let reason = Reason::PutBack(reason.into());
        let judged = (guarding, &reason, &closed);
        let to_write = self
            .vetted_put_back(put_back, &current, order, judged)
            .await?;
        let Some(writer) = writer else {
            self.report.outcome = outcome(&self.report);
            return Ok(());
        };
        let past = (&remembered, now);
        self.write_back(state, past, (order, to_write), (&current, &earlier), writer)
            .await?;
        self.forget_earlier(earlier);
        Ok(())
    }

    /// The mapped custom attributes that ftrack still has: what is gone stops nothing else from being put
    /// back.
    async fn custom_of_now(&mut self) -> Result<Vec<String>, Failure> {
        let keys = self.work.custom_keys();
        self.reader
            .take_key()
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        let found = ftrack::custom::custom_attributes(&self.reader, keys, &self.until).await;
        let found = found.map_err(|error| self.ftrack_unread(&error))?;
        let mut known = Vec::new();
        for (key, found) in keys.iter().zip(found) {
            match found {
                Ok(_) => known.push(key.clone()),
                Err(fault) => self
                    .notes
                    .push(format!("{}, so it is not put back", fault.what())),
            }
        }
        Ok(known)
    }

    /// What ftrack had before a run; where that is gone, the report has to do.
    fn snapshot_before(&mut self, run: &str) -> Option<Snapshot> {
        let snapshots = Snapshots::new(&self.prepared.config.state_dir);
        match snapshots.load(&self.prepared.name, run) {
            Ok(snapshot) => Some(snapshot),
            // A run that wrote nothing has none, and most that are old have none any more.
            Err(SnapshotError::Unknown(_)) => None,
            Err(error) => {
                self.notes.push(format!(
                    "the snapshot before the run cannot be used, so its report has to do: {error}"
                ));
                None
            }
        }
    }

    async fn write_back(
        &mut self,
        state: &State,
        (remembered, now): (&Remembered, DateTime<Utc>),
        (order, to_write): (&PutBackOrder, ToWrite),
        (current, earlier): (&Current, &EarlierRuns),
        writer: &Writer,
    ) -> Result<(), Failure> {
        let ToWrite {
            vetted,
            rejections,
            unchanged,
            _lock,
        } = to_write;
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        if !vetted.allowed().is_empty() {
            // Before the first write, so that no run does it again after this one was killed.
            let users: HashMap<&EntityId, &User> =
                current.users.iter().map(|user| (&user.id, user)).collect();
            let who = |id: &EntityId| users.get(id).map(|user| RejectedWho::from(*user));
            let Rejections { made, ended } = &rejections;
            state.reject_undone(job, (Utc::now(), &order.by), (made, ended), who)?;
            self.report.rejects = Some(made.len()).filter(|made| *made > 0);
            state.set_known_changes(job, ftrack, None)?;
            let counted = uncounted(&self.report.run, &vetted, (self.clocks(), now));
            state.count_written(job, &counted)?;
        }
        self.keep_snapshot(&vetted, current)?;
        let mut stored = remembered.stored_otherwise.clone();
        let applied = self
            .apply(
                unchanged,
                (&vetted, &VettedNotes::default()),
                (current, &earlier.writes),
                (writer, None),
                &mut stored,
            )
            .await;
        self.record_unlinked(&vetted);
        let before = &remembered.stored_otherwise;
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let kept = state.set_stored_otherwise(job, ftrack, before, &stored);
        applied?;
        Ok(kept?)
    }
}

/// Deactivations of now, which no limit counts, also where only the links tell of them.
fn uncounted(run: &str, vetted: &Vetted, (at, since): (Clocks, DateTime<Utc>)) -> Vec<Written> {
    let mut allowed = vetted.allowed().iter();
    if !allowed.any(|change| change.action == Action::Deactivate) {
        return Vec::new();
    }
    vec![Written {
        run: run.to_owned(),
        kind: ChangeKind::Deactivate,
        at,
        number: 0,
        since,
        is_settled: true,
    }]
}
