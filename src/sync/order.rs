//! The order in which changes are written: a change that frees a login or a mail address goes
//! before the one that takes it, and swaps go together. Users are created in the order of their logins,
//! so that where seats run out, it is not chance who gets one.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt, HashSet};

use petgraph::{algo::kosaraju_scc, graph::DiGraph};

use super::rules::fold;
use crate::model::{
    change::{Action, Change},
    edit::Attribute,
    reason::Reason,
    user::EntityId,
};

/// The attributes for which the server may require unique values.
const UNIQUE: [Attribute; 2] = [Attribute::Username, Attribute::Email];

/// The value that a change frees in an attribute, folded; `None` when it frees nothing.
#[must_use]
pub fn released(change: &Change, of: &Attribute) -> Option<String> {
    let values = change.values(of)?;
    let old = fold(values.old.as_str()?);
    (values.new.as_str().map(fold).as_ref() != Some(&old)).then(|| old.into_owned())
}

/// The value that a change takes in an attribute, folded; `None` when it takes nothing new.
#[must_use]
pub fn taken(change: &Change, of: &Attribute) -> Option<String> {
    let values = change.values(of)?;
    let new = fold(values.new.as_str()?);
    (values.old.as_str().map(fold).as_ref() != Some(&new)).then(|| new.into_owned())
}

/// The place of a change in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The index among the changes that were given.
    pub index: usize,
    /// Common to changes that wait for each other.
    pub rotation: Option<usize>,
}

/// When a change is written, but for its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It frees a seat.
    Deactivation,
    /// It waited for a seat, and nothing else waits for it.
    WithoutSeat,
    /// In the order of the values.
    Any,
    /// The user was to be created the last time, and there was no seat.
    CreateWithoutSeat,
    /// A create frees no value, so it may come last.
    Create,
}

impl Turn {
    fn of(change: &Change, without_seat: &BTreeSet<EntityId>) -> Self {
        let moves = |of: &Attribute| taken(change, of).is_some() || released(change, of).is_some();
        match change.action {
            Action::Deactivate => Self::Deactivation,
            Action::Create if without_seat.contains(&change.ftrack_id) => Self::CreateWithoutSeat,
            Action::Create => Self::Create,
            Action::Reactivate
                if change.reason == Reason::SeatRefused && !UNIQUE.iter().any(moves) =>
            {
                Self::WithoutSeat
            }
            Action::Reactivate | Action::Update | Action::Adopt => Self::Any,
        }
    }
}

/// The order in which each change finds its values and a seat free: deactivations go first, then those
/// that waited for a seat, and a change that frees a value goes before the one that takes it. Those of
/// one rotation are adjacent. Creates come last, by login, and first among them those who got no seat
/// in the last run.
#[must_use]
pub fn in_order(changes: &[&Change], without_seat: &BTreeSet<EntityId>) -> Vec<Place> {
    let graph = waits(changes);
    let mut is_placed = vec![false; changes.len()];
    let mut ordered = Vec::with_capacity(changes.len());
    // Components come in reverse topological order: those without dependencies first.
    for (number, component) in kosaraju_scc(&graph).into_iter().enumerate() {
        let mut indices: Vec<usize> = component
            .into_iter()
            .filter_map(|node| graph.node_weight(node).copied().flatten())
            .collect();
        indices.sort_unstable();
        let rotation = (indices.len() > 1).then_some(number);
        for index in indices {
            if let Some(placed) = is_placed.get_mut(index) {
                *placed = true;
            }
            ordered.push(Place { index, rotation });
        }
    }
    let others = is_placed.iter().enumerate().filter(|(_, placed)| !**placed);
    ordered.extend(others.map(|(index, _)| Place {
        index,
        rotation: None,
    }));
    // A stable sort, so that rotations stay together: whatever has another turn than `Any` is in none,
    // since it does not both free and take a value.
    ordered.sort_by_cached_key(|place| {
        let change = changes.get(place.index)?;
        let turn = Turn::of(change, without_seat);
        let login = match turn {
            Turn::WithoutSeat | Turn::CreateWithoutSeat | Turn::Create => {
                Some(fold(&change.username).into_owned())
            }
            Turn::Deactivation | Turn::Any => None,
        };
        Some((turn, login))
    });
    ordered
}

/// The dependency graph: a change that takes a value waits for the value, and the value for the
/// changes that free it.
///
/// Values are nodes of their own, without an index, since many changes may share a mail address:
/// this keeps the number of edges linear.
fn waits(changes: &[&Change]) -> DiGraph<Option<usize>, ()> {
    let mut graph = DiGraph::new();
    let mut nodes = HashMap::new();
    for of in &UNIQUE {
        let wanted: HashSet<String> = changes
            .iter()
            .filter_map(|change| taken(change, of))
            .collect();
        let mut values = HashMap::new();
        for (place, change) in changes.iter().enumerate() {
            if let Some(value) = released(change, of).filter(|value| wanted.contains(value)) {
                let value = *values.entry(value).or_insert_with(|| graph.add_node(None));
                let releaser = *nodes
                    .entry(place)
                    .or_insert_with(|| graph.add_node(Some(place)));
                graph.add_edge(value, releaser, ());
            }
        }
        for (place, change) in changes.iter().enumerate() {
            if let Some(value) = taken(change, of).and_then(|value| values.get(&value)) {
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

    use super::*;
    use crate::{
        model::{
            change::ChangeParts,
            entry::DirectoryId,
            id::IdAttribute,
            link::{Link, LinkContent},
            reason::Reason,
            user::EntityId,
        },
        sync::difference::{set, text},
    };

    fn mail(place: usize, old: &str, new: &str) -> Change {
        let directory_id = DirectoryId::new(&format!("d{place}")).unwrap();
        Change::new(ChangeParts {
            action: Action::Update,
            username: format!("user{place}"),
            dn: None,
            directory_id: directory_id.clone(),
            ftrack_id: EntityId::new(&format!("u{place}")).unwrap(),
            edits: vec![set(Attribute::Email, text(old), text(new))],
            reason: Reason::OtherValues,
            before: None,
            link: Link::new(
                directory_id,
                LinkContent::of("artists".into(), IdAttribute::EntryUuid),
            ),
        })
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
        let changes: Vec<&Change> = changes.iter().collect();
        assert_eq!(waits(&changes).edge_count(), 2 * many);
        let ordered = in_order(&changes, &BTreeSet::new());
        let takes = |place: &Place| {
            let email = changes[place.index].values(&Attribute::Email).unwrap();
            email.new == "old@x.test"
        };
        let first_taker = ordered.iter().position(takes).unwrap();
        assert_eq!(
            (first_taker, ordered.len()),
            (many, 2 * many),
            "all who give it up go first"
        );
        assert!(ordered.iter().all(|place| place.rotation.is_none()));
    }
}
