//! Which users this job may change: the owner of a user, over all sources and directories.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    entry::DirectoryId, id::IdAttribute, link::Link, own_links::OwnLinks, reason::JobPart,
    user::Current,
};

use super::{
    desired::{Desired, Person},
    rules::{Rules, Sibling},
};

/// The owner of a user, from this job's point of view.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Owner {
    /// This job.
    Ours,
    /// This job, by a link with the directory's former id: most of its people are in this reading.
    OursBefore,
    /// Another job whose bases or groups the person left: this job takes the user over.
    Left {
        /// The name of that job.
        job: Arc<str>,
        /// What of it the person left.
        part: JobPart,
    },
    /// Another job, which keeps it.
    Sibling {
        /// The name of that job.
        job: Arc<str>,
    },
    /// A source that no job has.
    NoJob { source: Arc<str> },
    /// This job's source in another directory: most likely another installation.
    OtherDirectory {
        /// The directory's id.
        directory: Arc<str>,
    },
}

/// The links with this job's source and another directory are inconsistent with the reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the directory is not the same as before: it was {before:?}, and is now {now:?}, and of \
     {links} active users with links of this job only {known} have people in it, so nothing was \
     written; is it the right server? If it was replaced for good, give the job another source, \
     or set the directory's id to the former one ([directories] id)"
)]
pub struct OtherDirectory {
    before: String,
    now: String,
    links: usize,
    known: usize,
}

/// Who is in none of the groups of another job any more, although that job finds the entry: by the
/// name of that job.
pub type LeftGroups = BTreeMap<String, BTreeSet<DirectoryId>>;

/// How many links name a directory, and of how many of them the people are in a reading.
type Weight = (usize, usize);

/// The same of several directories, by their ids.
type Weights = BTreeMap<Arc<str>, Weight>;

/// Evaluates the links in ftrack, for one reading of one job.
#[derive(Debug)]
pub struct Owners<'a> {
    desired: &'a Desired,
    rules: &'a Rules,
    /// The directory's id in links whose people are mostly in this reading.
    before: BTreeSet<Arc<str>>,
    left_groups: LeftGroups,
}

impl<'a> Owners<'a> {
    /// Evaluates all links of the job's source; `remembered` is the directory of the last run.
    ///
    /// # Errors
    /// The directory is not that of the last run, and does not contain the same people.
    pub fn new(
        desired: &'a Desired,
        current: &Current,
        rules: &'a Rules,
        remembered: Option<&str>,
    ) -> Result<Self, OtherDirectory> {
        let mut owners = Self {
            desired,
            rules,
            before: BTreeSet::new(),
            left_groups: LeftGroups::new(),
        };
        let (others, (links_now, known_now)) = owners.weigh(current);
        for (directory, (links, known)) in others {
            // A remainder with the former directory id does not outweigh the links that an approval
            // rewrote.
            if remembered == Some(&*directory) && (known + known_now) * 2 <= links + links_now {
                return Err(OtherDirectory {
                    before: directory.to_string(),
                    now: desired
                        .directory()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    links,
                    known,
                });
            }
        }
        Ok(owners)
    }

    /// The links of the job, as a reading shows them.
    #[must_use]
    pub fn own_links(desired: &'a Desired, current: &Current, rules: &'a Rules) -> OwnLinks {
        let mut owners = Self {
            desired,
            rules,
            before: BTreeSet::new(),
            left_groups: LeftGroups::new(),
        };
        owners.weigh(current);
        let now = desired.directory();
        let former = owners.before.iter().filter(|_| now.is_some());
        let all = now.into_iter().chain(former);
        OwnLinks::new(&rules.source, all.map(|directory| &**directory))
    }

    /// Finds the former ids of the directory; returns of each other one how many links name it and of
    /// how many of those the people are in this reading, and the same of this one.
    fn weigh(&mut self, current: &Current) -> (Weights, Weight) {
        // What changed does not tell whose people most of them are.
        let is_of_everybody = self.desired.is_of_everybody();
        let Some(now) = self.desired.directory().filter(|_| is_of_everybody) else {
            return (Weights::new(), Weight::default());
        };
        let mut directories = self.directories(current);
        let of_now = directories.remove(now).unwrap_or_default();
        let is_former = |(_, (links, known)): &(Arc<str>, Weight)| known * 2 > *links;
        let (former, others): (Weights, Weights) = directories.into_iter().partition(is_former);
        self.before = former.into_keys().collect();
        (others, of_now)
    }

    /// The same, where it is known who left the groups of other jobs.
    #[must_use]
    pub fn knowing(self, left_groups: LeftGroups) -> Self {
        Self {
            left_groups,
            ..self
        }
    }

    /// How many links of this source name each directory, and how many of their people are in this
    /// reading; only of active users, since people who left over the years are in none.
    fn directories(&self, current: &Current) -> Weights {
        let mut directories = Weights::new();
        let active = current.users.iter().filter(|user| user.is_active);
        let links = active
            .filter_map(|user| user.link.link())
            .filter(|link| link.source == self.rules.source);
        let is_another = |directory: &Arc<str>| self.desired.directory() != Some(directory);
        if !links
            .clone()
            .any(|link| link.directory.as_ref().is_some_and(is_another))
        {
            // The usual case: there is nothing to weigh.
            return directories;
        }
        for link in links {
            if let Some(directory) = &link.directory {
                let (links, known) = directories.entry(Arc::clone(directory)).or_default();
                *links += 1;
                *known += usize::from(
                    self.desired.is_told_by(&link.attribute) && !self.desired.lacks(&link.id),
                );
            }
        }
        directories
    }

    /// Whether a link is this job's.
    #[must_use]
    pub fn is_ours(&self, link: &Link) -> bool {
        link.source == self.rules.source
            && match self.of(link, None) {
                Owner::Ours | Owner::OursBefore => true,
                Owner::Left { .. }
                | Owner::Sibling { .. }
                | Owner::NoJob { .. }
                | Owner::OtherDirectory { .. } => false,
            }
    }

    /// The directory's former id, where it differs from the present one.
    pub fn former_directories(&self) -> impl Iterator<Item = &str> {
        self.before.iter().map(|directory| &**directory)
    }

    /// The sources whose users all belong to directories other than the one that was read.
    #[must_use]
    pub fn of_other_directories(&self, current: &Current) -> BTreeSet<Arc<str>> {
        let Some(now) = self.desired.directory() else {
            return BTreeSet::new();
        };
        if !self.desired.is_of_everybody() {
            return BTreeSet::new();
        }
        let (mut others, mut same) = (BTreeSet::new(), BTreeSet::new());
        for link in current.users.iter().filter_map(|user| user.link.link()) {
            match &link.directory {
                Some(directory) if directory != now => others.insert(Arc::clone(&link.source)),
                Some(_) | None => same.insert(Arc::clone(&link.source)),
            };
        }
        others.difference(&same).cloned().collect()
    }

    /// Whether a link may belong to a person of this reading: its id can be compared with the ids
    /// that were read.
    ///
    /// Ids that servers generate identify a person everywhere; others only within their directory.
    #[must_use]
    pub fn is_comparable(&self, link: &Link) -> bool {
        if !self.desired.is_told_by(&link.attribute) {
            return false;
        }
        match &link.attribute {
            IdAttribute::EntryUuid
            | IdAttribute::ObjectGuid
            | IdAttribute::NsUniqueId
            | IdAttribute::IpaUniqueId => true,
            IdAttribute::Other(_) => self.is_of_this_directory(link),
        }
    }

    /// Whether a link belongs to the directory that was read, as far as that is known.
    fn is_of_this_directory(&self, link: &Link) -> bool {
        match (&link.directory, self.desired.directory()) {
            (Some(of_link), Some(now)) => of_link == now || self.before.contains(of_link),
            (None, _) | (_, None) => {
                link.source == self.rules.source
                    || self
                        .sibling(&link.source)
                        .is_some_and(|sibling| sibling.shares_table)
            }
        }
    }

    /// The owner of a user with a link of any source; for a person of this reading if one is given.
    #[must_use]
    pub fn of(&self, link: &Link, person: Option<&Person>) -> Owner {
        if link.source == self.rules.source {
            return match (&link.directory, self.desired.directory()) {
                (Some(of_link), Some(now)) if of_link == now => Owner::Ours,
                (Some(of_link), Some(_)) if self.before.contains(of_link) => Owner::OursBefore,
                (Some(of_link), Some(_)) => Owner::OtherDirectory {
                    directory: Arc::clone(of_link),
                },
                (None, _) | (_, None) => Owner::Ours,
            };
        }
        let Some(sibling) = self.sibling(&link.source) else {
            return Owner::NoJob {
                source: Arc::clone(&link.source),
            };
        };
        let job = Arc::clone(&sibling.job);
        match person {
            Some(person) if self.shows(link) && !sibling.reach.holds(&person.dn) => Owner::Left {
                job,
                part: JobPart::SearchBases,
            },
            Some(_) if self.shows(link) && self.left_groups(&job, &link.id) => Owner::Left {
                job,
                part: JobPart::Groups,
            },
            Some(_) | None => Owner::Sibling { job },
        }
    }

    fn left_groups(&self, job: &str, id: &DirectoryId) -> bool {
        let left = self.left_groups.get(job);
        left.is_some_and(|left| left.contains(id))
    }

    /// Whether the directory that was read is that of a link whose person it shows.
    pub(super) fn shows(&self, link: &Link) -> bool {
        match (&link.directory, self.desired.directory()) {
            (Some(of_link), Some(now)) => of_link == now,
            (None, Some(_)) => link.attribute.is_universal() || self.is_of_this_directory(link),
            // Another table may name another directory with the same people: the two jobs would
            // take the users from each other endlessly.
            (_, None) => self
                .sibling(&link.source)
                .is_some_and(|sibling| sibling.shares_table),
        }
    }

    fn sibling(&self, source: &str) -> Option<&'a Sibling> {
        self.rules
            .siblings
            .iter()
            .find(|sibling| *sibling.source == *source)
    }
}

/// The id attribute by which most users of a job are known; none where there are none. Another
/// installation with the same source may know its own by another one; where no link is of the job's
/// directory, all of the source tell.
#[must_use]
pub fn known_attribute<'a>(current: &'a Current, own: &OwnLinks) -> Option<&'a IdAttribute> {
    let links = current.users.iter().filter_map(|user| user.link.link());
    let of_source = links.filter(|link| own.is_of_source(link));
    let of_directory = of_source.clone().filter(|link| own.has(link));
    most_common(of_directory).or_else(|| most_common(of_source))
}

fn most_common<'a>(links: impl Iterator<Item = &'a Link>) -> Option<&'a IdAttribute> {
    let mut counts: BTreeMap<&str, (usize, &IdAttribute)> = BTreeMap::new();
    for link in links {
        let count = counts.entry(link.attribute.name());
        count.or_insert((0, &link.attribute)).0 += 1;
    }
    let most = counts.into_values().max_by_key(|(count, _)| *count);
    most.map(|(_, attribute)| attribute)
}
