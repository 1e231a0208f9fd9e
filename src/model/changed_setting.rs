//! The words for what a changed setting of the configuration holds.

use super::way_to_approve::BY_NUMBER;

const BEFORE: &str = "the configuration changed (";
const AFTER: &str = "), which may explain it; ";

/// Why a changed setting holds something.
#[must_use]
pub fn why_held(setting: &str) -> String {
    let rest = format!(
        "if it is meant, approve it: {BY_NUMBER}; or else take it back; config_change = \"apply\" applies \
         such changes without asking"
    );
    with_setting(setting, &rest)
}

/// The setting in such a text, and what follows after it; none of any other text.
#[must_use]
pub fn parts(why: &str) -> Option<(&str, &str)> {
    why.strip_prefix(BEFORE)?.split_once(AFTER)
}

/// Such a text of these parts.
#[must_use]
pub fn with_setting(setting: &str, rest: &str) -> String {
    format!("{BEFORE}{setting}{AFTER}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_the_text() {
        let why = why_held("jobs.artists.filter, (odd)");
        let (setting, rest) = parts(&why).unwrap();
        assert_eq!(setting, "jobs.artists.filter, (odd)");
        assert!(rest.starts_with("if it is meant"), "{rest}");
        assert_eq!(with_setting(setting, rest), why);
        assert_eq!(parts("something else"), None);
    }
}
