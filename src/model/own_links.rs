//! Which links are a job's own: those of its source and of its directory. Another installation may have
//! the same source, and another directory.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    link::Link,
    user::{Current, User},
};

/// What the links of a job say; by default, no job has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnLinks {
    source: Arc<str>,
    /// The ids of the job's directory, now and before; where none is known, all links of the source are
    /// the job's.
    directories: BTreeSet<Arc<str>>,
}

/// It cannot be told which links are a job's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the links of the source {source_name:?} name several directories, and no run on this state \
     directory has read the job's, so it is not known whose they are: run `sync` first"
)]
pub struct SeveralDirectories {
    source_name: Arc<str>,
}

impl OwnLinks {
    /// The links of a source and of the directory with these ids; of all directories where there is
    /// none.
    #[must_use]
    pub fn new<'d>(source: &Arc<str>, directories: impl IntoIterator<Item = &'d str>) -> Self {
        Self {
            source: Arc::clone(source),
            directories: directories.into_iter().map(Into::into).collect(),
        }
    }

    /// The same without a reading: where no id is known, the directory is the one that all links of the
    /// source name.
    ///
    /// # Errors
    /// They name several.
    pub fn known<'d>(
        source: &Arc<str>,
        directories: impl IntoIterator<Item = &'d str>,
        current: &Current,
    ) -> Result<Self, SeveralDirectories> {
        let known = Self::new(source, directories);
        if !known.directories.is_empty() {
            return Ok(known);
        }
        let ties = current.users.iter().filter_map(|user| user.link.tie());
        let directories: BTreeSet<Arc<str>> = ties
            .filter(|link| link.source == *source)
            .filter_map(|link| link.directory.clone())
            .collect();
        if directories.len() > 1 {
            let source_name = Arc::clone(source);
            return Err(SeveralDirectories { source_name });
        }
        Ok(Self {
            directories,
            ..known
        })
    }

    /// Whether a link is the job's; one that names no directory is its source's.
    #[must_use]
    pub fn has(&self, link: &Link) -> bool {
        self.is_of_source(link) && !self.is_elsewhere(link)
    }

    /// Whether a link has the job's source, and another directory: most likely it is another
    /// installation's.
    #[must_use]
    pub fn is_elsewhere(&self, link: &Link) -> bool {
        let is_other = |directory| !self.directories.contains(directory);
        self.is_of_source(link)
            && !self.directories.is_empty()
            && link.directory.as_ref().is_some_and(is_other)
    }

    /// Whether the person of a link may be among those whom the job's directory shows: an id that is no
    /// server's own means another person in another directory.
    #[must_use]
    pub fn may_show(&self, link: &Link) -> bool {
        let is_own = |directory| self.directories.contains(directory);
        link.attribute.is_universal()
            || self.directories.is_empty()
            || link.directory.as_ref().is_none_or(is_own)
    }

    /// Whether a link has the job's source, of whatever directory.
    #[must_use]
    pub fn is_of_source(&self, link: &Link) -> bool {
        link.source == self.source
    }

    /// The users with a link of the job.
    pub fn users<'c>(&self, current: &'c Current) -> impl Iterator<Item = (&'c User, &'c Link)> {
        let links = current.users.iter();
        let links = links.filter_map(|user| Some((user, user.link.link()?)));
        links.filter(|(_, link)| self.has(link))
    }

    /// That users with links of the source and another directory are left alone, if there are some.
    #[must_use]
    pub fn notice(&self, current: &Current) -> Option<String> {
        let links = current.users.iter().filter_map(|user| user.link.link());
        let elsewhere = links.filter(|link| self.is_elsewhere(link)).count();
        (elsewhere > 0).then(|| left_alone(elsewhere))
    }
}

/// That so many users of another directory are left alone.
#[must_use]
pub fn left_alone(users: usize) -> String {
    format!(
        "{users} users have links of this job's source from another directory, probably another \
         installation's, and are left alone; give one of the two jobs another source"
    )
}
