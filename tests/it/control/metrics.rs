//! The metrics: the names of the contract, none before the first run, none of removed jobs.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use ftrack_ldap_sync::{
    daemon::{
        metrics::{
            ConnectionFigures, DirectoryFigures, FAMILIES, FtrackFigures, MetricKind, Metrics,
            ServerFigures,
        },
        status::Status,
    },
    model::{
        backoff::Backoff,
        change::Action,
        reason::Cause,
        report::{ChangeResult, FailureKind, Outcome, Reported, Trigger},
        summary::RunSummary,
    },
};

use super::{Daemon, at, job, report, status};

/// The names that monitoring is built on.
const CONTRACT: [&str; 18] = [
    "ftrack_ldap_sync_last_attempt_timestamp_seconds",
    "ftrack_ldap_sync_last_success_timestamp_seconds",
    "ftrack_ldap_sync_next_run_timestamp_seconds",
    "ftrack_ldap_sync_runs_total",
    "ftrack_ldap_sync_run_duration_seconds",
    "ftrack_ldap_sync_changes_total",
    "ftrack_ldap_sync_deactivations_total",
    "ftrack_ldap_sync_directory_entries",
    "ftrack_ldap_sync_owned_users",
    "ftrack_ldap_sync_held_changes",
    "ftrack_ldap_sync_consecutive_failures",
    "ftrack_ldap_sync_unsettled_people",
    "ftrack_ldap_sync_paused",
    "ftrack_ldap_sync_ticks_skipped_total",
    "ftrack_ldap_sync_config_reload_failures_total",
    "ftrack_ldap_sync_build_info",
    "ftrack_ldap_sync_log_lines_dropped_total",
    "ftrack_ldap_sync_builtin_alarms_total",
];

/// Everything a scrape says: families with their types, and series with their values.
#[derive(Debug, Default)]
struct Scraped {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scraped {
    /// Reads Prometheus's text format, and refuses what breaks its rules.
    fn of(text: &str) -> Self {
        let mut scraped = Self::default();
        let mut helped = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').unwrap().0;
            } else if let Some(of) = line.strip_prefix("# TYPE ") {
                let (name, kind) = of.split_once(' ').unwrap();
                assert_eq!(name, helped, "each family is helped, then typed");
                assert!(
                    scraped.types.insert(name.into(), kind.into()).is_none(),
                    "{name} twice"
                );
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap_or(name);
                assert!(
                    family == helped || name == helped,
                    "{line} stands in {helped}"
                );
                assert!(
                    scraped
                        .series
                        .insert(series.into(), value.parse().unwrap())
                        .is_none(),
                    "{series} twice"
                );
            }
        }
        scraped
    }

    fn value(&self, series: &str) -> Option<f64> {
        self.series
            .get(&format!("ftrack_ldap_sync_{series}"))
            .copied()
    }

    fn mentions(&self, start: &str) -> bool {
        self.series
            .keys()
            .any(|series| series.starts_with(&format!("ftrack_ldap_sync_{start}")))
    }
}

fn figures() -> ConnectionFigures {
    ConnectionFigures {
        directories: vec![DirectoryFigures {
            directory: "studio".into(),
            open: 3,
            idle: 2,
            waiting: 1,
            servers: vec![ServerFigures {
                server: "ldaps://a\"b\\c".into(),
                binds: 7,
                binds_refused: 2,
            }],
        }],
        ftrack: FtrackFigures {
            read_calls: 10,
            write_calls: 4,
            retries: 3,
        },
        certificates: [("ldaps://a".to_owned(), at("2027-01-01T00:00:00Z"))].into(),
    }
}

/// A daemon whose every metric has a value.
fn full() -> (Metrics, Status) {
    let metrics = Metrics::new().unwrap();
    metrics.ended(&report("artists", Outcome::Held));
    metrics.ended(&report("artists", Outcome::Failed));
    metrics.tick_skipped("artists");
    metrics.reload_failed();
    let mut artists = job("artists");
    artists.last_run = Some(RunSummary {
        oldest_hold: Some(at("2025-12-31T00:00:00Z")),
        ..RunSummary::of(&report("artists", Outcome::Failed))
    });
    artists.last_success = Some(at("2026-01-01T00:00:10Z"));
    artists.success_due = Some(at("2026-01-01T00:30:00Z"));
    artists.backoff = Some(Backoff {
        failures: 2,
        since: at("2026-01-01T00:00:00Z"),
        retry_at: at("2026-01-02T00:00:00Z"),
        suspended: true,
        kind: FailureKind::Directory,
        error: String::new(),
        asked: None,
    });
    artists.running = Some(ftrack_ldap_sync::daemon::status::Running {
        dry_run: false,
        trigger: Trigger::Retry,
        started_at: at("2026-01-01T01:00:00Z"),
        progress: None,
    });
    artists.watch = Some(ftrack_ldap_sync::daemon::status::WatchStatus {
        watching: true,
        since: at("2026-01-01T00:00:00Z"),
        error: None,
    });
    (metrics, status(vec![artists]))
}

#[test]
fn deactivations_are_counted_by_their_cause() {
    let metrics = Metrics::new().unwrap();
    let mut leavers = report("artists", Outcome::Succeeded);
    let change = leavers.changes.pop().unwrap();
    let (applied, held) = (ChangeResult::Applied, ChangeResult::Held);
    let of = |(cause, result)| Reported {
        action: Action::Deactivate,
        cause,
        result,
        ..change.clone()
    };
    leavers.changes = [
        (Some(Cause::Disabled), applied),
        (Some(Cause::Disabled), applied),
        (Some(Cause::Absent), applied),
        (Some(Cause::Absent), held),
        (None, applied),
    ]
    .map(of)
    .into();
    metrics.ended(&leavers);
    let status = status(vec![job("artists")]);
    let scraped = Scraped::of(&metrics.render(&status, &figures()).unwrap());
    for (cause, expected) in [
        ("disabled", 2.0),
        ("absent", 1.0),
        ("out_of_scope", 0.0),
        ("unknown", 1.0),
    ] {
        let series = format!("deactivations_total{{cause=\"{cause}\",job=\"artists\"}}");
        assert_eq!(scraped.value(&series), Some(expected), "{series}");
    }
}

#[test]
fn every_metric_of_the_contract_is_there_under_its_name() {
    let (metrics, status) = full();
    let scraped = Scraped::of(&metrics.render(&status, &figures()).unwrap());
    for name in CONTRACT {
        assert!(scraped.types.contains_key(name), "{name}: {scraped:#?}");
    }
    let families: BTreeMap<String, String> = FAMILIES
        .iter()
        .map(|family| {
            let kind = match family.kind {
                MetricKind::Gauge => "gauge",
                MetricKind::Counter => "counter",
                MetricKind::Histogram => "histogram",
            };
            (family.full_name(), kind.to_owned())
        })
        .collect();
    assert_eq!(scraped.types, families, "what is told is what is listed");
    for (series, expected) in [
        ("runs_total{job=\"artists\",outcome=\"held\"}", 1.0),
        ("runs_total{job=\"artists\",outcome=\"failed\"}", 1.0),
        ("runs_total{job=\"artists\",outcome=\"succeeded\"}", 0.0),
        (
            "changes_total{action=\"create\",job=\"artists\",result=\"applied\"}",
            2.0,
        ),
        (
            "changes_total{action=\"deactivate\",job=\"artists\",result=\"held\"}",
            0.0,
        ),
        (
            "run_duration_seconds_count{job=\"artists\",phase=\"whole\"}",
            2.0,
        ),
        (
            "run_duration_seconds_sum{job=\"artists\",phase=\"directory\"}",
            3.0,
        ),
        (
            "run_duration_seconds_bucket{job=\"artists\",phase=\"writing\",le=\"0.25\"}",
            2.0,
        ),
        ("directory_entries{job=\"artists\"}", 412.0),
        ("owned_users{active=\"true\",job=\"artists\"}", 401.0),
        ("owned_users{active=\"false\",job=\"artists\"}", 5.0),
        ("held_changes{job=\"artists\"}", 2.0),
        (
            "oldest_open_hold_timestamp_seconds{job=\"artists\"}",
            1_767_139_200.0,
        ),
        ("failed_changes{job=\"artists\"}", 0.0),
        ("unsettled_people{job=\"artists\"}", 0.0),
        ("active_leavers{job=\"artists\"}", 0.0),
        ("consecutive_failures{job=\"artists\"}", 2.0),
        ("suspended{job=\"artists\"}", 1.0),
        ("paused{job=\"artists\"}", 0.0),
        ("running{job=\"artists\"}", 1.0),
        (
            "last_attempt_timestamp_seconds{job=\"artists\"}",
            1_767_229_200.0,
        ),
        (
            "last_success_timestamp_seconds{job=\"artists\"}",
            1_767_225_610.0,
        ),
        (
            "backoff_until_timestamp_seconds{job=\"artists\"}",
            1_767_312_000.0,
        ),
        ("ticks_skipped_total{job=\"artists\"}", 1.0),
        ("config_reload_failures_total", 1.0),
        ("config_last_reload_successful", 1.0),
        ("ready", 1.0),
        ("ldap_connections{directory=\"studio\",state=\"idle\"}", 2.0),
        ("ldap_connections{directory=\"studio\",state=\"used\"}", 1.0),
        ("ldap_waiting{directory=\"studio\"}", 1.0),
        (
            "ldap_binds_total{directory=\"studio\",server=\"ldaps://a\\\"b\\\\c\"}",
            7.0,
        ),
        (
            "ldap_binds_refused_total{directory=\"studio\",server=\"ldaps://a\\\"b\\\\c\"}",
            2.0,
        ),
        (
            "certificate_expiry_timestamp_seconds{server=\"ldaps://a\"}",
            1_798_761_600.0,
        ),
        (
            "success_due_timestamp_seconds{job=\"artists\"}",
            1_767_227_400.0,
        ),
        ("ftrack_calls_total{kind=\"read\"}", 10.0),
        ("ftrack_retries_total", 3.0),
    ] {
        assert_eq!(
            scraped.value(series),
            Some(expected),
            "{series}: {scraped:#?}"
        );
    }
}

#[test]
fn before_the_first_run_counters_are_zero_and_nothing_claims_a_success() {
    let metrics = Metrics::new().unwrap();
    let scraped = Scraped::of(
        &metrics
            .render(&status(vec![job("artists")]), &ConnectionFigures::default())
            .unwrap(),
    );
    assert_eq!(
        scraped.value("runs_total{job=\"artists\",outcome=\"succeeded\"}"),
        Some(0.0)
    );
    assert_eq!(
        scraped.value("ticks_skipped_total{job=\"artists\"}"),
        Some(0.0)
    );
    assert_eq!(scraped.value("config_reload_failures_total"), Some(0.0));
    for absent in [
        "last_success",
        "last_attempt",
        "backoff_until",
        "directory_entries",
        "owned_users",
        "held_changes",
        "oldest_open_hold",
        "failed_changes",
        "unsettled_people",
        "run_duration",
    ] {
        assert!(!scraped.mentions(absent), "{absent}: {scraped:#?}");
    }
}

#[test]
fn what_an_earlier_daemon_found_is_known_though_the_last_run_failed() {
    let metrics = Metrics::new().unwrap();
    let mut before = RunSummary::of(&report("artists", Outcome::Partial));
    before.unsettled = 3;
    metrics.begin_with([before].into_iter());
    let mut artists = job("artists");
    let mut failed = RunSummary::of(&report("artists", Outcome::Failed));
    failed.run = "20260102-000000-0000".into();
    artists.last_run = Some(failed);
    let scraped = Scraped::of(
        &metrics
            .render(&status(vec![artists]), &ConnectionFigures::default())
            .unwrap(),
    );
    assert_eq!(
        scraped.value("unsettled_people{job=\"artists\"}"),
        Some(3.0)
    );
}

#[test]
fn after_a_restart_the_last_run_tells_its_figures_and_a_dry_run_none() {
    let metrics = Metrics::new().unwrap();
    let mut artists = job("artists");
    artists.last_run = Some(RunSummary::of(&report("artists", Outcome::Held)));
    let scraped = Scraped::of(
        &metrics
            .render(
                &status(vec![artists.clone()]),
                &ConnectionFigures::default(),
            )
            .unwrap(),
    );
    assert_eq!(
        scraped.value("directory_entries{job=\"artists\"}"),
        Some(412.0)
    );

    let mut dry = report("artists", Outcome::Succeeded);
    dry.dry_run = true;
    metrics.ended(&dry);
    artists.last_run = Some(RunSummary::of(&dry));
    let scraped = Scraped::of(
        &metrics
            .render(&status(vec![artists]), &ConnectionFigures::default())
            .unwrap(),
    );
    assert!(!scraped.mentions("directory_entries"));
    assert_eq!(
        scraped.value("runs_total{job=\"artists\",outcome=\"succeeded\"}"),
        Some(0.0)
    );
}

#[test]
fn a_job_that_is_configured_no_more_has_no_gauges() {
    let (metrics, mut now) = full();
    metrics.render(&now, &figures()).unwrap();
    now.jobs = vec![job("nightly")];
    let scraped = Scraped::of(&metrics.render(&now, &ConnectionFigures::default()).unwrap());
    let left: Vec<_> = scraped
        .series
        .keys()
        .filter(|series| series.contains("artists"))
        .collect();
    assert!(
        left.iter().all(|series| series.contains("_total")
            || series.starts_with("ftrack_ldap_sync_run_duration_seconds")),
        "{left:?}"
    );
    assert!(!scraped.mentions("ldap_connections"));
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (metrics, status) = full();
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        println!("skipped: there is no promtool; the package prometheus has it");
        return;
    };
    let text = metrics.render(&status, &figures()).unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_listener_answers_in_prometheus_own_type() {
    let daemon = Daemon::of(&["artists"]);
    daemon.metrics.ended(&report("artists", Outcome::Succeeded));
    let answer = daemon.get("/metrics");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    let scraped = Scraped::of(&answer.body);
    assert_eq!(
        scraped.value("runs_total{job=\"artists\",outcome=\"succeeded\"}"),
        Some(1.0)
    );
    assert!(scraped.series["process_resident_memory_bytes"] > 1e6);
    assert!(scraped.series["process_open_fds"] > 3.0);
}

#[test]
fn the_page_lists_each_metric_with_its_labels() {
    let page = crate::readme::text_of("deploy/monitoring/metrics.md");
    for family in FAMILIES {
        let labels = if family.labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", family.labels.join(","))
        };
        let start = format!("| `{}{labels}` |", family.full_name());
        assert!(
            page.lines().any(|line| line.starts_with(&start)),
            "the page is to have a line {start}"
        );
    }
}
