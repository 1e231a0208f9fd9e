//! Which users that nobody owns become a person's.

use ftrack_ldap_sync::{
    demo::{directory::TreeEntry, ftrack::Account},
    model::{change::HeldBy, report::Outcome},
};
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    rules::{account, approve, by_hand, give_role, leave, make_administrator},
    studio::{dn, person},
};

#[test]
fn users_that_nobody_linked_are_not_touched() {
    let strangers = ["freelancer", "Renderfarm", "old"];
    let situation = strangers
        .into_iter()
        .fold(Situation::of(&["ada", "bob"]), Situation::stranger);
    let before = situation.ftrack().users();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
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
    ");
    let situation = situation.after_sync().then(|studio| leave(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    situation.sync();
    let mut after = situation.ftrack().users();
    after.retain(|user| user.username != "ada" && user.username != "bob");
    assert_eq!(after, before);
}

#[test]
fn a_user_is_adopted_by_its_login_whatever_its_case() {
    let situation = Situation::of(&["ada"]).stranger("ADA");
    let id = situation.user("ADA").id;
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to adopt

      = adopt      ada  uid=ada,ou=people,dc=studio,dc=test
          username: ADA -> ada
          first_name: Given
          last_name: ada
          email: ADA@studio.test -> ada@studio.test
          the user "ADA" has no owner, and matches the person by login (users.adopt)
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"ada: active, "Given" "ada" <ada@studio.test>; artists, settled"#);
    assert_eq!(situation.user("ada").id, id);
    situation.sync_changes_nothing();
}

#[test]
fn a_login_in_another_unicode_form_is_the_same_login() {
    let entry = TreeEntry::new(dn("jos\u{e9}")).with("objectClass", "inetOrgPerson");
    let entry = ["cn", "sn", "uid"]
        .iter()
        .fold(entry, |entry, attribute| entry.with(attribute, "jos\u{e9}"));
    let situation = Situation::of(&[]).entry(entry).stranger("jose\u{301}");
    let id = situation.user("jose\u{301}").id;
    let plan = situation.plan_text().replace('\u{301}', "[acute]");
    assert_snapshot!(plan, @r#"
    Plan for artists: 1 to adopt

      = adopt      josé  uid=josé,ou=people,dc=studio,dc=test
          username: jose[acute] -> josé
          last_name: josé
          the user "jose\u{301}" has no owner, and matches the person by login (users.adopt)

      Warnings:
        nobody has a value for attributes.email ("mail"): check the name, and whether the bind account may read it
        nobody has a value for attributes.first_name ("givenName"): check the name, and whether the bind account may read it
    "#);
    situation.sync();
    assert_eq!(situation.user("jos\u{e9}").id, id);
    situation.sync_changes_nothing();
}

#[test]
fn a_user_is_adopted_by_its_mail_where_that_is_the_rule() {
    let situation = Situation::of(&["ada", "bob"])
        .job("users = { adopt = \"email\" }")
        .account(Account {
            email: Some("ADA@Studio.test".into()),
            ..account("a.lovelace")
        })
        .account(Account {
            email: None,
            ..account("bob")
        });
    let id = situation.user("a.lovelace").id;
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to adopt, 1 entry skipped

      = adopt      ada  uid=ada,ou=people,dc=studio,dc=test
          username: a.lovelace -> ada
          first_name: Given
          last_name: ada
          email: ADA@Studio.test -> ada@studio.test
          the user "a.lovelace" has no owner, and matches the person by mail address (users.adopt)

      1 entry skipped:
        uid=bob,ou=people,dc=studio,dc=test
          the username "bob" belongs to another ftrack user, which has no owner: if it is the person's, `link bob bob` gives it to them; or else rename that user in ftrack
    "#);
    situation.sync();
    assert_eq!(situation.user("ada").id, id);
}

#[test]
fn nobody_is_adopted_where_that_is_the_rule() {
    let situation = Situation::of(&["ada"])
        .job("users = { adopt = \"never\" }")
        .stranger("ada");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, which is not adopted: it is not this job's, and users.adopt is "never"
    "#);
    situation.sync_changes_nothing();
    assert_snapshot!(situation.users(), @r#"ada: active, "" "" <ada@studio.test>; no link"#);
    assert!(situation.user("ada").metadata.is_empty());
}

#[test]
fn who_is_never_adopted_is_named() {
    let of_type = |username: &str, user_type: &str| Account {
        user_type: user_type.to_owned(),
        ..account(username)
    };
    let situation = Situation::of(&["admin", "ldap-sync", "svc-farm", "robot", "visitor"])
        .job("users = { protect = [\"SVC-*\"] }")
        .stranger("svc-farm")
        .account(of_type("robot", "service"))
        .account(of_type("visitor", "demo"));
    let before = situation.ftrack().users();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 5 entries skipped

      5 entries skipped:
        uid=admin,ou=people,dc=studio,dc=test
          the ftrack user "admin" is not adopted: it is an administrator, and administrators are never adopted
        uid=ldap-sync,ou=people,dc=studio,dc=test
          the ftrack user "ldap-sync" is not adopted: it is the program's own API user
        uid=robot,ou=people,dc=studio,dc=test
          the ftrack user "robot" is not adopted: its user type is service or demo
        uid=svc-farm,ou=people,dc=studio,dc=test
          the ftrack user "svc-farm" is not adopted: it is protected by users.protect
        uid=visitor,ou=people,dc=studio,dc=test
          the ftrack user "visitor" is not adopted: its user type is service or demo
    "#);
    situation.sync_changes_nothing();
    assert_eq!(situation.ftrack().users(), before);
}

#[test]
fn nobody_is_adopted_where_no_administrator_is_visible() {
    let situation = Situation::of(&["admin", "ada"])
        .stranger("ada")
        .then(|studio| {
            let hidden = ["UserSecurityRole".to_owned()];
            studio
                .ftrack()
                .change_rules(|rules| rules.unreadable = hidden.into());
        });
    let before = situation.ftrack().users();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 2 entries skipped

      2 entries skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the ftrack user "ada" is not adopted: no active administrator is visible in ftrack, so it may be one; grant the API user's role read access to security roles, or list yours in ftrack.administrator_roles
        uid=admin,ou=people,dc=studio,dc=test
          the ftrack user "admin" is not adopted: no active administrator is visible in ftrack, so it may be one; grant the API user's role read access to security roles, or list yours in ftrack.administrator_roles
    "#);
    situation.sync_changes_nothing();
    assert_eq!(situation.ftrack().users(), before);
}

#[test]
fn a_user_that_a_cut_off_run_began_is_adopted_but_neither_as_administrator_nor_activated() {
    let situation = Situation::of(&["ada", "bob", "cyd"])
        .job("users = { adopt = \"never\" }\nlimits = { deactivate = 3 }")
        .after_sync()
        .then(|studio| {
            // As after a run that was cut off between the user and its link.
            for uid in ["ada", "bob", "cyd"] {
                let link = json!([studio.user(uid).id, "ftrack-ldap-sync"]);
                studio.ftrack().remove("Metadata", &link).unwrap();
            }
            by_hand(studio, "bob", &json!({"is_active": false}));
            make_administrator(studio, "cyd");
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to adopt, 1 entry skipped

      = adopt      ada  uid=ada,ou=people,dc=studio,dc=test
          this program created the user for the person, or began to, and it has no link now

      = adopt      bob  uid=bob,ou=people,dc=studio,dc=test
          this program created the user for the person, or began to, and it has no link now

      1 entry skipped:
        uid=cyd,ou=people,dc=studio,dc=test
          the ftrack user "cyd" is not adopted: it is an administrator, and administrators are never adopted

      Warnings:
        the user "bob", adopted for uid=bob,ou=people,dc=studio,dc=test, is inactive and stays inactive; activate it in ftrack if the person needs access
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; no link
    "#);
    situation.sync_changes_nothing();
}

/// A user with these security roles, whom nobody owns.
fn holder(username: &str, roles: &[&str]) -> Account {
    Account {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..account(username)
    }
}

#[test]
fn whoever_has_more_than_the_default_role_is_adopted_only_with_an_approval() {
    let situation = Situation::of(&["ada", "bob", "cyd"])
        .job("users = { adopt = \"email\", adopt_always = true }")
        .account(holder("ada", &["User"]))
        .account(Account {
            email: Some("bob@studio.test".into()),
            ..holder("head", &["User", "Restricted User", "Project Manager"])
        })
        .account(holder("cyd", &[]));
    let before = situation.user("head");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 3 to adopt, 1 of them held

      = adopt      ada  uid=ada,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: ada
          the user "ada" has no owner, and matches the person by mail address (users.adopt)

      = adopt      bob HELD  uid=bob,ou=people,dc=studio,dc=test
          username: head -> bob
          first_name: Given
          last_name: bob
          the user "head" has no owner, and matches the person by mail address (users.adopt)

      = adopt      cyd  uid=cyd,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: cyd
          the user "cyd" has no owner, and matches the person by mail address (users.adopt)

      1 change is held: the user "head" has security roles beyond those of a new user ("Project Manager", "Restricted User"), which would become the person's; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; a role that every new user gets belongs in ftrack.default_roles
    "#);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Held);
    let held: Vec<_> = report
        .changes
        .iter()
        .filter_map(|change| change.held_by)
        .collect();
    assert_eq!(held, [HeldBy::Adoption]);
    assert_eq!(situation.user("head"), before);
    approve(&situation);
    let after = situation.user("bob");
    assert_eq!((after.id, after.roles), (before.id, before.roles));
    situation.sync_changes_nothing();
}

#[test]
fn those_who_have_the_same_roles_are_one_reason() {
    let uids = ["ada", "bob", "cyd", "dan", "eve"];
    let situation = uids.iter().fold(
        Situation::of(&uids).job("limits.unusable = \"100%\""),
        |situation, uid| situation.account(holder(uid, &["Project Manager"])),
    );
    let said = "5 users (\"ada\", \"bob\", \"cyd\" and 2 more) have security roles beyond those of a \
                new user (\"Project Manager\"), which would become those of the people; ";
    let plan = situation.plan_text();
    assert!(
        plan.contains(&format!("5 changes are held: {said}")),
        "{plan}"
    );
    assert_eq!(plan.matches("security roles beyond").count(), 1, "{plan}");
    situation.sync();
    for arguments in [
        &["runs", "show", "last"][..],
        &["runs", "show", "last", "--format", "markdown"],
    ] {
        let shown = situation.run(arguments).stdout.replace('\\', "");
        assert_eq!(shown.matches(said).count(), 1, "{arguments:?}: {shown}");
        assert_eq!(shown.matches("security roles beyond").count(), 1, "{shown}");
    }
}

#[test]
fn the_default_role_is_the_one_that_the_configuration_names() {
    let situation = Situation::of(&["ada", "bob"])
        .config("[ftrack]\ndefault_roles = [\"restricted user\"]\n")
        .account(holder("ada", &["User"]))
        .account(holder("bob", &["Restricted User"]));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to adopt, 1 of them held

      = adopt      ada HELD  uid=ada,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: ada
          the user "ada" has no owner, and matches the person by login (users.adopt)

      = adopt      bob  uid=bob,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: bob
          the user "bob" has no owner, and matches the person by login (users.adopt)

      1 change is held: the user "ada" has security roles beyond those of a new user ("User"), which would become the person's; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; a role that every new user gets belongs in ftrack.default_roles
    "#);
}

#[test]
fn where_the_default_role_is_not_known_any_role_is_more() {
    let situation = Situation::of(&["ada", "bob"])
        .config("[ftrack]\ndefault_roles = [\"Artist\"]\n")
        .account(holder("ada", &["User"]))
        .account(holder("bob", &[]));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to adopt, 1 of them held

      = adopt      ada HELD  uid=ada,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: ada
          the user "ada" has no owner, and matches the person by login (users.adopt)

      = adopt      bob  uid=bob,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: bob
          the user "bob" has no owner, and matches the person by login (users.adopt)

      1 change is held: the user "ada" has security roles beyond those of a new user ("User"), which would become the person's; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; a role that every new user gets belongs in ftrack.default_roles
    "#);
}

#[test]
fn an_approval_covers_only_the_roles_that_it_showed() {
    let situation = Situation::synced(&["ada", "bob"])
        .entry(person("cyd", "Given", "cyd"))
        .account(holder("cyd", &["User"]));
    let plan = situation.folder().join("late.json");
    let plan = plan.to_str().unwrap();
    situation.plan(&["--out", plan]).unwrap();
    give_role(&situation, "cyd", "Project Manager");
    let report = situation.synced(&["apply", plan, "--format", "json"]);
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0)
    );
    assert_snapshot!(report.error.unwrap(), @r#"the plan is stale, and nothing was written: adopt "cyd" is held now: the user "cyd" has security roles beyond those of a new user ("Project Manager"), which would become the person's; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; a role that every new user gets belongs in ftrack.default_roles. Make a new plan, review it, and apply that"#);
    approve(&situation);
    situation.sync_changes_nothing();
}

#[test]
fn a_user_that_a_cut_off_run_began_is_held_when_somebody_gave_it_a_role() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        for uid in ["ada", "bob"] {
            let link = json!([studio.user(uid).id, "ftrack-ldap-sync"]);
            studio.ftrack().remove("Metadata", &link).unwrap();
        }
        give_role(studio, "ada", "User");
        give_role(studio, "bob", "Project Manager");
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to adopt, 1 of them held

      = adopt      ada  uid=ada,ou=people,dc=studio,dc=test
          this program created the user for the person, or began to, and it has no link now

      = adopt      bob HELD  uid=bob,ou=people,dc=studio,dc=test
          this program created the user for the person, or began to, and it has no link now

      1 change is held: the user "bob" has security roles beyond those of a new user ("Project Manager"), which would become the person's; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; a role that every new user gets belongs in ftrack.default_roles

      Warnings:
        0 users in ftrack have a link of this job, which owned 2 users after the run before, and limits.deactivate allows 1 fewer, so nothing was written: does the key's role still have read access to users and metadata? If users or links were deleted on purpose, review `plan --out FILE` and approve it with `apply FILE`
    "#);
}

#[test]
fn logins_that_change_by_adoption_say_so_where_the_limit_holds_them() {
    let situation = Situation::of(&["ada", "bob"]).job("users = { adopt = \"email\" }");
    let situation = ["ada", "bob"].iter().fold(situation, |situation, uid| {
        situation.account(Account {
            email: Some(format!("{uid}@studio.test")),
            ..account(&format!("{uid}.old"))
        })
    });
    let plan = situation.plan_text();
    let held = plan.lines().find(|line| line.contains("limits.rename"));
    assert_snapshot!(held.unwrap_or_default(), @"  2 changes are held: 2 changed logins are more than limits.rename allows (1, the least for 10% of 0 active users); review them, and approve: `plan --out FILE`, then `apply FILE`; 2 of them by adoption, which gives a user the login of its person: where the plan shows the right people, one approval is all it takes");
}
