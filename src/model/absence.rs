//! How long people have been missing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Since when a person has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// When the first complete read without the person ended.
    pub since: DateTime<Utc>,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

/// The missing people, by directory id.
pub type Absences = BTreeMap<String, Absence>;
