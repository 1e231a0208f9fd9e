//! What this process has read and written of what holds jobs up. Only a daemon does that, and
//! nobody else writes it, so that it can be put into a database that was made anew under the
//! daemon.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    model::{backoff::Backoff, pause::Pause},
    state::database::{put, values::RefusedAccount},
};

/// What is known, by job or by server; none where it is known not to be there.
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
    /// Puts it in the place of what a database says.
    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (job, backoff) in &self.backoffs {
            put::put_backoff(connection, job, backoff.as_ref())?;
        }
        for (job, pause) in &self.pauses {
            put::put_pause(connection, job, pause.as_ref())?;
        }
        for (server, refused) in &self.refusals {
            put::put_refusal(connection, server, refused.as_ref())?;
        }
        Ok(())
    }
}
