//! Who the people are whose users are to be deactivated: names and mail addresses from ftrack, and
//! the DNs that earlier runs saved.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    directory::Absent,
    model::{
        change::Action,
        entry::DirectoryId,
        report::LastKnown,
        user::{EntityId, User},
    },
    state::{self, State},
    sync::{decision::Plan, desired::Desired},
};

/// What is last known of the people of a plan who are missing, by their users.
pub(super) struct LastKnownPeople(HashMap<EntityId, LastKnown>);

impl LastKnownPeople {
    /// What is last known of the people whose users the plan deactivates.
    pub(super) fn of_plan(plan: &Plan<'_>) -> Self {
        let due = plan.decisions.iter().filter_map(|decision| {
            let change = decision.change()?;
            (change.action == Action::Deactivate).then_some((change, decision.user?))
        });
        let people = due.map(|(change, user)| {
            let last_dn = plan.last_dns.get(&change.directory_id).cloned();
            (change.ftrack_id.clone(), last_known(user, last_dn))
        });
        Self(people.collect())
    }

    /// What is last known of the person of a change, if it is about a missing one.
    pub(super) fn of(&self, action: Action, user: &EntityId) -> Option<LastKnown> {
        match action {
            Action::Deactivate => self.0.get(user).cloned(),
            Action::Create | Action::Update | Action::Reactivate | Action::Adopt => None,
        }
    }
}

impl RunContext<'_, LdapWork> {
    /// The last known DNs of absent people; without the state database there are none.
    pub(super) fn last_dns(
        &self,
        absent: &BTreeMap<DirectoryId, Absent>,
    ) -> BTreeMap<DirectoryId, String> {
        if let Some(known) = &self.known_dns {
            let of_absent = known.iter().filter(|(id, _)| absent.contains_key(id));
            return of_absent.map(|(id, dn)| (id.clone(), dn.clone())).collect();
        }
        self.last_dns_of(absent.keys())
    }

    /// Where the entries of these people were when a run last saw them, as far as that is known.
    pub(super) fn last_dns_of<'i>(
        &self,
        ids: impl Iterator<Item = &'i DirectoryId> + Clone,
    ) -> BTreeMap<DirectoryId, String> {
        let (state_dir, job) = (&self.prepared.config.state_dir, &self.prepared.name);
        let names = ids.clone().map(DirectoryId::as_str);
        let dns = state::last_dns(state_dir, job, names).unwrap_or_default();
        ids.filter_map(|id| Some((id.clone(), dns.get(id.as_str())?.clone())))
            .collect()
    }

    /// Saves the DNs of the people of a reading, for when they leave.
    pub(super) fn remember_dns(
        &self,
        state: &State,
        plan: &Plan<'_>,
        desired: &Desired,
    ) -> Result<(), Failure> {
        let people = desired.people().iter();
        let dns = people.map(|(id, person)| (id.as_str(), &*person.dn));
        Ok(state.set_dns(&self.prepared.name, dns, &plan.absences)?)
    }
}

fn last_known(user: &User, last_dn: Option<String>) -> LastKnown {
    let names = [&user.first_name, &user.last_name];
    let names: Vec<&str> = names
        .into_iter()
        .filter_map(|name| name.as_deref())
        .filter(|name| !name.is_empty())
        .collect();
    LastKnown {
        name: (!names.is_empty()).then(|| names.join(" ")),
        email: user.email.as_deref().map(str::to_owned),
        last_dn,
    }
}
