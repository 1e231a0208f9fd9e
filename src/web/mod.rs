//! The daemon's pages for people: made on the server of what the daemon knows and has saved, readable
//! without a script, and acting only through the daemon's own commands.
//!
//! Whoever is on this machine may look; everybody else, and every action, needs a token.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use minijinja::Environment;

mod actions;
mod actions_page;
mod answer;
mod attempts;
mod beside;
mod charts;
mod form;
mod history;
mod holds;
mod hosts;
mod job;
mod overview;
mod person;
mod plan;
mod render;
mod run_page;
mod sessions;
mod sign_in;
mod tokens;
mod underway;
mod visitor;

#[cfg(test)]
mod tests;

use crate::{daemon::http::HttpState, state::history::History};
use answer::Refused;
use attempts::Attempts;
use beside::Threads;
use sessions::Sessions;
use tokens::Unusable;
use underway::Underway;
use visitor::Visitor;

/// What the pages are made of.
struct Site {
    http: HttpState,
    templates: Environment<'static>,
    sessions: Sessions,
    attempts: Attempts,
    unusable: Unusable,
    underway: Underway,
    looks: Threads,
    notes: Threads,
    renders: Threads,
}

/// The pages over what a daemon knows.
pub fn pages(http: HttpState) -> Router {
    let templates = match render::templates() {
        Ok(templates) => templates,
        Err(error) => {
            let error = format!("the templates of this program are broken: {error:#}\n");
            let broken =
                move || async move { answer::plain(StatusCode::INTERNAL_SERVER_ERROR, error) };
            return Router::new().route("/", get(broken));
        }
    };
    let site = Arc::new(Site::new(http, templates));
    tokens::end_sessions_of_removed(&site);
    router(site)
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/jobs/{job}", get(job::page))
        .route("/jobs/{job}/run", post(actions::run))
        .route("/jobs/{job}/plan", post(plan::begin))
        .route("/jobs/{job}/pause", post(actions::pause))
        .route("/jobs/{job}/resume", post(actions::resume))
        .route("/history", get(history::page))
        .route("/runs/{job}/{run}", get(run_page::page))
        .route("/holds", get(holds::list))
        .route("/holds/{hold}", get(holds::page))
        .route("/holds/{hold}/approve", post(actions::approve))
        .route("/holds/{hold}/reject", post(actions::reject))
        .route("/plan", get(plan::page))
        .route("/person", get(person::page).post(person::explain))
        .route("/actions", get(actions_page::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/style.css", get(style))
        .route_layer(from_fn_with_state(
            Arc::clone(&site),
            hosts::only_known_hosts,
        ))
        .with_state(site)
}

async fn style(State(_): State<Arc<Site>>) -> Response {
    answer::style(include_str!("style.css")).into_response()
}

impl Site {
    fn new(http: HttpState, templates: Environment<'static>) -> Self {
        Self {
            http,
            templates,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            unusable: Unusable::default(),
            underway: Underway::default(),
            looks: Threads::of_looks(),
            notes: Threads::of_notes(),
            renders: Threads::of_pages(),
        }
    }

    fn history(&self) -> History {
        History::new(&self.http.state_dir)
    }

    /// Something of the state cannot be read.
    fn broken(&self, visitor: &Visitor, why: &str) -> Refused {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.refuse(visitor, status, "It cannot be read", why)
    }
}
