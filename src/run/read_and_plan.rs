//! The first half of a run: reads both servers at the same time, and plans.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{
    Progress, RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
    record,
    second_look::ReadFrom,
};
use crate::{
    directory,
    directory::{ReadRequest, Reading},
    ftrack,
    ftrack::read::ReadCurrent,
    model::{
        change::Plan,
        report::{Outcome, RunPhase},
        user::Current,
    },
    state::{Remembered, history::History},
    sync::{
        desired::{Desired, Mapped},
        plan::{Known, plan},
    },
};

/// The maximum number of reports that are read to find out what a base showed before.
const REPORTS: usize = 20;

/// What a run works out before it writes anything.
pub(super) struct PlannedRun {
    pub plan: Plan,
    /// The state of ftrack that was read.
    pub current: Current,
}

impl RunContext<'_, LdapWork> {
    /// Reads both servers, and plans.
    pub(super) async fn read_and_plan(
        &mut self,
        remembered: &Remembered,
    ) -> Result<PlannedRun, Failure> {
        let request = self.read_request();
        self.session
            .take_key()
            .await
            .map_err(|error| self.record_read_error(ReadError::Ftrack(error)))?;
        let (reading, current) = self.read_both(&request).await?;
        let began = Instant::now();
        let plan = self.plan(reading, &current, remembered, &request).await;
        self.record_phase(RunPhase::Planning, began.elapsed());
        let plan = plan?;
        self.confirm(&plan, &current).await?;
        Ok(PlannedRun { plan, current })
    }

    /// Reads both servers at the same time; when one cannot be read, the other is not waited for.
    async fn read_both(
        &mut self,
        request: &ReadRequest,
    ) -> Result<(Reading<Mapped>, Current), Failure> {
        let (prepared, work) = (self.prepared, self.work);
        let began = Instant::now();
        let (directory_took, ftrack_took) = (OnceLock::new(), OnceLock::new());
        let shown = OnceLock::new();
        let directory = async {
            let reading = directory::read(
                &work.pool,
                request,
                |entry| work.mapping.map(entry),
                &self.until.cancel,
                |entries| (self.progress)(Progress::Entries(entries)),
            )
            .await;
            directory_took.get_or_init(|| began.elapsed());
            let reading = reading.map_err(ReadError::Directory)?;
            shown.get_or_init(|| record::part(&reading));
            Ok(reading)
        };
        let roles = &prepared.config.ftrack.administrator_roles;
        let wanted = ReadCurrent {
            custom_attributes: work.mapping.custom_keys(),
            administrator_roles: roles,
        };
        let ftrack = async {
            let current = ftrack::read::read(&self.session, wanted, &self.until).await;
            ftrack_took.get_or_init(|| began.elapsed());
            current.map_err(ReadError::Ftrack)
        };
        let both = tokio::try_join!(directory, ftrack);
        let whole = |took: OnceLock<Duration>| took.into_inner().unwrap_or_else(|| began.elapsed());
        let (directory_took, ftrack_took) = (whole(directory_took), whole(ftrack_took));
        self.record_phase(RunPhase::Directory, directory_took);
        self.record_phase(RunPhase::Ftrack, ftrack_took);
        let (reading, current) = both.map_err(|unread| {
            // What was read of the directory is known also when ftrack cannot be read.
            self.report.directory = shown.into_inner().or(self.report.directory.take());
            self.record_read_error(unread)
        })?;
        self.record_reading(&reading, directory_took);
        self.record_current(&current, ftrack_took);
        Ok((reading, current))
    }

    async fn plan(
        &mut self,
        reading: Reading<Mapped>,
        current: &Current,
        remembered: &Remembered,
        request: &ReadRequest,
    ) -> Result<Plan, Failure> {
        let rules = &self.work.rules;
        let desired = Desired::new(reading, &self.work.job.limits).map_err(Failure::refused)?;
        rules.check_user_type(current).map_err(Failure::refused)?;
        let before = Known {
            absences: &remembered.absences,
            directory: remembered.directory.as_deref(),
        };
        let mut plan =
            plan(&desired, current, rules, before, Utc::now()).map_err(Failure::refused)?;
        let read = ReadFrom {
            server: desired.server().to_owned(),
            directory: desired.directory().cloned(),
        };
        drop(desired);
        self.look_again(&mut plan, &read, request).await?;
        self.doubt_empty_bases(&mut plan, remembered);
        plan.warnings
            .extend(self.deactivated_by_others(&plan, remembered));
        if plan.replica.is_some() {
            // A reading of a replica shows nobody absent.
            plan.absences.clone_from(&remembered.absences);
        }
        Ok(plan)
    }

    /// A base that is suddenly empty, while people are missing, may be one that the bind account
    /// can no longer read; a server need not report that.
    fn doubt_empty_bases(&self, plan: &mut Plan, remembered: &Remembered) {
        if plan.absences.is_empty() {
            return;
        }
        // If the state was lost, or is from an earlier version, the last reports are used instead.
        let reported = OnceCell::new();
        let of_reports = |base: &str| {
            reported
                .get_or_init(|| last_bases(&self.history, &self.prepared.name))
                .as_ref()?
                .get(base)
        };
        let was_empty = |base: &str| {
            remembered
                .bases
                .get(base)
                .or_else(|| of_reports(base))
                .is_some_and(|entries| *entries == 0)
        };
        let searches = self
            .report
            .directory
            .iter()
            .flat_map(|directory| &directory.searches);
        for search in searches.filter(|search| search.entries == 0 && !was_empty(&search.base)) {
            let doubt = format!(
                "people are missing, and the search base {} shows nobody at all: can the bind \
                 account still read the entries below it, and is it not an alias? If so, approve \
                 it",
                search.base
            );
            plan.warnings.push(doubt.clone());
            plan.doubts.push(doubt);
        }
    }

    fn read_request(&self) -> ReadRequest {
        let job = &self.work.job;
        ReadRequest {
            bases: job.search_bases.clone(),
            scope: job.scope,
            filter: job.filter.clone(),
            attributes: self.work.mapping.ldap_attributes(),
            id_attribute: None,
            deadline: self.until.deadline.into(),
        }
    }
}

/// The most entries of each base in the reports of the last runs that did not fail; none where
/// there is no such report.
fn last_bases(history: &History, job: &str) -> Option<BTreeMap<String, usize>> {
    let runs = history.runs(Some(job)).ok()?;
    let reports = runs
        .iter()
        .take(REPORTS)
        .filter_map(|(run, job)| history.load(job, run).ok());
    let mut bases: Option<BTreeMap<String, usize>> = None;
    let read = reports
        .filter(|report| report.outcome != Outcome::Failed)
        .filter_map(|report| report.directory);
    for directory in read.filter(|directory| directory.complete) {
        let bases = bases.get_or_insert_default();
        for search in directory.searches {
            let most = bases.entry(search.base).or_default();
            *most = (*most).max(usize::try_from(search.entries).unwrap_or(usize::MAX));
        }
    }
    bases
}
