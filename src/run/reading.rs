//! The first half of a run: both servers are read at the same time, and the difference is worked out.

use std::{
    collections::BTreeSet,
    sync::OnceLock,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{Course, Progress, failure::Failure, report::Phase};
use crate::{
    directory::{self, IdAttribute, ReadFailure, ReadRequest, Reading, entry::DirectoryId},
    ftrack::{self, error::FtrackError, read::ReadCurrent, user::Current},
    sync::{
        change::{Absences, Action, Change, Plan},
        desired::{Desired, Mapped},
        plan::plan,
    },
};

/// What a run works out before it writes anything.
pub(super) struct Worked {
    /// The plan.
    pub plan: Plan,
    /// What was read at ftrack.
    pub current: Current,
}

/// Which server could not be read.
pub(super) enum Unread {
    Directory(ReadFailure),
    Ftrack(FtrackError),
}

impl Course<'_> {
    /// Reads both servers, and plans.
    pub(super) async fn work_out(&mut self, absences: &Absences) -> Result<Worked, Failure> {
        let request = self.read_request();
        self.session.take_key().await.map_err(|error| self.tell_unread(Unread::Ftrack(error)))?;
        let (reading, current) = self.read_both(&request).await?;
        let began = Instant::now();
        let plan = self.plan(reading, &current, absences, &request).await;
        self.took(Phase::Planning, began.elapsed());
        Ok(Worked { plan: plan?, current })
    }

    /// Reads both servers at the same time; when one cannot be read, the other is not waited for.
    async fn read_both(&mut self, request: &ReadRequest) -> Result<(Reading<Mapped>, Current), Failure> {
        let prepared = self.prepared;
        let began = Instant::now();
        let (directory_took, ftrack_took) = (OnceLock::new(), OnceLock::new());
        let directory = async {
            let reading = directory::read(
                &prepared.pool,
                request,
                |entry| prepared.mapping.map(entry),
                &self.until.cancel,
                |entries| (self.progress)(Progress::Entries(entries)),
            )
            .await;
            directory_took.get_or_init(|| began.elapsed());
            reading.map_err(Unread::Directory)
        };
        let roles = &prepared.config.ftrack.administrator_roles;
        let wanted = ReadCurrent {
            custom_attributes: prepared.mapping.custom_keys(),
            administrator_roles: roles,
        };
        let ftrack = async {
            let current = ftrack::read::read(&self.session, wanted, &self.until).await;
            ftrack_took.get_or_init(|| began.elapsed());
            current.map_err(Unread::Ftrack)
        };
        let both = tokio::try_join!(directory, ftrack);
        let whole = |took: OnceLock<Duration>| took.into_inner().unwrap_or_else(|| began.elapsed());
        let (directory_took, ftrack_took) = (whole(directory_took), whole(ftrack_took));
        self.took(Phase::Directory, directory_took);
        self.took(Phase::Ftrack, ftrack_took);
        let (reading, current) = both.map_err(|unread| self.tell_unread(unread))?;
        self.tell_reading(&reading, directory_took);
        self.tell_current(&current, ftrack_took);
        Ok((reading, current))
    }

    async fn plan(&mut self, reading: Reading<Mapped>, current: &Current, absences: &Absences, request: &ReadRequest) -> Result<Plan, Failure> {
        let prepared = self.prepared;
        let server = reading.server().to_owned();
        let desired = Desired::new(reading, prepared.job.limits.min_entries).map_err(Failure::refused)?;
        prepared.rules.check_user_type(current).map_err(Failure::refused)?;
        let mut plan = plan(&desired, current, &prepared.rules, absences, Utc::now());
        drop(desired);
        self.look_again(&mut plan, &server, request).await?;
        self.warn_of_empty_bases(&mut plan);
        Ok(plan)
    }

    /// Asks once more for each person who would be deactivated: an entry that moved while the directory was read was in no page, and is there all the same.
    async fn look_again(&mut self, plan: &mut Plan, server: &str, request: &ReadRequest) -> Result<(), Failure> {
        let mut gone: Vec<(IdAttribute, Vec<DirectoryId>)> = Vec::new();
        for Change { directory_id, link, .. } in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
            match gone.iter_mut().find(|(attribute, _)| *attribute == link.attribute) {
                Some((_, ids)) => ids.push(directory_id.clone()),
                None => gone.push((link.attribute.clone(), vec![directory_id.clone()])),
            }
        }
        let mut there = BTreeSet::new();
        for (attribute, ids) in &gone {
            let found = directory::still_there(&self.prepared.pool, server, request, attribute, ids, &self.until.cancel).await;
            there.extend(found.map_err(|failure| self.tell_unread(Unread::Directory(failure)))?);
        }
        for id in &there {
            plan.absences.remove(id.as_str());
            plan.warnings.push(format!(
                "the person with the directory id {id} was missing from the read, and was found when asked for by id; nothing is concluded"
            ));
        }
        plan.changes
            .retain(|change| change.action != Action::Deactivate || !there.contains(&change.directory_id));
        Ok(())
    }

    /// A base that shows nobody, while people are gone, may be one that the bind account cannot look into any more, which a server need not say.
    fn warn_of_empty_bases(&self, plan: &mut Plan) {
        if plan.absences.is_empty() {
            return;
        }
        let searches = &self.report.directory.searches;
        for search in searches.iter().filter(|search| search.entries == 0) {
            plan.warnings.push(format!(
                "people are gone, and the search base {} shows nobody at all: may the bind account still read what is below it, and is it no alias?",
                search.base
            ));
        }
    }

    fn read_request(&self) -> ReadRequest {
        let job = &self.prepared.job;
        ReadRequest {
            bases: job.search_bases.clone(),
            scope: job.scope,
            filter: job.filter.clone(),
            attributes: self.prepared.mapping.ldap_attributes(),
            id_attribute: None,
            deadline: self.until.deadline.into(),
        }
    }
}
