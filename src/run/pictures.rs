//! The pictures of people: their digests are read beside the people, and each that is to be sent is
//! read again right before, so that no run keeps them.

use super::{RunContext, ldap_work::LdapWork};
use crate::{
    config::Scope,
    directory,
    directory::ReadRequest,
    ftrack::{
        outcome::{ChangeOutcome, OutcomeKind},
        picture::send,
        session::{Until, Writer},
    },
    model::{
        change::Change,
        edit::{Attribute, Edit},
        picture::PictureDigest,
    },
    sync::{desired::Desired, guard::Vetted},
};

/// The most people whose pictures are asked for one by one.
const FEW: usize = 20;

impl RunContext<'_, LdapWork> {
    /// The same for a reading of a few people, whose entries are asked; of more, the next complete
    /// run reads the pictures.
    pub(super) async fn with_pictures_of_few(
        &self,
        desired: Desired,
        request: &ReadRequest,
    ) -> Desired {
        let people = desired.people().iter();
        let entries = ReadRequest {
            bases: people.map(|(_, person)| person.dn.to_string()).collect(),
            scope: Scope::Subtree,
            ..request.clone()
        };
        if !(1..=FEW).contains(&entries.bases.len()) {
            return desired;
        }
        self.with_pictures(desired, &entries).await
    }

    /// The desired state with the pictures, if the job maps them. Where they cannot be read, none is
    /// sent, and nothing else depends on them.
    pub(super) async fn with_pictures(&self, desired: Desired, request: &ReadRequest) -> Desired {
        let (Some(attribute), Some(people)) = (self.work.pictures(), desired.filter()) else {
            return desired;
        };
        let found = directory::pictures(
            &self.work.pool,
            request,
            (desired.server(), people),
            attribute,
            &self.until.cancel,
        )
        .await;
        match found {
            Ok(found) => {
                let is_empty =
                    found.is_empty() && desired.is_of_everybody() && !desired.people().is_empty();
                let note = is_empty.then(|| {
                    format!(
                        "nobody has a value for attributes.thumbnail ({attribute:?}): check the \
                         name, and whether the bind account may read it"
                    )
                });
                desired
                    .with_pictures(found)
                    .noting(note.into_iter().collect())
            }
            Err(error) => desired.noting(vec![format!(
                "the pictures could not be read, so none is sent in this run: {error}"
            )]),
        }
    }
}

/// Whether the change is in effect only once a picture is sent.
fn sends_a_picture(change: &Change) -> bool {
    change.values(&Attribute::Thumbnail).is_some()
}

/// The outcomes of changes that are in effect but for their pictures, and the others.
pub(super) fn that_wait(
    vetted: &Vetted,
    done: &[ChangeOutcome],
) -> (Vec<ChangeOutcome>, Vec<ChangeOutcome>) {
    let waits = |outcome: &ChangeOutcome| {
        let is_in_effect = match outcome.became {
            OutcomeKind::Applied(_) | OutcomeKind::SoAlready => true,
            OutcomeKind::ByAnother(_)
            | OutcomeKind::Unconfirmed(..)
            | OutcomeKind::Failed(_)
            | OutcomeKind::FailedInPart(..)
            | OutcomeKind::NoSeat(..) => false,
        };
        let change = vetted.allowed().get(outcome.place);
        is_in_effect && change.is_some_and(sends_a_picture)
    };
    done.iter().cloned().partition(waits)
}

/// What became of a change whose other values are written.
pub(super) struct Sent {
    pub outcome: ChangeOutcome,
    /// Why the picture alone was not sent.
    pub without: Option<String>,
}

/// Sends the picture of a change whose other values are written, with this outcome.
pub(super) async fn send_picture(
    work: &LdapWork,
    request: &ReadRequest,
    (change, outcome): (&Change, ChangeOutcome),
    (writer, until): (&Writer, &Until),
) -> Sent {
    let ChangeOutcome { place, became } = outcome;
    let is_alone = change
        .edits
        .iter()
        .all(|edit: &Edit| edit.sets(&Attribute::Thumbnail));
    let sent = one(work, request, change, (writer, until)).await;
    let (became, without) = match (sent, became) {
        (Ok(()), OutcomeKind::Applied(stored)) => (OutcomeKind::Applied(stored), None),
        (Ok(()), _) => (OutcomeKind::Applied(Vec::new()), None),
        (Err(why), _) if is_alone => {
            let why = format!("the picture was not sent: {why}");
            (OutcomeKind::Failed(why), None)
        }
        (Err(why), became) => (became, Some(why)),
    };
    Sent {
        outcome: ChangeOutcome { place, became },
        without,
    }
}

async fn one(
    work: &LdapWork,
    request: &ReadRequest,
    change: &Change,
    (writer, until): (&Writer, &Until),
) -> Result<(), String> {
    if until.cancel.is_cancelled() || std::time::Instant::now() >= until.deadline {
        return Err("the run ended; the next one sends it".to_owned());
    }
    let gone = || "it is not in the directory any more".to_owned();
    let values = change.values(&Attribute::Thumbnail);
    let digest = values.and_then(|values| PictureDigest::parse(values.new.as_str()?));
    let (digest, dn) = digest.zip(change.dn.as_deref()).ok_or_else(gone)?;
    let attribute = work.pictures().ok_or_else(gone)?;
    let picture = directory::picture(&work.pool, request, (dn, attribute), &digest, &until.cancel);
    let picture = picture.await.map_err(|error| error.to_string())?;
    let user = (&change.ftrack_id, &change.link);
    send(writer, user, picture.ok_or_else(gone)?, until).await
}
