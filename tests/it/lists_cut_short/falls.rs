//! Links that were really deleted: more of them than may be deactivated fail a `sync`; a person may
//! approve it.

use ftrack_ldap_sync::model::{
    change::Action,
    report::{FailureKind, Outcome},
};
use serde_json::json;

use super::{LINKS, people, saved};
use crate::{
    rules::{add_config, logins},
    studio::{Studio, dn},
};

/// Takes away the links of the first so many people.
fn take_links(studio: &Studio, count: usize) {
    for number in 0..count {
        let id = studio.user(&format!("user{number:02}")).id;
        studio
            .ftrack()
            .remove(LINKS, &json!([id, "ftrack-ldap-sync"]))
            .unwrap();
    }
}

/// A studio of twenty, of whom two may be deactivated at once.
fn twenty() -> Studio {
    let mut studio = people(20);
    studio.job = "limits.deactivate = \"10%\"".into();
    studio
}

#[test]
fn links_that_went_away_stop_a_sync_and_a_person_may_approve_it() {
    for gone in [3, 19, 20] {
        let studio = twenty();
        take_links(&studio, gone);
        let before = studio.ftrack().users();
        for arguments in [
            &["sync", "--format", "json"][..],
            &["sync", "--dry-run", "--format", "json"],
        ] {
            let report = studio.synced(arguments);
            assert_eq!(
                (report.outcome, report.error_kind),
                (Outcome::Failed, Some(FailureKind::Refused)),
                "{report:#?}"
            );
            let error = report.error.unwrap();
            assert!(
                error.contains(&format!("{} users in ftrack have a link", 20 - gone)),
                "{error}"
            );
        }
        assert_eq!(studio.ftrack().users(), before);
        let shown = studio.plan(&[]).unwrap().warnings;
        assert!(
            shown
                .iter()
                .any(|warning| warning.contains("have a link of this job")),
            "{shown:#?}"
        );
        let report = studio.synced(&[
            "apply",
            "--format",
            "json",
            saved(&studio).to_str().unwrap(),
        ]);
        assert_eq!(
            (report.outcome, report.counts.adopted, report.counts.created),
            (Outcome::Succeeded, gone, 0),
            "{report:#?}"
        );
        studio.sync_changes_nothing();
    }
}

#[test]
fn as_many_as_may_be_deactivated_are_taken_over_again() {
    let studio = twenty();
    take_links(&studio, 2);
    assert_eq!(studio.sync().counts.adopted, 2);
    studio.sync_changes_nothing();
}

#[test]
fn people_who_go_over_to_another_job_are_no_fall() {
    let mut studio = twenty();
    let folder = "ou=services,dc=studio,dc=test";
    let mapped = &studio.attributes;
    let other = format!(
        "[jobs.others]\ndirectory = \"studio\"\nsearch_bases = [{folder:?}]\nfilter = \
         \"(objectClass=inetOrgPerson)\"\nattributes = {{ {mapped} }}\nlimits = {{ min_entries = \
         0 }}\n"
    );
    add_config(&studio, &other);
    studio.job = "limits.deactivate = \"10%\"".into();
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    assert_eq!(sync("artists").changes, []);
    for number in 0..9 {
        let uid = format!("user{number:02}");
        studio
            .tree()
            .rename(&dn(&uid), &format!("uid={uid},{folder}"))
            .unwrap();
    }
    let report = sync("others");
    assert_eq!(logins(&report, Action::Update).len(), 9, "{report:#?}");
    let report = sync("artists");
    assert_eq!(
        (report.outcome, &report.changes[..], report.ftrack.owned),
        (Outcome::Succeeded, &[][..], 11),
        "{report:#?}"
    );
    assert_eq!(sync("others").changes, []);
}
