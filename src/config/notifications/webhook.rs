//! `[notifications.webhook]`: an HTTP call for each message.

use std::path::PathBuf;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Paths, Tables, callable};
use crate::config::{
    Credential, MASK, Secret,
    files::{Places, SecretFiles},
    named_files,
    notes::Notes,
};

/// An HTTP call for each message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Webhook")]
pub struct WebhookTable {
    /// Who reads it: `json` for programs, `slack` for Slack and Mattermost, `teams` for a workflow of
    /// Microsoft Teams; `json` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// The address, a secret; preferably in a file of its own, see `url_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Credential>,
    /// A file that contains only the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// The key that signs messages of the form `json`, a secret of at least 16 characters; preferably
    /// in a file of its own, see `secret_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Credential>,
    /// A file that contains only the key that signs messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether it may be called by plain `http://` on another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plaintext: Option<bool>,
}

/// Who reads a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""json", "slack" or "teams""#)]
pub enum Form {
    /// A program.
    #[default]
    Json,
    /// Slack or Mattermost.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
}

/// An HTTP call for each message.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table describes the keys")]
pub struct Webhook {
    pub form: Form,
    pub url: Credential,
    pub secret: Option<Credential>,
    pub ca_file: Option<PathBuf>,
    pub allow_plaintext: bool,
}

/// The minimum length of the key that signs messages, in characters.
const SHORTEST_SECRET: usize = 16;

impl WebhookTable {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            form,
            url,
            url_file,
            secret,
            secret_file,
            ca_file,
            allow_plaintext,
        } = self;
        form.is_none()
            && url.is_none()
            && url_file.is_none()
            && secret.is_none()
            && secret_file.is_none()
            && ca_file.is_none()
            && allow_plaintext.is_none()
    }
}

/// Checks it; `None` also where there is none.
pub(super) fn check(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    tables: Tables<'_, WebhookTable>,
) -> Option<Webhook> {
    let (own, general) = (tables.own, tables.general);
    if own.is_empty() && general.is_empty() {
        return None;
    }
    let allow_plaintext = tables
        .value(|table| &table.allow_plaintext)
        .unwrap_or(false);
    let form = tables.value(|table| &table.form).unwrap_or_default();
    let url = url(
        notes,
        places,
        paths,
        tables.part(|table| &table.url),
        tables.part(|table| &table.url_file),
        allow_plaintext,
    );
    let found_before = notes.count();
    let (secret, key) = secret(
        notes,
        places,
        paths,
        "secret",
        tables.part(|table| &table.secret),
        tables.part(|table| &table.secret_file),
    );
    let read = secret
        .as_ref()
        .filter(|_| places.secrets == SecretFiles::Read);
    if let Some(Err(problem)) = read.map(|secret| signing_key(secret.loaded())) {
        notes.find(&key, problem);
    }
    let has_own = own.secret.is_some() || own.secret_file.is_some();
    if form != Form::Json && secret.is_some() && (has_own || own.form.is_none()) {
        notes.find(
            &key,
            "only messages of the form \"json\" are signed; remove it",
        );
    }
    let mut ca_file = tables.value(|table| &table.ca_file);
    let at = paths.of(own.ca_file.is_some(), general.ca_file.is_some());
    named_files::certificates(notes, places, &at.key("ca_file"), &mut ca_file);
    if notes.count() > found_before {
        return None;
    }
    Some(Webhook {
        form,
        url: url?,
        secret: secret.filter(|_| form == Form::Json),
        ca_file,
        allow_plaintext,
    })
}

/// The beginning of a key that is written as in "Standard Webhooks": base64 follows.
const ENCODED: &str = "whsec_";

/// Base64 of the usual alphabet, whether or not it is filled up with `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key that a secret text stands for: the text, or what it says in base64 behind `whsec_`.
///
/// # Errors
/// It is no key, or one that could be guessed; the text contains nothing of it.
pub fn signing_key(secret: &Secret) -> Result<Vec<u8>, String> {
    let text = secret.expose();
    let Some(encoded) = text.strip_prefix(ENCODED) else {
        return if text.chars().count() < SHORTEST_SECRET {
            Err(format!(
                "a key of fewer than {SHORTEST_SECRET} characters could be guessed"
            ))
        } else {
            Ok(text.as_bytes().to_vec())
        };
    };
    match BASE64.decode(encoded) {
        Ok(key) if key.len() < SHORTEST_SECRET => Err(format!(
            "a key of fewer than {SHORTEST_SECRET} bytes could be guessed; `openssl rand -base64 32` \
             makes one, which stands behind {ENCODED}"
        )),
        Ok(key) => Ok(key),
        Err(_) => Err(format!(
            "what stands behind {ENCODED} is not base64: copy the key as the receiver shows it, all of \
             it; a key that is a text of its own must not begin with {ENCODED}"
        )),
    }
}

/// A secret of the job's table, or else of the general one, with its key.
pub(super) fn secret(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    name: &str,
    inline: Tables<'_, Option<Credential>>,
    file: Tables<'_, Option<PathBuf>>,
) -> (Option<Credential>, crate::config::KeyPath) {
    let is_own = inline.own.is_some() || file.own.is_some();
    let (mut inline, mut file, at) = if is_own {
        (inline.own.clone(), file.own.clone(), &paths.own)
    } else {
        let is_general = inline.general.is_some() || file.general.is_some();
        (
            inline.general.clone(),
            file.general.clone(),
            paths.of(false, is_general),
        )
    };
    let key = match file {
        Some(_) => at.key(&format!("{name}_file")),
        None => at.key(name),
    };
    named_files::secret(notes, places, at, name, &mut inline, &mut file);
    (inline, key)
}

/// The address, which is a secret.
pub(super) fn url(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    inline: Tables<'_, Option<Credential>>,
    file: Tables<'_, Option<PathBuf>>,
    allow_plaintext: bool,
) -> Option<Credential> {
    let found_before = notes.count();
    let (url, key) = secret(notes, places, paths, "url", inline, file);
    let Some(url) = url else {
        let judged = [&paths.own, &paths.general].map(|at| notes.is_judged(&at.key("url_file")));
        if notes.count() == found_before && !judged.contains(&true) {
            notes.missing(
                &key,
                "set url_file = \"file that contains the address\": whoever knows it can call it",
            );
        }
        return None;
    };
    if url.loaded().expose() != MASK.repeat(2)
        && let Err(problem) = callable(url.loaded().expose(), allow_plaintext)
    {
        notes.find(&key, problem);
    }
    Some(url)
}

impl From<Webhook> for WebhookTable {
    fn from(webhook: Webhook) -> Self {
        let (mut url, mut url_file) = (Some(webhook.url), None);
        named_files::shown(&mut url, &mut url_file);
        let (mut secret, mut secret_file) = (webhook.secret, None);
        named_files::shown(&mut secret, &mut secret_file);
        Self {
            form: Some(webhook.form),
            url,
            url_file,
            secret,
            secret_file,
            ca_file: webhook.ca_file,
            allow_plaintext: Some(webhook.allow_plaintext),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Vec<u8>, String> {
        signing_key(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_is_decoded_whether_or_not_it_is_filled_up() {
        let bytes = vec![0xff; 17];
        assert_eq!(key("whsec_//////////////////////8="), Ok(bytes.clone()));
        assert_eq!(key("whsec_//////////////////////8"), Ok(bytes));
        assert_eq!(key("a text of its own"), Ok(b"a text of its own".to_vec()));
    }

    #[test]
    fn what_is_no_base64_is_no_key() {
        for text in [
            "whsec_",
            "whsec_a text of its own",
            "whsec_______________________-8=",
            "whsec_//////////////////////8=\n",
        ] {
            key(text).unwrap_err();
        }
    }
}
