//! Which runs stay, and how they are listed.

use super::*;
use crate::state::history::RunFilter;

#[test]
fn the_newest_runs_stay_and_the_last_good_one() {
    let (_folder, config) = studio();
    let state = open(&config);
    let quiet = |job, minute| RunSummary {
        held: 0,
        failed: 0,
        counts: Counts::default(),
        ..run(job, minute, Outcome::Succeeded)
    };
    for minute in 0..3 {
        state.add_run(&quiet("artists", minute), &keep(5)).unwrap();
    }
    let elsewhere = RunSummary {
        ftrack: "https://other.test".into(),
        ..run("artists", 3, Outcome::Partial)
    };
    state.add_run(&elsewhere, &keep(5)).unwrap();
    state
        .add_run(&run("interns", 0, Outcome::Succeeded), &keep(5))
        .unwrap();
    for minute in 4..40 {
        let run = match minute % 2 {
            0 => RunSummary {
                dry_run: true,
                ..quiet("artists", minute)
            },
            _ => run("artists", minute, Outcome::Failed),
        };
        state.add_run(&run, &keep(5)).unwrap();
    }
    let count: usize = state
        .read(|connection| {
            connection.query_row(
                "SELECT count(*) FROM runs WHERE job = 'artists'",
                [],
                |row| row.get::<_, i64>(0),
            )
        })
        .unwrap() as usize;
    // Five that did nothing, the last good one, that of the other server, and those that failed.
    assert_eq!(count, 5 + 2 + 18);
    assert_eq!(state.last_success("artists").unwrap(), Some(elsewhere));
    assert_eq!(owned_before(&state, "https://studio.test"), 38);
    assert_eq!(
        state.last_success("interns").unwrap(),
        Some(run("interns", 0, Outcome::Succeeded))
    );
    state
        .add_run(
            &RunSummary {
                dry_run: true,
                ..run("artists", 41, Outcome::Succeeded)
            },
            &keep(5),
        )
        .unwrap();
    assert_eq!(
        state.last_attempt("artists").unwrap(),
        Some(run("artists", 39, Outcome::Failed))
    );
    assert!(state.last_run("artists").unwrap().unwrap().dry_run);
}

#[test]
fn runs_that_are_too_old_go_with_their_reports() {
    let (_folder, config) = studio();
    let state = open(&config);
    let history = crate::state::history::History::new(&config.state_dir);
    let retention = Reports {
        keep: 1,
        keep_for: Duration::from_secs(10 * 60),
    };
    for minute in 0..15 {
        let run = run("artists", minute, Outcome::Failed);
        keep_report(&config, &run);
        state.add_run(&run, &retention).unwrap();
    }
    let kept = history.runs(None).unwrap();
    assert_eq!(kept.len(), 11, "{kept:?}");
    assert!(
        kept.iter()
            .all(|(run, _)| **run >= *super::run("artists", 4, Outcome::Failed).run)
    );
}

#[test]
fn the_list_comes_from_the_database_and_not_from_the_reports() {
    let (_folder, config) = studio();
    let state = open(&config);
    let history = crate::state::history::History::new(&config.state_dir);
    for minute in 0..40 {
        let run = run("artists", minute, Outcome::Held);
        keep_report(&config, &run);
        state.add_run(&run, &keep(500)).unwrap();
    }
    // Nobody reads them.
    for (run, job) in history.runs(None).unwrap() {
        fs::write(
            config.state_dir.join(format!("reports/{job}/{run}.json")),
            "{",
        )
        .unwrap();
    }
    // Only this one is not in the database: its program was killed before.
    let newest = run("artists", 50, Outcome::Succeeded);
    keep_report(&config, &newest);
    let filter = RunFilter::default();
    let listed = history.list(&filter, 30).unwrap();
    assert!(listed.damaged.is_empty(), "{:?}", listed.damaged);
    assert_eq!(listed.runs.len(), 30);
    assert_eq!(listed.runs[0], newest);
    assert_eq!(listed.runs[1], run("artists", 39, Outcome::Held));
    // Without the database the reports are read.
    drop(state);
    fs::remove_file(config.state_dir.join("state.db")).unwrap();
    let listed = history.list(&filter, 30).unwrap();
    assert_eq!((listed.runs.len(), listed.damaged.len()), (1, 40));
}

#[test]
fn counts_that_an_earlier_version_did_not_save_come_from_the_report() {
    let (_folder, config) = studio();
    let state = open(&config);
    let known = run("artists", 1, Outcome::Partial);
    keep_report(&config, &known);
    state.add_run(&known, &keep(5)).unwrap();
    state
        .write(|transaction| {
            transaction.execute("UPDATE runs SET counts = NULL, changed = NULL", [])
        })
        .unwrap();
    drop(state);
    let state = open(&config);
    assert_eq!(state.last_run("artists").unwrap(), Some(known));
    let unknown: i64 = state
        .read(|connection| {
            connection.query_row(
                "SELECT count(*) FROM runs WHERE counts IS NULL",
                [],
                |row| row.get(0),
            )
        })
        .unwrap();
    assert_eq!(unknown, 0);
}

#[test]
fn a_clock_that_is_a_year_ahead_removes_nothing_at_once() {
    let (_folder, config) = studio();
    let state = open(&config);
    let day = |number: i64, minutes: i64| {
        let at = at("2026-01-31T10:00:00Z") + TimeDelta::days(number) + TimeDelta::minutes(minutes);
        RunSummary {
            run: at.format("%Y%m%d-%H%M%S-0000").to_string(),
            started_at: at,
            finished_at: at,
            ..run("artists", 0, Outcome::Held)
        }
    };
    let left = |summary: &RunSummary| {
        let retention = Reports {
            keep: 500,
            keep_for: Duration::from_secs(30 * 24 * 3600),
        };
        state.add_run(summary, &retention).unwrap();
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, i64>(0))
        };
        state.read(count).unwrap()
    };
    for number in 0..20 {
        assert_eq!(left(&day(number, 0)), number + 1);
    }
    // Nothing by the first run of that time, and little by each of those that agree.
    assert_eq!(left(&day(400, 0)), 21);
    assert_eq!(left(&day(400, 15)), 22 - 10);
    assert_eq!(left(&day(400, 30)), 13 - 10);
}
