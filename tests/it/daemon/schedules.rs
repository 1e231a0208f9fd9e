//! Runs start on schedule, never overlap, and are made up for once when missed.

use std::{fs, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::CallKind,
    model::report::{Outcome, Report, Trigger},
};

use super::{Daemon, job, must, status, wait_for_phase};
use crate::{
    slapd::wait_until,
    studio::{Studio, dn, person},
};

/// The same as ever, but so long ago.
fn age(studio: &Studio, report: &Report, by: TimeDelta) {
    let folder = studio.state_dir().join("reports/artists");
    let older = Report {
        started_at: report.started_at - by,
        finished_at: report.finished_at - by,
        run: format!(
            "{}{}",
            (report.started_at - by).format("%Y%m%d-%H%M%S"),
            &report.run[15..]
        ),
        ..report.clone()
    };
    fs::write(
        folder.join(format!("{}.json", older.run)),
        serde_json::to_vec(&older).unwrap(),
    )
    .unwrap();
    fs::remove_file(folder.join(format!("{}.json", report.run))).unwrap();
    // Made anew of the reports.
    fs::remove_file(studio.state_dir().join("state.db")).unwrap();
}

#[test]
fn people_are_synced_on_a_schedule() {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon("schedule = \"* * * * * *\"");
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    assert_eq!(
        (reports[0].trigger, reports[0].counts.created),
        (Trigger::Schedule, 2)
    );
    studio.tree().add(person("cyd", "Given", "cyd")).unwrap();
    studio.tree().remove(&dn("bob")).unwrap();
    assert!(wait_until(super::LIMIT, || studio
        .ftrack()
        .user("cyd")
        .is_some_and(|user| user.is_active)));
    assert!(wait_until(super::LIMIT, || !studio.user("bob").is_active));
    let shown = job(&studio);
    assert_eq!(shown["last_run"]["outcome"], "succeeded");
    assert!(
        shown["last_success"].is_string() && shown["next_run"].is_string(),
        "{shown:#}"
    );
    let (status, took) = daemon.stop();
    assert!(
        status.success() && took < Duration::from_secs(10),
        "{status} after {took:?}"
    );
    assert!(
        studio
            .reports()
            .iter()
            .all(|report| report.outcome == Outcome::Succeeded)
    );
}

#[test]
fn a_job_never_overlaps_itself() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"");
    let gate = studio.hold_when(|call| call.kind == CallKind::Read && call.number == 2);
    let daemon = Daemon::start(&studio);
    assert_eq!(daemon.event("tick.skipped")["job"], "artists");
    let skipped = || job(&studio)["ticks_skipped"].as_u64().unwrap();
    assert!(wait_until(super::LIMIT, || skipped() >= 2));
    gate.open();
    let reports = studio.reports_when(3);
    for two in reports.windows(2) {
        assert!(two[0].finished_at <= two[1].started_at, "{two:#?}");
    }
    assert_eq!(
        daemon.events("tick.skipped").len(),
        1,
        "it is said once a run"
    );
}

#[test]
fn a_run_that_was_missed_is_made_up_for_once() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@daily\"");
    age(&studio, &studio.sync(), TimeDelta::days(3));
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    assert_eq!(reports[1].trigger, Trigger::Startup);
    assert_eq!(daemon.event("run.missed")["job"], "artists");
    assert!(daemon.stop().0.success());

    let daemon = Daemon::start(&studio);
    daemon.event("contact.made");
    wait_for_phase(&studio, "idle");
    assert_eq!(
        (studio.reports().len(), daemon.events("run.missed").len()),
        (2, 0),
        "nothing was missed now"
    );
}

#[test]
fn a_first_start_waits_for_its_schedule() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    daemon.nth_event(1, "contact.made");
    let shown = wait_for_phase(&studio, "idle");
    let next: DateTime<Utc> = shown["next_run"].as_str().unwrap().parse().unwrap();
    assert!(next > Utc::now() && studio.reports().is_empty());
    assert_eq!(shown["last_success"], serde_json::Value::Null);
}

#[test]
fn a_splay_puts_starts_off_by_the_same_each_time() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"0 3 * * *\"\nsplay = \"1h\"");
    let next = |studio: &Studio| {
        let daemon = Daemon::start(studio);
        let next: DateTime<Utc> = job(studio)["next_run"].as_str().unwrap().parse().unwrap();
        daemon.stop();
        next
    };
    let splayed = next(&studio);
    assert_eq!(next(&studio), splayed);
    let told = must(&studio, 0, &["check", "--offline"]).stdout;
    assert!(
        told.contains(&splayed.format("%H:%M:%S").to_string()),
        "{splayed}: {told}"
    );
    studio.job = "schedule = \"0 3 * * *\"".into();
    let plain = next(&studio);
    // Within that hour, the one is on the day after the other.
    let put_off = TimeDelta::seconds((splayed - plain).num_seconds().rem_euclid(86_400));
    assert!(put_off < TimeDelta::hours(1), "{plain} {splayed}");
}

#[test]
fn jobs_on_two_directories_run_side_by_side_and_on_one_in_turn() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("");
    let other = |name: &str, directory: &str| {
        format!(
            "[jobs.{name}]\ndirectory = \"{directory}\"\nsearch_bases = \
             [\"ou=services,dc=studio,dc=test\"]\nfilter = \"(uid=*)\"\nattributes = {{ username = \
             \"uid\" }}\nlimits.min_entries = 0\n"
        )
    };
    studio.job = format!(
        "{}{}[directories.second]\nurls = [{:?}]\nbind_dn = \
         \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
         \"ldap-password\"\n",
        other("same", "studio"),
        other("second", "second"),
        studio.directory_url
    );
    let daemon = Daemon::start(&studio);
    daemon.nth_event(2, "contact.made");
    let gate = studio.hold(CallKind::Read);
    daemon.signal("USR1");
    let running = || {
        let status = status(&studio);
        let jobs = status["jobs"].as_array().unwrap();
        jobs.iter().filter(|job| job["phase"] == "running").count()
    };
    assert!(
        wait_until(super::LIMIT, || running() == 2),
        "{:#}",
        status(&studio)
    );
    gate.open();
    let reports = studio.reports_when(3);
    let of = |job: &str| reports.iter().find(|report| report.job == job).unwrap();
    let apart = |one: &Report, other: &Report| {
        one.finished_at <= other.started_at || other.finished_at <= one.started_at
    };
    assert!(apart(of("artists"), of("same")), "{reports:#?}");
    assert!(!apart(of("artists"), of("second")), "{reports:#?}");
}
