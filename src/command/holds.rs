//! `holds` and `holds show`: what waits for a person.

use std::{fmt::Display, path::Path};

use chrono::{DateTime, Local, TimeZone, Utc};
use comfy_table::Cell;
use serde_json::Value;

use super::{
    print, print_json, print_text,
    runs::{check_job, state_dir},
    terminal,
    terminal::Screen,
};
use crate::{
    cli::{Exit, Format, HoldsArgs, HoldsCommand, Stop},
    config::{self, Environment},
    escape::escape_control,
    model::{
        change::{Action, HeldBy},
        hold_number::{HoldName, HoldNumber},
        open_hold::{Became, Decided, HeldPerson, OpenHold},
        readable_time::{readable_time, readable_times},
        shown_edit::ShownEdit,
        way_to_approve::in_hold,
    },
    run::{decided, text},
    state::{self, Holds, history::History},
};

mod closed;
mod ended;
mod rejected;
mod settled;

const UNUSABLE: &str = "the state database is damaged, or of an earlier version; the next run, or a \
                        start of the daemon, sets that right";

/// `holds`: the open holds, or the people of one. Of the configuration only the state directory is
/// used.
///
/// # Errors
/// The state cannot be read, or there is no such hold.
pub fn holds(file: &Path, args: &HoldsArgs) -> Result<Exit, Stop> {
    let state_dir = state_dir(file, args.list.saved.state_dir.as_deref(), "the holds are")?;
    check_job(
        &History::new(&state_dir),
        args.list.saved.job.as_deref(),
        file,
    )?;
    let all = known(&state_dir)?;
    match &args.command {
        Some(HoldsCommand::Show { hold }) => {
            let shown = match hold {
                Some(hold) => found(&all, meant(hold, &all)?)?,
                None => only_open(&all, args.list.saved.job.as_deref())?,
            };
            match args.list.format {
                Format::Json => print_json(shown),
                Format::Text => {
                    let zone = config::job_zone(file, &Environment::of_process(), &shown.job);
                    print_text(&match zone {
                        Some(zone) => one(shown, &state_dir, &zone)?,
                        None => one(shown, &state_dir, &Local)?,
                    })
                }
            }
        }
        None => {
            if args.rejected {
                return rejected::list(&state_dir, args);
            }
            if args.ended {
                return ended::list(&all, args);
            }
            let is_wanted = |hold: &&OpenHold| {
                hold.ended.is_none()
                    && args
                        .list
                        .saved
                        .job
                        .as_ref()
                        .is_none_or(|job| *job == hold.job)
            };
            let open: Vec<&OpenHold> = all.iter().filter(is_wanted).collect();
            if args.list.format == Format::Json {
                return print_json(&open);
            }
            let screen = Screen::of_stdout();
            let held = if open.is_empty() {
                "Nothing is held.\n".to_owned()
            } else {
                table(&open, screen)
            };
            // Another folder than the configuration's has other jobs.
            let file = args.list.saved.state_dir.is_none().then_some(file);
            let closed = closed::closed(file, &state_dir, args.list.saved.job.as_deref())?;
            let settled = screen.fit(&settled::by_hand(&open, &state_dir));
            print(&(held + &settled + &screen.fit(&not_now(&closed))))
        }
    }
}

/// What is not written now, whether or not a run has found it due.
fn not_now(closed: &[String]) -> String {
    if closed.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = closed.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "\nNot written now, and held by a run that finds it due:\n{}",
        lines.concat()
    )
}

/// Every hold that is known, open or not.
pub(super) fn known(state_dir: &Path) -> Result<Vec<OpenHold>, Stop> {
    match state::all_holds(state_dir).map_err(|error| Stop::failed(&error))? {
        Holds::Known(holds) => Ok(holds),
        Holds::Unusable => Err(Stop::failed(UNUSABLE)),
    }
}

/// The only hold that is open, of a job if one is named.
fn only_open<'h>(all: &'h [OpenHold], job: Option<&str>) -> Result<&'h OpenHold, Stop> {
    let open = all.iter().filter(|hold| hold.ended.is_none());
    let open: Vec<&OpenHold> = open
        .filter(|hold| job.is_none_or(|job| *job == hold.job))
        .collect();
    match open.as_slice() {
        [one] => Ok(one),
        [] => Err(Stop::usage(&"nothing is held")),
        several => {
            let numbers: Vec<String> = several.iter().map(|hold| hold.hold.to_string()).collect();
            Err(Stop::usage(&format!(
                "which one? `holds show N`, where N is one of {}; `holds` lists them",
                numbers.join(", ")
            )))
        }
    }
}

/// The number of the hold that a person means.
pub(super) fn meant(name: &HoldName, all: &[OpenHold]) -> Result<HoldNumber, Stop> {
    let open = all.iter().filter(|hold| hold.ended.is_none());
    number(name, open.map(|hold| hold.hold))
}

/// The same of these, which are open.
pub(super) fn number(
    name: &HoldName,
    open: impl IntoIterator<Item = HoldNumber>,
) -> Result<HoldNumber, Stop> {
    let meant = name.of(open).map_err(|error| Stop::usage(&error))?;
    meant.ok_or_else(|| Stop::usage(&no_hold(name)))
}

fn no_hold(name: &dyn std::fmt::Display) -> String {
    format!("there is no hold {name}, or it ended long ago; `holds` lists those that are open")
}

/// The hold with a number.
pub(super) fn found(all: &[OpenHold], hold: HoldNumber) -> Result<&OpenHold, Stop> {
    let found = all.iter().find(|known| known.hold == hold);
    found.ok_or_else(|| Stop::usage(&no_hold(&hold)))
}

fn table(holds: &[&OpenHold], screen: Screen) -> String {
    let mut table = screen.table();
    let since: Vec<DateTime<Utc>> = holds.iter().map(|hold| hold.since).collect();
    let (since, zone) = readable_times(&since, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    let opens = holds.iter().any(|hold| hold.opens_at.is_some());
    let since_header = format!("SINCE{zone}");
    let mut header = vec![
        "HOLD",
        "JOB",
        "KIND",
        "CHANGES",
        "HELD BY",
        &since_header,
        "RUNS",
    ];
    header.extend(opens.then_some("OPENS"));
    table.set_header(header);
    for (hold, since) in holds.iter().zip(since) {
        let mut row = vec![
            Cell::new(hold.hold),
            Cell::new(escape_control(&hold.job)),
            Cell::new(hold.kind),
            Cell::new(hold.changes),
            Cell::new(hold.held_by.as_str()),
            Cell::new(since),
            Cell::new(hold.runs),
        ];
        let at = hold.opens_at.map(|at| readable_time(at, &Local));
        row.extend(opens.then(|| Cell::new(at.unwrap_or_else(|| "by approval".to_owned()))));
        table.add_row(row);
    }
    terminal::unbroken(&mut table, &[0, 1, 2]);
    let is_paused = |hold: &&&OpenHold| hold.held_by == HeldBy::Paused;
    let paused = holds.iter().filter(is_paused).count();
    let approve = match paused {
        0 => "`approve N` writes it",
        all if all == holds.len() => {
            "no `approve` writes what is paused: `resume JOB --only KIND` ends the pause, and the next \
             run writes it"
        }
        _ => {
            "`approve N` writes it, but nothing that is paused: `resume JOB --only KIND` ends a pause"
        }
    };
    let text = format!(
        "\n`holds show N` shows whom; {approve}; `reject N` leaves it as it is, until \
         its cause has ended.\n"
    );
    terminal::lines(&table) + &screen.fit(&text)
}

/// What a person can decide about an open hold.
fn way_out(hold: &OpenHold, state_dir: &Path) -> Result<String, Stop> {
    let number = hold.hold;
    let pauses = state::all_pauses(state_dir).map_err(|error| Stop::failed(&error))?;
    let pause = pauses
        .get(&hold.job)
        .and_then(|job| job.kinds.get(&hold.kind));
    if pause.is_some_and(|pause| !pause.is_over(Utc::now())) {
        return Ok(format!(
            "`approve {number}` writes none of this while {} is paused; `reject {number}` \
             leaves it as it is, until its cause has ended (or `unreject`).",
            hold.kind
        ));
    }
    if hold.held_by == HeldBy::Administrator {
        return Ok(format!(
            "No approval writes this; `reject {number}` has it held no more."
        ));
    }
    Ok(format!(
        "`approve {number}` writes all of this, `reject {number}` leaves it as it is until its cause \
         has ended (or `unreject`); with `--only WHO` each is for some of them."
    ))
}

/// Why a hold holds its people. What a limit counts are those of a run, whatever hold each is in.
fn why_held(hold: &OpenHold) -> String {
    let why = in_hold(&hold.why, hold.hold);
    if hold.held_by == HeldBy::Limit && why.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("counted by the last run, over all holds of the job: {why}");
    }
    why
}

fn one<Z: TimeZone<Offset: Display>>(
    hold: &OpenHold,
    state_dir: &Path,
    zone: &Z,
) -> Result<String, Stop> {
    let OpenHold {
        hold: number,
        job,
        held_by,
        kind,
        since,
        runs,
        changes: _,
        opens_at,
        why: _,
        ended: end,
        people,
        left,
    } = hold;
    let mut lines = vec![format!(
        "Hold {number} of {}: {} to {kind}, held by {}",
        escape_control(job),
        people.len(),
        held_by.as_str()
    )];
    let runs = if *runs == 1 {
        "1 run"
    } else {
        &format!("{runs} runs")
    };
    lines.push(format!(
        "  since {}, in {runs}",
        readable_time(*since, zone)
    ));
    if let Some(opens_at) = opens_at.filter(|_| end.is_none()) {
        lines.push(format!("  opens at {}", readable_time(opens_at, zone)));
    }
    lines.push(format!("  {}", escape_control(&why_held(hold))));
    if let Some(end) = end {
        let at = readable_time(end.at, zone);
        lines.push(format!("  {}, at {at}", end.in_words(people.len())));
    }
    for person in people {
        lines.push(String::new());
        lines.extend(of_person(person));
        if end.is_some() {
            let became = person.became.map_or("held no more", Became::in_words);
            let decided = person.decided.as_ref().map(|Decided { by, at }| {
                let (by, at) = (escape_control(by), readable_time(*at, zone));
                format!(", by {by}, at {at}")
            });
            lines.push(format!(
                "      at its end: {became}{}",
                decided.unwrap_or_default()
            ));
        }
    }
    if !left.is_empty() {
        lines.push(String::new());
        lines.push("  Not in it any more:".to_owned());
    }
    for person in left {
        let told = decided::became_in_words(hold, person, zone);
        let line = format!("  {} {}: {told}", person.action, person.username);
        lines.push(format!("  {}", escape_control(&line)));
    }
    if end.is_none() {
        lines.push(String::new());
        lines.push(way_out(hold, state_dir)?);
    }
    let lines = lines.into_iter();
    Ok(lines.flat_map(|line| [line, "\n".to_owned()]).collect())
}

fn of_person(person: &HeldPerson) -> Vec<String> {
    let HeldPerson {
        action,
        username,
        name,
        email,
        dn,
        directory_id: _,
        ftrack_id: _,
        reason,
        cause: _,
        edits,
        work,
        became: _,
        decided: _,
    } = person;
    let who = [Some(username), name.as_ref(), email.as_ref(), dn.as_ref()];
    let who: Vec<&str> = who.into_iter().flatten().map(String::as_str).collect();
    let mut lines = vec![format!("  {action} {}", escape_control(&who.join(", ")))];
    lines.extend(edits.iter().map(|edit| line_of(*action, edit)));
    lines.push(format!("      {}", escape_control(reason)));
    let carried = work.iter().flat_map(|work| text::work(work));
    lines.extend(carried.map(|line| format!("      {line}")));
    lines
}

/// What an edit gives, takes or sets, as a line.
fn line_of(action: Action, edit: &ShownEdit) -> String {
    let is_new = action == Action::Create && *edit == ShownEdit::Activate;
    let line = if is_new {
        "is_active: (none) -> true".to_owned()
    } else {
        in_words_of(edit)
    };
    format!("      {}", escape_control(&line))
}

/// What an edit gives, takes or sets.
pub(super) fn in_words_of(edit: &ShownEdit) -> String {
    match edit {
        ShownEdit::Set { attribute, values } => format!(
            "{}: {} -> {}",
            attribute.name(),
            value(&values.old),
            value(&values.new)
        ),
        ShownEdit::Grant { role, project } => {
            format!("gives the role {role}{}", in_project(project.as_deref()))
        }
        ShownEdit::Revoke { role, project } => {
            format!("takes the role {role}{}", in_project(project.as_deref()))
        }
        ShownEdit::Join { group } => format!("joins the group {group}"),
        ShownEdit::Leave { group } => format!("leaves the group {group}"),
        ShownEdit::Activate => "is_active: false -> true".to_owned(),
        ShownEdit::Deactivate => "is_active: true -> false".to_owned(),
        ShownEdit::Link => "writes the user's link".to_owned(),
    }
}

/// Where a role counts, if not in all open projects.
fn in_project(project: Option<&str>) -> String {
    project.map_or_else(String::new, |project| format!(" in the project {project}"))
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => escape_control(text).into_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            escape_control(&value.to_string()).into_owned()
        }
    }
}
