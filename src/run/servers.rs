//! The connections of one configuration, shared by its jobs.

use std::{collections::BTreeMap, sync::Arc};

use crate::{config::Config, directory::DirectoryPool, ftrack::session::Session};

/// The connections to every server of one configuration: one pool for each directory and one ftrack
/// session; cheap to clone.
///
/// Nothing is connected before it is used.
#[derive(Debug, Clone)]
pub struct Servers {
    directories: Arc<BTreeMap<String, DirectoryPool>>,
    ftrack: Session,
}

impl Servers {
    /// Prepares the connections; reads the certificate files, and connects to nothing yet.
    ///
    /// # Errors
    /// A certificate cannot be read, or settings contradict each other.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let pools = config.directories.iter().map(|(name, directory)| {
            let pool = DirectoryPool::new(name, directory)?;
            Ok((name.clone(), pool))
        });
        Ok(Self {
            directories: Arc::new(pools.collect::<anyhow::Result<_>>()?),
            ftrack: Session::new(&config.ftrack)?,
        })
    }

    /// The pool of the directory with this name.
    #[must_use]
    pub fn directory(&self, name: &str) -> Option<&DirectoryPool> {
        self.directories.get(name)
    }

    /// By name.
    pub fn directories(&self) -> impl Iterator<Item = &DirectoryPool> {
        self.directories.values()
    }

    /// The ftrack session.
    #[must_use]
    pub fn ftrack(&self) -> &Session {
        &self.ftrack
    }
}
