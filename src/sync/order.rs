//! The order in which changes are written: who gives up a login or a mail address goes before who takes it, and swaps go together.

use std::collections::HashMap;

use petgraph::{algo::kosaraju_scc, graph::DiGraph};

use super::{
    change::{Action, Change, Field},
    rules::fold,
};

/// The attributes of which the server may demand that no two users share a value.
const UNIQUE: [Field; 2] = [Field::Username, Field::Email];

/// The value that a change gives up in a field, folded; `None` when it gives up nothing.
#[must_use]
pub fn released(change: &Change, field: &Field) -> Option<String> {
    let values = change.fields.get(field)?;
    let old = fold(values.old.as_str()?);
    (values.new.as_str().map(fold).as_ref() != Some(&old)).then(|| old.into_owned())
}

/// The value that a change takes in a field, folded; `None` when it takes nothing that it had not.
#[must_use]
pub fn taken(change: &Change, field: &Field) -> Option<String> {
    let values = change.fields.get(field)?;
    let new = fold(values.new.as_str()?);
    (values.old.as_str().map(fold).as_ref() != Some(&new)).then(|| new.into_owned())
}

/// Puts changes into an order in which each finds its values and a seat free: deactivations go first, and who gives up a value goes before who takes it.
///
/// Those that wait for each other get a common `rotation`, one behind the other.
#[must_use]
pub fn in_order(changes: Vec<Change>) -> Vec<Change> {
    let waits = waits(&changes);
    let mut graph = DiGraph::<usize, ()>::new();
    let mut nodes = HashMap::new();
    for (taker, releaser) in waits {
        let from = *nodes.entry(taker).or_insert_with(|| graph.add_node(taker));
        let to = *nodes.entry(releaser).or_insert_with(|| graph.add_node(releaser));
        graph.update_edge(from, to, ());
    }
    let mut slots: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(slots.len());
    // Components come in reverse topological order: those that wait for nobody first.
    for (rotation, component) in kosaraju_scc(&graph).into_iter().enumerate() {
        let mut places: Vec<usize> = component.into_iter().map(|node| graph[node]).collect();
        places.sort_unstable();
        let rotates = places.len() > 1;
        for place in places {
            if let Some(mut change) = slots.get_mut(place).and_then(Option::take) {
                change.rotation = rotates.then_some(rotation);
                ordered.push(change);
            }
        }
    }
    ordered.extend(slots.into_iter().flatten());
    // A stable sort, so that rotations stay together: they hold no deactivation, which gives up neither a login nor a mail address.
    ordered.sort_by_key(|change| change.action != Action::Deactivate);
    ordered
}

/// Which change waits for which, by their places.
fn waits(changes: &[Change]) -> Vec<(usize, usize)> {
    let mut waits = Vec::new();
    for field in &UNIQUE {
        let mut releasers: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, change) in changes.iter().enumerate() {
            if let Some(value) = released(change, field) {
                releasers.entry(value).or_default().push(place);
            }
        }
        for (taker, change) in changes.iter().enumerate() {
            let Some(value) = taken(change, field) else { continue };
            waits.extend(
                releasers
                    .get(&value)
                    .into_iter()
                    .flatten()
                    .filter(|releaser| **releaser != taker)
                    .map(|releaser| (taker, *releaser)),
            );
        }
    }
    waits
}
