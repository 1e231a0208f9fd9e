//! A database that is deleted while it is open: the next use recreates it, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn delete(config: &Config, what: usize) {
    match what % 3 {
        0 => fs::remove_file(config.state_dir.join(FILE)).unwrap(),
        1 => fs::remove_dir_all(&config.state_dir).unwrap(),
        _ => fs::remove_file(config.state_dir.join("state.lock")).unwrap(),
    }
}

#[test]
fn what_holds_jobs_up_is_put_into_the_new_one_as_the_daemon_knows_it() {
    let (_folder, config) = studio();
    // The reports show a failure that the daemon knows to be over.
    keep_report(&config, &run("artists", 1, Outcome::Failed));
    let pause = Pause {
        since: at("2026-01-31T10:00:00Z"),
        until: None,
        reason: None,
        by: None,
    };
    let refused = RefusedAccount {
        mark: None,
        failures: 1,
        refused_at: at("2026-01-31T10:00:00Z"),
        next_at: at("2026-01-31T10:20:00Z"),
        error: "code 49".into(),
    };
    open(&config).set_pause("nightly", Some(&pause)).unwrap();
    let daemon = open(&config);
    daemon.set_backoff("artists", None).unwrap();
    daemon.set_backoff("interns", Some(&backoff())).unwrap();
    assert_eq!(daemon.pause("nightly").unwrap(), Some(pause.clone()));
    daemon.set_refusal("ftrack", Some(&refused)).unwrap();
    let (stopped, resumed) = (ChangeKind::Deactivate, ChangeKind::Rename);
    open(&config)
        .set_paused_kind("artists", stopped, Some(&pause))
        .unwrap();
    assert!(
        daemon
            .paused_kinds("artists")
            .unwrap()
            .contains_key(&stopped)
    );
    for pause in [Some(&pause), None] {
        daemon.set_paused_kind("artists", resumed, pause).unwrap();
    }
    daemon
        .set_absences("artists", &Absences::new(), &absences(&[("a", 2)]))
        .unwrap();
    for what in 0..2 {
        delete(&config, what);
        daemon
            .add_run(&run("artists", 2, Outcome::Succeeded), &keep(5))
            .unwrap();
        let after = open(&config);
        assert_eq!(after.backoff("artists").unwrap(), None);
        assert_eq!(after.backoff("interns").unwrap(), Some(backoff()));
        assert_eq!(after.pause("nightly").unwrap(), Some(pause.clone()));
        assert_eq!(
            after.paused_kinds_now("artists").unwrap(),
            [(stopped, pause.clone())].into()
        );
        assert_eq!(
            after.refusals().unwrap(),
            [("ftrack".to_owned(), refused.clone())].into()
        );
        assert_eq!(absences_of(&after, "artists"), Absences::new());
        assert_eq!(
            after.last_success("artists").unwrap(),
            Some(run("artists", 2, Outcome::Succeeded))
        );
    }
    // A command knows nothing of it, and takes nothing from the daemon.
    let command = open(&config);
    daemon.set_pause("nightly", None).unwrap();
    delete(&config, 0);
    command
        .add_run(&run("artists", 3, Outcome::Succeeded), &keep(5))
        .unwrap();
    assert_eq!(daemon.pause("nightly").unwrap(), None);
    assert_eq!(open(&config).backoff("interns").unwrap(), Some(backoff()));
}

#[test]
fn many_who_find_it_gone_at_once_end_up_with_one() {
    for round in 0..24_usize {
        let (_folder, config) = studio();
        let states: Vec<State> = (0..6).map(|_| open(&config)).collect();
        for (opener, state) in states.iter().enumerate() {
            state.set_pause(&format!("job{opener}"), None).unwrap();
        }
        let ready = Barrier::new(states.len() + 2);
        thread::scope(|scope| {
            for (opener, state) in states.iter().enumerate() {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    for minute in 0..3 {
                        state
                            .add_run(
                                &run(&format!("job{opener}"), minute, Outcome::Succeeded),
                                &keep(5),
                            )
                            .unwrap();
                    }
                });
            }
            let (config, ready) = (&config, &ready);
            scope.spawn(move || {
                ready.wait();
                open(config)
                    .add_run(&run("new", 1, Outcome::Succeeded), &keep(5))
                    .unwrap();
            });
            scope.spawn(move || {
                delete(config, round);
                ready.wait();
            });
        });
        let state = open(&config);
        let runs: i64 = state
            .read(|connection| {
                connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
            })
            .unwrap();
        assert_eq!(runs, 6 * 3 + 1, "round {round}");
        assert_eq!(names(&config.state_dir), ["state.db", "state.lock"]);
    }
}

#[test]
fn what_stands_in_its_place_and_is_no_database_is_an_error_for_as_long_as_it_stands_there() {
    let (_folder, config) = studio();
    let state = open(&config);
    delete(&config, 0);
    fs::create_dir(config.state_dir.join(FILE)).unwrap();
    for _ in 0..2 {
        assert!(
            state
                .set_backoff("artists", None)
                .unwrap_err()
                .to_string()
                .contains("directory")
        );
    }
    fs::remove_dir(config.state_dir.join(FILE)).unwrap();
    state.set_backoff("artists", None).unwrap();
}
