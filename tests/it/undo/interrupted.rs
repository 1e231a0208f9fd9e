//! Runs that were killed are undone as far as they got, and an undo that was killed is finished by
//! the next one.

use ftrack_ldap_sync::{
    demo::ftrack::Atomicity,
    model::report::{ChangeResult, Outcome},
};
use proptest::{prelude::*, sample::select};

use super::{NO_LIMIT, nothing_is_done_again, put_back, seen, undo};
use crate::{
    crash::{Effect, after_first_write, kill_at, moment},
    faults::cases,
    rules::{come_back, leave},
    studio::{Studio, dn, person},
};

fn studio(batch_size: usize, atomicity: Atomicity) -> Studio {
    let all = ["ada", "bob", "cyd", "dan", "eve", "fay"];
    let mut studio = Studio::of(&all).end_to_end();
    studio.job = NO_LIMIT.into();
    studio.ftrack_settings = format!("batch_size = {batch_size}");
    studio
        .ftrack()
        .change_rules(|rules| rules.atomicity = atomicity);
    studio.sync();
    leave(&studio, "eve");
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    tree.rename(&dn("bob"), &dn("bobby")).unwrap();
    leave(&studio, "cyd");
    come_back(&studio, "eve");
    tree.add(person("gus", "Given", "gus")).unwrap();
    studio
}

fn without_gus(
    studio: &Studio,
) -> std::collections::BTreeMap<String, ftrack_ldap_sync::demo::ftrack::Account> {
    let mut seen = seen(studio);
    if let Some(gus) = studio.ftrack().user("gus") {
        assert!(!gus.is_active);
        seen.remove(&gus.id);
    }
    seen
}

proptest! {
    #![proptest_config(cases(8))]
    #[test]
    fn a_killed_run_is_undone_as_far_as_it_got(
        nth in 1_u64..10,
        batch_size in 1_usize..4,
        effect in select(vec![Effect::Lost, Effect::Done]),
        atomicity in select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]),
    ) {
        let studio = studio(batch_size, atomicity);
        let before = seen(&studio);
        let moment = moment(&studio, effect, after_first_write(nth));
        let mut child = studio.start(&["sync", "--format", "json"]);
        kill_at(&studio, &mut child, &moment, effect);
        studio.ftrack().heal();
        let report = put_back(&studio, &["undo", "last"]);
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!(without_gus(&studio), before, "{report:#?}");
    }

    #[test]
    fn an_undo_that_was_killed_is_finished_by_the_next(
        nth in 1_u64..10,
        batch_size in 1_usize..4,
        effect in select(vec![Effect::Lost, Effect::Done]),
        atomicity in select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]),
    ) {
        let studio = studio(batch_size, atomicity);
        let before = seen(&studio);
        let run = studio.sync();
        let moment = moment(&studio, effect, after_first_write(nth));
        let mut child = studio.start(&["undo", &run.run, "--format", "json"]);
        kill_at(&studio, &mut child, &moment, effect);
        studio.ftrack().heal();
        let report = undo(&studio, &run);
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert!(report.changes.iter().all(|change| change.result == ChangeResult::Applied));
        assert_eq!(without_gus(&studio), before, "{report:#?}");
        crate::crash::late::pass_time(&studio);
        nothing_is_done_again(&studio);
    }
}

/// A program that was killed right after it saved the old values has written nothing.
#[test]
fn killed_between_the_snapshot_and_the_first_write() {
    let studio = studio(10, Atomicity::Transaction);
    let before = seen(&studio);
    let moment = moment(&studio, Effect::Lost, after_first_write(1));
    let mut child = studio.start(&["sync", "--format", "json"]);
    assert!(kill_at(&studio, &mut child, &moment, Effect::Lost));
    studio.ftrack().heal();
    assert_eq!(seen(&studio), before);
    let snapshots = studio.run(&["snapshots", "--format", "json"]);
    let snapshots: serde_json::Value = serde_json::from_str(&snapshots.stdout).unwrap();
    let newest = snapshots[0]["run"].as_str().unwrap();
    let report = put_back(&studio, &["undo", newest]);
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Succeeded, 0),
        "{report:#?}"
    );
    assert_eq!(seen(&studio), before);
}
