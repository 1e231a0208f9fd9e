//! Files of components: where they are sent, and what arrived.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Value, json};

use super::{
    error::ApiError,
    operation::text,
    studio::{Studio, World},
};

/// The id of the location of files that ftrack itself keeps, `ftrack.server`.
pub(super) const SERVER_LOCATION: &str = "3a372bde-05bc-11e4-8908-20c9d081909b";

/// What the server does with files that are sent to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uploads {
    /// It keeps them.
    #[default]
    Kept,
    /// It answers 403, as a storage does whose signature is over.
    Refused,
}

/// The files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The server's address, for the URLs to which files are sent.
    pub address: String,
    /// The size of each file that is awaited, by its component.
    awaited: BTreeMap<String, u64>,
    kept: BTreeMap<String, Bytes>,
}

/// Answers to where the file of a component is to be sent.
pub(super) fn metadata(world: &mut World, operation: &Value) -> Result<Value, ApiError> {
    let (component, name) = (
        text(operation, "component_id")?,
        text(operation, "file_name")?,
    );
    let size = operation
        .get("file_size")
        .and_then(Value::as_u64)
        .ok_or_else(|| ApiError::validation("file_size is missing or is no number."))?;
    // The vendor's Python client asks before it creates the component.
    let kind = match name.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "jpg" | "jpeg")) => "image/jpeg",
        Some(_) | None => "application/octet-stream",
    };
    world.files.awaited.insert(component.to_owned(), size);
    let url = format!("{}/upload/{component}?signature=demo", world.files.address);
    Ok(json!({
        "url": url,
        "headers": {"Content-Type": kind, "Content-Length": size.to_string()},
        "component_id": component,
    }))
}

impl Studio {
    /// Takes a file at the URL that was given for it, which needs no key.
    pub(super) fn receive(&self, component: &str, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        let mut world = self.world();
        let is_signed = headers.get(header::AUTHORIZATION).is_none()
            && headers.get("ftrack-api-key").is_none()
            && headers.get("ftrack-user").is_none();
        let size = world.files.awaited.get(component).copied();
        let fits = size == u64::try_from(body.len()).ok();
        if world.rules.uploads == Uploads::Refused || !is_signed || !fits {
            return StatusCode::FORBIDDEN;
        }
        world.files.awaited.remove(component);
        world.files.kept.insert(component.to_owned(), body.clone());
        StatusCode::OK
    }

    /// The picture of a user: the file of the component that is its thumbnail, if the server has it
    /// in its location.
    #[must_use]
    pub fn picture(&self, username: &str) -> Option<Vec<u8>> {
        let user = super::account::row(&self.world().store, username)?.clone();
        let world = self.world();
        let model = &world.store.model;
        let users = model.entity(model.find("User").ok()?);
        let component = user.text(users, "thumbnail_id")?.to_owned();
        let locations = model.find("ComponentLocation").ok()?;
        let of = model.entity(locations);
        let is_there = world.store.rows(locations).any(|(_, row)| {
            row.text(of, "component_id") == Some(&component)
                && row.text(of, "location_id") == Some(SERVER_LOCATION)
        });
        let file = world.files.kept.get(&component).filter(|_| is_there);
        file.map(|file| file.to_vec())
    }

    /// Where it listens.
    pub(super) fn set_address(&self, address: String) {
        self.world().files.address = address;
    }
}
