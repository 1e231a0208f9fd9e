//! `[notifications.alive]`: the address that is called after each run that did not fail.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Paths, Tables, webhook};
use crate::config::{Credential, files::Places, named_files, notes::Notes};

/// An address that is called after each run that did not fail and was for everybody: what watches
/// it raises an alarm when no call comes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Alive")]
pub struct AliveTable {
    /// The address, a secret; preferably in a file of its own, see `url_file`. Each job needs its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Credential>,
    /// A file that contains only the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// How it is called; `get` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether it may be called by plain `http://` on another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plaintext: Option<bool>,
}

/// The method of an HTTP call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""get" or "post""#)]
pub enum Method {
    /// Without a body.
    #[default]
    Get,
    /// With an empty body.
    Post,
}

/// The address that is called after each run that did not fail.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table describes the keys")]
pub struct Alive {
    pub url: Credential,
    pub method: Method,
    pub ca_file: Option<PathBuf>,
    pub allow_plaintext: bool,
}

impl AliveTable {
    /// Whether the table has an address, or names its file.
    pub fn has_url(&self) -> bool {
        self.url.is_some() || self.url_file.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self {
            url,
            url_file,
            method,
            ca_file,
            allow_plaintext,
        } = self;
        url.is_none()
            && url_file.is_none()
            && method.is_none()
            && ca_file.is_none()
            && allow_plaintext.is_none()
    }
}

/// Checks it; `None` also where there is none. `jobs` is the number of jobs that have the general one.
pub(super) fn check(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    (tables, jobs): (Tables<'_, AliveTable>, usize),
) -> Option<Alive> {
    let (own, general) = (tables.own, tables.general);
    if own.is_empty() && general.is_empty() {
        return None;
    }
    if !own.has_url() && jobs > 1 && general.has_url() {
        notes.find(
            &paths.general,
            "one address for several jobs would hide a job that fails behind another that works: \
             give each its own, in [jobs.NAME.notifications.alive]",
        );
        return None;
    }
    let allow_plaintext = tables
        .value(|table| &table.allow_plaintext)
        .unwrap_or(false);
    let url = webhook::url(
        notes,
        places,
        paths,
        tables.part(|table| &table.url),
        tables.part(|table| &table.url_file),
        allow_plaintext,
    );
    let mut ca_file = tables.value(|table| &table.ca_file);
    let at = paths.of(own.ca_file.is_some(), general.ca_file.is_some());
    named_files::certificates(notes, places, &at.key("ca_file"), &mut ca_file);
    Some(Alive {
        url: url?,
        method: tables.value(|table| &table.method).unwrap_or_default(),
        ca_file,
        allow_plaintext,
    })
}

impl From<Alive> for AliveTable {
    fn from(alive: Alive) -> Self {
        let (mut url, mut url_file) = (Some(alive.url), None);
        named_files::shown(&mut url, &mut url_file);
        Self {
            url,
            url_file,
            method: Some(alive.method),
            ca_file: alive.ca_file,
            allow_plaintext: Some(alive.allow_plaintext),
        }
    }
}
