//! Escapes text from outside so that it is safe to print: it cannot control a terminal, forge a
//! line, or change the reading direction.

use std::borrow::Cow;

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

/// Control characters, line and paragraph separators, and characters that change direction (Unicode
/// TR 9 section 2, TR 36 section 2.5).
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
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
    use super::escape_control;

    #[test]
    fn what_moves_a_terminal_or_forges_a_line_is_escaped() {
        assert_eq!(escape_control("Zoë Ångström 李"), "Zoë Ångström 李");
        assert_eq!(
            escape_control("a\nb\x1b[2J\u{202e}c"),
            "a\\u{a}b\\u{1b}[2J\\u{202e}c"
        );
    }
}
