//! ftrack's own LDAP synchronisation, as a job of the server: it advances when it is polled, and
//! ends as the rules say.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    account,
    answer::Repetition,
    error::ApiError,
    operation::text,
    options::{BuiltinSync, Rights},
    schema::{Entity, EntityRef},
    store::{Cell, Key, Row},
    studio::{Applied, Change, World},
    users,
};

/// The `Job.type` of ftrack's own LDAP synchronisation at this server; the vendor's name for it is
/// not documented.
const JOB_TYPE: &str = "sync_users_ldap";

/// The description of each of them, until it fails.
const DESCRIPTION: &str = "Synchronising users with LDAP";

/// Starts one, and answers with its job.
pub(super) fn start(
    world: &mut World,
    call: u64,
    operation: &Value,
    (repetition, applied): (Repetition, &mut Vec<Applied>),
) -> Result<Value, ApiError> {
    let job_type = text(operation, "job_type")?;
    if job_type != "SYNC_USERS_LDAP" {
        return Err(ApiError::validation(format!(
            "Invalid job type {job_type:?}."
        )));
    }
    if world.rules.rights == Rights::NoUserWrites {
        return Err(ApiError::permission(
            "The API key is not permitted to synchronise users.",
        ));
    }
    if let BuiltinSync::NotSetUp(reason) = &world.rules.builtin_sync {
        return Err(ApiError::validation(reason.clone()));
    }
    let is_nameless = world.rules.builtin_sync == BuiltinSync::Nameless;
    let user = account::named(&world.store, &world.api_user).map(|user| user.id);
    let jobs = world.store.model.find("Job")?;
    let fields = json!({"status": "queued", "type": JOB_TYPE, "user_id": user, "data": described(DESCRIPTION)});
    let mut writer = world.writer(call, applied, repetition);
    let row = account::insert(&mut writer, jobs, &fields)?;
    let model = Arc::clone(&writer.store.model);
    let change = Change {
        old: Value::Null,
        new: "queued".into(),
    };
    writer.note_changes(
        "delayed_job",
        "Job",
        &row.key(model.entity(jobs)),
        BTreeMap::from([("status".to_owned(), change)]),
    );
    let shown = |name: &str| row.named(model.entity(jobs), name).to_json();
    let id = if is_nameless {
        Value::Null
    } else {
        shown("id")
    };
    Ok(
        json!({"action": "delayed_job", "data": {"__entity_type__": "Job", "id": id, "status": shown("status")}}),
    )
}

fn described(text: &str) -> String {
    json!({"description": text}).to_string()
}

/// Advances every running synchronisation by one step.
pub(super) fn advance(world: &mut World) -> Result<(), ApiError> {
    let model = Arc::clone(&world.store.model);
    let jobs = model.find("Job")?;
    let shape = model.entity(jobs);
    let rows: Vec<(Key, Row)> = world
        .store
        .rows(jobs)
        .map(|(key, row)| (key.clone(), row.clone()))
        .collect();
    for (key, row) in rows
        .into_iter()
        .filter(|(_, row)| row.text(shape, "type") == Some(JOB_TYPE))
    {
        let Some(status) = row.text(shape, "status") else {
            continue;
        };
        match step(status, &mut world.rules.builtin_sync) {
            Step::None => {}
            Step::Goes => world.store.put(jobs, &key, None),
            Step::To(next) => {
                let mut values = vec![("status", Cell::text(&next))];
                if next == "done" {
                    values.push(("finished_at", Cell::text(&users::now())));
                    synchronise(world)?;
                }
                set(world, (jobs, shape), &key, &row, &values);
            }
            Step::Fails(reason) => {
                let values = [
                    ("status", Cell::text("failed")),
                    ("finished_at", Cell::text(&users::now())),
                    ("data", Cell::text(&reason)),
                ];
                synchronise(world)?;
                set(world, (jobs, shape), &key, &row, &values);
            }
        }
    }
    Ok(())
}

/// What happens to a job at one poll.
enum Step {
    None,
    To(String),
    Fails(String),
    Goes,
}

fn step(status: &str, rule: &mut BuiltinSync) -> Step {
    match (status, rule) {
        ("queued", BuiltinSync::NeverBegins) | ("running", BuiltinSync::Hangs) => Step::None,
        ("queued", BuiltinSync::Vanishes) => Step::Goes,
        ("queued", _) => Step::To("running".to_owned()),
        ("running", BuiltinSync::Slow(looks)) if *looks > 0 => {
            *looks -= 1;
            Step::None
        }
        ("running", BuiltinSync::Fails(reason)) => Step::Fails(described(reason)),
        ("running", BuiltinSync::FailsWith(data)) => Step::Fails(data.clone()),
        ("running", BuiltinSync::EndsAs(word)) => Step::To(word.clone()),
        ("running", _) => Step::To("done".to_owned()),
        _ => Step::None,
    }
}

/// Applies what the rules say that it finds in the studio's directory: users with these ids, or
/// else logins, get these values, others are created.
fn synchronise(world: &mut World) -> Result<(), ApiError> {
    let model = Arc::clone(&world.store.model);
    let users = model.find("User")?;
    for account in std::mem::take(&mut world.rules.builtin_users) {
        let found = if account.id.is_empty() {
            account::row(&world.store, &account.username).cloned()
        } else {
            world
                .store
                .get(users, &Key::from(account.id.as_str()))
                .cloned()
        };
        let Some(row) = found else {
            account::add(
                &mut world.writer(0, &mut Vec::new(), Repetition::Denormalized),
                &account,
            )?;
            continue;
        };
        let shape = model.entity(users);
        let values = [
            ("username", Cell::text(&account.username)),
            ("first_name", text_or_null(account.first_name.as_deref())),
            ("last_name", text_or_null(account.last_name.as_deref())),
            ("email", text_or_null(account.email.as_deref())),
            ("is_active", Cell::Boolean(account.is_active)),
        ];
        set(world, (users, shape), &row.key(shape), &row, &values);
    }
    Ok(())
}

fn text_or_null(text: Option<&str>) -> Cell {
    text.map_or(Cell::Null, Cell::text)
}

fn set(
    world: &mut World,
    (jobs, shape): (EntityRef, &Entity),
    key: &Key,
    row: &Row,
    values: &[(&str, Cell)],
) {
    let mut cells = row.cells();
    for (name, value) in values {
        if let Some(cell) = shape.column(name).and_then(|column| cells.get_mut(column)) {
            cell.clone_from(value);
        }
    }
    world.store.put(jobs, key, Some(Row::new(cells)));
}
