//! What this process has read and written about delayed jobs. Only a daemon does that, and nobody
//! else writes it, so it can be copied into a database that was recreated while the daemon ran.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{RefusedAccount, jobs};
use crate::daemon::{backoff::Backoff, pause::Pause};

/// What is known, by job or by server; none where it is known not to exist.
#[derive(Debug, Default)]
pub(super) struct CachedJobs {
    /// The back-offs of jobs.
    pub backoffs: BTreeMap<String, Option<Backoff>>,
    /// The pauses of jobs.
    pub pauses: BTreeMap<String, Option<Pause>>,
    /// The servers that refused the credentials.
    pub refusals: BTreeMap<String, Option<RefusedAccount>>,
}

impl CachedJobs {
    /// Replaces the database's content by the cached content.
    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (job, backoff) in &self.backoffs {
            jobs::put_backoff(connection, job, backoff.as_ref())?;
        }
        for (job, pause) in &self.pauses {
            jobs::put_pause(connection, job, pause.as_ref())?;
        }
        for (server, refused) in &self.refusals {
            jobs::put_refusal(connection, server, refused.as_ref())?;
        }
        Ok(())
    }
}
