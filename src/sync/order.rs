//! The order in which changes are written: a change that frees a login or a mail address goes
//! before the one that takes it, and swaps go together.

use std::collections::{HashMap, HashSet};

use petgraph::{algo::kosaraju_scc, graph::DiGraph};

use super::rules::fold;
use crate::model::change::{Action, Change, Field};

/// The attributes for which the server may require unique values.
const UNIQUE: [Field; 2] = [Field::Username, Field::Email];

/// The value that a change frees in a field, folded; `None` when it frees nothing.
#[must_use]
pub fn released(change: &Change, field: &Field) -> Option<String> {
    let values = change.fields.get(field)?;
    let old = fold(values.old.as_str()?);
    (values.new.as_str().map(fold).as_ref() != Some(&old)).then(|| old.into_owned())
}

/// The value that a change takes in a field, folded; `None` when it takes nothing new.
#[must_use]
pub fn taken(change: &Change, field: &Field) -> Option<String> {
    let values = change.fields.get(field)?;
    let new = fold(values.new.as_str()?);
    (values.old.as_str().map(fold).as_ref() != Some(&new)).then(|| new.into_owned())
}

/// Orders changes so that each finds its values and a seat free: deactivations go first, and a
/// change that frees a value goes before the one that takes it.
///
/// Changes that wait for each other get a common `rotation`, and are adjacent.
#[must_use]
pub fn in_order(changes: Vec<Change>) -> Vec<Change> {
    let graph = waits(&changes);
    let mut slots: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(slots.len());
    // Components come in reverse topological order: those without dependencies first.
    for (rotation, component) in kosaraju_scc(&graph).into_iter().enumerate() {
        let mut places: Vec<usize> = component
            .into_iter()
            .filter_map(|node| graph.node_weight(node).copied().flatten())
            .collect();
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
    // A stable sort, so that rotations stay together: they contain no deactivation, which frees
    // neither a login nor a mail address.
    ordered.sort_by_key(|change| change.action != Action::Deactivate);
    ordered
}

/// The dependency graph: a change that takes a value waits for the value, and the value for the
/// changes that free it.
///
/// Values are nodes of their own, without an index, since many changes may share a mail address:
/// this keeps the number of edges linear.
fn waits(changes: &[Change]) -> DiGraph<Option<usize>, ()> {
    let mut graph = DiGraph::new();
    let mut nodes = HashMap::new();
    for field in &UNIQUE {
        let wanted: HashSet<String> = changes
            .iter()
            .filter_map(|change| taken(change, field))
            .collect();
        let mut values = HashMap::new();
        for (place, change) in changes.iter().enumerate() {
            if let Some(value) = released(change, field).filter(|value| wanted.contains(value)) {
                let value = *values.entry(value).or_insert_with(|| graph.add_node(None));
                let releaser = *nodes
                    .entry(place)
                    .or_insert_with(|| graph.add_node(Some(place)));
                graph.add_edge(value, releaser, ());
            }
        }
        for (place, change) in changes.iter().enumerate() {
            if let Some(value) = taken(change, field).and_then(|value| values.get(&value)) {
                let taker = *nodes
                    .entry(place)
                    .or_insert_with(|| graph.add_node(Some(place)));
                graph.add_edge(taker, *value, ());
            }
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        change::Values,
        entry::DirectoryId,
        id::IdAttribute,
        link::{Activity, Form, Link, Signature},
        user::EntityId,
    };

    fn mail(place: usize, old: &str, new: &str) -> Change {
        let directory_id = DirectoryId::new(&format!("d{place}")).unwrap();
        Change {
            action: Action::Update,
            username: format!("user{place}"),
            dn: None,
            directory_id: directory_id.clone(),
            ftrack_id: EntityId::new(&format!("u{place}")).unwrap(),
            fields: BTreeMap::from([(
                Field::Email,
                Values {
                    old: old.into(),
                    new: new.into(),
                },
            )]),
            reason: String::new(),
            link: Link {
                source: "artists".into(),
                directory: None,
                id: directory_id,
                attribute: IdAttribute::EntryUuid,
                activity: Activity::Settled,
                form: Form::Current,
                signature: Signature::NotChecked,
            },
            rotation: None,
        }
    }

    #[test]
    fn an_address_that_thousands_share_costs_no_more_than_they_are() {
        let many = 20_000;
        let mut changes: Vec<Change> = (0..many)
            .map(|place| mail(place, "OLD@x.test", "shared@x.test"))
            .collect();
        changes.extend(
            (many..2 * many).map(|place| mail(place, &format!("{place}@x.test"), "old@x.test")),
        );
        assert_eq!(waits(&changes).edge_count(), 2 * many);
        let ordered = in_order(changes);
        let first_taker = ordered
            .iter()
            .position(|change| change.fields[&Field::Email].new == "old@x.test")
            .unwrap();
        assert_eq!(
            (first_taker, ordered.len()),
            (many, 2 * many),
            "all who give it up go first"
        );
        assert!(ordered.iter().all(|change| change.rotation.is_none()));
    }
}
