//! What is remembered between runs, as values.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{absence::Absences, user::EntityId};

/// What a job remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Who was missing after the last complete reading of a preferred server.
    pub absences: Absences,
    /// The directory's id in the last run.
    pub directory: Option<String>,
    /// Deactivations that were written, and how many of them without a person's approval; for those
    /// that are missing here the links are used.
    pub deactivations: Vec<Written>,
    /// The directory ids of people whose deactivation a limit holds.
    pub held: BTreeSet<String>,
    /// How many entries each search base showed in the last reading without doubts.
    pub bases: BTreeMap<String, usize>,
    /// The users of the job that were inactive in the last run although the program had not
    /// deactivated them; not known before the first.
    pub inactive: Option<BTreeSet<EntityId>>,
    /// How many users had links after the last run that did not fail.
    pub linked: Option<LinkedUsers>,
}

/// The deactivations of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Written {
    pub run: String,
    pub at: DateTime<Utc>,
    /// How many users without a person's approval, or the maximum while that is not settled.
    pub number: usize,
    /// The time in their links: the same for all of one run, and for no other.
    pub since: DateTime<Utc>,
    /// Whether the run was completed; otherwise the links tell how many there were.
    pub is_settled: bool,
}

/// How many users had links after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedUsers {
    /// Those of the job.
    pub owned: usize,
    /// Those of any job; not known for runs of earlier versions.
    pub of_all: Option<usize>,
}

/// A server that refused the credentials, and when they may be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// Identifies these credentials without disclosing them. Absent where it is not known, as after
    /// a loss: any configured credentials then have to wait.
    pub mark: Option<String>,
    /// Refusals in a row; at least one.
    pub failures: u32,
    /// The time of the last one.
    pub refused_at: DateTime<Utc>,
    /// The credentials are not tried before this time.
    pub next_at: DateTime<Utc>,
    /// The server's message.
    pub error: String,
}

impl Written {
    /// How many users it was, according to the links.
    fn number(&self, links: &[DateTime<Utc>]) -> usize {
        if self.is_settled {
            return self.number;
        }
        links
            .iter()
            .filter(|since| **since == self.since)
            .count()
            .min(self.number)
    }
}

impl Remembered {
    /// The deactivations that count for a limit now: those that were written within that time
    /// before it, according to this state and, where it knows nothing of them, to the links of the
    /// users: the state was lost, the job had another name, or another host ran it. Times in the
    /// future count as now.
    #[must_use]
    pub fn deactivated_within(
        &self,
        per: TimeDelta,
        now: DateTime<Utc>,
        links: &[DateTime<Utc>],
    ) -> usize {
        let is_within = |at: DateTime<Utc>| now.signed_duration_since(at) < per;
        let known: HashSet<DateTime<Utc>> = self
            .deactivations
            .iter()
            .map(|written| written.since)
            .collect();
        let counted: usize = self
            .deactivations
            .iter()
            .filter(|written| is_within(written.at))
            .map(|written| written.number(links))
            .sum();
        counted
            + links
                .iter()
                .filter(|since| is_within(**since) && !known.contains(*since))
                .count()
    }

    /// What interrupted runs wrote, now that the links are known.
    pub fn settled<'a>(&'a self, links: &'a [DateTime<Utc>]) -> impl Iterator<Item = Written> + 'a {
        self.deactivations
            .iter()
            .filter(|written| !written.is_settled)
            .map(|written| Written {
                number: written.number(links),
                is_settled: true,
                ..written.clone()
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn written(at: DateTime<Utc>, number: usize) -> Written {
        Written {
            run: "run".into(),
            at,
            number,
            since: at,
            is_settled: true,
        }
    }

    #[test]
    fn what_counts_for_a_limit() {
        let now: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
        let hours = |hours| now - TimeDelta::hours(hours);
        let remembered = Remembered {
            deactivations: vec![
                written(hours(1), 2),
                written(hours(23), 3),
                written(hours(25), 100),
                written(hours(-9), 1),
                // A person approved it.
                written(hours(5), 0),
            ],
            ..Remembered::default()
        };
        let day = TimeDelta::hours(24);
        assert_eq!(
            remembered.deactivated_within(day, now, &[]),
            6,
            "one in the future counts as now"
        );
        // Of the links, those that are not known.
        assert_eq!(
            remembered.deactivated_within(
                day,
                now,
                &[hours(1), hours(5), hours(11), hours(30), hours(-1)]
            ),
            8
        );
        let lost = Remembered::default();
        assert_eq!(
            lost.deactivated_within(day, now, &[hours(5), hours(11), hours(30), hours(-1)]),
            3
        );
        // For a run that was killed, the links tell how many there were.
        let killed = Remembered {
            deactivations: vec![Written {
                is_settled: false,
                ..written(hours(1), 5)
            }],
            ..Remembered::default()
        };
        assert_eq!(
            killed.deactivated_within(day, now, &[hours(1), hours(1), hours(2)]),
            3
        );
        assert_eq!(killed.settled(&[hours(1); 9]).next().unwrap().number, 5);
    }
}
