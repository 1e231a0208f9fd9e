//! What people did on the pages: who, from where, when, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use chrono_tz::Tz;
use serde::Serialize;

use super::{Site, answer::Answer, render::Frame, visitor::Visitor};
use crate::{
    model::{page_action::PageAction, readable_time::readable_time},
    state::files::StateError,
};

/// How many actions the page shows.
const ACTIONS: usize = 200;

/// How many plans it shows.
const PLANS: usize = 20;

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

#[derive(Debug, Serialize)]
struct ActionsPage {
    actions: Vec<ShownAction>,
    plans: Vec<ShownAction>,
}

/// `GET /actions`
pub(super) async fn page(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer {
    let visitor = visitor.reader(&site)?;
    let state = Arc::clone(&site.http.state);
    let read = move || Ok((state.page_actions(ACTIONS)?, state.page_plans(PLANS)?));
    let read: Result<_, StateError> = site.look(&visitor, read).await?;
    let (actions, plans) = read.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let zone = site.http.commands.status().zone().unwrap_or(Tz::UTC);
    let shown = |actions: Vec<PageAction>| {
        let actions = actions.into_iter();
        actions.map(|action| shown(action, zone)).collect()
    };
    let content = ActionsPage {
        actions: shown(actions),
        plans: shown(plans),
    };
    let frame = Frame {
        template: "actions.html",
        title: "Actions".to_owned(),
        part: "actions",
        refresh: None,
    };
    site.page(&visitor, frame, content).await
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
