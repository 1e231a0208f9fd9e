//! Attributes with several values, which are sets: their order says nothing, and what ftrack has is
//! kept as long as it is among them.

use ftrack_ldap_sync::{
    demo::{directory::TreeEntry, ftrack::Account},
    model::report::Outcome,
};
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::account,
    studio::{Studio, dn, person},
};

/// Replaces the values of an attribute of somebody.
fn set(studio: &Studio, uid: &str, attribute: &str, values: &[&str]) {
    studio.tree().replace(&dn(uid), attribute, values).unwrap();
}

#[test]
fn values_that_change_places_change_nothing() {
    let situation = Situation::of(&["ada", "bob"]).then(|studio| {
        set(
            studio,
            "ada",
            "mail",
            &["z.ada@studio.test", "ada@studio.test"],
        );
        set(studio, "ada", "uid", &["aadams", "ada"]);
        set(studio, "ada", "sn", &["Lovelace", "Byron"]);
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: Byron
          email: ada@studio.test
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
        mail has several values in 1 of 2 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
        sn has several values in 1 of 2 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
        uid has several values in 1 of 2 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Byron" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    for (mails, uids, names) in [
        (
            ["ada@studio.test", "z.ada@studio.test"],
            ["ada", "aadams"],
            ["Byron", "Lovelace"],
        ),
        (
            ["z.ada@studio.test", "ada@studio.test"],
            ["aadams", "ada"],
            ["Lovelace", "Byron"],
        ),
    ] {
        set(&situation, "ada", "mail", &mails);
        set(&situation, "ada", "uid", &uids);
        set(&situation, "ada", "sn", &names);
        situation.sync_changes_nothing();
    }
}

#[test]
fn what_ftrack_has_is_kept_while_it_is_among_the_values() {
    let situation = Situation::synced(&["ada"]).then(|studio| {
        set(
            studio,
            "ada",
            "mail",
            &["a.first@studio.test", "ada@studio.test"],
        );
    });
    situation.sync_changes_nothing();
    let situation = situation.then(|studio| {
        set(
            studio,
            "ada",
            "mail",
            &["z.ada@studio.test", "a.first@studio.test"],
        );
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          email: ada@studio.test -> z.ada@studio.test
          the directory has other values

      Warnings:
        mail has several values in 1 of 1 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
    ");
    situation.sync();
    assert_eq!(
        situation.user("ada").email.as_deref(),
        Some("z.ada@studio.test")
    );
}

#[test]
fn a_login_that_is_kept_is_the_one_that_nobody_else_gets() {
    // ada has the login "zoe" at ftrack, which is one of her own; a newcomer wants it too.
    let situation = Situation::of(&["zoe"])
        .after_sync()
        .then(|studio| {
            set(studio, "zoe", "uid", &["zoe", "ada"]);
        })
        .entry(person("ada", "Ada", "L").with("employeeNumber", "7"));
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Ada" "L" <ada@studio.test>; artists, settled
    zoe: active, "Given" "zoe" <zoe@studio.test>; artists, settled
    "#);
    let newcomer = TreeEntry::new("cn=Zoe Z,ou=people,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("uid", "zoe")
        .with("sn", "Z");
    let situation = situation.entry(newcomer);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        cn=Zoe Z,ou=people,dc=studio,dc=test
          the username "zoe" belongs to another ftrack user, of uid=zoe,ou=people,dc=studio,dc=test

      Warnings:
        uid has several values in 1 of 3 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=zoe,ou=people,dc=studio,dc=test
    "#);
}

#[test]
fn whoever_may_be_adopted_is_found_by_any_value() {
    let situation = Situation::of(&["ada"])
        .then(|studio| set(studio, "ada", "uid", &["ada", "lovelace"]))
        .account(Account {
            email: Some("old@studio.test".into()),
            ..account("Lovelace")
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to adopt

      = adopt      lovelace  uid=ada,ou=people,dc=studio,dc=test
          username: Lovelace -> lovelace
          first_name: Given
          last_name: ada
          email: old@studio.test -> ada@studio.test
          the user "Lovelace" has no owner, and matches the person by login (users.adopt)

      Warnings:
        uid has several values in 1 of 1 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    assert_snapshot!(situation.users(), @r#"lovelace: active, "Given" "ada" <ada@studio.test>; artists, settled"#);
    set(&situation, "ada", "uid", &["lovelace", "ada"]);
    situation.sync_changes_nothing();
}

#[test]
fn a_template_over_several_values_keeps_what_ftrack_has() {
    let mut situation = Situation::of(&["ada", "bob"]).then(|studio| {
        set(studio, "ada", "sn", &["Lovelace", "Byron"]);
        set(studio, "ada", "givenName", &["Augusta", "Ada"]);
        set(studio, "bob", "displayName", &["Bob B"]);
    });
    situation.attributes =
        "username = \"uid\", full_name = \"{{ givenName }} {{ sn | upper }}\"".into();
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Ada" "BYRON" <>; artists, settled
    bob: active, "Given" "BOB" <>; artists, settled
    "#);
    set(&situation, "ada", "sn", &["Byron", "Lovelace"]);
    set(&situation, "ada", "givenName", &["Ada", "Augusta"]);
    situation.sync_changes_nothing();
    // One more value, even one that comes first in the alphabet, is no reason to change anything.
    set(&situation, "ada", "sn", &["Aaron", "Byron", "Lovelace"]);
    situation.sync_changes_nothing();
    set(&situation, "ada", "sn", &["Aaron"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: BYRON -> AARON
          the directory has other values

      Warnings:
        givenName has several values in 1 of 2 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=ada,ou=people,dc=studio,dc=test
    ");
}

#[test]
fn a_value_of_a_custom_attribute_is_kept_in_its_own_type() {
    let situation = Situation::of(&["ada"])
        .then(|studio| {
            studio
                .ftrack()
                .add_custom_attribute("floor", "number")
                .unwrap();
            set(studio, "ada", "roomNumber", &["none", "4", "007"]);
        })
        .config("[jobs.artists.attributes]\n\"custom_attributes.floor\" = \"roomNumber\"\n")
        .after_sync();
    assert_snapshot!(situation.user("ada").custom_attributes["floor"], @"4");
    set(&situation, "ada", "roomNumber", &["3", "4", "none", "7"]);
    situation.sync_changes_nothing();
}
