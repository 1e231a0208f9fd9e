//! Two programs with one ftrack: neither repeats nor reports what the other did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod at_once;
mod meanwhile;

use std::{process::Child, sync::mpsc};

use ftrack_ldap_sync::{
    demo::ftrack::{Call, CallKind, Fault},
    model::report::{ChangeResult, Report, Reported},
};

use crate::{crash::LIMIT, studio::Studio};

/// The report of a program that was started.
fn report(child: Child) -> Report {
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A sync during which this is done, when the first call comes that is so; that call is lost on its
/// way.
fn sync_while(
    studio: &Studio,
    mut is_so: impl FnMut(&Call) -> bool + Send + 'static,
    meanwhile: impl FnOnce(),
) -> Report {
    let (say, heard) = mpsc::channel();
    studio.ftrack().forget();
    studio
        .ftrack()
        .fail_when(move |call| (is_so(call) && say.send(()).is_ok()).then_some(Fault::ResetBefore));
    let program = studio.start(&["sync", "--format", "json"]);
    heard.recv_timeout(LIMIT).unwrap();
    meanwhile();
    // Nobody listens any more, so that the call goes through when it is made again.
    drop(heard);
    let report = report(program);
    studio.ftrack().heal();
    report
}

/// A sync while this is done after its plan was made, and before its users are looked at again.
fn sync_after_plan(studio: &Studio, meanwhile: impl FnOnce()) -> Report {
    let planned = studio
        .synced(&["sync", "--dry-run", "--format", "json"])
        .ftrack
        .read_calls;
    sync_while(
        studio,
        move |call| call.kind == CallKind::Read && call.number_of_kind > planned,
        meanwhile,
    )
}

/// A sync while this is done when it is about to write.
fn sync_at_write(studio: &Studio, meanwhile: impl FnOnce()) -> Report {
    sync_while(studio, |call| call.kind == CallKind::Write, meanwhile)
}

/// The only change of a report for a login.
fn change<'r>(report: &'r Report, username: &str) -> &'r Reported {
    let mut changes = report
        .changes
        .iter()
        .filter(|change| change.username == username);
    let change = changes
        .next()
        .unwrap_or_else(|| panic!("no change of {username}: {report:#?}"));
    assert!(changes.next().is_none(), "{report:#?}");
    change
}

/// A change is one for which nothing had to be written.
fn assert_so_already(report: &Report, username: &str) {
    let change = change(report, username);
    assert_eq!(change.result, ChangeResult::Planned, "{report:#?}");
    assert!(
        change
            .error
            .as_deref()
            .unwrap()
            .contains("it was already in effect"),
        "{report:#?}"
    );
}

/// A change failed with these words.
fn assert_failed(report: &Report, username: &str, words: &str) {
    let change = change(report, username);
    assert_eq!(change.result, ChangeResult::Failed, "{report:#?}");
    assert!(
        change.error.as_deref().unwrap().contains(words),
        "{report:#?}"
    );
}
