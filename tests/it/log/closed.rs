//! Standard error without a reader: it has closed the pipe, or never existed.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
};

use ftrack_ldap_sync::model::report::Report;

use super::{Daemon, LIMIT, all_of, end_of, event, missed, studio_of};
use crate::{
    daemon::must,
    slapd::wait_until,
    studio::{Ended, Studio},
};

#[test]
fn a_sync_whose_log_reader_leaves_in_the_middle_writes_everything() {
    let studio = studio_of(300);
    let mut sync = studio.start(&["sync", "--format", "json"]);
    let mut log = BufReader::new(sync.stderr.take().unwrap());
    let stdout = all_of(sync.stdout.take().unwrap());
    for _ in 0..3 {
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        event(&line);
    }
    drop(log);
    assert_eq!(end_of(&mut sync).code(), Some(0));
    let report: Report = serde_json::from_str(&stdout.join().unwrap()).unwrap();
    assert_eq!((report.counts.created, report.changes.len()), (300, 300));
    assert_eq!(studio.ftrack().users().len(), 302);
    let kept: Report = studio
        .run(&["runs", "show", "last", "--format", "json"])
        .report();
    assert_eq!(kept, report);
    studio.sync_changes_nothing();
}

/// The program with standard output or error as a shell leaves them.
fn in_a_shell(studio: &Studio, redirection: &str, arguments: &[&str]) -> Ended {
    let program = studio.command(arguments);
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("exec \"$0\" \"$@\" {redirection}"))
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn without_any_standard_error_everything_is_done_and_the_status_tells() {
    let studio = studio_of(20);
    let ended = in_a_shell(&studio, "2>&-", &["sync", "--format", "json"]);
    assert_eq!(
        (
            ended.status,
            ended.report().counts.created,
            ended.stderr.as_str()
        ),
        (0, 20, "")
    );
    for form in ["json", "text"] {
        assert_eq!(
            in_a_shell(&studio, "2>&-", &["sync", "nobody", "--log-format", form]).status,
            2
        );
        assert_eq!(
            in_a_shell(
                &studio,
                "2>&-",
                &["sync", "--no-such-option", "--log-format", form]
            )
            .status,
            2
        );
    }
}

#[test]
fn a_log_on_a_full_disk_stops_nothing() {
    let studio = studio_of(20);
    let ended = in_a_shell(&studio, "2>/dev/full", &["sync", "--format", "json"]);
    assert_eq!((ended.status, ended.report().counts.created), (0, 20));
    assert_eq!(
        in_a_shell(
            &studio,
            "2>/dev/full",
            &["sync", "nobody", "--log-format", "text"]
        )
        .status,
        2
    );
}

#[test]
fn results_come_after_the_log_lines_before_them() {
    let studio = studio_of(50);
    let ended = in_a_shell(&studio, "2>&1", &["sync"]);
    let (log, result): (Vec<&str>, Vec<&str>) =
        ended.stdout.lines().partition(|line| line.starts_with('{'));
    assert_eq!(
        log.last().map(|line| event(line).0),
        Some("run.finished".to_owned())
    );
    let in_order: Vec<&str> = log.into_iter().chain(result).collect();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), in_order);
}

/// Opens a named pipe to read, without waiting for somebody who writes.
fn reader_of(pipe: &Path) -> File {
    // O_NONBLOCK as Linux has it; what is read later waits for lines all the same, by poll.
    OpenOptions::new()
        .read(true)
        .custom_flags(0o4000)
        .open(pipe)
        .unwrap()
}

/// The lines that are there, without waiting for more.
fn lines_so_far(pipe: &File, text: &mut String) {
    use std::io::Read;
    let mut bytes = Vec::new();
    // It ends with "would block" as long as somebody may still write.
    let _ = (&*pipe).read_to_end(&mut bytes);
    text.push_str(std::str::from_utf8(&bytes).unwrap());
}

#[test]
fn a_reader_that_comes_back_is_told_how_much_it_missed() {
    let studio = studio_of(30).watched();
    let pipe = studio.folder().join("log");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let first = reader_of(&pipe);
    let daemon = Daemon(
        studio
            .command(&["daemon"])
            .stderr(File::create(&pipe).unwrap())
            .spawn()
            .unwrap(),
    );
    studio.wait_until_ready();
    let mut before = String::new();
    let started = || {
        lines_so_far(&first, &mut before);
        ["daemon.started", "contact.made"].map(|name| before.matches(name).count()) == [1, 2]
            && before.ends_with('\n')
    };
    assert!(wait_until(LIMIT, started));
    drop(first);
    assert_eq!(studio.dropped(), 0);
    must(&studio, 0, &["trigger"]);
    // The run's course, and each user.
    assert!(
        wait_until(LIMIT, || studio.dropped() >= 35),
        "{}",
        studio.dropped()
    );
    let dropped = studio.dropped();

    let second = reader_of(&pipe);
    let mut after = String::new();
    // It is said although nothing else happens.
    let said = || {
        lines_so_far(&second, &mut after);
        after.contains("log.dropped") && after.ends_with('\n')
    };
    assert!(wait_until(LIMIT, said), "{after}");
    must(&studio, 0, &["pause", "--reason", "a look at the log"]);
    daemon.stop();
    lines_so_far(&second, &mut after);
    let lines: Vec<_> = after.lines().map(event).collect();
    assert_eq!(lines[0].0, "log.dropped", "{after}");
    assert_eq!(missed(&lines), dropped, "{after}");
    let names: Vec<&str> = lines[1..].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["job.paused", "daemon.stopping", "daemon.stopped"]);
    before.lines().for_each(|line| drop(event(line)));
}
