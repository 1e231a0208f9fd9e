//! Windows as the real program finds them open and closed: over midnight, at a change of the clocks,
//! and on the schedule.

use ftrack_ldap_sync::model::{change::HeldBy, report::Report};

use super::{FastClock, SetClock, at};
use crate::{rules::leave, studio::Studio};

/// One `sync` under a clock; what it holds, and when that opens.
fn sync(studio: &Studio, clock: &SetClock) -> Report {
    let mut command = studio.command(&["sync", "--format", "json"]);
    clock.prepare(&mut command);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_window_over_midnight_and_a_change_of_the_clocks() {
    let test = "a_window_over_midnight_and_a_change_of_the_clocks";
    let mut studio = Studio::of(&["ada", "bob", "eve", "gus"]);
    let Some(clock) = SetClock::showing(test, &studio, at("2026-03-28T12:00:00Z")) else {
        return;
    };
    // On the 29th, the clocks go from 02:00 to 03:00.
    studio.job =
        "timezone = \"Europe/Stockholm\"\nlimits = { deactivate = \"100%\" }\nwindows = { \
                  deactivate = [\"Fri 22:00-01:00\", \"Sun 02:30-04:00\"] }"
            .to_owned();
    sync(&studio, &clock);
    leave(&studio, "ada");
    for (time, opens_at) in [
        ("2026-03-27T20:59:50Z", Some("2026-03-27T21:00:00Z")),
        ("2026-03-28T00:00:00Z", Some("2026-03-29T01:00:00Z")),
        ("2026-03-29T00:59:40Z", Some("2026-03-29T01:00:00Z")),
        ("2026-03-29T01:00:00Z", None),
    ] {
        clock.set(at(time));
        let report = sync(&studio, &clock);
        let held = report.changes.first().and_then(|change| change.opens_at);
        assert_eq!(held, opens_at.map(at), "{time}: {report:#?}");
        let by = report.changes.first().and_then(|change| change.held_by);
        assert_eq!(by, opens_at.map(|_| HeldBy::Window), "{time}");
    }
    assert!(!studio.user("ada").is_active);
    leave(&studio, "bob");
    for (time, is_active) in [
        ("2026-04-03T19:59:00Z", true),
        ("2026-04-03T22:59:00Z", false),
    ] {
        clock.set(at(time));
        sync(&studio, &clock);
        assert_eq!(studio.user("bob").is_active, is_active, "{time}");
    }
}

#[test]
fn the_schedule_writes_what_waited_when_the_window_is_open() {
    let test = "the_schedule_writes_what_waited_when_the_window_is_open";
    let studio = Studio::of(&["ada", "bob"])
        .for_a_daemon("schedule = \"0 * * * *\"\nwindows = { deactivate = [\"09:00-16:00\"] }\n");
    let Some(clock) = FastClock::from(test, at("2026-01-05T05:50:00Z"), 900) else {
        return;
    };
    studio.sync();
    leave(&studio, "ada");
    let daemon = clock.daemon(&studio);
    clock.wait(at("2026-01-05T10:20:00Z"));
    daemon.stop();
    let reports = studio.reports();
    let opened = at("2026-01-05T09:00:00Z");
    for report in reports
        .iter()
        .filter(|report| report.started_at > at("2026-01-05T05:50:00Z"))
    {
        let is_first =
            report.started_at >= opened && report.started_at < at("2026-01-05T10:00:00Z");
        assert_eq!(
            report.counts.deactivated,
            usize::from(is_first),
            "{report:#?}"
        );
        assert_eq!(
            report.counts.held,
            usize::from(report.started_at < opened),
            "{report:#?}"
        );
    }
    assert!(!studio.user("ada").is_active);
}
