//! What windows, freezes and pauses hold has numbers as well, and waits for no person.

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::model::report::Outcome;

use super::{holds, json_of, left, numbers, only_hold, synced, text, times};
use crate::{
    daemon::Daemon,
    rules::leave,
    studio::Studio,
    windows::{closed, open},
};

fn with_window(studio: &mut Studio, window: &str) {
    studio.job = format!("windows = {{ deactivate = [{window:?}] }}");
}

#[test]
fn what_a_window_holds_has_a_number_and_says_when_it_opens() {
    let mut studio = left(&[0]);
    with_window(&mut studio, &closed());
    let (report, ended) = synced(&studio);
    assert_eq!((ended.status, report.outcome), (0, Outcome::Succeeded));
    let (number, logins) = only_hold(&studio);
    assert_eq!(logins, ["user0"]);
    assert_eq!(numbers(&report), [("user0", Some(number))]);
    // It is told once, and is none of those that wait for a person.
    assert_eq!(report.open_holds, 0);
    assert_eq!(times(&ended.stderr, "hold.opened"), 1);
    let opened = ended
        .stderr
        .lines()
        .find(|line| line.contains("hold.opened"));
    assert!(opened.unwrap().contains("\"level\":\"INFO\""), "{opened:?}");
    let (_, again) = synced(&studio);
    assert_eq!(times(&again.stderr, "hold.opened"), 0);

    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(
        (text(&shown["held_by"]), &shown["runs"]),
        ("window".to_owned(), &2.into())
    );
    let opens_at: DateTime<Utc> = text(&shown["opens_at"]).parse().unwrap();
    assert!(opens_at > Utc::now(), "{opens_at}");
    let words = studio.run(&["holds", "show", &number.to_string()]).stdout;
    assert!(words.contains("opens at "), "{words}");
    // Also the list says so, and what else is not written now.
    let list = studio.run(&["holds"]).stdout;
    for told in [
        "OPENS",
        "Not written now, and held by a run that finds it due:\n  artists: deactivate: it is outside \
         of windows.deactivate",
    ] {
        assert!(list.contains(told), "{list}");
    }

    // Once the window is open it is written, and the hold has ended.
    with_window(&mut studio, &open());
    let report = studio.sync();
    assert_eq!(
        (report.counts.deactivated, report.holds_closed.len()),
        (1, 1)
    );
    assert_eq!(holds(&studio), []);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(shown["people"][0]["became"], "released");
}

#[test]
fn a_person_passes_a_window_at_once() {
    let mut studio = left(&[0]);
    with_window(&mut studio, &closed());
    studio.sync();
    let (number, _) = only_hold(&studio);
    let approved = studio.run(&["approve", &number.to_string(), "--format", "json"]);
    assert_eq!(approved.status, 0, "{}", approved.stderr);
    assert_eq!(approved.report().counts.deactivated, 1);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(shown["ended"]["by"], "approved");
}

#[test]
fn an_approval_of_what_is_paused_ends_no_pause() {
    let studio = left(&[]).for_a_daemon("");
    let daemon = Daemon::start(&studio);
    let stop = studio.run(&[
        "pause",
        "--only",
        "deactivate",
        "--until",
        "2099-01-01T00:00:00Z",
    ]);
    assert_eq!(stop.status, 0, "{}", stop.stderr);
    leave(&studio, "user0");
    studio.sync();
    let (number, _) = only_hold(&studio);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(
        (text(&shown["held_by"]), text(&shown["opens_at"])),
        ("paused".to_owned(), "2099-01-01T00:00:00Z".to_owned())
    );
    let runs = studio.reports().len();
    let approved = studio.run(&["approve", &number.to_string()]);
    assert_eq!(approved.status, 1, "{}", approved.stdout);
    assert!(
        approved.stderr.contains(
            "cannot be approved now, and nothing was written: a person paused deactivate"
        ),
        "{}",
        approved.stderr
    );
    assert!(studio.user("user0").is_active);
    assert_eq!(studio.reports().len(), runs);
    let listed = studio.run(&["holds"]).stdout;
    assert!(
        listed.contains("no `approve` writes what is paused")
            && !listed.contains("approve N")
            && listed.contains("`reject N`"),
        "{listed}"
    );
    let shown = studio.run(&["holds", "show", &number.to_string()]).stdout;
    assert!(
        shown.contains("writes none of this while deactivate is paused")
            && !shown.contains("writes all of this")
            && shown.contains(&format!("`reject {number}` leaves it as it is, until")),
        "{shown}"
    );
    // The socket tells of it, open or not.
    let socket = studio.folder().join("control.sock");
    let asked = |path: &str| crate::control::get(&socket, path);
    assert_eq!(asked("/v1/holds")[0]["hold"], number);
    assert_eq!(
        asked(&format!("/v1/holds/{number}"))["opens_at"],
        "2099-01-01T00:00:00Z"
    );
    assert_eq!(asked("/v1/holds/4711")["kind"], "unknown_hold");
    // It is rejected as everything else.
    let rejected = studio.run(&["reject", &number.to_string()]);
    assert_eq!(rejected.status, 0, "{}", rejected.stderr);
    assert_eq!(holds(&studio), []);
    assert_eq!(asked("/v1/holds"), serde_json::json!([]));
    assert_eq!(
        asked(&format!("/v1/holds/{number}"))["ended"]["by"],
        "rejected"
    );
    assert!(daemon.stop().0.success());
}

#[test]
fn what_is_closed_is_said_before_a_run_has_held_anything() {
    let mut studio = left(&[0]);
    assert_eq!(studio.run(&["holds"]).stdout, "Nothing is held.\n");
    let pause = [
        "pause",
        "artists",
        "--only",
        "deactivate",
        "--reason",
        "odd",
        "--until",
        "2h",
    ];
    assert_eq!(studio.run(&pause).status, 0);
    with_window(&mut studio, &closed());
    let today = Utc::now().date_naive();
    studio.job += &format!(
        "\n[[jobs.artists.freezes]]\nfrom = \"{today}\"\nto = \"2099-12-31\"\nwhat = [\"revoke\"]\n"
    );
    let said = studio.run(&["holds"]).stdout;
    assert!(
        said.starts_with("Nothing is held.\n\nNot written now"),
        "{said}"
    );
    for told in [
        "  artists: deactivate: a person paused deactivate until ",
        "(odd), since ",
        "  artists: revoke: revoke is frozen from ",
        "the first run from 2100-01-01 00:00:00 UTC on writes it",
    ] {
        assert!(said.contains(told), "{said}");
    }
    // Of another folder, the pauses are known alone.
    let state = studio.state_dir();
    let said = studio
        .run(&["holds", "--state-dir", state.to_str().unwrap()])
        .stdout;
    assert!(
        said.contains("paused deactivate") && !said.contains("frozen"),
        "{said}"
    );
    assert_eq!(json_of(&studio, &["holds"]), serde_json::json!([]));
    assert_eq!(studio.run(&["holds", "--job", "other"]).status, 2);
    assert_eq!(studio.run(&["resume", "--only", "deactivate"]).status, 0);
    let said = studio.run(&["holds"]).stdout;
    assert!(
        said.contains("it is outside of windows.deactivate"),
        "{said}"
    );
}

#[test]
fn where_no_run_is_inside_of_a_window_that_is_said() {
    let hour = |hours: i64| {
        (Utc::now() + TimeDelta::hours(hours))
            .format("%H")
            .to_string()
    };
    for (runs_at, is_inside) in [(hour(2), true), (hour(14), false)] {
        let mut studio = left(&[0]);
        let window = format!("{}:00-{}:30", hour(2), hour(2));
        studio.job = format!(
            "schedule = \"10 {} * * *\"\nwindows = {{ deactivate = [{window:?}] }}",
            runs_at.trim_start_matches('0').parse::<u32>().unwrap_or(0)
        );
        let report = studio.sync();
        let why = report.changes[0].error.as_deref().unwrap();
        let written =
            why.contains("the first run from ") && why.contains(":00:00 UTC on writes it");
        let alone = why.contains("but no scheduled run is inside, so only `sync` by hand then");
        assert_eq!((written, alone), (is_inside, !is_inside), "{why}");
    }
}
