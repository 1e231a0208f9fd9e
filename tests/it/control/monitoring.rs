//! `status --check`: each status of a monitoring plugin, for each cause, with one line that monitoring
//! systems can take apart.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use ftrack_ldap_sync::{
    daemon::{
        heartbeat::Heartbeat,
        status::{Contact, JobPhase, JobStatus, Status},
    },
    model::{
        backoff::Backoff,
        change_kind::ChangeKind,
        pause::Pause,
        report::{FailureKind, Outcome, Report},
        summary::RunSummary,
    },
};

use super::{Daemon, at, ended, job, program, report, status};
use crate::ability;

/// The exit status and the line, which is the only one and has nothing beside it.
fn checked((exit, out, err): (i32, String, String)) -> (i32, String) {
    assert_eq!(err, "", "monitoring systems read standard output alone");
    let line = out
        .strip_suffix('\n')
        .unwrap_or_else(|| panic!("no whole line: {out:?}"));
    assert!(
        !line.contains('\n') && line.chars().count() < 1000,
        "{line}"
    );
    assert!(
        line.matches('|').count() <= 1,
        "only performance data is behind a bar: {line}"
    );
    let (_, figures) = line.split_once(" | ").unwrap_or((line, ""));
    for figure in figures.split_whitespace() {
        let (label, values) = figure.split_once('=').unwrap();
        let value = values.split(';').next().unwrap().trim_end_matches('s');
        let is_label = label
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_');
        assert!(is_label && value.parse::<f64>().is_ok(), "{figure}");
    }
    (exit, line.to_owned())
}

fn check_of(status: Status, pulse: Heartbeat) -> (i32, String) {
    checked(Daemon::with(status, pulse).run("status", &["--check"]))
}

/// What is said of jobs, without the performance data.
fn check(jobs: Vec<JobStatus>) -> (i32, String) {
    let (exit, line) = check_of(status(jobs), Heartbeat::new());
    (exit, line.split(" | ").next().unwrap().to_owned())
}

/// What is said of one job with this change.
fn check_with(change: impl FnOnce(&mut JobStatus)) -> (i32, String) {
    let mut artists = job("artists");
    change(&mut artists);
    check(vec![artists])
}

fn failed(failures: u32, suspended: bool) -> Backoff {
    Backoff {
        failures,
        since: at("2026-01-01T00:00:00Z"),
        retry_at: at("2030-01-01T00:00:00Z"),
        suspended,
        kind: FailureKind::Directory,
        error: "no server answered | and\nthe log is full".into(),
        asked: None,
    }
}

fn pause() -> Pause {
    serde_json::from_value(
        serde_json::json!({"since": "2026-01-01T00:00:00Z", "until": null, "reason": "move"}),
    )
    .unwrap()
}

fn last_run(outcome: Outcome, change: impl FnOnce(&mut serde_json::Value)) -> RunSummary {
    let mut last = serde_json::to_value(report("artists", outcome)).unwrap();
    change(&mut last);
    RunSummary::of(&serde_json::from_value::<Report>(last).unwrap())
}

#[test]
fn all_is_well() {
    let mut artists = job("artists");
    artists.last_success = Some(Utc::now() - TimeDelta::seconds(90));
    let (exit, line) = check_of(status(vec![artists, job("nightly")]), Heartbeat::new());
    assert_eq!(exit, 0);
    let (line, seconds) = line.rsplit_once(" since_success=").unwrap();
    assert_eq!(
        line,
        "FTRACK-LDAP-SYNC OK: 2 jobs, nothing needs a person | jobs=2;;;0 failures=0;0;2;0 paused=0;0;;0 \
         open_holds=0;0;;0 failed_changes=0;0;;0 unconfirmed_changes=0;0;;0 unsettled_people=0;0;;0"
    );
    let seconds: u64 = seconds.strip_suffix("s;;;0").unwrap().parse().unwrap();
    assert!((90..120).contains(&seconds), "{seconds}");
    assert_eq!(
        check(vec![job("artists")]),
        (
            0,
            "FTRACK-LDAP-SYNC OK: 1 job, nothing needs a person".into()
        )
    );
}

#[test]
fn what_waits_for_a_person_is_a_warning() {
    let warnings = [
        check_with(|job| job.backoff = Some(failed(1, false))),
        check_with(|job| job.backoff = Some(failed(2, false))),
        check_with(|job| {
            job.phase = JobPhase::Paused;
            job.pause = Some(pause());
        }),
        check_with(|job| {
            job.phase = JobPhase::Paused;
            job.pause = Some(Pause {
                until: Some(at("2026-11-28T09:03:01.949610994Z")),
                ..pause()
            });
        }),
        check_with(|job| {
            job.paused_kinds.insert(ChangeKind::Deactivate, pause());
        }),
        check_with(|job| {
            job.last_run = Some(last_run(Outcome::Held, |run| {
                run["open_holds"] = 2.into();
                run["counts"]["failed"] = 1.into();
                run["counts"]["unconfirmed"] = 3.into();
                run["counts"]["unsettled"] = 1.into();
            }));
        }),
        check_with(|job| {
            job.last_run = Some(last_run(Outcome::Succeeded, |run| {
                run["directory"]["replica"] = true.into();
            }));
        }),
        check(Vec::new()),
    ];
    assert!(warnings.iter().all(|(exit, _)| *exit == 1), "{warnings:?}");
    let said: Vec<String> = warnings.into_iter().map(|(_, line)| line).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    FTRACK-LDAP-SYNC WARNING: artists: failed once: no server answered / and\u{a}the log is full
    FTRACK-LDAP-SYNC WARNING: artists: failed 2 times in a row: no server answered / and\u{a}the log is full
    FTRACK-LDAP-SYNC WARNING: artists: paused
    FTRACK-LDAP-SYNC WARNING: artists: paused until 2026-11-28 10:03:01 CET
    FTRACK-LDAP-SYNC WARNING: artists: deactivate is paused
    FTRACK-LDAP-SYNC WARNING: artists: 2 holds wait for a person; artists: 1 change could not be applied; artists: 3 changes are not confirmed; artists: 1 person needs a decision
    FTRACK-LDAP-SYNC WARNING: artists: ldap://127.0.0.1 was read, not the preferred server
    FTRACK-LDAP-SYNC WARNING: there are no jobs
    "#);
}

#[test]
fn the_page_shows_a_line_as_it_is() {
    let mut artists = job("artists");
    artists.last_success = Some(Utc::now() - TimeDelta::seconds(900));
    artists.last_run = Some(last_run(Outcome::Held, |run| run["open_holds"] = 2.into()));
    let (_, line) = check_of(status(vec![artists]), Heartbeat::new());
    let (line, _) = line.rsplit_once(" since_success=").unwrap();
    let page = crate::readme::text_of("deploy/monitoring/README.md");
    let shown = format!("{line} since_success=900s;;;0\n");
    assert!(page.contains(&shown), "the page lacks the line\n{shown}");
}

#[test]
fn users_that_are_not_synced_are_critical() {
    let late = |minutes| Some(Utc::now() - TimeDelta::minutes(minutes));
    let criticals = [
        check_with(|job| job.backoff = Some(failed(3, false))),
        check_with(|job| job.backoff = Some(failed(10, true))),
        check_with(|job| job.next_run = late(20)),
        check_with(|job| (job.phase, job.success_due) = (JobPhase::Running, late(20))),
        check_with(|job| {
            job.last_run = Some(last_run(Outcome::Partial, |run| run["alarm"] = true.into()));
        }),
        // The worst comes first.
        check(vec![
            JobStatus {
                backoff: Some(failed(1, false)),
                ..job("artists")
            },
            JobStatus {
                backoff: Some(failed(4, false)),
                ..job("lighting")
            },
        ]),
    ];
    assert!(
        criticals.iter().all(|(exit, _)| *exit == 2),
        "{criticals:?}"
    );
    let said: Vec<String> = criticals.into_iter().map(|(_, line)| line).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    FTRACK-LDAP-SYNC CRITICAL: artists: failed 3 times in a row: no server answered / and\u{a}the log is full
    FTRACK-LDAP-SYNC CRITICAL: artists: suspended: failed 10 times in a row: no server answered / and\u{a}the log is full
    FTRACK-LDAP-SYNC CRITICAL: artists: 20 minutes overdue
    FTRACK-LDAP-SYNC CRITICAL: artists: no success, which was due 20 minutes ago
    FTRACK-LDAP-SYNC CRITICAL: artists: ftrack's own synchronisation did more than the limits allow, see `runs show 20260101-000000-0000`
    FTRACK-LDAP-SYNC CRITICAL: lighting: failed 4 times in a row: no server answered / and\u{a}the log is full; artists: failed once: no server answered / and\u{a}the log is full
    "#);
    // What waits for a run that is under way is not late, nor is a moment.
    let phases = [JobPhase::Waiting, JobPhase::Running];
    for phase in phases {
        let waits = check_with(|job| (job.phase, job.next_run) = (phase, late(20)));
        assert_eq!(waits.0, 0, "{phase:?}");
    }
    assert_eq!(check_with(|job| job.next_run = late(14)).0, 0);
}

#[test]
fn the_daemon_itself_is_checked() {
    let with = |change: &dyn Fn(&mut Status)| {
        let mut now = status(vec![job("artists")]);
        change(&mut now);
        check_of(now, Heartbeat::new())
    };
    let unreached = |now: &mut Status| {
        now.contacts = vec![Contact {
            server: "directory studio".into(),
            since: None,
            error: Some("connection refused".into()),
        }];
    };
    let (exit, line) = with(&unreached);
    assert_eq!(exit, 2);
    assert!(line.contains("directory studio was not reached since the start: connection refused"));
    let starting = |now: &mut Status| {
        unreached(now);
        now.started_at = Utc::now();
    };
    assert_eq!(with(&starting).0, 1, "it may still be on its way");
    let refused = |now: &mut Status| now.config.error = Some("unknown key `api_usr`".into());
    let (exit, line) = with(&refused);
    assert_eq!(exit, 1);
    assert!(
        line.contains("the configuration is invalid, the old one is used: unknown key `api_usr`")
    );
    assert_eq!(with(&|now| now.stopping = true).0, 1);

    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let (exit, line) = check_of(
        status(vec![job("artists")]),
        Heartbeat::starting_at(long_ago),
    );
    assert_eq!(exit, 2);
    assert!(
        line.contains("CRITICAL: the scheduler made no progress for 6"),
        "{line}"
    );
}

#[test]
fn however_much_there_is_to_say_the_line_is_short() {
    let jobs = (0..500).map(|number| JobStatus {
        backoff: Some(Backoff {
            error: "ü".repeat(5000),
            ..failed(2, false)
        }),
        ..job(&format!("job-{number}"))
    });
    let (exit, line) = check_of(status(jobs.collect()), Heartbeat::new());
    assert_eq!(exit, 1);
    assert!(line.contains("… | jobs=500;;;0 failures=2;0;2;0"), "{line}");
}

#[test]
fn a_daemon_that_does_not_answer_is_critical() {
    let check = |socket: &Path| {
        let socket = socket.to_str().unwrap();
        checked(ended(
            program(&["status", "--check", "--socket", socket])
                .output()
                .unwrap(),
        ))
    };
    let folder = tempfile::tempdir().unwrap();
    let (exit, line) = check(&folder.path().join("missing.sock"));
    assert_eq!(exit, 2);
    assert!(
        line.starts_with("FTRACK-LDAP-SYNC CRITICAL: no daemon listens on "),
        "{line}"
    );
    // It accepts, and says nothing.
    let silent = folder.path().join("silent.sock");
    let _listener = UnixListener::bind(&silent).unwrap();
    let began = Instant::now();
    let (exit, line) = check(&silent);
    assert_eq!(
        (exit, line.as_str()),
        (
            2,
            "FTRACK-LDAP-SYNC CRITICAL: the daemon did not answer within 8 s"
        )
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // For people as well, and nothing is said of a command, since there was none.
    let silent = silent.to_str().unwrap();
    let (exit, out, err) = ended(program(&["status", "--socket", silent]).output().unwrap());
    assert_eq!((exit, &*out), (1, ""));
    assert!(
        err.contains("did not answer within 8 s; its process may be suspended")
            && !err.contains("took effect"),
        "{err}"
    );
}

#[test]
fn a_configuration_that_is_no_toml_is_a_warning_while_the_daemon_runs() {
    let daemon = Daemon::of(&["artists"]);
    let config = daemon.folder.path().join("config.toml");
    std::fs::write(&config, "[ftrack\n").unwrap();
    let mut command = program(&["--config", config.to_str().unwrap(), "status", "--check"]);
    command.env("FTRACK_LDAP_SYNC_CONTROL_SOCKET", daemon.socket());
    let (exit, line) = checked(ended(command.output().unwrap()));
    assert_eq!(exit, 1, "{line}");
    assert!(
        line.starts_with("FTRACK-LDAP-SYNC WARNING: the configuration on disk cannot be read: "),
        "{line}"
    );
}

#[test]
fn what_cannot_be_found_out_is_unknown() {
    let run = |arguments: &[&str]| checked(ended(program(arguments).output().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let config = config.to_str().unwrap();
    std::fs::write(config, "control_socket = 7\n").unwrap();
    // The configuration does not tell where the daemon listens; bad usage; a bad filter.
    for arguments in [
        &["--config", config, "status", "--check"][..],
        &["status", "--check", "--sockt", "/run/x"],
        &["status", "--check", "--format", "json"],
        &["status", "--check", "--log-filter", "x=loud,"],
    ] {
        let (exit, line) = run(arguments);
        assert_eq!(exit, 3, "{line}");
        assert!(line.starts_with("FTRACK-LDAP-SYNC UNKNOWN: "), "{line}");
    }
    // Something else answers at the socket.
    let socket = folder.path().join("other.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let (exit, line) = run(&["status", "--check", "--socket", socket.to_str().unwrap()]);
    other.join().unwrap();
    assert_eq!(exit, 3);
    assert!(
        line.contains("UNKNOWN: cannot parse the daemon's answer"),
        "{line}"
    );
}

#[test]
fn who_may_not_ask_does_not_know() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped who_may_not_ask_does_not_know: only root can become somebody else");
        return;
    }
    let daemon = Daemon::of(&["artists"]);
    let program = daemon.folder.path().join("program");
    ability::copy_program(&program);
    for path in [daemon.folder.path(), daemon.socket().parent().unwrap()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    use std::os::unix::process::CommandExt;
    let asked = std::process::Command::new(&program)
        .args(["status", "--check", "--socket"])
        .arg(daemon.socket())
        .env_clear()
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let (exit, line) = checked(ended(asked));
    assert_eq!(exit, 3);
    assert!(
        line.starts_with("FTRACK-LDAP-SYNC UNKNOWN: permission denied on "),
        "{line}"
    );
}
