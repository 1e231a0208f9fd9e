//! What puts users back to a snapshot, whoever changed them since. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{
    custom::equal,
    later::written,
    put_back::{
        ANOTHERS, Columns, Goal, Guarding, PICTURE_STAYS, PutBack, UNLINKED, activated_again,
        again, edit, elsewhere, given_back, inactive_again, not_read, other_user, untouchable,
        user,
    },
};
use crate::model::{
    change::{Action, LinkRow},
    edit::{Edit, Field, Values},
    entry::DirectoryId,
    fold::fold,
    id::IdAttribute,
    link::{Activity, Link, LinkContent, LinkFound},
    reason::Cause,
    rejected::Rejected,
    report::Report,
    sent::{Invitation, Sent},
    snapshot::{LinkThen, Snapshot, SnapshotExtent, SnapshotUser},
    user::{Current, EntityId, User},
};

/// What runs of the job wrote since a snapshot was taken: of each field the last value.
#[derive(Debug, Default)]
pub struct WrittenSince {
    values: BTreeMap<(EntityId, Field), LastWritten>,
    /// The users that they created.
    created: BTreeSet<EntityId>,
}

/// What was written last: the value, why, and of whom.
#[derive(Debug)]
struct LastWritten {
    new: Value,
    cause: Option<Cause>,
    person: Option<String>,
}

impl WrittenSince {
    /// Adds what a run wrote; the reports come in the order of their runs.
    pub fn add(&mut self, report: &Report) {
        if report.trigger.puts_back() || report.dry_run {
            return;
        }
        for change in &report.changes {
            let mut is_written = false;
            for field in written(change)
                .into_iter()
                .filter(|field| **field != Field::Link)
            {
                let Some(values) = change.fields.get(field) else {
                    continue;
                };
                is_written = true;
                let of = (change.ftrack_id.clone(), field.clone());
                let last = LastWritten {
                    new: values.new.clone(),
                    cause: change.cause,
                    person: change.directory_id.clone(),
                };
                self.values.insert(of, last);
            }
            if is_written && change.action == Action::Create {
                self.created.insert(change.ftrack_id.clone());
            }
        }
    }

    /// The users that were changed.
    #[must_use]
    pub fn users(&self) -> BTreeSet<EntityId> {
        self.values.keys().map(|(user, _)| user.clone()).collect()
    }

    /// Whether they sent a picture of a user.
    fn sent_picture(&self, user: &EntityId) -> bool {
        self.values.contains_key(&(user.clone(), Field::Thumbnail))
    }

    fn again(&self, user: &EntityId, field: &Field, then: &Value) -> Vec<(Field, String)> {
        let Some(last) = self.values.get(&(user.clone(), field.clone())) else {
            return Vec::new();
        };
        if equal(then, &last.new) {
            return Vec::new();
        }
        let values = Values::new(then.clone(), last.new.clone());
        again(field, values, (last.cause, last.person.as_deref()))
    }
}

/// What is known beside the snapshot.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Restoring<'a, 'r> {
    pub snapshot: &'r Snapshot,
    /// What ftrack has.
    pub current: &'a Current,
    pub since: &'r WrittenSince,
    /// Whom it is for; everybody where it is empty.
    pub only: &'r [String],
    /// The time in the links of users that are deactivated now.
    pub now: DateTime<Utc>,
}

impl Restoring<'_, '_> {
    /// Whether somebody is meant: a user of the snapshot, as it was or is, or one that came since.
    #[must_use]
    pub fn is_wanted(&self, then: Option<&SnapshotUser>, now: Option<&User>) -> bool {
        self.only.is_empty() || self.only.iter().any(|who| is_named(who, then, now))
    }

    /// One of the people whom it is for, whom neither the snapshot nor ftrack knows.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        let is_known = |who: &&String| {
            let then = &self.snapshot.users;
            then.iter().any(|user| is_named(who, Some(user), None))
                || self
                    .current
                    .users
                    .iter()
                    .any(|user| is_named(who, None, Some(user)))
        };
        let unknown = self.only.iter().find(|who| !is_known(who));
        unknown.map(String::as_str)
    }
}

fn is_named(who: &str, then: Option<&SnapshotUser>, now: Option<&User>) -> bool {
    let folded = fold(who);
    let is_person = |link: &Link| fold(link.id.as_str()) == folded;
    then.is_some_and(|user| user.is_named(&folded))
        || now.is_some_and(|user| user.is_named(&folded) || user.link.link().is_some_and(is_person))
}

/// What puts the users of a job back to a snapshot, in the fields that the job managed.
#[must_use]
pub fn restore<'a>(restoring: Restoring<'a, '_>, guarding: Guarding<'_>) -> PutBack<'a> {
    let mut put_back = PutBack::default();
    let columns = Columns::of(restoring.current);
    for then in &restoring.snapshot.users {
        let now = user(restoring.current, &then.ftrack_id);
        if !restoring.is_wanted(Some(then), now) {
            continue;
        }
        let login = then.text(&Field::Username).unwrap_or_default();
        let Some(user) = now else {
            put_back.leave(login, "the user no longer exists in ftrack");
            continue;
        };
        let (before, after, of_link) = match owner(then, user, &restoring, guarding) {
            Ok(owner) => owner,
            Err(None) => continue,
            Err(Some(why)) => {
                put_back.leave(&user.username, why);
                continue;
            }
        };
        if let Some(why) = untouchable(user, guarding) {
            put_back.leave(&user.username, why);
            continue;
        }
        let mut goal = Goal {
            user,
            dn: None,
            id: after.id.clone(),
            edits: Vec::new(),
            before,
            link: after,
            row: of_link.unwrap_or_default(),
            again: Vec::new(),
        };
        fields_back((&restoring, &columns), then, &mut goal, &mut put_back);
        if restoring.since.sent_picture(&user.id) {
            let name = Field::Thumbnail.name();
            put_back.leave(&user.username, format!("{name}: {PICTURE_STAYS}"));
        }
        if let Some(row) = of_link {
            goal.edits.retain(|edit| *edit != Edit::Link);
            let link = Field::Link;
            // What took the user over would do it again.
            let is_given_up =
                |before: &Link| row == LinkRow::Deleted || before.source != goal.link.source;
            if let Some(before) = goal.before.as_ref().filter(|before| is_given_up(before)) {
                let values = Values::new(Value::Null, Value::Bool(true));
                let of = (None, Some(before.id.as_str()));
                goal.again.extend(again(&link, values, of));
            }
            goal.edits.push(Edit::Link);
        }
        put_back.add(goal);
    }
    if restoring.snapshot.head.extent == SnapshotExtent::Job {
        newcomers(&restoring, guarding, &mut put_back);
    }
    put_back
}

/// The link that a user has, the one that it is to have or to lose, and what is written of it.
type Owner = (Option<Link>, Link, Option<LinkRow>);

/// Whose a user is and is to be again; nothing where that is none of the job's business, or why it is
/// left alone.
fn owner(
    then: &SnapshotUser,
    user: &User,
    restoring: &Restoring<'_, '_>,
    guarding: Guarding<'_>,
) -> Result<Owner, Option<String>> {
    let own = guarding.own;
    let is_own = |link: &Link| own.has(link);
    let left = |why: &str| Err(Some(why.to_owned()));
    let tie = user.link.tie().or_else(|| then.link.link());
    if let Some(link) = tie.filter(|link| own.is_elsewhere(link)) {
        return Err(Some(elsewhere(link)));
    }
    match (&then.link, &user.link) {
        // The directory may have got another id since.
        (LinkThen::Link(then), LinkFound::Link(now)) if own.is_of_source(then) && is_own(now) => {
            if then.id != now.id {
                return left(ANOTHERS);
            }
            Ok((Some(now.clone()), now.clone(), None))
        }
        (LinkThen::Link(then), LinkFound::Link(now)) if is_own(now) => {
            // Another job had it.
            let row = (then.id == now.id).then_some(LinkRow::Kept);
            row.map_or_else(
                || left(ANOTHERS),
                |row| {
                    let link = (**then).clone().with(|link| {
                        link.notes = now.notes.clone();
                        link.sent = now.sent.clone();
                    });
                    Ok((Some(now.clone()), link, Some(row)))
                },
            )
        }
        (LinkThen::Link(then), LinkFound::Link(now)) if is_own(then) => Err(Some(format!(
            "the user belongs to the source {:?} by now",
            &*now.source
        ))),
        (LinkThen::Link(then), LinkFound::Absent | LinkFound::OfAnotherUser) if is_own(then) => {
            match other_user(then, user, restoring.current) {
                Some(other) => Err(Some(format!(
                    "its link is gone, and its person has the user {other:?} by now"
                ))),
                None => {
                    // What was due then may have been sent since.
                    let sent = sent_since(&then.sent);
                    let link = given_back((**then).clone()).with(|link| link.sent = sent);
                    Ok((None, link, Some(LinkRow::Kept)))
                }
            }
        }
        (LinkThen::Link(then), LinkFound::Unreadable) if is_own(then) => {
            left("the user's link cannot be read")
        }
        (LinkThen::None, LinkFound::Link(now)) if is_own(now) => {
            Ok((Some(now.clone()), now.clone(), Some(LinkRow::Deleted)))
        }
        (LinkThen::Link(link), LinkFound::Unlinked(_)) if is_own(link) => left(UNLINKED),
        (_, LinkFound::Unlinked(now)) if is_own(now) => left(UNLINKED),
        (LinkThen::Unlinked, LinkFound::Link(now)) if is_own(now) => {
            left("a person had unlinked it when the snapshot was taken, and its link stays")
        }
        (LinkThen::Unusable, LinkFound::Link(now)) if is_own(now) => {
            left("its link could not be read or verified when the snapshot was taken")
        }
        (
            LinkThen::Link(_) | LinkThen::None | LinkThen::Unlinked | LinkThen::Unusable,
            LinkFound::Link(_)
            | LinkFound::Unlinked(_)
            | LinkFound::Absent
            | LinkFound::OfAnotherUser
            | LinkFound::Unreadable,
        ) => Err(None),
    }
}

/// What was sent for a user whose link comes back: what was due then may have been sent since, and none
/// is better than two.
fn sent_since(then: &Sent) -> Sent {
    let invitation = then.invitation.map(|sent| match sent {
        Invitation::Due | Invitation::Asked => Invitation::Unknown,
        Invitation::Sent | Invitation::Refused | Invitation::Unknown => sent,
    });
    Sent {
        invitation,
        ..then.clone()
    }
}

fn fields_back<'a>(
    (restoring, columns): (&Restoring<'a, '_>, &Columns<'_>),
    then: &SnapshotUser,
    goal: &mut Goal<'a>,
    put_back: &mut PutBack<'a>,
) {
    let who = &goal.user.username;
    let managed = restoring.snapshot.head.managed.iter();
    for (field, was) in managed.filter_map(|field| Some((field, then.value(field)?))) {
        let Some(now) = columns.value(goal.user, field) else {
            put_back.leave(who, format!("{}: {}", field.name(), not_read(field)));
            continue;
        };
        if equal(&now, was) {
            if *field == Field::IsActive {
                settle(then, goal);
            }
            stays(restoring, field, was, goal);
            continue;
        }
        let edit = match edit(goal.user, field, (now, was.clone()), columns) {
            Ok(edit) => edit,
            Err(why) => {
                put_back.leave(who, format!("{}: {why}", field.name()));
                continue;
            }
        };
        match &edit {
            Edit::Activate => goal.link.activity = activity_then(then, Activity::Settled),
            Edit::Deactivate => {
                let since = restoring.now.to_rfc3339_opts(SecondsFormat::Millis, true);
                let then = activity_then(
                    then,
                    Activity::Deactivated {
                        since: since.clone(),
                    },
                );
                goal.link.activity = inactive_again(then, &since);
                goal.again.push(activated_again(&goal.id));
            }
            Edit::Set { .. } | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => {}
        }
        let user = &goal.user.id;
        let again = match &edit {
            Edit::Grant(grant) => given_again(field, grant.value(), Value::Null, &goal.id),
            Edit::Revoke(grant) => given_again(field, Value::Null, grant.value(), &goal.id),
            Edit::Set { .. } | Edit::Activate => restoring.since.again(user, field, was),
            Edit::Deactivate | Edit::Link => Vec::new(),
        };
        goal.again.extend(again);
        goal.edits.push(edit);
    }
}

/// The activity is as it was, by hand or by a restore that was interrupted; so is the link to be,
/// which shows else that somebody did it by hand.
fn settle(then: &SnapshotUser, goal: &mut Goal<'_>) {
    let is_open = match (&goal.link.activity, goal.user.is_active) {
        (Activity::Deactivating { .. }, _)
        | (Activity::Deactivated { .. } | Activity::Activating, true) => true,
        (
            Activity::Settled
            | Activity::Activating
            | Activity::Released
            | Activity::Unlinked
            | Activity::Deactivated { .. },
            _,
        ) => false,
    };
    let activity = activity_then(then, goal.link.activity.clone());
    let activity = match (&goal.link.activity, goal.user.is_active) {
        (Activity::Deactivating { since }, false) => inactive_again(activity, since),
        (
            Activity::Deactivating { .. }
            | Activity::Settled
            | Activity::Activating
            | Activity::Released
            | Activity::Unlinked
            | Activity::Deactivated { .. },
            _,
        ) => activity,
    };
    if is_open && activity != goal.link.activity {
        goal.link.activity = activity;
        write_link(goal);
    }
}

fn write_link(goal: &mut Goal<'_>) {
    if !goal.edits.contains(&Edit::Link) {
        goal.edits.push(Edit::Link);
    }
}

/// A value is as it was since somebody put it back by hand, or since a restore was interrupted: the
/// next run does not write again what runs since the snapshot wrote.
fn stays(restoring: &Restoring<'_, '_>, field: &Field, was: &Value, goal: &mut Goal<'_>) {
    let known = goal.link.notes.rejected();
    let again = restoring.since.again(&goal.user.id, field, was);
    let new: Vec<_> = again
        .into_iter()
        .filter(|(_, text)| !Rejected::is_among(text, known))
        .collect();
    if !new.is_empty() {
        write_link(goal);
        goal.again.extend(new);
    }
}

/// Also what somebody gave by hand counts as the program's once it gave it back.
fn given_again(
    field: &Field,
    old: Value,
    new: Value,
    person: &DirectoryId,
) -> Vec<(Field, String)> {
    again(field, Values::new(old, new), (None, Some(person.as_str())))
}

/// What the link said of the activity; of a change that was under way then, its end.
fn activity_then(then: &SnapshotUser, without: Activity) -> Activity {
    match (
        then.link.link().map(|link| &link.activity),
        then.is_active(),
    ) {
        (Some(Activity::Deactivating { .. } | Activity::Activating), true) => Activity::Settled,
        (Some(Activity::Deactivating { since }), false) => Activity::Deactivated {
            since: since.clone(),
        },
        (Some(activity), _) => activity.clone(),
        (None, _) => without,
    }
}

/// Users of the job that came since the snapshot: those that the job created are deactivated, never
/// deleted, and all others are left alone: they were somebody's, whom the snapshot does not tell of.
fn newcomers<'a>(
    restoring: &Restoring<'a, '_>,
    guarding: Guarding<'_>,
    put_back: &mut PutBack<'a>,
) {
    for user in &restoring.current.users {
        let Some(link) = user.link.link().filter(|link| guarding.own.has(link)) else {
            continue;
        };
        // One that is inactive was ended by a restore that was interrupted.
        let is_open = user.is_active || matches!(link.activity, Activity::Deactivating { .. });
        let is_new = is_open && restoring.snapshot.user(&user.id).is_none();
        if !is_new || !restoring.is_wanted(None, Some(user)) {
            continue;
        }
        if link.directory.is_none() {
            let why = "its link does not tell of which directory it is, so it may be another \
                       installation's";
            put_back.leave(&user.username, why);
            continue;
        }
        if let Some(why) = untouchable(user, guarding) {
            put_back.leave(&user.username, why);
            continue;
        }
        if !restoring.since.created.contains(&user.id) {
            let why = "the job adopted it or took it over after the snapshot, which does not have \
                       it: `undo` puts the run back that did";
            put_back.leave(&user.username, why);
            continue;
        }
        let (edit, since) = match &link.activity {
            Activity::Deactivating { since } if !user.is_active => (Edit::Link, since.clone()),
            Activity::Deactivating { .. }
            | Activity::Settled
            | Activity::Activating
            | Activity::Released
            | Activity::Unlinked
            | Activity::Deactivated { .. } => {
                let now = restoring.now.to_rfc3339_opts(SecondsFormat::Millis, true);
                (Edit::Deactivate, now)
            }
        };
        put_back.add(Goal {
            user,
            dn: None,
            id: link.id.clone(),
            edits: vec![edit],
            before: Some(link.clone()),
            link: link
                .clone()
                .with(|link| link.activity = Activity::Deactivated { since }),
            row: LinkRow::Kept,
            again: vec![activated_again(&link.id)],
        });
    }
}

/// What puts those users back whom runs of ftrack's own synchronisation changed; whoever is not in the
/// snapshot was created, and is deactivated.
#[must_use]
pub fn restore_of_all<'a>(restoring: Restoring<'a, '_>, guarding: Guarding<'_>) -> PutBack<'a> {
    let columns = Columns::of(restoring.current);
    let mut put_back = PutBack::default();
    for id in restoring.since.users() {
        let (then, now) = (restoring.snapshot.user(&id), user(restoring.current, &id));
        if !restoring.is_wanted(then, now) {
            continue;
        }
        let Some(user) = now else {
            let login = then.and_then(|then| then.text(&Field::Username));
            let id = id.text();
            put_back.leave(login.unwrap_or(&id), "the user no longer exists in ftrack");
            continue;
        };
        if let Some(why) = untouchable(user, guarding) {
            put_back.leave(&user.username, why);
            continue;
        }
        if user.link.unlinked().is_some() {
            put_back.leave(&user.username, UNLINKED);
            continue;
        }
        let Some(mut goal) = of_nobody(user) else {
            continue;
        };
        match then {
            Some(then) => {
                fields_back((&restoring, &columns), then, &mut goal, &mut put_back);
                goal.edits.retain(|edit| *edit != Edit::Link);
                goal.link.activity = goal
                    .before
                    .as_ref()
                    .map_or(Activity::Settled, |link| link.activity.clone());
            }
            None if user.is_active => goal.edits.push(Edit::Deactivate),
            None => {}
        }
        put_back.add(goal);
    }
    put_back
}

/// A user whose link, if it has one, stays as it is.
fn of_nobody(user: &User) -> Option<Goal<'_>> {
    let before = user.link.link().cloned();
    let id = DirectoryId::new(&user.id.text())?;
    let none = LinkContent::of("".into(), IdAttribute::EntryUuid);
    let link = before.clone().unwrap_or_else(|| Link::new(id, none));
    Some(Goal {
        user,
        dn: None,
        id: link.id.clone(),
        edits: Vec::new(),
        before,
        link,
        row: LinkRow::Kept,
        again: Vec::new(),
    })
}
