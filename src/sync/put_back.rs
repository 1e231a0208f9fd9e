//! What puts users back to what they were: the changes, whom they leave alone and why, and what the
//! next run must not do again. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::HashMap;

use serde_json::Value;

use super::{
    became, custom,
    decision::{Decision, Outcome, Plan, Who},
    order,
    rules::{PROTECTED, fold},
};
use crate::model::{
    change::{Action, Change, ChangeParts, HeldBy, Hold, LinkRow, Skipped},
    custom_kind::CustomKind,
    edit::{Attribute, Edit, Field, Values},
    entry::DirectoryId,
    given::GrantId,
    grant::Grant,
    link::{Activity, Link, Signature},
    link_notes::EditDigest,
    own_links::OwnLinks,
    reason::{Cause, Reason},
    rejected::Rejected,
    sent::Invitation,
    shown_edit::ShownEdit,
    user::{Current, EntityId, User, UserKind},
};

/// Why a user is left alone whose link a person ended.
pub const UNLINKED: &str =
    "a person unlinked the user, so nothing is put back: `link` gives it to somebody again";

/// Why a user is left alone whose link names another directory.
#[must_use]
pub fn elsewhere(link: &Link) -> String {
    let directory = link.directory.as_deref().unwrap_or_default();
    format!(
        "its link is of another directory ({directory}), most likely another installation's, so it is \
         left alone"
    )
}

/// Why a user is left alone that another person of the job has by now.
pub const ANOTHERS: &str = "the user is another person's by now, so nothing is put back";

/// Why somebody keeps the picture that the job sent.
pub const PICTURE_STAYS: &str =
    "pictures are never put back, so the user keeps the one that the job sent";

/// What one user gets back.
#[derive(Debug)]
pub struct Goal<'a> {
    /// The user, as it is now.
    pub user: &'a User,
    /// The DN of the person's entry, as far as it is known.
    pub dn: Option<String>,
    /// The person; of a user that belongs to nobody, the user's own id.
    pub id: DirectoryId,
    /// What is written.
    pub edits: Vec<Edit>,
    /// The link that the user has now, if it is a readable one.
    pub before: Option<Link>,
    /// The link afterwards; as it is where no edit concerns it, and the one that is taken away.
    pub link: Link,
    /// Whether the user has a link afterwards.
    pub row: LinkRow,
    /// What the next run would do because of each edit, as a text of rejected edits.
    pub again: Vec<(Field, String)>,
}

/// What users get back, and whom it leaves alone.
#[derive(Debug, Default)]
pub struct PutBack<'a> {
    /// At most one of each user.
    pub goals: Vec<Goal<'a>>,
    /// Who and what is left alone, and why.
    pub left: Vec<Skipped>,
    /// Users that are as they were.
    pub unchanged: usize,
}

/// What is rejected from now on, and what not any more, by the user and the text of the edit: what a
/// person had undone must not be done again, and what a person had written is not rejected.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Rejections {
    pub made: Vec<(EntityId, String)>,
    pub ended: Vec<(EntityId, String)>,
}

impl Rejections {
    /// Those of some users.
    #[must_use]
    pub fn of_users(self, users: &BTreeSet<&EntityId>) -> Self {
        let of_them = |all: Vec<(EntityId, String)>| {
            let all = all.into_iter();
            all.filter(|(user, _)| users.contains(user)).collect()
        };
        Self {
            made: of_them(self.made),
            ended: of_them(self.ended),
        }
    }

    fn add(&mut self, goal: &Goal<'_>) {
        let user = &goal.user.id;
        let texts = goal.again.iter().map(|(_, text)| text.clone());
        self.made.extend(texts.map(|text| (user.clone(), text)));
        let texts = goal.ended().into_iter();
        self.ended.extend(texts.map(|text| (user.clone(), text)));
    }
}

/// Who may be changed.
#[derive(Clone, Copy)]
pub struct Guarding<'g> {
    /// Whether a login is the program's own.
    pub is_api_user: &'g dyn Fn(&str) -> bool,
    /// Why login, mail, activity and roles of a user are protected, if they are.
    pub guarded: &'g dyn Fn(&User) -> Option<&'static str>,
    /// Which links are the job's.
    pub own: &'g OwnLinks,
    /// Whether the links that are written are signed.
    pub signature: Signature,
}

impl<'a> PutBack<'a> {
    /// Leaves somebody alone.
    pub fn leave(&mut self, who: &str, why: impl Into<String>) {
        self.left.push(Skipped {
            dn: who.to_owned(),
            username: None,
            email: None,
            directory_id: None,
            verdict: None,
            reason: why.into(),
            unsettled: false,
        });
    }

    /// Adds what a user gets back, if anything.
    pub fn add(&mut self, goal: Goal<'a>) {
        if goal.edits.is_empty() {
            self.unchanged += 1;
        } else {
            self.goals.push(goal);
        }
    }

    /// Leaves logins alone that other users have and keep.
    fn drop_taken_logins(&mut self, current: &Current) {
        let owners: BTreeMap<String, &EntityId> = current
            .users
            .iter()
            .map(|user| (fold(&user.username).into_owned(), &user.id))
            .collect();
        loop {
            let freed: BTreeSet<&EntityId> = self
                .goals
                .iter()
                .filter(|goal| login(goal).is_some())
                .map(|goal| &goal.user.id)
                .collect();
            let taken = self.goals.iter().position(|goal| {
                let owner = login(goal).and_then(|login| owners.get(&*fold(login)));
                owner.is_some_and(|owner| **owner != goal.user.id && !freed.contains(owner))
            });
            let Some(goal) = taken.and_then(|place| self.goals.get_mut(place)) else {
                break;
            };
            let login = login(goal).unwrap_or_default().to_owned();
            goal.edits.retain(|edit| !edit.sets(&Attribute::Username));
            goal.again.retain(|(field, _)| *field != Field::Username);
            let who = goal.user.username.to_string();
            self.leave(
                &who,
                format!("the login {login:?} is another user's by now, so it is not put back"),
            );
        }
        self.goals.retain(|goal| !goal.edits.is_empty());
    }

    /// The plan that puts it back, with who is left alone, and what that rejects.
    #[must_use]
    pub fn plan(
        mut self,
        current: &'a Current,
        guarding: Guarding<'_>,
        reason: &Reason,
    ) -> (Plan<'a>, Vec<Skipped>, Rejections) {
        self.drop_taken_logins(current);
        let mut plan = facts(current, guarding);
        let is_blind = plan.active_administrators.is_empty() && !shows_administrators(current);
        let unknown = "no active administrator is visible in ftrack, so anybody may be one";
        let mut rejections = Rejections::default();
        let mut drafts = Vec::new();
        for mut goal in self.goals {
            let guarded = (guarding.guarded)(goal.user);
            // Of a user whose link is gone, the one that it gets back.
            let recorded = goal.before.as_ref().unwrap_or(&goal.link).protected;
            // Reports and snapshots do not tell.
            goal.link.signature = guarding.signature;
            let guarded = guarded.or((recorded == Some(true)).then_some(PROTECTED));
            if let Some(why) = guarded.or(is_blind.then_some(unknown)) {
                plan.guarded.insert(goal.user.id.clone(), why);
            }
            let is_forged = |link: &Link| link.signature == Signature::Invalid;
            if goal.before.as_ref().is_some_and(is_forged) {
                let why = "the user's link is not signed with the current link key, so nothing is \
                           put back";
                let hold = Hold::new(HeldBy::Doubt, why);
                plan.holds.insert(goal.user.id.clone(), hold);
            }
            rejections.add(&goal);
            let goal = goal.with_notes(guarding.own);
            drafts.push((goal.user, change(goal, reason)));
        }
        let changes: Vec<&Change> = drafts.iter().map(|(_, change)| change).collect();
        let in_order = order::in_order(&changes, &BTreeSet::new());
        plan.decisions = in_order
            .into_iter()
            .filter_map(|place| {
                let (user, change) = drafts.get(place.index)?;
                let change = Change {
                    rotation: place.rotation,
                    ..change.clone()
                };
                Some(Decision {
                    who: Who::User(user),
                    user: Some(user),
                    outcome: Outcome::Change(Box::new(change)),
                    reason: reason.clone(),
                })
            })
            .collect();
        self.left.sort();
        self.left.dedup();
        (plan, self.left, rejections)
    }
}

fn login<'g>(goal: &'g Goal<'_>) -> Option<&'g str> {
    let mut edits = goal.edits.iter().filter_map(Edit::set);
    let login = edits.find(|(attribute, _)| **attribute == Attribute::Username);
    login.and_then(|(_, values)| values.new.as_str())
}

impl Goal<'_> {
    /// The texts of what is written, which may have been rejected before: by a person, or by an undo that
    /// is undone by this. The cause of then does not matter.
    fn ended(&self) -> Vec<String> {
        let is_value = |edit: &&Edit| match edit {
            // It is also written where only something in it changes.
            Edit::Link => self.row == LinkRow::Kept && self.before.is_none(),
            Edit::Set { .. }
            | Edit::Activate
            | Edit::Deactivate
            | Edit::Grant(_)
            | Edit::Revoke(_) => true,
        };
        let causes = Cause::ALL.map(Some).into_iter().chain([None]);
        let people = [Some(self.id.as_str()), None];
        let made: BTreeSet<&str> = self.again.iter().map(|(_, text)| &**text).collect();
        let edits = self.edits.iter().filter(is_value).map(ShownEdit::from);
        let texts = edits.flat_map(|edit| {
            let of_cause = move |cause| people.map(move |person| (cause, person));
            let of = causes.clone().flat_map(of_cause);
            of.map(move |(cause, person)| Rejected::text(&edit, cause, person))
        });
        texts.filter(|text| !made.contains(&**text)).collect()
    }

    /// The same; a link of the job that stays says also what the next run must not do again, and not
    /// any more that what is written now was rejected.
    fn with_notes(mut self, own: &OwnLinks) -> Self {
        if self.row == LinkRow::Deleted || !own.has(&self.link) {
            return self;
        }
        let ended: BTreeSet<EditDigest> = self
            .ended()
            .iter()
            .map(|text| EditDigest::of(text))
            .collect();
        let known = self.link.notes.rejected().iter().copied();
        let known = known.filter(|digest| !ended.contains(digest));
        let digests = self.again.iter().map(|(_, text)| EditDigest::of(text));
        self.link.notes = self
            .link
            .notes
            .with_rejected(known.chain(digests).collect());
        self
    }
}

fn change(goal: Goal<'_>, reason: &Reason) -> Change {
    let action = action(&goal);
    let change = Change::new(ChangeParts {
        action,
        username: goal.user.username.to_string(),
        dn: goal.dn,
        directory_id: goal.id,
        ftrack_id: goal.user.id.clone(),
        edits: goal.edits,
        reason: reason.clone(),
        before: goal.before,
        link: goal.link,
    });
    match goal.row {
        LinkRow::Kept => change,
        LinkRow::Deleted => change.deleting_the_link(),
    }
}

fn action(goal: &Goal<'_>) -> Action {
    let has = |edit: &Edit| goal.edits.contains(edit);
    if has(&Edit::Link) && goal.before.is_none() {
        Action::Adopt
    } else if has(&Edit::Activate) {
        Action::Reactivate
    } else if has(&Edit::Deactivate) {
        Action::Deactivate
    } else {
        Action::Update
    }
}

fn shows_administrators(current: &Current) -> bool {
    let mut users = current.users.iter();
    users.any(|user| user.administrator && user.is_active)
}

/// What the guard and the report have to know beside the changes.
fn facts<'a>(current: &Current, guarding: Guarding<'_>) -> Plan<'a> {
    let stays = |user: &&User| {
        user.administrator && user.is_active && !(guarding.is_api_user)(&user.username)
    };
    let administrators = current.users.iter().filter(stays);
    let owned = || guarding.own.users(current);
    Plan {
        active_administrators: administrators.map(|user| user.id.clone()).collect(),
        owned: owned().count(),
        owned_active: owned().filter(|(user, _)| user.is_active).count(),
        linked: current
            .users
            .iter()
            .filter(|user| user.link.tie().is_some())
            .count(),
        notices: guarding.own.notice(current).into_iter().collect(),
        ..Plan::default()
    }
}

/// Why a user is never changed, if it is not.
#[must_use]
pub fn untouchable(user: &User, guarding: Guarding<'_>) -> Option<&'static str> {
    if (guarding.is_api_user)(&user.username) {
        return Some("it is the program's own user, which is never changed");
    }
    match user.kind {
        UserKind::Person => None,
        UserKind::Untouchable => Some("users of its type are never changed"),
        UserKind::Odd => Some("it has no login, or no activity, and is never changed"),
    }
}

/// What a job gives and takes, by column: there may be hundreds, of each of all users.
#[derive(Debug)]
pub struct Columns<'c> {
    current: &'c Current,
    grants: BTreeMap<Field, &'c Arc<Grant>>,
    /// The same by what links note of it.
    by_id: HashMap<GrantId, (Field, Value)>,
}

impl<'c> Columns<'c> {
    /// Those of what was read.
    #[must_use]
    pub fn of(current: &'c Current) -> Self {
        let grants = current.grants.iter();
        let column = |grant: &Arc<Grant>| (grant.id(), (grant.field(), grant.value()));
        Self {
            current,
            by_id: grants.clone().map(column).collect(),
            grants: grants.map(|grant| (grant.field(), grant)).collect(),
        }
    }

    /// The value of a field of a user; none of one that is not read. Of what the job gives, whether the
    /// user has exactly this: a role for all open projects is none for one of them.
    #[must_use]
    pub fn value(&self, user: &User, field: &Field) -> Option<Value> {
        if field.is_grant() {
            let grant = self.grants.get(field)?;
            let value = has(user, grant).then(|| grant.value());
            return Some(value.unwrap_or(Value::Null));
        }
        let is_read = match field.attribute() {
            Some(Attribute::Custom(key)) => {
                let mut known = self.current.custom_attributes.iter();
                known.any(|(known, _)| *known == key)
            }
            Some(
                Attribute::Username
                | Attribute::FirstName
                | Attribute::LastName
                | Attribute::Email
                | Attribute::UserType
                | Attribute::Invitation
                | Attribute::Thumbnail,
            )
            | None => true,
        };
        became::value(Some(user), field, self.current).filter(|_| is_read)
    }

    /// The kind of values that a custom attribute takes.
    fn kind(&self, key: &str) -> Option<&CustomKind> {
        let known = self.current.custom_attributes.iter();
        let mut kinds = known.zip(&self.current.custom_kinds);
        kinds.find_map(|((known, _), kind)| (known == key).then_some(kind))
    }

    /// The columns of what a user has of what the job gives, with the values.
    pub fn given(&self, user: &User) -> impl Iterator<Item = (&Field, Value)> {
        let held = user.grants.ids().filter_map(|id| self.by_id.get(&id));
        held.map(|(field, value)| (field, value.clone()))
    }
}

/// Whether a user has exactly this; of a membership, whoever made it.
fn has(user: &User, grant: &Grant) -> bool {
    match grant {
        Grant::Role(_) | Grant::ProjectRole { .. } => user.grants.has(grant),
        Grant::Group(_) => user.grants.covers(grant),
    }
}

/// Why a field that no reading shows any more is not put back.
#[must_use]
pub fn not_read(field: &Field) -> &'static str {
    if matches!(field, Field::Custom(_)) {
        "the job does not manage it any more, or ftrack does not have it"
    } else {
        "the job does not manage it any more"
    }
}

/// What brings a field of a user from one value to another; a value of a custom attribute is one that
/// the attribute takes now.
///
/// # Errors
/// Nothing does, and why.
pub fn edit(
    user: &User,
    field: &Field,
    (from, to): (Value, Value),
    columns: &Columns<'_>,
) -> Result<Edit, String> {
    if *field == Field::IsActive {
        let is_active = to == true;
        return Ok(if is_active {
            Edit::Activate
        } else {
            Edit::Deactivate
        });
    }
    if field.is_grant() {
        return grant_back(user, columns.grants.get(field), &to);
    }
    let attribute = field.attribute();
    let attribute = attribute.ok_or_else(|| "it is never put back".to_owned())?;
    if attribute == Attribute::Username && to.as_str().is_none_or(str::is_empty) {
        return Err("it had no login before".to_owned());
    }
    let new = match &attribute {
        Attribute::Custom(key) => custom_back(columns.kind(key), &from, to)?,
        Attribute::Username
        | Attribute::FirstName
        | Attribute::LastName
        | Attribute::Email
        | Attribute::UserType
        | Attribute::Invitation
        | Attribute::Thumbnail => to,
    };
    let values = Values::new(from, new);
    Ok(Edit::Set { attribute, values })
}

/// What gives a user something that a job gives, or takes it.
fn grant_back(user: &User, grant: Option<&&Arc<Grant>>, to: &Value) -> Result<Edit, String> {
    let grant = *grant.ok_or_else(|| "the job does not give it any more".to_owned())?;
    match (to.is_null(), user.grants.has(grant)) {
        (true, false) => Err("somebody else made the membership, so it stays".to_owned()),
        (true, true) => Ok(Edit::Revoke(Arc::clone(grant))),
        (false, _) => Ok(Edit::Grant(Arc::clone(grant))),
    }
}

/// An earlier value of a custom attribute, as the attribute takes it now.
fn custom_back(kind: Option<&CustomKind>, from: &Value, to: Value) -> Result<Value, String> {
    let fitting = match kind {
        Some(kind) => custom::earlier(kind, from, &to)
            .map_err(|why| format!("the attribute was changed since: it {why}"))?,
        None => to,
    };
    if custom::equal(from, &fitting) {
        return Err("it has that value, in the form that it takes by now".to_owned());
    }
    Ok(fitting)
}

/// The texts by which a later run knows an edit that it must not do again, of the person with this
/// directory id. What an undo wrote has no cause: then a deactivation is none of any cause.
#[must_use]
pub fn again(
    field: &Field,
    values: Values,
    (cause, person): (Option<Cause>, Option<&str>),
) -> Vec<(Field, String)> {
    let fields = BTreeMap::from([(field.clone(), values)]);
    let edits = ShownEdit::of_fields(&fields);
    let causes = match (edits.as_slice(), cause) {
        ([ShownEdit::Deactivate], None) => Cause::ALL.map(Some).to_vec(),
        (_, cause) => vec![cause],
    };
    let texts = edits.iter().flat_map(|edit| {
        let of_cause = causes
            .iter()
            .map(|cause| Rejected::text(edit, *cause, person));
        of_cause.map(|text| (field.clone(), text))
    });
    texts.collect()
}

/// That a later run must not activate a user again for a person.
#[must_use]
pub fn activated_again(person: &DirectoryId) -> (Field, String) {
    let text = Rejected::text(&ShownEdit::Activate, None, Some(person.as_str()));
    (Field::IsActive, text)
}

/// A link as it is given back: since when somebody was missing then is of no use now, and nobody is
/// invited by it.
#[must_use]
pub fn given_back(then: Link) -> Link {
    let invitation = then.sent.invitation.map(|sent| match sent {
        Invitation::Asked => Invitation::Unknown,
        Invitation::Due | Invitation::Sent | Invitation::Refused | Invitation::Unknown => sent,
    });
    then.with(|link| {
        link.notes = link.notes.with_missing(None);
        link.sent.invitation = invitation;
    })
}

/// What the link says of a user that is inactive again: as it was then; but a deactivation by the
/// program has this time, by which it is known who did it when the run is killed.
#[must_use]
pub fn inactive_again(then: Activity, since: &str) -> Activity {
    match then {
        Activity::Deactivating { .. } | Activity::Deactivated { .. } => Activity::Deactivated {
            since: since.to_owned(),
        },
        Activity::Settled | Activity::Activating | Activity::Released | Activity::Unlinked => then,
    }
}

/// Whether two links are of the same person: ids that servers generate identify people everywhere.
#[must_use]
pub fn is_same_person(one: &Link, other: &Link) -> bool {
    let is_everywhere = one.attribute.is_universal() && other.attribute.is_universal();
    let is_same_directory = match (&one.directory, &other.directory) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    one.id == other.id && (is_everywhere || is_same_directory)
}

/// The login of another user that the person of a link has, or was unlinked from.
#[must_use]
pub fn other_user<'c>(link: &Link, user: &User, current: &'c Current) -> Option<&'c str> {
    let has_it = |other: &&User| {
        let tie = other.link.tie();
        let is_tied = tie.is_some_and(|tie| is_same_person(tie, link));
        let is_claimed = current.claims.get(&link.id) == Some(&other.id);
        other.id != user.id && (is_tied || is_claimed)
    };
    current
        .users
        .iter()
        .find(has_it)
        .map(|user| &*user.username)
}

/// The user with this id.
#[must_use]
pub fn user<'c>(current: &'c Current, id: &EntityId) -> Option<&'c User> {
    let place = current
        .users
        .binary_search_by(|user| user.id.cmp(id))
        .ok()?;
    current.users.get(place)
}
