//! People of the reading: their users are updated, reactivated or created.

use serde_json::Value;

use super::{
    Decider, Draft,
    subject::{Subject, reason_to_reactivate, reason_to_rewrite},
};
use crate::{
    model::{
        change::{Action, Change, ChangeParts},
        edit::{Attribute, Edit},
        link::{Activity, Link},
        reason::Reason,
        user::User,
    },
    sync::{
        decision::{Outcome, Who},
        desired::Identified,
        difference::{Differences, FirstValues, differences, first_values, set, text},
        grants::{GrantDifferences, first_grants},
        matching::created_id,
        owner::Owner,
        rules::{Rules, user_type},
        written::Stage,
    },
};

impl<'a> Decider<'a, '_> {
    /// A user with the person's link: update, reactivate, or nothing.
    pub(super) fn linked(
        &mut self,
        identified: &'a Identified,
        user: &'a User,
        link: &'a Link,
        owner: &Owner,
    ) {
        let (id, person) = identified;
        let who = Who::Person(identified);
        let rules = self.matched.rules;
        if let Some(why) = rules.untouchable(user) {
            let reason = Reason::Untouchable(why);
            return self.settle(who, Some(user), Outcome::Unchanged, reason);
        }
        let stage = match link.activity {
            // Its creation is not finished.
            Activity::Activating => Stage::Creation,
            Activity::Settled
            | Activity::Released
            | Activity::Unlinked
            | Activity::Deactivating { .. }
            | Activity::Deactivated { .. } => Stage::Existing,
        };
        let mut edits = match self.wanted(identified, user, stage) {
            Ok(edits) => edits,
            Err(reason) => return self.skip(who, reason),
        };
        edits.extend(self.picture(identified, Some(link), stage));
        let mut settled = self.matched.settled(identified, user, link);
        // Who is back has not been missing; who may not sign in is still waited for.
        if !self.plan.disabled.contains_key(id.as_str()) {
            settled.notes = settled.notes.with_missing(None);
        }
        let subject = Subject {
            user,
            id,
            dn: Some(&person.dn),
            link: Some(link),
            owner: Some(owner),
        };
        let waking = Waking::of(user, link, rules);
        // Who has no access keeps roles and memberships as they are.
        if user.is_active || waking == Waking::Wakes {
            let GrantDifferences {
                edits: of_grants,
                gone,
            } = self.matched.grant_differences(id, user, &link.given);
            edits.extend(of_grants);
            gone.iter().for_each(|grant| settled.given.forget(grant));
        }
        if waking == Waking::Wakes {
            edits.push(Edit::Activate);
            // Where only the activity changes, it is written with the activity itself.
            if !link.differs_in_activity_alone(&settled) {
                edits.push(Edit::Link);
            }
            let reason = reason_to_reactivate(link, owner);
            return self.change(who, Action::Reactivate, &subject, edits, (reason, settled));
        }
        let stays = match waking {
            Waking::MayNot => Stays::Inactive,
            Waking::Wakes | Waking::AsItIs => Stays::AsItIs,
        };
        self.update(who, &subject, edits, settled, stays);
    }

    /// Updates the values of a user whose activity stays.
    fn update(
        &mut self,
        who: Who<'a>,
        subject: &Subject<'_, 'a>,
        mut edits: Vec<Edit>,
        settled: Link,
        stays: Stays,
    ) {
        let (Some(link), Some(owner)) = (subject.link, subject.owner) else {
            return;
        };
        let new = match stays {
            Stays::AsItIs => settled,
            // A user of another source is taken over as a whole or not at all: its values belong
            // to whoever may make it active again.
            Stays::Inactive if link.source != self.matched.rules.source => {
                let reason = Reason::ReactivateOff;
                return self.settle(who, Some(subject.user), Outcome::Unchanged, reason);
            }
            Stays::Inactive => settled.with(|new| new.activity = link.activity.clone()),
        };
        let is_role = |edit: &Edit| matches!(edit, Edit::Grant(_) | Edit::Revoke(_));
        let mut reason = if edits.iter().all(is_role) {
            Reason::OtherRoles
        } else {
            Reason::OtherValues
        };
        if !link.is_same_but_for_notes(&new) {
            if let Some(of_link) = reason_to_rewrite(link, &new, owner, edits.is_empty()) {
                reason = of_link;
            }
            if matches!(link.activity, Activity::Deactivated { .. }) && stays == Stays::AsItIs {
                reason = Reason::ReactivatedAndBack;
            }
            edits.push(Edit::Link);
        }
        if edits.is_empty() {
            let reason = match (subject.user.is_active, stays) {
                (true, _) => Reason::InStep,
                (false, Stays::AsItIs) => Reason::DeactivatedByHand,
                (false, Stays::Inactive) => Reason::ReactivateOff,
            };
            return self.settle(who, Some(subject.user), Outcome::Unchanged, reason);
        }
        self.change(who, Action::Update, subject, edits, (reason, new));
    }

    /// What sets a user's values.
    ///
    /// # Errors
    /// ftrack would not accept a value.
    pub(super) fn wanted(
        &mut self,
        identified: &'a Identified,
        user: &'a User,
        stage: Stage,
    ) -> Result<Vec<Edit>, Reason> {
        let rules = self.matched.rules;
        let (_, person) = identified;
        if !rules.users.update {
            return Ok(Vec::new());
        }
        if rules.is_api_user(&person.username) {
            return Err(Reason::OwnUsername(person.username.clone()));
        }
        // It was compared before; what is known of values that ftrack stores otherwise was not.
        if stage == Stage::Existing
            && person.is_alike(user, self.matched.current)
            && self
                .matched
                .known
                .stored_otherwise
                .of_user(&user.id)
                .is_none()
        {
            return Ok(Vec::new());
        }
        let Differences {
            edits,
            outdated,
            unlike,
            unfit,
        } = differences(person, user, self.matched.sides(), stage)
            .map_err(|problem| Reason::InvalidValue(problem.into()))?;
        self.note_unfit(identified, unfit);
        let outdated = outdated.into_iter().map(|field| (user.id.clone(), field));
        self.plan.outdated.extend(outdated);
        self.unlike
            .extend(unlike.into_iter().map(|value| (user, value)));
        Ok(edits)
    }

    /// Creates a user.
    pub(super) fn create(&mut self, identified: &'a Identified) {
        let (id, person) = identified;
        let who = Who::Person(identified);
        match self.first_edits(identified) {
            Err(reason) => self.skip(who, reason),
            Ok(mut edits) => {
                let memberships = self.matched.desired.memberships(id);
                let settings = (self.matched.rules, self.matched.current);
                edits.extend(first_grants(memberships, settings));
                let Some(attribute) = self.matched.desired.id_attribute() else {
                    return;
                };
                let change = Change::new(ChangeParts {
                    action: Action::Create,
                    username: person.username.as_ref().into(),
                    dn: Some(person.dn.as_ref().into()),
                    directory_id: id.clone(),
                    ftrack_id: created_id(&self.matched.rules.source, attribute, id),
                    edits,
                    reason: Reason::NoUser,
                    before: None,
                    link: self.matched.first_link(id),
                });
                self.changes.push(Draft {
                    who,
                    user: None,
                    change,
                });
            }
        }
    }

    /// What makes the user of a person who has none.
    ///
    /// # Errors
    /// Why no user is created.
    fn first_edits(&mut self, identified: &'a Identified) -> Result<Vec<Edit>, Reason> {
        let (_, person) = identified;
        let (rules, current) = (self.matched.rules, self.matched.current);
        if !rules.users.create {
            return Err(Reason::CreateOff);
        }
        if rules.is_api_user(&person.username) {
            return Err(Reason::OwnUsername(person.username.clone()));
        }
        if rules.is_protected(&person.username) {
            return Err(Reason::ProtectedUsername(person.username.clone()));
        }
        let FirstValues { mut edits, unfit } = first_values(person, self.matched.sides())
            .map_err(|problem| Reason::InvalidValue(problem.into()))?;
        self.note_unfit(identified, unfit);
        edits.push(Edit::Activate);
        let name = rules.users.user_type.as_deref();
        let found = name.and_then(|name| user_type(name, &current.user_types).ok());
        if let Some(user_type) = found {
            let id = text(&user_type.text());
            edits.push(set(Attribute::UserType, Value::Null, id));
        }
        edits.extend(self.picture(identified, None, Stage::Creation));
        if rules.users.invite {
            edits.push(set(Attribute::Invitation, Value::Null, true.into()));
        }
        Ok(edits)
    }
}

/// Whether a user whose person is there becomes active again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waking {
    /// The user is active, or inactive by what others decided.
    AsItIs,
    /// It does.
    Wakes,
    /// It would, and the rules do not allow that.
    MayNot,
}

impl Waking {
    pub(super) fn of(user: &User, link: &Link, rules: &Rules) -> Self {
        let is_allowed = match link.activity {
            Activity::Settled | Activity::Released => return Self::AsItIs,
            // A create that was begun may be finished by any job that may create.
            Activity::Activating => rules.users.reactivate || rules.users.create,
            Activity::Unlinked | Activity::Deactivating { .. } | Activity::Deactivated { .. } => {
                rules.users.reactivate
            }
        };
        match (user.is_active, is_allowed) {
            (true, _) => Self::AsItIs,
            (false, true) => Self::Wakes,
            (false, false) => Self::MayNot,
        }
    }
}

/// The activity of a user whose values are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    /// It is as it should be.
    AsItIs,
    /// The user would be reactivated, and may not be.
    Inactive,
}
