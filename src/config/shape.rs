//! Matches the merged values with the tables and keys of the configuration: reports all unknown
//! keys and wrong types.

use figment::{
    error::{Actual, Kind},
    value::{Dict, Value},
};
use serde::Deserialize;

use super::{
    file::File,
    finding::{KeyPath, did_you_mean, nearest},
    job,
    layers::PREFIX,
    limits,
    notes::Notes,
    schema::{self, Kinds},
};

/// The maximum number of findings about the structure; further ones are not reported.
const ENOUGH: usize = 100;

/// Converts values into the structure of the configuration. Whatever does not fit is recorded and
/// omitted; `None` when there are too many findings.
pub fn read(values: Dict, notes: &mut Notes) -> Option<File> {
    let mut values = values;
    let kinds = Kinds::new();
    lists_for_tables(&mut values, &mut Vec::new(), &kinds, notes);
    if let Some(Value::Dict(_, jobs)) = values.get_mut("jobs") {
        misnamed_parts(jobs, notes);
        jobs.iter_mut()
            .for_each(|(name, job)| keys_of_kind(name, job, notes));
    }
    let mut values = Value::from(values);
    for _ in 0..ENOUGH {
        let error = match File::deserialize(&values) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let way: Vec<&str> = error.path.iter().map(String::as_str).collect();
        let path = key_path(&values, &way);
        note(&path, &error.kind, &kinds, notes);
        if !remove(&mut values, &way) {
            return None;
        }
    }
    None
}

/// Records and omits lists where tables are expected; serde would treat them as tables whose keys
/// have no names.
fn lists_for_tables(dict: &mut Dict, way: &mut Vec<String>, kinds: &Kinds, notes: &mut Notes) {
    dict.retain(|key, value| {
        way.push(key.clone());
        let is_right = value.as_array().is_none() || kinds.of(way) != schema::Kind::Table;
        if !is_right {
            let path = way
                .iter()
                .fold(KeyPath::default(), |path, key| path.key(key));
            notes.find(&path, "a table is expected, not a list");
            notes.excuse(path);
        }
        if let Value::Dict(_, inner) = value {
            lists_for_tables(inner, way, kinds, notes);
        }
        way.pop();
        is_right
    });
}

/// Records and omits tables of a job that only has such, where another job has nearly its name.
fn misnamed_parts(jobs: &mut Dict, notes: &mut Notes) {
    let is_part = |job: &Value| {
        let keys = job.as_dict();
        keys.is_some_and(|keys| {
            !keys.is_empty() && keys.values().all(|value| value.as_dict().is_some())
        })
    };
    let whole: Vec<String> = jobs
        .iter()
        .filter(|(_, job)| !is_part(job))
        .map(|(name, _)| name.clone())
        .collect();
    jobs.retain(|name, job| {
        if !is_part(job) {
            return true;
        }
        let Some(meant) = nearest(name, whole.iter().map(String::as_str)) else {
            return true;
        };
        let at = KeyPath::default().key("jobs").key(name);
        for part in job.as_dict().into_iter().flat_map(Dict::keys) {
            let problem = format!(
                "there is no job {name:?} beside this table; did you mean [jobs.{meant}.{part}]?"
            );
            notes.find(&at.key(part), problem);
        }
        notes.excuse(at);
        false
    });
}

/// Records and omits keys of a job that have no meaning for its kind.
fn keys_of_kind(name: &str, job: &mut Value, notes: &mut Notes) {
    let at = KeyPath::default().key("jobs").key(name);
    let Value::Dict(_, keys) = job else { return };
    if keys.get("kind").and_then(Value::as_str) == Some("ftrack-ldap") {
        let problem = "has no meaning for a job of kind \"ftrack-ldap\": ftrack reads its \
            directory with its own settings; remove it";
        leave_out(keys, &at, notes, problem, |key| {
            !job::LDAP_KEYS.contains(&key)
        });
        if let Some(Value::Dict(_, limits)) = keys.get_mut("limits") {
            let problem = "has no meaning for a job of kind \"ftrack-ldap\", whose limits are for \
                one run; remove it";
            leave_out(limits, &at.key("limits"), notes, problem, |key| {
                !limits::LDAP_KEYS.contains(&key)
            });
        }
    }
}

fn leave_out(
    keys: &mut Dict,
    at: &KeyPath,
    notes: &mut Notes,
    problem: &str,
    has_meaning: impl Fn(&str) -> bool,
) {
    keys.retain(|key, _| {
        let stays = has_meaning(key);
        if !stays {
            notes.find(&at.key(key), problem);
        }
        stays
    });
}

/// Records one error from serde, without the value that it is about, which may be a secret.
fn note(path: &KeyPath, kind: &Kind, kinds: &Kinds, notes: &mut Notes) {
    let problem = match kind {
        Kind::UnknownField(name, known) => {
            let near = nearest(name, known.iter().copied());
            // A table at the top with nearly the right name is not in the wrong place, and neither is
            // a key of a mapping.
            let keys = path.keys();
            let is_table = keys.len() == 1 && !notes.names_in(name).is_empty();
            let is_of_mapping = matches!(keys.as_slice(), ["jobs", _, "attributes", _, _]);
            let is_misspelt = near.is_some() && (is_table || is_of_mapping);
            let elsewhere = (!is_misspelt).then(|| misplaced(path, name, kinds, notes));
            match elsewhere.flatten() {
                Some(problem) => problem,
                None => {
                    if let (Some(meant), Some(table)) = (near, path.parent()) {
                        notes.excuse(table.key(meant));
                    }
                    unknown_key(path, name, known)
                }
            }
        }
        Kind::UnknownVariant(name, known) => {
            if let (["jobs", _, "kind"], Some(job)) = (path.keys().as_slice(), path.parent()) {
                // A job of another kind has none of the keys that would be missing here.
                notes.excuse(job);
            }
            let known_names: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
            format!(
                "{name:?} is not one of {}{}",
                known_names.join(", "),
                did_you_mean(name, known.iter().copied())
            )
        }
        Kind::InvalidType(found, expected) => {
            let hint = match separated(path, kinds, notes) {
                Some(hint) => format!("; {hint}"),
                None if is_quoted(found, expected) => "; leave out the quotes".to_owned(),
                None => of_the_other_table(path, found).unwrap_or_default(),
            };
            format!(
                "{} is expected, not {}{hint}",
                in_words(expected),
                type_of(found)
            )
        }
        Kind::InvalidValue(_, expected) => {
            format!("out of range: {} is expected", in_words(expected))
        }
        Kind::InvalidLength(_, expected) => format!("{} is expected", in_words(expected)),
        Kind::MissingField(name) => format!("{name} is missing"),
        Kind::DuplicateField(name) => format!("{name} is written twice"),
        Kind::Message(text) => text.clone(),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "the number is too large".to_owned(),
        Kind::Unsupported(_) | Kind::UnsupportedKey(..) => {
            "a value of this kind is not expected here".to_owned()
        }
    };
    notes.find(path, problem);
    notes.excuse(path.clone());
}

/// Where the limit belongs that was written under the key that says whether something is done at all.
fn of_the_other_table(path: &KeyPath, found: &Actual) -> Option<String> {
    let keys = path.keys();
    let is_limit = matches!(
        found,
        Actual::Str(_) | Actual::Unsigned(_) | Actual::Signed(_)
    );
    match keys.as_slice() {
        [
            "jobs",
            job,
            "users",
            key @ ("deactivate" | "reactivate" | "create"),
        ] if is_limit => Some(format!("; a limit goes in [jobs.{job}.limits]: {key}")),
        _ => None,
    }
}

/// Whether a number, or true or false, is written as text.
fn is_quoted(found: &Actual, expected: &str) -> bool {
    let Actual::Str(text) = found else {
        return false;
    };
    match expected {
        "i64" => text.trim().parse::<i64>().is_ok(),
        "a boolean" => text.trim().parse::<bool>().is_ok(),
        _ => false,
    }
}

/// What to say about a key that exists, but elsewhere; the value is then not missing there.
fn misplaced(path: &KeyPath, name: &str, kinds: &Kinds, notes: &mut Notes) -> Option<String> {
    if let Some(hint) = separated(path, kinds, notes) {
        return Some(format!("unknown key; {hint}"));
    }
    let tables = kinds.tables_with(name);
    if tables.is_empty() {
        return None;
    }
    for table in &tables {
        for table in with_names(table, notes) {
            notes.excuse(table.key(name));
        }
    }
    if tables.iter().any(Vec::is_empty) {
        return Some("it belongs at the top, before the first table".to_owned());
    }
    let keys = path.keys();
    let tables: Vec<String> = tables
        .iter()
        .map(|table| format!("[{}]", named(table, &keys).join(".")))
        .collect();
    Some(format!(
        "it does not belong here, but in {}",
        tables.join(" or ")
    ))
}

/// The path of a table that a pattern matches, with the name of the table that these keys are in if
/// the pattern is about the same ones.
fn named<'k>(pattern: &'k [String], keys: &[&'k str]) -> Vec<&'k str> {
    let is_same = pattern.first().map(String::as_str) == keys.first().copied();
    let name = keys.get(1).filter(|_| is_same && keys.len() > 2);
    let name = name.copied().unwrap_or("NAME");
    let names = pattern.iter().map(String::as_str);
    names
        .map(|key| if key == "*" { name } else { key })
        .collect()
}

/// The paths of the tables that a pattern matches.
fn with_names(pattern: &[String], notes: &Notes) -> Vec<KeyPath> {
    let mut paths = vec![KeyPath::default()];
    for (position, key) in pattern.iter().enumerate() {
        let names: Vec<String> = match (key.as_str(), pattern.first()) {
            ("*", Some(table)) if position == 1 => notes.names_in(table).into_iter().collect(),
            (key, _) => vec![key.to_owned()],
        };
        paths = paths
            .iter()
            .flat_map(|path| names.iter().map(|name| path.key(name)))
            .collect();
    }
    paths
}

/// The right name of a variable that has one underscore where two separate levels.
fn separated(path: &KeyPath, kinds: &Kinds, notes: &mut Notes) -> Option<String> {
    notes.variable(path)?;
    let (last, before) = path.keys().split_last().map(|(last, before)| {
        let before: Vec<String> = before.iter().map(|key| (*key).to_owned()).collect();
        ((*last).to_owned(), before)
    })?;
    let way = levels(&last, &before, kinds)?;
    let meant = way
        .iter()
        .fold(KeyPath::default(), |path, key| path.key(key));
    notes.excuse(meant);
    Some(format!(
        "two underscores separate levels: {PREFIX}{}",
        way.join("__").to_uppercase()
    ))
}

/// The path of an existing key that a name means whose words are separated by one underscore each.
fn levels(name: &str, before: &[String], kinds: &Kinds) -> Option<Vec<String>> {
    name.match_indices('_').find_map(|(place, _)| {
        let (first, rest) = (name.get(..place)?, name.get(place + 1..)?);
        let mut way = before.to_vec();
        way.push(first.to_owned());
        if first.is_empty() || !kinds.knows(&way) {
            return None;
        }
        let mut whole = way.clone();
        whole.push(rest.to_owned());
        if !rest.is_empty() && kinds.knows(&whole) && !is_name(&whole) {
            return Some(whole);
        }
        levels(rest, &way, kinds)
    })
}

/// Whether the last key is a name of the configuration's own choice, as that of a job.
fn is_name(way: &[String]) -> bool {
    matches!(way, [table, _] if table == "jobs" || table == "directories")
}

fn unknown_key(path: &KeyPath, name: &str, known: &[&str]) -> String {
    let keys = path.keys();
    if let ["jobs", _, "attributes", "custom_attributes", key] = keys.as_slice() {
        return format!(
            "unknown key; the name of a custom attribute goes in quotes: \
             \"custom_attributes.{key}\" = ..."
        );
    }
    match nearest(name, known.iter().copied()) {
        Some(_) => format!("unknown key{}", did_you_mean(name, known.iter().copied())),
        None => format!("unknown key; known keys are {}", known.join(", ")),
    }
}

/// What serde expects, in terms of TOML.
fn in_words(expected: &str) -> &str {
    match expected {
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "path string" => "a path in quotes",
        "a string" => "text in quotes",
        other => other,
    }
}

fn type_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
        Actual::Float(_) => "a number with a fraction",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        Actual::Bytes(_)
        | Actual::Unit
        | Actual::Option
        | Actual::NewtypeStruct
        | Actual::Enum
        | Actual::UnitVariant
        | Actual::NewtypeVariant
        | Actual::TupleVariant
        | Actual::StructVariant
        | Actual::Other(_) => "something else",
    }
}

/// The path that serde describes, in which a position in a list looks like a key.
fn key_path(values: &Value, way: &[&str]) -> KeyPath {
    let mut path = KeyPath::default();
    let mut around = Some(values);
    for step in way {
        let list = around.and_then(Value::as_array);
        let index = list.and_then(|_| step.parse::<usize>().ok());
        path = index.map_or_else(|| path.key(step), |index| path.index(index));
        around = match (list, index) {
            (Some(list), Some(index)) => list.get(index),
            _ => around
                .and_then(Value::as_dict)
                .and_then(|dict| dict.get(*step)),
        };
    }
    path
}

/// Removes the value at the end of a path, or the list that it is part of; false when there is
/// none.
fn remove(values: &mut Value, way: &[&str]) -> bool {
    let Value::Dict(_, dict) = values else {
        return false;
    };
    match way {
        [] => false,
        [key] => dict.remove(*key).is_some(),
        [key, rest @ ..] => match dict.get_mut(*key) {
            Some(inner @ Value::Dict(..)) => remove(inner, rest),
            Some(_) => dict.remove(*key).is_some(),
            None => false,
        },
    }
}
