//! Servers that refuse credentials, and servers that are to be reached with something else.

use super::*;

const NONE: [&str; 0] = [];
const X: &str = "directory x";
/// What people are told of a job that is to run and may not.
const NOT_RUN: &str = "tell that a is not run";

/// A daemon whose directory has refused credentials at its first contact.
fn refused_at_start() -> Daemon {
    let (mut daemon, _) =
        Daemon::starting(loaded(&[("a", "x")]), BTreeMap::new(), Persisted::default());
    daemon.probed("ftrack", ProbeResult::Well);
    assert_eq!(
        daemon.probed(X, refused("old")),
        [
            "fingerprint 0: directory x",
            "save 0: refusal of directory x",
            "log refused by directory x"
        ]
    );
    daemon
}

#[test]
fn refused_credentials_are_tried_by_nobody_whoever_asks() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    assert_eq!(
        daemon.status().job("a").unwrap().next_run,
        None,
        "no tick is due"
    );
    assert_eq!(daemon.phase("a"), "backing off");
    assert_eq!(daemon.tick("a"), [NOT_RUN], "once");
    let status = daemon.status();
    let job = status.job("a").unwrap();
    let refused = job.refused.as_ref().unwrap();
    assert_eq!(job.next_run, Some(refused.next));
    assert_eq!((refused.server.as_str(), &*refused.error), (X, "code 49"));
    for nth in 1..20_u64 {
        assert_eq!(
            daemon.after(60),
            [format!("fingerprint {nth}: directory x")]
        );
        assert_eq!(daemon.fingerprints(nth, &[(X, "old")]), NONE);
    }
    assert_eq!(daemon.trigger("a"), ["fingerprint 20: directory x"]);
    let refused = daemon.fingerprints(20, &[(X, "old")]);
    assert!(
        refused[0].starts_with("reply 1: directory x refused these credentials"),
        "{refused:?}"
    );
    // Twenty minutes are over: one tries them again, who finds out for all.
    assert_eq!(
        daemon.after(60),
        ["fingerprint 21: directory x", "probe directory x"]
    );
    assert_eq!(daemon.fingerprints(21, &[(X, "old")]), NONE);
}

#[test]
fn a_triggered_run_does_not_wait_for_credentials_that_stay_refused() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    for nth in 1..=23 {
        daemon.after(60);
        daemon.fingerprints(nth, &[(X, "old")]);
    }
    // The probe tries them again; meanwhile a person wants a run.
    assert_eq!(daemon.trigger("a"), ["fingerprint 24: directory x"]);
    assert_eq!(
        daemon.fingerprints(24, &[(X, "old")]),
        ["reply 1: accepted", "tell 1: waiting"]
    );
    daemon.probed(X, refused("old"));
    let ended = daemon.fingerprints(25, &[(X, "old")]);
    assert!(
        ended
            .last()
            .is_some_and(|last| last.starts_with("tell 1 at last: ")),
        "{ended:?}"
    );
    assert_eq!(daemon.tick("a"), [NOT_RUN]);
}

#[test]
fn new_credentials_are_tried_at_once_by_a_probe_and_then_by_runs() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    daemon.tick("a");
    assert_eq!(daemon.after(1), ["fingerprint 1: directory x"]);
    assert_eq!(daemon.fingerprints(1, &[(X, "new")]), ["probe directory x"]);
    assert_eq!(
        daemon.probed(X, ProbeResult::Well),
        [
            "save 1: no refusal of directory x",
            "log contact with directory x",
            "start a"
        ]
    );
    assert_eq!(daemon.after(1), NONE, "nothing is left to compare");
}

#[test]
fn a_job_that_failed_or_is_paused_is_not_told_to_be_not_run() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.tick("a");
    daemon.step(Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::Reported(report("a", Some(FailureKind::DirectoryRefused))),
        servers: vec![(X.to_owned(), Access::of(X), refused("old"))],
    });
    daemon.fingerprints(0, &[(X, "old")]);
    assert_eq!(daemon.after(60)[1..], NONE, "its run has told it");
    assert!(daemon.status().job("a").unwrap().refused.is_none());
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    daemon.pause("a", pause(None));
    daemon.saved(1);
    assert_eq!(daemon.tick("a"), NONE);
    assert!(daemon.status().job("a").unwrap().refused.is_none());
}

#[test]
fn what_was_computed_before_a_refusal_says_nothing_about_it() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    daemon.after(1);
    daemon.fingerprints(1, &[(X, "new")]);
    // This computation still reads the file as it was when a probe tries the newer credentials.
    assert_eq!(daemon.after(1), ["fingerprint 2: directory x"]);
    daemon.probed(X, refused("newer"));
    daemon.tick("a");
    assert_eq!(
        daemon.fingerprints(2, &[(X, "new")]),
        ["fingerprint 3: directory x"]
    );
    assert_eq!(daemon.fingerprints(3, &[(X, "newer")]), [NOT_RUN]);
}

#[test]
fn lockouts_of_an_earlier_daemon_hold_from_the_first_second() {
    let account = RefusedAccount {
        mark: Some("old".to_owned()),
        failures: 1,
        refused_at: at("2025-12-31T23:59:00Z"),
        next_at: at("2026-01-01T00:19:00Z"),
        error: "code 49".to_owned(),
    };
    let refusals = BTreeMap::from([(X.to_owned(), account)]);
    let start = || {
        let jobs = loaded(&[("a", "x")]);
        let (mut daemon, done) = Daemon::starting(jobs, refusals.clone(), Persisted::default());
        assert_eq!(
            done,
            [
                "fingerprint 0: directory x",
                "probe ftrack",
                "notify Ready",
                "log started"
            ],
            "nobody tries what may have been refused"
        );
        daemon.probed("ftrack", ProbeResult::Well);
        assert_eq!(daemon.tick("a"), NONE);
        daemon
    };
    let mut daemon = start();
    assert_eq!(
        daemon.fingerprints(0, &[(X, "old")]),
        ["log refused by directory x", NOT_RUN]
    );
    assert!(
        daemon.status().contacts[1]
            .error
            .as_ref()
            .is_some_and(|error| error.contains("refused these credentials"))
    );
    let mut daemon = start();
    assert_eq!(daemon.fingerprints(0, &[(X, "new")]), ["probe directory x"]);
}

#[test]
fn an_account_that_two_directories_name_is_tried_once() {
    let mut jobs = loaded(&[("a", "x"), ("b", "y")]);
    for (server, other) in [(1, "directory y"), (2, X)] {
        jobs.servers[server].same_account = vec![other.to_owned()];
    }
    let (mut daemon, done) = Daemon::starting(jobs, BTreeMap::new(), Persisted::default());
    assert_eq!(done[..2], ["probe ftrack", "probe directory x"]);
    daemon.probed("ftrack", ProbeResult::Well);
    daemon.tick("b");
    assert_eq!(
        daemon.probed(X, refused("old"))[0],
        "fingerprint 0: directory x, directory y"
    );
    assert_eq!(
        daemon.fingerprints(0, &[(X, "old"), ("directory y", "old")]),
        ["tell that b is not run"]
    );
    let contacts = daemon.status().contacts;
    assert!(contacts[1..].iter().all(|contact| contact.error.is_some()));
}

#[test]
fn a_clock_that_was_set_back_locks_out_for_as_long_as_was_meant() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    daemon.now.time -= TimeDelta::days(365);
    assert_eq!(
        daemon.after(1)[..2],
        [
            "log clock leapt by -31536000",
            "save 1: refusal of directory x"
        ]
    );
    daemon.fingerprints(1, &[(X, "old")]);
    assert_eq!(daemon.after(1200)[1..], ["probe directory x"]);
}

#[test]
fn a_key_that_was_never_tried_is_not_ready_after_a_reload() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert!(daemon.status().is_ready());
    let mut changed = loaded(&[("a", "x")]);
    assert_eq!(
        daemon.load(changed.clone()),
        ["use", "log reloaded", "notify Ready"]
    );
    assert!(daemon.status().is_ready(), "nothing changed");
    daemon.tick("a");
    changed.servers[0].access = Access::of("another key");
    assert_eq!(
        daemon.load(changed),
        ["probe ftrack", "use", "log reloaded", "notify Ready"],
        "beside the run, which has the old key"
    );
    assert!(!daemon.status().is_ready());
    let servers = vec![("ftrack".to_owned(), Access::of("ftrack"), ProbeResult::Well)];
    daemon.step(Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::Reported(report("a", None)),
        servers,
    });
    assert!(!daemon.status().is_ready(), "of the old key");
    assert_eq!(
        daemon.probed_with("ftrack", "another key", ProbeResult::Well),
        ["log contact with ftrack"]
    );
    assert!(daemon.status().is_ready());
}

#[test]
fn a_server_that_is_not_reached_is_tried_again_and_logged_once() {
    let (mut daemon, _) =
        Daemon::starting(loaded(&[("a", "x")]), BTreeMap::new(), Persisted::default());
    daemon.probed("ftrack", ProbeResult::Well);
    let failed = || ProbeResult::Failed("no route".to_owned());
    assert_eq!(
        daemon.probed(X, failed()),
        ["log no contact with directory x"]
    );
    assert_eq!(daemon.after(4), NONE);
    assert_eq!(daemon.after(1), ["probe directory x"]);
    assert_eq!(daemon.probed(X, failed()), NONE);
    assert_eq!(daemon.after(10), ["probe directory x"]);
    assert_eq!(
        daemon.probed(X, ProbeResult::Well),
        ["log contact with directory x"]
    );
}

#[test]
fn a_trigger_that_waits_is_decided_when_the_credentials_are_accepted_meanwhile() {
    let mut daemon = refused_at_start();
    // The computation of the refusal is under way; that of the trigger begins after it.
    assert_eq!(daemon.trigger("a"), NONE);
    daemon.probed(X, ProbeResult::Well);
    assert_eq!(
        daemon.fingerprints(0, &[(X, "new")]),
        ["reply 1: accepted", "start a for 1"]
    );
}

#[test]
fn another_address_is_tried_at_once_though_the_credentials_are_the_same() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    let mut changed = loaded(&[("a", "x")]);
    changed.servers[1].access = Access::of("another address");
    assert_eq!(
        daemon.load(changed),
        [
            "fingerprint 1: directory x",
            "use",
            "log reloaded",
            "notify Ready"
        ]
    );
    assert_eq!(
        daemon.fingerprints(1, &[(X, "old-2")]),
        ["probe directory x"]
    );
}

#[test]
fn a_job_that_failed_is_retried_when_what_is_tried_has_changed() {
    for (kind, server) in [
        (FailureKind::Directory, 1),
        (FailureKind::DirectoryRefused, 1),
        (FailureKind::Ftrack, 0),
    ] {
        let mut daemon = Daemon::ready(&[("a", "x")]);
        daemon.tick("a");
        daemon.ended("a", Some(kind));
        assert_eq!(daemon.tick("a"), NONE, "it waits");
        let mut changed = loaded(&[("a", "x")]);
        assert_eq!(
            daemon.load(changed.clone()),
            ["use", "log reloaded", "notify Ready"]
        );
        changed.servers[server].access = Access::of("another address");
        daemon.load(changed.clone());
        let name = changed.servers[server].name.clone();
        let started = daemon.probed_with(&name, "another address", ProbeResult::Well);
        assert_eq!(
            started.last().map(String::as_str),
            Some("start a"),
            "{kind:?}"
        );
    }
}

#[test]
fn what_another_process_found_accepted_is_tried_at_once() {
    let mut daemon = refused_at_start();
    daemon.fingerprints(0, &[(X, "old")]);
    daemon.tick("a");
    let refused_at = daemon.now.time;
    assert_eq!(daemon.after(60), ["fingerprint 1: directory x"]);
    let lifted = |id, at| Input::Fingerprints {
        id,
        fingerprints: BTreeMap::from([(X.to_owned(), Some("old".to_owned()))]),
        lifted: BTreeMap::from([(X.to_owned(), at)]),
    };
    let earlier = refused_at - TimeDelta::seconds(1);
    assert_eq!(
        daemon.step(lifted(1, earlier)),
        NONE,
        "of an earlier refusal"
    );
    assert_eq!(daemon.after(1), ["fingerprint 2: directory x"]);
    assert_eq!(
        daemon.step(lifted(2, refused_at)),
        ["save 1: no refusal of directory x", "probe directory x"]
    );
}
