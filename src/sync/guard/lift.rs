//! A person approved a hold, or some of its people: what may be written of it now.

use std::collections::BTreeMap;

use super::{Bounds, Held, LastAdministrator, Vetted, hold_dependents, settle, verdict, vet};
use crate::{
    model::{
        change::{Change, ChangeId, Fingerprint, HeldBy},
        edit::Edit,
    },
    sync::decision::Plan,
};

/// What a person saw of the changes of a hold, and approved.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Seen<'a, T> {
    pub held_by: HeldBy,
    /// The digests of the changes.
    pub changes: &'a BTreeMap<Fingerprint, T>,
}

/// What became of a hold that a person approved.
#[derive(Debug)]
pub struct Lifted {
    /// Of the changes that were seen, those that may be written, and those that something else holds
    /// now.
    pub vetted: Vetted,
    /// Everything that is held without the approval.
    pub held: Vec<Held>,
    /// Of what was seen, what is still due: the change, or the part of one.
    pub still: BTreeMap<Fingerprint, Change>,
}

/// Lets a person's approval of changes that were seen lift what held them, and nothing else: whatever
/// is not as it was seen, or is held by something else as well, is not written. Limits do not count
/// what a person approved, no window and no freeze holds it, and a pause does.
#[must_use]
pub fn lift<T>(plan: &Plan<'_>, bounds: &Bounds<'_>, seen: &Seen<'_, T>) -> Lifted {
    let now = vet(plan, bounds);
    let is_seen = |change: &Change| seen.changes.contains_key(&change.seen());
    let (mine, others): (Vec<&Held>, Vec<&Held>) = now
        .held
        .iter()
        .partition(|held| held.hold.by == seen.held_by && is_seen(&held.change));
    // What holds it has ended meanwhile.
    let free = now.allowed.iter().filter(|change| is_seen(change));
    let asked = joined(plan, mine.iter().map(|held| &held.change).chain(free));
    let last = LastAdministrator::of(plan, asked.iter());
    let without = Bounds {
        lifted: Some(seen.held_by),
        ..bounds.clone()
    };
    let judged = asked.iter().map(|change| {
        let mut verdict = verdict(plan, &without, &last, change);
        bounds.closed.judge_paused(change, &mut verdict);
        (change, verdict)
    });
    let mut vetted = settle(judged);
    // What takes a login that a change frees which is still held has to wait for that one.
    let kept = vetted.held.len();
    vetted.held.extend(others.iter().copied().cloned());
    hold_dependents(&mut vetted);
    let mut place = 0;
    vetted.held.retain(|held| {
        let is_other = (kept..kept + others.len()).contains(&place);
        place += 1;
        !is_other || is_seen(&held.change)
    });
    let still = now.changes().filter(|change| is_seen(change));
    Lifted {
        vetted,
        still: still
            .map(|change| (change.seen(), change.clone()))
            .collect(),
        held: now.held,
    }
}

/// The parts of each change as one, in the order of the plan: what is written to a user is written
/// from what was read of it, so that of two changes the second would undo what the first one notes in
/// the link.
fn joined<'c>(plan: &Plan<'_>, parts: impl Iterator<Item = &'c Change>) -> Vec<Change> {
    let mut wanted: BTreeMap<ChangeId, Vec<&Edit>> = BTreeMap::new();
    for part in parts {
        wanted.entry(part.id).or_default().extend(&part.edits);
    }
    let asked = plan.changes().filter_map(|change| {
        let wanted = wanted.get(&change.id)?;
        let edits = change.edits.iter().filter(|edit| wanted.contains(edit));
        let edits: Vec<Edit> = edits.cloned().collect();
        let is_whole = edits.len() == change.edits.len();
        Some(if is_whole {
            change.clone()
        } else {
            change.part(edits)
        })
    });
    asked.collect()
}
