//! Somebody who is asked for by a former login: the reports say whose it was.

use crate::{
    model::{
        edit::Field,
        entity_id::EntityId,
        fold::fold,
        report::{ChangeResult, Reported},
    },
    state::history::{History, RunFilter},
};

/// How many runs that name the person are looked at, the newest first.
const RUNS: usize = 20;

/// Whose login it was.
#[derive(Debug)]
pub struct Renamed {
    /// The user's id in ftrack, which stays.
    pub ftrack_id: EntityId,
    /// What the user was renamed to, and by which run, as text.
    pub said: String,
}

/// The user of a job who had this login until a run renamed it; none where no saved report says so.
#[must_use]
pub fn renamed(history: &History, job: &str, who: &str) -> Option<Renamed> {
    let filter = RunFilter {
        job: Some(job.to_owned()),
        person: Some(who.to_owned()),
        ..RunFilter::default()
    };
    let runs = history.list(&filter, RUNS).ok()?.runs;
    let mut reports = runs
        .iter()
        .filter_map(|run| history.load(job, &run.run).ok());
    reports.find_map(|report| {
        let mut changes = report.changes.iter();
        changes.find_map(|change| {
            let new = new_login(change, who)?;
            Some(Renamed {
                ftrack_id: change.ftrack_id.clone(),
                said: format!("{who} was renamed to {new} by the run {}", report.run),
            })
        })
    })
}

/// The login that a change wrote in place of this one.
fn new_login<'c>(change: &'c Reported, who: &str) -> Option<&'c str> {
    let was_written = match change.result {
        ChangeResult::Applied => true,
        ChangeResult::Failed | ChangeResult::Unconfirmed => {
            change.written.contains(&Field::Username)
        }
        ChangeResult::Held
        | ChangeResult::Rejected
        | ChangeResult::Unsettled
        | ChangeResult::Planned => false,
    };
    let values = change.fields.get(&Field::Username)?;
    let old = values.old.as_str()?;
    (was_written && fold(old) == fold(who))
        .then(|| values.new.as_str())
        .flatten()
}
