//! Which links are a job's, where no directory is read.

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{
        own_links::{OwnLinks, SeveralDirectories},
        user::Current,
    },
    state::Remembered,
};

impl RunContext<'_, LdapWork> {
    /// The links of the job, by the ids of the directory that its runs read: the present one, which
    /// links have only once a person approved it, and that of before.
    ///
    /// # Errors
    /// No run is known, and the links name several directories.
    pub(super) fn known_links(
        &self,
        remembered: &Remembered,
        current: &Current,
    ) -> Result<OwnLinks, SeveralDirectories> {
        let settings = remembered.settings.as_ref();
        let read = settings.and_then(|settings| settings.directory());
        let known: Vec<&str> = remembered
            .directory
            .as_deref()
            .into_iter()
            .chain(read)
            .collect();
        let source = &self.work.rules.source;
        if known.is_empty() {
            return OwnLinks::known(source, self.work.pool.id(), current);
        }
        Ok(OwnLinks::new(source, known))
    }
}

impl From<SeveralDirectories> for Failure {
    fn from(error: SeveralDirectories) -> Self {
        Self::refused(format!("{error}; nothing was written"))
    }
}
