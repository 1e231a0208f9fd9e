//! Where log lines go: standard error, for people on a terminal and as one JSON object per line
//! otherwise, or systemd's journal.
//!
//! Logging never blocks: lines go through a bounded queue, and a separate thread writes them. Lines
//! for which there is no room, or whose reader has closed the pipe, are dropped and counted, and
//! `log.dropped` reports how many as soon as lines can be written again.

use std::{
    io::{self, IsTerminal, Stderr},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

mod journal;
mod line;
mod people;
mod queue;
mod sink;
pub(crate) mod terminal;
mod writer;

use crate::{escape::escape_control, event::program::ProgramEvent, wrap::wrapped};
use journal::Journal;
use line::Line;
use queue::{Bounds, Queue};
use sink::{Destination, Sink};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
    /// Entries of systemd's journal, with priorities and fields.
    Journal,
}

/// The default filter: warnings and errors of libraries, except of those whose errors the program's
/// own events tell, with what to do about them.
const DEFAULT_FILTER: &str = "warn,ftrack_ldap_sync=info,ldap3=off,lber=off,hyper_util=off,\
                              reqwest=off,rustls=off,rustls_platform_verifier=off";

/// What is left out of every filter that does not name it: whatever it logs is part of the error that
/// follows.
const TOLD: &str = "rustls_platform_verifier=off";

/// How much is logged when `RUST_LOG` is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Every event.
    Full,
    /// No event of the program itself, because the same is shown as a result.
    Quiet,
}

/// The filter for `Quiet`.
const QUIET_FILTER: &str = "error,ftrack_ldap_sync=off,ldap3=off,lber=off,hyper_util=off,\
                            reqwest=off,rustls=off,rustls_platform_verifier=off";

/// The capacity of the queue: the lines of one run of a large studio.
const BOUNDS: Bounds = Bounds {
    lines: 32_768,
    bytes: 8 << 20,
    longest: 256 << 10,
};

/// How long queued lines are waited for before a result is printed, and at the end.
const LAST_LINES: Duration = Duration::from_millis(500);

/// What the writer's thread needs to format a line.
const STACK: usize = 256 << 10;

/// The queue and its writer.
struct Log {
    queue: Arc<Queue>,
    /// Whether there is a thread that writes; if the system cannot create one, the remaining lines
    /// are written at the end of the program.
    has_thread: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Whether lines go to the journal; otherwise, and as long as it is not decided, to standard error.
static TO_JOURNAL: OnceLock<bool> = OnceLock::new();

/// Starts logging to standard error; the format is text on a terminal and JSON otherwise, unless
/// one is given. Where there is no journal for [`LogFormat::Journal`], it is JSON, and the first line
/// says so. `filter` is the value of `RUST_LOG`.
///
/// # Errors
/// Logging was started before, or the filter is invalid.
pub fn start(
    format: Option<LogFormat>,
    filter: Option<&str>,
    loudness: Verbosity,
) -> anyhow::Result<()> {
    let format = format.unwrap_or(if is_on_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let filter = match (filter, loudness) {
        (Some(wanted), _) => EnvFilter::try_new(format!("{TOLD},{wanted}")).map_err(|_| {
            anyhow::anyhow!(
                "RUST_LOG or --log-filter: {wanted:?} is not a filter such as \"info,ldap3=debug\"; \
                 levels are error, warn, info, debug, trace and off"
            )
        })?,
        (None, Verbosity::Full) => EnvFilter::new(DEFAULT_FILTER),
        (None, Verbosity::Quiet) => EnvFilter::new(QUIET_FILTER),
    };
    // Errors of formatting must not be printed around the queue.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Line::default)
        .log_internal_errors(false);
    let lines = lines.with_target(false);
    let started = match format {
        LogFormat::Json | LogFormat::Journal => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => lines
            .with_ansi(is_coloured())
            .event_format(people::ForPeople::default())
            .try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))?;
    if format == LogFormat::Journal {
        match journal::reach() {
            Ok(()) => {
                let _ = TO_JOURNAL.set(true);
            }
            Err(error) => ProgramEvent::NoJournal {
                error: &error.to_string(),
            }
            .emit(),
        }
    }
    Ok(())
}

/// Prints a message for people to standard error, with colour where possible; each of its lines is
/// one log line.
pub fn say(text: &str) {
    match terminal::columns() {
        Some(columns) => say_as_it_is(&wrapped(text, columns)),
        None => say_as_it_is(text),
    }
}

/// Prints a message like [`say`], whose lines fit already.
pub fn say_as_it_is(text: &str) {
    let text = if is_coloured() {
        text.to_owned()
    } else {
        anstream::adapter::strip_str(text).to_string()
    };
    for line in text.lines() {
        queue().add(format!("{line}\n").into_bytes());
    }
}

/// Prints a question, after which the answer is typed on the same line.
pub fn ask(question: &str) {
    queue().add(question.as_bytes().to_vec());
    flush();
}

/// Reports a panic, which is a bug in the program, as one line or as an event, and suppresses the
/// rest of it.
pub fn say_panics(to_people: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let error = panic
            .payload_as_str()
            .unwrap_or("a panic without a message");
        let error = &without_folders(error);
        if to_people {
            say(&format!(
                "error: a bug in this program; please report it: {}",
                escape_control(error)
            ));
        } else {
            ProgramEvent::Panicked { error }.emit();
        }
    }));
}

/// The message of a panic without the folders in which the program was built.
fn without_folders(message: &str) -> String {
    let short = |word: &str| match word.rsplit_once('/') {
        Some((_, file)) if word.contains(".rs") => file.to_owned(),
        Some(_) | None => word.to_owned(),
    };
    message.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

/// Whether standard error is a terminal.
#[must_use]
pub fn is_on_terminal() -> bool {
    standard_error().is_terminal()
}

/// Whether lines go to the journal, where nobody sees a question.
#[must_use]
pub fn is_journal() -> bool {
    TO_JOURNAL.get() == Some(&true)
}

/// How many lines were dropped since the start.
#[must_use]
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |log| log.queue.dropped())
}

/// Waits until every line so far is written, so that what is printed next comes after them; for
/// half a second at most, and not again for a reader that has already caused a wait in vain.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.queue.flush(LAST_LINES);
    }
}

/// The end of the program: queued lines are written for half a second at most, and no more are
/// accepted. What the writer's thread has not got to by then, as on a machine under load, this one
/// writes. A second signal ends the program without this.
pub fn finish() {
    let Some(log) = LOG.get() else { return };
    log.queue.end(LAST_LINES);
    // Not to the journal, for which this thread might wait.
    let mut sink = Sink::new(standard_error());
    if log.has_thread {
        log.queue.flush(LAST_LINES);
        let until = Instant::now() + LAST_LINES;
        for line in log.queue.rest() {
            // A reader that takes nothing has had its time.
            let _ = sink.write(&line, || Instant::now() >= until);
        }
    } else {
        write_to(&mut sink, &log.queue);
    }
}

/// The queue; the first line starts the thread that writes.
fn queue() -> &'static Queue {
    let start = || {
        let queue = Arc::new(Queue::new(BOUNDS));
        let lines = Arc::clone(&queue);
        let started = thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK)
            .spawn(move || write(&lines));
        Log {
            queue,
            has_thread: started.is_ok(),
        }
    };
    &LOG.get_or_init(start).queue
}

fn write(queue: &Queue) {
    if is_journal() {
        write_to(&mut Journal::default(), queue);
    } else {
        write_to(&mut Sink::new(standard_error()), queue);
    }
}

fn write_to(to: &mut impl Destination, queue: &Queue) {
    writer::write(queue, to, |lines| {
        line::captured(|| ProgramEvent::LogDropped { lines }.emit())
    });
}

fn is_coloured() -> bool {
    anstream::AutoStream::choice(&standard_error()) != anstream::ColorChoice::Never
}

/// Standard error, for the log writer.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where standard error belongs to"
)]
fn standard_error() -> Stderr {
    io::stderr()
}
