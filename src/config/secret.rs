//! A password or key that cannot be printed.

use secrecy::{ExposeSecret, SecretString};

/// A password or key; its `Debug` form is masked, it has no `Display`, and its memory is wiped when it is dropped.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes over the text of a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it to its server.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
