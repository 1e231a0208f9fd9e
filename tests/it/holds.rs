//! Held changes have numbers: they are listed, shown, approved and rejected by them.

use std::fs;

use ftrack_ldap_sync::model::report::{Outcome, Report};
use serde_json::{Value, json};

use crate::{
    rules::{come_back, leave},
    studio::{Ended, Studio, dn},
};

mod approving;
mod beside;
mod decided;
mod earlier;
mod named;
mod rejecting;
mod shown_at_once;
mod taking_back;
mod waiting;

/// A synced studio of ten of whom these left: all are held where it is more than one.
fn left(uids: &[usize]) -> Studio {
    let all: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let studio = Studio::of(&all.iter().map(String::as_str).collect::<Vec<_>>());
    studio.sync();
    for number in uids {
        leave(&studio, &all[*number]);
    }
    studio
}

/// A command that succeeds, and its JSON.
fn json_of(studio: &Studio, arguments: &[&str]) -> Value {
    let ended = studio.run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The open holds: the number, what holds what, and the logins.
fn holds(studio: &Studio) -> Vec<(u64, String, Vec<String>)> {
    let all = json_of(studio, &["holds"]);
    let all = all.as_array().unwrap().iter();
    all.map(|hold| {
        let people = hold["people"].as_array().unwrap();
        assert_eq!(hold["changes"], people.len());
        let is_timed = ["window", "freeze", "paused"].contains(&hold["held_by"].as_str().unwrap());
        assert!(is_timed || hold["opens_at"].is_null(), "{hold}");
        let logins = people.iter().map(|person| text(&person["username"]));
        let of = format!("{} {}", text(&hold["held_by"]), text(&hold["kind"]));
        (hold["hold"].as_u64().unwrap(), of, logins.collect())
    })
    .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The only open hold.
fn only_hold(studio: &Studio) -> (u64, Vec<String>) {
    let mut all = holds(studio);
    assert_eq!(all.len(), 1, "{all:?}");
    let (number, _, logins) = all.remove(0);
    (number, logins)
}

/// The number in the report of each held change, by login.
fn numbers(report: &Report) -> Vec<(&str, Option<u64>)> {
    let held = report
        .changes
        .iter()
        .filter(|change| change.held_by.is_some());
    let mut numbers: Vec<_> = held
        .map(|change| (&*change.username, change.hold.map(|hold| hold.get())))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// How often a log names an event.
fn times(log: &str, event: &str) -> usize {
    log.matches(&format!("\"event\":\"{event}\"")).count()
}

/// A sync by the program, with its log.
fn synced(studio: &Studio) -> (Report, Ended) {
    let ended = studio.run(&[
        "sync",
        "--format",
        "json",
        "--log-format",
        "json",
        "--verbose",
    ]);
    (ended.report(), ended)
}

#[test]
fn a_hold_has_one_number_until_it_ends_and_is_told_once() {
    let studio = left(&[0, 1, 2]);
    let (report, first) = synced(&studio);
    assert_eq!(report.outcome, Outcome::Held);
    let (number, logins) = only_hold(&studio);
    let three = ["user0", "user1", "user2"].map(str::to_owned);
    assert_eq!((number, logins.as_slice()), (1, &three[..]));
    let of = |login| (login, Some(number));
    assert_eq!(numbers(&report), [of("user0"), of("user1"), of("user2")]);
    let opened = |report: &Report| report.holds_opened.iter().map(|hold| hold.get()).collect();
    let (once, open): (Vec<u64>, usize) = (opened(&report), report.open_holds);
    assert_eq!((once, open), (vec![number], 1));
    assert_eq!(times(&first.stderr, "hold.opened"), 1, "{}", first.stderr);

    let (report, again) = synced(&studio);
    let never: Vec<u64> = opened(&report);
    assert_eq!((never, report.open_holds), (Vec::new(), 1));
    assert_eq!(times(&again.stderr, "hold.opened"), 0);
    assert_eq!(numbers(&report), [of("user0"), of("user1"), of("user2")]);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(
        (
            &shown["runs"],
            &shown["job"],
            &shown["held_by"],
            &shown["kind"]
        ),
        (
            &json!(2),
            &json!("artists"),
            &json!("limit"),
            &json!("deactivate")
        )
    );
    let person = &shown["people"][0];
    assert_eq!(
        (&person["username"], &person["name"], &person["email"]),
        (
            &json!("user0"),
            &json!("Given user0"),
            &json!("user0@studio.test")
        )
    );
    assert_eq!(person["edits"], json!([{"kind": "deactivate"}]));
    assert_eq!(person["dn"], "uid=user0,dc=studio,dc=test");

    // People leave it; the rest keeps the number, until its cause has ended.
    come_back(&studio, "user1");
    studio.sync();
    assert_eq!(only_hold(&studio).0, number);
    assert_eq!(only_hold(&studio).1, ["user0", "user2"]);
    come_back(&studio, "user0");
    come_back(&studio, "user2");
    let (report, last) = synced(&studio);
    assert_eq!(times(&last.stderr, "hold.closed"), 1, "{}", last.stderr);
    assert_eq!((report.outcome, report.open_holds), (Outcome::Succeeded, 0));
    assert_eq!(holds(&studio), []);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(shown["ended"]["by"], "cause");
    let shown = studio.run(&["holds", "show", &number.to_string()]).stdout;
    assert!(shown.contains("\n  3 no longer due, at "), "{shown}");
    assert_eq!(studio.run(&["holds"]).stdout, "Nothing is held.\n");
}

#[test]
fn newcomers_and_changed_values_open_another_hold() {
    let mut studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    leave(&studio, "user3");
    let report = studio.sync();
    let all = holds(&studio);
    let [(first, _, old), (second, _, new)] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(
        (*first, old.len(), new.as_slice()),
        (number, 3, &["user3".to_owned()][..])
    );
    assert!(second > first);
    assert_eq!(numbers(&report)[3], ("user3", Some(*second)));

    // Renames, each with what was seen of it.
    studio.job = "limits = { rename = 0, deactivate = \"10%\" }".into();
    studio.attributes = studio.attributes.replace("\"uid\"", "\"employeeNumber\"");
    for number in 4..10 {
        let uid = format!("user{number}");
        studio
            .tree()
            .replace(&dn(&uid), "employeeNumber", &[&*uid])
            .unwrap();
    }
    studio.sync();
    let before = holds(&studio).len();
    studio
        .tree()
        .replace(&dn("user9"), "employeeNumber", &["nine"])
        .unwrap();
    studio.sync();
    let all = holds(&studio);
    assert_eq!(all.len(), before + 1, "{all:?}");
    let (number, _, logins) = all.last().unwrap();
    assert_eq!(logins, &["nine"]);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(
        shown["people"][0]["edits"],
        json!([{"kind": "set", "attribute": "username", "old": "user9", "new": "nine"}])
    );
    studio
        .tree()
        .replace(&dn("user9"), "employeeNumber", &["neuf"])
        .unwrap();
    studio.sync();
    let all = holds(&studio);
    assert_eq!(all.len(), before + 1, "{all:?}");
    assert!(all.last().unwrap().0 > *number);
}

#[test]
fn a_number_is_never_used_again_whatever_is_lost() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (first, _) = only_hold(&studio);
    fs::remove_file(studio.state_dir().join("state.db")).unwrap();
    studio.sync();
    let (second, logins) = only_hold(&studio);
    assert_eq!((second > first, logins.len()), (true, 3));
    // A clock that is set back counts for nothing: the reports know the highest number.
    let reports = fs::read_dir(studio.state_dir().join("reports/artists")).unwrap();
    let ahead = second + 1_000;
    for report in reports {
        let path = report.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace(
            &format!("\"last_hold\":{second}"),
            &format!("\"last_hold\":{ahead}"),
        );
        fs::write(&path, text).unwrap();
    }
    fs::remove_file(studio.state_dir().join("state.db")).unwrap();
    studio.sync();
    assert_eq!(only_hold(&studio).0, ahead + 1);
    // Without the reports, there is only the clock.
    for ever_higher in 0..3 {
        let (before, _) = only_hold(&studio);
        fs::remove_dir_all(studio.state_dir()).unwrap();
        studio.sync();
        assert!(
            only_hold(&studio).0 > before.max(1_000_000),
            "{ever_higher}"
        );
    }
}

#[test]
fn holds_are_listed_without_a_usable_configuration() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let state = studio.state_dir();
    let before = fs::read(state.join("state.db")).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = studio.command(arguments);
        fs::write(studio.folder().join("config.toml"), "nonsense = [").unwrap();
        Ended::of(command.output().unwrap())
    };
    let refused = command(&["holds"]);
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("--state-dir DIR"),
        "{}",
        refused.stderr
    );
    let shown = command(&["holds", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains(&number.to_string()),
        "{}",
        shown.stdout
    );
    assert_eq!(fs::read(state.join("state.db")).unwrap(), before);
    let unknown = command(&[
        "holds",
        "--state-dir",
        state.to_str().unwrap(),
        "show",
        "4711",
    ]);
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.stderr.contains("there is no hold 4711"),
        "{}",
        unknown.stderr
    );
    for wrong in ["0", "-1", "x", "99999999999999999999"] {
        assert_eq!(command(&["holds", "show", wrong]).status, 2, "{wrong}");
    }
}
