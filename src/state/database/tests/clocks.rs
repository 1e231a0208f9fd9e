//! What is kept of times, by this machine's clock and by ftrack's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[test]
fn a_clock_that_leapt_makes_nothing_that_was_written_too_old_to_keep() {
    let (_folder, config) = studio();
    let state = open(&config);
    let by_both = |run: &str, here, ftrack| Written {
        at: Clocks {
            here: at(here),
            ftrack: Some(at(ftrack)),
        },
        ..written(run, 1)
    };
    let runs = || -> Vec<String> {
        let remembered = state.remembered("artists", FTRACK).unwrap();
        remembered.written.into_iter().map(|row| row.run).collect()
    };
    let add = |row| state.count_written("artists", &[row]).unwrap();
    let (day, later) = ("2026-01-31T10:00:00Z", "2026-02-01T10:00:00Z");
    add(by_both("run-1", day, day));
    add(by_both("run-2", "2029-02-01T10:00:00Z", later));
    add(by_both("run-3", later, "2029-02-01T10:00:00Z"));
    assert_eq!(runs(), ["run-1", "run-2", "run-3"]);
    add(by_both(
        "run-4",
        "2027-06-01T10:00:00Z",
        "2027-06-01T10:00:00Z",
    ));
    assert_eq!(runs(), ["run-2", "run-3", "run-4"], "one is not old yet");
    // Where there is but one clock, it does not remove all at once.
    for number in 10..30 {
        add(written(&format!("run-{number}"), 1));
    }
    let leapt = Written {
        at: at("2040-01-01T00:00:00Z").into(),
        ..written("run-5", 1)
    };
    add(leapt);
    assert_eq!(runs().len(), 14);
}

#[test]
fn times_of_an_earlier_version_count_for_both_clocks() {
    let (_folder, config) = studio();
    drop(open(&config));
    let path = config.state_dir.join(FILE);
    fs::remove_file(&path).unwrap();
    let mut connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "application_id", 0x666c_6473)
        .unwrap();
    schema::migrate(&mut connection, 0, &schema::STEPS[..8]).unwrap();
    let time = "2026-01-31T10:00:00.000000000Z";
    connection
        .execute_batch(&format!(
            "INSERT INTO absences VALUES ('artists', 'a', '{time}', 2);
             INSERT INTO written VALUES ('artists', 'run-1', 'deactivate', '{time}', 3, '{time}', 1);"
        ))
        .unwrap();
    drop(connection);
    let remembered = open(&config).remembered("artists", FTRACK).unwrap();
    assert_eq!(remembered.absences, absences(&[("a", 2)]));
    assert_eq!(remembered.clocks_agreed_at, None);
    let now = |here, ftrack| Clocks {
        here: at(here),
        ftrack: Some(at(ftrack)),
    };
    for (now, hours) in [
        (now("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"), 2),
        (now("2027-01-31T12:00:00Z", "2026-01-31T12:00:00Z"), 2),
        (now("2026-01-31T12:00:00Z", "2026-01-31T11:00:00Z"), 1),
    ] {
        let hours = chrono::TimeDelta::hours(hours);
        assert_eq!(now.passed_since(&remembered.absences["a"].since), hours);
        assert_eq!(now.passed_since(&remembered.written[0].at), hours);
    }
}

#[test]
fn when_the_clocks_agreed_is_kept() {
    let (_folder, config) = studio();
    let agreed_at = || {
        let state = open(&config);
        state
            .remembered("artists", FTRACK)
            .unwrap()
            .clocks_agreed_at
    };
    let save = |agreed| open(&config).set_clocks_agreed("artists", agreed).unwrap();
    assert_eq!(agreed_at(), None);
    let (first, second) = (at("2027-01-31T10:00:00Z"), at("2026-01-31T10:00:00Z"));
    save(Some(first));
    save(None);
    assert_eq!(agreed_at(), Some(first));
    // Both clocks were ahead, and are put right.
    save(Some(second));
    assert_eq!(agreed_at(), Some(second));
}
