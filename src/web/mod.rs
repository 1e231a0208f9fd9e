//! The daemon's pages for people: made on the server of what the daemon knows and has saved, readable
//! without a script, and acting only through the daemon's own commands.
//!
//! Whoever is on this machine may look; everybody else, and every action, needs a token.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use minijinja::Environment;
use tokio::{sync::Semaphore, time::timeout};

mod actions;
mod actions_page;
mod answer;
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
mod underway;
mod visitor;

use crate::{
    daemon::http::HttpState,
    state::history::{History, Listed, RunFilter},
};
use answer::Refused;
use sessions::{Attempts, Sessions};
use underway::Underway;
use visitor::Visitor;

/// How many pages read files or the state database at the same time.
const LOOKS: usize = 2;

/// How long a page waits for that.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// What the pages are made of.
struct Site {
    http: HttpState,
    templates: Environment<'static>,
    sessions: Sessions,
    attempts: Attempts,
    underway: Underway,
    looks: Arc<Semaphore>,
    /// The same for what is to be done, which no page that somebody looks at keeps waiting.
    notes: Arc<Semaphore>,
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
    let site = Arc::new(Site {
        http,
        templates,
        sessions: Sessions::default(),
        attempts: Attempts::default(),
        underway: Underway::default(),
        looks: Arc::new(Semaphore::new(LOOKS)),
        notes: Arc::new(Semaphore::new(LOOKS)),
    });
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
    fn history(&self) -> History {
        History::new(&self.http.state_dir)
    }

    /// Does what waits for a disk, beside everything else, a few at a time.
    async fn look<T: Send + 'static>(
        &self,
        visitor: &Visitor,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        self.beside(&self.looks, visitor, work).await
    }

    /// Does such work in one of these places.
    async fn beside<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        visitor: &Visitor,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let busy = |why: &str| self.refuse(visitor, StatusCode::SERVICE_UNAVAILABLE, "Busy", why);
        let place = timeout(LOOK_LIMIT, Arc::clone(places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(busy("Other pages are being made; try again in a moment."));
        };
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match timeout(LOOK_LIMIT, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(busy("The disk of the state directory does not answer.")),
        }
    }

    /// The newest runs that match.
    async fn runs(
        &self,
        visitor: &Visitor,
        filter: RunFilter,
        limit: usize,
    ) -> Result<Listed, Refused> {
        let history = self.history();
        let listed = self
            .look(visitor, move || history.list(&filter, limit))
            .await?;
        listed.map_err(|error| self.broken(visitor, &error.to_string()))
    }

    /// Something of the state cannot be read.
    fn broken(&self, visitor: &Visitor, why: &str) -> Refused {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.refuse(visitor, status, "It cannot be read", why)
    }
}
