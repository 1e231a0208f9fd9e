//! The plan: a pure function from what should be and what is to a list of changes with reasons.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::{
    directory::{IdAttribute, entry::DirectoryId},
    ftrack::user::{Activity, Current, EntityId, Link, LinkFound, User},
};

use super::{
    change::{Absence, Absences, Action, Change, Field, Plan, Skipped, Values},
    desired::{Desired, Person},
    difference::{as_value, differences, first_values, text},
    matching::{Match, created_id, match_people, of_other_sources},
    order,
    rules::{Rules, fold},
};

/// Works out what is to change; equal values give equal plans, byte for byte.
#[must_use]
pub fn plan(desired: &Desired, current: &Current, rules: &Rules, absences: &Absences, now: DateTime<Utc>) -> Plan {
    let mut planner = Planner::new(desired, current, rules, now);
    let matches = match_people(desired, current, rules);
    let present = linked_users(&matches, current);
    for ((id, person), found) in desired.people().iter().zip(matches) {
        match found {
            Match::Linked(place) => planner.linked(id, person, place),
            Match::Adopted(place) => planner.adopt(id, person, place),
            Match::New => planner.create(id, person),
            Match::LeftOut(reason) => planner.skip(&person.dn, reason),
        }
    }
    planner.missing(&present, absences);
    planner.leave_out_taken_usernames();
    planner.plan.warnings.extend(of_other_sources(desired, current, rules));
    planner.finish()
}

/// In how many complete reads somebody must be missing where `deactivate_after` asks for patience.
const ENOUGH_READS: u32 = 2;

struct Planner<'a> {
    desired: &'a Desired,
    current: &'a Current,
    rules: &'a Rules,
    now: DateTime<Utc>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, current: &'a Current, rules: &'a Rules, now: DateTime<Utc>) -> Self {
        let plan = Plan {
            skipped: desired.skipped().to_vec(),
            warnings: desired.notes().to_vec(),
            unidentified: desired.unidentified(),
            active_administrators: current
                .users
                .iter()
                .filter(|user| user.administrator && user.is_active)
                .map(|user| user.id.clone())
                .collect(),
            ..Plan::default()
        };
        Self {
            desired,
            current,
            rules,
            now,
            plan,
        }
    }

    fn skip(&mut self, dn: &str, reason: String) {
        self.plan.skipped.push(Skipped { dn: dn.into(), reason });
    }

    fn warn(&mut self, text: String) {
        self.plan.warnings.push(text);
    }

    /// A user with the person's link: update, reactivate, or nothing.
    fn linked(&mut self, id: &DirectoryId, person: &Person, place: usize) {
        let Some(user) = self.current.users.get(place) else { return };
        if let Some(reason) = self.rules.untouchable(user) {
            self.plan.unchanged += 1;
            return self.warn(format!("the user {:?} is left alone: {reason}", user.username));
        }
        let LinkFound::Link(link) = &user.link else { return };
        let settled = self.link(id);
        let wakes = !user.is_active && !matches!(link.activity, Activity::Settled | Activity::Released);
        let may_wake = match link.activity {
            // What was begun by a create is finished by whoever may create.
            Activity::Activating => self.rules.users.reactivate || self.rules.users.create,
            Activity::Settled | Activity::Released | Activity::Deactivating { .. } | Activity::Deactivated { .. } => self.rules.users.reactivate,
        };
        let Some(mut fields) = self.wanted(person, user) else { return };
        if wakes && may_wake {
            fields.insert(
                Field::IsActive,
                Values {
                    old: Value::Bool(false),
                    new: Value::Bool(true),
                },
            );
            if link.source != settled.source {
                fields.insert(
                    Field::Link,
                    Values {
                        old: as_value(link),
                        new: as_value(&settled),
                    },
                );
                let reason = format!(
                    "the person is no longer among the people of the source {:?}, which deactivated the user, and is one of these",
                    link.source
                );
                return self.change(Action::Reactivate, user, id, Some(person), fields, reason, settled);
            }
            let reason = match &link.activity {
                Activity::Activating => "the person is in the directory, and the user was refused a seat before".to_owned(),
                Activity::Deactivating { since } | Activity::Deactivated { since } => {
                    format!("the person is back in the directory; this program deactivated the user on {since}")
                }
                Activity::Settled | Activity::Released => String::new(),
            };
            return self.change(Action::Reactivate, user, id, Some(person), fields, reason, settled);
        }
        // A user of another source is only ever taken over together with its activity.
        let kept = if wakes { (**link).clone() } else { settled };
        let mut reason = "the directory shows other values";
        if **link != kept {
            if fields.is_empty() {
                reason = "what an earlier run began is done";
            }
            if matches!(link.activity, Activity::Deactivated { .. }) {
                reason = "somebody reactivated the user, and the person is back in the directory";
                self.warn(format!(
                    "the user {:?}, whom this program deactivated, was reactivated by somebody else; the person is back in the directory",
                    user.username
                ));
            }
            fields.insert(
                Field::Link,
                Values {
                    old: as_value(link),
                    new: as_value(&kept),
                },
            );
        }
        if fields.is_empty() {
            self.plan.unchanged += 1;
            return;
        }
        self.change(Action::Update, user, id, Some(person), fields, reason.into(), kept);
    }

    /// What is to be changed in a user's values; `None` when the entry was left out for a value that ftrack would not take.
    fn wanted(&mut self, person: &Person, user: &User) -> Option<BTreeMap<Field, Values>> {
        if !self.rules.users.update {
            return Some(BTreeMap::new());
        }
        match differences(person, user, self.current) {
            Ok(fields) => Some(fields),
            Err(reason) => {
                self.skip(&person.dn, reason);
                None
            }
        }
    }

    /// A user that nobody owned becomes the person's; its activity stays as it is.
    fn adopt(&mut self, id: &DirectoryId, person: &Person, place: usize) {
        let Some(user) = self.current.users.get(place) else { return };
        // Also of a user that this program began to create: somebody may have made more of it since.
        let unknown = "no active administrator is visible at ftrack, so nobody can tell whether it is one; let the API user's role read security roles, or name yours in ftrack.administrator_roles";
        let reason = self.rules.never_adopted(user).or(self.plan.active_administrators.is_empty().then_some(unknown));
        if let Some(reason) = reason {
            return self.skip(&person.dn, format!("the ftrack user {:?} is not adopted: {reason}", user.username));
        }
        let Some(mut fields) = self.wanted(person, user) else { return };
        let begun = user.id == created_id(&self.rules.source, id);
        let link = self.link(id);
        if !user.is_active {
            // Who deactivated it cannot be known, and only the program's own doing is undone.
            self.warn(format!(
                "the user {:?}, which becomes that of {}, is inactive and stays so; activate it at ftrack if the person is to work there",
                user.username, person.dn
            ));
        }
        fields.insert(
            Field::Link,
            Values {
                old: Value::Null,
                new: as_value(&link),
            },
        );
        let reason = if begun {
            "this program began to create the user in a run that was cut off".to_owned()
        } else {
            format!("nobody owns the user {:?}, and users.adopt recognises the person in it", user.username)
        };
        self.change(Action::Adopt, user, id, Some(person), fields, reason, link);
    }

    fn create(&mut self, id: &DirectoryId, person: &Person) {
        if !self.rules.users.create {
            return self.skip(&person.dn, "there is no user for it, and users.create is false".into());
        }
        if self.rules.is_api_user(&person.username) {
            return self.skip(&person.dn, format!("the username {:?} is that of the program's own API user", person.username));
        }
        let mut fields = match first_values(person, self.current) {
            Ok(fields) => fields,
            Err(reason) => return self.skip(&person.dn, reason),
        };
        let user_type = self.rules.users.user_type.as_ref().and_then(|name| self.current.user_types.get(name));
        if let Some(user_type) = user_type {
            let new = text(user_type.as_str());
            fields.insert(Field::UserType, Values { old: Value::Null, new });
        }
        let change = Change {
            action: Action::Create,
            username: person.username.as_ref().into(),
            dn: Some(person.dn.as_ref().into()),
            directory_id: id.clone(),
            ftrack_id: created_id(&self.rules.source, id),
            fields,
            reason: "the person is in the directory and has no user".into(),
            link: self.link(id),
            rotation: None,
        };
        self.plan.changes.push(change);
    }

    /// Users that the job owns and whose people are nowhere in the directory; of those who are `present` that need not be asked.
    fn missing(&mut self, present: &[bool], absences: &Absences) {
        let mut otherwise_known = 0;
        for (user, is_present) in self.current.users.iter().zip(present) {
            let LinkFound::Link(link) = &user.link else {
                if user.link == LinkFound::Unreadable {
                    self.warn(format!("the link of the user {:?} cannot be read; the user is left alone", user.username));
                }
                continue;
            };
            if link.source != self.rules.source {
                continue;
            }
            self.plan.owned += 1;
            self.plan.owned_active += usize::from(user.is_active);
            if !self.desired.tells_of(&link.attribute) {
                otherwise_known += 1;
            } else if !is_present && self.desired.lacks(&link.id) {
                self.gone(user, link, absences);
            }
        }
        if let (1.., Some(read)) = (otherwise_known, self.desired.id_attribute()) {
            self.warn(format!(
                "{otherwise_known} users are known by another id attribute than {read}, by which this read tells people apart, so nothing is concluded about them; \
                 set id_attribute to the one that they are known by"
            ));
        }
    }

    fn gone(&mut self, user: &User, link: &Link, absences: &Absences) {
        let since = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let absence = match absences.get(link.id.as_str()) {
            // Two are as good as many; a number that stands still need not be kept anew after each run.
            // From a clock that ran ahead: counted anew, since nobody would outlive it.
            Some(before) if before.since > self.now => Absence { since: self.now, reads: 1 },
            Some(before) => Absence {
                since: before.since,
                reads: before.reads.saturating_add(1).min(ENOUGH_READS),
            },
            None => Absence { since: self.now, reads: 1 },
        };
        match (&link.activity, user.is_active) {
            (Activity::Deactivating { since }, false) => {
                let done = Activity::Deactivated { since: since.clone() };
                self.remember(user, link, done, "a run was cut off after it had deactivated the user");
            }
            (_, false) => {}
            (Activity::Deactivated { .. }, true) => {
                self.warn_of_reactivated(user);
                let reason = "somebody reactivated the user, though the person is gone; from now on it is theirs";
                self.remember(user, link, Activity::Released, reason);
            }
            (Activity::Released, true) => self.warn_of_reactivated(user),
            (Activity::Settled | Activity::Activating | Activity::Deactivating { .. }, true) => {
                self.plan.absences.insert(link.id.as_str().to_owned(), absence.clone());
                self.deactivate(user, link, &absence, since);
            }
        }
    }

    fn warn_of_reactivated(&mut self, user: &User) {
        self.warn(format!(
            "the user {:?} is active, though the person is gone: this program deactivated it, and somebody reactivated it",
            user.username
        ));
    }

    /// Writes another activity into the link of a user whose person is gone, and nothing else.
    fn remember(&mut self, user: &User, link: &Link, activity: Activity, reason: &str) {
        let new = Link { activity, ..link.clone() };
        let fields = BTreeMap::from([(
            Field::Link,
            Values {
                old: as_value(link),
                new: as_value(&new),
            },
        )]);
        self.change(Action::Update, user, &link.id, None, fields, reason.to_owned(), new);
    }

    fn deactivate(&mut self, user: &User, link: &Link, absence: &Absence, since: String) {
        if !self.rules.users.deactivate {
            return self.warn(format!("the person of the user {:?} is gone, and users.deactivate is false", user.username));
        }
        let left_alone = self
            .rules
            .untouchable(user)
            .or_else(|| self.rules.is_protected(&user.username).then_some("it is protected by users.protect"));
        if let Some(reason) = left_alone {
            return self.warn(format!(
                "the person of the user {:?} is gone, but the user stays active: {reason}",
                user.username
            ));
        }
        let missing_for = self.now.signed_duration_since(absence.since);
        let patience = self.rules.deactivate_after;
        if !patience.is_zero() && (absence.reads < ENOUGH_READS || missing_for < patience) {
            let seen = absence.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            return self.warn(format!(
                "the person of the user {:?} has been missing since {seen}; the user stays active until users.deactivate_after is over",
                user.username
            ));
        }
        let fields = BTreeMap::from([(
            Field::IsActive,
            Values {
                old: Value::Bool(true),
                new: Value::Bool(false),
            },
        )]);
        let reason = "the person is in no complete read of the directory any more".to_owned();
        let link = Link {
            activity: Activity::Deactivated { since },
            ..link.clone()
        };
        let id = link.id.clone();
        self.change(Action::Deactivate, user, &id, None, fields, reason, link);
    }

    /// A username that somebody else holds and does not give up cannot be taken: such changes are left out, and those that counted on them.
    fn leave_out_taken_usernames(&mut self) {
        let wanted = self.plan.changes.iter().filter_map(|change| order::taken(change, &Field::Username));
        let mut holders: HashMap<String, Vec<&User>> = wanted.map(|username| (username, Vec::new())).collect();
        if holders.is_empty() {
            return;
        }
        for user in &self.current.users {
            if let Some(holders) = holders.get_mut(&*fold(&user.username)) {
                holders.push(user);
            }
        }
        let mut giving_up: HashMap<_, _> = self
            .plan
            .changes
            .iter()
            .filter_map(|change| Some((change.ftrack_id.clone(), order::released(change, &Field::Username)?)))
            .collect();
        loop {
            let (blocked, free) = std::mem::take(&mut self.plan.changes)
                .into_iter()
                .partition::<Vec<_>, _>(|change| blocker(change, &holders, &giving_up).is_some());
            self.plan.changes = free;
            if blocked.is_empty() {
                return;
            }
            for change in &blocked {
                if let Some(holder) = blocker(change, &holders, &giving_up) {
                    let reason = format!("the username {:?} belongs to another ftrack user, {}", change.username, self.whose(holder));
                    self.skip(change.dn.as_deref().unwrap_or_default(), reason);
                }
            }
            for mut change in blocked {
                giving_up.remove(&change.ftrack_id);
                // Of a user who is the person's already only the login is left out: who is back gets access all the same.
                let old = change.fields.remove(&Field::Username).map(|values| values.old);
                let goes_on = match change.action {
                    Action::Update | Action::Reactivate => !change.fields.is_empty(),
                    Action::Create | Action::Deactivate | Action::Adopt => false,
                };
                if let (Some(Value::String(old)), true) = (old, goes_on) {
                    change.username = old;
                    self.plan.changes.push(change);
                }
            }
        }
    }

    fn whose(&self, user: &User) -> String {
        match &user.link {
            LinkFound::Absent => match self.rules.adoption_refused(user) {
                Some(reason) => format!("which is not adopted: {reason}"),
                None => "which nobody owns".into(),
            },
            LinkFound::Unreadable => "whose link cannot be read".into(),
            LinkFound::Link(link) if link.source != self.rules.source => format!("which belongs to the source {:?}", link.source),
            LinkFound::Link(link) if !self.desired.tells_of(&link.attribute) => {
                format!("which is known by {} and not by the id attribute of this read", link.attribute)
            }
            LinkFound::Link(link) if self.desired.lacks(&link.id) => format!(
                "of somebody who left (directory id {}); a successor never inherits it: rename that user to free the login",
                link.id
            ),
            LinkFound::Link(link) => format!("of the entry with the directory id {}", link.id),
        }
    }

    fn finish(mut self) -> Plan {
        self.plan.changes = order::in_order(std::mem::take(&mut self.plan.changes));
        self.plan.skipped.sort();
        self.plan
    }

    fn link(&self, id: &DirectoryId) -> Link {
        Link {
            source: self.rules.source.clone(),
            id: id.clone(),
            attribute: self.desired.id_attribute().cloned().unwrap_or(IdAttribute::EntryUuid),
            activity: Activity::Settled,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one change, named at each call")]
    fn change(&mut self, action: Action, user: &User, id: &DirectoryId, person: Option<&Person>, fields: BTreeMap<Field, Values>, reason: String, link: Link) {
        let renamed = fields.get(&Field::Username).and_then(|values| values.new.as_str());
        self.plan.changes.push(Change {
            action,
            username: renamed.unwrap_or(&user.username).to_owned(),
            dn: person.map(|person| person.dn.as_ref().into()),
            directory_id: id.clone(),
            ftrack_id: user.id.clone(),
            fields,
            reason,
            link,
            rotation: None,
        });
    }
}

/// Whether each user carries the link of somebody who is in the directory, in the order of [`Current::users`].
fn linked_users(matches: &[Match], current: &Current) -> Vec<bool> {
    let mut linked = vec![false; current.users.len()];
    for found in matches {
        if let Match::Linked(place) = found
            && let Some(slot) = linked.get_mut(*place)
        {
            *slot = true;
        }
    }
    linked
}

/// Who holds the username that a change takes, and does not give it up.
fn blocker<'a>(change: &Change, holders: &HashMap<String, Vec<&'a User>>, giving_up: &HashMap<EntityId, String>) -> Option<&'a User> {
    let taken = order::taken(change, &Field::Username)?;
    let holders = holders.get(&taken)?;
    holders
        .iter()
        .find(|holder| holder.id != change.ftrack_id && giving_up.get(&holder.id) != Some(&taken))
        .copied()
}
