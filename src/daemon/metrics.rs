//! The Prometheus metrics. Counters are updated as things happen; everything else is derived from
//! the status at each scrape, so that nothing is stale.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use prometheus::{
    CounterVec, Error, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry,
    TextEncoder, core::Collector, proto::MetricFamily,
};

use url::Url;

use super::status::{JobStatus, Status, came_to_its_end};
use crate::{
    directory::DirectoryPool,
    log,
    model::{
        backoff::Backoff,
        change::Action,
        reason::Cause,
        report::{ChangeResult, Outcome, Report, Trigger},
        summary::RunSummary,
    },
    notify,
    notify::ReceiverKind,
    run::servers::Servers,
    tls::expiry::{self, Of},
};

mod families;
mod process;

pub use crate::ftrack::session::FtrackFigures;
pub use families::{FAMILIES, Family, MetricKind, PREFIX};

/// The buckets of the duration of a run's phases, in seconds.
const BUCKETS: [f64; 13] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

const OUTCOMES: [Outcome; 4] = [
    Outcome::Succeeded,
    Outcome::Partial,
    Outcome::Held,
    Outcome::Failed,
];
const ACTIONS: [Action; 5] = [
    Action::Create,
    Action::Update,
    Action::Deactivate,
    Action::Reactivate,
    Action::Adopt,
];
/// The results that are counted; planned changes are not.
const RESULTS: [ChangeResult; 6] = [
    ChangeResult::Applied,
    ChangeResult::Held,
    ChangeResult::Rejected,
    ChangeResult::Failed,
    ChangeResult::Unsettled,
    ChangeResult::Unconfirmed,
];

/// The counters of a running daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    runs: IntCounterVec,
    changes: IntCounterVec,
    deactivations: IntCounterVec,
    seconds: HistogramVec,
    ticks_skipped: IntCounterVec,
    nothing_changed: IntCounterVec,
    watched_changes: IntCounterVec,
    builtin_alarms: IntCounterVec,
    holds_opened: IntCounterVec,
    notifications: IntCounterVec,
    reload_failures: IntCounterVec,
    /// The last run of each job that did not fail and was not a dry run.
    settled: Mutex<BTreeMap<String, RunSummary>>,
}

/// The counts of the connections to the servers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// The pools of the directories.
    pub directories: Vec<DirectoryFigures>,
    /// The calls to ftrack.
    pub ftrack: FtrackFigures,
    /// When the first certificate expires that each server showed, by the URL of the server.
    pub certificates: BTreeMap<String, DateTime<Utc>>,
}

/// The pool of one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct DirectoryFigures {
    /// The directory's name in the configuration.
    pub directory: String,
    /// Open connections, including idle ones.
    pub open: usize,
    /// Idle connections.
    pub idle: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
    pub servers: Vec<ServerFigures>,
}

/// One server of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFigures {
    /// Its URL.
    pub server: String,
    /// Binds since the start.
    pub binds: u64,
    /// Refused binds since the start.
    pub binds_refused: u64,
}

impl ConnectionFigures {
    /// The current counts of the connections of a configuration.
    #[must_use]
    pub fn of(servers: &Servers) -> Self {
        let directories: Vec<_> = servers.directories().map(DirectoryFigures::of).collect();
        let ftrack = servers.ftrack();
        let all = directories.iter().flat_map(|directory| &directory.servers);
        let urls = all.map(|server| (Of::Directory, server.server.as_str()));
        let certificate = |(what, url): (Of, &str)| {
            let parsed = Url::parse(url).ok()?;
            let expires = expiry::of(what, parsed.host_str()?)?;
            Some((url.to_owned(), expires))
        };
        Self {
            certificates: urls
                .chain([(Of::Ftrack, ftrack.server())])
                .filter_map(certificate)
                .collect(),
            directories,
            ftrack: ftrack.figures(),
        }
    }
}

impl DirectoryFigures {
    fn of(pool: &DirectoryPool) -> Self {
        let mut of = Self {
            directory: pool.name().to_owned(),
            ..Self::default()
        };
        for server in pool.figures() {
            of.open += server.open;
            of.idle += server.idle;
            of.waiting += server.waiting;
            of.servers.push(ServerFigures {
                server: server.server,
                binds: server.binds_tried,
                binds_refused: server.binds_refused,
            });
        }
        of
    }
}

impl Metrics {
    /// Starts at zero.
    ///
    /// # Errors
    /// A name is invalid for Prometheus, or not unique: a bug in the program.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let counter = |name| {
            register(
                &registry,
                IntCounterVec::new(opts(Family::named(name)?), Family::named(name)?.labels)?,
            )
        };
        let family = Family::named("run_duration_seconds")?;
        let buckets = HistogramOpts::from(opts(family)).buckets(BUCKETS.to_vec());
        Ok(Self {
            runs: counter("runs_total")?,
            changes: counter("changes_total")?,
            deactivations: counter("deactivations_total")?,
            seconds: register(&registry, HistogramVec::new(buckets, family.labels)?)?,
            ticks_skipped: counter("ticks_skipped_total")?,
            nothing_changed: counter("changes_reads_without_changes_total")?,
            watched_changes: counter("watch_starts_total")?,
            builtin_alarms: counter("builtin_alarms_total")?,
            holds_opened: counter("holds_opened_total")?,
            notifications: counter("notifications_total")?,
            reload_failures: counter("config_reload_failures_total")?,
            settled: Mutex::default(),
            registry,
        })
    }

    /// What the last runs for everybody left before this daemon began: runs that failed since do not
    /// make it unknown.
    pub fn begin_with(&self, runs: impl Iterator<Item = RunSummary>) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        for run in runs {
            settled.entry(run.job.clone()).or_insert(run);
        }
    }

    /// Counts a run that ended, unless it was a dry run.
    pub fn ended(&self, report: &Report) {
        if report.dry_run {
            return;
        }
        let job = report.job.as_str();
        add(&self.runs, &[job, report.outcome.as_str()], 1);
        for change in report
            .changes
            .iter()
            .filter(|change| RESULTS.contains(&change.result))
        {
            add(
                &self.changes,
                &[job, change.action.as_str(), change.result.as_str()],
                1,
            );
        }
        let deactivated = report.changes.iter().filter(|change| {
            change.action == Action::Deactivate && change.result == ChangeResult::Applied
        });
        for change in deactivated {
            add(&self.deactivations, &[job, cause(change.cause)], 1);
        }
        add(&self.builtin_alarms, &[job], u64::from(report.alarm));
        add(&self.holds_opened, &[job], report.holds_opened.len() as u64);
        let whole = report
            .finished_at
            .signed_duration_since(report.started_at)
            .as_seconds_f64();
        let phases = report
            .seconds
            .iter()
            .map(|(phase, seconds)| (phase.as_str(), *seconds));
        for (phase, seconds) in phases.chain([("whole", whole)]) {
            if let Ok(histogram) = self.seconds.get_metric_with_label_values(&[job, phase]) {
                // If the clock was set back meanwhile, the duration must not be negative.
                histogram.observe(seconds.max(0.0));
            }
        }
        // What changed, or was approved, says nothing about everybody else.
        if came_to_its_end(report.outcome) && is_of_everybody(report.trigger) {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.insert(job.to_owned(), RunSummary::of(report));
        }
    }

    /// Counts a tick during a run of its job.
    pub fn tick_skipped(&self, job: &str) {
        add(&self.ticks_skipped, &[job], 1);
    }

    /// Counts a reading of what changed that found nothing to do.
    pub fn nothing_changed(&self, job: &str) {
        add(&self.nothing_changed, &[job], 1);
    }

    /// Counts a run that a watch started.
    pub fn watched_change(&self, job: &str) {
        add(&self.watched_changes, &[job], 1);
    }

    /// Counts a message to people.
    pub fn notification(&self, job: &str, receiver: ReceiverKind, result: notify::Result) {
        add(
            &self.notifications,
            &[job, receiver.as_str(), result.as_str()],
            1,
        );
    }

    /// Counts a reload that was refused.
    pub fn reload_failed(&self) {
        add(&self.reload_failures, &[], 1);
    }

    /// All metrics in Prometheus's text format. Series of jobs that are no longer configured are
    /// omitted, except their counters.
    ///
    /// # Errors
    /// A metric does not match its family: a bug in the program.
    pub fn render(&self, status: &Status, figures: &ConnectionFigures) -> Result<String, Error> {
        let mut scrape = Scrape::default();
        add(&self.reload_failures, &[], 0);
        for job in &status.jobs {
            self.begin(&job.job);
            let settled = self
                .settled
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&job.job)
                .cloned();
            let before = job
                .last_run
                .clone()
                .filter(|run| came_to_its_end(run.outcome) && !run.dry_run)
                .filter(|run| is_of_everybody(run.trigger));
            // Another process may have made the last one.
            let newest = settled
                .into_iter()
                .chain(before)
                .max_by(|one, other| one.run.cmp(&other.run));
            scrape.job(job, newest.as_ref())?;
        }
        scrape.daemon(status)?;
        scrape.figures(figures)?;
        let mut families = self.registry.gather();
        families.extend(scrape.registry.gather());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        // A label that is empty is one that is absent.
        let metrics = families.iter_mut().flat_map(MetricFamily::mut_metric);
        for metric in metrics {
            let mut labels = metric.take_label();
            labels.retain(|label| !label.value().is_empty());
            metric.set_label(labels);
        }
        TextEncoder::new().encode_to_string(&families)
    }

    /// Starts a job's counters at 0, so that the first event is an increase.
    fn begin(&self, job: &str) {
        for outcome in OUTCOMES {
            add(&self.runs, &[job, outcome.as_str()], 0);
        }
        for (action, result) in ACTIONS
            .into_iter()
            .flat_map(|action| RESULTS.map(|result| (action, result)))
        {
            add(&self.changes, &[job, action.as_str(), result.as_str()], 0);
        }
        for of in Cause::ALL.map(Some).into_iter().chain([None]) {
            add(&self.deactivations, &[job, cause(of)], 0);
        }
        add(&self.ticks_skipped, &[job], 0);
        add(&self.nothing_changed, &[job], 0);
        add(&self.watched_changes, &[job], 0);
        add(&self.builtin_alarms, &[job], 0);
        add(&self.holds_opened, &[job], 0);
        for (receiver, result) in ReceiverKind::ALL
            .into_iter()
            .flat_map(|receiver| notify::Result::ALL.map(|result| (receiver, result)))
        {
            add(
                &self.notifications,
                &[job, receiver.as_str(), result.as_str()],
                0,
            );
        }
    }
}

/// Whether the counts of a run that was started so are those of all people.
fn is_of_everybody(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Schedule | Trigger::Manual | Trigger::Startup | Trigger::Retry => true,
        Trigger::Changes
        | Trigger::Watch
        | Trigger::Approval
        | Trigger::Link
        | Trigger::Release
        | Trigger::Undo
        | Trigger::Restore => false,
    }
}

/// The label of a cause, also of one that is not known.
fn cause(cause: Option<Cause>) -> &'static str {
    cause.map_or("unknown", Cause::as_str)
}

fn add(counter: &IntCounterVec, labels: &[&str], count: u64) {
    // There are as many labels as the family has, so the metric exists.
    if let Ok(metric) = counter.get_metric_with_label_values(labels) {
        metric.inc_by(count);
    }
}

fn opts(family: &Family) -> Opts {
    Opts::new(family.full_name(), family.help)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// The gauges of one scrape.
#[derive(Default)]
struct Scrape {
    registry: Registry,
    gauges: BTreeMap<&'static str, GaugeVec>,
    counters: BTreeMap<&'static str, CounterVec>,
}

impl Scrape {
    fn job(&mut self, job: &JobStatus, settled: Option<&RunSummary>) -> Result<(), Error> {
        let JobStatus {
            job: name,
            phase: _,
            schedule: _,
            timezone: _,
            next_run,
            next_changes: _,
            last_changes: _,
            watch,
            elsewhere_since: _,
            running,
            pause,
            paused_kinds,
            refused: _,
            backoff,
            last_run,
            last_success,
            success_due,
            ticks_skipped: _,
        } = job;
        let job = name.as_str();
        let name = &[job];
        let attempt = running
            .filter(|running| !running.dry_run)
            .map(|running| running.started_at)
            .max(last_run.as_ref().map(|run| run.started_at));
        let times = [
            ("last_attempt_timestamp_seconds", attempt),
            ("last_success_timestamp_seconds", *last_success),
            ("success_due_timestamp_seconds", *success_due),
            ("next_run_timestamp_seconds", *next_run),
            (
                "oldest_open_hold_timestamp_seconds",
                last_run.as_ref().and_then(|run| run.oldest_hold),
            ),
            (
                "backoff_until_timestamp_seconds",
                backoff.as_ref().and_then(Backoff::retries_at),
            ),
        ];
        for (family, time) in times {
            if let Some(time) = time {
                self.set(family, name, time.timestamp_millis() as f64 / 1000.0)?;
            }
        }
        self.set("running", name, flag(running.is_some()))?;
        if let Some(watch) = watch {
            self.set("watching", name, flag(watch.watching))?;
        }
        self.set("paused", &[job, ""], flag(pause.is_some()))?;
        for kind in paused_kinds.keys() {
            self.set("paused", &[job, kind.as_str()], 1.0)?;
        }
        self.set(
            "suspended",
            name,
            flag(backoff.as_ref().is_some_and(|backoff| backoff.suspended)),
        )?;
        self.set(
            "consecutive_failures",
            name,
            f64::from(backoff.as_ref().map_or(0, |backoff| backoff.failures)),
        )?;
        let open_holds = last_run.as_ref().map_or(0, |run| run.open_holds);
        self.set("open_holds", name, open_holds as f64)?;
        if let Some(run) = settled {
            self.set("held_changes", name, run.held as f64)?;
            self.set("failed_changes", name, run.failed as f64)?;
            let unconfirmed = run.counts.unconfirmed as f64;
            self.set("unconfirmed_changes", name, unconfirmed)?;
            self.set("unsettled_people", name, run.unsettled as f64)?;
            let leavers = run.counts.active_leavers as f64;
            self.set("active_leavers", name, leavers)?;
        }
        if let Some(run) = settled.filter(|run| run.entries > 0 || run.linked.is_some()) {
            // A job of kind `ftrack-ldap` has no directory, and owns no users.
            self.set("directory_entries", name, run.entries as f64)?;
            self.set("owned_users", &[job, "true"], run.owned_active as f64)?;
            self.set(
                "owned_users",
                &[job, "false"],
                run.owned.saturating_sub(run.owned_active) as f64,
            )?;
        }
        Ok(())
    }

    fn daemon(&mut self, status: &Status) -> Result<(), Error> {
        self.set("build_info", &[status.version.as_str(), crate::COMMIT], 1.0)?;
        self.set("ready", &[], flag(status.is_ready()))?;
        self.set("log_lines_dropped_total", &[], log::dropped() as f64)?;
        self.set(
            "config_last_reload_successful",
            &[],
            flag(status.config.error.is_none()),
        )?;
        self.set(
            "process_start_time_seconds",
            &[],
            status.started_at.timestamp_millis() as f64 / 1000.0,
        )?;
        if let Some(bytes) = process::resident_bytes() {
            self.set("process_resident_memory_bytes", &[], bytes as f64)?;
        }
        if let Some(files) = process::open_files() {
            self.set("process_open_fds", &[], files as f64)?;
        }
        Ok(())
    }

    fn figures(&mut self, figures: &ConnectionFigures) -> Result<(), Error> {
        for of in &figures.directories {
            let directory = of.directory.as_str();
            self.set("ldap_connections", &[directory, "idle"], of.idle as f64)?;
            self.set(
                "ldap_connections",
                &[directory, "used"],
                of.open.saturating_sub(of.idle) as f64,
            )?;
            self.set("ldap_waiting", &[directory], of.waiting as f64)?;
            for server in &of.servers {
                let labels = &[directory, server.server.as_str()];
                self.set("ldap_binds_total", labels, server.binds as f64)?;
                self.set(
                    "ldap_binds_refused_total",
                    labels,
                    server.binds_refused as f64,
                )?;
            }
        }
        let FtrackFigures {
            read_calls,
            write_calls,
            retries,
        } = figures.ftrack;
        self.set("ftrack_calls_total", &["read"], read_calls as f64)?;
        self.set("ftrack_calls_total", &["write"], write_calls as f64)?;
        for (server, expires) in &figures.certificates {
            let seconds = expires.timestamp() as f64;
            self.set("certificate_expiry_timestamp_seconds", &[server], seconds)?;
        }
        self.set("ftrack_retries_total", &[], retries as f64)
    }

    /// Sets one series of a family.
    fn set(&mut self, name: &'static str, labels: &[&str], value: f64) -> Result<(), Error> {
        let family = Family::named(name)?;
        match family.kind {
            MetricKind::Gauge => {
                let gauges = match self.gauges.remove(name) {
                    Some(gauges) => gauges,
                    None => register(&self.registry, GaugeVec::new(opts(family), family.labels)?)?,
                };
                gauges.get_metric_with_label_values(labels)?.set(value);
                self.gauges.insert(name, gauges);
            }
            MetricKind::Counter => {
                let counters = match self.counters.remove(name) {
                    Some(counters) => counters,
                    None => register(
                        &self.registry,
                        CounterVec::new(opts(family), family.labels)?,
                    )?,
                };
                counters
                    .get_metric_with_label_values(labels)?
                    .inc_by(value.max(0.0));
                self.counters.insert(name, counters);
            }
            MetricKind::Histogram => return Err(Error::Msg(format!("{name} is fed, not set"))),
        }
        Ok(())
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
