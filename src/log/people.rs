//! Log lines for people: the time, the job, what happened, and what is worth knowing about it.

use std::fmt::{self, Debug, Write};

use anstyle::{AnsiColor, Style};
use chrono::Local;
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
use crate::{escape::escape_control, wrap::wrapped};

/// The format of a line for people. Times are in the zone of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForPeople;

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
        let time = Local::now().format("%Y-%m-%d %H:%M:%S");
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
    /// The other fields but the event's name and the run's id, as far as they say anything.
    others: Vec<String>,
}

impl Said {
    fn text(&self) -> String {
        let Self {
            message,
            job,
            others,
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
        text
    }

    fn add(&mut self, name: &str, value: String) {
        let value = escape_control(&value).into_owned();
        match name {
            "message" => self.message = value,
            "job" => self.job = value,
            "event" | "run" => {}
            _ if value.is_empty() => {}
            "outcome" | "error" | "reason" | "warning" => self.others.push(value),
            _ => self
                .others
                .push(format!("{} {value}", name.replace('_', " "))),
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
        // Nothing happened of this kind.
        if value > 0 {
            self.add(field.name(), value.to_string());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "seconds" => self.others.push(format!("{value:.1} s")),
            name => self.add(name, value.to_string()),
        }
    }
}
