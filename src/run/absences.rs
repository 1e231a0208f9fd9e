//! Who has been missing since when: what `deactivate_after` counts from. Lost, it makes the program more patient, never less.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::store::{self, StateError};
use crate::sync::change::Absences;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Reads who was missing after the last complete read; nobody when nothing is known, or when the file is damaged.
///
/// # Errors
/// The file is there and cannot be read.
pub fn load(state_dir: &Path, job: &str) -> Result<Absences, StateError> {
    let path = path(state_dir, job);
    let wrong = |source| StateError::new("read", &path, source);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Absences::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content).map_err(wrong)?;
    Ok(serde_json::from_slice(&content).unwrap_or_default())
}

/// Keeps who is missing after a complete read, unless nothing has changed.
///
/// # Errors
/// The file cannot be written.
pub fn save(state_dir: &Path, job: &str, before: &Absences, now: &Absences) -> Result<(), StateError> {
    if before == now {
        return Ok(());
    }
    let path = path(state_dir, job);
    store::make_folder(path.parent().unwrap_or(state_dir))?;
    let content = serde_json::to_vec(now).map_err(|error| StateError::new("write", &path, error.into()))?;
    store::replace(&path, &content)
}

fn path(state_dir: &Path, job: &str) -> PathBuf {
    state_dir.join("absences").join(format!("{job}.json"))
}
