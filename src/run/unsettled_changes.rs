//! What earlier runs may have written, of the kinds that have a limit: made again, such a change is no
//! further one.

use super::{RunContext, confirm_earlier::unknown, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{change_kind::ChangeKind, user::EntityId},
    state::journal,
    sync::guard::LIMITED,
};

/// A change of an earlier run whose result is not known, of a kind that has a limit.
#[derive(Debug, Clone)]
pub(super) struct UnsettledChange {
    pub run: String,
    pub user: EntityId,
    pub kind: ChangeKind,
}

impl RunContext<'_, LdapWork> {
    /// The changes of earlier runs whose results are not known, and of which kinds they are.
    pub(super) fn unsettled_changes(&self) -> Result<Vec<UnsettledChange>, Failure> {
        let (job, state_dir) = (&self.prepared.name, &self.prepared.config.state_dir);
        let runs = journal::unsettled(state_dir, job)?;
        let reports = runs
            .iter()
            .filter_map(|run| self.history.load(job, &run.run).ok());
        let mut changes = Vec::new();
        for report in reports.filter(|report| report.ftrack.server == self.reader.server()) {
            for change in unknown(&report) {
                for kind in LIMITED.into_iter().filter(|kind| change.is_of(*kind)) {
                    changes.push(UnsettledChange {
                        run: report.run.clone(),
                        user: change.ftrack_id.clone(),
                        kind,
                    });
                }
            }
        }
        Ok(changes)
    }
}
