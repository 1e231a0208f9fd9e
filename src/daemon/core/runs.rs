//! Runs: which ones begin, and what follows when one has ended.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    ActiveRun, Core, Effect, IN_TURN,
    effect::{Counter, LastRuns, Notice, RunOutcome, Write},
};
use crate::{
    daemon::{
        commands::{CommandError, RunUpdate},
        job_table::{RunEnd, StartRun},
        readiness::{Access, ProbeResult},
        status::came_to_its_end,
    },
    event::{AlreadyLogged, OutageLogged},
    model::{
        report::{FailureKind, Outcome, Report},
        summary::RunSummary,
    },
};

impl Core {
    /// Starts what may start now.
    pub(super) fn start_runs(&mut self) {
        if self.stopping {
            return;
        }
        let now = self.now.time;
        let locked: BTreeMap<String, DateTime<Utc>> = self
            .jobs
            .names()
            .filter_map(|job| Some((job.to_owned(), self.locked_until(job)?)))
            .collect();
        // Credentials that were refused are tried again by one alone, who finds out for all.
        let (lockouts, configuration) = (&self.lockouts, &self.configuration);
        let suspects = |server: &str| -> Vec<String> {
            configuration
                .same_account(server)
                .filter(|server| lockouts.has_refused(server))
                .map(str::to_owned)
                .collect()
        };
        let runs = self.runs.values().flat_map(|run| &run.reads);
        let mut tried: BTreeSet<String> = runs
            .flat_map(|(server, _)| suspects(server))
            .chain(self.readiness.under_way().iter().flat_map(|server| {
                let same = configuration.same_account(server);
                same.map(str::to_owned).collect::<Vec<_>>()
            }))
            .collect();
        let starts = self.jobs.start(now, |job| {
            locked.get(job).copied().or_else(|| {
                let servers = configuration.servers_of(job);
                let tries: Vec<_> = servers.iter().flat_map(|server| suspects(server)).collect();
                if tries.iter().any(|server| tried.contains(server)) {
                    return Some(now + IN_TURN);
                }
                tried.extend(tries);
                None
            })
        });
        for start in starts {
            self.start_run(start);
        }
    }

    fn start_run(&mut self, start: StartRun) {
        self.refusal_reported.remove(&start.job);
        let servers = self.configuration.servers_of(&start.job).iter();
        let reads: Vec<(String, Access)> = servers
            .filter_map(|server| Some((server.clone(), self.configuration.access(server)?)))
            .collect();
        let logged = AlreadyLogged {
            outage: if start.in_outage {
                OutageLogged::Lasts
            } else {
                OutageLogged::Over
            },
            known: self
                .last_runs
                .get(&start.job)
                .map(|past| Arc::clone(&past.logged))
                .unwrap_or_default(),
        };
        let run = ActiveRun {
            began: self.now.uptime,
            reads: reads.clone(),
        };
        self.runs.insert(start.job.clone(), run);
        let watcher = self.watcher_of(&start);
        self.effect(Effect::StartRun {
            start,
            watcher,
            logged,
            reads,
        });
    }

    pub(super) fn on_run_ended(
        &mut self,
        job: &str,
        outcome: RunOutcome,
        servers: Vec<(String, Access, ProbeResult)>,
    ) {
        self.runs.remove(job);
        for (server, access, result) in servers {
            self.on_server_known(&server, access, &result);
        }
        let ended = match &outcome {
            RunOutcome::Reported(report) => {
                self.remember_report(report);
                end_of(report)
            }
            RunOutcome::Busy => RunEnd::Busy,
            RunOutcome::Paused(_) => RunEnd::Stopped,
            RunOutcome::NothingChanged => {
                self.effect(Effect::Count(Counter::NothingChanged(job.to_owned())));
                let past = self.last_runs.entry(job.to_owned()).or_default();
                past.changes = Some(self.now.time);
                RunEnd::Nothing
            }
            RunOutcome::Broken {
                kind,
                error,
                recovered,
                state_error,
            } => {
                if let Some(error) = state_error {
                    self.log_state_failure(error);
                }
                // Its journal tells more than nothing.
                if let Some(run) = recovered {
                    let past = self.last_runs.entry(job.to_owned()).or_default();
                    past.run = Some(RunSummary::clone(run));
                }
                // While an outage lasts, what is logged of it says this as well.
                if self.jobs.backoff(job).is_none() {
                    let (job, error) = (job.to_owned(), error.clone());
                    self.notice(Notice::RunBroken { job, error });
                }
                broken(*kind, error, None)
            }
        };
        let change = self.jobs.ended(job, ended, self.now.time, self.now.jitter);
        // What changes nothing need not be written each minute.
        if !matches!(outcome, RunOutcome::NothingChanged | RunOutcome::Paused(_)) {
            let backoff = self.jobs.backoff(job).cloned();
            self.persist(Write::Backoff(job.to_owned(), backoff));
        }
        if let Some(change) = change {
            let job = job.to_owned();
            self.notice(Notice::Outage { job, change });
        }
        match outcome {
            RunOutcome::Reported(report) => self.send_last(job, RunUpdate::Finished { report }),
            RunOutcome::NothingChanged => self.send_last(job, RunUpdate::NothingChanged),
            RunOutcome::Broken { error, .. } => self.send_last(job, RunUpdate::Ended { error }),
            RunOutcome::Busy => self.waits_again(job),
            RunOutcome::Paused(pause) => {
                let (job, zone) = (job.to_owned(), self.configuration.zone_of(job));
                self.run_paused(&job, pause.clone());
                let error = CommandError::Paused {
                    job: job.clone(),
                    pause,
                    zone,
                };
                let error = error.to_string();
                self.send_last(&job, RunUpdate::Ended { error });
            }
        }
    }

    /// Takes over runs that another process made since, and what people decided about holds.
    pub(super) fn on_runs_saved(&mut self, saved: BTreeMap<String, LastRuns>) {
        let jobs: BTreeSet<String> = self.jobs.names().map(str::to_owned).collect();
        let mut worked = Vec::new();
        for (job, last) in saved {
            let worked_last = last.worked_last();
            let LastRuns { run, success, .. } = last;
            let Some(run) = run.filter(|_| jobs.contains(&job)) else {
                continue;
            };
            let past = self.last_runs.entry(job.clone()).or_default();
            // Ids follow the order of the runs, whatever the clock shows.
            match past
                .run
                .as_mut()
                .map(|known| (known.run.cmp(&run.run), known))
            {
                // People decide about holds between runs.
                Some((Ordering::Equal, known)) => {
                    known.open_holds = run.open_holds;
                    known.oldest_hold = run.oldest_hold;
                }
                Some((Ordering::Greater, _)) => {}
                Some((Ordering::Less, _)) | None => {
                    past.run = Some(run);
                    past.success = past.success.max(success);
                    worked.extend(worked_last.map(|at| (job, at)));
                }
            }
        }
        for (job, at) in worked {
            self.on_worked_elsewhere(job, at);
        }
    }

    /// A run of another process has read both servers to the end: it need not be retried.
    fn on_worked_elsewhere(&mut self, job: String, at: DateTime<Utc>) {
        if let Some(change) = self.jobs.worked_elsewhere(&job, at) {
            self.persist(Write::Backoff(job.clone(), None));
            self.notice(Notice::Outage { job, change });
        }
    }

    fn remember_report(&mut self, report: &Report) {
        let past = self.last_runs.entry(report.job.clone()).or_default();
        if report.dry_run {
            return;
        }
        past.run = Some(RunSummary::of(report));
        // What changed says nothing about everybody else.
        if report.trigger.is_of_changes() {
            past.changes = Some(report.finished_at);
            return;
        }
        if came_to_its_end(report.outcome) {
            past.success = Some(report.finished_at);
        }
        past.logged = past.logged.after(report);
    }
}

/// What a report means for what follows.
fn end_of(report: &Report) -> RunEnd<'_> {
    match (report.outcome, report.error_kind) {
        (Outcome::Succeeded | Outcome::Partial | Outcome::Held, _) => RunEnd::Well,
        (Outcome::Failed, kind) => broken(
            kind.unwrap_or(FailureKind::Internal),
            report.error.as_deref().unwrap_or_default(),
            report.retry_after.map(Duration::from_secs),
        ),
    }
}

fn broken(kind: FailureKind, error: &str, asked: Option<Duration>) -> RunEnd<'_> {
    if kind == FailureKind::Stopped {
        RunEnd::Stopped
    } else {
        RunEnd::Failed { kind, error, asked }
    }
}
