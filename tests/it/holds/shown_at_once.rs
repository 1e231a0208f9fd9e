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
