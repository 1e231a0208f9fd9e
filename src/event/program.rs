//! Events of the program itself, whatever it is doing.

use std::path::Path;

use crate::escape::escape_control;

/// A log event of the program itself.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum ProgramEvent<'a> {
    /// It panicked, which is a bug.
    Panicked {
        /// The message, without the place in the source.
        error: &'a str,
    },
    /// Log lines were dropped, because their reader was too slow or had closed the pipe.
    LogDropped {
        /// How many, since the last such event.
        lines: u64,
    },
    /// Log lines were to go to the journal, which cannot be reached; they go to standard error.
    NoJournal {
        /// Why.
        error: &'a str,
    },
    /// The state database was deleted or replaced while it was in use; the one that is now in its
    /// place is used.
    StateRemade { path: &'a Path },
}

/// Every event of the program itself with its level and fields; log monitors rely on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("program.panicked", "ERROR", &["error"]),
    ("log.dropped", "WARN", &["lines"]),
    ("log.no_journal", "WARN", &["error"]),
    ("state.remade", "WARN", &["path"]),
];

impl ProgramEvent<'_> {
    /// Logs the event once.
    pub fn emit(self) {
        match self {
            Self::Panicked { error } => {
                tracing::error!(
                    event = "program.panicked",
                    error = %escape_control(error),
                    "a bug in this program"
                )
            }
            Self::LogDropped { lines } => {
                tracing::warn!(event = "log.dropped", lines, "log lines were dropped")
            }
            Self::NoJournal { error } => {
                tracing::warn!(
                    event = "log.no_journal",
                    error = %escape_control(error),
                    "the journal cannot be reached; log lines go to standard error as JSON"
                );
            }
            Self::StateRemade { path } => {
                let path = path.display().to_string();
                tracing::warn!(
                    event = "state.remade",
                    path = %escape_control(&path),
                    "the state database was deleted or replaced; the new one is used"
                );
            }
        }
    }
}
