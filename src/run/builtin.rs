//! A run that has ftrack do its own LDAP synchronisation: what it changed is seen by reading the users before and after.

use std::time::{Duration, Instant};

use super::{
    Course, Progress,
    failure::Failure,
    journal::Journal,
    report::{BuiltinPart, ChangeResult, Counts, FailureKind, Outcome, Phase, Reported},
};
use crate::{
    config::FtrackLdapJob,
    event::{Builtin, BuiltinAlarm, Event},
    ftrack::{
        self,
        builtin_sync::{self, NotFollowed, NotStarted, ServerJob, Status},
        error::{FtrackError, Trouble},
        read::ReadCurrent,
        session::Until,
        user::{Current, EntityId},
    },
    sync::{
        change::Action,
        guard,
        observed::{self, Difference, Observed},
    },
};

/// How much of the time limit is kept for reading the users once more: a tenth, but no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The most earlier reports that are looked through for a job of the server's that may still be under way.
const REPORTS: usize = 20;

/// Why each of the changes was made.
const REASON: &str = "ftrack's own synchronisation";

/// Where an administrator sets it up.
const SETTINGS: &str = "System settings > Resources > LDAP settings";

impl Course<'_, FtrackLdapJob> {
    /// The whole story: reads the users, has ftrack synchronise, and reads them again.
    pub(super) async fn have_ftrack_synchronise(&mut self) -> Result<(), Failure> {
        self.session.take_key().await.map_err(|error| self.ftrack_unread(&error))?;
        let before = self.read_users().await.map_err(|error| self.ftrack_unread(&error))?;
        self.none_is_under_way().await?;
        let began = Instant::now();
        let started = self.start_sync(&before).await;
        let ended = match started {
            Ok(job) => self.follow(job, began).await,
            Err(failure) => return Err(failure),
        };
        self.took(Phase::Writing, began.elapsed());
        let is_stopped = matches!(&ended, Err(failure) if failure.kind == FailureKind::Stopped);
        if !is_stopped {
            match self.read_users().await {
                Ok(after) => self.tell_changes(&before, &after),
                Err(error) => return Err(unread_after(ended, &error)),
            }
        }
        ended
    }

    async fn read_users(&mut self) -> Result<Current, FtrackError> {
        let began = Instant::now();
        let current = ftrack::read::read(&self.session, ReadCurrent::default(), &self.until).await;
        self.took(Phase::Ftrack, began.elapsed());
        let current = current?;
        self.tell_current(&current, began.elapsed());
        Ok(current)
    }

    /// Starts nothing while a job that an earlier run started, and did not see to its end, is still under way.
    async fn none_is_under_way(&self) -> Result<(), Failure> {
        let Some((run, id)) = self.not_seen_to_its_end() else { return Ok(()) };
        let job = builtin_sync::look(&self.session, &id, &self.until)
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        match job.filter(ServerJob::is_under_way) {
            None => Ok(()),
            Some(job) => Err(Failure {
                kind: FailureKind::Ftrack,
                why: format!(
                    "the synchronisation that the run {run} started (ftrack's job {id}) is still {}, so none was started; if it takes that long, raise time_limit, and if \
                     it does not move, see to ftrack's job worker",
                    job.status
                ),
            }),
        }
    }

    /// The server's job that the last run with one started, if that run did not see its end.
    fn not_seen_to_its_end(&self) -> Option<(String, EntityId)> {
        let job = &self.prepared.name;
        let runs = self.history.runs(Some(job)).ok()?;
        let reports = runs.iter().take(REPORTS).filter_map(|(run, job)| self.history.load(job, run).ok());
        let (run, BuiltinPart { job_id, status, .. }) = reports.filter_map(|report| Some((report.run, report.builtin?))).next()?;
        let is_over = matches!(status.as_deref(), Some("done" | "failed"));
        job_id.filter(|_| !is_over).map(|id| (run, id))
    }

    async fn start_sync(&mut self, before: &Current) -> Result<ServerJob, Failure> {
        let noted = builtin_sync::note(&self.session, &self.until)
            .await
            .map_err(|error| self.ftrack_unread(&error))?;
        // A run that is killed from here on may have started something.
        self.report.builtin = Some(BuiltinPart::default());
        Journal::open(&self.prepared.config.state_dir, &self.report)?;
        let name = &self.prepared.config.ftrack.api_user;
        let api_user = before.users.iter().find(|user| user.username.eq_ignore_ascii_case(name)).map(|user| &user.id);
        match builtin_sync::start(&self.session, &noted, api_user, &self.until).await {
            Ok(job) => {
                self.see(&job);
                Journal::open(&self.prepared.config.state_dir, &self.report)?;
                self.tell(Builtin::Started(&job));
                Ok(job)
            }
            Err(NotStarted::Refused(error)) => Err(refused(&error)),
            Err(NotStarted::Unclear(why)) => Err(Failure {
                kind: FailureKind::FtrackUnclear,
                why,
            }),
        }
    }

    async fn follow(&mut self, mut job: ServerJob, began: Instant) -> Result<(), Failure> {
        let limit = self.prepared.job.time_limit;
        let until = Until {
            deadline: self.until.deadline.checked_sub(LONGEST_REST.min(limit / 10)).unwrap_or(self.until.deadline),
            cancel: self.until.cancel.clone(),
        };
        let progress = self.progress;
        let followed = builtin_sync::follow(&self.session, &mut job, &until, |job| {
            progress(match job.status {
                Status::Queued => Progress::ServerJobQueued,
                Status::Running | Status::Done | Status::Failed | Status::Unknown(_) => Progress::ServerJobRunning,
            });
        })
        .await;
        self.see(&job);
        self.tell(Builtin::Finished(&job, began.elapsed()));
        match followed {
            Ok(()) => over(&job),
            Err(why) => Err(not_followed(&job, why, limit)),
        }
    }

    /// Puts what was seen of the server's job into the report.
    fn see(&mut self, job: &ServerJob) {
        self.report.builtin = Some(BuiltinPart {
            job_id: Some(job.id.clone()),
            status: Some(job.status.to_string()),
            text: job.text.clone(),
        });
    }

    /// Reports what is otherwise after the synchronisation, and raises an alarm where that is more than it should be.
    fn tell_changes(&mut self, before: &Current, after: &Current) {
        let difference = observed::difference(before, after);
        self.report.changes = difference.changes.iter().map(reported).collect();
        for change in &difference.changes {
            *self.report.planned.entry(change.action).or_default() += 1;
        }
        self.report.counts = Counts {
            unchanged: difference.unchanged,
            ..Counts::of_results(&self.report.changes)
        };
        self.report.outcome = Outcome::Succeeded;
        for change in &self.report.changes {
            Event::Change { of: self.name(), change }.emit();
        }
        if !difference.removed.is_empty() {
            self.warn(format!(
                "users are no more at ftrack, which its own synchronisation is not known to do: {}",
                difference.removed.join(", ")
            ));
        }
        self.alarm(before, &difference);
    }

    fn alarm(&mut self, before: &Current, difference: &Difference) {
        let FtrackLdapJob { deactivate, rename } = *self.work;
        let active = before.users.iter().filter(|user| user.is_active).count();
        let alarm = BuiltinAlarm {
            active,
            deactivated: difference.changes.iter().filter(|change| change.action == Action::Deactivate).count(),
            deactivate_limit: guard::most(deactivate, active),
            renamed: difference.changes.iter().filter(|change| change.is_rename()).count(),
            rename_limit: guard::most(rename, active),
        };
        if !alarm.is_raised() {
            return;
        }
        self.tell(Builtin::Alarm(alarm));
        self.report.outcome = Outcome::Partial;
        self.report.alarm = true;
        self.warn(format!(
            "ftrack's own synchronisation deactivated {} of {active} active users (limits.deactivate allows {}) and renamed {} (limits.rename allows {}); it is done already: \
             look at the LDAP settings at ftrack and at the directory before it runs again, and put back by hand what should not be; each change above has the values from \
             before",
            alarm.deactivated, alarm.deactivate_limit, alarm.renamed, alarm.rename_limit
        ));
    }

    fn tell(&self, what: Builtin<'_>) {
        Event::Builtin { of: self.name(), what }.emit();
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

fn reported(observed: &Observed) -> Reported {
    let Observed {
        action,
        username,
        ftrack_id,
        directory_id,
        fields,
    } = observed;
    Reported {
        action: *action,
        username: username.clone(),
        dn: None,
        directory_id: directory_id.as_ref().map(|id| id.as_str().to_owned()),
        ftrack_id: ftrack_id.clone(),
        fields: fields.clone(),
        reason: REASON.to_owned(),
        result: ChangeResult::Applied,
        held_by: None,
        error: None,
    }
}

/// The server's own words for a synchronisation that is not set up are not known, so that each refusal gets the same way out.
fn refused(error: &FtrackError) -> Failure {
    let why = match (error.trouble(), error.refusal()) {
        (Trouble::Refused(_), Some(refusal)) => {
            format!("ftrack did not start its own LDAP synchronisation, and says: {refusal}; is it set up? Look at {SETTINGS} at ftrack")
        }
        _ => format!("ftrack's own LDAP synchronisation was not started: {error}"),
    };
    Failure {
        kind: FailureKind::from(error),
        why,
    }
}

/// How a job that is no longer under way turned out.
fn over(job: &ServerJob) -> Result<(), Failure> {
    let text = job.text.as_deref().unwrap_or("nothing about why");
    match &job.status {
        Status::Done | Status::Queued | Status::Running => Ok(()),
        Status::Failed => Err(Failure {
            kind: FailureKind::Ftrack,
            why: format!(
                "ftrack's own LDAP synchronisation failed (its job {}), and ftrack says: {text}; is it set up? Look at {SETTINGS} at ftrack",
                job.id
            ),
        }),
        Status::Unknown(word) => Err(Failure {
            kind: FailureKind::Ftrack,
            why: format!(
                "ftrack calls the status of its own LDAP synchronisation (its job {}) {word:?}, which this version does not know, so that its end is not known either; look at \
                 the job at ftrack",
                job.id
            ),
        }),
    }
}

fn not_followed(job: &ServerJob, why: NotFollowed, limit: Duration) -> Failure {
    let (id, limit) = (&job.id, humantime::format_duration(limit));
    match why {
        NotFollowed::Late if job.status == Status::Queued => Failure {
            kind: FailureKind::TimeLimit,
            why: format!(
                "ftrack never began its own LDAP synchronisation: its job {id} was still queued when the time limit of {limit} was nearly over; see to ftrack's job worker. \
                 The job may begin later"
            ),
        },
        NotFollowed::Late => Failure {
            kind: FailureKind::TimeLimit,
            why: format!(
                "ftrack's own LDAP synchronisation (its job {id}) was still {} when the time limit of {limit} was nearly over; it goes on at ftrack, and what it changes from \
                 now on is in no report. If it needs that long, raise time_limit",
                job.status
            ),
        },
        NotFollowed::Vanished => Failure {
            kind: FailureKind::Ftrack,
            why: format!(
                "ftrack does not show the job {id} of its own LDAP synchronisation, whose last known status was {}, so that its end is not known; may the key's role read jobs?",
                job.status
            ),
        },
        NotFollowed::Unread(error) if matches!(error.trouble(), Trouble::Cancelled) => Failure {
            kind: FailureKind::Stopped,
            why: format!(
                "the run was told to stop while ftrack's own LDAP synchronisation (its job {id}) was {}; it goes on at ftrack, and what it changes is in no report",
                job.status
            ),
        },
        NotFollowed::Unread(error) => Failure {
            kind: FailureKind::from(&error),
            why: format!(
                "ftrack's own LDAP synchronisation (its job {id}) could not be followed: {error}; it goes on at ftrack, and its last known status was {}",
                job.status
            ),
        },
    }
}

/// The users could not be read again.
fn unread_after(ended: Result<(), Failure>, error: &FtrackError) -> Failure {
    let (kind, how) = match ended {
        Ok(()) => (FailureKind::from(error), "ftrack's own LDAP synchronisation is done".to_owned()),
        Err(Failure { kind, why }) => (kind, why),
    };
    Failure {
        kind,
        why: format!("{how}; the users could not be read again, so that what it changed is in no report: {error}"),
    }
}
