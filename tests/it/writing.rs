//! What is written, in which order, and what happens when the server refuses, has no seats, loses
//! answers, or is changed meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod meanwhile;
mod otherwise;
mod refusals;
mod renames;
mod seats;
mod still_known;
mod unconfirmed;

use std::collections::BTreeSet;

use ftrack_ldap_sync::{demo::ftrack::Rules, model::report::Report};

use crate::{faults::NO_LIMIT, studio::Studio};

/// The logins `user000`, `user001` and so on.
pub fn many(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("user{number:03}"))
        .collect()
}

/// A studio of so many people, not yet synced, whose ftrack follows these rules.
pub fn studio_of(count: usize, rules: Rules) -> Studio {
    let mut studio = Studio::with(rules);
    studio.job = NO_LIMIT.into();
    for uid in many(count) {
        studio
            .tree()
            .add(crate::studio::person(&uid, "Given", &uid))
            .unwrap();
    }
    studio
}

/// No login twice, and nobody between two logins.
pub fn assert_sound(studio: &Studio) {
    let users = studio.ftrack().users();
    let names: BTreeSet<String> = users
        .iter()
        .map(|user| user.username.to_lowercase())
        .collect();
    assert_eq!(names.len(), users.len(), "{users:#?}");
    assert!(!names.iter().any(|name| name.contains("swap")), "{names:?}");
}

/// The errors of a report, by login.
pub fn errors(report: &Report) -> Vec<(&str, &str)> {
    let failed = report
        .changes
        .iter()
        .filter_map(|change| Some((&*change.username, change.error.as_deref()?)));
    failed.collect()
}
