//! What a run did, as one line of a list.

use super::{group_changes, role_changes};
use crate::{
    escape::escape_control,
    model::{change::Action, report::Trigger, summary::RunSummary},
    state::journal,
};

/// What a run did, or would do, or why it failed.
#[must_use]
pub fn what(run: &RunSummary) -> String {
    let counts = &run.counts;
    let written = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.reactivated, "reactivated"),
        (counts.deactivated, "deactivated"),
        (counts.role_changes, role_changes(counts.role_changes)),
        (counts.group_changes, group_changes(counts.group_changes)),
    ];
    let planned = Action::ALL
        .map(|action| (run.planned.get(&action).copied(), action.as_str()))
        .map(|(count, action)| (count.unwrap_or_default(), format!("to {action}")));
    let error = run.error.as_deref();
    let is_in_the_middle = error.is_some_and(journal::is_in_the_middle);
    let not_written = [
        (counts.held, "held"),
        (counts.rejected, "rejected"),
        (
            counts.failed,
            if is_in_the_middle {
                "not written"
            } else {
                "failed"
            },
        ),
        (counts.unconfirmed, "unconfirmed"),
        (counts.skipped, "skipped"),
        (run.unsettled, "to be decided"),
    ];
    let changes: Vec<(usize, String)> = if run.dry_run || run.observed {
        planned.into()
    } else {
        in_words(&written)
    };
    let mut what: Vec<String> = changes
        .into_iter()
        .chain(in_words(&not_written))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if run.alarm {
        what.insert(0, "ALARM: above the job's limits".to_owned());
    }
    if is_in_the_middle {
        what.insert(0, "interrupted".to_owned());
    } else if let Some(error) = error {
        what.push(cause(error));
    } else if what.is_empty() {
        what.push("nothing to do".to_owned());
    }
    let dry = match (run.dry_run, run.observed) {
        (true, _) => "dry run: ",
        (false, true) => "observed: ",
        (false, false) => "",
    };
    format!("{}{dry}{}", by_word(run), what.join(", "))
}

/// What a person asked for beside a run as ever.
fn by_word(run: &RunSummary) -> String {
    match run.trigger {
        // The reason of a failure begins with the command.
        Trigger::Link if error_names_command(run) => String::new(),
        // A user is adopted by `link`, and by `unlink` only what the link says changes.
        Trigger::Link if run.planned.contains_key(&Action::Update) => "unlink: ".to_owned(),
        Trigger::Approval | Trigger::Link | Trigger::Release | Trigger::Undo | Trigger::Restore => {
            format!("{}: ", run.trigger.as_str())
        }
        Trigger::Schedule
        | Trigger::Manual
        | Trigger::Startup
        | Trigger::Retry
        | Trigger::Changes
        | Trigger::Watch => String::new(),
    }
}

fn error_names_command(run: &RunSummary) -> bool {
    let error = run.error.as_deref().unwrap_or_default();
    ["link: ", "unlink: "]
        .iter()
        .any(|command| error.starts_with(command))
}

fn in_words(counts: &[(usize, &str)]) -> Vec<(usize, String)> {
    let counts = counts.iter();
    counts
        .map(|(count, words)| (*count, (*words).to_owned()))
        .collect()
}

/// An error without the words that every failed run has.
fn cause(error: &str) -> String {
    let cause = error
        .replace(", and nothing was written", "")
        .replace(", so nothing was written", "");
    escape_control(&cause).into_owned()
}
