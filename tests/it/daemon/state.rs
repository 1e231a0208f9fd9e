//! The daemon's state: damaged, lost, or on a full disk.

use std::{fs, path::Path, process::Command};

use ftrack_ldap_sync::{demo::ftrack::Fault, model::report::Outcome};

use super::{Daemon, job, must, status, wait_for_phase};
use crate::{rules::add_config, slapd::wait_until, studio::Studio};

#[test]
fn a_damaged_database_is_set_aside_and_made_anew() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"");
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    daemon.stop();
    let database = studio.state_dir().join("state.db");
    let content = fs::read(&database).unwrap();
    fs::write(&database, &content[..content.len() / 3]).unwrap();
    let daemon = Daemon::start(&studio);
    let told = daemon.event("state.set_aside");
    assert!(
        told["path"].as_str().unwrap().contains("damaged"),
        "{told:#?}"
    );
    studio.reports_when(reports.len() + 1);
    assert!(
        studio
            .reports()
            .iter()
            .all(|report| report.outcome == Outcome::Succeeded)
    );
    must(&studio, 0, &["status"]);
}

/// Adds a job that finds nobody.
fn add_interns(studio: &Studio) {
    add_config(
        studio,
        "[jobs.interns]\nsearch_bases = [\"ou=people,dc=studio,dc=test\"]\nfilter = \
         \"(uid=nobody)\"\nattributes = { username = \"uid\" }\nlimits.min_entries = 0\n",
    );
}

/// The reason for which the interns' job is paused, as `status` tells it.
fn interns_wait_for(studio: &Studio) -> String {
    let jobs = status(studio)["jobs"].as_array().unwrap().clone();
    let interns = jobs.iter().find(|job| job["job"] == "interns").unwrap();
    interns["pause"]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_database_that_is_deleted_under_the_daemon_is_made_anew_at_once() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    add_interns(&studio);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger", "artists"]);
    must(&studio, 0, &["pause", "interns", "--reason", "they move"]);
    let folder = studio.state_dir();
    let runs = |expected: usize| {
        let connection = rusqlite::Connection::open(folder.join("state.db")).unwrap();
        let runs: i64 = connection
            .query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
            .unwrap();
        assert_eq!(runs as usize, expected);
    };
    fs::remove_file(folder.join("state.db")).unwrap();
    must(&studio, 0, &["trigger", "artists"]);
    assert!(
        daemon.event("state.remade")["path"]
            .as_str()
            .unwrap()
            .ends_with("state.db")
    );
    runs(2);
    fs::remove_file(folder.join("state.lock")).unwrap();
    must(&studio, 0, &["trigger", "artists"]);
    runs(3);
    assert_eq!(
        daemon.events("state.remade").len(),
        1,
        "only the lock file was new"
    );
    fs::remove_dir_all(&folder).unwrap();
    must(&studio, 0, &["trigger", "artists"]);
    runs(1);
    assert_eq!(daemon.events("state.remade").len(), 2);
    for failed in [
        "state.failed",
        "daemon.state_failed",
        "run.broken",
        "outage.began",
    ] {
        assert!(daemon.events(failed).is_empty(), "{failed}");
    }
    assert_eq!(interns_wait_for(&studio), "they move");
    daemon.stop();
    let daemon = Daemon::start(&studio);
    assert_eq!(
        interns_wait_for(&studio),
        "they move",
        "it is kept over a restart as well"
    );
    drop(daemon);
}

#[test]
fn what_holds_a_job_up_is_kept_when_the_database_is_deleted() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"\nretry = { initial = \"1h\", max = \"1h\" }");
    let daemon = Daemon::start(&studio);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    let before = wait_for_phase(&studio, "backing_off")["backoff"].clone();
    fs::remove_dir_all(studio.state_dir()).unwrap();
    // Something else that is kept finds it gone.
    must(&studio, 0, &["pause"]);
    must(&studio, 0, &["resume"]);
    daemon.event("state.remade");
    daemon.stop();
    let _daemon = Daemon::start(&studio);
    assert_eq!(wait_for_phase(&studio, "backing_off")["backoff"], before);
}

/// A file system of a few hundred kilobytes, gone at the end.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// Nothing where the system does not allow it.
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"])
            .arg(at)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: a tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_writing_and_not_the_daemon() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"* * * * * *\"\nretry = { initial = \"1s\", max = \"1s\" }");
    let folder = studio.state_dir();
    let Some(_small) = Small::mount(&folder) else {
        return;
    };
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    let filler = folder.join("filler");
    // Fills it to the last block.
    let _ = fs::write(&filler, vec![1; 1 << 20]);
    let outage = daemon.event("outage.began");
    assert_eq!(outage["kind"], "state", "{outage:#?}");
    wait_for_phase(&studio, "backing_off");
    assert!(wait_until(
        super::LIMIT,
        || job(&studio)["backoff"]["failures"].as_u64() >= Some(4)
    ));
    for event in ["daemon.state_failed", "run.broken", "outage.began"] {
        let said = daemon.events(event);
        assert!(
            said.len() <= 1,
            "{event} is said once, however long it lasts: {said:#?}"
        );
    }
    assert_eq!(
        must(&studio, 1, &["pause", "--reason", "x"]).status,
        1,
        "a pause that cannot be kept is not done"
    );
    let empty: Vec<_> = files_below(&folder)
        .into_iter()
        .filter(|path| path != &filler && is_empty(path))
        .collect();
    assert!(empty.is_empty(), "{empty:?}");
    fs::remove_file(&filler).unwrap();
    daemon.event("outage.ended");
    assert!(wait_until(super::LIMIT, || studio
        .reports()
        .last()
        .is_some_and(|report| report.outcome == Outcome::Succeeded)));
}

fn is_empty(path: &Path) -> bool {
    // Locks have nothing to say.
    path.extension().is_none_or(|extension| extension != "lock")
        && fs::metadata(path).is_ok_and(|file| file.len() == 0)
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}
