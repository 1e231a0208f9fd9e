//! What is kept comes back, old forms are carried forward, and damage is told from trouble.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::PermissionsExt, thread};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    config::Environment,
    daemon::{backoff::Backoff, pause::Pause},
    run::{
        lock::DaemonLock,
        report::{FailureKind, Outcome, Report, Trigger},
        summary::RunSummary,
    },
    sync::change::{Absence, Absences},
};

fn config(folder: &Path) -> Config {
    let file = folder.join("config.toml");
    let text = format!(
        "state_dir = {:?}\nreports.keep = 5\n[ftrack]\nserver = \"http://127.0.0.1:9\"\napi_user = \"sync\"\napi_key = \"key\"\n\
         [directories.studio]\nurls = [\"ldap://127.0.0.1:9\"]\nbind_dn = \"cn=sync\"\nbind_password = \"password\"\n\
         [jobs.artists]\ndirectory = \"studio\"\nsearch_bases = [\"dc=test\"]\nfilter = \"(uid=*)\"\n\
         attributes = {{ username = \"uid\" }}\nretry = {{ initial = \"1m\", max = \"1h\", suspend_after = 3 }}\n",
        folder.join("state")
    );
    fs::write(&file, text).unwrap();
    crate::config::load(&file, &Environment::default()).unwrap_or_else(|findings| panic!("{findings}"))
}

fn studio() -> (TempDir, Config) {
    let folder = TempDir::new().unwrap();
    let config = config(folder.path());
    (folder, config)
}

fn open(config: &Config) -> State {
    let (state, set_aside) = State::open(config).unwrap();
    assert_eq!(set_aside, None);
    state
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A run of the n-th minute.
fn run(job: &str, minute: u32, outcome: Outcome) -> RunSummary {
    let started_at = at("2026-01-31T10:00:00.123456789Z") + TimeDelta::minutes(minute.into());
    RunSummary {
        run: format!("{}-00ff", started_at.format("%Y%m%d-%H%M%S")),
        job: job.into(),
        trigger: Trigger::Schedule,
        dry_run: false,
        started_at,
        finished_at: started_at + TimeDelta::seconds(9),
        outcome,
        error_kind: (outcome == Outcome::Failed).then_some(FailureKind::Directory),
        error: (outcome == Outcome::Failed).then(|| "no\nanswer \u{1b}[31m'; DROP TABLE runs".to_owned()),
        ftrack: "https://studio.test".into(),
        entries: 40,
        owned: 38,
        owned_active: 30,
        held: 2,
        failed: 1,
    }
}

fn keep_report(config: &Config, run: &RunSummary) {
    let report: Report = serde_json::from_value(json!({
        "run": run.run, "job": run.job, "trigger": run.trigger, "dry_run": run.dry_run, "started_at": run.started_at, "finished_at": run.finished_at,
        "outcome": run.outcome, "error": run.error, "error_kind": run.error_kind,
        "directory": {"server": null, "complete": true, "entries": run.entries, "id_attribute": null, "searches": []},
        "ftrack": {"server": run.ftrack, "users": 42, "owned": run.owned, "owned_active": run.owned_active, "read_calls": 2, "write_calls": 0},
        "counts": {"created": 0, "updated": 0, "deactivated": 0, "reactivated": 0, "adopted": 0, "role_changes": 0, "group_changes": 0, "unchanged": 0,
                   "skipped": 0, "held": run.held, "failed": run.failed},
        "planned": {}, "changes": [], "skipped": [], "warnings": []
    }))
    .unwrap();
    super::super::history::History::new(&config.state_dir)
        .keep(&report, &config.reports, run.finished_at)
        .unwrap();
}

fn absences(ids: &[(&str, u32)]) -> Absences {
    let since = at("2026-01-31T10:00:00Z");
    ids.iter().map(|(id, reads)| ((*id).to_owned(), Absence { since, reads: *reads })).collect()
}

fn backoff() -> Backoff {
    Backoff {
        failures: 3,
        since: at("2026-01-31T10:00:00Z"),
        retry_at: at("2026-01-31T10:20:00.5Z"),
        suspended: true,
        kind: FailureKind::DirectoryRefused,
        error: "invalid credentials".into(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_comes_back_after_a_restart() {
    let (_folder, config) = studio();
    let pause = Pause {
        since: at("2026-01-31T10:00:00Z"),
        until: Some(DateTime::<Utc>::MAX_UTC),
        reason: Some("moving house".into()),
    };
    let refused = RefusedAccount {
        mark: Some("5e884898".into()),
        failures: 2,
        refused_at: at("2026-01-31T10:00:00Z"),
        next_at: at("2026-01-31T10:20:00Z"),
        error: "code 49".into(),
    };
    let (good, bad) = (run("artists", 1, Outcome::Held), run("artists", 2, Outcome::Failed));
    {
        let state = open(&config);
        assert_eq!(state.last_run("artists").unwrap(), None);
        assert_eq!(state.owned_before("artists", "https://studio.test").unwrap(), 0);
        state.add_run(&bad, 5).unwrap();
        state.add_run(&good, 5).unwrap();
        state.set_backoff("artists", Some(&backoff())).unwrap();
        state.set_pause("artists", Some(&pause)).unwrap();
        state
            .set_pause(
                "interns",
                Some(&Pause {
                    until: None,
                    reason: None,
                    ..pause.clone()
                }),
            )
            .unwrap();
        state.set_refusal("directory studio", Some(&refused)).unwrap();
        state.set_absences("artists", &Absences::new(), &absences(&[("a", 1), ("b", 2)])).unwrap();
    }
    let state = open(&config);
    assert_eq!(state.last_run("artists").unwrap(), Some(bad.clone()));
    assert_eq!(state.last_attempt("artists").unwrap(), Some(bad));
    assert_eq!(state.last_success("artists").unwrap(), Some(good));
    assert_eq!(state.owned_before("artists", "https://studio.test").unwrap(), 38);
    assert_eq!(state.owned_before("artists", "https://other.test").unwrap(), 0);
    assert_eq!(state.backoff("artists").unwrap(), Some(backoff()));
    let kept = state.pause("artists").unwrap().unwrap();
    assert_eq!((kept.since, &kept.reason), (pause.since, &pause.reason));
    assert_eq!(
        kept.until,
        Some(at("9999-12-31T23:59:59.999999999Z")),
        "a year beyond what sorts is the last that does"
    );
    assert_eq!(state.pause("interns").unwrap().map(|pause| (pause.until, pause.reason)), Some((None, None)));
    assert_eq!(state.refusals().unwrap(), [("directory studio".to_owned(), refused)].into());
    assert_eq!(state.absences("artists").unwrap(), absences(&[("a", 1), ("b", 2)]));

    state.set_backoff("artists", None).unwrap();
    state.set_pause("artists", None).unwrap();
    state.set_refusal("directory studio", None).unwrap();
    state
        .set_absences("artists", &absences(&[("a", 1), ("b", 2)]), &absences(&[("b", 3), ("c", 1)]))
        .unwrap();
    assert_eq!((state.backoff("artists").unwrap(), state.pause("artists").unwrap()), (None, None));
    assert!(state.refusals().unwrap().is_empty());
    assert_eq!(known_absences(&config.state_dir, "artists").unwrap(), absences(&[("b", 3), ("c", 1)]));
    assert_eq!(known_absences(&config.state_dir, "interns").unwrap(), Absences::new());
    let mode = fs::metadata(config.state_dir.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names(&config.state_dir), ["state.db", "state.lock"]);
}

#[test]
fn absences_that_have_not_changed_are_not_written() {
    let (_folder, config) = studio();
    let state = open(&config);
    let (before, mut now) = (absences(&[("a", 1), ("b", 1)]), absences(&[("a", 1), ("b", 1)]));
    state.set_absences("artists", &Absences::new(), &before).unwrap();
    let changes = || state.open.lock().unwrap().connection.total_changes();
    let so_far = changes();
    state.set_absences("artists", &before, &now).unwrap();
    assert_eq!(changes(), so_far);
    now.get_mut("b").unwrap().reads = 2;
    state.set_absences("artists", &before, &now).unwrap();
    assert_eq!(changes(), so_far + 1);
}

#[test]
fn the_newest_runs_stay_and_the_last_good_one() {
    let (_folder, config) = studio();
    let state = open(&config);
    for minute in 0..3 {
        state.add_run(&run("artists", minute, Outcome::Succeeded), 5).unwrap();
    }
    let elsewhere = RunSummary {
        ftrack: "https://other.test".into(),
        ..run("artists", 3, Outcome::Partial)
    };
    state.add_run(&elsewhere, 5).unwrap();
    state.add_run(&run("interns", 0, Outcome::Succeeded), 5).unwrap();
    for minute in 4..40 {
        let dry_run = minute % 2 == 0;
        let run = run("artists", minute, if dry_run { Outcome::Succeeded } else { Outcome::Failed });
        state.add_run(&RunSummary { dry_run, ..run }, 5).unwrap();
    }
    state.add_run(&run("artists", 39, Outcome::Failed), 5).unwrap();
    let count: usize = state
        .read(|connection| connection.query_row("SELECT count(*) FROM runs WHERE job = 'artists'", [], |row| row.get::<_, i64>(0)))
        .unwrap() as usize;
    assert_eq!(count, 5 + 2);
    assert_eq!(state.last_success("artists").unwrap(), Some(elsewhere));
    assert_eq!(state.owned_before("artists", "https://studio.test").unwrap(), 38);
    assert_eq!(state.last_success("interns").unwrap(), Some(run("interns", 0, Outcome::Succeeded)));
    state
        .add_run(
            &RunSummary {
                dry_run: true,
                ..run("artists", 41, Outcome::Succeeded)
            },
            5,
        )
        .unwrap();
    assert_eq!(state.last_attempt("artists").unwrap(), Some(run("artists", 39, Outcome::Failed)));
    assert!(state.last_run("artists").unwrap().unwrap().dry_run);
}

#[test]
fn files_of_an_older_version_are_taken_over_once() {
    let (_folder, config) = studio();
    for minute in 0..3 {
        keep_report(&config, &run("artists", minute, Outcome::Succeeded));
    }
    let reports = config.state_dir.join("reports/artists");
    fs::write(reports.join("20270101-000000-0000.json"), "{").unwrap();
    fs::create_dir_all(config.state_dir.join("reports/gone")).unwrap();
    keep_report(&config, &run("gone", 1, Outcome::Partial));
    let files = config.state_dir.join("absences");
    fs::create_dir(&files).unwrap();
    let known = absences(&[("a", 2)]);
    fs::write(files.join("artists.json"), serde_json::to_vec(&known).unwrap()).unwrap();
    fs::write(files.join("damaged.json"), "{\"a\":").unwrap();
    assert_eq!(
        known_absences(&config.state_dir, "artists").unwrap(),
        known,
        "`plan` knows them before the first run"
    );
    assert!(!config.state_dir.join(FILE).exists());

    let state = open(&config);
    assert_eq!(state.absences("artists").unwrap(), known);
    assert_eq!(state.absences("damaged").unwrap(), Absences::new());
    assert!(!files.exists());
    assert_eq!(state.last_run("artists").unwrap(), Some(run("artists", 2, Outcome::Succeeded)));
    assert_eq!(state.last_run("gone").unwrap(), Some(run("gone", 1, Outcome::Partial)));

    // Files that come later, of an older version that ran in between, are older than what is known, or become so.
    fs::create_dir(&files).unwrap();
    fs::write(files.join("artists.json"), serde_json::to_vec(&absences(&[("b", 9)])).unwrap()).unwrap();
    assert_eq!(open(&config).absences("artists").unwrap(), known);
    assert!(!files.exists());
}

#[test]
fn reports_that_are_newer_than_what_is_known_are_added() {
    let (_folder, config) = studio();
    let (old, known, new) = (
        run("artists", 0, Outcome::Succeeded),
        run("artists", 1, Outcome::Succeeded),
        run("artists", 2, Outcome::Failed),
    );
    let state = open(&config);
    state.add_run(&known, 5).unwrap();
    for run in [&old, &new, &run("interns", 7, Outcome::Succeeded)] {
        keep_report(&config, run);
    }
    let state = open(&config);
    assert_eq!(state.last_run("artists").unwrap(), Some(new));
    assert_eq!(state.last_run("interns").unwrap(), Some(run("interns", 7, Outcome::Succeeded)));
    let runs: i64 = state
        .read(|connection| connection.query_row("SELECT count(*) FROM runs WHERE job = 'artists'", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(runs, 2, "an old one that is not known was removed on purpose");
    assert_eq!(state.backoff("artists").unwrap(), None, "what the daemon keeps is not made anew");
}

#[test]
fn a_database_that_was_lost_is_made_anew_with_what_holds_jobs_up() {
    let (_folder, config) = studio();
    let refused = |minute| RunSummary {
        error_kind: Some(FailureKind::DirectoryRefused),
        ..run("artists", minute, Outcome::Failed)
    };
    let stopped = RunSummary {
        error_kind: Some(FailureKind::Stopped),
        ..run("artists", 4, Outcome::Failed)
    };
    for run in [
        run("artists", 0, Outcome::Failed),
        run("artists", 1, Outcome::Held),
        refused(2),
        refused(3),
        stopped,
    ] {
        keep_report(&config, &run);
    }
    fs::create_dir_all(config.state_dir.join("absences")).unwrap();
    fs::write(
        config.state_dir.join("absences/artists.json"),
        serde_json::to_vec(&absences(&[("a", 2)])).unwrap(),
    )
    .unwrap();
    fs::write(config.state_dir.join(FILE), "no database").unwrap();
    assert_eq!(known_absences(&config.state_dir, "artists").unwrap(), Absences::new());
    let (state, set_aside) = State::open(&config).unwrap();
    let set_aside = set_aside.unwrap();
    assert_eq!(fs::read(&set_aside.path).unwrap(), b"no database");
    assert!(set_aside.to_string().contains("paused"), "{set_aside}");
    let backoff = state.backoff("artists").unwrap().unwrap();
    assert_eq!((backoff.failures, backoff.kind), (2, FailureKind::DirectoryRefused));
    assert_eq!(
        (backoff.since, backoff.retry_at),
        (refused(2).finished_at, refused(3).finished_at + TimeDelta::minutes(40))
    );
    let refusals = state.refusals().unwrap();
    let gate = &refusals["directory studio"];
    assert_eq!(
        (gate.mark.as_ref(), gate.failures, gate.next_at),
        (None, 2, refused(3).finished_at + TimeDelta::minutes(20))
    );
    assert_eq!(
        state.absences("artists").unwrap(),
        Absences::new(),
        "what is in files is older than what was lost"
    );
}

#[test]
fn each_kind_of_damage_is_set_aside_and_the_newest_three_are_kept() {
    let (_folder, config) = studio();
    let path = config.state_dir.join(FILE);
    {
        let state = open(&config);
        let many: Vec<(String, u32)> = (0..2000).map(|number| (format!("id-{number:05}"), 1)).collect();
        let many: Vec<(&str, u32)> = many.iter().map(|(id, reads)| (id.as_str(), *reads)).collect();
        state.set_absences("artists", &Absences::new(), &absences(&many)).unwrap();
        state.set_backoff("artists", Some(&backoff())).unwrap();
    }
    let good = fs::read(&path).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 20, "{pages}");
    let mut damaged: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("garbage".into(), vec![0x5a; 9000]),
        ("zeros".into(), vec![0; 4096]),
    ];
    for length in [1, 15, 99, 100, 4095, 4096, 4097, good.len() / 2, good.len() - 4096, good.len() - 1] {
        damaged.push((format!("cut to {length}"), good[..length].to_vec()));
    }
    for page in 0..pages {
        for byte in [0_u8, 0xff, 0x5a] {
            let mut content = good.clone();
            content[page * 4096..(page + 1) * 4096].fill(byte);
            damaged.push((format!("page {page} full of {byte}"), content));
        }
    }
    let word = good.windows(17).position(|bytes| bytes == b"directory_refused").unwrap();
    let mut content = good.clone();
    content[word] = b'?';
    damaged.push(("another word".into(), content));
    let time = good.windows(9).position(|bytes| bytes == b"10:20:00.").unwrap();
    let mut content = good.clone();
    content[time] = b'x';
    damaged.push(("no time".into(), content));
    for (what, content) in damaged {
        fs::write(&path, &content).unwrap();
        fs::write(damage::journal(&path), "no journal").unwrap();
        let known = known_absences(&config.state_dir, "interns").unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(known, Absences::new());
        let (state, set_aside) = State::open(&config).unwrap_or_else(|error| panic!("{what}: {error}"));
        let set_aside = set_aside.unwrap_or_else(|| panic!("{what} was not seen"));
        assert_eq!(fs::read(&set_aside.path).unwrap(), content, "{what}");
        assert!(!damage::journal(&path).exists(), "{what}");
        state.add_run(&run("artists", 1, Outcome::Succeeded), 5).unwrap();
        drop(state);
        open(&config);
    }
    let aside = names(&config.state_dir)
        .iter()
        .filter(|name| name.contains("damaged") && !name.ends_with("-journal"))
        .count();
    assert_eq!(aside, 3);
}

#[test]
fn what_is_no_damage_is_an_error_and_stays_in_its_place() {
    let (_folder, config) = studio();
    let path = config.state_dir.join(FILE);
    fs::create_dir_all(&path).unwrap();
    let error = State::open(&config).unwrap_err().to_string();
    assert!(error.contains("state.db") && error.contains("directory"), "{error}");
    assert!(known_absences(&config.state_dir, "artists").is_err());
    fs::remove_dir(&path).unwrap();

    drop(open(&config));
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = fs::read(&path).unwrap();
    let error = State::open(&config).unwrap_err().to_string();
    assert!(error.contains("a newer version of this program") && error.contains("99"), "{error}");
    assert!(
        known_absences(&config.state_dir, "artists")
            .unwrap_err()
            .to_string()
            .contains("a newer version")
    );
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert_eq!(names(&config.state_dir), ["state.db", "state.lock"]);
    fs::remove_file(&path).unwrap();

    // Somebody else's database is none of ours.
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE runs (a); PRAGMA user_version = 1;")
        .unwrap();
    assert!(State::open(&config).unwrap().1.unwrap().why.contains("not a state database"));
}

#[test]
fn a_step_that_fails_leaves_the_form_before_it() {
    let (_folder, config) = studio();
    let state = open(&config);
    state.set_backoff("artists", Some(&backoff())).unwrap();
    let mut open = state.open.lock().unwrap();
    let connection = &mut open.connection;
    let steps = [
        schema::STEPS[0],
        "ALTER TABLE backoffs ADD COLUMN note TEXT; UPDATE backoffs SET note = 'old'",
        "CREATE TABLE more (a); CREATE TABLE more (a)",
    ];
    schema::migrate(connection, 1, &steps).unwrap_err();
    let form = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(form(connection), 2);
    let note: String = connection
        .query_row("SELECT note FROM backoffs WHERE job = ?1", params!["artists"], |row| row.get(0))
        .unwrap();
    assert_eq!(note, "old");
    schema::migrate(connection, 2, &[steps[0], steps[1], "CREATE TABLE more (a)"]).unwrap();
    assert_eq!(form(connection), 3);
}

#[test]
fn many_who_open_at_once_make_one_database() {
    let (_folder, config) = studio();
    thread::scope(|scope| {
        for opener in 0..8_u32 {
            let config = &config;
            scope.spawn(move || {
                let state = open(config);
                for minute in 0..5 {
                    state.add_run(&run(&format!("job{opener}"), minute, Outcome::Succeeded), 5).unwrap();
                }
            });
        }
    });
    let state = open(&config);
    let runs: i64 = state
        .read(|connection| connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(runs, 8 * 5);
}

#[test]
fn whoever_has_it_open_follows_when_it_is_made_anew() {
    let (_folder, config) = studio();
    let daemon = open(&config);
    fs::write(config.state_dir.join(FILE), vec![7; 5000]).unwrap();
    let (command, set_aside) = State::open(&config).unwrap();
    assert!(set_aside.is_some());
    daemon.set_backoff("artists", Some(&backoff())).unwrap();
    assert_eq!(command.backoff("artists").unwrap(), Some(backoff()));
    fs::remove_file(config.state_dir.join(FILE)).unwrap();
    assert!(daemon.set_backoff("artists", None).unwrap_err().to_string().contains("state.db"));
}

#[test]
fn a_second_daemon_is_told_of_the_first() {
    let (_folder, config) = studio();
    let first = DaemonLock::take(&config.state_dir).unwrap();
    let error = DaemonLock::take(&config.state_dir).unwrap_err().to_string();
    assert!(error.contains(&format!("another daemon, process {},", std::process::id())), "{error}");
    fs::write(config.state_dir.join("daemon.lock"), "no number").unwrap();
    let error = DaemonLock::take(&config.state_dir).unwrap_err().to_string();
    assert!(error.contains("another daemon runs on this state folder"), "{error}");
    drop(first);
    DaemonLock::take(&config.state_dir).unwrap();
}
