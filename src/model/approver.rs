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
            (None, Some(login)) => write!(f, "{login}{THROUGH_SUDO}{uid})"),
            (None, None) => write!(f, "uid {uid}"),
        }
    }
}

const THROUGH_SUDO: &str = " (through sudo, as uid ";

/// Who approved, as text, without the user id that sudo gave: for tables.
#[must_use]
pub fn short_approver(text: &str) -> String {
    let uid = text
        .rsplit_once(THROUGH_SUDO)
        .and_then(|(login, uid)| Some((login, uid.strip_suffix(')')?)));
    match uid {
        Some((login, uid)) if uid.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{login} (sudo)")
        }
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_who_called_sudo_and_not_as_whom() {
        let anna = Approver::of_user(0, Some("anna".into())).to_string();
        assert_eq!(anna, "anna (through sudo, as uid 0)");
        assert_eq!(short_approver(&anna), "anna (sudo)");
        for other in [
            Approver::of_user(1000, None).to_string(),
            Approver::of_token(0, "team".into()).to_string(),
            "anna (through sudo, as uid zero)".to_owned(),
        ] {
            assert_eq!(short_approver(&other), other);
        }
    }
}
