//! How long people have been missing.

use std::collections::BTreeMap;

use chrono::SubsecRound;
use serde::{Deserialize, Serialize};

use super::clocks::Clocks;

/// Since when a person has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// What the clocks showed when the first complete read without the person ended.
    pub since: Clocks,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

impl Absence {
    /// The same, as a link has it: to the millisecond.
    #[must_use]
    pub fn for_a_link(&self) -> Self {
        let Clocks { here, ftrack } = self.since;
        Self {
            since: Clocks {
                here: here.trunc_subsecs(3),
                ftrack: ftrack.map(|time| time.trunc_subsecs(3)),
            },
            reads: self.reads,
        }
    }
}

/// The missing people, by directory id.
pub type Absences = BTreeMap<String, Absence>;
