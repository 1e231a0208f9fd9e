//! Decisions of the job table, in situations that take days.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use super::*;

mod changes;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn rules(directory: &str) -> JobRules {
    JobRules {
        has_changes: true,
        is_watched: false,
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

fn job_table(parallel: usize, jobs: &[(&str, &str)]) -> JobTable {
    let mut job_table = JobTable::default();
    let rules = jobs
        .iter()
        .map(|(job, directory)| ((*job).to_owned(), rules(directory)))
        .collect();
    job_table.set(parallel, rules, |_| PersistedJob::default());
    job_table
}

fn names(starts: &[StartRun]) -> Vec<&str> {
    starts.iter().map(|start| start.job.as_str()).collect()
}

fn free(_: &str) -> Option<DateTime<Utc>> {
    None
}

const FAILED: RunEnd<'static> = RunEnd::Failed {
    kind: FailureKind::Directory,
    error: "no route",
    asked: None,
};

fn pause(until: Option<i64>) -> Pause {
    Pause {
        since: at(0),
        until: until.map(at),
        reason: None,
        by: None,
    }
}

#[test]
fn a_job_never_overlaps_itself_and_says_so_once_a_run() {
    let mut job_table = job_table(4, &[("a", "x")]);
    assert_eq!(job_table.tick("a", at(0)), TickEffect::Wanted);
    assert_eq!(names(&job_table.start(at(0), free)), ["a"]);
    assert_eq!(
        job_table.tick("a", at(1)),
        TickEffect::Skipped { first: true }
    );
    assert_eq!(
        job_table.tick("a", at(2)),
        TickEffect::Skipped { first: false }
    );
    assert!(job_table.start(at(3), free).is_empty());
    assert_eq!(
        job_table.trigger("a", Wish::Run, at(3)),
        Err(CommandError::AlreadyRunning("a".into()))
    );
    assert_eq!(job_table.standing("a", at(3)).unwrap().ticks_skipped, 2);
    assert_eq!(job_table.ended("a", RunEnd::Well, at(4), 0.0), None);
    assert_eq!(job_table.tick("a", at(5)), TickEffect::Wanted);
    job_table.start(at(5), free);
    assert_eq!(
        job_table.tick("a", at(6)),
        TickEffect::Skipped { first: true }
    );
}

#[test]
fn one_run_at_a_time_on_a_directory_and_so_many_in_all() {
    let mut job_table = job_table(2, &[("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")]);
    for (second, job) in ["b", "a", "c", "d"].into_iter().enumerate() {
        job_table.tick(job, at(second as i64));
    }
    assert_eq!(names(&job_table.start(at(9), free)), ["b", "c"]);
    assert_eq!(
        job_table.standing("a", at(9)).unwrap().phase,
        JobPhase::Waiting
    );
    job_table.ended("b", RunEnd::Well, at(10), 0.0);
    assert_eq!(names(&job_table.start(at(10), free)), ["a"]);
    assert_eq!(names(&job_table.start(at(10), free)), Vec::<&str>::new());
    job_table.ended("c", RunEnd::Well, at(11), 0.0);
    assert_eq!(names(&job_table.start(at(11), free)), ["d"]);
}

#[test]
fn a_stuck_run_keeps_its_job_and_nobody_else_waiting() {
    let mut job_table = job_table(1, &[("a", "x"), ("b", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    job_table.tick("b", at(1));
    assert!(
        job_table
            .stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 59)))
            .is_empty()
    );
    assert!(job_table.start(at(3600 + 59), free).is_empty());
    assert_eq!(
        job_table.stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 61))),
        ["a"]
    );
    assert!(
        job_table
            .stuck(at(0), |_| Some(TimeDelta::seconds(3600 + 62)))
            .is_empty(),
        "it is said once"
    );
    assert_eq!(names(&job_table.start(at(3600 + 62), free)), ["b"]);
    assert_eq!(
        job_table.tick("a", at(3600 + 63)),
        TickEffect::Skipped { first: true }
    );
}

#[test]
fn failures_are_retried_instead_of_ticks_and_success_ends_them() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    let Some(OutageChange::Began(began)) = job_table.ended("a", FAILED, at(10), 0.0) else {
        panic!()
    };
    assert_eq!((began.failures, began.retry_at), (1, at(70)));
    assert_eq!(job_table.tick("a", at(30)), TickEffect::Ignored);
    job_table.retry(at(69));
    assert!(job_table.start(at(69), free).is_empty());
    job_table.retry(at(70));
    let starts = job_table.start(at(70), free);
    assert_eq!(
        (starts[0].trigger, starts[0].in_outage),
        (Trigger::Retry, true)
    );
    assert_eq!(
        job_table.ended("a", FAILED, at(71), 0.0),
        None,
        "the same again is not said"
    );
    assert_eq!(job_table.backoff("a").unwrap().retry_at, at(71 + 120));
    job_table.retry(at(200));
    job_table.start(at(200), free);
    let other = RunEnd::Failed {
        kind: FailureKind::Ftrack,
        error: "503",
        asked: None,
    };
    assert!(matches!(
        job_table.ended("a", other, at(201), 0.0),
        Some(OutageChange::Changed(_))
    ));
    job_table.trigger("a", Wish::Run, at(202)).unwrap();
    job_table.start(at(202), free);
    let Some(OutageChange::Ended(ended)) = job_table.ended("a", RunEnd::Well, at(203), 0.0) else {
        panic!()
    };
    assert_eq!((ended.failures, ended.since), (3, at(10)));
    assert_eq!(
        job_table.standing("a", at(204)).unwrap().phase,
        JobPhase::Idle
    );
    assert_eq!(job_table.tick("a", at(205)), TickEffect::Wanted);
}

#[test]
fn three_days_of_outage_are_few_words_and_few_attempts() {
    let mut job_table = job_table(1, &[("a", "x")]);
    let (mut said, mut attempts) = (0, 0);
    for second in 0..3 * 86_400 {
        if second % 60 == 0 {
            job_table.tick("a", at(second));
        }
        job_table.retry(at(second));
        for _ in job_table.start(at(second), free) {
            attempts += 1;
            said += usize::from(job_table.ended("a", FAILED, at(second), 0.5).is_some());
        }
    }
    assert_eq!(said, 2, "its beginning, and that the job is suspended");
    assert!((70..90).contains(&attempts), "{attempts}");
    assert_eq!(
        job_table.standing("a", at(3 * 86_400)).unwrap().phase,
        JobPhase::Suspended
    );
}

#[test]
fn a_pause_is_stronger_than_everything_but_a_run_under_way() {
    let mut job_table = job_table(2, &[("a", "x"), ("b", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    job_table.tick("b", at(0));
    job_table.pause("a", None, pause(Some(100))).unwrap();
    job_table.pause("b", None, pause(None)).unwrap();
    assert_eq!(
        job_table.standing("a", at(1)).unwrap().phase,
        JobPhase::Running
    );
    job_table.ended("a", FAILED, at(2), 0.0);
    assert_eq!(
        job_table.standing("a", at(2)).unwrap().phase,
        JobPhase::Paused
    );
    assert!(
        job_table.start(at(2), free).is_empty(),
        "b was waiting, and is paused now"
    );
    assert_eq!(job_table.tick("a", at(50)), TickEffect::Ignored);
    job_table.retry(at(99));
    assert!(job_table.start(at(99), free).is_empty());
    assert!(matches!(
        job_table.trigger("a", Wish::Run, at(99)),
        Err(CommandError::Paused { .. })
    ));
    assert!(!job_table.make_up("b", at(99)));
    assert!(job_table.rested(at(99)).is_empty());
    assert_eq!(job_table.rested(at(100)), [("a".to_owned(), None)]);
    assert!(job_table.resume("a", None).unwrap().is_some());
    assert!(job_table.resume("a", None).unwrap().is_none());
    job_table.retry(at(100));
    assert_eq!(names(&job_table.start(at(100), free)), ["a"]);
}

#[test]
fn what_is_barred_waits_for_as_long_as_it_is_barred() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(0));
    assert!(job_table.start(at(0), |_| Some(at(5000))).is_empty());
    let standing = job_table.standing("a", at(1)).unwrap();
    assert_eq!(
        (standing.phase, standing.put_off),
        (JobPhase::BackingOff, Some(at(5000)))
    );
    assert!(job_table.start(at(49), |_| Some(at(5000))).is_empty());
    assert_eq!(
        names(&job_table.start(at(50), free)),
        ["a"],
        "other credentials, perhaps"
    );
}

#[test]
fn what_another_program_runs_is_tried_again_and_said_once() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    assert_eq!(
        job_table.ended("a", RunEnd::Busy, at(1), 0.0),
        Some(OutageChange::Elsewhere)
    );
    assert!(job_table.start(at(2), free).is_empty());
    let standing = job_table.standing("a", at(2)).unwrap();
    assert_eq!(
        (standing.phase, standing.elsewhere_since, standing.put_off),
        (JobPhase::Waiting, Some(at(1)), Some(at(31))),
        "nothing failed"
    );
    assert_eq!(names(&job_table.start(at(31), free)), ["a"]);
    let standing = job_table.standing("a", at(31)).unwrap();
    assert_eq!(
        (standing.phase, standing.elsewhere_since),
        (JobPhase::Running, None)
    );
    for second in (31..3600 + 60).step_by(30) {
        assert_eq!(job_table.ended("a", RunEnd::Busy, at(second), 0.0), None);
        assert!(job_table.stuck(at(second), |_| None).is_empty());
        assert_eq!(names(&job_table.start(at(second + 30), free)), ["a"]);
    }
    assert_eq!(
        job_table.stuck(at(3600 + 62), |_| None),
        ["a"],
        "no run may take so long"
    );
    assert!(job_table.stuck(at(3600 + 63), |_| None).is_empty());
    assert_eq!(job_table.ended("a", RunEnd::Well, at(3700), 0.0), None);
    job_table.tick("a", at(3701));
    job_table.start(at(3701), free);
    assert_eq!(
        job_table.ended("a", RunEnd::Busy, at(3702), 0.0),
        Some(OutageChange::Elsewhere)
    );
    // A clock that is set back does not extend the delay.
    assert_eq!(names(&job_table.start(at(1000), free)), ["a"]);
}

#[test]
fn a_pause_and_a_reload_are_stronger_than_what_another_program_runs() {
    let mut job_table = job_table(2, &[("a", "x"), ("b", "y")]);
    for job in ["a", "b"] {
        job_table.trigger(job, Wish::Run, at(0)).unwrap();
    }
    job_table.start(at(0), free);
    job_table.pause("a", None, pause(None)).unwrap();
    job_table.set(2, [("a".to_owned(), rules("x"))].into(), |_| {
        PersistedJob::default()
    });
    for job in ["a", "b"] {
        assert_eq!(job_table.ended(job, RunEnd::Busy, at(1), 0.0), None);
        assert!(!job_table.is_asked(job));
    }
    assert!(job_table.start(at(100), free).is_empty());
}

#[test]
fn a_dry_run_takes_no_run_from_the_schedule() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.trigger("a", Wish::DryRun, at(0)).unwrap();
    assert_eq!(job_table.tick("a", at(0)), TickEffect::Wanted);
    assert!(job_table.start(at(0), free)[0].dry_run);
    assert_eq!(
        job_table.tick("a", at(1)),
        TickEffect::Skipped { first: true },
        "one waits already"
    );
    assert!(job_table.start(at(1), free).is_empty());
    job_table.ended("a", RunEnd::Well, at(2), 0.0);
    let starts = job_table.start(at(2), free);
    assert_eq!(
        (starts[0].trigger, starts[0].dry_run),
        (Trigger::Schedule, false)
    );
    job_table.ended("a", RunEnd::Well, at(3), 0.0);
    job_table.trigger("a", Wish::DryRun, at(4)).unwrap();
    job_table.start(at(4), free);
    assert_eq!(job_table.tick("a", at(5)), TickEffect::Wanted);
    job_table.ended("a", RunEnd::Well, at(6), 0.0);
    assert_eq!(names(&job_table.start(at(6), free)), ["a"]);
}

#[test]
fn changed_credentials_end_the_waiting_for_the_old_ones() {
    let mut job_table = job_table(2, &[("b", "y"), ("c", "z")]);
    let refused = RunEnd::Failed {
        kind: FailureKind::DirectoryRefused,
        error: "49",
        asked: None,
    };
    for (job, ended) in [("b", refused), ("c", FAILED)] {
        job_table.tick(job, at(1));
        job_table.start(at(1), free);
        job_table.ended(job, ended, at(2), 0.0);
    }
    for job in ["b", "c"] {
        job_table.hasten(job, &[FailureKind::DirectoryRefused], at(3));
    }
    assert_eq!(
        names(&job_table.start(at(3), free)),
        ["b"],
        "c failed for another reason"
    );
}

#[test]
fn a_person_does_not_wait_for_what_was_put_off() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), |_| Some(at(500)));
    job_table.trigger("a", Wish::DryRun, at(1)).unwrap();
    let starts = job_table.start(at(1), free);
    assert_eq!(
        (starts[0].trigger, starts[0].dry_run),
        (Trigger::Manual, true)
    );
    assert_eq!(
        job_table.ended("a", FAILED, at(2), 0.0),
        None,
        "a dry run tells nothing of the next run"
    );
    assert!(job_table.backoff("a").is_none());
    assert_eq!(
        names(&job_table.start(at(3), free)),
        ["a"],
        "what was put off is still to come"
    );
}

#[test]
fn a_dry_run_of_a_paused_job_is_made() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.pause("a", None, pause(None)).unwrap();
    for wish in [Wish::Run, Wish::Changes] {
        assert!(matches!(
            job_table.trigger("a", wish, at(0)),
            Err(CommandError::Paused { .. })
        ));
    }
    job_table.trigger("a", Wish::DryRun, at(0)).unwrap();
    // One that waits is not pushed out by another pause, nor by another program's run.
    job_table.pause("a", None, pause(Some(500))).unwrap();
    assert!(job_table.start(at(1), free)[0].dry_run);
    job_table.ended("a", RunEnd::Busy, at(2), 0.0);
    assert!(job_table.is_asked("a"));
    assert!(job_table.start(at(60), free)[0].dry_run);
    assert_eq!(job_table.ended("a", RunEnd::Well, at(61), 0.0), None);
    assert_eq!(job_table.tick("a", at(70)), TickEffect::Ignored);
    assert!(job_table.start(at(80), free).is_empty());
    assert!(matches!(
        job_table.trigger("none", Wish::DryRun, at(90)),
        Err(CommandError::UnknownJob { .. })
    ));
}
