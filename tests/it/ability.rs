//! The requirements of tests that boot a system or run containers, and the message when they are
//! skipped.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Copies the program, which may lie where only root reaches it, for everybody to run.
///
/// Another program copies it: a file that this process writes cannot be run as long as a child that
/// another test starts meanwhile has it open (`ETXTBSY`).
pub fn copy_program(to: &Path) {
    let mut copy = Command::new("install");
    copy.args(["-m", "755", env!("CARGO_BIN_EXE_ftrack-ldap-sync")]);
    assert!(copy.arg(to).status().unwrap().success());
}

/// Whether a test has to be left out for want of a program, which is said.
pub fn must_skip(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| find(program).is_none());
    is_skipped(
        test,
        missing.map(|program| format!("there is no {program} on this machine")),
    )
}

/// As [`must_skip`], and for want of the right to make namespaces and to mount in them.
pub fn must_skip_as_root(test: &str, programs: &[&str]) -> bool {
    let mounts = || {
        Command::new("unshare")
            .args([
                "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt",
            ])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let may = fs::metadata("/proc/self").unwrap().uid() == 0 && mounts();
    must_skip(test, programs)
        || is_skipped(
            test,
            (!may).then(|| "it needs root, and the right to mount".to_owned()),
        )
}

/// The library that shows a program another time than the machine's; where it is missing, the test
/// has to be left out, which is said.
pub fn fake_time(test: &str) -> Option<PathBuf> {
    let below = |folder: &str| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    let folders = below("/usr/lib")
        .into_iter()
        .chain(["/usr/lib".into(), "/usr/lib64".into()]);
    let found = folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file());
    is_skipped(
        test,
        found
            .is_none()
            .then(|| "there is no libfaketime on this machine".to_owned()),
    );
    found
}

/// Whether there is a reason to leave a test out, which is said.
#[allow(
    clippy::explicit_write,
    reason = "the test harness keeps what a passing test prints to itself"
)]
pub fn is_skipped(test: &str, reason: Option<String>) -> bool {
    if let Some(reason) = &reason {
        writeln!(io::stderr(), "SKIPPED {test}: {reason}").unwrap();
    }
    reason.is_some()
}

/// Where a program is, administrators' folders included.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    path.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

/// A folder beside what cargo builds, which goes with `cargo clean`.
pub fn cached(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join(name)
}

/// Keeps other test processes out until it is dropped.
pub fn lock(path: &Path) -> File {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = File::create(path.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    lock
}
