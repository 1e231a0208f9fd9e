//! People whose accounts are disabled: their users are deactivated, and not reactivated before the
//! accounts are enabled again.

use chrono::{Duration, Utc};
use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    rules::{
        approve, by_hand, leave,
        missing::{absent_since, disabled_since},
    },
    studio::{Studio, dn, person},
};

const RULE: &str = "disabled = \"(employeeType=locked)\"\n";

fn disable(studio: &Studio, uid: &str) {
    studio
        .tree()
        .replace(&dn(uid), "employeeType", &["locked"])
        .unwrap();
}

fn enable(studio: &Studio, uid: &str) {
    studio
        .tree()
        .replace(&dn(uid), "employeeType", &[])
        .unwrap();
}

/// People who have users, with a rule for disabled ones that is not new.
fn synced(uids: &[&str]) -> Situation {
    Situation::of(uids).job(RULE).after_sync()
}

#[test]
fn a_disabled_account_costs_the_user_and_an_enabled_one_brings_it_back() {
    let situation = synced(&["ada", "bob"]).then(|studio| disable(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory
    ");
    let report = situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    let searches = report.directory.unwrap();
    assert_eq!(
        (searches.searches.len(), searches.disabled_searches.len()),
        (1, 1)
    );
    situation.sync_changes_nothing();
    // Other values of a disabled person are written when the account is enabled again.
    let tree = situation.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    situation.sync_changes_nothing();
    enable(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to reactivate

      ^ reactivate ada  uid=ada,ou=people,dc=studio,dc=test
          email: ada@studio.test -> new@studio.test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]
    ");
    situation.sync();
    assert!(situation.user("ada").is_active);
    situation.sync_changes_nothing();
}

#[test]
fn nobody_gets_a_user_whose_account_is_disabled() {
    let situation = Situation::of(&["ada", "bob"])
        .job(RULE)
        .stranger("cyd")
        .entry(person("cyd", "Given", "cyd"))
        .then(|studio| {
            disable(studio, "ada");
            disable(studio, "cyd");
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to create

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          email: bob@studio.test
          is_active: true
          the person is in the directory and has no user

      Warnings:
        users without an owner are active, and the accounts of the people whom they match are disabled in the directory; they are not adopted, and stay active until somebody deactivates them: cyd
    ");
    // They are counted, in what scripts read and in what people read.
    let ended = situation.run(&["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(plan["directory"]["disabled_without_user"], 2);
    let ended = situation.run(&["plan"]);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.contains("  directory  "));
    let shown = line.unwrap_or_default();
    assert!(
        shown.ends_with("3 entries, read completely; 2 people may not sign in, and get no user"),
        "{shown}"
    );
    let report = situation.sync();
    let report = serde_json::to_value(&report).unwrap();
    assert_eq!(report["directory"]["disabled_without_user"], 2);
    assert_snapshot!(situation.users(), @r#"
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "" "" <cyd@studio.test>; no link
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn a_disabled_entry_contests_nobodys_login() {
    let situation = Situation::of(&["ada"])
        .job(RULE)
        .entry(
            person("old", "Given", "ada")
                .with("employeeType", "locked")
                .with("uid", "ada"),
        )
        .after_sync();
    assert_snapshot!(situation.users(), @r#"ada: active, "Given" "ada" <ada@studio.test>; artists, settled"#);
}

#[test]
fn a_rule_that_is_new_or_changed_deactivates_nobody_without_a_person() {
    let mut situation = Situation::synced(&["ada", "bob"]).then(|studio| disable(studio, "ada"));
    situation.sync_changes_nothing();
    RULE.clone_into(&mut situation.job);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory

      1 change is held: the configuration changed (disabled), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    // Whoever is disabled later is judged as ever.
    disable(&situation, "bob");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    "#);
    approve(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    "#);
    // Nobody gets access back by a rule that sees fewer people.
    "disabled = \"never\"\nlimits.reactivate = \"100%\"\n".clone_into(&mut situation.job);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to reactivate, 2 of them held

      ^ reactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      ^ reactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      2 changes are held: the configuration changed (disabled), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
}

#[test]
fn whoever_waits_is_held_when_the_time_is_over_where_a_setting_explains_it() {
    let mut situation = Situation::synced(&["ada", "bob", "cyd"])
        .then(|studio| disable(studio, "ada"))
        .then(|studio| disable(studio, "bob"));
    situation.job = format!("{RULE}users = {{ deactivate_after = \"2d\" }}\n");
    situation.sync();
    situation.filter = "(&(objectClass=inetOrgPerson)(!(uid=cyd)))".into();
    situation.sync();
    let long_ago = Utc::now() - Duration::days(3);
    assert!(absent_since(&situation, long_ago));
    assert!(disabled_since(&situation, long_ago));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 3 to deactivate, 3 of them held

      - deactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory

      - deactivate cyd HELD  uid=cyd,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter

      3 changes are held: the configuration changed (disabled: 2 of them; filter: 1 of them), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
    situation.sync();
    assert!(
        situation
            .users()
            .lines()
            .all(|line| line.contains(": active"))
    );
}

#[test]
fn each_cause_has_its_own_patience() {
    let mut situation = Situation::of(&["ada", "bob", "cyd", "dan"])
        .job(&format!(
            "{RULE}limits.deactivate = 10\nusers = {{ deactivate_after = \"2d\", \
             disabled_after = \"0s\", absent_after = \"1h\" }}\n"
        ))
        .after_sync()
        .then(|studio| {
            disable(studio, "ada");
            leave(studio, "bob");
            // Disabled and moved away.
            disable(studio, "dan");
            leave(studio, "dan");
            studio.tree().remove(&dn("cyd")).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory

      - deactivate dan  uid=dan,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory, and the entry is no longer among the job's people

      Warnings:
        the person of the user "bob" has been missing since [time]; the user stays active until users.deactivate_after is over
        the person of the user "cyd" has been missing since [time]; the user stays active until users.absent_after is over
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    dan: inactive, "Given" "dan" <dan@studio.test>; artists, deactivated
    "#);
    absent_since(&situation, Utc::now() - Duration::hours(2));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate

      - deactivate cyd  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      Warnings:
        the person of the user "bob" has been missing since [time]; the user stays active until users.deactivate_after is over
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: inactive, "Given" "cyd" <cyd@studio.test>; artists, deactivated
    dan: inactive, "Given" "dan" <dan@studio.test>; artists, deactivated
    "#);
    // It waits where the account is disabled, too.
    situation.job = situation.job.replace("\"0s\"", "\"3d\"");
    enable(&situation, "ada");
    situation.sync();
    disable(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do

      Warnings:
        the account of the user "ada" has been disabled in the directory since [time]; the user stays active until users.disabled_after is over
        the person of the user "bob" has been missing since [time]; the user stays active until users.deactivate_after is over
    "#);
}

#[test]
fn whoever_is_reactivated_by_hand_stays_active() {
    let situation = synced(&["ada", "bob"])
        .then(|studio| disable(studio, "ada"))
        .after_sync();
    by_hand(&situation, "ada", &json!({ "is_active": true }));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          somebody reactivated the user, although the person's account is disabled; the program leaves it alone from now on

      Warnings:
        the user "ada" is active, although the person's account is disabled: this program deactivated it, and somebody reactivated it
    "#);
    situation.sync();
    situation.sync_changes_nothing();
    assert!(situation.user("ada").is_active);
}

#[test]
fn an_entry_that_is_of_no_other_use_still_shows_that_the_account_is_disabled() {
    let mut situation = synced(&["ada", "bob"]).then(|studio| {
        disable(studio, "ada");
        // What leavers lose as well.
        studio.tree().replace(&dn("ada"), "mail", &[]).unwrap();
        studio
            .tree()
            .replace(&dn("ada"), "sn", &["\u{200b}"])
            .unwrap();
    });
    situation.attributes =
        "username = \"uid\", email = { from = \"mail\", required = true }".into();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 entry skipped

      - deactivate ada
          is_active: true -> false
          the person's account is disabled in the directory

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          it has no mail, which is required
    ");
}

#[test]
fn a_rule_that_names_what_the_server_does_not_know_fails() {
    let situation = Situation::of(&["ada"]).job("disabled = \"(employeeTyp=locked)\"\n");
    assert_snapshot!(situation.plan_text(), @"error: the directory could not be read completely, and nothing was written: ldap://directory: the directory's schema has no attribute employeeTyp, and no entry shows it (did you mean employeeType?); write the attribute's name as the directory does");
    let situation =
        Situation::of(&["ada"]).job("expires = { from = \"shadowExpires\", form = \"days\" }\n");
    assert_snapshot!(situation.plan_text(), @"error: the directory could not be read completely, and nothing was written: ldap://directory: the directory's schema has no attribute shadowExpires, and no entry shows it; write the attribute's name as the directory does");
}

#[test]
fn an_account_ends_when_its_time_is_over() {
    let rule = "expires = { from = \"departmentNumber\", form = \"seconds\" }\n";
    let at = |studio: &Studio, uid: &str, time: chrono::DateTime<Utc>| {
        let seconds = time.timestamp().to_string();
        studio
            .tree()
            .replace(&dn(uid), "departmentNumber", &[&*seconds])
            .unwrap();
    };
    let clock_ahead = |studio: &Studio, ahead| {
        let ftrack = studio.ftrack();
        ftrack.change_rules(|rules| rules.clock_ahead = ahead);
    };
    let situation = Situation::of(&["ada", "bob"]).job(rule).after_sync();
    at(&situation, "ada", Utc::now() + Duration::minutes(10));
    at(&situation, "bob", Utc::now() + Duration::minutes(90));
    // One clock shows that it has ended, and it cannot be known which one is right.
    clock_ahead(&situation, Duration::hours(1));
    situation.sync_changes_nothing();
    // Both agreed on a later time: that one of them was set back since ends it no less.
    let end = Utc::now() - Duration::minutes(10);
    at(&situation, "ada", end);
    clock_ahead(&situation, Duration::hours(-1));
    let day = end.date_naive().to_string();
    assert_snapshot!(situation.plan_text().replace(&day, "[day]"), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account ended on [day]
    ");
    situation.sync();
    situation.sync_changes_nothing();
    clock_ahead(&situation, Duration::zero());
    // An end that cannot be understood gives access to nobody.
    situation
        .tree()
        .replace(&dn("ada"), "departmentNumber", &["soon"])
        .unwrap();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to reactivate, 1 of them held

      ^ reactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 change is held: it cannot be told whether the person's account is disabled: the value of departmentNumber cannot be understood; if it is not, approve it, or set disabled for the job
    ");
}
