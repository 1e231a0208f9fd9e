//! What puts back what a run wrote. No I/O.

use std::{collections::BTreeSet, mem};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{
    custom::equal,
    later::{LaterRuns, written},
    put_back::{
        ANOTHERS, Columns, Goal, Guarding, PICTURE_STAYS, PutBack, UNLINKED, activated_again,
        again, edit, elsewhere, given_back, inactive_again, is_same_person, not_read, other_user,
        untouchable, user,
    },
};
use crate::model::{
    change::{Action, LinkRow},
    edit::{Edit, Field, Values},
    fold::fold,
    given::{Given, GrantId},
    link::{Activity, Link, LinkFound},
    reason::Cause,
    rejected::Rejected,
    report::{ChangeResult, Report, Reported},
    snapshot::Snapshot,
    stored_link::Unverified,
    stored_value::{Likeness, Still, StoredOtherwise, likeness},
    user::{Current, EntityId, User},
};

/// What is known beside the report of the run that is undone.
#[derive(Clone, Copy)]
pub struct Undoing<'a, 'r> {
    /// The report, with what later runs found out.
    pub report: &'r Report,
    /// What ftrack had before the run; none where it is gone.
    pub before: Option<&'r Snapshot>,
    /// What runs after it wrote.
    pub later: &'r LaterRuns,
    /// What ftrack has.
    pub current: &'a Current,
    /// The values that ftrack stores otherwise than they were written.
    pub stored: &'r StoredOtherwise,
    /// Whom it is for; everybody where it is empty.
    pub only: &'r [String],
    /// The time in the links of users that are deactivated now.
    pub now: DateTime<Utc>,
}

/// Whether a change is about a person: by login, mail address, DN, directory id or ftrack id, before
/// or after the change.
#[must_use]
pub fn is_about(change: &Reported, who: &str) -> bool {
    let folded = fold(who);
    let is = |text: &str| fold(text) == folded;
    let of_field = |field: &Field| {
        let values = change.fields.get(field);
        let both = values.map(|values| [&values.old, &values.new]);
        let mut both = both.into_iter().flatten();
        both.any(|value| value.as_str().is_some_and(is))
    };
    let of_person = || {
        let person = change.person.iter();
        let mut known = person.flat_map(|known| [&known.email, &known.last_dn]);
        known.any(|known| known.as_deref().is_some_and(is))
    };
    is(&change.username)
        || is(&change.ftrack_id.text())
        || change.dn.as_deref().is_some_and(is)
        || change.directory_id.as_deref().is_some_and(is)
        || of_field(&Field::Username)
        || of_field(&Field::Email)
        || of_person()
}

/// What puts back what the run wrote and nobody has changed since.
#[must_use]
pub fn undo<'a>(undoing: Undoing<'a, '_>, guarding: Guarding<'_>) -> PutBack<'a> {
    let mut put_back = PutBack::default();
    let columns = Columns::of(undoing.current);
    let is_wanted = |change: &&Reported| {
        let Undoing { only, current, .. } = undoing;
        let now = user(current, &change.ftrack_id);
        only.is_empty()
            || only.iter().any(|who| {
                is_about(change, who) || now.is_some_and(|user| user.is_named(&fold(who)))
            })
    };
    for change in undoing.report.changes.iter().filter(is_wanted) {
        let written = written(change);
        if written.is_empty() {
            continue;
        }
        let Some(user) = user(undoing.current, &change.ftrack_id) else {
            put_back.leave(&change.username, "the user no longer exists in ftrack");
            continue;
        };
        if let Some(why) = untouchable(user, guarding) {
            put_back.leave(&change.username, why);
            continue;
        }
        let one = OneUser {
            undoing,
            columns: &columns,
            guarding,
            change,
            user,
        };
        one.put_back(&written, &mut put_back);
    }
    put_back
}

/// A change of the run, and the user as it is now.
struct OneUser<'a, 'r> {
    undoing: Undoing<'a, 'r>,
    columns: &'r Columns<'a>,
    guarding: Guarding<'r>,
    change: &'r Reported,
    user: &'a User,
}

impl<'a> OneUser<'a, '_> {
    fn put_back(&self, written: &BTreeSet<&Field>, put_back: &mut PutBack<'a>) {
        let link = match &self.user.link {
            LinkFound::Link(link) if self.guarding.own.has(link) => {
                if !self.is_of_change(link) {
                    return put_back.leave(&self.user.username, ANOTHERS);
                }
                Some(link)
            }
            LinkFound::Link(link) | LinkFound::Unlinked(link)
                if self.guarding.own.is_elsewhere(link) =>
            {
                return put_back.leave(&self.user.username, elsewhere(link));
            }
            LinkFound::Absent | LinkFound::OfAnotherUser
                if self.taken_away().is_some() && written.contains(&Field::Link) =>
            {
                None
            }
            LinkFound::Unlinked(_) => return put_back.leave(&self.user.username, UNLINKED),
            LinkFound::Link(_)
            | LinkFound::Absent
            | LinkFound::OfAnotherUser
            | LinkFound::Unreadable => {
                let why = "the user does not belong to the job any more, so nothing is put back";
                return put_back.leave(&self.user.username, why);
            }
        };
        let Some(after) = link.cloned().or_else(|| self.taken_away()) else {
            return;
        };
        if link.is_none()
            && let Some(other) = other_user(&after, self.user, self.undoing.current)
        {
            let why = format!(
                "its link is gone, and its person has the user {other:?} by now, so nothing is put \
                 back"
            );
            return put_back.leave(&self.user.username, why);
        }
        let mut goal = Goal {
            user: self.user,
            dn: self.change.dn.clone(),
            id: after.id.clone(),
            edits: Vec::new(),
            before: link.cloned(),
            link: after,
            row: LinkRow::Kept,
            again: Vec::new(),
        };
        if self.change.action == Action::Create {
            self.end(&mut goal, written);
        } else {
            for field in written.iter().filter(|field| ***field != Field::Link) {
                self.value_back(field, &mut goal, put_back);
            }
            if written.contains(&Field::Link) {
                self.link_back(&mut goal, put_back);
            }
        }
        put_back.add(goal);
    }

    /// A user that the run created is deactivated, and never deleted.
    fn end(&self, goal: &mut Goal<'a>, written: &BTreeSet<&Field>) {
        let is_created = written.iter().any(|field| **field != Field::Link);
        if !is_created {
            return;
        }
        match (self.user.is_active, &goal.link.activity) {
            (true, _) => {
                goal.edits.push(Edit::Deactivate);
                let since = self.now();
                goal.link.activity = Activity::Deactivated { since };
            }
            // An undo that was interrupted got so far.
            (false, Activity::Deactivating { since }) => {
                let since = since.clone();
                goal.edits.push(Edit::Link);
                goal.link.activity = Activity::Deactivated { since };
            }
            (false, _) => return,
        }
        goal.again.push(activated_again(&goal.id));
    }

    fn value_back(&self, field: &Field, goal: &mut Goal<'a>, put_back: &mut PutBack<'a>) {
        let Some(values) = self.change.fields.get(field) else {
            return;
        };
        let (old, new) = (&values.old, &values.new);
        let who = &self.user.username;
        let name = field.name();
        match field {
            // What was sent stays so.
            Field::Invitation => return,
            Field::Thumbnail => {
                return put_back.leave(who, format!("{name}: {PICTURE_STAYS}"));
            }
            Field::Username
            | Field::FirstName
            | Field::LastName
            | Field::Email
            | Field::IsActive
            | Field::UserType
            | Field::Custom(_)
            | Field::Role(_)
            | Field::ProjectRole { .. }
            | Field::Group(_)
            | Field::Link => {}
        }
        let Some(now) = self.columns.value(self.user, field) else {
            return put_back.leave(who, format!("{name}: {}", not_read(field)));
        };
        if equal(&now, old) {
            if *field == Field::IsActive {
                self.settle(goal);
            }
            return;
        }
        if !self.is_written(field, &now) {
            if self.change.result == ChangeResult::Applied {
                let why = format!(
                    "{name} is {now} by now, and the run wrote {new}: somebody changed it since, so \
                     it is not put back"
                );
                put_back.leave(who, why);
            }
            return;
        }
        if let Some(later) = self.undoing.later.last(&self.user.id, field) {
            let why = format!(
                "{name} was written by the later run {later} as well, so it is not put back: undo \
                 that run first"
            );
            return put_back.leave(who, why);
        }
        match edit(self.user, field, (now, old.clone()), self.columns) {
            Err(why) => put_back.leave(who, format!("{name}: {why}")),
            Ok(Edit::Revoke(grant)) if !goal.link.given.contains(&grant.id()) => {
                let why = format!("{name}: somebody else gave it since, so it stays");
                put_back.leave(who, why);
            }
            Ok(edit) => {
                if *field == Field::IsActive {
                    goal.link.activity = self.activity_before(&edit, &self.now());
                }
                goal.edits.push(edit);
                // Also what later runs wrote that was put back before.
                let later = self.undoing.later.put_back(&self.user.id, field);
                for new in [new].into_iter().chain(later) {
                    let values = Values::new(old.clone(), new.clone());
                    if !equal(old, new) {
                        goal.again.extend(self.again(field, values));
                    }
                }
            }
        }
    }

    /// The activity is as it was before the run, by hand or by an undo that was interrupted; so is
    /// the link to be, which shows else that somebody did it by hand.
    fn settle(&self, goal: &mut Goal<'a>) {
        let (edit, since) = match (&goal.link.activity, self.user.is_active) {
            (Activity::Deactivating { since }, false) => (Edit::Deactivate, since.clone()),
            (Activity::Deactivating { since } | Activity::Deactivated { since }, true) => {
                (Edit::Activate, since.clone())
            }
            (Activity::Activating, true) => (Edit::Activate, self.now()),
            (
                Activity::Settled
                | Activity::Activating
                | Activity::Released
                | Activity::Unlinked
                | Activity::Deactivated { .. },
                _,
            ) => return,
        };
        goal.link.activity = self.activity_before(&edit, &since);
        goal.edits.push(Edit::Link);
        if let Some(values) = self.change.fields.get(&Field::IsActive) {
            let values = values.clone();
            goal.again.extend(self.again(&Field::IsActive, values));
        }
    }

    /// Whether a field has the value that the run wrote, or what ftrack made of it.
    fn is_written(&self, field: &Field, now: &Value) -> bool {
        let Some(values) = self.change.fields.get(field) else {
            return false;
        };
        let new = &values.new;
        let known = self.undoing.stored.get(&self.user.id, field);
        let is_known = known.is_some_and(|known| known.of(new, now) == Still::Stored);
        let is_noted = self.change.note.is_some() && likeness(field, new, now) == Likeness::Form;
        equal(now, new) || is_known || is_noted
    }

    /// What a later run must not do again. Where the run put somebody back itself, and deactivated
    /// nobody for a cause, no cause of a later run is its own: only what was rejected before it stays so.
    fn again(&self, field: &Field, values: Values) -> Vec<(Field, String)> {
        let is_without_cause = *field == Field::IsActive
            && self.change.cause.is_none()
            && self.undoing.report.trigger.puts_back();
        let mut texts = again(field, values, self.again_of());
        if let (true, Some(link)) = (is_without_cause, self.link_before()) {
            let known = link.notes.rejected();
            texts.retain(|(_, text)| Rejected::is_among(text, known));
        }
        texts
    }

    /// Why the run did it, and of whom.
    fn again_of(&self) -> (Option<Cause>, Option<&str>) {
        (self.change.cause, self.change.directory_id.as_deref())
    }

    /// The link that the user had before the run, if that is known.
    fn link_before(&self) -> Option<&Link> {
        let before = self.undoing.before?.user(&self.user.id)?;
        before.link.link()
    }

    fn now(&self) -> String {
        let now = self.undoing.now;
        now.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// What the link said of the activity before the run changed it; of a user that the program
    /// deactivates again, since when.
    fn activity_before(&self, edit: &Edit, since: &str) -> Activity {
        match (edit, self.link_before().map(|link| &link.activity)) {
            // To be deactivated still: the next run would do it.
            (Edit::Activate, Some(Activity::Deactivating { .. } | Activity::Activating) | None) => {
                Activity::Settled
            }
            (Edit::Activate, Some(activity)) => activity.clone(),
            (_, Some(activity)) => inactive_again(activity.clone(), since),
            // The snapshot is gone; the program undoes only what it did, so it was the program.
            (_, None) => Activity::Deactivated {
                since: since.to_owned(),
            },
        }
    }

    /// Whose the user was before the run.
    fn link_back(&self, goal: &mut Goal<'a>, put_back: &mut PutBack<'a>) {
        let Some(of_link) = self.change.fields.get(&Field::Link) else {
            return;
        };
        let (old, new) = (&of_link.old, &of_link.new);
        let (then, by_run) = (link_of(&self.user.id, old), link_of(&self.user.id, new));
        let mut put = |row: LinkRow| {
            goal.edits.retain(|known| *known != Edit::Link);
            goal.edits.push(Edit::Link);
            goal.row = row;
            goal.again
                .extend(again(&Field::Link, of_link.clone(), self.again_of()));
        };
        match (then, by_run) {
            // The run took it away.
            (Some(then), None) if goal.before.is_none() => {
                goal.edits.push(Edit::Link);
                // Reports do not have what was rejected.
                let notes = self.link_before().map(|before| before.notes.clone());
                let noted = then.with(|link| link.notes = notes.unwrap_or_default());
                goal.link = given_back(noted);
            }
            (None, Some(_)) if old.is_null() => {
                put(LinkRow::Deleted);
                self.name_what_stays(goal, put_back);
            }
            (None, Some(_)) => put_back.leave(
                &self.user.username,
                "it was unlinked before, and its link stays: `unlink` ends it again",
            ),
            (Some(then), Some(by_run))
                if (then.source != by_run.source || !is_same_person(&then, &by_run))
                    && goal
                        .before
                        .as_ref()
                        .is_some_and(|now| is_same_person(now, &by_run)) =>
            {
                if let Some(other) = other_user(&then, self.user, self.undoing.current) {
                    let why = format!(
                        "the person whose it was has the user {other:?} by now, so the link stays"
                    );
                    return put_back.leave(&self.user.username, why);
                }
                put(LinkRow::Kept);
                goal.id = then.id.clone();
                let is_of_activity =
                    |edit: &Edit| matches!(edit, Edit::Activate | Edit::Deactivate);
                let activity = if goal.edits.iter().any(is_of_activity) {
                    goal.link.activity.clone()
                } else {
                    then.activity.clone()
                };
                let (notes, sent) = (
                    mem::take(&mut goal.link.notes),
                    mem::take(&mut goal.link.sent),
                );
                goal.link = then.with(|link| {
                    link.activity = activity;
                    link.notes = notes;
                    link.sent = sent;
                });
            }
            // What a link says beside whose the user is stays as complete as it is.
            (_, _) => {}
        }
    }

    /// Whether a link of the job is of the person whom the change is about, or from whom the run took
    /// the user over.
    fn is_of_change(&self, link: &Link) -> bool {
        let Some(person) = &self.change.directory_id else {
            return true;
        };
        let of_run = self.change.fields.get(&Field::Link).into_iter();
        let of_run = of_run.flat_map(|values| [&values.old, &values.new]);
        let mut of_run = of_run.filter_map(|shown| link_of(&self.user.id, shown));
        link.id.as_str() == &**person || of_run.any(|known| known.id == link.id)
    }

    /// Names what the job gave to a user that loses its link, and does not take: nobody knows of it
    /// any more.
    fn name_what_stays(&self, goal: &Goal<'a>, put_back: &mut PutBack<'a>) {
        let is_taken = |id: &GrantId| {
            let mut edits = goal.edits.iter();
            edits.any(|edit| matches!(edit, Edit::Revoke(grant) if grant.id() == *id))
        };
        let stays = goal.link.given.iter().filter(|id| !is_taken(id));
        let stays: Given = stays.cloned().collect();
        let (roles, groups) = self.undoing.current.names_of(&stays);
        let names = [roles, groups].concat();
        if !names.is_empty() {
            let why = format!(
                "its link is taken away, and it keeps what later runs gave it: {}",
                names.join(", ")
            );
            put_back.leave(&self.user.username, why);
        }
    }

    /// The link that the run took away, if it did.
    fn taken_away(&self) -> Option<Link> {
        let values = self.change.fields.get(&Field::Link)?;
        let link = link_of(&self.user.id, &values.old)?;
        let is_own = self.guarding.own.has(&link);
        (values.new.is_null() && is_own).then_some(link)
    }
}

/// A link as reports show it.
fn link_of(user: &EntityId, shown: &Value) -> Option<Link> {
    if shown.is_null() {
        return None;
    }
    let parsed = Unverified::parse(user, &shown.to_string());
    parsed.found.link().cloned()
}
