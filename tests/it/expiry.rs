//! The metric of when the certificates of servers expire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Child, Command, Stdio};

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
