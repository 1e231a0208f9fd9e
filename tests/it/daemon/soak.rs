//! Many runs in one process, some of them failed, with reloads in between: no resources leak.
//! `tests/bench/run daemon` measures the same with memory, and more of it.

use std::fs;

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast::{self, Oddities},
        ftrack::{Fault, Rules},
    },
    model::report::Outcome,
};

use super::{Daemon, LIMIT, must};
use crate::{
    slapd::wait_until,
    studio::{PASSWORD, Studio, dn},
};

/// How many runs there are, and how many reports of runs that did nothing are kept.
const RUNS: usize = 60;
const KEPT: usize = 15;

/// What a daemon holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    threads: usize,
    files: usize,
    connections: usize,
}

impl Held {
    fn by(daemon: &Daemon, studio: &Studio) -> Self {
        let count = |what: &str| {
            fs::read_dir(format!("/proc/{}/{what}", daemon.id()))
                .unwrap()
                .count()
        };
        Self {
            threads: count("task"),
            files: count("fd"),
            connections: studio.directory().counts().connections,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        self.threads <= other.threads
            && self.files <= other.files
            && self.connections == other.connections
    }
}

fn studio() -> Studio {
    let people = cast::people(40, 1, Oddities::None);
    let tree = cast::tree(&people, &Secret::new(PASSWORD.into())).unwrap();
    let mut studio = Studio::over(tree, Rules::default())
        .for_a_daemon("schedule = \"@yearly\"\nlimits.deactivate = \"100%\"");
    studio.top += &format!("[reports]\nkeep = {KEPT}\n");
    studio.ftrack_settings = "attempts = 1".into();
    studio
}

/// A run in an outage.
fn fails(studio: &Studio, number: usize) {
    if number.is_multiple_of(20) {
        studio.directory().break_off_after(1);
    } else {
        studio.ftrack().fail_when(|_| Some(Fault::ResetBefore));
    }
    must(studio, 1, &["trigger"]);
    studio.directory().recover();
    studio.ftrack().heal();
}

/// A broken configuration, and then the right one again.
fn reloads(daemon: &Daemon, studio: &Studio, turn: usize) {
    let path = studio.folder().join("config.toml");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, right.replace("[ftrack]", "[ftrack]\ncolour = 1")).unwrap();
    daemon.signal("HUP");
    daemon.nth_event(turn, "config.refused");
    fs::write(&path, right).unwrap();
    daemon.signal("HUP");
    daemon.nth_event(turn, "config.reloaded");
}

#[test]
fn many_runs_leave_no_thread_no_file_and_no_connection_behind() {
    let studio = studio();
    let daemon = Daemon::start(&studio);
    let mut first = None;
    let mut turn = 0;
    for number in 1..=RUNS {
        if number.is_multiple_of(10) {
            fails(&studio, number);
        } else {
            let login = format!("new{number}");
            if number.is_multiple_of(3) {
                studio
                    .tree()
                    .add(crate::studio::person(&login, "Given", &login))
                    .unwrap();
            } else if number > 3 && number % 3 == 1 {
                studio
                    .tree()
                    .remove(&dn(&format!("new{}", number - 1)))
                    .unwrap_or_default();
            }
            must(&studio, 0, &["trigger"]);
        }
        if number.is_multiple_of(20) {
            reloads(&daemon, &studio, turn);
            turn += 1;
        }
        if number == 9 {
            first = Some(Held::by(&daemon, &studio));
        }
    }
    // A good one after the last reload, so that both have their connections.
    must(&studio, 0, &["trigger"]);
    let first = first.unwrap();
    let mut last = first;
    // Threads that have nothing to do any more go after ten seconds.
    let as_before = wait_until(LIMIT, || {
        last = Held::by(&daemon, &studio);
        last.is_within(&first)
    });
    assert!(as_before, "at first {first:?}, at the end {last:?}");
    assert_eq!(first.connections, 1);
    let reports = studio.reports();
    let quiet = reports
        .iter()
        .filter(|report| report.outcome == Outcome::Succeeded && report.counts.changed() == 0);
    assert_eq!(
        quiet.count(),
        KEPT,
        "older reports of runs that did nothing are removed"
    );
    let outcome = |wanted| {
        daemon
            .events("run.finished")
            .iter()
            .filter(|line| line["outcome"] == wanted)
            .count()
    };
    assert_eq!(
        (outcome("succeeded"), outcome("failed")),
        (RUNS - RUNS / 10 + 1, RUNS / 10)
    );
}
