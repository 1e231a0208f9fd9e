//! When to give up on changes of one kind: seats that are used up, or a right that is missing, are not asked for a thousand times. No I/O.

use crate::sync::change::Action;

/// How many changes in a row may be refused with the very same words before the rest of their kind is left.
const SAME_WORDS: usize = 25;

/// How many users in a row may be stored as inactive, or refused with words about seats, before nobody else is activated.
const NO_SEATS: usize = 3;

/// Words in a refusal that speak of seats.
const SEAT_WORDS: [&str; 4] = ["license", "licence", "seat", "maximum number of users"];

/// What was refused lately.
#[derive(Debug, Default)]
pub struct Patience {
    words: String,
    times: usize,
    over: Option<String>,
}

impl Patience {
    /// Whether no more users are to be activated.
    #[must_use]
    pub fn is_over(&self, action: Action) -> bool {
        self.over.is_some() && action.takes_a_seat()
    }

    /// Why no more users are activated.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.over
            .as_ref()
            .map(|words| format!("not tried, since the ones before were refused: {words}"))
    }

    /// A change was applied, so what was refused before was about the changes themselves.
    pub fn succeeded(&mut self, action: Action) {
        if action.takes_a_seat() {
            self.times = 0;
        }
    }

    /// A change was refused; says whether it is time to give up.
    pub fn refused(&mut self, action: Action, words: &str, hopeless: bool) -> bool {
        let about_seats = action.takes_a_seat() && speaks_of_seats(words);
        self.count(words, if hopeless || about_seats { NO_SEATS } else { SAME_WORDS }, action)
    }

    /// A user was stored as inactive, though it was to be active.
    pub fn stored_inactive(&mut self, action: Action, words: &str) {
        self.count(words, NO_SEATS, action);
    }

    fn count(&mut self, words: &str, most: usize, action: Action) -> bool {
        if self.words == words {
            self.times += 1;
        } else {
            words.clone_into(&mut self.words);
            self.times = 1;
        }
        let over = self.times >= most;
        if over && action.takes_a_seat() {
            self.over = Some(words.to_owned());
        }
        over
    }
}

fn speaks_of_seats(words: &str) -> bool {
    let words = words.to_lowercase();
    SEAT_WORDS.iter().any(|word| words.contains(word))
}
