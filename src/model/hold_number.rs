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

/// The fewest last digits by which a hold is known.
const FEWEST_DIGITS: usize = 3;

/// A number with at least so many digits comes from a counter that began at a time: fewer digits are no
/// number of it, so that no earlier hold is meant by them.
const LONG: usize = 8;

/// A hold as a person names it: by its number, or by the last digits of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldName {
    digits: String,
    number: Option<HoldNumber>,
}

/// Several holds have the same last digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "several holds end with {digits}: {}; write more of its digits",
    joined(holds)
)]
pub struct SeveralHolds {
    digits: String,
    holds: Vec<HoldNumber>,
}

impl HoldName {
    /// The number, where these digits are too many or too few for the end of another one.
    #[must_use]
    pub fn exact(&self) -> Option<HoldNumber> {
        let is_ending = (FEWEST_DIGITS..LONG).contains(&self.digits.len());
        self.number.filter(|_| !is_ending)
    }

    /// The number that is meant: of the hold that has it, else of the only one of these whose long
    /// number ends with it; none where it can be no number.
    ///
    /// # Errors
    /// Several end with it.
    pub fn of(
        &self,
        open: impl IntoIterator<Item = HoldNumber>,
    ) -> Result<Option<HoldNumber>, SeveralHolds> {
        let Self { digits, number } = self;
        if let Some(exact) = self.exact() {
            return Ok(Some(exact));
        }
        let ends_so = |hold: &HoldNumber| {
            let hold = hold.to_string();
            hold.len() >= LONG && hold.ends_with(digits)
        };
        let holds: Vec<HoldNumber> = open.into_iter().filter(ends_so).collect();
        match holds.as_slice() {
            [] => Ok(*number),
            [one] => Ok(Some(*one)),
            [_, _, ..] => Err(SeveralHolds {
                digits: digits.clone(),
                holds,
            }),
        }
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

impl FromStr for HoldName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok();
        let is_ending = is_number && (FEWEST_DIGITS..LONG).contains(&text.len());
        if !is_number || number.is_none() && !is_ending {
            return Err("a hold has a number, as `holds` shows it");
        }
        Ok(Self {
            digits: text.to_owned(),
            number,
        })
    }
}

fn joined(holds: &[HoldNumber]) -> String {
    let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
    holds.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn meant(name: &str, open: &[u64]) -> Result<Option<u64>, String> {
        let name: HoldName = name.parse().map_err(str::to_owned)?;
        let open = open.iter().filter_map(|number| HoldNumber::new(*number));
        let meant = name.of(open).map_err(|error| error.to_string())?;
        Ok(meant.map(HoldNumber::get))
    }

    #[test]
    fn a_hold_is_known_by_its_number_or_by_the_last_digits_of_a_long_one() {
        let open = [28_585_523_756, 28_585_523_757, 28_585_999_756, 123];
        assert_eq!(meant("28585523757", &open), Ok(Some(28_585_523_757)));
        assert_eq!(meant("757", &open), Ok(Some(28_585_523_757)));
        assert_eq!(meant("23756", &open), Ok(Some(28_585_523_756)));
        assert!(meant("756", &open).is_err_and(|error| {
            error.contains("several holds end with 756: 28585523756, 28585999756")
        }));
        // Too few digits, a short number, and one that may be the number of an earlier hold.
        assert_eq!(meant("57", &open), Ok(Some(57)));
        assert_eq!(meant("123", &open), Ok(Some(123)));
        assert_eq!(meant("123", &[5_123]), Ok(Some(123)));
        assert_eq!(meant("85523757", &open), Ok(Some(85_523_757)));
        assert_eq!(meant("001", &[28_585_523_001]), Ok(Some(28_585_523_001)));
        assert_eq!(meant("000", &open), Ok(None));
        for wrong in ["", "0", "last", "-1", "99999999999999999999999", "12a"] {
            assert!(meant(wrong, &open).is_err(), "{wrong}");
        }
    }
}
