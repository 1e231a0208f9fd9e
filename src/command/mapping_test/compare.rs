//! What is expected of the entries of a file beside what a mapping makes of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::expected::{Expected, Outcome};
use crate::directory::dn::Dn;

/// The result for one entry.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// As the LDIF file has it; of an entry that it lacks, as it is expected.
    pub dn: String,
    pub passed: bool,
    /// What differs; nothing where the entry is in one of the files alone.
    pub differences: Vec<Difference>,
    /// None where nothing is expected of it.
    pub expected: Option<Outcome>,
    /// None where the LDIF file lacks it.
    pub actual: Option<Outcome>,
}

/// One value that is not as it is expected.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key in the expected file.
    pub field: String,
    /// Null where it is not there.
    pub expected: Value,
    /// Null where the mapping does not give it.
    pub actual: Value,
}

/// Compares, in the order of the LDIF file; then what it lacks. Groups that are no people need no
/// expectation.
pub fn compare(expected: &Expected, actual: Vec<(bool, Outcome)>) -> Vec<Tested> {
    let mut by_dn: BTreeMap<String, &Outcome> = BTreeMap::new();
    for outcome in &expected.entries {
        by_dn.insert(key(&outcome.dn), outcome);
    }
    let mut tested = Vec::new();
    for (is_unread_group, actual) in actual {
        let expected = by_dn.remove(&key(&actual.dn));
        if expected.is_none() && is_unread_group {
            continue;
        }
        let differences = expected.map(|expected| differences(expected, &actual));
        tested.push(Tested {
            dn: actual.dn.clone(),
            passed: differences.as_ref().is_some_and(Vec::is_empty),
            differences: differences.unwrap_or_default(),
            expected: expected.cloned(),
            actual: Some(actual),
        });
    }
    let lacking = expected.entries.iter();
    let lacking = lacking.filter(|outcome| by_dn.contains_key(&key(&outcome.dn)));
    tested.extend(lacking.map(|outcome| Tested {
        dn: outcome.dn.clone(),
        passed: false,
        differences: Vec::new(),
        expected: Some(outcome.clone()),
        actual: None,
    }));
    tested
}

/// A DN as DNs are compared.
pub fn key(dn: &str) -> String {
    Dn::parse(dn).map_or_else(|| dn.to_owned(), |dn| dn.key().to_owned())
}

fn differences(expected: &Outcome, actual: &Outcome) -> Vec<Difference> {
    let (wanted, given) = (fields(expected), fields(actual));
    let mut names: Vec<&String> = given.keys().chain(wanted.keys()).collect();
    names.sort_by_key(|name| (**name != "verdict", *name));
    names.dedup();
    let is_other = expected.verdict != actual.verdict;
    // Its words are those of this version of the program: they count where somebody wrote them. Of an
    // entry of which something else becomes, all the rest follows.
    let counts = |name: &&String| match name.as_str() {
        "verdict" => true,
        "reason" => expected.reason.is_some() && !is_other,
        _ => !is_other,
    };
    names
        .into_iter()
        .filter(counts)
        .filter_map(|name| {
            let value = |of: &BTreeMap<String, Value>| of.get(name).cloned().unwrap_or_default();
            let (expected, actual) = (value(&wanted), value(&given));
            (expected != actual).then(|| Difference {
                field: name.clone(),
                expected,
                actual,
            })
        })
        .collect()
}

/// The fields by their keys, those of custom attributes each, the DN aside.
fn fields(outcome: &Outcome) -> BTreeMap<String, Value> {
    let Ok(Value::Object(all)) = serde_json::to_value(outcome) else {
        return BTreeMap::new();
    };
    let mut fields = BTreeMap::new();
    for (name, value) in all {
        match (&*name, value) {
            ("dn", _) => {}
            ("custom_attributes", Value::Object(custom)) => {
                let custom = custom.into_iter();
                fields
                    .extend(custom.map(|(key, value)| (format!("custom_attributes.{key}"), value)));
            }
            ("roles" | "groups", Value::Array(mut list)) => {
                list.sort_by_key(ToString::to_string);
                fields.insert(name, Value::Array(list));
            }
            (_, value) => drop(fields.insert(name, value)),
        }
    }
    fields
}
