//! Values of custom attributes: converts a text of the directory to the attribute's type, and
//! compares values. No I/O.

use serde_json::{Number, Value, json};

use crate::model::custom_kind::{Choices, CustomKind};

/// The most choices that are named where a value is none of them.
const NAMED: usize = 8;

/// A text as a value of that kind; `old`, the present value, decides where the kind is not known.
///
/// # Errors
/// The text is not a value of that kind: ftrack would refuse it.
pub fn value(kind: &CustomKind, old: &Value, new: &str) -> Result<Value, String> {
    match kind {
        CustomKind::Text => Ok(new.into()),
        CustomKind::Number => number(new).ok_or_else(|| format!("is not a number: {new:?}")),
        CustomKind::Boolean => truth(new)
            .map(Value::Bool)
            .ok_or_else(|| format!("is not a boolean: {new:?}")),
        CustomKind::Date => day(new)
            .map(|day| json!({"__type__": "datetime", "value": format!("{day}T00:00:00")}))
            .ok_or_else(|| format!("is not a date: {new:?}")),
        CustomKind::List(choices) => list(choices, [new]),
        CustomKind::Unknown => Ok(shaped_like(old, new)),
    }
}

/// An earlier value of the attribute as one of that kind; `now` is the present one. A value of nothing is
/// one of every kind.
///
/// # Errors
/// The attribute does not take it any more: ftrack would refuse it, or show what nobody can choose.
pub fn earlier(kind: &CustomKind, now: &Value, was: &Value) -> Result<Value, String> {
    let day = || written_day(was).ok_or_else(|| unfit(kind, was));
    match (kind, was) {
        _ if was.is_null() => Ok(Value::Null),
        (CustomKind::Unknown, _)
        | (CustomKind::Text, Value::String(_))
        | (CustomKind::Number, Value::Number(_))
        | (CustomKind::Boolean, Value::Bool(_)) => Ok(was.clone()),
        (CustomKind::Number | CustomKind::Boolean | CustomKind::List(_), Value::String(text)) => {
            value(kind, now, text)
        }
        (CustomKind::Date, _) => value(kind, now, day()?),
        (CustomKind::List(choices), Value::Array(chosen)) => {
            let texts: Option<Vec<&str>> = chosen.iter().map(Value::as_str).collect();
            let texts = texts.ok_or_else(|| unfit(kind, was))?;
            if texts.len() > 1 && !choices.several {
                return Err(unfit(kind, was));
            }
            list(choices, texts)
        }
        (CustomKind::Text | CustomKind::Number | CustomKind::Boolean | CustomKind::List(_), _) => {
            Err(unfit(kind, was))
        }
    }
}

fn unfit(kind: &CustomKind, value: &Value) -> String {
    format!("takes {kind}, and this is not: {value}")
}

/// Some texts as a value of a list of choices, in alphabetical order.
///
/// # Errors
/// One of them cannot be chosen.
pub fn list<'t>(
    choices: &Choices,
    new: impl IntoIterator<Item = &'t str>,
) -> Result<Value, String> {
    let chosen = new.into_iter().map(|text| match &choices.known {
        None => Ok(text),
        Some(known) => known.get(text).map(|value| &**value).ok_or_else(|| {
            let mut values: Vec<&str> = known.values().map(|value| &**value).collect();
            values.sort_unstable();
            values.dedup();
            let more = if values.len() > NAMED { ", …" } else { "" };
            values.truncate(NAMED);
            format!(
                "is none of its choices ({}{more}): {text:?}",
                values.join(", ")
            )
        }),
    });
    let mut chosen = chosen.collect::<Result<Vec<&str>, String>>()?;
    chosen.sort_unstable();
    chosen.dedup();
    Ok(Value::Array(chosen.into_iter().map(Into::into).collect()))
}

/// Whether two values are the same to ftrack: null and an empty text, 7 and 7.0, a choice alone and
/// in a list, choices in any order, a date with a time and without.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            let has_all = |some: &[Value], of: &[Value]| {
                of.iter()
                    .all(|value| some.iter().any(|one| equal(one, value)))
            };
            has_all(a, b) && has_all(b, a)
        }
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

/// Two whole numbers are compared as such: as decimal ones, large ones look alike.
fn same_number(a: &Number, b: &Number) -> bool {
    let is_whole = |number: &Number| number.is_i64() || number.is_u64();
    a == b || (!(is_whole(a) && is_whole(b)) && a.as_f64() == b.as_f64())
}

fn number(text: &str) -> Option<Value> {
    let (sign, plain) = match text.strip_prefix('-') {
        Some(plain) => ("-", plain),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    // "007" is a number to a person, but not in JSON.
    let digits = plain.trim_start_matches('0');
    let plain = if digits.is_empty() || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        plain
    } else {
        digits
    };
    serde_json::from_str::<Number>(&format!("{sign}{plain}"))
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

/// The date of an ISO date, with or without a time, or of a generalized time (RFC 4517 section
/// 3.3.13), of which the date alone suffices. A number of any other length is none: the times of
/// Active Directory (`accountExpires`) are numbers as well.
fn day(text: &str) -> Option<chrono::NaiveDate> {
    let split = |at: usize| Some((text.get(..at)?, text.get(at..)?));
    let is_time = |rest: &str| rest.is_empty() || rest.starts_with(['T', ' ']);
    let iso = split(10).filter(|(_, rest)| is_time(rest));
    let generalized = split(8).filter(|(_, rest)| is_time_of_day(rest));
    let parsed = |date: &str, form| chrono::NaiveDate::parse_from_str(date, form).ok();
    iso.and_then(|(date, _)| parsed(date, "%Y-%m-%d"))
        .or_else(|| generalized.and_then(|(date, _)| parsed(date, "%Y%m%d")))
}

/// Whether this may follow the date of a generalized time: nothing, or an hour at least, with a zone.
fn is_time_of_day(rest: &str) -> bool {
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let zone = rest.get(digits..).unwrap_or_default();
    let zone = zone.trim_start_matches(|c: char| matches!(c, '.' | ',') || c.is_ascii_digit());
    rest.is_empty() || (matches!(digits, 2 | 4 | 6) && zone.starts_with(['Z', '+', '-']))
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
        let of = |kind, text| value(&kind, &Value::Null, text);
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
        assert_eq!(of(CustomKind::Number, "-007").unwrap(), json!(-7));
        let any = CustomKind::List(Choices::default());
        assert_eq!(of(any, "Oslo").unwrap(), json!(["Oslo"]));
        let choice =
            |value: &str, name: &str| [(value.into(), value.into()), (name.into(), value.into())];
        let known = choice("oslo", "Oslo office")
            .into_iter()
            .chain(choice("rome", "Rome"));
        let choices = Choices {
            several: true,
            known: Some(std::sync::Arc::new(known.collect())),
        };
        assert_eq!(
            list(&choices, ["rome", "Oslo office", "oslo"]).unwrap(),
            json!(["oslo", "rome"])
        );
        assert_eq!(
            list(&choices, ["Paris"]).unwrap_err(),
            "is none of its choices (oslo, rome): \"Paris\""
        );
        for text in [
            "2020-02-29",
            "20200229",
            "20200229120000Z",
            "202002291200+0100",
            "20200229120000.5Z",
            "2020-02-29T10:00:00Z",
        ] {
            assert_eq!(
                of(CustomKind::Date, text).unwrap()["value"],
                "2020-02-29T00:00:00"
            );
        }
        for text in [
            "2021-02-29",
            "133012150000000000",
            "20200229x",
            "2020-02-29x",
            "2020022912",
        ] {
            assert!(of(CustomKind::Date, text).is_err(), "{text}");
        }
        assert_eq!(
            value(&CustomKind::Unknown, &json!(1), "2").unwrap(),
            json!(2)
        );
        assert_eq!(
            value(&CustomKind::Unknown, &json!(false), "TRUE").unwrap(),
            json!(true)
        );
    }

    #[test]
    fn an_earlier_value_is_one_of_the_kind_that_the_attribute_is_now() {
        let of = |kind: &CustomKind, was: Value| earlier(kind, &Value::Null, &was);
        let one = |several| {
            let known = [
                ("oslo".into(), "oslo".into()),
                ("rome".into(), "rome".into()),
            ];
            let known = Some(std::sync::Arc::new(known.into()));
            CustomKind::List(Choices { several, known })
        };
        let day = json!({"__type__": "datetime", "value": "2020-02-29T00:00:00"});
        for (kind, was, is) in [
            (CustomKind::Text, json!("a"), json!("a")),
            (CustomKind::Number, json!(7), json!(7)),
            (CustomKind::Number, json!("7"), json!(7)),
            (CustomKind::Boolean, json!(true), json!(true)),
            (CustomKind::Date, json!("2020-02-29"), day.clone()),
            (CustomKind::Date, day.clone(), day.clone()),
            (one(false), json!("oslo"), json!(["oslo"])),
            (one(true), json!(["rome", "oslo"]), json!(["oslo", "rome"])),
            (CustomKind::Unknown, json!({"a": 1}), json!({"a": 1})),
            (one(false), Value::Null, Value::Null),
        ] {
            assert_eq!(of(&kind, was.clone()).unwrap(), is, "{kind:?} {was}");
        }
        for (kind, was) in [
            (CustomKind::Text, json!(7)),
            (CustomKind::Number, json!("seven")),
            (CustomKind::Number, json!([7])),
            (CustomKind::Boolean, json!("maybe")),
            (CustomKind::Date, json!("soon")),
            (CustomKind::Date, json!(7)),
            (one(false), json!(["oslo", "rome"])),
            (one(true), json!(["oslo", "paris"])),
            (one(true), json!([7])),
            (one(true), json!(true)),
        ] {
            assert!(of(&kind, was.clone()).is_err(), "{kind:?} {was}");
        }
    }

    #[test]
    fn the_same_value_in_another_form_is_no_difference() {
        assert!(equal(&json!(7), &json!(7.0)));
        assert!(!equal(
            &json!(9_007_199_254_740_993_u64),
            &json!(9_007_199_254_740_992_u64)
        ));
        assert!(equal(&json!(["Rome", "Oslo"]), &json!(["Oslo", "Rome"])));
        assert!(!equal(&json!(["Rome", "Oslo"]), &json!(["Oslo"])));
        assert!(!equal(&json!(["Oslo"]), &json!(["Oslo", "Rome"])));
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
