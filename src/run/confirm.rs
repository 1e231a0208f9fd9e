//! Before users are created: asks ftrack once more whether the user, or the link, exists already
//! and was missing from its lists.

use super::{
    RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
};
use crate::{
    ftrack::read,
    model::{change::Action, user::Current},
    sync::decision::Plan,
};

impl RunContext<'_, LdapWork> {
    /// Asks for the users that would be created, and for the links of those who seem to have none;
    /// a list that lacked one fails the run.
    pub(super) async fn confirm(
        &mut self,
        plan: &Plan<'_>,
        current: &Current,
    ) -> Result<(), Failure> {
        let created: Vec<_> = plan
            .changes_of(Action::Create)
            .map(|change| change.ftrack_id.clone())
            .collect();
        if created.is_empty() && plan.changes_of(Action::Adopt).next().is_none() {
            return Ok(());
        }
        let confirmed = read::confirm(&self.reader, current, &created, &self.until).await;
        confirmed.map_err(|error| self.record_read_error(ReadError::Ftrack(error)))
    }
}
