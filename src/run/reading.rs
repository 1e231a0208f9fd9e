//! The first half of a run: both servers are read at the same time, and the difference is worked out.

use std::{collections::BTreeSet, time::Instant};

use chrono::Utc;

use super::{Course, Failure, in_words};
use crate::{
    directory::{self, IdAttribute, ReadFailure, ReadRequest, entry::DirectoryId},
    event::Event,
    ftrack::{self, error::FtrackError, read::ReadCurrent, user::Current},
    run::Progress,
    sync::{
        change::{Absences, Action, Change, Plan},
        desired::Desired,
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
    /// Reads both servers at the same time, and plans.
    pub(super) async fn work_out(&mut self, absences: &Absences) -> Result<Worked, Failure> {
        let prepared = self.prepared;
        let request = self.read_request();
        let began = Instant::now();
        let directory = async {
            let reading = directory::read(
                &prepared.pool,
                &request,
                |entry| prepared.mapping.map(entry),
                &self.until.cancel,
                |entries| (self.progress)(Progress::Entries(entries)),
            )
            .await;
            reading.map(|reading| (reading, began.elapsed())).map_err(Unread::Directory)
        };
        let roles = &prepared.config.ftrack.administrator_roles;
        let wanted = ReadCurrent {
            custom_attributes: prepared.mapping.custom_keys(),
            administrator_roles: roles,
        };
        let ftrack = async {
            let current = ftrack::read::read(&self.session, wanted, &self.until).await;
            current.map(|current| (current, began.elapsed())).map_err(Unread::Ftrack)
        };
        let both = tokio::try_join!(directory, ftrack);
        let ((reading, directory_took), (current, ftrack_took)) = both.map_err(|unread| self.tell_unread(unread))?;
        let server = reading.server().to_owned();
        self.tell_reading(&reading, directory_took);
        self.report.ftrack.users = current.users.len();
        Event::FtrackRead {
            of: self.name(),
            users: current.users.len(),
            took: ftrack_took,
        }
        .emit();
        self.report.ftrack.owned = prepared.rules.owned(&current);
        let desired = Desired::new(reading, prepared.job.limits.min_entries).map_err(in_words)?;
        prepared.rules.check_user_type(&current).map_err(in_words)?;
        let mut plan = plan(&desired, &current, &prepared.rules, absences, Utc::now());
        drop(desired);
        self.look_again(&mut plan, &server, &request).await?;
        self.warn_of_empty_bases(&mut plan);
        Ok(Worked { plan, current })
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
