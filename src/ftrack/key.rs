//! The API key in use: sends it, and removes it from every text.

use reqwest::header::HeaderValue;

use crate::config::Secret;

/// The key in use, and the previous one, which the server may still quote.
#[derive(Debug)]
pub(super) struct Keys {
    in_use: Secret,
    before: Option<Secret>,
    header: HeaderValue,
}

impl Keys {
    /// The header that contains the key.
    pub const HEADER: &str = "ftrack-api-key";

    /// Starts with this key.
    ///
    /// # Errors
    /// It is not valid in an HTTP header.
    pub fn new(key: Secret) -> Result<Self, String> {
        Self::after(key, None)
    }

    /// Replaces the key by another one.
    ///
    /// # Errors
    /// It is not valid in an HTTP header.
    pub fn followed_by(&self, key: Secret) -> Result<Self, String> {
        Self::after(key, Some(self.in_use.clone()))
    }

    fn after(in_use: Secret, before: Option<Secret>) -> Result<Self, String> {
        let mut header = HeaderValue::from_bytes(in_use.expose().as_bytes()).map_err(|_| {
            "ftrack.api_key contains a character that is not allowed in an HTTP header, such as a \
             line end"
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

    /// The mark of the key in use: see `Secret::mark_on`.
    pub fn mark(&self, salt: &str, who: &str, way: &str) -> String {
        self.in_use.mark_on(salt, who, way)
    }

    /// The text without either key.
    pub fn scrub(&self, text: String) -> String {
        let mut keys: Vec<&str> = [Some(&self.in_use), self.before.as_ref()]
            .into_iter()
            .flatten()
            .map(Secret::expose)
            .collect();
        // The longer one first, in case it contains the other one.
        keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
        let keys = keys.into_iter().filter(|key| !key.is_empty());
        keys.fold(text, |text, key| text.replace(key, "***"))
    }
}
