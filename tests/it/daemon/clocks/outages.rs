//! Outages of three days: few log lines, and one attempt per hour.

use std::net::SocketAddr;

use chrono::TimeDelta;
use ftrack_ldap_sync::{
    demo::ftrack::{Fault, Rights},
    model::report::{Outcome, Trigger},
};
use tokio::net::{TcpSocket, TcpStream};

use super::{Daemon, FastClock, at};
use crate::{daemon::wait_for_phase, studio::Studio};

const OFTEN: &str = "schedule = \"*/15 * * * *\"";
/// How many lines a daemon may say from its start to the end of three such days.
const LINES: usize = 20;
/// A look at the clock is three hours.
const SPEED: u32 = 21_600;

/// An address at which nobody listens, and which nobody else gets.
fn closed_door(studio: &Studio) -> (TcpSocket, SocketAddr) {
    let _runtime = studio.runtime().enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Lets everybody through to a server from now on.
fn open_door(studio: &Studio, door: TcpSocket, server: SocketAddr) {
    let _runtime = studio.runtime().enter();
    let listener = door.listen(16).unwrap();
    studio.runtime().spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                // Whoever hangs up has hung up.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
}

/// A daemon through three days of an outage, and its end.
fn three_days(studio: &Studio, clock: &FastClock, heal: impl FnOnce()) -> Daemon {
    let daemon = clock.daemon(studio);
    daemon.event("outage.began");
    clock.wait(clock.from + TimeDelta::days(3));
    wait_for_phase(studio, "suspended");
    heal();
    daemon.event("outage.ended");
    wait_for_phase(studio, "idle");
    daemon
}

/// That the outage was told once, in few words, and that attempts went on.
fn assert_told_once(studio: &Studio, daemon: &Daemon) {
    let mut said = daemon.logged();
    let end = said
        .iter()
        .position(|line| line["event"] == "outage.ended")
        .unwrap();
    // Whatever comes then is a day like others.
    said.truncate(end + 1);
    // This clock is always ahead of the time that passes.
    said.retain(|line| line["event"] != "clock.leapt");
    assert!(said.len() <= LINES, "{} lines: {said:#?}", said.len());
    let count = |name: &str| daemon.events(name).len();
    assert_eq!(
        ["outage.began", "outage.changed", "outage.ended"].map(count),
        [1, 1, 1],
        "{said:#?}"
    );
    let changed = daemon.event("outage.changed");
    assert_eq!(
        (&changed["failures"], &changed["suspended"]),
        (&10.into(), &true.into())
    );
    let reports = studio.reports();
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| report.outcome == Outcome::Failed)
        .collect();
    // One an hour is the most, and the clock is looked at each three hours.
    assert!(
        (10..=80).contains(&failed.len()),
        "{} attempts",
        failed.len()
    );
    assert!(
        failed
            .iter()
            .skip(1)
            .all(|report| report.trigger == Trigger::Retry)
    );
    assert_eq!(daemon.event("outage.ended")["failures"], failed.len());
}

#[test]
fn three_days_without_the_directory_are_told_in_few_lines() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon(OFTEN);
    let (door, address) = closed_door(&studio);
    studio.directory_url = format!("ldap://{address}");
    let Some(clock) = FastClock::from(
        "three_days_without_the_directory_are_told_in_few_lines",
        at("2027-05-05T00:00:00Z"),
        SPEED,
    ) else {
        return;
    };
    let daemon = three_days(&studio, &clock, || {
        open_door(&studio, door, studio.directory().address())
    });
    assert_told_once(&studio, &daemon);
}

#[test]
fn three_days_without_ftrack_are_told_in_few_lines() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon(OFTEN);
    // Each attempt is two calls, a second apart.
    studio.ftrack_settings = "attempts = 2".into();
    studio.ftrack().fail_when(|_| Some(Fault::Html(503)));
    let Some(clock) = FastClock::from(
        "three_days_without_ftrack_are_told_in_few_lines",
        at("2027-05-05T00:00:00Z"),
        SPEED,
    ) else {
        return;
    };
    let daemon = three_days(&studio, &clock, || studio.ftrack().heal());
    assert_told_once(&studio, &daemon);
    assert!(
        daemon.events("ftrack.retried").len() <= 4,
        "{:#?}",
        daemon.events("ftrack.retried")
    );
}

#[test]
fn three_days_in_which_ftrack_takes_no_writes_are_told_in_few_lines() {
    let studio = Studio::of(&["ada", "bob", "cyd"]).for_a_daemon(OFTEN);
    studio
        .ftrack()
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    let test = "three_days_in_which_ftrack_takes_no_writes_are_told_in_few_lines";
    let Some(clock) = FastClock::from(test, at("2027-05-05T00:00:00Z"), SPEED) else {
        return;
    };
    let daemon = three_days(&studio, &clock, || {
        studio
            .ftrack()
            .change_rules(|rules| rules.rights = Rights::All)
    });
    assert_told_once(&studio, &daemon);
    assert_eq!(daemon.events("change.failed").len(), 3, "each person once");
}

#[test]
fn a_person_whom_ftrack_refuses_for_three_days_is_named_once() {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon(OFTEN);
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("bob".to_owned());
    });
    let test = "a_person_whom_ftrack_refuses_for_three_days_is_named_once";
    let Some(clock) = FastClock::from(test, at("2027-05-05T00:00:00Z"), SPEED) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    clock.wait(clock.from + TimeDelta::days(3));
    let reports = studio.reports();
    assert!(
        reports.len() > 10
            && reports
                .iter()
                .all(|report| report.outcome == Outcome::Partial),
        "{reports:#?}"
    );
    assert_eq!(daemon.events("change.failed").len(), 1);
    // Such runs go on as scheduled, and each says in five lines what it did.
    // On a slow machine a run may last until the next tick, which is logged once per run.
    let mut logged = daemon.logged();
    logged.retain(|line| line["event"] != "tick.skipped" && line["event"] != "clock.leapt");
    assert!(logged.len() <= 5 * (reports.len() + 1) + 4, "{logged:#?}");
}
