//! The embedded directory, asked by a real LDAP client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod paging;
mod reading;
mod serving;

use std::net::{Ipv4Addr, SocketAddr};

use ldap3::Scope;
use tokio::time::timeout;

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast::{self, Oddities, Person},
        directory::{Counts, DirectoryServer, Tree, TreeEntry},
    },
};

use crate::ldap_client::{LIMIT, PASSWORD, bound, entries};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A directory with so many people.
async fn directory(people: usize, oddities: Oddities) -> (DirectoryServer, Vec<Person>) {
    let people = cast::people(people, 1, oddities);
    let tree = cast::tree(&people, &Secret::new(PASSWORD.to_owned())).unwrap();
    (
        DirectoryServer::start(LOOPBACK, tree).await.unwrap(),
        people,
    )
}

/// A directory with a handful of entries whose values are known.
async fn small() -> DirectoryServer {
    let tree = Tree::new("dc=studio,dc=test").unwrap();
    for entry in cast::entries(&[], &Secret::new(PASSWORD.to_owned())) {
        tree.add(entry).unwrap();
    }
    let person = |uid: &str, cn: &str, sn: &str| {
        let dn = format!("uid={uid},ou=people,dc=studio,dc=test");
        TreeEntry::new(dn)
            .with("objectClass", "inetOrgPerson")
            .with("uid", uid)
            .with("cn", cn)
            .with("sn", sn)
    };
    tree.add(
        person("emma", "Emma Brown", "Brown")
            .with("mail", "emma@studio.test")
            .with("telephoneNumber", "+46 8-123 45"),
    )
    .unwrap();
    tree.add(
        person("bjorn", "Bjørn  Håland", "Håland")
            .with("manager", "UID=Emma, ou=People,dc=studio,dc=test"),
    )
    .unwrap();
    tree.add(
        person("zoe", "Zoe\u{308} Müller (Ext.) *", "Müller")
            .with("mail", "zoe@studio.test")
            .with("mail", "zoe@home.test"),
    )
    .unwrap();
    DirectoryServer::start(LOOPBACK, tree).await.unwrap()
}

/// The uids of what a filter finds in the small directory.
async fn uids(url: &str, filter: &str) -> Vec<String> {
    let mut ldap = bound(url).await;
    let found = entries(&mut ldap, cast::PEOPLE, Scope::OneLevel, filter, &["uid"]).await;
    found
        .into_iter()
        .flat_map(|mut entry| entry.attrs.remove("uid").unwrap_or_default())
        .collect()
}

/// Waits until a condition holds, at most as long as an answer may take.
async fn eventually(server: &DirectoryServer, holds: impl Fn(Counts) -> bool) {
    let waited = timeout(LIMIT, async {
        while !holds(server.counts()) {
            tokio::task::yield_now().await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("still {:?}", server.counts()));
}
