//! The values that reach ftrack: absent ones, names, custom attributes of each type, and the user
//! type.

use ftrack_ldap_sync::model::{change::Action, report::Outcome};
use serde_json::json;

use super::{add_config, logins, reasons};
use crate::studio::{Studio, dn, person};

#[test]
fn an_absent_value_is_kept_unless_it_is_to_be_cleared() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.tree().replace(&dn("ada"), "mail", &[]).unwrap();
    studio.tree().replace(&dn("ada"), "givenName", &[]).unwrap();
    studio.sync_changes_nothing();
    assert_eq!(studio.user("ada").email.as_deref(), Some("ada@studio.test"));
    add_config(
        &studio,
        "[jobs.artists.attributes]\nemail = { from = \"mail\", when_absent = \"clear\" \
         }\nfirst_name = { from = \"givenName\", when_absent = \"clear\" }\n",
    );
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Update), ["ada"]);
    let ada = studio.user("ada");
    assert_eq!((ada.email, ada.first_name), (None, None));
    studio.sync_changes_nothing();
}

#[test]
fn who_has_no_first_name_is_not_called_first() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.tree().replace(&dn("ada"), "givenName", &[]).unwrap();
    add_config(
        &studio,
        "[jobs.artists.attributes]\nemail = { from = \"mail\", when_absent = \"clear\" }\n",
    );
    studio.tree().replace(&dn("ada"), "mail", &[]).unwrap();
    studio.sync();
    assert_eq!(studio.user("ada").first_name.unwrap_or_default(), "");
    studio.sync_changes_nothing();
}

#[test]
fn an_entry_without_a_required_value_is_left_out_and_not_gone() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    add_config(
        &studio,
        "[jobs.artists.attributes]\nemail = { from = \"mail\", required = true }\n",
    );
    studio.tree().replace(&dn("ada"), "mail", &[]).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.outcome),
        (0, Outcome::Succeeded)
    );
    assert_eq!(
        reasons(&report),
        format!("{}: it has no mail, which is required", dn("ada"))
    );
    assert!(studio.user("ada").is_active);
}

/// A studio whose ftrack has an attribute of each type, and maps them all.
fn with_custom_attributes() -> Studio {
    let studio = Studio::of(&[]);
    let mut mapping = "[jobs.artists.attributes]\n".to_owned();
    for (key, kind, from) in [
        ("badge", "text", "employeeNumber"),
        ("floor", "number", "roomNumber"),
        ("staff", "boolean", "employeeType"),
        ("site", "enumerator", "l"),
        ("since", "date", "departmentNumber"),
    ] {
        studio.ftrack().add_custom_attribute(key, kind).unwrap();
        mapping.push_str(&format!(
            "\"custom_attributes.{key}\" = {{ from = \"{from}\", when_absent = \"clear\" }}\n"
        ));
    }
    add_config(&studio, &mapping);
    let entry = person("ada", "Ada", "L")
        .with("employeeNumber", "0042")
        .with("roomNumber", "3")
        .with("employeeType", "TRUE")
        .with("l", "Oslo")
        .with("departmentNumber", "20200229120000Z");
    studio.tree().add(entry).unwrap();
    studio
}

#[test]
fn custom_attributes_get_values_of_their_type_also_of_a_new_user() {
    let studio = with_custom_attributes();
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.outcome),
        (1, Outcome::Succeeded),
        "{report:#?}"
    );
    let values = studio.user("ada").custom_attributes;
    let day = json!({"__type__": "datetime", "value": "2020-02-29T00:00:00"});
    for (key, value) in [
        ("badge", json!("0042")),
        ("floor", json!(3)),
        ("staff", json!(true)),
        ("site", json!(["Oslo"])),
        ("since", day),
    ] {
        assert_eq!(values.get(key), Some(&value), "{key}");
    }
    studio.sync_changes_nothing();
    for (attribute, values) in [
        ("roomNumber", ["4"]),
        ("employeeType", ["FALSE"]),
        ("l", ["Rome"]),
    ] {
        studio
            .tree()
            .replace(&dn("ada"), attribute, &values)
            .unwrap();
    }
    studio
        .tree()
        .replace(&dn("ada"), "departmentNumber", &[])
        .unwrap();
    let report = studio.sync();
    assert_eq!(report.changes[0].fields.len(), 4, "{report:#?}");
    let values = studio.user("ada").custom_attributes;
    assert_eq!(
        (&values["floor"], &values["staff"], values.get("since")),
        (&json!(4), &json!(false), None)
    );
    studio.sync_changes_nothing();
}

#[test]
fn a_value_that_its_attribute_cannot_take_leaves_the_entry_out() {
    let studio = with_custom_attributes();
    studio
        .tree()
        .replace(&dn("ada"), "roomNumber", &["third"])
        .unwrap();
    studio.tree().add(person("bob", "Bob", "B")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (logins(&report, Action::Create), report.counts.skipped),
        (vec!["bob"], 1),
        "{report:#?}"
    );
    assert!(
        reasons(&report).contains("custom_attributes.floor is not a number: \"third\""),
        "{}",
        reasons(&report)
    );
    studio.sync_changes_nothing();
}

#[test]
fn created_users_get_the_configured_type() {
    let mut studio = Studio::of(&["ada"]);
    studio.job = "users = { user_type = \"ldap\" }".into();
    studio.sync();
    assert_eq!(studio.user("ada").user_type, "ldap");
    studio.sync_changes_nothing();
}

#[test]
fn a_user_type_that_is_not_there_or_never_touched_is_found_before_anything_is_written() {
    for (name, said) in [
        ("ldpa", "it has: demo, ftrack, google, ldap, service"),
        ("Service", "never changed"),
    ] {
        let mut studio = Studio::of(&["ada"]);
        studio.job = format!("users = {{ user_type = \"{name}\" }}");
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.ftrack.write_calls),
            (Outcome::Failed, 0),
            "{report:#?}"
        );
        let error = report.error.unwrap();
        assert!(
            error.contains("users.user_type") && error.contains(said),
            "{error}"
        );
        assert!(studio.ftrack().user("ada").is_none());
    }
}

#[test]
fn a_full_name_becomes_first_and_last() {
    let mut studio = Studio::of(&[]);
    studio.attributes = "username = \"uid\", full_name = \"displayName\"".into();
    for (uid, name) in [
        ("juan", "Juan Carlos Ruiz"),
        ("madonna", "Madonna"),
        ("prince", "Prince Nelson"),
    ] {
        let entry = person(uid, "x", "y").with("displayName", name);
        studio.tree().add(entry).unwrap();
    }
    assert_eq!(studio.sync().counts.created, 3);
    let names = |uid: &str| {
        let user = studio.user(uid);
        (
            user.first_name.unwrap_or_default(),
            user.last_name.unwrap_or_default(),
        )
    };
    assert_eq!(names("juan"), ("Juan Carlos".into(), "Ruiz".into()));
    assert_eq!(names("madonna"), ("Madonna".into(), String::new()));
    studio.sync_changes_nothing();

    // One word is the whole name, so that no last name of before is left; without a word, the
    // directory says nothing about it.
    for (uid, name) in [("juan", &[][..]), ("prince", &["Prince"][..])] {
        studio
            .tree()
            .replace(&dn(uid), "displayName", name)
            .unwrap();
    }
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Update), ["prince"], "{report:#?}");
    assert_eq!(names("prince"), ("Prince".into(), String::new()));
    assert_eq!(names("juan"), ("Juan Carlos".into(), "Ruiz".into()));
    studio.sync_changes_nothing();
}
