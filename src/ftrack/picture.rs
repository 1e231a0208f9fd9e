//! Makes a picture the thumbnail of a user: a component with its file in ftrack's own location, and
//! the digest of it in the user's link, so that it is sent once.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    answer::AnyAnswer,
    error::FtrackError,
    operation::Operation,
    page::list,
    query,
    row::LinkRow,
    session::{Destination, Until, Writer},
};
use crate::model::{
    link::{Link, LinkFound, Signature},
    picture::{ImageForm, PictureDigest, UnfitPicture},
    user::EntityId,
};

/// How long what was begun may still take after a stop is requested.
const GRACE: Duration = Duration::from_secs(8);

/// The answer to where a file is to be sent.
#[derive(Deserialize)]
struct Metadata {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Sends a picture to ftrack and makes it the thumbnail of a user of that person, whose link then
/// notes it.
///
/// # Errors
/// Why it is not, or is not known to be; then a later run sends it again.
pub async fn send(
    writer: &Writer,
    (user, expected): (&EntityId, &Link),
    picture: Vec<u8>,
    until: &Until,
) -> Result<(), String> {
    let form = ImageForm::of(&picture).ok_or_else(|| format!("it is {}", UnfitPicture::NoImage))?;
    let digest = PictureDigest::of(&picture);
    let component = EntityId::random();
    let destination = begin(writer, &component, form, picture.len(), until).await?;
    let sent = async {
        writer.put(destination, picture, until).await?;
        finish(writer, (user, expected), &component, digest, until).await
    };
    let sent = sent.await;
    if sent.is_err() {
        // A component without a file, or of nobody, would stay for ever.
        let delete = Operation::delete_component(&component);
        let _ = writer.write_call(&[delete], &until.finishing(GRACE)).await;
    }
    sent
}

/// Creates the component, and asks where its file is to be sent.
async fn begin(
    writer: &Writer,
    component: &EntityId,
    form: ImageForm,
    size: usize,
    until: &Until,
) -> Result<Destination, String> {
    let operations = [
        Operation::create_component(component, form.extension(), size),
        Operation::GetUploadMetadata {
            component_id: component.clone(),
            file_name: format!("thumbnail{}", form.extension()).into(),
            file_size: size,
        },
    ];
    let answers = writer
        .write_as::<AnyAnswer>(&operations, until)
        .await
        .map_err(|failure| failure.error().to_string())?;
    let told = answers.into_iter().nth(1).map(|AnyAnswer(told)| told);
    let told = told.and_then(|told| serde_json::from_value::<Metadata>(told).ok());
    let Metadata { url, headers } =
        told.ok_or_else(|| "ftrack does not say where it is to be sent".to_owned())?;
    writer.destination(&url, headers)
}

/// Makes the component the user's thumbnail, and notes that in the link.
async fn finish(
    writer: &Writer,
    (user, expected): (&EntityId, &Link),
    component: &EntityId,
    digest: PictureDigest,
    until: &Until,
) -> Result<(), String> {
    let until = until.finishing(GRACE);
    let (link, made_by) = link(writer, user, &until)
        .await
        .map_err(|error| error.to_string())?
        .filter(|(link, _)| link.source == expected.source && link.id == expected.id)
        // What somebody else wrote is not signed.
        .filter(|(link, _)| link.signature != Signature::Invalid)
        .ok_or_else(|| "the user's link is another one meanwhile".to_owned())?;
    let link = link.with(|link| link.sent.picture = Some(digest.clone()));
    let signer = writer.reader().signer();
    let noted = Operation::update_link(user, &link, made_by.as_deref(), signer)
        .map_err(|error| error.to_string())?;
    let thumbnail = ("thumbnail_id".to_owned(), Value::from(component));
    let operations = [
        Operation::create_component_location(&EntityId::random(), component),
        Operation::update_user(user, Map::from_iter([thumbnail])),
        noted,
    ];
    let Err(failure) = writer.write_call(&operations, &until).await else {
        return Ok(());
    };
    // The link is written last.
    let found = self::link(writer, user, &until).await;
    let is_noted = |(link, _): &Noted| link.sent.picture.as_ref() == Some(&digest);
    if found.is_ok_and(|found| found.is_some_and(|found| is_noted(&found))) {
        return Ok(());
    }
    Err(failure.error().to_string())
}

/// A link with the mark of the run that made it.
type Noted = (Link, Option<Box<str>>);

async fn link(
    writer: &Writer,
    user: &EntityId,
    until: &Until,
) -> Result<Option<Noted>, FtrackError> {
    let reader = writer.reader();
    let links = query::links_of(std::slice::from_ref(user));
    let rows = list::<LinkRow>(reader, &links, until).await?;
    let found = rows.into_iter().find(|row| row.parent_id == *user);
    Ok(found.and_then(|LinkRow { link, .. }| {
        let made_by = link.made_by().map(|mark| (**mark).into());
        match reader.signer().verified(user, link) {
            LinkFound::Link(link) => Some((link, made_by)),
            LinkFound::Absent
            | LinkFound::OfAnotherUser
            | LinkFound::Unlinked(_)
            | LinkFound::Unreadable => None,
        }
    }))
}
