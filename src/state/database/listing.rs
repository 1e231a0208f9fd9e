//! The summaries of all runs, one after another.

use std::{ops::ControlFlow, path::Path};

use crate::{
    model::summary::RunSummary,
    state::{
        database::{columns, look::look},
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
    looked.map(drop)
}
