//! Where events go: standard error, for people on a terminal and as one JSON object a line otherwise.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt::time::ChronoUtc};

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

/// Starts logging to standard error; the form is text on a terminal and JSON otherwise, unless one is named.
///
/// # Errors
/// Logging was started before, or `RUST_LOG` is not a filter.
pub fn start(format: Option<LogFormat>, quiet: Option<&str>) -> anyhow::Result<()> {
    let terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let filter = match crate::config::rust_log() {
        Some(wanted) => EnvFilter::try_new(&wanted).map_err(|error| anyhow::anyhow!("RUST_LOG={wanted:?} is not a filter: {error}"))?,
        None => EnvFilter::new(quiet.unwrap_or(DEFAULT_FILTER)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_timer(ChronoUtc::new("%H:%M:%SZ".to_owned())).with_ansi(terminal && !crate::config::no_color()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
