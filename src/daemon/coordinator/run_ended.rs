//! What follows when a run has ended: for its job, for its servers' credentials, for who waits for
//! it, and for the log.

use chrono::{DateTime, Utc};

use super::{ActiveRun, Coordinator};
use crate::{
    daemon::{
        commands::RunUpdate,
        job_table::{OutageChange, RunEnd},
        readiness::ProbeResult,
        runner::RunOutcome,
        setup::last_refusal,
        status::came_to_its_end,
    },
    event::daemon::DaemonEvent,
    model::{
        report::{FailureKind, Outcome, Report},
        summary::RunSummary,
    },
};

impl Coordinator {
    /// A run ended.
    pub(super) async fn on_run_ended(&mut self, job: &str, result: RunOutcome) {
        let now = Utc::now();
        let underway = self.active_runs.remove(job);
        let ended = match &result {
            RunOutcome::Reported(report) => {
                self.context.metrics.ended(report);
                if let Some(underway) = underway {
                    self.update_servers(underway, report, now).await;
                }
                self.update_last_runs(report);
                ended(report)
            }
            RunOutcome::Busy => RunEnd::Busy,
            RunOutcome::Broken { kind, error } => {
                self.recover_interrupted(job).await;
                // Its journal tells more than nothing.
                if let Some(mended) = self.load(vec![job.to_owned()]).await.past.remove(job) {
                    self.last_runs.entry(job.to_owned()).or_default().run = mended.run;
                }
                // While an outage lasts, what is said of it says this as well.
                if self.job_table.backoff(job).is_none() {
                    DaemonEvent::RunBroken { job, error }.emit();
                }
                if *kind == FailureKind::Stopped {
                    RunEnd::Stopped
                } else {
                    RunEnd::Failed { kind: *kind, error }
                }
            }
        };
        let outage = self.job_table.ended(job, ended, now, jitter());
        self.save_backoff(job).await;
        if let Some(outage) = outage {
            log_outage(job, &outage);
        }
        match result {
            RunOutcome::Reported(report) => self.send_last(job, RunUpdate::Finished { report }),
            RunOutcome::Broken { error, .. } => self.send_last(job, RunUpdate::Ended { error }),
            RunOutcome::Busy => self.send_waiting_again(job),
        }
    }

    /// What a run shows of the servers that it used: that they were reached, or that they refused
    /// the credentials.
    async fn update_servers(&mut self, underway: ActiveRun, report: &Report, now: DateTime<Utc>) {
        let salt = self.setup.salt();
        for server in underway.reads {
            // A run may have ended on one server before it heard of the other's refusal.
            let refused = last_refusal(&underway.servers, &salt, &server)
                .filter(|(at, _)| *at >= underway.began);
            let reached = match (report.error_kind, refused) {
                (Some(_), Some((_, mark))) => ProbeResult::Refused {
                    error: report.error.clone().unwrap_or_default(),
                    mark,
                },
                (None, _)
                    if report.ftrack.users > 0
                        && report
                            .directory
                            .as_ref()
                            .is_none_or(|directory| directory.complete) =>
                {
                    ProbeResult::Well
                }
                (Some(_) | None, _) => continue,
            };
            self.on_probe_ended(&server, &reached, now).await;
        }
    }

    fn update_last_runs(&mut self, report: &Report) {
        let past = self.last_runs.entry(report.job.clone()).or_default();
        if came_to_its_end(report.outcome) && !report.dry_run {
            past.success = Some(report.finished_at);
        }
        if !report.dry_run {
            past.run = Some(RunSummary::of(report));
            past.said = past.said.after(report);
        }
    }

    async fn save_backoff(&mut self, job: &str) {
        let backoff = self.job_table.backoff(job).cloned();
        let job = job.to_owned();
        // What cannot be kept is said, and counts all the same as long as the daemon lives.
        let _ = self
            .save(move |state| state.set_backoff(&job, backoff.as_ref()))
            .await;
    }
}

/// What a report means for what follows.
fn ended(report: &Report) -> RunEnd<'_> {
    match (report.outcome, report.error_kind) {
        (Outcome::Succeeded | Outcome::Partial | Outcome::Held, _) => RunEnd::Well,
        (Outcome::Failed, Some(FailureKind::Stopped)) => RunEnd::Stopped,
        (Outcome::Failed, kind) => RunEnd::Failed {
            kind: kind.unwrap_or(FailureKind::Internal),
            error: report.error.as_deref().unwrap_or_default(),
        },
    }
}

fn log_outage(job: &str, outage: &OutageChange) {
    match outage {
        OutageChange::Began(backoff) => DaemonEvent::OutageBegan { job, backoff }.emit(),
        OutageChange::Changed(backoff) => DaemonEvent::OutageChanged { job, backoff }.emit(),
        OutageChange::Ended(backoff) => DaemonEvent::OutageEnded { job, backoff }.emit(),
        OutageChange::Elsewhere => DaemonEvent::RunElsewhere { job }.emit(),
    }
}

/// A random number from 0 to 1.
pub(super) fn jitter() -> f64 {
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((random & 0xffff_ffff) as u32) / f64::from(u32::MAX)
}
