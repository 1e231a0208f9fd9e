//! A new database: made under another name, and renamed when it is whole and on disk, so that
//! nobody ever finds a part of one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    config::Config,
    state::{
        database::{absences, corruption, rebuild, schema},
        files,
        files::StateError,
    },
};

/// What there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// No database: what an older version kept in files is as new as anything.
    Files,
    /// A database: what is still in files is older than what was in it.
    Database,
}

/// A database that is whole and on disk, under another name; removed unless it is put in its place.
#[derive(Debug)]
pub(super) struct New {
    made: PathBuf,
    path: PathBuf,
}

/// Makes a database of what reports and files tell. The caller has the state folder alone.
pub(super) fn make(config: &Config, path: &Path, before: Before) -> Result<New, StateError> {
    let made = corruption::with(path, ".new");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made);
    let file = file.map_err(|source| StateError::new("make", path, source))?;
    files::hand_over(&file, &made);
    let new = New {
        made: made.clone(),
        path: path.to_owned(),
    };
    fill(config, path, &made, before)?;
    file.sync_all()
        .map_err(|source| StateError::new("make", path, source))?;
    Ok(new)
}

fn fill(config: &Config, path: &Path, made: &Path, before: Before) -> Result<(), StateError> {
    let wrong = |error: rusqlite::Error| corruption::failed("make", path, &error);
    let mut connection = schema::connect(made, schema::Access::Write).map_err(wrong)?;
    // Whatever goes wrong, the file is removed: nothing needs to be undone in it, and it is made
    // safe when it is whole.
    connection
        .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        .map_err(wrong)?;
    schema::create(&mut connection).map_err(wrong)?;
    rebuild::from_reports(&mut connection, path, config)?;
    if before == Before::Files {
        absences::from_files(&mut connection, path, &config.state_dir)?;
    }
    connection.close().map_err(|(_, error)| wrong(error))
}

impl New {
    /// Gives the database its name; it is safe there when this returns.
    pub(super) fn put_in_place(self) -> Result<(), StateError> {
        let Self { made, path } = &self;
        let wrong = |source| StateError::new("make", path, source);
        // A journal without its database would be applied to this one.
        remove(&corruption::journal(path)).map_err(wrong)?;
        fs::rename(made, path).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(wrong)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // Gone already when it was put in its place.
        let _ = fs::remove_file(&self.made);
    }
}

/// Removes what a program that was killed left half made.
pub(super) fn clear_away(path: &Path) -> Result<(), StateError> {
    let half = corruption::with(path, ".new");
    remove(&half).map_err(|source| StateError::new("remove", &half, source))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
