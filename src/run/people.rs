//! The people of a job with their users, as ftrack's links show them now: no directory is read, and
//! nothing is written or saved.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Progress, RunContext,
    failure::{Failure, PlanError},
    ldap_work::LdapWork,
};
use crate::{
    model::{
        absence::Absences,
        link::{Activity, Link},
        user::{Current, EntityId, User},
    },
    state::{self, Remembered},
    sync::rules::PROTECTED,
};

/// A person of a job and the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct PersonUser {
    pub directory_id: String,
    /// Where the last complete read of the job showed the entry; null where no run saved it.
    pub dn: Option<String>,
    pub username: String,
    pub ftrack_id: EntityId,
    pub email: Option<String>,
    /// Whether the user may sign in.
    pub active: bool,
    pub state: UserState,
    /// When the program deactivated the user; null where it did not.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// Since when the person has been missing from the directory, of somebody whose user is active
    /// still, as the last run knew it.
    pub missing_since: Option<DateTime<Utc>>,
    /// Since when the person may not sign in, of somebody whose user is active still.
    pub disabled_since: Option<DateTime<Utc>>,
    /// Whether `users.protect` protects the user.
    pub protected: bool,
    /// Whether the user has one of the administrator roles.
    pub administrator: bool,
    /// The security roles that the job gave the user, by name, those for one project with `@` and its
    /// name; by id where the job is not mapped to them any more.
    pub roles: Vec<String>,
    /// The groups of which the job made the user a member, by path; by id likewise.
    pub groups: Vec<String>,
}

/// Whose doing it is that a user is active, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// The user may sign in.
    Active,
    /// This program deactivated the user.
    Deactivated,
    /// Somebody else did.
    DeactivatedByHand,
    /// Somebody else reactivated the user, whom this program had deactivated.
    ReactivatedByHand,
    /// The user was refused a seat.
    NoSeat,
    /// A person unlinked the user: nothing is done to it.
    Unlinked,
}

impl UserState {
    /// The name in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::DeactivatedByHand => "deactivated_by_hand",
            Self::ReactivatedByHand => "reactivated_by_hand",
            Self::NoSeat => "no_seat",
            Self::Unlinked => "unlinked",
        }
    }

    fn of(activity: &Activity, is_active: bool) -> Self {
        match (activity, is_active) {
            (Activity::Unlinked, _) => Self::Unlinked,
            (Activity::Settled | Activity::Activating | Activity::Deactivating { .. }, true) => {
                Self::Active
            }
            (Activity::Deactivated { .. } | Activity::Released, true) => Self::ReactivatedByHand,
            (Activity::Deactivated { .. } | Activity::Deactivating { .. }, false) => {
                Self::Deactivated
            }
            (Activity::Settled | Activity::Released, false) => Self::DeactivatedByHand,
            (Activity::Activating, false) => Self::NoSeat,
        }
    }
}

impl CompiledJob {
    /// The people of the job who have a user, or had one before it was unlinked, by login.
    ///
    /// # Errors
    /// ftrack or the state could not be read, or the job reads no directory.
    pub async fn users(
        &self,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<PersonUser>, PlanError> {
        let (mut context, remembered) = self.look(cancel, progress)?;
        let current = Box::pin(context.all_users()).await;
        let current = current.map_err(|Failure { why, .. }| PlanError::Read(why))?;
        context.people_of(&current, &remembered)
    }
}

impl RunContext<'_, LdapWork> {
    fn people_of(
        &self,
        current: &Current,
        remembered: &Remembered,
    ) -> Result<Vec<PersonUser>, PlanError> {
        let own = self.known_links(remembered, current);
        let own = own.map_err(|error| PlanError::Read(error.to_string()))?;
        let users = current.users.iter();
        let of_job: Vec<(&User, &Link)> = users
            .filter_map(|user| Some((user, user.link.tie()?)))
            .filter(|(_, link)| own.has(link))
            .collect();
        let ids = of_job.iter().map(|(_, link)| link.id.as_str());
        let (state_dir, job) = (&self.prepared.config.state_dir, &self.prepared.name);
        let dns = state::last_dns(state_dir, job, ids)?;
        let of_person = |(user, link): (&User, &Link)| {
            let (roles, groups) = current.names_of(&link.given);
            PersonUser {
                directory_id: link.id.as_str().to_owned(),
                dn: dns.get(link.id.as_str()).cloned(),
                username: user.username.to_string(),
                ftrack_id: user.id.clone(),
                email: user.email.as_deref().map(ToOwned::to_owned),
                active: user.is_active,
                state: UserState::of(&link.activity, user.is_active),
                deactivated_at: link.activity.deactivated_at(),
                missing_since: waiting(user, since(&remembered.absences, link)),
                disabled_since: waiting(user, since(&remembered.disabled, link)),
                protected: self.is_protected(user, link),
                administrator: user.administrator,
                roles,
                groups,
            }
        };
        let mut people: Vec<PersonUser> = of_job.into_iter().map(of_person).collect();
        people.sort_by(|one, other| one.username.cmp(&other.username));
        Ok(people)
    }

    fn is_protected(&self, user: &User, link: &Link) -> bool {
        let is_guarded = self.work.rules.guarded(user) == Some(PROTECTED);
        // An administrator may be protected as well.
        let recorded = link.protected;
        is_guarded || recorded.unwrap_or_else(|| self.work.rules.is_protected(&user.username))
    }
}

/// A time from which on somebody is waited for, as long as there is something to end.
fn waiting(user: &User, since: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    since.filter(|_| user.is_active)
}

fn since(known: &Absences, link: &Link) -> Option<DateTime<Utc>> {
    let absence = known.get(link.id.as_str())?;
    Some(absence.since.here)
}
