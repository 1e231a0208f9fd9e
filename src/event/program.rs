//! What the program says of itself, whatever it is doing.

use std::path::Path;

use crate::escape::escape_control;

/// Something that happened to the program itself, as logs tell it.
#[derive(Debug, Clone, Copy)]
pub enum ProgramEvent<'a> {
    /// It panicked, which is a defect.
    Panicked {
        /// The message, without the place in the source.
        error: &'a str,
    },
    /// Log lines were dropped, because their reader was too slow or had left.
    LogDropped {
        /// How many, since the last time that this was said.
        lines: u64,
    },
    /// The state database was deleted or replaced while it was in use; the one that stands in its
    /// place now is used.
    StateRemade {
        /// Where it is.
        path: &'a Path,
    },
}

/// Every event of the program itself with its level and fields; log monitors build on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("program.panicked", "ERROR", &["error"]),
    ("log.dropped", "WARN", &["lines"]),
    ("state.remade", "WARN", &["path"]),
];

impl ProgramEvent<'_> {
    /// Says the event once, to whoever listens.
    pub fn emit(self) {
        match self {
            Self::Panicked { error } => {
                tracing::error!(event = "program.panicked", error = %escape_control(error), "a defect of this program")
            }
            Self::LogDropped { lines } => {
                tracing::warn!(event = "log.dropped", lines, "log lines were dropped")
            }
            Self::StateRemade { path } => {
                let path = path.display().to_string();
                tracing::warn!(event = "state.remade", path = %escape_control(&path), "the state database was deleted or replaced, and is another now");
            }
        }
    }
}
