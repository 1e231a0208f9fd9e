//! A synchronisation that ftrack was asked to start, and whose end no run has reported yet: on disk
//! from before the start until it is reported, so that the next run follows it instead of starting
//! another, and reports what it changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    ftrack::builtin_sync::Noted,
    model::{report::Report, user::EntityId},
    state::{files, files::StateError},
    sync::observed::AllValues,
};

/// The largest file that is read back, in bytes: a million users take a third of it.
const LARGEST: u64 = 1 << 30;

/// How far a synchronisation is reported.
pub(in crate::run) enum Reported {
    /// Not at all, or none was started: what is on disk stands.
    Open,
    /// As far as it went.
    SoFar(Box<OpenSync>),
    /// To its end.
    ToItsEnd,
}

/// One synchronisation of one ftrack server, whichever job had it started.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct OpenSync {
    /// The ftrack server.
    pub ftrack: String,
    #[serde(flatten)]
    pub start: Start,
    /// Users that were active before the start.
    pub active: usize,
    /// How many users it is known to have deactivated so far.
    pub deactivated: usize,
    /// How many users it is known to have renamed so far.
    pub renamed: usize,
    /// The users as they were when they were last reported, or before the start.
    pub users: AllValues,
}

/// How it was started.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct Start {
    /// The run that had it started.
    pub run: String,
    /// The server's job; absent while it is not known.
    pub job: Option<EntityId>,
    /// The server's newest jobs before the start.
    pub noted: Noted,
}

impl Start {
    /// By a run that is about to.
    pub(super) fn by(report: &Report) -> Self {
        Self {
            run: report.run.clone(),
            job: None,
            noted: Noted::default(),
        }
    }
}

impl OpenSync {
    /// One that a run is about to have started, of these users.
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

    /// Keeps what the next run has to know, now that the report is kept.
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

    /// The one that is open at a server.
    ///
    /// # Errors
    /// It cannot be read, or is damaged: then nobody knows whether one is under way.
    pub fn load(state_dir: &Path, ftrack: &str) -> Result<Option<Self>, StateError> {
        let path = path(state_dir);
        let wrong = |source| StateError::new("read", &path, source);
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(wrong)?.len(),
        };
        if length > LARGEST {
            return Err(wrong(io::ErrorKind::FileTooLarge.into()));
        }
        let content = fs::read(&path).map_err(wrong)?;
        let open: Self = serde_json::from_slice(&content).map_err(|error| {
            let damaged = format!(
                "it is damaged ({error}); when no synchronisation is under way at ftrack any \
                 more, delete it"
            );
            wrong(io::Error::new(io::ErrorKind::InvalidData, damaged))
        })?;
        Ok(Some(open).filter(|open| open.ftrack == ftrack))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// It cannot be made safe; then nothing may be started.
    pub fn keep(&self, state_dir: &Path) -> Result<(), StateError> {
        files::make_folder(state_dir)?;
        let path = path(state_dir);
        let content = serde_json::to_vec(self)
            .map_err(|error| StateError::new("write", &path, error.into()))?;
        files::replace(&path, &content)
    }

    /// Forgets the one that was reported; one that stays behind is reported again, which is better
    /// than never.
    pub fn forget(state_dir: &Path) {
        let _ = fs::remove_file(path(state_dir));
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("ftrack-ldap-sync-under-way.json")
}
