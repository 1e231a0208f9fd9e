//! People who may not sign in: their users are deactivated, and not reactivated.

use chrono::NaiveDate;

use super::{
    Decider, Draft, Matched, missing::since, noted::Waiting, owned::MissingPerson, subject::Subject,
};
use crate::{
    model::{
        account::Account,
        change::{Action, HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        link::{Activity, Link},
        reason::Reason,
        user::User,
    },
    sync::{
        decision::{Outcome, Who},
        desired::Identified,
        difference::differences,
        owner::Owner,
        written::Stage,
    },
};

/// The most users that are named in one notice.
const NAMED: usize = 8;

/// Why it is unclear whether an account has ended.
const CLOCKS: &str = "this machine's clock and ftrack's do not agree on whether it has ended";

/// What follows for the user of somebody who may not sign in.
enum Next {
    /// It is inactive already; its values stay until the person may sign in again.
    Inactive,
    /// Only the link is to be written, with this activity.
    Note(Activity, Reason),
    /// It stays active.
    Stays(Reason),
    /// It is deactivated.
    Due,
}

impl Matched<'_> {
    /// Whether it is certain that the person may not sign in; a clock that leapt ahead ends no
    /// account.
    pub(super) fn is_disabled(&self, id: &DirectoryId) -> bool {
        self.desired.account(id).is_disabled(self.now.earliest())
    }

    /// The day on which the account ended, where that is why the person may not sign in.
    fn ended(&self, id: &DirectoryId) -> Option<NaiveDate> {
        self.desired.account(id).ended(self.now.earliest())
    }
}

impl<'a> Decider<'a, '_> {
    /// Decides about the user of a person who may not sign in.
    pub(super) fn disabled(
        &mut self,
        identified: &'a Identified,
        user: &'a User,
        link: &'a Link,
        owner: &Owner,
    ) {
        let (id, person) = identified;
        let subject = Subject {
            user,
            id,
            dn: Some(&person.dn),
            link: Some(link),
            owner: Some(owner),
        };
        let settled = self.matched.settled(identified, user, link);
        let next = self.next(&subject, link);
        // A user that stays active for a while is updated as everybody else's.
        let waits = matches!(next, Next::Stays(Reason::DisabledSince(_)));
        if waits && self.has_other_values(identified, user) {
            return self.linked(identified, user, link, owner);
        }
        self.follow(next, Who::Person(identified), &subject, settled);
    }

    /// The same for users whose people's entries are otherwise of no use.
    pub(super) fn disabled_without_a_person(&mut self) {
        let matched = self.matched;
        for disabled in &matched.owned.disabled {
            let MissingPerson {
                user, link, owner, ..
            } = disabled;
            if disabled.is_shared {
                let reason = Reason::DisabledStays("other users have the same link");
                self.leave_alone(Who::User(user), Some(user), reason);
                continue;
            }
            let subject = Subject::of_link(user, link, owner);
            let next = self.next(&subject, link);
            self.follow(next, Who::User(user), &subject, (*link).clone());
        }
    }

    /// Whether the directory has other values than the user, without any notice of it.
    fn has_other_values(&self, (_, person): &Identified, user: &User) -> bool {
        let matched = self.matched;
        let found = differences(person, user, matched.sides(), Stage::Existing);
        matched.rules.users.update && found.is_ok_and(|found| !found.edits.is_empty())
    }

    fn next(&mut self, subject: &Subject<'_, 'a>, link: &'a Link) -> Next {
        let user = subject.user;
        let rules = self.matched.rules;
        match (&link.activity, rules.untouchable(user)) {
            (Activity::Deactivating { since }, None) if !user.is_active => {
                let since = since.clone();
                let done = Activity::Deactivated { since };
                return Next::Note(done, Reason::DeactivationDone);
            }
            (_, _) if !user.is_active => return Next::Inactive,
            (_, Some(why)) => return Next::Stays(Reason::DisabledStays(why)),
            (Activity::Deactivated { .. }, None) => {
                return Next::Note(Activity::Released, Reason::ReleasedDisabled);
            }
            (Activity::Released | Activity::Unlinked, None) => {
                return Next::Stays(Reason::DisabledStays("somebody reactivated it"));
            }
            (Activity::Settled | Activity::Activating | Activity::Deactivating { .. }, None) => {}
        }
        if !rules.users.deactivate {
            return Next::Stays(Reason::DisabledStays("users.deactivate is false"));
        }
        let absence = self.matched.absence(link);
        let after = rules.patience.disabled;
        let waits = self.matched.waits(&absence, after);
        let reason = Reason::DisabledSince(since(&absence, after));
        let id = link.id.as_str().to_owned();
        self.plan.disabled.insert(id, absence.clone());
        if waits {
            self.waiting.push(Waiting {
                user,
                link,
                is_held: subject.hold().is_some(),
                absence,
                reason: reason.clone(),
                would_be: vec![Reason::Disabled],
            });
            return Next::Stays(reason);
        }
        Next::Due
    }

    fn follow(&mut self, next: Next, who: Who<'a>, subject: &Subject<'_, 'a>, settled: Link) {
        let (user, Some(link)) = (subject.user, subject.link) else {
            return;
        };
        match next {
            Next::Inactive => {
                let ended = self.matched.ended(&link.id);
                let reason = ended.map_or(Reason::DisabledInactive, Reason::EndedInactive);
                self.settle(who, Some(user), Outcome::Unchanged, reason);
            }
            Next::Note(activity, reason) => {
                let new = settled.with(|link| link.activity = activity);
                self.change(
                    who,
                    Action::Update,
                    subject,
                    vec![Edit::Link],
                    (reason, new),
                );
            }
            Next::Stays(reason @ Reason::DisabledSince(_)) => {
                self.settle(who, Some(user), Outcome::Waiting, reason);
            }
            Next::Stays(reason) => self.leave_alone(who, Some(user), reason),
            Next::Due => {
                let activity = self.matched.deactivated_now();
                let new = settled.with(|link| link.activity = activity);
                let mut edits = vec![Edit::Deactivate];
                // Where only the activity changes, it is written with the activity itself.
                if !link.differs_in_activity_alone(&new) {
                    edits.push(Edit::Link);
                }
                let ended = self.matched.ended(&link.id);
                let reason = ended.map_or(Reason::Disabled, Reason::Ended);
                self.change(who, Action::Deactivate, subject, edits, (reason, new));
            }
        }
    }

    /// Decides about a person who may not sign in and has no user.
    pub(super) fn disabled_without_a_user(
        &mut self,
        identified: &'a Identified,
        adoptable: Option<&'a User>,
    ) {
        let who = Who::Person(identified);
        let ended = self.matched.ended(&identified.0);
        let reason = match adoptable {
            None => ended.map_or(Reason::DisabledWithoutUser, Reason::EndedWithoutUser),
            Some(user) => Reason::DisabledNotAdopted(user.username.clone()),
        };
        self.leave_alone(who, adoptable, reason);
    }

    /// Holds what would give access to somebody of whom it cannot be told whether they may sign in.
    pub(super) fn hold_the_unclear(&mut self) {
        let matched = self.matched;
        let gives_access = |change: &&Draft<'a>| change.change.activity() == Some(true);
        let unclear = self.changes.iter().filter(gives_access);
        let latest = matched.now.clocks.latest();
        let unclear = unclear.filter_map(|draft| {
            let account = matched.desired.account(&draft.change.directory_id);
            let why = match account {
                Account::Unclear(why, _) => why,
                Account::Until(_) if account.is_disabled(latest) => CLOCKS,
                Account::Until(_) | Account::Enabled | Account::Disabled => return None,
            };
            let why = format!(
                "it cannot be told whether the person's account is disabled: {why}; if it is not, \
                 approve it, or set disabled for the job"
            );
            Some((
                draft.change.ftrack_id.clone(),
                Hold::new(HeldBy::Doubt, why),
            ))
        });
        let unclear: Vec<_> = unclear.collect();
        for (user, hold) in unclear {
            self.plan.holds.entry(user).or_insert(hold);
        }
    }

    /// People with active users of whom it cannot be told whether they may sign in: nobody else names
    /// them.
    pub(super) fn of_the_unclear(&mut self) {
        let desired = self.matched.desired;
        let mut first: Option<&str> = None;
        let mut number = 0_usize;
        for decision in &self.plan.decisions {
            let (Who::Person((id, _)), Some(user)) = (decision.who, decision.user) else {
                continue;
            };
            if let Account::Unclear(why, _) = desired.account(id)
                && user.is_active
            {
                number += 1;
                first = Some(first.map_or(why, |first| first.min(why)));
            }
        }
        if let Some(why) = first {
            self.notice(format!(
                "of {number} people with active users it cannot be told whether their accounts are \
                 disabled, and they stay active: {why}"
            ));
        }
    }

    /// Active users without an owner that look like those of people who may not sign in: nobody
    /// else names them.
    pub(super) fn of_disabled_strangers(&mut self) {
        let mut logins: Vec<&str> = self
            .plan
            .decisions
            .iter()
            .filter(|decision| matches!(decision.reason, Reason::DisabledNotAdopted(_)))
            .filter_map(|decision| decision.user)
            .filter(|user| user.is_active)
            .map(|user| &*user.username)
            .collect();
        if logins.is_empty() {
            return;
        }
        logins.sort_unstable();
        let more = match logins.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        logins.truncate(NAMED);
        self.notice(format!(
            "users without an owner are active, and the accounts of the people whom they match \
             are disabled in the directory; they are not adopted, and stay active until somebody \
             deactivates them: {}{more}",
            logins.join(", ")
        ));
    }
}
