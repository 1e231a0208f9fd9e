//! Log lines as entries of systemd's journal: the level as its priority, and each field of an event as
//! a field of its own.
//!
//! Sending waits while the journal is busy, so only the writer's thread sends; whoever logs only adds
//! to the queue.

use std::{io, os::unix::net::UnixDatagram};

use log::{Level, Record};
use serde_json::{Map, Value};
use systemd_journal_logger::JournalLog;

use super::{
    people,
    sink::{Destination, NotWritten},
};

/// The journal's socket, of which the crate knows as well.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The name of the program in the journal: `journalctl -t`.
const IDENTIFIER: &str = "ftrack-ldap-sync";

/// Before each field of an event.
const PREFIX: &str = "FTRACK_LDAP_SYNC_";

/// Why entries cannot be sent now; it does not wait, whatever the journal is doing.
///
/// # Errors
/// There is no socket, or nobody listens.
pub(super) fn reach() -> io::Result<()> {
    UnixDatagram::unbound()?.connect(SOCKET)
}

/// The journal, connected at the first line.
#[derive(Default)]
pub(super) struct Journal(Option<JournalLog>);

impl Destination for Journal {
    fn line(&mut self, text: &[u8], _is_over: &dyn Fn() -> bool) -> Result<(), NotWritten> {
        let Some(entry) = Entry::of(text) else {
            return Ok(());
        };
        if self.0.is_none() {
            let journal = JournalLog::empty().map_err(|_| NotWritten)?;
            self.0 = Some(journal.with_syslog_identifier(IDENTIFIER.to_owned()));
        }
        let sent = self.0.as_ref().map(|journal| entry.send(journal));
        sent.unwrap_or(Err(NotWritten))
    }

    fn frame(&mut self, _frame: &[u8], _is_over: &dyn Fn() -> bool) -> Result<(), NotWritten> {
        // Nobody watches a journal draw.
        Err(NotWritten)
    }
}

/// One entry.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    level: Level,
    message: String,
    /// By their names in the journal.
    fields: Vec<(String, String)>,
}

impl Entry {
    /// A log line as an entry; none where it says nothing.
    fn of(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(text) else {
            return (!text.is_empty()).then(|| Self {
                level: Level::Debug,
                message: text.to_owned(),
                fields: Vec::new(),
            });
        };
        let level = fields.get("level").and_then(Value::as_str);
        let message = people::text_of(&fields);
        let event = fields.get("event").and_then(Value::as_str);
        Some(Self {
            level: level.map_or(Level::Debug, priority),
            message: match message.is_empty() {
                true => event.unwrap_or_default().to_owned(),
                false => message,
            },
            fields: fields
                .iter()
                .filter(|(name, _)| !["level", "message"].contains(&name.as_str()))
                .map(|(name, value)| (format!("{PREFIX}{name}"), plain(value)))
                .collect(),
        })
    }

    fn send(&self, journal: &JournalLog) -> Result<(), NotWritten> {
        let Self {
            level,
            message,
            fields,
        } = self;
        let fields = fields.as_slice();
        let mut record = Record::builder();
        record.level(*level).target(IDENTIFIER).key_values(&fields);
        let sent = journal.journal_send(&record.args(format_args!("{message}")).build());
        sent.map_err(|_| NotWritten)
    }
}

/// The level that the crate gives the journal's own priority of the program's level: `err`, `warning`,
/// `info` and `debug`. It leaves room for `notice`, which the program does not use.
fn priority(level: &str) -> Level {
    match level {
        "ERROR" => Level::Error,
        "WARN" => Level::Warn,
        "INFO" => Level::Debug,
        _ => Level::Trace,
    }
}

/// A value as `journalctl FIELD=value` is asked for it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::event::{EVENTS, daemon, program};

    fn entry(line: &Value) -> Entry {
        Entry::of(format!("{line}\n").as_bytes()).unwrap()
    }

    #[test]
    fn an_event_is_an_entry_with_a_field_for_each_of_its_own() {
        let line = serde_json::json!({
            "timestamp": "2026-01-31T10:00:00Z", "level": "WARN", "event": "change.held",
            "message": "held", "job": "artists", "run": "20260131-100000-00ff", "changes": 3,
            "dry_run": false, "dn": "uid=ada\nPRIORITY=0", "cause": null, "error": "limits"
        });
        let held = entry(&line);
        assert_eq!(held.level, Level::Warn);
        assert_eq!(
            held.message,
            "artists: held: changes 3, dn uid=ada\\u{a}PRIORITY=0: limits"
        );
        let fields: Vec<String> = held
            .fields
            .iter()
            .map(|(name, value)| format!("{}={value}", name.to_uppercase()))
            .collect();
        assert_eq!(
            fields,
            [
                "FTRACK_LDAP_SYNC_TIMESTAMP=2026-01-31T10:00:00Z",
                "FTRACK_LDAP_SYNC_EVENT=change.held",
                "FTRACK_LDAP_SYNC_JOB=artists",
                "FTRACK_LDAP_SYNC_RUN=20260131-100000-00ff",
                "FTRACK_LDAP_SYNC_CHANGES=3",
                "FTRACK_LDAP_SYNC_DRY_RUN=false",
                "FTRACK_LDAP_SYNC_DN=uid=ada\nPRIORITY=0",
                "FTRACK_LDAP_SYNC_CAUSE=",
                "FTRACK_LDAP_SYNC_ERROR=limits",
            ]
        );
    }

    #[test]
    fn levels_are_the_priorities_of_the_journal() {
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        let levels = levels.map(|level| entry(&serde_json::json!({"level": level})).level);
        // Which the crate sends as 3, 4, 6, 7 and 7.
        let same = [
            Level::Error,
            Level::Warn,
            Level::Debug,
            Level::Trace,
            Level::Trace,
        ];
        assert_eq!(levels, same);
    }

    #[test]
    fn a_line_without_words_has_the_name_of_its_event_and_other_text_is_a_message() {
        let leapt = entry(&serde_json::json!({"level": "WARN", "event": "clock.leapt"}));
        assert_eq!(leapt.message, "clock.leapt");
        let text = Entry::of(b"asking the daemon \xff\n").unwrap();
        assert_eq!(text.message, "asking the daemon \u{fffd}");
        assert_eq!(text.fields, []);
        assert_eq!(Entry::of(b"\n"), None);
    }

    #[test]
    fn the_name_of_each_field_is_one_that_the_journal_takes() {
        let all = EVENTS.iter().chain(program::EVENTS).chain(daemon::EVENTS);
        for name in all.flat_map(|(_, _, fields)| *fields) {
            let name = format!("{PREFIX}{}", name.to_uppercase());
            let is_allowed = |letter: char| letter.is_ascii_uppercase() || letter == '_';
            assert!(name.len() <= 64 && name.chars().all(is_allowed), "{name}");
        }
    }
}
