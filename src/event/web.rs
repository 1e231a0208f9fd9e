//! Events of the daemon's pages: who signed in, and what people did.

use crate::{
    escape::escape_control,
    model::page_action::{ActionKind, AskedAction},
};

/// A log event of the pages.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum WebEvent<'a> {
    /// Somebody signed in with a token.
    SignedIn {
        /// The name of the token.
        by: &'a str,
        from: &'a str,
    },
    /// Somebody tried to sign in with something else.
    SignInRefused { from: &'a str },
    /// Nobody can sign in with a token, or with several that are the same.
    TokenUnusable {
        /// The name of the token.
        token: &'a str,
        /// Why.
        error: &'a str,
    },
    /// Somebody did something, or it was refused.
    Action {
        asked: &'a AskedAction,
        /// What became of it.
        result: &'a str,
    },
}

/// Every event of the pages with its level and fields; log monitors rely on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("web.signed_in", "INFO", &["by", "from"]),
    ("web.sign_in_refused", "WARN", &["from"]),
    ("web.token_unusable", "WARN", &["token", "error"]),
    (
        "web.action",
        "INFO",
        &["by", "from", "action", "job", "hold", "detail", "result"],
    ),
];

impl WebEvent<'_> {
    /// Logs the event once.
    pub fn emit(self) {
        match self {
            Self::SignedIn { by, from } => {
                tracing::info!(event = "web.signed_in", by, from, "signed in")
            }
            Self::SignInRefused { from } => {
                tracing::warn!(event = "web.sign_in_refused", from, "no such token")
            }
            Self::TokenUnusable { token, error } => {
                tracing::warn!(
                    event = "web.token_unusable",
                    token,
                    error = %escape_control(error),
                    "nobody can sign in with this token"
                )
            }
            Self::Action { asked, result } => {
                let AskedAction {
                    by,
                    from,
                    kind,
                    job,
                    hold,
                    detail,
                } = asked;
                tracing::info!(
                    event = "web.action",
                    by,
                    from,
                    action = ActionKind::as_str(*kind),
                    job = %escape_control(job.as_deref().unwrap_or_default()),
                    hold = hold.map(|hold| hold.to_string()).unwrap_or_default(),
                    detail = %escape_control(detail),
                    result = %escape_control(result),
                    "done on the page"
                );
            }
        }
    }
}
