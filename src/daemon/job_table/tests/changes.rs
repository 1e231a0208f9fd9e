//! Reloads, clocks that are set, and whatever else may happen in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn a_reload_keeps_what_goes_on_and_lets_go_of_what_is_gone() {
    let mut job_table = job_table(2, &[("a", "x"), ("b", "y")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    job_table.pause("b", None, pause(None)).unwrap();
    let rules_now = BTreeMap::from([("b".to_owned(), rules("y")), ("c".to_owned(), rules("z"))]);
    job_table.set(2, rules_now, |job| PersistedJob {
        pause: (job == "c").then(|| pause(None)),
        ..PersistedJob::default()
    });
    assert_eq!(job_table.names().collect::<Vec<_>>(), ["b", "c"]);
    assert!(job_table.is_at_work(), "a's run goes on to its end");
    assert_eq!(job_table.tick("a", at(1)), TickEffect::Ignored);
    assert!(matches!(
        job_table.trigger("a", Wish::Run, at(1)),
        Err(CommandError::UnknownJob { .. })
    ));
    assert_eq!(
        ["b", "c"].map(|job| job_table.standing(job, at(1)).unwrap().phase),
        [JobPhase::Paused; 2]
    );
    job_table.ended("a", RunEnd::Well, at(2), 0.0);
    assert!(!job_table.is_at_work() && job_table.standing("a", at(2)).is_none());
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(10 * 86_400));
    job_table.start(at(10 * 86_400), free);
    job_table.ended("a", FAILED, at(10 * 86_400), 0.0);
    job_table.retry(at(0));
    assert_eq!(names(&job_table.start(at(0), free)), ["a"]);
}

#[test]
fn what_changed_is_read_beside_the_schedule_and_never_in_its_place() {
    let triggers = |starts: Vec<StartRun>| -> Vec<Trigger> {
        starts.iter().map(|start| start.trigger).collect()
    };
    let mut job_table = job_table(2, &[("a", "x")]);
    job_table.tick_changes("a", at(0));
    assert_eq!(triggers(job_table.start(at(0), free)), [Trigger::Changes]);
    // The two schedules of a job never run at the same time, and the tick of the other one is not
    // lost.
    job_table.tick_changes("a", at(1));
    assert_eq!(job_table.tick("a", at(1)), TickEffect::Wanted);
    assert!(job_table.start(at(1), free).is_empty());
    job_table.ended("a", RunEnd::Nothing, at(2), 0.0);
    assert_eq!(triggers(job_table.start(at(2), free)), [Trigger::Schedule]);
    job_table.tick_changes("a", at(3));
    job_table.ended("a", RunEnd::Well, at(4), 0.0);
    assert!(
        job_table.start(at(4), free).is_empty(),
        "everything was read"
    );
    // What waits to read what changed reads everything where that is due.
    job_table.tick_changes("a", at(5));
    assert_eq!(job_table.tick("a", at(5)), TickEffect::Wanted);
    assert_eq!(triggers(job_table.start(at(5), free)), [Trigger::Schedule]);
    // A failure is made up for by a run that reads everything, and no reading of what changed ends
    // it.
    job_table.ended("a", FAILED, at(6), 0.0);
    job_table.tick_changes("a", at(7));
    assert!(job_table.start(at(7), free).is_empty());
    job_table.trigger("a", Wish::Changes, at(8)).unwrap();
    let starts = job_table.start(at(8), free);
    assert!(starts[0].is_asked, "{starts:?}");
    job_table.ended("a", RunEnd::Well, at(9), 0.0);
    assert!(job_table.backoff("a").is_some());
    job_table.retry(at(4000));
    assert_eq!(triggers(job_table.start(at(4000), free)), [Trigger::Retry]);
}

#[test]
fn a_job_without_a_schedule_for_what_changed_refuses_to_read_that() {
    let mut job_table = job_table(2, &[]);
    let without = JobRules {
        has_changes: false,
        is_watched: false,
        ..rules("x")
    };
    let all = BTreeMap::from([("a".to_owned(), without)]);
    job_table.set(2, all, |_| PersistedJob::default());
    let refused = job_table.trigger("a", Wish::Changes, at(0));
    assert!(
        matches!(refused, Err(CommandError::NoChanges(_))),
        "{refused:?}"
    );
}

proptest! {
    /// Whatever happens, never two runs of one job or on one directory, and never more than
    /// allowed.
    #[test]
    fn never_two_on_one_directory(steps in prop::collection::vec((0_usize..4, 0_u8..8), 1..200)) {
        let jobs = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")];
        let mut job_table = job_table(2, &jobs);
        let mut running: Vec<&str> = Vec::new();
        for (second, (job, step)) in steps.into_iter().enumerate() {
            let now = at(second as i64 * 20);
            let (name, _) = jobs[job];
            match step {
                0 if second % 2 == 0 => job_table.tick_changes(name, now),
                0 => drop(job_table.tick(name, now)),
                1 => drop(job_table.trigger(name, Wish::Run, now)),
                2 => drop(job_table.pause(name, None, pause(None))),
                3 => drop(job_table.resume(name, None)),
                4 => job_table.retry(now),
                _ if running.contains(&name) => {
                    running.retain(|other| *other != name);
                    job_table.ended(name, [RunEnd::Well, FAILED, RunEnd::Busy][usize::from(step) - 5], now, 0.3);
                }
                _ => {}
            }
            for start in job_table.start(now, free) {
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
    let mut job_table = job_table(1, &[("a", "x")]);
    job_table.tick("a", at(0));
    assert!(job_table.start(at(0), |_| Some(at(1200))).is_empty());
    assert_eq!(
        job_table.standing("a", at(1)).unwrap().put_off,
        Some(at(1200))
    );
    assert_eq!(names(&job_table.start(at(2), free)), ["a"]);
}

#[test]
fn a_run_excludes_the_directory_that_it_began_with_after_a_reload_too() {
    let mut job_table = job_table(3, &[("a", "x"), ("b", "x"), ("c", "y")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    let moved = ["a", "b", "c"].map(|job| {
        let directory = if job == "b" { "x" } else { "y" };
        (job.to_owned(), rules(directory))
    });
    job_table.set(3, moved.into(), |_| PersistedJob::default());
    for job in ["b", "c"] {
        job_table.tick(job, at(1));
    }
    assert_eq!(
        names(&job_table.start(at(1), free)),
        ["c"],
        "a reads x until it ends, and not y"
    );
    job_table.ended("a", RunEnd::Well, at(2), 0.0);
    assert_eq!(names(&job_table.start(at(2), free)), ["b"]);
}

#[test]
fn a_run_of_ftrack_excludes_all_others_after_a_reload_too() {
    let mut job_table = job_table(2, &[("a", "ftrack"), ("b", "x")]);
    job_table.tick("a", at(0));
    job_table.start(at(0), free);
    let moved = [("a", "y"), ("b", "x")].map(|(job, reads)| (job.to_owned(), rules(reads)));
    job_table.set(2, moved.into(), |_| PersistedJob::default());
    job_table.tick("b", at(1));
    assert!(job_table.start(at(1), free).is_empty());
    job_table.ended("a", RunEnd::Well, at(2), 0.0);
    assert_eq!(names(&job_table.start(at(2), free)), ["b"]);
}
