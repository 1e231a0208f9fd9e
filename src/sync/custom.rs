//! Values of custom attributes: converts a text of the directory to the attribute's type, and
//! compares values. No I/O.

use serde_json::{Number, Value, json};

use crate::model::user::CustomKind;

/// A text as a value of that kind; `old`, the present value, decides where the kind is not known.
///
/// # Errors
/// The text is not a value of that kind: ftrack would refuse it.
pub fn value(kind: CustomKind, old: &Value, new: &str) -> Result<Value, String> {
    match kind {
        CustomKind::Text => Ok(new.into()),
        CustomKind::Number => number(new).ok_or_else(|| format!("is not a number: {new:?}")),
        CustomKind::Boolean => truth(new)
            .map(Value::Bool)
            .ok_or_else(|| format!("is not a boolean: {new:?}")),
        CustomKind::Date => day(new)
            .map(|day| json!({"__type__": "datetime", "value": format!("{day}T00:00:00")}))
            .ok_or_else(|| format!("is not a date: {new:?}")),
        CustomKind::List => Ok(Value::Array(vec![new.into()])),
        CustomKind::Unknown => Ok(shaped_like(old, new)),
    }
}

/// Whether two values are the same to ftrack: null and an empty text, 7 and 7.0, a choice alone and
/// in a list, a date with a time and without.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(list), Value::String(_)) => matches!(list.as_slice(), [only] if only == b),
        (Value::String(_), Value::Array(_)) => equal(b, a),
        (Value::Object(_), _) | (_, Value::Object(_)) => {
            a == b || (written_day(a).is_some() && written_day(a) == written_day(b))
        }
        (
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
            _,
        ) => a == b || (is_empty(a) && is_empty(b)),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

fn number(text: &str) -> Option<Value> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    // "007" is a number to a person, but not in JSON.
    let digits = plain.trim_start_matches('0');
    let plain = if digits.is_empty() || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        plain
    } else {
        digits
    };
    serde_json::from_str::<Number>(plain)
        .ok()
        .map(Value::Number)
}

/// The boolean values of LDAP (RFC 4517 section 3.3.3), and common other spellings.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// The date of an ISO date or of a generalized time (RFC 4517 section 3.3.13).
fn day(text: &str) -> Option<chrono::NaiveDate> {
    let beginning = |characters: usize| text.get(..characters).unwrap_or_default();
    let iso = chrono::NaiveDate::parse_from_str(beginning(10), "%Y-%m-%d");
    let generalized = || chrono::NaiveDate::parse_from_str(beginning(8), "%Y%m%d");
    iso.ok().or_else(|| generalized().ok())
}

/// The date of a stored value, as ftrack writes times: an object with a `value`, or only the text.
fn written_day(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("value")?.as_str())?
        .get(..10)
}

/// A text in the shape of the value that it replaces.
fn shaped_like(old: &Value, new: &str) -> Value {
    let shaped = match old {
        Value::Number(_) => number(new),
        Value::Bool(_) => truth(new).map(Value::Bool),
        Value::Array(_) => Some(Value::Array(vec![new.into()])),
        Value::Null | Value::String(_) | Value::Object(_) => None,
    };
    shaped.unwrap_or_else(|| new.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_text_takes_the_form_of_its_kind_or_is_refused_by_name() {
        let of = |kind, text| value(kind, &Value::Null, text);
        assert_eq!(of(CustomKind::Text, "007").unwrap(), json!("007"));
        assert_eq!(of(CustomKind::Number, "007").unwrap(), json!(7));
        assert_eq!(of(CustomKind::Number, "0").unwrap(), json!(0));
        assert_eq!(of(CustomKind::Number, "0.5").unwrap(), json!(0.5));
        assert_eq!(of(CustomKind::Number, "-3").unwrap(), json!(-3));
        assert_eq!(
            of(CustomKind::Number, "x7").unwrap_err(),
            "is not a number: \"x7\""
        );
        assert_eq!(of(CustomKind::Boolean, "TRUE").unwrap(), json!(true));
        assert_eq!(
            of(CustomKind::Boolean, "maybe").unwrap_err(),
            "is not a boolean: \"maybe\""
        );
        assert_eq!(of(CustomKind::List, "Oslo").unwrap(), json!(["Oslo"]));
        for text in ["2020-02-29", "20200229120000Z", "2020-02-29T10:00:00Z"] {
            assert_eq!(
                of(CustomKind::Date, text).unwrap()["value"],
                "2020-02-29T00:00:00"
            );
        }
        assert!(of(CustomKind::Date, "2021-02-29").is_err());
        assert_eq!(
            value(CustomKind::Unknown, &json!(1), "2").unwrap(),
            json!(2)
        );
        assert_eq!(
            value(CustomKind::Unknown, &json!(false), "TRUE").unwrap(),
            json!(true)
        );
    }

    #[test]
    fn the_same_value_in_another_form_is_no_difference() {
        assert!(equal(&json!(7), &json!(7.0)));
        assert!(equal(&Value::Null, &json!("")));
        assert!(equal(&Value::Null, &json!([])));
        assert!(equal(&json!(["Oslo"]), &json!("Oslo")));
        assert!(equal(&json!("Oslo"), &json!(["Oslo"])));
        assert!(!equal(&json!(["Oslo", "Rome"]), &json!("Oslo")));
        assert!(equal(
            &json!({"__type__": "datetime", "value": "2020-02-29T00:00:00"}),
            &json!({"__type__": "date", "value": "2020-02-29"})
        ));
        assert!(!equal(
            &json!({"value": "2020-02-29"}),
            &json!({"value": "2020-02-28"})
        ));
        assert!(!equal(&json!({}), &json!({"value": 1})));
        assert!(!equal(&json!(0), &json!(false)));
        assert!(!equal(&json!("a"), &json!("A")));
    }
}
