//! What is remembered between runs, as values.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    model::{
        absence::Absences,
        call_sizes::ReadingSizes,
        change_kind::ChangeKind,
        clocks::{Clocks, Present},
        freshness::Freshness,
        held_people::HeldPeople,
        hold_number::HoldNumber,
        listed_rejection::RejectedWho,
        pause::Pause,
        preferred_server::PreferredServer,
        rejected::Rejected,
        stored_value::StoredOtherwise,
        user::EntityId,
    },
    sync::{decide::UsersBefore, settings::Settings},
};

/// What a job remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Who was missing after the last complete reading of a preferred server.
    pub absences: Absences,
    /// Who might not sign in after it, and had an active user.
    pub disabled: Absences,
    /// The directory's id in the last run.
    pub directory: Option<String>,
    /// What was written, and how much of it without a person's approval; for deactivations that
    /// are missing here the links are used.
    pub written: Vec<Written>,
    /// The time at which the two clocks agreed in the last run in which they did.
    pub clocks_agreed_at: Option<DateTime<Utc>>,
    /// People whose changes are held.
    pub held: HeldPeople,
    /// What people rejected, and whose cause has not ended.
    pub rejected: Rejected,
    /// With which settings the job read its people; none where that is not known.
    pub settings: Option<Settings>,
    /// Whether the job's first contact with its people has begun, and no run of it came to its end.
    pub has_begun: bool,
    /// How many entries each search base showed in the last reading without doubts.
    pub bases: BTreeMap<String, usize>,
    /// How many members each group named in the last reading without doubts.
    pub groups: BTreeMap<String, usize>,
    /// How many referral objects that reading had.
    pub referrals: usize,
    /// The users of the job that were inactive in the last run although the program had not
    /// deactivated them; not known before the first.
    pub inactive: Option<BTreeSet<EntityId>>,
    /// What the last complete reading of the ftrack server showed, of any job.
    pub reading_sizes: Option<ReadingSizes>,
    /// The values that ftrack stores otherwise than they were written.
    pub stored_otherwise: StoredOtherwise,
    /// Whether a run of the job wrote what it should, but for single records.
    pub has_succeeded: bool,
    /// How many users had links after the last run that did not fail.
    pub linked: Option<LinkedUsers>,
    /// How current the directories were that were read, by their ids; empty where it was not known.
    pub freshness: BTreeMap<String, Freshness>,
    /// Which server counts as the preferred one, where the DNS says which comes first.
    pub preferred_server: Option<PreferredServer>,
    /// The users that an interrupted run began to create, according to its journal.
    pub begun: BTreeSet<EntityId>,
    /// The users who got no seat in the last run that wrote what everybody is to have; from its report,
    /// and empty where nobody looked there.
    pub without_seat: BTreeSet<EntityId>,
    /// The kinds of change that a person paused, also if a pause has expired.
    pub paused: BTreeMap<ChangeKind, Pause>,
    /// What the last complete reading showed of the job's users; only for a run of changes.
    pub users_before: Option<UsersBefore>,
}

/// The changes of one kind in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Written {
    pub run: String,
    pub kind: ChangeKind,
    /// What the clocks showed. It is by both, since an age that is too great would let a limit be
    /// passed, while one that is too small only holds more.
    pub at: Clocks,
    /// How many users without a person's approval, or the maximum while that is not settled.
    pub number: usize,
    /// The time in the links of deactivated users: the same for all of one run, and for no other.
    pub since: DateTime<Utc>,
    /// Whether the run was completed; otherwise the links tell how many deactivations there were.
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
    /// Identifies what was tried without disclosing it: the credentials, and after a `-` where and how
    /// they were sent. Absent where it is not known, as after a loss: any configured credentials then
    /// have to wait.
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

impl RefusedAccount {
    /// Whether another process has found since that the server accepts what it refused.
    #[must_use]
    pub fn is_lifted(&self) -> bool {
        self.next_at <= self.refused_at
    }
}

impl Written {
    /// How many users it was, according to the links.
    fn number(&self, links: &[DateTime<Utc>]) -> usize {
        if self.is_settled || self.kind != ChangeKind::Deactivate {
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
    /// How current a directory was when earlier runs read it; none where that is not known.
    #[must_use]
    pub fn freshness_of(&self, directory: Option<&str>) -> Option<&Freshness> {
        self.freshness.get(directory.unwrap_or_default())
    }

    /// What counts for the limits now: what was written within that time before it, according to
    /// this state and, where it knows nothing of a deactivation, to the links of the users: the
    /// state was lost, the job had another name, or another host ran it. Times in the future count
    /// as now.
    #[must_use]
    pub fn written_within(
        &self,
        per: TimeDelta,
        now: Present,
        links: &[DateTime<Utc>],
    ) -> BTreeMap<ChangeKind, usize> {
        let mut counts: BTreeMap<ChangeKind, usize> = BTreeMap::new();
        let is_within = |written: &&Written| now.passed_since(&written.at) < per;
        for written in self.written.iter().filter(is_within) {
            *counts.entry(written.kind).or_default() += written.number(links);
        }
        // By which clock these are is not known: until the earliest time that it may be.
        let is_within = |since: &DateTime<Utc>| now.earliest() - since < per;
        let of_links = self.unknown(links).filter(is_within);
        *counts.entry(ChangeKind::Deactivate).or_default() += of_links.count();
        counts
    }

    /// The latest time of what counts for the limits that no clock shows yet, so that it counts as
    /// now until then.
    #[must_use]
    pub fn ahead_of(&self, now: Clocks, links: &[DateTime<Utc>]) -> Option<DateTime<Utc>> {
        let written = self.written.iter().filter(|written| written.number > 0);
        // The clock that shows less of the two would be passed first.
        let written = written.map(|Written { at, .. }| at.earliest());
        let times = written.chain(self.unknown(links));
        times.filter(|time| now.is_before(*time)).max()
    }

    /// The links of deactivations of which this state knows nothing.
    fn unknown(&self, links: &[DateTime<Utc>]) -> impl Iterator<Item = DateTime<Utc>> {
        let known: HashSet<DateTime<Utc>> =
            self.deactivations().map(|written| written.since).collect();
        let links = links.iter().copied();
        links.filter(move |since| !known.contains(since))
    }

    fn deactivations(&self) -> impl Iterator<Item = &Written> {
        let is_one = |written: &&Written| written.kind == ChangeKind::Deactivate;
        self.written.iter().filter(is_one)
    }

    /// What is known better now: what interrupted runs wrote, now that the links are known, and what
    /// lies ahead of clocks that are right, which was written by now at the latest.
    pub fn settled<'a>(
        &'a self,
        links: &'a [DateTime<Utc>],
        now: Clocks,
    ) -> impl Iterator<Item = Written> + 'a {
        let settled = self.written.iter().map(move |written| {
            let is_one = written.kind == ChangeKind::Deactivate;
            let is_ahead = now.is_surely_before(&written.at);
            let settled = Written {
                number: written.number(links),
                is_settled: written.is_settled || is_one,
                at: if is_ahead { now } else { written.at },
                ..written.clone()
            };
            (settled, written)
        });
        settled.filter_map(|(settled, written)| (settled != *written).then_some(settled))
    }
}

/// A rejected edit of a user.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct RejectedRow {
    pub job: String,
    pub user: EntityId,
    /// The edit, by the text of [`Rejected::texts`].
    pub edit: String,
    /// The hold that held it.
    pub hold: Option<HoldNumber>,
    /// When it was rejected.
    pub at: Option<DateTime<Utc>>,
    /// Who rejected it, in words.
    pub by: Option<String>,
    pub who: Option<RejectedWho>,
    /// Whether the user's link says so: then this only says what the link means.
    pub is_in_link: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn written(at: DateTime<Utc>, number: usize) -> Written {
        Written {
            run: "run".into(),
            kind: ChangeKind::Deactivate,
            at: at.into(),
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
            written: vec![
                written(hours(1), 2),
                written(hours(23), 3),
                written(hours(25), 100),
                written(hours(-9), 1),
                // A person approved it.
                written(hours(5), 0),
            ],
            ..Remembered::default()
        };
        let deactivated = |remembered: &Remembered, links: &[DateTime<Utc>]| {
            let now = Clocks::from(now).into();
            let within = remembered.written_within(TimeDelta::hours(24), now, links);
            within[&ChangeKind::Deactivate]
        };
        assert_eq!(
            deactivated(&remembered, &[]),
            6,
            "one in the future counts as now"
        );
        // Of the links, those that are not known.
        assert_eq!(
            deactivated(
                &remembered,
                &[hours(1), hours(5), hours(11), hours(30), hours(-1)]
            ),
            8
        );
        let lost = Remembered::default();
        assert_eq!(
            deactivated(&lost, &[hours(5), hours(11), hours(30), hours(-1)]),
            3
        );
        // For a run that was killed, the links tell how many there were.
        let killed = Remembered {
            written: vec![Written {
                is_settled: false,
                ..written(hours(1), 5)
            }],
            ..Remembered::default()
        };
        assert_eq!(deactivated(&killed, &[hours(1), hours(1), hours(2)]), 3);
        assert_eq!(
            killed
                .settled(&[hours(1); 9], Clocks::from(now))
                .next()
                .unwrap()
                .number,
            5
        );
    }

    #[test]
    fn what_lies_ahead_counts_as_now_and_is_told() {
        let time: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
        let hours = |hours| time + TimeDelta::hours(hours);
        let by = |here, ftrack| Clocks {
            here: hours(here),
            ftrack: Some(hours(ftrack)),
        };
        let remembered = |at| Remembered {
            written: vec![Written {
                at,
                ..written(hours(-100), 2)
            }],
            ..Remembered::default()
        };
        // What neither clock shows yet.
        let link = [hours(0)];
        let ahead = |at, now: Clocks| remembered(at).ahead_of(now, &link);
        assert_eq!(ahead(by(900, 0), by(1, 1)), None);
        assert_eq!(ahead(by(900, 800), by(1, 1)), Some(hours(800)));
        assert_eq!(ahead(by(-9, -9), by(-5, -5)), Some(hours(0)));
        // It is counted from now once both clocks are surely right.
        let settled = |at, now: Clocks| {
            let remembered = remembered(at);
            let mut settled = remembered.settled(&[], now).map(|written| written.at);
            settled.next()
        };
        assert_eq!(settled(by(900, 800), by(1, 1)), Some(by(1, 1)));
        assert_eq!(settled(by(900, 0), by(1, 1)), None);
        assert_eq!(settled(by(900, 800), by(1, -800)), None);
        assert_eq!(settled(by(900, 800), hours(1).into()), None);
    }

    #[test]
    fn clocks_that_are_wrong_make_nothing_old() {
        let time: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
        let hours = |hours| time + TimeDelta::hours(hours);
        let by = |here, ftrack| Clocks {
            here: hours(here),
            ftrack: Some(hours(ftrack)),
        };
        let counted = |at, now: Present| {
            let remembered = Remembered {
                written: vec![Written {
                    at,
                    ..written(hours(-100), 2)
                }],
                ..Remembered::default()
            };
            let within = remembered.written_within(TimeDelta::hours(24), now, &[]);
            within[&ChangeKind::Deactivate]
        };
        let now = |here, ftrack, agreed: Option<i64>| Present {
            clocks: by(here, ftrack),
            agreed_at: agreed.map(hours),
        };
        // This machine's clock was ahead, and is put right: ftrack's counts alone.
        assert_eq!(counted(by(900, 0), now(23, 23, None)), 2);
        assert_eq!(counted(by(900, 0), now(25, 25, None)), 0);
        // ftrack's goes back: as of when they last agreed.
        assert_eq!(counted(by(0, 0), now(25, -900, Some(23))), 2);
        assert_eq!(counted(by(0, 0), now(25, -900, Some(24))), 0);
        assert_eq!(counted(by(0, 0), now(25, -900, None)), 2);
        // This machine's leaps ahead.
        assert_eq!(counted(by(0, 0), now(900, 23, Some(22))), 2);
        assert_eq!(counted(by(0, 0), now(900, 24, Some(22))), 0);
        // Links that the state does not know have one time.
        let lost = |now: Present| {
            let (links, lost) = ([hours(0), hours(900)], Remembered::default());
            let within = lost.written_within(TimeDelta::hours(24), now, &links);
            within[&ChangeKind::Deactivate]
        };
        assert_eq!(lost(now(25, -9000, Some(24))), 1, "not what is long ago");
        assert_eq!(lost(now(25, -9000, None)), 2);
        assert_eq!(lost(now(900, 23, Some(22))), 2);
    }
}
