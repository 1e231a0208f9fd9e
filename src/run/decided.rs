//! What became of somebody in a hold, when, and by whom, for people.

use chrono::Local;

use crate::model::{
    open_hold::{Became, Decided, HeldPerson, OpenHold},
    readable_time::readable_time,
};

/// What became of somebody who left a hold, with the person who decided that, and how a rejection is
/// taken back; not escaped.
#[must_use]
pub fn became_in_words(hold: &OpenHold, person: &HeldPerson) -> String {
    let Some(became) = person.became else {
        return "not held any more".to_owned();
    };
    let decided = person.decided.as_ref().map(|Decided { by, at }| {
        let at = readable_time(*at, &Local);
        format!(", by {by}, at {at}")
    });
    let back = match became {
        Became::Rejected => format!(
            "; `unreject {} --only {}` takes it back",
            hold.hold, person.username
        ),
        Became::Written
        | Became::Released
        | Became::HeldOtherwise
        | Became::Changed
        | Became::NotDue => String::new(),
    };
    format!("{}{}{back}", became.in_words(), decided.unwrap_or_default())
}
