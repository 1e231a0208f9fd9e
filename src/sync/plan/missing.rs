//! Users that the job owns and whose people are nowhere in the directory.

use std::collections::{BTreeMap, HashMap};

use chrono::SecondsFormat;
use serde_json::Value;

use super::{Planner, subject::Subject};
use crate::{
    model::{
        change::{Absence, Absences, Action, Field, HeldBy, Hold, Values},
        entry::DirectoryId,
        link::{Activity, Link, LinkFound},
        stored_link::as_value,
        user::User,
    },
    sync::owner::Owner,
};

/// In how many complete reads a person must be missing where `deactivate_after` is not zero.
const ENOUGH_READS: u32 = 2;

impl Planner<'_> {
    /// Examines every user that the job owns; those who are `present` need not be.
    pub(super) fn missing(&mut self, present: &[bool], absences: &Absences) {
        let (mut otherwise_known, mut elsewhere) = (0, 0);
        let carriers = self.carriers(present);
        for (user, is_present) in self.current.users.iter().zip(present) {
            let link = match &user.link {
                LinkFound::Link(link) => link,
                LinkFound::Unreadable => {
                    self.warn(format!(
                        "the link of the user {:?} cannot be read; the user is left alone",
                        user.username
                    ));
                    continue;
                }
                LinkFound::OfAnotherUser => {
                    self.warn(format!(
                        "the link of the user {:?} names another user, so somebody moved or \
                         copied it; it counts as none",
                        user.username
                    ));
                    continue;
                }
                LinkFound::Absent => continue,
            };
            self.plan.linked += 1;
            if !self.plan.sources.contains(&link.source) {
                self.plan.sources.insert(link.source.clone());
            }
            let owner = self.owners.of(link, None);
            match &owner {
                Owner::Ours | Owner::OursBefore => {}
                Owner::OtherDirectory { .. } => {
                    elsewhere += 1;
                    continue;
                }
                Owner::Left { .. } | Owner::Sibling { .. } | Owner::NoJob { .. } => continue,
            }
            self.plan.owned += 1;
            self.plan.owned_active += usize::from(user.is_active);
            self.plan
                .deactivated_at
                .extend(link.activity.deactivated_at());
            if !user.is_active && matches!(link.activity, Activity::Settled | Activity::Released) {
                self.plan
                    .inactive
                    .insert(user.id.clone(), user.username.to_string());
            }
            if !self.desired.is_told_by(&link.attribute) {
                otherwise_known += 1;
            } else if !is_present && self.desired.lacks(&link.id) {
                match carriers.get(&link.id) {
                    Some(1) => self.gone(user, link, &owner, absences),
                    _ => self.warn(format!(
                        "the user {:?} and others have the same link, and its person left the \
                         directory; none of them is changed: delete the link of those who are not \
                         that person",
                        user.username
                    )),
                }
            }
        }
        self.warn_of_unknown(otherwise_known, elsewhere);
    }

    /// How many users have the link of each person who is absent; not counted for the others.
    fn carriers(&self, present: &[bool]) -> HashMap<DirectoryId, usize> {
        let mut carriers: HashMap<DirectoryId, usize> = HashMap::new();
        let absent = self
            .current
            .users
            .iter()
            .zip(present)
            .filter(|(_, is_present)| !**is_present);
        let links = absent.filter_map(|(user, _)| user.link.link());
        for link in
            links.filter(|link| self.owners.is_comparable(link) && self.desired.lacks(&link.id))
        {
            *carriers.entry(link.id.clone()).or_default() += 1;
        }
        carriers
    }

    fn warn_of_unknown(&mut self, otherwise_known: usize, elsewhere: usize) {
        if let (1.., Some(read)) = (otherwise_known, self.desired.id_attribute()) {
            self.warn(format!(
                "{otherwise_known} users are identified by another id attribute than {read}, \
                 which this read uses, so they are left alone; set id_attribute to the one that \
                 identifies them"
            ));
        }
        if elsewhere > 0 {
            self.warn(format!(
                "{elsewhere} users have links of this job's source from another directory, \
                 probably another installation's, and are left alone; give one of the two jobs \
                 another source"
            ));
        }
    }

    fn gone(&mut self, user: &User, link: &Link, owner: &Owner, absences: &Absences) {
        // To the millisecond, so that it distinguishes the deactivations of one run from those of
        // another.
        let since = self.now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let absence = match absences.get(link.id.as_str()) {
            // Two are sufficient; a number that stops growing need not be saved after each run. A
            // time from a clock that was ahead is counted from now, since it might never pass.
            Some(before) if before.since > self.now => Absence {
                since: self.now,
                reads: 1,
            },
            Some(before) => Absence {
                since: before.since,
                reads: before.reads.saturating_add(1).min(ENOUGH_READS),
            },
            None => Absence {
                since: self.now,
                reads: 1,
            },
        };
        match (&link.activity, user.is_active) {
            (Activity::Deactivating { since }, false) => {
                let done = Activity::Deactivated {
                    since: since.clone(),
                };
                self.remember(
                    user,
                    link,
                    owner,
                    done,
                    "a run was interrupted after it had deactivated the user",
                );
            }
            (_, false) => {}
            (Activity::Deactivated { .. }, true) => {
                self.warn_of_reactivated(user);
                let reason = "somebody reactivated the user, although the person left; the \
                    program leaves it alone from now on";
                self.remember(user, link, owner, Activity::Released, reason);
            }
            (Activity::Released, true) => self.warn_of_reactivated(user),
            (Activity::Settled | Activity::Activating | Activity::Deactivating { .. }, true) => {
                self.plan
                    .absences
                    .insert(link.id.as_str().to_owned(), absence.clone());
                self.deactivate(user, link, owner, &absence, since);
            }
        }
    }

    fn warn_of_reactivated(&mut self, user: &User) {
        self.warn(format!(
            "the user {:?} is active, although the person left: this program deactivated it, and \
             somebody reactivated it",
            user.username
        ));
    }

    /// Writes another activity into the link of a user whose person left, and nothing else.
    fn remember(
        &mut self,
        user: &User,
        link: &Link,
        owner: &Owner,
        activity: Activity,
        reason: &str,
    ) {
        let new = Link {
            activity,
            ..link.clone()
        };
        let fields = BTreeMap::from([(
            Field::Link,
            Values {
                old: as_value(&user.id, link),
                new: as_value(&user.id, &new),
            },
        )]);
        let subject = Subject::of_link(user, link, owner);
        self.change(Action::Update, &subject, fields, reason.to_owned(), new);
    }

    fn deactivate(
        &mut self,
        user: &User,
        link: &Link,
        owner: &Owner,
        absence: &Absence,
        since: String,
    ) {
        if !self.rules.users.deactivate {
            return self.warn(format!(
                "the person of the user {:?} left, and users.deactivate is false",
                user.username
            ));
        }
        if let Some(reason) = self.rules.untouchable(user) {
            return self.warn(format!(
                "the person of the user {:?} left, but the user stays active: {reason}",
                user.username
            ));
        }
        let missing_for = self.now.signed_duration_since(absence.since);
        let patience = self.rules.deactivate_after;
        if !patience.is_zero() && (absence.reads < ENOUGH_READS || missing_for < patience) {
            let seen = absence.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            return self.warn(format!(
                "the person of the user {:?} has been missing since {seen}; the user stays active \
                 until users.deactivate_after is over",
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
        let reason = "the person is no longer in the directory, as complete reads show".to_owned();
        let new = Link {
            activity: Activity::Deactivated { since },
            ..link.clone()
        };
        if link.directory.is_none() || self.desired.directory().is_none() {
            self.hold(user, unknown_directory(link));
        }
        let subject = Subject::of_link(user, link, owner);
        self.change(Action::Deactivate, &subject, fields, reason, new);
    }
}

impl Planner<'_> {
    /// Holds every change to a user whose link names a directory, where the id of the directory
    /// that was read is not known and the person's id may be another person's elsewhere.
    pub(super) fn unknown_person(&self, subject: &Subject<'_>) -> Option<Hold> {
        let link = subject.link?;
        let is_known = link.attribute.is_universal()
            || link.directory.is_none()
            || self.desired.directory().is_some();
        (!is_known).then(|| unknown_directory(link))
    }
}

/// Why it cannot be proven that a person left the directory of a link.
fn unknown_directory(link: &Link) -> Hold {
    let why = match &link.directory {
        None => {
            "the user's link does not record the person's directory, since an earlier version \
             wrote it or the directory's id could not be read, and the directory has not shown \
             the person since; if the person left, approve it"
        }
        Some(_) => {
            "the id of the naming context's own entry cannot be read, so it is not known whether \
             this is the directory of the user's link; grant the bind account read access to it, \
             or set id for the directory"
        }
    };
    Hold::new(HeldBy::Doubt, why)
}
