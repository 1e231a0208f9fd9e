//! Killed in the middle of `release`, `unlink` and `link`: run again, it finishes.

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Atomicity, CallKind},
    model::report::{ChangeResult, Outcome},
};
use serde_json::Value;

use super::{by_hand, done, link, number_of_users};
use crate::{
    crash::{Effect, kill_at, late, moment},
    rules::account,
    situations::Situation,
    studio::{Studio, person},
};

/// Starts a command, and kills it at that call that writes; whether it was.
fn killed(studio: &Studio, arguments: &[&str], nth: u64, effect: Effect) {
    let moment = moment(studio, effect, move |call| {
        call.kind == CallKind::Write && call.number_of_kind == nth
    });
    let mut child = studio.start(arguments);
    assert!(
        kill_at(studio, &mut child, &moment, effect),
        "it came to its end"
    );
    studio.ftrack().heal();
}

fn uids() -> Vec<String> {
    (0..7).map(|nth| format!("user{nth}")).collect()
}

#[test]
fn a_release_that_is_run_again_finishes() {
    for (nth, effect) in [
        (1, Effect::Lost),
        (1, Effect::Done),
        (2, Effect::Lost),
        (3, Effect::Done),
        (4, Effect::Done),
    ] {
        let uids = uids();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        let mut situation = Situation::of(&uids);
        situation.ftrack_settings = "batch_size = 2".into();
        situation
            .ftrack()
            .change_rules(|rules| rules.atomicity = Atomicity::PartialUntilError);
        situation.sync();
        killed(&situation, &["release", "artists", "--yes"], nth, effect);
        // A sync in between fails rather than take the users for strangers, or adopts nobody else's.
        done(&situation, &["release", "artists", "--yes"]);
        let unlinked = |uid: &&&str| link(&situation, uid) == Value::Null;
        assert_eq!(uids.iter().filter(unlinked).count(), 7);
        assert!(situation.ftrack().users().iter().all(|user| user.is_active));
        late::pass_time(&situation);
        let report = situation.sync();
        assert_eq!(
            (report.counts.adopted, report.counts.created),
            (7, 0),
            "{report:#?}"
        );
        assert_eq!(number_of_users(&situation), 7);
        situation.sync_changes_nothing();
        // The reports of both count each user once.
        let reports = situation.reports();
        let released = reports
            .iter()
            .filter(|report| report.trigger.as_str() == "release");
        let applied = released.flat_map(|report| &report.changes);
        let applied = applied.filter(|change| change.result == ChangeResult::Applied);
        assert_eq!(applied.count(), 7, "{reports:#?}");
    }
}

#[test]
fn a_sync_after_half_a_release_writes_nothing() {
    let uids = uids();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let mut situation = Situation::of(&uids);
    situation.ftrack_settings = "batch_size = 2".into();
    situation.sync();
    killed(
        &situation,
        &["release", "artists", "--yes"],
        2,
        Effect::Done,
    );
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(report.ftrack.write_calls, 0);
    assert!(report.error.unwrap().contains("have a link of this job"));
}

#[test]
fn an_unlink_that_is_run_again_is_done() {
    for effect in [Effect::Lost, Effect::Done] {
        let situation = Situation::synced(&["ada", "bob"]);
        killed(&situation, &["unlink", "ada"], 1, effect);
        let report = done(&situation, &["unlink", "ada"]);
        let is_left = effect == Effect::Lost;
        assert_eq!(report.changes.len(), usize::from(is_left), "{report:#?}");
        assert_eq!(link(&situation, "ada")["activity"], "unlinked");
        late::pass_time(&situation);
        situation.sync_changes_nothing();
        // The report of the one that was killed knows what it did.
        let reports = situation.reports();
        let first = reports
            .iter()
            .find(|report| report.trigger.as_str() == "link")
            .unwrap();
        // What the second one did is in its own.
        let expected = if is_left {
            ChangeResult::Planned
        } else {
            ChangeResult::Applied
        };
        assert_eq!(first.changes[0].result, expected, "{first:#?}");
    }
}

#[test]
fn a_link_that_was_cut_is_finished_by_the_next_sync() {
    for (nth, effect) in [(1, Effect::Lost), (1, Effect::Done)] {
        let situation = Situation::synced(&["bob", "cyd"])
            .entry(person("ada", "Ada", "Lovelace"))
            .account(Account {
                is_active: true,
                ..account("countess")
            });
        let id = situation.user("countess").id;
        killed(&situation, &["link", "ada", "countess"], nth, effect);
        let (status, _) = by_hand(&situation, &["link", "ada", &id]);
        assert_eq!(status, i32::from(effect == Effect::Done));
        late::pass_time(&situation);
        situation.sync();
        assert_eq!(
            (situation.user("ada").id, number_of_users(&situation)),
            (id, 3)
        );
        situation.sync_changes_nothing();
    }
}

#[test]
fn a_run_of_changes_after_a_link_that_was_cut_makes_no_second_user() {
    let situation = Situation::of(&["bob", "cyd"])
        .job("schedule = \"@yearly\"\nchanges_schedule = \"@yearly\"")
        .after_sync()
        .account(account("countess"))
        .entry(person("ada", "Ada", "Lovelace"));
    let id = situation.user("countess").id;
    killed(&situation, &["link", "ada", "countess"], 1, Effect::Done);
    let report = situation.synced(&["sync", "--format", "json", "--changes"]);
    assert_eq!(report.counts.created, 0, "{report:#?}");
    assert_eq!(
        (situation.user("ada").id, number_of_users(&situation)),
        (id, 3)
    );
}
