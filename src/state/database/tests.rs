//! Saved values are read back, old versions are migrated, and damage is distinguished from other
//! errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod clocks;
mod damaged;
mod deleted;
mod people;
mod reading_sizes;
mod retention;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Barrier, mpsc},
    thread,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    config::{Environment, Reports},
    model::{
        absence::{Absence, Absences},
        backoff::Backoff,
        change::{Action, HeldBy},
        change_kind::ChangeKind,
        clocks::Clocks,
        freshness::Freshness,
        held_people::HeldPeople,
        pause::Pause,
        report::{Counts, FailureKind, Outcome, Report, Trigger},
        summary::RunSummary,
    },
    state::lock::DaemonLock,
};

fn config(folder: &Path) -> Config {
    let file = folder.join("config.toml");
    let text = format!(
        "state_dir = {:?}\nreports.keep = 5\n[ftrack]\nserver = \"http://127.0.0.1:9\"\napi_user \
         = \"sync\"\napi_key = \"key\"\n[directories.studio]\nurls = \
         [\"ldap://127.0.0.1:9\"]\nbind_dn = \"cn=sync\"\nbind_password = \
         \"password\"\n[jobs.artists]\ndirectory = \"studio\"\nsearch_bases = \
         [\"dc=test\"]\nfilter = \"(uid=*)\"\nattributes = {{ username = \"uid\" }}\nretry = {{ \
         initial = \"1m\", max = \"1h\", suspend_after = 3 }}\n",
        folder.join("state")
    );
    fs::write(&file, text).unwrap();
    crate::config::load(&file, &Environment::default())
        .unwrap_or_else(|findings| panic!("{findings}"))
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

/// The ftrack server of all runs here.
const FTRACK: &str = "https://studio.test";

fn absences_of(state: &State, job: &str) -> Absences {
    state.remembered(job, FTRACK).unwrap().absences
}

/// How many users the job artists owned after its last run against a server that did not fail.
fn owned_before(state: &State, ftrack: &str) -> usize {
    state
        .remembered("artists", ftrack)
        .unwrap()
        .linked
        .map_or(0, |linked| linked.owned)
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
        for_some: false,
        observed: false,
        started_at,
        finished_at: started_at + TimeDelta::seconds(9),
        outcome,
        error_kind: (outcome == Outcome::Failed).then_some(FailureKind::Directory),
        error: (outcome == Outcome::Failed)
            .then(|| "no\nanswer \u{1b}[31m'; DROP TABLE runs".to_owned()),
        ftrack: "https://studio.test".into(),
        replica: Some("ldaps://dc2.studio.test".to_owned()),
        entries: 40,
        owned: 38,
        owned_active: 30,
        linked: Some(50),
        held: 2,
        failed: 1,
        unsettled: 0,
        counts: Counts {
            held: 2,
            failed: 1,
            ..Counts::default()
        },
        planned: [(Action::Create, 3)].into(),
        alarm: false,
        open_holds: 0,
        oldest_hold: None,
        hold_numbers: Vec::new(),
    }
}

/// How long runs stay: this many that did nothing, and a year of the others.
fn keep(keep: usize) -> Reports {
    Reports {
        keep,
        keep_for: Duration::from_secs(365 * 86_400),
    }
}

fn keep_report(config: &Config, run: &RunSummary) {
    let report: Report = serde_json::from_value(json!({
        "run": run.run, "job": run.job, "trigger": run.trigger, "dry_run": run.dry_run, "started_at": run.started_at, "finished_at": run.finished_at,
        "outcome": run.outcome, "error": run.error, "error_kind": run.error_kind,
        "directory": {"server": run.replica, "replica": run.replica.is_some(), "complete": true, "entries": run.entries, "id_attribute": null, "searches": []},
        "ftrack": {"server": run.ftrack, "users": 42, "owned": run.owned, "owned_active": run.owned_active, "linked": run.linked, "read_calls": 2, "write_calls": 0},
        "counts": {"created": 0, "updated": 0, "deactivated": 0, "reactivated": 0, "adopted": 0, "role_changes": 0, "group_changes": 0, "unchanged": 0,
                   "skipped": 0, "held": run.held, "failed": run.failed},
        "planned": run.planned, "changes": [], "skipped": [], "warnings": []
    }))
    .unwrap();
    crate::state::history::History::new(&config.state_dir)
        .keep(&report)
        .unwrap();
}

fn absences(ids: &[(&str, u32)]) -> Absences {
    let since = at("2026-01-31T10:00:00Z");
    ids.iter()
        .map(|(id, reads)| {
            (
                (*id).to_owned(),
                Absence {
                    since: since.into(),
                    reads: *reads,
                },
            )
        })
        .collect()
}

/// What an older version saved of them in a file.
fn in_file(absences: &Absences) -> Vec<u8> {
    let absences = absences.iter().map(|(id, absence)| {
        let saved = serde_json::json!({"since": absence.since.here, "reads": absence.reads});
        (id.clone(), saved)
    });
    serde_json::to_vec(&absences.collect::<serde_json::Map<_, _>>()).unwrap()
}

fn backoff() -> Backoff {
    Backoff {
        failures: 3,
        since: at("2026-01-31T10:00:00Z"),
        retry_at: at("2026-01-31T10:20:00.5Z"),
        suspended: true,
        kind: FailureKind::DirectoryRefused,
        error: "invalid credentials".into(),
        asked: None,
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
        by: Some("uid 7".into()),
    };
    let refused = RefusedAccount {
        mark: Some("5e884898".into()),
        failures: 2,
        refused_at: at("2026-01-31T10:00:00Z"),
        next_at: at("2026-01-31T10:20:00Z"),
        error: "code 49".into(),
    };
    let (good, bad) = (
        run("artists", 1, Outcome::Held),
        run("artists", 2, Outcome::Failed),
    );
    {
        let state = open(&config);
        assert_eq!(state.last_run("artists").unwrap(), None);
        assert_eq!(owned_before(&state, "https://studio.test"), 0);
        state.add_run(&bad, &keep(5)).unwrap();
        state.add_run(&good, &keep(5)).unwrap();
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
        state
            .set_refusal("directory studio", Some(&refused))
            .unwrap();
        state
            .set_absences(
                "artists",
                &Absences::new(),
                &absences(&[("a", 1), ("b", 2)]),
            )
            .unwrap();
    }
    let state = open(&config);
    assert_eq!(state.last_run("artists").unwrap(), Some(bad.clone()));
    assert_eq!(state.last_attempt("artists").unwrap(), Some(bad));
    assert_eq!(state.last_success("artists").unwrap(), Some(good));
    assert_eq!(owned_before(&state, "https://studio.test"), 38);
    assert_eq!(owned_before(&state, "https://other.test"), 0);
    assert_eq!(state.backoff("artists").unwrap(), Some(backoff()));
    let kept = state.pause("artists").unwrap().unwrap();
    assert_eq!((kept.since, &kept.reason), (pause.since, &pause.reason));
    assert_eq!(
        kept.until,
        Some(at("9999-12-31T23:59:59.999999999Z")),
        "a year beyond what sorts is the last that does"
    );
    assert_eq!(
        state
            .pause("interns")
            .unwrap()
            .map(|pause| (pause.until, pause.reason)),
        Some((None, None))
    );
    assert_eq!(
        state.refusals().unwrap(),
        [("directory studio".to_owned(), refused)].into()
    );
    assert_eq!(
        absences_of(&state, "artists"),
        absences(&[("a", 1), ("b", 2)])
    );

    state.set_backoff("artists", None).unwrap();
    state.set_pause("artists", None).unwrap();
    state.set_refusal("directory studio", None).unwrap();
    state
        .set_absences(
            "artists",
            &absences(&[("a", 1), ("b", 2)]),
            &absences(&[("b", 3), ("c", 1)]),
        )
        .unwrap();
    assert_eq!(
        (
            state.backoff("artists").unwrap(),
            state.pause("artists").unwrap()
        ),
        (None, None)
    );
    assert!(state.refusals().unwrap().is_empty());
    let known = |job| known(&config.state_dir, job, FTRACK).unwrap().absences;
    assert_eq!(known("artists"), absences(&[("b", 3), ("c", 1)]));
    assert_eq!(known("interns"), Absences::new());
    let mode = fs::metadata(config.state_dir.join(FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names(&config.state_dir), ["state.db", "state.lock"]);
}

#[test]
fn absences_that_have_not_changed_are_not_written() {
    let (_folder, config) = studio();
    let state = open(&config);
    let (before, mut now) = (
        absences(&[("a", 1), ("b", 1)]),
        absences(&[("a", 1), ("b", 1)]),
    );
    state
        .set_absences("artists", &Absences::new(), &before)
        .unwrap();
    let changes = || state.open.lock().unwrap().connection.total_changes();
    let so_far = changes();
    state.set_absences("artists", &before, &now).unwrap();
    assert_eq!(changes(), so_far);
    now.get_mut("b").unwrap().reads = 2;
    state.set_absences("artists", &before, &now).unwrap();
    assert_eq!(changes(), so_far + 1);
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
    let kept = absences(&[("a", 2)]);
    fs::write(files.join("artists.json"), in_file(&kept)).unwrap();
    fs::write(files.join("damaged.json"), "{\"a\":").unwrap();
    assert_eq!(
        known(&config.state_dir, "artists", FTRACK)
            .map(|known| known.absences)
            .unwrap(),
        kept,
        "`plan` knows them before the first run"
    );
    assert!(!config.state_dir.join(FILE).exists());

    let state = open(&config);
    assert_eq!(absences_of(&state, "artists"), kept);
    assert_eq!(absences_of(&state, "damaged"), Absences::new());
    assert!(!files.exists());
    assert_eq!(
        state.last_run("artists").unwrap(),
        Some(run("artists", 2, Outcome::Succeeded))
    );
    assert_eq!(
        state.last_run("gone").unwrap(),
        Some(run("gone", 1, Outcome::Partial))
    );

    // Files that appear later, from an older version that ran in between, are older than what is
    // known, or become so.
    fs::create_dir(&files).unwrap();
    fs::write(files.join("artists.json"), in_file(&absences(&[("b", 9)]))).unwrap();
    assert_eq!(absences_of(&open(&config), "artists"), kept);
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
    state.add_run(&known, &keep(5)).unwrap();
    for run in [&old, &new, &run("interns", 7, Outcome::Succeeded)] {
        keep_report(&config, run);
    }
    let state = open(&config);
    assert_eq!(state.last_run("artists").unwrap(), Some(new));
    assert_eq!(
        state.last_run("interns").unwrap(),
        Some(run("interns", 7, Outcome::Succeeded))
    );
    let runs: i64 = state
        .read(|connection| {
            connection.query_row(
                "SELECT count(*) FROM runs WHERE job = 'artists'",
                [],
                |row| row.get(0),
            )
        })
        .unwrap();
    assert_eq!(
        runs, 3,
        "an old one too: it can be shown, and is removed in time"
    );
    assert_eq!(
        state.backoff("artists").unwrap(),
        None,
        "what the daemon keeps is not made anew"
    );
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
    let form = |connection: &Connection| {
        connection
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(form(connection), 2);
    let note: String = connection
        .query_row(
            "SELECT note FROM backoffs WHERE job = ?1",
            params!["artists"],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(note, "old");
    schema::migrate(
        connection,
        2,
        &[steps[0], steps[1], "CREATE TABLE more (a)"],
    )
    .unwrap();
    assert_eq!(form(connection), 3);
}

#[test]
fn many_who_open_at_once_make_one_database() {
    for _ in 0..20 {
        let (_folder, config) = studio();
        let ready = Barrier::new(8);
        thread::scope(|scope| {
            for opener in 0..8_u32 {
                let (config, ready) = (&config, &ready);
                scope.spawn(move || {
                    ready.wait();
                    let state = open(config);
                    for minute in 0..2 {
                        state
                            .add_run(
                                &run(&format!("job{opener}"), minute, Outcome::Succeeded),
                                &keep(5),
                            )
                            .unwrap();
                    }
                });
            }
        });
        let state = open(&config);
        let runs: i64 = state
            .read(|connection| {
                connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
            })
            .unwrap();
        assert_eq!(runs, 8 * 2);
    }
}

#[test]
fn one_who_writes_all_the_time_on_a_slow_disk_keeps_nobody_out() {
    let (_folder, config) = studio();
    let (busy, other) = (open(&config), open(&config));
    let (say, heard) = mpsc::sync_channel(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut goes_on = true;
            while goes_on {
                let slowly = |_: &Transaction<'_>| {
                    goes_on = say.send(()).is_ok();
                    thread::park_timeout(Duration::from_millis(450));
                    Ok(())
                };
                busy.write(slowly).unwrap();
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        let (went_on, going_on) = mpsc::channel();
        scope.spawn(move || {
            for () in heard {
                if went_on.send(()).is_err() {
                    return;
                }
            }
        });
        for minute in 1..=4 {
            // While the other one writes.
            while going_on.try_recv().is_ok() {}
            going_on.recv().unwrap();
            other
                .add_run(&run("artists", minute, Outcome::Succeeded), &keep(9))
                .unwrap();
        }
    });
}

#[test]
fn a_second_daemon_is_told_of_the_first() {
    let (_folder, config) = studio();
    let first = DaemonLock::take(&config.state_dir).unwrap();
    let error = DaemonLock::take(&config.state_dir).unwrap_err().to_string();
    assert!(
        error.contains(&format!("another daemon, process {},", std::process::id())),
        "{error}"
    );
    fs::write(config.state_dir.join("daemon.lock"), "no number").unwrap();
    let error = DaemonLock::take(&config.state_dir).unwrap_err().to_string();
    assert!(
        error.contains("another daemon runs on this state directory"),
        "{error}"
    );
    drop(first);
    DaemonLock::take(&config.state_dir).unwrap();
}

fn written(run: &str, number: usize) -> Written {
    Written {
        run: run.into(),
        kind: ChangeKind::Deactivate,
        at: at("2026-01-31T10:00:00Z").into(),
        number,
        since: at("2026-01-31T10:00:00.123Z"),
        is_settled: true,
    }
}

#[test]
fn how_current_a_directory_was_stays_known_when_a_run_does_not_see_which_it_read() {
    let (_folder, config) = studio();
    let state = open(&config);
    let freshness = |number| Freshness::of_invocation(uuid::Uuid::from_u128(7), number);
    for (directory, number) in [(Some("d-1"), 9), (None, 8)] {
        let before = state.remembered("artists", FTRACK).unwrap();
        state
            .set_freshness("artists", &before, directory, &freshness(number))
            .unwrap();
    }
    let known = state.remembered("artists", FTRACK).unwrap();
    assert_eq!(known.freshness_of(Some("d-1")), Some(&freshness(9)));
    assert_eq!(known.freshness_of(None), Some(&freshness(8)));
    assert_eq!(known.freshness_of(Some("d-2")), None);
}

#[test]
fn what_a_job_remembers_comes_back_and_is_written_only_where_it_changed() {
    let (_folder, config) = studio();
    let state = open(&config);
    let before = state.remembered("artists", FTRACK).unwrap();
    let bases = [("dc=a".to_owned(), 7), ("dc=b".to_owned(), 0)].into();
    state
        .set_directory("artists", &before, Some("d-1"), &bases)
        .unwrap();
    let mut held = HeldPeople::default();
    held.add(HeldBy::Limit, ChangeKind::Deactivate, "p-1", "");
    held.add(HeldBy::Limit, ChangeKind::Rename, "p-2", "");
    state.set_held("artists", &before.held, &held).unwrap();
    state
        .count_written("artists", &[written("run-1", 9)])
        .unwrap();
    state
        .count_written("artists", &[written("run-1", 3)])
        .unwrap();
    state
        .count_written("interns", &[written("run-1", 5)])
        .unwrap();
    state.set_referrals("artists", &before, 2).unwrap();
    let known = state.remembered("artists", FTRACK).unwrap();
    assert_eq!(
        (known.directory.as_deref(), &known.bases, known.referrals),
        (Some("d-1"), &bases, 2)
    );
    assert_eq!(known.held, held);
    assert_eq!(known.written, [written("run-1", 3)]);
    let changes = || {
        state
            .read(|connection| {
                connection.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0))
            })
            .unwrap()
    };
    let version = changes();
    state
        .set_directory(
            "artists",
            &known,
            Some("d-1"),
            &[("dc=a".to_owned(), 99)].into(),
        )
        .unwrap();
    state
        .set_held("artists", &known.held, &known.held.clone())
        .unwrap();
    assert_eq!(
        (changes(), &state.remembered("artists", FTRACK).unwrap()),
        (version, &known)
    );
    // What can no longer count is removed.
    let later = Written {
        at: at("2027-06-01T10:00:00Z").into(),
        ..written("run-2", 1)
    };
    state
        .count_written("artists", std::slice::from_ref(&later))
        .unwrap();
    assert_eq!(
        state.remembered("artists", FTRACK).unwrap().written,
        [later]
    );
}
