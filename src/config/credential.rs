//! The current value of a password or key: one in a file of its own may change while the program
//! runs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{MASK, PLACEHOLDER, Secret, files};

/// Time limit for reading the file; a file on a network file system may never answer.
const LIMIT: Duration = Duration::from_secs(5);

/// The maximum number of threads that read one file at the same time.
const READERS: usize = 4;

/// A secret, and the file from which it is reloaded before each use, if it has one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(from = "Secret")]
#[schemars(inline, with = "Secret")]
pub struct Credential {
    loaded: Secret,
    file: Option<PathBuf>,
    /// The file of the configuration in which it stands itself, where it does.
    stands_in: Option<PathBuf>,
    /// Bounds the threads that wait for a file that does not answer.
    readers: Arc<Semaphore>,
}

/// The file of a credential no longer contains one; the text names the file, and contains nothing
/// of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Unreadable {
    pub file: PathBuf,
    /// What is wrong, to follow the file's name.
    pub problem: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.file.display(), self.problem)
    }
}

impl From<Secret> for Credential {
    fn from(loaded: Secret) -> Self {
        Self::new(loaded, None)
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.loaded.serialize(serializer)
    }
}

impl Credential {
    /// Reads the credential from a file, by the rules for all secrets: a regular file of bounded
    /// length, not empty; neither a trailing line end nor a byte order mark is part of the secret.
    ///
    /// # Errors
    /// The file contains no secret.
    pub fn of_file(file: &Path) -> Result<Self, Unreadable> {
        Ok(Self::new(read(file)?, Some(file.to_owned())))
    }

    /// The credential of a file that is not read: only its mask is known.
    pub(super) fn unread(file: PathBuf) -> Self {
        Self::new(Secret::new(MASK.repeat(2)), Some(file))
    }

    fn new(loaded: Secret, file: Option<PathBuf>) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self {
            loaded,
            file,
            stands_in: None,
            readers,
        }
    }

    /// The same, which stands in this file of the configuration itself, if it is one.
    pub(super) fn standing_in(self, stands_in: Option<PathBuf>) -> Self {
        Self { stands_in, ..self }
    }

    /// The file of the configuration in which the secret stands itself; none where it is in a file of its
    /// own, or in the environment.
    #[must_use]
    pub fn stands_in(&self) -> Option<&Path> {
        self.stands_in.as_deref()
    }

    /// The file of the secret, if it has one of its own.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The secret as it was when the configuration was loaded.
    #[must_use]
    pub fn loaded(&self) -> &Secret {
        &self.loaded
    }

    /// The current secret. Its file is looked up again by name, since tools that mount secrets
    /// often replace symbolic links.
    ///
    /// # Errors
    /// The file no longer contains a secret, or does not answer: the previous secret is not used
    /// instead, since it is known to be outdated.
    pub async fn current(&self) -> Result<Secret, Unreadable> {
        let Some(file) = &self.file else {
            return Ok(self.loaded.clone());
        };
        let path = file.clone();
        let readers = Arc::clone(&self.readers);
        let read = async move {
            // Held until the file has answered, even when the caller no longer waits.
            let place = readers.acquire_owned().await;
            // In a thread of its own, so that a slow disk does not block other work.
            let reading = tokio::task::spawn_blocking(move || {
                let _place = place;
                read(&path)
            });
            reading.await
        };
        let unreadable = |problem: String| Unreadable {
            file: file.clone(),
            problem,
        };
        match tokio::time::timeout(LIMIT, read).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => Err(unreadable(format!("cannot be read: {error}"))),
            Err(_) => Err(unreadable(format!(
                "cannot be read: it took longer than {}",
                humantime::format_duration(LIMIT)
            ))),
        }
    }
}

impl Secret {
    /// Four hexadecimal digits that distinguish a secret from the next one of the same account: too
    /// few to guess the secret, since one in 65,536 has the same digits. Marks with different salts
    /// cannot be compared.
    #[must_use]
    pub fn mark(&self, salt: &str, who: &str) -> String {
        let of_salt = Uuid::new_v5(&Uuid::NAMESPACE_OID, salt.as_bytes());
        let of_account = Uuid::new_v5(&of_salt, who.as_bytes());
        let [first, second, ..] = *Uuid::new_v5(&of_account, self.expose().as_bytes()).as_bytes();
        format!("{first:02x}{second:02x}")
    }

    /// The mark of what is tried at a server: that of the secret, and four more digits for where and
    /// how it is sent, which `way` describes, such as `1a2b-3c4d`.
    #[must_use]
    pub fn mark_on(&self, salt: &str, who: &str, way: &str) -> String {
        let of_way = Self::new(way.to_owned()).mark(salt, "");
        format!("{}-{of_way}", self.mark(salt, who))
    }

    /// Takes a text as a secret.
    ///
    /// # Errors
    /// It is not valid as a secret; the message contains nothing of it.
    pub(super) fn checked(text: Self) -> Result<Self, &'static str> {
        if text.expose().trim().is_empty() {
            Err("empty")
        } else if text.expose().contains(['\n', '\r', '\0']) {
            Err("contains a line break or a zero byte, which a secret must not")
        } else if text.expose() == PLACEHOLDER {
            Err("contains the placeholder of an example; replace it")
        } else {
            Ok(text)
        }
    }
}

fn read(file: &Path) -> Result<Secret, Unreadable> {
    let unreadable = |problem: String| Unreadable {
        file: file.to_owned(),
        problem,
    };
    let text = files::read_text(file, files::SECRET_LIMIT).map_err(unreadable)?;
    // Editors on Windows write the mark before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    Secret::checked(secret).map_err(|problem| {
        let verb = if problem.starts_with("empty") {
            "is "
        } else {
            ""
        };
        unreadable(format!("{verb}{problem}"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_mark_tells_secrets_apart_and_little_else() {
        let mark =
            |salt: &str, who: &str, secret: &str| Secret::new(secret.to_owned()).mark(salt, who);
        let one = mark("salt", "cn=sync", "secret");
        assert!(
            one.len() == 4 && one.chars().all(|digit| digit.is_ascii_hexdigit()),
            "{one}"
        );
        assert_eq!(one, mark("salt", "cn=sync", "secret"));
        let others = [
            ("tlas", "cn=sync", "secret"),
            ("salt", "cn=other", "secret"),
            ("salt", "cn=sync", "terces"),
        ];
        let on = |way| Secret::new("secret".to_owned()).mark_on("salt", "cn=sync", way);
        assert!(on("ldap://a").starts_with(&one) && on("ldap://a") != on("ldaps://a"));
        assert_eq!(on("ldap://a").len(), 9);
        assert!(
            others
                .iter()
                .all(|(salt, who, secret)| mark(salt, who, secret) != one)
        );
        // Many secrets share each mark.
        let marks: BTreeSet<String> = (0..2000)
            .map(|nth| mark("salt", "cn=sync", &nth.to_string()))
            .collect();
        assert!(marks.len() < 2000 && marks.len() > 1900, "{}", marks.len());
    }

    #[tokio::test]
    async fn a_file_is_read_anew_and_by_the_same_rules() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "first\r\n").unwrap();
        let credential = Credential::of_file(&file).unwrap();
        assert_eq!(credential.current().await.unwrap().expose(), "first");
        std::fs::write(&file, " second\n").unwrap();
        assert_eq!(credential.current().await.unwrap().expose(), " second");
        assert_eq!(credential.loaded().expose(), "first");
        std::fs::write(&file, "\u{feff}third\n").unwrap();
        assert_eq!(credential.current().await.unwrap().expose(), "third");
        assert!(
            !format!("{credential:?}").contains("first"),
            "{credential:?}"
        );
        let name = file.display().to_string();
        for (content, problem) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("hidden\nline", "contains a line break"),
            ("hid\0den", "contains a line break or a zero byte"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = credential.current().await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} {problem}")), "{error}");
            assert!(!error.contains("hid"), "{error}");
        }
        std::fs::write(&file, vec![b'x'; 1 << 17]).unwrap();
        assert!(
            credential
                .current()
                .await
                .unwrap_err()
                .to_string()
                .contains("is longer than")
        );
        std::fs::remove_file(&file).unwrap();
        assert!(
            credential
                .current()
                .await
                .unwrap_err()
                .to_string()
                .starts_with(&format!("{name} cannot be read"))
        );
        std::fs::create_dir(&file).unwrap();
        assert!(
            credential
                .current()
                .await
                .unwrap_err()
                .to_string()
                .contains("is not a regular file")
        );
    }
}
