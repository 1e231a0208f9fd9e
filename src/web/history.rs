//! The runs of the past.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{
    Site,
    answer::Answer,
    charts,
    form::{Fields, query},
    overview::{outcome_class, run_href},
    render::Frame,
    visitor::Visitor,
};
use crate::{
    daemon::status::Status,
    model::{readable_time::readable_time, report::Outcome, summary::RunSummary},
    run::text::summary::what,
    state::{files::StateError, history::RunFilter},
};

/// How many runs a page lists.
const RUNS: usize = 50;

/// The most characters of a person's name.
pub(super) const NAME_LIMIT: usize = 1000;

/// A run in a list.
#[derive(Debug, Serialize)]
pub(super) struct ShownRun {
    href: String,
    run: String,
    job: String,
    started: String,
    trigger: &'static str,
    outcome: &'static str,
    class: &'static str,
    took: String,
    what: String,
}

#[derive(Debug, Serialize)]
struct HistoryPage {
    runs: Vec<ShownRun>,
    /// How many there are; 0 where it is not known.
    all: usize,
    damaged: Vec<String>,
    jobs: Vec<String>,
    outcomes: Vec<&'static str>,
    job: String,
    outcome: String,
    since: String,
    until: String,
    person: String,
    changed: bool,
    /// What was said by default.
    note: String,
    earlier: String,
    later: String,
}

/// `GET /history`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    RawQuery(asked): RawQuery,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let fields = Fields::of_query(asked.as_deref());
    let status = site.http.commands.status();
    let zone = zone_of(&status, fields.get("job"));
    let (filter, note) =
        filter(&fields, zone, Utc::now()).map_err(|why| site.malformed(&visitor, why))?;
    let page = fields.page();
    let limit = page.saturating_mul(RUNS).saturating_add(1);
    let history = site.history();
    let read = move || Ok((history.list(&filter, limit)?, history.jobs()?));
    let read: Result<_, StateError> = site.look(&visitor, read).await?;
    let (listed, past) = read.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let first = (page - 1).saturating_mul(RUNS);
    let rest = listed.runs.get(first..).unwrap_or_default();
    let here = rest.get(..RUNS.min(rest.len())).unwrap_or_default();
    let value = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let link = |page: usize| {
        let page = page.to_string();
        let names = ["job", "outcome", "since", "until", "person", "changed"];
        let mut all: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (*name, fields.get(name).unwrap_or_default()))
            .collect();
        all.push(("page", &page));
        format!("history?{}", query(&all))
    };
    let mut jobs: Vec<String> = status.jobs.iter().map(|job| job.job.clone()).collect();
    jobs.extend(past);
    jobs.sort_unstable();
    jobs.dedup();
    let content = HistoryPage {
        runs: shown_runs(here, zone),
        all: listed.all.unwrap_or_default(),
        damaged: listed.damaged.iter().map(ToString::to_string).collect(),
        jobs,
        outcomes: OUTCOMES.iter().map(|outcome| outcome.as_str()).collect(),
        job: value("job"),
        outcome: value("outcome"),
        since: value("since"),
        until: value("until"),
        person: value("person"),
        changed: fields.get("changed").is_some(),
        note: note.to_owned(),
        earlier: if rest.len() > RUNS {
            link(page + 1)
        } else {
            String::new()
        },
        later: if page > 1 {
            link(page - 1)
        } else {
            String::new()
        },
    };
    let frame = Frame {
        template: "history.html",
        title: "History".to_owned(),
        part: "history",
        refresh: None,
    };
    site.page(&visitor, frame, content).await
}

const OUTCOMES: [Outcome; 4] = [
    Outcome::Succeeded,
    Outcome::Partial,
    Outcome::Held,
    Outcome::Failed,
];

/// The zone of a job, or the one that all jobs have.
pub(super) fn zone_of(status: &Status, job: Option<&str>) -> Tz {
    let job = job.and_then(|job| status.job(job));
    let zone = job.and_then(|job| job.timezone.parse().ok());
    zone.or_else(|| status.zone()).unwrap_or(Tz::UTC)
}

/// Runs as a list shows them, with times in a zone.
pub(super) fn shown_runs(runs: &[RunSummary], zone: Tz) -> Vec<ShownRun> {
    let shown = |run: &RunSummary| {
        let took = run.finished_at.signed_duration_since(run.started_at);
        ShownRun {
            href: run_href(&run.job, &run.run),
            run: run.run.clone(),
            job: run.job.clone(),
            started: readable_time(run.started_at, &zone),
            trigger: run.trigger.as_str(),
            outcome: run.outcome.as_str(),
            class: outcome_class(run.outcome),
            took: format!("{:.1} s", took.as_seconds_f64().max(0.0)),
            what: what(run),
        }
    };
    runs.iter().map(shown).collect()
}

/// Which runs are asked for, and what else is to be known.
fn filter(
    fields: &Fields,
    zone: Tz,
    now: DateTime<Utc>,
) -> Result<(RunFilter, &'static str), &'static str> {
    let outcomes = match fields.get("outcome") {
        None => Vec::new(),
        Some(word) => {
            let known = OUTCOMES.into_iter().find(|known| known.as_str() == word);
            vec![known.ok_or("There is no such outcome.")?]
        }
    };
    let day = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(text) => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Some)
            .map_err(|_| "A day is written like 2026-01-31."),
    };
    let person = fields.get("person").map(str::to_owned);
    if person
        .as_ref()
        .is_some_and(|person| person.chars().count() > NAME_LIMIT)
    {
        return Err("The person's name is too long.");
    }
    let mut since = day("since")?.map(|day| start_of(day, zone));
    let until = day("until")?.and_then(|day| day.succ_opt());
    let mut note = "";
    if person.is_some() && since.is_none() {
        since = Some(charts::since(now));
        note = "Of the last 30 days; an earlier first day searches further back.";
    }
    let filter = RunFilter {
        job: fields.get("job").map(str::to_owned),
        since,
        until: until.map(|day| start_of(day, zone)),
        changed: fields.get("changed").is_some(),
        outcomes,
        person,
    };
    Ok((filter, note))
}

/// The first moment of a day in a zone.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let local = zone.from_local_datetime(&midnight).earliest();
    // A midnight that the clocks skip is taken as that of UTC.
    local.map_or_else(|| midnight.and_utc(), |local| local.to_utc())
}
