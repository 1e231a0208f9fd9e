//! One record that cannot be used stops nobody else.

use std::sync::Arc;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::report::{Outcome, Report},
};
use serde_json::{Value, json};

use super::{Measured, PATIENT, tampering::Proxy};
use crate::{
    faults::settings,
    ldap_proxy::ber::{Message, SEARCH_ENTRY, entry_with},
    rules::{account, by_hand},
    slapd::Setup,
    studio::{Studio, dn, person},
};

/// A directory in which the entry of one person is too large, whatever is asked of it but its id.
fn swollen(studio: &Studio, uid: &'static str) -> Proxy {
    let tamper = move |_, answer: Vec<u8>| {
        let message = Message::new(&answer);
        let has = |text: &str| {
            answer
                .windows(text.len())
                .any(|found| found == text.as_bytes())
        };
        let is_meant =
            message.tag == SEARCH_ENTRY && has(&format!("uid={uid},")) && has("givenName");
        Some(if is_meant {
            entry_with(&answer, b"jpegPhoto", &[b'x'; 17 << 20], 1)
        } else {
            answer
        })
    };
    Proxy::of_directory(studio.directory().address(), Arc::new(tamper))
}

fn applied(report: &Report) -> Vec<&str> {
    let names = report.changes.iter().map(|change| change.username.as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn an_entry_that_is_too_large_is_named_and_left_out() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    studio.tree().add(person("cleo", "Given", "Cleo")).unwrap();
    settings(&studio, 1000, PATIENT);
    let proxy = swollen(&studio, "bob");
    studio.directory_url = format!("ldap://{}", proxy.address);
    let report = Measured::sync(&studio).report();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(applied(&report), ["ada", "cleo"]);
    let [skipped] = report.skipped.as_slice() else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (skipped.dn.as_str(), skipped.reason.as_str()),
        (
            dn("bob").as_str(),
            "it is larger than 16 MiB, so it was not read"
        )
    );
    assert!(studio.user("bob").is_active);
}

/// Takes a value from the row of a user in ftrack.
fn without(studio: &Studio, username: &str, column: &str) {
    by_hand(studio, username, &json!({column: Value::Null}));
}

#[test]
fn a_user_without_a_login_is_left_alone_and_named() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.ftrack().add_user(&account("stranger")).unwrap();
    studio.sync();
    let (stranger, bob) = (studio.user("stranger").id, studio.user("bob").id);
    without(&studio, "stranger", "username");
    without(&studio, "bob", "is_active");
    for uid in ["ada", "bob"] {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    let report = studio.sync();
    assert_eq!(applied(&report), ["ada"]);
    let warning = report
        .warnings
        .iter()
        .find(|warning| warning.contains("left alone"));
    let warning = warning.unwrap_or_else(|| panic!("{report:#?}"));
    assert!(
        warning.starts_with("2 users in ftrack have no username, or no is_active")
            && warning.contains(&stranger)
            && warning.contains(&bob),
        "{warning}"
    );
    assert_eq!(studio.sync().counts.created, 0);
    // Nor is it deactivated when its person leaves, and another one is not made when it is back.
    studio.tree().remove(&dn("bob")).unwrap();
    assert_eq!(studio.sync().counts.deactivated, 0);
}

#[test]
fn a_user_with_a_value_that_is_too_large_is_left_alone_and_named() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.ftrack().add_user(&account("stranger")).unwrap();
    studio.sync();
    let large = "x".repeat(3 << 20);
    let mail = format!("{large}@studio.test");
    by_hand(&studio, "stranger", &json!({"first_name": large}));
    by_hand(&studio, "bob", &json!({"email": mail}));
    for uid in ["ada", "bob"] {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    // Whose login is a stranger's, whatever else ftrack has of the stranger.
    studio
        .tree()
        .add(person("stranger", "Given", "New"))
        .unwrap();
    let report = studio.sync();
    assert_eq!(applied(&report), ["ada"], "{report:#?}");
    let [skipped] = report.skipped.as_slice() else {
        panic!("{report:#?}")
    };
    assert_eq!(skipped.dn, dn("stranger"));
    let found = report
        .warnings
        .iter()
        .find(|warning| warning.contains("too large"));
    let warning = found.unwrap_or_else(|| panic!("{report:#?}"));
    let (stranger, bob) = (studio.user("stranger").id, studio.user("bob").id);
    assert!(
        warning.contains(&format!("{stranger} (first_name)"))
            && warning.contains(&format!("{bob} (email)")),
        "{warning}"
    );
    studio.tree().remove(&dn("bob")).unwrap();
    let counts = studio.sync().counts;
    assert_eq!((counts.deactivated, counts.created), (0, 0));
    assert!(studio.user("bob").is_active);
}

#[test]
fn a_link_and_a_value_that_are_too_large_stop_nobody_else() {
    let mut studio = Studio::of(&["ada", "bob"]);
    let attribute = studio
        .ftrack()
        .add_custom_attribute("title", "text")
        .unwrap();
    studio
        .attributes
        .push_str(", \"custom_attributes.title\" = \"title\"");
    for uid in ["ada", "bob"] {
        studio
            .tree()
            .replace(&dn(uid), "title", &["Artist"])
            .unwrap();
    }
    studio.sync();
    let large = "x".repeat(3 << 20);
    let stranger = Account {
        metadata: [("ftrack-ldap-sync".to_owned(), large.clone())].into(),
        ..account("stranger")
    };
    studio.ftrack().add_user(&stranger).unwrap();
    let key = json!([attribute, studio.user("ada").id]);
    studio
        .ftrack()
        .change("UserCustomAttributeValue", &key, &json!({"value": large}))
        .unwrap();
    let report = studio.sync();
    assert_eq!(applied(&report), ["ada"], "{report:#?}");
    let warned = report
        .warnings
        .iter()
        .any(|warning| warning.contains("stranger"));
    assert!(warned, "{report:#?}");
    studio.sync_changes_nothing();
}

#[test]
fn what_the_tls_library_says_is_told_by_the_event_alone() {
    let slapd = Setup::new("").start();
    let mut studio = Studio::of(&["ada"]).end_to_end();
    studio.directory_url = slapd.tls_url().to_string();
    let error = Measured::sync(&studio).failure();
    assert!(error.contains("not trusted"), "{error}");
}
