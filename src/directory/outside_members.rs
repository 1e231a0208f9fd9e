//! What the members of groups are that are neither groups nor people of a reading: one that cannot be
//! seen may be a group, with members of its own.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    error::DirectoryError,
    lookup::look,
    pool::{DirectoryPool, PooledConnection},
    range::ANYTHING,
    searches::bounded,
    server::{RootDse, naming_context},
};
use crate::model::entry::Entry;

/// The most DNs that are looked up in one run; who remains is looked up in the next ones.
const MOST: usize = 1_000;
/// The object classes of people and machines (RFC 4519, RFC 4524, RFC 2307); Active Directory's users,
/// contacts and computers have the first.
const OF_ACCOUNTS: [&str; 5] = ["person", "user", "account", "posixAccount", "device"];

/// Which of these DNs the server shows as entries that are accounts and no groups, or cannot have: a
/// group must have members, and has names of nobody for that. Whatever is not among them cannot be
/// seen, or may be a group.
///
/// # Errors
/// The server did not answer.
pub async fn accounts(
    pool: &DirectoryPool,
    server: &str,
    dns: &BTreeSet<String>,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<BTreeSet<String>, DirectoryError> {
    let servers = pool.servers();
    let mut known = servers.iter();
    let Some(server) = known.find(|known| known.connector.server() == server) else {
        return Ok(BTreeSet::new());
    };
    let look = async {
        let mut lent = server.get().await?;
        let root = RootDse::read(&mut lent).await?;
        let mut accounts = BTreeSet::new();
        for dn in dns.iter().take(MOST) {
            if is_nowhere(&root, dn) || is_account(&mut lent, dn).await? {
                accounts.insert(dn.clone());
            }
        }
        lent.give_back();
        Ok(accounts)
    };
    bounded(look, deadline, cancel).await
}

/// Whether a DN is in no naming context of the server. A domain may have groups of other domains in
/// its own.
fn is_nowhere(root: &RootDse, dn: &str) -> bool {
    let contexts = &root.naming_contexts;
    !root.kind.is_active_directory()
        && !contexts.is_empty()
        && naming_context(contexts, dn).is_none()
}

async fn is_account(lent: &mut PooledConnection, dn: &str) -> Result<bool, DirectoryError> {
    match look(lent, dn, ANYTHING, &["objectClass"]).await {
        Ok(entry) => Ok(entry.is_some_and(|entry| is_of_account(&entry))),
        // Elsewhere, hidden, or a name that this server does not take: nothing is known of it.
        Err(
            DirectoryError::NoSuchBase { .. }
            | DirectoryError::Refused { .. }
            | DirectoryError::Referred { .. },
        ) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_of_account(entry: &Entry) -> bool {
    let classes = entry.values("objectClass").iter();
    let classes: Vec<String> = classes
        .map(|class| String::from_utf8_lossy(class).to_ascii_lowercase())
        .collect();
    let is_one = |class: &str| {
        classes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(class))
    };
    OF_ACCOUNTS.into_iter().any(is_one) && !classes.iter().any(|class| class.contains("group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_account() {
        let entry = |classes: &[&str]| {
            let values = classes.iter().map(|class| class.as_bytes().to_vec());
            Entry::showing("cn=x", [("objectClass", values.collect())])
        };
        for (classes, is) in [
            (
                &["top", "person", "organizationalPerson", "user"] as &[&str],
                true,
            ),
            (&["inetOrgPerson", "PERSON"], true),
            (&["account", "posixGroup"], false),
            (&["ipaUserGroup"], false),
            (&["top"], false),
            (&[], false),
        ] {
            assert_eq!(is_of_account(&entry(classes)), is, "{classes:?}");
        }
    }
}
