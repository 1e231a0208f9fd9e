//! The JSON schema of the configuration file, and what it says about a single key.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::written;

/// The JSON schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<written::File>()
        .to_value()
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text and nothing else.
    Text,
    /// Something else, or one of several things; or the key is unknown.
    Other,
}

/// What each key takes, by the schema.
pub struct Kinds {
    schema: Value,
}

impl Kinds {
    /// Works out the schema.
    #[must_use]
    pub fn new() -> Self {
        let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        Self {
            schema: inline.into_generator().into_root_schema_for::<written::File>().to_value(),
        }
    }

    /// What the key at the end of this way takes. Of an unknown key nothing is known, so its value is kept as text.
    #[must_use]
    pub fn of(&self, way: &[String]) -> Kind {
        let end = way.iter().try_fold(&self.schema, |schema, key| inner(schema, key));
        if end.is_none_or(is_text) { Kind::Text } else { Kind::Other }
    }
}

/// The schema of a key inside a table, which may be an optional one.
fn inner<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(key));
    let any = || schema.get("additionalProperties").filter(|schema| schema.is_object());
    let option = || alternatives(schema).find_map(|schema| inner(schema, key));
    named.or_else(any).or_else(option)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array()).flatten()
}

/// Whether a schema takes text and nothing else; null, which TOML does not have, is left out of account.
fn is_text(schema: &Value) -> bool {
    let names_text = |name: &Value| matches!(name.as_str(), Some("string" | "null"));
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().all(names_text),
        Some(name) => names_text(name),
        None => alternatives(schema).count() > 0 && alternatives(schema).all(is_text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> Kind {
        Kinds::new().of(&path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn text_is_known_as_text() {
        let texts = [
            "ftrack.api_key",
            "directories.studio.bind_password",
            "jobs.artists.schedule",
            "jobs.artists.scope",
            "jobs.a.retry.max",
            "http.listen",
            "no.such",
            "directories.s.sasl",
        ];
        for path in texts {
            assert_eq!(kind(path), Kind::Text, "{path}");
        }
        for path in [
            "ftrack",
            "ftrack.page_size",
            "directories.studio.urls",
            "jobs.a.users.create",
            "jobs.a.limits.deactivate",
            "jobs.a.attributes.email",
            "jobs.a.attributes.email.required",
        ] {
            assert_eq!(kind(path), Kind::Other, "{path}");
        }
    }
}
