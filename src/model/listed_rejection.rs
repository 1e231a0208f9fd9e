//! What people rejected, as `holds --rejected` lists it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    fold::fold,
    hold_number::HoldNumber,
    open_hold::HeldPerson,
    reason::Cause,
    shown_edit::ShownEdit,
    user::{EntityId, User},
};

/// What a person rejected of one user's changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ListedRejection {
    /// The hold that held it; null where a person had it undone or restored, or where that is not known.
    pub hold: Option<HoldNumber>,
    /// The undo or the restore that put it back; null where a hold held it, or where that is not known.
    pub run: Option<String>,
    pub job: String,
    /// When it was rejected; null where that is not known.
    pub since: Option<DateTime<Utc>>,
    /// Who rejected it, in words; null where that is not known.
    pub rejected_by: Option<String>,
    /// Who the user is; omitted where that is not known.
    #[serde(flatten)]
    pub who: Option<RejectedWho>,
    pub ftrack_id: EntityId,
    /// Of a deactivation, where the person is; null otherwise.
    pub cause: Option<Cause>,
    /// What is not written.
    pub edits: Vec<ShownEdit>,
}

/// The person of a rejected change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RejectedWho {
    pub username: String,
    pub email: Option<String>,
    pub dn: Option<String>,
    pub directory_id: Option<String>,
}

impl RejectedWho {
    /// Whether this is a name of the person: login, mail address, DN or directory id, folded.
    #[must_use]
    pub fn is_named(&self, folded: &str) -> bool {
        let others = [&self.email, &self.dn, &self.directory_id];
        let others = others.into_iter().flatten();
        std::iter::once(&self.username)
            .chain(others)
            .any(|name| fold(name) == folded)
    }
}

impl From<&HeldPerson> for RejectedWho {
    fn from(person: &HeldPerson) -> Self {
        Self {
            username: person.username.clone(),
            email: person.email.clone(),
            dn: person.dn.clone(),
            directory_id: Some(person.directory_id.clone()),
        }
    }
}

impl From<&User> for RejectedWho {
    fn from(user: &User) -> Self {
        let link = user.link.link();
        Self {
            username: user.username.to_string(),
            email: user.email.as_deref().map(str::to_owned),
            dn: None,
            directory_id: link.map(|link| link.id.as_str().to_owned()),
        }
    }
}
