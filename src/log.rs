//! Where events go: standard error, for people on a terminal and as one JSON object a line otherwise.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise: libraries only when something is wrong, ldap3 hardly ever since it warns of each entry of a search that was given up.
const DEFAULT_FILTER: &str = "warn,ftrack_ldap_sync=info,ldap3=error,hyper_util=error,rustls=error";

/// How much is logged where `RUST_LOG` does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    /// Every event.
    Full,
    /// Nothing of the program's own, because the same is shown to a person as a result.
    Quiet,
}

/// What is logged at `Quiet`.
const QUIET_FILTER: &str = "error,ftrack_ldap_sync=off,ldap3=off,hyper_util=off,rustls=off";

/// Starts logging to standard error; the form is text on a terminal and JSON otherwise, unless one is named. `filter` is what `RUST_LOG` says.
///
/// # Errors
/// Logging was started before, or the filter is not one.
pub fn start(format: Option<LogFormat>, filter: Option<&str>, loudness: Loudness) -> anyhow::Result<()> {
    let format = format.unwrap_or(if io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let filter = match (filter, loudness) {
        (Some(wanted), _) => EnvFilter::try_new(wanted).map_err(|error| anyhow::anyhow!("RUST_LOG or --log-filter: {wanted:?} is not a filter: {error}"))?,
        (None, Loudness::Full) => EnvFilter::new(DEFAULT_FILTER),
        (None, Loudness::Quiet) => EnvFilter::new(QUIET_FILTER),
    };
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_ansi(colour).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
