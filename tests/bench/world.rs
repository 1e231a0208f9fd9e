//! A whole studio for a daemon, directory and ftrack: prints their addresses, and makes the changes
//! that standard input requests, one per line.

use std::net::{Ipv4Addr, SocketAddr};

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast::{self, Oddities, Person},
        directory::{DirectoryServer, Tree, TreeEntry},
        ftrack::{Fault, FtrackServer},
    },
};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{PASSWORD, answers::say};

/// Where those are who left: outside of what the job reads.
const FORMER: &str = "ou=services,dc=studio,dc=test";

/// The servers, and who is in the directory.
struct World {
    runtime: Runtime,
    tree: Tree,
    address: SocketAddr,
    /// Absent while it is down.
    directory: Option<DirectoryServer>,
    ftrack: FtrackServer,
    people: Vec<Person>,
}

/// Serves a directory of so many people and an empty ftrack. Each line of standard input is
/// something that happens, and is answered by a line; it ends with standard input.
pub fn serve(count: usize) {
    let mut world = World::new(count);
    say(&json!({"ldap": format!("ldap://{}", world.address), "ftrack": world.ftrack.url()}));
    for line in std::io::stdin().lines() {
        let line = line.expect("standard input");
        world.happens(&line.split_whitespace().collect::<Vec<_>>());
        let counts = world.directory.as_ref().map(DirectoryServer::counts);
        say(
            &json!({"connections": counts.map_or(0, |counts| counts.connections), "binds": counts.map_or(0, |counts| counts.binds)}),
        );
    }
}

impl World {
    fn new(count: usize) -> Self {
        let runtime = crate::runtime();
        let people = cast::people(count, 1, Oddities::None);
        let tree = cast::tree(&people, &Secret::new(PASSWORD.to_owned())).expect("a tree");
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let directory = runtime
            .block_on(DirectoryServer::start(anywhere, tree.clone()))
            .expect("a directory");
        let ftrack = crate::start(&runtime);
        Self {
            runtime,
            tree,
            address: directory.address(),
            directory: Some(directory),
            ftrack,
            people,
        }
    }

    fn happens(&mut self, what: &[&str]) {
        match what {
            ["leaves", number] => self.moves(number, cast::PEOPLE, FORMER),
            ["returns", number] => self.moves(number, FORMER, cast::PEOPLE),
            ["is-called", number, name] => {
                let dn = &self.person(number).entry.dn;
                self.tree
                    .replace(dn, "givenName", &[name])
                    .expect("an entry");
            }
            ["joins", login] => {
                let entry = TreeEntry::new(format!("uid={login},{}", cast::PEOPLE))
                    .with("objectClass", "inetOrgPerson");
                let entry = entry
                    .with("cn", login)
                    .with("givenName", "New")
                    .with("sn", login);
                self.tree
                    .add(entry.with("mail", format!("{login}@studio.test")))
                    .expect("a place");
            }
            ["directory-stops"] => {
                let directory = self.directory.take().expect("it runs");
                self.runtime.block_on(directory.stop());
            }
            ["directory-starts"] => {
                let starting = DirectoryServer::start(self.address, self.tree.clone());
                self.directory = Some(self.runtime.block_on(starting).expect("the same address"));
            }
            ["directory-is-busy"] => self.directory.as_ref().expect("it runs").break_off_after(1),
            ["ftrack-fails"] => self.ftrack.studio().fail_when(|_| Some(Fault::Html(503))),
            ["ftrack-resets"] => self.ftrack.studio().fail_when(|_| Some(Fault::ResetBefore)),
            ["all-is-well"] => {
                self.ftrack.studio().heal();
                if let Some(directory) = &self.directory {
                    directory.recover();
                }
            }
            _ => panic!("what is {what:?}?"),
        }
    }

    fn person(&self, number: &str) -> &Person {
        &self.people[number.parse::<usize>().expect("a number")]
    }

    fn moves(&self, number: &str, from: &str, to: &str) {
        let at_home = &self.person(number).entry.dn;
        let at = |place: &str| at_home.replace(cast::PEOPLE, place);
        self.tree
            .rename(&at(from), &at(to))
            .expect("an entry and a place");
    }
}
