//! Members of groups that a reading shows neither as groups nor as people: somebody who seems to have
//! left the groups may be in one of them, if it is a group that cannot be seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
};
use crate::{
    directory::{Absent, GroupsRead, ReadFailure, ReadRequest, dn::Dn, outside_members},
    state,
    sync::decide::Evidence,
};

impl RunContext<'_, LdapWork> {
    /// Finds out which of the members that no earlier run knew are accounts; the others may be groups.
    ///
    /// # Errors
    /// The server did not answer.
    pub(super) async fn look_at_members(
        &mut self,
        groups: &GroupsRead,
        before: &BTreeMap<String, usize>,
        request: &ReadRequest,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        if !evidence.absent.values().any(Absent::is_no_member) {
            return Ok(());
        }
        let known: HashSet<Dn> = before.keys().filter_map(|dn| Dn::parse(dn)).collect();
        let is_new = |dn: &String| Dn::parse(dn).is_some_and(|dn| !known.contains(&dn));
        let new: BTreeSet<String> = groups.outside().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let (former, new) = self.former_people(new);
        let accounts = self.accounts(&new, request).await?;
        evidence.unseen_members = new.difference(&accounts).cloned().collect();
        evidence.member_accounts = former.into_iter().chain(accounts).collect();
        Ok(())
    }

    /// Those at which an earlier run saw people, and the others.
    fn former_people(&self, dns: BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
        let (state_dir, job) = (&self.prepared.config.state_dir, &self.prepared.name);
        // Without the state database, nobody is known.
        let people = state::all_dns(state_dir, job).unwrap_or_default();
        let people: HashSet<Dn> = people.iter().filter_map(|dn| Dn::parse(dn)).collect();
        let is_persons = |dn: &String| Dn::parse(dn).is_some_and(|dn| people.contains(&dn));
        dns.into_iter().partition(is_persons)
    }

    /// Those that the server which was read shows as accounts.
    async fn accounts(
        &mut self,
        dns: &BTreeSet<String>,
        request: &ReadRequest,
    ) -> Result<BTreeSet<String>, Failure> {
        let directory = self.report.directory.as_ref();
        let Some(server) = directory.and_then(|directory| directory.server.clone()) else {
            return Ok(BTreeSet::new());
        };
        let (pool, cancel) = (self.work.pool.clone(), self.until.cancel.clone());
        let accounts =
            outside_members::accounts(&pool, &server, dns, request.deadline, &cancel).await;
        accounts.map_err(|error| {
            let failure = ReadFailure {
                error,
                server: Some(server),
                searches: Vec::new(),
            };
            self.record_read_error(ReadError::Directory(failure))
        })
    }
}
