//! What a pause of one kind of change holds, a run of changes writes after its end, although the
//! directory says nothing new.

use ftrack_ldap_sync::model::change::HeldBy;

use super::{
    openldap::{leaves, slapd},
    *,
};

/// Pauses or resumes deactivations, past the daemon.
fn pause(studio: &Studio, is_paused: bool) {
    let database = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    let change = if is_paused {
        "INSERT INTO paused_kinds (job, kind, since) VALUES ('artists', 'deactivate', \
         '2026-01-01T00:00:00.000000000Z')"
    } else {
        "DELETE FROM paused_kinds"
    };
    assert_eq!(database.execute(change, []).unwrap(), 1);
}

#[test]
fn what_a_pause_held_is_written_after_it_by_a_run_of_changes() {
    let slapd = slapd(&["ada", "bea", "cleo"], 100);
    let studio = studio(slapd.url().as_str());
    studio.sync();
    pause(&studio, true);
    slapd.change(&leaves("bea"));
    let report = some_changes(&studio);
    assert_eq!(done(&report), ["deactivate bea held"]);
    assert_eq!(report.changes[0].held_by, Some(HeldBy::Paused));
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!(changes(&studio), None, "it was told");
    pause(&studio, false);
    let report = some_changes(&studio);
    assert_eq!(done(&report), ["deactivate bea applied"]);
    assert_eq!(changes(&studio), None);
    studio.sync_changes_nothing();
}

#[test]
fn what_an_approval_leaves_is_not_lost_to_the_runs_of_changes() {
    let uids: Vec<String> = (0..6).map(|number| format!("user{number}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let slapd = slapd(&uids, 100);
    let studio = studio(slapd.url().as_str());
    studio.sync();
    for uid in &uids[..3] {
        slapd.change(&leaves(uid));
    }
    studio.sync();
    // Whoever comes then is not what the approval is for.
    let joiner = person("joiner");
    slapd.change(&joiner.replacen("\nobjectClass", "\nchangetype: add\nobjectClass", 1));
    for approves in [
        &["approve", "1", "--only", "user0", "--format", "json"][..],
        &["approve", "1", "--format", "json"],
    ] {
        let ended = studio.run(approves);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert_eq!(ended.report().counts.created, 0);
    }
    let report = changes(&studio).expect("a report");
    assert!(
        done(&report).contains(&"create joiner applied".to_owned()),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
}
