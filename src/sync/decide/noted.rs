//! What the links of the job's users are to say of their people: since when somebody who is waited
//! for has been missing, and nothing once the person is back.

use super::{Decider, owned::Noted, subject::Subject};
use crate::{
    model::{
        absence::Absence,
        change::{Action, Change, ChangeParts},
        edit::Edit,
        link::Link,
        reason::Reason,
        user::User,
    },
    sync::{decision::Note, owner::Owner},
};

/// Somebody who is missing or disabled, and has not been for long enough.
pub(super) struct Waiting<'a> {
    pub user: &'a User,
    pub link: &'a Link,
    /// Whether every change to the user is held, whatever its kind.
    pub is_held: bool,
    pub absence: Absence,
    /// Why the user is not deactivated yet.
    pub reason: Reason,
    /// Why it would be, once that is over.
    pub would_be: Vec<Reason>,
}

impl<'a> Decider<'a, '_> {
    /// Lists what links are to say, and do not say yet.
    pub(super) fn note_in_links(&mut self) {
        let matched = self.matched;
        let noted = &matched.owned.noted;
        let in_links = noted.iter().map(|Noted { link, .. }| link.id.clone());
        self.plan.in_links = in_links.collect();
        if !matched.desired.is_of_everybody() {
            return;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting {
                user,
                link,
                is_held,
                absence,
                reason,
                would_be,
            } = waiting;
            // Whether the person left that directory cannot be proven.
            let is_unknown = link.directory.is_none() || matched.desired.directory().is_none();
            if is_held || is_unknown || matched.guarded(user, link).is_some() {
                continue;
            }
            // The number of reads does not count: any later read that does not show the person is at
            // least the second one.
            let stands = link.notes.missing();
            if stands.is_none_or(|stands| stands.since != absence.since) {
                let missing = Some(absence.for_a_link());
                self.note(user, link, missing, (reason, would_be));
            }
        }
        for Noted { user, link } in noted {
            let id = &link.id;
            let is_found =
                self.evidence.there.contains(id) || self.evidence.of_job.contains_key(id);
            let is_back = matched.desired.tells_of(id)
                && !matched.desired.lacks(id)
                && !matched.is_disabled(id);
            if is_found || is_back {
                self.note(user, link, None, (Reason::InStep, Vec::new()));
            }
        }
    }

    fn note(
        &mut self,
        user: &User,
        link: &Link,
        missing: Option<Absence>,
        (reason, would_be): (Reason, Vec<Reason>),
    ) {
        if self.matched.rules.untouchable(user).is_some() {
            return;
        }
        let subject = Subject::of_link(user, link, &Owner::Ours);
        let hold = subject.hold();
        if hold
            .or_else(|| self.matched.unknown_person(&subject))
            .is_some()
        {
            return;
        }
        let change = Change::new(ChangeParts {
            action: Action::Update,
            username: user.username.to_string(),
            dn: None,
            directory_id: link.id.clone(),
            ftrack_id: user.id.clone(),
            edits: vec![Edit::Link],
            reason,
            before: Some(link.clone()),
            link: link
                .clone()
                .with(|link| link.notes = link.notes.with_missing(missing)),
        });
        self.plan.notes.push(Note { change, would_be });
    }

    /// A reading that shows nobody absent leaves what is known as it was.
    pub(super) fn keep_absences(&mut self) {
        let matched = self.matched;
        self.plan.absences.clone_from(matched.known.absences);
        self.plan.disabled.clone_from(matched.known.disabled);
        for Noted { link, .. } in &matched.owned.noted {
            let id = link.id.as_str();
            if let Some(missing) = link
                .notes
                .missing()
                .filter(|_| !self.plan.disabled.contains_key(id))
            {
                self.plan.absences.insert(id.to_owned(), missing.clone());
            }
        }
    }
}
