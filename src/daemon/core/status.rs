//! What is shown of the daemon: to `status`, the metrics, the probes and the service manager.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::Core;
use crate::{
    config::schedule::Due,
    daemon::{
        commands::CommandError,
        status::{ConfigStatus, JobPhase, JobStatus, Running, Status},
    },
    model::{backoff::Backoff, readable_time::readable_time},
    run::Progress,
};

/// What the core does not know by itself.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The time.
    pub now: DateTime<Utc>,
    /// When a job's schedule is due next.
    pub next_tick: &'a dyn Fn(&str) -> Option<DateTime<Utc>>,
    /// How far a job's run is.
    pub progress: &'a dyn Fn(&str) -> Option<Progress>,
}

impl Core {
    /// The daemon now.
    #[must_use]
    pub fn status(&self, view: View<'_>) -> Status {
        let loaded = self.configuration.loaded();
        Status {
            version: crate::VERSION.to_owned(),
            pid: self.about.pid,
            started_at: self.about.started_at,
            stopping: self.stopping,
            beat_at: self.beat_at,
            config: ConfigStatus {
                file: self.about.file.clone(),
                loaded_at: loaded.loaded_at,
                reload_failures: self.configuration.failures(),
                error: self.configuration.error().cloned(),
                restart_for: loaded.restart_for.clone(),
            },
            contacts: self.readiness.status(),
            jobs: self
                .jobs
                .names()
                .filter_map(|job| self.job(job, view))
                .collect(),
        }
    }

    /// A job now.
    ///
    /// # Errors
    /// There is no such job.
    pub fn job_status(&self, job: &str, view: View<'_>) -> Result<JobStatus, CommandError> {
        self.jobs.check_known(job)?;
        let status = self.job(job, view);
        status.ok_or_else(|| self.jobs.unknown(job))
    }

    fn job(&self, job: &str, view: View<'_>) -> Option<JobStatus> {
        let now = view.now;
        let standing = self.jobs.standing(job, now)?;
        let configured = self.configuration.job(job)?;
        let past = self.last_runs.get(job);
        let refused = self
            .refusal_of(job)
            .filter(|_| standing.backoff.is_none() && standing.pause.is_none());
        let phase = match (standing.phase, &refused) {
            (JobPhase::Idle, Some(_)) => JobPhase::BackingOff,
            (phase, _) => phase,
        };
        let refused_until = refused.as_ref().map(|refused| refused.next);
        let next_run = match (phase, standing.pause) {
            (_, Some(pause)) => pause.until.and_then(|until| {
                let schedule = configured.schedule.as_ref()?;
                schedule.next_after(until.max(now))
            }),
            (JobPhase::BackingOff | JobPhase::Suspended, None) => {
                match standing.backoff.and_then(Backoff::retries_at) {
                    Some(retry_at) => standing.put_off.max(Some(retry_at)),
                    None => standing
                        .put_off
                        .or_else(|| Some((view.next_tick)(job)?.max(refused_until.unwrap_or(now)))),
                }
            }
            (JobPhase::Waiting, None) => standing.put_off.or(Some(now)),
            (JobPhase::Idle | JobPhase::Running | JobPhase::Paused, None) => (view.next_tick)(job),
        };
        let success_due = match (standing.pause, &configured.schedule) {
            (None, Some(schedule)) => past
                .and_then(|past| past.success)
                .and_then(|success| schedule.occurrences(success).nth(1)),
            (Some(_), _) | (None, None) => None,
        };
        let next_changes = match (phase, standing.pause) {
            (JobPhase::Idle | JobPhase::Waiting | JobPhase::Running, None) => {
                (view.next_tick)(&Due::Changes(job.to_owned()).name())
            }
            (_, Some(_)) | (JobPhase::BackingOff | JobPhase::Suspended | JobPhase::Paused, _) => {
                None
            }
        };
        Some(JobStatus {
            job: job.to_owned(),
            phase,
            schedule: configured.expression.clone(),
            timezone: configured.timezone.clone(),
            next_run,
            next_changes,
            last_changes: past.and_then(|past| past.changes),
            watch: self.watch_status(job),
            running: standing.underway.map(|underway| Running {
                trigger: underway.trigger,
                dry_run: underway.dry_run,
                started_at: underway.since,
                progress: (view.progress)(job),
            }),
            pause: standing.pause.cloned(),
            paused_kinds: standing.paused_kinds.clone(),
            elsewhere_since: standing.elsewhere_since,
            refused,
            backoff: standing.backoff.cloned(),
            last_run: past.and_then(|past| past.run.clone()),
            last_success: past.and_then(|past| past.success),
            success_due,
            ticks_skipped: standing.ticks_skipped,
        })
    }
}

/// The daemon in one line, for `systemctl status`.
#[must_use]
pub fn summary(status: &Status) -> String {
    if status.stopping {
        return "stopping".to_owned();
    }
    let mut parts = Vec::new();
    for job in &status.jobs {
        match job.phase {
            JobPhase::Idle => {}
            phase @ (JobPhase::Waiting
            | JobPhase::Running
            | JobPhase::Paused
            | JobPhase::BackingOff
            | JobPhase::Suspended) => parts.push(format!("{} {}", job.job, phase.as_str())),
        }
        let kinds = job.paused_kinds.keys();
        parts.extend(kinds.map(|kind| format!("{} {kind} paused", job.job)));
    }
    let next = status
        .jobs
        .iter()
        .filter_map(|job| Some((job.next_run?, &job.job, &job.timezone)))
        .min();
    if let Some((time, job, zone)) = next {
        let time = readable_time(time, &zone.parse().unwrap_or(Tz::UTC));
        parts.push(format!("next {job} at {time}"));
    }
    if parts.is_empty() {
        return "no job has a schedule".to_owned();
    }
    parts.join(", ")
}
