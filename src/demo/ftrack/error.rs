//! Refusals of an operation, in the form that ftrack's clients read: exception, text, and the
//! status in strict mode.

use serde_json::{Value, json};

/// A refusal of one operation, which fails the whole call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{exception}: {content}")]
pub struct ApiError {
    /// The class name that clients match on.
    pub exception: &'static str,
    /// The text for people.
    pub content: String,
    /// The HTTP status in strict mode; the mapping of exceptions to statuses is not documented by
    /// the vendor, so clients must not rely on it.
    pub status: u16,
}

impl ApiError {
    /// The user name or the key was not accepted.
    pub(super) fn credentials(content: &str) -> Self {
        Self {
            exception: "InvalidCredentialsError",
            content: content.to_owned(),
            status: 401,
        }
    }

    /// The key lacks the permission.
    pub(super) fn permission(content: impl Into<String>) -> Self {
        Self {
            exception: "PermissionError",
            content: content.into(),
            status: 403,
        }
    }

    /// A value, an attribute or an operation that the server does not accept.
    pub(super) fn validation(content: impl Into<String>) -> Self {
        Self {
            exception: "ValidationError",
            content: content.into(),
            status: 400,
        }
    }

    /// A value that must be unique, and is taken.
    pub(super) fn duplicate(content: impl Into<String>) -> Self {
        Self {
            exception: "DuplicateEntryError",
            content: content.into(),
            status: 409,
        }
    }

    /// There is no such entity; the vendor's name for this exception is not documented.
    pub(super) fn not_found(entity: &str, key: &str) -> Self {
        Self {
            exception: "EntityNotFoundError",
            content: format!("{entity} {key:?} was not found."),
            status: 404,
        }
    }

    /// A query expression that does not parse.
    pub(super) fn parse(content: impl Into<String>) -> Self {
        Self {
            exception: "ParseError",
            content: content.into(),
            status: 400,
        }
    }

    /// The server itself is broken: for what cannot happen, so that it is an answer and not a
    /// panic.
    pub(super) fn internal(content: impl Into<String>) -> Self {
        Self {
            exception: "InternalServerError",
            content: content.into(),
            status: 500,
        }
    }

    /// The body in place of the list of answers.
    pub(super) fn body(&self) -> Value {
        json!({"content": self.content, "exception": self.exception, "error_code": null})
    }
}
