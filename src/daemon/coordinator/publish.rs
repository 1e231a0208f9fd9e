//! What is shown of the daemon: to `status`, the metrics, the probes and systemd.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};

use super::Coordinator;
use crate::{
    daemon::{
        commands::CommandError,
        status::{ConfigStatus, JobPhase, JobStatus, Running, Status},
    },
    model::backoff::Backoff,
};

impl Coordinator {
    /// Publishes what is true now.
    pub(super) fn publish(&mut self) {
        let now = Utc::now();
        let jobs: Vec<JobStatus> = self
            .job_table
            .names()
            .filter_map(|job| self.job_shown(job, now))
            .collect();
        self.systemd.set_status(summary(&jobs, self.stopping));
        self.context.status.send_replace(Arc::new(Status {
            version: crate::VERSION.to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            stopping: self.stopping,
            beat_at: self.beat_at,
            config: ConfigStatus {
                file: self.source.file.clone(),
                loaded_at: self.setup.loaded_at,
                reload_failures: self.reload_failures,
                error: self.config_error.clone(),
                restart_for: self.restart_for.clone(),
            },
            contacts: self.readiness.status(),
            jobs,
        }));
    }

    /// A job, as it is shown.
    pub(super) fn job_status(&self, job: &str) -> Result<JobStatus, CommandError> {
        let known = || self.job_table.names().collect::<Vec<_>>().join(", ");
        let configured = self.job_table.names().any(|name| name == job);
        let shown = configured
            .then(|| self.job_shown(job, Utc::now()))
            .flatten();
        shown.ok_or_else(|| CommandError::UnknownJob {
            job: job.to_owned(),
            known: known(),
        })
    }

    fn job_shown(&self, job: &str, now: DateTime<Utc>) -> Option<JobStatus> {
        let standing = self.job_table.standing(job, now)?;
        let configured = self.setup.config.jobs.get(job)?;
        let past = self.last_runs.get(job);
        let schedule = self.setup.schedule(job);
        let next_run = match (standing.phase, standing.pause) {
            (_, Some(pause)) => pause
                .until
                .and_then(|until| schedule?.next_after(until.max(now))),
            (JobPhase::BackingOff | JobPhase::Suspended, None) => {
                match standing.backoff.and_then(Backoff::retries_at) {
                    Some(retry_at) => standing.put_off.max(Some(retry_at)),
                    None => self.context.scheduler.next(job),
                }
            }
            (JobPhase::Waiting, None) => Some(now),
            (JobPhase::Idle | JobPhase::Running | JobPhase::Paused, None) => {
                self.context.scheduler.next(job)
            }
        };
        let progress = || {
            let underway = self.active_runs.get(job)?;
            *underway
                .shown
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        Some(JobStatus {
            job: job.to_owned(),
            phase: standing.phase,
            schedule: configured.schedule.clone(),
            timezone: configured.timezone.name().to_owned(),
            next_run,
            running: standing.underway.map(|underway| Running {
                trigger: underway.trigger,
                dry_run: underway.dry_run,
                started_at: underway.since,
                progress: progress(),
            }),
            pause: standing.pause.cloned(),
            backoff: standing.backoff.cloned(),
            last_run: past.and_then(|past| past.run.clone()),
            last_success: past.and_then(|past| past.success),
            ticks_skipped: standing.ticks_skipped,
        })
    }
}

/// The daemon in one line, for `systemctl status`.
fn summary(jobs: &[JobStatus], stopping: bool) -> String {
    if stopping {
        return "stopping".to_owned();
    }
    let mut said = Vec::new();
    for job in jobs {
        match job.phase {
            JobPhase::Idle => {}
            phase @ (JobPhase::Waiting
            | JobPhase::Running
            | JobPhase::Paused
            | JobPhase::BackingOff
            | JobPhase::Suspended) => {
                said.push(format!("{} {}", job.job, phase.as_str()));
            }
        }
    }
    let next = jobs
        .iter()
        .filter_map(|job| Some((job.next_run?, &job.job)))
        .min();
    if let Some((time, job)) = next {
        said.push(format!(
            "next {job} at {}",
            time.to_rfc3339_opts(SecondsFormat::Secs, true)
        ));
    }
    if said.is_empty() {
        return "no job has a schedule".to_owned();
    }
    said.join(", ")
}
