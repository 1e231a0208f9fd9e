//! What is shown of the daemon: to `status`, the metrics, the probes and systemd.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};

use super::Coordinator;
use crate::daemon::{
    backoff::Backoff,
    orders::Refusal,
    status::{ConfigStatus, JobStatus, Phase, Running, Status},
};

impl Coordinator {
    /// Publishes what is true now.
    pub(super) fn publish(&mut self) {
        let now = Utc::now();
        let jobs: Vec<JobStatus> = self
            .roster
            .names()
            .filter_map(|job| self.job_shown(job, now))
            .collect();
        self.system.words(words(&jobs, self.stopping));
        self.house.shown.send_replace(Arc::new(Status {
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
            contacts: self.contacts.shown(),
            jobs,
        }));
    }

    /// A job, as it is shown.
    pub(super) fn job_status(&self, job: &str) -> Result<JobStatus, Refusal> {
        let known = || self.roster.names().collect::<Vec<_>>().join(", ");
        let configured = self.roster.names().any(|name| name == job);
        let shown = configured
            .then(|| self.job_shown(job, Utc::now()))
            .flatten();
        shown.ok_or_else(|| Refusal::UnknownJob {
            job: job.to_owned(),
            known: known(),
        })
    }

    fn job_shown(&self, job: &str, now: DateTime<Utc>) -> Option<JobStatus> {
        let standing = self.roster.standing(job, now)?;
        let configured = self.setup.config.jobs.get(job)?;
        let past = self.past.get(job);
        let schedule = self.setup.schedule(job);
        let next_run = match (standing.phase, standing.pause) {
            (_, Some(pause)) => pause
                .until
                .and_then(|until| schedule?.next_after(until.max(now))),
            (Phase::BackingOff | Phase::Suspended, None) => {
                match standing.backoff.and_then(Backoff::retries_at) {
                    Some(retry_at) => standing.put_off.max(Some(retry_at)),
                    None => self.house.ticks.next(job),
                }
            }
            (Phase::Waiting, None) => Some(now),
            (Phase::Idle | Phase::Running | Phase::Paused, None) => self.house.ticks.next(job),
        };
        let progress = || {
            let underway = self.underway.get(job)?;
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
fn words(jobs: &[JobStatus], stopping: bool) -> String {
    if stopping {
        return "stopping".to_owned();
    }
    let mut said = Vec::new();
    for job in jobs {
        match job.phase {
            Phase::Idle => {}
            phase @ (Phase::Waiting
            | Phase::Running
            | Phase::Paused
            | Phase::BackingOff
            | Phase::Suspended) => {
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
