//! The database, its lock file or the whole state directory deleted while in use: it is recreated
//! at the next use.

use std::fs;

use ftrack_ldap_sync::demo::ftrack::CallKind;

use super::{Studio, config, database, everybody, open, pause, rows};

/// The lines of a command's log that say this.
fn said(stderr: &str, event: &str) -> usize {
    stderr
        .lines()
        .filter(|line| line.contains(&format!("\"event\":\"{event}\"")))
        .count()
}

#[test]
fn a_run_under_way_goes_on_and_is_kept() {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    for (number, what) in [Deleted::Database, Deleted::LockFile, Deleted::Folder]
        .into_iter()
        .enumerate()
    {
        let folder = studio.state_dir();
        studio
            .tree()
            .add(crate::studio::person(
                &format!("new{number}"),
                "New",
                "Comer",
            ))
            .unwrap();
        studio.ftrack().fail_when(move |call| {
            if call.kind == CallKind::Write && call.number_of_kind == 1 {
                what.delete(&folder);
            }
            None
        });
        studio.ftrack().forget();
        let ended = studio.run(&["sync", "--format", "json"]);
        studio.ftrack().heal();
        assert_eq!(
            (ended.status, ended.report().counts.created),
            (0, 1),
            "{what:?}: {}",
            ended.stderr
        );
        let told = usize::from(what != Deleted::LockFile);
        assert_eq!(
            said(&ended.stderr, "state.remade"),
            told,
            "{what:?}: {}",
            ended.stderr
        );
        assert_eq!(
            said(&ended.stderr, "state.failed"),
            0,
            "{what:?}: {}",
            ended.stderr
        );
        let runs = if what == Deleted::Folder {
            1
        } else {
            number as i64 + 2
        };
        assert_eq!(rows(&studio, "SELECT count(*) FROM runs"), runs, "{what:?}");
    }
    studio.sync_changes_nothing();
}

/// What somebody deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deleted {
    Database,
    LockFile,
    Folder,
}

impl Deleted {
    fn delete(self, folder: &std::path::Path) {
        match self {
            Self::Database => fs::remove_file(folder.join("state.db")).unwrap(),
            Self::LockFile => fs::remove_file(folder.join("state.lock")).unwrap(),
            Self::Folder => fs::remove_dir_all(folder).unwrap(),
        }
    }
}

#[test]
fn a_command_and_whoever_has_it_open_find_the_same_new_one() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let daemon = open(&config(&studio));
    daemon
        .set_pause("interns", Some(&pause("moving house")))
        .unwrap();
    daemon
        .set_absences("artists", &Default::default(), &everybody(1))
        .unwrap();
    fs::remove_file(database(&studio)).unwrap();
    // The command knows nothing of what was there before.
    assert_eq!(studio.sync().counts.created, 1);
    assert!(rows(&studio, "SELECT count(*) FROM pauses") == 0);
    assert_eq!(daemon.last_run("artists").unwrap().unwrap().entries, 1);
    assert_eq!(
        daemon.pause("interns").unwrap(),
        Some(pause("moving house"))
    );
    assert_eq!(rows(&studio, "SELECT count(*) FROM pauses"), 1);
    // Who was missing may have come back meanwhile: nobody is taken for missing on old grounds.
    assert_eq!(
        daemon.remembered("artists", "").unwrap().absences,
        Default::default()
    );
}
