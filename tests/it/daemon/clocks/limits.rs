//! What limits count, under a clock that leaps.

use chrono::{TimeDelta, Utc};
use ftrack_ldap_sync::model::report::Report;

use super::SetClock;
use crate::{rules::leave, studio::Studio};

#[test]
fn a_limit_holds_though_this_machines_clock_leapt() {
    let uids: Vec<String> = (0..20).map(|number| format!("user{number:02}")).collect();
    let studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    let test = "a_limit_holds_though_this_machines_clock_leapt";
    let Some(clock) = SetClock::showing(test, &studio, Utc::now()) else {
        return;
    };
    let sync = || -> Report {
        let mut command = studio.command(&["sync", "--format", "json"]);
        clock.prepare(&mut command);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(sync().counts.created, 20);
    leave(&studio, "user00");
    leave(&studio, "user01");
    assert_eq!(sync().counts.deactivated, 2);
    leave(&studio, "user02");
    let boot = chrono::DateTime::UNIX_EPOCH + TimeDelta::hours(1);
    // ftrack's clock is that of the test, and shows what is so.
    for (time, looks_wrong) in [
        (Utc::now() + TimeDelta::days(365), true),
        (boot, true),
        (Utc::now() + TimeDelta::days(1000), true),
        (Utc::now(), false),
    ] {
        clock.set(time);
        let report = sync();
        let counts = &report.counts;
        assert_eq!((counts.deactivated, counts.held), (0, 1), "{report:#?}");
        let why = report
            .changes
            .iter()
            .find_map(|change| change.error.clone());
        let why = why.unwrap();
        assert_eq!(
            why.contains("apart, and this machine's looks wrong: "),
            looks_wrong,
            "{why}"
        );
        assert!(why.contains("limits.deactivate"), "{why}");
    }
    assert!(studio.user("user02").is_active);
}

#[test]
fn nobody_is_missing_for_longer_though_this_machines_clock_leapt() {
    let mut studio = Studio::of(&["ada", "bob"]);
    "users = { deactivate_after = \"30d\" }".clone_into(&mut studio.job);
    let test = "nobody_is_missing_for_longer_though_this_machines_clock_leapt";
    let boot = chrono::DateTime::UNIX_EPOCH + TimeDelta::hours(1);
    let Some(clock) = SetClock::showing(test, &studio, Utc::now()) else {
        return;
    };
    let sync = || {
        let mut command = studio.command(&["sync"]);
        clock.prepare(&mut command);
        assert!(command.output().unwrap().status.success());
    };
    sync();
    leave(&studio, "ada");
    // First missing while the clock is that of a machine without a battery, and before and after.
    for time in [boot, Utc::now(), Utc::now() + TimeDelta::days(365), boot] {
        clock.set(time);
        for _ in 0..2 {
            sync();
        }
        assert!(studio.user("ada").is_active, "{time}");
    }
    clock.set(Utc::now());
    sync();
    assert!(studio.user("ada").is_active);
}
