//! Which links this job may act on: whose a user is, over all sources and directories.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    id::IdAttribute,
    link::Link,
    user::{Current, User},
};

use super::{
    desired::{Desired, Person},
    rules::{Rules, Sibling},
};

/// Whose a user is, as far as this job is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This job's.
    Ours,
    /// This job's, by a link that names the directory as it was called before: most of its people
    /// are in this reading.
    OursBefore,
    /// Another job's whose bases the person left: this job takes the user over.
    Left {
        /// The other job.
        job: String,
    },
    /// Another job's, which keeps it.
    Sibling {
        /// The other job.
        job: String,
    },
    /// That of a source that no job has.
    NoJob {
        /// The source.
        source: Arc<str>,
    },
    /// That of this job's source in another directory: another installation's, most likely.
    OtherDirectory {
        /// The directory's id.
        directory: Arc<str>,
    },
}

/// The links that bear this job's source, but another directory, cannot be made sense of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the directory is another one than before: it was {before:?}, and is {now:?}, and of {links} \
     active users with links of this job only {known} have people in it, so nothing was written; \
     is it the right server? If it was replaced for good, give the job another source, or the \
     directory its former id ([directories] id)"
)]
pub struct OtherDirectory {
    before: String,
    now: String,
    links: usize,
    known: usize,
}

/// Judges the links at ftrack, for one reading of one job.
#[derive(Debug)]
pub struct Owners<'a> {
    desired: &'a Desired,
    rules: &'a Rules,
    /// What the directory was called in links whose people are in this reading for the most part.
    before: BTreeSet<Arc<str>>,
}

impl<'a> Owners<'a> {
    /// Looks at all links of the job's source; `remembered` is the directory of the last run.
    ///
    /// # Errors
    /// The directory is another one than in the last run, and does not hold the same people.
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
        };
        let Some(now) = desired.directory() else {
            return Ok(owners);
        };
        let mut directories = owners.directories(current);
        let (links_now, known_now) = directories.remove(now).unwrap_or_default();
        for (directory, (links, known)) in directories {
            if known * 2 > links {
                owners.before.insert(directory);
            // Whoever is left of a directory that was called otherwise does not outweigh those
            // whose links an approval rewrote.
            } else if remembered == Some(&*directory)
                && (known + known_now) * 2 <= links + links_now
            {
                return Err(OtherDirectory {
                    before: directory.to_string(),
                    now: now.to_string(),
                    links,
                    known,
                });
            }
        }
        Ok(owners)
    }

    /// How many links of this source name each directory, and how many of their people are in this
    /// reading; of active users alone, since those who left over the years are in none.
    fn directories(&self, current: &Current) -> BTreeMap<Arc<str>, (usize, usize)> {
        let mut directories: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
        let active = current.users.iter().filter(|user| user.is_active);
        let links = active
            .filter_map(|user| user.link.link())
            .filter(|link| link.source == self.rules.source);
        let is_another = |directory: &Arc<str>| self.desired.directory() != Some(directory);
        if !links
            .clone()
            .any(|link| link.directory.as_ref().is_some_and(is_another))
        {
            // As almost always: there is nothing to be weighed.
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

    /// What the directory was called before, where it is called otherwise now.
    pub fn former_directories(&self) -> impl Iterator<Item = &str> {
        self.before.iter().map(|directory| &**directory)
    }

    /// The sources whose users are all of directories other than the one that was read.
    #[must_use]
    pub fn of_other_directories(&self, current: &Current) -> BTreeSet<Arc<str>> {
        let Some(now) = self.desired.directory() else {
            return BTreeSet::new();
        };
        let (mut others, mut same) = (BTreeSet::new(), BTreeSet::new());
        for link in current.users.iter().filter_map(|user| user.link.link()) {
            match &link.directory {
                Some(directory) if directory != now => others.insert(Arc::clone(&link.source)),
                Some(_) | None => same.insert(Arc::clone(&link.source)),
            };
        }
        others.difference(&same).cloned().collect()
    }

    /// Whether a link may be of a person of this reading: its id can be compared with the ids that
    /// were read.
    ///
    /// The ids that servers make themselves identify a person everywhere; others within their
    /// directory only.
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

    /// Whether a link is of the directory that was read, as far as that can be told.
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

    /// Whose a user is that has a link of this source or another; of a person of this reading where
    /// one is given.
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
        let job = sibling.job.clone();
        match person {
            Some(person) if self.shows(link) && !sibling.reach.holds(&person.dn) => {
                Owner::Left { job }
            }
            Some(_) | None => Owner::Sibling { job },
        }
    }

    /// Whether the directory that was read is that of a link whose person it shows.
    fn shows(&self, link: &Link) -> bool {
        match (&link.directory, self.desired.directory()) {
            (Some(of_link), Some(now)) => of_link == now,
            (None, Some(_)) => link.attribute.is_universal() || self.is_of_this_directory(link),
            // Another table may name another directory with the same people: the two jobs would
            // take the users from each other for ever.
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

    /// The users that are this job's, with their links.
    pub fn owned<'u>(&self, current: &'u Current) -> impl Iterator<Item = (&'u User, &'u Link)> {
        let links = current
            .users
            .iter()
            .filter_map(|user| Some((user, user.link.link()?)));
        links.filter(|(_, link)| matches!(self.of(link, None), Owner::Ours | Owner::OursBefore))
    }
}
