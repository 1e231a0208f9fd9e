//! Escapes text from outside so that it is safe to print: it cannot control a terminal, forge a
//! line, or change the reading direction.

use std::borrow::Cow;

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// The text with control, format and line-breaking characters replaced by escapes, such as
/// `\u{1b}`.
#[must_use]
pub fn escape_control(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
    if text.as_bytes().iter().all(is_plain) || !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .flat_map(|character| {
                if is_dangerous(character) {
                    Shown::Escaped(character.escape_unicode())
                } else {
                    Shown::Plain(Some(character))
                }
            })
            .collect(),
    )
}

/// Control characters, line and paragraph separators, and what is not seen.
fn is_dangerous(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') || is_unseen(character)
}

/// Characters that show nothing, and so make two texts look like one: those that may be ignored in
/// display (Unicode's `Default_Ignorable_Code_Point`, UAX 44: zero-width and bidi characters, tags,
/// the soft hyphen, fillers, variation selectors), annotations, and the blank braille pattern.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    !character.is_ascii()
        && (matches!(character, '\u{2800}' | '\u{fff9}'..='\u{fffb}')
            || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character))
}

enum Shown {
    Plain(Option<char>),
    Escaped(std::char::EscapeUnicode),
}

impl Iterator for Shown {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Plain(character) => character.take(),
            Self::Escaped(escape) => escape.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{escape_control, is_unseen};

    #[test]
    fn what_shows_nothing_is_known() {
        let unseen = [
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{180b}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{e0041}',
            '\u{e0100}',
        ];
        for character in unseen {
            assert!(is_unseen(character), "{}", character.escape_unicode());
        }
        for character in "aZ9.-_ éÅ李ßя".chars() {
            assert!(!is_unseen(character), "{character}");
        }
    }

    #[test]
    fn what_moves_a_terminal_or_forges_a_line_is_escaped() {
        assert_eq!(escape_control("Zoë Ångström 李"), "Zoë Ångström 李");
        assert_eq!(
            escape_control("a\nb\x1b[2J\u{202e}c"),
            "a\\u{a}b\\u{1b}[2J\\u{202e}c"
        );
    }
}
