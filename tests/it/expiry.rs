//! The metric of when the certificates of servers expire, and the warnings of runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Datelike, Utc};

use crate::{
    daemon::must,
    rules::add_config,
    slapd::Setup,
    studio::{Studio, person},
};

/// A daemon, killed when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn daemon(studio: &Studio) -> Daemon {
    let mut daemon: Command = studio.command(&["daemon"]);
    let daemon = Daemon(
        daemon
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    studio.wait_until_ready();
    daemon
}

/// The value of a metric; none where it is absent.
fn metric(studio: &Studio, series: &str) -> Option<f64> {
    let (_, metrics) = studio.page("/metrics").unwrap();
    let series = format!("ftrack_ldap_sync_{series} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.map(|value| value.parse().unwrap())
}

#[test]
fn the_end_of_a_servers_certificate_is_a_metric() {
    let slapd = Setup::new("").start();
    let mut studio = Studio::empty();
    studio.directory_url = slapd.tls_url().to_string().trim_end_matches('/').to_owned();
    studio = studio.watched();
    add_config(
        &studio,
        &format!("[directories.studio]\nca_file = {:?}\n", slapd.ca_file()),
    );
    let _daemon = daemon(&studio);
    let series = format!(
        "certificate_expiry_timestamp_seconds{{server=\"{}\"}}",
        studio.directory_url
    );
    // The certificate has no other end than the last that there can be.
    let last: DateTime<Utc> = "4096-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(metric(&studio, &series), Some(last.timestamp() as f64));
    let (_, metrics) = studio.page("/metrics").unwrap();
    assert_eq!(
        metrics
            .matches("\nftrack_ldap_sync_certificate_expiry_timestamp_seconds{")
            .count(),
        1,
        "ftrack is asked without TLS: {metrics}"
    );
}

#[test]
fn the_second_time_after_a_success_is_a_metric() {
    let studio = Studio::empty().watched();
    studio.tree().add(person("ada", "Ada", "L")).unwrap();
    let _daemon = daemon(&studio);
    let series = "success_due_timestamp_seconds{job=\"artists\"}";
    assert_eq!(metric(&studio, series), None, "there was no success yet");
    let year = Utc::now().year();
    must(&studio, 0, &["trigger"]);
    // Yearly: on the first of January after the next one.
    let due = |year: i32| -> f64 {
        let day: DateTime<Utc> = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        day.timestamp() as f64
    };
    assert_eq!(metric(&studio, series), Some(due(year + 2)));
    must(&studio, 0, &["pause"]);
    assert_eq!(metric(&studio, series), None, "it is paused");
}

/// A certificate of its own, in PEM, that is valid until so many days from now.
fn certificate(days: i64) -> String {
    let day = Duration::from_secs(days.unsigned_abs() * 86_400 + 3600);
    let now = SystemTime::now();
    let end = if days < 0 { now - day } else { now + day };
    let mut parameters = rcgen::CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
    parameters.not_after = end.into();
    let key = rcgen::KeyPair::generate().unwrap();
    parameters.self_signed(&key).unwrap().pem()
}

/// What runs and plans warn of, of the certificates that are trusted.
fn warned_of(studio: &Studio) -> Vec<String> {
    let of_files = |warnings: &[String]| -> Vec<String> {
        let of_files = warnings
            .iter()
            .filter(|warning| warning.contains("ca_file"));
        of_files.cloned().collect()
    };
    let warnings = of_files(&studio.sync().warnings);
    let plan = studio.run(&["plan", "--format", "json"]).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let planned: Vec<String> = serde_json::from_value(plan["warnings"].clone()).unwrap();
    assert_eq!(of_files(&planned), warnings);
    warnings
}

#[test]
fn runs_warn_of_trusted_certificates_that_end_within_two_weeks() {
    let studio = Studio::of(&["ada"]);
    let file = studio.folder().join("ca.pem");
    fs::write(&file, certificate(300)).unwrap();
    let of = |key: &str| format!("[{key}]\nca_file = {file:?}\n");
    add_config(&studio, &of("directories.studio"));
    let trusting = |days: &[i64]| {
        let all: String = days.iter().map(|days| certificate(*days)).collect();
        fs::write(&file, all).unwrap();
        warned_of(&studio)
    };
    let name = format!("{}, of directories.studio.ca_file", file.display());
    for (days, said) in [
        (&[300][..], None),
        (&[14], None),
        (&[13], Some(", expires on ")),
        (&[-3], Some(", expired on ")),
        // One that is valid is enough.
        (&[-3, 300], None),
        (
            &[13, 300],
            Some(": 1 of 2 certificates expire soon, the first on "),
        ),
        (
            &[-3, -9],
            Some(": all 2 certificates expired, the last on "),
        ),
    ] {
        let warnings = trusting(days);
        let Some(said) = said else {
            assert_eq!(warnings, [""; 0], "{days:?}");
            continue;
        };
        let [warning] = &warnings[..] else {
            panic!("{days:?}: {warnings:?}");
        };
        assert!(
            warning.starts_with(&format!("{name}{said}"))
                && warning.ends_with("; replace it with one that is valid"),
            "{days:?}: {warning}"
        );
    }
    // So of those for ftrack.
    add_config(&studio, &of("ftrack"));
    let warnings = trusting(&[-3]);
    assert!(
        warnings.len() == 1 && warnings[0].contains(", of ftrack.ca_file, expired on "),
        "{warnings:?}"
    );
}

#[test]
fn a_run_that_trusts_nobody_any_more_says_why() {
    let slapd = Setup::new("").start();
    let mut studio = Studio::empty();
    studio.directory_url = slapd.tls_url().to_string().trim_end_matches('/').to_owned();
    let file = studio.folder().join("ca.pem");
    fs::write(&file, certificate(-3)).unwrap();
    let config = format!("[directories.studio]\nca_file = {file:?}\n");
    add_config(&studio, &config);
    let run = studio.run(&["sync", "--format", "json"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    assert!(
        report.warnings.len() == 1 && report.warnings[0].contains("ca_file, expired on "),
        "{:?}",
        report.warnings
    );
}
