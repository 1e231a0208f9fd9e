//! What the program sent to ftrack for a user and can send only once, or cannot read back: noted in
//! the user's link.

use serde::{Deserialize, Serialize};

use crate::model::{entry::of_bytes, picture::PictureDigest};

/// What was sent, as the link notes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The invitation of a user that the program created; none where none is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
    /// The picture of the directory that is the user's thumbnail, unless somebody set another one
    /// since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureDigest>,
}

impl Sent {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The memory that it takes, in bytes.
    pub(super) fn heap_size(&self) -> usize {
        let picture = self.picture.as_ref();
        picture.map_or(0, |picture| of_bytes(picture.as_str().len()))
    }
}

/// How far the invitation of a user is. ftrack sends one each time that it is asked, so the link says
/// that it is asked before it is: none is better than two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Invitation {
    /// It is to be sent once the user is known to be active, and was not yet.
    Due,
    /// ftrack is being asked to send it: whether it was is not known until the link says more.
    Asked,
    /// ftrack sent it.
    Sent,
    /// ftrack refused to send it.
    Refused,
    /// It may have been sent or not, which nobody can tell any more.
    Unknown,
}

impl Invitation {
    /// The name in links.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Asked => "asked",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// The invitation with this name; one that a newer version wrote may have been sent.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let all = [Self::Due, Self::Asked, Self::Sent, Self::Refused];
        all.into_iter()
            .find(|invitation| invitation.as_str() == name)
            .unwrap_or(Self::Unknown)
    }

    /// What it is once a run settles the user: what is due is asked for, and what an earlier run asked
    /// for, without an answer that is known, is not asked for again.
    #[must_use]
    pub fn settled(self) -> Self {
        match self {
            Self::Due => Self::Asked,
            Self::Asked => Self::Unknown,
            Self::Sent | Self::Refused | Self::Unknown => self,
        }
    }
}
