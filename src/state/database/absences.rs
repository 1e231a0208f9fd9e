//! Since when people have been missing: the start of `deactivate_after`. If it is lost, the program
//! waits longer, never shorter.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};
use serde::Deserialize;

use crate::{
    model::{
        absence::{Absence, Absences},
        clocks::Clocks,
    },
    state::{
        database::{State, columns, columns::Time, corruption},
        files::StateError,
        folder::Folder,
    },
};

/// The maximum size of a file from an older version, in bytes.
const LARGEST: u64 = 256 << 20;

impl State {
    /// Saves who is missing after a complete read. Only differences are written, and nothing when
    /// there are none.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_absences(
        &self,
        job: &str,
        before: &Absences,
        now: &Absences,
    ) -> Result<(), StateError> {
        self.set(Table::Absences, job, before, now)
    }

    /// Saves who may not sign in, and has an active user, likewise.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_disabled(
        &self,
        job: &str,
        before: &Absences,
        now: &Absences,
    ) -> Result<(), StateError> {
        self.set(Table::Disabled, job, before, now)
    }

    fn set(
        &self,
        table: Table,
        job: &str,
        before: &Absences,
        now: &Absences,
    ) -> Result<(), StateError> {
        if before == now {
            return Ok(());
        }
        let name = table.name();
        self.write(|transaction| {
            let mut remove = transaction.prepare(&format!(
                "DELETE FROM {name} WHERE job = ?1 AND directory_id = ?2"
            ))?;
            for id in before.keys().filter(|id| !now.contains_key(*id)) {
                remove.execute(params![job, id])?;
            }
            let changed = now
                .iter()
                .filter(|(id, absence)| before.get(*id) != Some(absence));
            put(transaction, table, job, changed)
        })
    }
}

/// Two tables of one form.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    /// Who is missing.
    Absences,
    /// Who may not sign in.
    Disabled,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Absences => "absences",
            Self::Disabled => "disabled",
        }
    }
}

pub(super) fn of_job(
    connection: &Connection,
    table: Table,
    job: &str,
) -> rusqlite::Result<Absences> {
    let name = table.name();
    let mut statement = connection.prepare(&format!("SELECT * FROM {name} WHERE job = ?1"))?;
    statement
        .query_map(params![job], columns::absence)?
        .collect()
}

fn put<'a>(
    transaction: &Transaction<'_>,
    table: Table,
    job: &str,
    absences: impl Iterator<Item = (&'a String, &'a Absence)>,
) -> rusqlite::Result<()> {
    let name = table.name();
    let mut add = transaction.prepare(&format!(
        "INSERT OR REPLACE INTO {name} (job, directory_id, since, since_ftrack, reads) \
         VALUES (?1, ?2, ?3, ?4, ?5)"
    ))?;
    for (id, Absence { since, reads }) in absences {
        add.execute(params![
            job,
            id,
            Time(since.here),
            since.ftrack.map(Time),
            reads
        ])?;
    }
    Ok(())
}

/// Imports what an older version saved in `absences/JOB.json`.
pub(super) fn from_files(
    connection: &mut Connection,
    path: &Path,
    state_dir: &Path,
) -> Result<(), StateError> {
    let mut absences = Vec::new();
    if let Some(folder) = folder(state_dir)? {
        for (job, name) in files(&folder)? {
            absences.push((job, from_file(&folder, &name)?));
        }
    }
    put_all(connection, &absences).map_err(|error| corruption::failed("write", path, &error))
}

fn put_all(connection: &mut Connection, absences: &[(String, Absences)]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (job, absences) in absences {
        // A missing person is missing from at least one read: such a file is damaged.
        put(
            &transaction,
            Table::Absences,
            job,
            absences.iter().filter(|(_, absence)| absence.reads > 0),
        )?;
    }
    transaction.commit()
}

/// Removes the files of an older version: their content is in the database, or older than the
/// database.
pub(super) fn forget_files(state_dir: &Path) -> Result<(), StateError> {
    let Some(folder) = folder(state_dir)? else {
        return Ok(());
    };
    for (_, name) in files(&folder)? {
        folder.remove(&name)?;
    }
    if let Some(above) = Folder::find(state_dir)? {
        // It may contain other files.
        let _ = above.remove_sub(FOLDER);
    }
    Ok(())
}

/// The directory of the files in the state directory.
const FOLDER: &str = "absences";

fn folder(state_dir: &Path) -> Result<Option<Folder>, StateError> {
    Folder::find(state_dir)?.map_or(Ok(None), |folder| folder.sub(FOLDER))
}

/// The name of each file, after its job.
fn files(folder: &Folder) -> Result<Vec<(String, String)>, StateError> {
    let names = folder.names()?.into_iter();
    let jobs = names.filter_map(|name| Some((name.strip_suffix(".json")?.to_owned(), name)));
    Ok(jobs.collect())
}

/// What an older version saved about a job, where no newer version has run.
pub(super) fn of_file(state_dir: &Path, job: &str) -> Result<Absences, StateError> {
    folder(state_dir)?.map_or_else(
        || Ok(Absences::new()),
        |folder| from_file(&folder, &format!("{job}.json")),
    )
}

/// An absence as that version saved it.
#[derive(Deserialize)]
struct InFile {
    since: DateTime<Utc>,
    reads: u32,
}

/// Empty when the file is missing or damaged.
fn from_file(folder: &Folder, name: &str) -> Result<Absences, StateError> {
    let content = folder.read(name, LARGEST)?.unwrap_or_default();
    let saved: BTreeMap<String, InFile> = serde_json::from_slice(&content).unwrap_or_default();
    let absences = saved.into_iter().map(|(id, InFile { since, reads })| {
        let since = Clocks::from(since);
        (id, Absence { since, reads })
    });
    Ok(absences.collect())
}
