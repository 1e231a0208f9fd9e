//! Values of an example that were not replaced.

use figment::value::{Dict, Value};

use super::{PLACEHOLDER, finding::KeyPath, notes::Notes};

/// Records each text that still holds the placeholder of an example: it is refused before it is sent
/// anywhere.
pub fn find(values: &Dict, notes: &mut Notes) {
    of_table(values, &KeyPath::default(), notes);
}

fn of_table(values: &Dict, at: &KeyPath, notes: &mut Notes) {
    for (key, value) in values {
        of_value(value, &at.key(key), notes);
    }
}

fn of_value(value: &Value, at: &KeyPath, notes: &mut Notes) {
    if let Some(text) = value.as_str() {
        if text.contains(PLACEHOLDER) {
            notes.find(at, "the placeholder of an example; replace it");
        }
    } else if let Some(inner) = value.as_dict() {
        of_table(inner, at, notes);
    } else if let Some(list) = value.as_array() {
        for (index, value) in list.iter().enumerate() {
            of_value(value, &at.index(index), notes);
        }
    }
}
