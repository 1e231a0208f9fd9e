//! Log events: every logged event has the documented name, level and fields, and every documented
//! event is logged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, fs};

use ftrack_ldap_sync::{
    demo::ftrack::{Account, CallKind, Fault},
    event::{EVENTS, daemon, notification, program, web},
};
use serde_json::{Map, Value, json};

use crate::{
    rules::{account, add_config, by_hand},
    studio::{Studio, dn, person},
};

/// The JSON lines that a command left on standard error.
fn lines(stderr: &str) -> Vec<Map<String, Value>> {
    stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Checks each line against the promise and notes which events there were.
fn check(stderr: &str, seen: &mut BTreeSet<String>) -> Vec<Map<String, Value>> {
    let lines = lines(stderr);
    for line in &lines {
        seen.insert(check_line(line));
    }
    lines
}

/// Checks one line against the promise, and says which event it is.
pub fn check_line(line: &Map<String, Value>) -> String {
    let name = line["event"].as_str().unwrap();
    let promised = promised().find(|(promised, _, _)| *promised == name);
    let (_, level, fields) = promised.unwrap_or_else(|| panic!("{name} is not promised"));
    assert!(
        level
            .split([',', ' ', ';'])
            .any(|word| line["level"] == word),
        "{line:?}"
    );
    let beyond: BTreeSet<&str> = line
        .keys()
        .map(String::as_str)
        .filter(|key| !["timestamp", "level", "event", "message"].contains(key))
        .collect();
    assert_eq!(beyond, fields.iter().copied().collect(), "{name}");
    assert!(chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
    name.to_owned()
}

/// Every event that a log monitor may build on.
fn promised() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static [&'static str])>
{
    EVENTS
        .iter()
        .chain(program::EVENTS)
        .chain(daemon::EVENTS)
        .chain(notification::EVENTS)
        .chain(web::EVENTS)
}

#[test]
fn every_event_is_as_promised_and_every_promised_event_is_said() {
    let mut seen = BTreeSet::new();
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    let mut no_login = person("x", "No", "Login");
    no_login.dn = "cn=nobody\\0aforged,ou=people,dc=studio,dc=test".into();
    no_login.attributes.retain(|(name, _)| name != "uid");
    no_login.attributes.retain(|(name, _)| name != "cn");
    let no_login = no_login.with("cn", "nobody\nforged");
    studio.tree().add(no_login).unwrap();
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("dan".into());
    });
    studio
        .ftrack()
        .fail_next(Some(CallKind::Read), Fault::Html(502));
    let first = check(&studio.run(&["sync"]).stderr, &mut seen);
    let named = |event: &str| {
        let line = first.iter().find(|line| line["event"] == event);
        let line = line.unwrap_or_else(|| panic!("no {event} in {first:#?}"));
        (line.get("job").cloned(), line.get("run").cloned())
    };
    assert_eq!(named("ftrack.retried"), named("run.started"));

    studio
        .ftrack()
        .change_rules(|rules| rules.refused_users.clear());
    check(&studio.run(&["sync"]).stderr, &mut seen);
    // A server that is gone after it accepted a change.
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let mut is_written = false;
    studio.ftrack().fail_when(move |call| {
        is_written |= call.kind == CallKind::Write;
        (is_written && call.kind == CallKind::Read).then_some(Fault::KeyRefused)
    });
    check(&studio.run(&["sync"]).stderr, &mut seen);
    studio.ftrack().heal();
    for uid in ["bob", "cyd"] {
        studio.tree().remove(&dn(uid)).unwrap();
    }
    let stranger = Account {
        metadata: [("ftrack-ldap-sync".to_owned(), "no link".to_owned())].into(),
        ..account("stranger")
    };
    studio.ftrack().add_user(&stranger).unwrap();
    studio.job = "limits.deactivate = 0\n".into();
    check(&studio.run(&["sync"]).stderr, &mut seen);
    // A person rejects what is held, and takes that back.
    let held = studio.run(&["holds", "--format", "json"]).stdout;
    let held: Value = serde_json::from_str(&held).unwrap();
    let hold = held[0]["hold"].to_string();
    let said = check(&studio.run(&["reject", &hold]).stderr, &mut seen);
    let rejected = said.iter().find(|line| line["event"] == "hold.rejected");
    let uid = rustix::process::getuid().as_raw();
    let by = json!(format!("uid {uid}"));
    assert_eq!(rejected.unwrap()["by"], by);
    let said = check(&studio.run(&["unreject", &hold]).stderr, &mut seen);
    let taken_back = said.iter().find(|line| line["event"] == "hold.unrejected");
    assert_eq!(taken_back.unwrap()["by"], by);
    check(&studio.run(&["sync"]).stderr, &mut seen);
    // Nobody gets a seat any more.
    studio.ftrack().change_rules(|rules| rules.seats = Some(1));
    studio.tree().add(person("eve", "Eve", "E")).unwrap();
    check(&studio.run(&["sync"]).stderr, &mut seen);
    studio.ftrack().change_rules(|rules| rules.seats = None);
    studio.tree().remove(&dn("eve")).unwrap();
    // What is held is done by hand.
    for uid in ["bob", "cyd"] {
        by_hand(&studio, uid, &json!({"is_active": false}));
    }
    check(&studio.run(&["sync"]).stderr, &mut seen);

    // A run that was cut off: its journal stands without a report.
    let journals = studio.state_dir().join("journals/artists");
    let reports = studio.state_dir().join("reports/artists");
    let one = fs::read_dir(&reports)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let report: Value = serde_json::from_str(&fs::read_to_string(&one).unwrap()).unwrap();
    fs::create_dir_all(&journals).unwrap();
    fs::write(
        journals.join(one.with_extension("jsonl").file_name().unwrap()),
        format!("{report}\n"),
    )
    .unwrap();
    fs::remove_file(one).unwrap();
    check(&studio.run(&["sync"]).stderr, &mut seen);

    // The database is damaged.
    fs::write(studio.state_dir().join("state.db"), "no database").unwrap();
    check(&studio.run(&["sync"]).stderr, &mut seen);

    // The report has nowhere to go.
    fs::remove_dir_all(studio.state_dir().join("reports")).unwrap();
    fs::write(studio.state_dir().join("reports"), "in the way").unwrap();
    check(&studio.run(&["sync"]).stderr, &mut seen);

    check(&studio.run(&["sync", "nobody"]).stderr, &mut seen);

    // ftrack's own synchronisation deactivates more than the job's limits say.
    add_config(
        &studio,
        "[jobs.nightly]\nkind = \"ftrack-ldap\"\nlimits.deactivate = 0\n",
    );
    let mut ada = studio.user("ada");
    ada.is_active = false;
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_users = vec![ada]);
    check(&studio.run(&["sync", "nightly"]).stderr, &mut seen);

    // Nothing changed, which only those who look for it are told.
    let mut quiet = Studio::of(&["ada"]);
    quiet.job = "schedule = \"@yearly\"\nchanges_schedule = \"@daily\"\n".into();
    check(&quiet.run(&["sync"]).stderr, &mut seen);
    let filter = ["--log-filter", "ftrack_ldap_sync=debug"];
    let looks = quiet.run(&[&filter[..], &["sync", "--changes"]].concat());
    check(&looks.stderr, &mut seen);
    let promised: BTreeSet<String> = EVENTS
        .iter()
        .map(|(name, _, _)| (*name).to_owned())
        .collect();
    assert_eq!(seen, promised);
}

#[test]
fn a_dry_run_is_told_from_another() {
    let studio = Studio::of(&["ada"]);
    for (arguments, is_dry) in [(&["sync", "--dry-run"][..], true), (&["sync"], false)] {
        let lines = lines(&studio.run(arguments).stderr);
        for event in ["run.started", "run.planned", "run.finished"] {
            let line = lines.iter().find(|line| line["event"] == event).unwrap();
            assert_eq!(line["dry_run"], is_dry, "{line:?}");
        }
    }
    let text = |arguments: &[&str]| studio.run(arguments).stderr;
    let dry = text(&["--verbose", "--log-format", "text", "sync", "--dry-run"]);
    assert_eq!(dry.matches("dry run").count(), 3, "{dry}");
    let other = text(&["--verbose", "--log-format", "text", "sync"]);
    assert!(!other.contains("dry"), "{other}");
}

#[test]
fn a_change_says_why_and_which_values_from_what_to_what() {
    let studio = Studio::of(&["ada", "bob"]);
    let events = |stderr: &str| -> Vec<Map<String, Value>> {
        let lines = lines(stderr).into_iter();
        lines
            .filter(|line| line["event"].as_str().unwrap().starts_with("change."))
            .collect()
    };
    let created = events(&studio.run(&["sync"]).stderr);
    assert_eq!(created.len(), 2);
    assert!(
        created[0]["fields"]
            .as_str()
            .unwrap()
            .contains("is_active: null -> true"),
        "{created:?}"
    );
    let tree = studio.tree();
    tree.replace(&dn("ada"), "sn", &["Holm\"; is_active: \"\u{202e}"])
        .unwrap();
    tree.replace(&dn("ada"), "givenName", &[&"A".repeat(250)])
        .unwrap();
    tree.remove(&dn("bob")).unwrap();
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("ada".into());
    });
    let stderr = studio.run(&["sync"]).stderr;
    assert!(!stderr.contains('\u{202e}'), "{stderr}");
    let changes = events(&stderr);
    let of = |event: &str| {
        let change = changes.iter().find(|change| change["event"] == event);
        change.unwrap_or_else(|| panic!("no {event} in {changes:#?}"))
    };
    let (failed, applied) = (of("change.failed"), of("change.applied"));
    assert_eq!(failed["reason"], "the directory has other values");
    let fields = failed["fields"].as_str().unwrap();
    assert!(
        fields.ends_with(r#"last_name: "ada" -> "Holm\"; is_active: \"\u{202e}""#),
        "{fields}"
    );
    assert!(
        fields.contains(&format!("{}…\"; ", "A".repeat(200))),
        "{fields}"
    );
    assert_eq!(applied["username"], "bob");
    assert_eq!(applied["fields"], "is_active: true -> false");
    assert_eq!(
        (&applied["cause"], &failed["cause"]),
        (&"absent".into(), &"".into())
    );
    assert!(
        applied["reason"]
            .as_str()
            .unwrap()
            .contains("no longer in the directory"),
        "{applied:?}"
    );
}

#[test]
fn the_page_lists_every_event() {
    let page = crate::readme::text_of("deploy/monitoring/logs/README.md");
    for (name, level, fields) in promised() {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let row = format!("| `{name}` | {level} | {} |", fields.join(", "));
        assert!(page.contains(&row), "the page lacks the row\n{row}");
    }
}
