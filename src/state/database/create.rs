//! Creates a database under another name, and renames it when it is complete and on disk, so that
//! nobody ever sees a partial one.

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
        files::StateError,
    },
};

/// What existed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// No database: the files of an older version are current.
    Files,
    /// A database: the files are older than its content.
    Database,
}

/// A complete database on disk, under another name; removed unless it is put in its place.
#[derive(Debug)]
pub(super) struct New {
    made: PathBuf,
    path: PathBuf,
}

/// Creates a database from reports and files. The caller has exclusive use of the state directory.
pub(super) fn make(config: &Config, path: &Path, before: Before) -> Result<New, StateError> {
    let made = corruption::with(path, ".new");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made);
    let file = file.map_err(|source| StateError::new("make", path, source))?;
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
    // If anything fails, the file is removed: no transaction is needed, and it is synced when it is
    // complete.
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
    /// Renames the database to its final name; the rename is durable when this returns.
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
        // Already renamed when it was put in its place.
        let _ = fs::remove_file(&self.made);
    }
}

/// Removes incomplete databases of programs that were killed.
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
