//! The API key in use: what sends it, and what keeps it out of every text.

use reqwest::header::HeaderValue;

use crate::config::Secret;

/// The key in use, and the one before it, which the server may still speak of.
#[derive(Debug)]
pub(super) struct Keys {
    in_use: Secret,
    before: Option<Secret>,
    header: HeaderValue,
}

impl Keys {
    /// The header that holds the key.
    pub const HEADER: &str = "ftrack-api-key";

    /// The first key.
    ///
    /// # Errors
    /// It fits into no HTTP header.
    pub fn new(key: Secret) -> Result<Self, String> {
        Self::after(key, None)
    }

    /// Another key in the place of this one.
    ///
    /// # Errors
    /// It fits into no HTTP header.
    pub fn followed_by(&self, key: Secret) -> Result<Self, String> {
        Self::after(key, Some(self.in_use.clone()))
    }

    fn after(in_use: Secret, before: Option<Secret>) -> Result<Self, String> {
        let mut header = HeaderValue::from_bytes(in_use.expose().as_bytes()).map_err(|_| {
            "ftrack.api_key holds a character that no HTTP header may have, such as a line end"
                .to_owned()
        })?;
        header.set_sensitive(true);
        Ok(Self {
            in_use,
            before,
            header,
        })
    }

    /// Whether this is the key in use.
    pub fn is_in_use(&self, key: &Secret) -> bool {
        self.in_use.expose() == key.expose()
    }

    /// The value of the header; its `Debug` form is masked.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The mark of the key in use: see `Secret::mark`.
    pub fn mark(&self, salt: &str, who: &str) -> String {
        self.in_use.mark(salt, who)
    }

    /// The text without either key.
    pub fn scrub(&self, text: String) -> String {
        let mut keys: Vec<&str> = [Some(&self.in_use), self.before.as_ref()]
            .into_iter()
            .flatten()
            .map(Secret::expose)
            .collect();
        // The longer one first, in case that it holds the other one.
        keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
        let keys = keys.into_iter().filter(|key| !key.is_empty());
        keys.fold(text, |text, key| text.replace(key, "***"))
    }
}
