//! What people are told: by real receivers over the network, which are slow, dead or say no, while runs
//! go on as if there were none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alive;
mod command;
mod digest;
mod files;
mod mail;
mod refused;
mod restart;
mod slow;
mod smtp;
mod web;
mod webhook;

use ftrack_ldap_sync::demo::directory::TreeEntry;
use serde_json::{Map, Value};

use self::web::{Received, WebSink};
use crate::{
    rules::add_config,
    studio::{Ended, Studio, person},
};

/// The key that signs messages.
const SECRET: &str = "a-secret-of-more-than-16";

/// A part of an address that nobody may see.
const HIDDEN: &str = "T0PS3CRET-part";

/// Has this sink told what happens, with more keys of `[notifications]`, and of its webhook.
fn told(studio: &Studio, sink: &WebSink, keys: &str, webhook: &str) {
    let url = sink.url(&format!("/hooks/{HIDDEN}"));
    std::fs::write(studio.folder().join("hook-url"), url).unwrap();
    std::fs::write(studio.folder().join("hook-secret"), SECRET).unwrap();
    add_config(
        studio,
        &format!(
            "[notifications]\n{keys}\n[notifications.webhook]\nurl_file = \"hook-url\"\n{webhook}\n"
        ),
    );
}

/// The form that programs read, signed.
const SIGNED: &str = "secret_file = \"hook-secret\"";

/// The occasions of messages.
fn occasions(received: &[Received]) -> Vec<Vec<String>> {
    let of = |message: Value| serde_json::from_value(message["occasions"].clone()).unwrap();
    received.iter().map(|one| of(one.json())).collect()
}

/// One `sync`, which must end so.
fn sync(studio: &Studio, status: i32) -> Ended {
    let ended = studio.run(&["sync"]);
    assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
    for line in ended.stderr.lines() {
        crate::events::check_line(&serde_json::from_str(line).unwrap());
    }
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(HIDDEN) && !text.contains(SECRET), "{text}");
    }
    ended
}

/// The lines of an event.
fn events(ended: &Ended, name: &str) -> Vec<Value> {
    let lines = ended.stderr.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == name).collect()
}

/// Where the entry of [`named`] is.
const NAMED: &str = "cn=x,ou=people,dc=studio,dc=test";

/// A person with this login.
fn named(login: &str) -> TreeEntry {
    let mut named = person("x", "Given", "Name");
    named.dn = NAMED.into();
    named
        .attributes
        .retain(|(name, _)| name != "uid" && name != "cn");
    named.with("cn", "x").with("uid", login)
}

/// What was dropped is the message about a change, by the webhook, for this reason.
fn is_of_changes(dropped: &Map<String, Value>, error: &str) {
    assert_eq!(
        (
            &dropped["receiver"],
            &dropped["occasions"],
            &dropped["error"]
        ),
        (&"webhook".into(), &"changes".into(), &error.into())
    );
}
