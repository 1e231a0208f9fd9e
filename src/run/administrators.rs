//! The last check of the administrators, right before somebody is deactivated: concurrent runs must
//! not deactivate the last ones together.

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use super::{RunContext, failure::Failure};
use crate::{
    ftrack,
    ftrack::{error::FtrackError, session::Until, user_state::Columns},
    model::{fold::fold, user::EntityId},
    state::{files::StateError, folder::Folder},
    sync::guard::{Approval, Vetted, ends_administration},
};

/// The interval between two attempts to take the lock.
const PAUSE: Duration = Duration::from_millis(50);

/// The name of the lock in the state directory.
const NAME: &str = "administrators.lock";

/// Held while administrators are deactivated, by one run at a time of all programs on a state
/// directory. Programs on other machines do not see it.
#[derive(Debug)]
pub(super) struct AdministratorLock {
    _file: File,
}

impl AdministratorLock {
    async fn take(state_dir: &Path, until: &Until) -> Result<Option<Self>, StateError> {
        let file = Folder::make(state_dir)?.lock_file(NAME)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(StateError::new("lock", &state_dir.join(NAME), source));
                }
            }
            if std::time::Instant::now() >= until.deadline {
                return Ok(None);
            }
            tokio::select! {
                () = until.cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

impl<W> RunContext<'_, W> {
    /// Reads the administrators once more where somebody would be deactivated or lose a role that makes
    /// an administrator, and holds what would take the last one. The returned lock is held until everything is written.
    pub(super) async fn look_at_administrators(
        &mut self,
        vetted: &mut Vetted,
        approval: Approval,
    ) -> Result<Option<AdministratorLock>, Failure> {
        if !vetted.allowed().iter().any(ends_administration) {
            return Ok(None);
        }
        let Some(lock) =
            AdministratorLock::take(&self.prepared.config.state_dir, &self.until).await?
        else {
            return Err(Failure::refused(
                "another run is deactivating administrators (only one run may at a time), and \
                 nothing was written",
            ));
        };
        let active = self.active_administrators().await;
        let active = active.map_err(|error| self.ftrack_unread(&error))?;
        vetted.look_again(&active, approval);
        let is_going = vetted
            .allowed()
            .iter()
            .any(|change| active.contains(&change.ftrack_id));
        Ok(is_going.then_some(lock))
    }

    /// The active administrators except the API user, who does not count as a person.
    async fn active_administrators(&self) -> Result<BTreeSet<EntityId>, FtrackError> {
        let roles = &self.prepared.config.ftrack.administrator_roles;
        let administrators = ftrack::read::administrators(&self.reader, roles, &self.until).await?;
        let states = ftrack::user_state::states(
            &self.reader,
            &administrators,
            Columns::default(),
            &self.until,
        )
        .await?;
        let api_user = fold(&self.prepared.config.ftrack.api_user);
        let stays = |username: &str, is_active: bool| is_active && fold(username) != api_user;
        let active = states
            .into_iter()
            .filter(|(_, state)| stays(&state.username, state.is_active));
        Ok(active.map(|(id, _)| id).collect())
    }
}
