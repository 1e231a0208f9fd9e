//! The first half of a run: both servers are read at the same time, and the difference is worked
//! out.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{
    Progress, RunContext,
    failure::Failure,
    history::History,
    ldap::LdapWork,
    record,
    report::{Outcome, RunPhase},
    second_look::ReadFrom,
    state::Remembered,
};
use crate::{
    directory::{self, ReadFailure, ReadRequest, Reading},
    ftrack::{self, error::FtrackError, read::ReadCurrent, user::Current},
    sync::{
        change::Plan,
        desired::{Desired, Mapped},
        plan::{Known, plan},
    },
};

/// The most reports that are read to learn what a base showed before.
const REPORTS: usize = 20;

/// What a run works out before it writes anything.
pub(super) struct PlannedRun {
    /// The plan.
    pub plan: Plan,
    /// What was read at ftrack.
    pub current: Current,
}

/// Which server could not be read.
pub(super) enum ReadError {
    Directory(ReadFailure),
    Ftrack(FtrackError),
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
            // A replica that stands in shows nobody absent.
            plan.absences.clone_from(&remembered.absences);
        }
        Ok(plan)
    }

    /// A base that suddenly shows nobody, while people are gone, may be one that the bind account
    /// cannot look into any more, which a server need not say.
    fn doubt_empty_bases(&self, plan: &mut Plan, remembered: &Remembered) {
        if plan.absences.is_empty() {
            return;
        }
        // What a state that was lost, or is of an earlier version, does not tell, the last reports
        // do.
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
                "people are gone, and the search base {} shows nobody at all: may the bind \
                 account still read what is below it, and is it no alias? If so, approve it",
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

/// The most entries that each base showed in the reports of the last runs that did not fail; none
/// where there is no such report.
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
