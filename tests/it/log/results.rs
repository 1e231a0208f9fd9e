//! Standard output whose reader has gone, or never existed: completed work stays done, and this is
//! not a failure.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
};

use super::{all_of, end_of, studio_of};
use crate::studio::Studio;

/// Takes one byte of a program's result and leaves; says how the program ended, and what it logged.
fn leave_after_one_byte(mut program: Child) -> (i32, String) {
    let log = all_of(program.stderr.take().unwrap());
    let mut stdout = program.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    (
        end_of(&mut program).code().unwrap_or(-1),
        log.join().unwrap(),
    )
}

#[test]
fn a_reader_that_takes_the_first_line_alone_changes_nothing() {
    // The report is larger than what a pipe holds.
    let studio = studio_of(400);
    let (status, log) = leave_after_one_byte(studio.start(&["sync", "--format", "json"]));
    assert_eq!(status, 0, "{log}");
    assert!(!log.contains("program."), "{log}");
    assert_eq!(studio.ftrack().users().len(), 402);
    for arguments in [
        &["runs", "show", "last", "--format", "json"] as &[_],
        &["runs", "show", "last"],
        &["runs"],
        &["config", "schema"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let (status, log) = leave_after_one_byte(studio.start(arguments));
        assert_eq!((status, log.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_left_before_the_first_byte_changes_nothing() {
    let studio = studio_of(30);
    let mut sync = studio.start(&["sync"]);
    drop(sync.stdout.take());
    let log = all_of(sync.stderr.take().unwrap());
    assert_eq!(end_of(&mut sync).code(), Some(0));
    assert!(!log.join().unwrap().contains("program."));
    assert_eq!(studio.ftrack().users().len(), 32);
    studio.sync_changes_nothing();
}

/// The program without any standard output.
fn without_stdout(studio: &Studio, arguments: &[&str]) -> (Option<i32>, String) {
    let program = studio.command(arguments);
    let output = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" >&-"])
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn without_any_standard_output_everything_is_done() {
    let studio = studio_of(30);
    let (status, log) = without_stdout(&studio, &["sync"]);
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("program."), "{log}");
    assert_eq!(studio.ftrack().users().len(), 32);
    for arguments in [
        &["runs", "show", "last", "--format", "json"] as &[_],
        &["runs"],
        &["--version"],
    ] {
        assert_eq!(
            without_stdout(&studio, arguments),
            (Some(0), String::new()),
            "{arguments:?}"
        );
    }
}
