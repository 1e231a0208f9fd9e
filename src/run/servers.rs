//! The connections of one configuration, shared by its jobs.

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

use crate::{
    config::Config,
    directory::{DirectoryError, DirectoryPool},
    ftrack::{error::FtrackError, session::Session},
};

/// The connections to every server of one configuration: one pool for each directory and one ftrack
/// session; cheap to clone.
///
/// Nothing is connected before it is used.
#[derive(Debug, Clone)]
pub struct Servers {
    directories: Arc<BTreeMap<String, DirectoryPool>>,
    ftrack: Session,
}

/// The connections to a server cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum ServerError {
    Directory(#[from] DirectoryError),
    Ftrack(#[from] FtrackError),
}

/// The connections to one or more servers cannot be prepared; as an error, it is that of the first.
#[derive(Debug)]
pub struct ServersError {
    first: ServerError,
    rest: Vec<ServerError>,
}

impl ServersError {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ServerError> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl fmt::Display for ServersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)
    }
}

impl Error for ServersError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first.source()
    }
}

impl ServerError {
    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Directory(error) => error.what(),
            Self::Ftrack(error) => error.what(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self {
            Self::Directory(error) => error.general_way_out().to_owned(),
            Self::Ftrack(error) => error.way_out(),
        }
    }
}

impl Servers {
    /// Prepares the connections; reads the certificate files, and connects to nothing yet.
    ///
    /// # Errors
    /// A certificate cannot be read, or settings contradict each other.
    pub fn new(config: &Config) -> Result<Self, ServersError> {
        let mut directories = BTreeMap::new();
        let mut errors: Vec<ServerError> = Vec::new();
        for (name, directory) in &config.directories {
            match DirectoryPool::new(name, directory) {
                Ok(pool) => _ = directories.insert(name.clone(), pool),
                Err(error) => errors.push(error.into()),
            }
        }
        let session = Session::new(&config.ftrack).map_err(ServerError::from);
        let mut errors = errors.into_iter();
        match (errors.next(), session) {
            (None, Ok(ftrack)) => Ok(Self {
                directories: Arc::new(directories),
                ftrack,
            }),
            (None, Err(first)) => Err(ServersError {
                first,
                rest: Vec::new(),
            }),
            (Some(first), session) => Err(ServersError {
                first,
                rest: errors.chain(session.err()).collect(),
            }),
        }
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
