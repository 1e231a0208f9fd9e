//! What tests of a job's rules do to a studio, and what they ask of its reports. The rules
//! themselves are in `situations/`; here are the doubts that take several runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doubts;
pub mod missing;

use std::fs;

use chrono::{DateTime, SecondsFormat, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{change::Action, report::Report},
};
use serde_json::{Value, json};

use crate::studio::{Studio, dn};

/// A user that is at ftrack before the program.
pub fn account(username: &str) -> Account {
    Account {
        username: username.into(),
        email: Some(format!("{username}@studio.test")),
        ..Account::default()
    }
}

/// Adds to the configuration what cannot stand behind the job's other keys.
pub fn add_config(studio: &Studio, text: &str) {
    let folder = studio.folder().join("config.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("more.toml"), text).unwrap();
}

/// What a person does to a user by hand.
pub fn by_hand(studio: &Studio, username: &str, fields: &Value) {
    let id = studio.user(username).id;
    studio
        .ftrack()
        .change("User", &json!([id]), fields)
        .unwrap();
}

/// Gives a user the Administrator role.
pub fn make_administrator(studio: &Studio, username: &str) {
    give_role(studio, username, "Administrator");
}

/// Gives a user a security role.
pub fn give_role(studio: &Studio, username: &str, name: &str) {
    let roles = studio.ftrack().rows("SecurityRole").unwrap();
    let role = roles.iter().find(|role| role["name"] == name).unwrap();
    let user = studio.user(username).id;
    let fields = json!({"id": format!("role-of-{username}"), "user_id": user, "security_role_id": role["id"]});
    studio.ftrack().insert("UserSecurityRole", &fields).unwrap();
    assert!(studio.user(username).roles.contains(name));
}

/// Approves whatever the program would do now, as a person does: by a saved plan.
pub fn approve(studio: &Studio) -> Report {
    let plan = studio.folder().join("approved.json");
    let plan = plan.to_str().unwrap();
    studio.plan(&["--out", plan]).unwrap();
    studio.synced(&["apply", plan, "--format", "json"])
}

/// Approves or rejects the first hold that a run opened.
pub fn decide(studio: &Studio, report: &Report, command: &str) {
    let number = report.holds_opened[0].to_string();
    let ended = studio.run(&[command, &number]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
}

/// Takes an entry out of sight without taking its identity.
pub fn leave(studio: &Studio, uid: &str) {
    studio
        .tree()
        .rename(&dn(uid), &format!("uid={uid},dc=studio,dc=test"))
        .unwrap();
}

/// Brings an entry back.
pub fn come_back(studio: &Studio, uid: &str) {
    studio
        .tree()
        .rename(&format!("uid={uid},dc=studio,dc=test"), &dn(uid))
        .unwrap();
}

/// Moves what the state has in these columns of a table to later times, or with a negative time to
/// earlier ones.
pub fn move_times(studio: &Studio, table: &str, columns: &[&str], time: chrono::TimeDelta) {
    let database = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    for column in columns {
        let query = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} NOT NULL");
        let mut rows = database.prepare(&query).unwrap();
        let times: Vec<String> = rows
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        // Those that move ahead may come to where others are.
        let mut times: Vec<DateTime<Utc>> = times.iter().map(|old| old.parse().unwrap()).collect();
        times.sort_unstable();
        if time > chrono::TimeDelta::zero() {
            times.reverse();
        }
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        let change = format!("UPDATE {table} SET {column} = ?1 WHERE {column} = ?2");
        for old in times {
            let values = [text(old + time), text(old)];
            database.execute(&change, values).unwrap();
        }
    }
}

/// The logins of the changes of one kind.
pub fn logins(report: &Report, action: Action) -> Vec<&str> {
    let mut logins: Vec<&str> = report
        .changes
        .iter()
        .filter(|change| change.action == action)
        .map(|change| &*change.username)
        .collect();
    logins.sort_unstable();
    logins
}

/// What the link of a user says that the program last did.
pub fn activity(studio: &Studio, username: &str) -> String {
    let link: Value =
        serde_json::from_str(&studio.user(username).metadata["ftrack-ldap-sync"]).unwrap();
    link["activity"].as_str().unwrap().to_owned()
}
