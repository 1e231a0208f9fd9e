//! Every operation of the API by its name, and what it answers.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    account,
    answer::{Projection, Rendering, Repetition, Said},
    builtin_sync,
    error::ApiError,
    fault::CallKind,
    options::{Disclosure, Licence, Rights},
    query::{self, Filter, Query},
    roles,
    schema::{ColumnKind, SCHEMA_HASH},
    store::Key,
    studio::{Applied, World, object},
    upload,
};

/// The version that the server says it is.
pub(super) const VERSION: &str = "4.13.8.8";

/// Whether a call with these operations only reads.
pub(super) fn kind(operations: &[Value]) -> CallKind {
    let reads = |operation: &Value| {
        matches!(
            action(operation),
            Some("query_server_information" | "query_schemas" | "query" | "search")
        )
    };
    if operations.iter().all(reads) {
        CallKind::Read
    } else {
        CallKind::Write
    }
}

/// Does one operation and answers for it.
pub(super) fn perform(
    world: &mut World,
    call: u64,
    operation: &Value,
    (repetition, said): (Repetition, &mut Said),
    applied: &mut Vec<Applied>,
) -> Result<Value, ApiError> {
    let action =
        action(operation).ok_or_else(|| ApiError::validation("An operation has no action."))?;
    match action {
        "query_server_information" => return Ok(server_information(world, operation)),
        "query_schemas" => return Ok(schemas(world)),
        "query" | "search" => return find(world, operation, action, (repetition, said)),
        _ => {}
    }
    if world.rules.refused_actions.contains(action) {
        return Err(ApiError::validation(format!(
            "{action} is refused by this workspace."
        )));
    }
    let entity = || world.store.model.find(text(operation, "entity_type")?);
    let key = operation.get("entity_key");
    match action {
        "create" => {
            let (entity, fields) = (entity()?, object(operation, "entity_data")?);
            world
                .writer(call, applied, repetition)
                .create(entity, key, fields)
        }
        "update" => {
            let (entity, fields) = (entity()?, object(operation, "entity_data")?);
            world.writer(call, applied, repetition).update(
                entity,
                key.unwrap_or(&Value::Null),
                fields,
            )
        }
        "delete" => {
            let entity = entity()?;
            world
                .writer(call, applied, repetition)
                .delete(entity, key.unwrap_or(&Value::Null))
        }
        "delayed_job" => builtin_sync::start(world, call, operation, (repetition, applied)),
        "send_user_invite" => {
            note_on_user(world, call, action, text(operation, "user_id")?, applied)?;
            Ok(json!({"sent": true}))
        }
        "get_upload_metadata" => upload::metadata(world, operation),
        "reset_remote" => {
            if (operation.get("reset_type"), operation.get("entity_type"))
                != (Some(&json!("api_key")), Some(&json!("User")))
            {
                return Err(ApiError::validation(
                    "Only the api_key of a User can be reset.",
                ));
            }
            note_on_user(world, call, action, text(operation, "entity_key")?, applied)?;
            Ok(
                json!({"action": "reset_remote", "data": {"api_key": uuid::Uuid::new_v4().to_string()}}),
            )
        }
        _ => roles::operation(
            &mut world.writer(call, applied, repetition),
            action,
            operation,
        )
        .unwrap_or_else(|| Err(ApiError::validation(format!("Invalid action {action:?}.")))),
    }
}

fn action(operation: &Value) -> Option<&str> {
    operation.get("action").and_then(Value::as_str)
}

pub(super) fn text<'o>(operation: &'o Value, name: &str) -> Result<&'o str, ApiError> {
    operation
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::validation(format!("{name} is missing or is no text.")))
}

fn server_information(world: &World, operation: &Value) -> Value {
    let mut told = Map::new();
    told.insert("version".to_owned(), VERSION.into());
    told.insert("schema_hash".to_owned(), SCHEMA_HASH.into());
    told.insert("is_timezone_support_enabled".to_owned(), true.into());
    told.insert(
        "storage_scenario".to_owned(),
        json!({"scenario": "ftrack.automatic", "data": {}}),
    );
    if world.rules.user_information == Disclosure::Told
        && let Some(user) = account::named(&world.store, &world.api_user)
    {
        let permissions: &[&str] = match world.rules.rights {
            Rights::All | Rights::NoMemberships => &["Manage User"],
            Rights::NoUserWrites | Rights::NoNewUsers | Rights::NoRoles => &[],
        };
        told.insert(
            "user_information".to_owned(),
            json!({"id": user.id, "username": user.username, "permissions": permissions}),
        );
    }
    if let Some(licence) = licence(world) {
        told.insert("license".to_owned(), licence);
    }
    if let Some(values) = operation.get("values").and_then(Value::as_array) {
        told.retain(|name, _| values.iter().any(|value| value.as_str() == Some(name)));
    }
    Value::Object(told)
}

fn licence(world: &World) -> Option<Value> {
    match &world.rules.licence {
        Licence::Told => {
            let seats = world.rules.seats?;
            Some(json!([{"feature_id": "ftrack", "quantity": seats, "renewal_date": null}]))
        }
        Licence::Withheld => None,
        Licence::Other(told) => Some(told.clone()),
    }
}

/// The schemas of the entity types that this server has.
fn schemas(world: &World) -> Value {
    let mut schemas = world.store.model.schemas.clone();
    if let Value::Array(all) = &mut schemas {
        let id = |schema: &Value| schema.get("id").and_then(Value::as_str).map(str::to_owned);
        all.retain(|schema| id(schema).is_none_or(|id| !world.rules.missing_types.contains(&id)));
    }
    schemas
}

/// Refuses queries for what this server does not have, or does not show to anybody.
fn shown(world: &World, name: &str) -> Result<(), ApiError> {
    if world.rules.missing_types.contains(name) {
        return Err(ApiError::validation(format!(
            "There is no entity type {name:?}."
        )));
    }
    if world.rules.refused_queries.contains(name) {
        return Err(ApiError::permission(format!(
            "The API key is not permitted to read {name}."
        )));
    }
    Ok(())
}

fn find(
    world: &mut World,
    operation: &Value,
    action: &str,
    (repetition, said): (Repetition, &mut Said),
) -> Result<Value, ApiError> {
    let model = Arc::clone(&world.store.model);
    let query = query::parse(&model, text(operation, "expression")?)?;
    shown(world, &model.entity(query.entity).name)?;
    if &*model.entity(query.entity).name == "Job" {
        builtin_sync::advance(world)?;
    }
    let mut keys = world
        .found
        .keys(&world.store, world.rules.collation, &query);
    if action == "search" {
        keys = matching(world, &query, &keys, operation)?.into();
    }
    if world
        .rules
        .unreadable
        .contains(&*model.entity(query.entity).name)
    {
        keys = Arc::from([]);
    }
    keys = listed(world, &query, keys);
    let limit = query.limit.into_iter().chain(world.rules.page_cap).min();
    let page = keys
        .iter()
        .skip(query.offset)
        .take(limit.unwrap_or(usize::MAX));
    let projection = Projection::of(&model, query.entity, query.projections.as_deref());
    let mut rendering = Rendering::new(&world.store, &world.rules.unreadable, repetition, said);
    let rows: Vec<Value> = page
        .filter_map(|key| {
            world
                .store
                .get(query.entity, key)
                .map(|row| rendering.entity(query.entity, key, row, &projection))
        })
        .collect();
    let is_cut = world
        .rules
        .cut_lists
        .contains_key(&*model.entity(query.entity).name)
        && query.offset + rows.len() == keys.len();
    // A full page has a next one, even when nothing follows: so the vendor's recorded answers do.
    let next = limit.filter(|limit| *limit > 0 && rows.len() == *limit && !is_cut);
    let next = next.map(|_| query.offset + rows.len());
    Ok(json!({"action": action, "data": rows, "metadata": {"next": {"offset": next}}}))
}

/// Those rows that a list shows by the rules; what is asked for by its values is always shown.
fn listed(world: &World, query: &Query, keys: Arc<[Key]>) -> Arc<[Key]> {
    let name = &*world.store.model.entity(query.entity).name;
    let (unlisted, cut) = (
        world.rules.unlisted.get(name),
        world.rules.cut_lists.get(name),
    );
    if (unlisted.is_none() && cut.is_none())
        || query.filter.as_ref().is_some_and(Filter::names_values)
    {
        return keys;
    }
    let shown = |key: &&Key| {
        unlisted.is_none_or(|hidden| !key.parts().next().is_some_and(|part| hidden.contains(part)))
    };
    keys.iter()
        .filter(shown)
        .take(cut.copied().unwrap_or(usize::MAX))
        .cloned()
        .collect()
}

/// Those rows that have every term in one of their texts.
fn matching(
    world: &World,
    query: &Query,
    keys: &[Key],
    operation: &Value,
) -> Result<Vec<Key>, ApiError> {
    let terms = operation
        .get("terms")
        .and_then(Value::as_array)
        .ok_or_else(|| ApiError::validation("terms is missing or is no list."))?;
    let terms: Vec<String> = terms
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_lowercase)
        .collect();
    let columns = &world.store.model.entity(query.entity).columns;
    let fits = |key: &Key| {
        let Some(row) = world.store.get(query.entity, key) else {
            return false;
        };
        let texts = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.kind == ColumnKind::Text);
        let texts: Vec<String> = texts
            .filter_map(|(place, _)| row.cell(place).as_text())
            .map(str::to_lowercase)
            .collect();
        terms
            .iter()
            .all(|term| texts.iter().any(|text| text.contains(term.as_str())))
    };
    Ok(keys.iter().filter(|key| fits(key)).cloned().collect())
}

fn note_on_user(
    world: &mut World,
    call: u64,
    action: &str,
    user: &str,
    applied: &mut Vec<Applied>,
) -> Result<(), ApiError> {
    if world.rules.rights == Rights::NoUserWrites {
        return Err(ApiError::permission(format!(
            "The API key is not permitted to do {action}."
        )));
    }
    let key = Key::from(user);
    if world
        .store
        .get(world.store.model.find("User")?, &key)
        .is_none()
    {
        return Err(ApiError::not_found("User", user));
    }
    world
        .writer(call, applied, Repetition::Deduplicated)
        .note_changes(action, "User", &key, BTreeMap::new());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::{
        super::{Account, Call, Options, Studio},
        *,
    };

    const WORDS: &[&str] = &[
        "select",
        "from",
        "where",
        "order",
        "by",
        "asc",
        "desc",
        "offset",
        "limit",
        "and",
        "or",
        "not",
        "in",
        "not_in",
        "is",
        "is_not",
        "like",
        "has",
        "any",
        "none",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "User",
        "Membership",
        "Metadata",
        "id",
        "username",
        "is_active",
        "memberships",
        "memberships.group.name",
        "user.username",
        "metadata.key",
        "group",
        "True",
        "7",
        "\"a\"",
        "'%'",
        "\\",
        "\"",
    ];

    fn studio() -> Studio {
        let studio = Studio::new(Options::default()).unwrap();
        let groups = ["a".to_owned()].into();
        studio
            .add_user(&Account {
                username: "a".to_owned(),
                groups,
                metadata: [("a".to_owned(), "7".to_owned())].into(),
                ..Account::default()
            })
            .unwrap();
        studio
    }

    fn ask(studio: &Studio, operation: Value) -> Result<Vec<Value>, ApiError> {
        let call = Call {
            number: 1,
            kind: CallKind::Read,
            number_of_kind: 1,
            operations: 1,
        };
        studio.call(&call, &[operation], Repetition::Deduplicated)
    }

    proptest! {
        #[test]
        fn any_expression_is_answered_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..14), start in 0..4_usize) {
            let start = ["", "User where", "select id from User where", "select user.username from Membership where"][start];
            let answered = ask(&studio(), json!({"action": "query", "expression": format!("{start} {}", words.join(" "))}));
            prop_assert!(matches!(answered.map_err(|error| error.exception), Ok(_) | Err("ParseError" | "ValidationError")));
        }

        #[test]
        fn any_text_is_answered_or_refused(expression in ".{0,60}") {
            let answered = ask(&studio(), json!({"action": "query", "expression": expression}));
            prop_assert!(matches!(answered.map_err(|error| error.exception), Ok(_) | Err("ParseError" | "ValidationError")));
        }
    }

    #[test]
    fn malformed_operations_are_refused() {
        let studio = studio();
        for operation in [
            json!(null),
            json!({"action": 7}),
            json!({"action": "query"}),
            json!({"action": "create", "entity_type": "User"}),
            json!({"action": "create", "entity_type": "User", "entity_key": ["a", "b"], "entity_data": {}}),
            json!({"action": "create", "entity_type": "User", "entity_key": ["a"], "entity_data": {"id": "b"}}),
            json!({"action": "update", "entity_type": "Metadata", "entity_key": ["a"], "entity_data": {}}),
            json!({"action": "update", "entity_type": "User", "entity_data": {}}),
            json!({"action": "create", "entity_type": "Membership", "entity_data": {"user": "a", "group": null}}),
            json!({"action": "create", "entity_type": "UserSecurityRole", "entity_data": {}}),
            json!({"action": "create", "entity_type": "UserCustomAttributeValue", "entity_data": {}}),
            json!({"action": "delayed_job", "job_type": "syncldapusers"}),
            json!({"action": "reset_remote", "reset_type": "everything", "entity_type": "User", "entity_key": "a"}),
            json!({"action": "add_user_security_role", "user_id": "a"}),
            json!({"action": "unheard_of"}),
        ] {
            assert_eq!(
                ask(&studio, operation.clone()).unwrap_err().exception,
                "ValidationError",
                "{operation}"
            );
        }
    }
}
