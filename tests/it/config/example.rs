//! The example and the schema agree with each other, and with the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use ftrack_ldap_sync::{command, config::PeopleFilter, model::server_kind::ServerKind};
use serde_json::Value;

use super::Folder;

#[test]
fn the_example_is_valid() {
    let example = command::config::example();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/config/ftrack-ldap-sync.toml");
    assert_eq!(example, fs::read_to_string(kept).unwrap());
    let folder = Folder::new(example);
    folder.file("ftrack-api-key", "planted\n");
    folder.file("ldap-password", "planted\n");
    folder.load(&[]).unwrap();
}

#[test]
fn the_example_fits_on_a_terminal() {
    assert_eq!(too_wide(command::config::example()), [""; 0]);
}

/// The lines that are wider than a terminal and have a comment, or nothing else; a value alone may be
/// long.
fn too_wide(example: &str) -> Vec<&str> {
    let is_value = |line: &str| {
        let rest = line.strip_prefix("# ").unwrap_or(line);
        rest.contains(" = ") && !rest.contains("# ")
    };
    let lines = example.lines();
    lines
        .filter(|line| line.chars().count() > 80 && !is_value(line))
        .collect()
}

#[test]
fn the_example_of_each_kind_is_valid_and_says_what_the_kind_implies() {
    for kind in ServerKind::ALL {
        let example = command::config::example_of(kind).unwrap();
        let folder = Folder::new(&example);
        folder.file("ftrack-api-key", "planted\n");
        folder.file("ldap-password", "planted\n");
        let config = folder.load(&[]).unwrap();
        assert_eq!(config.directories["studio"].kind, Some(kind));
        let (_, job) = config.ldap_jobs().next().unwrap();
        let implied = PeopleFilter::of_kind(kind).where_known(|_| false);
        assert_eq!(job.filter.as_ref(), Some(&implied));
        // Without them, the same is in force.
        let (before, rest) = example.split_once("filter = ").unwrap();
        let (_, after) = rest.split_once("[jobs.artists.users]").unwrap();
        let short = Folder::new(&format!("{before}[jobs.artists.users]{after}"));
        let [short, whole] = [&short, &folder].map(|folder| {
            let shown = folder.effective().unwrap().to_toml().unwrap();
            shown.replace(&folder.path().display().to_string(), "")
        });
        assert_eq!(short, whole, "{kind}");
        assert_eq!(too_wide(&example), [""; 0]);
        // OpenLDAP alone has no rule of its own where it has no password policy.
        let has_rule = example.contains("\n# disabled = \"");
        assert_eq!(has_rule, kind == ServerKind::OpenLdap);
    }
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let written = written();
    let known: BTreeSet<_> = schema_keys()
        .into_keys()
        .filter(|key| !key.ends_with('*') && key != "directories" && key != "jobs")
        .collect();
    assert!(known.len() > 60, "{known:?}");
    let absent: Vec<_> = known
        .iter()
        .filter(|key| !written.contains_key(*key))
        .collect();
    assert!(absent.is_empty(), "the example lacks {absent:?}");
    // Their keys are names of ftrack.
    let named = ["attributes", "roles", "groups"].map(|table| format!("jobs.*.{table}."));
    let is_name = |key: &str| named.iter().any(|table| key.starts_with(table));
    let unknown: Vec<_> = written
        .keys()
        .filter(|key| !known.contains(*key) && !key.ends_with('*') && !is_name(key))
        .collect();
    assert!(unknown.is_empty(), "the example has {unknown:?}");
}

#[test]
fn the_example_shows_the_defaults() {
    let written = written();
    let mut compared = 0;
    for (key, default) in schema_keys() {
        if let (Some(Some(shown)), false) = (written.get(&key), default.is_null()) {
            assert_eq!(*shown, default, "{key}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared} defaults are not all");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    let tables = schema["$defs"]
        .as_object()
        .unwrap()
        .values()
        .chain([&schema]);
    for (key, inner) in tables
        .filter_map(|table| table["properties"].as_object())
        .flatten()
    {
        assert!(inner["description"].is_string(), "{key} is not described");
    }
    assert_eq!(schema["additionalProperties"], false);
}

/// The path of every key in the example, a star for each name; with its value where the line is
/// commented out.
fn written() -> BTreeMap<String, Option<Value>> {
    let mut written = BTreeMap::new();
    let mut table = String::new();
    for whole in command::config::example().lines() {
        let line = whole.trim_start_matches("# ");
        let name = line.strip_prefix("[[").or_else(|| line.strip_prefix('['));
        if let Some((name, _)) = name.and_then(|rest| rest.split_once(']')) {
            table = name
                .replace("artists", "*")
                .replace("studio", "*")
                .replace("nightly-builtin", "*");
            written.insert(table.clone(), None);
        } else if let Some((key, value)) =
            line.split_once(" = ").filter(|(key, _)| !key.contains(' '))
        {
            let path = format!("{table}.{key}").trim_start_matches('.').to_owned();
            let value = toml::from_str::<BTreeMap<String, Value>>(&format!("value = {value}"))
                .unwrap_or_else(|error| panic!("{whole}: {error}"));
            // The keys of a table in one line have no defaults.
            let inner = value.get("value").and_then(Value::as_object);
            for key in inner.into_iter().flat_map(|inner| inner.keys()) {
                written.insert(format!("{path}.{key}"), None);
            }
            // Of what stands twice, as for jobs of two kinds, the first is the default.
            written
                .entry(path)
                .or_insert(value.get("value").filter(|_| line != whole).cloned());
        }
    }
    written
}

fn schema() -> Value {
    serde_json::from_str(&command::config::schema()).unwrap()
}

/// The path of every key that the schema knows, a star for each name, with its default or null.
fn schema_keys() -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let schema = schema();
    collect_keys(&schema, &schema, "", &mut keys);
    keys
}

fn collect_keys(root: &Value, schema: &Value, at: &str, keys: &mut BTreeMap<String, Value>) {
    if let Some(reference) = schema["$ref"].as_str() {
        collect_keys(
            root,
            root.pointer(reference.trim_start_matches('#')).unwrap(),
            at,
            keys,
        );
    }
    // The tables of a list.
    if schema["items"].is_object() {
        collect_keys(root, &schema["items"], at, keys);
    }
    // Optional tables; the table that may stand for an attribute, or for the groups of a role, is not
    // one of its own.
    for schema in schema["anyOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|_| !at.contains("attributes") && !at.contains("roles"))
    {
        collect_keys(root, schema, at, keys);
    }
    let properties = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, inner)| (key.as_str(), inner));
    let any = schema
        .get("additionalProperties")
        .filter(|inner| inner.is_object())
        .map(|inner| ("*", inner));
    for (key, inner) in properties.chain(any) {
        let path = format!("{at}.{key}").trim_start_matches('.').to_owned();
        collect_keys(root, inner, &path, keys);
        keys.insert(path, inner["default"].clone());
    }
}

#[test]
fn active_directory_has_a_short_name() {
    let printed = |kind: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        let ended = command
            .args(["config", "example", "--kind", kind])
            .output()
            .unwrap();
        assert!(ended.status.success(), "{kind}");
        String::from_utf8(ended.stdout).unwrap()
    };
    assert_eq!(printed("ad"), printed("active-directory"));
}
