//! A state directory that belongs to another user, who lays traps for root: links, journals that
//! name other jobs, and a database whose journal names a file of root.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::studio::{Ended, Studio};

/// Some user who is not root.
const SERVICE: u32 = 4711;

/// The file of root. SQLite deletes none with another form of name.
const FILE: &str = "file-mj000000900";

/// A studio whose state directory belongs to a service, and a file of root; none where the test is
/// not root's.
struct Trapped {
    studio: Studio,
    roots: PathBuf,
    /// What is in the file of root.
    content: Vec<u8>,
}

impl Trapped {
    fn studio() -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            println!("skipped: only root can use files as somebody else");
            return None;
        }
        let studio = Studio::of(&["ada"]).end_to_end();
        let roots = studio.folder().join("roots");
        fs::create_dir(&roots).unwrap();
        // What makes SQLite take it for its own: it lists the database's journal.
        let content = format!(
            "{}\0",
            studio.state_dir().join("state.db-journal").display()
        );
        fs::write(roots.join(FILE), &content).unwrap();
        fs::create_dir(studio.state_dir()).unwrap();
        let content = content.into_bytes();
        let trapped = Self {
            studio,
            roots,
            content,
        };
        trapped.give_away();
        Some(trapped)
    }

    /// Gives everything in the state directory to the service.
    fn give_away(&self) {
        for path in below(&self.studio.state_dir()) {
            std::os::unix::fs::lchown(path, Some(SERVICE), Some(SERVICE)).unwrap();
        }
    }

    fn state(&self, name: &str) -> PathBuf {
        self.studio.state_dir().join(name)
    }

    /// What the service puts into its directory.
    fn plant(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.state(name).parent().unwrap()).unwrap();
        fs::write(self.state(name), content).unwrap();
        self.give_away();
    }

    fn plant_link(&self, name: &str, target: &Path) {
        fs::create_dir_all(self.state(name).parent().unwrap()).unwrap();
        let _ = fs::remove_file(self.state(name));
        symlink(target, self.state(name)).unwrap();
        self.give_away();
    }

    fn clear(&self) {
        fs::remove_dir_all(self.studio.state_dir()).unwrap();
        fs::create_dir(self.studio.state_dir()).unwrap();
        self.give_away();
    }

    /// Nothing of root was touched, and everything in the state directory is the service's.
    #[track_caller]
    fn assert_nothing_was_hit(&self, trap: &str, ended: &Ended) {
        let there: Vec<PathBuf> = below(&self.roots);
        assert_eq!(
            there,
            [self.roots.clone(), self.roots.join(FILE)],
            "{trap}: {}",
            ended.stderr
        );
        assert_eq!(
            fs::read(self.roots.join(FILE)).unwrap(),
            self.content,
            "{trap}"
        );
        assert_eq!(
            fs::metadata(self.roots.join(FILE)).unwrap().uid(),
            0,
            "{trap}"
        );
        for path in below(&self.studio.state_dir()) {
            let there = fs::symlink_metadata(&path).unwrap();
            assert_eq!(
                (there.uid(), there.gid()),
                (SERVICE, SERVICE),
                "{trap}: {}",
                path.display()
            );
        }
    }
}

/// A directory and everything below it, in order; links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next) {
        next += 1;
        if fs::symlink_metadata(path).unwrap().is_dir() {
            let entries = fs::read_dir(path).unwrap();
            found.extend(
                entries
                    .map(|entry| entry.unwrap().path())
                    .collect::<Vec<_>>(),
            );
        }
    }
    found.sort();
    found
}

#[test]
fn root_works_there_as_the_owner() {
    let Some(trapped) = Trapped::studio() else {
        return;
    };
    let Trapped { studio, .. } = &trapped;
    // As for a service of systemd, the way there is closed to the service itself.
    fs::set_permissions(studio.folder(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(studio.sync().counts.created, 1);
    studio.sync_changes_nothing();
    let ended = studio.run(&["runs"]);
    assert_eq!(
        ended.stdout.matches("succeeded").count(),
        2,
        "{}",
        ended.stdout
    );
    assert_eq!(studio.run(&["plan", "--out", "/dev/null"]).status, 1);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    trapped.assert_nothing_was_hit("none", &ended);
    let locks = ["locks/artists.lock", "state.lock", "state.db"];
    for private in locks {
        let mode = fs::metadata(trapped.state(private)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600, "{private}");
    }
}

#[test]
fn root_follows_no_link_in_it() {
    let Some(trapped) = Trapped::studio() else {
        return;
    };
    let run = "20260131-100000-00ff";
    for (name, is_folder) in [
        ("reports", true),
        ("reports/artists", true),
        ("journals", true),
        ("journals/artists", true),
        ("locks", true),
        ("absences", true),
        ("locks/artists.lock", false),
        ("state.lock", false),
        ("state.db", false),
        ("state.db.new", false),
        ("state.db-journal", false),
    ] {
        trapped.clear();
        let target = if is_folder {
            trapped.roots.clone()
        } else {
            trapped.roots.join(FILE)
        };
        trapped.plant_link(name, &target);
        let ended = trapped.studio.run(&["sync"]);
        trapped.assert_nothing_was_hit(name, &ended);
        let ended = trapped.studio.run(&["runs", "show", "last"]);
        trapped.assert_nothing_was_hit(name, &ended);
        // To one that does not exist, it is not created.
        trapped.clear();
        trapped.plant_link(name, &trapped.roots.join("made"));
        let ended = trapped.studio.run(&["sync"]);
        trapped.assert_nothing_was_hit(name, &ended);
    }
    trapped.clear();
    trapped.plant_link(
        &format!("reports/artists/{run}.json"),
        &trapped.roots.join(FILE),
    );
    let ended = trapped.studio.run(&["runs", "show", run]);
    assert!(
        ended.stderr.contains("it is a link, which is not followed"),
        "{}",
        ended.stderr
    );
    trapped.clear();
    trapped.plant_link("daemon.lock", &trapped.roots.join(FILE));
    let ended = trapped.studio.run(&["daemon"]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    trapped.assert_nothing_was_hit("daemon.lock", &ended);
}

#[test]
fn a_journal_that_names_another_job_or_run_is_no_journal() {
    let Some(trapped) = Trapped::studio() else {
        return;
    };
    let report = trapped.studio.sync();
    let mut forged = serde_json::to_value(&report).unwrap();
    let run = "20260131-100000-00ff";
    let up = format!(
        "../../../{}",
        trapped.roots.file_name().unwrap().to_string_lossy()
    );
    for (job, of) in [
        (up.as_str(), run),
        ("artists", "../../../roots/20260131-100000-00ff"),
        ("artists", "20260131-100000-00fe"),
        ("interns", run),
    ] {
        forged["job"] = json!(job);
        forged["run"] = json!(of);
        trapped.plant(&format!("journals/artists/{run}.jsonl"), forged.to_string());
        let ended = trapped.studio.run(&["sync", "--log-format", "json"]);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert!(!ended.stderr.contains("run.recovered"), "{}", ended.stderr);
        trapped.assert_nothing_was_hit(job, &ended);
        let aside = trapped.state(&format!("journals/artists/{run}.jsonl.damaged"));
        fs::remove_file(aside).unwrap();
    }
    // The same of its own run is recovered.
    forged["job"] = json!("artists");
    forged["run"] = json!(run);
    trapped.plant(&format!("journals/artists/{run}.jsonl"), forged.to_string());
    let ended = trapped.studio.run(&["sync", "--log-format", "json"]);
    assert!(ended.stderr.contains("run.recovered"), "{}", ended.stderr);
}

/// A journal of SQLite, as of a program that was killed, that says that the write was part of one
/// over several databases, whose list is in that file. SQLite deletes the list when it is done.
fn journal_with_a_list(list: &Path, pages: u32) -> Vec<u8> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let name = list.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    let length = u32::try_from(name.len()).unwrap();
    let mut journal = MAGIC.to_vec();
    for number in [0, 0, pages, 512, 4096] {
        journal.extend(u32::to_be_bytes(number));
    }
    journal.resize(512, 0);
    // The page of the lock, which no journal has.
    journal.extend(u32::to_be_bytes(0x4000_0000 / 4096 + 1));
    journal.extend(name);
    journal.extend(u32::to_be_bytes(length));
    journal.extend(u32::to_be_bytes(sum));
    journal.extend(MAGIC);
    journal
}

#[test]
fn the_databases_own_journal_has_root_delete_nothing() {
    let Some(trapped) = Trapped::studio() else {
        return;
    };
    trapped.studio.sync();
    let database = fs::metadata(trapped.state("state.db")).unwrap();
    let pages = u32::try_from(database.len() / 4096).unwrap();
    let planted = journal_with_a_list(&trapped.roots.join(FILE), pages);
    for command in [&["plan"][..], &["sync"], &["runs"]] {
        trapped.plant("state.db-journal", &planted);
        let ended = trapped.studio.run(command);
        trapped.assert_nothing_was_hit(command[0], &ended);
    }
    // It would have: where both are root's, the file is gone.
    trapped.plant("state.db-journal", &planted);
    for path in below(&trapped.studio.state_dir()) {
        chown(path, Some(0), Some(0)).unwrap();
    }
    trapped.studio.run(&["sync"]);
    assert!(!trapped.roots.join(FILE).exists(), "the trap is none");
}
