//! Nobody is locked out, let in or taken over wrongly: complete reads with wrong content, false
//! links, and several servers and installations.

mod drain;
mod freshness;
mod guarded;
mod installations;
mod learnt;
mod replicas;
mod same_source;
mod same_source_ids;
mod second_look;
mod together;
mod unknown;
mod upgrade;

use std::net::{Ipv4Addr, SocketAddr};

use chrono::Duration;
use ftrack_ldap_sync::{
    demo::directory::{DirectoryServer, Tree, TreeEntry},
    model::{
        change::{Action, HeldBy},
        report::{Report, Reported},
    },
};
use serde_json::{Value, json};

use crate::{
    rules::move_times,
    slapd::{Setup, Slapd, ldif_entry},
    studio::{Studio, dn, person},
};

/// A unit of the directory beside that of the people.
fn unit(name: &str) -> String {
    format!("ou={name},dc=studio,dc=test")
}

fn add_unit(studio: &Studio, name: &str) {
    let entry = TreeEntry::new(unit(name))
        .with("objectClass", "organizationalUnit")
        .with("ou", name);
    studio.tree().add(entry).unwrap();
}

/// A person in a unit beside that of the people.
fn person_in(unit_name: &str, uid: &str) -> TreeEntry {
    let mut entry = person(uid, "Given", uid);
    entry.dn = format!("uid={uid},{}", unit(unit_name));
    entry
}

/// What holds each change of one kind, by login.
fn holds(report: &Report, action: Action) -> Vec<(&str, HeldBy)> {
    let held = |change: &'_ Reported| change.held_by;
    let mut holds: Vec<_> = report
        .changes
        .iter()
        .filter(|change| change.action == action)
        .filter_map(|change| Some((&*change.username, held(change)?)))
        .collect();
    holds.sort_unstable();
    holds
}

/// The link of a user as it is stored.
fn stored_link(studio: &Studio, username: &str) -> Value {
    serde_json::from_str(&studio.user(username).metadata["ftrack-ldap-sync"]).unwrap()
}

/// Writes something into the link of a user, as somebody with the right to change metadata can.
fn forge_link(studio: &Studio, username: &str, link: &Value) {
    let user = studio.user(username).id;
    let row = json!([user, "ftrack-ldap-sync"]);
    let value = json!(link.to_string());
    if studio
        .user(username)
        .metadata
        .contains_key("ftrack-ldap-sync")
    {
        studio
            .ftrack()
            .change("Metadata", &row, &json!({ "value": value }))
            .unwrap();
    } else {
        let fields = json!({"parent_id": user, "parent_type": "User", "key": "ftrack-ldap-sync", "value": value});
        studio.ftrack().insert("Metadata", &fields).unwrap();
    }
}

/// So many logins.
fn many(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("user{number:02}"))
        .collect()
}

/// A studio of these logins, not yet synced.
fn of(uids: &[String]) -> Studio {
    Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How many users are inactive.
fn inactive(studio: &Studio) -> usize {
    studio
        .ftrack()
        .users()
        .iter()
        .filter(|user| !user.is_active)
        .count()
}

/// Lets time go by: what was counted for the limits becomes older, by both clocks.
pub fn let_pass(studio: &Studio, time: Duration) {
    if !studio.state_dir().join("state.db").exists() {
        return;
    }
    move_times(studio, "written", &["at", "at_ftrack"], -time);
    move_times(studio, "clocks_agreed", &["at"], -time);
}

/// A server with a tree of its own.
pub fn replica(studio: &Studio, tree: Tree) -> DirectoryServer {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    studio
        .runtime()
        .block_on(DirectoryServer::start(anywhere, tree))
        .unwrap()
}

/// A slapd whose naming context has that id; the n-th person has the same id at each.
fn slapd(directory: &str, uids: &[&str]) -> Slapd {
    let entry = |(nth, uid): (usize, &&str)| {
        let uuid = format!("00000000-0000-4000-8000-{:012}", nth + 1);
        ldif_entry(
            &dn(uid),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", uid),
                ("cn", uid),
                ("sn", uid),
                ("entryUUID", &uuid),
            ],
        )
    };
    let people: String = uids.iter().enumerate().map(entry).collect();
    Setup::new(people).directory_id(directory).start()
}

/// Turns every link into one of the first version, which named neither its user nor its directory.
fn make_links_earlier(studio: &Studio) {
    for user in studio.ftrack().users() {
        if user.metadata.contains_key("ftrack-ldap-sync") {
            let mut link = stored_link(studio, &user.username);
            let fields = link.as_object_mut().unwrap();
            for later in ["version", "user", "directory"] {
                fields.remove(later);
            }
            forge_link(studio, &user.username, &link);
        }
    }
}
