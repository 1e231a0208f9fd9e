//! What people and signals want, and what is saved before it is done.

use super::*;

const NONE: [&str; 0] = [];

#[test]
fn a_pause_is_done_when_it_is_kept() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(
        daemon.pause("a", pause(None)),
        ["save 0: pause of a"],
        "no reply yet"
    );
    assert_eq!(daemon.phase("a"), "idle");
    assert_eq!(daemon.saved(0), ["log paused a", "reply 1: a"]);
    assert_eq!(daemon.phase("a"), "paused");
    assert_eq!(daemon.tick("a"), NONE);
    let refused = daemon.trigger("a");
    assert_eq!(
        refused,
        [
            "reply 2: a is paused, since 2026-01-01 00:00:00 UTC, so the daemon starts no run of it; \
             `resume a` ends the pause, and `sync` by hand, `apply` and `approve` run all the same"
        ]
    );
    let job = "a".to_owned();
    assert_eq!(
        daemon.command(Command::Resume { job, only: None }),
        ["save 1: no pause of a"]
    );
    assert_eq!(daemon.phase("a"), "paused");
    assert_eq!(daemon.saved(1), ["log resumed a", "reply 3: a"]);
    assert_eq!(daemon.tick("a"), ["start a"]);
}

#[test]
fn what_cannot_be_kept_is_not_done_and_logged_once() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.pause("a", pause(None));
    let not_done = "it cannot be saved over a restart, so it was not done: the disk is full";
    assert_eq!(
        daemon.not_saved(0),
        [
            "log state failed".to_owned(),
            format!("reply 1: {not_done}")
        ]
    );
    assert_eq!(daemon.phase("a"), "idle");
    daemon.pause("a", pause(None));
    assert_eq!(daemon.not_saved(1), [format!("reply 2: {not_done}")]);
    daemon.pause("a", pause(None));
    daemon.saved(2);
    daemon.pause("a", pause(None));
    assert_eq!(
        daemon.not_saved(3)[0],
        "log state failed",
        "it could be saved in between"
    );
}

#[test]
fn a_disk_that_does_not_answer_stops_no_heartbeat_and_no_run() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "y")]);
    daemon.pause("a", pause(None));
    daemon.tick("b");
    daemon.ended("b", None);
    for _ in 0..300 {
        assert_eq!(daemon.after(1), NONE);
    }
    assert_eq!(daemon.tick("b"), ["start b"]);
    assert_eq!(daemon.status().beat_at, daemon.now.time);
}

#[test]
fn a_pause_is_over_by_itself_even_if_that_cannot_be_kept() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.pause("a", pause(Some("2026-01-01T00:01:00Z")));
    daemon.saved(0);
    assert_eq!(daemon.after(59), NONE);
    assert_eq!(daemon.after(1), ["save 1: no pause of a", "log resumed a"]);
    daemon.not_saved(1);
    assert_eq!(daemon.tick("a"), ["start a"]);
}

#[test]
fn the_end_of_a_pause_does_not_overwrite_one_that_is_being_kept() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.pause("a", pause(Some("2026-01-01T00:01:00Z")));
    daemon.saved(0);
    daemon.pause("a", pause(None));
    assert_eq!(daemon.after(90), NONE);
    daemon.saved(1);
    assert_eq!(daemon.after(1), NONE);
    assert_eq!(daemon.phase("a"), "paused");
}

#[test]
fn a_daemon_that_stops_answers_those_who_wait_first() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.pause("a", pause(None));
    daemon.step(Input::Stop);
    assert!(!daemon.core.is_finished());
    assert_eq!(daemon.saved(0), ["log paused a", "reply 1: a"]);
    assert!(daemon.core.is_finished());
}

#[test]
fn a_trigger_is_told_that_it_waits_and_how_it_ends() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x")]);
    assert_eq!(daemon.tick("a"), ["start a"]);
    assert_eq!(
        daemon.trigger("b"),
        ["reply 1: accepted", "tell 1: waiting"]
    );
    assert_eq!(
        daemon.trigger("b"),
        ["reply 2: a run of b is already in progress; `status` shows its progress"]
    );
    assert_eq!(
        daemon.ended("a", None),
        ["save 0: no backoff of a", "start b for 1"]
    );
    assert_eq!(
        daemon.ended("b", None),
        ["save 1: no backoff of b", "tell 1 at last: finished"]
    );
}

#[test]
fn who_waits_for_a_job_that_goes_is_told_so() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x")]);
    daemon.tick("a");
    daemon.trigger("b");
    let done = daemon.load(loaded(&[("a", "x")]));
    assert_eq!(
        done,
        [
            "use",
            "log reloaded",
            "notify Ready",
            "tell 1 at last: ended, there is no job \"b\" (the only job is a)"
        ]
    );
    assert_eq!(
        daemon.pause("b", pause(None)),
        ["reply 2: there is no job \"b\" (the only job is a)"]
    );
}

#[test]
fn a_signal_triggers_every_job_that_is_not_paused() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "y")]);
    daemon.pause("a", pause(None));
    daemon.saved(0);
    let (from, command) = (None, Command::TriggerAll);
    assert_eq!(
        daemon.step(Input::Command { from, command }),
        ["log not triggered a", "start b"]
    );
}

#[test]
fn reloads_come_one_after_the_other_and_a_broken_one_changes_nothing() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    assert_eq!(
        daemon.command(Command::Reload),
        ["notify Reloading", "load"]
    );
    assert_eq!(daemon.command(Command::Reload), NONE);
    assert_eq!(
        daemon.step(Input::Loaded(Err("line 1\nline 2".to_owned()))),
        [
            "count failed reload",
            "log configuration refused: line 1; line 2",
            "notify Ready",
            "notify Reloading",
            "load"
        ]
    );
    assert_eq!(daemon.status().config.reload_failures, 1);
    assert_eq!(daemon.tick("a"), ["start a"]);
    daemon.load(loaded(&[("a", "x")]));
    assert_eq!(daemon.status().config.error, None);
}

#[test]
fn a_reload_that_moves_a_running_job_lets_no_second_run_on_its_directory_begin() {
    let mut daemon = Daemon::ready(&[("a", "x"), ("b", "x"), ("c", "y")]);
    daemon.tick("a");
    daemon.load(loaded(&[("a", "y"), ("b", "x"), ("c", "y")]));
    assert_eq!(daemon.tick("b"), NONE, "a still reads x");
    assert_eq!(daemon.tick("c"), ["start c"], "and not y");
    assert_eq!(
        daemon.ended("a", None),
        ["save 0: no backoff of a", "start b"]
    );
    assert_eq!(daemon.tick("a"), NONE);
}

/// What another process saved of the pauses of job a.
fn saved_beside(job: Option<Pause>, kinds: &[(ChangeKind, Pause)]) -> Input {
    let kinds = kinds.iter().cloned().collect();
    let paused = Paused { job, kinds };
    Input::PausesSaved(BTreeMap::from([("a".to_owned(), paused)]))
}

#[test]
fn a_pause_that_another_process_saved_is_done_and_so_is_its_end() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    let kinds = [(ChangeKind::Deactivate, pause(None))];
    assert_eq!(
        daemon.step(saved_beside(Some(pause(None)), &kinds)),
        ["log paused a", "log paused deactivate of a"]
    );
    assert_eq!(
        daemon.step(saved_beside(Some(pause(None)), &kinds)),
        NONE,
        "it is known"
    );
    assert_eq!(daemon.phase("a"), "paused");
    assert_eq!(daemon.tick("a"), NONE);
    assert_eq!(daemon.step(saved_beside(None, &kinds)), ["log resumed a"]);
    assert_eq!(daemon.tick("a"), ["start a"]);
    assert_eq!(
        daemon.step(saved_beside(None, &[])),
        ["log resumed deactivate of a"]
    );
    let over = pause(Some("2025-12-31T23:59:59Z"));
    assert_eq!(daemon.step(saved_beside(Some(over), &[])), NONE);
}

#[test]
fn what_is_being_saved_here_is_not_overwritten_by_what_was_read_before() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.pause("a", pause(None));
    daemon.saved(0);
    let job = "a".to_owned();
    daemon.command(Command::Resume { job, only: None });
    assert_eq!(daemon.step(saved_beside(Some(pause(None)), &[])), NONE);
    assert_eq!(daemon.saved(1), ["log resumed a", "reply 2: a"]);
    daemon.pause("a", pause(None));
    assert_eq!(daemon.step(saved_beside(None, &[])), NONE);
    assert_eq!(daemon.saved(2), ["log paused a", "reply 3: a"]);
}

#[test]
fn a_run_that_finds_its_job_paused_did_not_begin() {
    let mut daemon = Daemon::ready(&[("a", "x")]);
    daemon.trigger("a");
    let found = Input::RunEnded {
        job: "a".to_owned(),
        outcome: RunOutcome::Paused(pause(None)),
        servers: Vec::new(),
    };
    let done = daemon.step(found);
    assert_eq!(done[0], "log paused a");
    assert!(
        done[1].starts_with("tell 1 at last: ended, a is paused"),
        "{done:?}"
    );
    assert_eq!((daemon.phase("a"), done.len()), ("paused", 2));
}
