//! The second look at those who would lose a security role or a membership: they are asked for once
//! more among the members of its groups, on every server of the directory.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
    second_look::{MissingByTable, REST, add_person, is_unreachable},
};
use crate::{
    directory,
    directory::{Answer, GroupsRequest, ReadRequest},
    model::{
        change::{HeldBy, Hold},
        grant::GrantName,
        way_to_approve::BY_NUMBER,
    },
    sync::{
        decide::{Evidence, Matched},
        desired::Desired,
    },
};

impl RunContext<'_, LdapWork> {
    /// Asks for everybody who would lose a role or a membership; whoever is a member of its groups all the
    /// same keeps it.
    ///
    /// # Errors
    /// The server that was read does not answer.
    pub(super) async fn look_at_grants(
        &mut self,
        matched: &Matched<'_>,
        desired: &Desired,
        request: &ReadRequest,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        let mut losing: BTreeMap<usize, MissingByTable> = BTreeMap::new();
        let links = matched.losing_grants();
        for (place, link) in &links {
            add_person(losing.entry(*place).or_default(), link);
        }
        let dns = self.last_dns_of(links.iter().map(|(_, link)| &link.id));
        for (place, link) in links {
            let still_named = dns.get(&link.id).filter(|dn| {
                desired
                    .groups()
                    .is_some_and(|read| read.names_for_grants(dn))
            });
            if let Some(dn) = still_named {
                let held = (link.id.clone(), place);
                let what = self.noun_of(place);
                evidence
                    .still_members
                    .insert(held, still_named_by(dn, what));
            }
        }
        let pool = self.work.pool.clone();
        let servers = pool.servers();
        let others = servers
            .iter()
            .map(|server| server.connector.server().to_owned())
            .filter(|server| server != desired.server());
        let servers: Vec<String> = std::iter::once(desired.server().to_owned())
            .chain(others)
            .collect();
        for (place, people) in losing {
            let groups = self.work.rules.groups_of(place);
            if groups.is_empty() {
                // Nobody is to have it.
                continue;
            }
            let request = ReadRequest {
                groups: Some(Arc::new(GroupsRequest {
                    people: groups.to_vec(),
                    of_grants: Vec::new(),
                    bases: self.work.job.group_bases.clone(),
                })),
                ..request.clone()
            };
            for server in &servers {
                self.look_at_grant(server, &request, (place, &people), desired, evidence)
                    .await?;
            }
        }
        Ok(())
    }

    /// What it is called that stands at this place of the rules.
    fn noun_of(&self, place: usize) -> &'static str {
        let name = self.work.rules.grants.get(place);
        name.map_or("role", GrantName::noun)
    }

    async fn look_at_grant(
        &mut self,
        server: &str,
        request: &ReadRequest,
        (place, people): (usize, &MissingByTable),
        desired: &Desired,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        let pool = self.work.pool.clone();
        let is_first = server == desired.server();
        if !is_first && pool.was_refused_within(Some(server), REST) {
            return Ok(());
        }
        for (attribute, ids) in people.values() {
            let cancel = self.until.cancel.clone();
            let asked = directory::ask(&pool, Some(server), request, attribute, ids, &cancel).await;
            let (held, hold) = match asked {
                Ok(Answer {
                    there, doubtful, ..
                }) => (
                    there.into_keys().chain(doubtful).collect(),
                    still_member(server, self.noun_of(place), is_first),
                ),
                Err(failure) if is_first => {
                    return Err(self.record_read_error(ReadError::Directory(failure)));
                }
                Err(failure) => {
                    let unreachable = is_unreachable(&failure);
                    let why = self.unanswered(server, failure)?;
                    evidence.unanswered.push(why.clone());
                    if unreachable {
                        return Ok(());
                    }
                    (ids.clone(), Hold::new(HeldBy::Doubt, why))
                }
            };
            for id in held {
                evidence
                    .still_members
                    .entry((id, place))
                    .or_insert_with(|| hold.clone());
            }
        }
        Ok(())
    }
}

fn still_named_by(dn: &str, what: &str) -> Hold {
    let why = format!(
        "the {what}'s groups still name {dn}, where the person's entry was before it was renamed or \
         moved: correct the groups' members; or, if the person left the groups, approve it"
    );
    Hold::new(HeldBy::Doubt, why)
}

fn still_member(server: &str, what: &str, is_first: bool) -> Hold {
    if is_first {
        let why = format!(
            "asked once more, the directory shows the person as a member of the {what}'s groups, so \
             the {what} stays until the next reading"
        );
        Hold::new(HeldBy::Doubt, why)
    } else {
        let why = format!(
            "{server} still shows the person as a member of the {what}'s groups; the {what} is taken \
             once all servers agree, or with a person's approval: {BY_NUMBER}"
        );
        Hold::new(HeldBy::Replica, why)
    }
}
