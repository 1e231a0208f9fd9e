//! Changes by their times, and by the update sequence numbers of Active Directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Asking, At, Connection, DirectoryError};
use crate::{
    directory::{
        account::generalized_time,
        budget::Budget,
        lookup::look,
        search::{Search, SearchEvidence, search},
        server::{Continuations, ReferralObjects},
    },
    model::{entry::DirectoryId, entry::Entry, entry::Kept, id::IdAttribute},
};

/// When an entry was changed last (RFC 4512 section 3.4.4).
const TIME: &str = "modifyTimestamp";
/// How far back each search goes behind the newest change that is known: servers replicate, and the
/// times of two of them differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The most changes that are remembered so that they are not taken for new ones once more.
const MOST_SEEN: usize = 10_000;

/// What the times of the changes show.
#[derive(Debug)]
pub(super) struct Timed {
    pub at: At,
    pub changed: BTreeSet<DirectoryId>,
}

impl Asking<'_> {
    /// The entries below a base that have changed since the newest change that is known, or were
    /// not seen with that time.
    pub(super) async fn timed(
        &self,
        connection: &mut Connection,
        (base, filter): (&str, &str),
        before: Option<&At>,
    ) -> Result<Timed, DirectoryError> {
        let (known, seen) = match before {
            Some(At::Time { newest, seen }) => (Some(*newest), seen.clone()),
            Some(At::Cookie { .. } | At::Usn { .. } | At::Nothing) | None => {
                (None, BTreeMap::new())
            }
        };
        let from = known.and_then(|known| known.checked_sub_signed(OVERLAP));
        let filter = match from {
            Some(from) => format!("(&{filter}({TIME}>={}))", from.format("%Y%m%d%H%M%SZ")),
            None => filter.to_owned(),
        };
        let began = Instant::now();
        let mut attributes = vec![TIME.to_owned()];
        attributes.extend(self.by.attributes());
        let mut entries: Vec<(Option<DirectoryId>, Option<DateTime<Utc>>)> = Vec::new();
        let by = self.by;
        let each = |entry: &Entry| {
            let time = entry.values(TIME).first();
            let time = time.and_then(|time| generalized_time(std::str::from_utf8(time).ok()?));
            entries.push((by.of(entry), time));
        };
        let how = (attributes, self.continuations());
        self.each(connection, (base, &filter), how, each).await?;
        let newest = entries.iter().filter_map(|(_, time)| *time).max();
        if newest.is_none() && !entries.is_empty() {
            let changed = BTreeSet::new();
            return Ok(Timed {
                at: At::Nothing,
                changed,
            });
        }
        // Whatever changed while this was read may have an earlier time than the newest.
        let took = TimeDelta::from_std(began.elapsed()).unwrap_or(TimeDelta::MAX);
        let last = newest;
        let newest = newest.and_then(|newest| newest.checked_sub_signed(took));
        let newest = newest.max(known).unwrap_or(DateTime::UNIX_EPOCH);
        let again = newest.checked_sub_signed(OVERLAP).unwrap_or(newest);
        let mut now = BTreeMap::new();
        let mut changed = BTreeSet::new();
        for (id, time) in entries {
            let Some(id) = id else { continue };
            let is_known = time.is_some() && seen.get(id.as_str()) == time.as_ref();
            // What has the newest time may change once more within that second.
            let is_over = time < last;
            if let Some(time) = time.filter(|time| *time >= again && now.len() < MOST_SEEN)
                && is_over
            {
                now.insert(id.as_str().to_owned(), time);
            }
            if !is_known {
                changed.insert(id);
            }
        }
        Ok(Timed {
            at: At::Time { newest, seen: now },
            changed,
        })
    }

    /// The ids of the entries that a filter finds.
    pub(super) async fn ids(
        &self,
        connection: &mut Connection,
        search: (&str, &str),
        continuations: Continuations,
    ) -> Result<BTreeSet<DirectoryId>, DirectoryError> {
        let mut ids = BTreeSet::new();
        let by = self.by;
        let each = |entry: &Entry| ids.extend(by.of(entry));
        let mut attributes = by.attributes();
        if attributes.is_empty() {
            attributes.push("objectClass".to_owned());
        }
        let how = (attributes, continuations);
        self.each(connection, search, how, each).await?;
        Ok(ids)
    }

    /// The number of the last change of a server of Active Directory, with what identifies its
    /// database; none where it shows neither.
    pub(super) async fn usn(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<At>, DirectoryError> {
        let Some((highest, service)) = &self.about.update_number else {
            return Ok(None);
        };
        // https://learn.microsoft.com/windows/win32/adschema/a-invocationid
        let found = look(connection, service, "(objectClass=*)", &["invocationId"]).await;
        let found = match found {
            Ok(found) => found,
            Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => None,
            Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => None,
            Err(error) => return Err(error),
        };
        let invocation = found.and_then(|entry| {
            let value = entry.values("invocationId").first()?.clone();
            let guid = vec![(IdAttribute::ObjectGuid.name().to_owned(), vec![value])];
            IdAttribute::ObjectGuid.of(&Entry::new(String::new(), guid))
        });
        Ok(invocation.map(|invocation| At::Usn {
            invocation: invocation.as_str().to_owned(),
            next: highest.saturating_add(1),
        }))
    }

    async fn each(
        &self,
        connection: &mut Connection,
        (base, filter): (&str, &str),
        (attributes, continuations): (Vec<String>, Continuations),
        mut each: impl FnMut(&Entry),
    ) -> Result<(), DirectoryError> {
        let wanted = Search {
            base: base.to_owned(),
            scope: self.scope,
            filter: filter.to_owned(),
            ids: self.by.attributes(),
            attributes,
            page_size: self.pool.page_size(),
            referrals: self.about.referrals,
            referral_objects: ReferralObjects::LeftOut,
            continuations,
        };
        let references = (ReferralObjects::LeftOut, continuations);
        let wanted = self.about.suited(&wanted, references);
        let mut evidence = SearchEvidence::of(&wanted);
        let mut budget = Budget::of_a_reading();
        let searched = search(
            connection,
            &wanted,
            &mut evidence,
            &mut budget,
            |entry, _, budget| {
                budget.take(entry.dn.size())?;
                each(&entry.merged());
                Ok(())
            },
        )
        .await;
        searched.map_err(|error| self.about.explained(error))
    }
}
