//! The numbers of holds.

use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Serialize};

/// The number of a hold, from one counter over all jobs; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldNumber(NonZeroU64);

impl HoldNumber {
    /// A number; none where it is 0, or too large for the state database.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        i64::try_from(number).ok()?;
        NonZeroU64::new(number).map(Self)
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for HoldNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HoldNumber {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok().and_then(Self::new);
        number.ok_or("a hold has a number, as `holds` shows it")
    }
}
