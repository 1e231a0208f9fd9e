//! The layers: each room uses those below it alone, no files use each other in a circle, and what
//! decides does no I/O.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    graph::{Module, Uses, graph, uses},
    sources,
};

/// The rooms, the lowest first; those of one line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["model", "escape", "wrap"],
    &["config", "event"],
    &["log", "tls"],
    &["directory"],
    &["sync"],
    &["ftrack"],
    &["state"],
    &["run"],
    &["notify"],
    &["daemon"],
    &["web"],
    &["demo"],
    &["cli"],
    &["command"],
    &["main"],
    // A program of its own, which cargo runs.
    &["build"],
];

/// What does no I/O, reads no clock and logs nothing.
const PURE: &[&str] = &[
    "model",
    "sync",
    "escape",
    "wrap",
    "ftrack::query",
    "ftrack::operation",
    "ftrack::rotation",
    "ftrack::outcome",
    "ftrack::batch",
    "ftrack::row",
    "ftrack::stopped",
    "ftrack::stop_rule",
    "directory::dn",
    "directory::id_search",
    "directory::wire::ber",
    "directory::wire::message",
    "daemon::core",
    "daemon::lockouts",
    "daemon::readiness",
    "daemon::job_table",
    "config::schedule",
];

/// What I/O, clocks and logs are made of.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread::spawn",
    "std::time::Instant",
    "std::time::SystemTime",
    "Utc::now",
    "Local::now",
    "chrono::Local",
    "Instant::now",
    "SystemTime::now",
    "tokio",
    "reqwest",
    "hyper",
    "axum",
    "ldap3",
    "rusqlite",
    "tracing",
    "rustix",
];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// What stands in a room and uses one that does not lie below it.
fn upward(module: &Module, uses: &Uses) -> Vec<String> {
    let Some(room) = module.first() else {
        return Vec::new();
    };
    let own = layer(room).unwrap_or_else(|| panic!("the room {room} has no layer"));
    let is_upward = |used: &&Module| {
        used.first()
            .is_some_and(|other| other != room && layer(other).is_some_and(|layer| layer >= own))
    };
    let shown = |used: &Module| format!("{} uses {}", module.join("::"), used.join("::"));
    uses.own.iter().filter(is_upward).map(shown).collect()
}

fn starts_with(path: &Module, start: &str) -> bool {
    let start: Vec<&str> = start.split("::").collect();
    path.len() >= start.len() && start.iter().zip(path).all(|(one, other)| one == other)
}

/// What a module uses that is not for what decides.
fn impure(module: &Module, uses: &Uses) -> Vec<String> {
    if !PURE.iter().any(|pure| starts_with(module, pure)) {
        return Vec::new();
    }
    let used = uses.foreign.iter();
    let is_impure = |used: &&Module| IMPURE.iter().any(|impure| starts_with(used, impure));
    let mut found: Vec<String> = used
        .filter(is_impure)
        .map(|used| format!("{} uses {}", module.join("::"), used.join("::")))
        .collect();
    if uses.is_async {
        found.push(format!("{} waits", module.join("::")));
    }
    found
}

/// The modules that others use, each by the longest path that is one; a module and those inside it
/// are one thing in several files, and may use each other.
fn edges(graph: &BTreeMap<Module, Uses>) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let owner = |used: &Module| {
        (1..=used.len()).rev().find_map(|length| {
            graph
                .get_key_value(&used[..length])
                .map(|(module, _)| module)
        })
    };
    graph
        .iter()
        .map(|(module, uses)| {
            let used = uses.own.iter().filter_map(owner);
            let apart = |other: &&Module| !other.starts_with(module) && !module.starts_with(other);
            (module, used.filter(apart).collect())
        })
        .collect()
}

/// Pairs of modules that use each other, directly or by others.
fn circles(graph: &BTreeMap<Module, Uses>) -> Vec<String> {
    let edges = edges(graph);
    let reached = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&Module> = edges[from].iter().copied().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(&edges[next]);
            }
        }
        seen
    };
    let all: BTreeMap<&Module, BTreeSet<&Module>> = graph
        .keys()
        .map(|module| (module, reached(module)))
        .collect();
    let mut found = Vec::new();
    for (one, reaches) in &all {
        for other in edges[one].iter().filter(|other| one < *other) {
            if reaches.contains(other) && all[other].contains(one) {
                found.push(format!("{} and {}", one.join("::"), other.join("::")));
            }
        }
    }
    found
}

#[test]
fn each_room_uses_those_below_it_alone() {
    let found: Vec<String> = graph(&sources("src"))
        .iter()
        .flat_map(|(module, uses)| upward(module, uses))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut graph = graph(&sources("src"));
    // The parts of one fake server use each other; nothing but the demo and the tests uses them.
    graph.retain(|module, _| module.first().is_none_or(|room| room != "demo"));
    let found = circles(&graph);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_decides_does_no_io() {
    let found: Vec<String> = graph(&sources("src"))
        .iter()
        .flat_map(|(module, uses)| impure(module, uses))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_must_be_caught_is_caught() {
    let guard: Module = vec!["sync".into(), "guard".into()];
    for (source, caught) in [
        ("use crate::run::lock;", "sync::guard uses run::lock"),
        (
            "use crate::{model::user, state::{files, lock as held}};",
            "sync::guard uses state::lock",
        ),
        ("use super::super::daemon;", "sync::guard uses daemon"),
        (
            "fn f() -> crate::run::Report { todo!() }",
            "sync::guard uses run::Report",
        ),
        (
            "fn f() { let _ = vec![crate::daemon::X]; }",
            "sync::guard uses daemon::X",
        ),
        (
            "mod inner { use crate::event::Event; fn f(_: crate::cli::A) {} }",
            "sync::guard uses cli::A",
        ),
    ] {
        let found = upward(&guard, &uses(&guard, source));
        assert!(
            found.iter().any(|found| found == caught),
            "{source}: {found:?}"
        );
    }
    for (source, caught) in [
        (
            "use std::{collections::BTreeMap, fs};",
            "sync::guard uses std::fs",
        ),
        ("use tokio::time;", "sync::guard uses tokio::time"),
        (
            "fn f() { chrono::Utc::now(); Utc::now(); }",
            "sync::guard uses Utc::now",
        ),
        (
            "fn f() { drop(format!(\"{:?}\", Instant::now())); }",
            "sync::guard uses Instant::now",
        ),
        ("async fn f() {}", "sync::guard waits"),
        (
            "fn f() { tracing::info!(\"x\"); }",
            "sync::guard uses tracing::info",
        ),
    ] {
        let found = impure(&guard, &uses(&guard, source));
        assert!(
            found.iter().any(|found| found == caught),
            "{source}: {found:?}"
        );
    }
    let test = "#[cfg(test)] mod tests { use crate::run::lock; fn f() { std::fs::read(\"x\"); } }";
    let found = uses(&guard, test);
    assert!(upward(&guard, &found).is_empty() && impure(&guard, &found).is_empty());
    let other: Module = vec!["sync".into(), "plan".into()];
    let graph = BTreeMap::from([
        (guard.clone(), uses(&guard, "use super::plan::plan;")),
        (other.clone(), uses(&other, "use crate::sync::guard::vet;")),
    ]);
    assert_eq!(circles(&graph), ["sync::guard and sync::plan"]);
}
