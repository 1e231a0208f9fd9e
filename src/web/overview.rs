//! The first page: what needs a person, each job, and what was written of late.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use minijinja::Value;
use serde::Serialize;

use super::{
    Site,
    answer::Answer,
    charts::{self, People},
    form::segment,
    render::Frame,
    visitor::Visitor,
};
use crate::{
    daemon::{
        http::missing,
        status::{JobPhase, JobStatus, Status},
        status_text::StatusRow,
    },
    model::{
        open_hold::HoldHead, readable_time::readable_time, report::Outcome, summary::RunSummary,
    },
    state::{files::StateError, history::RunFilter},
};

/// In how many seconds the page is loaded again while something is under way, and otherwise.
pub(super) const SOON: u32 = 3;
const LATER: u32 = 60;

/// Something that needs a person.
#[derive(Debug, Serialize)]
pub(super) struct Need {
    class: &'static str,
    text: String,
    /// The page about it; empty without one.
    href: String,
}

/// A job on a page.
#[derive(Debug, Serialize)]
pub(super) struct ShownJob {
    name: String,
    href: String,
    row: StatusRow,
    class: &'static str,
    timezone: String,
    schedule: String,
    /// The report of its last run; empty before the first.
    last_href: String,
    outcome_class: &'static str,
    people: Value,
    is_paused: bool,
    /// The kinds of change that are paused.
    paused_kinds: Vec<String>,
    is_busy: bool,
}

#[derive(Debug, Serialize)]
struct Overview {
    needs: Vec<Need>,
    jobs: Vec<ShownJob>,
    days: Value,
    pid: u32,
    started: String,
}

/// `GET /`
pub(super) async fn page(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer {
    let visitor = visitor.reader(&site)?;
    let status = site.http.commands.status();
    let refresh = if status.jobs.iter().any(is_busy) {
        SOON
    } else {
        LATER
    };
    let of = Arc::clone(&site);
    let read = move || of.overview(&status, Utc::now());
    let content = site.look(&visitor, read).await?;
    let content = content.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let frame = Frame {
        template: "overview.html",
        title: "Jobs".to_owned(),
        part: "overview",
        refresh: Some(refresh),
    };
    site.page(&visitor, frame, content).await
}

impl Site {
    fn overview(&self, status: &Status, now: DateTime<Utc>) -> Result<Overview, StateError> {
        let filter = RunFilter {
            since: Some(charts::since(now)),
            ..RunFilter::default()
        };
        let runs = self.history().list(&filter, usize::MAX)?.runs;
        let holds = self.http.state.open_hold_heads();
        let mut needs = of_daemon(self, status);
        let jobs = status.jobs.iter();
        match &holds {
            Ok(holds) => needs.extend(jobs.flat_map(|job| of_job(job, Some(holds)))),
            Err(error) => {
                needs.push(Need::trouble(format!("the holds cannot be shown: {error}")));
                needs.extend(jobs.flat_map(|job| of_job(job, None)));
            }
        }
        needs.sort_by_key(|need| need.class != "trouble");
        let zone = status.zone().unwrap_or(Tz::UTC);
        let people = last_people(&runs);
        let jobs = status.jobs.iter();
        Ok(Overview {
            needs,
            jobs: jobs
                .map(|job| self.shown_job(job, people.get(job.job.as_str()).copied()))
                .collect(),
            days: self.days_chart(&runs, zone, now),
            pid: status.pid,
            started: readable_time(status.started_at, &zone),
        })
    }
}

/// The people of each job after its last run that read everything.
pub(super) fn last_people(runs: &[RunSummary]) -> BTreeMap<&str, People> {
    let mut people = BTreeMap::new();
    let whole = runs
        .iter()
        .filter(|run| run.outcome != Outcome::Failed && !run.for_some && run.owned > 0);
    // The newest ones come first.
    for run in whole {
        people.entry(run.job.as_str()).or_insert(People::of(run));
    }
    people
}

pub(super) fn is_busy(job: &JobStatus) -> bool {
    match job.phase {
        JobPhase::Running | JobPhase::Waiting => true,
        JobPhase::Idle | JobPhase::Paused | JobPhase::BackingOff | JobPhase::Suspended => {
            job.running.is_some()
        }
    }
}

fn class_of(job: &JobStatus) -> &'static str {
    match job.phase {
        JobPhase::Running | JobPhase::Waiting => "busy",
        JobPhase::Idle => "calm",
        JobPhase::Paused => "held",
        JobPhase::BackingOff | JobPhase::Suspended => "trouble",
    }
}

/// The class of an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "calm",
        Outcome::Partial | Outcome::Held => "held",
        Outcome::Failed => "trouble",
    }
}

/// The page of a run, from the first one.
pub(super) fn run_href(job: &str, run: &str) -> String {
    format!("runs/{}/{}", segment(job), segment(run).replace("%2D", "-"))
}

impl Site {
    pub(super) fn shown_job(&self, job: &JobStatus, people: Option<People>) -> ShownJob {
        let last = job.last_run.as_ref();
        ShownJob {
            name: job.job.clone(),
            href: format!("jobs/{}", segment(&job.job)),
            row: StatusRow::of_now(job),
            class: class_of(job),
            timezone: job.timezone.clone(),
            schedule: job.schedule.clone().unwrap_or_default(),
            last_href: last.map_or_else(String::new, |last| run_href(&last.job, &last.run)),
            outcome_class: last.map_or("", |last| outcome_class(last.outcome)),
            people: self.people_chart(people),
            is_paused: job.pause.is_some(),
            paused_kinds: job
                .paused_kinds
                .keys()
                .map(|kind| kind.as_str().to_owned())
                .collect(),
            is_busy: is_busy(job),
        }
    }
}

impl Need {
    fn trouble(text: String) -> Self {
        Self {
            class: "trouble",
            text,
            href: String::new(),
        }
    }

    fn held(text: String, href: String) -> Self {
        Self {
            class: "held",
            text,
            href,
        }
    }
}

/// What is wrong with the daemon itself.
fn of_daemon(site: &Site, status: &Status) -> Vec<Need> {
    let mut needs = Vec::new();
    if status.stopping {
        needs.push(Need::trouble("the daemon is stopping".to_owned()));
    }
    if !site.http.heartbeat.is_healthy() {
        let seconds = site.http.heartbeat.age().as_secs();
        needs.push(Need::trouble(format!(
            "the scheduler has made no progress for {seconds} s"
        )));
    }
    needs.extend(missing(status).into_iter().map(Need::trouble));
    if let Some(error) = &status.config.error {
        needs.push(Need::trouble(format!(
            "the last configuration reload was refused: {error}"
        )));
    }
    let unusable = site.unusable.of(&site.http.tokens()).into_iter();
    needs.extend(unusable.map(|(name, error)| {
        Need::trouble(format!(
            "nobody can sign in with the token of {name}: {error}"
        ))
    }));
    if !status.config.restart_for.is_empty() {
        let keys = status.config.restart_for.join(", ");
        let text = format!("takes effect after a restart: {keys}");
        needs.push(Need::held(text, String::new()));
    }
    needs
}

/// What a job needs a person for.
pub(super) fn of_job(job: &JobStatus, holds: Option<&Vec<HoldHead>>) -> Vec<Need> {
    let mut needs = Vec::new();
    let name = &job.job;
    let last = job.last_run.as_ref();
    let last_href = last.map_or_else(String::new, |last| run_href(&last.job, &last.run));
    if let Some(backoff) = &job.backoff {
        let times = match backoff.failures {
            1 => "failed".to_owned(),
            several => format!("failed {several} times in a row"),
        };
        let suspended = if backoff.suspended {
            ", and is suspended: it is only tried now and then"
        } else {
            ""
        };
        needs.push(Need {
            class: "trouble",
            text: format!("{name} {times}{suspended}: {}", first_line(&backoff.error)),
            href: last_href.clone(),
        });
    }
    match holds {
        Some(holds) => {
            let open = holds.iter().filter(|head| head.of.job == *name);
            // Those that open by themselves need nobody.
            let waiting = open.filter(|head| head.of.opens_at.is_none());
            needs.extend(waiting.map(|HoldHead { of: hold, people }| {
                let text = format!(
                    "{name}: hold {}, {people} to {}, held by {}",
                    hold.hold,
                    hold.kind,
                    hold.held_by.as_str()
                );
                Need::held(text, format!("holds/{}", hold.hold))
            }));
        }
        None => {
            let open = last.map_or(0, |last| last.open_holds);
            needs.extend(
                (open > 0)
                    .then(|| Need::held(format!("{name}: {open} open holds"), "holds".to_owned())),
            );
        }
    }
    if let Some(last) = last {
        let counts = [
            (last.unsettled, "to be decided by a person"),
            (last.failed, "not written"),
            (last.counts.unconfirmed, "unconfirmed"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            needs.push(Need::held(
                format!("{name}: {count} {what}"),
                last_href.clone(),
            ));
        }
    }
    needs
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut characters = line.chars();
    let beginning: String = characters.by_ref().take(300).collect();
    match characters.next() {
        Some(_) => beginning + "…",
        None => beginning,
    }
}
