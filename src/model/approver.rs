//! Who approved, or rejected, what a run holds.

use serde::{Deserialize, Serialize};

/// The person who approved what a run writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approver {
    /// The user of the machine under which the program ran.
    pub uid: u32,
    /// The login of the person who called sudo, as the environment names it; omitted without sudo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
    /// The name of the token with which the person signed in to the daemon's pages; omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Approver {
    /// A user of this machine, and the login that called sudo.
    #[must_use]
    pub fn of_user(uid: u32, sudo_user: Option<String>) -> Self {
        Self {
            uid,
            sudo_user,
            token: None,
        }
    }

    /// Whoever signed in to the pages of the daemon, which runs as this user, with a token.
    #[must_use]
    pub fn of_token(uid: u32, token: String) -> Self {
        Self {
            uid,
            sudo_user: None,
            token: Some(token),
        }
    }
}

impl std::fmt::Display for Approver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            uid,
            sudo_user,
            token,
        } = self;
        match (token, sudo_user) {
            (Some(token), _) => write!(f, "{token} (on the daemon's page)"),
            (None, Some(login)) => write!(f, "{login} (through sudo, as uid {uid})"),
            (None, None) => write!(f, "uid {uid}"),
        }
    }
}
