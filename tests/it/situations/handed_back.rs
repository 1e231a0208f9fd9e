//! A person had it put back that one job took a user over from another: the job that lost it writes
//! nothing to it.

use ftrack_ldap_sync::model::report::{Outcome, Report};

use super::{
    Situation,
    jobs::{EVERYBODY, LONDON, beside, sync, with_london},
};
use crate::{
    studio::{dn, person},
    undo::{left, put_back},
};

/// Somebody moved from the bases of one job to those of another, which took the user over.
fn taken_over() -> (Situation, Report) {
    let situation = with_london(
        beside(&["ada", "bob"], "studio", LONDON, EVERYBODY),
        &["lou"],
    );
    sync(&situation, "artists");
    sync(&situation, "others");
    let robert = format!("uid=robert,{LONDON}");
    situation.tree().rename(&dn("bob"), &robert).unwrap();
    let run = sync(&situation, "others");
    assert_eq!(run.counts.updated, 1);
    assert!(
        situation
            .users()
            .contains("robert: active, \"Given\" \"bob\" <bob@studio.test>; others")
    );
    (situation, run)
}

/// The user is the first job's again, and no run of either writes to it, also where the entry changes.
fn is_left_alone(situation: &Situation) {
    assert!(
        situation
            .users()
            .contains("bob: active, \"Given\" \"bob\" <bob@studio.test>; artists"),
        "{}",
        situation.users()
    );
    let before = situation.user("bob");
    let robert = format!("uid=robert,{LONDON}");
    situation.tree().replace(&robert, "sn", &["New"]).unwrap();
    for job in ["others", "artists", "others"] {
        let report = sync(situation, job);
        assert_ne!(report.outcome, Outcome::Failed, "{report:#?}");
        let now = situation.user("bob");
        assert_eq!(now.last_name, before.last_name, "{job}: {report:#?}");
    }
    assert!(
        situation.users().contains("; artists"),
        "{}",
        situation.users()
    );
}

#[test]
fn by_an_undo() {
    let (situation, run) = taken_over();
    let report = put_back(&situation, &["undo", &run.run]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    is_left_alone(&situation);
}

#[test]
fn by_a_restore() {
    let (situation, run) = taken_over();
    let report = put_back(&situation, &["restore", &run.run]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    is_left_alone(&situation);
}

#[test]
fn a_user_that_came_from_another_job_since_the_snapshot_keeps_its_access() {
    let situation = with_london(
        beside(&["ada", "bob"], "studio", LONDON, EVERYBODY),
        &["lou"],
    );
    sync(&situation, "artists");
    sync(&situation, "others");
    let lou = format!("uid=lou,{LONDON}");
    situation.tree().replace(&lou, "sn", &["New"]).unwrap();
    let before = sync(&situation, "others");
    assert_eq!(before.counts.updated, 1);
    let moved = format!("uid=bob,{LONDON}");
    situation.tree().rename(&dn("bob"), &moved).unwrap();
    assert_eq!(sync(&situation, "others").counts.updated, 1);
    situation.tree().add(person("eve", "Given", "eve")).unwrap();
    let eve = format!("uid=eve,{LONDON}");
    situation.tree().rename(&dn("eve"), &eve).unwrap();
    assert_eq!(sync(&situation, "others").counts.created, 1);
    let report = put_back(&situation, &["restore", &before.run]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert!(situation.user("bob").is_active, "another job created it");
    assert!(
        !situation.user("eve").is_active,
        "this job created it since"
    );
    let named = left(&report);
    assert!(
        named
            .iter()
            .any(|(who, why)| *who == "bob" && why.contains("took it over")),
        "{named:?}"
    );
}
