//! A run that puts users back to a snapshot.

use chrono::{DateTime, Utc};

use super::{EarlierWrites, PutBackOrder, StoredOtherwise, Target};
use crate::{
    config::FtrackLdapJob,
    ftrack::{read::ReadCurrent, session::Writer},
    model::{
        fold::fold,
        own_links::OwnLinks,
        reason::Reason,
        report::Report,
        snapshot::{Snapshot, SnapshotExtent},
        user::{Current, User},
    },
    run::{
        RunContext,
        failure::{Failure, PutBackError},
        ldap_work::LdapWork,
        outcome,
    },
    state::snapshots::Snapshots,
    sync::{
        guard::{ClosedKinds, VettedNotes},
        later::LaterRuns,
        put_back::{Guarding, PutBack},
        restore,
        restore::{Restoring, WrittenSince},
        snapshot,
    },
};

impl RunContext<'_, LdapWork> {
    /// What puts the users back.
    pub(super) fn restored<'a>(
        &mut self,
        snapshot: &Snapshot,
        current: &'a Current,
        (order, guarding): (&PutBackOrder, Guarding<'_>),
        now: DateTime<Utc>,
    ) -> Result<PutBack<'a>, Failure> {
        let since = self.written_since(snapshot, None)?;
        let restoring = Restoring {
            snapshot,
            current,
            since: &since,
            only: &order.only,
            now,
        };
        known(&restoring).map_err(|error| self.misnamed(error))?;
        Ok(restore::restore(restoring, guarding))
    }
}

/// Refuses names that neither the snapshot nor ftrack has.
fn known(restoring: &Restoring<'_, '_>) -> Result<(), PutBackError> {
    restoring.unknown().map_or(Ok(()), |who| {
        Err(PutBackError::Nobody {
            what: format!("the snapshot {}", restoring.snapshot.head.snapshot),
            who: who.to_owned(),
        })
    })
}

impl<W> RunContext<'_, W> {
    /// What runs of the job wrote from that before which the snapshot was taken up to this one.
    fn written_since(
        &mut self,
        snapshot: &Snapshot,
        before: Option<&str>,
    ) -> Result<WrittenSince, Failure> {
        let mut since = WrittenSince::default();
        let is_since =
            |run: &str| *run >= *snapshot.head.run && before.is_none_or(|before| *run < *before);
        self.each_run(is_since, |report| since.add(report))?;
        Ok(since)
    }

    /// What runs of the job wrote after this one.
    pub(super) fn later_runs(&mut self, report: &Report) -> Result<LaterRuns, Failure> {
        let mut later = LaterRuns::than(report);
        self.each_run(|run| *run > *report.run, |report| later.add(report))?;
        Ok(later)
    }

    /// Shows the reports of some of the job's runs, in the order of the runs.
    fn each_run(
        &mut self,
        is_meant: impl Fn(&str) -> bool,
        mut show: impl FnMut(&Report),
    ) -> Result<(), Failure> {
        let mut runs = self.history.runs(Some(&self.prepared.name))?;
        runs.retain(|(run, _)| is_meant(run));
        runs.reverse();
        for (run, job) in runs {
            match self.history.load(&job, &run) {
                Ok(report) => show(&report),
                Err(error) => self.notes.push(format!(
                    "what the run {run} wrote is not known, so later runs may do it again: {error}"
                )),
            }
        }
        Ok(())
    }
}

impl RunContext<'_, FtrackLdapJob> {
    /// Puts those users back whom ftrack's own synchronisation changed.
    pub(super) async fn execute_restore_of_all(
        &mut self,
        (order, target): (&PutBackOrder, Target),
        writer: Option<&Writer>,
    ) -> Result<(), Failure> {
        let Target::Snapshot(snapshot) = target else {
            let run = self.report.undoes.clone().unwrap_or_default();
            return Err(Failure::refused(PutBackError::OfFtrack { run }));
        };
        let config = std::sync::Arc::clone(&self.prepared.config);
        let wanted = ReadCurrent {
            administrator_roles: &config.ftrack.administrator_roles,
            ..ReadCurrent::default()
        };
        let current = self.read_all(wanted).await?;
        let next = self.next_snapshot(&snapshot)?;
        let since = self.written_since(&snapshot, next.as_deref())?;
        let restoring = Restoring {
            snapshot: &snapshot,
            current: &current,
            since: &since,
            only: &order.only,
            now: self.clocks().latest(),
        };
        known(&restoring).map_err(|error| self.misnamed(error))?;
        let api_user = fold(&config.ftrack.api_user).into_owned();
        let is_api_user = |login: &str| fold(login) == api_user;
        let guarded = |user: &User| user.administrator.then_some("it is an administrator");
        let guarding = Guarding {
            is_api_user: &is_api_user,
            guarded: &guarded,
            // Links belong to other jobs, and stay.
            own: &OwnLinks::default(),
            signature: self.reader.signer().signature(),
        };
        let put_back = restore::restore_of_all(restoring, guarding);
        let reason = format!(
            "a person had the snapshot {} restored",
            snapshot.head.snapshot
        );
        let judged = (
            guarding,
            &Reason::PutBack(reason.into()),
            &ClosedKinds::default(),
        );
        let to_write = self
            .vetted_put_back(put_back, &current, order, judged)
            .await?;
        self.without_people(&current);
        let Some(writer) = writer else {
            self.report.outcome = outcome(&self.report);
            return Ok(());
        };
        if !to_write.vetted.allowed().is_empty() {
            let (users, managed) = (snapshot::everybody(&current), snapshot::readable(&current));
            self.keep_users(users, SnapshotExtent::Everybody, managed)?;
        }
        let mut stored = StoredOtherwise::default();
        let known = (&current, &EarlierWrites::default());
        let (unchanged, vetted) = (to_write.unchanged, &to_write.vetted);
        let to_apply = (vetted, &VettedNotes::default());
        self.apply(unchanged, to_apply, known, (writer, None), &mut stored)
            .await?;
        Ok(())
    }

    /// Of users without a link there is no person.
    fn without_people(&mut self, current: &Current) {
        for change in &mut self.report.changes {
            let user = crate::sync::put_back::user(current, &change.ftrack_id);
            if user.is_some_and(|user| user.link.link().is_none()) {
                change.directory_id = None;
            }
        }
    }

    /// The run before which the next snapshot of the job was taken.
    fn next_snapshot(&self, snapshot: &Snapshot) -> Result<Option<String>, Failure> {
        let saved = Snapshots::new(&self.prepared.config.state_dir);
        let all = saved.list(Some(&self.prepared.name))?;
        let runs = all.snapshots.into_iter().map(|head| head.run);
        Ok(runs.filter(|run| *run > snapshot.head.run).min())
    }
}
