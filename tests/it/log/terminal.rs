//! Standard error is a terminal: the progress line, and a terminal that stalls.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::Report,
};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{all_of, end_of, studio_of};

/// A terminal as a person has it, and the other side of it.
struct Terminal {
    person: File,
    program: OwnedFd,
}

impl Terminal {
    fn open() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let program = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap()
            .into();
        Self {
            person: person.into(),
            program,
        }
    }

    /// Starts a program whose standard error is this terminal; gives the side of the person.
    fn start(self, mut command: Command) -> (Child, File) {
        let child = command
            .env("TERM", "xterm")
            .stderr(Stdio::from(self.program))
            .spawn()
            .unwrap();
        (child, self.person)
    }
}

/// What a terminal shows until the program has ended.
fn shown(mut person: File) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        // A terminal that no program has open any more ends with an error.
        while let Ok(length @ 1..) = person.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(bytes).unwrap()
    })
}

#[test]
fn a_terminal_shows_how_far_a_run_is_and_nothing_of_it_at_the_end() {
    let studio = studio_of(30);
    studio.ftrack().fail_when(|call| {
        (call.number_of_kind == 1).then_some(Fault::Delay(Duration::from_millis(600)))
    });
    let (mut sync, person) = Terminal::open().start(studio.command(&["sync", "--format", "json"]));
    let (shown, stdout) = (shown(person), all_of(sync.stdout.take().unwrap()));
    assert_eq!(end_of(&mut sync).code(), Some(0));
    let shown = shown.join().unwrap();
    for words in [
        "reading both servers",
        "writing: 0 of 30 changes",
        "\r\u{1b}[2K",
    ] {
        assert!(shown.contains(words), "{words:?} is not in {shown:?}");
    }
    assert!(shown.ends_with("\r\u{1b}[2K"), "{shown:?}");
    assert!(
        !shown.contains('\n') && !shown.contains("\u{1b}[3"),
        "one line, and no colours: {shown:?}"
    );
    let report: Report = serde_json::from_str(&stdout.join().unwrap()).unwrap();
    assert_eq!(report.counts.created, 30);
}

#[test]
fn a_terminal_that_can_do_nothing_shows_no_line() {
    let studio = studio_of(3);
    let (mut sync, person) = Terminal::open().start({
        let mut command = studio.command(&["sync", "nobody"]);
        command.env("NO_COLOR", "1");
        command
    });
    let shown_of_it = shown(person);
    assert_eq!(end_of(&mut sync).code(), Some(2));
    let shown_of_it = shown_of_it.join().unwrap();
    assert!(
        shown_of_it.starts_with("error: ") && shown_of_it.ends_with("\r\n"),
        "{shown_of_it:?}"
    );
    assert!(!shown_of_it.contains('\u{1b}'), "{shown_of_it:?}");

    let terminal = Terminal::open();
    let mut command = studio.command(&["sync"]);
    let mut sync = command
        .env("TERM", "dumb")
        .stderr(Stdio::from(terminal.program))
        .spawn()
        .unwrap();
    drop(command);
    let shown_of_it = shown(terminal.person);
    drop(sync.stdout.take());
    assert_eq!(end_of(&mut sync).code(), Some(0));
    assert_eq!(shown_of_it.join().unwrap(), "");
}

#[test]
fn a_mistake_in_the_command_line_is_shown_with_usage_and_in_colour_where_it_may_be() {
    let studio = studio_of(1);
    for (no_colour, coloured) in [("", true), ("1", false)] {
        let mut command = studio.command(&["sync", "--no-such-option"]);
        command.env("NO_COLOR", no_colour);
        let (mut sync, person) = Terminal::open().start(command);
        let shown = shown(person);
        assert_eq!(end_of(&mut sync).code(), Some(2));
        let shown = shown.join().unwrap();
        assert!(
            shown.contains("Usage:") && shown.contains("--no-such-option"),
            "{shown:?}"
        );
        assert_eq!(shown.contains("\u{1b}["), coloured, "{shown:?}");
    }
}

#[test]
fn a_terminal_that_was_told_to_stop_holds_up_no_run() {
    let studio = studio_of(30);
    for verbose in [&["--verbose"] as &[_], &[]] {
        let mut terminal = Terminal::open();
        // Ctrl-S.
        terminal.person.write_all(b"\x13").unwrap();
        let (mut sync, person) =
            terminal.start(studio.command(&[&["sync", "--format", "json"], verbose].concat()));
        let stdout = all_of(sync.stdout.take().unwrap());
        assert_eq!(end_of(&mut sync).code(), Some(0));
        let report: Report = serde_json::from_str(&stdout.join().unwrap()).unwrap();
        assert_eq!(report.counts.created + report.counts.unchanged, 30);
        drop(person);
    }
}

#[test]
fn a_terminal_that_goes_on_shows_the_last_step_and_no_old_ones() {
    let studio = studio_of(30);
    let (say, heard) = std::sync::mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write && call.number_of_kind == 1).then(|| {
            say.send(()).unwrap();
            Fault::Delay(Duration::from_millis(1500))
        })
    });
    let mut terminal = Terminal::open();
    terminal.person.write_all(b"\x13").unwrap();
    let (mut sync, mut person) = terminal.start(studio.command(&["sync", "--format", "json"]));
    let stdout = all_of(sync.stdout.take().unwrap());
    heard.recv_timeout(super::LIMIT).unwrap();
    // Ctrl-Q.
    person.write_all(b"\x11").unwrap();
    let shown = shown(person);
    assert_eq!(end_of(&mut sync).code(), Some(0));
    let shown = shown.join().unwrap();
    assert!(
        shown.contains("writing: 0 of 30 changes") && shown.ends_with("\r\u{1b}[2K"),
        "{shown:?}"
    );
    drop(stdout);
}
