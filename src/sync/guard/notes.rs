//! What is written into links beside the changes. What would hold the deactivation of somebody who is
//! missing holds the note of it as well, and no person is asked about that.

use super::{Bounds, LastAdministrator, Verdict, Vetted, limits::room, verdict};
use crate::{
    model::{
        change::{Action, Change, ChangeParts},
        change_kind::ChangeKind,
        edit::Edit,
        link::Signature,
        own_links::OwnLinks,
        reason::Reason,
        rejected::Rejected,
        user::Current,
    },
    sync::decision::{Note, Plan},
};

/// Changes that write nothing but what a link says beside who owns its user; made only by the guard.
#[derive(Debug, Default)]
pub struct VettedNotes(Vec<Change>);

impl VettedNotes {
    /// The changes.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// The same, with what a person rejected of the users of a job, and not what was rejected and has
    /// ended. A link that cannot be verified is left as it is, and so is every other job's.
    #[must_use]
    pub fn with_rejected(
        mut self,
        (current, own): (&Current, &OwnLinks),
        rejected: &Rejected,
        vetted: &Vetted,
    ) -> Self {
        for (user, link) in own.users(current) {
            let notes = link.notes.with_rejected(rejected.of_user(&user.id));
            if notes.rejected() == link.notes.rejected() || link.signature == Signature::Invalid {
                continue;
            }
            let mut others = self.0.iter_mut();
            if let Some(note) = others.find(|note| note.ftrack_id == user.id) {
                note.link.notes = note.link.notes.with_rejected(notes.rejected().to_vec());
                continue;
            }
            let note = Change::new(ChangeParts {
                action: Action::Update,
                username: user.username.to_string(),
                dn: None,
                directory_id: link.id.clone(),
                ftrack_id: user.id.clone(),
                edits: vec![Edit::Link],
                reason: Reason::InStep,
                before: Some(link.clone()),
                link: link.clone().with(|link| link.notes = notes),
            });
            if !is_written_anyway(&note, vetted) {
                self.0.push(note);
            }
        }
        self
    }
}

impl Vetted {
    /// No changes.
    #[must_use]
    pub fn none() -> Self {
        Self {
            allowed: Vec::new(),
            held: Vec::new(),
        }
    }

    /// The same, with these notes after the allowed changes.
    #[must_use]
    pub fn with(&self, notes: &VettedNotes) -> Self {
        let allowed = self.allowed.iter().chain(&notes.0);
        Self {
            allowed: allowed.cloned().collect(),
            held: self.held.clone(),
        }
    }
}

/// The notes of a plan that may be written beside its changes.
#[must_use]
pub fn notes(plan: &Plan<'_>, bounds: &Bounds<'_>, vetted: &Vetted) -> VettedNotes {
    // A reading of a replica only creates users.
    if plan.replica.is_some() || plan.notes.is_empty() {
        return VettedNotes::default();
    }
    let (of_missing, others): (Vec<&Note>, Vec<&Note>) = plan
        .notes
        .iter()
        .filter(|note| !is_written_anyway(&note.change, vetted))
        .partition(|note| !note.would_be.is_empty());
    let of_missing: Vec<&Note> = of_missing
        .into_iter()
        .filter(|note| !is_held(note, plan, bounds))
        .collect();
    // So many are no ordinary day: the reading may be wrong in a way that nobody knows of.
    let fits = of_missing.len() <= room(ChangeKind::Deactivate, plan, vetted, bounds);
    let of_missing = of_missing.into_iter().filter(|_| fits);
    let notes = of_missing.chain(others).map(|note| note.change.clone());
    VettedNotes(notes.collect())
}

/// Whether a change writes the user's link, which then says what it is to say.
fn is_written_anyway(note: &Change, vetted: &Vetted) -> bool {
    let writes = |edit: &Edit| match edit {
        Edit::Set { .. } => false,
        Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => true,
    };
    let mut allowed = vetted.allowed().iter();
    allowed.any(|change| change.ftrack_id == note.ftrack_id && change.edits.iter().any(writes))
}

/// Whether something would hold the deactivation, as far as that is known.
fn is_held(note: &Note, plan: &Plan<'_>, bounds: &Bounds<'_>) -> bool {
    note.would_be.iter().any(|reason| {
        let of = &note.change;
        let deactivation = Change::new(ChangeParts {
            action: Action::Deactivate,
            username: of.username.clone(),
            dn: None,
            directory_id: of.directory_id.clone(),
            ftrack_id: of.ftrack_id.clone(),
            edits: vec![Edit::Deactivate],
            reason: reason.clone(),
            before: of.before.clone(),
            link: of.link.clone(),
        });
        let last = LastAdministrator::of(plan, std::iter::once(&deactivation));
        let mut verdict: Verdict = verdict(plan, bounds, &last, &deactivation);
        let before = bounds.held_before;
        bounds.closed.judge(&deactivation, before, &mut verdict);
        verdict.is_held(0) || bounds.was_over(&deactivation)
    })
}
