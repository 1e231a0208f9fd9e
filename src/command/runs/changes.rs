//! `runs --changes`: each change that runs wrote, with whom and why.

use chrono::{DateTime, Local, Utc};
use serde::Serialize;

use super::{super::holds, if_whole, is_json, on_day, print_json, print_text};
use crate::{
    cli::{Exit, RunsArgs, Stop},
    escape::escape_control,
    model::{
        change::Action,
        edit::Field,
        readable_time::{readable_time, readable_times},
        report::{Approver, ChangeResult, Reported, Trigger},
        shown_edit::ShownEdit,
    },
    run::text,
    state::history::{History, Listed, RunFilter},
};

/// One change of one run.
#[derive(Debug, Serialize)]
struct WrittenChange {
    run: String,
    job: String,
    started_at: DateTime<Utc>,
    trigger: Trigger,
    /// The person whose command it was; omitted where it was none's.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<Approver>,
    /// The person who started the run; omitted where it was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<Approver>,
    change: Reported,
}

/// Lists what the runs wrote, or may have written, the newest run first.
///
/// # Errors
/// The history cannot be read.
pub(super) fn list(history: &History, filter: &RunFilter, args: &RunsArgs) -> Result<Exit, Stop> {
    let is_json = is_json(args.format)?;
    let filter = RunFilter {
        changed: false,
        ..filter.clone()
    };
    let Listed {
        runs, mut damaged, ..
    } = history
        .list(&filter, usize::MAX)
        .map_err(|error| Stop::failed(&error))?;
    let mut all = Vec::new();
    let may_have_written = runs.iter().filter(|run| {
        let counts = &run.counts;
        counts.changed() + counts.unconfirmed + counts.failed > 0
    });
    for run in may_have_written {
        match history.load(&run.job, &run.run) {
            Ok(report) => {
                let changes = report.changes.into_iter();
                let changes = changes.filter(|change| is_wanted(change, &filter, args));
                all.extend(changes.map(|change| WrittenChange {
                    run: run.run.clone(),
                    job: run.job.clone(),
                    started_at: run.started_at,
                    trigger: report.trigger,
                    approved_by: report.approved_by.clone(),
                    started_by: report.started_by.clone(),
                    change,
                }));
            }
            Err(error) => damaged.push(error),
        }
    }
    let number = all.len();
    all.truncate(args.limit.unwrap_or(usize::MAX));
    match is_json {
        true => print_json(&all)?,
        false if all.is_empty() => {
            let day = on_day(args, &filter);
            let there = there_were(history, runs.len(), &filter);
            print_text(&format!("No saved run wrote such a change{day}{there}.\n"))?
        }
        false => {
            let mut text = of_all(&all);
            if number > all.len() {
                text.push_str(&format!(
                    "\n{} of {number} changes; a higher `--limit` shows more.\n",
                    all.len()
                ));
            }
            print_text(&text)?
        }
    };
    if_whole(&damaged)
}

/// How many runs there were in that time, so that a quiet day is told from one without a run.
fn there_were(history: &History, runs: usize, filter: &RunFilter) -> String {
    if filter.person.is_some() || !filter.outcomes.is_empty() {
        return String::new();
    }
    match runs {
        0 => {
            let runs = history.runs(filter.job.as_deref()).unwrap_or_default();
            // The newest come first.
            let first = runs
                .last()
                .and_then(|(run, job)| history.load(job, run).ok());
            let since = first.map(|first| {
                let first = readable_time(first.started_at, &Local);
                format!(", and the first that is saved is of {first}")
            });
            format!("; there was no run then{}", since.unwrap_or_default())
        }
        1 => "; there was one run".to_owned(),
        runs => format!("; there were {runs} runs"),
    }
}

fn is_wanted(change: &Reported, filter: &RunFilter, args: &RunsArgs) -> bool {
    let was_written = match change.result {
        ChangeResult::Applied | ChangeResult::Unconfirmed => true,
        ChangeResult::Failed => !change.written.is_empty(),
        ChangeResult::Held
        | ChangeResult::Rejected
        | ChangeResult::Unsettled
        | ChangeResult::Planned => false,
    };
    was_written
        && args.kind.is_none_or(|kind| change.may_have_done(kind))
        && filter
            .person
            .as_ref()
            .is_none_or(|person| change.is_about(person))
}

fn of_all(all: &[WrittenChange]) -> String {
    let started: Vec<DateTime<Utc>> = all.iter().map(|change| change.started_at).collect();
    let (started, zone) = readable_times(&started, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" {zone}")).unwrap_or_default();
    let lines = all.iter().zip(started).map(|(written, started)| {
        let WrittenChange {
            run,
            job,
            started_at: _,
            trigger,
            approved_by,
            started_by,
            change,
        } = written;
        let person = change.person.iter();
        let person = person.flat_map(|person| [&person.name, &person.email]);
        let person: Vec<&str> = person.flatten().map(String::as_str).collect();
        let who = if person.is_empty() {
            String::new()
        } else {
            format!(" ({})", person.join(", "))
        };
        let result = match change.result {
            ChangeResult::Applied => "",
            ChangeResult::Unconfirmed => " UNCONFIRMED",
            ChangeResult::Failed
            | ChangeResult::Held
            | ChangeResult::Rejected
            | ChangeResult::Unsettled
            | ChangeResult::Planned => " in part",
        };
        let by = approved_by
            .as_ref()
            .or(started_by.as_ref())
            .map(|by| format!(" ({} by {by})", trigger.as_str()));
        format!(
            "{started}{zone}  {} {}{}{result}, {}, run {run}{}\n    {}\n{}{}",
            change.action,
            escape_control(&change.username),
            escape_control(&who),
            escape_control(job),
            escape_control(&by.unwrap_or_default()),
            escape_control(&change.reason),
            values(change),
            given_and_taken(change),
        )
    });
    lines.collect()
}

/// The values of an existing user that were changed, each from what to what, on one line; those of a new
/// user are in the report. Whether a user is active stands in what was done.
fn values(change: &Reported) -> String {
    let shown = match change.action {
        Action::Create | Action::Deactivate => return String::new(),
        Action::Update | Action::Adopt | Action::Reactivate => change.fields.iter(),
    };
    let is_value = |field: &Field| match field {
        Field::IsActive
        | Field::Link
        | Field::Role(_)
        | Field::ProjectRole { .. }
        | Field::Group(_) => false,
        Field::Username
        | Field::FirstName
        | Field::LastName
        | Field::Email
        | Field::UserType
        | Field::Invitation
        | Field::Thumbnail
        | Field::Custom(_) => true,
    };
    let shown = shown.filter(|(field, _)| is_value(field));
    let shown = shown.filter_map(|(field, values)| {
        let (old, new) = text::old_and_new(field, values)?;
        let old = old.map_or_else(String::new, |old| format!("{old} -> "));
        Some(format!("{}: {old}{new}", escape_control(&field.name())))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        return String::new();
    }
    format!("    {}\n", shown.join("; "))
}

/// The roles and memberships that were given and taken, a line each.
fn given_and_taken(change: &Reported) -> String {
    let edits = change.edits.iter().filter(|edit| match edit {
        ShownEdit::Grant { .. }
        | ShownEdit::Revoke { .. }
        | ShownEdit::Join { .. }
        | ShownEdit::Leave { .. } => true,
        ShownEdit::Set { .. } | ShownEdit::Activate | ShownEdit::Deactivate | ShownEdit::Link => {
            false
        }
    });
    let lines = edits.map(|edit| format!("    {}\n", escape_control(&holds::in_words_of(edit))));
    lines.collect()
}
