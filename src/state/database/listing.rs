//! The summaries of all runs, one after another.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use rusqlite::Connection;

use crate::{
    model::{change_kind::ChangeKind, pause::Pause, summary::RunSummary},
    state::{
        database::{
            columns, jobs,
            look::{Looked, look},
        },
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

/// What a person paused of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paused {
    /// All of it.
    pub job: Option<Pause>,
    /// Single kinds of its changes.
    pub kinds: BTreeMap<ChangeKind, Pause>,
}

/// What people paused, by job, also if a pause has expired. Nothing is created or changed; where there
/// is no database, or the next run has to update it first, there is nothing.
///
/// # Errors
/// The database cannot be read.
pub fn all_pauses(state_dir: &Path) -> Result<BTreeMap<String, Paused>, StateError> {
    Ok(match look(state_dir, paused)? {
        Looked::Read(paused) => paused,
        Looked::Missing | Looked::Unusable => BTreeMap::new(),
    })
}

fn paused(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Paused>> {
    let mut all: BTreeMap<String, Paused> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM pauses")?;
    let rows = statement.query_map([], |row| Ok((row.get("job")?, columns::pause(row)?)))?;
    for row in rows {
        let (job, pause): (String, Pause) = row?;
        all.entry(job).or_default().job = Some(pause);
    }
    let mut statement = connection.prepare("SELECT DISTINCT job FROM paused_kinds")?;
    let jobs = statement.query_map([], |row| row.get("job"))?;
    for job in jobs.collect::<rusqlite::Result<Vec<String>>>()? {
        let kinds = jobs::paused_kinds(connection, &job)?;
        all.entry(job).or_default().kinds = kinds;
    }
    Ok(all)
}
