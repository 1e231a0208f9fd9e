//! What a person decides shows in status and metrics before the command ends.

use super::{holds, left, only_hold};
use crate::{
    daemon::{
        Daemon,
        control::{page, watched},
        must,
    },
    rules::leave,
    studio::Studio,
};

/// How many holds wait for a person: by the metrics, and whether the status says so.
fn open(studio: &Studio, daemon: &Daemon) -> (String, bool) {
    let (_, text) = page(studio, daemon, "/metrics");
    let name = "ftrack_ldap_sync_open_holds{job=\"artists\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let status = must(studio, 0, &["status"]).stdout;
    let is_said = status.contains("waits for a person");
    (line.unwrap().to_owned(), is_said)
}

/// When the oldest hold was opened that waits for a person, by the metrics: in seconds, if one waits.
fn oldest(studio: &Studio, daemon: &Daemon) -> Option<f64> {
    let (_, text) = page(studio, daemon, "/metrics");
    let name = "ftrack_ldap_sync_oldest_open_hold_timestamp_seconds{job=\"artists\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|value| value.parse().unwrap())
}

/// When a hold was opened, in seconds.
fn since(studio: &Studio, number: u64) -> f64 {
    let all: serde_json::Value =
        serde_json::from_str(&must(studio, 0, &["holds", "--format", "json"]).stdout).unwrap();
    let all = all.as_array().unwrap();
    let hold = all.iter().find(|hold| hold["hold"] == number).unwrap();
    let since: chrono::DateTime<chrono::Utc> = hold["since"].as_str().unwrap().parse().unwrap();
    since.timestamp_millis() as f64 / 1000.0
}

#[test]
fn the_oldest_hold_is_known_at_once_and_after_a_restart() {
    let studio = watched(left(&[0, 1, 2]).for_a_daemon("schedule = \"@yearly\""));
    studio.sync();
    let (first, _) = only_hold(&studio);
    let daemon = Daemon::start(&studio);
    assert_eq!(oldest(&studio, &daemon), Some(since(&studio, first)));
    // Another one does not make it younger.
    leave(&studio, "user3");
    must(&studio, 3, &["trigger"]);
    let all = holds(&studio);
    assert_eq!(all.len(), 2);
    let second = all.iter().find(|(number, ..)| *number != first).unwrap().0;
    assert_eq!(oldest(&studio, &daemon), Some(since(&studio, first)));
    daemon.stop();
    let daemon = Daemon::start(&studio);
    assert_eq!(oldest(&studio, &daemon), Some(since(&studio, first)));
    must(&studio, 0, &["reject", &first.to_string()]);
    assert_eq!(oldest(&studio, &daemon), Some(since(&studio, second)));
    must(&studio, 0, &["reject", &second.to_string()]);
    assert_eq!(oldest(&studio, &daemon), None);
    daemon.stop();
}

#[test]
fn status_and_metrics_tell_of_a_decision_at_once() {
    let studio = watched(left(&[0, 1, 2]).for_a_daemon("schedule = \"@yearly\""));
    studio.sync();
    let (number, _) = only_hold(&studio);
    let daemon = Daemon::start(&studio);
    let number = number.to_string();
    assert_eq!(open(&studio, &daemon), ("1".to_owned(), true));
    must(&studio, 0, &["reject", &number, "--only", "user0"]);
    assert_eq!(open(&studio, &daemon), ("1".to_owned(), true));
    must(&studio, 0, &["reject", &number]);
    assert_eq!(open(&studio, &daemon), ("0".to_owned(), false));

    leave(&studio, "user3");
    leave(&studio, "user4");
    must(&studio, 3, &["trigger"]);
    assert_eq!(open(&studio, &daemon), ("1".to_owned(), true));
    let all = holds(&studio);
    must(&studio, 0, &["approve", &all[0].0.to_string()]);
    assert_eq!(open(&studio, &daemon), ("0".to_owned(), false));
}
