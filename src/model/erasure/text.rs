//! Takes names out of texts for people.

use super::NEUTRAL;
use crate::model::fold::names;

/// A text without these names, which are whole words of it, in any case; none where it has none of them.
pub fn without<'n>(text: &str, all: impl Iterator<Item = &'n str>) -> Option<String> {
    let mut left = text.to_owned();
    for name in all {
        if !names(&left, name) {
            continue;
        }
        left = replaced(&left, name);
        // In letters that have several forms, the place is not known.
        if names(&left, name) {
            return Some(NEUTRAL.to_owned());
        }
    }
    (left != text).then_some(left)
}

/// The text with every place of a name replaced where it is a whole word.
fn replaced(text: &str, name: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut left = String::with_capacity(text.len());
    let mut from = 0;
    for (start, found) in lower.match_indices(&wanted) {
        let end = start + found.len();
        // The word with a little of what is around it decides.
        let around = |at: usize, to: usize| text.get(at..to).unwrap_or_default();
        let before = around(0, start).chars().next_back();
        let after: String = around(end, text.len()).chars().take(2).collect();
        let before = before.map(String::from).unwrap_or_default();
        let alone = format!("{before}{}{after}", around(start, end));
        if names(&alone, name) {
            left.push_str(around(from, start));
            left.push_str(NEUTRAL);
            from = end;
        }
    }
    left.push_str(text.get(from..).unwrap_or_default());
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_as_whole_words() {
        let all = ["sam.ortiz", "uid=sam.ortiz,ou=people", "Sam Ortiz"];
        let of = |text: &str| without(text, all.into_iter());
        for (text, left) in [
            ("the user \"SAM.Ortiz\" is", "the user \"(erased)\" is"),
            (
                "sam.ortiz, sam.ortizo and sam.ortiz.",
                "(erased), sam.ortizo and (erased).",
            ),
            ("of uid=sam.ortiz,ou=people now", "of (erased) now"),
            ("Sam Ortiz (sam.ortiz)", "(erased) ((erased))"),
        ] {
            assert_eq!(of(text).as_deref(), Some(left));
        }
        for text in ["", "sam", "sam.ortizo", "x@sam.ortiz"] {
            assert_eq!(of(text), None, "{text}");
        }
        // Another form of the same name.
        let sigma = without(
            "the user \u{3c3}\u{3b1}\u{3c2}",
            ["\u{3a3}\u{391}\u{3a3}"].into_iter(),
        );
        assert_eq!(sigma.as_deref(), Some(NEUTRAL));
    }
}
