//! The values that reach ftrack: absent ones, names, and the user type.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::Situation;
use crate::studio::{Studio, dn, person};

/// Replaces the values of an attribute of ada.
fn ada(studio: &Studio, attribute: &str, values: &[&str]) {
    studio
        .tree()
        .replace(&dn("ada"), attribute, values)
        .unwrap();
}

#[test]
fn an_absent_value_is_kept_unless_it_is_to_be_cleared() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("config_change = \"apply\"")
        .then(|studio| {
            ada(studio, "mail", &[]);
            ada(studio, "givenName", &[]);
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: ada
    ");
    situation.sync_changes_nothing();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    let situation = situation.config(
        "[jobs.artists.attributes]\nemail = { from = \"mail\", when_absent = \"clear\" \
         }\nfirst_name = { from = \"givenName\", when_absent = \"clear\" }\n",
    );
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          first_name: Given -> (none)
          email: ada@studio.test -> (none)
          the directory has other values

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: ada
    ");
    situation.sync();
    let ada = situation.user("ada");
    assert_eq!((ada.email, ada.first_name), (None, None));
    situation.sync_changes_nothing();
}

#[test]
fn who_has_no_first_name_is_not_called_first() {
    let situation = Situation::of(&["ada", "bob"])
        .then(|studio| {
            ada(studio, "mail", &[]);
            ada(studio, "givenName", &[]);
        })
        .config(
            "[jobs.artists.attributes]\nemail = { from = \"mail\", when_absent = \"clear\" }\n",
        );
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: (empty)
          last_name: ada
          is_active: true
          the person is in the directory and has no user

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          email: bob@studio.test
          is_active: true
          the person is in the directory and has no user

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: ada
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "" "ada" <>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn an_entry_without_a_required_value_is_left_out_and_not_gone() {
    let situation = Situation::synced(&["ada", "bob"])
        .config("[jobs.artists.attributes]\nemail = { from = \"mail\", required = true }\n")
        .then(|studio| ada(studio, "mail", &[]));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          it has no mail, which is required
    ");
    let report = situation.sync_changes_nothing();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert!(situation.user("ada").is_active);
}

#[test]
fn created_users_get_the_configured_type() {
    let situation = Situation::of(&["ada"]).job("users = { user_type = \"ldap\" }");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          user_type_id: [id]
          the person is in the directory and has no user
    ");
    situation.sync();
    assert_eq!(situation.user("ada").user_type, "ldap");
    situation.sync_changes_nothing();
}

#[test]
fn the_case_of_a_user_type_does_not_matter() {
    let situation = Situation::of(&["ada"])
        .job("users = { user_type = \"LDAP\" }")
        .after_sync();
    assert_eq!(situation.user("ada").user_type, "ldap");
}

/// A user type with which nobody may be created: the plan fails, and so does the sync.
fn refused_type(name: &str) -> String {
    let situation = Situation::of(&["ada"]).job(&format!("users = {{ user_type = \"{name}\" }}"));
    let plan = situation.plan_text();
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    assert_eq!(plan, format!("error: {}\n", report.error.unwrap()));
    assert_eq!(situation.users(), "");
    plan
}

#[test]
fn a_user_type_that_is_not_there_is_found_before_anything_is_written() {
    assert_snapshot!(refused_type("ldpa"), @r#"error: users.user_type: ftrack has no user type "ldpa"; it has: demo, ftrack, google, ldap, service"#);
}

#[test]
fn a_user_type_that_is_never_touched_is_found_before_anything_is_written() {
    assert_snapshot!(refused_type("Service"), @r#"error: users.user_type: users of the type "Service" are never changed, so they could never be deactivated either; choose another type"#);
}

#[test]
fn a_full_name_becomes_first_and_last() {
    let named = |uid: &str, name: &str| person(uid, "x", "y").with("displayName", name);
    let mut situation = Situation::of(&[])
        .entry(named("juan", "Juan Carlos Ruiz"))
        .entry(named("madonna", "Madonna"))
        .entry(named("prince", "Prince Nelson"));
    situation.attributes = "username = \"uid\", full_name = \"displayName\"".into();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 3 to create

      + create     juan  uid=juan,ou=people,dc=studio,dc=test
          username: juan
          first_name: Juan Carlos
          last_name: Ruiz
          is_active: true
          the person is in the directory and has no user

      + create     madonna  uid=madonna,ou=people,dc=studio,dc=test
          username: madonna
          first_name: Madonna
          last_name: (empty)
          is_active: true
          the person is in the directory and has no user

      + create     prince  uid=prince,ou=people,dc=studio,dc=test
          username: prince
          first_name: Prince
          last_name: Nelson
          is_active: true
          the person is in the directory and has no user
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    juan: active, "Juan Carlos" "Ruiz" <>; artists, settled
    madonna: active, "Madonna" "" <>; artists, settled
    prince: active, "Prince" "Nelson" <>; artists, settled
    "#);
    situation.sync_changes_nothing();

    // One word is the whole name, so that no last name of before is left; without a word, the
    // directory says nothing about it.
    for (uid, name) in [("juan", &[][..]), ("prince", &["Prince"][..])] {
        situation
            .tree()
            .replace(&dn(uid), "displayName", name)
            .unwrap();
    }
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     prince  uid=prince,ou=people,dc=studio,dc=test
          last_name: Nelson -> (empty)
          the directory has other values
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    juan: active, "Juan Carlos" "Ruiz" <>; artists, settled
    madonna: active, "Madonna" "" <>; artists, settled
    prince: active, "Prince" "" <>; artists, settled
    "#);
    situation.sync_changes_nothing();
}
