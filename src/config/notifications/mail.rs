//! `[notifications.mail]`: e-mail.

use std::path::PathBuf;

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Paths, Tables, webhook::secret};
use crate::config::{
    Credential,
    files::Places,
    named_files,
    notes::Notes,
    table::Complete,
    value::{List, MailAddress, MailServerAddress, is_loopback, line},
};

/// E-mail, as text and HTML.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Mail")]
pub struct MailTable {
    /// The mail server: `smtps://` (TLS, port 465) or `smtp://` (upgraded by STARTTLS, port 587), such
    /// as `smtps://mail.studio.test`.
    #[serde(
        deserialize_with = "MailServerAddress::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub server: Option<Url>,
    /// Whether `smtp://` connections are upgraded by STARTTLS before anything else is sent; true when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_tls: Option<bool>,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The name of the account at the mail server; no login when absent.
    #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password for `user`, a secret; preferably in a file of its own, see `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Credential>,
    /// A file that contains only the password for `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The sender, such as `ftrack sync <sync@studio.test>`.
    #[serde(deserialize_with = "sender", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<String>,
    /// Those who get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<List<MailAddress>>,
}

/// E-mail.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table describes the keys")]
pub struct Mail {
    pub server: Url,
    /// Whether `smtp` is upgraded before anything else is sent.
    pub start_tls: bool,
    pub ca_file: Option<PathBuf>,
    /// The account, with its password.
    pub login: Option<(String, Credential)>,
    pub from: Mailbox,
    /// Never empty.
    pub to: Vec<Mailbox>,
}

/// Reads a key that is a mail address.
fn sender<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<MailAddress>();
    parsed
        .map(|address| Some(address.to_string()))
        .map_err(serde::de::Error::custom)
}

impl MailTable {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            server,
            start_tls,
            ca_file,
            user,
            password,
            password_file,
            from,
            to,
        } = self;
        server.is_none()
            && start_tls.is_none()
            && ca_file.is_none()
            && user.is_none()
            && password.is_none()
            && password_file.is_none()
            && from.is_none()
            && to.is_none()
    }
}

/// Checks it; `None` also where there is none.
pub(super) fn check(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    tables: Tables<'_, MailTable>,
) -> Option<Mail> {
    let (own, general) = (tables.own, tables.general);
    if own.is_empty() && general.is_empty() {
        return None;
    }
    let found_before = notes.count();
    let server = tables.value(|table| &table.server);
    let from = tables.value(|table| &table.from);
    let to = tables.value(|table| &table.to).unwrap_or_default();
    // What is missing belongs where the table begins.
    let at = paths.of(!own.is_empty(), !general.is_empty());
    let of_server = paths.of(own.server.is_some(), general.server.is_some());
    if server.is_none() {
        paths.missing(
            notes,
            at,
            "server",
            "the mail server, such as \"smtps://mail.studio.test\"",
        );
    }
    if from.is_none() {
        paths.missing(
            notes,
            at,
            "from",
            "the sender, such as \"sync@studio.test\"",
        );
    }
    let of_to = paths.of(own.to.is_some(), general.to.is_some()).key("to");
    if to.is_empty() {
        paths.missing(
            notes,
            at,
            "to",
            "those who get it, such as [\"it@studio.test\"]",
        );
    }
    to.check(notes, &of_to);
    let start_tls = tables.value(|table| &table.start_tls);
    let is_smtps = server
        .as_ref()
        .is_some_and(|server| server.scheme() == "smtps");
    if is_smtps && let Some(start_tls) = start_tls {
        let of_key = paths.of(own.start_tls.is_some(), general.start_tls.is_some());
        let problem = if start_tls {
            "smtps:// has TLS from the first byte; write smtp:// for STARTTLS, or remove it"
        } else {
            "smtps:// has TLS; write smtp://, or remove it"
        };
        notes.find(&of_key.key("start_tls"), problem);
    }
    let start_tls = !is_smtps && start_tls.unwrap_or(true);
    let login = login(notes, places, paths, tables);
    let is_plain = server
        .as_ref()
        .is_some_and(|server| !is_smtps && !start_tls && !is_loopback(server));
    if is_plain && login.is_some() {
        notes.find(
            &of_server.key("server"),
            "the password would go over the network in plain text; leave out start_tls = false, or \
             write smtps://",
        );
    }
    let mut ca_file = tables.value(|table| &table.ca_file);
    let of_ca = paths.of(own.ca_file.is_some(), general.ca_file.is_some());
    if ca_file.is_some() && !is_smtps && !start_tls {
        notes.find(
            &of_ca.key("ca_file"),
            "is for TLS, which start_tls = false leaves out",
        );
    }
    named_files::certificates(notes, places, &of_ca.key("ca_file"), &mut ca_file);
    if notes.count() > found_before {
        return None;
    }
    Some(Mail {
        server: server?,
        start_tls,
        ca_file,
        login,
        from: from?.parse().ok()?,
        to: to.complete()?,
    })
}

fn login(
    notes: &mut Notes,
    places: &Places,
    paths: &Paths,
    tables: Tables<'_, MailTable>,
) -> Option<(String, Credential)> {
    let found_before = notes.count();
    let user = tables.value(|table| &table.user);
    let (password, key) = secret(
        notes,
        places,
        paths,
        "password",
        tables.part(|table| &table.password),
        tables.part(|table| &table.password_file),
    );
    match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (Some(_), None) => {
            if notes.count() == found_before {
                let at = paths.of(tables.own.user.is_some(), tables.general.user.is_some());
                notes.find(
                    &at.key("user"),
                    "has no password; set password_file = \"file that contains the password\"",
                );
            }
            None
        }
        (None, Some(_)) => {
            notes.find(&key, "a password without a user; set user");
            None
        }
        (None, None) => None,
    }
}

impl From<Mail> for MailTable {
    fn from(mail: Mail) -> Self {
        let Mail {
            server,
            start_tls,
            ca_file,
            login,
            from,
            to,
        } = mail;
        let start_tls = (server.scheme() == "smtp").then_some(start_tls);
        let (user, mut password) = login.unzip();
        let mut password_file = None;
        named_files::shown(&mut password, &mut password_file);
        Self {
            server: Some(server),
            start_tls,
            ca_file,
            user,
            password,
            password_file,
            from: Some(from.to_string()),
            to: Some(to.into()),
        }
    }
}
