//! A full disk: old content stays, no file is left empty, and with free space everything continues.
//! Needs permission to mount a small tmpfs.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use super::*;
use crate::slapd::wait_until;

/// The size of the disk, in KiB.
const SIZE: u64 = 2048;

/// A small disk, gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it; none, and a word about it, where that is not permitted.
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let options = format!("size={SIZE}k,mode=0750");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output();
        match output {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            Ok(output) => {
                eprintln!(
                    "skipped: a tmpfs cannot be mounted here: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                None
            }
            Err(error) => {
                eprintln!("skipped: there is no mount: {error}");
                None
            }
        }
    }

    /// Leaves so much room, in KiB.
    fn leave(&self, room: u64) {
        self.empty();
        let mut file = File::create(self.filling()).unwrap();
        let mut fill = || while file.write_all(&[1; 4096]).is_ok() {};
        let is_full = wait_until(LIMIT, || {
            fill();
            self.room() == 0
        });
        assert!(is_full);
        let full = file.metadata().unwrap().len();
        file.set_len(full.saturating_sub(room * 1024)).unwrap();
    }

    /// The room that is left, in bytes: that of a file that was removed comes back a little later.
    fn room(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Takes away what fills it.
    fn empty(&self) {
        let Ok(filling) = self.filling().metadata() else {
            return;
        };
        fs::remove_file(self.filling()).unwrap();
        assert!(wait_until(LIMIT, || self.room() >= filling.len()));
    }

    fn filling(&self) -> PathBuf {
        self.0.join("filling")
    }

    /// Every file has something in it, but for locks, which never have, and none is half made.
    fn assert_nothing_is_empty(&self, when: &str) {
        let mut waiting = vec![self.0.clone()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.extension().is_none_or(|extension| extension != "lock")
                    && path != self.filling()
                {
                    assert!(
                        path.metadata().unwrap().len() > 0,
                        "{when}: {} is empty",
                        path.display()
                    );
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    assert!(
                        !name.ends_with(".new") && !name.ends_with("-journal"),
                        "{when}: {name} stays behind"
                    );
                }
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(
            Command::new("umount")
                .arg("--lazy")
                .arg(&self.0)
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
fn a_database_is_made_whole_or_not_at_all() {
    let studio = Studio::empty().end_to_end();
    let config = config(&studio);
    let Some(disk) = Disk::mount(&studio.state_dir()) else {
        return;
    };
    let (mut made, mut refused) = (0, 0);
    for room in (0..=320).step_by(4) {
        disk.leave(room);
        match State::open(&config) {
            Ok((state, _)) => {
                made += 1;
                drop(state);
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("no space is left"), "{error}");
                assert!(!database(&studio).exists());
            }
        }
        disk.assert_nothing_is_empty(&format!("{room} KiB"));
        disk.empty();
        drop(open(&config));
        fs::remove_file(database(&studio)).unwrap();
    }
    assert!(made > 0 && refused > 0, "{made} found room, {refused} none");

    // A damaged one stays where it is until there is room for another.
    fs::write(database(&studio), "damaged").unwrap();
    disk.leave(4);
    State::open(&config).unwrap_err();
    assert_eq!(fs::read(database(&studio)).unwrap(), b"damaged");
    disk.assert_nothing_is_empty("damaged");
    disk.empty();
    assert!(State::open(&config).unwrap().1.is_some());
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let config = config(&studio);
    let Some(disk) = Disk::mount(&studio.state_dir()) else {
        return;
    };
    studio.sync();
    let state = open(&config);
    let run = state.last_run("artists").unwrap().unwrap();
    let mut refused = (0, 0);
    for room in (0..=64).step_by(4) {
        state.set_pause("artists", Some(&pause("before"))).unwrap();
        disk.leave(room);
        let after = pause(&"long ".repeat(2000));
        let expected = match state.set_pause("artists", Some(&after)) {
            Ok(()) => after,
            Err(error) => {
                refused.0 += 1;
                assert!(error.to_string().contains("no space is left"), "{error}");
                pause("before")
            }
        };
        assert_eq!(
            state.pause("artists").unwrap(),
            Some(expected.clone()),
            "{room} KiB"
        );
        disk.leave(room);
        let mut newer = run.clone();
        newer.run = format!("29990101-000000-{room:04x}");
        newer.error = Some("long ".repeat(4000));
        let last = state.last_run("artists").unwrap();
        let expected_run = match state.add_run(&newer, &config.reports) {
            Ok(()) => Some(newer),
            Err(_) => {
                refused.1 += 1;
                last
            }
        };
        assert_eq!(
            state.last_run("artists").unwrap(),
            expected_run,
            "{room} KiB"
        );
        disk.assert_nothing_is_empty(&format!("{room} KiB"));
        let again = open(&config);
        assert_eq!(
            again.pause("artists").unwrap(),
            Some(expected),
            "{room} KiB"
        );
        disk.empty();
    }
    assert!(
        (1..17).contains(&refused.0) && (1..17).contains(&refused.1),
        "{refused:?} of 17 found no room"
    );
}

#[test]
fn a_sync_without_room_fails_and_the_next_one_with_room_works() {
    let uids: Vec<String> = (0..40).map(|number| format!("user{number:02}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let studio = Studio::of(&uids).end_to_end();
    let Some(disk) = Disk::mount(&studio.state_dir()) else {
        return;
    };
    let created = || {
        studio
            .ftrack()
            .users()
            .iter()
            .filter(|user| user.username.starts_with("user"))
            .count()
    };
    let mut failed = 0;
    for room in [0, 4, 16, 24, 32, 40, 56, 96, 240] {
        let before = created();
        disk.leave(room);
        let ended = studio.run(&["sync", "--log-format", "json"]);
        failed += u32::from(ended.status == 1);
        assert!(
            [0, 1].contains(&ended.status),
            "{room} KiB: {}",
            ended.stderr
        );
        if ended.status == 1 {
            let said = ended.stderr.contains("no space") || ended.stderr.contains("No space");
            assert!(said, "{room} KiB: {}", ended.stderr);
        }
        assert!(created() >= before);
        disk.assert_nothing_is_empty(&format!("{room} KiB"));
    }
    assert!(failed >= 3, "{failed} of 9 found no room");
    disk.empty();
    let next = studio.sync();
    assert_eq!(
        (next.outcome, created()),
        (Outcome::Succeeded, 40),
        "{next:#?}"
    );
    studio.sync_changes_nothing();
    drop(open(&config(&studio)));
}
