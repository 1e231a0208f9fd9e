//! Texts of the server, of which never more than a beginning is looked at. No I/O.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{error::excerpt, key::Keys};

/// The most bytes of a text of the server that are looked at for an error; more than fit in one.
const LONGEST_TEXT: usize = 16 << 10;

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
