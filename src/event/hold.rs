//! The events about numbered holds: each begins and ends once, over all runs; and who rejected what
//! they held, or took that back.

use tracing::Level;

use super::RunName;
use crate::{
    escape::escape_control,
    model::{
        hold_number::HoldNumber,
        open_hold::{ClosedHold, HoldKind, OpenedHold},
    },
};

/// What happened to a hold.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum HoldEvent<'e> {
    Opened(OpenedHold),
    Closed(ClosedHold),
    /// A person rejected what it held of so many people.
    Rejected {
        hold: HoldNumber,
        of: HoldKind,
        people: usize,
        by: &'e str,
    },
    /// A person took back what was rejected of so many people: of this hold, or of those who were named.
    Unrejected {
        hold: Option<HoldNumber>,
        people: usize,
        by: &'e str,
    },
}

impl HoldEvent<'_> {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Opened(opened) if opened.of.by.waits_for_a_person() => Level::WARN,
            Self::Opened(_) => Level::INFO,
            Self::Closed(_) | Self::Rejected { .. } | Self::Unrejected { .. } => Level::INFO,
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
            Self::Rejected {
                hold,
                of,
                people,
                by,
            } => say!(
                level,
                event = "hold.rejected",
                job,
                run,
                hold = hold.get(),
                held_by = of.by.as_str(),
                kind = of.kind.as_str(),
                people,
                by = &*escape_control(by),
                "rejected; `holds --rejected` lists it until its cause has ended"
            ),
            Self::Unrejected { hold, people, by } => say!(
                level,
                event = "hold.unrejected",
                job,
                run,
                hold = hold.map_or(0, HoldNumber::get),
                people,
                by = &*escape_control(by),
                "what was rejected is judged anew by the next run"
            ),
        }
    }
}
