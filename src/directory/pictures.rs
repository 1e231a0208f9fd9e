//! The pictures of people, read beside the people themselves: only their digests are kept, and
//! whoever has one that is too large, or none, is as present as everybody else.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{
    budget::{Budget, OverBudget},
    error::DirectoryError,
    filter,
    group_graph::Members,
    identity::{FreshnessUse, SchemaUse, ServerIdentity},
    pool::DirectoryPool,
    range::ANYTHING,
    request::ReadRequest,
    search::{LaterPages, Search},
    searches::{EntrySink, SearchRun, Searches, Servers, Wanted, bounded, of_request, run},
    server::{Continuations, ReferralObjects},
};
use crate::{
    config::{Filter, Scope},
    model::{
        entry::{Entry, of_bytes},
        picture::{PictureDigest, UnfitPicture, sendable},
    },
};

/// The most entries of a page, since each may have megabytes.
const PAGE: i32 = 20;
/// The most values of one entry that count.
const MOST_VALUES: usize = 8;

/// What the directory shows of the pictures of one person: each value once, in a fixed order.
pub type PictureValues = Vec<Result<PictureDigest, UnfitPicture>>;

/// Reads the pictures of people at one server: what each entry has, by its DN as that server writes
/// it. Entries without a picture are not among them.
///
/// # Errors
/// As for a read; then nothing is known of any picture.
pub async fn pictures(
    pool: &DirectoryPool,
    request: &ReadRequest,
    (server, people): (&str, &Filter),
    attribute: &str,
    cancel: &CancellationToken,
) -> Result<BTreeMap<Box<str>, PictureValues>, DirectoryError> {
    let with_one = filter::both(people, &format!("({attribute}=*)"));
    let mut sink = Digests {
        attribute,
        found: BTreeMap::new(),
    };
    let list = of_request(pool, request, &with_one, &[attribute.to_owned()], &[]);
    searched(
        pool,
        (request, Servers::Only(server)),
        list,
        &mut sink,
        cancel,
    )
    .await?;
    Ok(sink.found)
}

/// Reads one picture again, by the DN of its entry; none where it is not there any more.
///
/// # Errors
/// As for a read.
pub async fn picture(
    pool: &DirectoryPool,
    request: &ReadRequest,
    (dn, attribute): (&str, &str),
    digest: &PictureDigest,
    cancel: &CancellationToken,
) -> Result<Option<Vec<u8>>, DirectoryError> {
    let at_entry = ReadRequest {
        bases: vec![dn.to_owned()],
        scope: Scope::Subtree,
        ..request.clone()
    };
    let mut sink = Picture {
        attribute,
        digest,
        found: None,
    };
    let mut list = of_request(pool, &at_entry, ANYTHING, &[attribute.to_owned()], &[]);
    for search in &mut list {
        search.scope = ldap3::Scope::Base;
    }
    searched(pool, (&at_entry, Servers::InOrder), list, &mut sink, cancel).await?;
    Ok(sink.found)
}

async fn searched(
    pool: &DirectoryPool,
    (request, servers): (&ReadRequest, Servers<'_>),
    mut list: Vec<Search>,
    sink: &mut (impl EntrySink + Send),
    cancel: &CancellationToken,
) -> Result<(), DirectoryError> {
    for search in &mut list {
        search.page_size = search.page_size.min(PAGE);
        search.later_pages = LaterPages::Same;
    }
    let searches = |_: &ServerIdentity| Searches {
        groups: None,
        list: list.clone(),
        disabled: Vec::new(),
        meant: Vec::new(),
        people: None,
        left_out: Vec::new(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::LeftOut,
    };
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::None,
        searches: &searches,
    };
    let mut course = SearchRun::default();
    let work = run(pool, servers, wanted, sink, &mut course);
    bounded(work, request.deadline, cancel).await.map(drop)
}

/// Keeps the digests.
struct Digests<'a> {
    attribute: &'a str,
    found: BTreeMap<Box<str>, PictureValues>,
}

impl EntrySink for Digests<'_> {
    fn begin(&mut self, _: &ServerIdentity, _: Option<Members>) {
        self.found.clear();
    }

    fn entry(&mut self, _: usize, entry: &Entry, budget: &mut Budget) -> Result<(), OverBudget> {
        let mut values: PictureValues = if entry.is_too_large() {
            vec![Err(UnfitPicture::TooLarge)]
        } else {
            let values = entry.values(self.attribute).iter();
            values.map(|value| sendable(value)).collect()
        };
        values.sort();
        values.dedup();
        values.truncate(MOST_VALUES);
        if values.is_empty() {
            return Ok(());
        }
        budget.take(of_bytes(entry.dn.len()) + values.len() * of_bytes(64))?;
        self.found.insert(entry.dn.as_str().into(), values);
        Ok(())
    }

    fn page(&mut self, _: u64) {}
}

/// Keeps one picture.
struct Picture<'a> {
    attribute: &'a str,
    digest: &'a PictureDigest,
    found: Option<Vec<u8>>,
}

impl EntrySink for Picture<'_> {
    fn begin(&mut self, _: &ServerIdentity, _: Option<Members>) {
        self.found = None;
    }

    fn entry(&mut self, _: usize, entry: &Entry, budget: &mut Budget) -> Result<(), OverBudget> {
        let is_it = |value: &&Vec<u8>| sendable(value).as_ref() == Ok(self.digest);
        if let Some(value) = entry.values(self.attribute).iter().find(is_it) {
            budget.take(of_bytes(value.len()))?;
            self.found = Some(value.clone());
        }
        Ok(())
    }

    fn page(&mut self, _: u64) {}
}
