//! Runs: when they begin, what follows from their end, and what the daemon's own end means to them.

use super::*;
use crate::model::summary::RunSummary;

const NONE: [&str; 0] = [];

#[test]
fn no_run_begins_before_each_server_was_tried_and_then_all_do() {
    let (mut daemon, done) = Daemon::starting(
        loaded(&[("a", "x"), ("b", "y")]),
        BTreeMap::new(),
        Persisted::default(),
    );
    assert_eq!(
        done,
        [
            "probe ftrack",
            "probe directory x",
            "probe directory y",
            "notify Ready",
            "log started"
        ]
    );
    assert_eq!(daemon.tick("a"), NONE);
    assert_eq!(daemon.tick("b"), NONE);
    daemon.probed("ftrack", ProbeResult::Well);
    assert_eq!(
        daemon.probed("directory x", ProbeResult::Well),
        ["log contact with directory x", "start a"]
    );
    assert!(!daemon.status().is_ready());
    let failed = ProbeResult::Failed("no route".to_owned());
    assert_eq!(
        daemon.probed("directory y", failed),
        ["log no contact with directory y", "start b"],
        "the run says what is wrong"
    );
}

#[test]
fn a_tick_during_a_run_is_counted_each_time_and_logged_once() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(daemon.tick("a"), ["start a"]);
    assert_eq!(
        daemon.tick("a"),
        ["count skipped tick of a", "log skipped a"]
    );
    assert_eq!(daemon.tick("a"), ["count skipped tick of a"]);
    assert_eq!(daemon.ended("a", None), ["save 0: no backoff of a"]);
    assert_eq!(daemon.tick("a"), ["start a"]);
    assert_eq!(daemon.status().job("a").unwrap().ticks_skipped, 2);
}

#[test]
fn the_status_says_when_what_changed_was_read_and_will_be() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    let shown = |daemon: &Daemon| {
        let status = daemon.status();
        let job = status.job("a").unwrap();
        let notes = crate::daemon::status_text::StatusRow::of(job).notes;
        (job.last_changes, job.next_changes, notes)
    };
    let next = Some(at("2026-01-01T00:05:00Z"));
    let only_next = vec!["what changed is read at 2026-01-01 00:05:00 UTC".to_owned()];
    assert_eq!(shown(&daemon), (None, next, only_next));
    daemon.step(Input::Tick(Due::Changes("a".to_owned())));
    let last = daemon.now.time;
    daemon.step(Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::NothingChanged,
        servers: Vec::new(),
    });
    let (shown_last, _, notes) = shown(&daemon);
    assert_eq!(shown_last, Some(last));
    assert!(
        notes[0].starts_with("what changed was read at 2026-"),
        "{notes:?}"
    );
    assert!(
        notes[0].ends_with(", next at 2026-01-01 00:05:00 UTC"),
        "{notes:?}"
    );
    daemon.pause("a", pause(None));
    daemon.saved(0);
    let (_, next, _) = shown(&daemon);
    assert_eq!(next, None);
}

#[test]
fn a_run_that_was_missed_is_made_up_for_once() {
    let missed = |catch_up: bool, last: &str| {
        let mut loaded = loaded(&[("a", "x")]);
        loaded.jobs.get_mut("a").unwrap().catch_up = catch_up;
        let mut run = crate::model::summary::RunSummary::of(&report("a", None));
        run.started_at = at(last);
        let last_runs = LastRuns {
            run: Some(run),
            ..LastRuns::default()
        };
        let persisted = Persisted {
            last_runs: [("a".to_owned(), last_runs)].into(),
            ..Persisted::default()
        };
        let (_, done) = Daemon::starting(loaded, BTreeMap::new(), persisted);
        done.contains(&"log missed a".to_owned())
    };
    assert!(missed(true, "2025-12-28T00:00:00Z"));
    assert!(!missed(false, "2025-12-28T00:00:00Z"));
    assert!(!missed(true, "2026-01-01T00:00:00Z"), "nothing was missed");
    assert!(
        missed(true, "2027-01-01T00:00:00Z"),
        "a clock that was a year ahead says nothing about what was missed"
    );
}

#[test]
fn a_clock_that_was_set_is_noticed_once() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(daemon.after(600), NONE);
    daemon.now.time += TimeDelta::days(365);
    assert_eq!(daemon.after(1), ["log clock leapt by 31536000"]);
    assert_eq!(daemon.after(1), NONE);
    daemon.now.time -= TimeDelta::days(365);
    assert_eq!(daemon.after(1), ["log clock leapt by -31536000"]);
    daemon.now.time += TimeDelta::seconds(30);
    assert_eq!(daemon.after(1), NONE, "it is being adjusted");
}

#[test]
fn a_server_that_asks_for_two_hours_is_left_alone_for_them() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.tick("a");
    let mut busy = report("a", Some(FailureKind::Ftrack));
    busy.retry_after = Some(7200);
    daemon.step(Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::Reported(busy),
        servers: Vec::new(),
    });
    assert_eq!(daemon.after(7199), NONE);
    assert_eq!(daemon.after(1), ["start a"]);
}

#[test]
fn a_job_that_never_ran_waits_for_its_schedule() {
    let daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(daemon.phase("a"), "idle");
    assert!(daemon.status().is_ready());
}

#[test]
fn an_outage_is_logged_at_its_beginning_and_its_end_and_kept() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.tick("a");
    assert_eq!(
        daemon.ended("a", Some(FailureKind::Directory)),
        ["save 0: backoff of a, 1", "log outage of a began"]
    );
    assert_eq!(daemon.phase("a"), "backing off");
    assert_eq!(daemon.tick("a"), NONE, "its next attempt comes first");
    assert_eq!(daemon.after(53), NONE);
    assert_eq!(daemon.after(7), ["start a"]);
    assert_eq!(
        daemon.ended("a", Some(FailureKind::Directory)),
        ["save 1: backoff of a, 2"]
    );
    assert_eq!(daemon.after(120), ["start a"]);
    assert_eq!(
        daemon.ended("a", None),
        ["save 2: no backoff of a", "log outage of a ended"]
    );
    assert_eq!(daemon.phase("a"), "idle");
}

#[test]
fn a_backoff_and_a_pause_outlive_a_restart() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x")]);
    daemon.tick("a");
    daemon.ended("a", Some(FailureKind::Directory));
    let backoff = daemon.status().job("a").unwrap().backoff.clone();
    let (backed_off, paused) = (
        PersistedJob {
            backoff,
            ..PersistedJob::default()
        },
        PersistedJob {
            pause: Some(pause(None)),
            ..PersistedJob::default()
        },
    );
    let persisted = Persisted {
        jobs: [("a".to_owned(), backed_off), ("b".to_owned(), paused)].into(),
        ..Persisted::default()
    };
    let jobs = loaded(&[("a", "x"), ("b", "x")]);
    let (daemon, _) = Daemon::starting(jobs, BTreeMap::new(), persisted);
    assert_eq!(daemon.phase("a"), "backing off");
    assert_eq!(daemon.phase("b"), "paused");
}

#[test]
fn a_run_without_a_report_is_logged_once_and_shown_as_its_journal_tells_it() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    let broken = |daemon: &mut Daemon| {
        daemon.step(Input::RunEnded {
            job: "a".to_owned(),
            outcome: RunOutcome::Broken {
                kind: FailureKind::State,
                error: "the disk is full".to_owned(),
                recovered: Some(Box::new(crate::model::summary::RunSummary::of(&report(
                    "a", None,
                )))),
                state_error: Some("the disk is full".to_owned()),
            },
            servers: Vec::new(),
        })
    };
    daemon.tick("a");
    assert_eq!(
        broken(&mut daemon),
        [
            "log state failed",
            "log broken a",
            "save 0: backoff of a, 1",
            "log outage of a began"
        ]
    );
    assert!(daemon.status().job("a").unwrap().last_run.is_some());
    daemon.not_saved(0);
    daemon.after(60);
    assert_eq!(broken(&mut daemon), ["save 1: backoff of a, 2"]);
}

#[test]
fn a_run_far_beyond_its_limit_is_logged_by_a_clock_that_nobody_sets() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x")]);
    daemon.tick("a");
    daemon.tick("b");
    daemon.now.time += TimeDelta::days(30);
    assert_eq!(daemon.after(3600), ["log clock leapt by 2592000"]);
    assert_eq!(daemon.after(61), ["log stuck a", "start b"]);
}

#[test]
fn what_another_program_runs_is_tried_again() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(daemon.trigger("a"), ["reply 1: accepted", "start a for 1"]);
    let busy = Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::Busy,
        servers: Vec::new(),
    };
    assert_eq!(
        daemon.step(busy),
        [
            "save 0: no backoff of a",
            "log a runs elsewhere",
            "tell 1: waiting"
        ]
    );
    assert_eq!(daemon.after(29), NONE);
    assert_eq!(daemon.after(1), ["start a for 1"]);
}

#[test]
fn a_run_of_another_program_that_came_to_its_end_ends_the_outage() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.tick("a");
    daemon.ended("a", Some(FailureKind::Directory));
    assert_eq!(daemon.phase("a"), "backing off");
    let saved = |run: &str, failed: Option<FailureKind>, at: DateTime<Utc>| {
        let mut report = report("a", failed);
        (report.run, report.finished_at) = (run.to_owned(), at);
        let success = failed.is_none().then_some(at);
        let run = Some(RunSummary::of(&report));
        let last = LastRuns {
            run,
            success,
            ..LastRuns::default()
        };
        Input::RunsSaved(BTreeMap::from([("a".to_owned(), last)]))
    };
    let now = daemon.now.time;
    let failed = saved("20991231-235958-0000", Some(FailureKind::Directory), now);
    assert_eq!(daemon.step(failed), NONE);
    assert_eq!(daemon.phase("a"), "backing off");
    assert_eq!(
        daemon.step(saved("20991231-235959-0000", None, now)),
        ["save 1: no backoff of a", "log outage of a ended"]
    );
    assert_eq!(daemon.phase("a"), "idle");
    assert_eq!(daemon.after(600), NONE, "nothing is retried");
}

#[test]
fn the_end_starts_nothing_and_waits_for_the_runs() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x"), ("c", "y")]);
    assert_eq!(daemon.trigger("a"), ["reply 1: accepted", "start a for 1"]);
    assert_eq!(
        daemon.trigger("b"),
        ["reply 2: accepted", "tell 2: waiting"]
    );
    assert_eq!(
        daemon.step(Input::Stop),
        [
            "log stopping",
            "notify Stopping",
            "stop runs",
            "tell 2 at last: ended, the daemon is stopping"
        ]
    );
    assert_eq!(daemon.trigger("b"), ["reply 3: the daemon is stopping"]);
    assert_eq!(daemon.tick("c"), NONE);
    assert_eq!(daemon.after(1), NONE, "it beats to its end");
    assert!(!daemon.core.is_finished());
    assert_eq!(
        daemon.ended("a", Some(FailureKind::Stopped)),
        ["save 0: no backoff of a", "tell 1 at last: finished"]
    );
    assert!(daemon.core.is_finished());
}
