//! Batches that the server refuses: the bad changes are found, reported, and stop no others.

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Rights, Rules},
    model::{
        edit::Field,
        report::{ChangeResult, Outcome},
    },
};

use super::{assert_sound, errors, many, studio_of};
use crate::studio::{Studio, dn};

const BOTH: [Atomicity; 2] = [Atomicity::Transaction, Atomicity::PartialUntilError];

fn refusing(atomicity: Atomicity, logins: &[String]) -> Rules {
    Rules {
        atomicity,
        refused_users: logins.iter().cloned().collect(),
        ..Rules::default()
    }
}

#[test]
fn one_bad_record_in_a_hundred_costs_a_few_calls() {
    for atomicity in BOTH {
        for bad in ["user000", "user050", "user099"] {
            let studio = studio_of(100, refusing(atomicity, &[bad.to_owned()]));
            let report = studio.sync();
            assert_eq!(
                (report.counts.created, report.counts.failed),
                (99, 1),
                "{atomicity:?} {bad}"
            );
            assert_eq!(report.outcome, Outcome::Partial);
            assert!(
                report.ftrack.write_calls <= 16,
                "{atomicity:?} {bad}: {} calls",
                report.ftrack.write_calls
            );
            let [(login, error)] = errors(&report)[..] else {
                panic!("{report:#?}")
            };
            assert!(
                login == bad && error.contains(&format!("The user \"{bad}\" is not valid")),
                "{error}"
            );
            assert_eq!(studio.ftrack().users().len(), 99 + 2);
            studio
                .ftrack()
                .change_rules(|rules| rules.refused_users.clear());
            assert_eq!(studio.sync().counts.created, 1);
            studio.sync_changes_nothing();
        }
    }
}

#[test]
fn bad_records_among_updates_and_creates_are_each_named() {
    for atomicity in BOTH {
        let studio = studio_of(60, Rules::default());
        studio.sync();
        for uid in many(60) {
            studio
                .tree()
                .replace(&dn(&uid), "sn", &["Changed"])
                .unwrap();
        }
        let bad: Vec<String> = many(60).into_iter().step_by(9).collect();
        studio
            .ftrack()
            .change_rules(|rules| *rules = refusing(atomicity, &bad));
        let report = studio.sync();
        assert_eq!(
            (report.counts.updated, report.counts.failed),
            (60 - bad.len(), bad.len()),
            "{atomicity:?}"
        );
        for uid in many(60) {
            let changed = studio.user(&uid).last_name.as_deref() == Some("Changed");
            assert_eq!(changed, !bad.contains(&uid), "{uid}");
        }
        let named = errors(&report)
            .into_iter()
            .all(|(login, error)| error.contains(&format!("{login:?} is not valid")));
        assert!(named, "{report:#?}");
        assert_sound(&studio);
    }
}

#[test]
fn forty_bad_neighbours_do_not_stop_the_good_ones() {
    for atomicity in BOTH {
        let studio = studio_of(60, refusing(atomicity, &many(60)[..40]));
        let report = studio.sync();
        assert_eq!(
            (report.counts.created, report.counts.failed),
            (20, 40),
            "{atomicity:?}"
        );
    }
}

#[test]
fn where_all_are_bad_all_are_named() {
    for atomicity in BOTH {
        let studio = studio_of(30, refusing(atomicity, &many(30)));
        let report = studio.sync();
        assert_eq!(
            (report.counts.created, report.counts.failed, report.outcome),
            (0, 30, Outcome::Partial)
        );
        assert!(
            report.ftrack.write_calls < 60,
            "{}",
            report.ftrack.write_calls
        );
        assert_eq!(studio.ftrack().applied(), []);
    }
}

/// Synced people whose site is a custom attribute, and an ftrack that writes no call as a whole.
fn with_sites(count: usize) -> Studio {
    let studio = studio_of(
        count,
        Rules {
            atomicity: Atomicity::PartialUntilError,
            ..Rules::default()
        },
    );
    studio
        .ftrack()
        .add_custom_attribute("site", "text")
        .unwrap();
    crate::rules::add_config(
        &studio,
        "[jobs.artists.attributes]\n\"custom_attributes.site\" = \"l\"\n",
    );
    studio.sync();
    studio
}

/// From now on, the attributes of a user go through, and the site does not: as where the server does
/// not tell the type of an attribute, and minds it all the same. Returns the end of that.
fn refuse_the_site(studio: &Studio) -> impl Fn(&Studio) + use<> {
    let configuration = studio
        .ftrack()
        .rows("CustomAttributeConfiguration")
        .unwrap()[0]["id"]
        .clone();
    let types = studio.ftrack().rows("CustomAttributeType").unwrap();
    let of_name =
        |name: &str| types.iter().find(|kind| kind["name"] == name).unwrap()["id"].clone();
    let (number, text) = (of_name("number"), of_name("text"));
    let set_type = move |studio: &Studio, kind: &serde_json::Value| {
        let fields = serde_json::json!({"type_id": kind});
        let key = serde_json::json!([configuration]);
        studio
            .ftrack()
            .change("CustomAttributeConfiguration", &key, &fields)
            .unwrap();
    };
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = ["CustomAttributeType".to_owned()].into());
    set_type(studio, &number);
    move |studio: &Studio| set_type(studio, &text)
}

#[test]
fn a_value_that_is_refused_after_others_were_written_is_named_with_what_was_written() {
    let studio = with_sites(1);
    studio
        .tree()
        .replace(&dn("user000"), "sn", &["Changed"])
        .unwrap();
    studio
        .tree()
        .replace(&dn("user000"), "l", &["Oslo"])
        .unwrap();
    let mend = refuse_the_site(&studio);
    let report = studio.sync();
    assert_eq!(
        (report.counts.updated, report.counts.failed),
        (0, 1),
        "{report:#?}"
    );
    let error = report.changes[0].error.as_deref().unwrap();
    assert!(
        error.contains("must be of type number")
            && error.contains("but these were written: last_name"),
        "{error}"
    );
    assert_eq!(studio.user("user000").last_name.as_deref(), Some("Changed"));
    mend(&studio);
    let report = studio.sync();
    assert_eq!(report.changes[0].fields.len(), 1, "{report:#?}");
    studio.sync_changes_nothing();
}

#[test]
fn a_login_that_was_written_of_a_refused_change_counts_for_the_limit() {
    let mut studio = with_sites(2);
    studio.job = "limits.rename = 1".into();
    let tree = studio.tree();
    tree.replace(&dn("user000"), "l", &["Oslo"]).unwrap();
    tree.rename(&dn("user000"), &dn("zoe")).unwrap();
    let _ = refuse_the_site(&studio);
    let report = studio.sync();
    assert_eq!(
        (report.counts.updated, report.counts.failed),
        (0, 1),
        "{report:#?}"
    );
    assert_eq!(report.changes[0].written, [Field::Username].into());
    studio.tree().rename(&dn("user001"), &dn("yan")).unwrap();
    let next = studio.sync();
    assert_eq!((next.counts.failed, next.counts.held), (1, 1), "{next:#?}");
}

#[test]
fn without_the_right_to_write_the_run_ends_early_and_says_why() {
    let studio = studio_of(
        300,
        Rules {
            rights: Rights::NoUserWrites,
            ..Rules::default()
        },
    );
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created, report.counts.failed),
        (Outcome::Failed, 0, 300)
    );
    assert!(
        report.ftrack.write_calls <= 16,
        "{}",
        report.ftrack.write_calls
    );
    let error = report.error.unwrap();
    assert!(error.contains("permission to manage users"), "{error}");
    assert!(
        report
            .changes
            .iter()
            .all(|change| change.result == ChangeResult::Failed && change.error.is_some())
    );
}
