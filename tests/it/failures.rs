//! The report of a failed run: the kind of failure, and the duration of each phase that was
//! reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, Rules},
    model::report::{FailureKind, Outcome, Report, RunPhase},
};

use crate::{
    ldap_proxy::{Fault as ProxyFault, LdapProxy, Trouble},
    studio::{Ended, Studio, dn, person},
};

/// The variables that take the place of what the files of the configuration hold.
const PASSWORD: &str = "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD";
const URLS: &str = "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__URLS";
const KEY: &str = "FTRACK_LDAP_SYNC_FTRACK__API_KEY";

fn studio() -> Studio {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.ftrack_settings = "attempts = 1".into();
    studio
}

/// One `sync` with a variable set, which fails.
fn with(studio: &Studio, variable: (&str, &str)) -> Report {
    let mut command = studio.command(&["sync", "--format", "json"]);
    let output = command.env(variable.0, variable.1).output().unwrap();
    failed(&Ended {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    })
}

fn failed(ended: &Ended) -> Report {
    let report = ended.report();
    assert_eq!(
        (ended.status, report.outcome),
        (1, Outcome::Failed),
        "{report:#?}"
    );
    report
}

/// The kind of failure of the next `sync`, as the report's JSON spells it.
fn kind(studio: &Studio) -> String {
    spelled(&failed(&studio.run(&["sync", "--format", "json"])))
}

fn spelled(report: &Report) -> String {
    let json = serde_json::to_value(report).unwrap();
    let word = json["error_kind"]
        .as_str()
        .unwrap_or_else(|| panic!("{report:#?}"))
        .to_owned();
    assert_eq!(
        report.error_kind.map(FailureKind::as_str),
        Some(word.as_str())
    );
    word
}

#[test]
fn refused_credentials_are_told_from_servers_that_cannot_be_used() {
    let mut studio = studio();
    assert_eq!(
        spelled(&with(&studio, (PASSWORD, "wrong"))),
        "directory_refused"
    );
    assert_eq!(spelled(&with(&studio, (KEY, "wrong"))), "ftrack_refused");
    studio
        .ftrack()
        .fail_next(Some(CallKind::Read), Fault::KeyRefused);
    assert_eq!(kind(&studio), "ftrack_refused");
    studio.ftrack().heal();
    for fault in [
        // What stands between does not know the key.
        Fault::Html(401),
        Fault::Html(403),
        Fault::Html(407),
        Fault::Html(502),
        Fault::Html(404),
        Fault::ResetBefore,
        Fault::Html(200),
    ] {
        studio
            .ftrack()
            .fail_next(Some(CallKind::Read), fault.clone());
        assert_eq!(kind(&studio), "ftrack", "{fault:?}");
    }
    studio.ftrack().heal();
    let proxy = LdapProxy::start(studio.directory().address(), None);
    let directly = std::mem::replace(&mut studio.directory_url, proxy.url());
    for (code, expected) in [
        (49, "directory_refused"),
        (53, "directory_refused"),
        (51, "directory"),
        (52, "directory"),
    ] {
        proxy.set_fault(ProxyFault::at_bind(1, Trouble::Result(code)));
        assert_eq!(kind(&studio), expected, "{code}");
    }
    // Another server that cannot be reached at all does not hide that this one refused.
    proxy.set_fault(ProxyFault::at_bind(1, Trouble::Result(49)));
    let both = format!("[\"ldap://127.0.0.1:1\", {:?}]", proxy.url());
    assert_eq!(spelled(&with(&studio, (URLS, &both))), "directory_refused");
    studio.directory_url = directly;
    studio.sync();
}

#[test]
fn what_the_servers_show_may_forbid_to_go_on() {
    let mut studio = studio();
    let good = std::mem::replace(&mut studio.job, "limits.min_entries = 3\n".into());
    assert_eq!(kind(&studio), "refused");
    studio.job = "users.user_type = \"Nonesuch\"\n".into();
    assert_eq!(kind(&studio), "refused");
    studio.job = good;
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    assert_eq!(studio.run(&["plan", "--out", plan]).status, 0);
    studio.sync();
    let stale = failed(&studio.run(&["apply", plan, "--format", "json"]));
    assert_eq!(spelled(&stale), "plan_refused", "{stale:#?}");
}

#[test]
fn links_out_of_sight_are_a_refusal() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve", "fay"]);
    studio.ftrack_settings = "attempts = 1".into();
    studio.sync();
    studio.ftrack().change_rules(|rules: &mut Rules| {
        rules.unreadable.insert("Metadata".into());
    });
    assert_eq!(kind(&studio), "refused");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_told() {
    let studio = studio();
    studio.sync();
    studio.tree().add(person("cyd", "Given", "Cyd")).unwrap();
    fs::remove_dir_all(studio.state_dir().join("reports")).unwrap();
    fs::write(studio.state_dir().join("reports"), "in the way").unwrap();
    // Everything was written, and only the report cannot be kept.
    let report = failed(&studio.run(&["sync", "--format", "json"]));
    assert_eq!(
        (spelled(&report).as_str(), report.counts.created),
        ("state", 1)
    );
}

#[test]
fn a_run_that_is_told_to_stop_or_is_late_says_so() {
    let mut studio = studio();
    let (say, heard) = mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Read && say.send(()).is_ok()).then_some(Fault::StallBefore)
    });
    let child = studio.start(&["sync", "--format", "json"]);
    heard.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        Command::new("kill")
            .arg("-TERM")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(spelled(&report), "stopped", "{report:#?}");
    drop(heard);
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::StallBefore));
    studio.job = "time_limit = \"1s\"\n".into();
    assert_eq!(kind(&studio), "time_limit");
}

#[test]
fn a_key_that_is_refused_while_writing_is_told() {
    let studio = studio();
    for (fault, expected) in [
        (Fault::KeyRefused, "ftrack_refused"),
        (Fault::Html(403), "ftrack"),
    ] {
        studio.ftrack().fail_next(Some(CallKind::Write), fault);
        let report = failed(&studio.run(&["sync", "--format", "json"]));
        assert_eq!(spelled(&report), expected);
        assert_eq!(report.counts.failed, 2, "{report:#?}");
        assert!(report.seconds.contains_key(&RunPhase::Writing));
    }
}

#[test]
fn a_run_that_does_well_has_no_kind_and_says_how_long_it_took() {
    let studio = studio();
    studio.ftrack().fail_next(
        Some(CallKind::Read),
        Fault::Delay(Duration::from_millis(300)),
    );
    let began = Instant::now();
    let report = studio.sync();
    let longest = began.elapsed().as_secs_f64();
    assert_eq!((report.error_kind, &report.error), (None, &None));
    let phases: Vec<RunPhase> = report.seconds.keys().copied().collect();
    assert_eq!(
        phases,
        [
            RunPhase::Directory,
            RunPhase::Ftrack,
            RunPhase::Planning,
            RunPhase::Writing
        ]
    );
    assert!(
        report
            .seconds
            .values()
            .all(|seconds| (0.0..longest).contains(seconds)),
        "{report:#?}"
    );
    assert!(report.seconds[&RunPhase::Ftrack] >= 0.3, "{report:#?}");
    // What was not reached is not told.
    let report = with(&studio, (KEY, "wrong"));
    let reached: BTreeMap<RunPhase, bool> =
        report.seconds.keys().map(|phase| (*phase, true)).collect();
    assert_eq!(
        reached.into_keys().collect::<Vec<_>>(),
        [RunPhase::Directory, RunPhase::Ftrack]
    );
}

#[test]
fn the_active_ones_among_those_owned_are_counted() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = 3\n".into();
    let first = studio.sync();
    assert_eq!((first.ftrack.owned, first.ftrack.owned_active), (0, 0));
    studio.tree().remove(&dn("ada")).unwrap();
    let second = studio.sync();
    assert_eq!((second.ftrack.owned, second.ftrack.owned_active), (3, 3));
    let third = studio.sync_changes_nothing();
    assert_eq!((third.ftrack.owned, third.ftrack.owned_active), (3, 2));
}

#[test]
fn the_page_lists_every_kind() {
    let page = crate::readme::text_of("deploy/operation/reports.md");
    for kind in [
        FailureKind::DirectoryRefused,
        FailureKind::Directory,
        FailureKind::FtrackRefused,
        FailureKind::Ftrack,
        FailureKind::State,
        FailureKind::Refused,
        FailureKind::PlanRefused,
        FailureKind::Stopped,
        FailureKind::TimeLimit,
        FailureKind::Internal,
    ] {
        let row = format!("| `{}` |", kind.as_str());
        assert!(page.contains(&row), "the page lacks the row of {row}");
    }
}
