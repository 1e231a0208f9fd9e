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
    ldap_work::{LdapWork, groups},
};
use crate::{
    config::LdapJob,
    directory,
    directory::{
        AbsenceDoubt, Absent, Answer, DirectoryError, DirectoryPool, Location, LookedAgain,
        ReadFailure, ReadRequest, dn::Dn,
    },
    model::{
        entry::DirectoryId,
        id::IdAttribute,
        link::Link,
        reason::{JobPart, LeftJob},
        report::FailureKind,
        server_kind::ServerKind,
    },
    sync::{
        decide::{Evidence, Matched},
        desired::Desired,
        rules::Reach,
    },
};

/// How long a server of the directory that refused the credentials is not asked for absent people:
/// each refusal counts against the account.
pub(super) const REST: Duration = Duration::from_secs(3600);
/// The same for another table's directory, whose own job tries the credentials as well.
pub(super) const REST_OF_OTHERS: Duration = Duration::from_secs(24 * 3600);

/// What was read.
pub(super) struct ReadFrom<'r> {
    /// The URL of the server.
    pub server: &'r str,
    /// The directory's id, if known.
    pub directory: Option<&'r Arc<str>>,
}

/// The people who would be deactivated, by their id attribute.
pub(super) type MissingByTable = BTreeMap<String, (IdAttribute, Vec<DirectoryId>)>;

/// What was found about them.
#[derive(Default)]
struct StillThere {
    /// On the server that was read: an entry that was moved during the read was in no page, but
    /// exists.
    there: BTreeSet<DirectoryId>,
    /// Nowhere on that server.
    absent: BTreeMap<DirectoryId, Absent>,
    /// Where their entries are, as far as that server showed it.
    locations: BTreeMap<DirectoryId, Location>,
    /// Among the people of another job, and of which, after leaving what of this one.
    of_sibling: BTreeMap<DirectoryId, LeftJob>,
    /// Servers that did not answer, as warnings.
    unanswered: Vec<String>,
}

/// Adds the person of a link.
pub(super) fn add_person(missing: &mut MissingByTable, link: &Link) {
    let (attribute, id) = (&link.attribute, &link.id);
    let of_attribute = missing.entry(attribute.name().to_owned());
    let (_, ids) = of_attribute.or_insert_with(|| (attribute.clone(), Vec::new()));
    ids.push(id.clone());
}

impl RunContext<'_, LdapWork> {
    /// Asks once more for each person whose user is due to be deactivated.
    pub(super) async fn look_again(
        &mut self,
        matched: &Matched<'_>,
        desired: &Desired,
        request: &ReadRequest,
    ) -> Result<Evidence, Failure> {
        let mut gone = MissingByTable::new();
        for link in matched.due() {
            add_person(&mut gone, link);
        }
        if gone.is_empty() {
            return Ok(Evidence::default());
        }
        let read = ReadFrom {
            server: desired.server(),
            directory: desired.directory(),
        };
        let mut found = StillThere::default();
        self.ask_the_server_that_was_read(&gone, &read, request, &mut found)
            .await?;
        let siblings = self.siblings((matched, desired), request);
        let of_this_directory = self
            .ask_the_siblings(&gone, &read, &siblings, &mut found)
            .await?;
        self.ask_the_other_servers(&gone, &read, request, &of_this_directory, &mut found)
            .await?;
        let mut evidence = found.evidence();
        evidence.last_dns = self.last_dns(&evidence.absent);
        let located = self
            .locations(&gone, &evidence, read.server, request)
            .await?;
        evidence.locations.extend(located);
        Ok(evidence)
    }

    async fn ask_the_server_that_was_read(
        &mut self,
        gone: &MissingByTable,
        read: &ReadFrom<'_>,
        request: &ReadRequest,
        found: &mut StillThere,
    ) -> Result<(), Failure> {
        let pool = self.work.pool.clone();
        for (attribute, ids) in gone.values() {
            let answer = directory::look_again(
                &pool,
                read.server,
                request,
                attribute,
                ids,
                &self.until.cancel,
            )
            .await;
            let LookedAgain {
                there,
                absent,
                locations,
            } = answer.map_err(|failure| self.record_read_error(ReadError::Directory(failure)))?;
            found.there.extend(there);
            found.absent.extend(absent);
            found.locations.extend(locations);
        }
        self.directory_part().asked.push(read.server.to_owned());
        Ok(())
    }

    /// The other jobs that may have this job's people: all but those whose users belong to other
    /// directories.
    pub(super) fn siblings(
        &self,
        (matched, desired): (&Matched<'_>, &Desired),
        request: &ReadRequest,
    ) -> Vec<SiblingSearch> {
        let kind = desired.kind();
        let own = &self.work.job;
        let (elsewhere, sources) = (matched.sources_elsewhere(), matched.sources());
        let is_sibling =
            |job: &LdapJob| job.source != own.source && !elsewhere.contains(job.source.as_str());
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
                // Where only some users were read, it may own others.
                owns_users: !desired.is_of_everybody() || sources.contains(job.source.as_str()),
                request: of_job(job, kind, request),
            })
            .collect()
    }

    /// A replica that shows somebody is sufficient to hold; one that cannot be reached says
    /// nothing.
    async fn ask_the_other_servers(
        &mut self,
        gone: &MissingByTable,
        read: &ReadFrom<'_>,
        request: &ReadRequest,
        siblings: &[FoundBySibling<'_>],
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
                    found.unanswered.push(format!(
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
        read: &ReadFrom<'_>,
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
        let (mut servers, mut seen) = (Vec::new(), BTreeSet::from([read.server.to_owned()]));
        for (pool, rest, searches) in tables {
            let of_pool = pool.servers();
            let of_pool = of_pool
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
                for id in news {
                    let server = server.to_owned();
                    found.doubt_one(&id, AbsenceDoubt::ShownBy { server });
                }
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
        read: &ReadFrom<'_>,
        siblings: &'s [SiblingSearch],
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
            let server = (sibling.shares_table || names_it).then_some(read.server);
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
                        found.unanswered.push(why);
                    }
                    Err(failure) => {
                        let why = self.unanswered(&whom, failure)?;
                        found.unclear(ids, &why);
                    }
                }
            }
            of_this_directory
                .extend(is_of_this_directory.then_some(FoundBySibling { sibling, shown }));
        }
        Ok(of_this_directory)
    }

    /// The reason for doubt when a server did not answer; a stop or the deadline fails the run.
    pub(super) fn unanswered(
        &mut self,
        whom: &str,
        failure: ReadFailure,
    ) -> Result<String, Failure> {
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
            | FailureKind::PlanRefused
            | FailureKind::Internal => Ok(format!(
                "{whom} did not answer when asked for the missing people: {}",
                failure.error
            )),
        }
    }
}

impl StillThere {
    /// It is not known whether any of these people left.
    fn doubt(&mut self, gone: &MissingByTable, why: &str) {
        for (_, ids) in gone.values() {
            self.unclear(ids, why);
        }
    }

    fn unclear<'i>(&mut self, ids: impl IntoIterator<Item = &'i DirectoryId>, why: &str) {
        for id in ids {
            self.doubt_one(id, AbsenceDoubt::Unclear(why.to_owned()));
        }
    }

    fn doubt_one(&mut self, id: &DirectoryId, doubt: AbsenceDoubt) {
        if let Some(absent) = self.absent.get_mut(id) {
            absent.doubted(doubt);
        }
    }

    /// Records who is among the people of another job. A person who is still in the bases of this
    /// job stays with it, whatever its filter says; no other job takes the person over, but for one
    /// who left this job's groups and is in that one's. An entry whose DN cannot be parsed may be
    /// anywhere.
    fn among(
        &mut self,
        sibling: &SiblingSearch,
        Answer {
            there,
            doubtful,
            unclear,
            ..
        }: Answer,
        reach: &Reach,
    ) {
        for (id, attribute) in unclear.iter().filter(|(id, _)| !there.contains_key(id)) {
            let why = format!(
                "the person's entry does not show {attribute}, by which the groups of the job {:?} \
                 have members",
                sibling.job
            );
            self.unclear([id], &why);
        }
        for (id, dn) in there {
            if Dn::parse(&dn).is_none() {
                let why = format!("the location of {dn:?} cannot be determined");
                self.unclear([&id], &why);
            } else if let Some(part) = self.left(&id, sibling, !reach.holds(&dn)) {
                let job = sibling.job.as_str().into();
                self.of_sibling.insert(id, LeftJob { job, part });
            }
        }
        let why = format!(
            "the directory found an entry among the people of the job {:?} without any of the ids \
             that were asked for",
            sibling.job
        );
        self.unclear(&doubtful, &why);
    }

    /// What of this job somebody left who is among the people of another one, if anything.
    fn left(&self, id: &DirectoryId, sibling: &SiblingSearch, is_outside: bool) -> Option<JobPart> {
        let is_no_member = || self.absent.get(id).is_some_and(Absent::is_no_member);
        if is_outside {
            return Some(JobPart::SearchBases);
        }
        (sibling.request.groups.is_some() && is_no_member()).then_some(JobPart::Groups)
    }

    /// Those of another job are not absent.
    fn evidence(mut self) -> Evidence {
        self.absent
            .retain(|id, _| !self.of_sibling.contains_key(id));
        Evidence {
            absent: self.absent,
            there: self.there,
            of_job: self.of_sibling,
            unanswered: self.unanswered,
            locations: self.locations,
            last_dns: BTreeMap::new(),
            emptied_bases: Vec::new(),
            changed_referrals: None,
            lost_groups: Vec::new(),
            lost_grant_groups: Vec::new(),
            still_members: BTreeMap::new(),
            unseen_members: BTreeSet::new(),
            member_accounts: BTreeSet::new(),
        }
    }
}

/// The search of another job.
pub(super) struct SiblingSearch {
    pub job: String,
    pub table: String,
    pub shares_table: bool,
    owns_users: bool,
    pub request: ReadRequest,
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

/// The searches of another job of a directory of this kind, with the time limit of this run. Where
/// the kind decides who is searched for, those whom only some schemas tell apart are among them.
fn of_job(job: &LdapJob, kind: ServerKind, request: &ReadRequest) -> ReadRequest {
    let request = ReadRequest {
        bases: job.search_bases.clone(),
        scope: job.scope,
        groups: groups(job),
        ..request.clone()
    };
    request.for_people(&job.people(kind).where_known(|_| false))
}

/// Whether no connection to a server was established.
pub(super) fn is_unreachable(failure: &ReadFailure) -> bool {
    failure.searches.is_empty()
        && failure.error.concerns_one_server()
        && !failure.error.is_refusal()
}

/// Whether another table of the configuration names the directory that was read; true where that is
/// not known.
pub(super) fn is_the_same(read: &ReadFrom<'_>, answer: &Answer, attribute: &IdAttribute) -> bool {
    match (read.directory, &answer.directory_id) {
        (Some(read), Some(other)) => **read == **other,
        (None, _) | (_, None) => attribute.is_universal(),
    }
}
