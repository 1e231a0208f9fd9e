//! The results of the open changes of earlier runs, from what was read of them. No I/O.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    ftrack::{
        unconfirmed::{self, EarlierRun, LateCalls, UserNow, is_open},
        user_state::UserState,
    },
    model::{
        report::{ChangeResult, Report, Reported},
        snapshot::Snapshot,
        stored_value::{StoredOtherwise, StoredValue},
        user::{Current, EntityId},
    },
    state::{Remembered, State, journal::UnsettledRun},
};

/// What a job knows about its earlier runs when it settles them.
pub(super) struct Settling<'a> {
    pub state: &'a State,
    pub remembered: &'a Remembered,
    pub current: &'a Current,
    /// The unsettled runs, oldest first.
    pub runs: &'a [UnsettledRun],
    /// Changes that were found in effect just now, with their runs.
    pub found: Vec<(String, Reported)>,
    /// What ftrack stores otherwise than it is written, with what was found just now.
    pub stored: StoredOtherwise,
}

/// An earlier run, and what is to be known of the users whose changes it left open.
pub(super) struct Examined<'a> {
    pub run: &'a UnsettledRun,
    pub before: Report,
    /// With what was found out.
    pub report: Report,
    pub late_calls: LateCalls,
    /// The users of its open changes, as far as they exist; none where they could not be read.
    pub seen: Option<BTreeMap<EntityId, UserState>>,
    /// What ftrack had before the run, where that is needed and there.
    pub snapshot: Option<Snapshot>,
    /// Changes of those users that later reports have as applied.
    pub applied_since: Vec<Reported>,
    /// The values that ftrack stored otherwise.
    pub stored: Vec<(EntityId, StoredValue)>,
}

/// Which of the open changes get their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Those in effect.
    InEffect,
    /// The others, once it is known of all runs what is in effect: the same change of two runs is in
    /// one report, and counts once, whichever of them it is.
    Others,
}

impl Settling<'_> {
    /// Finds out about the open changes of a run.
    pub(super) fn settle(&mut self, examined: &mut Examined<'_>, pass: Pass) {
        let Some(seen) = &examined.seen else { return };
        let run = examined.run;
        let mut in_other_reports = examined.applied_since.clone();
        let found = self.found.iter().filter(|(of, _)| *of != run.run);
        in_other_reports.extend(found.map(|(_, change)| change.clone()));
        let others = || self.runs.iter().filter(|other| other.run != run.run);
        let other_deactivations: Vec<DateTime<Utc>> =
            others().filter_map(|other| other.deactivated_at).collect();
        let before = others().filter(|other| other.run < run.run);
        let marks_before: Vec<String> = before.filter_map(|other| other.run_mark.clone()).collect();
        let of_run = EarlierRun {
            began_at: run.began_at.unwrap_or(examined.report.started_at),
            before: examined.snapshot.as_ref(),
            run_mark: run.run_mark.as_deref(),
            marks_before: &marks_before,
            deactivated_at: run.deactivated_at,
            other_deactivations: &other_deactivations,
            in_other_reports: &in_other_reports,
            late_calls: examined.late_calls,
            custom_attributes: &self.current.custom_attributes,
        };
        let mut found = Vec::new();
        let changes = &mut examined.report.changes;
        for change in changes.iter_mut().filter(|change| is_open(change)) {
            let id = &change.ftrack_id;
            let now = user_now(id, seen.get(id), self.current);
            let mut settled = change.clone();
            let stored = unconfirmed::settle(&mut settled, now, of_run);
            if pass == Pass::InEffect && settled.result != ChangeResult::Applied {
                continue;
            }
            *change = settled;
            let values = stored
                .into_iter()
                .map(|value| (change.ftrack_id.clone(), value));
            examined.stored.extend(values);
            if change.result == ChangeResult::Applied {
                found.push((run.run.clone(), change.clone()));
            }
        }
        self.found.extend(found);
    }
}

/// What is now at ftrack in place of a user.
fn user_now<'s>(id: &EntityId, seen: Option<&'s UserState>, current: &Current) -> UserNow<'s> {
    let is_there = || {
        current
            .users
            .binary_search_by(|user| user.id.cmp(id))
            .is_ok()
    };
    match seen {
        Some(user) => UserNow::Seen(user),
        None if is_there() => UserNow::Odd,
        None => UserNow::Missing,
    }
}
