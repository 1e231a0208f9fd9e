//! The summaries of all runs, one after another.

use std::{fs, ops::ControlFlow, path::Path};

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
    let folder = std::path::absolute(state_dir)
        .map_err(|source| StateError::new("find", state_dir, source))?;
    let path = folder.join(FILE);
    if !fs::metadata(&path).is_ok_and(|there| there.is_file() && there.len() > 0) {
        return Ok(());
    }
    let gate = DatabaseLock::look(&folder)?;
    let _among_others = gate.as_ref().map(DatabaseLock::shared).transpose()?;
    let Some(connection) = schema::look(&path)? else {
        return Ok(());
    };
    let failed = |error: rusqlite::Error| corruption::failed("read", &path, &error);
    let mut statement = connection
        .prepare("SELECT * FROM runs ORDER BY run DESC, job DESC")
        .map_err(failed)?;
    let runs = statement.query_map([], columns::run).map_err(failed)?;
    for run in runs {
        if visit(run.map_err(failed)?).is_break() {
            break;
        }
    }
    Ok(())
}
