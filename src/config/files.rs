//! The files that a configuration names: where they are looked for, and how much of them is read.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The most that is read of a configuration file, in bytes.
pub const CONFIGURATION_LIMIT: u64 = 1 << 20;

/// The most that is read of a secret, in bytes.
pub const SECRET_LIMIT: u64 = 64 << 10;

/// The most that is read of a file of certificates, in bytes; the bundle of a whole system has a quarter of it.
pub const CERTIFICATES_LIMIT: u64 = 1 << 20;

/// Where relative paths lead.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder of the main configuration file.
    pub beside: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts credentials.
    pub credentials: Option<PathBuf>,
}

impl Places {
    /// The path of a file to read: a relative one is looked up among the credentials first, then beside the configuration file.
    #[must_use]
    pub fn find(&self, path: &Path) -> PathBuf {
        let credential = self.credentials.as_ref().filter(|_| path.is_relative()).map(|folder| folder.join(path));
        credential.filter(|path| path.exists()).unwrap_or_else(|| self.beside.join(path))
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// When it cannot be read, is anything but a regular file (whose reading could wait for ever), or is longer; the text names the file.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("{shown} cannot be read: {error}");
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{shown} is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(failed)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= limit) {
        Ok(content)
    } else {
        Err(format!("{shown} is longer than {limit} bytes"))
    }
}
