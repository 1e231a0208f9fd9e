//! How current the copy of a directory is that a server shows. What it does not show, or not to this
//! account, is not known, and nothing follows from it.

use std::collections::BTreeSet;

use ldap3::Scope;
use uuid::Uuid;

use super::{
    connection::Connection,
    error::DirectoryError,
    lookup::{first, look},
    server::{RootDse, naming_context},
};
use crate::model::{
    entry::Entry,
    freshness::{Freshness, NewestChanges},
    server_kind::ServerKind,
};

/// The entry with the update vector of a replica of 389-ds.
// https://www.port389.org/docs/389ds/howto/howto-cleanruv.html
const UPDATE_VECTOR: &str =
    "(&(objectclass=nstombstone)(nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff))";

/// Reads how current the naming contexts of these bases are on a server.
///
/// # Errors
/// The server does not answer, or not now; that it does not show it is none.
pub(super) async fn freshness(
    connection: &mut Connection,
    root: &RootDse,
    bases: &[&str],
) -> Result<Freshness, DirectoryError> {
    if let Some((number, service)) = &root.update_number {
        return of_domain_controller(connection, (*number, service)).await;
    }
    let contexts = bases
        .iter()
        .filter_map(|base| naming_context(&root.naming_contexts, base));
    let contexts: BTreeSet<&str> = contexts.collect();
    let mut freshness = Freshness::default();
    for context in contexts {
        if let Some(newest) = of_context(connection, root.kind, context).await? {
            freshness = freshness.with_context(context, newest);
        }
    }
    Ok(freshness)
}

/// The newest changes of a naming context.
async fn of_context(
    connection: &mut Connection,
    kind: ServerKind,
    context: &str,
) -> Result<Option<NewestChanges>, DirectoryError> {
    match kind {
        ServerKind::Ds389 | ServerKind::FreeIpa => {
            let name = "nsds50ruv";
            let subtree = (context, Scope::Subtree);
            let found = first(connection, subtree, UPDATE_VECTOR, &[name]).await;
            let entry = shown(found)?;
            let values = texts(entry.as_ref(), name);
            Ok(NewestChanges::of_update_vector(values))
        }
        ServerKind::OpenLdap | ServerKind::Generic => {
            let name = "contextCSN";
            let entry = shown(look(connection, context, "(objectClass=*)", &[name]).await)?;
            let values = texts(entry.as_ref(), name);
            Ok(NewestChanges::of_context_csns(values))
        }
        ServerKind::ActiveDirectory | ServerKind::Samba => Ok(None),
    }
}

/// The number of the last change in the database of a domain controller, and which database that is:
/// one that was restored or made anew counts from elsewhere (MS-ADTS sections 3.1.1.3.2.10 and
/// 6.1.1.2.2.1.2.1.1).
async fn of_domain_controller(
    connection: &mut Connection,
    (number, service): (u64, &str),
) -> Result<Freshness, DirectoryError> {
    // https://learn.microsoft.com/windows/win32/adschema/a-invocationid
    let found = look(connection, service, "(objectClass=*)", &["invocationId"]).await;
    let invocation = shown(found)?.and_then(|service| {
        let [value] = service.values("invocationId") else {
            return None;
        };
        Some(Uuid::from_bytes_le(value.as_slice().try_into().ok()?))
    });
    Ok(invocation.map_or_else(Freshness::default, |invocation| {
        Freshness::of_invocation(invocation, number)
    }))
}

/// What was found, or nothing where the server does not show it to this account.
fn shown(found: Result<Option<Entry>, DirectoryError>) -> Result<Option<Entry>, DirectoryError> {
    match found {
        Ok(entry) => Ok(entry),
        Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => Ok(None),
        // A refusal for this entry says nothing about the search; "busy" does.
        Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The values of an attribute; what is no text is none that is understood.
fn texts<'e>(entry: Option<&'e Entry>, name: &str) -> impl Iterator<Item = &'e str> {
    let values = entry.map(|entry| entry.values(name)).unwrap_or_default();
    values
        .iter()
        .map(|value| std::str::from_utf8(value).unwrap_or("?"))
}
