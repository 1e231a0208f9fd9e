//! What would happen next: a dry run on demand, one at a time.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use serde::Serialize;

use super::{
    Site,
    answer::{Answer, see_other},
    form::{Fields, query, segment},
    history::zone_of,
    overview::{SOON, run_href},
    render::Frame,
    run_page::{Part, ShownReport},
    underway::{About, End},
    visitor::{Visitor, signed_in_as},
};
use crate::{
    daemon::{commands::Wish, status::Status, status_text::paused},
    model::{
        page_action::{ActionKind, AskedAction},
        readable_time::readable_time,
        report::Approver,
    },
};

/// A job that can be planned.
#[derive(Debug, Serialize)]
struct Planned {
    job: String,
    /// Where the form goes.
    action: String,
    href: String,
    is_chosen: bool,
    is_paused: bool,
}

#[derive(Debug, Serialize)]
struct PlanPage {
    jobs: Vec<Planned>,
    job: String,
    /// That the job is paused, and until when; empty where it is not.
    paused: String,
    said: String,
    is_under_way: bool,
    report: Option<ShownReport>,
    report_href: String,
}

/// `GET /plan`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    RawQuery(asked): RawQuery,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let fields = Fields::of_query(asked.as_deref());
    let status = site.http.commands.status();
    let only = status.jobs.first().filter(|_| status.jobs.len() == 1);
    let job = fields.get("job").or(only.map(|job| job.job.as_str()));
    let job = job.unwrap_or_default().to_owned();
    let begun = site.underway.of(&About::Plan(job.clone()));
    let mut content = PlanPage {
        jobs: status
            .jobs
            .iter()
            .map(|known| Planned {
                job: known.job.clone(),
                action: format!("jobs/{}/plan", segment(&known.job)),
                href: format!("plan?{}", query(&[("job", &known.job)])),
                is_chosen: known.job == job,
                is_paused: known.pause.is_some(),
            })
            .collect(),
        job: job.clone(),
        paused: paused_in_words(&status, &job),
        said: String::new(),
        is_under_way: false,
        report: None,
        report_href: String::new(),
    };
    match begun.map(|begun| (begun.at, begun.end)) {
        None => {}
        Some((at, None)) => {
            let at = readable_time(at, &zone_of(&status, Some(&job)));
            content.said = format!("Both servers are being read, since {at}.");
            content.is_under_way = true;
        }
        Some((_, Some(End::Reported { job, run, .. }))) => {
            content.report_href = run_href(&job, &run);
            content.report = site.report(&visitor, &job, &run, Part::of(&fields)).await?;
        }
        Some((_, Some(End::Unreported(error)))) => content.said = error,
    }
    let frame = Frame {
        template: "plan.html",
        title: "What would happen next".to_owned(),
        part: "plan",
        refresh: content.is_under_way.then_some(SOON),
    };
    site.page(&visitor, frame, content).await
}

/// That a job is paused, until when and why.
fn paused_in_words(status: &Status, job: &str) -> String {
    let pause = status.job(job).and_then(|found| found.pause.as_ref());
    let zone = zone_of(status, Some(job));
    pause.map_or_else(String::new, |pause| paused(pause, &zone))
}

/// `POST /jobs/JOB/plan`: a dry run, which writes nothing to ftrack, and so needs no token that may
/// act.
pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(job): Path<String>,
) -> Answer {
    let visitor = visitor.reader(&site)?.on_own_page(&site)?;
    let by = visitor.signed_in.as_ref();
    let by = by.map_or_else(String::new, |signed_in| signed_in.name.clone());
    if site.http.commands.status().job(&job).is_none() {
        return Err(site.missing(&visitor, "There is no such job."));
    }
    let asked = AskedAction {
        by: by.clone(),
        from: visitor.from(),
        kind: ActionKind::Plan,
        job: Some(job.clone()),
        hold: None,
        detail: String::new(),
    };
    let (commands, wanted) = (site.http.commands.clone(), job.clone());
    let person = match &visitor.signed_in {
        Some(signed_in) => signed_in_as(signed_in.name.clone()),
        // A page of this machine needs no token: the daemon alone is known.
        None => Approver::of_user(rustix::process::geteuid().as_raw(), None),
    };
    let trigger = async move { commands.trigger(&wanted, Wish::DryRun, person).await };
    let what = (About::Plan(job.clone()), asked);
    site.begin(&visitor, what, trigger).await?;
    let to = query(&[("job", &job)]);
    Ok(see_other(&format!("../../plan?{to}")))
}
