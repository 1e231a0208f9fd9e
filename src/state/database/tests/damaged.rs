//! A database that is damaged or blocks another: what is set aside, what is recreated, and what is
//! an error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[test]
fn a_database_that_was_lost_is_made_anew_with_what_holds_jobs_up() {
    let (_folder, config) = studio();
    let refused = |minute| RunSummary {
        error_kind: Some(FailureKind::DirectoryRefused),
        ..run("artists", minute, Outcome::Failed)
    };
    let stopped = RunSummary {
        error_kind: Some(FailureKind::Stopped),
        ..run("artists", 4, Outcome::Failed)
    };
    for run in [
        run("artists", 0, Outcome::Failed),
        run("artists", 1, Outcome::Held),
        refused(2),
        refused(3),
        stopped,
    ] {
        keep_report(&config, &run);
    }
    fs::create_dir_all(config.state_dir.join("absences")).unwrap();
    fs::write(
        config.state_dir.join("absences/artists.json"),
        in_file(&absences(&[("a", 2)])),
    )
    .unwrap();
    fs::write(config.state_dir.join(FILE), "no database").unwrap();
    assert_eq!(
        known(&config.state_dir, "artists", FTRACK)
            .map(|known| known.absences)
            .unwrap(),
        Absences::new()
    );
    let (state, set_aside) = State::open(&config).unwrap();
    let set_aside = set_aside.unwrap();
    assert_eq!(fs::read(&set_aside.path).unwrap(), b"no database");
    assert!(set_aside.to_string().contains("paused"), "{set_aside}");
    let backoff = state.backoff("artists").unwrap().unwrap();
    assert_eq!(
        (backoff.failures, backoff.kind),
        (2, FailureKind::DirectoryRefused)
    );
    assert_eq!(
        (backoff.since, backoff.retry_at),
        (
            refused(2).finished_at,
            refused(3).finished_at + TimeDelta::minutes(40)
        )
    );
    let refusals = state.refusals().unwrap();
    let gate = &refusals["directory studio"];
    assert_eq!(
        (gate.mark.as_ref(), gate.failures, gate.next_at),
        (None, 2, refused(3).finished_at + TimeDelta::minutes(20))
    );
    assert_eq!(
        absences_of(&state, "artists"),
        Absences::new(),
        "what is in files is older than what was lost"
    );
}

#[test]
fn each_kind_of_damage_is_set_aside_and_the_newest_three_are_kept() {
    let (_folder, config) = studio();
    let path = config.state_dir.join(FILE);
    {
        let state = open(&config);
        let many: Vec<(String, u32)> = (0..2000)
            .map(|number| (format!("id-{number:05}"), 1))
            .collect();
        let many: Vec<(&str, u32)> = many
            .iter()
            .map(|(id, reads)| (id.as_str(), *reads))
            .collect();
        state
            .set_absences("artists", &Absences::new(), &absences(&many))
            .unwrap();
        state.set_backoff("artists", Some(&backoff())).unwrap();
    }
    let good = fs::read(&path).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 20, "{pages}");
    let mut damaged: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("garbage".into(), vec![0x5a; 9000]),
        ("zeros".into(), vec![0; 4096]),
    ];
    for length in [
        1,
        15,
        99,
        100,
        4095,
        4096,
        4097,
        good.len() / 2,
        good.len() - 4096,
        good.len() - 1,
    ] {
        damaged.push((format!("cut to {length}"), good[..length].to_vec()));
    }
    for page in 0..pages {
        for byte in [0_u8, 0xff, 0x5a] {
            let mut content = good.clone();
            content[page * 4096..(page + 1) * 4096].fill(byte);
            damaged.push((format!("page {page} full of {byte}"), content));
        }
    }
    let word = good
        .windows(17)
        .position(|bytes| bytes == b"directory_refused")
        .unwrap();
    let mut content = good.clone();
    content[word] = b'?';
    damaged.push(("another word".into(), content));
    let time = good
        .windows(9)
        .position(|bytes| bytes == b"10:20:00.")
        .unwrap();
    let mut content = good.clone();
    content[time] = b'x';
    damaged.push(("no time".into(), content));
    for (what, content) in damaged {
        fs::write(&path, &content).unwrap();
        fs::write(corruption::journal(&path), "no journal").unwrap();
        let known = known(&config.state_dir, "interns", FTRACK)
            .map(|known| known.absences)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(known, Absences::new());
        let (state, set_aside) =
            State::open(&config).unwrap_or_else(|error| panic!("{what}: {error}"));
        let set_aside = set_aside.unwrap_or_else(|| panic!("{what} was not seen"));
        assert_eq!(fs::read(&set_aside.path).unwrap(), content, "{what}");
        assert!(!corruption::journal(&path).exists(), "{what}");
        state
            .add_run(&run("artists", 1, Outcome::Succeeded), &keep(5))
            .unwrap();
        drop(state);
        open(&config);
    }
    let aside = names(&config.state_dir)
        .iter()
        .filter(|name| name.contains("damaged") && !name.ends_with("-journal"))
        .count();
    assert_eq!(aside, 3);
}

#[test]
fn what_is_no_damage_is_an_error_and_stays_in_its_place() {
    let (_folder, config) = studio();
    let path = config.state_dir.join(FILE);
    fs::create_dir_all(&path).unwrap();
    let error = State::open(&config).unwrap_err().to_string();
    assert!(
        error.contains("state.db") && error.contains("directory"),
        "{error}"
    );
    assert!(
        known(&config.state_dir, "artists", FTRACK)
            .map(|known| known.absences)
            .is_err()
    );
    fs::remove_dir(&path).unwrap();

    drop(open(&config));
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = fs::read(&path).unwrap();
    let error = State::open(&config).unwrap_err().to_string();
    assert!(
        error.contains("a newer version of this program") && error.contains("99"),
        "{error}"
    );
    assert!(
        known(&config.state_dir, "artists", FTRACK)
            .map(|known| known.absences)
            .unwrap_err()
            .to_string()
            .contains("a newer version")
    );
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert_eq!(names(&config.state_dir), ["state.db", "state.lock"]);
    fs::remove_file(&path).unwrap();

    // Another program's database is left alone.
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE runs (a); PRAGMA user_version = 1;")
        .unwrap();
    assert!(
        State::open(&config)
            .unwrap()
            .1
            .unwrap()
            .why
            .contains("not a state database")
    );
}

#[test]
fn whoever_has_it_open_follows_when_it_is_made_anew() {
    let (_folder, config) = studio();
    let daemon = open(&config);
    fs::write(config.state_dir.join(FILE), vec![7; 5000]).unwrap();
    let (command, set_aside) = State::open(&config).unwrap();
    assert!(set_aside.is_some());
    daemon.set_backoff("artists", Some(&backoff())).unwrap();
    assert_eq!(command.backoff("artists").unwrap(), Some(backoff()));
    // Also to one that is damaged while open.
    fs::rename(config.state_dir.join(FILE), config.state_dir.join("moved")).unwrap();
    fs::write(config.state_dir.join(FILE), "no database").unwrap();
    daemon.set_backoff("interns", Some(&backoff())).unwrap();
    assert_eq!(command.backoff("artists").unwrap(), Some(backoff()));
    assert_eq!(command.backoff("interns").unwrap(), Some(backoff()));
}
