//! Where the Kerberos library of this process finds keys and tickets: in its own variables, which
//! the program neither sets nor needs.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Secret, Unreadable, files, layers::kerberos_variable};

/// The variable of the keytab with the program's own key (MIT Kerberos since 1.11).
const KEYTAB: &str = "KRB5_CLIENT_KTNAME";
/// The variable of the credential cache, in which tickets are.
const CACHE: &str = "KRB5CCNAME";
/// The longest keytab that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// Time limit for reading it; a file on a network file system may never answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bounds the threads that wait for a keytab that does not answer.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));

/// Where the keys and tickets of this process are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kerberos {
    keytab: Option<String>,
    cache: Option<String>,
    principal: Option<String>,
}

impl Kerberos {
    /// By the environment of this process: the keys and tickets of this account, if it is named, and
    /// else of the one that the library uses first.
    #[must_use]
    pub fn of_process(principal: Option<&str>) -> Self {
        Self {
            keytab: kerberos_variable(KEYTAB),
            cache: kerberos_variable(CACHE),
            principal: principal.map(str::to_owned),
        }
    }

    /// The account, if it is named.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// In words, for messages.
    #[must_use]
    pub fn words(&self) -> String {
        let place = self.place();
        match &self.principal {
            Some(principal) => format!("the account {principal} of {place}"),
            None => format!("the account of {place}"),
        }
    }

    /// Where keys and tickets are.
    fn place(&self) -> String {
        match (&self.keytab, &self.cache) {
            (Some(keytab), None) => format!("the keytab {keytab} ({KEYTAB})"),
            (Some(keytab), Some(cache)) => {
                format!("the keytab {keytab} ({KEYTAB}), with its tickets in {cache} ({CACHE})")
            }
            (None, Some(cache)) => format!("the credential cache {cache} ({CACHE})"),
            (None, None) => "the default credential cache or the system's client keytab".into(),
        }
    }

    /// Which key is in the keytab, to tell it from the next one; empty where no variable names a
    /// file. The key cannot be derived from it.
    ///
    /// # Errors
    /// The keytab cannot be read, of which the library would only say that there is no ticket.
    pub async fn key(&self) -> Result<Secret, Unreadable> {
        let Some(file) = self.file() else {
            return Ok(Secret::new(String::new()));
        };
        let path = file.clone();
        let read = async move {
            // Held until the file has answered, even when the caller no longer waits.
            let place = Arc::clone(&READERS).acquire_owned().await;
            let reading = tokio::task::spawn_blocking(move || {
                let _place = place;
                files::read(&path, LIMIT).and_then(a_keytab)
            });
            reading.await
        };
        let unreadable = |problem: String| Unreadable {
            file: file.clone(),
            problem,
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(Ok(content))) => {
                let of_keytabs = Uuid::new_v5(&Uuid::NAMESPACE_OID, KEYTAB.as_bytes());
                Ok(Secret::new(Uuid::new_v5(&of_keytabs, &content).to_string()))
            }
            Ok(Ok(Err(problem))) => Err(unreadable(problem)),
            Ok(Err(error)) => Err(unreadable(format!("cannot be read: {error}"))),
            Err(_) => Err(unreadable(format!(
                "cannot be read: it took longer than {}",
                humantime::format_duration(PATIENCE)
            ))),
        }
    }

    /// Reads the keytab, where it is a file.
    ///
    /// # Errors
    /// As for [`Self::key`].
    pub fn try_keytab(&self) -> Result<(), Unreadable> {
        let Some(file) = self.file() else {
            return Ok(());
        };
        match files::read(&file, LIMIT).and_then(a_keytab) {
            Ok(_) => Ok(()),
            Err(problem) => Err(Unreadable { file, problem }),
        }
    }

    /// The keytab, where it is a file (krb5.conf(5), "Keytab name").
    fn file(&self) -> Option<PathBuf> {
        let name = self.keytab.as_deref()?;
        let path = match name.split_once(':') {
            Some(("FILE" | "WRFILE", path)) => path,
            Some((kind, _)) if !kind.contains('/') => return None,
            Some(_) | None => name,
        };
        Some(path.into())
    }
}

/// The content of a file, if it is a keytab: of the format 5, version 1 or 2.
fn a_keytab(content: Vec<u8>) -> Result<Vec<u8>, String> {
    match content.as_slice() {
        [5, 1 | 2, ..] => Ok(content),
        [] | [..] => Err("is not a keytab".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_keytabs() {
        for (name, file) in [
            ("/etc/a.keytab", Some("/etc/a.keytab")),
            ("FILE:/etc/a.keytab", Some("/etc/a.keytab")),
            ("WRFILE:a.keytab", Some("a.keytab")),
            ("/etc/a:b", Some("/etc/a:b")),
            ("MEMORY:a", None),
        ] {
            let kerberos = Kerberos {
                keytab: Some(name.into()),
                cache: None,
                principal: None,
            };
            assert_eq!(kerberos.file(), file.map(PathBuf::from), "{name}");
        }
    }
}
