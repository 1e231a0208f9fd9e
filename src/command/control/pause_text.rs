//! What `pause` and `resume` say, with and without a daemon.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    cli::{Exit, PauseArgs, Stop},
    command::{moment, print_text},
    escape::escape_control,
    model::{change_kind::ChangeKind, readable_time::readable_time},
};

/// What the pause of a whole job does not stop.
pub(super) const GOES_ON: &str = "`sync` by hand and from cron, `apply` and `approve` run all the \
                                  same; `pause --only KIND` holds a kind of change there too.";

/// What was done of what was asked for, and what was not: with several jobs, one that fails stops no
/// other.
#[derive(Debug, Default)]
pub(super) struct Done {
    lines: String,
    failures: Vec<String>,
}

impl Done {
    /// Adds what became of a job; of the only one, a failure is the command's.
    ///
    /// # Errors
    /// It failed, and only this job was asked for.
    pub(super) fn add(
        &mut self,
        job: &str,
        is_one_of_all: bool,
        became: Result<String, Stop>,
    ) -> Result<(), Stop> {
        match became {
            Ok(line) => self.lines.push_str(&line),
            Err(stop) if is_one_of_all => {
                let job = escape_control(job);
                let lines = stop.lines.into_iter();
                self.failures
                    .extend(lines.map(|line| format!("{job}: {line}")));
            }
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// Prints what was done, with what follows from it.
    ///
    /// # Errors
    /// Something was not done: it is named.
    pub(super) fn end(self, follows: &str) -> Result<Exit, Stop> {
        let Self { lines, failures } = self;
        let exit = if lines.is_empty() {
            Exit::Done
        } else {
            print_text(&format!("{lines}{follows}"))?
        };
        if failures.is_empty() {
            return Ok(exit);
        }
        Err(Stop {
            exit: Exit::Failed,
            lines: failures,
        })
    }
}

/// When a pause is to end.
pub(super) fn until_of(args: &PauseArgs, zone: Tz) -> Result<Option<DateTime<Utc>>, Stop> {
    let until = args
        .until
        .as_deref()
        .map(|text| moment::after(text, Utc::now(), &zone, zone.name()))
        .transpose();
    until.map_err(|error| {
        Stop::usage(&format!(
            "--until {}: {error}",
            escape_control(args.until.as_deref().unwrap_or_default())
        ))
    })
}

/// What is paused, and until when.
pub(super) fn paused_until(
    job: &str,
    only: Option<ChangeKind>,
    (until, zone): (Option<DateTime<Utc>>, Tz),
    running: &str,
) -> String {
    let name = escape_control(job);
    let (what, only) = match only {
        None => (name.to_string(), String::new()),
        Some(kind) => (format!("{kind} of {name}"), format!(" --only {kind}")),
    };
    let until = match until {
        Some(until) => readable_time(until, &zone),
        None => format!("`resume {name}{only}`"),
    };
    format!("{what} is paused until {until}{running}.\n")
}
