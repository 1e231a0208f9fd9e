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
}

impl std::fmt::Display for Approver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { uid, sudo_user } = self;
        match sudo_user {
            Some(login) => write!(f, "{login} (through sudo, as uid {uid})"),
            None => write!(f, "uid {uid}"),
        }
    }
}
