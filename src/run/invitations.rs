//! The invitations of the users that a run created.

use super::RunContext;
use crate::{
    ftrack::{
        invite::{Invited, invite},
        session::{Until, Writer},
    },
    model::{change::Change, report::ChangeResult, sent::Invitation, user::EntityId},
    sync::guard::Vetted,
};

impl<W> RunContext<'_, W> {
    /// Has ftrack invite the users whose creation this run finished, and reports who got none.
    pub(super) async fn send_invitations(
        &mut self,
        vetted: &Vetted,
        writer: &Writer,
        until: &Until,
    ) {
        let changes = vetted.allowed().iter().zip(&self.report.changes);
        let users: Vec<EntityId> = changes
            .filter(|(change, reported)| asks(change) && reported.result == ChangeResult::Applied)
            .map(|(change, _)| change.ftrack_id.clone())
            .collect();
        if users.is_empty() {
            return;
        }
        let Invited { without, warnings } = invite(writer, &users, until).await;
        let mut told = Vec::new();
        for (user, why) in without {
            let of_user = |change: &&mut _| is_of(change, &user);
            let Some(change) = self.report.changes.iter_mut().find(of_user) else {
                continue;
            };
            let told_of = format!("the invitation: {why}");
            change.note = Some(match change.note.take() {
                Some(note) => format!("{note}; {told_of}"),
                None => told_of,
            });
            told.push(format!("the invitation of {}: {why}", change.username));
        }
        told.extend(warnings);
        self.add_warnings(told);
    }
}

fn is_of(change: &crate::model::report::Reported, user: &EntityId) -> bool {
    change.ftrack_id == *user && change.result == ChangeResult::Applied
}

/// Whether the change has the user's link say that ftrack is being asked.
fn asks(change: &Change) -> bool {
    let asked = Some(Invitation::Asked);
    let before = change.before.as_ref().and_then(|link| link.sent.invitation);
    change.link.sent.invitation == asked && before != asked
}
