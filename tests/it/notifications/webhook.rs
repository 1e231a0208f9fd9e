//! What is told when, and in which form.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use ftrack_ldap_sync::demo::ftrack::Fault;
use serde_json::Value;

use super::{
    HIDDEN, NAMED, SECRET, SIGNED, events, named, occasions,
    smtp::{MailSink, Manner},
    sync, told,
    web::{Answer, Received, WebSink},
};
use crate::studio::{Ended, Studio, dn};

/// A studio that tells a sink what happens.
fn telling(uids: &[&str], keys: &str, webhook: &str) -> (Studio, WebSink) {
    let studio = Studio::of(uids);
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, keys, webhook);
    (studio, sink)
}

/// Checks the signature as a receiver would that has the secret.
fn assert_signed(received: &Received) {
    let (id, time) = (
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
    );
    assert_eq!(received.json()["id"], id);
    let age = Utc::now().timestamp() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
    let signature = received.header("webhook-signature");
    let signature = BASE64_STANDARD
        .decode(signature.strip_prefix("v1,").unwrap())
        .unwrap();
    let mut signed = format!("{id}.{time}.").into_bytes();
    signed.extend_from_slice(&received.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, &signed, &signature).unwrap();
    signed.push(b' ');
    hmac::verify(&key, &signed, &signature).unwrap_err();
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let (studio, sink) = telling(&["ada"], "", SIGNED);
    sync(&studio, 0);
    assert!(sink.received().is_empty(), "nothing is new");
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    sync(&studio, 1);
    sync(&studio, 1);
    let [failed] = &sink.received()[..] else {
        panic!("{:#?}", sink.received());
    };
    assert_eq!(failed.path, format!("/hooks/{HIDDEN}"));
    assert_signed(failed);
    let message = failed.json();
    assert_eq!(message["occasions"], serde_json::json!(["failed"]));
    assert_eq!(
        (&message["job"], &message["outcome"]),
        (&"artists".into(), &"failed".into())
    );
    assert!(
        message["error"].as_str().unwrap().contains("404"),
        "{message:#}"
    );
    studio.ftrack().heal();
    sync(&studio, 0);
    sync(&studio, 0);
    assert_eq!(occasions(&sink.received()), [["failed"], ["recovered"]]);
}

#[test]
fn an_interrupted_run_is_no_outage() {
    let (studio, sink) = telling(&["ada"], "", SIGNED);
    sync(&studio, 0);
    let gate = studio.hold(ftrack_ldap_sync::demo::ftrack::CallKind::Read);
    let running = studio.start(&["sync"]);
    assert!(gate.wait_for(1, crate::daemon::LIMIT));
    let id = running.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(killed.unwrap().success());
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    gate.open();
    studio.ftrack().heal();
    sync(&studio, 0);
    assert!(sink.received().is_empty(), "{:#?}", sink.received());
}

#[test]
fn a_hold_is_told_once_with_the_way_to_approve_it() {
    let keys = "page_url = \"https://sync.studio.test/below/\"";
    let (mut studio, sink) = telling(&["ada", "bob", "cyd"], keys, SIGNED);
    sync(&studio, 0);
    studio.job = "limits.deactivate = 0\n".into();
    studio.tree().remove(&dn("ada")).unwrap();
    sync(&studio, 3);
    sync(&studio, 3);
    let [held] = &sink.received()[..] else {
        panic!("{:#?}", sink.received());
    };
    let message = held.json();
    assert_eq!(message["occasions"], serde_json::json!(["held"]));
    let hold = &message["holds"][0];
    let number = hold["hold"].as_u64().unwrap();
    assert_eq!(
        (
            &hold["held_by"],
            &hold["kind"],
            &hold["changes"],
            &hold["people"]
        ),
        (
            &"limit".into(),
            &"deactivate".into(),
            &1.into(),
            &serde_json::json!(["ada"])
        )
    );
    assert_eq!(
        hold["url"],
        format!("https://sync.studio.test/below/holds/{number}")
    );
    assert_eq!(
        hold["command"],
        format!("ftrack-ldap-sync approve {number}")
    );
    // Another one is news.
    studio.tree().remove(&dn("bob")).unwrap();
    sync(&studio, 3);
    assert_eq!(occasions(&sink.received()).len(), 2);
}

#[test]
fn what_waits_for_a_window_alone_is_not_told() {
    let (mut studio, sink) = telling(&["ada", "bob"], "", SIGNED);
    sync(&studio, 0);
    let year = chrono::Datelike::year(&Utc::now());
    studio.job = format!(
        "freezes = [{{ from = \"{year}-01-01\", to = \"{}-12-31\", what = [\"deactivate\"] }}]\n",
        year + 1
    );
    studio.tree().remove(&dn("ada")).unwrap();
    let ended = sync(&studio, 0);
    assert_eq!(events(&ended, "hold.opened").len(), 1, "{}", ended.stderr);
    assert!(sink.received().is_empty(), "{:#?}", sink.received());
}

#[test]
fn what_could_not_be_done_is_told_when_it_is_new() {
    let (studio, sink) = telling(&["ada", "bob"], "", SIGNED);
    let refuse = |uids: &[&str]| {
        let uids: Vec<String> = uids.iter().map(|uid| (*uid).to_owned()).collect();
        studio
            .ftrack()
            .change_rules(|rules| rules.refused_users = uids.into_iter().collect());
    };
    refuse(&["ada"]);
    sync(&studio, 4);
    sync(&studio, 4);
    let [partial] = &sink.received()[..] else {
        panic!("{:#?}", sink.received());
    };
    let message = partial.json();
    assert_eq!(message["occasions"], serde_json::json!(["partial"]));
    assert_eq!(message["people"][0]["username"], "ada");
    assert_eq!(message["people"][0]["result"], "failed");
    studio.tree().replace(&dn("bob"), "sn", &["New"]).unwrap();
    refuse(&["ada", "bob"]);
    sync(&studio, 4);
    let [_, more] = &sink.received()[..] else {
        panic!("{:#?}", sink.received());
    };
    let people = more.json()["people"].as_array().unwrap().clone();
    assert_eq!(people.len(), 1, "{people:#?}");
    assert_eq!(people[0]["username"], "bob");
}

#[test]
fn each_run_with_changes_is_told_where_that_is_wanted() {
    let keys = "on = [\"changes\"]";
    let (studio, sink) = telling(&["ada"], keys, SIGNED);
    sync(&studio, 0);
    sync(&studio, 0);
    assert_eq!(studio.run(&["sync", "--dry-run"]).status, 0);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    sync(&studio, 1);
    let [changes] = &sink.received()[..] else {
        panic!("{:#?}", sink.received());
    };
    let message = changes.json();
    assert_eq!(message["counts"]["created"], 1);
    assert_eq!(message["people"][0]["username"], "ada");
    assert_eq!(message["people"][0]["action"], "create");
}

#[test]
fn an_answer_that_may_pass_is_tried_again_and_another_is_not() {
    let keys = "on = [\"changes\"]\nattempts = 3";
    let (studio, sink) = telling(&["ada"], keys, SIGNED);
    sink.answer_next([
        Answer::Status(500),
        Answer::Refused(429, "slow down".into(), Some(1)),
    ]);
    let ended = sync(&studio, 0);
    let sent = events(&ended, "notification.sent");
    assert_eq!(sent[0]["attempts"], 3, "{}", ended.stderr);
    let received = sink.received();
    assert_eq!(received.len(), 3);
    let ids: std::collections::BTreeSet<&str> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert_eq!(
        ids.len(),
        1,
        "a receiver can tell that it is the same message"
    );
    // It repeats the address, and it does not end.
    let huge = format!("no {HIDDEN} here {}", "x".repeat(1 << 20));
    sink.answer_next([Answer::Refused(404, huge, None)]);
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let ended = sync(&studio, 0);
    let failed = events(&ended, "notification.failed");
    assert_eq!((&failed[0]["attempts"], failed.len()), (&1.into(), 1));
    assert_eq!(failed[0]["error"], "127.0.0.1: HTTP 404: ********");
    sink.answer_next([Answer::Refused(
        410,
        format!("gone {}", "x".repeat(1 << 20)),
        None,
    )]);
    studio.tree().replace(&dn("ada"), "sn", &["Newer"]).unwrap();
    let ended = sync(&studio, 0);
    let error = events(&ended, "notification.failed")[0]["error"].to_string();
    assert!(
        error.contains("HTTP 410: gone xxx") && error.len() < 400,
        "{error}"
    );
    sink.answer_next([Answer::Status(302)]);
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Newest"])
        .unwrap();
    let ended = sync(&studio, 0);
    let error = events(&ended, "notification.failed")[0]["error"].to_string();
    assert!(error.contains("which is not followed"), "{error}");
}

#[test]
fn the_alarm_of_ftracks_own_synchronisation_is_told() {
    let (studio, sink) = telling(&["ada"], "", SIGNED);
    sync(&studio, 0);
    std::fs::write(
        studio.folder().join("config.d/nightly.toml"),
        "[jobs.nightly]\nkind = \"ftrack-ldap\"\nlimits.deactivate = 0\n",
    )
    .unwrap();
    let mut ada = studio.user("ada");
    ada.is_active = false;
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_users = vec![ada]);
    let ended = studio.run(&["sync", "nightly"]);
    assert_eq!(ended.status, 4, "{}{}", ended.stdout, ended.stderr);
    let message = sink.received_when(1)[0].json();
    assert_eq!(message["occasions"], serde_json::json!(["partial"]));
    assert_eq!(
        (&message["job"], &message["alarm"]),
        (&"nightly".into(), &true.into())
    );
    assert_eq!(message["people"][0]["username"], "ada");
    assert_eq!(message["people"][0]["action"], "deactivate");
}

/// A login that is markup everywhere.
const HOSTILE: &str = "`*<!channel>*` @all [x](https://evil.test) <script>alert(1)</script>";

/// The messages about somebody with such a login: that a run failed because of it, in an error, and
/// that the user could not be created.
fn hostile(form: &str) -> Vec<Value> {
    let keys = "page_url = \"https://sync.studio.test\"";
    let (studio, sink) = telling(&[], keys, &format!("form = {form:?}"));
    let unseen = format!("{HOSTILE} \u{202e}");
    studio.tree().add(named(&unseen)).unwrap();
    sync(&studio, 1);
    studio.tree().replace(NAMED, "uid", &[HOSTILE]).unwrap();
    studio
        .ftrack()
        .change_rules(|rules| rules.refused_users = [HOSTILE.to_owned()].into());
    sync(&studio, 4);
    let received = sink.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].header("webhook-signature"), "");
    received.iter().map(Received::json).collect()
}

#[test]
fn names_are_no_markup_in_slack() {
    for message in hostile("slack") {
        let text = message["attachments"][0]["text"].as_str().unwrap();
        assert!(text.contains("&lt;script&gt;"), "{text}");
        assert!(
            !text.contains("<!channel>") && !text.contains('\u{202e}'),
            "{text}"
        );
        // All of it stands in code, in which nobody is mentioned and nothing is a link.
        for line in text.lines().filter(|line| line.contains("@all")) {
            let (before, code) = line.split_once('`').unwrap();
            assert!(!before.contains("@all"), "{line}");
            assert!(
                code.ends_with('`') && code.matches('`').count() == 1,
                "{line}"
            );
        }
        let link = text.lines().last().unwrap();
        assert!(
            link.starts_with("<https://sync.studio.test/runs/artists/2")
                && link.ends_with("|web page>"),
            "{text}"
        );
    }
}

#[test]
fn names_are_no_markup_in_teams() {
    for message in hostile("teams") {
        let attachment = &message["attachments"][0];
        assert_eq!(message["type"], "message");
        assert_eq!(
            attachment["contentType"],
            "application/vnd.microsoft.card.adaptive"
        );
        let card = &attachment["content"];
        assert_eq!(card["type"], "AdaptiveCard");
        let mut shown = String::new();
        for block in card["body"].as_array().unwrap() {
            // A TextBlock would read Markdown.
            assert_eq!(block["type"], "RichTextBlock", "{block:#}");
            for run in block["inlines"].as_array().unwrap() {
                assert_eq!(run["type"], "TextRun");
                shown.push_str(run["text"].as_str().unwrap());
            }
        }
        assert!(shown.contains("[x](https://evil.test)"), "{shown}");
        assert!(!shown.contains('\u{202e}'), "{shown}");
        let actions = card["actions"].as_array().unwrap();
        assert_eq!(actions.len(), 1);
        let url = actions[0]["url"].as_str().unwrap();
        assert!(
            url.starts_with("https://sync.studio.test/runs/artists/"),
            "{url}"
        );
    }
}

#[test]
fn a_mass_of_people_fits_into_each_form() {
    let names: Vec<String> = (0..300)
        .map(|nth| format!("person-with-a-long-login-{nth}"))
        .collect();
    let uids: Vec<&str> = names.iter().map(String::as_str).collect();
    for (form, most) in [("json", 64_000), ("slack", 16_000), ("teams", 28_000)] {
        let keys = "on = [\"changes\"]";
        let (studio, sink) = telling(&uids, keys, &format!("form = {form:?}"));
        sync(&studio, 0);
        let received = sink.received_when(1);
        assert!(
            received[0].body.len() < most,
            "{form}: {}",
            received[0].body.len()
        );
        if form == "json" {
            let message = received[0].json();
            assert_eq!(message["people"].as_array().unwrap().len(), 50);
            assert_eq!(message["more_people"], 250);
        }
    }
}

#[test]
fn no_secret_is_logged_however_much_is() {
    let studio = Studio::of(&["ada"]);
    let sink = WebSink::start(studio.runtime());
    let manner = Manner {
        login: Some("c3luYw==".into()),
        ..Manner::default()
    };
    let mails = MailSink::start(studio.runtime(), studio.folder(), manner);
    let mail = format!(
        "[notifications.mail]\nserver = \"smtp://localhost:{}\"\nstart_tls = false\nfrom = \
         \"sync@studio.test\"\nto = [\"it@studio.test\"]\nuser = \"sync\"\npassword = \
         \"smtp-planted-password\"",
        mails.port()
    );
    told(
        &studio,
        &sink,
        "on = [\"changes\"]",
        &format!("{SIGNED}\n{mail}"),
    );
    sink.answer_next([Answer::Refused(404, format!("/hooks/{HIDDEN}"), None)]);
    let mut command = studio.command(&["--verbose", "--log-format", "json", "sync"]);
    command.env(
        "RUST_LOG",
        "trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace",
    );
    let ended = Ended::of(command.output().unwrap());
    let encoded = BASE64_STANDARD.encode("\0sync\0smtp-planted-password");
    assert!(ended.stderr.contains("TRACE"), "{}", ended.stderr);
    assert_eq!(
        events(&ended, "notification.failed").len(),
        2,
        "{}",
        ended.stderr
    );
    for secret in [HIDDEN, SECRET, "smtp-planted-password", &encoded] {
        assert!(
            !ended.stderr.contains(secret),
            "{secret} is in {}",
            ended.stderr
        );
    }
    assert!(
        ended.stdout.contains("Not everybody was told about it"),
        "{}",
        ended.stdout
    );
}
