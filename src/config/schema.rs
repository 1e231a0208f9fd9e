//! The JSON schema of the configuration file, and what it says about a single key.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

/// The JSON schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only text; also for unknown keys.
    Text,
    /// Only a table.
    Table,
    /// Another type, or one of several.
    Other,
}

/// The type of each key's value, from the schema.
pub struct Kinds {
    schema: Value,
}

impl Kinds {
    /// Generates the schema.
    #[must_use]
    pub fn new() -> Self {
        let inline =
            SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        Self {
            schema: inline
                .into_generator()
                .into_root_schema_for::<File>()
                .to_value(),
        }
    }

    /// The type of the value at the end of this path. The type of an unknown key is not known, so
    /// its value is treated as text.
    #[must_use]
    pub fn of(&self, way: &[String]) -> Kind {
        let end = way
            .iter()
            .try_fold(&self.schema, |schema, key| inner(schema, key));
        match end {
            Some(schema) if is_one_of(schema, &["object", "null"]) => Kind::Table,
            Some(schema) if !is_one_of(schema, &["string", "null"]) => Kind::Other,
            Some(_) | None => Kind::Text,
        }
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn knows(&self, way: &[String]) -> bool {
        way.iter()
            .try_fold(&self.schema, |schema, key| inner(schema, key))
            .is_some()
    }

    /// The paths of the tables that have a key of this name; a star stands for any name.
    #[must_use]
    pub fn tables_with(&self, key: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        find_tables(&self.schema, &[], key, &mut found);
        found
    }

    /// The keys of all secrets, each with the path of its table, in which a star stands for any
    /// name.
    #[must_use]
    pub fn secrets(&self) -> Vec<(Vec<String>, String)> {
        let mut found = Vec::new();
        find_secrets(&self.schema, &[], &mut found);
        found
    }
}

fn find_tables(table: &Value, at: &[String], wanted: &str, found: &mut Vec<Vec<String>>) {
    let named = table.get("properties").and_then(Value::as_object);
    if named.is_some_and(|named| named.contains_key(wanted)) && !found.iter().any(|one| one == at) {
        found.push(at.to_vec());
    }
    let any = table
        .get("additionalProperties")
        .filter(|inner| inner.is_object());
    let any = any.map(|inner| ("*", inner));
    let named = named
        .into_iter()
        .flatten()
        .map(|(key, inner)| (key.as_str(), inner));
    for (key, inner) in named.chain(any) {
        let path: Vec<String> = at.iter().cloned().chain([key.to_owned()]).collect();
        find_tables(inner, &path, wanted, found);
    }
    for schema in alternatives(table) {
        find_tables(schema, at, wanted, found);
    }
}

fn find_secrets(table: &Value, at: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let named = table.get("properties").and_then(Value::as_object);
    let any = table
        .get("additionalProperties")
        .filter(|inner| inner.is_object());
    let any = any.map(|inner| ("*", inner));
    let named = named
        .into_iter()
        .flatten()
        .map(|(key, inner)| (key.as_str(), inner));
    for (key, inner) in named.chain(any) {
        if inner.get("writeOnly") == Some(&Value::Bool(true)) {
            found.push((at.to_vec(), key.to_owned()));
        }
        let path: Vec<String> = at.iter().cloned().chain([key.to_owned()]).collect();
        find_secrets(inner, &path, found);
    }
}

/// The schema of a key inside a table, which may be an optional one.
fn inner<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let named = schema
        .get("properties")
        .and_then(|properties| properties.get(key));
    let any = || {
        schema
            .get("additionalProperties")
            .filter(|schema| schema.is_object())
    };
    let option = || alternatives(schema).find_map(|schema| inner(schema, key));
    named.or_else(any).or_else(option)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|name| schema.get(name)?.as_array())
        .flatten()
}

/// Whether a schema accepts only these types.
fn is_one_of(schema: &Value, types: &[&str]) -> bool {
    let is_named = |name: &Value| name.as_str().is_some_and(|name| types.contains(&name));
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().all(is_named),
        Some(name) => is_named(name),
        None => {
            alternatives(schema).count() > 0
                && alternatives(schema).all(|schema| is_one_of(schema, types))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> Kind {
        Kinds::new().of(&path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn secrets_are_known_by_their_type() {
        let secrets = Kinds::new().secrets();
        let paths: Vec<String> = secrets
            .iter()
            .map(|(table, key)| format!("{}.{key}", table.join(".")))
            .collect();
        assert_eq!(
            paths,
            [
                "ftrack.api_key",
                "ftrack.link_key",
                "notifications.mail.password",
                "notifications.webhook.url",
                "notifications.webhook.secret",
                "notifications.alive.url",
                "directories.*.bind_password",
                "jobs.*.notifications.mail.password",
                "jobs.*.notifications.webhook.url",
                "jobs.*.notifications.webhook.secret",
                "jobs.*.notifications.alive.url",
            ]
        );
    }

    #[test]
    fn text_and_tables_are_known() {
        for path in [
            "ftrack",
            "http",
            "reports",
            "directories",
            "directories.studio",
            "jobs.a.attributes",
            "jobs.a.retry",
        ] {
            assert_eq!(kind(path), Kind::Table, "{path}");
        }
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
