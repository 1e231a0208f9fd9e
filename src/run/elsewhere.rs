//! Where the entries of the people are whose users would be deactivated: somebody whom the job's filter
//! or its search bases leave out is not gone, and a report must not say so.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
    second_look::MissingByTable,
};
use crate::{
    directory,
    directory::{LocateRequest, Location, ReadFailure, ReadRequest},
    model::entry::DirectoryId,
    sync::decide::Evidence,
};

/// How long a run looks for entries, whatever its own time limit: it only finds the cause.
const LONGEST: Duration = Duration::from_secs(10);

impl RunContext<'_, LdapWork> {
    /// Where those absent people are on the server that was read of whom that is not known yet.
    /// Whoever cannot be located within that time has no location in it, and stays absent.
    ///
    /// # Errors
    /// Only a stop, and the deadline of the run.
    pub(super) async fn locations(
        &mut self,
        gone: &MissingByTable,
        known: &Evidence,
        server: &str,
        request: &ReadRequest,
    ) -> Result<BTreeMap<DirectoryId, Location>, Failure> {
        let mut locations = BTreeMap::new();
        let deadline = request.deadline.min(Instant::now() + LONGEST);
        for (id_attribute, ids) in gone.values() {
            let is_open = |id: &&DirectoryId| {
                known.absent.contains_key(id) && !known.locations.contains_key(id)
            };
            let ids: Vec<DirectoryId> = ids.iter().filter(is_open).cloned().collect();
            if ids.is_empty() {
                continue;
            }
            let (pool, cancel) = (self.work.pool.clone(), self.until.cancel.clone());
            let wanted = LocateRequest {
                id_attribute,
                ids: &ids,
                deadline,
                cancel: &cancel,
            };
            let located = directory::locate(&pool, server, request, &wanted, &mut locations).await;
            if let Err(error) = located
                && (cancel.is_cancelled() || request.deadline <= Instant::now())
            {
                let failure = ReadFailure {
                    error,
                    server: Some(server.to_owned()),
                    searches: Vec::new(),
                };
                return Err(self.record_read_error(ReadError::Directory(failure)));
            }
        }
        let reach = &self.work.rules.reach;
        // What seems to be within the bases all the same was moved just now, or its DN cannot be
        // compared.
        locations.retain(
            |_, location| !matches!(location, Location::Outside(entry) if reach.holds(&entry.dn)),
        );
        Ok(locations)
    }
}
