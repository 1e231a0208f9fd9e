//! A person approved a hold, or some of its people: what may be written of it now.

use std::collections::BTreeMap;

use super::{Bounds, Held, LastAdministrator, Vetted, hold_dependents, settle, verdict, vet};
use crate::{
    model::change::{Change, ChangeId, Fingerprint, HeldBy},
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
    let mut asked: Vec<&Change> = mine.iter().map(|held| &held.change).chain(free).collect();
    let places: BTreeMap<ChangeId, usize> = plan
        .changes()
        .enumerate()
        .map(|(place, change)| (change.id, place))
        .collect();
    asked.sort_by_key(|change| places.get(&change.id));
    let last = LastAdministrator::of(plan, asked.iter().copied());
    let without = Bounds {
        lifted: Some(seen.held_by),
        ..bounds.clone()
    };
    let judged = asked.iter().map(|change| {
        let mut verdict = verdict(plan, &without, &last, change);
        bounds.closed.judge_paused(change, &mut verdict);
        (*change, verdict)
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
    Lifted {
        vetted,
        held: now.held,
    }
}
