//! The summary of a week, which a daemon sends.

use super::{SIGNED, told, web::WebSink};
use crate::{
    daemon::{Daemon, must},
    studio::{Studio, dn},
};

#[test]
fn a_digest_says_what_happened() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]).for_a_daemon("schedule = \"@yearly\"\n");
    let sink = WebSink::start(studio.runtime());
    must(&studio, 0, &["sync"]);
    studio.job.push_str("limits.deactivate = 0\n");
    studio.tree().remove(&dn("ada")).unwrap();
    must(&studio, 3, &["sync"]);
    // Each second, so that one comes soon.
    let keys = "on = [\"digest\"]\ndigest_schedule = \"* * * * * *\"";
    told(&studio, &sink, keys, SIGNED);
    let daemon = Daemon::start(&studio);
    let message = sink.received_when(1)[0].json();
    assert_eq!(message["occasions"], serde_json::json!(["digest"]));
    let digest = &message["digest"];
    assert_eq!(
        digest["runs"],
        serde_json::json!({"held": 1, "succeeded": 1})
    );
    assert_eq!(digest["written"]["created"], 3);
    assert_eq!(
        digest["users"],
        serde_json::json!({"owned": 3, "active": 3, "unsettled": 0})
    );
    assert_eq!(message["holds"][0]["people"], serde_json::json!(["ada"]));
    // The next one is another message.
    let received = sink.received_when(2);
    assert_ne!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    daemon.stop();
}
