//! Changes by their times, and by the update sequence numbers of Active Directory.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Asking, At, Connection, DirectoryError, EntryIds};
use crate::{
    directory::{
        account::generalized_time,
        budget::Budget,
        search::{LaterPages, Search, SearchEvidence, search},
        server::{Continuations, ReferralObjects},
    },
    model::{
        entry::{DirectoryId, Entry, of_bytes},
        freshness::is_ahead,
    },
};

/// When an entry was changed last (RFC 4512 section 3.4.4).
const TIME: &str = "modifyTimestamp";
/// How far back each search goes behind the newest change that is known: servers replicate, and the
/// times of two of them differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The most changes that are noted so that they are not taken for new ones once more.
const MOST_NOTED: usize = 100_000;
/// How long a time stays that of new changes, with something for clocks that are not quite even:
/// servers tell it in seconds.
const OF_A_TIME: Duration = Duration::from_millis(1100);
/// The namespace of the digests of changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_52c8_0a77_5e0b_9c3e_41d2_b8f6_0935);

/// What the times of the changes show.
#[derive(Debug)]
pub(super) struct Timed {
    pub at: At,
    pub changed: BTreeSet<DirectoryId>,
}

/// What is kept of an entry.
struct Dated {
    id: Option<DirectoryId>,
    time: Option<DateTime<Utc>>,
    /// The digest of the entry's DN and that time.
    note: u64,
}

impl Dated {
    fn of(entry: &Entry, by: EntryIds<'_>) -> Self {
        let time = entry.values(TIME).first();
        let time = time.and_then(|time| generalized_time(std::str::from_utf8(time).ok()?));
        let seconds = time.map(|time| time.timestamp());
        let text = format!("{seconds:?} {}", entry.dn);
        Self {
            id: by.of(entry),
            time,
            note: Uuid::new_v5(&NAMESPACE, text.as_bytes()).as_u64_pair().0,
        }
    }

    /// The memory that it takes, in bytes; a list that grows has room for as many again.
    fn size(&self) -> usize {
        2 * size_of::<Self>() + size_of_id(self.id.as_ref())
    }
}

/// The memory that an id takes beside its place, in bytes.
fn size_of_id(id: Option<&DirectoryId>) -> usize {
    id.map_or(0, |id| of_bytes(id.as_str().len()))
}

impl Asking<'_> {
    /// The entries below a base that have changed since the newest change that is known, or were
    /// not noted with that time.
    ///
    /// When it returns, none that it names can change once more with the same time, so that whoever
    /// reads them from then on has what was noted.
    pub(super) async fn timed(
        &self,
        connection: &mut Connection,
        (base, filter): (&str, &str),
        before: Option<&At>,
        budget: &mut Budget,
    ) -> Result<Timed, DirectoryError> {
        let (known, before) = match before {
            Some(At::Time { newest, noted, .. }) => (Some(*newest), Some(noted)),
            Some(At::Cookie { .. } | At::Usn { .. } | At::Nothing) | None => (None, None),
        };
        let from = known.and_then(|known| known.checked_sub_signed(OVERLAP));
        let filter = match from {
            Some(from) => format!("(&{filter}({TIME}>={}))", from.format("%Y%m%d%H%M%SZ")),
            None => filter.to_owned(),
        };
        let began = Instant::now();
        let mut attributes = vec![TIME.to_owned()];
        attributes.extend(self.by.attributes());
        let mut entries: Vec<Dated> = Vec::new();
        let by = self.by;
        let each = |entry: &Entry| {
            let dated = Dated::of(entry, by);
            let size = dated.size();
            entries.push(dated);
            size
        };
        let how = (attributes, self.continuations);
        self.each(connection, (base, &filter), how, budget, each)
            .await?;
        let is_noted = |dated: &Dated| before.is_some_and(|noted| noted.contains(&dated.note));
        if entries.iter().any(|dated| !is_noted(dated)) {
            tokio::time::sleep(OF_A_TIME).await;
        }
        let Some(at) = up_to(&entries, (known, Utc::now()), began.elapsed()) else {
            let changed = BTreeSet::new();
            return Ok(Timed {
                at: At::Nothing,
                changed,
            });
        };
        let new = entries.into_iter().filter(|dated| !is_noted(dated));
        let changed = new.filter_map(|dated| dated.id).collect();
        Ok(Timed { at, changed })
    }

    /// The ids of the entries that a filter finds.
    pub(super) async fn ids(
        &self,
        connection: &mut Connection,
        search: (&str, &str),
        continuations: Continuations,
        budget: &mut Budget,
    ) -> Result<BTreeSet<DirectoryId>, DirectoryError> {
        let mut ids = BTreeSet::new();
        let by = self.by;
        let each = |entry: &Entry| {
            let id = by.of(entry);
            let size = 2 * size_of::<DirectoryId>() + size_of_id(id.as_ref());
            ids.extend(id);
            size
        };
        let mut attributes = by.attributes();
        if attributes.is_empty() {
            attributes.push("objectClass".to_owned());
        }
        let how = (attributes, continuations);
        self.each(connection, search, how, budget, each).await?;
        Ok(ids)
    }

    /// The number of the last change of a server of Active Directory, with what identifies its
    /// database; none where it shows neither.
    pub(super) fn usn(&self) -> Option<At> {
        let (invocation, last) = self.about.freshness.invocation()?;
        Some(At::Usn {
            invocation: invocation.to_string(),
            next: last.saturating_add(1),
        })
    }

    /// Searches, and takes from the budget what is said to be kept of each entry.
    async fn each(
        &self,
        connection: &mut Connection,
        (base, filter): (&str, &str),
        (attributes, continuations): (Vec<String>, Continuations),
        budget: &mut Budget,
        mut each: impl FnMut(&Entry) -> usize,
    ) -> Result<(), DirectoryError> {
        let wanted = Search {
            base: base.to_owned(),
            scope: self.scope,
            filter: filter.to_owned(),
            ids: self.by.attributes(),
            attributes,
            page_size: self.pool.page_size(),
            later_pages: LaterPages::Same,
            referrals: self.about.referrals,
            referral_objects: ReferralObjects::LeftOut,
            continuations,
        };
        let references = (ReferralObjects::LeftOut, continuations);
        let wanted = self.about.suited(&wanted, references);
        let mut evidence = SearchEvidence::of(&wanted);
        let searched = search(
            connection,
            &wanted,
            &mut evidence,
            budget,
            |entry, _, budget| budget.take(each(&entry.merged())),
        )
        .await;
        searched.map_err(|error| self.about.explained(error))
    }
}

/// Up to where the changes are known after a search that took so long and showed these entries;
/// none where they show no times.
fn up_to(
    entries: &[Dated],
    (known, latest): (Option<DateTime<Utc>>, DateTime<Utc>),
    took: Duration,
) -> Option<At> {
    let times = || entries.iter().filter_map(|dated| dated.time);
    if times().next().is_none() && !entries.is_empty() {
        return None;
    }
    // After a time that is far ahead, all others would look old: it does not count.
    let newest = times().filter(|time| !is_ahead(*time, latest)).max();
    let ahead = times().filter(|time| is_ahead(*time, latest)).max();
    // Whatever changed while this was read may have an earlier time than the newest.
    let took = TimeDelta::from_std(took).unwrap_or(TimeDelta::MAX);
    let newest = newest.and_then(|newest| newest.checked_sub_signed(took));
    let newest = newest.max(known).unwrap_or(DateTime::UNIX_EPOCH);
    let again = newest.checked_sub_signed(OVERLAP).unwrap_or(newest);
    let comes_again = |dated: &&Dated| dated.time.is_some_and(|time| time >= again);
    let noted = entries.iter().filter(comes_again).take(MOST_NOTED);
    let noted = noted.map(|dated| dated.note).collect();
    Some(At::Time {
        newest,
        noted,
        ahead,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn dated(uid: usize, time: &str) -> Dated {
        let attributes = [(TIME, vec![time.as_bytes().to_vec()])];
        let entry = Entry::showing(&format!("uid=u{uid},dc=test"), attributes);
        Dated::of(&entry, EntryIds::None)
    }

    #[test]
    fn a_time_that_is_far_ahead_does_not_count_and_comes_once() {
        let latest: DateTime<Utc> = "2026-11-27T12:00:00Z".parse().unwrap();
        let times = ["20261127115900Z", "20261127123000Z", "20991231235959Z"];
        let entries: Vec<Dated> = (0..3)
            .zip(times)
            .map(|(uid, time)| dated(uid, time))
            .collect();
        let Some(At::Time {
            newest,
            noted,
            ahead,
        }) = up_to(&entries, (None, latest), Duration::ZERO)
        else {
            panic!("a time");
        };
        // Half an hour may be the clock of this host.
        assert_eq!(
            newest,
            "2026-11-27T12:30:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(ahead, Some("2099-12-31T23:59:59Z".parse().unwrap()));
        let comes_again = entries.iter().map(|entry| noted.contains(&entry.note));
        assert_eq!(comes_again.collect::<Vec<_>>(), [false, true, true]);
        // Where all of them are, nothing is missed.
        let all = up_to(&entries[2..], (None, latest), Duration::ZERO);
        let Some(At::Time { newest, noted, .. }) = all else {
            panic!("a time");
        };
        assert_eq!((newest, noted.len()), (DateTime::UNIX_EPOCH, 1));
    }

    #[test]
    fn the_same_entry_with_another_time_is_another_change() {
        let note = dated(1, "20261127115900Z").note;
        assert_eq!(dated(1, "20261127115900Z").note, note);
        assert_ne!(dated(1, "20261127115901Z").note, note);
        assert_ne!(dated(2, "20261127115900Z").note, note);
    }
}
