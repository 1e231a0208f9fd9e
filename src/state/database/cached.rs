//! What this process has read and written about delayed jobs: a daemon, which reads each second what
//! others write of it, so it can be copied into a database that was recreated while the daemon ran.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    model::{backoff::Backoff, change_kind::ChangeKind, pause::Pause},
    state::database::{put, values::RefusedAccount},
};

/// What is known, by job or by server; none where it is known not to exist.
#[derive(Debug, Default)]
pub(super) struct CachedJobs {
    /// The back-offs of jobs.
    pub backoffs: BTreeMap<String, Option<Backoff>>,
    /// The pauses of jobs.
    pub pauses: BTreeMap<String, Option<Pause>>,
    /// The pauses of single kinds of change.
    pub paused_kinds: BTreeMap<(String, ChangeKind), Option<Pause>>,
    /// The servers that refused the credentials.
    pub refusals: BTreeMap<String, Option<RefusedAccount>>,
}

impl CachedJobs {
    /// Replaces the database's content by the cached content.
    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (job, backoff) in &self.backoffs {
            put::put_backoff(connection, job, backoff.as_ref())?;
        }
        for (job, pause) in &self.pauses {
            put::put_pause(connection, job, pause.as_ref())?;
        }
        for ((job, kind), pause) in &self.paused_kinds {
            put::put_paused_kind(connection, (job, *kind), pause.as_ref())?;
        }
        for (server, refused) in &self.refusals {
            put::put_refusal(connection, server, refused.as_ref())?;
        }
        Ok(())
    }
}
