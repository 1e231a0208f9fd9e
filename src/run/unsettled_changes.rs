//! What earlier runs may have written, of the kinds that have a limit: made again, such a change is no
//! further one.

use super::{
    RunContext,
    confirm_earlier::{counted, counted_whole, unknown},
    failure::Failure,
    ldap_work::LdapWork,
};
use crate::{
    model::{change_kind::ChangeKind, user::EntityId},
    state::{Remembered, Written, journal},
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

    /// What is remembered as a run will have it that finds out about the runs before it, as long as it
    /// finds nothing new.
    pub(super) fn counting_unsettled(
        &self,
        remembered: &Remembered,
    ) -> Result<Remembered, Failure> {
        let (job, state_dir) = (&self.prepared.name, &self.prepared.config.state_dir);
        let mut counting = remembered.clone();
        for run in journal::unsettled(state_dir, job)? {
            let of_run = match self.history.load(job, &run.run) {
                Ok(report) => {
                    let is_here = report.ftrack.server == self.reader.server();
                    if is_here && unknown(&report).next().is_some() {
                        counted(remembered, &report)
                    } else {
                        Vec::new()
                    }
                }
                Err(_) if self.history.is_without(job, &run.run) => Vec::new(),
                Err(_) => counted_whole(remembered, &run.run),
            };
            for known in of_run {
                let is_it =
                    |written: &&mut Written| written.run == known.run && written.kind == known.kind;
                if let Some(written) = counting.written.iter_mut().find(is_it) {
                    *written = known;
                }
            }
        }
        Ok(counting)
    }
}
