//! The summaries of all runs, one after another.

use std::{fs, ops::ControlFlow, path::Path};

use rusqlite::Connection;

use crate::{
    model::summary::RunSummary,
    state::{
        database::{FILE, columns, corruption, lock::DatabaseLock, schema},
        files::StateError,
    },
};

/// Visits the summary of each run, newest first, until the visitor breaks. Nothing is created or
/// changed; where there is no database, or the next run has to update it first, there are none.
///
/// # Errors
/// The database cannot be read.
pub fn each_run(
    state_dir: &Path,
    visit: &mut dyn FnMut(RunSummary) -> ControlFlow<()>,
) -> Result<(), StateError> {
    let looked = look(state_dir, |connection| {
        let mut statement = connection.prepare("SELECT * FROM runs ORDER BY run DESC, job DESC")?;
        for run in statement.query_map([], columns::run)? {
            if visit(run?).is_break() {
                break;
            }
        }
        Ok(())
    });
    looked.map(Option::unwrap_or_default)
}

/// Reads a database without creating or changing anything; none where there is none, or where the
/// next run has to update it first.
pub(super) fn look<T>(
    state_dir: &Path,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, StateError> {
    let folder = std::path::absolute(state_dir)
        .map_err(|source| StateError::new("find", state_dir, source))?;
    let path = folder.join(FILE);
    if !fs::metadata(&path).is_ok_and(|there| there.is_file() && there.len() > 0) {
        return Ok(None);
    }
    let gate = DatabaseLock::look(&folder)?;
    let _among_others = gate.as_ref().map(DatabaseLock::shared).transpose()?;
    let Some(connection) = schema::look(&path)? else {
        return Ok(None);
    };
    work(&connection)
        .map(Some)
        .map_err(|error| corruption::failed("read", &path, &error))
}
