//! Changes made by another program, or a person, before a change is written.

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Applied, Atomicity, CallKind, Rules},
    model::{
        change::Action,
        report::{ChangeResult, Outcome, Report},
    },
};
use serde_json::{Value, json};

use super::{assert_failed, assert_so_already, change, sync_after_plan, sync_at_write};
use crate::{
    crash::LIMIT,
    faults::NO_LIMIT,
    rules::{account, activity, by_hand, come_back, leave, make_administrator},
    studio::{Studio, dn, person},
};

const LINK: &str = "ftrack-ldap-sync";

/// What was done to a user through the API.
fn applied(studio: &Studio, id: &str) -> Vec<Applied> {
    let applied = studio.ftrack().applied();
    applied
        .into_iter()
        .filter(|applied| applied.key.iter().any(|part| part == id))
        .collect()
}

/// A link like that of another user, for a user and a person.
fn link(studio: &Studio, like: &str, id: &str, uid: &str, activity: &Value) -> String {
    let mut link: Value = serde_json::from_str(&studio.user(like).metadata[LINK]).unwrap();
    link["user"] = id.into();
    link["id"] = studio
        .tree()
        .entry_uuid(&dn(uid))
        .unwrap()
        .to_string()
        .into();
    let link = link.as_object_mut().unwrap();
    for key in ["activity", "by", "since"] {
        link.remove(key);
    }
    link.extend(activity.as_object().unwrap().clone());
    serde_json::to_string(link).unwrap()
}

fn set_link(studio: &Studio, id: &str, link: &str) {
    let key = json!([id, LINK]);
    let fields = json!({"parent_id": id, "parent_type": "User", "key": LINK, "value": link});
    if studio.ftrack().remove("Metadata", &key).is_ok() || !link.is_empty() {
        studio.ftrack().insert("Metadata", &fields).unwrap();
    }
}

/// The id that a person's user is created with.
fn planned_id(studio: &Studio, uid: &str) -> String {
    let report = studio.synced(&["sync", "--dry-run", "--format", "json"]);
    change(&report, uid).ftrack_id.to_string()
}

/// The user as another program leaves it, which created it.
fn created_elsewhere(
    studio: &Studio,
    uid: &str,
    is_active: bool,
    activity: Option<Value>,
) -> Account {
    let id = planned_id(studio, uid);
    let link = activity.map(|activity| link(studio, "ada", &id, uid, &activity));
    Account {
        id,
        is_active,
        first_name: Some("Other".into()),
        metadata: link
            .into_iter()
            .map(|link| (LINK.to_owned(), link))
            .collect(),
        ..account(uid)
    }
}

/// Ada is synced, and somebody joins; with `mixed`, Ada changes as well, so that users are looked
/// at before they are written.
fn joining(mixed: bool, atomicity: Atomicity) -> Studio {
    let studio = Studio::with(Rules {
        atomicity,
        ..Rules::default()
    });
    studio.tree().add(person("ada", "Given", "ada")).unwrap();
    studio.sync();
    studio.tree().add(person("bob", "Given", "bob")).unwrap();
    if mixed {
        studio
            .tree()
            .replace(&dn("ada"), "sn", &["Changed"])
            .unwrap();
    }
    studio
}

/// Bob is created by another program, with a link that says this of its activity, before this one
/// writes; nothing of it is touched.
fn created_meanwhile(
    mixed: bool,
    atomicity: Atomicity,
    is_active: bool,
    activity: Value,
) -> Report {
    let studio = joining(mixed, atomicity);
    let user = created_elsewhere(&studio, "bob", is_active, Some(activity));
    let put_in = || drop(studio.ftrack().add_user(&user).unwrap());
    let report = if mixed {
        sync_after_plan(&studio, put_in)
    } else {
        sync_at_write(&studio, put_in)
    };
    assert_eq!(
        (report.counts.created, report.counts.updated),
        (0, usize::from(mixed)),
        "{report:#?}"
    );
    assert_eq!(
        (applied(&studio, &user.id), studio.user("bob")),
        (vec![], user),
        "{report:#?}"
    );
    report
}

/// The ways in which another program may be first.
const WAYS: [(bool, bool, Atomicity); 6] = [
    (false, true, Atomicity::Transaction),
    (false, false, Atomicity::Transaction),
    (false, false, Atomicity::PartialUntilError),
    (true, true, Atomicity::Transaction),
    (true, false, Atomicity::Transaction),
    (true, false, Atomicity::PartialUntilError),
];

#[test]
fn a_user_whom_another_program_created_is_not_created_by_this_one() {
    for activity in [
        json!({"activity": "activating", "by": "another-run"}),
        json!({"activity": "settled"}),
    ] {
        for (mixed, is_active, atomicity) in WAYS {
            let report = created_meanwhile(mixed, atomicity, is_active, activity.clone());
            let bob = change(&report, "bob");
            assert_eq!(bob.result, ChangeResult::Planned, "{report:#?}");
            assert_eq!(
                bob.error.as_deref(),
                Some("another program created the user at the same time, and reports it"),
                "{report:#?}"
            );
            assert_eq!(
                (
                    report.outcome,
                    report.counts.failed,
                    report.counts.unchanged
                ),
                (Outcome::Succeeded, 0, usize::from(!mixed) + 1),
                "{report:#?}"
            );
        }
    }
}

#[test]
fn a_user_whom_another_program_created_and_deactivated_is_not_touched() {
    let activity = json!({"activity": "deactivated", "since": "2026-01-01T00:00:00Z"});
    for (mixed, is_active, atomicity) in WAYS {
        let report = created_meanwhile(mixed, atomicity, is_active, activity.clone());
        assert_failed(
            &report,
            "bob",
            "another program created the user at the same time",
        );
        assert_eq!(report.outcome, Outcome::Partial, "{report:#?}");
    }
}

#[test]
fn a_user_without_a_link_that_was_there_before_anything_was_sent_is_not_touched() {
    let studio = joining(true, Atomicity::Transaction);
    let user = created_elsewhere(&studio, "bob", false, None);
    let report = sync_after_plan(&studio, || drop(studio.ftrack().add_user(&user).unwrap()));
    assert_failed(
        &report,
        "bob",
        "another program created the user at the same time",
    );
    assert_eq!(studio.user("bob"), user);
    // The next run finishes it, and leaves its activity as it is.
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.counts.adopted),
        (0, 1),
        "{report:#?}"
    );
    assert_eq!(
        (
            activity(&studio, "bob").as_str(),
            studio.user("bob").is_active
        ),
        ("settled", false)
    );
}

fn nothing_was_written(report: &Report, unchanged: usize) {
    let counts = &report.counts;
    let written =
        counts.created + counts.updated + counts.adopted + counts.deactivated + counts.reactivated;
    assert_eq!(
        (report.outcome, written, counts.failed),
        (Outcome::Succeeded, 0, 0),
        "{report:#?}"
    );
    assert_eq!(
        (report.ftrack.write_calls, counts.unchanged),
        (0, unchanged),
        "{report:#?}"
    );
}

#[test]
fn an_update_that_somebody_made_first_is_no_update() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Changed"])
        .unwrap();
    let report = sync_after_plan(&studio, || {
        by_hand(&studio, "ada", &json!({"last_name": "Changed"}))
    });
    assert_so_already(&report, "ada");
    nothing_was_written(&report, 2);
    let text = studio.run(&["runs", "show", "last"]).stdout;
    assert!(
        text.contains("it was already in effect") && text.contains("2 unchanged."),
        "{text}"
    );
    studio.sync_changes_nothing();
}

#[test]
fn an_adoption_that_another_program_made_first_is_no_adoption() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = NO_LIMIT.into();
    studio.sync();
    studio.tree().add(person("cyd", "Given", "cyd")).unwrap();
    let taken = Account {
        first_name: Some("Given".into()),
        last_name: Some("cyd".into()),
        ..account("cyd")
    };
    let id = studio.ftrack().add_user(&taken).unwrap();
    let link = link(&studio, "ada", &id, "cyd", &json!({"activity": "settled"}));
    let report = sync_after_plan(&studio, || set_link(&studio, &id, &link));
    assert_so_already(&report, "cyd");
    nothing_was_written(&report, 3);
    studio.sync_changes_nothing();
}

#[test]
fn an_adoption_that_another_program_is_at_is_left_to_it() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = NO_LIMIT.into();
    studio.sync();
    studio.tree().add(person("cyd", "Given", "cyd")).unwrap();
    let id = studio.ftrack().add_user(&account("cyd")).unwrap();
    let link = link(&studio, "ada", &id, "cyd", &json!({"activity": "settled"}));
    let report = sync_after_plan(&studio, || set_link(&studio, &id, &link));
    assert_failed(
        &report,
        "cyd",
        "another program adopted the user at the same time",
    );
    assert_eq!(report.ftrack.write_calls, 0);
    assert_eq!(studio.sync().counts.updated, 1);
}

#[test]
fn a_deactivation_that_another_program_made_first_is_no_deactivation() {
    for done in [
        json!({"activity": "deactivated", "since": "2026-01-01T00:00:00Z"}),
        json!({"activity": "deactivating", "since": "2026-01-01T00:00:00Z"}),
    ] {
        let studio = Studio::of(&["ada", "bob"]);
        studio.sync();
        let user = studio.user("ada");
        let link = link(&studio, "ada", &user.id, "ada", &done);
        leave(&studio, "ada");
        let report = sync_after_plan(&studio, || {
            by_hand(&studio, "ada", &json!({"is_active": false}));
            set_link(&studio, &user.id, &link);
        });
        assert_so_already(&report, "ada");
        nothing_was_written(&report, 2);
        assert_eq!(activity(&studio, "ada"), done["activity"].as_str().unwrap());
        let next = studio.sync();
        assert!(
            next.counts.deactivated == 0 && activity(&studio, "ada") == "deactivated",
            "{next:#?}"
        );
        studio.sync_changes_nothing();
        come_back(&studio, "ada");
        assert_eq!(studio.sync().counts.reactivated, 1);
    }
}

#[test]
fn a_reactivation_that_somebody_made_first_is_no_reactivation() {
    for elsewhere in [true, false] {
        let studio = Studio::of(&["ada", "bob"]);
        studio.sync();
        let user = studio.user("ada");
        let settled = user.metadata[LINK].clone();
        leave(&studio, "ada");
        studio.sync();
        come_back(&studio, "ada");
        let report = sync_after_plan(&studio, || {
            by_hand(&studio, "ada", &json!({"is_active": true}));
            if elsewhere {
                set_link(&studio, &user.id, &settled);
            }
        });
        if elsewhere {
            assert_so_already(&report, "ada");
            nothing_was_written(&report, 2);
        } else {
            assert_failed(
                &report,
                "ada",
                "somebody else activated the user since it was read",
            );
            assert_eq!(studio.sync().counts.updated, 1);
        }
        assert_eq!(activity(&studio, "ada"), "settled");
        studio.sync_changes_nothing();
    }
}

#[test]
fn an_administrator_who_has_no_login_any_more_is_nobody_who_is_left() {
    for is_left in [true, false] {
        let studio = Studio::of(&["ada", "bob", "cyd"]);
        studio.sync();
        for uid in ["ada", "cyd"] {
            make_administrator(&studio, uid);
        }
        by_hand(&studio, "admin", &json!({"is_active": false}));
        leave(&studio, "ada");
        let plan = studio.folder().join("plan.json");
        let plan = plan.to_str().unwrap();
        studio.plan(&["--out", plan]).unwrap();
        let dry_run = studio.synced(&["sync", "--dry-run", "--format", "json"]);
        let planned = dry_run.ftrack.read_calls;
        // The administrators are looked at once more after everything that a plan reads.
        studio.ftrack().forget();
        let gate = studio
            .hold_when(move |call| call.kind == CallKind::Read && call.number_of_kind > planned);
        let program = studio.start(&["apply", plan, "--format", "json"]);
        assert!(gate.wait_for(1, LIMIT));
        if !is_left {
            by_hand(&studio, "cyd", &json!({"username": Value::Null}));
        }
        gate.open();
        let report = super::report(program);
        let counts = &report.counts;
        assert_eq!(
            (counts.deactivated, counts.held),
            (usize::from(is_left), usize::from(!is_left)),
            "{report:#?}"
        );
    }
}

#[test]
fn the_report_of_a_run_that_was_cut_off_keeps_what_had_not_to_be_written() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.ftrack_settings = "batch_size = 1".into();
    studio.sync();
    for uid in ["ada", "bob", "cyd"] {
        studio.tree().replace(&dn(uid), "sn", &["Changed"]).unwrap();
    }
    let report = sync_after_plan(&studio, || {
        for uid in ["ada", "bob", "cyd"] {
            by_hand(&studio, uid, &json!({"last_name": "Changed"}));
        }
    });
    // As if the program had been killed before its report was safe, with one result still to come.
    let (run, folder) = (&report.run, studio.state_dir());
    std::fs::remove_file(folder.join(format!("reports/artists/{run}.json"))).unwrap();
    let mut begun = report.clone();
    begun.counts.unchanged = 0;
    for change in &mut begun.changes {
        change.error = None;
    }
    let mut journal = serde_json::to_string(&begun).unwrap();
    for place in [0, 1] {
        let error = report.changes[place].error.as_deref().unwrap();
        journal += &format!(
            "\n{}",
            json!({"change": place, "result": "planned", "error": error})
        );
    }
    std::fs::create_dir_all(folder.join("journals/artists")).unwrap();
    std::fs::write(
        folder.join(format!("journals/artists/{run}.jsonl")),
        journal + "\n",
    )
    .unwrap();
    studio.sync_changes_nothing();
    let kept = studio
        .run(&["runs", "show", run, "--format", "json"])
        .report();
    let results: Vec<ChangeResult> = kept.changes.iter().map(|change| change.result).collect();
    assert_eq!(
        results,
        [
            ChangeResult::Planned,
            ChangeResult::Planned,
            ChangeResult::Applied
        ],
        "{kept:#?}"
    );
    assert_eq!(
        (
            kept.counts.unchanged,
            kept.counts.failed,
            kept.counts.updated
        ),
        (2, 0, 1),
        "{kept:#?}"
    );
    let note = kept.changes[2].note.as_deref().unwrap();
    assert!(note.contains("a later run found it in effect"), "{note}");
    assert!(
        kept.error
            .unwrap()
            .contains("what it had written by then is in this report")
    );
    assert!(
        kept.changes
            .iter()
            .all(|change| change.action == Action::Update)
    );
}
