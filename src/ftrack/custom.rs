//! The custom attributes of users that a job maps: which they are, what values they take, and every
//! user's value.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;

use super::{
    custom_fault::CustomAttributeFault,
    error::{FtrackError, FtrackErrorKind},
    page::list,
    query,
    row::{AttributeRow, ValueRow},
    session::{Reader, Until},
};
use crate::model::{
    custom_kind::{Choices, CustomKind},
    user::EntityId,
};

/// The entity type of the attributes of users.
const OF_USERS: &str = "user";

/// The mapped custom attributes, each with its kind and all values.
pub(super) struct Custom {
    pub attributes: Vec<(String, EntityId)>,
    pub kinds: Vec<CustomKind>,
    pub values: Vec<Vec<ValueRow>>,
}

/// The mapped custom attributes: the key, the id and the kind of each.
///
/// # Errors
/// One of them cannot be written.
pub(super) async fn known_attributes(
    reader: &Reader,
    keys: &[String],
    until: &Until,
) -> Result<Vec<(String, EntityId, CustomKind)>, FtrackError> {
    let found = custom_attributes(reader, keys, until).await?;
    let known = keys.iter().zip(found).map(|(key, found)| {
        let (id, kind) = found.map_err(|fault| {
            reader.error_of(
                "looking for the mapped custom attributes",
                FtrackErrorKind::CustomAttribute(fault),
            )
        })?;
        Ok((key.clone(), id, kind))
    });
    known.collect()
}

/// Every user's values of the mapped custom attributes.
///
/// # Errors
/// Those of [`known_attributes`].
pub(super) async fn custom_values(
    reader: &Reader,
    keys: &[String],
    until: &Until,
) -> Result<Custom, FtrackError> {
    let known = known_attributes(reader, keys, until).await?;
    let (attributes, kinds): (Vec<_>, Vec<_>) = known
        .into_iter()
        .map(|(key, id, kind)| ((key, id), kind))
        .unzip();
    let listings: Vec<_> = attributes
        .iter()
        .map(|(_, id)| query::custom_values(id))
        .collect();
    let values = stream::iter(&listings)
        .map(|listing| list::<ValueRow>(reader, listing, until))
        .buffered(reader.connections())
        .try_collect()
        .await?;
    Ok(Custom {
        attributes,
        kinds,
        values,
    })
}

/// The custom attributes of users with these keys, in their order: the id and the kind of each, or
/// why it cannot be written.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn custom_attributes(
    reader: &Reader,
    keys: &[String],
    until: &Until,
) -> Result<Vec<Result<(EntityId, CustomKind), CustomAttributeFault>>, FtrackError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list::<AttributeRow>(reader, &query::custom_attributes(), until).await?;
    let names = type_names(&rows);
    let found: Vec<_> = keys
        .iter()
        .map(|key| of_users(&rows, key).map(|row| usable(reader, row, key, &names)))
        .collect();
    let others = if found.iter().all(Option::is_some) {
        Vec::new()
    } else {
        list::<AttributeRow>(reader, &query::custom_attributes_of_all(), until).await?
    };
    let all = keys.iter().zip(found);
    Ok(all
        .map(|(key, found)| found.unwrap_or_else(|| Err(missing(reader, &others, key))))
        .collect())
}

/// The names of types by their ids; a server that omits repetitions names a type only once.
fn type_names(rows: &[AttributeRow]) -> BTreeMap<&EntityId, &str> {
    let named = rows.iter().filter_map(|row| row.kind.as_ref());
    named
        .filter_map(|kind| Some((&kind.id, kind.name.as_deref()?)))
        .collect()
}

fn of_users<'r>(rows: &'r [AttributeRow], key: &str) -> Option<&'r AttributeRow> {
    let is_of_users = |row: &&AttributeRow| {
        row.entity_type
            .as_deref()
            .is_none_or(|of| of.eq_ignore_ascii_case(OF_USERS))
    };
    let mut rows = rows.iter().filter(is_of_users);
    rows.find(|row| row.key.as_deref() == Some(key))
}

fn usable(
    reader: &Reader,
    row: &AttributeRow,
    key: &str,
    names: &BTreeMap<&EntityId, &str>,
) -> Result<(EntityId, CustomKind), CustomAttributeFault> {
    let name = row.kind.as_ref().and_then(|kind| names.get(&kind.id));
    let kind = match name {
        None => CustomKind::Unknown,
        Some(name) => {
            CustomKind::named(name, || choices(row.config.as_deref())).ok_or_else(|| {
                CustomAttributeFault::Type {
                    key: key.to_owned(),
                    name: reader.excerpt(name),
                }
            })?
        }
    };
    Ok((row.id.clone(), kind))
}

/// Why there is none for users.
fn missing(reader: &Reader, all: &[AttributeRow], key: &str) -> CustomAttributeFault {
    let rows = all.iter().filter(|row| row.key.as_deref() == Some(key));
    let entities: BTreeSet<&str> = rows.filter_map(|row| row.entity_type.as_deref()).collect();
    let key = key.to_owned();
    if entities.is_empty() {
        return CustomAttributeFault::Unknown(key);
    }
    let entities: Vec<&str> = entities.into_iter().collect();
    CustomAttributeFault::OfOthers {
        key,
        entities: reader.excerpt(&entities.join(", ")),
    }
}

/// The configuration of an enumerator.
#[derive(Deserialize)]
struct Config {
    #[serde(default, rename = "multiSelect")]
    several: bool,
    /// A list of choices, or the JSON text of one.
    #[serde(default)]
    data: Value,
}

/// One choice.
#[derive(Deserialize)]
struct Choice {
    value: Value,
    /// The name that people see.
    #[serde(default)]
    menu: Value,
}

/// The choices of an enumerator; what cannot be read is not known, and then ftrack itself refuses
/// what it does not take.
fn choices(config: Option<&str>) -> Choices {
    let config = config.and_then(|config| serde_json::from_str::<Config>(config).ok());
    let Some(Config { several, data }) = config else {
        return Choices::default();
    };
    let list: Option<Vec<Choice>> = match data {
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Null => None,
        other @ (Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_)) => {
            serde_json::from_value(other).ok()
        }
    };
    Choices {
        several,
        known: list.map(|list| Arc::new(by_text(&list))),
    }
}

/// The value of each choice by its name and by its value, which comes first.
fn by_text(list: &[Choice]) -> BTreeMap<Box<str>, Box<str>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let pairs = |of: fn(&Choice) -> &Value| {
        list.iter()
            .filter_map(move |choice| Some((text(of(choice))?, text(&choice.value)?)))
    };
    let names = pairs(|choice| &choice.menu);
    names.chain(pairs(|choice| &choice.value)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn choices_are_known_by_value_and_by_name_where_the_server_shows_them() {
        let config = r#"{"multiSelect": true, "data": "[{\"menu\": \"Oslo office\", \"value\": \"oslo\"}, {\"menu\": \"oslo\", \"value\": \"harbour\"}]"}"#;
        let Choices { several, known } = choices(Some(config));
        let known = known.unwrap();
        let of = |text: &str| known.get(text).map(|value| &**value);
        assert!(several);
        assert_eq!(of("Oslo office"), Some("oslo"));
        assert_eq!(of("oslo"), Some("oslo"), "a value comes before a name");
        assert_eq!(of("harbour"), Some("harbour"));
        assert_eq!(of("Oslo"), None);
        let listed = choices(Some(r#"{"data": [{"value": 7}]}"#)).known.unwrap();
        assert_eq!(listed.len(), 1);
        for config in [
            None,
            Some(""),
            Some("{}"),
            Some("[]"),
            Some(r#"{"data": "x"}"#),
        ] {
            assert_eq!(choices(config), Choices::default(), "{config:?}");
        }
    }
}
