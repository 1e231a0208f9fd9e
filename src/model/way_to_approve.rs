//! How a person approves what is held: a run gives it a number; a plan is no run, and its file is
//! applied.

use crate::model::hold_number::HoldNumber;

/// Of what a run holds.
pub const BY_NUMBER: &str = "`holds` shows its number, `approve N` writes it";

/// Where the number of a hold is found, as [`BY_NUMBER`] and others say it.
const SHOWN: &str = "`holds` shows its number";

/// The same of what has no number yet.
const SHOWN_LATER: &str = "the next run gives it a number, which `holds` shows then";

/// Of what a plan shows as held.
const BY_PLAN: &str = "`plan --out FILE`, then `apply FILE`";

/// A text about what a run will hold, where none has yet.
#[must_use]
pub fn before_a_run(why: &str) -> String {
    why.replace(SHOWN, SHOWN_LATER)
}

/// A text about what a run holds, as a plan says it.
#[must_use]
pub fn in_plan(why: &str) -> String {
    why.replace(BY_NUMBER, BY_PLAN)
}

/// The same on the page of a hold, which has the button.
#[must_use]
pub fn on_page(why: &str) -> String {
    why.replace(&format!(": {BY_NUMBER}"), " below")
        .replace(SHOWN, "below")
}

/// The same of a hold whose number is known.
#[must_use]
pub fn in_hold(why: &str, hold: HoldNumber) -> String {
    why.replace(BY_NUMBER, &format!("`approve {hold}` writes it"))
}
