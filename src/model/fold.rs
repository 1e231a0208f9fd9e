//! The form in which logins and mail addresses are compared.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The form in which logins and mail addresses are compared: whether the server distinguishes case
/// or accents is not known, so the program never relies on it. Most are in that form already, and
/// are not copied. Compatible characters, such as fullwidth letters, are the same ones (Unicode's
/// NFKC, UAX 15): nobody can tell such logins apart.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        // Via upper case, which has one form where lower case has several: both sigmas, and the
        // sharp s beside "ss". From lower case, since the sharp s has a capital of its own as well.
        Cow::Owned(
            text.nfkc()
                .flat_map(char::to_lowercase)
                .flat_map(char::to_uppercase)
                .flat_map(char::to_lowercase)
                .nfkc()
                .collect(),
        )
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a text for people contains a name as a whole word, compared in that form.
#[must_use]
pub fn names(text: &str, name: &str) -> bool {
    let (text, name) = (fold(text), fold(name));
    if name.is_empty() {
        return false;
    }
    let is_part = |character: char| {
        character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '@' | '=')
    };
    let mut places = text.match_indices(&*name);
    places.any(|(start, found)| {
        let before = text
            .get(..start)
            .and_then(|before| before.chars().next_back());
        let mut after = text.get(start + found.len()..).unwrap_or_default().chars();
        let after = match after.next() {
            // The end of a sentence.
            Some('.') => after.next(),
            next => next,
        };
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::{fold, names};

    #[test]
    fn a_name_is_a_whole_word() {
        for text in ["the user \"gus.mo\" is", "GUS.MO", "of gus.mo.", "(gus.mo)"] {
            assert!(names(text, "gus.mo"), "{text}");
        }
        for text in [
            "gus.moe",
            "x.gus.mo",
            "gus.mo.x",
            "gus.mo@studio.test",
            "gus",
            "",
        ] {
            assert!(!names(text, "gus.mo"), "{text}");
        }
        assert!(!names("gus", ""));
    }

    #[test]
    fn one_login_in_many_forms_is_one_login() {
        for (one, other) in [
            ("ADA", "ada"),
            ("jos\u{e9}", "Jose\u{301}"),
            ("\u{c5}sa", "a\u{30a}sa"),
            (
                "\u{3bf}\u{3b4}\u{3cc}\u{3c2}",
                "\u{39f}\u{394}\u{38c}\u{3a3}",
            ),
            ("stra\u{df}er", "STRASSER"),
            ("\u{ff41}\u{ff44}\u{ff41}", "Ada"),
            ("stra\u{df}er", "STRA\u{1e9e}ER"),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("jos\u{e9}"), fold("jose"));
    }
}
