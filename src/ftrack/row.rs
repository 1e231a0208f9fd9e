//! The rows returned by queries: flat, compact, and checked. No I/O.

use std::{cell::RefCell, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::{Value, value::RawValue};

use super::{
    budget::of_text,
    error::FtrackErrorKind,
    text::{LARGEST_VALUE, beginning_of, small},
};
use crate::model::{
    entry::of_bytes,
    stored_link::{Unplaced, Unverified},
    user::EntityId,
};

/// The longest value, in bytes, that is kept in its parts: each takes far more memory than its
/// text. A longer one is kept as the text that it arrived as.
const LONGEST_PARTS: usize = 64 << 10;
/// The longest value of a column of a user, in bytes, that is kept of a row that is too large.
const LONGEST_COLUMN: usize = 64 << 10;
/// The longest text of a link, in bytes; those that are written have a few hundred, and at most 80
/// for each role and membership that was given.
const LONGEST_LINK: usize = 64 << 10;

/// A row that is read page by page, and identified by one column.
pub(super) trait Row: serde::de::DeserializeOwned + Send + 'static {
    /// The column that the listing is ordered by, unique per row.
    fn identity(&self) -> &EntityId;
    /// The memory that it takes, in bytes.
    fn size(&self) -> usize;

    /// Parses a row of the usual form.
    ///
    /// # Errors
    /// It has another form, which may all the same be one that is read.
    fn usual<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }

    /// Parses a row of more than [`LARGEST_VALUE`] bytes.
    ///
    /// # Errors
    /// Nothing can be left out of it, or what is left has another form.
    fn of_large(row: &RawValue) -> Result<Self, serde_json::Error> {
        Err(too_large(row))
    }
}

/// The error about a row that is too large, with its id as far as it can be told.
fn too_large(row: &RawValue) -> serde_json::Error {
    #[derive(Deserialize)]
    struct WithId<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
    }
    let found = serde_json::from_str(row.get()).ok();
    let id = found.and_then(|WithId { id }| small::<EntityId>(id?).ok());
    let of = id.map_or_else(String::new, |id| format!(" (id {id})"));
    serde::de::Error::custom(format!("a row of more than {LARGEST_VALUE} bytes{of}"))
}

pub(super) fn of_texts<'t>(texts: impl IntoIterator<Item = &'t Box<str>>) -> usize {
    texts.into_iter().map(|text| of_text(text)).sum()
}

pub(super) fn of_ids<'i>(ids: impl IntoIterator<Item = &'i EntityId>) -> usize {
    ids.into_iter().map(|id| id.heap_size()).sum()
}

/// The memory that a value takes on the heap, in bytes.
pub(super) fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => of_text(text),
        Value::Array(values) => values
            .iter()
            .map(|value| size_of::<Value>() + of_value(value))
            .sum(),
        Value::Object(values) => values
            .iter()
            .map(|(name, value)| 2 * size_of::<Value>() + of_text(name) + of_value(value))
            .sum(),
    }
}

/// A value of any form, in bounded memory.
pub(super) fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?.get();
    if raw.starts_with('"') {
        return Ok(Value::String(beginning_of(raw, usize::MAX).into_owned()));
    }
    let parts = (raw.len() <= LONGEST_PARTS).then(|| serde_json::from_str(raw));
    parts.map_or_else(
        || Ok(Value::String(raw.to_owned())),
        |parts| parts.map_err(serde::de::Error::custom),
    )
}

/// A user's own columns. An attribute that is null may be missing from the answer.
#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    pub id: EntityId,
    #[serde(default)]
    pub username: Option<Box<str>>,
    #[serde(default)]
    pub first_name: Option<Box<str>>,
    #[serde(default)]
    pub last_name: Option<Box<str>>,
    #[serde(default)]
    pub email: Option<Box<str>>,
    #[serde(default)]
    pub is_active: Option<bool>,
    #[serde(default, deserialize_with = "shared")]
    pub user_type_id: Option<Arc<EntityId>>,
    /// The first column whose value is too large, and was left out.
    #[serde(skip)]
    pub too_large: Option<TextColumn>,
}

/// A column of a user that is a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextColumn {
    Username,
    FirstName,
    LastName,
    Email,
}

impl TextColumn {
    /// Its name in ftrack.
    pub fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Email => "email",
        }
    }
}

thread_local! {
    static LAST_TYPE: RefCell<Option<Arc<EntityId>>> = const { RefCell::new(None) };
}

/// An id that most rows of a list have in common, stored once as long as it stays the same.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<EntityId>>, D::Error> {
    let id = Option::<EntityId>::deserialize(deserializer)?;
    Ok(id.map(|id| {
        LAST_TYPE.with_borrow_mut(|last| match last {
            Some(last) if **last == id => Arc::clone(last),
            Some(_) | None => Arc::clone(last.insert(Arc::new(id))),
        })
    }))
}

/// The memory that such an id takes, in bytes, unless a row before it has it.
fn of_shared(id: &Arc<EntityId>) -> usize {
    // Itself and the last one of its thread.
    if Arc::strong_count(id) > 2 {
        return 0;
    }
    of_bytes(size_of::<EntityId>()) + id.heap_size()
}

impl UserRow {
    /// Whether it lacks what every user has, or shows only a part of the user.
    pub fn is_odd(&self) -> bool {
        self.username.is_none() || self.is_active.is_none() || self.too_large.is_some()
    }
}

/// The columns of a user, none of them parsed.
#[derive(Deserialize)]
struct LargeUser<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, default)]
    username: Option<&'a RawValue>,
    #[serde(borrow, default)]
    first_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    last_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    email: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_active: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_type_id: Option<&'a RawValue>,
}

/// Whether a list of users can be used: a column that nobody has is missing.
///
/// # Errors
/// The column.
pub(super) fn are_usable(users: &[UserRow]) -> Result<(), FtrackErrorKind> {
    let missing = if users.iter().all(|user| user.username.is_none()) {
        "username"
    } else if users.iter().all(|user| user.is_active.is_none()) {
        "is_active"
    } else {
        return Ok(());
    };
    match users.first() {
        Some(user) => Err(FtrackErrorKind::Malformed(format!(
            "no user has a value of {missing}; one is {}",
            user.id
        ))),
        None => Ok(()),
    }
}

impl Row for UserRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let texts = [
            &self.username,
            &self.first_name,
            &self.last_name,
            &self.email,
        ];
        size_of::<Self>()
            + of_texts(texts.into_iter().flatten())
            + of_ids([&self.id])
            + self.user_type_id.as_ref().map_or(0, of_shared)
    }

    fn of_large(row: &RawValue) -> Result<Self, serde_json::Error> {
        let row: LargeUser<'_> = serde_json::from_str(row.get())?;
        let mut too_large = None;
        let mut text = |name, column: Option<&RawValue>| match column {
            Some(column) if column.get().len() > LONGEST_COLUMN => {
                too_large = too_large.or(Some(name));
                Ok(None)
            }
            Some(column) => serde_json::from_str(column.get()).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            id: small(row.id)?,
            username: text(TextColumn::Username, row.username)?,
            first_name: text(TextColumn::FirstName, row.first_name)?,
            last_name: text(TextColumn::LastName, row.last_name)?,
            email: text(TextColumn::Email, row.email)?,
            is_active: row.is_active.map(small).transpose()?,
            user_type_id: row.user_type_id.map(small).transpose()?.map(Arc::new),
            too_large,
        })
    }
}

/// The value of our metadata key on one entity.
#[derive(Debug, Deserialize)]
#[serde(from = "MetadataRow")]
pub(super) struct LinkRow {
    pub parent_id: EntityId,
    pub link: Unverified,
}

impl Row for LinkRow {
    fn identity(&self) -> &EntityId {
        &self.parent_id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.parent_id]) + self.link.heap_size()
    }

    /// A text, which is parsed as a link while it arrives.
    fn usual<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Usual {
            parent_id: EntityId,
            value: LinkText,
        }
        let Usual {
            parent_id,
            value: LinkText(link),
        } = Usual::deserialize(deserializer)?;
        let link = link.on(&parent_id);
        Ok(Self { parent_id, link })
    }

    /// Nothing of that size is a link.
    fn of_large(row: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct LargeMetadata<'a> {
            #[serde(borrow)]
            parent_id: &'a RawValue,
        }
        let LargeMetadata { parent_id } = serde_json::from_str(row.get())?;
        Ok(Self {
            parent_id: small(parent_id)?,
            link: Unverified::unreadable(),
        })
    }
}

/// That a user exists.
#[derive(Debug, Deserialize)]
pub(super) struct IdRow {
    pub id: EntityId,
}

impl Row for IdRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.id])
    }
}

/// That a link exists.
#[derive(Debug, Deserialize)]
pub(super) struct ParentRow {
    pub parent_id: EntityId,
}

impl Row for ParentRow {
    fn identity(&self) -> &EntityId {
        &self.parent_id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.parent_id])
    }
}

/// A link as it arrives; a value that is not text is not a link.
#[derive(Debug, Deserialize)]
struct MetadataRow {
    parent_id: EntityId,
    #[serde(default, deserialize_with = "bounded")]
    value: Value,
}

impl From<MetadataRow> for LinkRow {
    fn from(MetadataRow { parent_id, value }: MetadataRow) -> Self {
        let link = value.as_str().map(link_of);
        let link = link.map_or_else(Unverified::unreadable, |link| link.on(&parent_id));
        Self { parent_id, link }
    }
}

/// The link in a text.
fn link_of(text: &str) -> Unplaced {
    if text.len() <= LONGEST_LINK {
        Unplaced::parse(text)
    } else {
        Unplaced::unreadable()
    }
}

/// The text of a link.
struct LinkText(Unplaced);

impl<'de> Deserialize<'de> for LinkText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(LinkTextVisitor)
    }
}

struct LinkTextVisitor;

impl Visitor<'_> for LinkTextVisitor {
    type Value = LinkText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a link")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LinkText, E> {
        Ok(LinkText(link_of(text)))
    }
}

/// An entity with a name: a user type, a security role.
#[derive(Debug, Deserialize)]
pub(super) struct NamedRow {
    pub id: EntityId,
    #[serde(default)]
    pub name: Option<String>,
}

impl Row for NamedRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.id]) + self.name.as_deref().map_or(0, of_text)
    }
}

/// A security role with its type.
#[derive(Debug, Deserialize)]
pub(super) struct RoleRow {
    pub id: EntityId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

impl Row for RoleRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let texts = [&self.name, &self.kind].into_iter().flatten();
        let texts: usize = texts.map(|text| of_text(text)).sum();
        size_of::<Self>() + of_ids([&self.id]) + texts
    }
}

/// Which role a user has, and where that is asked for, whether for all open projects. A row without a
/// user is nobody's, and stops nobody else.
#[derive(Debug, Deserialize)]
pub(super) struct HeldRoleRow {
    pub id: EntityId,
    #[serde(default)]
    pub user_id: Option<EntityId>,
    #[serde(default)]
    pub security_role_id: Option<EntityId>,
    #[serde(default)]
    pub is_all_open_projects: Option<bool>,
}

impl Row for HeldRoleRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let ids = [&self.user_id, &self.security_role_id];
        size_of::<Self>() + of_ids([&self.id].into_iter().chain(ids.into_iter().flatten()))
    }
}

/// That a user has a role for a single project.
#[derive(Debug, Deserialize)]
pub(super) struct ProjectOfRoleRow {
    pub id: EntityId,
    pub user_security_role_id: EntityId,
    #[serde(default)]
    pub project_id: Option<EntityId>,
}

impl Row for ProjectOfRoleRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let ids = [&self.id, &self.user_security_role_id].into_iter();
        size_of::<Self>() + of_ids(ids.chain(&self.project_id))
    }
}

/// A project.
#[derive(Debug, Deserialize)]
pub(super) struct ProjectRow {
    pub id: EntityId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub is_private: Option<bool>,
}

impl Row for ProjectRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let texts = [&self.name, &self.status].into_iter().flatten();
        let texts: usize = texts.map(|text| of_text(text)).sum();
        size_of::<Self>() + of_ids([&self.id]) + texts
    }
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct GroupRow {
    pub id: EntityId,
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it is one of a project.
    #[serde(default)]
    pub local: Option<bool>,
    #[serde(default)]
    pub parent_id: Option<EntityId>,
}

impl Row for GroupRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let name = self.name.as_deref().map_or(0, of_text);
        size_of::<Self>() + of_ids([&self.id].into_iter().chain(&self.parent_id)) + name
    }
}

/// That a user is a member of a group. A row without a user is nobody's, and stops nobody else.
#[derive(Debug, Deserialize)]
pub(super) struct MembershipRow {
    pub id: EntityId,
    #[serde(default)]
    pub user_id: Option<EntityId>,
    #[serde(default)]
    pub group_id: Option<EntityId>,
}

impl Row for MembershipRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let ids = [&self.user_id, &self.group_id].into_iter().flatten();
        size_of::<Self>() + of_ids([&self.id].into_iter().chain(ids))
    }
}

/// That a user has a role.
#[derive(Debug, Deserialize)]
pub(super) struct MemberRow {
    pub id: EntityId,
    pub user_id: EntityId,
}

impl Row for MemberRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.id, &self.user_id])
    }
}

/// The configuration of a custom attribute.
#[derive(Debug, Deserialize)]
pub(super) struct AttributeRow {
    pub id: EntityId,
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub entity_type: Option<String>,
    /// Its type; a server that omits repetitions names a type only once.
    #[serde(default, rename = "type")]
    pub kind: Option<NamedRow>,
    /// The JSON text of what it takes, such as the choices of an enumerator.
    #[serde(default)]
    pub config: Option<Box<str>>,
}

impl Row for AttributeRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let texts = [&self.key, &self.entity_type].into_iter().flatten();
        let texts: usize = texts.map(|text| of_text(text)).sum();
        size_of::<Self>()
            + of_ids([&self.id])
            + texts
            + of_texts(&self.config)
            + self.kind.as_ref().map_or(0, Row::size)
    }

    /// Without what it takes, which is then not known.
    fn of_large(row: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct LargeAttribute<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
            #[serde(borrow, default)]
            key: Option<&'a RawValue>,
            #[serde(borrow, default)]
            entity_type: Option<&'a RawValue>,
            #[serde(borrow, default, rename = "type")]
            kind: Option<&'a RawValue>,
        }
        let LargeAttribute {
            id,
            key,
            entity_type,
            kind,
        } = serde_json::from_str(row.get())?;
        Ok(Self {
            id: small(id)?,
            key: key.map(small).transpose()?,
            entity_type: entity_type.map(small).transpose()?,
            kind: kind.map(small).transpose()?,
            config: None,
        })
    }
}

/// A user's value of a custom attribute.
#[derive(Debug, Deserialize)]
pub(super) struct ValueRow {
    pub entity_id: EntityId,
    #[serde(default, deserialize_with = "bounded")]
    pub value: Value,
}

impl Row for ValueRow {
    fn identity(&self) -> &EntityId {
        &self.entity_id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + of_ids([&self.entity_id]) + of_value(&self.value)
    }

    fn of_large(row: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct LargeValue<'a> {
            #[serde(borrow)]
            entity_id: &'a RawValue,
            #[serde(borrow, default)]
            value: Option<&'a RawValue>,
        }
        let LargeValue { entity_id, value } = serde_json::from_str(row.get())?;
        let value = value.map(bounded).transpose()?;
        Ok(Self {
            entity_id: small(entity_id)?,
            value: value.unwrap_or_default(),
        })
    }
}
