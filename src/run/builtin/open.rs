//! A synchronisation that ftrack was asked to start, and whose end no run has reported yet: saved
//! from before the start until it is reported, so that the next run follows it instead of starting
//! another, and reports its changes.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    ftrack::builtin_sync::Noted,
    model::{report::Report, user::EntityId},
    state::{files::StateError, folder::Folder},
    sync::observed::AllValues,
};

/// The maximum size of the file, in bytes: a million users need a third of it.
const LARGEST: u64 = 1 << 30;

/// How much of a synchronisation is reported.
pub(in crate::run) enum Reported {
    /// Nothing, or none was started: the saved state is unchanged.
    Open,
    /// Its changes so far.
    SoFar(Box<OpenSync>),
    /// All of it.
    ToItsEnd,
}

/// One synchronisation of one ftrack server, whichever job started it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct OpenSync {
    /// The URL of the ftrack server.
    pub ftrack: String,
    #[serde(flatten)]
    pub start: Start,
    /// Users that were active before the start.
    pub active: usize,
    /// The number of users it has deactivated so far, as far as known.
    pub deactivated: usize,
    /// The number of users it has renamed so far, as far as known.
    pub renamed: usize,
    /// The users when they were last reported, or before the start.
    pub users: AllValues,
}

/// How it was started.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct Start {
    /// The run that started it.
    pub run: String,
    /// The server's job; absent while it is not known.
    pub job: Option<EntityId>,
    /// The server's newest jobs before the start.
    pub noted: Noted,
}

impl Start {
    /// By a run that is about to start it.
    pub(super) fn by(report: &Report) -> Self {
        Self {
            run: report.run.clone(),
            job: None,
            noted: Noted::default(),
        }
    }
}

impl OpenSync {
    /// A synchronisation of these users that a run is about to start.
    pub(super) fn before(report: &Report, users: AllValues) -> Self {
        Self {
            ftrack: report.ftrack.server.clone(),
            start: Start::by(report),
            active: users.active(),
            deactivated: 0,
            renamed: 0,
            users,
        }
    }

    /// Saves what the next run has to know, once the report is saved.
    pub(in crate::run) fn settle(reported: &Reported, state_dir: &Path) -> Result<(), StateError> {
        match reported {
            Reported::Open => Ok(()),
            Reported::SoFar(open) => open.keep(state_dir),
            Reported::ToItsEnd => {
                Self::forget(state_dir);
                Ok(())
            }
        }
    }

    /// The open synchronisation of a server.
    ///
    /// # Errors
    /// It cannot be read, or is damaged: then it is not known whether one is running.
    pub fn load(state_dir: &Path, ftrack: &str) -> Result<Option<Self>, StateError> {
        let wrong = |source| StateError::new("read", &state_dir.join(NAME), source);
        let content = match Folder::find(state_dir)? {
            Some(folder) => folder.read(NAME, LARGEST)?,
            None => None,
        };
        let Some(content) = content else {
            return Ok(None);
        };
        let open: Self = serde_json::from_slice(&content).map_err(|error| {
            let damaged = format!(
                "it is damaged ({error}); when no synchronisation is running in ftrack, delete it"
            );
            wrong(io::Error::new(io::ErrorKind::InvalidData, damaged))
        })?;
        Ok(Some(open).filter(|open| open.ftrack == ftrack))
    }

    /// Saves it.
    ///
    /// # Errors
    /// It cannot be written durably; then nothing may be started.
    pub fn keep(&self, state_dir: &Path) -> Result<(), StateError> {
        let content = serde_json::to_vec(self)
            .map_err(|error| StateError::new("write", &state_dir.join(NAME), error.into()))?;
        Folder::make(state_dir)?.replace(NAME, &content)
    }

    /// Deletes a reported synchronisation; if that fails it is reported again, which is better than
    /// never.
    pub fn forget(state_dir: &Path) {
        if let Ok(Some(folder)) = Folder::find(state_dir) {
            let _ = folder.remove(NAME);
        }
    }
}

/// The name of the file in the state directory.
const NAME: &str = "ftrack-ldap-sync-under-way.json";
