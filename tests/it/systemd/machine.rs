//! A machine for one test: a small system, booted with a real systemd by systemd-nspawn, on the
//! network of this one.
//!
//! The system is installed once by debootstrap under `target/systemd/`; what a machine writes goes
//! to memory, and is lost with it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::ability::{cached, lock};

/// What a machine is booted and entered with.
pub const PROGRAMS: &[&str] = &["systemd-nspawn", "debootstrap", "nsenter"];

/// How long booting, or a command in the machine, may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends with its standard input, and the machine with it: also when the test's process dies in any
/// way.
const KEEPER: &str = r#"
"$@" </dev/null >"$CONSOLE" 2>&1 &
read -r _
kill -KILL $(cat /proc/$!/task/$!/children) $! 2>/dev/null
wait
"#;

/// A machine that is up.
pub struct Machine {
    keeper: Child,
    /// Its first process, as this machine numbers it.
    leader: u32,
    folder: TempDir,
    /// One machine at a time: without a systemd on this one that gives each a control group of its
    /// own, they share theirs.
    _alone: File,
}

/// How a command in the machine ended, and what it wrote.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: i32,
    /// Standard output and standard error.
    pub said: String,
}

impl Machine {
    /// Boots a machine with this repository at /src, and the program where cargo builds it for
    /// release.
    pub fn boot() -> Self {
        let (alone, folder) = (
            lock(&cached("systemd").join("tree")),
            tempfile::tempdir().unwrap(),
        );
        let tree = tree();
        let source = folder.path().join("src");
        fs::create_dir_all(source.join("target/release")).unwrap();
        for name in ["systemd", "target/release/ftrack-ldap-sync"] {
            let mut copy = Command::new("cp");
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            let from = if name.starts_with("target") {
                PathBuf::from(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
            } else {
                from
            };
            assert!(
                copy.arg("-r")
                    .arg(from)
                    .arg(source.join(name))
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let notices = UnixDatagram::bind(folder.path().join("notices")).unwrap();
        notices.set_read_timeout(Some(LIMIT)).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args([
            "-c",
            KEEPER,
            "keeper",
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--volatile=overlay",
            "--notify-ready=yes",
        ]);
        keeper.args(["--register=no", "--resolv-conf=off"]);
        if !Path::new("/run/systemd/system").is_dir() {
            keeper.arg("--keep-unit");
        }
        keeper.arg(format!(
            "--machine=test-{}",
            folder
                .path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .trim_matches(['.', '_'])
        ));
        keeper.arg(format!("--directory={}", tree.display()));
        keeper.arg(format!("--bind-ro={}:/src", source.display()));
        keeper
            .env("NOTIFY_SOCKET", folder.path().join("notices"))
            .env("CONSOLE", folder.path().join("console"));
        let keeper = keeper.stdin(Stdio::piped()).spawn().unwrap();
        let mut machine = Self {
            keeper,
            leader: 0,
            folder,
            _alone: alone,
        };
        let mut notice = [0; 4096];
        loop {
            let Ok(length) = notices.recv(&mut notice) else {
                let console =
                    fs::read_to_string(machine.folder.path().join("console")).unwrap_or_default();
                panic!("the machine does not come up:\n{console}");
            };
            let notice = String::from_utf8_lossy(&notice[..length]);
            for line in notice.lines() {
                if let Some(leader) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                    machine.leader = leader.parse().unwrap();
                }
            }
            if notice.lines().any(|line| line == "READY=1") {
                break;
            }
        }
        machine.shell("systemctl is-system-running --wait");
        machine
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.leader.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--cgroup",
            "--",
        ]);
        command.args([
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "timeout",
        ]);
        command.arg(LIMIT.as_secs().to_string()).args(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs shell lines as root, with `sudo` for what it is there.
    pub fn shell(&self, lines: &str) -> Ended {
        let lines = format!("set -e; cd /src; sudo() {{ \"$@\"; }}\n{lines}");
        ended(self.command(&["sh", "-c", &lines]).output().unwrap())
    }

    /// Runs shell lines that must end well, and returns what they said.
    pub fn ok(&self, lines: &str) -> String {
        let ended = self.shell(lines);
        assert_eq!(
            ended.status,
            0,
            "{lines}\n{}\n{}",
            ended.said,
            self.journal()
        );
        ended.said
    }

    /// Runs shell lines with a text at their standard input.
    pub fn ok_with_input(&self, lines: &str, input: &str) {
        let mut child = self
            .command(&["sh", "-ec", &format!("sudo() {{ \"$@\"; }}\n{lines}")])
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.status, 0, "{lines}\n{}", ended.said);
    }

    /// One property of the service.
    pub fn property(&self, name: &str) -> String {
        self.ok(&format!(
            "systemctl show --property={name} --value ftrack-ldap-sync"
        ))
        .trim()
        .to_owned()
    }

    /// What the service and systemd said about it.
    pub fn journal(&self) -> String {
        self.shell("journalctl --no-pager --output=cat --unit=ftrack-ldap-sync")
            .said
    }

    /// Awaits a line of the journal that holds this text.
    pub fn await_journal(&self, text: &str) {
        let words = [
            "journalctl",
            "--follow",
            "--lines=all",
            "--output=cat",
            "--unit=ftrack-ldap-sync",
        ];
        let mut child = self.command(&words).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines.map_while(Result::ok).any(|line| line.contains(text));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            found,
            "the journal does not say {text:?}:\n{}",
            self.journal()
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn ended(output: Output) -> Ended {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ended {
        status: output.status.code().unwrap_or(-1),
        said,
    }
}

/// The system that the machines share: of the same release as this one, whose C library the program
/// is linked with.
fn tree() -> PathBuf {
    let tree = cached("systemd").join("tree");
    if tree.exists() {
        return tree;
    }
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .expect("a release of Debian's");
    // Made under another name, so that what was cut off is not taken for a whole one.
    let unfinished = tree.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let made = Command::new("debootstrap")
        .args([
            "--variant=minbase",
            "--include=systemd,systemd-sysv,dbus,ca-certificates,procps",
            codename,
        ])
        .arg(&unfinished)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "debootstrap: {}",
        String::from_utf8_lossy(&made.stdout)
    );
    fs::create_dir_all(unfinished.join("var/log/journal")).unwrap();
    std::os::unix::fs::symlink(
        "/dev/null",
        unfinished.join("etc/systemd/system/console-getty.service"),
    )
    .unwrap();
    fs::rename(&unfinished, &tree).unwrap();
    tree
}
