//! `--log-format journal`: what reaches systemd's journal, and that a journal that stalls, is gone or
//! never was stops nobody. The journal is a socket of the test's own, at its place in a mount namespace.

use std::{
    collections::BTreeMap,
    fs,
    io::{IoSliceMut, Read, Seek},
    mem::MaybeUninit,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ftrack_ldap_sync::event::EVENTS;
use rustix::{
    fs::{SealFlags, fcntl_get_seals},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::{Daemon, LIMIT};
use crate::{
    ability::must_skip_as_root,
    daemon::must,
    events::check_line,
    slapd::wait_until,
    studio::{Studio, person},
};

/// Puts a folder of the test where the journal has its socket, for one program alone.
const AT_ITS_PLACE: &str = r#"
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
mount --bind "$JOURNAL" /run/systemd/journal
exec "$@"
"#;

/// What ends the reading of a journal.
const END: &[u8] = b"END=1\n";

/// The journal of one program.
struct Journal {
    folder: TempDir,
}

/// One entry, and whether it came as a file, as those do that are too long for a datagram.
#[derive(Debug)]
struct Entry {
    fields: BTreeMap<String, String>,
    is_file: bool,
}

impl Journal {
    /// A journal without a socket.
    fn absent() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Makes the socket, from which nobody reads yet.
    fn bind(&self) -> UnixDatagram {
        let socket = UnixDatagram::bind(self.socket()).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    }

    /// The program, which finds this journal.
    fn sees(&self, program: &Command) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .args([AT_ITS_PLACE, "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("JOURNAL", self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Reads entries on a thread of its own until [`Journal::end`].
    fn read(&self) -> JoinHandle<Vec<Entry>> {
        let socket = self.bind();
        thread::spawn(move || std::iter::from_fn(|| next(&socket)).collect())
    }

    fn end(&self) {
        let end = UnixDatagram::unbound().unwrap();
        end.send_to(END, self.socket()).unwrap();
    }

    /// Runs a program to its end: its exit status, its standard error and its entries.
    fn of(&self, program: &Command) -> (Option<i32>, String, Vec<Entry>) {
        let reading = self.read();
        let ended = self.sees(program).output().unwrap();
        self.end();
        let said = String::from_utf8(ended.stderr).unwrap();
        (ended.status.code(), said, reading.join().unwrap())
    }
}

/// The next entry; none at the end.
fn next(socket: &UnixDatagram) -> Option<Entry> {
    loop {
        let mut bytes = vec![0; 1 << 20];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut beside,
            RecvFlags::empty(),
        );
        bytes.truncate(received.unwrap().bytes);
        let mut is_file = false;
        for message in beside.drain() {
            let RecvAncillaryMessage::ScmRights(files) = message else {
                panic!("something else than a file");
            };
            for file in files {
                assert!(fcntl_get_seals(&file).unwrap().contains(SealFlags::WRITE));
                let mut file = fs::File::from(file);
                file.rewind().unwrap();
                file.read_to_end(&mut bytes).unwrap();
                is_file = true;
            }
        }
        if bytes == END {
            return None;
        }
        // A first one without fields asks only whether there is a journal.
        if !bytes.is_empty() {
            let fields = fields(&bytes);
            return Some(Entry { fields, is_file });
        }
    }
}

/// The fields of an entry (systemd's JOURNAL_NATIVE_PROTOCOL).
fn fields(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (name, value, rest) = match line.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&line[..equals], &line[equals + 1..], rest),
            None => {
                let (length, rest) = rest.split_at(8);
                let length = u64::from_le_bytes(length.try_into().unwrap());
                let (value, rest) = rest.split_at(usize::try_from(length).unwrap());
                (line, value, rest.strip_prefix(b"\n").unwrap())
            }
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let twice = fields.insert(text(name), text(value));
        assert_eq!(twice, None, "{}", text(name));
        bytes = rest;
    }
    fields
}

impl Entry {
    fn event(&self) -> &str {
        &self.fields["FTRACK_LDAP_SYNC_EVENT"]
    }

    /// The entry as the line of JSON that it would be elsewhere.
    fn line(&self) -> Map<String, Value> {
        let level = match self.fields["PRIORITY"].as_str() {
            "3" => "ERROR",
            "4" => "WARN",
            "6" => "INFO",
            "7" => "DEBUG",
            other => panic!("priority {other}"),
        };
        let own = self.fields.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("FTRACK_LDAP_SYNC_")?;
            Some((name.to_lowercase(), value.clone().into()))
        });
        own.chain([("level".to_owned(), level.into())]).collect()
    }
}

fn must_skip(test: &str) -> bool {
    must_skip_as_root(test, &["unshare"])
}

#[test]
fn each_event_is_an_entry_with_its_priority_and_its_fields() {
    if must_skip("each_event_is_an_entry_with_its_priority_and_its_fields") {
        return;
    }
    let studio = Studio::of(&["ada"]);
    let nobody = person("no|name=\u{7f}", "No", "Login");
    let mut nobody = nobody.with("cn", "x\nPRIORITY=0");
    nobody.attributes.retain(|(name, _)| name != "uid");
    studio.tree().add(nobody).unwrap();
    let sync = studio.command(&["--log-format", "journal", "sync"]);
    let (status, said, entries) = Journal::absent().of(&sync);
    assert_eq!(
        (status, said.as_str()),
        (Some(0), ""),
        "all of it is in the journal"
    );
    for entry in &entries {
        let name = check_line(&entry.line());
        assert_eq!(name, entry.event());
        assert_eq!(entry.fields["SYSLOG_IDENTIFIER"], "ftrack-ldap-sync");
    }
    let of = |event: &str| {
        let mut found = entries.iter().filter(|entry| entry.event() == event);
        let entry = found.next().unwrap_or_else(|| panic!("no {event}"));
        (&entry.fields, entry.fields["MESSAGE"].as_str())
    };
    let (applied, message) = of("change.applied");
    assert_eq!(applied["PRIORITY"], "6");
    assert_eq!(applied["FTRACK_LDAP_SYNC_USERNAME"], "ada");
    assert_eq!(applied["FTRACK_LDAP_SYNC_JOB"], "artists");
    assert!(
        message.starts_with("artists: ") && message.contains("ada"),
        "{message}"
    );
    let (_, _, promised) = EVENTS
        .iter()
        .find(|(name, _, _)| *name == "change.applied")
        .unwrap();
    for field in *promised {
        assert!(applied.contains_key(&format!("FTRACK_LDAP_SYNC_{}", field.to_uppercase())));
    }
    let (skipped, message) = of("entry.skipped");
    assert_eq!(skipped["PRIORITY"], "4");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn an_entry_that_is_too_long_for_a_datagram_is_whole() {
    if must_skip("an_entry_that_is_too_long_for_a_datagram_is_whole") {
        return;
    }
    let filter = format!("x={}", "\"".repeat(60_000));
    let mut check = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    check.args(["--log-format", "journal", "--log-filter", &filter]);
    check.args(["check", "--offline"]);
    let (status, said, entries) = Journal::absent().of(&check);
    assert_eq!((status, said.as_str()), (Some(2), ""));
    let [entry] = entries.as_slice() else {
        panic!("{} entries", entries.len())
    };
    assert!(entry.is_file);
    assert_eq!(entry.fields["PRIORITY"], "3");
    let error = &entry.fields["FTRACK_LDAP_SYNC_ERROR"];
    assert_eq!(error.matches("\\\"").count(), 60_000);
}

#[test]
fn where_there_is_no_journal_lines_are_json_and_the_first_says_so() {
    if must_skip("where_there_is_no_journal_lines_are_json_and_the_first_says_so") {
        return;
    }
    let studio = Studio::of(&["ada"]);
    let journal = Journal::absent();
    let sync = journal
        .sees(&studio.command(&["--log-format", "journal", "sync"]))
        .output();
    let sync = sync.unwrap();
    assert_eq!(sync.status.code(), Some(0));
    let said = String::from_utf8(sync.stderr).unwrap();
    let events: Vec<String> = said.lines().map(|line| super::event(line).0).collect();
    assert_eq!(events[0], "log.no_journal");
    assert!(events.contains(&"change.applied".to_owned()), "{said}");
}

/// A daemon that logs to the journal.
fn start(journal: &Journal, studio: &Studio) -> Daemon {
    let daemon = studio.command(&["--log-format", "journal", "daemon"]);
    let daemon = Daemon(journal.sees(&daemon).spawn().unwrap());
    studio.wait_until_ready();
    daemon
}

#[test]
fn a_journal_that_stalls_holds_up_nobody() {
    if must_skip("a_journal_that_stalls_holds_up_nobody") {
        return;
    }
    // More than a socket of systemd's takes, and that is not read.
    let people = 700;
    let studio = super::studio_of(people).watched();
    let journal = Journal::absent();
    let stalled = journal.bind();
    let daemon = start(&journal, &studio);
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.counts.created, people);
    let began = Instant::now();
    assert_eq!(studio.page("/healthz").unwrap().0, 200);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    daemon.stop();
    stalled.set_nonblocking(true).unwrap();
    let taken = std::iter::from_fn(|| stalled.recv(&mut [0; 1]).ok()).count();
    assert!(
        taken > 0 && taken < people,
        "{taken} entries: the journal did not stall"
    );
}

#[test]
fn entries_for_a_journal_that_is_gone_are_counted_and_told_to_the_next() {
    if must_skip("entries_for_a_journal_that_is_gone_are_counted_and_told_to_the_next") {
        return;
    }
    let studio = super::studio_of(3).watched();
    let journal = Journal::absent();
    let first = journal.read();
    let daemon = start(&journal, &studio);
    journal.end();
    let before = first.join().unwrap();
    assert!(before.iter().any(|entry| entry.event() == "daemon.started"));
    fs::remove_file(journal.socket()).unwrap();
    must(&studio, 0, &["trigger"]);
    let is_counted = || studio.dropped() >= 3;
    assert!(wait_until(LIMIT, is_counted), "no entry was counted");

    let second = Arc::new(journal.bind());
    let told = next(&second).unwrap();
    let dropped = studio.dropped();
    assert_eq!(told.event(), "log.dropped");
    assert_eq!(told.fields["FTRACK_LDAP_SYNC_LINES"], dropped.to_string());
    assert_eq!(told.fields["PRIORITY"], "4");
    let rest = Arc::clone(&second);
    let reading = thread::spawn(move || std::iter::from_fn(|| next(&rest)).collect::<Vec<_>>());
    daemon.stop();
    journal.end();
    let after = reading.join().unwrap();
    assert!(after.iter().any(|entry| entry.event() == "daemon.stopped"));
}
