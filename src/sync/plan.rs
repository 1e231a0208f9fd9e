//! The plan: a pure function from the desired and the current state to a list of changes with
//! reasons.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::model::{
    entry::DirectoryId,
    id::IdAttribute,
    link::{Activity, Form, Link, Signature},
    stored_link::as_value,
    user::{Current, User},
};

use super::{
    desired::{Desired, Person},
    difference::{differences, first_values, text},
    matching::{Match, created_id, match_people},
    order,
    owner::{OtherDirectory, Owner, Owners},
    rules::Rules,
};
use crate::model::change::{Absences, Action, Change, Field, Hold, Plan, Skipped, Values};

mod logins;
mod missing;
mod strangers;
mod subject;

use subject::{Subject, reason_to_reactivate, reason_to_rewrite};

/// What a job remembers from its earlier runs.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who was missing after the last complete read.
    pub absences: &'a Absences,
    /// The directory's id in the last run.
    pub directory: Option<&'a str>,
}

/// Both servers were read completely, but the combined result must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// The directory is another one.
    #[error(transparent)]
    OtherDirectory(#[from] OtherDirectory),
    /// Most people's users are not this job's.
    #[error(
        "{count} of {people} people have users that {whose}, so nothing was written: {way_out}"
    )]
    NotOurs {
        /// How many people.
        count: usize,
        /// Of how many.
        people: usize,
        /// Whose the users are.
        whose: String,
        /// What to do about it.
        way_out: String,
    },
}

/// Computes the changes; equal values give equal plans, byte for byte.
///
/// # Errors
/// The directory is another one than before, or most of its people have users that are not this
/// job's.
pub fn plan(
    desired: &Desired,
    current: &Current,
    rules: &Rules,
    before: Known<'_>,
    now: DateTime<Utc>,
) -> Result<Plan, PlanRefused> {
    let owners = Owners::new(desired, current, rules, before.directory)?;
    let mut planner = Planner::new(desired, current, rules, &owners, now);
    let matches = match_people(desired, current, rules, &owners);
    strangers::most_are_ours(desired, current, &owners, &matches)?;
    let present = linked_users(&matches, current);
    for ((id, person), found) in desired.people().iter().zip(matches) {
        match found {
            Match::Linked(place, Owner::Sibling { job }) => planner.leave_to(job, place),
            Match::Linked(place, owner) => planner.linked(id, person, place, &owner),
            Match::Adopted(place) => planner.adopt(id, person, place),
            Match::New => planner.create(id, person),
            Match::LeftOut(reason) => planner.skip(&person.dn, reason),
        }
    }
    planner.missing(&present, before.absences);
    planner.skip_taken_usernames();
    Ok(planner.finish())
}

struct Planner<'a> {
    desired: &'a Desired,
    current: &'a Current,
    rules: &'a Rules,
    owners: &'a Owners<'a>,
    now: DateTime<Utc>,
    plan: Plan,
    /// People of this reading whom another job owns, by its name.
    of_siblings: BTreeMap<String, usize>,
    /// True if no active administrator is visible, so that anybody may be one.
    is_blind: bool,
}

impl<'a> Planner<'a> {
    fn new(
        desired: &'a Desired,
        current: &'a Current,
        rules: &'a Rules,
        owners: &'a Owners<'a>,
        now: DateTime<Utc>,
    ) -> Self {
        let stays = |user: &&User| {
            user.administrator && user.is_active && !rules.is_api_user(&user.username)
        };
        let mut plan = Plan {
            skipped: desired.skipped().to_vec(),
            warnings: [desired.notes(), &current.warnings].concat(),
            active_administrators: current
                .users
                .iter()
                .filter(stays)
                .map(|user| user.id.clone())
                .collect(),
            replica: (!desired.is_preferred()).then(|| desired.server().to_owned()),
            directory: desired
                .directory()
                .filter(|_| owners.former_directories().next().is_none())
                .cloned(),
            of_other_directories: owners.of_other_directories(current),
            ..Plan::default()
        };
        if desired.unidentified() > 0 {
            plan.doubts.push(format!(
                "{} entries show no id attribute, so nobody can be proven absent; grant the bind \
                 account read access to it, or set id_attribute",
                desired.unidentified()
            ));
        }
        if desired.directory().is_none() {
            plan.warnings.push(
                "the id of the naming context's own entry cannot be read, so links do not record \
                 the directory of their people; grant the bind account read access to it, or set \
                 id for the directory"
                    .to_owned(),
            );
        }
        if let Some(server) = &plan.replica {
            plan.warnings.push(format!(
                "{server} was read instead of the preferred server, and may lag behind: only \
                 creates are written; trust_replicas = true changes that"
            ));
        }
        for before in owners.former_directories() {
            plan.warnings.push(format!(
                "the directory's id differs from the links ({before:?} before), but most of their \
                 people are in it: an approval rewrites them"
            ));
        }
        Self {
            desired,
            current,
            rules,
            owners,
            now,
            plan,
            of_siblings: BTreeMap::new(),
            is_blind: !current
                .users
                .iter()
                .any(|user| user.administrator && user.is_active),
        }
    }

    fn skip(&mut self, dn: &str, reason: String) {
        self.plan.skipped.push(Skipped {
            dn: dn.into(),
            reason,
        });
    }

    fn warn(&mut self, text: String) {
        self.plan.warnings.push(text);
    }

    fn hold(&mut self, user: &User, hold: Hold) {
        self.plan.holds.entry(user.id.clone()).or_insert(hold);
    }

    /// A person whom another job owns: it stays the owner as long as the entry lies in its bases,
    /// whatever its filter says.
    fn leave_to(&mut self, job: String, place: usize) {
        if self.current.users.get(place).is_some() {
            *self.of_siblings.entry(job).or_default() += 1;
        }
    }

    /// A user with the person's link: update, reactivate, or nothing.
    fn linked(&mut self, id: &DirectoryId, person: &Person, place: usize, owner: &Owner) {
        let Some((user, link)) = self
            .current
            .users
            .get(place)
            .and_then(|user| Some((user, user.link.link()?)))
        else {
            return;
        };
        if let Some(reason) = self.rules.untouchable(user) {
            self.plan.unchanged += 1;
            return self.warn(format!(
                "the user {:?} is left alone: {reason}",
                user.username
            ));
        }
        let settled = self.settled(id, link);
        let subject = Subject {
            user,
            id,
            person: Some(person),
            link: Some(link),
            owner: Some(owner),
        };
        let wakes =
            !user.is_active && !matches!(link.activity, Activity::Settled | Activity::Released);
        let may_wake = match link.activity {
            // A create that was begun may be finished by any job that may create.
            Activity::Activating => self.rules.users.reactivate || self.rules.users.create,
            Activity::Settled
            | Activity::Released
            | Activity::Deactivating { .. }
            | Activity::Deactivated { .. } => self.rules.users.reactivate,
        };
        let Some(mut fields) = self.wanted(person, user) else {
            return;
        };
        if wakes && may_wake {
            fields.insert(
                Field::IsActive,
                Values {
                    old: Value::Bool(false),
                    new: Value::Bool(true),
                },
            );
            self.insert_link(&mut fields, user, link, &settled);
            return self.change(
                Action::Reactivate,
                &subject,
                fields,
                reason_to_reactivate(link, owner),
                settled,
            );
        }
        self.update(&subject, fields, (link, owner), settled, wakes);
    }

    /// Updates the values of a user whose activity stays; `stays_inactive` when it would be
    /// reactivated, and may not be.
    fn update(
        &mut self,
        subject: &Subject<'_>,
        mut fields: BTreeMap<Field, Values>,
        (link, owner): (&Link, &Owner),
        settled: Link,
        stays_inactive: bool,
    ) {
        let user = subject.user;
        // A user of another source is only taken over together with its activity.
        let kept = match (stays_inactive, link.source == self.rules.source) {
            (false, _) => settled,
            (true, true) => Link {
                activity: link.activity.clone(),
                ..settled
            },
            (true, false) => link.clone(),
        };
        let mut reason = "the directory has other values".to_owned();
        if *link != kept {
            if let Some(of_link) = reason_to_rewrite(link, &kept, owner, fields.is_empty()) {
                reason = of_link;
            }
            if matches!(link.activity, Activity::Deactivated { .. }) && !stays_inactive {
                "somebody reactivated the user, and the person is back in the directory"
                    .clone_into(&mut reason);
                self.warn(format!(
                    "the user {:?}, whom this program deactivated, was reactivated by somebody \
                     else; the person is back in the directory",
                    user.username
                ));
            }
            fields.insert(
                Field::Link,
                Values {
                    old: as_value(&user.id, link),
                    new: as_value(&user.id, &kept),
                },
            );
        }
        if fields.is_empty() {
            self.plan.unchanged += 1;
            return;
        }
        self.change(Action::Update, subject, fields, reason, kept);
    }

    /// Includes the link among the written fields where more of it changes than the activity, which
    /// is written with it.
    fn insert_link(
        &self,
        fields: &mut BTreeMap<Field, Values>,
        user: &User,
        old: &Link,
        new: &Link,
    ) {
        if (&old.source, &old.directory, old.form, old.signature)
            != (&new.source, &new.directory, new.form, new.signature)
        {
            fields.insert(
                Field::Link,
                Values {
                    old: as_value(&user.id, old),
                    new: as_value(&user.id, new),
                },
            );
        }
    }

    /// The changes to a user's values; `None` when the entry was skipped for a value that ftrack
    /// would not accept.
    fn wanted(&mut self, person: &Person, user: &User) -> Option<BTreeMap<Field, Values>> {
        if !self.rules.users.update {
            return Some(BTreeMap::new());
        }
        if self.rules.is_api_user(&person.username) {
            self.skip(
                &person.dn,
                format!(
                    "the username {:?} is that of the program's own API user",
                    person.username
                ),
            );
            return None;
        }
        match differences(person, user, self.current) {
            Ok(fields) => Some(fields),
            Err(reason) => {
                self.skip(&person.dn, reason);
                None
            }
        }
    }

    /// Adopts a user without an owner; its activity is unchanged.
    fn adopt(&mut self, id: &DirectoryId, person: &Person, place: usize) {
        let Some(user) = self.current.users.get(place) else {
            return;
        };
        // Also for a user that this program began to create: somebody may have made it an
        // administrator since.
        let unknown = "no active administrator is visible in ftrack, so it may be one; grant the \
            API user's role read access to security roles, or list yours in \
            ftrack.administrator_roles";
        let reason = self
            .rules
            .never_adopted(user)
            .or(self.is_blind.then_some(unknown));
        if let Some(reason) = reason {
            return self.skip(
                &person.dn,
                format!(
                    "the ftrack user {:?} is not adopted: {reason}",
                    user.username
                ),
            );
        }
        let Some(mut fields) = self.wanted(person, user) else {
            return;
        };
        let link = self.link(id);
        if !user.is_active {
            // It is not known who deactivated it, and the program undoes only what it did.
            self.warn(format!(
                "the user {:?}, adopted for {}, is inactive and stays inactive; activate it in \
                 ftrack if the person needs access",
                user.username, person.dn
            ));
        }
        fields.insert(
            Field::Link,
            Values {
                old: Value::Null,
                new: as_value(&user.id, &link),
            },
        );
        let begun = self
            .desired
            .id_attribute()
            .is_some_and(|attribute| user.id == created_id(&self.rules.source, attribute, id));
        let reason = if begun {
            "this program began to create the user in a run that was interrupted".to_owned()
        } else {
            format!(
                "the user {:?} has no owner, and matches the person by users.adopt",
                user.username
            )
        };
        let subject = Subject {
            user,
            id,
            person: Some(person),
            link: None,
            owner: None,
        };
        self.change(Action::Adopt, &subject, fields, reason, link);
    }

    fn create(&mut self, id: &DirectoryId, person: &Person) {
        if !self.rules.users.create {
            return self.skip(
                &person.dn,
                "there is no user for it, and users.create is false".into(),
            );
        }
        if self.rules.is_api_user(&person.username) {
            return self.skip(
                &person.dn,
                format!(
                    "the username {:?} is that of the program's own API user",
                    person.username
                ),
            );
        }
        let Some(attribute) = self.desired.id_attribute() else {
            return;
        };
        let mut fields = match first_values(person, self.current) {
            Ok(fields) => fields,
            Err(reason) => return self.skip(&person.dn, reason),
        };
        let user_type = self
            .rules
            .users
            .user_type
            .as_ref()
            .and_then(|name| self.current.user_types.get(name));
        if let Some(user_type) = user_type {
            let new = text(user_type.as_str());
            fields.insert(
                Field::UserType,
                Values {
                    old: Value::Null,
                    new,
                },
            );
        }
        let change = Change {
            action: Action::Create,
            username: person.username.as_ref().into(),
            dn: Some(person.dn.as_ref().into()),
            directory_id: id.clone(),
            ftrack_id: created_id(&self.rules.source, attribute, id),
            fields,
            reason: "the person is in the directory and has no user".into(),
            link: self.link(id),
            rotation: None,
        };
        self.plan.changes.push(change);
    }

    fn finish(mut self) -> Plan {
        for (job, count) in std::mem::take(&mut self.of_siblings) {
            self.warn(format!(
                "{count} of these people are in the search bases of the job {job:?}, which owns \
                 their users"
            ));
        }
        self.plan.changes = order::in_order(std::mem::take(&mut self.plan.changes));
        self.plan.skipped.sort();
        self.plan
    }

    /// The link for a person of this reading.
    fn link(&self, id: &DirectoryId) -> Link {
        Link {
            source: self.rules.source.clone(),
            directory: self.desired.directory().cloned(),
            id: id.clone(),
            attribute: self
                .desired
                .id_attribute()
                .cloned()
                .unwrap_or(IdAttribute::EntryUuid),
            activity: Activity::Settled,
            form: Form::Current,
            signature: self.rules.signature,
        }
    }

    /// The link that a person of this reading should have in place of the present one; as complete
    /// as possible.
    fn settled(&self, id: &DirectoryId, link: &Link) -> Link {
        let new = self.link(id);
        match (&new.directory, link.signature) {
            // Unknown parts are not written; they wait until the directory's id can be read.
            (None, Signature::NotChecked | Signature::Valid) => Link {
                directory: link.directory.clone(),
                form: link.form,
                ..new
            },
            (None, Signature::Invalid) => Link {
                directory: link.directory.clone(),
                ..new
            },
            (Some(_), _) => new,
        }
    }

    /// Adds a change to the plan, with what holds it.
    fn change(
        &mut self,
        action: Action,
        subject: &Subject<'_>,
        fields: BTreeMap<Field, Values>,
        reason: String,
        link: Link,
    ) {
        let Subject {
            user, id, person, ..
        } = subject;
        if let Some(hold) = subject.hold().or_else(|| self.unknown_person(subject)) {
            self.hold(user, hold);
        }
        let unknown = "no active administrator is visible in ftrack, so anybody may be one";
        if let Some(reason) = self
            .rules
            .guarded(user)
            .or(self.is_blind.then_some(unknown))
        {
            self.plan.guarded.insert(user.id.clone(), reason);
        }
        let renamed = fields
            .get(&Field::Username)
            .and_then(|values| values.new.as_str());
        self.plan.changes.push(Change {
            action,
            username: renamed.unwrap_or(&user.username).to_owned(),
            dn: person.map(|person| person.dn.as_ref().into()),
            directory_id: (*id).clone(),
            ftrack_id: user.id.clone(),
            fields,
            reason,
            link,
            rotation: None,
        });
    }
}

/// Whether each user has the link of somebody who is in the directory, in the order of
/// [`Current::users`].
fn linked_users(matches: &[Match], current: &Current) -> Vec<bool> {
    let mut linked = vec![false; current.users.len()];
    for found in matches {
        if let Match::Linked(place, _) = found
            && let Some(slot) = linked.get_mut(*place)
        {
            *slot = true;
        }
    }
    linked
}
