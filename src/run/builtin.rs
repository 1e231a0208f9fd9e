//! A run that starts ftrack's own LDAP synchronisation: the changes are found by reading the users
//! before and after.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{Progress, RunContext, failure::Failure};
use crate::{
    config::FtrackLdapJob,
    event::{Builtin, BuiltinAlarm, Event},
    ftrack,
    ftrack::{
        builtin_sync,
        builtin_sync::NotStarted,
        error::FtrackError,
        read::ReadCurrent,
        session::{Until, Writer},
    },
    model::{
        report::{BuiltinPart, Counts, FailureKind, Outcome, RunPhase, Trigger},
        server_job::{ServerJob, Status},
        snapshot::SnapshotExtent,
        user::Current,
    },
    state::journal::Journal,
    sync::{guard, observed, observed::AllValues, snapshot},
};

mod ended;
mod open;

use ended::{SyncEnd, not_followed, over, refused, unread_after};
pub(super) use open::OpenSync;
use open::{Reported, Start};

/// The part of the time limit reserved for reading the users once more: a tenth, but no longer than
/// this.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Time limit for reading the users once more after a stop is requested.
const GRACE: Duration = Duration::from_secs(5);

/// The maximum number of logins named in a warning.
const NAMED: usize = 50;

impl RunContext<'_, FtrackLdapJob> {
    /// Reads the users, starts the synchronisation, and reads them again. A synchronisation that an
    /// earlier run started, and whose end no run has reported, is followed and reported first, and
    /// no other is started beside it.
    ///
    /// Returns whether the synchronisation is reported to its end, so that it can be forgotten once
    /// the report is saved.
    pub(super) async fn have_ftrack_synchronise(
        &mut self,
        writer: &Writer,
    ) -> (Result<(), Failure>, Reported) {
        for warning in self.of_trusted_files() {
            self.warn(warning);
        }
        match self.begin_sync(writer).await {
            Ok((open, job)) => self.follow_and_report(open, job).await,
            Err(failure) => (Err(failure), Reported::Open),
        }
    }

    /// Finds the synchronisation that is still open, or starts one.
    async fn begin_sync(&mut self, writer: &Writer) -> Result<(OpenSync, ServerJob), Failure> {
        self.reader
            .take_key()
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        let before = OpenSync::load(&self.prepared.config.state_dir, self.reader.server())?;
        let Some(mut open) = before else {
            let current = self.read_users().await;
            let current = current.map_err(|error| self.ftrack_unread(&error))?;
            self.keep_everybody(&current)?;
            let users = AllValues::of(&current);
            return self
                .start_sync(OpenSync::before(&self.report, users), None, writer)
                .await;
        };
        let job = self
            .still_there(&mut open)
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        if let Some(job) = job.filter(|job| !matches!(job.status, Status::Unknown(_))) {
            self.record_server_job(&job);
            self.warn(format!(
                "the run {} started this synchronisation and did not see its end; this run \
                 follows it, and reports its changes",
                open.start.run
            ));
            return Ok((open, job));
        }
        // It is not known whether it is running: only a scheduled or manual run starts another, and
        // reports both.
        match self.report.trigger {
            Trigger::Schedule | Trigger::Manual => {
                self.warn(format!(
                    "the result of the synchronisation that the run {} started is not known; \
                     another one is started, and all changes since then are reported",
                    open.start.run
                ));
                let current = self.read_users().await;
                let current = current.map_err(|error| self.ftrack_unread(&error))?;
                self.keep_everybody(&current)?;
                let earlier = mem::replace(&mut open.start, Start::by(&self.report));
                self.start_sync(open, Some(earlier), writer).await
            }
            Trigger::Startup
            | Trigger::Retry
            | Trigger::Changes
            | Trigger::Watch
            | Trigger::Approval
            | Trigger::Link
            | Trigger::Release
            | Trigger::Undo
            | Trigger::Restore => Err(Failure {
                kind: FailureKind::FtrackUnclear,
                why: format!(
                    "the result of the synchronisation that the run {} started is not known, so \
                     none is started before the next scheduled or manual run",
                    open.start.run
                ),
            }),
        }
    }

    /// Saves all users, as they were read, before ftrack changes any.
    fn keep_everybody(&self, current: &Current) -> Result<(), Failure> {
        let users = snapshot::everybody(current);
        let managed = snapshot::readable(current);
        self.keep_users(users, SnapshotExtent::Everybody, managed)
    }

    async fn read_users(&mut self) -> Result<Current, FtrackError> {
        let began = Instant::now();
        let current = ftrack::read::read(&self.reader, ReadCurrent::default(), &self.until).await;
        self.record_phase(RunPhase::Ftrack, began.elapsed());
        let current = current?;
        self.record_current(&current, began.elapsed());
        Ok(current)
    }

    /// The job of a synchronisation that an earlier run started; none where the server does not
    /// show it, or it cannot be identified.
    async fn still_there(&self, open: &mut OpenSync) -> Result<Option<ServerJob>, FtrackError> {
        match &open.start.job {
            Some(id) => builtin_sync::find(&self.reader, id, &self.until).await,
            None => {
                let api_user = open.users.named(&self.prepared.config.ftrack.api_user);
                let found = builtin_sync::come_about_since(
                    &self.reader,
                    &open.start.noted,
                    api_user,
                    &self.until,
                )
                .await?;
                let job = found.ok();
                open.start.job = job.as_ref().map(|job| job.id.clone());
                Ok(job)
            }
        }
    }

    /// If an earlier one is open, a refused start does not change that.
    async fn start_sync(
        &mut self,
        mut open: OpenSync,
        earlier: Option<Start>,
        writer: &Writer,
    ) -> Result<(OpenSync, ServerJob), Failure> {
        open.start.noted = builtin_sync::note(&self.reader, &self.until)
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        let state_dir = &self.prepared.config.state_dir;
        // A run that is killed from here on may have started something.
        open.keep(state_dir)?;
        self.report.builtin = Some(BuiltinPart::default());
        self.record_calls();
        Journal::open(state_dir, &self.report, self.marks(None))?;
        let api_user = open.users.named(&self.prepared.config.ftrack.api_user);
        match builtin_sync::start(writer, &open.start.noted, api_user, &self.until).await {
            Ok(job) => {
                open.start.job = Some(job.id.clone());
                self.record_server_job(&job);
                // Without the id, the next run finds the job among those that were created since.
                let kept = open.keep(state_dir).and_then(|()| {
                    Journal::open(state_dir, &self.report, self.marks(None)).map(drop)
                });
                if let Err(error) = kept {
                    self.log_state_failure(&error);
                }
                self.log(Builtin::Started(&job));
                Ok((open, job))
            }
            Err(NotStarted::Refused(error)) => {
                match earlier {
                    None => OpenSync::forget(state_dir),
                    Some(start) => OpenSync { start, ..open }.keep(state_dir)?,
                }
                Err(refused(&error))
            }
            Err(NotStarted::Unclear(why)) => Err(Failure {
                kind: FailureKind::FtrackUnclear,
                why,
            }),
        }
    }

    /// Follows the server's job, reads the users again, and reports the differences.
    async fn follow_and_report(
        &mut self,
        mut open: OpenSync,
        job: ServerJob,
    ) -> (Result<(), Failure>, Reported) {
        let began = Instant::now();
        let ended = self.follow(job, began).await;
        self.record_phase(RunPhase::Writing, began.elapsed());
        if self.until.cancel.is_cancelled() {
            // The changes so far are reported all the same.
            self.until = Until {
                deadline: Instant::now() + GRACE,
                cancel: tokio_util::sync::CancellationToken::new(),
            };
        }
        let after = match self.read_users().await {
            Ok(after) => AllValues::of(&after),
            Err(error) => return (Err(unread_after(ended, &error)), Reported::Open),
        };
        self.record_changes(&mut open, after);
        match ended {
            SyncEnd::Seen(result) => (result, Reported::ToItsEnd),
            SyncEnd::Unseen(failure) => (Err(failure), Reported::SoFar(Box::new(open))),
        }
    }

    async fn follow(&mut self, mut job: ServerJob, began: Instant) -> SyncEnd {
        let limit = self.prepared.job.time_limit;
        let until = Until {
            deadline: self
                .until
                .deadline
                .checked_sub(LONGEST_REST.min(limit / 10))
                .unwrap_or(self.until.deadline),
            cancel: self.until.cancel.clone(),
        };
        let progress = self.progress;
        let followed = builtin_sync::follow(&self.reader, &mut job, &until, |job| {
            progress(match job.status {
                Status::Queued => Progress::ServerJobQueued,
                Status::Running | Status::Done | Status::Failed | Status::Unknown(_) => {
                    Progress::ServerJobRunning
                }
            });
        })
        .await;
        self.record_server_job(&job);
        self.log(Builtin::Finished(&job, began.elapsed()));
        match followed {
            Ok(()) => over(&job),
            Err(why) => SyncEnd::Unseen(not_followed(&job, why, limit)),
        }
    }

    /// Puts the state of the server's job into the report.
    fn record_server_job(&mut self, job: &ServerJob) {
        self.report.builtin = Some(BuiltinPart {
            job_id: Some(job.id.clone()),
            status: Some(job.status.to_string()),
            text: job.text.clone(),
        });
    }

    /// Reports the differences since the last report, and raises an alarm where the whole
    /// synchronisation exceeded the limits.
    fn record_changes(&mut self, open: &mut OpenSync, after: AllValues) {
        let difference = observed::difference(&open.users, &after);
        self.report.changes.clone_from(&difference.changes);
        for change in &difference.changes {
            *self.report.planned.entry(change.action).or_default() += 1;
        }
        self.report.counts = Counts {
            unchanged: difference.unchanged,
            ..Counts::of_results(&self.report.changes)
        };
        self.report.outcome = Outcome::Succeeded;
        for change in &self.report.changes {
            Event::Change {
                of: self.name(),
                change,
            }
            .emit();
        }
        if !difference.removed.is_empty() {
            let named: Vec<&str> = difference
                .removed
                .iter()
                .take(NAMED)
                .map(String::as_str)
                .collect();
            let more = if difference.removed.len() > named.len() {
                ", …"
            } else {
                ""
            };
            self.warn(format!(
                "{} users no longer exist in ftrack, and its own synchronisation is not known to \
                 delete users: {}{more}",
                difference.removed.len(),
                named.join(", ")
            ));
        }
        open.deactivated += difference.deactivated();
        open.renamed += difference.renamed();
        open.users = after;
        if difference.deactivated() + difference.renamed() > 0 {
            self.alarm(open);
        }
    }

    fn alarm(&mut self, open: &OpenSync) {
        let FtrackLdapJob { deactivate, rename } = *self.work;
        let OpenSync {
            active,
            deactivated,
            renamed,
            ..
        } = *open;
        let alarm = BuiltinAlarm {
            active,
            deactivated,
            deactivate_limit: guard::most(deactivate, active),
            renamed,
            rename_limit: guard::most(rename, active),
        };
        if !alarm.is_raised() {
            return;
        }
        self.log(Builtin::Alarm(alarm));
        self.report.outcome = Outcome::Partial;
        self.report.alarm = true;
        self.warn(format!(
            "ALARM: ftrack's own synchronisation deactivated {deactivated} of {active} active \
             users (limits.deactivate allows {}) and renamed {renamed} (limits.rename allows {}); \
             it is already done: `pause {}` stops its schedule; check ftrack's LDAP settings and \
             the directory before it runs again, and revert wrong changes by hand: each change \
             above shows the old values",
            alarm.deactivate_limit, alarm.rename_limit, self.prepared.name
        ));
    }

    fn log(&self, what: Builtin<'_>) {
        Event::Builtin {
            of: self.name(),
            what,
        }
        .emit();
    }

    fn warn(&mut self, warning: String) {
        Event::RunWarning {
            of: self.name(),
            warning: &warning,
        }
        .emit();
        self.report.warnings.push(warning);
    }
}
