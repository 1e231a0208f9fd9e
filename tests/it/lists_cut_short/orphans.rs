//! Links without a user: they are ignored with a warning, and people without a user get one.

use ftrack_ldap_sync::model::{
    change::Action,
    report::{Outcome, Report},
};
use serde_json::json;

use super::{LINKS, hide, mend, people};
use crate::{
    rules::{activity, leave, logins},
    studio::{Studio, person},
};

/// What a report says about links of nobody.
fn named(report: &Report) -> Vec<&str> {
    let warnings = report.warnings.iter().map(String::as_str);
    warnings
        .filter(|warning| warning.contains("belong to no existing user"))
        .collect()
}

/// Deletes a user, and leaves its link.
fn delete(studio: &Studio, username: &str) -> String {
    let id = studio.user(username).id;
    studio.ftrack().remove("User", &json!([id])).unwrap();
    id
}

#[test]
fn somebody_whose_user_was_deleted_gets_one_again() {
    let studio = people(5);
    let id = delete(&studio, "user02");
    let report = studio.sync();
    let [warning] = named(&report)[..] else {
        panic!("{report:#?}")
    };
    assert!(
        warning.contains("1 links in ftrack") && warning.contains(&id),
        "{warning}"
    );
    assert_eq!(
        (report.outcome, logins(&report, Action::Create)),
        (Outcome::Succeeded, vec!["user02"]),
        "{report:#?}"
    );
    assert_eq!(
        (studio.user("user02").id, activity(&studio, "user02")),
        (id, "settled".to_owned())
    );
    assert_eq!(named(&studio.sync_changes_nothing()), [""; 0]);
}

#[test]
fn links_of_people_who_left_and_of_what_is_no_user_are_named_in_one_warning() {
    let studio = people(8);
    for uid in ["user01", "user03", "user04"] {
        delete(&studio, uid);
        leave(&studio, uid);
    }
    let project = studio.ftrack().rows("Project").unwrap()[0]["id"].clone();
    let link = json!({"parent_id": project, "parent_type": "Project", "key": "ftrack-ldap-sync", "value": "{}"});
    studio.ftrack().insert(LINKS, &link).unwrap();
    for _ in 0..2 {
        let report = studio.sync_changes_nothing();
        let [warning] = named(&report)[..] else {
            panic!("{report:#?}")
        };
        assert!(
            warning.contains("4 links in ftrack") && warning.contains(project.as_str().unwrap()),
            "{warning}"
        );
        assert!(warning.ends_with(", …"), "{warning}");
        assert_eq!(
            warning.split(": ").last().unwrap().split(", ").count(),
            4,
            "{warning}"
        );
    }
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    assert_eq!(logins(&studio.sync(), Action::Create), ["joiner"]);
}

#[test]
fn a_link_of_nobody_does_not_hide_that_the_list_is_cut() {
    let studio = people(8);
    delete(&studio, "user01");
    let id = studio.user("user05").id;
    hide(&studio, "User", &id);
    super::assert_cut(&studio.sync(), "users");
    mend(&studio);
    assert_eq!(logins(&studio.sync(), Action::Create), ["user01"]);
}

#[test]
fn a_begun_create_is_finished_and_is_no_create() {
    let studio = people(4);
    let id = studio.user("user02").id;
    studio
        .ftrack()
        .remove(LINKS, &json!([id, "ftrack-ldap-sync"]))
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.counts.adopted),
        (0, 1),
        "{report:#?}"
    );
    assert!(
        report.changes[0].reason.contains("it has no link now"),
        "{report:#?}"
    );
    assert_eq!(activity(&studio, "user02"), "settled");
    studio.sync_changes_nothing();
}
