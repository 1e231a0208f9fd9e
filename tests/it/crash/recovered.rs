//! What a killed run wrote is in its report, of whatever kind the change is: the next run that reads
//! ftrack finds out.

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Call, CallKind, Fault},
    model::report::{Outcome, Report},
};
use serde_json::{Value, json};

use super::{Effect, by_hand, kill_at, moment};
use crate::{
    faults::NO_LIMIT,
    rules::{account, come_back, leave},
    studio::{Studio, dn, person},
};

/// A studio in which one change of each kind is due.
fn one_of_each_kind() -> Studio {
    let mut studio = Studio::of(&["updated", "leaver", "returner"]).end_to_end();
    studio.job = NO_LIMIT.into();
    studio.sync();
    leave(&studio, "returner");
    assert_eq!(studio.sync().counts.deactivated, 1);
    come_back(&studio, "returner");
    leave(&studio, "leaver");
    let tree = studio.tree();
    tree.replace(&dn("updated"), "sn", &["Changed"]).unwrap();
    tree.add(person("joiner", "New", "Face")).unwrap();
    tree.add(person("stranger", "Now", "Known")).unwrap();
    let stranger = Account {
        first_name: Some("Somebody".into()),
        ..account("stranger")
    };
    studio.ftrack().add_user(&stranger).unwrap();
    studio
}

/// Kills a sync at one of its calls that write.
fn kill(studio: &Studio, write: u64, effect: Effect) {
    let chosen = move |call: &Call| call.kind == CallKind::Write && call.number_of_kind == write;
    let moment = moment(studio, effect, chosen);
    let mut child = studio.start(&["sync", "--format", "json"]);
    assert!(kill_at(studio, &mut child, &moment, effect));
    studio.ftrack().heal();
}

/// The report of the killed run, as the program prints it.
fn killed(studio: &Studio, next: &Report) -> Value {
    let listed = studio.run(&["runs", "--format", "json"]).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let failed = |run: &&Value| run["outcome"] == "failed" && run["run"] != next.run.as_str();
    let run = listed.iter().find(failed).unwrap()["run"].as_str().unwrap();
    let shown = studio.run(&["runs", "show", run, "--format", "json"]);
    serde_json::from_str(&shown.stdout).unwrap()
}

/// The counts of the killed run, by kind; then failed and unconfirmed.
fn counts(report: &Value) -> [u64; 7] {
    [
        "created",
        "updated",
        "deactivated",
        "reactivated",
        "adopted",
        "failed",
        "unconfirmed",
    ]
    .map(|count| report["counts"][count].as_u64().unwrap_or_default())
}

#[test]
fn every_kind_of_change() {
    for (write, effect, expected) in [
        (1, Effect::Done, [1, 1, 1, 1, 1, 0, 0]),
        (1, Effect::Lost, [0, 0, 0, 0, 0, 5, 0]),
        // By then only the links are left.
        (2, Effect::Lost, [1, 1, 1, 1, 1, 0, 0]),
        (2, Effect::Done, [1, 1, 1, 1, 1, 0, 0]),
    ] {
        let studio = one_of_each_kind();
        kill(&studio, write, effect);
        let next = studio.sync();
        assert_eq!(next.outcome, Outcome::Succeeded, "{next:#?}");
        let report = killed(&studio, &next);
        assert_eq!(counts(&report), expected, "{write} {effect:?}: {report:#}");
        if expected[5] == 0 {
            // What it did, the next run did not.
            let counts = &next.counts;
            assert_eq!(
                (
                    counts.created,
                    counts.deactivated,
                    counts.reactivated,
                    counts.adopted
                ),
                (0, 0, 0, 0),
                "{next:#?}"
            );
        }
        studio.sync_changes_nothing();
    }
}

#[test]
fn what_somebody_else_did_meanwhile_is_not_in_it() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Lost);
    by_hand(&studio, "leaver", &json!({"is_active": false}));
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 5, 0], "{report:#}");
}

#[test]
fn until_ftrack_can_be_read_it_is_not_known() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::KeyRefused));
    let next = studio.sync();
    assert_eq!(next.outcome, Outcome::Failed, "{next:#?}");
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 5], "{report:#}");
    studio.ftrack().heal();
    studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 1, 1, 1, 1, 0, 0], "{report:#}");
}
