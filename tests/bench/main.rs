//! The benchmark's servers: prints a studio's directory as LDIF, and serves an ftrack in a separate
//! process; `tests/bench/run` does the rest.
//!
//! `studio ldif COUNT` prints; `studio serve COUNT` serves an ftrack in which this many of the same
//! people are users with a link, prints its address, and ends when its standard input does; `studio
//! recorded COUNT` serves the same with its pages made beforehand. `studio world COUNT` also serves a
//! directory with this many people, whose ftrack is empty. `studio groups` prints groups of them as
//! LDIF; `studio whole NAMES` serves an empty ftrack with projects and custom attributes. `studio away
//! PORT MILLISECONDS` makes a server of this machine one that is so far away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_macros
)]

mod answers;
mod away;
mod groups;
mod recorded;
mod world;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast,
        cast::Oddities,
        directory::TreeEntry,
        ftrack::{Account, FtrackServer, Options, Studio},
    },
    ftrack::signer::Signer,
    model::{
        entry::DirectoryId,
        id::IdAttribute,
        link::{LINK_KEY, Link, LinkContent},
    },
    sync::matching::created_id,
};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// The job's source, as `servers.py` configures it.
const SOURCE: &str = "artists";

/// The password of the account that reads the directory, as `servers.py` has it.
const PASSWORD: &str = "directory-secret";

fn main() {
    // Cargo adds options of its own, such as --bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["ldif", count] => print_ldif(count.parse().expect("a number")),
        ["serve", count] => serve(count.parse().expect("a number")),
        ["recorded", count] => serve_recorded(count.parse().expect("a number")),
        ["away", port, round_trip] => {
            let round_trip = Duration::from_millis(round_trip.parse().expect("a number"));
            runtime().block_on(away::serve(port.parse().expect("a port"), round_trip));
        }
        ["whole", names @ ..] => serve_whole(names),
        ["groups", numbers @ ..] => groups::print_ldif(numbers),
        ["world", count] => world::serve(count.parse().expect("a number")),
        _ => eprintln!("run tests/bench/run instead"),
    }
}

/// The same person has the same id here and in the links at ftrack.
fn id(dn: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_X500, dn.as_bytes()).to_string()
}

fn print_ldif(count: usize) {
    let people = cast::people(count, 1, Oddities::None);
    let entries: Vec<TreeEntry> = cast::entries(&people, &Secret::new(PASSWORD.to_owned()))
        .into_iter()
        .map(|entry| {
            let id = id(&entry.dn);
            entry.with("entryUUID", id)
        })
        .collect();
    std::io::stdout()
        .write_all(cast::ldif(&entries).as_bytes())
        .expect("standard output");
}

fn serve(count: usize) {
    serve_until_the_end(|studio| add_users(studio, count));
}

/// As [`serve`], with pages that are made only once.
fn serve_recorded(count: usize) {
    let runtime = runtime();
    let server = start(&runtime);
    add_users(&server.studio(), count);
    runtime.block_on(recorded::serve(&server));
}

fn add_users(studio: &Studio, count: usize) {
    let people = cast::people(count, 1, Oddities::None);
    studio.add_users(people.iter().map(account)).expect("users");
}

/// An ftrack without users, with two projects, and with text attributes of users of these names.
fn serve_whole(names: &[&str]) {
    serve_until_the_end(|studio| {
        for name in names {
            studio.add_custom_attribute(name, "text").expect("a type");
        }
        for name in ["show_a", "show_b"] {
            let row = json!({"id": name, "name": name, "is_private": false});
            studio.insert("Project", &row).expect("a project");
        }
    });
}

/// What the servers run on.
fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// An ftrack on a free port.
fn start(runtime: &Runtime) -> FtrackServer {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let starting = FtrackServer::start(anywhere, Options::default());
    runtime.block_on(starting).expect("a server")
}

fn serve_until_the_end(prepare: impl FnOnce(&Studio)) {
    let runtime = runtime();
    let server = start(&runtime);
    prepare(&server.studio());
    println!("{}", server.url());
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("standard input");
    runtime.block_on(server.stop()).expect("an end");
}

/// The user that an import makes of a person.
fn account(person: &cast::Person) -> Account {
    let person_id = DirectoryId::new(&id(&person.entry.dn)).expect("an id");
    let user = created_id(SOURCE, &IdAttribute::EntryUuid, &person_id);
    let link = Link::new(
        person_id,
        LinkContent {
            directory: Some(id(cast::SUFFIX).into()),
            ..LinkContent::of(SOURCE.into(), IdAttribute::EntryUuid)
        },
    );
    let stored = Signer::default().write(&user, &link, None).expect("JSON");
    let cast::Expected {
        username,
        email,
        first_name,
        last_name,
    } = person.expected.clone();
    Account {
        id: user.to_string(),
        username: username.expect("a login"),
        email,
        first_name,
        last_name,
        metadata: BTreeMap::from([(LINK_KEY.to_owned(), stored)]),
        ..Account::default()
    }
}
