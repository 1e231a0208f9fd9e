//! The files that a configuration names: where they are looked up, and how much of them is read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// The maximum size of a configuration file, in bytes.
pub const CONFIGURATION_LIMIT: u64 = 1 << 20;

/// The maximum size of a secret, in bytes.
pub const SECRET_LIMIT: u64 = 64 << 10;

/// The maximum size of a certificate file, in bytes; the bundle of a whole system is a quarter of
/// it.
pub const CERTIFICATES_LIMIT: u64 = 1 << 20;

/// Whether files of secrets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFiles {
    /// They are read, and must contain what they are named for.
    Read,
    /// Only their paths are used: for those who may read the configuration, but not its secrets.
    NotRead,
}

/// Where relative paths are looked up.
#[derive(Debug, Clone)]
pub struct Places {
    pub secrets: SecretFiles,
    /// The folder of the main configuration file.
    pub beside: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, where systemd provides credentials.
    pub credentials: Option<PathBuf>,
    /// Whether this process runs in a container, where files are mounted with the rights of the host.
    pub is_container: bool,
}

impl Places {
    /// The path of a file to read: a relative path is looked up among the credentials first, then
    /// beside the configuration file.
    #[must_use]
    pub fn find(&self, path: &Path) -> PathBuf {
        let credential = self
            .credentials
            .as_ref()
            .filter(|_| path.is_relative())
            .map(|folder| folder.join(path));
        credential
            .filter(|path| path.exists())
            .unwrap_or_else(|| self.beside.join(path))
    }

    /// Where a file was looked up in vain before the path that [`Places::find`] gives, to follow an error
    /// about that; empty where it was nowhere else, or is there.
    #[must_use]
    pub fn nor_among_credentials(&self, path: &Path) -> String {
        let Some(credentials) = self.credentials.as_ref().filter(|_| path.is_relative()) else {
            return String::new();
        };
        let credential = credentials.join(path);
        let what = match (credential.try_exists(), self.beside.join(path).try_exists()) {
            (Ok(false), Ok(false)) => "is not there either".to_owned(),
            (Err(error), _) if self.is_container => format!(
                "cannot be looked up: {error}: let this container's user, uid {}, into that folder, \
                 such as by `chmod 711 FOLDER` on the host, or mount each file by itself",
                rustix::process::geteuid().as_raw()
            ),
            (Err(error), _) => format!("cannot be looked up: {error}"),
            (Ok(_), _) => return String::new(),
        };
        format!(
            "; $CREDENTIALS_DIRECTORY/{}, which comes first, {what} ({})",
            path.display(),
            credential.display()
        )
    }
}

/// Reads a regular file of at most `limit` bytes of UTF-8 text.
///
/// # Errors
///
/// As for [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    String::from_utf8(read(path, limit)?).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Who owns what this process may not use, with which mode, and what to do about it, to follow the
/// system's error; in a container there is no sudo, and often only one user.
#[must_use]
pub fn whose(path: &Path) -> String {
    let owner = path.metadata().map_or_else(
        |_| String::new(),
        |found| {
            let own = rustix::process::geteuid().as_raw();
            let (uid, mode) = (found.uid(), found.mode() & 0o7777);
            format!("it belongs to uid {uid} with mode {mode:04o}, and this process is uid {own}: ")
        },
    );
    format!(
        "{owner}run the command as the owner or as root (where there is sudo, put it before the \
         command; in a container, mount it so that this uid may use it)"
    )
}

/// The command that gives a file to this process's user, where FILE is what is mounted in a container.
pub fn chown_to_this_user() -> String {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    format!("chown {uid}:{gid} FILE")
}

/// Whether this process may not read a file that may well be there.
pub fn is_refused(path: &Path) -> bool {
    matches!(opened(path), Err(error) if error.kind() == io::ErrorKind::PermissionDenied)
}

/// Opens a file for reading; a pipe opens without waiting for its other end.
fn opened(path: &Path) -> io::Result<File> {
    let without_waiting = OFlags::NONBLOCK.union(OFlags::NOCTTY);
    OpenOptions::new()
        .read(true)
        .custom_flags(without_waiting.bits().cast_signed())
        .open(path)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, is not a regular file (reading from which could block for ever), or is
/// longer; the text is to follow the file's name, and contains nothing of its content.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| {
        let whose = if error.kind() == io::ErrorKind::PermissionDenied {
            format!("; {}", whose(path))
        } else {
            String::new()
        };
        format!("cannot be read: {error}{whose}")
    };
    let file = opened(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(failed)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= limit) {
        Ok(content)
    } else {
        Err(format!("is longer than {limit} bytes"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn who_may_not_use_a_file_reads_whose_it_is_and_what_to_do_without_sudo() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(file.path(), mode).unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(
            whose(file.path()),
            format!(
                "it belongs to uid {own} with mode 0600, and this process is uid {own}: run the \
                 command as the owner or as root (where there is sudo, put it before the command; \
                 in a container, mount it so that this uid may use it)"
            )
        );
        assert!(whose(Path::new("/nowhere/at/all")).starts_with("run the command as"));
    }
}
