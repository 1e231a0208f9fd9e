//! Since when people are known to be missing: what links at ftrack say of it, and the state of those
//! whose links say nothing.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::move_times;
use crate::studio::Studio;

/// The key of the row that is a link.
const KEY: &str = "ftrack-ldap-sync";

/// The columns of the state that tell since when somebody is missing, by both clocks.
const SINCE: [&str; 2] = ["since", "since_ftrack"];

/// Lets an absence have begun at another time; false when nobody is known to be missing.
pub fn absent_since(studio: &Studio, since: DateTime<Utc>) -> bool {
    let in_state = begun_at(studio, "absences", since);
    set_links(studio, |_| since) > 0 || in_state
}

/// The same for people whose accounts are disabled, and of whom links say nothing.
pub fn disabled_since(studio: &Studio, since: DateTime<Utc>) -> bool {
    begun_at(studio, "disabled", since)
}

fn begun_at(studio: &Studio, table: &str, since: DateTime<Utc>) -> bool {
    let Some(database) = database(studio) else {
        return false;
    };
    let begin = format!("UPDATE {table} SET since = ?1, since_ftrack = ?1");
    database.execute(&begin, [text(since)]).unwrap() > 0
}

fn database(studio: &Studio) -> Option<rusqlite::Connection> {
    let file = studio.state_dir().join("state.db");
    let is_there = file.exists();
    is_there.then(|| rusqlite::Connection::open(file).unwrap())
}

/// Lets people be missing for longer by that, or less long with a negative time, by both clocks.
pub fn move_absences(studio: &Studio, time: TimeDelta) {
    move_times(studio, "absences", &SINCE, -time);
    set_links(studio, |since| since - time);
}

/// Lets links say another time; returns how many say one.
fn set_links(studio: &Studio, new: impl Fn(DateTime<Utc>) -> DateTime<Utc>) -> usize {
    let mut number = 0;
    for (user, mut link) in links(studio) {
        let Some(missing) = link["missing"].as_object_mut() else {
            continue;
        };
        for (_, time) in missing
            .iter_mut()
            .filter(|(key, _)| SINCE.contains(&key.as_str()))
        {
            let before = time.as_str().unwrap().parse().unwrap();
            *time = text(new(before)).into();
        }
        number += 1;
        set_link(studio, &user, &link);
    }
    number
}

/// The links of all users, by the id of the user.
pub fn links(studio: &Studio) -> Vec<(Value, Value)> {
    let rows = studio.ftrack().rows("Metadata").unwrap().into_iter();
    rows.filter(|row| row["key"] == KEY)
        .map(|row| {
            let link = serde_json::from_str(row["value"].as_str().unwrap()).unwrap();
            (row["parent_id"].clone(), link)
        })
        .collect()
}

/// Replaces a link.
pub fn set_link(studio: &Studio, user: &Value, link: &Value) {
    let value = json!({ "value": link.to_string() });
    let key = json!([user, KEY]);
    studio.ftrack().change("Metadata", &key, &value).unwrap();
}

/// Since when people are known to be missing.
pub fn absences(studio: &Studio) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(database) = database(studio) {
        let mut absences = database.prepare("SELECT since FROM absences").unwrap();
        let rows = absences.query_map([], |row| row.get(0)).unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all.extend(noted(studio));
    all
}

/// Since when they are, as far as links say so.
pub fn noted(studio: &Studio) -> Vec<String> {
    let links = links(studio).into_iter();
    links
        .filter_map(|(_, link)| Some(link["missing"]["since"].as_str()?.to_owned()))
        .collect()
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}
