//! `init` on a terminal: questions, defaults, wrong answers, and secrets that are not shown.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use ftrack_ldap_sync::demo::cast;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::{Place, mode};
use crate::{
    crash::LIMIT,
    slapd::{Setup, wait_until},
    studio::{KEY, PASSWORD, Studio},
};

/// A person at a terminal, with a program.
struct Talk {
    person: File,
    terminal: OwnedFd,
    child: Child,
    shown: Arc<Mutex<String>>,
    /// How much of it was looked at.
    seen: usize,
}

impl Talk {
    fn start(mut command: Command) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let terminal: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap()
            .into();
        let size = Winsize {
            ws_col: 2000,
            ws_row: 50,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let child = command
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::from(terminal.try_clone().unwrap()))
            .stdout(Stdio::from(terminal.try_clone().unwrap()))
            .stderr(Stdio::from(terminal.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let person: File = person.into();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, into) = (person.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).replace('\r', "");
                into.lock().unwrap().push_str(&text);
            }
        });
        Self {
            person,
            terminal,
            child,
            shown,
            seen: 0,
        }
    }

    /// Waits until something is said that was not before.
    fn hears(&mut self, text: &str) {
        let (shown, seen) = (Arc::clone(&self.shown), self.seen);
        let found = || shown.lock().unwrap()[seen..].find(text);
        assert!(
            wait_until(LIMIT, || found().is_some()),
            "{text}\n{}",
            self.all()
        );
        self.seen += found().unwrap() + text.len();
    }

    fn says(&mut self, answer: &str) {
        self.person
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }

    /// Waits for a question, and answers it.
    fn answers(&mut self, question: &str, answer: &str) {
        self.hears(question);
        self.says(answer);
    }

    /// The same for a secret, while the terminal shows nothing.
    fn hides(&mut self, question: &str, answer: &str) {
        self.hears(question);
        assert!(!self.echoes());
        self.says(answer);
    }

    fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO)
    }

    fn all(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn status(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Ctrl-C, as the terminal passes it on.
    fn interrupts(&mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
    }
}

/// People in a real directory.
fn people() -> String {
    let people = cast::people(12, 3, cast::Oddities::None);
    let entries: Vec<_> = people.into_iter().map(|person| person.entry).collect();
    cast::ldif(&entries)
}

#[test]
fn wrong_answers_are_explained_and_asked_for_again() {
    let slapd = Setup::new(people()).start();
    let studio = Studio::empty();
    let place = Place::new();
    let state = place.file("state").display().to_string();
    let mut talk = Talk::start(place.command(&["init", "--state-dir", &state]));
    talk.hears("nothing is written before the end");
    talk.answers("Directory server", "http://127.0.0.1");
    talk.hears("is not an LDAP scheme");
    talk.answers("[http://127.0.0.1]: ", "ldap://127.0.0.1:1");
    talk.hears("cannot connect to");
    talk.answers("Directory server", slapd.url().as_str());
    talk.hears("answers: OpenLDAP");
    talk.answers("How it is entered (password, external, ", "kerberos");
    talk.hears("\"kerberos\" is none of these");
    talk.answers("anonymous) [password]: ", "");
    talk.answers("(bind DN): ", "");
    talk.hears("An answer is needed");
    talk.answers("(bind DN): ", cast::SERVICE);
    talk.hides("Its password (not shown): ", "not-the-password");
    talk.hears("refused");
    talk.answers("[password]: ", "");
    talk.answers(&format!("(bind DN) [{}]: ", cast::SERVICE), "");
    talk.hides("Its password (not shown): ", PASSWORD);
    talk.hears("The account is accepted.");
    talk.answers(
        "Kind of directory (active-directory, samba, 389, freeipa, openldap, generic) [openldap]: ",
        "novell",
    );
    talk.hears("\"novell\" is no kind of directory");
    talk.answers("[openldap]: ", "");
    talk.answers(
        "Where people are searched for (DN) [ou=people,dc=studio,dc=test]: ",
        "ou=nobody,dc=studio,dc=test",
    );
    talk.hears("ou=nobody,dc=studio,dc=test");
    talk.answers("[ou=people,dc=studio,dc=test]: ", "");
    talk.answers("Address of ftrack", "ftp://studio");
    talk.hears("ftrack.server");
    talk.answers("Address of ftrack", "https://127.0.0.1:1");
    talk.answers("as whom the API key acts [ldap-sync]: ", "");
    talk.hides("Its API key (not shown): ", "not-the-key");
    talk.answers("Address of ftrack", &studio.ftrack_url());
    talk.answers("as whom the API key acts [ldap-sync]: ", "");
    talk.hides("Its API key (not shown): ", KEY);
    talk.hears("and the key is accepted.");
    talk.hears("Written: ");
    assert_eq!(talk.status(), 0, "{}", talk.all());
    assert!(talk.echoes());
    let all = talk.all();
    for secret in [PASSWORD, KEY, "not-the-key", "not-the-password"] {
        assert!(!all.contains(secret), "{all}");
    }
    assert_eq!(
        place.files(),
        ["config.toml", "ftrack-api-key", "ldap-password"]
    );
    for (name, secret) in [("ftrack-api-key", KEY), ("ldap-password", PASSWORD)] {
        assert_eq!(fs::read_to_string(place.file(name)).unwrap(), secret);
        assert_eq!(mode(&place.file(name)), 0o600);
    }
    let checked = place.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    let planned = place.run(&["plan"]);
    assert_eq!(
        planned.stdout.matches("  + create ").count(),
        12,
        "{}",
        planned.stdout
    );
}

#[test]
fn a_stop_at_any_question_leaves_nothing() {
    let studio = Studio::of(&["ada"]);
    let questions = [
        ("Directory server", studio.directory_url.clone()),
        ("How it is entered", String::new()),
        ("(bind DN): ", cast::SERVICE.to_owned()),
        ("Its password (not shown): ", PASSWORD.to_owned()),
        ("Kind of directory", String::new()),
        ("Where people are searched for (DN)", String::new()),
        ("Address of ftrack", studio.ftrack_url()),
        ("as whom the API key acts", String::new()),
        ("Its API key (not shown): ", KEY.to_owned()),
    ];
    for stopped_at in 0..questions.len() {
        let place = Place::new();
        let mut talk = Talk::start(place.command(&["init"]));
        for (question, answer) in &questions[..stopped_at] {
            talk.answers(question, answer);
        }
        talk.hears(questions[stopped_at].0);
        if stopped_at % 2 == 0 {
            talk.interrupts();
            talk.hears("stopped on request; nothing is written");
        } else {
            // The end of the input (Ctrl-D).
            talk.person.write_all(b"\x04").unwrap();
            talk.hears("there are no more answers; nothing is written");
        }
        assert_eq!(talk.status(), 1, "{}", talk.all());
        assert!(talk.echoes(), "{}", questions[stopped_at].0);
        assert_eq!(place.files(), [""; 0], "{}", questions[stopped_at].0);
    }
}

#[test]
fn what_the_options_say_is_not_asked_and_what_failed_may_be_accepted() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    // Nobody is there.
    let options = super::with(
        &place.options(&studio),
        "--base",
        "ou=services,dc=studio,dc=test",
    );
    let options = options.iter().flat_map(|(name, value)| [*name, value]);
    let arguments: Vec<&str> = ["init"].into_iter().chain(options).collect();
    for (answer, status, files) in [("n", 1, &[][..]), ("y", 0, &["config.toml"][..])] {
        let mut talk = Talk::start(place.command(&arguments));
        talk.answers("Kind of directory", "");
        talk.answers("Write the configuration all the same? [y/N] ", answer);
        assert_eq!(talk.status(), status, "{}", talk.all());
        assert_eq!(place.files(), files);
    }
}
