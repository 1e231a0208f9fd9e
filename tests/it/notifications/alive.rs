//! The dead man's switch: it is called after each run that shows that its job is alive.

use axum::http::Method;
use ftrack_ldap_sync::demo::ftrack::Fault;

use super::{events, sync, web::WebSink};
use crate::{rules::add_config, studio::Studio};

fn watched(method: &str) -> (Studio, WebSink) {
    let studio = Studio::of(&["ada"]);
    let sink = WebSink::start(studio.runtime());
    let url = sink.url("/alive/0123456789");
    add_config(
        &studio,
        &format!("[jobs.artists.notifications.alive]\nurl = {url:?}\n{method}\n"),
    );
    (studio, sink)
}

#[test]
fn it_is_called_after_each_good_run_and_after_no_other() {
    let (studio, sink) = watched("");
    sync(&studio, 0);
    sync(&studio, 0);
    let received = sink.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        (&received[0].method, received[0].path.as_str()),
        (&Method::GET, "/alive/0123456789")
    );
    // Nothing is told about a run that did not read everything for everybody, or failed.
    assert_eq!(studio.run(&["sync", "--dry-run"]).status, 0);
    assert_eq!(studio.run(&["sync", "--only", "ada"]).status, 0);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    sync(&studio, 1);
    assert_eq!(sink.received().len(), 2);
}

#[test]
fn it_is_called_by_post_where_that_is_wanted() {
    let (studio, sink) = watched("method = \"post\"");
    sync(&studio, 0);
    let received = sink.received();
    assert_eq!(
        (&received[0].method, received[0].body.len()),
        (&Method::POST, 0)
    );
}

#[test]
fn one_that_is_gone_fails_no_run() {
    let studio = Studio::of(&["ada"]);
    add_config(
        &studio,
        "[jobs.artists.notifications]\nattempts = 1\n[jobs.artists.notifications.alive]\nurl = \
         \"http://127.0.0.1:1/alive/0123456789\"\n",
    );
    let ended = sync(&studio, 0);
    let failed = events(&ended, "notification.failed");
    assert_eq!(failed[0]["receiver"], "alive");
    let error = failed[0]["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    assert!(!ended.stderr.contains("0123456789"), "{}", ended.stderr);
}
