//! How current the copy of a directory is that a server shows: the newest change of each server that
//! it has received.
//!
//! Only a server that shows less than what was seen before is known to lag behind; one that shows
//! nothing may be as old as it likes.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::readable_time::readable_time;

/// By how much the clock of a server may be ahead: a time beyond that is a clock's that was wrong, and
/// would make every later change look old.
const AHEAD: TimeDelta = TimeDelta::hours(1);
/// The most naming contexts, and servers of a kind that counts its own changes, that are remembered.
const MOST_PARTS: usize = 50;
/// The most servers of one naming context; their numbers have 12 bits in OpenLDAP, and 16 in 389-ds.
const MOST_SERVERS: usize = 4096;

/// What a server shows of how current it is; empty where it shows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// By naming context, in lower case: what all replicas show.
    contexts: BTreeMap<String, NewestChanges>,
    /// By the invocation id of a domain controller's database: the number of its last change, which
    /// says nothing about any other (MS-ADTS section 3.1.1.1.9).
    invocations: BTreeMap<Uuid, u64>,
}

/// The newest change of each server that a replica has received.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestChanges {
    /// When the database was filled from which the replicas began; only 389-ds shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<Csn>,
    /// By the server's number.
    servers: BTreeMap<u16, Csn>,
}

/// A change sequence number, without the number of the server that made the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Csn {
    /// When the change was made, by that server's clock.
    time: DateTime<Utc>,
    /// Tells changes of the same time apart.
    count: u32,
    /// Tells parts of one change apart.
    part: u32,
}

/// Whether a time is so far ahead of the latest that any clock shows that the server's was wrong.
#[must_use]
pub fn is_ahead(time: DateTime<Utc>, latest: DateTime<Utc>) -> bool {
    time - latest > AHEAD
}

impl Csn {
    /// The number of the server and the CSN in a value of `contextCSN`, such as
    /// `20261127003612.123456Z#000000#001#000000`: the time, a count, the server and the modification,
    /// in hexadecimal digits.
    // https://www.openldap.org/faq/data/cache/1145.html; initially draft-chu-ldap-csn.
    #[must_use]
    pub fn of_openldap(value: &str) -> Option<(u16, Self)> {
        let mut parts = value.split('#');
        let (time, count, server, part) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none() && time.len() == 22;
        let time = time.strip_suffix('Z').filter(|_| is_whole)?;
        let (seconds, micros) = time.split_once('.')?;
        let time = of_digits(seconds, micros)?;
        let server = u16::from_str_radix(hex(server, 3)?, 16).ok()?;
        let csn = Self {
            time,
            count: u32::from_str_radix(hex(count, 6)?, 16).ok()?,
            part: u32::from_str_radix(hex(part, 6)?, 16).ok()?,
        };
        Some((server, csn))
    }

    /// The number of the server and the CSN in a CSN of 389-ds: the time in seconds, a count, the
    /// replica and a count of parts, in 20 hexadecimal digits.
    // https://docs.oracle.com/cd/E29127_01/doc.111170/e28967/replicationcsn-5dsat.htm
    #[must_use]
    pub fn of_389(value: &str) -> Option<(u16, Self)> {
        let value = hex(value, 20)?;
        let number = |from: usize, to: usize| u32::from_str_radix(value.get(from..to)?, 16).ok();
        let csn = Self {
            time: DateTime::from_timestamp(i64::from(number(0, 8)?), 0)?,
            count: number(8, 12)?,
            part: number(16, 20)?,
        };
        Some((u16::try_from(number(12, 16)?).ok()?, csn))
    }

    /// Whether it is dated so far ahead that a clock was wrong.
    fn is_ahead_of(&self, latest: DateTime<Utc>) -> bool {
        is_ahead(self.time, latest)
    }
}

/// A text, if it consists of that many hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(text)
}

/// The time of `YYYYmmddHHMMSS` and microseconds.
fn of_digits(seconds: &str, micros: &str) -> Option<DateTime<Utc>> {
    let is_number = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(seconds, 14) || !is_number(micros, 6) {
        return None;
    }
    let number = |from: usize, to: usize| seconds.get(from..to)?.parse::<u32>().ok();
    let year = i32::try_from(number(0, 4)?).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?;
    let time = day.and_hms_micro_opt(
        number(8, 10)?,
        number(10, 12)?,
        number(12, 14)?,
        micros.parse().ok()?,
    )?;
    Some(time.and_utc())
}

impl NewestChanges {
    /// What the values of `contextCSN` show, one for each server; none where one of them is no CSN.
    #[must_use]
    pub fn of_context_csns<'v>(values: impl IntoIterator<Item = &'v str>) -> Option<Self> {
        let mut newest = Self::default();
        for value in values {
            let (server, csn) = Csn::of_openldap(value)?;
            newest.add(server, csn)?;
        }
        (!newest.servers.is_empty()).then_some(newest)
    }

    /// What the values of `nsds50ruv` show: `{replicageneration} CSN`, and `{replica NUMBER URL}
    /// OLDEST NEWEST` for each replica, without CSNs where it has made no change; none where that is not
    /// what they are.
    // https://www.port389.org/docs/389ds/design/csn-pending-lists-and-ruv-refactoring.html
    #[must_use]
    pub fn of_update_vector<'v>(values: impl IntoIterator<Item = &'v str>) -> Option<Self> {
        let mut newest = Self::default();
        for value in values {
            let (name, csns) = value.strip_prefix('{')?.split_once('}')?;
            if name == "replicageneration" {
                let (_, generation) = Csn::of_389(csns.trim())?;
                newest.generation = Some(generation);
                continue;
            }
            let number = name.strip_prefix("replica ")?.split(' ').next()?;
            let number: u16 = number.parse().ok()?;
            if let Some(last) = csns.split_ascii_whitespace().nth(1) {
                let (_, csn) = Csn::of_389(last)?;
                newest.add(number, csn)?;
            }
        }
        newest.generation?;
        Some(newest)
    }

    /// None where there are too many.
    fn add(&mut self, server: u16, csn: Csn) -> Option<()> {
        let known = self.servers.entry(server).or_insert(csn);
        *known = csn.max(*known);
        (self.servers.len() <= MOST_SERVERS).then_some(())
    }

    /// How far it is behind what was seen, if it is.
    fn lag(&self, seen: &Self, latest: DateTime<Utc>) -> Option<Lag> {
        match (self.generation, seen.generation) {
            (Some(shown), Some(seen)) if shown < seen => {
                return Some(Lag::Replaced {
                    shown: shown.time,
                    seen: seen.time,
                });
            }
            // A database that was filled anew has changes of its own.
            (shown, seen) if shown != seen => return None,
            (_, _) => {}
        }
        let believed = seen
            .servers
            .iter()
            .filter(|(_, csn)| !csn.is_ahead_of(latest));
        let lags = believed.filter_map(|(server, seen)| match self.servers.get(server) {
            None => Some(Lag::Lacks {
                server: *server,
                seen: seen.time,
            }),
            Some(shown) if shown < seen => Some(Lag::Older {
                server: *server,
                shown: shown.time,
                seen: seen.time,
            }),
            Some(_) => None,
        });
        lags.max_by_key(Lag::by)
    }

    /// The same without what a wrong clock dated ahead: instead, what was known before.
    fn believed(&self, seen: Option<&Self>, latest: DateTime<Utc>) -> Self {
        let seen = seen.filter(|seen| seen.generation == self.generation);
        let believe = |(server, csn): (&u16, &Csn)| {
            let before = || {
                let before = seen?.servers.get(server).copied()?;
                (!before.is_ahead_of(latest)).then_some(before)
            };
            let csn = if csn.is_ahead_of(latest) {
                before()?
            } else {
                *csn
            };
            Some((*server, csn))
        };
        Self {
            generation: self.generation,
            servers: self.servers.iter().filter_map(believe).collect(),
        }
    }
}

impl Freshness {
    /// Adds what a server shows of a naming context.
    #[must_use]
    pub fn with_context(mut self, context: &str, newest: NewestChanges) -> Self {
        if self.contexts.len() < MOST_PARTS {
            self.contexts.insert(context.to_lowercase(), newest);
        }
        self
    }

    /// What a domain controller shows: the number of the last change in its database.
    #[must_use]
    pub fn of_invocation(invocation: Uuid, last_change: u64) -> Self {
        Self {
            invocations: BTreeMap::from([(invocation, last_change)]),
            ..Self::default()
        }
    }

    /// The database of a domain controller, and the number of its last change.
    #[must_use]
    pub fn invocation(&self) -> Option<(Uuid, u64)> {
        let (invocation, last_change) = self.invocations.first_key_value()?;
        Some((*invocation, *last_change))
    }

    /// Whether it shows nothing.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.contexts.is_empty() && self.invocations.is_empty()
    }

    /// How far a server that shows this is behind what was seen before, if it is known to be; the
    /// latest time that it may be tells which changes were dated by a wrong clock.
    #[must_use]
    pub fn lag(&self, seen: &Self, latest: DateTime<Utc>) -> Option<Lag> {
        let contexts = self.contexts.iter().filter_map(|(context, shown)| {
            let seen = seen.contexts.get(context)?;
            shown.lag(seen, latest)
        });
        let invocations = self.invocations.iter().filter_map(|(invocation, shown)| {
            let seen = seen.invocations.get(invocation)?;
            (shown < seen).then_some(Lag::Fewer {
                shown: *shown,
                seen: *seen,
            })
        });
        contexts.chain(invocations).max_by_key(Lag::by)
    }

    /// What has been seen after a server showed this that is not behind, or that a person approved:
    /// what it shows, and what is known of everything else.
    #[must_use]
    pub fn after(&self, seen: &Self, latest: DateTime<Utc>) -> Self {
        let mut now = Self {
            contexts: BTreeMap::new(),
            invocations: self.invocations.clone(),
        };
        for (context, shown) in &self.contexts {
            let before = seen.contexts.get(context);
            let shown = shown.believed(before, latest);
            now.contexts.insert(context.clone(), shown);
        }
        for (context, before) in &seen.contexts {
            if now.contexts.len() < MOST_PARTS && !now.contexts.contains_key(context) {
                now.contexts.insert(context.clone(), before.clone());
            }
        }
        for (invocation, before) in &seen.invocations {
            if now.invocations.len() < MOST_PARTS {
                now.invocations.entry(*invocation).or_insert(*before);
            }
        }
        now
    }

    /// The changes that are dated further ahead than any clock shows, as a warning.
    #[must_use]
    pub fn ahead(&self, latest: DateTime<Utc>) -> Option<String> {
        let servers = self.contexts.values().flat_map(|shown| &shown.servers);
        let ahead = servers.filter(|(_, csn)| csn.is_ahead_of(latest));
        let (server, csn) = ahead.max_by_key(|(_, csn)| **csn)?;
        Some(format!(
            "the newest change of the directory's server {server} is dated {}, which no clock shows \
             yet, so it does not tell how current a replica is: the clock of that server was wrong, \
             or is now",
            readable_time(csn.time, &Utc)
        ))
    }

    /// What it shows, a line for each server, for reports.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let contexts = self.contexts.iter().flat_map(|(context, shown)| {
            let line = move |(server, csn): (&u16, &Csn)| {
                let time = readable_time(csn.time, &Utc);
                format!("{context}: the newest change of server {server} is of {time}")
            };
            shown.servers.iter().map(line)
        });
        let invocations = self.invocations.iter().map(|(invocation, shown)| {
            format!("the last change in the database {invocation} has the number {shown}")
        });
        contexts.chain(invocations).take(MOST_PARTS).collect()
    }
}

/// How far a server is behind what was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lag {
    /// Its newest change of a server is older.
    Older {
        /// The server that made the changes.
        server: u16,
        /// The newest one that it shows.
        shown: DateTime<Utc>,
        /// The newest one that was seen.
        seen: DateTime<Utc>,
    },
    /// It shows no change of a server at all.
    Lacks {
        /// The server that made the changes.
        server: u16,
        /// The newest one that was seen.
        seen: DateTime<Utc>,
    },
    /// The directory was filled anew since.
    Replaced {
        /// When the database that it shows was filled.
        shown: DateTime<Utc>,
        /// When the one that was seen was.
        seen: DateTime<Utc>,
    },
    /// Its database has had fewer changes.
    Fewer {
        /// The number of the last one that it shows.
        shown: u64,
        /// The number of the last one that was seen.
        seen: u64,
    },
}

impl Lag {
    /// What to sort by: the one that is furthest behind comes last.
    fn by(&self) -> (u8, i64) {
        let seconds = |shown: &DateTime<Utc>, seen: &DateTime<Utc>| (*seen - *shown).num_seconds();
        match self {
            Self::Fewer { shown, seen } => (
                0,
                i64::try_from(seen.saturating_sub(*shown)).unwrap_or(i64::MAX),
            ),
            Self::Older { shown, seen, .. } => (1, seconds(shown, seen)),
            Self::Lacks { seen, .. } => (2, seen.timestamp()),
            Self::Replaced { shown, seen } => (3, seconds(shown, seen)),
        }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words("an earlier run saw"))
    }
}

impl Lag {
    /// In words; the given ones say who saw more, such as `an earlier run saw`.
    #[must_use]
    pub fn words(&self, by: &str) -> String {
        let time = |time: &DateTime<Utc>| readable_time(*time, &Utc);
        match self {
            Self::Older {
                server,
                shown,
                seen,
            } => format!(
                "its newest change of the directory's server {server} is of {}, {} older than what \
                 {by} ({})",
                time(shown),
                length(*seen - *shown),
                time(seen)
            ),
            Self::Lacks { server, seen } => format!(
                "it shows no change of the directory's server {server}, of which {by} one of {}",
                time(seen)
            ),
            Self::Replaced { shown, seen } => format!(
                "its database was filled at {}, and {by} one that was filled at {}",
                time(shown),
                time(seen)
            ),
            Self::Fewer { shown, seen } => format!(
                "its last change has the number {shown}, which is {} changes before what {by} in \
                 the same database ({seen})",
                seen.saturating_sub(*shown)
            ),
        }
    }

    /// By how much it is behind, where that is a time.
    #[must_use]
    pub fn behind(&self) -> Option<TimeDelta> {
        match self {
            Self::Older { shown, seen, .. } => Some(*seen - *shown),
            Self::Lacks { .. } | Self::Replaced { .. } | Self::Fewer { .. } => None,
        }
    }
}

/// A length of time in its largest unit, rounded down.
fn length(time: TimeDelta) -> String {
    let (number, unit) = match (time.num_days(), time.num_hours(), time.num_minutes()) {
        (days @ 2.., _, _) => (days, "days"),
        (_, hours @ 2.., _) => (hours, "hours"),
        (_, _, minutes @ 2..) => (minutes, "minutes"),
        (_, _, _) => return "moments".into(),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests;
