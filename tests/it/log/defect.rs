//! A panic, which is a bug, is logged as one line, or printed as one line for people, and nothing
//! else.

use std::{
    env,
    process::{Command, Stdio},
};

use ftrack_ldap_sync::log::{self, LogFormat, Verbosity};

use super::event;

/// The variable that makes the test below the program with the defect: for whom it logs.
const BROKEN: &str = "FTRACK_LDAP_SYNC_TEST_PANICS_FOR";

/// What such a program says.
fn said_for(whom: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "log::defect::a_panic_is_one_line"])
        .env(BROKEN, whom)
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_panic_is_one_line() {
    if let Some(whom) = env::var_os(BROKEN) {
        panic_for(whom.to_str().unwrap());
    }
    let said = said_for("programs");
    let lines: Vec<_> = said.lines().map(event).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["program.panicked", "program.panicked"], "{said}");
    assert_eq!(lines[0].1["error"], "a thread\\u{a}forged a.rs:7");
    assert_eq!(lines[1].1["error"], "number 7");
    assert!(
        !said.contains("/build") && !said.contains("stack"),
        "{said}"
    );

    let said = said_for("people");
    let defect = "error: a bug in this program; please report it: ";
    assert_eq!(
        said,
        format!("{defect}a thread\\u{{a}}forged a.rs:7\n{defect}number 7\n")
    );
}

/// Panics on another thread, then on this one.
fn panic_for(whom: &str) -> ! {
    let people = whom == "people";
    let (form, loudness) = if people {
        (LogFormat::Text, Verbosity::Quiet)
    } else {
        (LogFormat::Json, Verbosity::Full)
    };
    log::start(Some(form), None, loudness).unwrap();
    log::say_panics(people);
    let broken = std::thread::spawn(|| panic!("a thread\nforged /build/somebody/a.rs:7"));
    broken.join().unwrap_err();
    let number = 7;
    let caught = std::panic::catch_unwind(|| panic!("number {number}"));
    caught.unwrap_err();
    log::finish();
    std::process::exit(0);
}
