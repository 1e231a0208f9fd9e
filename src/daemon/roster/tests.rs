//! What the roster decides, in situations that take days.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn rules(directory: &str) -> Rules {
    Rules {
        reads: match directory {
            "ftrack" => Reads::Ftrack,
            directory => Reads::Directory(directory.into()),
        },
        retry: Retry {
            initial: Duration::from_secs(60),
            max: Duration::from_secs(3600),
            suspend_after: 10,
        },
        time_limit: TimeDelta::hours(1),
    }
}

fn roster(parallel: usize, jobs: &[(&str, &str)]) -> Roster {
    let mut roster = Roster::default();
    let rules = jobs
        .iter()
        .map(|(job, directory)| ((*job).to_owned(), rules(directory)))
        .collect();
    roster.set(parallel, rules, |_| Remembered::default());
    roster
}

fn names(starts: &[Start]) -> Vec<&str> {
    starts.iter().map(|start| start.job.as_str()).collect()
}

fn free(_: &str) -> Option<DateTime<Utc>> {
    None
}

const FAILED: Ended<'static> = Ended::Failed {
    kind: FailureKind::Directory,
    error: "no route",
};

fn pause(until: Option<i64>) -> Pause {
    Pause {
        since: at(0),
        until: until.map(at),
        reason: None,
    }
}

#[test]
fn a_job_never_overlaps_itself_and_says_so_once_a_run() {
    let mut roster = roster(4, &[("a", "x")]);
    assert_eq!(roster.tick("a", at(0)), Ticked::Wanted);
    assert_eq!(names(&roster.start(at(0), free)), ["a"]);
    assert_eq!(roster.tick("a", at(1)), Ticked::Skipped { first: true });
    assert_eq!(roster.tick("a", at(2)), Ticked::Skipped { first: false });
    assert!(roster.start(at(3), free).is_empty());
    assert_eq!(
        roster.trigger("a", false, at(3)),
        Err(Refusal::AlreadyRunning("a".into()))
    );
    assert_eq!(roster.standing("a", at(3)).unwrap().ticks_skipped, 2);
    assert_eq!(roster.ended("a", Ended::Well, at(4), 0.0), None);
    assert_eq!(roster.tick("a", at(5)), Ticked::Wanted);
    roster.start(at(5), free);
    assert_eq!(roster.tick("a", at(6)), Ticked::Skipped { first: true });
}

#[test]
fn one_run_at_a_time_on_a_directory_and_so_many_in_all() {
    let mut roster = roster(2, &[("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")]);
    for (second, job) in ["b", "a", "c", "d"].into_iter().enumerate() {
        roster.tick(job, at(second as i64));
    }
    assert_eq!(names(&roster.start(at(9), free)), ["b", "c"]);
    assert_eq!(roster.standing("a", at(9)).unwrap().phase, Phase::Waiting);
    roster.ended("b", Ended::Well, at(10), 0.0);
    assert_eq!(names(&roster.start(at(10), free)), ["a"]);
    assert_eq!(names(&roster.start(at(10), free)), Vec::<&str>::new());
    roster.ended("c", Ended::Well, at(11), 0.0);
    assert_eq!(names(&roster.start(at(11), free)), ["d"]);
}

#[test]
fn a_stuck_run_keeps_its_job_and_nobody_else_waiting() {
    let mut roster = roster(1, &[("a", "x"), ("b", "x")]);
    roster.tick("a", at(0));
    roster.start(at(0), free);
    roster.tick("b", at(1));
    assert!(
        roster
            .stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 59)))
            .is_empty()
    );
    assert!(roster.start(at(3600 + 59), free).is_empty());
    assert_eq!(
        roster.stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 61))),
        ["a"]
    );
    assert!(
        roster
            .stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 62)))
            .is_empty(),
        "it is said once"
    );
    assert_eq!(names(&roster.start(at(3600 + 62), free)), ["b"]);
    assert_eq!(
        roster.tick("a", at(3600 + 63)),
        Ticked::Skipped { first: true }
    );
}

#[test]
fn failures_are_retried_instead_of_ticks_and_success_ends_them() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(0));
    roster.start(at(0), free);
    let Some(Outage::Began(began)) = roster.ended("a", FAILED, at(10), 0.0) else {
        panic!()
    };
    assert_eq!((began.failures, began.retry_at), (1, at(70)));
    assert_eq!(roster.tick("a", at(30)), Ticked::Ignored);
    roster.retry(at(69));
    assert!(roster.start(at(69), free).is_empty());
    roster.retry(at(70));
    let starts = roster.start(at(70), free);
    assert_eq!(
        (starts[0].trigger, starts[0].in_outage),
        (Trigger::Retry, true)
    );
    assert_eq!(
        roster.ended("a", FAILED, at(71), 0.0),
        None,
        "the same again is not said"
    );
    assert_eq!(roster.backoff("a").unwrap().retry_at, at(71 + 120));
    roster.retry(at(200));
    roster.start(at(200), free);
    let other = Ended::Failed {
        kind: FailureKind::Ftrack,
        error: "503",
    };
    assert!(matches!(
        roster.ended("a", other, at(201), 0.0),
        Some(Outage::Changed(_))
    ));
    roster.trigger("a", false, at(202)).unwrap();
    roster.start(at(202), free);
    let Some(Outage::Ended(ended)) = roster.ended("a", Ended::Well, at(203), 0.0) else {
        panic!()
    };
    assert_eq!((ended.failures, ended.since), (3, at(10)));
    assert_eq!(roster.standing("a", at(204)).unwrap().phase, Phase::Idle);
    assert_eq!(roster.tick("a", at(205)), Ticked::Wanted);
}

#[test]
fn three_days_of_outage_are_few_words_and_few_attempts() {
    let mut roster = roster(1, &[("a", "x")]);
    let (mut said, mut attempts) = (0, 0);
    for second in 0..3 * 86_400 {
        if second % 60 == 0 {
            roster.tick("a", at(second));
        }
        roster.retry(at(second));
        for _ in roster.start(at(second), free) {
            attempts += 1;
            said += usize::from(roster.ended("a", FAILED, at(second), 0.5).is_some());
        }
    }
    assert_eq!(said, 2, "its beginning, and that the job is suspended");
    assert!((70..90).contains(&attempts), "{attempts}");
    assert_eq!(
        roster.standing("a", at(3 * 86_400)).unwrap().phase,
        Phase::Suspended
    );
}

#[test]
fn a_pause_is_stronger_than_everything_but_a_run_under_way() {
    let mut roster = roster(2, &[("a", "x"), ("b", "x")]);
    roster.tick("a", at(0));
    roster.start(at(0), free);
    roster.tick("b", at(0));
    roster.pause("a", pause(Some(100))).unwrap();
    roster.pause("b", pause(None)).unwrap();
    assert_eq!(roster.standing("a", at(1)).unwrap().phase, Phase::Running);
    roster.ended("a", FAILED, at(2), 0.0);
    assert_eq!(roster.standing("a", at(2)).unwrap().phase, Phase::Paused);
    assert!(
        roster.start(at(2), free).is_empty(),
        "b was waiting, and is paused now"
    );
    assert_eq!(roster.tick("a", at(50)), Ticked::Ignored);
    roster.retry(at(99));
    assert!(roster.start(at(99), free).is_empty());
    assert!(matches!(
        roster.trigger("a", false, at(99)),
        Err(Refusal::Paused { .. })
    ));
    assert!(!roster.make_up("b", at(99)));
    assert!(roster.rested(at(99)).is_empty());
    assert_eq!(roster.rested(at(100)), ["a"]);
    assert!(roster.resume("a").unwrap().is_some());
    assert!(roster.resume("a").unwrap().is_none());
    roster.retry(at(100));
    assert_eq!(names(&roster.start(at(100), free)), ["a"]);
}

#[test]
fn what_is_barred_waits_for_as_long_as_it_is_barred() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(0));
    assert!(roster.start(at(0), |_| Some(at(5000))).is_empty());
    let standing = roster.standing("a", at(1)).unwrap();
    assert_eq!(
        (standing.phase, standing.put_off),
        (Phase::BackingOff, Some(at(5000)))
    );
    assert!(roster.start(at(49), |_| Some(at(5000))).is_empty());
    assert_eq!(
        names(&roster.start(at(50), free)),
        ["a"],
        "other credentials, perhaps"
    );
}

#[test]
fn what_another_program_runs_is_tried_again_and_said_once() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(0));
    roster.start(at(0), free);
    assert_eq!(
        roster.ended("a", Ended::Busy, at(1), 0.0),
        Some(Outage::Elsewhere)
    );
    assert!(roster.start(at(2), free).is_empty());
    assert_eq!(names(&roster.start(at(31), free)), ["a"]);
    for second in (31..3600 + 60).step_by(30) {
        assert_eq!(roster.ended("a", Ended::Busy, at(second), 0.0), None);
        assert!(roster.stuck(at(second), |_| None).is_empty());
        assert_eq!(names(&roster.start(at(second + 30), free)), ["a"]);
    }
    assert_eq!(
        roster.stuck(at(3600 + 62), |_| None),
        ["a"],
        "no run may take so long"
    );
    assert!(roster.stuck(at(3600 + 63), |_| None).is_empty());
    assert_eq!(roster.ended("a", Ended::Well, at(3700), 0.0), None);
    roster.tick("a", at(3701));
    roster.start(at(3701), free);
    assert_eq!(
        roster.ended("a", Ended::Busy, at(3702), 0.0),
        Some(Outage::Elsewhere)
    );
    // A clock that is set back does not put it off for longer.
    assert_eq!(names(&roster.start(at(1000), free)), ["a"]);
}

#[test]
fn a_pause_and_a_reload_are_stronger_than_what_another_program_runs() {
    let mut roster = roster(2, &[("a", "x"), ("b", "y")]);
    for job in ["a", "b"] {
        roster.trigger(job, false, at(0)).unwrap();
    }
    roster.start(at(0), free);
    roster.pause("a", pause(None)).unwrap();
    roster.set(2, [("a".to_owned(), rules("x"))].into(), |_| {
        Remembered::default()
    });
    for job in ["a", "b"] {
        assert_eq!(roster.ended(job, Ended::Busy, at(1), 0.0), None);
        assert!(!roster.is_asked(job));
    }
    assert!(roster.start(at(100), free).is_empty());
}

#[test]
fn a_dry_run_takes_no_run_from_the_schedule() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.trigger("a", true, at(0)).unwrap();
    assert_eq!(roster.tick("a", at(0)), Ticked::Wanted);
    assert!(roster.start(at(0), free)[0].dry_run);
    assert_eq!(
        roster.tick("a", at(1)),
        Ticked::Skipped { first: true },
        "one waits already"
    );
    assert!(roster.start(at(1), free).is_empty());
    roster.ended("a", Ended::Well, at(2), 0.0);
    let starts = roster.start(at(2), free);
    assert_eq!(
        (starts[0].trigger, starts[0].dry_run),
        (Trigger::Schedule, false)
    );
    roster.ended("a", Ended::Well, at(3), 0.0);
    roster.trigger("a", true, at(4)).unwrap();
    roster.start(at(4), free);
    assert_eq!(roster.tick("a", at(5)), Ticked::Wanted);
    roster.ended("a", Ended::Well, at(6), 0.0);
    assert_eq!(names(&roster.start(at(6), free)), ["a"]);
}

#[test]
fn changed_credentials_end_the_waiting_for_the_old_ones() {
    let mut roster = roster(2, &[("b", "y"), ("c", "z")]);
    let refused = Ended::Failed {
        kind: FailureKind::DirectoryRefused,
        error: "49",
    };
    for (job, ended) in [("b", refused), ("c", FAILED)] {
        roster.tick(job, at(1));
        roster.start(at(1), free);
        roster.ended(job, ended, at(2), 0.0);
    }
    for job in ["b", "c"] {
        roster.hasten(job, at(3));
    }
    assert_eq!(
        names(&roster.start(at(3), free)),
        ["b"],
        "c failed for another reason"
    );
}

#[test]
fn a_person_does_not_wait_for_what_was_put_off() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(0));
    roster.start(at(0), |_| Some(at(500)));
    roster.trigger("a", true, at(1)).unwrap();
    let starts = roster.start(at(1), free);
    assert_eq!(
        (starts[0].trigger, starts[0].dry_run),
        (Trigger::Manual, true)
    );
    assert_eq!(
        roster.ended("a", FAILED, at(2), 0.0),
        None,
        "a dry run tells nothing of the next run"
    );
    assert!(roster.backoff("a").is_none());
    assert_eq!(
        names(&roster.start(at(3), free)),
        ["a"],
        "what was put off is still to come"
    );
}

#[test]
fn a_reload_keeps_what_goes_on_and_lets_go_of_what_is_gone() {
    let mut roster = roster(2, &[("a", "x"), ("b", "y")]);
    roster.tick("a", at(0));
    roster.start(at(0), free);
    roster.pause("b", pause(None)).unwrap();
    let rules_now = BTreeMap::from([("b".to_owned(), rules("y")), ("c".to_owned(), rules("z"))]);
    roster.set(2, rules_now, |job| Remembered {
        backoff: None,
        pause: (job == "c").then(|| pause(None)),
    });
    assert_eq!(roster.names().collect::<Vec<_>>(), ["b", "c"]);
    assert!(roster.is_at_work(), "a's run goes on to its end");
    assert_eq!(roster.tick("a", at(1)), Ticked::Ignored);
    assert!(matches!(
        roster.trigger("a", false, at(1)),
        Err(Refusal::UnknownJob { .. })
    ));
    assert_eq!(
        ["b", "c"].map(|job| roster.standing(job, at(1)).unwrap().phase),
        [Phase::Paused; 2]
    );
    roster.ended("a", Ended::Well, at(2), 0.0);
    assert!(!roster.is_at_work() && roster.standing("a", at(2)).is_none());
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(10 * 86_400));
    roster.start(at(10 * 86_400), free);
    roster.ended("a", FAILED, at(10 * 86_400), 0.0);
    roster.retry(at(0));
    assert_eq!(names(&roster.start(at(0), free)), ["a"]);
}

proptest! {
    /// Whatever happens, never two runs of one job or on one directory, and never more than
    /// allowed.
    #[test]
    fn never_two_on_one_directory(steps in prop::collection::vec((0_usize..4, 0_u8..8), 1..200)) {
        let jobs = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")];
        let mut roster = roster(2, &jobs);
        let mut running: Vec<&str> = Vec::new();
        for (second, (job, step)) in steps.into_iter().enumerate() {
            let now = at(second as i64 * 20);
            let (name, _) = jobs[job];
            match step {
                0 => drop(roster.tick(name, now)),
                1 => drop(roster.trigger(name, false, now)),
                2 => drop(roster.pause(name, pause(None))),
                3 => drop(roster.resume(name)),
                4 => roster.retry(now),
                _ if running.contains(&name) => {
                    running.retain(|other| *other != name);
                    roster.ended(name, [Ended::Well, FAILED, Ended::Busy][usize::from(step) - 5], now, 0.3);
                }
                _ => {}
            }
            for start in roster.start(now, free) {
                let (name, _) = jobs.iter().find(|(job, _)| *job == start.job).unwrap();
                running.push(name);
            }
            let directories: BTreeSet<&str> = running.iter().map(|job| jobs.iter().find(|(name, _)| name == job).unwrap().1).collect();
            prop_assert!(running.len() <= 2 && directories.len() == running.len(), "{running:?}");
        }
    }
}

#[test]
fn a_bar_that_falls_early_keeps_nobody_waiting() {
    let mut roster = roster(1, &[("a", "x")]);
    roster.tick("a", at(0));
    assert!(roster.start(at(0), |_| Some(at(1200))).is_empty());
    assert_eq!(roster.standing("a", at(1)).unwrap().put_off, Some(at(1200)));
    assert_eq!(names(&roster.start(at(2), free)), ["a"]);
}
