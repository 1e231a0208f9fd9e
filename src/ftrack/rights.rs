//! What the key may do, for `check`: tried by operations that change nothing, whether they are allowed or
//! not, since the API names the rights of a key nowhere.

use serde_json::Map;

use super::{
    answer::Page,
    error::{FtrackError, FtrackErrorKind, ServerRefusal, WriteFailure},
    operation::Operation,
    query,
    row::UserRow,
    session::{Until, Writer},
};
use crate::model::entity_id::EntityId;

/// Something that a sync does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Update, deactivate and reactivate users: an update of a user that names no value.
    ChangeUsers,
    /// Create users: a creation with the id and the login of a user who exists, which neither a server
    /// that refuses what is there twice nor one that would take it for an update changes anything by.
    CreateUsers,
    /// Give and take security roles: one that does not exist is taken from a user who does not exist.
    ChangeRoles,
    /// Memberships of groups: one that does not exist is deleted.
    ChangeMemberships,
}

/// Whether the key may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// The server accepted what was tried, or refused it for another reason than a lack of permission.
    Granted,
    /// The server refused it for lack of permission.
    Refused(ServerRefusal),
    /// It cannot be told, and why.
    Unknown(String),
}

/// A user by whom rights are tried.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Somebody {
    pub id: EntityId,
    pub login: Box<str>,
}

/// A user by whom rights can be tried: not the API's own, since users may be allowed to change
/// themselves alone.
///
/// # Errors
/// The server cannot be reached, refuses the key, or does not allow reading users.
pub async fn somebody(
    writer: &Writer,
    api_user: &str,
    until: &Until,
) -> Result<Option<Somebody>, FtrackError> {
    let reader = writer.reader();
    let operation = Operation::query(query::some_users().page(0, 20));
    let answers = reader
        .read_as::<Page<UserRow>>(std::slice::from_ref(&operation), 20, until)
        .await?;
    let page = answers.into_iter().next().map(Page::rows).transpose();
    let page = page.map_err(|trouble| reader.error_of(&operation.to_string(), trouble))?;
    let users = page.map_or_else(Vec::new, |(users, ..)| users);
    Ok(users.into_iter().find_map(|user: UserRow| {
        let login = user
            .username
            .filter(|name| !name.eq_ignore_ascii_case(api_user))?;
        Some(Somebody { id: user.id, login })
    }))
}

/// Tries whether the key has a right, with a user who exists.
///
/// # Errors
/// Errors that say nothing about the right: the server cannot be reached, or refuses the key.
pub async fn permission(
    writer: &Writer,
    right: Right,
    user: &Somebody,
    until: &Until,
) -> Result<Permission, FtrackError> {
    let operation = match right {
        Right::ChangeUsers => Operation::update_user(&user.id, Map::new()),
        Right::CreateUsers => {
            let login = ("username".to_owned(), user.login.as_ref().into());
            Operation::create_user(&user.id, Map::from_iter([login]))
        }
        Right::ChangeRoles => Operation::remove_role(&EntityId::random(), &EntityId::random()),
        Right::ChangeMemberships => {
            Operation::delete_membership(&EntityId::random(), &EntityId::random())
        }
    };
    match writer.write_call(&[operation], until).await {
        Ok(()) => Ok(Permission::Granted),
        Err(WriteFailure::Refused(error)) => Ok(match (error.kind(), right) {
            (FtrackErrorKind::Permission(refusal), _) => Permission::Refused(refusal.clone()),
            // What was tried could not be done by anybody.
            (
                FtrackErrorKind::Refused(_),
                Right::CreateUsers | Right::ChangeRoles | Right::ChangeMemberships,
            ) => Permission::Granted,
            (other, _) => Permission::Unknown(other.to_string()),
        }),
        Err(
            WriteFailure::Unclear(error)
            | WriteFailure::NotSent(error)
            | WriteFailure::Fatal(error),
        ) => Err(error),
    }
}
