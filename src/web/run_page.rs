//! The report of one run.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use serde::Serialize;

use super::{
    Site,
    answer::Answer,
    form::{Fields, query, segment},
    history::zone_of,
    overview::run_href,
    render::Frame,
    visitor::Visitor,
};
use crate::{
    model::fold::fold,
    run::text::page::{Fact, Line, Page, Row},
};

/// How many changes a page shows.
const CHANGES: usize = 100;

/// How many skipped entries and warnings a page shows.
const MORE: usize = 200;

/// A change on a page.
#[derive(Debug, Serialize)]
pub(super) struct ShownChange {
    /// What is done to whom, such as `deactivate`.
    pub action: &'static str,
    username: String,
    /// The page about the person.
    href: String,
    /// The page of the hold that has it; empty without one.
    hold: String,
    about: Vec<String>,
    result: &'static str,
    values: Vec<Line>,
    reasons: Vec<String>,
}

/// A kind of change, and how many there are of it.
#[derive(Debug, Serialize)]
struct Kind {
    action: &'static str,
    title: String,
    href: String,
    is_chosen: bool,
}

/// A report, as far as one page shows it.
#[derive(Debug, Serialize)]
pub(super) struct ShownReport {
    title: String,
    class: &'static str,
    href: String,
    job: String,
    facts: Vec<Fact>,
    kinds: Vec<Kind>,
    kind: String,
    who: String,
    changes: Vec<ShownChange>,
    /// How many changes match.
    matching: usize,
    held: Vec<String>,
    skipped: Vec<Fact>,
    skipped_all: usize,
    warnings: Vec<String>,
    warnings_all: usize,
    summary: Vec<String>,
    earlier: String,
    later: String,
}

/// What of a report is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    kind: String,
    who: String,
    page: usize,
}

impl Part {
    pub(super) fn of(fields: &Fields) -> Self {
        Self {
            kind: fields.get("kind").unwrap_or_default().to_owned(),
            who: fields.get("who").unwrap_or_default().to_owned(),
            page: fields.page(),
        }
    }
}

/// `GET /runs/JOB/RUN`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path((job, run)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let part = Part::of(&Fields::of_query(asked.as_deref()));
    let shown = site.report(&visitor, &job, &run, part).await?;
    let Some(shown) = shown else {
        return Err(site.missing(&visitor, "There is no such run, or its report was removed."));
    };
    let title = shown.title.clone();
    let frame = Frame {
        template: "run.html",
        title,
        part: "history",
        refresh: None,
    };
    site.page(&visitor, frame, shown).await
}

impl Site {
    /// A part of a report; none where there is no such report.
    pub(super) async fn report(
        &self,
        visitor: &Visitor,
        job: &str,
        run: &str,
        part: Part,
    ) -> Result<Option<ShownReport>, super::answer::Refused> {
        let zone = zone_of(&self.http.commands.status(), Some(job));
        let (history, job, run) = (self.history(), job.to_owned(), run.to_owned());
        let shown = self
            .look(visitor, move || {
                // No path is made of a name that is not one of a saved run.
                let known = history
                    .runs(Some(&job))
                    .map_err(|error| error.to_string())?;
                if !known.iter().any(|(known, _)| *known == run) {
                    return Ok(None);
                }
                let report = history
                    .load(&job, &run)
                    .map_err(|error| error.to_string())?;
                let page = Page::plain(&report, &zone);
                Ok(Some(ShownReport::of(page, &job, &run, &part)))
            })
            .await?;
        shown.map_err(|error: String| self.broken(visitor, &error))
    }
}

impl ShownReport {
    fn of(page: Page, job: &str, run: &str, part: &Part) -> Self {
        let href = run_href(job, run);
        let link = |kind: &str, number: usize| {
            let number = if number > 1 {
                number.to_string()
            } else {
                String::new()
            };
            let all = [("kind", kind), ("who", &part.who), ("page", &number)];
            format!("{href}?{}", query(&all))
        };
        let kinds = page.kinds.iter().map(|kind| Kind {
            action: kind.action,
            title: kind.title.clone(),
            href: link(kind.action, 1),
            is_chosen: kind.action == part.kind,
        });
        let kinds: Vec<Kind> = kinds.collect();
        let wanted = fold(&part.who);
        let is_wanted = |row: &Row| {
            wanted.is_empty()
                || fold(&row.username).contains(&*wanted)
                || row.about.iter().any(|text| fold(text).contains(&*wanted))
        };
        let chosen = page
            .kinds
            .into_iter()
            .filter(|kind| part.kind.is_empty() || kind.action == part.kind);
        let matching: Vec<(&'static str, Row)> = chosen
            .flat_map(|kind| kind.changes.into_iter().map(move |row| (kind.action, row)))
            .filter(|(_, row)| is_wanted(row))
            .collect();
        let all = matching.len();
        let number = part.page.max(1);
        let first = (number - 1).saturating_mul(CHANGES);
        let changes = matching.into_iter().skip(first).take(CHANGES);
        let changes: Vec<ShownChange> = changes
            .map(|(action, row)| ShownChange::of(action, row, job))
            .collect();
        let is_more = all > first.saturating_add(changes.len());
        let (skipped_all, warnings_all) = (page.skipped.len(), page.warnings.len());
        Self {
            title: page.title,
            class: match page.outcome {
                "failed" => "trouble",
                _ if page.trouble => "held",
                _ => "calm",
            },
            job: job.to_owned(),
            facts: page.facts,
            kinds,
            kind: part.kind.clone(),
            who: part.who.clone(),
            changes,
            matching: all,
            held: page.held,
            skipped: page.skipped.into_iter().take(MORE).collect(),
            skipped_all,
            warnings: page.warnings.into_iter().take(MORE).collect(),
            warnings_all,
            summary: page.summary,
            earlier: if number > 1 {
                link(&part.kind, number - 1)
            } else {
                String::new()
            },
            later: if is_more {
                link(&part.kind, number + 1)
            } else {
                String::new()
            },
            href,
        }
    }
}

impl ShownChange {
    /// A change of a job.
    pub(super) fn of(action: &'static str, row: Row, job: &str) -> Self {
        let who = query(&[("job", job), ("who", &row.who)]);
        Self {
            action,
            href: format!("person?{who}"),
            hold: row.hold.map_or_else(String::new, |hold| {
                format!("holds/{}", segment(&hold.to_string()))
            }),
            username: row.username,
            about: row.about,
            result: row.result,
            values: row.values,
            reasons: row.reasons,
        }
    }
}
