//! `holds --ended`: what a run held before, how that ended, and who decided.

use std::collections::BTreeSet;

use chrono::{DateTime, Local, Utc};

use super::super::{print, print_json, print_text, terminal, terminal::Screen};
use crate::{
    cli::{Exit, Format, HoldsArgs, Stop},
    escape::escape_control,
    model::{
        approver::short_approver,
        open_hold::{Ended, OpenHold},
        readable_time::readable_times,
    },
};

/// Lists the holds of all jobs or of one that have ended, the newest first.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn list(all: &[OpenHold], args: &HoldsArgs) -> Result<Exit, Stop> {
    let is_wanted = |hold: &&OpenHold| {
        hold.ended.is_some()
            && args
                .list
                .saved
                .job
                .as_ref()
                .is_none_or(|job| *job == hold.job)
    };
    let ended: Vec<&OpenHold> = all.iter().rev().filter(is_wanted).collect();
    match args.list.format {
        Format::Json => print_json(&ended),
        Format::Text if ended.is_empty() => print_text("No hold has ended.\n"),
        Format::Text => print(&table(&ended, Screen::of_stdout())),
    }
}

fn table(holds: &[&OpenHold], screen: Screen) -> String {
    let ended = holds
        .iter()
        .filter_map(|hold| Some((hold, hold.ended.as_ref()?)));
    let times: Vec<DateTime<Utc>> = ended.clone().map(|(_, ended)| ended.at).collect();
    let (times, zone) = readable_times(&times, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    let header = format!("ENDED{zone}");
    let mut table = screen.table();
    table.set_header([
        "HOLD", "JOB", "KIND", "HELD BY", "PEOPLE", &header, "HOW", "BY",
    ]);
    for ((hold, ended), at) in ended.zip(times) {
        table.add_row([
            hold.hold.to_string(),
            escape_control(&hold.job).into_owned(),
            hold.kind.to_string(),
            hold.held_by.as_str().to_owned(),
            hold.people.len().to_string(),
            at,
            how(hold, ended),
            escape_control(&deciders(hold)).into_owned(),
        ]);
    }
    terminal::unbroken(&mut table, &[0, 5, 1, 2]);
    let text = "\n`holds show N` shows what became of each of its people, by whom and when.\n";
    terminal::lines(&table) + &screen.fit(text)
}

/// What became of its people; in one word where that is not known.
fn how(hold: &OpenHold, ended: &Ended) -> String {
    if ended.became.is_empty() {
        return ended.by.as_str().to_owned();
    }
    ended.in_words(hold.people.len())
}

/// Who approved or rejected some of it.
fn deciders(hold: &OpenHold) -> String {
    let decided = hold
        .people
        .iter()
        .filter_map(|person| person.decided.as_ref());
    let by: BTreeSet<String> = decided.map(|decided| short_approver(&decided.by)).collect();
    by.into_iter().collect::<Vec<_>>().join(", ")
}
