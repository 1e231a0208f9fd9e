//! What people still carry in ftrack who are due to be deactivated.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{RunContext, ldap_work::LdapWork, saved::SavedPlan};
use crate::{
    config::WorkInHand,
    ftrack,
    ftrack::session::Until,
    model::{
        change::Action,
        edit::Edit,
        report::RunPhase,
        user::EntityId,
        work::{Work, WorkOfUsers},
    },
    sync::decision::Plan,
};

/// The most time that finding out may take.
const TIME: Duration = Duration::from_secs(30);

impl RunContext<'_, LdapWork> {
    /// Finds out what people carry who are due to be deactivated, unless the job does not ask. What
    /// cannot be found out fails no run.
    pub(super) async fn look_at_work(&mut self, plan: &Plan<'_>) {
        match self.work.job.users.work_in_hand {
            WorkInHand::Report | WorkInHand::Hold => {}
            WorkInHand::Off => return,
        }
        let due = plan
            .changes()
            .filter(|change| change.has(&Edit::Deactivate));
        let due: BTreeSet<&EntityId> = due.map(|change| &change.ftrack_id).collect();
        if due.is_empty() {
            return;
        }
        let due: Vec<EntityId> = due.into_iter().cloned().collect();
        let began = Instant::now();
        let until = Until {
            deadline: self.until.deadline.min(began + TIME),
            cancel: self.until.cancel.clone(),
        };
        let found = ftrack::work::of_users(&self.reader, &due, &until).await;
        self.record_phase(RunPhase::Planning, began.elapsed());
        self.notes.extend(found.notes);
        self.carried = Arc::new(found.work);
    }

    /// What holds deactivations, where the job says that work does.
    pub(super) fn work_that_holds(&self) -> Option<Arc<WorkOfUsers>> {
        match self.work.job.users.work_in_hand {
            WorkInHand::Hold => Some(Arc::clone(&self.carried)),
            WorkInHand::Report | WorkInHand::Off => None,
        }
    }

    /// Adds to a plan what its people carry, and what could not be found out.
    pub(super) fn add_work(&mut self, plan: &mut SavedPlan) {
        for planned in &mut plan.changes {
            let change = &mut planned.change;
            change.work = self.work_of(change.action, &change.ftrack_id);
        }
        plan.warnings.append(&mut self.notes);
    }
}

impl<W> RunContext<'_, W> {
    /// What a user carries, where a change is to deactivate it and somebody asked.
    pub(super) fn work_of(&self, action: Action, user: &EntityId) -> Option<Box<Work>> {
        match action {
            Action::Deactivate => self.carried.of(user).cloned().map(Box::new),
            Action::Create | Action::Update | Action::Reactivate | Action::Adopt => None,
        }
    }
}
