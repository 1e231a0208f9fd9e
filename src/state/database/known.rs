//! What a run of changes works on, as values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    directory::changes::Position,
    model::{entry::DirectoryId, id::IdAttribute},
    sync::decide::UsersBefore,
};

/// What the runs of changes of a job know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownChanges {
    /// Identifies the configuration with which it was read.
    pub configuration: String,
    /// Up to where the changes of the directory are known, and done.
    pub position: Position,
    /// The attribute that identifies the people.
    pub id_attribute: IdAttribute,
    /// The number of entries of the last complete reading.
    pub entries: usize,
    /// The numbers of users in it.
    pub users: UsersBefore,
    /// People who are looked at again, by directory id: their changes were held, or failed.
    pub again: BTreeMap<String, Again>,
    /// Entries without a user, by directory id: they are read beside those who left, since one may
    /// be a successor.
    pub without_user: BTreeSet<String>,
    /// Whether nobody is taken for absent before everything is read again: something about the last
    /// complete reading was doubtful.
    pub leavers_wait: bool,
}

/// What the directory showed of somebody who is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The entry.
    Changed,
    /// That it is gone.
    Deleted,
}

/// A user of ftrack, as far as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUser {
    /// The person of its link.
    pub(super) directory_id: Option<String>,
    /// A digest of its login.
    pub(super) username: String,
    /// A digest of its mail address.
    pub(super) email: Option<String>,
}

/// What users are looked for by.
#[derive(Debug, Default)]
pub struct Sought<'a> {
    /// The people of their links.
    pub people: BTreeSet<&'a DirectoryId>,
    /// Their logins, in the form in which they are compared.
    pub logins: BTreeSet<String>,
    /// Their mail addresses, likewise.
    pub mails: BTreeSet<String>,
}

/// The namespace of the digests: names are stored once, in ftrack.
const NAMESPACE: Uuid = Uuid::from_u128(0x51b3_9c0f_7a3e_4f5b_8e06_2f5d_94c1_07aa);

impl KnownUser {
    /// A user with these names, in the form in which they are compared.
    #[must_use]
    pub fn new(person: Option<&DirectoryId>, login: &str, mail: Option<&str>) -> Self {
        Self {
            directory_id: person.map(|id| id.as_str().to_owned()),
            username: digest(login),
            email: mail.map(digest),
        }
    }
}

pub(super) fn digest(text: &str) -> String {
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
        .simple()
        .to_string()
}
