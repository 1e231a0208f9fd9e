//! When to give up because of something that no single change causes: after some refusals for lack
//! of seats or of a permission, further changes are not tried. No I/O.
//!
//! Nothing else ends early: however many changes in a row are refused with the same message, the
//! next one may succeed.

use std::ops::ControlFlow;

use crate::model::change::Action;

/// The number of users in a row that were stored as inactive, or refused with a message about
/// seats, after which nobody else is activated; and the number of changes refused for lack of
/// permission, with nothing written yet, after which the run ends.
const ENOUGH: usize = 3;

/// Whole words of a message about seats: a Mr Seaton and a studio in Seattle do not match.
const SEAT_WORDS: [&str; 6] = [
    "seat", "seats", "license", "licenses", "licence", "licences",
];

/// Phrases of a message about seats.
const SEAT_PHRASES: [&str; 4] = [
    "licenseerror",
    "licenceerror",
    "maximum number of users",
    "user limit",
];

/// Recent refusals.
#[derive(Debug, Default)]
pub struct StopRule {
    without_seat: usize,
    no_seats: Option<String>,
    without_right: usize,
    wrote: bool,
}

impl StopRule {
    /// Why no more users are activated, if this applies to changes of this kind.
    #[must_use]
    pub fn no_seat_for(&self, action: Action) -> Option<String> {
        let words = self.no_seats.as_ref().filter(|_| action.takes_a_seat())?;
        Some(format!(
            "not tried, since the users before got no seat: {words}"
        ))
    }

    /// A change was applied, so earlier refusals were about the changes themselves.
    pub fn succeeded(&mut self, action: Action) {
        self.wrote = true;
        if action.takes_a_seat() {
            self.without_seat = 0;
        }
    }

    /// A change was refused, with this message of the server; returns whether that is for lack of a
    /// seat.
    pub fn refused(&mut self, action: Action, words: &str) -> bool {
        let is_without_seat = action.takes_a_seat() && speaks_of_seats(words);
        if is_without_seat {
            self.no_seat(words);
        } else if action.takes_a_seat() {
            self.without_seat = 0;
        }
        is_without_seat
    }

    /// A change was refused for lack of permission. Once something was written the permission
    /// exists in general, and only that for a single user is missing.
    pub fn forbidden(&mut self) -> ControlFlow<()> {
        self.without_right += 1;
        if self.without_right >= ENOUGH && !self.wrote {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// A user was stored as inactive, although it should be active.
    pub fn stored_inactive(&mut self) {
        self.no_seat("ftrack accepted the users, but stored them as inactive");
    }

    fn no_seat(&mut self, words: &str) {
        self.without_seat += 1;
        if self.without_seat >= ENOUGH {
            self.no_seats.get_or_insert_with(|| words.to_owned());
        }
    }
}

fn speaks_of_seats(words: &str) -> bool {
    let words = words.to_lowercase();
    // A dot, a dash or an at sign joins the parts of a login, an address or a host.
    let mut whole =
        words.split(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '@'));
    whole.any(|word| SEAT_WORDS.contains(&word.trim_matches(['.', '-'])))
        || SEAT_PHRASES.iter().any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_about_something_else_end_nothing() {
        let mut rule = StopRule::default();
        for _ in 0..1000 {
            rule.refused(
                Action::Create,
                "ValidationError: this domain is not allowed",
            );
        }
        assert_eq!(rule.no_seat_for(Action::Create), None);
    }

    #[test]
    fn only_whole_words_speak_of_seats() {
        for words in [
            "No seats left.",
            "LicenseError: x",
            "the licence is full",
            "Maximum number of users reached",
            "no free seat",
        ] {
            assert!(speaks_of_seats(words), "{words}");
        }
        for words in [
            "chris.seaton is refused",
            "https://seattle.test",
            "back-seat@x.test is no address",
            "the domain is not allowed",
        ] {
            assert!(!speaks_of_seats(words), "{words}");
        }
    }

    #[test]
    fn three_in_a_row_without_a_seat_are_enough_and_nobody_else_is_held_up() {
        let mut rule = StopRule::default();
        rule.refused(Action::Create, "No seat is left.");
        rule.stored_inactive();
        rule.succeeded(Action::Reactivate);
        rule.refused(Action::Create, "No seat is left.");
        rule.refused(Action::Update, "No seat is left.");
        rule.refused(Action::Reactivate, "No seat is left.");
        assert_eq!(rule.no_seat_for(Action::Create), None);
        rule.stored_inactive();
        assert!(rule.no_seat_for(Action::Create).is_some());
        assert_eq!(rule.no_seat_for(Action::Update), None);
    }

    #[test]
    fn a_missing_right_ends_a_run_that_wrote_nothing() {
        let mut rule = StopRule::default();
        assert_eq!(
            [rule.forbidden(), rule.forbidden(), rule.forbidden()],
            [
                ControlFlow::Continue(()),
                ControlFlow::Continue(()),
                ControlFlow::Break(())
            ]
        );
        let mut rule = StopRule::default();
        rule.succeeded(Action::Update);
        assert!((0..100).all(|_| rule.forbidden() == ControlFlow::Continue(())));
    }
}
