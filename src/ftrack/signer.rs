//! Signs links and verifies them.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::{
    config::Secret,
    model::{
        link::{Form, Link, LinkFound, Signature},
        stored_link::{SIGNATURE, Stored, Unverified},
        user::EntityId,
    },
};

/// Signs and verifies links with the key of `ftrack.link_key_file`, if there is one.
#[derive(Clone, Default)]
pub struct Signer(Option<Arc<hmac::Key>>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Signer(key)"
        } else {
            "Signer(none)"
        })
    }
}

impl Signer {
    /// Signs with HMAC-SHA-256 (RFC 2104) and this key; does not sign without a key.
    #[must_use]
    pub fn new(key: Option<&Secret>) -> Self {
        Self(key.map(|key| Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()))))
    }

    /// The signature state of links from this signer.
    #[must_use]
    pub fn signature(&self) -> Signature {
        match self.0 {
            Some(_) => Signature::Valid,
            None => Signature::NotChecked,
        }
    }

    /// The text to store as the link of a user, made by the run with this mark.
    ///
    /// # Errors
    /// None in practice: a link is text in every part, but the JSON writer may refuse.
    pub fn write(
        &self,
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
    ) -> Result<String, serde_json::Error> {
        let mut stored = Stored::of(user, link, made_by);
        if let Some(key) = &self.0 {
            let text = serde_json::to_string(&stored)?;
            stored.signature = Some(hex(hmac::sign(key, text.as_bytes()).as_ref()).into());
        }
        serde_json::to_string(&stored)
    }

    /// A user's link, with the state of its signature.
    #[must_use]
    pub fn verified(
        &self,
        user: &EntityId,
        Unverified {
            found,
            made_by,
            signature,
            ..
        }: Unverified,
    ) -> LinkFound {
        let verified = |link: Link| {
            let signature = signature.as_deref().map(<[u8; SIGNATURE]>::as_slice);
            let state = self.verify(user, &link, made_by.as_deref(), signature);
            link.signed(state)
        };
        match found {
            LinkFound::Link(link) => LinkFound::Link(verified(link)),
            LinkFound::Unlinked(link) => LinkFound::Unlinked(verified(link)),
            LinkFound::Absent | LinkFound::OfAnotherUser | LinkFound::Unreadable => found,
        }
    }

    fn verify(
        &self,
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
        signature: Option<&[u8]>,
    ) -> Signature {
        let Some(key) = &self.0 else {
            return Signature::NotChecked;
        };
        let text = serde_json::to_string(&Stored::of(user, link, made_by));
        match (text, signature) {
            (Ok(text), Some(signature))
                if link.form == Form::Current
                    && hmac::verify(key, text.as_bytes(), signature).is_ok() =>
            {
                Signature::Valid
            }
            _ => Signature::Invalid,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
