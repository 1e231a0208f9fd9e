//! `users`, `link`, `unlink` and `release`: whose user is whose, by a person's word, by the real
//! program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod interrupted;
mod linking;
mod listing;
mod releasing;
mod unlinking;

use ftrack_ldap_sync::model::report::{Outcome, Report};
use serde_json::Value;

use crate::studio::{Ended, Studio};

/// A command with these arguments, and its report; what ftrack saw being written is what it says.
fn by_hand(studio: &Studio, arguments: &[&str]) -> (i32, Report) {
    studio.ftrack().forget();
    let ended = studio.run(&[arguments, &["--format", "json"]].concat());
    let report = ended.report();
    let writes = studio.ftrack().counters().write_calls;
    assert_eq!(report.ftrack.write_calls, writes, "{report:#?}");
    (ended.status, report)
}

/// A command that is done.
fn done(studio: &Studio, arguments: &[&str]) -> Report {
    let (status, report) = by_hand(studio, arguments);
    assert_eq!(
        (status, report.outcome),
        (0, Outcome::Succeeded),
        "{report:#?}"
    );
    report
}

/// A command that is refused, and why; nothing is written.
fn refused(studio: &Studio, arguments: &[&str]) -> String {
    let users = studio.ftrack().users();
    let (status, report) = by_hand(studio, arguments);
    assert_eq!(
        (status, report.outcome),
        (1, Outcome::Failed),
        "{report:#?}"
    );
    assert_eq!((report.changes.len(), report.ftrack.write_calls), (0, 0));
    assert_eq!(studio.ftrack().users(), users);
    report.error.unwrap()
}

/// A command that names somebody whom nobody knows, or several: no run, and nothing is written.
fn misnamed(studio: &Studio, arguments: &[&str]) -> String {
    let (users, runs) = (studio.ftrack().users(), studio.reports().len());
    let ended = studio.run(arguments);
    assert_eq!((ended.status, &*ended.stdout), (2, ""), "{}", ended.stderr);
    assert_eq!(studio.ftrack().users(), users);
    assert_eq!(studio.reports().len(), runs);
    ended.stderr
}

/// The link of a user as it is stored; null where there is none.
fn link(studio: &Studio, username: &str) -> Value {
    let user = studio.user(username);
    let link = user.metadata.get("ftrack-ldap-sync");
    link.map_or(Value::Null, |link| serde_json::from_str(link).unwrap())
}

fn users(studio: &Studio, arguments: &[&str]) -> Ended {
    let ended = studio.run(&[&["users"], arguments].concat());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    ended
}

/// What `users` lists.
fn listed(studio: &Studio) -> Vec<Value> {
    serde_json::from_str(&users(studio, &["--format", "json"]).stdout).unwrap()
}

/// How many users ftrack has, without the two who are always there.
fn number_of_users(studio: &Studio) -> usize {
    studio.ftrack().users().len() - 2
}
