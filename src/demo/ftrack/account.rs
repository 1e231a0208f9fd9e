//! A user with everything that belongs to it, for tests and the demo; groups, roles and types are
//! given by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    error::ApiError,
    options::NewRoles,
    roles,
    schema::EntityRef,
    store::{Cell, Key, Row, Store},
    studio::Studio,
    upload::SERVER_LOCATION,
    users, work,
    write::Writer,
};

/// One user of the studio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct Account {
    /// The user's id; generated when it is empty.
    pub id: String,
    /// The login.
    pub username: String,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// Whether the user may sign in, and takes a seat.
    pub is_active: bool,
    /// The name of the user type: `ftrack`, `ldap`, `google`, `service` or `demo`.
    pub user_type: String,
    /// Key and value.
    pub metadata: BTreeMap<String, String>,
    /// Values of custom attributes by key; unset ones are omitted.
    pub custom_attributes: BTreeMap<String, Value>,
    /// Names of groups.
    pub groups: BTreeSet<String>,
    /// Names of security roles; when a user is added, they apply to all open projects.
    pub roles: BTreeSet<String>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            id: String::new(),
            username: String::new(),
            first_name: None,
            last_name: None,
            email: None,
            is_active: true,
            user_type: "ftrack".to_owned(),
            metadata: BTreeMap::new(),
            custom_attributes: BTreeMap::new(),
            groups: BTreeSet::new(),
            roles: BTreeSet::new(),
        }
    }
}

/// Adds what every workspace has, the API user and a human administrator.
pub(super) fn furnish(studio: &Studio, api_user: &str) -> Result<(), ApiError> {
    let id = |place: usize| format!("{place:08x}-4361-11e0-b7cc-0019bb4983d8");
    studio.insert(
        "UserType",
        &json!({"id": users::DEFAULT_USER_TYPE, "name": "ftrack"}),
    )?;
    for (place, name) in ["ldap", "google", "service", "demo"]
        .into_iter()
        .enumerate()
    {
        studio.insert("UserType", &json!({"id": id(place + 1), "name": name}))?;
    }
    for (place, (name, kind)) in [
        ("Administrator", "PROJECT"),
        ("Project Manager", "PROJECT"),
        ("User", "PROJECT"),
        ("Restricted User", "ASSIGNED"),
        ("API", "API"),
    ]
    .into_iter()
    .enumerate()
    {
        studio.insert(
            "SecurityRole",
            &json!({"id": id(place + 16), "name": name, "type": kind}),
        )?;
    }
    for (place, name) in [
        "text",
        "number",
        "boolean",
        "date",
        "enumerator",
        "url",
        "dynamic enumerator",
        "expression",
    ]
    .into_iter()
    .enumerate()
    {
        studio.insert(
            "CustomAttributeType",
            &json!({"id": id(place + 32), "name": name, "core": true}),
        )?;
    }
    studio.insert(
        "Project",
        &json!({"id": id(48), "name": "demo", "full_name": "Demo"}),
    )?;
    studio.insert(
        "Location",
        &json!({"id": SERVER_LOCATION, "name": "ftrack.server", "label": "ftrack server"}),
    )?;
    work::furnish(studio)?;
    let administrator = |place: usize, username: &str, first_name: &str, last_name: &str| Account {
        id: id(place),
        username: username.to_owned(),
        first_name: Some(first_name.to_owned()),
        last_name: Some(last_name.to_owned()),
        roles: BTreeSet::from(["Administrator".to_owned()]),
        ..Account::default()
    };
    studio.add_user(&administrator(64, api_user, "LDAP", "Sync"))?;
    if api_user != "admin" {
        studio.add_user(&Account {
            email: Some("admin@studio.test".to_owned()),
            ..administrator(65, "admin", "Ada", "Min")
        })?;
    }
    Ok(())
}

/// Adds a user; returns the id.
pub(super) fn add(writer: &mut Writer<'_>, account: &Account) -> Result<String, ApiError> {
    let Account {
        id,
        username,
        first_name,
        last_name,
        email,
        is_active,
        user_type,
        metadata,
        custom_attributes,
        groups,
        roles,
    } = account;
    let model = Arc::clone(&writer.store.model);
    let id = if id.is_empty() {
        writer.ids.next()
    } else {
        id.clone()
    };
    let user_type = by_name(writer.store, "UserType", user_type)?;
    insert(
        writer,
        model.find("User")?,
        &json!({"id": id, "username": username, "first_name": first_name, "last_name": last_name, "email": email, "is_active": is_active, "user_type_id": user_type}),
    )?;
    for (key, value) in metadata {
        insert(
            writer,
            model.find("Metadata")?,
            &json!({"parent_id": id, "parent_type": "User", "key": key, "value": value}),
        )?;
    }
    for (key, value) in custom_attributes {
        let (values, configuration) = (
            model.find("UserCustomAttributeValue")?,
            configuration(writer.store, key)?,
        );
        insert(
            writer,
            values,
            &json!({"configuration_id": configuration, "entity_id": id, "key": key, "value": value}),
        )?;
    }
    for name in groups {
        let group = match by_name(writer.store, "Group", name) {
            Ok(group) => group,
            Err(_) => insert(writer, model.find("Group")?, &json!({"name": name}))?
                .text(model.entity(model.find("Group")?), "id")
                .unwrap_or_default()
                .to_owned(),
        };
        insert(
            writer,
            model.find("Membership")?,
            &json!({"user_id": id, "group_id": group}),
        )?;
    }
    for name in roles {
        let role = by_name(writer.store, "SecurityRole", name)?;
        roles::add(
            writer,
            Cell::text(&id),
            Cell::text(&role),
            NewRoles::AllOpenProjects,
        )?;
    }
    Ok(id)
}

/// Creates a custom attribute of users with the JSON text of what it takes; returns its
/// configuration's id.
pub(super) fn add_custom_attribute(
    writer: &mut Writer<'_>,
    key: &str,
    kind: &str,
    config: &str,
) -> Result<String, ApiError> {
    let entity = writer.store.model.find("CustomAttributeConfiguration")?;
    let type_id = by_name(writer.store, "CustomAttributeType", kind)?;
    let row = insert(
        writer,
        entity,
        &json!({"key": key, "label": key, "entity_type": "user", "type_id": type_id, "default": null, "config": config}),
    )?;
    Ok(row
        .text(writer.store.model.entity(entity), "id")
        .unwrap_or_default()
        .to_owned())
}

/// Adds a row with the server's defaults, without checks.
pub(super) fn insert(
    writer: &mut Writer<'_>,
    entity: EntityRef,
    fields: &Value,
) -> Result<Row, ApiError> {
    let model = Arc::clone(&writer.store.model);
    let shape = model.entity(entity);
    let mut given = Vec::new();
    for (name, value) in fields.as_object().unwrap_or(&Map::new()) {
        // Also one that no query can name.
        let mut columns = shape.columns.iter();
        let column = columns.position(|column| *column.name == **name);
        let column = column.ok_or_else(|| {
            ApiError::validation(format!("{} has no attribute {name:?}.", shape.name))
        })?;
        given.push((column, Cell::from_json(value)));
    }
    let row = Row::new(writer.with_defaults(shape, &given));
    writer.store.put(entity, &row.key(shape), Some(row.clone()));
    users::after_create(writer, entity, &row)?;
    Ok(row)
}

/// Every user, ordered by id.
pub(super) fn all(store: &Store) -> Result<Vec<Account>, ApiError> {
    let users = store.model.find("User")?;
    store
        .rows(users)
        .map(|(_, row)| account(store, users, row))
        .collect()
}

/// The user of that name.
pub(super) fn named(store: &Store, username: &str) -> Option<Account> {
    account(store, store.model.find("User").ok()?, row(store, username)?).ok()
}

/// The row of the user of that name.
pub(super) fn row<'s>(store: &'s Store, username: &str) -> Option<&'s Row> {
    let users = store.model.find("User").ok()?;
    let column = store.model.entity(users).column("username")?;
    let keys = store.lookup(users, column, username)?;
    keys.iter()
        .filter_map(|key| store.get(users, key))
        .find(|row| row.cell(column).as_text() == Some(username))
}

fn account(store: &Store, users: EntityRef, row: &Row) -> Result<Account, ApiError> {
    let model = &store.model;
    let shape = model.entity(users);
    let text = |name: &str| row.text(shape, name).map(str::to_owned);
    let mut account = Account {
        id: text("id").unwrap_or_default(),
        username: text("username").unwrap_or_default(),
        first_name: text("first_name"),
        last_name: text("last_name"),
        email: text("email"),
        is_active: row.is_true(shape, "is_active"),
        user_type: name_of(store, "UserType", row.text(shape, "user_type_id"))?,
        ..Account::default()
    };
    for relation in shape.relations() {
        let there = model.entity(relation.target);
        for (_, found) in store.related(relation, row) {
            let text = |name: &str| found.text(there, name).unwrap_or_default().to_owned();
            match &*relation.name {
                "metadata" => drop(account.metadata.insert(text("key"), text("value"))),
                "custom_attributes" => match found.named(there, "value") {
                    Cell::Null => {}
                    value
                    @ (Cell::Boolean(_) | Cell::Number(_) | Cell::Text(_) | Cell::Json(_)) => drop(
                        account
                            .custom_attributes
                            .insert(text("key"), value.to_json()),
                    ),
                },
                "memberships" => drop(account.groups.insert(name_of(
                    store,
                    "Group",
                    Some(&text("group_id")),
                )?)),
                "user_security_roles" => drop(account.roles.insert(name_of(
                    store,
                    "SecurityRole",
                    Some(&text("security_role_id")),
                )?)),
                _ => {}
            }
        }
    }
    Ok(account)
}

fn name_of(store: &Store, entity_type: &str, id: Option<&str>) -> Result<String, ApiError> {
    let entity = store.model.find(entity_type)?;
    let row = id.and_then(|id| store.get(entity, &Key::from(id)));
    Ok(row
        .and_then(|row| row.text(store.model.entity(entity), "name"))
        .unwrap_or_default()
        .to_owned())
}

fn by_name(store: &Store, entity_type: &str, name: &str) -> Result<String, ApiError> {
    id_where(store, entity_type, "name", name)
}

fn configuration(store: &Store, key: &str) -> Result<String, ApiError> {
    id_where(store, "CustomAttributeConfiguration", "key", key)
}

fn id_where(
    store: &Store,
    entity_type: &str,
    column: &str,
    value: &str,
) -> Result<String, ApiError> {
    let entity = store.model.find(entity_type)?;
    let shape = store.model.entity(entity);
    let row = store
        .rows(entity)
        .find(|(_, row)| row.text(shape, column) == Some(value));
    row.and_then(|(_, row)| row.text(shape, "id"))
        .map(str::to_owned)
        .ok_or_else(|| ApiError::not_found(entity_type, value))
}
