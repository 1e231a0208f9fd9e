//! What people do on the pages: each goes the way of the same command at the control socket, and is
//! saved with who and from where before it is done.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{TimeDelta, Utc};

use super::{
    Site,
    answer::{Answer, Refused, see_other},
    form::segment,
    holds::PEOPLE,
    underway::About,
    visitor::{Actor, Visitor},
};
use crate::{
    daemon::{
        commands::Wish,
        control::{PauseRequest, REJECT_LIMIT, pause_of, within, within_limit},
    },
    model::{
        change_kind::ChangeKind,
        hold_number::HoldNumber,
        page_action::{ActionKind, AskedAction},
    },
    run::approval::HoldDecision,
};

/// The longest pause that a form asks for, in hours; for longer ones, nothing is given.
const LONGEST_PAUSE: i64 = 24 * 366;

/// The most people whom one form names.
const MOST_PEOPLE: usize = 1000;

/// `POST /jobs/JOB/run`: a run of a job now.
pub(super) async fn run(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(job): Path<String>,
    body: Body,
) -> Answer {
    let actor = visitor.actor(&site, body).await?;
    let asked = asked_of_job(&actor, ActionKind::Run, &job);
    let (commands, wanted) = (site.http.commands.clone(), job.clone());
    let by = actor.approver();
    let trigger = async move { commands.trigger(&wanted, Wish::Run, by).await };
    let what = (About::Run(job.clone()), asked);
    site.begin(&actor.visitor, what, trigger).await?;
    Ok(see_other(&format!("../{}", segment(&job))))
}

/// `POST /jobs/JOB/pause`: no run of a job, or no change of one kind, until it is resumed.
pub(super) async fn pause(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(job): Path<String>,
    body: Body,
) -> Answer {
    let actor = visitor.actor(&site, body).await?;
    let only = kind(&site, &actor)?;
    let now = Utc::now();
    let until = match actor.form.get("hours") {
        None => None,
        Some(hours) => {
            let hours = hours.parse().ok();
            let hours = hours.filter(|hours| (1..=LONGEST_PAUSE).contains(hours));
            let hours = hours.ok_or_else(|| {
                site.malformed(
                    &actor.visitor,
                    "The hours of a pause are a number from 1 on; leave it empty to pause until \
                     somebody resumes.",
                )
            })?;
            Some(now + TimeDelta::hours(hours))
        }
    };
    let request = PauseRequest {
        until,
        reason: actor.form.get("reason").map(str::to_owned),
        only,
        sudo_user: None,
    };
    let pause = pause_of(request, now, &actor.approver());
    let pause = pause.map_err(|error| site.malformed(&actor.visitor, &error.error))?;
    let detail = [
        only.map(|only| format!("only {only}")),
        until.map(|until| format!("until {}", until.format("%Y-%m-%d %H:%M UTC"))),
        pause.reason.clone(),
    ];
    let detail: Vec<String> = detail.into_iter().flatten().collect();
    let mut asked = asked_of_job(&actor, ActionKind::Pause, &job);
    asked.detail = detail.join(", ");
    let (commands, of) = (site.http.commands.clone(), job.clone());
    let work = async move {
        let paused = within_limit(commands.pause(&of, only, pause)).await;
        paused.map(|_| "paused".to_owned())
    };
    site.act(&actor.visitor, asked, work).await?;
    Ok(see_other(&format!("../{}", segment(&job))))
}

/// `POST /jobs/JOB/resume`: the end of a pause.
pub(super) async fn resume(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(job): Path<String>,
    body: Body,
) -> Answer {
    let actor = visitor.actor(&site, body).await?;
    let only = kind(&site, &actor)?;
    let mut asked = asked_of_job(&actor, ActionKind::Resume, &job);
    asked.detail = only.map_or_else(String::new, |only| format!("only {only}"));
    let (commands, of) = (site.http.commands.clone(), job.clone());
    let work = async move {
        let resumed = within_limit(commands.resume(&of, only)).await;
        resumed.map(|_| "resumed".to_owned())
    };
    site.act(&actor.visitor, asked, work).await?;
    Ok(see_other(&format!("../{}", segment(&job))))
}

/// `POST /holds/N/approve`: what a hold holds is written, of everybody or of some.
pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(hold): Path<String>,
    body: Body,
) -> Answer {
    let actor = visitor.actor(&site, body).await?;
    let (decision, asked) = decision(&site, &actor, &hold, ActionKind::Approve)?;
    let hold = decision.hold;
    if decision.only.is_empty() {
        all_are_known(&site, &actor, hold).await?;
    }
    let commands = site.http.commands.clone();
    let approve = async move { commands.approve(decision).await };
    let what = (About::Approval(hold), asked);
    site.begin(&actor.visitor, what, approve).await?;
    Ok(see_other(&format!("../{hold}")))
}

/// `POST /holds/N/reject`: what a hold holds is not written until its cause has ended.
pub(super) async fn reject(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(hold): Path<String>,
    body: Body,
) -> Answer {
    let actor = visitor.actor(&site, body).await?;
    let (decision, asked) = decision(&site, &actor, &hold, ActionKind::Reject)?;
    let hold = decision.hold;
    let commands = site.http.commands.clone();
    let work = async move {
        let rejected = within(REJECT_LIMIT, commands.reject(decision)).await?;
        let people = rejected.people;
        Ok(match rejected.pending {
            None => format!("{people} rejected"),
            Some(pending) => format!("{people} rejected; not in their links yet: {pending}"),
        })
    };
    site.act(&actor.visitor, asked, work).await?;
    Ok(see_other(&format!("../{hold}")))
}

/// The kind of change that a form names, if it names one.
fn kind(site: &Site, actor: &Actor) -> Result<Option<ChangeKind>, Refused> {
    let Some(kind) = actor.form.get("only") else {
        return Ok(None);
    };
    let known = ChangeKind::ALL.into_iter();
    let known = known.into_iter().find(|known| known.as_str() == kind);
    match known {
        Some(kind) => Ok(Some(kind)),
        None => Err(site.malformed(&actor.visitor, "There is no such kind of change.")),
    }
}

/// Whether who approves a whole hold with more people than one page shows says how many there are, and
/// was shown those who are in it now. Nobody ever joins a hold, so that later ones are among them.
async fn all_are_known(site: &Site, actor: &Actor, hold: HoldNumber) -> Result<(), Refused> {
    let state = Arc::clone(&site.http.state);
    let read = move || state.hold_content(hold);
    let read = site.look(&actor.visitor, read).await?;
    let now = read.map_err(|error| site.broken(&actor.visitor, &error.to_string()))?;
    let (people, seen) = (now.people, actor.form.get("seen"));
    // A page that showed only a part says so also when one page would show all since.
    if people <= PEOPLE && seen.is_none() {
        return Ok(());
    }
    if seen != Some(&*now.digest) {
        return Err(site.refuse(
            &actor.visitor,
            StatusCode::CONFLICT,
            "Not as it was shown",
            &format!(
                "This hold has {people} people now, and it is not what the page showed, so nothing was \
                 approved. Look at its pages again."
            ),
        ));
    }
    match actor.form.get("total").map(str::parse::<usize>) {
        Some(Ok(total)) if total == people => Ok(()),
        Some(_) | None => Err(site.malformed(
            &actor.visitor,
            &format!(
                "To approve all {people} people of this hold, of whom a page shows {PEOPLE}, type how \
                 many they are. Nothing was approved."
            ),
        )),
    }
}

/// What was decided about a hold: about everybody, or about those whom the form names.
fn decision(
    site: &Site,
    actor: &Actor,
    hold: &str,
    kind: ActionKind,
) -> Result<(HoldDecision, AskedAction), Refused> {
    let hold: HoldNumber = hold
        .parse()
        .map_err(|error: &str| site.malformed(&actor.visitor, error))?;
    let named = actor.form.all("who");
    let only = match actor.form.get("whom") {
        Some("all") => Vec::new(),
        Some("chosen") if named.is_empty() => {
            return Err(site.malformed(
                &actor.visitor,
                "Nobody was chosen, so nothing was done. Choose somebody, or all.",
            ));
        }
        Some("chosen") if named.len() > MOST_PEOPLE => {
            return Err(site.malformed(
                &actor.visitor,
                &format!("More than {MOST_PEOPLE} people were chosen; choose all, or fewer."),
            ));
        }
        Some("chosen") => named,
        Some(_) | None => {
            return Err(site.malformed(&actor.visitor, "It does not say about whom it is."));
        }
    };
    let mut asked = asked(actor, kind);
    asked.hold = Some(hold.get());
    asked.detail = match only.len() {
        0 => "all".to_owned(),
        1 => "1 person".to_owned(),
        several => format!("{several} people"),
    };
    let by = actor.approver();
    Ok((HoldDecision { hold, only, by }, asked))
}

fn asked(actor: &Actor, kind: ActionKind) -> AskedAction {
    AskedAction {
        by: actor.name.clone(),
        from: actor.visitor.from(),
        kind,
        job: None,
        hold: None,
        detail: String::new(),
    }
}

fn asked_of_job(actor: &Actor, kind: ActionKind, job: &str) -> AskedAction {
    // The name of a job that there is, is shorter.
    let job = Some(job.chars().take(100).collect());
    AskedAction {
        job,
        ..asked(actor, kind)
    }
}
