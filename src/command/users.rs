//! `users`: the people of a job with their users.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Local, SecondsFormat, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    job, print, print_json, print_text, progress::ProgressLine, sync::prepare, terminal::Screen,
};
use crate::{
    cli::{Exit, ListFormat, Stop, UsersArgs},
    config::Config,
    escape::escape_control,
    model::readable_time::readable_time,
    run::{
        people::{PersonUser, UserState},
        text::csv,
    },
    wrap::display_width,
};

/// The columns of the table before the entry.
const HEADER: [&str; 5] = ["USER", "STATE", "SINCE", "PROTECTED", "ROLES AND GROUPS"];

/// Before an entry that is on a line of its own; a cell begins with one blank.
const INDENT: &str = "   ";

/// What the columns of the CSV are called, which are those of the JSON.
const COLUMNS: [&str; 14] = [
    "directory_id",
    "dn",
    "username",
    "ftrack_id",
    "email",
    "active",
    "state",
    "deactivated_at",
    "missing_since",
    "disabled_since",
    "protected",
    "administrator",
    "roles",
    "groups",
];

/// `users`: the people of a job with their users, as ftrack's links show them.
///
/// # Errors
/// There is no such job, or ftrack cannot be read.
pub async fn users(
    config: &Arc<Config>,
    args: &UsersArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (name, _) = job(config, args.job.as_deref())?;
    let people = known(config, name, cancel).await?;
    match args.format {
        ListFormat::Json => print_json(&people),
        ListFormat::Csv => print(&table_of(&people)),
        ListFormat::Text if people.is_empty() => print_text(&format!(
            "No user in ftrack has a link of the job {}.\n",
            escape_control(name)
        )),
        ListFormat::Text => print(&table(&people, Screen::of_stdout())),
    }
}

/// The people of a job who have a user.
pub(super) async fn known(
    config: &Arc<Config>,
    name: &str,
    cancel: &CancellationToken,
) -> Result<Vec<PersonUser>, Stop> {
    let (prepared, servers) = prepare(config, name)?;
    prepared
        .can_be_planned()
        .map_err(|error| Stop::usage(&error))?;
    let line = ProgressLine::start();
    line.say("reading ftrack");
    let people = prepared
        .users(cancel, &|progress| line.show(progress))
        .await;
    drop(line);
    super::lift_lockouts(config, &servers);
    people.map_err(|error| Stop::failed(&error))
}

/// Each person with the entry in the same line, or, where that does not fit for all of them, below it. A
/// terminal shows no column in which nothing stands.
fn table(people: &[PersonUser], screen: Screen) -> String {
    let rows: Vec<[String; 5]> = people.iter().map(row).collect();
    let is_shown = |column: usize| {
        let mut rows = rows.iter();
        screen == Screen::Unbounded
            || rows.any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()))
    };
    let shown: Vec<usize> = (0..HEADER.len())
        .filter(|column| is_shown(*column))
        .collect();
    let of_shown = |cells: &[String]| -> Vec<String> {
        shown
            .iter()
            .filter_map(|column| cells.get(*column).cloned())
            .collect()
    };
    let mut table = Screen::Unbounded.table();
    table.set_header(of_shown(&HEADER.map(str::to_owned)));
    for row in &rows {
        table.add_row(of_shown(row));
    }
    let entries = std::iter::once("ENTRY".to_owned()).chain(people.iter().map(entry));
    let lines: Vec<(String, String)> = table.lines().zip(entries).collect();
    let fits = |(line, entry): &(String, String)| {
        let width = display_width(line) + 1 + display_width(entry);
        screen.columns().is_none_or(|columns| width <= columns)
    };
    let is_beside = lines.iter().all(fits);
    let text: String = lines
        .iter()
        .map(|(line, entry)| {
            if is_beside {
                format!("{line} {entry}\n")
            } else {
                format!("{}\n{INDENT}{entry}\n", line.trim_end())
            }
        })
        .collect();
    screen.fit(&(text + &summary(people)))
}

fn row(person: &PersonUser) -> [String; 5] {
    let protected = match (person.protected, person.administrator) {
        (_, true) => "administrator",
        (true, false) => "yes",
        (false, false) => "",
    };
    let given = [&*person.roles, &person.groups].concat().join(", ");
    [
        escape_control(&person.username).into_owned(),
        person.state.as_str().to_owned(),
        since(person),
        protected.to_owned(),
        escape_control(&given).into_owned(),
    ]
}

fn entry(person: &PersonUser) -> String {
    let id = || format!("id {}", person.directory_id);
    escape_control(&person.dn.clone().unwrap_or_else(id)).into_owned()
}

/// Since when the state is what it is, as far as that is known.
fn since(person: &PersonUser) -> String {
    let at = |since: DateTime<Utc>| readable_time(since, &Local);
    match (
        person.missing_since,
        person.disabled_since,
        person.deactivated_at,
    ) {
        (Some(missing), _, _) => format!("missing since {}", at(missing)),
        (None, Some(disabled), _) => format!("disabled since {}", at(disabled)),
        (None, None, Some(deactivated)) => at(deactivated),
        (None, None, None) => String::new(),
    }
}

fn summary(people: &[PersonUser]) -> String {
    let unlinked = people
        .iter()
        .filter(|person| person.state == UserState::Unlinked);
    let unlinked = match unlinked.count() {
        0 => String::new(),
        number => format!(", {number} of them unlinked"),
    };
    let active = people.iter().filter(|person| person.active).count();
    format!(
        "\n{} users, {active} active{unlinked}. From the links in ftrack, as they are now; entries, and \
         since when somebody is missing or disabled, as the last run knew them.\n",
        people.len()
    )
}

/// With a header.
fn table_of(people: &[PersonUser]) -> String {
    let mut text = csv::record(&COLUMNS.map(Cow::Borrowed));
    for person in people {
        text.push_str(&csv::record(&cells(person)));
    }
    text
}

fn cells(person: &PersonUser) -> [Cow<'_, str>; 14] {
    let PersonUser {
        directory_id,
        dn,
        username,
        ftrack_id,
        email,
        active,
        state,
        deactivated_at,
        missing_since,
        disabled_since,
        protected,
        administrator,
        roles,
        groups,
    } = person;
    let optional = |text: &'_ Option<String>| -> Cow<'static, str> {
        Cow::Owned(text.clone().unwrap_or_default())
    };
    let time = |at: &Option<DateTime<Utc>>| -> Cow<'static, str> {
        let text = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        Cow::Owned(text.unwrap_or_default())
    };
    let truth = |is: bool| Cow::Borrowed(if is { "true" } else { "false" });
    [
        Cow::Borrowed(directory_id),
        optional(dn),
        Cow::Borrowed(username),
        Cow::Owned(ftrack_id.to_string()),
        optional(email),
        truth(*active),
        Cow::Borrowed(state.as_str()),
        time(deactivated_at),
        time(missing_since),
        time(disabled_since),
        truth(*protected),
        truth(*administrator),
        Cow::Owned(roles.join("; ")),
        Cow::Owned(groups.join("; ")),
    ]
}
