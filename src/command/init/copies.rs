//! Files that are given where a service could not read them: copies beside the configuration are
//! offered.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    DEFAULT_FILE, KEY_FILE, PASSWORD_FILE,
    answers::{Answers, Bind, Copied, Typed},
    beside,
    questions::Asker,
    shown,
};
use crate::{cli::Stop, config::Secret};

/// The folders that a service does not see as others do (ProtectHome= and PrivateTmp= of its unit).
const UNSEEN: [&str; 5] = ["/root", "/home", "/run/user", "/tmp", "/var/tmp"];
/// The most that is copied of a file, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A file that the configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Password,
    Key,
    Authority,
    FtrackAuthority,
    ClientCertificate,
    ClientKey,
}

impl Named {
    const ALL: [Self; 6] = [
        Self::Password,
        Self::Key,
        Self::Authority,
        Self::FtrackAuthority,
        Self::ClientCertificate,
        Self::ClientKey,
    ];

    /// Its name beside the configuration, and its rights there.
    const fn place(self) -> (&'static str, u32) {
        match self {
            Self::Password => (PASSWORD_FILE, 0o600),
            Self::Key => (KEY_FILE, 0o600),
            Self::Authority => ("ldap-ca.pem", 0o644),
            Self::FtrackAuthority => ("ftrack-ca.pem", 0o644),
            Self::ClientCertificate => ("ldap-client.pem", 0o644),
            Self::ClientKey => ("ldap-client.key", 0o600),
        }
    }

    /// The place of its path in the answers, if it is a file that was given.
    fn path(self, answers: &mut Answers) -> Option<&mut PathBuf> {
        match (self, &mut answers.bind) {
            (Self::Password, Some(Bind::Password(_, Typed::InFile(path))))
            | (Self::ClientCertificate, Some(Bind::External(Some((path, _)))))
            | (Self::ClientKey, Some(Bind::External(Some((_, path))))) => Some(path),
            (Self::Password | Self::ClientCertificate | Self::ClientKey, _) => None,
            (Self::Authority, _) => answers.ca_file.as_mut(),
            (Self::FtrackAuthority, _) => answers.ftrack_ca_file.as_mut(),
            (Self::Key, _) => match &mut answers.key {
                Some(Typed::InFile(path)) => Some(path),
                Some(Typed::Now(_)) | None => None,
            },
        }
    }
}

/// Offers a copy of each file that a service could not read, and takes those that are accepted into the
/// answers; a warning for each of the others.
///
/// # Errors
/// A stop is requested.
pub(super) async fn offer(
    asker: &Asker<'_>,
    out: &Path,
    answers: &mut Answers,
    force: bool,
) -> Result<Vec<String>, Stop> {
    let beside = beside(out);
    let mut warnings = Vec::new();
    for named in Named::ALL {
        let Some(path) = named.path(answers).cloned() else {
            continue;
        };
        let (name, mode) = named.place();
        let copy = beside.join(name);
        let Some(why) = obstacle(named, &path, out) else {
            continue;
        };
        let why = format!("{} {why}", shown(&path));
        let is_free = force || fs::symlink_metadata(&copy).is_err();
        let question = format!("{why}. Copy it to {}? [Y/n] ", shown(&copy));
        let refused = if !is_free {
            format!("{} exists", shown(&copy))
        } else if !asker.agrees(&question).await? {
            "it was not copied".to_owned()
        } else {
            match content(&path) {
                Ok(content) => {
                    answers.copies.push(Copied {
                        name,
                        mode,
                        content,
                    });
                    if let Some(place) = named.path(answers) {
                        *place = PathBuf::from(name);
                    }
                    continue;
                }
                Err(error) => format!("it cannot be copied: {error}"),
            }
        };
        warnings.push(format!(
            "{why} ({refused}); before the service starts, copy it to {}, and name that in the \
             configuration",
            shown(&copy)
        ));
    }
    Ok(warnings)
}

/// Why a service could not read a file; none where it can, or where the configuration itself is not for
/// one.
fn obstacle(named: Named, path: &Path, out: &Path) -> Option<String> {
    let unseen = |path: &Path| {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        UNSEEN.into_iter().find(|folder| real.starts_with(folder))
    };
    let beside = beside(out);
    if unseen(beside).is_some() {
        return None;
    }
    if let Some(folder) = unseen(path) {
        return Some(format!("is below {folder}, where a service cannot read it"));
    }
    let is_loaded = match named {
        Named::Password | Named::Key => path == beside.join(named.place().0),
        Named::Authority | Named::FtrackAuthority | Named::ClientCertificate | Named::ClientKey => {
            true
        }
    };
    (out == Path::new(DEFAULT_FILE) && !is_loaded)
        .then(|| "is not the file that the service loads for it".to_owned())
}

fn content(path: &Path) -> io::Result<Secret> {
    let mut content = String::new();
    let length = File::open(path)?
        .take(LARGEST + 1)
        .read_to_string(&mut content)?;
    if u64::try_from(length).is_ok_and(|length| length > LARGEST) {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Secret::new(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_reads_its_own_folder_and_loads_two_files_of_it() {
        let own = Path::new(DEFAULT_FILE);
        let own_password = own.with_file_name(PASSWORD_FILE);
        for (named, path, out, is_read) in [
            (Named::Password, own_password.as_path(), own, true),
            (Named::Password, Path::new("/opt/none/password"), own, false),
            (Named::Authority, Path::new("/opt/none/ca.pem"), own, true),
            (Named::Authority, Path::new("/root/none/ca.pem"), own, false),
            (Named::Key, Path::new("/home/none/key"), own, false),
            (
                Named::Key,
                Path::new("/opt/none/key"),
                Path::new("/opt/none/config.toml"),
                true,
            ),
            // Who has the configuration at home runs the program by hand.
            (
                Named::Key,
                Path::new("/root/none/key"),
                Path::new("/home/none/config.toml"),
                true,
            ),
        ] {
            let found = obstacle(named, path, out);
            assert_eq!(found.is_none(), is_read, "{path:?} {out:?}: {found:?}");
        }
    }
}
