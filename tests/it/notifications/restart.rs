//! Restarts: what was not delivered is delivered by the next program, and what was is not sent again.

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::demo::ftrack::Fault;

use super::{
    SIGNED, is_of_changes, occasions, sync, told,
    web::{Answer, WebSink},
};
use crate::{
    daemon::{Daemon, LIMIT, must},
    slapd::wait_until,
    studio::{Studio, dn},
};

/// A studio whose daemon tells this sink; a failed run is not retried by itself.
fn telling(keys: &str) -> (Studio, WebSink) {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"\nretry = { initial = \"1h\", max = \"1h\" }\n");
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, keys, SIGNED);
    (studio, sink)
}

fn database(studio: &Studio) -> rusqlite::Connection {
    rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap()
}

/// How many messages wait in the state.
fn kept(studio: &Studio) -> i64 {
    let query = "SELECT count(*) FROM undelivered_messages";
    let count = database(studio).query_row(query, [], |row| row.get(0));
    count.unwrap()
}

fn kept_when(studio: &Studio, expected: i64) {
    assert!(
        wait_until(LIMIT, || kept(studio) == expected),
        "{} messages",
        kept(studio)
    );
}

/// A change, which must be told.
fn change(studio: &Studio, name: &str) {
    studio.tree().replace(&dn("ada"), "sn", &[name]).unwrap();
    must(studio, 0, &["trigger"]);
}

#[test]
fn what_was_not_delivered_is_delivered_once_after_a_restart() {
    let (studio, sink) = telling("attempts = 1");
    sink.answer_all(Answer::Status(503));
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    daemon.event("notification.failed");
    daemon.stop();
    sink.answer_all(Answer::Status(200));
    let daemon = Daemon::start(&studio);
    daemon.event("notification.sent");
    let received = sink.received();
    assert_eq!(occasions(&received), [["failed"], ["failed"]]);
    let id = |nth: usize| received[nth].header("webhook-id");
    assert_eq!(id(0), id(1));
    kept_when(&studio, 0);
    daemon.stop();
    // The third one has nothing to deliver but what is new.
    let daemon = Daemon::start(&studio);
    studio.ftrack().heal();
    must(&studio, 0, &["trigger"]);
    assert_eq!(
        occasions(&sink.received_when(3)),
        [["failed"], ["failed"], ["recovered"]]
    );
    daemon.event("notification.sent");
    daemon.stop();
}

#[test]
fn what_was_on_its_way_when_the_daemon_was_killed_is_sent_again() {
    let (studio, sink) = telling("on = [\"changes\"]\ntime_limit = \"1h\"");
    sink.answer_all(Answer::Never);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    sink.received_when(1);
    change(&studio, "Two");
    // The second waits for the first, and is on disk as well.
    kept_when(&studio, 2);
    daemon.kill();
    sink.answer_all(Answer::Status(200));
    let daemon = Daemon::start(&studio);
    let received = sink.received_when(3);
    let ids: Vec<&str> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    kept_when(&studio, 0);
    daemon.stop();
}

/// Notes again that nobody was told of a run that ended then, as it is noted together with its end.
fn untold(studio: &Studio, run: &str, at: DateTime<Utc>) {
    let note = "INSERT INTO undelivered_messages (job, receiver, id, at, message, settled) VALUES \
                ('artists', 'run', ?1, ?2, 'null', '[]')";
    let at = at.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string();
    database(studio).execute(note, [run, &at]).unwrap();
}

#[test]
fn a_run_of_which_a_killed_daemon_told_nobody_is_told_once_by_the_next_one() {
    let (studio, sink) = telling("on = [\"changes\"]");
    let daemon = Daemon::start(&studio);
    // As if it were killed before it could take back that nobody was told.
    let keep = "CREATE TRIGGER untold BEFORE DELETE ON undelivered_messages WHEN OLD.receiver = 'run' \
                BEGIN SELECT RAISE(IGNORE); END";
    database(&studio).execute(keep, []).unwrap();
    must(&studio, 0, &["trigger"]);
    daemon.event("notification.sent");
    kept_when(&studio, 1);
    daemon.kill();
    database(&studio)
        .execute("DROP TRIGGER untold", [])
        .unwrap();
    assert_eq!(kept(&studio), 1);
    let run = studio.reports().remove(0).run;
    untold(&studio, "20200101-000000-0000", Utc::now());
    let daemon = Daemon::start(&studio);
    daemon.event("notification.sent");
    let received = sink.received_when(2);
    let id = |nth: usize| received[nth].header("webhook-id");
    assert_eq!(id(0), id(1), "who got it before knows it");
    kept_when(&studio, 0);
    daemon.kill();
    // Of one that ended long ago nobody is told.
    untold(&studio, &run, Utc::now() - TimeDelta::days(2));
    let daemon = Daemon::start(&studio);
    kept_when(&studio, 0);
    change(&studio, "Two");
    let received = sink.received_when(3);
    assert_ne!(
        received[2].header("webhook-id"),
        received[0].header("webhook-id")
    );
    daemon.stop();
}

#[test]
fn what_a_command_could_not_deliver_the_next_one_or_a_daemon_does() {
    let (studio, sink) = telling("on = [\"changes\"]\nattempts = 1");
    sink.answer_all(Answer::Status(503));
    sync(&studio, 0);
    assert_eq!(kept(&studio), 1);
    sink.answer_all(Answer::Status(200));
    sync(&studio, 0);
    assert_eq!(occasions(&sink.received()), [["changes"], ["changes"]]);
    assert_eq!(kept(&studio), 0);
    // While a daemon runs, it is the daemon's.
    let daemon = Daemon::start(&studio);
    sink.answer_all(Answer::Status(503));
    studio.tree().replace(&dn("ada"), "sn", &["Two"]).unwrap();
    sync(&studio, 0);
    sync(&studio, 0);
    assert_eq!(sink.received().len(), 3, "the second leaves it alone");
    assert_eq!(kept(&studio), 1);
    sink.answer_all(Answer::Status(200));
    must(&studio, 0, &["trigger"]);
    daemon.event("notification.sent");
    assert_eq!(sink.received().len(), 4);
    kept_when(&studio, 0);
    daemon.stop();
}

#[test]
fn what_is_too_old_or_has_no_receiver_any_more_is_dropped() {
    let (studio, sink) = telling("on = [\"changes\"]\nattempts = 1");
    sink.answer_all(Answer::Status(503));
    sync(&studio, 0);
    let old = "UPDATE undelivered_messages SET at = '2020-01-01T00:00:00.000000000Z'";
    assert_eq!(database(&studio).execute(old, []).unwrap(), 1);
    let daemon = Daemon::start(&studio);
    let dropped = daemon.event("notification.dropped");
    is_of_changes(&dropped, "its receiver has not taken it for seven days");
    kept_when(&studio, 0);
    change(&studio, "Two");
    daemon.event("notification.failed");
    kept_when(&studio, 1);
    std::fs::write(studio.folder().join("config.d/more.toml"), "").unwrap();
    daemon.signal("HUP");
    let dropped = daemon.nth_event(1, "notification.dropped");
    assert_eq!(dropped["error"], "its receiver is not configured any more");
    kept_when(&studio, 0);
    daemon.stop();
}

#[test]
fn a_digest_that_was_missed_is_made_up_for_once() {
    let digest = "on = [\"digest\", \"changes\"]\ndigest_schedule = \"0 0 1 1 *\"\nattempts = 1";
    let (studio, sink) = telling(digest);
    let daemon = Daemon::start(&studio);
    let marks = || -> i64 {
        let query = "SELECT count(*) FROM digests WHERE schedule = '0 0 1 1 *'";
        let count = database(&studio).query_row(query, [], |row| row.get(0));
        count.unwrap()
    };
    assert!(wait_until(LIMIT, || marks() == 1));
    daemon.stop();
    assert!(sink.received().is_empty(), "none was due");
    // Many were due since then, and the receiver does not take the one.
    let long_ago = "UPDATE digests SET until = '2020-06-01T00:00:00.000000000Z'";
    assert_eq!(database(&studio).execute(long_ago, []).unwrap(), 1);
    sink.answer_all(Answer::Status(503));
    let daemon = Daemon::start(&studio);
    let failed = daemon.event("notification.failed");
    assert_eq!(failed["occasions"], "digest");
    daemon.stop();
    sink.answer_all(Answer::Status(200));
    let daemon = Daemon::start(&studio);
    let received = sink.received_when(2);
    assert_eq!(occasions(&received), [["digest"], ["digest"]]);
    assert_eq!(received[0].json()["id"], received[1].json()["id"]);
    daemon.event("notification.sent");
    daemon.stop();
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    assert_eq!(
        occasions(&sink.received_when(3)),
        [["digest"], ["digest"], ["changes"]]
    );
    daemon.stop();
    // Another schedule begins anew.
    assert_eq!(database(&studio).execute(long_ago, []).unwrap(), 1);
    let other = digest.replace("1 1 *", "2 1 *");
    told(&studio, &sink, &other, SIGNED);
    let daemon = Daemon::start(&studio);
    change(&studio, "Two");
    assert_eq!(occasions(&sink.received_when(4))[3..], [["changes"]]);
    daemon.stop();
}

#[test]
fn a_run_that_left_no_report_is_told_once_over_a_restart() {
    let (studio, sink) = telling("");
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    let locks = studio.state_dir().join("locks");
    let aside = studio.state_dir().join("locks-aside");
    std::fs::rename(&locks, &aside).unwrap();
    std::fs::write(&locks, "in the way").unwrap();
    must(&studio, 1, &["trigger"]);
    daemon.event("notification.sent");
    daemon.stop();
    let daemon = Daemon::start(&studio);
    must(&studio, 1, &["trigger"]);
    std::fs::remove_file(&locks).unwrap();
    std::fs::rename(&aside, &locks).unwrap();
    must(&studio, 0, &["trigger"]);
    assert_eq!(
        occasions(&sink.received_when(2)),
        [["failed"], ["recovered"]]
    );
    daemon.event("notification.sent");
    daemon.stop();
    // That it recovered is told once as well, also by a command.
    let told = "SELECT count(*) FROM failure_messages";
    let told: i64 = database(&studio)
        .query_row(told, [], |row| row.get(0))
        .unwrap();
    assert_eq!(told, 0);
    sync(&studio, 0);
    assert_eq!(sink.received().len(), 2);
}
