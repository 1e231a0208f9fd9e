//! The second look of a run: everybody who would be deactivated is asked for by id, on every server
//! of the directory, and among the people of the other jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
};
use crate::{
    config::LdapJob,
    directory,
    directory::{Answer, DirectoryError, DirectoryPool, ReadFailure, ReadRequest, dn::Dn},
    model::{
        change::{Action, Change, HeldBy, Hold, Plan},
        entry::DirectoryId,
        id::IdAttribute,
        report::FailureKind,
    },
    sync::rules::Reach,
};

/// How long a server of the directory that refused the credentials is not asked for absent people:
/// each refusal counts against the account.
const REST: Duration = Duration::from_secs(3600);
/// The same for another table's directory, whose own job tries the credentials as well.
const REST_OF_OTHERS: Duration = Duration::from_secs(24 * 3600);

/// What was read.
pub(super) struct ReadFrom {
    /// The URL of the server.
    pub server: String,
    /// The directory's id, if known.
    pub directory: Option<Arc<str>>,
}

/// The people who would be deactivated, by their id attribute.
type MissingByTable = BTreeMap<String, (IdAttribute, Vec<DirectoryId>)>;

/// What was found about them.
#[derive(Default)]
struct StillThere {
    /// On the server that was read: an entry that was moved during the read was in no page, but
    /// exists.
    there: BTreeSet<DirectoryId>,
    /// Only on other servers, and on which.
    elsewhere: BTreeMap<DirectoryId, String>,
    /// Among the people of another job, and of which.
    of_sibling: BTreeMap<DirectoryId, String>,
    /// Unclear, and why.
    doubtful: BTreeMap<DirectoryId, String>,
}

impl RunContext<'_, LdapWork> {
    /// Asks once more for each person who would be deactivated.
    pub(super) async fn look_again(
        &mut self,
        plan: &mut Plan,
        read: &ReadFrom,
        request: &ReadRequest,
    ) -> Result<(), Failure> {
        let mut gone = MissingByTable::new();
        for Change {
            directory_id, link, ..
        } in plan
            .changes
            .iter()
            .filter(|change| change.action == Action::Deactivate)
        {
            let of_attribute = gone
                .entry(link.attribute.name().to_owned())
                .or_insert_with(|| (link.attribute.clone(), Vec::new()));
            of_attribute.1.push(directory_id.clone());
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut found = StillThere::default();
        self.ask_the_server_that_was_read(&gone, read, request, &mut found)
            .await?;
        let siblings = self.siblings(plan, request);
        let of_this_directory = self
            .ask_the_siblings(&gone, read, &siblings, plan, &mut found)
            .await?;
        self.ask_the_other_servers(&gone, read, request, &of_this_directory, plan, &mut found)
            .await?;
        conclude(plan, found);
        Ok(())
    }

    async fn ask_the_server_that_was_read(
        &mut self,
        gone: &MissingByTable,
        read: &ReadFrom,
        request: &ReadRequest,
        found: &mut StillThere,
    ) -> Result<(), Failure> {
        let pool = self.work.pool.clone();
        for (attribute, ids) in gone.values() {
            let answer = directory::ask(
                &pool,
                Some(&read.server),
                request,
                attribute,
                ids,
                &self.until.cancel,
            )
            .await;
            let Answer {
                there, doubtful, ..
            } = answer.map_err(|failure| self.record_read_error(ReadError::Directory(failure)))?;
            found.there.extend(there.into_keys());
            let why = format!(
                "{} found an entry when the person was asked for by {attribute}, but its \
                 {attribute} is not one that was asked for; can the bind account read it?",
                read.server
            );
            found
                .doubtful
                .extend(doubtful.into_iter().map(|id| (id, why.clone())));
        }
        self.directory_part().asked.push(read.server.clone());
        Ok(())
    }

    /// The other jobs that may have this job's people: all but those whose users belong to other
    /// directories.
    fn siblings(&self, plan: &Plan, request: &ReadRequest) -> Vec<SiblingSearch> {
        let own = &self.work.job;
        let is_sibling = |job: &LdapJob| {
            job.source != own.source && !plan.of_other_directories.contains(job.source.as_str())
        };
        let siblings = self
            .prepared
            .config
            .ldap_jobs()
            .filter(|(_, job)| is_sibling(job));
        siblings
            .map(|(name, job)| SiblingSearch {
                job: name.to_owned(),
                table: job.directory.clone(),
                shares_table: job.directory == own.directory,
                owns_users: plan.sources.contains(job.source.as_str()),
                request: of_job(job, request),
            })
            .collect()
    }

    /// A replica that shows somebody is sufficient to hold; one that cannot be reached says
    /// nothing.
    async fn ask_the_other_servers(
        &mut self,
        gone: &MissingByTable,
        read: &ReadFrom,
        request: &ReadRequest,
        siblings: &[FoundBySibling<'_>],
        plan: &mut Plan,
        found: &mut StillThere,
    ) -> Result<(), Failure> {
        for OtherServer {
            pool,
            server,
            rest,
            searches,
        } in self.other_servers(read, request, siblings)
        {
            if pool.was_refused_within(Some(&server), rest) {
                found.doubt(
                    gone,
                    &format!("{server} refused the credentials recently, and was not asked"),
                );
                continue;
            }
            match self.ask_one(&pool, &server, gone, &searches, found).await {
                Ok(()) => {
                    let asked = &mut self.directory_part().asked;
                    if !asked.contains(&server) {
                        asked.push(server);
                    }
                }
                Err(failure) if is_unreachable(&failure) => {
                    plan.warnings.push(format!(
                        "{server} could not be asked about the missing people: {}",
                        failure.error
                    ));
                }
                Err(failure) => {
                    let why = self.unanswered(&server, failure)?;
                    found.doubt(gone, &why);
                }
            }
        }
        Ok(())
    }

    /// The other servers of the directory, as each table names them: asked with the table's own
    /// account in the searches of its own jobs, since another account may not see the same entries.
    /// A server that this job's table does not name is asked in this job's search as well.
    fn other_servers<'r>(
        &self,
        read: &ReadFrom,
        request: &'r ReadRequest,
        siblings: &'r [FoundBySibling<'_>],
    ) -> Vec<OtherServer<'r>> {
        let of_table = |table: &str| {
            let of_table = siblings
                .iter()
                .filter(move |found| found.sibling.table == table);
            let search = |found: &'r FoundBySibling<'_>| Search {
                request: &found.sibling.request,
                shown_before: Some(&found.shown),
                account: Account::Own,
            };
            of_table.map(search).collect::<Vec<_>>()
        };
        let of_this_job = |account| Search {
            request,
            shown_before: None,
            account,
        };
        let own_table = self.work.job.directory.as_str();
        let own = std::iter::once(of_this_job(Account::Own))
            .chain(of_table(own_table))
            .collect();
        let mut tables = vec![(self.work.pool.clone(), REST, own)];
        let others: BTreeSet<&str> = siblings
            .iter()
            .map(|found| found.sibling.table.as_str())
            .filter(|table| *table != own_table)
            .collect();
        tables.extend(others.into_iter().filter_map(|table| {
            let pool = self.prepared.servers.directory(table)?.clone();
            Some((pool, REST_OF_OTHERS, of_table(table)))
        }));
        let (mut servers, mut seen) = (Vec::new(), BTreeSet::from([read.server.clone()]));
        for (pool, rest, searches) in tables {
            let of_pool = pool
                .servers()
                .iter()
                .map(|server| server.connector.server().to_owned());
            for server in of_pool.filter(|server| *server != read.server) {
                let mut searches = searches.clone();
                if seen.insert(server.clone()) && rest == REST_OF_OTHERS {
                    searches.push(of_this_job(Account::OfAnotherTable));
                }
                servers.push(OtherServer {
                    pool: pool.clone(),
                    server,
                    rest,
                    searches,
                });
            }
        }
        servers
    }

    /// Asks one of the other servers, in all these searches. Entries that the same search showed
    /// before are not new, wherever they are.
    async fn ask_one(
        &self,
        pool: &DirectoryPool,
        server: &str,
        gone: &MissingByTable,
        searches: &[Search<'_>],
        found: &mut StillThere,
    ) -> Result<(), ReadFailure> {
        for Search {
            request,
            shown_before,
            account,
        } in searches
        {
            for (attribute, ids) in gone.values() {
                let answer = directory::ask(
                    pool,
                    Some(server),
                    request,
                    attribute,
                    ids,
                    &self.until.cancel,
                )
                .await;
                let Answer {
                    there, doubtful, ..
                } = match answer {
                    Err(ReadFailure {
                        error: DirectoryError::NoSuchBase { .. },
                        ..
                    }) if *account == Account::OfAnotherTable => continue,
                    answer => answer?,
                };
                let shown = there.into_keys().chain(doubtful);
                let news =
                    shown.filter(|id| !shown_before.is_some_and(|before| before.contains(id)));
                found
                    .elsewhere
                    .extend(news.map(|id| (id, server.to_owned())));
            }
        }
        Ok(())
    }

    /// A person who left the bases of this job and is among the people of another job of the same
    /// directory is taken over by that job; until then this job leaves the user unchanged. Returns
    /// what the searches found in the same directory, as far as that is known.
    async fn ask_the_siblings<'s>(
        &mut self,
        gone: &MissingByTable,
        read: &ReadFrom,
        siblings: &'s [SiblingSearch],
        plan: &mut Plan,
        found: &mut StillThere,
    ) -> Result<Vec<FoundBySibling<'s>>, Failure> {
        let prepared = self.prepared;
        let mut of_this_directory = Vec::new();
        for sibling in siblings {
            let (mut is_of_this_directory, mut shown) = (sibling.shares_table, BTreeSet::new());
            let Some(pool) = prepared.servers.directory(&sibling.table) else {
                continue;
            };
            let whom = format!("the directory of the job {:?}", sibling.job);
            if !sibling.shares_table && pool.was_refused_within(None, REST_OF_OTHERS) {
                found.doubt(
                    gone,
                    &format!("{whom} refused the credentials recently, and was not asked"),
                );
                continue;
            }
            let names_it = pool
                .servers()
                .iter()
                .any(|server| server.connector.server() == read.server);
            let server = (sibling.shares_table || names_it).then_some(read.server.as_str());
            for (attribute, ids) in gone.values() {
                match directory::ask(
                    pool,
                    server,
                    &sibling.request,
                    attribute,
                    ids,
                    &self.until.cancel,
                )
                .await
                {
                    Ok(answer) if sibling.shares_table || is_the_same(read, &answer, attribute) => {
                        is_of_this_directory = true;
                        if server.is_some() {
                            shown.extend(answer.there.keys().cloned());
                        }
                        found.among(sibling, answer, &self.work.rules.reach);
                    }
                    Ok(_) => {}
                    // A directory that has no users yet, and cannot be reached, is most likely
                    // another one.
                    Err(failure) if !sibling.shares_table && !sibling.owns_users => {
                        let why = self.unanswered(&whom, failure)?;
                        plan.warnings.push(why);
                    }
                    Err(failure) => {
                        let why = self.unanswered(&whom, failure)?;
                        found
                            .doubtful
                            .extend(ids.iter().map(|id| (id.clone(), why.clone())));
                    }
                }
            }
            of_this_directory
                .extend(is_of_this_directory.then_some(FoundBySibling { sibling, shown }));
        }
        Ok(of_this_directory)
    }

    /// The reason for doubt when a server did not answer; a stop or the deadline fails the run.
    fn unanswered(&mut self, whom: &str, failure: ReadFailure) -> Result<String, Failure> {
        match FailureKind::from(&failure.error) {
            FailureKind::Stopped | FailureKind::TimeLimit => {
                Err(self.record_read_error(ReadError::Directory(failure)))
            }
            FailureKind::DirectoryRefused
            | FailureKind::Directory
            | FailureKind::FtrackRefused
            | FailureKind::Ftrack
            | FailureKind::FtrackUnclear
            | FailureKind::State
            | FailureKind::Refused
            | FailureKind::Internal => Ok(format!(
                "{whom} did not answer when asked for the missing people: {}",
                failure.error
            )),
        }
    }
}

impl StillThere {
    /// It is not known whether these people left.
    fn doubt(&mut self, gone: &MissingByTable, why: &str) {
        for (_, ids) in gone.values() {
            self.doubtful
                .extend(ids.iter().map(|id| (id.clone(), why.to_owned())));
        }
    }

    /// Records who is among the people of another job. A person who is still in the bases of this
    /// job stays with it, whatever its filter says; no other job takes the person over. An entry
    /// whose DN cannot be parsed may be anywhere.
    fn among(
        &mut self,
        sibling: &SiblingSearch,
        Answer {
            there, doubtful, ..
        }: Answer,
        reach: &Reach,
    ) {
        for (id, dn) in there {
            if Dn::parse(&dn).is_none() {
                self.doubtful
                    .insert(id, format!("the location of {dn:?} cannot be determined"));
            } else if !reach.holds(&dn) {
                self.of_sibling.insert(id, sibling.job.clone());
            }
        }
        let why = format!(
            "the directory found an entry among the people of the job {:?} without any of the ids \
             that were asked for",
            sibling.job
        );
        self.doubtful
            .extend(doubtful.into_iter().map(|id| (id, why.clone())));
    }
}

/// The search of another job.
struct SiblingSearch {
    job: String,
    table: String,
    shares_table: bool,
    owns_users: bool,
    request: ReadRequest,
}

/// What the search of another job of the same directory showed of the absent people.
struct FoundBySibling<'s> {
    sibling: &'s SiblingSearch,
    shown: BTreeSet<DirectoryId>,
}

/// A search on one of the other servers.
#[derive(Clone, Copy)]
struct Search<'r> {
    request: &'r ReadRequest,
    /// The people whom it showed on the server that was read.
    shown_before: Option<&'r BTreeSet<DirectoryId>>,
    account: Account,
}

/// The account with which a server is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    /// That of the table whose job has the search.
    Own,
    /// That of another table, which may not see the search's base: its absence then means nothing.
    OfAnotherTable,
}

/// One of the other servers of the directory.
struct OtherServer<'r> {
    pool: DirectoryPool,
    server: String,
    /// How long it is not asked after it refused the credentials.
    rest: Duration,
    searches: Vec<Search<'r>>,
}

/// The searches of another job, with the time limit of this run.
fn of_job(job: &LdapJob, request: &ReadRequest) -> ReadRequest {
    ReadRequest {
        bases: job.search_bases.clone(),
        scope: job.scope,
        filter: job.filter.clone(),
        ..request.clone()
    }
}

/// Whether no connection to a server was established.
fn is_unreachable(failure: &ReadFailure) -> bool {
    failure.searches.is_empty()
        && failure.error.concerns_one_server()
        && !failure.error.is_refusal()
}

/// Whether another table of the configuration names the directory that was read; true where that is
/// not known.
fn is_the_same(read: &ReadFrom, answer: &Answer, attribute: &IdAttribute) -> bool {
    match (&read.directory, &answer.directory_id) {
        (Some(read), Some(other)) => **read == **other,
        (None, _) | (_, None) => attribute.is_universal(),
    }
}

/// Cancels or holds the deactivations of people who were found.
fn conclude(plan: &mut Plan, found: StillThere) {
    let StillThere {
        there,
        elsewhere,
        of_sibling,
        doubtful,
    } = found;
    for id in &there {
        plan.warnings.push(format!(
            "the person with the directory id {id} was missing from the read, but was found by \
             id; the user is unchanged"
        ));
    }
    for (id, job) in of_sibling.iter().filter(|(id, _)| !there.contains(*id)) {
        plan.warnings.push(format!(
            "the person with the directory id {id} left the search bases of this job, and is now \
             in the job {job:?}, which takes the user over"
        ));
    }
    let is_found = |id: &DirectoryId| there.contains(id) || of_sibling.contains_key(id);
    for id in there.iter().chain(of_sibling.keys()) {
        plan.absences.remove(id.as_str());
    }
    plan.changes
        .retain(|change| change.action != Action::Deactivate || !is_found(&change.directory_id));
    for change in plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Deactivate)
    {
        let hold = if let Some(server) = elsewhere.get(&change.directory_id) {
            let why = format!(
                "{server} still shows the person {:?} (directory id {}), which the server that \
                 was read does not",
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
