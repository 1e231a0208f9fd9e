//! A second process on the daemon's state that does not reach its socket, as in a second container:
//! what it saves counts for the daemon that runs, and what it cannot do it says.

use ftrack_ldap_sync::model::change::HeldBy;

use super::{
    held,
    pauses::{STOP, counts_for_the_run_under_way, synced},
};
use crate::{
    daemon::{LIMIT, job, must, wait_for_phase},
    rules::leave,
    slapd::wait_until,
    studio::{Ended, Studio, person},
};

/// Runs a command in a second container with the same state.
fn beside(studio: &Studio, status: i32, arguments: &[&str]) -> Ended {
    let mut command = studio.command(arguments);
    let socket = studio.folder().join("elsewhere/control.sock");
    command
        .env("FTRACK_LDAP_SYNC_CONTROL_SOCKET", socket)
        .env("container", "oci");
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(
        ended.status, status,
        "{arguments:?}: {} {}",
        ended.stdout, ended.stderr
    );
    ended
}

#[test]
fn a_kind_that_is_paused_beside_a_daemon_is_held_by_it_at_once() {
    let (studio, daemon) = synced(&["ada", "bob"]);
    let said = beside(&studio, 0, &STOP).stdout;
    for part in [
        "deactivate of artists is paused until `resume artists --only deactivate`.",
        "It is saved in ",
        "and for the daemon within a second.",
        "But a daemon uses ",
        "its socket is not reachable from here",
        "`docker compose exec ftrack-ldap-sync ftrack-ldap-sync COMMAND`",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    leave(&studio, "ada");
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    assert_eq!(daemon.event("job.paused")["kind"], "deactivate");
    let is_shown = || {
        let shown = must(&studio, 0, &["status"]).stdout;
        shown.contains("artists: deactivate paused: an odd directory")
    };
    assert!(wait_until(LIMIT, is_shown));
    let said = beside(&studio, 0, &["resume", "--only", "deactivate"]).stdout;
    assert!(
        said.starts_with("deactivate of artists is resumed.\nIt is saved in ")
            && said.contains("counts for the daemon within a second."),
        "{said}"
    );
    assert_eq!(daemon.event("job.resumed")["kind"], "deactivate");
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    // Each was logged once, however often it was looked for.
    assert_eq!(daemon.events("job.paused").len(), 1);
    assert_eq!(daemon.events("job.resumed").len(), 1);
}

#[test]
fn a_kind_that_is_paused_beside_a_daemon_is_held_by_the_run_under_way() {
    counts_for_the_run_under_way(|studio| _ = beside(studio, 0, &STOP));
}

#[test]
fn a_job_that_is_paused_beside_a_daemon_does_not_run_there() {
    let (studio, daemon) = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    // No look of the daemon comes between: the run itself looks, right before it begins.
    let said = beside(&studio, 0, &["pause", "--reason", "odd"]).stdout;
    daemon.signal("USR1");
    assert!(
        said.contains("for the daemon within a second, which then starts no run of it."),
        "{said}"
    );
    assert_eq!(daemon.event("job.paused")["reason"], "odd");
    wait_for_phase(&studio, "paused");
    assert_eq!(job(&studio)["pause"]["reason"], "odd");
    let refused = must(&studio, 1, &["trigger"]).stderr;
    assert!(
        refused.contains("the daemon starts no run of it"),
        "{refused}"
    );
    assert!(studio.user("ada").is_active);
    assert_eq!(studio.reports_when(1).len(), 1, "no run was begun");

    beside(&studio, 0, &["resume"]);
    wait_for_phase(&studio, "idle");
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    assert_eq!(daemon.events("job.paused").len(), 1);
}

#[test]
fn what_only_the_daemon_does_is_refused_beside_it() {
    let (studio, daemon) = synced(&["ada"]);
    for command in ["trigger", "status"] {
        let refused = beside(&studio, 1, &[command]).stderr;
        assert!(
            refused.contains("a daemon uses ")
                && refused.contains("its socket is not reachable from here")
                && refused.contains("`docker compose exec ")
                && !refused.contains("systemctl"),
            "{refused}"
        );
    }
    daemon.stop();
    let refused = beside(&studio, 1, &["trigger"]).stderr;
    assert!(refused.contains("no daemon listens on "), "{refused}");
}

#[test]
fn what_is_decided_beside_a_daemon_counts_for_it() {
    let (studio, daemon) = synced(&["ada", "bob", "eve", "kim", "lea", "max"]);
    for uid in ["ada", "bob", "eve", "kim"] {
        leave(&studio, uid);
    }
    must(&studio, 3, &["trigger"]);
    beside(&studio, 0, &["reject", "1", "--only", "ada"]);
    let report = beside(&studio, 0, &["approve", "1", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 3, "{report:#?}");
    // The daemon does neither of them again.
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 0, "{report:#?}");
    assert!(studio.user("ada").is_active);
    beside(&studio, 0, &["unreject", "1"]);
    must(&studio, 3, &["trigger"]);
    studio.tree().add(person("new", "New", "Face")).unwrap();
    let report = must(&studio, 3, &["trigger", "--format", "json"]).report();
    beside(&studio, 0, &["undo", &report.run]);
    let report = must(&studio, 3, &["trigger", "--format", "json"]).report();
    assert_eq!(
        report.counts.created + report.counts.reactivated,
        0,
        "{report:#?}"
    );
    daemon.stop();
}
