//! What people did on the pages: who, from where, when, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use chrono_tz::Tz;
use serde::Serialize;

use super::{Site, answer::Answer, render::Frame, visitor::Visitor};
use crate::model::{page_action::PageAction, readable_time::readable_time};

/// How many actions the page shows.
const SHOWN: usize = 200;

#[derive(Debug, Serialize)]
struct ShownAction {
    number: u64,
    at: String,
    by: String,
    from: String,
    what: String,
    detail: String,
    result: String,
}

/// `GET /actions`
pub(super) async fn page(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer {
    let visitor = visitor.reader(&site)?;
    let state = Arc::clone(&site.http.state);
    let actions = site
        .look(&visitor, move || state.page_actions(SHOWN))
        .await?;
    let actions = actions.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let zone = site.http.commands.status().zone().unwrap_or(Tz::UTC);
    let actions = actions.into_iter().map(|action| shown(action, zone));
    let frame = Frame {
        template: "actions.html",
        title: "Actions",
        part: "actions",
        refresh: None,
    };
    let actions: Vec<ShownAction> = actions.collect();
    Ok(site.page(&visitor, frame, &actions))
}

fn shown(action: PageAction, zone: Tz) -> ShownAction {
    let asked = action.asked;
    let hold = asked.hold.map(|hold| format!("hold {hold}"));
    let what = [Some(asked.kind.as_str().to_owned()), asked.job, hold];
    let what: Vec<String> = what.into_iter().flatten().collect();
    ShownAction {
        number: action.number,
        at: readable_time(action.at, &zone),
        by: if asked.by.is_empty() {
            "somebody on this machine".to_owned()
        } else {
            asked.by
        },
        from: asked.from,
        what: what.join(" "),
        detail: asked.detail,
        result: action
            .result
            .unwrap_or_else(|| "under way, or not known".to_owned()),
    }
}
