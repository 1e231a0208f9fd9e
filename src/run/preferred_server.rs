//! Which server of a domain counts as the preferred one for a job, over its runs.

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{change::Action, preferred_server::PreferredServer},
    state::{Remembered, State},
    sync::{
        decision::Plan,
        desired::Desired,
        guard::{Approval, Vetted},
    },
};

impl RunContext<'_, LdapWork> {
    /// The domain whose DNS records name the servers, where it matters which comes first.
    fn domain(&self) -> Option<String> {
        let directories = &self.prepared.config.directories;
        let directory = directories.get(&self.work.job.directory)?;
        let domain = directory.srv.as_deref();
        let domain = domain.filter(|_| !directory.trust_replicas)?;
        Some(domain.trim_end_matches('.').to_ascii_lowercase())
    }

    /// The one that earlier runs know of the domain; none where they know none, or it is configured
    /// which server comes first.
    pub(super) fn preferred_server<'r>(
        &self,
        remembered: &'r Remembered,
    ) -> Option<&'r PreferredServer> {
        let domain = self.domain()?;
        let known = remembered.preferred_server.as_ref();
        known.filter(|known| known.domain() == domain)
    }

    /// Saves it after a complete reading. A person who approved what follows from the reading of
    /// another server made that one the preferred one.
    pub(super) fn remember_preferred_server(
        &self,
        state: &State,
        remembered: &Remembered,
        desired: &Desired,
        (plan, vetted): (&Plan<'_>, &Vetted),
        approval: Approval,
    ) -> Result<(), Failure> {
        let Some(domain) = self.domain().filter(|_| desired.is_preferred()) else {
            return Ok(());
        };
        let is_approved = || approval.is_of(vetted, |change| change.action != Action::Create);
        let server = desired.server();
        let now = match self.preferred_server(remembered) {
            Some(known) if plan.replica.is_none() || !is_approved() => {
                known.after(server, &self.present(remembered))
            }
            Some(_) | None => PreferredServer::new(&domain, server),
        };
        state.set_preferred_server(&self.prepared.name, remembered, &now)?;
        Ok(())
    }
}
