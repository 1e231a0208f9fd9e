//! What fitted an ftrack server, for the runs of all jobs. If it is lost, a run begins small.

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    model::call_sizes::{CallSizes, ReadingSizes},
    state::{
        database::{State, columns, columns::Count},
        files::StateError,
    },
};

impl State {
    /// Saves what a complete reading of an ftrack server showed; nothing is written where that is
    /// about the same as before.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_reading_sizes(
        &self,
        ftrack: &str,
        before: Option<ReadingSizes>,
        now: ReadingSizes,
    ) -> Result<(), StateError> {
        if before.is_some_and(|before| before.is_about(&now)) {
            return Ok(());
        }
        let ReadingSizes {
            asked:
                CallSizes {
                    page_rows,
                    calls,
                    changes,
                },
            users,
            links,
        } = now;
        self.write(|transaction| {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO reading_sizes \
                     (ftrack, page_rows, calls, changes, users, links) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        ftrack,
                        page_rows,
                        Count(calls),
                        Count(changes),
                        Count(users),
                        Count(links)
                    ],
                )
                .map(drop)
        })
    }

    /// Saves how many changes fit into one call.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_changes_at_once(&self, ftrack: &str, changes: usize) -> Result<(), StateError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "UPDATE reading_sizes SET changes = ?2 WHERE ftrack = ?1",
                    params![ftrack, Count(changes)],
                )
                .map(drop)
        })
    }
}

/// What is known of a server.
pub(super) fn of_server(
    connection: &Connection,
    ftrack: &str,
) -> rusqlite::Result<Option<ReadingSizes>> {
    connection
        .query_row(
            "SELECT * FROM reading_sizes WHERE ftrack = ?1",
            params![ftrack],
            columns::reading_sizes,
        )
        .optional()
}
