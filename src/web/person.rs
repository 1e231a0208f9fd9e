//! One person: what would become of them, and why, as `explain` tells it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;

use super::{
    Site,
    answer::Answer,
    form::{Fields, query},
    history::NAME_LIMIT,
    render::Frame,
    run_page::ShownChange,
    visitor::Visitor,
};
use crate::{
    daemon::control::within,
    model::explanation::{ExplainedEntry, ExplainedUser, Explanation},
    run::text::page::Row,
};

/// How long an explanation may take: a little longer than the daemon itself lets it.
const LIMIT: Duration = Duration::from_secs(65);

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    passed: bool,
    detail: String,
}

/// An explanation as it is shown.
#[derive(Debug, Serialize)]
struct Explained {
    verdict: &'static str,
    reason: String,
    directory: String,
    ftrack: String,
    changes: Vec<ShownChange>,
    steps: Vec<Step>,
    commands: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct PersonPage {
    jobs: Vec<String>,
    job: String,
    who: String,
    explained: Option<Explained>,
    error: String,
    /// The runs that name the person.
    history: String,
}

/// `GET /person`: asks no server yet.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    RawQuery(asked): RawQuery,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let content = site.person(&Fields::of_query(asked.as_deref()));
    site.page(&visitor, frame(), content).await
}

/// `POST /person`: asks both servers.
pub(super) async fn explain(State(site): State<Arc<Site>>, visitor: Visitor, body: Body) -> Answer {
    let visitor = visitor.reader(&site)?.on_own_page(&site)?;
    let form = Fields::of_form(body).await;
    let form = form.map_err(|error| site.malformed(&visitor, &error.to_string()))?;
    let mut content = site.person(&form);
    if content.job.is_empty() || content.who.is_empty() {
        content.error = "A job and a person are needed.".to_owned();
        return site.page(&visitor, frame(), content).await;
    }
    if content.who.chars().count() > NAME_LIMIT {
        return Err(site.malformed(&visitor, "The person's name is too long."));
    }
    let explained = site.http.commands.explain(&content.job, &content.who);
    match within(LIMIT, explained).await {
        Ok(explained) => content.explained = Some(Explained::of(explained)),
        Err(error) if error.kind == crate::daemon::control::ApiErrorCode::AlreadyRunning => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(site.refuse(&visitor, status, "Busy", &error.error));
        }
        Err(error) => content.error = error.error,
    }
    site.page(&visitor, frame(), content).await
}

fn frame() -> Frame {
    Frame {
        template: "person.html",
        title: "One person".to_owned(),
        part: "person",
        refresh: None,
    }
}

impl Site {
    fn person(&self, fields: &Fields) -> PersonPage {
        let status = self.http.commands.status();
        let jobs: Vec<String> = status.jobs.iter().map(|job| job.job.clone()).collect();
        let only = jobs.first().filter(|_| jobs.len() == 1).cloned();
        let job = fields.get("job").map(str::to_owned).or(only);
        let job = job.unwrap_or_default();
        let who = fields.get("who").unwrap_or_default().to_owned();
        let history = if who.is_empty() {
            String::new()
        } else {
            format!("history?{}", query(&[("person", &who)]))
        };
        PersonPage {
            jobs,
            job,
            who,
            history,
            ..PersonPage::default()
        }
    }
}

impl Explained {
    fn of(explained: Explanation) -> Self {
        let Explanation {
            who: _,
            job,
            run: _,
            verdict,
            reason,
            renamed,
            directory,
            ftrack,
            change: _,
            changes,
            steps,
            commands,
        } = explained;
        let changes = changes.iter().map(|change| {
            let row = Row::plain(change);
            ShownChange::of(change.action.as_str(), row, &job)
        });
        let steps = steps.into_iter().map(|step| Step {
            step: step.step.in_words(),
            passed: step.passed,
            detail: step.detail,
        });
        let mut shown: Vec<String> = Vec::new();
        for line in commands.iter().flat_map(|command| command.lines()) {
            if !shown.iter().any(|one| one == line) {
                shown.push(line.to_owned());
            }
        }
        Self {
            verdict: verdict.in_words(false),
            reason: match renamed {
                Some(renamed) => format!("{renamed}; {reason}"),
                None => reason,
            },
            directory: directory.map_or_else(|| "no entry".to_owned(), entry),
            ftrack: ftrack.map_or_else(|| "no user".to_owned(), user),
            changes: changes.collect(),
            steps: steps.collect(),
            commands: shown,
        }
    }
}

fn entry(entry: ExplainedEntry) -> String {
    let id = entry.directory_id.map(|id| {
        let attribute = entry.id_attribute.as_deref().unwrap_or("id");
        format!(" ({attribute} {id})")
    });
    let server = entry.server.map(|server| format!(", at {server}"));
    format!(
        "{}{}{}",
        entry.dn,
        id.unwrap_or_default(),
        server.unwrap_or_default()
    )
}

fn user(user: ExplainedUser) -> String {
    let mut about = vec![user.ftrack_id.to_string()];
    about.extend(user.email);
    about.extend(
        user.is_active
            .map(|active| if active { "active" } else { "inactive" }.to_owned()),
    );
    about.extend((user.administrator == Some(true)).then(|| "administrator".to_owned()));
    about.extend(user.source.map(|source| format!("of the source {source}")));
    format!("{} ({})", user.username, about.join(", "))
}
