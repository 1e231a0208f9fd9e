//! Saves what ftrack has before a run writes anything, so that it can be put back.

use std::collections::BTreeSet;

use chrono::Utc;

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{
        edit::Field,
        report::FailureKind,
        snapshot::{FORMAT, SnapshotExtent, SnapshotHead, SnapshotUser},
        user::{Current, EntityId},
    },
    state::snapshots::Snapshots,
    sync::{guard::Vetted, snapshot},
};

impl RunContext<'_, LdapWork> {
    /// Saves the users of the job and those that this run changes, as they were read; on disk when
    /// this returns.
    ///
    /// # Errors
    /// It cannot be saved; then nothing may be written.
    pub(super) fn keep_snapshot(&self, vetted: &Vetted, current: &Current) -> Result<(), Failure> {
        if vetted.allowed().is_empty() {
            return Ok(());
        }
        let changed: BTreeSet<&EntityId> = vetted
            .allowed()
            .iter()
            .map(|change| &change.ftrack_id)
            .collect();
        let users = snapshot::users_of(current, &self.own, &changed);
        let directory = self.report.directory.as_ref();
        let is_part = directory.is_some_and(|directory| directory.changes.is_some());
        let extent = if is_part {
            SnapshotExtent::Part
        } else {
            SnapshotExtent::Job
        };
        self.keep_users(users, extent, self.managed(current))
    }

    /// What the job manages of its users.
    pub(super) fn managed(&self, current: &Current) -> BTreeSet<Field> {
        let mut managed = self.work.managed();
        managed.insert(Field::IsActive);
        managed.extend(current.grants.iter().map(|grant| grant.field()));
        managed
    }
}

impl<W> RunContext<'_, W> {
    /// Saves these users, as they were read; on disk when this returns.
    ///
    /// # Errors
    /// It cannot be saved; then nothing may be written.
    pub(super) fn keep_users(
        &self,
        users: impl ExactSizeIterator<Item = SnapshotUser>,
        extent: SnapshotExtent,
        managed: BTreeSet<Field>,
    ) -> Result<(), Failure> {
        let config = &self.prepared.config;
        let head = SnapshotHead {
            format: FORMAT,
            snapshot: self.report.run.clone(),
            job: self.report.job.clone(),
            run: self.report.run.clone(),
            taken_at: Utc::now(),
            users: users.len(),
            ftrack: self.reader.server().to_owned(),
            extent,
            managed,
        };
        let kept = Snapshots::new(&config.state_dir).keep(&head, users, &config.snapshots);
        kept.map_err(|error| Failure {
            kind: FailureKind::State,
            why: format!(
                "the snapshot of the users could not be saved, and nothing was written: {error}"
            ),
        })
    }
}
