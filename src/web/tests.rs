//! What the pages do beside each other, with nobody behind the commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use axum::{
    body::to_bytes,
    extract::FromRequestParts,
    http::{Request, StatusCode},
    response::IntoResponse,
};
use chrono::Utc;
use serde::{Serialize, Serializer, ser::Error};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::*;
use crate::{
    config::{Environment, load},
    daemon::{
        commands::{CommandError, Commands, DaemonCommand},
        control::within,
        heartbeat::Heartbeat,
        metrics::{ConnectionFigures, Metrics},
        status::Status,
    },
    model::page_action::{ActionKind, AskedAction},
    state::State as Database,
};
use form::Fields;
use render::Frame;
use run_page::Part;
use underway::About;

/// Longer than anything may take here, and shorter than a page waits.
const LIMIT: Duration = Duration::from_secs(5);

/// The pages of a daemon that takes commands and never answers.
struct Pages {
    site: Arc<Site>,
    visitor: Visitor,
    _folder: TempDir,
    _commands: mpsc::Receiver<DaemonCommand>,
}

impl Pages {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.toml");
        let text = "state_dir = \"state\"\n[ftrack]\nserver = \"http://127.0.0.1:1\"\napi_user = \
                    \"a\"\napi_key = \"k\"\n[jobs.nightly]\nkind = \"ftrack-ldap\"\n";
        fs::write(&file, text).unwrap();
        let config = load(&file, &Environment::default()).unwrap();
        let (database, _) = Database::open(&config).unwrap();
        let (_, status) = watch::channel(Arc::new(Status::starting(&file, Utc::now())));
        let (orders, commands) = mpsc::channel(16);
        let site = Arc::new(Site::new(
            HttpState {
                commands: Commands::new(orders, status),
                heartbeat: Arc::new(Heartbeat::new()),
                metrics: Arc::new(Metrics::new().unwrap()),
                figures: Arc::new(ConnectionFigures::default),
                hosts: [].into(),
                has_named_hosts: false,
                trusted_proxies: [].into(),
                tokens: watch::channel([].into()).1,
                state: Arc::new(database),
                state_dir: config.state_dir.as_path().into(),
            },
            render::templates().unwrap(),
        ));
        let (mut parts, ()) = Request::builder().uri("/").body(()).unwrap().into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, &site).await;
        Self {
            site,
            visitor: visitor.unwrap(),
            _folder: folder,
            _commands: commands,
        }
    }
}

fn asked() -> AskedAction {
    AskedAction {
        by: "eva".to_owned(),
        from: "127.0.0.1".to_owned(),
        kind: ActionKind::Resume,
        job: Some("nightly".to_owned()),
        hold: None,
        detail: String::new(),
    }
}

#[tokio::test]
async fn an_action_does_not_wait_for_those_who_search_the_history() {
    let pages = Pages::new().await;
    let (site, visitor) = (&pages.site, &pages.visitor);
    let mut ends: Vec<Sender<()>> = Vec::new();
    // As many as may read at the same time, and as many who wait for that.
    for _ in 0..4 {
        let (end, ended) = channel::<()>();
        ends.push(end);
        let (site, visitor) = (Arc::clone(site), visitor.clone());
        tokio::spawn(async move { site.look(&visitor, move || ended.recv().is_ok()).await });
    }
    while site.looks.are_free() {
        tokio::task::yield_now().await;
    }
    let done = site.act(visitor, asked(), async { Ok("resumed".to_owned()) });
    let done = timeout(LIMIT, done).await;
    assert!(matches!(done, Ok(Ok(()))), "it waited");
    let saved = site.http.state.page_actions(10).unwrap();
    assert_eq!(saved[0].result.as_deref(), Some("resumed"));
}

/// A page that is not made before this is sent.
struct Slow(Receiver<()>);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.recv_timeout(LIMIT).map_err(S::Error::custom)?;
        serde_json::json!({"title": "title", "text": "text"}).serialize(serializer)
    }
}

#[tokio::test]
async fn a_page_that_takes_long_delays_nothing_else() {
    let pages = Pages::new().await;
    let (send, sent) = channel();
    let frame = Frame {
        template: "message.html",
        title: "Slow".to_owned(),
        part: "",
        refresh: None,
    };
    // All on one thread, as in the daemon.
    let page = pages.site.page(&pages.visitor, frame, Slow(sent));
    let (page, sent) = tokio::join!(page, async move { send.send(()) });
    assert!(sent.is_ok());
    assert_eq!(page.into_response().status(), StatusCode::OK);
}

#[tokio::test]
async fn where_the_daemon_does_not_answer_it_is_not_known_what_was_done() {
    let pages = Pages::new().await;
    let commands = pages.site.http.commands.clone();
    let work = async move {
        let resumed = within(Duration::from_millis(20), commands.resume("nightly", None)).await;
        resumed.map(|_| "resumed".to_owned())
    };
    let refused = pages.site.act(&pages.visitor, asked(), work).await;
    let answer = refused.unwrap_err().into_response();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    let page = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(
        page.contains("It is not known whether it was done"),
        "{page}"
    );
    let saved = pages.site.http.state.page_actions(10).unwrap();
    let result = saved[0].result.as_deref().unwrap();
    assert!(result.starts_with("not known: "), "{result}");
}

#[tokio::test]
async fn who_asks_for_something_is_saved_before_it_is_done() {
    let pages = Pages::new().await;
    let saved = |pages: &Pages| {
        let state = Arc::clone(&pages.site.http.state);
        move || state.page_actions(10).unwrap().len()
    };
    let at_once = saved(&pages);
    let work = async move {
        assert_eq!(at_once(), 1);
        Ok("done".to_owned())
    };
    let done = pages.site.act(&pages.visitor, asked(), work).await;
    assert!(done.is_ok());
    let begun = saved(&pages);
    let command = async move {
        assert_eq!(begun(), 2);
        Err(CommandError::Stopping)
    };
    let what = (About::Run("nightly".to_owned()), asked());
    let refused = pages.site.begin(&pages.visitor, what, command).await;
    let answer = refused.unwrap_err().into_response();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn no_report_is_looked_for_under_a_name_that_is_none_of_a_saved_run() {
    let pages = Pages::new().await;
    for run in ["20200101-000000-0000", "../../config", ""] {
        let part = Part::of(&Fields::of_query(None));
        let found = pages
            .site
            .report(&pages.visitor, "nightly", run, part)
            .await;
        assert!(matches!(found, Ok(None)), "{run}");
    }
}
