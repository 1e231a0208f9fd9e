//! Standard error is open, but not read, or not for a while.

use std::time::{Duration, Instant};

use ftrack_ldap_sync::model::report::Report;

use super::{Daemon, all_of, end_of, event, missed, studio_of};
use crate::{
    daemon::must,
    studio::{Studio, person},
};

#[test]
fn a_sync_whose_log_is_never_read_ends_as_ever() {
    let studio = studio_of(2000);
    let mut sync = studio.start(&["sync", "--format", "json"]);
    let unread = sync.stderr.take().unwrap();
    let stdout = all_of(sync.stdout.take().unwrap());
    assert_eq!(end_of(&mut sync).code(), Some(0));
    let report: Report = serde_json::from_str(&stdout.join().unwrap()).unwrap();
    assert_eq!(report.counts.created, 2000);
    assert_eq!(studio.ftrack().users().len(), 2002);
    drop(unread);
}

#[test]
fn errors_that_nobody_reads_hold_up_nobody() {
    let studio = studio_of(1);
    // Each mistake is a line of its own, and together they are more than a pipe holds.
    let name = "x".repeat(1500);
    let mistakes: String = (0..100)
        .map(|number| format!("[jobs.{name}{number}]\nno_key = {number}\n"))
        .collect();
    crate::rules::add_config(&studio, &mistakes);
    for form in ["text", "json"] {
        let mut sync = studio.start(&["sync", "--log-format", form]);
        let unread = sync.stderr.take().unwrap();
        assert_eq!(end_of(&mut sync).code(), Some(2), "{form}");
        drop(unread);
    }
}

#[test]
fn a_daemon_whose_log_is_never_read_answers_runs_and_ends() {
    let studio = nameless().watched();
    for uid in ["ada", "bob", "cyd"] {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    let mut daemon = Daemon::start(&studio);
    let unread = daemon.0.stderr.take().unwrap();
    studio.wait_until_ready();
    let triggered = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(
        (triggered.counts.created, triggered.skipped.len()),
        (3, NAMELESS)
    );
    assert!(studio.dropped() > 0, "no line was dropped");
    let began = Instant::now();
    assert_eq!(studio.page("/healthz").unwrap().0, 200);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    studio.tree().add(person("dan", "Given", "Dan")).unwrap();
    assert_eq!(
        must(&studio, 0, &["trigger", "--format", "json"])
            .report()
            .counts
            .created,
        1
    );
    daemon.stop();
    drop(unread);
}

/// So many entries are left out, whose DNs are so long that the log lines about them are more than
/// the program keeps.
const NAMELESS: usize = 2300;

/// A studio of entries without a login.
fn nameless() -> Studio {
    let studio = Studio::empty();
    for number in 0..NAMELESS {
        let cn = format!("{number:05}{}", "x".repeat(4000));
        let mut entry = person("x", "No", "Login");
        entry.dn = format!("cn={cn},ou=people,dc=studio,dc=test");
        entry
            .attributes
            .retain(|(name, _)| name != "uid" && name != "cn");
        studio.tree().add(entry.with("cn", cn)).unwrap();
    }
    studio
}

#[test]
fn a_reader_that_stalls_is_told_how_much_it_missed_and_gets_whole_lines() {
    let studio = nameless().watched();
    let mut daemon = Daemon::start(&studio);
    let unread = daemon.0.stderr.take().unwrap();
    studio.wait_until_ready();
    let report = must(&studio, 0, &["trigger", "--format", "json"]).report();
    assert_eq!(report.skipped.len(), NAMELESS);
    let dropped = studio.dropped();
    assert!(dropped > 0, "no line was dropped");

    let log = all_of(unread);
    must(&studio, 0, &["pause"]);
    must(&studio, 0, &["resume"]);
    assert_eq!(studio.dropped(), dropped, "who reads misses nothing");
    daemon.stop();
    let lines: Vec<_> = log.join().unwrap().lines().map(event).collect();
    assert_eq!(missed(&lines), dropped);
    let count = |name: &str| lines.iter().filter(|(event, _)| event == name).count();
    // The end of the run was dropped with the last of the entries, and what came later was not.
    let sent = [
        ("daemon.started", 1),
        ("contact.made", 2),
        ("run.started", 1),
        ("directory.read", 1),
        ("ftrack.read", 1),
        ("run.planned", 1),
        ("entry.skipped", NAMELESS),
        ("run.finished", 1),
        ("job.paused", 1),
        ("job.resumed", 1),
        ("daemon.stopping", 1),
        ("daemon.stopped", 1),
    ];
    for (name, sent) in sent {
        assert!(count(name) <= sent, "{name} came {} times", count(name));
    }
    let (received, sent) = (
        lines.len() - count("log.dropped"),
        sent.iter().map(|(_, sent)| sent).sum::<usize>(),
    );
    assert_eq!(received as u64 + dropped, sent as u64);
    // It stands where the lines are missing.
    let place = |name: &str| lines.iter().position(|(event, _)| event == name).unwrap();
    assert!(
        place("log.dropped") > place("entry.skipped") && place("log.dropped") < place("job.paused")
    );
}
