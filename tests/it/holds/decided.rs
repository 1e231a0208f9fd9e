//! Who approved and who rejected what was held, and when, is known a month later.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{json_of, left, only_hold, rejecting::reject, text};
use crate::{
    rules::{come_back, leave},
    studio::{Ended, Studio},
};

/// Runs a command as somebody who used sudo.
fn by(studio: &Studio, who: &str, arguments: &[&str]) {
    let mut command = studio.command(arguments);
    let ended = Ended::of(command.env("SUDO_USER", who).output().unwrap());
    assert_eq!(
        ended.status, 0,
        "{arguments:?}: {}{}",
        ended.stdout, ended.stderr
    );
}

/// Of each person of a hold: the login, what became of the change, and by whom.
fn decided(hold: &Value) -> Vec<(String, String, Option<String>)> {
    let people = hold["people"].as_array().unwrap().iter();
    people
        .map(|person| {
            let decided = &person["decided"];
            let at = decided["at"].as_str();
            if let Some(at) = at {
                let at: DateTime<Utc> = at.parse().unwrap();
                assert!((Utc::now() - at).num_minutes() < 10);
            }
            let by = decided["by"].as_str().map(str::to_owned);
            (text(&person["username"]), text(&person["became"]), by)
        })
        .collect()
}

#[test]
fn who_decided_about_whom_is_shown_after_the_end() {
    let studio = left(&[0, 1, 2]);
    assert_eq!(
        studio.run(&["holds", "--ended"]).stdout,
        "No hold has ended.\n"
    );
    studio.sync();
    let (number, _) = only_hold(&studio);
    let hold = number.to_string();
    assert_eq!(json_of(&studio, &["holds", "--ended"]), json!([]));
    by(&studio, "eva", &["approve", &hold, "--only", "user0"]);
    by(&studio, "jan", &["reject", &hold, "--only", "user1"]);
    come_back(&studio, "user2");
    studio.sync();

    let uid = rustix::process::getuid().as_raw();
    let name = |who: &str| Some(format!("{who} (through sudo, as uid {uid})"));
    let all = json_of(&studio, &["holds", "--ended"]);
    assert_eq!(all.as_array().unwrap().len(), 1, "{all:#}");
    let of = |login: &str, became: &str, by| (login.to_owned(), became.to_owned(), by);
    let expected = [
        of("user0", "written", name("eva")),
        of("user1", "rejected", name("jan")),
        of("user2", "not_due", None),
    ];
    assert_eq!(decided(&all[0]), expected);
    let shown = studio.run(&["holds", "show", &hold]).stdout;
    for (became, who) in [("written", "eva"), ("rejected", "jan")] {
        let line = format!("at its end: {became}, by {who} (through sudo, as uid {uid}), at ");
        assert!(shown.contains(&line), "{shown}");
    }
    assert!(shown.contains("at its end: no longer due\n"), "{shown}");
    let how = "\n  1 approved, 1 rejected, 1 no longer due, at ";
    assert!(shown.contains(how), "{shown}");

    // Once the cause of what was rejected has ended as well, and the report of the run is gone.
    come_back(&studio, "user1");
    studio.sync();
    assert_eq!(
        studio.run(&["holds", "--rejected"]).stdout,
        "Nothing is rejected.\n"
    );
    let listed = studio.run(&["holds", "--ended"]).stdout;
    let row = listed.lines().find(|line| line.contains(&hold)).unwrap();
    assert_eq!(
        all[0]["ended"]["became"],
        json!({"written": 1, "rejected": 1, "not_due": 1})
    );
    assert_eq!(all[0]["ended"]["by"], "approved");
    for told in [
        "artists",
        "deactivate",
        "limit",
        "1 approved, 1 rejected, 1 no longer due",
        "eva (sudo)",
        "jan (sudo)",
    ] {
        assert!(row.contains(told), "{listed}");
    }
    assert!(listed.contains("`holds show N`"), "{listed}");
    let of_others = studio.run(&["holds", "--ended", "--rejected"]);
    assert_eq!(of_others.status, 2);
}

/// Holds that end by themselves, as with each change of a busy directory, do not displace what people
/// decided.
#[test]
fn what_people_decided_outlasts_what_ended_by_itself() {
    let studio = left(&[0, 1]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    assert_eq!(reject(&studio, &[&number.to_string()]).0, 0);
    let database = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    let copy = "INSERT INTO holds SELECT hold + ?1, job, held_by, kind, since, runs, why, ended_at, \
                'cause', opens_at FROM holds WHERE hold = ?2";
    for more in 1..=250 {
        let copied = database.execute(copy, [more, i64::try_from(number).unwrap()]);
        assert_eq!(copied.unwrap(), 1);
    }
    database
        .execute("UPDATE hold_counter SET last = last + 250", [])
        .unwrap();
    drop(database);
    leave(&studio, "user5");
    leave(&studio, "user6");
    studio.sync();
    let all = json_of(&studio, &["holds", "--ended"]);
    let numbers = all.as_array().unwrap().iter();
    let numbers: Vec<u64> = numbers.map(|hold| hold["hold"].as_u64().unwrap()).collect();
    assert_eq!((numbers.len(), numbers.last()), (201, Some(&number)));
    let by = all[200]["people"][0]["decided"]["by"].as_str().unwrap();
    assert!(by.starts_with("uid "), "{by}");
}
