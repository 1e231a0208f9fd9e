//! Runs that read only what changed, with real servers: what they find is what a run finds that
//! reads everything.

use ftrack_ldap_sync::model::report::{ChangesPart, Outcome, Report, Trigger};

use crate::{
    slapd::{PEOPLE, Setup, Slapd},
    studio::Studio,
};

mod daemon;
mod groups;
mod held_kinds;
mod openldap;
mod others;
mod pictures;
mod watch;

/// The key of the job.
pub const SCHEDULES: &str = "schedule = \"0 3 * * *\"\nchanges_schedule = \"* * * * *\"\n";

/// A person's entry, as `ldapmodify -a` and `slapadd` take it.
pub fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: Given {uid}\ngivenName: \
         Given\nsn: {uid}\nmail: {uid}@studio.test\n\n"
    )
}

/// The entries of these people.
fn people<'u>(uids: impl IntoIterator<Item = &'u str>) -> String {
    uids.into_iter().map(person).collect()
}

/// A studio with that directory, whose job also reads what changed.
pub fn studio(url: &str) -> Studio {
    let mut studio = Studio::empty().end_to_end();
    studio.directory_url = url.to_owned();
    studio.job = SCHEDULES.into();
    studio
}

/// A run of changes; none where there was nothing to do.
pub fn changes(studio: &Studio) -> Option<Report> {
    studio.ftrack().forget();
    let ended = studio.run(&["sync", "--changes", "--format", "json"]);
    let report: Option<Report> = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr));
    if let Some(report) = &report {
        assert_eq!(report.trigger, Trigger::Changes);
    } else {
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert_eq!(studio.ftrack().counters().write_calls, 0);
    }
    report
}

/// A run of changes that has something to do.
fn some_changes(studio: &Studio) -> Report {
    let report = changes(studio).expect("a report");
    assert!(part(&report).is_some(), "{report:#?}");
    report
}

/// What it read, if it did not read everything.
fn part(report: &Report) -> Option<&ChangesPart> {
    report.directory.as_ref()?.changes.as_ref()
}

/// What it did, as `action login`.
fn done(report: &Report) -> Vec<String> {
    let mut done: Vec<String> = report
        .changes
        .iter()
        .map(|change| {
            format!(
                "{} {} {}",
                change.action,
                change.username,
                change.result.as_str()
            )
        })
        .collect();
    done.sort();
    done
}
