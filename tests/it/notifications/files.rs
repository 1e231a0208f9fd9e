//! Files of receivers that cannot be read for a while, and keys that are none.

use super::{SIGNED, events, occasions, sync, told, web::WebSink};
use crate::{
    daemon::{Daemon, must},
    rules::add_config,
    studio::{Studio, dn},
};

#[test]
fn a_ca_file_that_is_there_again_is_used_without_a_reload() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"\n");
    let sink = WebSink::start(studio.runtime());
    let ca_file = studio.folder().join("hook-ca.pem");
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&ca_file, key.cert.pem()).unwrap();
    let keys = "on = [\"changes\"]\nattempts = 1";
    told(
        &studio,
        &sink,
        keys,
        &format!("{SIGNED}\nca_file = {ca_file:?}"),
    );
    let daemon = Daemon::start(&studio);
    let aside = studio.folder().join("aside.pem");
    std::fs::rename(&ca_file, &aside).unwrap();
    must(&studio, 0, &["trigger"]);
    let failed = daemon.event("notification.failed");
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("hook-ca.pem"), "{error}");
    assert!(sink.received().is_empty());
    std::fs::rename(&aside, &ca_file).unwrap();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    must(&studio, 0, &["trigger"]);
    let received = sink.received_when(2);
    assert_eq!(occasions(&received), [["changes"], ["changes"]]);
    assert_eq!(received[0].json()["counts"]["created"], 1);
    daemon.stop();
}

#[test]
fn a_key_that_does_not_decode_is_an_error_with_its_cure() {
    for (key, problem) in [
        (
            "whsec_this is text of its own",
            "what stands behind whsec_ is not base64: copy the key as the receiver shows it, all of it",
        ),
        (
            "whsec_c2hvcnQ=",
            "a key of fewer than 16 bytes could be guessed; `openssl rand -base64 32` makes one",
        ),
        (
            "short",
            "a key of fewer than 16 characters could be guessed",
        ),
    ] {
        let studio = Studio::of(&[]);
        let file = studio.folder().join("key");
        std::fs::write(&file, key).unwrap();
        add_config(
            &studio,
            "[notifications.webhook]\nurl = \"http://127.0.0.1:1/hook\"\nsecret_file = \"key\"\n",
        );
        let ended = studio.run(&["--log-format", "text", "check", "--offline"]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status, 2, "{said}");
        assert!(
            said.contains(&format!("notifications.webhook.secret_file: {problem}")),
            "{said}"
        );
        assert!(
            !said.contains("this is text") && !said.contains("c2hv"),
            "{said}"
        );
    }
}

#[test]
fn a_key_that_is_no_key_any_more_signs_nothing_until_it_is_one_again() {
    let studio = Studio::of(&["ada"]);
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "on = [\"changes\"]\nattempts = 1", SIGNED);
    // As if it were replaced between loading and sending: the file is read before each call.
    let gate = studio.hold(ftrack_ldap_sync::demo::ftrack::CallKind::Read);
    let running = studio.start(&["sync"]);
    assert!(gate.wait_for(1, crate::daemon::LIMIT));
    std::fs::write(studio.folder().join("hook-secret"), "whsec_no key").unwrap();
    gate.open();
    let ended = crate::studio::Ended::of(running.wait_with_output().unwrap());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let failed = events(&ended, "notification.failed");
    let error = failed[0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("its signing key: what stands behind"),
        "{error}"
    );
    assert!(sink.received().is_empty());
    std::fs::write(studio.folder().join("hook-secret"), super::SECRET).unwrap();
    sync(&studio, 0);
    assert_eq!(occasions(&sink.received()), [["changes"]]);
}
