//! Log lines for people: the time, the job, what happened, and what is worth knowing about it.

use std::{
    fmt::{self, Debug, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Local};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

use super::terminal;
use crate::{escape::escape_control, model::readable_time::readable_time, wrap::wrapped};

/// How long a cause is not repeated.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The format of a line for people. Times are in the zone of the machine, ids are left out, and a
/// cause that one line after another of a job has is told by the first.
#[derive(Debug, Default)]
pub(super) struct ForPeople {
    told: Mutex<Option<ToldCause>>,
}

/// The last cause that was told.
#[derive(Debug)]
struct ToldCause {
    at: Instant,
    job: String,
    cause: String,
}

impl ForPeople {
    /// Whether the last line with a cause had this one of the same job, and told it a short time
    /// ago.
    fn has_told(&self, job: &str, cause: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        let is_told = told.as_ref().is_some_and(|told| {
            told.job == job
                && told.cause == cause
                && at.saturating_duration_since(told.at) < REMEMBERED
        });
        // Repeating it does not renew the time: what goes on for hours is told again.
        if !is_told {
            *told = Some(ToldCause {
                at,
                job: job.to_owned(),
                cause: cause.to_owned(),
            });
        }
        is_told
    }
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        if said
            .cause
            .as_ref()
            .is_some_and(|cause| self.has_told(&said.job, cause))
        {
            said.cause = None;
        }
        let time = Local::now().format(TIME);
        let level = match *event.metadata().level() {
            Level::INFO => String::new(),
            other => {
                let style = style(other);
                match writer.has_ansi_escapes() {
                    true => format!("{style}{other}{style:#} "),
                    false => format!("{other} "),
                }
            }
        };
        let line = format!("{time} {level}{}", said.text());
        let line = match terminal::columns() {
            Some(columns) => wrapped(&line, columns),
            None => line,
        };
        writeln!(writer, "{line}")
    }
}

/// A time in the zone of the machine.
const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// A field's name in words.
fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

fn style(level: Level) -> Style {
    let colour = match level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        _ => AnsiColor::Blue,
    };
    colour.on_default()
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    job: String,
    /// The other fields but the event's name and ids, as far as they say anything.
    others: Vec<String>,
    /// Why it is so.
    cause: Option<String>,
}

impl Said {
    fn text(&self) -> String {
        let Self {
            message,
            job,
            others,
            cause,
        } = self;
        let mut text = String::new();
        if !job.is_empty() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{job}: ");
        }
        text.push_str(message);
        if !others.is_empty() {
            let _ = write!(text, ": {}", others.join(", "));
        }
        if let Some(cause) = cause {
            let _ = write!(text, ": {cause}");
        }
        text
    }

    /// A number that may be none.
    fn count(&mut self, name: &str, value: u64) {
        // Nothing happened of this kind.
        if value > 0 {
            self.add(name, value.to_string());
        }
    }

    fn whether(&mut self, name: &str, value: bool) {
        match (name, value) {
            // That a job is suspended, the message says.
            ("suspended", _) | ("dry_run", false) => {}
            ("dry_run", true) => self.others.push("dry run".to_owned()),
            (name, value) => self.add(name, value.to_string()),
        }
    }

    fn measure(&mut self, name: &str, value: f64) {
        match name {
            "seconds" => self.others.push(format!("{value:.1} s")),
            name => self.add(name, value.to_string()),
        }
    }

    fn add(&mut self, name: &str, value: String) {
        let value = escape_control(&value).into_owned();
        match name {
            "message" => self.message = value,
            "job" => self.job = value,
            // A cause is told by the words of the reason.
            "event" | "run" | "directory_id" | "ftrack_id" | "cause" => {}
            // Where a library's line was written, and where the library was built.
            _ if value.is_empty() || name.starts_with("log.") => {}
            "since" | "until" | "retry_at" => {
                let time = DateTime::parse_from_rfc3339(&value);
                let time = time.map(|time| readable_time(time.to_utc(), &Local));
                self.others
                    .push(format!("{} {}", spaced(name), time.unwrap_or(value)));
            }
            "error" => self.cause = Some(value),
            "outcome" | "reason" | "warning" => self.others.push(value),
            _ => self.others.push(format!("{} {value}", spaced(name))),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.count(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.whether(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.measure(field.name(), value);
    }
}

/// What a line of JSON says, in the words of a line for people, without the time and the level.
pub(super) fn text_of(line: &Map<String, Value>) -> String {
    let mut said = Said::default();
    for (name, value) in line {
        match value {
            _ if ["timestamp", "level"].contains(&name.as_str()) => {}
            Value::String(text) => said.add(name, text.clone()),
            Value::Bool(value) => said.whether(name, *value),
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(count), _) => said.count(name, count),
                (None, Some(value)) if number.is_f64() => said.measure(name, value),
                (None, _) => said.add(name, number.to_string()),
            },
            Value::Null => {}
            Value::Array(_) | Value::Object(_) => said.add(name, value.to_string()),
        }
    }
    said.text()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{io, sync::Arc};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::{
        event::{Event as RunEvent, RunName, daemon::DaemonEvent},
        model::{backoff::Backoff, report::FailureKind},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines of these events, without their times.
    fn logged(events: impl FnOnce()) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .event_format(ForPeople::default())
            .finish();
        tracing::subscriber::with_default(subscriber, events);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let timeless = text.lines().map(|line| line[20..].to_owned() + "\n");
        timeless.collect()
    }

    #[test]
    fn a_cause_is_told_once() {
        let at = |text: &str| text.parse().unwrap();
        let backoff = Backoff {
            failures: 1,
            since: at("2026-01-31T10:00:00Z"),
            retry_at: at("2026-01-31T10:01:00Z"),
            suspended: false,
            kind: FailureKind::Directory,
            error: "ldaps://ldap1.studio.test: connection refused".to_owned(),
            asked: None,
        };
        let said = logged(|| {
            let job = "artists";
            let error = backoff.error.as_str();
            let of = RunName {
                job,
                run: "20260131-100000-00ff",
            };
            RunEvent::StateFailed { of, error }.emit();
            DaemonEvent::OutageBegan {
                job,
                backoff: &backoff,
            }
            .emit();
            DaemonEvent::RunBroken {
                job,
                error: "another",
            }
            .emit();
            DaemonEvent::RunBroken { job, error }.emit();
            let job = "editors";
            DaemonEvent::RunBroken { job, error }.emit();
        });
        let zone = |text: &str| readable_time(text.parse().unwrap(), &Local);
        let said = said
            .replace(&zone("2026-01-31T10:00:00Z"), "TIME-1")
            .replace(&zone("2026-01-31T10:01:00Z"), "TIME-2");
        insta::assert_snapshot!(said, @"
        ERROR artists: state not saved: ldaps://ldap1.studio.test: connection refused
        ERROR artists: failed: kind directory, failures 1, since TIME-1, retry at TIME-2
        ERROR artists: no report of its own: another
        ERROR artists: no report of its own: ldaps://ldap1.studio.test: connection refused
        ERROR editors: no report of its own: ldaps://ldap1.studio.test: connection refused
        ");
    }
}
