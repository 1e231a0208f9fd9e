//! The emergency stop of one kind of change: over restarts, seen in status, metrics and reports, in the
//! daemon as in the foreground.

use chrono::{TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::CallKind,
    model::{
        change::HeldBy,
        report::{Outcome, Report},
    },
};

use super::{change, held};
use crate::{
    daemon::{
        Daemon, LIMIT,
        control::{page, watched},
        job, must, wait_for_phase,
    },
    rules::leave,
    slapd::wait_until,
    studio::{Studio, person},
};

/// A daemon's studio of these people, who are synced.
pub(super) fn synced(uids: &[&str]) -> (Studio, Daemon) {
    let studio = Studio::of(uids).for_a_daemon("schedule = \"@yearly\"");
    let studio = watched(studio).end_to_end();
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    (studio, daemon)
}

pub(super) const STOP: [&str; 6] = [
    "pause",
    "artists",
    "--only",
    "deactivate",
    "--reason",
    "an odd directory",
];

fn metrics(studio: &Studio, daemon: &Daemon) -> Vec<String> {
    let (_, text) = page(studio, daemon, "/metrics");
    let paused = text
        .lines()
        .filter(|line| line.starts_with("ftrack_ldap_sync_paused"));
    paused.map(str::to_owned).collect()
}

/// Whether the status says that deactivations are paused.
fn is_shown(studio: &Studio) -> bool {
    let shown = must(studio, 0, &["status"]).stdout;
    shown.contains("artists: deactivate paused: an odd directory")
}

#[test]
fn a_paused_kind_is_held_over_a_restart_and_everything_else_is_written() {
    let (studio, daemon) = synced(&["ada", "bob", "eve"]);
    let said = must(&studio, 0, &STOP).stdout;
    assert_eq!(
        said,
        "deactivate of artists is paused until `resume artists --only deactivate`.\n"
    );
    let event = daemon.event("job.paused");
    assert_eq!(
        (&event["kind"], &event["reason"]),
        (&"deactivate".into(), &"an odd directory".into())
    );
    leave(&studio, "ada");
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    assert_eq!(
        (report.counts.created, report.outcome),
        (1, Outcome::Succeeded)
    );
    let why = change(&report, "ada").error.clone().unwrap();
    assert!(
        why.contains("(an odd directory)") && why.contains("`resume artists --only deactivate`"),
        "{why}"
    );
    let daemon = {
        daemon.stop();
        // Nobody is needed to keep it up, and a run in the foreground finds it as well.
        let report = studio.sync();
        assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
        let plan = studio.plan(&[]).unwrap();
        assert_eq!(plan.changes[0].held_by, Some(HeldBy::Paused));
        Daemon::start(&studio)
    };
    assert!(is_shown(&studio));
    let status = job(&studio);
    assert_eq!(
        (&status["phase"], &status["pause"]),
        (&"idle".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        status["paused_kinds"]["deactivate"]["reason"],
        "an odd directory"
    );
    assert_eq!(
        metrics(&studio, &daemon),
        [
            "ftrack_ldap_sync_paused{job=\"artists\"} 0",
            "ftrack_ldap_sync_paused{job=\"artists\",kind=\"deactivate\"} 1"
        ]
    );
    must(&studio, 0, &["trigger"]);
    assert!(studio.user("ada").is_active);
    // The end of the job's pause is another one.
    let said = must(&studio, 0, &["resume"]).stdout;
    assert!(said.contains("deactivate stays paused until"), "{said}");
    let said = must(&studio, 0, &["resume", "--only", "deactivate"]).stdout;
    assert!(
        said.starts_with("deactivate of artists is resumed"),
        "{said}"
    );
    assert_eq!(daemon.event("job.resumed")["kind"], "deactivate");
    assert_eq!(
        metrics(&studio, &daemon),
        ["ftrack_ldap_sync_paused{job=\"artists\"} 0"]
    );
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    studio.sync_changes_nothing();
}

#[test]
fn an_emergency_stop_counts_for_the_run_under_way() {
    counts_for_the_run_under_way(|studio| _ = must(studio, 0, &STOP));
}

/// An emergency stop, made in this way while a run reads, holds what the run would do.
pub(super) fn counts_for_the_run_under_way(stop: impl FnOnce(&Studio)) {
    let (studio, daemon) = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    let gate = studio.hold(CallKind::Read);
    daemon.signal("USR1");
    assert!(gate.wait_for(1, LIMIT), "nothing was read");
    stop(&studio);
    gate.open();
    let report = studio.reports_when(2).remove(1);
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    assert!(studio.user("ada").is_active);
    wait_for_phase(&studio, "idle");
}

#[test]
fn a_pause_of_a_kind_ends_by_itself() {
    let (studio, daemon) = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    let until = Utc::now() + TimeDelta::seconds(4);
    let time = until.to_rfc3339();
    must(&studio, 0, &[&STOP[..], &["--until", &time]].concat());
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    assert_eq!(change(&report, "ada").opens_at, Some(until));
    daemon.event("job.resumed");
    assert!(Utc::now() >= until && !is_shown(&studio));
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
}

#[test]
fn without_a_daemon_a_pause_that_is_over_holds_nothing() {
    let (studio, daemon) = synced(&["ada", "bob"]);
    let until = Utc::now() + TimeDelta::seconds(2);
    let time = until.to_rfc3339();
    must(&studio, 0, &[&STOP[..], &["--until", &time]].concat());
    daemon.kill();
    leave(&studio, "ada");
    assert!(wait_until(LIMIT, || Utc::now() >= until));
    assert_eq!(studio.sync().counts.deactivated, 1);
}

#[test]
fn a_plan_releases_a_pause_that_it_shows_and_no_later_one() {
    let (studio, _daemon) = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    must(&studio, 0, &["plan", "--out", plan]);
    must(&studio, 0, &STOP);
    let refused = must(&studio, 1, &["apply", plan]);
    assert!(
        refused
            .stdout
            .contains("is held now: a person paused deactivate"),
        "{} {}",
        refused.stdout,
        refused.stderr
    );
    assert!(studio.user("ada").is_active);
    must(&studio, 0, &["plan", "--out", plan]);
    must(&studio, 0, &["apply", plan]);
    assert!(!studio.user("ada").is_active);
}

#[test]
fn an_unknown_kind_is_refused() {
    let (studio, _daemon) = synced(&["ada"]);
    let refused = must(&studio, 2, &["pause", "--only", "deactivat"]);
    assert!(refused.stderr.contains("deactivate"), "{}", refused.stderr);
    let said = must(&studio, 0, &["resume", "--only", "create"]).stdout;
    assert!(
        said.starts_with("create of artists was not paused"),
        "{said}"
    );
}

#[test]
fn without_a_daemon_a_pause_is_saved_for_whatever_runs_next() {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon("schedule = \"@yearly\"");
    let studio = watched(studio).end_to_end();
    studio.sync();
    leave(&studio, "ada");
    let said = must(&studio, 0, &STOP).stdout;
    for told in [
        "deactivate of artists is paused until `resume artists --only deactivate`.",
        "No daemon listens on",
        "it counts for `sync` by hand and from cron, and for the daemon when it starts",
    ] {
        assert!(said.contains(told), "{said}");
    }
    let report = studio.sync();
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    let why = change(&report, "ada").error.clone().unwrap();
    assert!(why.contains("(an odd directory)"), "{why}");
    let daemon = Daemon::start(&studio);
    assert!(is_shown(&studio));
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    daemon.stop();

    let said = must(&studio, 0, &["resume", "--only", "deactivate"]).stdout;
    assert!(
        said.starts_with("deactivate of artists is resumed.\nNo daemon listens on"),
        "{said}"
    );
    let said = must(&studio, 0, &["resume", "--only", "deactivate"]).stdout;
    assert!(said.starts_with("deactivate of artists was not paused."));
    assert_eq!(studio.sync().counts.deactivated, 1);

    for (arguments, why) in [
        (&["pause", "nojob"][..], "nojob"),
        (&["pause", "--until", "2020-01-01 00:00"], "in the past"),
        (&["pause", "--only", "deactivat"], "deactivate"),
    ] {
        let refused = must(&studio, 2, arguments);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    // Whoever names a socket means the daemon there.
    let refused = must(&studio, 1, &["pause", "--socket", "/nowhere.sock"]);
    assert!(
        refused.stderr.contains("no daemon listens"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_pause_of_the_whole_job_stops_the_daemon_alone_and_a_run_by_hand_says_so() {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon("schedule = \"@yearly\"");
    let studio = watched(studio).end_to_end();
    let said = must(&studio, 0, &["pause", "--reason", "a move"]).stdout;
    assert!(
        said.starts_with("artists is paused until `resume artists`.\n")
            && said
                .contains("`sync` by hand and from cron, `apply` and `approve` run all the same"),
        "{said}"
    );
    let report = studio.sync();
    assert_eq!(report.counts.created, 2);
    let by = format!(", by uid {}", rustix::process::getuid().as_raw());
    let warned = |report: &Report| {
        let mut warnings = report.warnings.iter();
        warnings.any(|warning| {
            warning.starts_with("the job is paused until `resume artists` (a move), since ")
                && warning.contains(&format!("{by}: the daemon starts no run of it, and what a"))
                && warning.contains("(`sync`, `apply`, `approve`) runs all the same")
        })
    };
    assert!(warned(&report), "{report:#?}");
    let held = must(&studio, 0, &["holds"]).stdout;
    assert!(
        held.contains("artists: paused until `resume artists` (a move), since ")
            && held.contains(&by),
        "{held}"
    );
    let daemon = Daemon::start(&studio);
    assert_eq!(job(&studio)["phase"], "paused");
    assert_eq!(job(&studio)["pause"]["by"], by[", by ".len()..]);
    let status = must(&studio, 0, &["status"]).stdout;
    assert!(
        status.contains("artists: paused: a move (since ") && status.contains(&by),
        "{status}"
    );
    let refused = must(&studio, 1, &["trigger"]).stderr;
    assert!(
        refused.contains("`sync` by hand, `apply` and `approve` run all the same")
            && refused.contains(&by),
        "{refused}"
    );
    must(&studio, 0, &["resume"]);
    // Also where the daemon pauses it, which knows who asks.
    let said = must(&studio, 0, &["pause"]).stdout;
    assert!(
        said.contains("`sync` by hand and from cron, `apply` and `approve` run all the same"),
        "{said}"
    );
    assert_eq!(job(&studio)["pause"]["by"], by[", by ".len()..]);
    must(&studio, 0, &["resume"]);
    assert!(!warned(
        &must(&studio, 0, &["trigger", "--format", "json"]).report()
    ));
    daemon.stop();
}
