//! The second look of a run: whoever would be deactivated is asked for by id, at every server of the directory, and among the people of the other jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Course, failure::Failure, reading::Unread, report::FailureKind};
use crate::{
    config::Job,
    directory::{self, Answer, IdAttribute, ReadFailure, ReadRequest, entry::DirectoryId},
    sync::change::{Action, Change, HeldBy, Hold, Plan},
};

/// What was read.
pub(super) struct ReadFrom {
    /// The server.
    pub server: String,
    /// What identifies the directory, as far as it is known.
    pub directory: Option<Arc<str>>,
}

/// The people who would be deactivated, by the attribute by which they are known.
type Gone = BTreeMap<String, (IdAttribute, Vec<DirectoryId>)>;

/// What was found out about them.
#[derive(Default)]
struct Found {
    /// On the server that was read: an entry that was moved meanwhile was in no page, and is there all the same.
    there: BTreeSet<DirectoryId>,
    /// On other servers alone, and on which.
    elsewhere: BTreeMap<DirectoryId, String>,
    /// Among the people of another job, and of which.
    of_sibling: BTreeMap<DirectoryId, String>,
    /// Of whom nobody can say it, and why.
    doubtful: BTreeMap<DirectoryId, String>,
}

impl Course<'_> {
    /// Asks once more for each person who would be deactivated.
    pub(super) async fn look_again(&mut self, plan: &mut Plan, read: &ReadFrom, request: &ReadRequest) -> Result<(), Failure> {
        let mut gone = Gone::new();
        for Change { directory_id, link, .. } in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
            let of_attribute = gone
                .entry(link.attribute.name().to_owned())
                .or_insert_with(|| (link.attribute.clone(), Vec::new()));
            of_attribute.1.push(directory_id.clone());
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        self.ask_the_server_that_was_read(&gone, read, request, &mut found).await?;
        self.ask_the_other_servers(&gone, read, request, plan, &mut found).await?;
        self.ask_the_siblings(&gone, read, request, plan, &mut found).await?;
        conclude(plan, found);
        Ok(())
    }

    async fn ask_the_server_that_was_read(&mut self, gone: &Gone, read: &ReadFrom, request: &ReadRequest, found: &mut Found) -> Result<(), Failure> {
        let pool = self.prepared.pool.clone();
        for (attribute, ids) in gone.values() {
            let answer = directory::ask(&pool, Some(&read.server), request, attribute, ids, &self.until.cancel).await;
            let Answer { there, doubtful, .. } = answer.map_err(|failure| self.tell_unread(Unread::Directory(failure)))?;
            found.there.extend(there.into_keys());
            let why = format!(
                "{} found an entry when the person was asked for by {attribute}, and its {attribute} is none of those that were asked for; may the bind account read it?",
                read.server
            );
            found.doubtful.extend(doubtful.into_iter().map(|id| (id, why.clone())));
        }
        self.report.directory.asked.push(read.server.clone());
        Ok(())
    }

    /// A replica that shows somebody is reason enough to hold; one that cannot be reached says nothing.
    async fn ask_the_other_servers(&mut self, gone: &Gone, read: &ReadFrom, request: &ReadRequest, plan: &mut Plan, found: &mut Found) -> Result<(), Failure> {
        let pool = self.prepared.pool.clone();
        let others = pool
            .servers()
            .iter()
            .map(|server| server.connector.server())
            .filter(|server| *server != read.server);
        for server in others {
            let mut was_asked = true;
            for (attribute, ids) in gone.values() {
                match directory::ask(&pool, Some(server), request, attribute, ids, &self.until.cancel).await {
                    Ok(Answer { there, doubtful, .. }) => {
                        let shown = there.into_keys().chain(doubtful);
                        found.elsewhere.extend(shown.map(|id| (id, server.to_owned())));
                    }
                    Err(failure) if is_unreachable(&failure) => {
                        was_asked = false;
                        plan.warnings
                            .push(format!("{server} could not be asked about the people who are gone: {}", failure.error));
                        break;
                    }
                    Err(failure) => {
                        was_asked = false;
                        let why = self.unanswered(server, failure)?;
                        found.doubtful.extend(ids.iter().map(|id| (id.clone(), why.clone())));
                    }
                }
            }
            if was_asked {
                self.report.directory.asked.push(server.to_owned());
            }
        }
        Ok(())
    }

    /// Somebody who left the bases of this job and is among the people of another one of the same directory is taken over by that job; until then this one
    /// leaves the user as it is.
    async fn ask_the_siblings(&mut self, gone: &Gone, read: &ReadFrom, request: &ReadRequest, plan: &Plan, found: &mut Found) -> Result<(), Failure> {
        let prepared = self.prepared;
        let is_sibling = |job: &Job| job.source != prepared.job.source && !plan.of_other_directories.contains(job.source.as_str());
        let siblings = prepared.config.jobs.iter().filter(|(_, job)| is_sibling(job));
        for (name, job) in siblings {
            let shares_table = job.directory == prepared.job.directory;
            let Some(pool) = prepared.servers.directory(&job.directory) else { continue };
            let server = shares_table.then_some(read.server.as_str());
            let request = of_job(job, request);
            for (attribute, ids) in gone.values() {
                match directory::ask(pool, server, &request, attribute, ids, &self.until.cancel).await {
                    Ok(answer) if shares_table || is_the_same(read, &answer, attribute) => {
                        // Whoever is still in the bases of this job stays its own, whatever its filter says, and no sibling lets the person in.
                        let left = answer.there.into_iter().filter(|(_, dn)| !prepared.rules.reach.holds(dn)).map(|(id, _)| id);
                        found.of_sibling.extend(left.map(|id| (id, name.clone())));
                        let why = format!("the directory found an entry among the people of the job {name:?} that shows none of the ids that were asked for");
                        found.doubtful.extend(answer.doubtful.into_iter().map(|id| (id, why.clone())));
                    }
                    Ok(_) => {}
                    Err(failure) => {
                        let why = self.unanswered(&format!("the directory of the job {name:?}"), failure)?;
                        found.doubtful.extend(ids.iter().map(|id| (id.clone(), why.clone())));
                    }
                }
            }
        }
        Ok(())
    }

    /// Why nobody can say what a server did not answer; refused credentials, a stop and the end of the time fail the run.
    fn unanswered(&mut self, whom: &str, failure: ReadFailure) -> Result<String, Failure> {
        match FailureKind::from(&failure.error) {
            FailureKind::DirectoryRefused | FailureKind::Stopped | FailureKind::TimeLimit => Err(self.tell_unread(Unread::Directory(failure))),
            FailureKind::Directory | FailureKind::FtrackRefused | FailureKind::Ftrack | FailureKind::State | FailureKind::Refused | FailureKind::Internal => {
                Ok(format!("{whom} did not answer when the person was asked for: {}", failure.error))
            }
        }
    }
}

/// The searches of another job, with the time limit of this run.
fn of_job(job: &Job, request: &ReadRequest) -> ReadRequest {
    ReadRequest {
        bases: job.search_bases.clone(),
        scope: job.scope,
        filter: job.filter.clone(),
        ..request.clone()
    }
}

/// Whether a server could not even be asked: no connection came about.
fn is_unreachable(failure: &ReadFailure) -> bool {
    failure.searches.is_empty() && failure.error.concerns_one_server() && !failure.error.is_refusal()
}

/// Whether another table of the configuration names the directory that was read; where that cannot be told, it may.
fn is_the_same(read: &ReadFrom, answer: &Answer, attribute: &IdAttribute) -> bool {
    match (&read.directory, &answer.directory_id) {
        (Some(read), Some(other)) => **read == **other,
        (None, _) | (_, None) => attribute.is_universal(),
    }
}

/// Takes back or holds the deactivations of those who were found.
fn conclude(plan: &mut Plan, found: Found) {
    let Found {
        there,
        elsewhere,
        of_sibling,
        doubtful,
    } = found;
    for id in &there {
        plan.warnings.push(format!(
            "the person with the directory id {id} was missing from the read, and was found when asked for by id; nothing is concluded"
        ));
    }
    for (id, job) in of_sibling.iter().filter(|(id, _)| !there.contains(*id)) {
        plan.warnings.push(format!(
            "the person with the directory id {id} left the search bases of this job, and is one of the job {job:?}, which takes the user over"
        ));
    }
    let is_found = |id: &DirectoryId| there.contains(id) || of_sibling.contains_key(id);
    for id in there.iter().chain(of_sibling.keys()) {
        plan.absences.remove(id.as_str());
    }
    plan.changes
        .retain(|change| change.action != Action::Deactivate || !is_found(&change.directory_id));
    for change in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
        let hold = if let Some(server) = elsewhere.get(&change.directory_id) {
            let why = format!(
                "{server} still shows the person {:?} (directory id {}), whom the server that was read does not",
                change.username, change.directory_id
            );
            plan.warnings.push(why.clone());
            Hold::new(HeldBy::Replica, why)
        } else if let Some(why) = doubtful.get(&change.directory_id) {
            Hold::new(HeldBy::Doubt, why.as_str())
        } else {
            continue;
        };
        plan.holds.entry(change.ftrack_id.clone()).or_insert(hold);
    }
}
