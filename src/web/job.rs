//! One job: how it is, its people, its last runs, and what can be done with it.

use std::sync::Arc;

use axum::extract::{Path, State};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use minijinja::Value;
use serde::Serialize;

use super::{
    Site,
    answer::Answer,
    charts,
    history::{ShownRun, shown_runs},
    overview::{Need, SOON, ShownJob, is_busy, last_people, of_job},
    render::Frame,
    underway::{About, End},
    visitor::Visitor,
};
use crate::{
    daemon::status::JobStatus,
    model::change_kind::ChangeKind,
    state::{files::StateError, history::RunFilter},
};

/// How many runs are listed.
const RUNS: usize = 10;

/// How long the page says why a run that was asked for did not come to a report.
const SAID: TimeDelta = TimeDelta::hours(1);

#[derive(Debug, Serialize)]
struct JobPage {
    job: ShownJob,
    needs: Vec<Need>,
    runs: Vec<ShownRun>,
    days: Value,
    kinds: Vec<&'static str>,
    /// Why a run that was asked for did not come to a report; empty otherwise.
    said: String,
}

/// `GET /jobs/JOB`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(job): Path<String>,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let status = site.http.commands.status();
    let Some(found) = status.job(&job) else {
        return Err(site.missing(&visitor, "There is no such job, or not any more."));
    };
    let refresh = is_busy(found).then_some(SOON);
    let (of, name) = (Arc::clone(&site), job.clone());
    let (shown, now) = (Arc::clone(&status), Utc::now());
    let read = move || shown.job(&name).map(|found| of.job(found, now)).transpose();
    let content = site.look(&visitor, read).await?;
    let content = content.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let frame = Frame {
        template: "job.html",
        title: job,
        part: "overview",
        refresh,
    };
    site.page(&visitor, frame, content).await
}

impl Site {
    fn job(&self, found: &JobStatus, now: DateTime<Utc>) -> Result<JobPage, StateError> {
        let job = &found.job;
        let filter = RunFilter {
            job: Some(job.clone()),
            since: Some(charts::since(now)),
            ..RunFilter::default()
        };
        let runs = self.history().list(&filter, usize::MAX)?.runs;
        let holds = self.http.state.open_hold_heads().ok();
        let zone: Tz = found.timezone.parse().unwrap_or(Tz::UTC);
        let begun = self.underway.of(&About::Run(job.clone()));
        let of_late = begun.filter(|begun| now.signed_duration_since(begun.at) < SAID);
        let said = match of_late.and_then(|begun| begun.end) {
            Some(End::Unreported(error)) => format!("The run that was asked for: {error}"),
            Some(End::Reported { .. }) | None => String::new(),
        };
        let people = last_people(&runs).get(job.as_str()).copied();
        Ok(JobPage {
            job: self.shown_job(found, people),
            needs: of_job(found, holds.as_ref()),
            days: self.days_chart(&runs, zone, now),
            runs: shown_runs(runs.get(..RUNS.min(runs.len())).unwrap_or_default(), zone),
            kinds: ChangeKind::ALL.iter().map(|kind| kind.as_str()).collect(),
            said,
        })
    }
}
