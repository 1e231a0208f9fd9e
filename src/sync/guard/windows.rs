//! Windows, freezes and pauses of single kinds of change: what they hold, a later run writes by
//! itself.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    config::schedule::Schedule,
    model::{
        change::{Action, Change, HeldBy, Hold},
        change_kind::ChangeKind,
        edit::Edit,
        held_people::HeldPeople,
        pause::Pause,
        readable_time::readable_time,
        reason::Cause,
        way_to_approve::BY_NUMBER,
        window::{Closed, Freeze, Opening, Window},
    },
    sync::guard::Verdict,
};

/// When the changes of a job may be written, by kind.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Times<'a> {
    pub job: &'a str,
    pub windows: &'a BTreeMap<ChangeKind, Vec<Window>>,
    pub freezes: &'a [Freeze],
    /// The kinds that a person paused.
    pub paused: &'a BTreeMap<ChangeKind, Pause>,
    /// When the job runs by itself; never, where there is none.
    pub schedules: Vec<Schedule>,
    /// The time zone of the job.
    pub zone: Tz,
}

/// What is not written at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ClosedKind {
    pub kind: ChangeKind,
    pub by: HeldBy,
    /// Why, and what writes it later, as text.
    pub why: String,
    /// When it may be written again.
    pub opens_at: Option<DateTime<Utc>>,
}

/// The kinds that may not be written at one moment, and why.
#[derive(Debug, Clone, Default)]
pub struct ClosedKinds {
    by_kind: BTreeMap<ChangeKind, Hold>,
    /// Why people who may not sign in are not deactivated: no window holds that.
    of_disabled: Option<Hold>,
    /// The pauses among them, in words.
    paused: BTreeMap<ChangeKind, Arc<str>>,
}

impl Times<'_> {
    /// What may not be written at this time.
    #[must_use]
    pub fn closed_at(&self, now: DateTime<Utc>) -> ClosedKinds {
        let by_kind = ChangeKind::ALL.into_iter().filter_map(|kind| {
            let windows = self.windows.get(&kind).map_or(&[][..], Vec::as_slice);
            Some((kind, self.hold(kind, windows, now)?))
        });
        ClosedKinds {
            by_kind: by_kind.collect(),
            of_disabled: self.hold(ChangeKind::Deactivate, &[], now),
            paused: self.pauses(now),
        }
    }

    /// The pauses that are in force, in words.
    fn pauses(&self, now: DateTime<Utc>) -> BTreeMap<ChangeKind, Arc<str>> {
        let paused = self.paused.iter();
        let paused = paused.filter(|(_, pause)| !pause.is_over(now));
        paused
            .map(|(kind, pause)| (*kind, self.paused(*kind, pause).into()))
            .collect()
    }

    /// The kinds that may not be written at this time.
    #[must_use]
    pub fn closed_kinds_at(&self, now: DateTime<Utc>) -> Vec<ClosedKind> {
        let closed = ChangeKind::ALL.into_iter().filter_map(|kind| {
            let windows = self.windows.get(&kind).map_or(&[][..], Vec::as_slice);
            self.closed(kind, windows, now)
        });
        closed.collect()
    }

    fn hold(&self, kind: ChangeKind, windows: &[Window], now: DateTime<Utc>) -> Option<Hold> {
        let ClosedKind {
            kind: _,
            by,
            why,
            opens_at,
        } = self.closed(kind, windows, now)?;
        let approval = if by == HeldBy::Paused {
            // The approval of a hold ends no pause.
            "`plan --out FILE`, then `apply FILE`, which writes all that the plan shows"
        } else {
            BY_NUMBER
        };
        let why = format!("{why}, or a person's approval: {approval}");
        Some(Hold {
            opens_at,
            ..Hold::new(by, why)
        })
    }

    fn closed(
        &self,
        kind: ChangeKind,
        windows: &[Window],
        now: DateTime<Utc>,
    ) -> Option<ClosedKind> {
        let freezes = self.freezes.iter();
        let opening = Opening {
            windows,
            freezes: freezes
                .filter(|freeze| freeze.what.contains(&kind))
                .collect(),
            pause: self.paused.get(&kind),
            zone: self.zone,
        };
        let (by, why) = match opening.closed_at(now)? {
            Closed::Paused(pause) => (HeldBy::Paused, self.paused(kind, pause)),
            Closed::Frozen(freeze) => (HeldBy::Freeze, frozen(kind, freeze)),
            Closed::OutsideWindows => (HeldBy::Window, outside(kind, windows)),
        };
        let opens_at = opening.opens_at(now);
        let opens = match opens_at {
            Some(time) if self.runs_inside(&opening, now) => format!(
                "the first run from {} on writes it",
                readable_time(time, &self.zone)
            ),
            Some(time) => format!(
                "it may be written from {} on, but no scheduled run is inside, so only `sync` by \
                 hand then writes it",
                readable_time(time, &self.zone)
            ),
            None if by == HeldBy::Paused => "the first run after that writes it".to_owned(),
            None => "no run in sight writes it".to_owned(),
        };
        Some(ClosedKind {
            kind,
            by,
            why: format!("{why}; {opens}"),
            opens_at,
        })
    }

    /// Whether the job runs while this is open; one without a schedule may, whenever a person runs it.
    fn runs_inside(&self, opening: &Opening<'_>, now: DateTime<Utc>) -> bool {
        let mut schedules = self.schedules.iter();
        let is_inside = |schedule: &Schedule| schedule.first_inside(opening, now).is_some();
        self.schedules.is_empty() || schedules.any(is_inside)
    }

    fn paused(&self, kind: ChangeKind, pause: &Pause) -> String {
        pause.of_kind(kind, self.job, &self.zone)
    }
}

fn frozen(kind: ChangeKind, freeze: &Freeze) -> String {
    let Freeze { from, to, .. } = freeze;
    let reason = in_parentheses(freeze.reason.as_deref());
    format!("{kind} is frozen from {from} to {to}{reason}")
}

fn outside(kind: ChangeKind, windows: &[Window]) -> String {
    let windows: Vec<String> = windows.iter().map(ToString::to_string).collect();
    format!("it is outside of windows.{kind} ({})", windows.join(", "))
}

fn in_parentheses(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

impl ClosedKinds {
    /// Holds the edits of kinds that are closed. Whoever is held by a limit since an earlier run waits
    /// for a person also then.
    pub(super) fn judge(&self, change: &Change, held_before: &HeldPeople, verdict: &mut Verdict) {
        let id = &change.directory_id;
        let is_limited = |kind| held_before.cause(HeldBy::Limit, kind, id).is_some();
        self.judge_if(change, verdict, |kind, _| !is_limited(kind));
    }

    /// Names the pause beside whatever else holds an edit: who approves that is to know of it. What one
    /// hold holds of a change stays together.
    pub(super) fn name_pauses(&self, change: &Change, verdict: &mut Verdict) {
        self.reword(change, verdict, is_beside, Hold::while_paused);
    }

    /// Says of everything of which this is so what is to be said while its kind is paused.
    fn reword(
        &self,
        change: &Change,
        verdict: &mut Verdict,
        is_meant: impl Fn(HeldBy) -> bool,
        reworded: impl Fn(Hold, &Arc<str>) -> Hold,
    ) {
        let mut paused: Vec<(Hold, &Arc<str>)> = Vec::new();
        for (place, hold) in verdict.held.iter().filter(|(_, hold)| is_meant(hold.by)) {
            let edit = change.edits.get(*place);
            let pause = edit.and_then(|edit| self.paused.get(&kind(change, edit)));
            paused.extend(pause.map(|pause| (hold.clone(), pause)));
        }
        for (_, hold) in &mut verdict.held {
            if let Some((_, pause)) = paused.iter().find(|(known, _)| known == hold) {
                *hold = reworded(hold.clone(), pause);
            }
        }
    }

    /// Holds the edits of kinds that are paused: a person's approval of something else ends no pause.
    pub(super) fn judge_paused(&self, change: &Change, verdict: &mut Verdict) {
        self.judge_if(change, verdict, |_, hold| hold.by == HeldBy::Paused);
    }

    /// The same of what a person puts back, which no later run does by itself.
    pub(super) fn judge_put_back(&self, change: &Change, verdict: &mut Verdict) {
        self.judge_paused(change, verdict);
        let reworded = |_, pause: &Arc<str>| {
            let why = format!("{pause}; no later run does this: resume it, and repeat the command");
            Hold::new(HeldBy::Paused, why)
        };
        self.reword(change, verdict, |by| by == HeldBy::Paused, reworded);
    }

    /// Holds the edits of kinds that are closed by what counts.
    fn judge_if(
        &self,
        change: &Change,
        verdict: &mut Verdict,
        counts: impl Fn(ChangeKind, &Hold) -> bool,
    ) {
        for (place, edit) in change.edits.iter().enumerate() {
            let kind = kind(change, edit);
            let Some(hold) = self.hold(change, kind).filter(|hold| counts(kind, hold)) else {
                continue;
            };
            match (kind, change.action) {
                // Nothing is written to a user that does not become the person's.
                (ChangeKind::Adopt, _) | (_, Action::Create) => verdict.hold_all(change, hold),
                (_, Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt) => {
                    verdict.hold(change, place, hold);
                }
            }
        }
    }

    fn hold(&self, change: &Change, kind: ChangeKind) -> Option<&Hold> {
        if kind == ChangeKind::Deactivate && change.reason.cause() == Some(Cause::Disabled) {
            return self.of_disabled.as_ref();
        }
        self.by_kind.get(&kind)
    }
}

/// Whether a pause is to be named beside this: an approval ends it, or the time does.
fn is_beside(by: HeldBy) -> bool {
    match by {
        HeldBy::Paused | HeldBy::Rejected | HeldBy::Administrator => false,
        HeldBy::Limit
        | HeldBy::Window
        | HeldBy::Freeze
        | HeldBy::Configuration
        | HeldBy::Replica
        | HeldBy::Doubt
        | HeldBy::Protected
        | HeldBy::Adoption
        | HeldBy::Successor
        | HeldBy::Returner
        | HeldBy::Work => true,
    }
}

/// The kind of an edit. The link of a user that the job owns says whether the program deactivated it,
/// so it is written with the activity, where that changes.
fn kind(change: &Change, edit: &Edit) -> ChangeKind {
    let of_action = ChangeKind::of(change.action, edit);
    match (edit, change.action, change.activity()) {
        (Edit::Link, Action::Update | Action::Deactivate | Action::Reactivate, Some(is_active)) => {
            if is_active {
                ChangeKind::Reactivate
            } else {
                ChangeKind::Deactivate
            }
        }
        (
            Edit::Link
            | Edit::Set { .. }
            | Edit::Activate
            | Edit::Deactivate
            | Edit::Grant(_)
            | Edit::Revoke(_),
            _,
            _,
        ) => of_action,
    }
}
