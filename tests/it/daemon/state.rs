//! What the daemon remembers: damaged, lost, or with no room for it.

use std::{fs, path::Path, process::Command};

use ftrack_ldap_sync::run::report::Outcome;

use super::{Daemon, job, must, wait_for_phase};
use crate::{slapd::wait_until, studio::Studio};

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
    assert!(told["path"].as_str().unwrap().contains("damaged"), "{told:#?}");
    studio.reports_when(reports.len() + 1);
    assert!(studio.reports().iter().all(|report| report.outcome == Outcome::Succeeded));
    must(&studio, 0, &["status"]);
}

/// A file system of a few hundred kilobytes, gone at the end.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// Nothing where the system does not allow it.
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(at).status();
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
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"\nretry = { initial = \"1s\", max = \"1s\" }");
    let folder = studio.state_dir();
    let Some(_small) = Small::mount(&folder) else { return };
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    let filler = folder.join("filler");
    // Fills it to the last block.
    let _ = fs::write(&filler, vec![1; 1 << 20]);
    let outage = daemon.event("outage.began");
    assert_eq!(outage["kind"], "state", "{outage:#?}");
    wait_for_phase(&studio, "backing_off");
    assert!(wait_until(super::LIMIT, || job(&studio)["backoff"]["failures"].as_u64() >= Some(4)));
    for event in ["daemon.state_failed", "run.broken", "outage.began"] {
        let said = daemon.events(event);
        assert!(said.len() <= 1, "{event} is said once, however long it lasts: {said:#?}");
    }
    assert_eq!(
        must(&studio, 1, &["pause", "--reason", "x"]).status,
        1,
        "a pause that cannot be kept is not done"
    );
    let empty: Vec<_> = files_below(&folder).into_iter().filter(|path| path != &filler && is_empty(path)).collect();
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
    path.extension().is_none_or(|extension| extension != "lock") && fs::metadata(path).is_ok_and(|file| file.len() == 0)
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}
