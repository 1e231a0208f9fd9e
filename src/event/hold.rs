//! The events about numbered holds: each begins and ends once, over all runs.

use tracing::Level;

use super::RunName;
use crate::model::open_hold::{ClosedHold, OpenedHold};

/// What happened to a hold.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum HoldEvent {
    Opened(OpenedHold),
    Closed(ClosedHold),
}

impl HoldEvent {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Opened(opened) if opened.of.by.waits_for_a_person() => Level::WARN,
            Self::Opened(_) => Level::INFO,
            Self::Closed(_) => Level::INFO,
        }
    }

    pub(super) fn emit(self, level: Level, RunName { job, run }: RunName<'_>) {
        match self {
            Self::Opened(OpenedHold { hold, of, changes }) => say!(
                level,
                event = "hold.opened",
                job,
                run,
                hold = hold.get(),
                held_by = of.by.as_str(),
                kind = of.kind.as_str(),
                changes,
                "held; `holds show {hold}` shows whom, and why"
            ),
            Self::Closed(ClosedHold { hold, of, by }) => say!(
                level,
                event = "hold.closed",
                job,
                run,
                hold = hold.get(),
                held_by = of.by.as_str(),
                kind = of.kind.as_str(),
                ended_by = by.as_str(),
                "nobody is held any more"
            ),
        }
    }
}
