//! What follows when a run has ended: for its job, for its servers' credentials, for who waits for
//! it, and for the log.

use chrono::{DateTime, Utc};

use super::{Coordinator, Underway};
use crate::{
    daemon::{
        contacts::Reached,
        orders::Told,
        roster::{Ended, Outage},
        runner::Result,
        setup::last_refusal,
        status::came_to_its_end,
    },
    event::daemon::DaemonEvent,
    run::{
        report::{FailureKind, Outcome, Report},
        summary::RunSummary,
    },
};

impl Coordinator {
    /// A run ended.
    pub(super) async fn ran(&mut self, job: &str, result: Result) {
        let now = Utc::now();
        let underway = self.underway.remove(job);
        let ended = match &result {
            Result::Reported(report) => {
                self.house.metrics.ended(report);
                if let Some(underway) = underway {
                    self.learn_of_servers(underway, report, now).await;
                }
                self.remember(report);
                ended(report)
            }
            Result::Busy => Ended::Busy,
            Result::Broken { kind, error } => {
                self.mend(job).await;
                // Its journal tells more than nothing.
                if let Some(mended) = self.recall(vec![job.to_owned()]).await.past.remove(job) {
                    self.past.entry(job.to_owned()).or_default().run = mended.run;
                }
                // While an outage lasts, what is said of it says this as well.
                if self.roster.backoff(job).is_none() {
                    DaemonEvent::RunBroken { job, error }.emit();
                }
                if *kind == FailureKind::Stopped {
                    Ended::Stopped
                } else {
                    Ended::Failed { kind: *kind, error }
                }
            }
        };
        let outage = self.roster.ended(job, ended, now, jitter());
        self.keep_backoff(job).await;
        if let Some(outage) = outage {
            tell_outage(job, &outage);
        }
        match result {
            Result::Reported(report) => self.tell_last(job, Told::Finished { report }),
            Result::Broken { error, .. } => self.tell_last(job, Told::Ended { error }),
            Result::Busy => self.tell_of_waiting_again(job),
        }
    }

    /// What a run shows of the servers that it used: that they were reached, or that they refused
    /// the credentials.
    async fn learn_of_servers(&mut self, underway: Underway, report: &Report, now: DateTime<Utc>) {
        let salt = self.setup.salt();
        for server in underway.reads {
            // A run may have ended on one server before it heard of the other's refusal.
            let refused = last_refusal(&underway.servers, &salt, &server)
                .filter(|(at, _)| *at >= underway.began);
            let reached = match (report.error_kind, refused) {
                (Some(_), Some((_, mark))) => Reached::Refused {
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
                    Reached::Well
                }
                (Some(_) | None, _) => continue,
            };
            self.learn(&server, &reached, now).await;
        }
    }

    fn remember(&mut self, report: &Report) {
        let past = self.past.entry(report.job.clone()).or_default();
        if came_to_its_end(report.outcome) && !report.dry_run {
            past.success = Some(report.finished_at);
        }
        if !report.dry_run {
            past.run = Some(RunSummary::of(report));
            past.said = past.said.after(report);
        }
    }

    async fn keep_backoff(&mut self, job: &str) {
        let backoff = self.roster.backoff(job).cloned();
        let job = job.to_owned();
        // What cannot be kept is said, and counts all the same as long as the daemon lives.
        let _ = self
            .keep(move |state| state.set_backoff(&job, backoff.as_ref()))
            .await;
    }
}

/// What a report means for what follows.
fn ended(report: &Report) -> Ended<'_> {
    match (report.outcome, report.error_kind) {
        (Outcome::Succeeded | Outcome::Partial | Outcome::Held, _) => Ended::Well,
        (Outcome::Failed, Some(FailureKind::Stopped)) => Ended::Stopped,
        (Outcome::Failed, kind) => Ended::Failed {
            kind: kind.unwrap_or(FailureKind::Internal),
            error: report.error.as_deref().unwrap_or_default(),
        },
    }
}

fn tell_outage(job: &str, outage: &Outage) {
    match outage {
        Outage::Began(backoff) => DaemonEvent::OutageBegan { job, backoff }.emit(),
        Outage::Changed(backoff) => DaemonEvent::OutageChanged { job, backoff }.emit(),
        Outage::Ended(backoff) => DaemonEvent::OutageEnded { job, backoff }.emit(),
        Outage::Elsewhere => DaemonEvent::RunElsewhere { job }.emit(),
    }
}

/// A random number from 0 to 1.
pub(super) fn jitter() -> f64 {
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((random & 0xffff_ffff) as u32) / f64::from(u32::MAX)
}
