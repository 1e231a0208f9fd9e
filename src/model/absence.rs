//! How long people have been missing.

use std::collections::BTreeMap;

use super::clocks::Clocks;

/// Since when a person has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// What the clocks showed when the first complete read without the person ended.
    pub since: Clocks,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

/// The missing people, by directory id.
pub type Absences = BTreeMap<String, Absence>;
