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
use tempfile::TempDir;

use super::{Place, mode};
use crate::{
    crash::LIMIT,
    slapd::{ADMIN_DN, Setup, wait_until},
    studio::{KEY, PASSWORD, Studio},
};

/// A person at a terminal, with a program.
pub(super) struct Talk {
    person: File,
    terminal: OwnedFd,
    child: Child,
    shown: Arc<Mutex<String>>,
    /// How much of it was looked at.
    seen: usize,
}

impl Talk {
    /// At a terminal on which nothing is wrapped.
    pub(super) fn start(command: Command) -> Self {
        Self::of_columns(command, 2000)
    }

    fn of_columns(mut command: Command, columns: u16) -> Self {
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
            ws_col: columns,
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
    pub(super) fn hears(&mut self, text: &str) {
        let (shown, seen) = (Arc::clone(&self.shown), self.seen);
        let found = || shown.lock().unwrap()[seen..].find(text);
        assert!(
            wait_until(LIMIT, || found().is_some()),
            "{text}\n{}",
            self.all()
        );
        self.seen += found().unwrap() + text.len();
    }

    pub(super) fn says(&mut self, answer: &str) {
        self.person
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }

    /// Waits for a question, and answers it.
    pub(super) fn answers(&mut self, question: &str, answer: &str) {
        self.hears(question);
        self.says(answer);
    }

    /// The same for a secret, while the terminal shows nothing.
    pub(super) fn hides(&mut self, question: &str, answer: &str) {
        self.hears(question);
        assert!(!self.echoes());
        self.says(answer);
    }

    fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO)
    }

    pub(super) fn all(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    pub(super) fn status(&mut self) -> i32 {
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
    // What is no address is not offered again.
    talk.answers("Directory server", "ca_file=/etc/ssl/studio.pem");
    talk.hears("is not an address");
    talk.answers("Directory server", "ldap://127.0.0.1:1");
    talk.hears("cannot connect to");
    talk.answers("[ldap://127.0.0.1:1]: ", slapd.url().as_str());
    for no_address in ["[http://127.0.0.1]", "[ca_file="] {
        assert!(!talk.all().contains(no_address), "{}", talk.all());
    }
    talk.hears("answers: OpenLDAP");
    talk.answers("How it is entered (password, external, ", "kerberos");
    talk.hears("\"kerberos\" is none of these");
    talk.answers("anonymous) [password]: ", "");
    talk.answers("(bind DN): ", "");
    talk.hears("An answer is needed");
    let asked = slapd.logged("BIND dn=");
    for no_account in ["not-a-dn", "ldap-sync@studio.test", "STUDIO\\ldap-sync"] {
        talk.answers("(bind DN): ", no_account);
        talk.hears("that is no account, and was not sent");
    }
    assert_eq!(slapd.logged("BIND dn="), asked);
    talk.answers("(bind DN): ", ADMIN_DN);
    talk.hides("Its password (not shown): ", "not-the-password");
    talk.hears("refused");
    // Another account.
    talk.hides(
        "Its password again (not shown; empty: another account): ",
        "",
    );
    talk.answers("[password]: ", "");
    talk.answers(&format!("(bind DN) [{}]: ", ADMIN_DN), cast::SERVICE);
    talk.hides("Its password (not shown): ", "not-the-password");
    talk.hears("refused");
    // The same.
    talk.hides(
        "Its password again (not shown; empty: another account): ",
        PASSWORD,
    );
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
    talk.answers(
        "[ou=people,dc=studio,dc=test]: ",
        "ou=services,dc=studio,dc=test",
    );
    talk.hears("nobody found there; name another DN, or the same again to keep it");
    talk.answers("[ou=people,dc=studio,dc=test]: ", "");
    talk.hears("  12 people found.");
    talk.answers("Address of ftrack", "ftp://studio");
    talk.hears("ftrack.server");
    talk.answers("Address of ftrack", "https://127.0.0.1:1");
    talk.hears("Connection refused");
    talk.answers("Address of ftrack", &studio.ftrack_url());
    talk.answers("as whom the API key acts [ldap-sync]: ", "somebody");
    talk.hides("Its API key (not shown): ", "not-the-key");
    talk.hears("API key is not valid");
    // Only the key, and then only the user.
    talk.hides("Its API key again (not shown; empty: another user): ", KEY);
    talk.hears("username is not valid");
    talk.answers("as whom the API key acts [somebody]: ", "ldap-sync");
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
        talk.hears("nobody found there");
        talk.answers("(DN) [", "ou=services,dc=studio,dc=test");
        talk.answers("Write the configuration all the same? [y/N] ", answer);
        assert_eq!(talk.status(), status, "{}", talk.all());
        assert_eq!(place.files(), files);
    }
}

#[test]
fn the_file_of_an_authority_is_asked_for_where_it_is_missing() {
    let slapd = Setup::new(people()).start();
    let place = Place::new();
    let mut talk = Talk::start(place.command(&["init"]));
    let url = slapd.tls_url();
    talk.answers("Directory server", url.as_str());
    talk.hears("certificate is not trusted");
    talk.answers("PEM file of your CA (empty: none, ask again): ", "");
    talk.answers(&format!("several with commas [{url}]: "), "");
    talk.answers("PEM file of your CA", "/none/ca.pem");
    talk.hears("/none/ca.pem");
    let key = slapd.ca_file().with_file_name("ca.key");
    talk.answers("PEM file of your CA", key.to_str().unwrap());
    talk.hears("ca.key");
    // The same address, without being asked for it again.
    talk.answers("PEM file of your CA", slapd.ca_file().to_str().unwrap());
    talk.hears("answers: OpenLDAP");
    talk.hears("How it is entered");
    assert_eq!(talk.all().matches("Directory server: ").count(), 2);
    talk.interrupts();
    talk.hears("stopped on request");
    talk.child.wait().unwrap();
}

#[test]
fn files_that_a_service_cannot_read_are_copied_or_named() {
    let slapd = Setup::new(people()).start();
    let studio = Studio::empty();
    // The secrets are below /tmp, and the configuration is not.
    let place = Place {
        out: TempDir::new_in("/dev/shm").unwrap(),
        secrets: TempDir::new_in("/tmp").unwrap(),
    };
    place.secret("password", PASSWORD);
    place.secret("key", KEY);
    let authority = fs::read(slapd.ca_file()).unwrap();
    fs::write(place.secrets.path().join("ca.pem"), &authority).unwrap();
    let mut options = super::with(
        &place.options(&studio),
        "--server",
        slapd.tls_url().as_str(),
    );
    let ca = place.secrets.path().join("ca.pem").display().to_string();
    options.push(("--ca-file", ca));
    // Nobody is there to be asked.
    let ended = place.init(&options, &[]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let warnings = ended.stdout.matches("Warning: /tmp/").count();
    assert_eq!(warnings, 3, "{}", ended.stdout);
    assert_eq!(place.files(), ["config.toml"]);
    fs::remove_file(place.config()).unwrap();
    let given = options.iter().flat_map(|(name, value)| [*name, value]);
    let arguments: Vec<&str> = ["init"].into_iter().chain(given).collect();
    let mut talk = Talk::start(place.command(&arguments));
    talk.answers("Kind of directory", "");
    for (name, answer) in [
        ("ldap-password", ""),
        ("ftrack-api-key", "n"),
        ("ldap-ca.pem", "y"),
    ] {
        let copy = place.file(name).display().to_string();
        talk.hears("is below /tmp, where a service cannot read it");
        talk.answers(&format!("Copy it to {copy}? [Y/n] "), answer);
    }
    talk.hears("Warning: /tmp/");
    assert_eq!(talk.status(), 0, "{}", talk.all());
    assert_eq!(talk.all().matches("Warning: ").count(), 1, "{}", talk.all());
    assert_eq!(
        place.files(),
        ["config.toml", "ldap-ca.pem", "ldap-password"]
    );
    assert_eq!(
        fs::read(place.file("ldap-password")).unwrap(),
        PASSWORD.as_bytes()
    );
    assert_eq!(mode(&place.file("ldap-password")), 0o600);
    assert_eq!(fs::read(place.file("ldap-ca.pem")).unwrap(), authority);
    let checked = place.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
}

#[test]
fn no_question_breaks_inside_a_word() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let mut talk = Talk::of_columns(place.command(&["init"]), 80);
    talk.answers("several with commas", &studio.directory_url);
    talk.answers("[password]: ", "");
    talk.answers("(bind DN): ", cast::SERVICE);
    talk.hides("(not shown): ", PASSWORD);
    talk.answers("[generic]: ", "");
    talk.hears("[ou=people,dc=studio,dc=test]: ");
    let all = talk.all();
    for line in [
        "Directory server: a URL such as ldaps://ldap1.studio.test, a host, or a domain",
        "Kind of directory (active-directory, samba, 389, freeipa, openldap, generic)",
    ] {
        assert!(all.lines().any(|shown| shown == line), "{line}\n{all}");
    }
    talk.interrupts();
    talk.hears("stopped on request");
    talk.child.wait().unwrap();
}
