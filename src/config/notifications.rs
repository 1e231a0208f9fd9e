//! `[notifications]` and `[jobs.NAME.notifications]`: who is told what about a job. A key of a job
//! stands in place of the general one.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Credential,
    files::Places,
    finding::{KeyPath, did_you_mean},
    notes::Notes,
    table::Complete,
    value::{CronExpression, HOUR, List, Number, PageAddress, Period},
};
use crate::model::occasion::Occasion;

mod alive;
mod mail;
mod webhook;

pub use alive::{Alive, Method};
pub use mail::Mail;
pub use webhook::{Form, Webhook, signing_key};

use alive::AliveTable;
use mail::MailTable;
use webhook::WebhookTable;

/// Who is told what about a job, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Notifications")]
pub struct NotificationsTable {
    /// What is told by mail and webhook: `failed`, `recovered`, `held`, `partial`, `changes` (each
    /// run that changed something), `digest` (the summary of a week); without `changes` and `digest`
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<List<Occasion>>,
    /// When the digest is sent, by a running daemon: a cron expression in the job's time zone;
    /// `0 8 * * MON` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_schedule: Option<CronExpression>,
    /// The address under which people reach the daemon's web page, for links in messages.
    #[serde(
        deserialize_with = "PageAddress::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub page_url: Option<Url>,
    /// Time limit for one attempt to deliver; 10 seconds when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Period<100, HOUR>>,
    /// The maximum number of attempts to deliver one message; 5 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Number<1, 20>>,
    /// E-mail.
    #[serde(skip_serializing_if = "MailTable::is_empty")]
    pub mail: MailTable,
    /// An HTTP call for each message.
    #[serde(skip_serializing_if = "WebhookTable::is_empty")]
    pub webhook: WebhookTable,
    /// A dead man's switch: an address that is called after each run that did not fail.
    #[serde(skip_serializing_if = "AliveTable::is_empty")]
    pub alive: AliveTable,
}

/// What people are told about one job, and how.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table describes the keys")]
pub struct Notifications {
    pub on: BTreeSet<Occasion>,
    pub digest_schedule: CronExpression,
    pub page_url: Option<Url>,
    pub time_limit: Duration,
    pub attempts: usize,
    pub mail: Option<Mail>,
    pub webhook: Option<Webhook>,
    pub alive: Option<Alive>,
    /// The keys of the files of secrets that are in the table of the job itself.
    own: BTreeSet<&'static str>,
}

impl Notifications {
    /// The table of the configuration in which the key of a secret's file is, for a job.
    #[must_use]
    pub fn table_of(&self, key: &str, job: &str) -> String {
        if self.own.contains(key) {
            format!("jobs.{job}.notifications")
        } else {
            "notifications".to_owned()
        }
    }

    /// Whether a message about this has anywhere to go.
    #[must_use]
    pub fn tells(&self, occasion: Occasion) -> bool {
        self.on.contains(&occasion) && (self.mail.is_some() || self.webhook.is_some())
    }

    /// The secrets, each with the key of its file.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &Credential)> {
        let login = self.mail.iter().filter_map(|mail| mail.login.as_ref());
        let passwords = login.map(|(_, password)| ("mail.password_file", password));
        let webhook = self.webhook.iter();
        let urls = webhook
            .clone()
            .map(|webhook| ("webhook.url_file", &webhook.url));
        let keys =
            webhook.filter_map(|webhook| Some(("webhook.secret_file", webhook.secret.as_ref()?)));
        let alive = self
            .alive
            .iter()
            .map(|alive| ("alive.url_file", &alive.url));
        passwords.chain(urls).chain(keys).chain(alive)
    }

    /// The files of certificates that are trusted, each with its key.
    pub fn certificates(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let mail = self.mail.iter().filter_map(|mail| mail.ca_file.as_ref());
        let webhook = self
            .webhook
            .iter()
            .filter_map(|webhook| webhook.ca_file.as_ref());
        let alive = self.alive.iter().filter_map(|alive| alive.ca_file.as_ref());
        mail.map(|file| ("mail.ca_file", file))
            .chain(webhook.map(|file| ("webhook.ca_file", file)))
            .chain(alive.map(|file| ("alive.ca_file", file)))
    }
}

/// The table of a job over the general one: where a key is, and what it says.
struct Tables<'t, T> {
    own: &'t T,
    general: &'t T,
}

impl<T> Clone for Tables<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tables<'_, T> {}

impl<'t, T> Tables<'t, T> {
    /// A part of both.
    fn part<P>(self, part: impl Fn(&'t T) -> &'t P) -> Tables<'t, P> {
        Tables {
            own: part(self.own),
            general: part(self.general),
        }
    }

    /// The value that counts.
    fn value<V: Clone + 't>(self, key: impl Fn(&'t T) -> &'t Option<V>) -> Option<V> {
        key(self.own).clone().or_else(|| key(self.general).clone())
    }
}

/// The paths of the table of a job and of the general one.
#[derive(Clone)]
struct Paths {
    own: KeyPath,
    general: KeyPath,
}

impl Paths {
    fn key(&self, name: &str) -> Self {
        Self {
            own: self.own.key(name),
            general: self.general.key(name),
        }
    }

    /// Records that a key is missing, which may be in either table, unless it is there and wrong.
    fn missing(&self, notes: &mut Notes, at: &KeyPath, key: &str, advice: &str) {
        if !notes.is_judged(&self.own.key(key)) && !notes.is_judged(&self.general.key(key)) {
            notes.missing(&at.key(key), advice);
        }
    }

    /// Of the table in which a key is, the job's where it is in neither.
    fn of(&self, is_own: bool, is_general: bool) -> &KeyPath {
        if is_general && !is_own {
            &self.general
        } else {
            &self.own
        }
    }
}

/// Checks what a job's table says over the general one; `jobs` is the number of jobs that have the
/// general one.
pub fn check(
    notes: &mut Notes,
    places: &Places,
    job: &str,
    own: &NotificationsTable,
    (general, jobs): (&NotificationsTable, usize),
) -> Option<Notifications> {
    let top = KeyPath::default();
    let paths = Paths {
        own: top.key("jobs").key(job).key("notifications"),
        general: top.key("notifications"),
    };
    let tables = Tables { own, general };
    let found_before = notes.count();
    let mail = mail::check(
        notes,
        places,
        &paths.key("mail"),
        tables.part(|table| &table.mail),
    );
    let webhook = webhook::check(
        notes,
        places,
        &paths.key("webhook"),
        tables.part(|table| &table.webhook),
    );
    let alive = alive::check(
        notes,
        places,
        &paths.key("alive"),
        (tables.part(|table| &table.alive), jobs),
    );
    let on = tables.value(|table| &table.on);
    let at = paths.of(own.on.is_some(), general.on.is_some()).key("on");
    if let Some(on) = &on {
        on.check(notes, &at);
        let has_receiver = mail.is_some() || webhook.is_some() || notes.count() > found_before;
        if own.on.is_some() && !on.is_empty() && !has_receiver {
            notes.find(
                &at,
                "nobody is told: there is neither a mail nor a webhook table, for all jobs in \
                 [notifications] or for this one",
            );
        }
    }
    if notes.count() > found_before {
        return None;
    }
    let (mailed, hook, called) = (&own.mail, &own.webhook, &own.alive);
    let is_own = [
        (
            "mail.password_file",
            mailed.password.is_some() || mailed.password_file.is_some(),
        ),
        (
            "webhook.url_file",
            hook.url.is_some() || hook.url_file.is_some(),
        ),
        (
            "webhook.secret_file",
            hook.secret.is_some() || hook.secret_file.is_some(),
        ),
        (
            "alive.url_file",
            called.url.is_some() || called.url_file.is_some(),
        ),
    ];
    let is_own = is_own.into_iter().filter(|(_, is_own)| *is_own);
    let on = on.map_or_else(
        || Occasion::USUAL.into(),
        |on| on.usable().copied().collect(),
    );
    let limit = tables.value(|table| &table.time_limit);
    let attempts = tables.value(|table| &table.attempts);
    Some(Notifications {
        on,
        digest_schedule: match tables.value(|table| &table.digest_schedule) {
            Some(schedule) => schedule,
            None => "0 8 * * MON".parse().ok()?,
        },
        page_url: tables.value(|table| &table.page_url),
        time_limit: limit.map_or(Duration::from_secs(10), |limit| limit.length()),
        attempts: attempts.map_or(Some(5), Complete::complete)?,
        mail,
        webhook,
        alive,
        own: is_own.map(|(key, _)| key).collect(),
    })
}

/// As it would be written; nothing where nobody is told anything.
impl From<Notifications> for NotificationsTable {
    fn from(all: Notifications) -> Self {
        let Notifications {
            on,
            digest_schedule,
            page_url,
            time_limit,
            attempts,
            mail,
            webhook,
            alive,
            own: _,
        } = all;
        if mail.is_none() && webhook.is_none() && alive.is_none() {
            return Self::default();
        }
        Self {
            on: Some(on.into_iter().collect::<Vec<_>>().into()),
            digest_schedule: Some(digest_schedule),
            page_url,
            time_limit: Some(time_limit.into()),
            attempts: Some(attempts.into()),
            mail: mail.map(Into::into).unwrap_or_default(),
            webhook: webhook.map(Into::into).unwrap_or_default(),
            alive: alive.map(Into::into).unwrap_or_default(),
        }
    }
}

impl NotificationsTable {
    /// Whether no key is set.
    pub fn is_empty(&self) -> bool {
        let Self {
            on,
            digest_schedule,
            page_url,
            time_limit,
            attempts,
            mail,
            webhook,
            alive,
        } = self;
        on.is_none()
            && digest_schedule.is_none()
            && page_url.is_none()
            && time_limit.is_none()
            && attempts.is_none()
            && mail.is_empty()
            && webhook.is_empty()
            && alive.is_empty()
    }
}

impl FromStr for Occasion {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            format!(
                "{name:?} is nothing to be told ({}){}",
                names.join(", "),
                did_you_mean(name, names)
            )
        })
    }
}

/// A secret text as a URL that may be called.
///
/// # Errors
/// It is none; the text contains nothing of it but the scheme.
pub fn callable(text: &str, allow_plaintext: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "not a URL that begins with https://".to_owned())?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_plaintext || super::value::is_loopback(&url) => Ok(url),
        "http" => Err(
            "anybody on the network could read it and what is sent: write https://, or set \
             allow_plaintext = true"
                .to_owned(),
        ),
        scheme => Err(format!(
            "{scheme:?} is not a scheme of web servers; write https://"
        )),
    }
}
