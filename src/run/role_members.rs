//! The second look at those who would lose a security role: they are asked for once more among the
//! members of the role's groups, on every server of the directory.

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
    model::change::{HeldBy, Hold},
    sync::{
        decide::{Evidence, Matched},
        desired::Desired,
    },
};

impl RunContext<'_, LdapWork> {
    /// Asks for everybody who would lose a role; whoever is a member of its groups all the same keeps
    /// it.
    ///
    /// # Errors
    /// The server that was read does not answer.
    pub(super) async fn look_at_roles(
        &mut self,
        matched: &Matched<'_>,
        desired: &Desired,
        request: &ReadRequest,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        let mut losing: BTreeMap<usize, MissingByTable> = BTreeMap::new();
        let links = matched.losing_roles();
        for (place, link) in &links {
            add_person(losing.entry(*place).or_default(), link);
        }
        let dns = self.last_dns_of(links.iter().map(|(_, link)| &link.id));
        for (place, link) in links {
            let still_named = dns.get(&link.id).filter(|dn| {
                desired
                    .groups()
                    .is_some_and(|read| read.names_for_roles(dn))
            });
            if let Some(dn) = still_named {
                let held = (link.id.clone(), place);
                evidence.still_members.insert(held, still_named_by(dn));
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
            let Some(groups) = self.work.job.roles.values().nth(place) else {
                continue;
            };
            let request = ReadRequest {
                groups: Some(Arc::new(GroupsRequest {
                    people: groups.clone(),
                    of_roles: Vec::new(),
                    bases: self.work.job.group_bases.clone(),
                })),
                ..request.clone()
            };
            for server in &servers {
                self.look_at_role(server, &request, (place, &people), desired, evidence)
                    .await?;
            }
        }
        Ok(())
    }

    async fn look_at_role(
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
                    still_member(server, is_first),
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

fn still_named_by(dn: &str) -> Hold {
    let why = format!(
        "the role's groups still name {dn}, where the person's entry was before it was renamed or \
         moved: correct the groups' members; or, if the person left the groups, approve it"
    );
    Hold::new(HeldBy::Doubt, why)
}

fn still_member(server: &str, is_first: bool) -> Hold {
    if is_first {
        let why = "asked once more, the directory shows the person as a member of the role's \
                   groups, so the role stays until the next reading";
        Hold::new(HeldBy::Doubt, why)
    } else {
        let why = format!(
            "{server} still shows the person as a member of the role's groups; the role is taken \
             once all servers agree, or with a person's approval: `plan --out FILE`, then `apply \
             FILE`"
        );
        Hold::new(HeldBy::Replica, why)
    }
}
