//! `pause --all` and `resume --all`: the emergency stop is one command, however many jobs there are.

use ftrack_ldap_sync::model::{change::HeldBy, report::Report};
use serde_json::{Value, json};

use super::held;
use crate::{
    daemon::{Daemon, must, status},
    rules::{add_config, leave},
    studio::{Studio, person},
};

const STOP: [&str; 6] = ["pause", "--all", "--only", "deactivate", "--reason", "odd"];
const GO_ON: [&str; 4] = ["resume", "--all", "--only", "deactivate"];

/// A daemon's studio with two jobs that read a directory, both of them synced.
fn of_two_jobs() -> Studio {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon("schedule = \"@yearly\"");
    for uid in ["xia", "yan"] {
        let mut entry = person(uid, "Given", uid);
        entry.dn = format!("uid={uid},ou=services,dc=studio,dc=test");
        studio.tree().add(entry).unwrap();
    }
    add_config(
        &studio,
        "[jobs.guests]\ndirectory = \"studio\"\nschedule = \"@yearly\"\nsearch_bases = \
         [\"ou=services,dc=studio,dc=test\"]\nfilter = \"(objectClass=inetOrgPerson)\"\nattributes = { username = \
         \"uid\" }\n",
    );
    for job in ["artists", "guests"] {
        must(&studio, 0, &["sync", job]);
    }
    studio
}

/// Adds a job whose changes ftrack decides.
fn add_builtin(studio: &Studio) {
    let folder = studio.folder().join("config.d");
    std::fs::write(
        folder.join("nightly.toml"),
        "[jobs.nightly]\nkind = \"ftrack-ldap\"\n",
    )
    .unwrap();
}

fn run(studio: &Studio, arguments: &[&str]) -> Report {
    studio
        .run(&[arguments, &["--format", "json"]].concat())
        .report()
}

/// The pauses of each job, as the status has them.
fn paused(studio: &Studio) -> Vec<(Value, Value)> {
    let status = status(studio);
    let jobs = status["jobs"].as_array().unwrap().iter();
    jobs.map(|job| {
        let kinds = &job["paused_kinds"]["deactivate"];
        (job["pause"]["reason"].clone(), kinds["reason"].clone())
    })
    .collect()
}

#[test]
fn a_daemon_stops_deactivations_of_every_job() {
    let studio = of_two_jobs();
    let daemon = Daemon::start(&studio);
    let said = must(&studio, 0, &STOP).stdout;
    assert_eq!(
        said,
        "deactivate of artists is paused until `resume artists --only deactivate`.\n\
         deactivate of guests is paused until `resume guests --only deactivate`.\n"
    );
    assert_eq!(
        paused(&studio),
        [(Value::Null, json!("odd")), (Value::Null, json!("odd"))]
    );
    let told = daemon.events("job.paused");
    let jobs: Vec<&Value> = told.iter().map(|event| &event["job"]).collect();
    assert_eq!(jobs, [&json!("artists"), &json!("guests")]);
    let text = must(&studio, 0, &["status"]).stdout;
    for job in ["artists", "guests"] {
        let note = format!("{job}: deactivate paused: odd (since ");
        assert!(text.contains(&note), "{text}");
    }
    leave(&studio, "ada");
    studio
        .tree()
        .remove("uid=xia,ou=services,dc=studio,dc=test")
        .unwrap();
    for (job, login) in [("artists", "ada"), ("guests", "xia")] {
        let report = run(&studio, &["trigger", job]);
        assert_eq!(held(&report), [(login, HeldBy::Paused)], "{report:#?}");
    }
    let said = must(&studio, 0, &GO_ON).stdout;
    for job in ["artists", "guests"] {
        let resumed = format!("deactivate of {job} is resumed; next run: ");
        assert!(said.contains(&resumed), "{said}");
    }
    for job in ["artists", "guests"] {
        let report = run(&studio, &["trigger", job]);
        assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    }

    // Whole jobs as well.
    let said = must(&studio, 0, &["pause", "--all", "--reason", "a move"]).stdout;
    assert!(
        said.starts_with("artists is paused until `resume artists`.\nguests is paused until ")
            && said.contains("The daemon starts no run of them. `sync` by hand"),
        "{said}"
    );
    let moved = || (json!("a move"), Value::Null);
    assert_eq!(paused(&studio), [moved(), moved()]);
    must(&studio, 0, &["resume", "--all"]);
    assert_eq!(
        paused(&studio),
        [(Value::Null, Value::Null), (Value::Null, Value::Null)]
    );
    // A time that is none pauses nobody.
    must(&studio, 2, &["pause", "--all", "--until", "soon"]);
    must(&studio, 2, &["pause", "artists", "--all"]);
    let said = must(&studio, 2, &["pause", "--only", "deactivate"]).stderr;
    assert!(said.contains("--all"), "{said}");
    assert_eq!(
        paused(&studio),
        [(Value::Null, Value::Null), (Value::Null, Value::Null)]
    );
    daemon.stop();
}

#[test]
fn what_cannot_be_stopped_is_named_and_everything_else_is_stopped() {
    let studio = of_two_jobs();
    add_builtin(&studio);
    let named = "nightly: ftrack decides what a run of nightly changes, so no kind of change can be \
                 paused by itself; `pause nightly` pauses the whole job";
    let is_stopped = |said: &crate::studio::Ended| {
        said.stderr.contains(named)
            && said.stdout.contains("deactivate of artists is paused")
            && said.stdout.contains("deactivate of guests is paused")
    };
    // Without a daemon, and with one.
    let said = must(&studio, 1, &STOP);
    assert!(is_stopped(&said), "{}{}", said.stdout, said.stderr);
    leave(&studio, "ada");
    let report = run(&studio, &["sync", "artists"]);
    assert_eq!(held(&report), [("ada", HeldBy::Paused)], "{report:#?}");
    let said = must(&studio, 0, &GO_ON);
    assert!(!said.stdout.contains("nightly"), "{}", said.stdout);
    assert!(
        said.stdout.contains("deactivate of guests is resumed.\n"),
        "{}",
        said.stdout
    );
    let report = run(&studio, &["sync", "artists"]);
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");

    let daemon = Daemon::start(&studio);
    let said = must(&studio, 1, &STOP);
    assert!(is_stopped(&said), "{}{}", said.stdout, said.stderr);
    must(&studio, 0, &GO_ON);
    // The whole job can be.
    must(&studio, 0, &["pause", "--all"]);
    let all = status(&studio);
    let jobs = all["jobs"].as_array().unwrap();
    assert!(
        jobs.len() == 3 && jobs.iter().all(|job| job["phase"] == "paused"),
        "{all:#}"
    );
    must(&studio, 0, &["resume", "--all"]);
    daemon.stop();
}
