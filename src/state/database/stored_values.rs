//! Values that ftrack stores otherwise than they were written. If they are lost, each is written once
//! more.

use rusqlite::{Connection, params};

use crate::{
    model::stored_value::StoredOtherwise,
    state::{
        database::{State, columns},
        files::StateError,
    },
};

impl State {
    /// Saves what is known of the users of a job in an ftrack server; nothing is written where that
    /// is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_stored_otherwise(
        &self,
        job: &str,
        ftrack: &str,
        before: &StoredOtherwise,
        now: &StoredOtherwise,
    ) -> Result<(), StateError> {
        if before == now {
            return Ok(());
        }
        self.write(|transaction| {
            let mut remove = transaction.prepare(
                "DELETE FROM stored_values \
                 WHERE job = ?1 AND ftrack = ?2 AND ftrack_id = ?3 AND field = ?4",
            )?;
            let mut put = transaction.prepare(
                "INSERT OR REPLACE INTO stored_values \
                 (job, ftrack, ftrack_id, field, wanted, stored) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for (user, field, _) in before
                .iter()
                .filter(|(user, field, _)| now.get(user, field).is_none())
            {
                remove.execute(params![job, ftrack, &*user.text(), field.name()])?;
            }
            for (user, field, digests) in now.iter() {
                if before.get(user, field) != Some(digests) {
                    let (wanted, stored) = (digests.wanted.text(), digests.stored.text());
                    put.execute(params![
                        job,
                        ftrack,
                        &*user.text(),
                        field.name(),
                        wanted,
                        stored
                    ])?;
                }
            }
            Ok(())
        })
    }
}

pub(super) fn of_job(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<StoredOtherwise> {
    let mut rows =
        connection.prepare("SELECT * FROM stored_values WHERE job = ?1 AND ftrack = ?2")?;
    let mut known = StoredOtherwise::default();
    for row in rows.query_map(params![job, ftrack], columns::stored_value)? {
        let (user, field, digests) = row?;
        known.put(user, field, digests);
    }
    Ok(known)
}
