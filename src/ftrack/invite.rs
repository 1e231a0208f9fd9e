//! Asks ftrack to send users their invitations, each once: only where the user's link says that it
//! is being asked, and never again, whatever the answer.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    answer::AnyAnswer,
    error::{FtrackError, WriteFailure},
    operation::Operation,
    page::{list, users_a_call},
    query,
    row::LinkRow,
    session::{Until, Writer},
};
use crate::model::{
    link::{Link, LinkFound, Signature},
    sent::Invitation,
    user::EntityId,
};

/// How long the links may still take to be written after a stop is requested.
const GRACE: Duration = Duration::from_secs(8);

/// What became of the invitations of some users.
#[derive(Debug, Default)]
pub struct Invited {
    /// Users without one, or of whom that is not known, and why; in their order.
    pub without: Vec<(EntityId, String)>,
    /// What else went wrong.
    pub warnings: Vec<String>,
}

/// A link of a user, with the mark of the run that made it.
type Noted = (Link, Option<Box<str>>);

/// Sends these users their invitations, and notes in their links what became of them. Users whose
/// links do not say that ftrack is being asked are left out: their creation is not finished.
pub async fn invite(writer: &Writer, users: &[EntityId], until: &Until) -> Invited {
    let mut invited = Invited::default();
    let links = match noted(writer, users, until).await {
        Ok(links) => links,
        Err(error) => {
            let why = format!("it was not sent, since the user's link could not be read: {error}");
            let all = users.iter().cloned();
            invited.without = all.map(|user| (user, why.clone())).collect();
            return invited;
        }
    };
    let mut operations = Vec::new();
    for (user, (link, made_by)) in links {
        let became = match one(writer, &user, until).await {
            Ok(()) => Invitation::Sent,
            Err((became, why)) => {
                invited.without.push((user.clone(), why));
                became
            }
        };
        let link = link.with(|link| link.sent.invitation = Some(became));
        let signer = writer.reader().signer();
        // A link that cannot be serialised could not have been read.
        operations.extend(Operation::update_link(
            &user,
            &link,
            made_by.as_deref(),
            signer,
        ));
    }
    for some in operations.chunks(users_a_call(writer.reader())) {
        if let Err(failure) = writer.write_call(some, &until.finishing(GRACE)).await {
            invited.warnings.push(format!(
                "the links of users could not note what became of their invitations, which will be \
                 told as not known: {}",
                failure.error()
            ));
        }
    }
    invited
}

/// The links that say that ftrack is being asked, by user.
async fn noted(
    writer: &Writer,
    users: &[EntityId],
    until: &Until,
) -> Result<BTreeMap<EntityId, Noted>, FtrackError> {
    let reader = writer.reader();
    let mut links = BTreeMap::new();
    for some in users.chunks(users_a_call(reader)) {
        let rows = list::<LinkRow>(reader, &query::links_of(some), &until.finishing(GRACE)).await?;
        for LinkRow { parent_id, link } in rows {
            let made_by = link.made_by().map(|mark| (**mark).into());
            let LinkFound::Link(link) = reader.signer().verified(&parent_id, link) else {
                continue;
            };
            // What somebody else wrote is not signed.
            let is_own = link.signature != Signature::Invalid;
            if is_own && link.sent.invitation == Some(Invitation::Asked) {
                links.insert(parent_id, (link, made_by));
            }
        }
    }
    Ok(links)
}

/// Sends one invitation; otherwise what is known of it, and why.
async fn one(writer: &Writer, user: &EntityId, until: &Until) -> Result<(), (Invitation, String)> {
    if until.cancel.is_cancelled() || std::time::Instant::now() >= until.deadline {
        let why = "it was not sent, since the run ended; the next one sends it";
        return Err((Invitation::Due, why.to_owned()));
    }
    let operation = Operation::SendUserInvite {
        user_id: user.clone(),
    };
    let answer = writer
        .write_as::<AnyAnswer>(std::slice::from_ref(&operation), until)
        .await;
    match answer {
        Ok(answers) => match answers.first().map(|AnyAnswer(answer)| &answer["sent"]) {
            Some(Value::Bool(false)) => {
                let why = "ftrack says that it did not send it; invite the user in ftrack";
                Err((Invitation::Refused, why.to_owned()))
            }
            Some(_) | None => Ok(()),
        },
        Err(WriteFailure::Refused(error)) => Err((
            Invitation::Refused,
            format!("ftrack refused to send it; invite the user in ftrack: {error}"),
        )),
        Err(WriteFailure::Unclear(error)) => Err((
            Invitation::Unknown,
            format!(
                "whether ftrack sent it is not known, and it is not asked again; ask the user, or \
                 invite them in ftrack: {error}"
            ),
        )),
        Err(WriteFailure::NotSent(error) | WriteFailure::Fatal(error)) => Err((
            Invitation::Due,
            format!("it was not sent; the next run sends it: {error}"),
        )),
    }
}
