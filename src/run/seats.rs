//! The seats of ftrack's licence: whether they are enough, and who got none the last time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{RunContext, ldap_work::LdapWork};
use crate::{
    ftrack,
    ftrack::session::Until,
    model::{
        change::Change,
        report::{ChangeResult, Outcome, Seats, Trigger},
        user::{Current, EntityId},
    },
    state::{Remembered, history::History},
    sync::guard::Vetted,
};

/// The most time that asking for the licence may take.
const TIME: Duration = Duration::from_secs(10);

/// The most reports that are looked at to find the last run that wrote.
const REPORTS: usize = 20;

impl RunContext<'_, LdapWork> {
    /// What is known before a run, with those who got no seat in the last one.
    pub(super) fn knowing_seats(&self, remembered: Remembered) -> Remembered {
        Remembered {
            without_seat: without_seat(&self.history, &self.prepared.name),
            ..remembered
        }
    }

    /// Asks how many seats there are, where users are to become active; says so where they are not
    /// enough. Nothing is held for it: what the server tells is only a number.
    pub(super) async fn look_at_seats(&mut self, vetted: &Vetted, current: &Current) {
        let become_active = |is_active: bool| {
            let changes = vetted.allowed().iter();
            let so = |change: &&Change| change.activity() == Some(is_active);
            changes.filter(so).count()
        };
        let needed = become_active(true);
        if needed == 0 {
            return;
        }
        let until = Until {
            deadline: self.until.deadline.min(Instant::now() + TIME),
            cancel: self.until.cancel.clone(),
        };
        let Some(all) = ftrack::seats::seats(&self.reader, &until).await else {
            return;
        };
        let active = current.users.iter().filter(|user| user.is_active);
        let used = active.count();
        let seats = Seats {
            all,
            used,
            free: all.saturating_sub(used),
            needed,
            freed: become_active(false),
        };
        self.report.ftrack.seats = Some(seats);
        let lacking = seats.lacking();
        if lacking > 0 {
            let Seats { free, freed, .. } = seats;
            let freed = match freed {
                0 => String::new(),
                freed => format!(" ({freed} more once the deactivations are written)"),
            };
            self.notes.push(format!(
                "the licence of ftrack has {all} seats, of which {free} are free{freed}, and \
                 {needed} users are to become active: {lacking} of them may stay without a seat"
            ));
        }
    }
}

/// The users who got no seat in the last run that wrote what everybody is to have.
fn without_seat(history: &History, job: &str) -> BTreeSet<EntityId> {
    let runs = history.runs(Some(job)).unwrap_or_default();
    for (run, job) in runs.iter().take(REPORTS) {
        let Ok(summary) = history.summary(job, run) else {
            continue;
        };
        let was_for_everybody = matches!(
            summary.trigger,
            Trigger::Schedule | Trigger::Manual | Trigger::Startup | Trigger::Retry
        );
        let is_to_be_left_out = summary.dry_run
            || summary.for_some
            || summary.observed
            || summary.outcome == Outcome::Failed;
        if !was_for_everybody || is_to_be_left_out {
            continue;
        }
        if summary.counts.unsettled == 0 {
            return BTreeSet::new();
        }
        let Ok(report) = history.load(job, run) else {
            return BTreeSet::new();
        };
        let changes = report.changes.into_iter();
        let unsettled = changes.filter(|change| change.result == ChangeResult::Unsettled);
        return unsettled.map(|change| change.ftrack_id).collect();
    }
    BTreeSet::new()
}
