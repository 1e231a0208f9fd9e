//! The files in `deploy/monitoring/`: what can run here runs, and everything names only metrics, events
//! and fields that the program has.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ftrack_ldap_sync::{
    daemon::metrics::{FAMILIES, Family, MetricKind, PREFIX},
    event::{EVENTS, daemon, program},
};
use serde_json::{Value, json};

use super::{documents, text};
use crate::{
    ability::must_skip,
    readme,
    slapd::wait_until,
    studio::{Studio, dn},
};

const ALERTS: &str = include_str!("../../../deploy/monitoring/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../deploy/monitoring/dashboard.json");
const PAGE: &str = include_str!("../../../deploy/monitoring/README.md");
const LOGS: [(&str, &str); 5] = [
    (
        "rsyslog.conf",
        include_str!("../../../deploy/monitoring/logs/rsyslog.conf"),
    ),
    (
        "vector.yaml",
        include_str!("../../../deploy/monitoring/logs/vector.yaml"),
    ),
    (
        "config.alloy",
        include_str!("../../../deploy/monitoring/logs/config.alloy"),
    ),
    (
        "fluent-bit.yaml",
        include_str!("../../../deploy/monitoring/logs/fluent-bit.yaml"),
    ),
    (
        "journald.conf",
        include_str!("../../../deploy/monitoring/logs/journald.conf"),
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring")
}

/// The metrics that an expression names, each of which there must be.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = expression.split(|letter: char| !is_part(letter));
    let mut found = BTreeSet::new();
    for word in words.filter(|word| word.starts_with(PREFIX) || word.starts_with("process_")) {
        let is_of = |family: &&Family| {
            let name = family.full_name();
            let is_histogram = family.kind == MetricKind::Histogram;
            word == name || (is_histogram && word == format!("{name}_bucket"))
        };
        let family = FAMILIES.iter().find(is_of);
        let family = family.unwrap_or_else(|| panic!("there is no metric {word}: {expression}"));
        found.insert(family.full_name());
    }
    found
}

#[test]
fn the_alerts_fire_when_they_should() {
    if must_skip("the_alerts_fire_when_they_should", &["promtool"]) {
        return;
    }
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
        ["test", "rules", "alerts_days_test.yaml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn each_alert_asks_for_metrics_that_there_are_and_says_what_to_do() {
    let alerts = documents(ALERTS).remove(0);
    for alert in alerts["groups"][0]["rules"].as_array().unwrap() {
        let expression = alert["expr"].as_str().unwrap();
        let is_about_the_scrape = alert["alert"] == "FtrackLdapSyncDown";
        assert!(
            is_about_the_scrape || !metrics(expression).is_empty(),
            "{alert}"
        );
        let annotations = &alert["annotations"];
        assert!(
            annotations["summary"].is_string() && annotations["description"].is_string(),
            "{alert}"
        );
        assert!(
            ["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()),
            "{alert}"
        );
    }
}

/// The panels of the dashboard that show something.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row").collect()
}

/// The queries of the dashboard.
fn queries(dashboard: &Value) -> Vec<String> {
    let of = |panel: &&Value| panel["targets"].as_array().unwrap().clone();
    let targets = panels(dashboard).iter().flat_map(of).collect::<Vec<_>>();
    let of = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    targets.iter().map(of).collect()
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let shown: BTreeSet<String> = queries(&dashboard)
        .iter()
        .flat_map(|query| {
            let found = metrics(query);
            assert!(!found.is_empty(), "{query}");
            found
        })
        .collect();
    // What an alert is about can be looked at.
    let alerts = metrics(ALERTS).into_iter();
    let unseen: Vec<String> = alerts.filter(|metric| !shown.contains(metric)).collect();
    let elsewhere = [
        "ftrack_ldap_sync_running",
        "ftrack_ldap_sync_success_due_timestamp_seconds",
    ];
    assert_eq!(unseen, elsewhere, "each alert's metric is in the dashboard");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        metrics(&variable.to_string());
    }
    let ids: BTreeSet<String> = panels(&dashboard)
        .iter()
        .map(|panel| panel["id"].to_string())
        .collect();
    assert_eq!(
        ids.len(),
        panels(&dashboard).len(),
        "each panel has its own id"
    );
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(
                    taken.insert((x, y)),
                    "{} lies on another panel",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn prometheus_understands_each_query_of_the_dashboard() {
    if must_skip(
        "prometheus_understands_each_query_of_the_dashboard",
        &["promtool"],
    ) {
        return;
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let rules: Vec<Value> = queries(&dashboard)
        .iter()
        .enumerate()
        .map(|(number, query)| {
            let query = query
                .replace("$__rate_interval", "5m")
                .replace("$__interval", "5m");
            let query = query.replace("$__range", "1d").replace("$job", ".*");
            assert!(!query.contains('$'), "{query}");
            json!({"record": format!("query:{number}"), "expr": query})
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yaml");
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(&file, groups.to_string()).unwrap();
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// Every event with its fields.
fn events() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let all = EVENTS.iter().chain(program::EVENTS).chain(daemon::EVENTS);
    all.map(|(name, _, fields)| (*name, *fields))
}

#[test]
fn log_collectors_and_queries_name_events_and_fields_that_there_are() {
    let fields: BTreeSet<&str> = events()
        .flat_map(|(_, fields)| fields)
        .copied()
        .chain(["event", "timestamp"])
        .collect();
    let mut seen = 0;
    for (name, text) in LOGS.into_iter().chain([("README.md", PAGE)]) {
        for after in text.split("FTRACK_LDAP_SYNC_").skip(1) {
            let field = after.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
            let field = field.into_iter().next().unwrap().to_lowercase();
            assert!(
                field.is_empty() || fields.contains(field.as_str()),
                "{name}: {field}"
            );
            seen += 1;
        }
        for word in
            text.split(|letter: char| !letter.is_ascii_lowercase() && !"._".contains(letter))
        {
            let is_event = word.split_once('.').is_some_and(|(start, rest)| {
                let rooms = ["change", "run", "hold", "log", "builtin", "outage"];
                rooms.contains(&start) && !rest.is_empty() && rest != "json"
            });
            let is_known = events().any(|(event, _)| event == word.trim_end_matches('.'));
            assert!(!is_event || is_known, "{name}: {word}");
            seen += usize::from(is_event);
        }
    }
    assert!(seen > 15, "{seen}");
    for (name, text) in LOGS.iter().filter(|(name, _)| name.ends_with(".yaml")) {
        assert_eq!(documents(text).len(), 1, "{name}");
    }
}

/// A studio that somebody left, and the JSON log of all its runs.
fn left() -> (Studio, String) {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "limits.deactivate = \"100%\"\n".into();
    let mut log = studio.run(&["sync"]).stderr;
    studio.tree().remove(&dn("bob")).unwrap();
    log += &studio.run(&["sync"]).stderr;
    (studio, log)
}

/// A program of the test, ended with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn rsyslog_writes_a_line_for_each_change() {
    if must_skip("rsyslog_writes_a_line_for_each_change", &["rsyslogd"]) {
        return;
    }
    let (_studio, log) = left();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (json, changes) = (path("in.json"), path("changes.log"));
    let snippet = LOGS[0]
        .1
        .replace("/var/log/ftrack-ldap-sync.json", json.to_str().unwrap())
        .replace(
            "/var/log/ftrack-ldap-sync-changes.log",
            changes.to_str().unwrap(),
        );
    let state = format!(
        "global(workDirectory={:?} maxMessageSize=\"256k\")\n",
        folder.path()
    );
    fs::write(path("rsyslog.conf"), state + &snippet).unwrap();
    fs::write(&json, &log).unwrap();
    let _rsyslogd = Server(
        Command::new("rsyslogd")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .arg("-n")
            .arg("-f")
            .arg(path("rsyslog.conf"))
            .arg("-i")
            .arg(path("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let written = || fs::read_to_string(&changes).unwrap_or_default();
    let is_there = || written().lines().count() >= 3;
    assert!(
        wait_until(Duration::from_secs(60), is_there),
        "{}",
        written()
    );
    let written = written();
    let of = |login: &str, action: &str| {
        let mut lines = written.lines();
        let line = lines.find(|line| line.contains(&format!(" artists {action} {login} ")));
        line.unwrap_or_else(|| panic!("{action} {login}:\n{written}"))
            .to_owned()
    };
    of("ada", "create");
    of("bob", "create");
    let gone = of("bob", "deactivate");
    assert!(gone.contains(" cause=absent reason="), "{gone}");
    assert!(!gone.ends_with("reason="), "{gone}");
    assert_eq!(written.lines().count(), 3, "{written}");

    // As logrotate empties it.
    fs::write(&json, "").unwrap();
    let applied = log.lines().find(|line| line.contains("change.applied"));
    let applied = format!("{}\n", applied.unwrap());
    let is_read_on = || {
        let mut file = fs::OpenOptions::new().append(true).open(&json).unwrap();
        file.write_all(applied.as_bytes()).unwrap();
        fs::read_to_string(&changes).unwrap().lines().count() > 3
    };
    assert!(wait_until(Duration::from_secs(60), is_read_on));
}

#[test]
fn prometheus_takes_the_settings_of_the_page() {
    if must_skip("prometheus_takes_the_settings_of_the_page", &["promtool"]) {
        return;
    }
    let settings = readme::blocks_of(PAGE, "yaml").concat().replace(
        "/usr/share/doc/ftrack-ldap-sync/deploy/monitoring",
        folder().to_str().unwrap(),
    );
    assert!(settings.contains("honor_labels: true"), "{settings}");
    let alerts = fs::read_to_string(folder().join("alerts.yaml")).unwrap();
    let read = documents(&settings);
    let [scrape] = &read[0]["scrape_configs"].as_array().unwrap()[..] else {
        panic!("{settings}");
    };
    let up = format!("up{{job={}}}", scrape["job_name"]);
    assert!(alerts.contains(&up), "{up}");
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("prometheus.yml");
    fs::write(&file, settings).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        text(&checked).contains("1 rule files found"),
        "{}",
        text(&checked)
    );
}

/// A query of the page that starts so, for today instead of last Tuesday.
fn query(start: &str) -> String {
    let all = readme::blocks_of(PAGE, "sh").concat();
    let line = all.lines().find(|line| line.starts_with(start)).unwrap();
    let line = line
        .replace("last tuesday + 1 day", "tomorrow")
        .replace("last tuesday", "today");
    line.replace("--on tuesday", "--on today")
}

#[test]
fn who_was_deactivated_and_why_is_answered() {
    if must_skip("who_was_deactivated_and_why_is_answered", &["jq"]) {
        return;
    }
    let (studio, log) = left();
    fs::write(studio.folder().join("ftrack-ldap-sync.json"), log).unwrap();
    let answer = |query: String| {
        let program = format!(
            "{} --config {}",
            env!("CARGO_BIN_EXE_ftrack-ldap-sync"),
            studio.config().display()
        );
        let output = Command::new("sh")
            .args([
                "-ec",
                &query.replace("ftrack-ldap-sync runs", &format!("{program} runs")),
            ])
            .current_dir(studio.folder())
            .env("TZ", "UTC")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let by_jq = answer(query("jq "));
    let fields: Vec<&str> = by_jq.trim_end().split('\t').collect();
    assert_eq!(fields[1..3], ["bob", "absent"], "{by_jq}");
    assert!(!fields[3].is_empty(), "{by_jq}");
    let by_reports = answer(query("ftrack-ldap-sync runs "));
    assert!(
        by_reports.contains("bob") && !by_reports.contains("ada"),
        "{by_reports}"
    );
}
