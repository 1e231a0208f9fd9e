//! `users`: the people of a job with their users.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Local, SecondsFormat, Utc};
use comfy_table::Cell;
use tokio_util::sync::CancellationToken;

use super::{
    job, print, print_json, print_text, progress::ProgressLine, sync::prepare, terminal,
    terminal::Screen,
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
};

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

fn table(people: &[PersonUser], screen: Screen) -> String {
    let mut table = screen.table();
    table.set_header([
        "USER",
        "STATE",
        "SINCE",
        "PROTECTED",
        "ROLES AND GROUPS",
        "ENTRY",
    ]);
    for person in people {
        let id = || format!("id {}", person.directory_id);
        let entry = person.dn.clone().unwrap_or_else(id);
        let protected = match (person.protected, person.administrator) {
            (_, true) => "administrator",
            (true, false) => "yes",
            (false, false) => "",
        };
        table.add_row([
            Cell::new(escape_control(&person.username)),
            Cell::new(person.state.as_str()),
            Cell::new(since(person)),
            Cell::new(protected),
            Cell::new(escape_control(
                &[&*person.roles, &person.groups].concat().join(", "),
            )),
            Cell::new(escape_control(&entry)),
        ]);
    }
    terminal::unbroken(&mut table, &[0, 1]);
    terminal::lines(&table) + &screen.fit(&summary(people))
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
