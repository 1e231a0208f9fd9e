//! Questions of `check` to the server: whether it answers, accepts the key, and has the entities that
//! are used.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::model::grant::GrantName;

use super::{
    answer::{AnyAnswer, Exception, Expected, ResponseItem, Unparsed},
    error::{FtrackError, FtrackErrorKind},
    operation::Operation,
    session::{Reader, Until},
};

/// The server's description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Information {
    /// Its version, such as `4.13.8.12345`, or `dev`.
    pub version: String,
}

/// The entities of the server that a sync uses, with the names of their properties that it uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schemas(BTreeMap<&'static str, BTreeSet<&'static str>>);

/// The parts of one schema.
#[derive(Deserialize)]
struct SchemaParts<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
}

impl ResponseItem for Schemas {
    type Parts<'a> = &'a RawValue;

    fn exception<'a>(parts: &Self::Parts<'a>) -> Option<Exception<'a>> {
        AnyAnswer::exception(parts)
    }

    fn parse(parts: Self::Parts<'_>, _: &Expected) -> Result<Self, Unparsed> {
        let mut schemas = Self::default();
        if !parts.get().starts_with('[') {
            return Ok(schemas);
        }
        let mut text = serde_json::Deserializer::from_str(parts.get());
        text.deserialize_seq(EachSchema(&mut schemas))?;
        Ok(schemas)
    }
}

/// Takes schemas one by one.
struct EachSchema<'s>(&'s mut Schemas);

impl<'de> Visitor<'de> for EachSchema<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of schemas")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut schemas: S) -> Result<(), S::Error> {
        while let Some(schema) = schemas.next_element::<&'de RawValue>()? {
            let Ok(SchemaParts { id, properties }) = serde_json::from_str(schema.get()) else {
                continue;
            };
            let is_this = |entity: &str| id.is_some_and(|id| id.get().trim_matches('"') == entity);
            let (entity, names) = all_needed(is_this);
            let Some(properties) = properties.filter(|_| !names.is_empty()) else {
                continue;
            };
            let mut found = BTreeSet::new();
            let mut text = serde_json::Deserializer::from_str(properties.get());
            if text
                .deserialize_map(EachProperty(&names, &mut found))
                .is_ok()
            {
                self.0.0.insert(entity, found);
            }
        }
        Ok(())
    }
}

/// Takes the names of those properties that are used.
struct EachProperty<'s>(&'s BTreeSet<&'static str>, &'s mut BTreeSet<&'static str>);

impl<'de> Visitor<'de> for EachProperty<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the properties of a schema")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut properties: M) -> Result<(), M::Error> {
        let Self(names, found) = self;
        while let Some((name, _)) = properties.next_entry::<Cow<'de, str>, IgnoredAny>()? {
            found.extend(names.iter().find(|known| **known == name));
        }
        Ok(())
    }
}

/// An entity with the names of those of its properties that are needed.
type Needed = (&'static str, &'static [&'static str]);

/// What every sync needs, whatever is mapped.
const NEEDED: [Needed; 5] = [
    (
        "User",
        &[
            "id",
            "username",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "user_type_id",
        ],
    ),
    ("Metadata", &["parent_id", "parent_type", "key", "value"]),
    ("UserType", &["id", "name"]),
    ("SecurityRole", &["id", "name"]),
    ("UserSecurityRole", &["id", "user_id", "security_role_id"]),
];

/// What a sync needs when roles are mapped.
const NEEDED_FOR_ROLES: [Needed; 3] = [
    ("SecurityRole", &["type"]),
    ("UserSecurityRole", &["is_all_open_projects"]),
    (
        "UserSecurityRoleProject",
        &["id", "user_security_role_id", "project_id"],
    ),
];

/// What a sync needs when roles are mapped for named projects.
const NEEDED_FOR_PROJECTS: [Needed; 1] = [("Project", &["id", "name", "status", "is_private"])];

/// What a sync needs when groups are mapped.
const NEEDED_FOR_GROUPS: [Needed; 2] = [
    ("Group", &["id", "name", "local", "parent_id"]),
    ("Membership", &["id", "user_id", "group_id"]),
];

/// The names of the properties of an entity that a sync may need.
fn all_needed(is_of: impl Fn(&str) -> bool) -> (&'static str, BTreeSet<&'static str>) {
    let always = NEEDED.iter().chain(&NEEDED_FOR_CUSTOM);
    let of_roles = NEEDED_FOR_ROLES.iter().chain(&NEEDED_FOR_PROJECTS);
    let further = NEEDED_FOR_GROUPS.iter().chain(&USED_FOR_WORK);
    let all = always.chain(of_roles).chain(further);
    let all = all.chain(&NEEDED_FOR_PICTURES);
    let mut names = ("", BTreeSet::new());
    for (entity, properties) in all.filter(|(entity, _)| is_of(entity)) {
        names.0 = entity;
        names.1.extend(properties.iter());
    }
    names
}

/// What a sync needs when custom attributes are mapped.
const NEEDED_FOR_CUSTOM: [Needed; 2] = [
    (
        "CustomAttributeConfiguration",
        &["id", "key", "entity_type"],
    ),
    (
        "UserCustomAttributeValue",
        &["configuration_id", "entity_id", "value"],
    ),
];

/// What is used to find out what people carry who are to be deactivated; a run goes on without it.
const USED_FOR_WORK: [Needed; 4] = [
    ("Task", &["project_id", "status", "assignments"]),
    ("Timer", &["user_id", "context_id"]),
    ("Project", &["status", "managers"]),
    ("ApiKey", &["identifier", "resource_id"]),
];

/// What a sync needs when pictures are sent.
const NEEDED_FOR_PICTURES: [Needed; 2] = [
    ("FileComponent", &["id", "name", "file_type", "size"]),
    (
        "ComponentLocation",
        &["id", "component_id", "resource_identifier", "location_id"],
    ),
];

/// Asks for the server's version: shows that it is an ftrack server, and that it accepts the key.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::Malformed`] when the answer has no version.
pub async fn information(reader: &Reader, until: &Until) -> Result<Information, FtrackError> {
    let operation = Operation::QueryServerInformation;
    let answers = reader
        .read_call(std::slice::from_ref(&operation), until)
        .await?;
    match answers
        .first()
        .and_then(|answer| answer.get("version"))
        .and_then(Value::as_str)
    {
        Some(version) => Ok(Information {
            version: reader.excerpt(version),
        }),
        None => Err(reader.error_of(
            &operation.to_string(),
            FtrackErrorKind::Malformed("it does not show its version".to_owned()),
        )),
    }
}

/// Asks for all schemas.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::Malformed`] when the answer is not a list of
/// schemas.
pub async fn schemas(reader: &Reader, until: &Until) -> Result<Schemas, FtrackError> {
    let answers = reader
        .read_as::<Schemas>(&[Operation::QuerySchemas], 0, until)
        .await?;
    let Schemas(entities) = answers.into_iter().next().unwrap_or_default();
    if entities.is_empty() {
        let reason = "the answer is not a list of schemas".to_owned();
        return Err(reader.error_of(
            &Operation::QuerySchemas.to_string(),
            FtrackErrorKind::Malformed(reason),
        ));
    }
    Ok(Schemas(entities))
}

impl Schemas {
    /// Whether an entity has a property.
    #[must_use]
    pub fn has(&self, entity: &str, property: &str) -> bool {
        self.0
            .get(entity)
            .is_some_and(|properties| properties.contains(property))
    }

    /// The first attribute of an entity that is used to find out what people carry, and that this
    /// server lacks, as `Entity.property`; the entity, where it lacks that.
    #[must_use]
    pub fn lacking_for(&self, entity: &str) -> Option<String> {
        let (entity, properties) = USED_FOR_WORK.iter().find(|(known, _)| *known == entity)?;
        if !self.0.contains_key(entity) {
            return Some((*entity).to_owned());
        }
        let mut properties = properties.iter();
        let lacking = properties.find(|property| !self.has(entity, property))?;
        Some(format!("{entity}.{lacking}"))
    }

    /// The entities that are used to find out what people carry, as far as this server lacks them.
    #[must_use]
    pub fn lacking_for_work(&self) -> Vec<String> {
        let entities = USED_FOR_WORK.iter();
        entities
            .filter_map(|(entity, _)| self.lacking_for(entity))
            .collect()
    }

    /// What a sync needs and this server lacks, as `Entity.property`, where these custom attributes, by
    /// key, and these roles and groups are mapped.
    #[must_use]
    pub fn lacking(&self, custom_attributes: &[String], grants: &[GrantName]) -> Vec<String> {
        let any = |is_so: fn(&GrantName) -> bool| grants.iter().any(is_so);
        let of_groups = any(|name| matches!(name, GrantName::Group(_)));
        let of_projects = any(|name| matches!(name, GrantName::ProjectRole { .. }));
        let of_roles = any(|name| !matches!(name, GrantName::Group(_)));
        let needed: [(&[Needed], bool); 5] = [
            (&NEEDED, true),
            (&NEEDED_FOR_CUSTOM, !custom_attributes.is_empty()),
            (&NEEDED_FOR_ROLES, of_roles),
            (&NEEDED_FOR_PROJECTS, of_projects),
            (&NEEDED_FOR_GROUPS, of_groups),
        ];
        let needed = needed.into_iter().filter(|(_, is_needed)| *is_needed);
        self.without(needed.flat_map(|(needed, _)| needed))
    }

    /// What sending pictures needs beside that.
    #[must_use]
    pub fn lacking_for_pictures(&self) -> Vec<String> {
        self.without(NEEDED_FOR_PICTURES.iter())
    }

    fn without<'n>(&self, needed: impl Iterator<Item = &'n Needed>) -> Vec<String> {
        needed
            .flat_map(|(entity, properties)| {
                properties.iter().map(move |property| (*entity, *property))
            })
            .filter(|(entity, property)| !self.has(entity, property))
            .map(|(entity, property)| format!("{entity}.{property}"))
            .collect()
    }
}
