//! The state database under the real program: damaged, killed while it is written, shared, and on a
//! full disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod deleted;
mod foreign;
mod full_disk;
mod limits;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::{DateTime, Utc};
use ftrack_ldap_sync::{
    config,
    config::{Config, Environment},
    model::{
        absence::{Absence, Absences},
        pause::Pause,
        report::Outcome,
    },
    state::{State, known},
};
use serde_json::Value;

use crate::{
    rules::{add_config, leave},
    slapd::wait_until,
    studio::Studio,
};

/// How long a child may take to begin.
const LIMIT: Duration = Duration::from_secs(30);

fn config(studio: &Studio) -> Config {
    load(&studio.config())
}

fn load(file: &Path) -> Config {
    config::load(file, &Environment::default()).unwrap_or_else(|findings| panic!("{findings}"))
}

fn database(studio: &Studio) -> PathBuf {
    studio.state_dir().join("state.db")
}

/// Opens a database in which nothing may be damaged.
fn open(config: &Config) -> State {
    let (state, set_aside) = State::open(config).unwrap();
    assert_eq!(set_aside, None);
    state
}

fn set_aside(studio: &Studio) -> Vec<PathBuf> {
    let entries = fs::read_dir(studio.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.to_string_lossy().contains("state.db.damaged-"))
        .collect()
}

fn rows(studio: &Studio, query: &str) -> i64 {
    let connection = rusqlite::Connection::open(database(studio)).unwrap();
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_damaged_database_is_made_anew_and_said() {
    let studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve"]).end_to_end();
    let first = studio.sync();
    assert_eq!(
        studio
            .synced(&["sync", "--dry-run", "--format", "json"])
            .changes,
        []
    );
    let good = fs::read(database(&studio)).unwrap();
    let mut overwritten = good.clone();
    overwritten[4096..8192].fill(0x5a);
    let mut runs = 2;
    for damaged in [
        Vec::new(),
        b"garbage".to_vec(),
        good[..good.len() / 2].to_vec(),
        good[..4096].to_vec(),
        overwritten,
    ] {
        fs::write(database(&studio), &damaged).unwrap();
        // Whoever only looks neither minds nor changes anything.
        assert_eq!(studio.run(&["plan", "--detailed-exitcode"]).status, 0);
        assert_eq!(fs::read(database(&studio)).unwrap(), damaged);
        let before = set_aside(&studio);
        let ended = studio.run(&["sync", "--format", "json", "--log-format", "json"]);
        runs += 1;
        assert_eq!(
            (ended.status, ended.report().changes),
            (0, Vec::new()),
            "{}",
            ended.stderr
        );
        let said: Vec<Value> = ended
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let said: Vec<&Value> = said
            .iter()
            .filter(|line| line["event"] == "state.set_aside")
            .collect();
        let [said] = said[..] else {
            panic!("it is said once:\n{}", ended.stderr)
        };
        let path = PathBuf::from(said["path"].as_str().unwrap());
        assert!(
            !before.contains(&path) && fs::read(&path).unwrap() == damaged,
            "{said}"
        );
        assert!(
            said["error"]
                .as_str()
                .unwrap()
                .contains("a paused job runs again"),
            "{said}"
        );
        assert_eq!(rows(&studio, "SELECT count(*) FROM runs"), runs);
        studio.sync_changes_nothing();
        runs += 1;
    }
    assert_eq!(set_aside(&studio).len(), 3, "{:?}", set_aside(&studio));
    let state = open(&config(&studio));
    assert_eq!(
        state
            .remembered("artists", &first.ftrack.server)
            .unwrap()
            .linked
            .unwrap()
            .owned,
        5
    );
    drop(state);

    fs::remove_file(database(&studio)).unwrap();
    fs::create_dir(database(&studio)).unwrap();
    for command in ["sync", "plan"] {
        let ended = studio.run(&[command]);
        assert_eq!(ended.status, 1);
        assert!(
            ended.stderr.contains("state.db") && ended.stderr.contains("is a directory"),
            "{}",
            ended.stderr
        );
    }
    assert!(database(&studio).is_dir());
}

#[test]
fn what_an_older_version_kept_goes_on_counting() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    leave(&studio, "ada");
    let id = studio
        .tree()
        .entry_uuid("uid=ada,dc=studio,dc=test")
        .unwrap();
    fs::remove_file(database(&studio)).unwrap();
    let folder = studio.state_dir().join("absences");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("artists.json"),
        format!("{{\"{id}\":{{\"since\":\"2020-01-01T00:00:00Z\",\"reads\":1}}}}"),
    )
    .unwrap();
    studio.job = "users = { deactivate_after = \"30d\" }".into();
    let planned = studio.run(&["plan"]);
    assert!(
        planned.stdout.contains("1 to deactivate"),
        "{}",
        planned.stdout
    );
    assert!(
        !database(&studio).exists() && folder.join("artists.json").exists(),
        "`plan` keeps nothing"
    );
    assert_eq!(studio.sync().counts.deactivated, 1);
    assert!(!folder.exists());
    assert_eq!(
        rows(
            &studio,
            "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"
        ),
        2
    );
}

#[test]
fn plan_makes_no_state() {
    let studio = Studio::of(&["ada"]).end_to_end();
    assert_eq!(studio.run(&["plan"]).status, 0);
    assert!(!studio.state_dir().exists());
}

#[test]
fn jobs_that_begin_at_once_make_one_database() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let jobs: Vec<String> = (0..6).map(|number| format!("job{number}")).collect();
    let more: Vec<String> = jobs
        .iter()
        .map(|job| {
            format!(
                "[jobs.{job}]\nsearch_bases = [\"ou=people,dc=studio,dc=test\"]\nfilter = \
                 \"(uid=ada)\"\nattributes = {{ username = \"uid\" }}\nusers.adopt = \"never\"\n"
            )
        })
        .collect();
    add_config(&studio, &more.concat());
    for _ in 0..3 {
        // Each command writes the configuration anew, so all are made before the first one reads
        // it.
        let commands: Vec<Command> = jobs
            .iter()
            .map(|job| studio.command(&["sync", job, "--dry-run"]))
            .collect();
        let children: Vec<Child> = commands
            .into_iter()
            .map(|mut command| command.spawn().unwrap())
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        assert_eq!(rows(&studio, "SELECT count(DISTINCT job) FROM runs"), 6);
        assert_eq!(set_aside(&studio), Vec::<PathBuf>::new());
        fs::remove_dir_all(studio.state_dir()).unwrap();
    }
}

/// The variable that makes the test below the one who writes: the configuration's file.
const WRITER: &str = "FTRACK_LDAP_SYNC_TEST_WRITES_STATE";

/// Everybody is missing, in so many reads.
fn everybody(reads: u32) -> Absences {
    let since: DateTime<Utc> = "2026-01-31T10:00:00Z".parse().unwrap();
    (0..3000)
        .map(|number| {
            (
                format!("id-{number:05}"),
                Absence {
                    since: since.into(),
                    reads,
                },
            )
        })
        .collect()
}

fn pause(reason: &str) -> Pause {
    Pause {
        since: "2026-01-31T10:00:00Z".parse().unwrap(),
        until: None,
        reason: Some(reason.to_owned()),
        by: None,
    }
}

#[test]
fn a_writer_that_is_killed_leaves_all_of_it_or_nothing() {
    if let Some(file) = env::var_os(WRITER) {
        write_until_killed(&load(Path::new(&file)));
    }
    let studio = Studio::empty().end_to_end();
    let config = config(&studio);
    drop(open(&config));
    let mut cut_off = 0;
    for round in 0..30_u64 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "state::a_writer_that_is_killed_leaves_all_of_it_or_nothing",
            ])
            .env(WRITER, studio.config())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let journal = studio.state_dir().join("state.db-journal");
        // Some are killed in the middle of a write, some in between, some as soon as they begin.
        let seen = match round % 3 {
            0 => wait_until(LIMIT, || {
                fs::metadata(&journal).is_ok_and(|journal| journal.len() > 20_000 + 1000 * round)
            }),
            1 => wait_until(LIMIT, || journal.exists()),
            _ => wait_until(LIMIT, || studio.state_dir().join("began").exists()),
        };
        assert!(seen, "nothing was written");
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = fs::remove_file(studio.state_dir().join("began"));
        cut_off += u32::from(journal.exists());
        // `plan` looks first, at what is half written.
        let known = known(&config.state_dir, "artists", "").unwrap().absences;
        let state = open(&config);
        let absences = state.remembered("artists", "").unwrap().absences;
        assert_eq!(known, absences);
        let reads = absences.values().next().map_or(0, |absence| absence.reads);
        assert_eq!(
            absences,
            if reads == 0 {
                Absences::new()
            } else {
                everybody(reads)
            }
        );
    }
    assert!(cut_off > 5, "{cut_off} of 30 were killed while they wrote");
}

fn write_until_killed(config: &Config) -> ! {
    let state = open(config);
    fs::write(config.state_dir.join("began"), "yes").unwrap();
    let mut before = state.remembered("artists", "").unwrap().absences;
    for reads in (1..=9).cycle() {
        let now = everybody(reads);
        state.set_absences("artists", &before, &now).unwrap();
        state
            .set_pause("artists", Some(&pause(&reads.to_string())))
            .unwrap();
        before = now;
    }
    unreachable!("a cycle has no end")
}

#[test]
fn a_command_and_whoever_has_it_open_write_side_by_side() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let state = open(&config(&studio));
    let mut child = studio.start(&["sync", "--format", "json"]);
    let mut written = 0;
    // Not at every moment: SQLite's locks are not fair.
    while !wait_until(Duration::from_millis(20), || {
        child.try_wait().unwrap().is_some()
    }) {
        written += 1;
        state
            .set_pause("interns", Some(&pause(&written.to_string())))
            .unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(
        state.pause("interns").unwrap(),
        Some(pause(&written.to_string()))
    );
    assert_eq!(
        state
            .last_success("artists")
            .unwrap()
            .map(|run| run.outcome),
        Some(Outcome::Succeeded)
    );
}
