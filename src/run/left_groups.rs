//! Who is still in the groups of the other jobs: a job with groups takes over those who are members of
//! its own groups and left those of the job that has their users.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    RunContext,
    failure::Failure,
    ldap_work::LdapWork,
    second_look::{
        MissingByTable, REST_OF_OTHERS, ReadFrom, SiblingSearch, add_person, is_the_same,
    },
};
use crate::{
    directory,
    directory::{Answer, ReadRequest},
    model::entry::DirectoryId,
    sync::{decide::Matched, desired::Desired, owner::LeftGroups},
};

impl RunContext<'_, LdapWork> {
    /// Asks in the searches of the other jobs with groups for those people of this reading whose users
    /// they have. Nobody left a group that cannot be read.
    pub(super) async fn left_groups(
        &mut self,
        matched: &Matched<'_>,
        desired: &Desired,
        request: &ReadRequest,
    ) -> Result<LeftGroups, Failure> {
        let mut left = LeftGroups::new();
        if request.groups.is_none() {
            return Ok(left);
        }
        let mut kept: BTreeMap<&str, MissingByTable> = BTreeMap::new();
        for (job, link) in matched.kept_by_others() {
            add_person(kept.entry(job).or_default(), link);
        }
        if kept.is_empty() {
            return Ok(left);
        }
        let read = ReadFrom {
            server: desired.server(),
            directory: desired.directory(),
        };
        for sibling in self.siblings((matched, desired), request) {
            let asked = kept.get(&*sibling.job);
            if let Some(asked) = asked.filter(|_| sibling.request.groups.is_some()) {
                let of_job = self.left_groups_of(&sibling, asked, &read).await?;
                if !of_job.is_empty() {
                    left.insert(sibling.job, of_job);
                }
            }
        }
        Ok(left)
    }

    /// Those of these people whose entries the search of another job finds, in none of its groups.
    async fn left_groups_of(
        &mut self,
        sibling: &SiblingSearch,
        asked: &MissingByTable,
        read: &ReadFrom<'_>,
    ) -> Result<BTreeSet<DirectoryId>, Failure> {
        let mut left = BTreeSet::new();
        let Some(pool) = self.prepared.servers.directory(&sibling.table) else {
            return Ok(left);
        };
        if !sibling.shares_table && pool.was_refused_within(None, REST_OF_OTHERS) {
            return Ok(left);
        }
        let servers = pool.servers();
        let mut of_table = servers.iter().map(|server| server.connector.server());
        let names_it = of_table.any(|server| server == read.server);
        let server = (sibling.shares_table || names_it).then_some(read.server);
        let whom = format!("the directory of the job {:?}", sibling.job);
        for (attribute, ids) in asked.values() {
            let cancel = &self.until.cancel;
            let answer =
                directory::ask(pool, server, &sibling.request, attribute, ids, cancel).await;
            match answer {
                Ok(answer) if sibling.shares_table || is_the_same(read, &answer, attribute) => {
                    let Answer {
                        mut no_members,
                        unclear,
                        doubtful,
                        ..
                    } = answer;
                    no_members.retain(|id| !unclear.contains_key(id) && !doubtful.contains(id));
                    left.extend(no_members);
                }
                Ok(_) => {}
                Err(failure) => {
                    let error = failure.error.to_string();
                    self.unanswered(&whom, failure)?;
                    self.notes.push(format!(
                        "it is not known who left the groups of the job {:?}, so nobody is taken \
                         over from it: {error}",
                        sibling.job
                    ));
                }
            }
        }
        Ok(left)
    }
}
