//! Texts of the server, of which never more than a beginning is looked at. No I/O.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error::excerpt, key::Keys};

/// The most bytes of a text of the server that are looked at for an error; more than fit in one.
const LONGEST_TEXT: usize = 16 << 10;

/// The most bytes of an answer, or a part of one, of no particular form: a value takes far more
/// memory than its text.
pub(super) const LARGEST_VALUE: usize = 1 << 20;

/// The most bytes of names in an error.
const LONGEST_NAMES: usize = 2000;

/// The first of the names, as one text.
pub(super) fn some_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.extend(name.chars().take(LONGEST_NAMES));
        if text.len() > LONGEST_NAMES {
            break;
        }
    }
    text
}

/// Parses a part that is never long.
pub(super) fn small<'a, T: Deserialize<'a>>(part: &'a RawValue) -> Result<T, serde_json::Error> {
    if part.get().len() > LARGEST_VALUE {
        let reason = format!("a part of an answer of more than {LARGEST_VALUE} bytes");
        return Err(serde::de::Error::custom(reason));
    }
    serde_json::from_str(part.get())
}

/// How a body begins, as text.
pub(super) fn beginning(body: &[u8], keys: &Keys) -> String {
    let body = body.get(..LONGEST_TEXT).unwrap_or(body);
    excerpt(&String::from_utf8_lossy(body), keys)
}

/// The beginning of a JSON value as text; a string is used as it is.
pub(super) fn words(value: Option<&RawValue>) -> String {
    let text = value.map(RawValue::get).unwrap_or_default();
    if !text.starts_with('"') {
        return cut(text, LONGEST_TEXT).to_owned();
    }
    beginning_of(text, LONGEST_TEXT).into_owned()
}

/// The content of a JSON string, or the beginning of one that is longer than so many bytes.
pub(super) fn beginning_of(string: &str, most: usize) -> Cow<'_, str> {
    if string.len() <= most {
        return serde_json::from_str(string).map_or_else(|_| string.to_owned().into(), Cow::Owned);
    }
    // The longest escape, of a character beyond the basic plane, takes 12 bytes.
    let whole = (0..12)
        .find_map(|less| serde_json::from_str(&format!("{}\"", cut(string, most - less))).ok());
    whole.map_or_else(|| cut(string, most).into(), Cow::Owned)
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_beginning_of_a_long_text_is_told() {
        for (text, most, told) in [
            (r#""a\u00e9""#, 100, "aé"),
            (r#""abc\u00e9def\\\\\\""#, 12, "abcé"),
            (r#""ab\ud83d\ude00cdefghi""#, 13, "ab"),
            (r#""aaaaaaaaaaaaaaaa\\""#, 18, "aaaaaaaaaaaaaaaa"),
        ] {
            let beginning = super::beginning_of(text, most);
            assert!(beginning.starts_with(told), "{text} {beginning}");
        }
    }
}
