//! `status`, `trigger`, `pause` and `resume` against a daemon's real listeners: output and exit
//! status.

use std::{
    fs,
    os::unix::net::UnixListener,
    process::{Child, Command},
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    daemon::{commands::RunUpdate, heartbeat::Heartbeat, status::JobPhase},
    model::{
        report::{Outcome, Report},
        summary::RunSummary,
    },
    run::Progress,
};

use super::{Daemon, ended, job, program, report, status};
use crate::ability;

impl Daemon {
    /// The program against this daemon.
    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut program = program(&[command, "--socket"]);
        program.arg(self.socket()).args(arguments);
        program
    }

    pub(super) fn run(&self, command: &str, arguments: &[&str]) -> (i32, String, String) {
        ended(self.command(command, arguments).output().unwrap())
    }

    fn start(&self, command: &str, arguments: &[&str]) -> Child {
        self.command(command, arguments).spawn().unwrap()
    }
}

#[test]
fn status_shows_each_job_and_is_a_health_check() {
    let mut daemon = Daemon::of(&["artists", "nightly"]);
    let (exit, out, err) = daemon.run("status", &[]);
    assert_eq!((exit, err.as_str()), (0, ""));
    for shown in [
        "process 42",
        "artists",
        "nightly",
        "idle",
        "never",
        "2030-01-01 01:00:00 CET",
    ] {
        assert!(out.contains(shown), "{shown}:\n{out}");
    }
    let (exit, out, _) = daemon.run("status", &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &json["jobs"][1]["job"]), (0, &"nightly".into()));

    daemon.stop();
    let (exit, out, err) = daemon.run("status", &[]);
    assert_eq!((exit, out.as_str()), (1, ""));
    assert!(
        err.contains("no daemon listens on") && err.contains("ftrack-ldap-sync daemon"),
        "{err}"
    );
}

#[test]
fn status_says_what_was_not_written_and_where_it_is_shown() {
    let noted = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut last = serde_json::to_value(report("artists", Outcome::Held)).unwrap();
        change(&mut last);
        let last: Report = serde_json::from_value(last).unwrap();
        let mut artists = job("artists");
        artists.last_run = Some(RunSummary::of(&last));
        let daemon = Daemon::with(status(vec![artists]), Heartbeat::new());
        let (_, out, _) = daemon.run("status", &[]);
        let notes = out.lines().filter(|line| line.starts_with("artists: "));
        notes.collect::<Vec<_>>().join("\n")
    };
    let held = |counts: &[(&str, usize)]| {
        noted(&|last| {
            for (what, count) in counts {
                last["counts"][what] = (*count).into();
            }
        })
    };
    insta::assert_snapshot!(held(&[("held", 2), ("failed", 1)]), @r"
    artists: 2 held changes: see `holds`
    artists: 1 failed change: see `runs show 20260101-000000-0000`
    ");
    insta::assert_snapshot!(held(&[("held", 1)]), @"artists: 1 held change: see `holds`");
    insta::assert_snapshot!(held(&[("held", 0), ("unconfirmed", 3)]), @"artists: 3 unconfirmed changes: see `runs show 20260101-000000-0000`");
    insta::assert_snapshot!(held(&[("held", 0)]), @"");
    insta::assert_snapshot!(held(&[("held", 0), ("active_leavers", 2)]), @"artists: 2 leavers have an active user, which no run deactivates: see `runs show 20260101-000000-0000`");
    let replica = noted(&|last| {
        last["counts"]["held"] = 0.into();
        last["directory"]["replica"] = true.into();
    });
    insta::assert_snapshot!(replica, @"artists: ldap://127.0.0.1 was read, since the preferred server of the directory could not be: leavers keep their access until it can, see `check`");
}

#[test]
fn status_of_a_scheduler_that_stands_still_is_a_failure() {
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let daemon = Daemon::with(
        status(vec![job("artists")]),
        Heartbeat::starting_at(long_ago),
    );
    let (exit, out, err) = daemon.run("status", &[]);
    assert_eq!(exit, 1);
    // Whoever asks may have had to wait.
    let seconds = err.split("no progress for ").nth(1);
    let seconds = seconds.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(
        out.contains("artists") && seconds.is_some_and(|seconds| (60..600).contains(&seconds)),
        "{out}{err}"
    );
}

#[test]
fn a_socket_that_does_not_answer_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |path: &std::path::Path| {
        let (exit, _, err) = ended(
            program(&["status", "--socket", path.to_str().unwrap()])
                .output()
                .unwrap(),
        );
        assert_eq!(exit, 1, "{err}");
        err
    };
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(ask(&stale).contains("left over from a daemon that has ended"));
    let missing = ask(&folder.path().join("none/control.sock"));
    assert!(missing.contains("no daemon listens on"), "{missing}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = ask(&file);
    assert!(
        said.contains("left over from") || said.contains("cannot be used"),
        "{said}"
    );
}

#[test]
fn one_who_may_not_give_orders_is_told_who_may() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let daemon = Daemon::of(&["artists"]);
    if fs::metadata("/proc/self")
        .map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
        .unwrap()
        != 0
    {
        println!("skipped: only root can become somebody else");
        return;
    }
    fs::set_permissions(daemon.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = daemon.folder.path().join("program");
    ability::copy_program(&copy);
    let output = Command::new(&copy)
        .args(["status", "--socket"])
        .arg(daemon.socket())
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let (exit, _, err) = ended(output);
    assert_eq!(exit, 1);
    assert!(
        err.contains("permission denied on") && err.contains("group"),
        "{err}"
    );
}

#[test]
fn the_socket_is_known_from_a_configuration_whose_secrets_cannot_be_read() {
    let daemon = Daemon::of(&["artists"]);
    let config = daemon.folder.path().join("config.toml");
    let text = "control_socket = \"run/control.sock\"\n[ftrack]\nserver = \"https://studio.test\"\napi_user = \"x\"\napi_key_file = \"missing\"\n";
    fs::write(&config, text).unwrap();
    let ask = || {
        ended(
            program(&["--config", config.to_str().unwrap(), "status"])
                .output()
                .unwrap(),
        )
    };
    let (exit, out, err) = ask();
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("artists"));
    fs::write(&config, "control_sokcet = \"x\"\n").unwrap();
    let (exit, _, err) = ask();
    assert_eq!(exit, 2);
    assert!(
        err.contains("control_sokcet") && err.contains("--socket PATH"),
        "{err}"
    );
}

#[test]
fn trigger_prints_the_report_and_has_the_status_of_a_sync() {
    let mut daemon = Daemon::of(&["artists"]);
    for (outcome, expected) in [
        (Outcome::Succeeded, 0),
        (Outcome::Failed, 1),
        (Outcome::Held, 3),
        (Outcome::Partial, 4),
    ] {
        let program = daemon.start("trigger", &["--dry-run", "--format", "json"]);
        let run = daemon.next_run();
        assert!(run.dry_run);
        run.say(RunUpdate::Started);
        run.say(RunUpdate::Progress(Progress::Changes(1, 2)));
        let told = Box::new(report("artists", outcome));
        run.say(RunUpdate::Finished {
            report: told.clone(),
        });
        let (exit, out, err) = ended(program.wait_with_output().unwrap());
        assert_eq!(exit, expected, "{err}");
        assert_eq!(serde_json::from_str::<Report>(&out).unwrap(), *told);
    }
    let program = daemon.start("trigger", &["artists"]);
    let run = daemon.next_run();
    assert!(!run.dry_run);
    run.say(RunUpdate::Finished {
        report: Box::new(report("artists", Outcome::Succeeded)),
    });
    let (exit, out, _) = ended(program.wait_with_output().unwrap());
    assert_eq!(exit, 0);
    assert!(
        out.starts_with("Run 20260101-000000-0000 of artists: succeeded"),
        "{out}"
    );
}

#[test]
fn the_report_of_a_large_studio_arrives_whole() {
    let mut daemon = Daemon::of(&["artists"]);
    let mut large = report("artists", Outcome::Succeeded);
    large.changes = vec![large.changes[0].clone(); 50_000];
    let program = daemon.start("trigger", &["--format", "json"]);
    daemon.next_run().say(RunUpdate::Finished {
        report: Box::new(large.clone()),
    });
    let (exit, out, err) = ended(program.wait_with_output().unwrap());
    assert_eq!(exit, 0, "{err}");
    assert!(serde_json::from_str::<Report>(&out).unwrap() == large);
}

#[test]
fn trigger_says_why_there_is_no_report() {
    let mut daemon = Daemon::of(&["artists"]);
    let program = daemon.start("trigger", &[]);
    daemon.next_run().say(RunUpdate::Ended {
        error: "the state folder is full".into(),
    });
    let (exit, out, err) = ended(program.wait_with_output().unwrap());
    assert_eq!((exit, out.as_str()), (1, ""));
    assert!(err.contains("the state folder is full"), "{err}");

    let (exit, _, err) = daemon.run("trigger", &["nobody"]);
    assert_eq!(exit, 2);
    assert!(
        err.contains("there is no job") && err.contains("artists"),
        "{err}"
    );

    daemon.status.send_modify(|status| {
        let mut now = (**status).clone();
        now.jobs[0].phase = JobPhase::Running;
        *status = now.into();
    });
    let (exit, _, err) = daemon.run("trigger", &["artists"]);
    assert_eq!(exit, 1);
    assert!(err.contains("already in progress"), "{err}");
}

#[test]
fn trigger_tells_when_the_daemon_goes_away() {
    let mut daemon = Daemon::of(&["artists"]);
    let program = daemon.start("trigger", &[]);
    let run = daemon.next_run();
    run.say(RunUpdate::Started);
    daemon.stop();
    let (exit, out, err) = ended(program.wait_with_output().unwrap());
    assert_eq!((exit, out.as_str()), (1, ""));
    assert!(
        err.contains("the daemon ended before the run did")
            && err.contains("if it was killed, only after its next start"),
        "{err}"
    );
    drop(run);
}

#[test]
fn one_who_presses_ctrl_c_leaves_the_run_going_on() {
    let mut daemon = Daemon::of(&["artists"]);
    let program = daemon.start("trigger", &[]);
    let run = daemon.next_run();
    run.say(RunUpdate::Started);
    let stopped = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    let (exit, _, err) = ended(program.wait_with_output().unwrap());
    assert_eq!(exit, 1);
    assert!(err.contains("continues in the daemon"), "{err}");
}

#[test]
fn pause_and_resume_say_what_follows() {
    let daemon = Daemon::of(&["artists"]);
    let (exit, out, err) = daemon.run(
        "pause",
        &["--until", "2040-07-01 08:00", "--reason", "moving house"],
    );
    assert_eq!(exit, 0, "{err}");
    let goes_on = "The daemon starts no run of it. `sync` by hand and from cron, `apply` and \
                   `approve` run all the same; `pause --only KIND` holds a kind of change there \
                   too.\n";
    assert_eq!(
        out,
        format!("artists is paused until 2040-07-01 08:00:00 CEST.\n{goes_on}")
    );
    let (_, out, _) = daemon.run("status", &[]);
    assert!(
        out.contains("artists: paused until 2040-07-01 08:00:00 CEST: moving house"),
        "{out}"
    );
    // All times of one answer are in the zone of the job.
    assert!(out.contains("CEST") && !out.contains(" UTC"), "{out}");
    let (exit, _, err) = daemon.run("trigger", &[]);
    assert_eq!(exit, 1);
    assert!(
        err.contains("artists is paused until 2040-07-01 08:00:00 CEST (moving house)"),
        "{err}"
    );

    let (exit, out, _) = daemon.run("resume", &["artists"]);
    assert_eq!(
        (exit, out.as_str()),
        (
            0,
            "artists is resumed; next run: 2030-01-01 01:00:00 CET.\n"
        )
    );
    let (exit, out, _) = daemon.run("resume", &[]);
    assert_eq!(
        (exit, out.as_str()),
        (
            0,
            "artists was not paused; next run: 2030-01-01 01:00:00 CET.\n"
        )
    );
    let (exit, out, _) = daemon.run("pause", &[]);
    assert_eq!(
        (exit, out),
        (
            0,
            format!("artists is paused until `resume artists`.\n{goes_on}")
        )
    );
}

#[test]
fn what_is_asked_for_wrongly_is_bad_usage() {
    let daemon = Daemon::of(&["artists", "nightly"]);
    let long = "x".repeat(501);
    for (command, arguments, said) in [
        ("pause", vec!["artists", "--until", "soon"], "--until soon"),
        (
            "pause",
            vec!["artists", "--until", "2020-01-01 00:00"],
            "in the past",
        ),
        (
            "pause",
            vec!["artists", "--reason", &long],
            "500 characters",
        ),
        ("pause", vec![], "several jobs"),
        ("resume", vec!["nobody"], "there is no job"),
        ("trigger", vec!["artits"], "did you mean"),
        ("pause", vec!["artits"], "did you mean"),
        ("trigger", vec![], "several jobs"),
    ] {
        let (exit, _, err) = daemon.run(command, &arguments);
        assert_eq!(exit, 2, "{command} {arguments:?}: {err}");
        assert!(err.contains(said), "{command} {arguments:?}: {err}");
    }
}
