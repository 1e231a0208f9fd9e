//! A setting that changed explains missing people better than a mass exodus does.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::{approve, leave},
    studio::dn,
};

const LIMITS: &str = "limits = { deactivate = \"100%\", rename = \"100%\", clear = \"100%\" }";

/// Three people with users, and limits that hold nothing.
fn synced() -> Situation {
    Situation::of(&["ada", "bob", "cyd"])
        .job(LIMITS)
        .after_sync()
}

impl Situation {
    fn filter(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.0.filter);
        self
    }

    fn attributes(mut self, attributes: &str) -> Self {
        attributes.clone_into(&mut self.0.attributes);
        self
    }
}

#[test]
fn whom_a_changed_filter_leaves_out_is_held_and_later_leavers_are_not() {
    let situation = synced().filter("(&(objectClass=inetOrgPerson)(!(uid=ada)))");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter

      1 change is held: the configuration changed (filter), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    // The next reading has the same filter as the one before it, and holds the same people.
    assert_eq!(situation.sync().counts.held, 1);
    let situation = situation.then(|studio| leave(studio, "bob"));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter

      - deactivate bob  uid=bob,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: the configuration changed (filter), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    "#);
    approve(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn whom_the_filter_shows_again_is_free_again() {
    let everybody = "(objectClass=inetOrgPerson)";
    let situation = synced()
        .filter("(&(objectClass=inetOrgPerson)(!(uid=ada)))")
        .after_sync()
        .filter(everybody);
    situation.sync_changes_nothing();
    let situation = situation.then(|studio| leave(studio, "ada"));
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn what_a_changed_mapping_would_rename_or_empty_is_held_and_the_rest_is_written() {
    let situation = synced()
        .attributes(
            "username = \"cn\", email = { from = \"labeledURI\", when_absent = \"clear\" }, \
             first_name = \"givenName\", last_name = \"cn\"",
        )
        .then(|studio| studio.tree().remove(&dn("cyd")).unwrap());
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to update, 1 to deactivate, 2 of them held

      ~ update     Given ada HELD  uid=ada,ou=people,dc=studio,dc=test
          username: ada -> Given ada
          the directory has other values

      ~ update     Given bob HELD  uid=bob,ou=people,dc=studio,dc=test
          username: bob -> Given bob
          the directory has other values

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Given ada
          the directory has other values

      ~ update     ada HELD  uid=ada,ou=people,dc=studio,dc=test
          email: ada@studio.test -> (none)
          the directory has other values

      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          last_name: bob -> Given bob
          the directory has other values

      ~ update     bob HELD  uid=bob,ou=people,dc=studio,dc=test
          email: bob@studio.test -> (none)
          the directory has other values

      - deactivate cyd  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      4 changes are held: the configuration changed (attributes.email: 2 of them; attributes.username: 2 of them), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking

      Warnings:
        nobody has a value for attributes.email ("labeledURI"): check the name, and whether the bind account may read it
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Given ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "Given bob" <bob@studio.test>; artists, settled
    cyd: inactive, "Given" "cyd" <cyd@studio.test>; artists, deactivated
    "#);
}

#[test]
fn other_bases_and_another_account_are_named() {
    let mut situation = synced().then(|studio| leave(studio, "ada"));
    "ou=people,dc=studio,dc=test".clone_into(&mut situation.0.search_base);
    let situation = situation.job(&format!("scope = \"one\"\n{LIMITS}"));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: the configuration changed (scope), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
}

#[test]
fn whoever_wants_it_has_changed_settings_applied_at_once() {
    let situation = synced()
        .filter("(&(objectClass=inetOrgPerson)(!(uid=ada)))")
        .job(&format!("config_change = \"apply\"\n{LIMITS}"));
    assert_eq!(situation.sync().counts.deactivated, 1);
    // What was held before is free as well.
    let situation = synced()
        .filter("(&(objectClass=inetOrgPerson)(!(uid=ada)))")
        .after_sync()
        .job(&format!("config_change = \"apply\"\n{LIMITS}"));
    assert_eq!(situation.sync().counts.deactivated, 1);
}
