//! `snapshots` and `snapshots show`: what ftrack held before each run that wrote something.

use std::path::Path;

use chrono::{DateTime, Local, Utc};
use comfy_table::{Cell, CellAlignment};
use serde::Serialize;
use serde_json::Value;

use super::{
    print, print_json, print_text,
    runs::{check_job, state_dir},
    terminal,
    terminal::Screen,
};
use crate::{
    cli::{Exit, Format, SnapshotsArgs, SnapshotsCommand, Stop},
    escape::escape_control,
    model::{
        edit::Field,
        fold::fold,
        link::{Activity, Link},
        readable_time::{readable_time, readable_times},
        snapshot::{LinkThen, Snapshot, SnapshotExtent, SnapshotHead, SnapshotUser},
    },
    state::{
        history::History,
        snapshots::{ListedSnapshots, SnapshotError, Snapshots},
    },
};

/// A snapshot, for scripts.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    head: &'a SnapshotHead,
    people: &'a [SnapshotUser],
}

/// A line of the list, for scripts.
#[derive(Serialize)]
struct Listed<'a> {
    snapshot: &'a str,
    job: &'a str,
    run: &'a str,
    taken_at: DateTime<Utc>,
    users: usize,
}

/// `snapshots`: the snapshots, or the users of one. Of the configuration only the state directory is
/// used.
///
/// # Errors
/// The state directory cannot be read, or there is no such snapshot.
pub fn snapshots(file: &Path, args: &SnapshotsArgs) -> Result<Exit, Stop> {
    let state_dir = state_dir(
        file,
        args.list.saved.state_dir.as_deref(),
        "the snapshots are",
    )?;
    check_job(
        &History::new(&state_dir),
        args.list.saved.job.as_deref(),
        file,
    )?;
    let saved = Snapshots::new(&state_dir);
    match &args.command {
        Some(SnapshotsCommand::Show { snapshot, person }) => {
            let found = saved.find(snapshot, args.list.saved.job.as_deref());
            let found = found.map_err(|error| stop(&error))?;
            show(&of_person(found, person.as_deref())?, args.list.format)
        }
        None => list(&saved, args),
    }
}

/// The error of a snapshot that cannot be used.
pub(super) fn stop(error: &SnapshotError) -> Stop {
    match error {
        SnapshotError::State(_) | SnapshotError::Damaged { .. } => Stop::failed(error),
        SnapshotError::Unknown(_) | SnapshotError::Ambiguous { .. } | SnapshotError::Empty => {
            Stop::usage(error)
        }
    }
}

/// Only the user of a person, if one is named.
fn of_person(mut snapshot: Snapshot, person: Option<&str>) -> Result<Snapshot, Stop> {
    let Some(who) = person else {
        return Ok(snapshot);
    };
    let folded = fold(who);
    snapshot.users.retain(|user| user.is_named(&folded));
    if snapshot.users.is_empty() {
        return Err(Stop::usage(&format!(
            "the snapshot {} has no user with the login, mail address or id {}",
            snapshot.head.snapshot,
            escape_control(&format!("{who:?}"))
        )));
    }
    Ok(snapshot)
}

fn list(saved: &Snapshots, args: &SnapshotsArgs) -> Result<Exit, Stop> {
    let listed = saved.list(args.list.saved.job.as_deref());
    let ListedSnapshots { snapshots, damaged } = listed.map_err(|error| Stop::failed(&error))?;
    match args.list.format {
        Format::Json => print_json(&snapshots.iter().map(listed_one).collect::<Vec<_>>())?,
        Format::Text if snapshots.is_empty() && damaged.is_empty() => {
            print_text("No snapshots yet: one is taken before a run writes anything.\n")?
        }
        Format::Text => print(&table(&snapshots, Screen::of_stdout()))?,
    };
    if damaged.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Stop {
        exit: Exit::Failed,
        lines: damaged.iter().map(ToString::to_string).collect(),
    })
}

fn listed_one(head: &SnapshotHead) -> Listed<'_> {
    Listed {
        snapshot: &head.snapshot,
        job: &head.job,
        run: &head.run,
        taken_at: head.taken_at,
        users: head.users,
    }
}

fn table(snapshots: &[SnapshotHead], screen: Screen) -> String {
    let mut table = screen.table();
    let taken: Vec<DateTime<Utc>> = snapshots.iter().map(|head| head.taken_at).collect();
    let (taken, zone) = readable_times(&taken, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    table.set_header(["SNAPSHOT", &format!("TAKEN{zone}"), "JOB", "USERS"]);
    for (head, taken) in snapshots.iter().zip(taken) {
        table.add_row([
            Cell::new(&head.snapshot),
            Cell::new(taken),
            Cell::new(escape_control(&head.job)),
            Cell::new(head.users).set_alignment(CellAlignment::Right),
        ]);
    }
    terminal::unbroken(&mut table, &[0, 2]);
    let text = "\n`snapshots show S` shows the users; `restore S --dry-run` shows what `restore S` \
                would put back.\n";
    terminal::lines(&table) + &screen.fit(text)
}

fn show(snapshot: &Snapshot, format: Format) -> Result<Exit, Stop> {
    let Snapshot { head, users } = snapshot;
    match format {
        Format::Json => print_json(&Shown {
            head,
            people: users,
        }),
        Format::Text => {
            let mut text = headline(head);
            // By login, as people look for somebody; JSON keeps the order of the file, by id.
            let mut users: Vec<&SnapshotUser> = users.iter().collect();
            users.sort_by_key(|user| {
                let login = user.text(&Field::Username).unwrap_or_default();
                (fold(login), login)
            });
            for user in users {
                text.push('\n');
                text.push_str(&one(user));
            }
            print_text(&text)
        }
    }
}

fn headline(head: &SnapshotHead) -> String {
    let users = if head.users == 1 { "user" } else { "users" };
    let which = match head.extent {
        SnapshotExtent::Job => "all of the job",
        SnapshotExtent::Part => "those whom a run of changes read",
        SnapshotExtent::Everybody => "all of the server",
    };
    format!(
        "Snapshot {} of {}: {} {users}, {which}\n  ftrack     {}\n  taken      {}, before the run {} \
         wrote\n",
        head.snapshot,
        escape_control(&head.job),
        head.users,
        escape_control(&head.ftrack),
        readable_time(head.taken_at, &Local),
        head.run,
    )
}

fn one(user: &SnapshotUser) -> String {
    let login = user.text(&Field::Username).unwrap_or_default();
    let activity = if user.is_active() {
        "active"
    } else {
        "inactive"
    };
    let mut text = format!("  {}, {activity}\n", escape_control(login));
    for (field, value) in &user.fields {
        let is_shown = !matches!(field, Field::Username | Field::IsActive) && !value.is_null();
        if is_shown {
            text.push_str(&format!(
                "      {}: {}\n",
                escape_control(&field.name()),
                shown(value)
            ));
        }
    }
    let link = match &user.link {
        LinkThen::None => "of no job".to_owned(),
        LinkThen::Unlinked => "unlinked".to_owned(),
        LinkThen::Unusable => "of a link that could not be read or verified".to_owned(),
        LinkThen::Link(link) => of_link(link),
    };
    text.push_str(&format!("      {}\n", escape_control(&link)));
    text
}

fn of_link(link: &Link) -> String {
    let activity = match &link.activity {
        Activity::Settled => String::new(),
        Activity::Activating => ", to be activated".to_owned(),
        Activity::Deactivating { since } => format!(", to be deactivated since {since}"),
        Activity::Deactivated { since } => format!(", deactivated {since}"),
        Activity::Released => ", reactivated by hand".to_owned(),
        Activity::Unlinked => ", unlinked".to_owned(),
    };
    format!("of {}, person {}{activity}", link.source, link.id)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => escape_control(text).into_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            escape_control(&value.to_string()).into_owned()
        }
    }
}
