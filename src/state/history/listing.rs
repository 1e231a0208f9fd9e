//! The list of runs, newest first. It is made of the summaries in the state database; only reports
//! that are not in it are read, one at a time.

use std::{iter::Peekable, ops::ControlFlow, vec::IntoIter};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{History, HistoryError};
use crate::{
    model::{
        change::Skipped,
        fold::{fold, names},
        report::{LastKnown, Outcome},
        summary::RunSummary,
    },
    state::{database, files::StateError},
};

/// Which runs are listed; without conditions, all of them.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only the runs of this job, which need not be configured.
    pub job: Option<String>,
    /// Only runs that started at or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Only runs that started before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only runs that wrote a change.
    pub changed: bool,
    /// Only runs with one of these outcomes; with any if empty.
    pub outcomes: Vec<Outcome>,
    /// Only runs whose reports name this person by login, mail, DN, directory id or ftrack id. Those
    /// that match the other conditions are read.
    pub person: Option<String>,
}

/// The runs that were found.
#[derive(Debug, Default)]
pub struct Listed {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// How many match in all; none where reports would have to be read for that.
    pub all: Option<usize>,
    /// Reports that cannot be read.
    pub damaged: Vec<HistoryError>,
}

impl RunFilter {
    fn matches(&self, run: &RunSummary) -> bool {
        let Self {
            job,
            since,
            until,
            changed,
            outcomes,
            person: _,
        } = self;
        job.as_ref().is_none_or(|job| *job == run.job)
            && since.is_none_or(|since| run.started_at >= since)
            && until.is_none_or(|until| run.started_at < until)
            && (!changed || run.counts.changed() > 0)
            && (outcomes.is_empty() || outcomes.contains(&run.outcome))
    }
}

impl History {
    /// The newest runs that match, `limit` at the most.
    ///
    /// # Errors
    /// The directory of the reports cannot be read. A state database that cannot be used is no
    /// error: then the reports are read.
    pub fn list(&self, filter: &RunFilter, limit: usize) -> Result<Listed, StateError> {
        let is_counted = filter.person.is_none();
        let mut listing = Listing {
            history: self,
            filter,
            // What is beyond is counted.
            limit: if is_counted { usize::MAX } else { limit },
            names: self.runs(filter.job.as_deref())?.into_iter().peekable(),
            listed: Listed::default(),
        };
        let _ = database::each_run(&self.state_dir, &mut |run| listing.up_to(Some(run)));
        let _ = listing.up_to(None);
        let mut listed = listing.listed;
        listed.all = is_counted.then_some(listed.runs.len());
        listed.runs.truncate(limit);
        Ok(listed)
    }

    /// The jobs that have reports.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn jobs(&self) -> Result<Vec<String>, StateError> {
        let Some(all) = self.folder()? else {
            return Ok(Vec::new());
        };
        let mut jobs = all.names()?;
        // What is not a directory is not ours.
        jobs.retain(|job| matches!(all.sub(job), Ok(Some(_))));
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// Whether a report names a person.
    fn names(&self, run: &RunSummary, person: &str) -> Result<bool, HistoryError> {
        let people: People = self.part(&run.job, &run.run)?;
        Ok(people.have(&fold(person)) || people.warnings.iter().any(|text| names(text, person)))
    }
}

/// The names of the reports and the rows of the database, walked together: both are in the same
/// order.
struct Listing<'a> {
    history: &'a History,
    filter: &'a RunFilter,
    limit: usize,
    names: Peekable<IntoIter<(String, String)>>,
    listed: Listed,
}

impl Listing<'_> {
    /// Lists the reports down to this row of the database, or the remaining ones. A row without a
    /// report is not listed, since it could not be shown.
    fn up_to(&mut self, row: Option<RunSummary>) -> ControlFlow<()> {
        while self.listed.runs.len() < self.limit {
            let before = |name: &(String, String)| {
                row.as_ref()
                    .is_none_or(|row| (&name.0, &name.1) >= (&row.run, &row.job))
            };
            let Some((run, job)) = self.names.next_if(before) else {
                return match self.names.peek() {
                    Some(_) => ControlFlow::Continue(()),
                    None => ControlFlow::Break(()),
                };
            };
            match row {
                Some(row) if row.run == run && row.job == job => {
                    self.offer(row);
                    return ControlFlow::Continue(());
                }
                Some(_) | None => match self.history.summary(&job, &run) {
                    Ok(summary) => self.offer(summary),
                    Err(error) => self.listed.damaged.push(error),
                },
            }
        }
        ControlFlow::Break(())
    }

    fn offer(&mut self, run: RunSummary) {
        if !self.filter.matches(&run) {
            return;
        }
        let named = match &self.filter.person {
            Some(person) => self.history.names(&run, person),
            None => Ok(true),
        };
        match named {
            Ok(true) => self.listed.runs.push(run),
            Ok(false) => {}
            Err(error) => self.listed.damaged.push(error),
        }
    }
}

/// Whom a report names.
#[derive(Deserialize)]
struct People {
    changes: Vec<Named>,
    skipped: Vec<Skipped>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    username: String,
    dn: Option<String>,
    directory_id: Option<String>,
    ftrack_id: String,
    #[serde(default)]
    person: LastKnown,
    fields: NamedValues,
}

/// The values by which a person may be known, each before and after the change.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedValues {
    username: Option<OldAndNew>,
    email: Option<OldAndNew>,
}

#[derive(Deserialize)]
struct OldAndNew {
    old: Value,
    new: Value,
}

impl People {
    /// Whether one of them has this login, mail, DN or id, which is folded.
    fn have(&self, person: &str) -> bool {
        let is = |text: &str| fold(text) == person;
        let is_among = |values: &Option<OldAndNew>| {
            values
                .iter()
                .flat_map(|values| [&values.old, &values.new])
                .any(|value| value.as_str().is_some_and(is))
        };
        let is_named = |change: &Named| {
            is(&change.username)
                || is(&change.ftrack_id)
                || change.dn.as_deref().is_some_and(is)
                || change.directory_id.as_deref().is_some_and(is)
                || [&change.person.email, &change.person.last_dn]
                    .iter()
                    .any(|known| known.as_deref().is_some_and(is))
                || is_among(&change.fields.username)
                || is_among(&change.fields.email)
        };
        self.changes.iter().any(is_named) || self.skipped.iter().any(|entry| entry.is_named(person))
    }
}
