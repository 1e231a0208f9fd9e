//! `notify test`: each receiver gets a test, and each trouble is named.

use super::{
    HIDDEN, SIGNED,
    smtp::{MailSink, Manner},
    told,
    web::{Answer, WebSink},
};
use crate::{rules::add_config, studio::Studio};

#[test]
fn each_receiver_gets_a_test() {
    let studio = Studio::of(&[]);
    let sink = WebSink::start(studio.runtime());
    let mails = MailSink::start(studio.runtime(), studio.folder(), Manner::default());
    let mail = format!(
        "[notifications.mail]\nserver = \"smtp://localhost:{}\"\nstart_tls = false\nfrom = \
         \"sync@studio.test\"\nto = [\"it@studio.test\"]\n[jobs.artists.notifications.alive]\nurl = \
         {:?}\n",
        mails.port(),
        sink.url("/alive")
    );
    told(&studio, &sink, "", &format!("{SIGNED}\n{mail}"));
    let ended = studio.run(&["notify", "test"]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "artists  mail     it@studio.test by localhost: sent",
            "artists  webhook  127.0.0.1: sent",
            "artists  alive    127.0.0.1: sent",
        ]
    );
    assert_eq!(mails.mails().len(), 1);
    let received = sink.received();
    assert_eq!(received.len(), 2);
    let of_hook = received.iter().find(|one| one.path != "/alive").unwrap();
    assert_eq!(of_hook.json()["occasions"], serde_json::json!(["test"]));
    sink.answer_all(Answer::Refused(403, "invalid_token".into(), None));
    let ended = studio.run(&["notify", "test", "artists", "--format", "json"]);
    assert_eq!(ended.status, 1, "{}{}", ended.stdout, ended.stderr);
    let tested: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(tested[0]["error"], serde_json::Value::Null);
    assert_eq!(tested[1]["error"], "127.0.0.1: HTTP 403: invalid_token");
    assert!(!ended.stdout.contains(HIDDEN), "{}", ended.stdout);
}

#[test]
fn nobody_to_be_told_and_no_such_job_are_bad_usage() {
    let studio = Studio::of(&[]);
    let ended = studio.run(&["--log-format", "text", "notify", "test"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("[notifications.mail]"),
        "{}",
        ended.stderr
    );
    let ended = studio.run(&["--log-format", "text", "notify", "test", "artist"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("did you mean \"artists\""),
        "{}",
        ended.stderr
    );
    add_config(&studio, "[notifications]\non = []\n");
    let ended = studio.run(&["--log-format", "text", "notify", "test"]);
    assert_eq!(ended.status, 2);
}

#[test]
fn each_mistake_in_the_configuration_is_named_where_it_is() {
    let studio = Studio::of(&[]);
    add_config(
        &studio,
        "[notifications]\non = [\"faild\"]\n[notifications.mail]\nserver = \
         \"smtp://mail.studio.test\"\nstart_tls = false\nfrom = \"sync at studio\"\nuser = \
         \"sync\"\npassword = \"planted\"\n[notifications.webhook]\nform = \"slack\"\nurl = \
         \"http://hooks.studio.test/planted\"\nsecret = \
         \"too-short\"\n[jobs.artists.notifications.mail]\nto = [\"it\"]\n",
    );
    let ended = studio.run(&["--log-format", "text", "check", "--offline"]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status, 2, "{said}");
    for part in [
        "more.toml:2: notifications.on[0]: \"faild\" is nothing to be told",
        "did you mean \"failed\"?",
        "more.toml:4: notifications.mail.server: the password would go over the network",
        "notifications.mail.from: \"sync at studio\" is not a mail address",
        "jobs.artists.notifications.mail.to[0]: \"it\" is not a mail address",
        "notifications.webhook.url: anybody on the network could read it",
        "notifications.webhook.secret: a key of fewer than 16 characters",
        "notifications.webhook.secret: only messages of the form \"json\" are signed",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(
        said.lines()
            .filter(|line| line.starts_with("error: "))
            .count(),
        7,
        "{said}"
    );
    assert!(
        !said.contains("planted") && !said.contains("too-short"),
        "{said}"
    );
}

#[test]
fn the_effective_configuration_of_each_job_is_shown_without_its_secrets() {
    let studio = Studio::of(&[]);
    let sink = WebSink::start(studio.runtime());
    let more = "[notifications.mail]\nserver = \"smtp://mail.studio.test\"\nfrom = \"Sync \
                <sync@studio.test>\"\nto = [\"it@studio.test\"]\nuser = \"sync\"\npassword = \
                \"planted\"\n[jobs.artists.notifications.mail]\nto = [\"leads@studio.test\"]";
    told(
        &studio,
        &sink,
        "time_limit = \"3s\"",
        &format!("{SIGNED}\n{more}"),
    );
    let ended = studio.run(&["config", "show"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let shown: serde_json::Value = toml::from_str(&ended.stdout).unwrap();
    assert_eq!(shown["notifications"], serde_json::Value::Null);
    let of_job = &shown["jobs"]["artists"]["notifications"];
    assert_eq!(
        of_job["on"],
        serde_json::json!(["failed", "recovered", "held", "partial"])
    );
    assert_eq!(of_job["time_limit"], "3s");
    assert_eq!(
        of_job["mail"]["to"],
        serde_json::json!(["leads@studio.test"])
    );
    assert_eq!(of_job["mail"]["password"], "********");
    let file = studio.folder().join("hook-url");
    assert_eq!(of_job["webhook"]["url_file"], file.to_str().unwrap());
    assert!(
        !ended.stdout.contains("planted") && !ended.stdout.contains(HIDDEN),
        "{}",
        ended.stdout
    );
    // It means the same when it is read again.
    std::fs::write(studio.folder().join("shown.toml"), &ended.stdout).unwrap();
    let again = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
        .arg("--config")
        .arg(studio.folder().join("shown.toml"))
        .args(["config", "show"])
        .env_clear()
        .output()
        .unwrap();
    let again = String::from_utf8(again.stdout).unwrap();
    let kept = |text: &str| {
        let (_, notifications) = text.split_once("[jobs.artists.notifications]").unwrap();
        notifications.to_owned()
    };
    assert_eq!(kept(&again), kept(&ended.stdout));
}
