//! Situations of the daemon, driven with made-up time: what happens, and what is done about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    About, Core, Effect, Input, Now, View,
    configuration::{Loaded, LoadedJob, LoadedServer},
    effect::{Command, Counter, LastRuns, Notice, Persisted, Reply, RequestId, RunOutcome, Write},
};
use crate::{
    config::schedule::{Due, Schedule},
    daemon::{
        commands::{RunUpdate, Wish},
        job_table::{JobRules, OutageChange, PersistedJob, Reads},
        readiness::{Access, ProbeResult},
        status::Status,
    },
    model::{
        backoff::Retry,
        change_kind::ChangeKind,
        pause::Pause,
        report::{FailureKind, Outcome, Report, Trigger},
    },
    state::{Paused, RefusedAccount},
};

mod commands;
mod runs;
mod servers;
mod watches;

/// A daemon, its clock, and what it was told to save so far.
struct Daemon {
    core: Core,
    now: Now,
    requests: RequestId,
}

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// A configuration of these jobs, each of which reads `ftrack` and a directory.
fn loaded(jobs: &[(&str, &str)]) -> Loaded {
    let job = |(name, directory): &(&str, &str)| {
        let directory = format!("directory {directory}");
        let loaded = LoadedJob {
            rules: JobRules {
                has_changes: true,
                is_watched: false,
                reads: Reads::Directory(directory.clone()),
                retry: Retry {
                    initial: Duration::from_secs(60),
                    max: Duration::from_secs(3600),
                    suspend_after: 10,
                },
                time_limit: TimeDelta::hours(1),
            },
            catch_up: true,
            expression: Some("@daily".to_owned()),
            timezone: "UTC".to_owned(),
            schedule: Some(daily()),
            servers: vec![directory, "ftrack".to_owned()],
        };
        ((*name).to_owned(), loaded)
    };
    let server = |name: String| LoadedServer {
        access: Access::of(&name),
        name,
        same_account: Vec::new(),
    };
    let mut directories: Vec<String> = jobs
        .iter()
        .map(|(_, directory)| format!("directory {directory}"))
        .collect();
    directories.sort();
    directories.dedup();
    Loaded {
        loaded_at: at("2026-01-01T00:00:00Z"),
        parallel_runs: 4,
        jobs: jobs.iter().map(job).collect(),
        servers: std::iter::once("ftrack".to_owned())
            .chain(directories)
            .map(server)
            .collect(),
        restart_for: Vec::new(),
    }
}

fn daily() -> Schedule {
    Schedule::new(
        &"@daily".parse().unwrap(),
        chrono_tz::UTC,
        Duration::ZERO,
        "host",
        "job",
    )
}

/// A job, or a kind of its changes.
fn paused(job: &str, only: Option<ChangeKind>) -> String {
    only.map_or_else(|| job.to_owned(), |kind| format!("{kind} of {job}"))
}

fn pause(until: Option<&str>) -> Pause {
    Pause {
        since: at("2026-01-01T00:00:00Z"),
        until: until.map(at),
        reason: None,
        by: None,
    }
}

/// A report of a run that read both servers, or failed like this.
fn report(job: &str, failed: Option<FailureKind>) -> Box<Report> {
    let outcome = failed.map_or(Outcome::Succeeded, |_| Outcome::Failed);
    serde_json::from_value(serde_json::json!({
        "run": "20260101-000000-0000", "job": job, "trigger": Trigger::Manual, "dry_run": false,
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:10Z",
        "outcome": outcome, "error": failed.map(|_| "it failed"), "error_kind": failed,
        "directory": null,
        "ftrack": {"server": "http://127.0.0.1", "users": 430, "owned": 405, "owned_active": 400,
                   "read_calls": 2, "write_calls": 1},
        "counts": {"created": 0, "updated": 0, "deactivated": 0, "reactivated": 0, "adopted": 0,
                   "role_changes": 0, "group_changes": 0, "unchanged": 0, "skipped": 0, "held": 0,
                   "failed": 0},
        "planned": {}, "changes": [], "skipped": [], "warnings": []
    }))
    .unwrap()
}

impl Daemon {
    /// A daemon of these jobs that has just started, and what it did at its start.
    fn starting(
        loaded: Loaded,
        refusals: BTreeMap<String, RefusedAccount>,
        persisted: Persisted,
    ) -> (Self, Vec<String>) {
        let now = Now {
            time: at("2026-01-01T00:00:00Z"),
            uptime: Duration::ZERO,
            jitter: 0.0,
        };
        let about = About {
            pid: 42,
            file: "config.toml".into(),
            started_at: now.time,
        };
        let core = Core::new(about, loaded, refusals, now);
        let mut daemon = Self {
            core,
            now,
            requests: 0,
        };
        let done = daemon.step(Input::Start(persisted));
        (daemon, done)
    }

    /// A daemon of these jobs that has reached every server.
    fn ready(jobs: &[(&str, &str)]) -> Self {
        let loaded = loaded(jobs);
        let servers: Vec<String> = loaded.servers.iter().map(|one| one.name.clone()).collect();
        let (mut daemon, _) = Self::starting(loaded, BTreeMap::new(), Persisted::default());
        for server in servers {
            daemon.probed(&server, ProbeResult::Well);
        }
        daemon
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        let done = self.core.step(input, self.now);
        done.iter().map(words).collect()
    }

    /// Lets time pass, and a second of it be noticed; gives back what was done beyond a beat.
    fn after(&mut self, seconds: u32) -> Vec<String> {
        self.now.time += TimeDelta::seconds(seconds.into());
        self.now.uptime += Duration::from_secs(seconds.into());
        let mut done = self.step(Input::Second);
        assert_eq!(done.remove(0), "beat");
        done
    }

    fn tick(&mut self, job: &str) -> Vec<String> {
        self.step(Input::Tick(Due::Everything(job.to_owned())))
    }

    fn command(&mut self, command: Command) -> Vec<String> {
        self.requests += 1;
        let from = Some(self.requests);
        self.step(Input::Command { from, command })
    }

    fn trigger(&mut self, job: &str) -> Vec<String> {
        let (job, wish) = (job.to_owned(), Wish::Run);
        self.command(Command::Trigger { job, wish })
    }

    fn pause(&mut self, job: &str, pause: Pause) -> Vec<String> {
        let job = job.to_owned();
        let only = None;
        self.command(Command::Pause { job, only, pause })
    }

    fn saved(&mut self, id: u64) -> Vec<String> {
        let result = Ok(());
        self.step(Input::Persisted { id, result })
    }

    fn not_saved(&mut self, id: u64) -> Vec<String> {
        let result = Err("the disk is full".to_owned());
        self.step(Input::Persisted { id, result })
    }

    fn ended(&mut self, job: &str, failed: Option<FailureKind>) -> Vec<String> {
        self.step(Input::RunEnded {
            job: job.to_owned(),
            outcome: RunOutcome::Reported(report(job, failed)),
            servers: Vec::new(),
        })
    }

    fn probed(&mut self, server: &str, result: ProbeResult) -> Vec<String> {
        self.probed_with(server, server, result)
    }

    fn probed_with(&mut self, server: &str, access: &str, result: ProbeResult) -> Vec<String> {
        self.step(Input::ProbeEnded {
            server: server.to_owned(),
            access: Access::of(access),
            result,
        })
    }

    fn fingerprints(&mut self, id: u64, fingerprints: &[(&str, &str)]) -> Vec<String> {
        let fingerprints = fingerprints
            .iter()
            .map(|(server, mark)| ((*server).to_owned(), Some((*mark).to_owned())));
        self.step(Input::Fingerprints {
            id,
            fingerprints: fingerprints.collect(),
            lifted: BTreeMap::new(),
        })
    }

    fn load(&mut self, loaded: Loaded) -> Vec<String> {
        self.step(Input::Loaded(Ok(Box::new((loaded, Persisted::default())))))
    }

    fn status(&self) -> Status {
        self.core.status(View {
            now: self.now.time,
            next_tick: &|name| {
                name.ends_with(":changes")
                    .then(|| at("2026-01-01T00:05:00Z"))
            },
            progress: &|_| None,
        })
    }

    fn phase(&self, job: &str) -> &'static str {
        self.status().job(job).unwrap().phase.as_str()
    }
}

fn refused(mark: &str) -> ProbeResult {
    ProbeResult::Refused {
        error: "code 49".to_owned(),
        mark: Some(mark.to_owned()),
    }
}

/// An effect in a few words.
fn words(effect: &Effect) -> String {
    match effect {
        Effect::StartRun { start, watcher, .. } => {
            let kind = if start.dry_run { " dry" } else { "" };
            let watcher = watcher.map(|to| format!(" for {to}")).unwrap_or_default();
            format!("start {}{kind}{watcher}", start.job)
        }
        Effect::StopRuns => "stop runs".to_owned(),
        Effect::Probe { server, .. } => format!("probe {server}"),
        Effect::StartWatch { job, id, .. } => format!("watch {id} of {job}"),
        Effect::StopWatch { job } => format!("no watch of {job}"),
        Effect::Persist { id, write } => match write {
            Write::Backoff(job, Some(backoff)) => {
                format!("save {id}: backoff of {job}, {}", backoff.failures)
            }
            Write::Backoff(job, None) => format!("save {id}: no backoff of {job}"),
            Write::Pause(job, None, Some(_)) => format!("save {id}: pause of {job}"),
            Write::Pause(job, None, None) => format!("save {id}: no pause of {job}"),
            Write::Pause(job, Some(kind), pause) => {
                let what = pause.as_ref().map_or("no pause", |_| "pause");
                format!("save {id}: {what} of {kind} of {job}")
            }
            Write::Refusal(server, Some(_)) => format!("save {id}: refusal of {server}"),
            Write::Refusal(server, None) => format!("save {id}: no refusal of {server}"),
        },
        Effect::TellRefused { job, .. } => format!("tell that {job} is not run"),
        Effect::Emit(notice) => format!("log {}", notice_words(notice)),
        Effect::Count(Counter::NothingChanged(job)) => format!("count nothing changed of {job}"),
        Effect::Count(Counter::TickSkipped(job)) => format!("count skipped tick of {job}"),
        Effect::Count(Counter::WatchedChange(job)) => format!("count watched change of {job}"),
        Effect::Count(Counter::ReloadFailed) => "count failed reload".to_owned(),
        Effect::Reply { to, reply } => match reply {
            Ok(Reply::Accepted) => format!("reply {to}: accepted"),
            Ok(Reply::Job(job)) => format!("reply {to}: {job}"),
            Err(error) => format!("reply {to}: {error}"),
        },
        Effect::Update { to, update } => format!("tell {to}: {}", update_words(update)),
        Effect::LastUpdate { to, update } => {
            format!("tell {to} at last: {}", update_words(update))
        }
        Effect::Beat => "beat".to_owned(),
        Effect::Notify(notification) => format!("notify {notification:?}"),
        Effect::ComputeFingerprints { id, servers } => {
            format!("fingerprint {id}: {}", servers.join(", "))
        }
        Effect::LoadConfiguration => "load".to_owned(),
        Effect::UseConfiguration => "use".to_owned(),
    }
}

fn update_words(update: &RunUpdate) -> String {
    match update {
        RunUpdate::Waiting => "waiting".to_owned(),
        RunUpdate::Started => "started".to_owned(),
        RunUpdate::Progress(_) => "progress".to_owned(),
        RunUpdate::NothingChanged => "nothing changed".to_owned(),
        RunUpdate::Finished { .. } => "finished".to_owned(),
        RunUpdate::Ended { error } => format!("ended, {error}"),
    }
}

fn notice_words(notice: &Notice) -> String {
    match notice {
        Notice::Started(_) => "started".to_owned(),
        Notice::Stopping => "stopping".to_owned(),
        Notice::ContactMade { server } => format!("contact with {server}"),
        Notice::ContactFailed { server, .. } => format!("no contact with {server}"),
        Notice::CredentialsRefused { server, .. } => format!("refused by {server}"),
        Notice::ClockLeapt(seconds) => format!("clock leapt by {seconds}"),
        Notice::RunMissed(job) => format!("missed {job}"),
        Notice::TickSkipped(job) => format!("skipped {job}"),
        Notice::RunStuck(job) => format!("stuck {job}"),
        Notice::RunBroken { job, .. } => format!("broken {job}"),
        Notice::TriggerRefused { job, .. } => format!("not triggered {job}"),
        Notice::Outage { job, change } => match change {
            OutageChange::Began(_) => format!("outage of {job} began"),
            OutageChange::Changed(_) => format!("outage of {job} changed"),
            OutageChange::Ended(_) => format!("outage of {job} ended"),
            OutageChange::Elsewhere => format!("{job} runs elsewhere"),
        },
        Notice::JobPaused { job, only, .. } => format!("paused {}", paused(job, *only)),
        Notice::JobResumed { job, only } => format!("resumed {}", paused(job, *only)),
        Notice::WatchStarted { job, .. } => format!("watching {job}"),
        Notice::WatchLost { job, .. } => format!("watch of {job} lost"),
        Notice::WatchUnavailable { job, .. } => format!("watch of {job} unavailable"),
        Notice::ConfigReloaded(_) => "reloaded".to_owned(),
        Notice::ConfigRefused(error) => format!("configuration refused: {error}"),
        Notice::StateFailed(_) => "state failed".to_owned(),
    }
}
