//! A password or key as it is at this moment: one that stands in a file of its own may change there
//! while the program runs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Secret, files};

/// How long reading the file may take; one on a network may never answer.
const LIMIT: Duration = Duration::from_secs(5);

/// How many may read one file at the same time.
const READERS: usize = 4;

/// A secret, and the file that it is read from anew before each use, if it stands in one.
#[derive(Debug, Clone)]
pub struct Credential {
    loaded: Secret,
    file: Option<PathBuf>,
    /// Of a file that does not answer, no more threads wait than these.
    readers: Arc<Semaphore>,
}

/// The file of a credential does not hold one any more; the text names the file, and holds nothing
/// of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, to stand after its name.
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

impl Credential {
    /// The credential in a file, by the rules for all secrets: a regular file of bounded length,
    /// whose line end at the end is no part of the secret, and which is never empty.
    ///
    /// # Errors
    /// The file holds no secret.
    pub fn of_file(file: &Path) -> Result<Self, Unreadable> {
        Ok(Self::new(read(file)?, Some(file.to_owned())))
    }

    fn new(loaded: Secret, file: Option<PathBuf>) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self {
            loaded,
            file,
            readers,
        }
    }

    /// The secret as it was when the configuration was loaded.
    #[must_use]
    pub fn loaded(&self) -> &Secret {
        &self.loaded
    }

    /// The secret as it is now. Its file is looked up anew by its name, since what mounts secrets
    /// often swaps links.
    ///
    /// # Errors
    /// The file does not hold one any more, or does not answer: the secret from before is not used
    /// in its place, since it is known to be none.
    pub async fn current(&self) -> Result<Secret, Unreadable> {
        let Some(file) = &self.file else {
            return Ok(self.loaded.clone());
        };
        let path = file.clone();
        let readers = Arc::clone(&self.readers);
        let read = async move {
            // Kept until the file has answered, also when nobody waits for it any more.
            let place = readers.acquire_owned().await;
            // In a thread of its own: other work goes on while a slow disk is waited for.
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
    /// Four hexadecimal digits that tell one secret of somebody from the next: too little to guess
    /// it by, since one of 65,536 has the same ones. Marks with different salts cannot be compared.
    #[must_use]
    pub fn mark(&self, salt: &str, who: &str) -> String {
        let of_salt = Uuid::new_v5(&Uuid::NAMESPACE_OID, salt.as_bytes());
        let of_account = Uuid::new_v5(&of_salt, who.as_bytes());
        let [first, second, ..] = *Uuid::new_v5(&of_account, self.expose().as_bytes()).as_bytes();
        format!("{first:02x}{second:02x}")
    }

    /// Takes a text for a secret, as it was found.
    ///
    /// # Errors
    /// It cannot be one; the text says why, and holds nothing of it.
    pub(super) fn checked(text: Self) -> Result<Self, &'static str> {
        if text.expose().trim().is_empty() {
            Err(
                "empty; an empty secret is no secret, and a directory would take it for an \
                 anonymous bind",
            )
        } else if text.expose().contains(['\n', '\r', '\0']) {
            Err("holds a line break or a zero byte, which no secret does")
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
        assert!(
            !format!("{credential:?}").contains("first"),
            "{credential:?}"
        );
        let name = file.display().to_string();
        for (content, problem) in [
            ("", "is empty; "),
            (" \n", "is empty; "),
            ("hidden\nline", "holds a line break"),
            ("hid\0den", "holds a line break or a zero byte"),
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
