//! What a run notes for the runs that read only what changed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Aim, RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
};
use crate::{
    directory,
    directory::{ReadRequest, changes::Position},
    model::{
        change::{Action, Change},
        edit::{Attribute, Edit},
        fold::fold,
        report::{ChangeResult, FailureKind, Reported},
        user::{Current, EntityId, User},
    },
    state::{Again, KnownChanges, KnownUser, State},
    sync::{decide::UsersBefore, decision::Plan, desired::Desired, guard::Vetted},
};

/// The namespace of the digests of configurations.
const NAMESPACE: Uuid = Uuid::from_u128(0x2a81_40c3_95be_5d3f_b2a0_0c4d_7e19_66f8);
/// The most people who are looked at again; where there are more, everything is read.
const MOST_AGAIN: usize = 1000;

/// What a plan leaves for later runs of changes.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub users: BTreeMap<EntityId, KnownUser>,
    pub again: BTreeMap<String, Again>,
    pub without_user: BTreeSet<String>,
}

/// What later runs of changes know once everything is written.
#[derive(Debug)]
pub(super) struct Kept {
    known: KnownChanges,
    /// Whose users are deactivated since they are gone.
    gone: BTreeSet<String>,
}

impl Marks {
    /// Those of a plan; of a run of changes, beside what was known of others before.
    pub fn of(
        desired: &Desired,
        current: &Current,
        vetted: &Vetted,
        before: Option<&KnownChanges>,
    ) -> Self {
        let held = vetted.held().iter().map(|held| &held.change);
        let mut again = BTreeMap::new();
        let mut without_user = BTreeSet::new();
        if let Some(before) = before {
            again.clone_from(&before.again);
            // Whoever was looked at is judged anew.
            again.retain(|id, _| !is_told(desired, id));
            without_user.clone_from(&before.without_user);
            without_user.retain(|id| !is_told(desired, id));
        }
        again.extend(held.map(|change| again_of(change, desired)));
        let linked = current.users.iter().filter_map(|user| user.link.link());
        let linked: BTreeSet<&str> = linked.map(|link| link.id.as_str()).collect();
        let given: BTreeSet<&str> = vetted
            .allowed()
            .iter()
            .map(|change| change.directory_id.as_str())
            .collect();
        let shown = desired.shown().map(|id| id.as_str());
        let lacking = shown.filter(|id| !linked.contains(id) && !given.contains(id));
        without_user.extend(lacking.map(ToOwned::to_owned));
        Self {
            users: known_users(current, vetted),
            again,
            without_user,
        }
    }
}

fn is_told(desired: &Desired, id: &str) -> bool {
    crate::model::entry::DirectoryId::new(id).is_some_and(|id| desired.tells_of(&id))
}

fn again_of(change: &Change, desired: &Desired) -> (String, Again) {
    let is_gone = change.action == Action::Deactivate && desired.lacks(&change.directory_id);
    let again = if is_gone {
        Again::Deleted
    } else {
        Again::Changed
    };
    (change.directory_id.as_str().to_owned(), again)
}

/// The users that were read, and those that are written, whatever comes of it: the index only says
/// whom to read.
fn known_users(current: &Current, vetted: &Vetted) -> BTreeMap<EntityId, KnownUser> {
    let claims: BTreeMap<&EntityId, _> = current
        .claims
        .iter()
        .map(|(person, user)| (user, person))
        .collect();
    let known = |user: &User| {
        let person = user.link.tie().map(|link| &link.id);
        let person = person.or_else(|| claims.get(&user.id).copied());
        let mail = user.email.as_deref().map(fold);
        KnownUser::new(person, &fold(&user.username), mail.as_deref())
    };
    let mut users: BTreeMap<EntityId, KnownUser> = current
        .users
        .iter()
        .map(|user| (user.id.clone(), known(user)))
        .collect();
    for change in vetted.allowed() {
        let text = |wanted: &Attribute| {
            change.edits.iter().find_map(|edit| match edit {
                Edit::Set { attribute, values } if attribute == wanted => values.new.as_str(),
                Edit::Set { .. }
                | Edit::Activate
                | Edit::Deactivate
                | Edit::Grant(_)
                | Edit::Revoke(_)
                | Edit::Link => None,
            })
        };
        let mail = text(&Attribute::Email).map(fold);
        let login = text(&Attribute::Username).unwrap_or(&change.username);
        let user = KnownUser::new(Some(&change.directory_id), &fold(login), mail.as_deref());
        users.insert(change.ftrack_id.clone(), user);
    }
    users
}

impl RunContext<'_, LdapWork> {
    /// Identifies the configuration of the job, as far as its readings and plans depend on it.
    pub(super) fn configuration(&self) -> String {
        let job = &self.work.job;
        let directory = self.prepared.config.directories.get(&job.directory);
        let account = directory.and_then(|directory| directory.account());
        let of_directory = directory.map(|directory| {
            (
                directory.kind,
                directory.id.clone(),
                directory.id_attribute.clone(),
            )
        });
        let text = format!("{job:?} {account:?} {of_directory:?}");
        Uuid::new_v5(&NAMESPACE, text.as_bytes()).to_string()
    }

    /// Up to where the changes will be known by a reading that begins now; none where no run reads
    /// only what changed, or the server cannot tell.
    pub(super) async fn position(
        &mut self,
        aim: &Aim,
        request: &ReadRequest,
        state: &State,
    ) -> Result<Option<Position>, Failure> {
        if !matches!(aim, Aim::Write { .. }) || !self.work.job.reads_changes() {
            return Ok(None);
        }
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let before = state
            .known_changes(job, ftrack)?
            .map(|known| known.position);
        let (pool, cancel) = (&self.work.pool, self.until.cancel.clone());
        let told = directory::changes::position(pool, request, before.as_ref(), &cancel).await;
        match told {
            Ok(position) => {
                self.notes.extend(position.ahead());
                Ok(Some(position))
            }
            Err(unread) => match FailureKind::from(&unread.error) {
                // The read itself tells more; only what could lock an account is not tried twice.
                FailureKind::DirectoryRefused | FailureKind::Stopped | FailureKind::TimeLimit => {
                    Err(self.record_read_error(ReadError::Directory(unread)))
                }
                FailureKind::Directory
                | FailureKind::FtrackRefused
                | FailureKind::Ftrack
                | FailureKind::FtrackUnclear
                | FailureKind::State
                | FailureKind::Refused
                | FailureKind::PlanRefused
                | FailureKind::Internal => {
                    self.notes.push(format!(
                        "it is not known up to where the changes of the directory are read, so the \
                         next run of changes reads everything: {}",
                        unread.error
                    ));
                    Ok(None)
                }
            },
        }
    }

    /// What the runs of changes after a complete reading know; none where they have to read
    /// everything as well.
    pub(super) fn known_after(
        &self,
        position: Option<Position>,
        plan: &Plan<'_>,
        desired: &Desired,
    ) -> Option<KnownChanges> {
        // A server that lags behind, or may, is not believed, and so does not tell what changed.
        let position = position.filter(|position| {
            plan.replica.is_none()
                && position.server == desired.server()
                && position.directory.as_deref() == plan.directory.as_deref()
        })?;
        let per = TimeDelta::from_std(self.work.job.limits.per).unwrap_or(TimeDelta::MAX);
        let per = per.checked_add(&per).unwrap_or(TimeDelta::MAX);
        let oldest = Utc::now().checked_sub_signed(per);
        let late = plan.deactivated_at.iter().copied();
        Some(KnownChanges {
            configuration: self.configuration(),
            position,
            id_attribute: desired.id_attribute()?.clone(),
            entries: desired.entries(),
            users: UsersBefore {
                owned: plan.owned,
                owned_active: plan.owned_active,
                linked: plan.linked,
                deactivated_at: late
                    .filter(|at| oldest.is_none_or(|oldest| *at > oldest))
                    .collect(),
            },
            again: BTreeMap::new(),
            without_user: BTreeSet::new(),
            leavers_wait: !plan.doubts.is_empty() || plan.has_unseen_member,
        })
    }

    /// Saves the index of the users, before anything is written: it only says whom to read.
    pub(super) fn index(
        &self,
        state: &State,
        desired: &Desired,
        vetted: &Vetted,
        known: Option<(KnownChanges, Marks)>,
    ) -> Result<Option<Kept>, Failure> {
        let Some((known, marks)) = known else {
            return Ok(None);
        };
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        if desired.is_of_everybody() {
            state.set_known_users(job, ftrack, &marks.users)?;
        } else {
            state.add_known_users(job, ftrack, &marks.users)?;
        }
        let gone = vetted.changes().map(|change| &change.directory_id);
        let gone = gone.filter(|id| desired.lacks(id));
        Ok(Some(Kept {
            gone: gone.map(|id| id.as_str().to_owned()).collect(),
            known: KnownChanges {
                again: marks.again,
                without_user: marks.without_user,
                ..known
            },
        }))
    }

    /// Keeps what later runs of changes know, now that what it covers is written: whatever was held
    /// or failed is looked at again.
    pub(super) fn keep_known(&self, state: &State, kept: Option<Kept>) -> Result<(), Failure> {
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let known = kept.and_then(|Kept { mut known, gone }| {
            let is_open = |change: &&Reported| match change.result {
                ChangeResult::Failed | ChangeResult::Unsettled | ChangeResult::Unconfirmed => true,
                ChangeResult::Held
                | ChangeResult::Rejected
                | ChangeResult::Applied
                | ChangeResult::Planned => false,
            };
            for change in self.report.changes.iter().filter(is_open) {
                let Some(id) = &change.directory_id else {
                    continue;
                };
                let again = if gone.contains(id) {
                    Again::Deleted
                } else {
                    Again::Changed
                };
                known.again.insert(id.clone(), again);
            }
            (known.again.len() <= MOST_AGAIN).then_some(known)
        });
        Ok(state.set_known_changes(job, ftrack, known.as_ref())?)
    }
}
