//! Which users are changed: adoption, conflicts, successors, and changes made by hand.

use std::{collections::BTreeSet, fs, process::Command};

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::{Action, HeldBy},
        report::{Outcome, Report},
    },
};
use serde_json::json;

use super::{
    absences, absent_since, account, activity, add_config, approve, by_hand, come_back, leave,
    logins, reasons,
};
use crate::studio::{Studio, dn, person};

#[test]
fn users_that_nobody_linked_are_not_touched() {
    let studio = Studio::of(&["ada"]);
    for stranger in ["freelancer", "Renderfarm", "old"] {
        studio.ftrack().add_user(&account(stranger)).unwrap();
    }
    let before = studio.ftrack().users();
    studio.sync();
    leave(&studio, "ada");
    studio.sync();
    let after: Vec<Account> = studio
        .ftrack()
        .users()
        .into_iter()
        .filter(|user| user.username != "ada")
        .collect();
    assert_eq!(after, before);
}

#[test]
fn a_user_is_adopted_by_its_login_whatever_its_case() {
    let studio = Studio::of(&["ada"]);
    let id = studio.ftrack().add_user(&account("ADA")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.adopted, report.counts.created),
        (1, 0),
        "{report:#?}"
    );
    assert_eq!(
        (studio.user("ada").id, activity(&studio, "ada").as_str()),
        (id, "settled")
    );
    studio.sync_changes_nothing();
}

#[test]
fn a_user_is_adopted_by_its_mail_where_that_is_the_rule() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "users = { adopt = \"email\" }".into();
    let id = studio
        .ftrack()
        .add_user(&Account {
            email: Some("ADA@Studio.test".into()),
            ..account("a.lovelace")
        })
        .unwrap();
    studio
        .ftrack()
        .add_user(&Account {
            email: None,
            ..account("bob")
        })
        .unwrap();
    let report = studio.sync();
    assert_eq!(report.counts.adopted, 1, "{report:#?}");
    assert_eq!(studio.user("ada").id, id);
    assert!(
        reasons(&report).contains("belongs to another ftrack user, which has no owner"),
        "{}",
        reasons(&report)
    );
}

#[test]
fn nobody_is_adopted_where_that_is_the_rule() {
    let mut studio = Studio::of(&["ada"]);
    studio.job = "users = { adopt = \"never\" }".into();
    studio.ftrack().add_user(&account("ada")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.outcome),
        (0, Outcome::Succeeded)
    );
    assert!(
        reasons(&report).contains("users.adopt is \"never\""),
        "{}",
        reasons(&report)
    );
    assert!(studio.user("ada").metadata.is_empty());
}

#[test]
fn who_is_never_adopted_is_named() {
    let mut studio = Studio::of(&["admin", "ldap-sync", "svc-farm", "robot", "visitor"]);
    studio.job = "users = { protect = [\"SVC-*\"] }".into();
    studio.ftrack().add_user(&account("svc-farm")).unwrap();
    for (username, user_type) in [("robot", "service"), ("visitor", "demo")] {
        let user_type = user_type.to_owned();
        studio
            .ftrack()
            .add_user(&Account {
                user_type,
                ..account(username)
            })
            .unwrap();
    }
    let before = studio.ftrack().users();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.skipped.len()),
        (0, 5),
        "{report:#?}"
    );
    let said = reasons(&report);
    for why in [
        "is an administrator",
        "own API user",
        "protected by users.protect",
        "user type is service or demo",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(studio.ftrack().users(), before);
}

#[test]
fn a_pattern_protects_in_every_case_of_every_alphabet() {
    let mut studio = Studio::of(&["bob", "carla"]);
    let protected = ["\u{e5}sa", "\u{3bf}\u{3b4}\u{3cc}\u{3c2}", "strasse"];
    for uid in protected {
        let mut entry = person(uid, "Given", uid);
        entry.attributes.retain(|(name, _)| name != "mail");
        studio.tree().add(entry).unwrap();
    }
    studio.sync();
    studio.job = "limits.deactivate = 9\nusers = { protect = [\"\u{c5}S*\", \
                  \"\u{39f}\u{394}\u{38c}\u{3a3}\", \"STRA\u{1e9e}E\"] }"
        .into();
    for uid in protected.into_iter().chain(["bob"]) {
        studio.tree().remove(&dn(uid)).unwrap();
    }
    let report = studio.sync();
    let held: Vec<_> = report
        .changes
        .iter()
        .filter_map(|change| change.held_by)
        .collect();
    assert_eq!(held, [HeldBy::Protected; 3], "{report:#?}");
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    assert!(!studio.user("bob").is_active);
}

#[test]
fn a_user_that_a_cut_off_run_began_is_adopted_but_neither_as_administrator_nor_activated() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "users = { adopt = \"never\" }\nlimits = { deactivate = 3 }".into();
    studio.sync();
    // As after a run that was cut off between the user and its link.
    for uid in ["ada", "bob", "cyd"] {
        let id = studio.user(uid).id;
        studio
            .ftrack()
            .remove("Metadata", &json!([id, "ftrack-ldap-sync"]))
            .unwrap();
    }
    by_hand(&studio, "bob", &json!({"is_active": false}));
    make_administrator(&studio, "cyd");
    let report = studio.sync();
    assert_eq!(
        logins(&report, Action::Adopt),
        ["ada", "bob"],
        "{report:#?}"
    );
    assert!(
        !studio.user("bob").is_active,
        "nobody knows who deactivated bob"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("\"bob\"") && warning.contains("inactive"))
    );
    assert!(reasons(&report).contains("administrators are never adopted"));
    assert_eq!(studio.sync().changes, []);
}

#[test]
fn entries_that_want_one_username_are_both_left_out_and_both_named() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    let mut twin = person("ADA", "Other", "Ada");
    twin.dn = "cn=twin,ou=people,dc=studio,dc=test".into();
    studio.tree().add(twin).unwrap();
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Changed"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.skipped.len()),
        (0, 2),
        "{report:#?}"
    );
    let said = reasons(&report);
    assert!(
        said.contains("cn=twin")
            && said.contains(&dn("ada"))
            && said.contains("none of them gets it"),
        "{said}"
    );
    assert!(studio.user("ada").is_active, "who is skipped is not gone");
}

#[test]
fn entries_that_want_one_user_are_both_left_out_and_both_named() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "users = { adopt = \"email\" }".into();
    studio
        .tree()
        .replace(&dn("bob"), "mail", &["ada@studio.test"])
        .unwrap();
    studio
        .ftrack()
        .add_user(&Account {
            username: "x".into(),
            ..account("ada")
        })
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.skipped.len()),
        (0, 2),
        "{report:#?}"
    );
    assert!(
        reasons(&report).contains("the ftrack user \"x\" is also claimed by"),
        "{}",
        reasons(&report)
    );
}

#[test]
fn users_that_differ_by_case_alone_are_not_chosen_among() {
    let studio = Studio::of(&["ada"]);
    for twin in ["Ada", "aDa"] {
        studio.ftrack().add_user(&account(twin)).unwrap();
    }
    let report = studio.sync();
    assert_eq!(report.changes, []);
    assert!(
        reasons(&report).contains("2 ftrack users could be adopted for it"),
        "{}",
        reasons(&report)
    );
}

#[test]
fn entries_that_show_one_id_are_nobody() {
    let studio = Studio::of(&[]);
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    for (uid, number) in [("ada", "7"), ("bob", "7"), ("cyd", "8")] {
        studio
            .tree()
            .add(person(uid, "G", uid).with("employeeNumber", number))
            .unwrap();
    }
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Create), ["cyd"], "{report:#?}");
    assert!(
        reasons(&report).contains("the directory id 7 is also claimed by"),
        "{}",
        reasons(&report)
    );
}

#[test]
fn a_successor_never_gets_the_leavers_account() {
    for adopt in ["username", "email"] {
        let mut studio = Studio::of(&["ada", "bob"]);
        studio.job = format!("users = {{ adopt = \"{adopt}\" }}");
        studio.sync();
        let leaver = studio.user("ada");
        studio.tree().remove(&dn("ada")).unwrap();
        studio
            .tree()
            .add(person("ada", "Another", "Person"))
            .unwrap();
        let report = studio.sync();
        assert_eq!(
            (report.counts.deactivated, report.changes.len()),
            (1, 1),
            "{report:#?}"
        );
        assert!(
            reasons(&report).contains("a successor never inherits it"),
            "{}",
            reasons(&report)
        );
        let now = studio.user("ada");
        assert_eq!(
            (&now.id, &now.first_name, now.is_active),
            (&leaver.id, &leaver.first_name, false)
        );
        // With a login of their own, but the leaver's mail.
        studio.tree().rename(&dn("ada"), &dn("ada2")).unwrap();
        let report = studio.sync();
        assert_eq!(logins(&report, Action::Create), ["ada2"], "{report:#?}");
        assert_ne!(studio.user("ada2").id, leaver.id);
        assert!(!studio.user("ada").is_active);
        studio.sync_changes_nothing();
    }
}

#[test]
fn who_was_deactivated_by_hand_stays_so() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    by_hand(&studio, "ada", &json!({"is_active": false}));
    studio.sync_changes_nothing();
    leave(&studio, "ada");
    studio.sync_changes_nothing();
    come_back(&studio, "ada");
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Update), ["ada"]);
    assert!(!studio.user("ada").is_active);
}

#[test]
fn a_leaver_who_comes_back_is_reactivated() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    let before = studio.user("ada");
    leave(&studio, "ada");
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["ada"]);
    assert_eq!(activity(&studio, "ada"), "deactivated");
    fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.sync_changes_nothing();
    come_back(&studio, "ada");
    assert_eq!(logins(&studio.sync(), Action::Reactivate), ["ada"]);
    assert_eq!(studio.user("ada"), before, "as if nothing had been");
    studio.sync_changes_nothing();
}

#[test]
fn whom_somebody_reactivated_is_reported_and_left() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    leave(&studio, "ada");
    studio.sync();
    by_hand(&studio, "ada", &json!({"is_active": true}));
    let report = studio.sync();
    let warned = |report: &Report| {
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("\"ada\"") && warning.contains("somebody"))
    };
    assert!(warned(&report), "{report:#?}");
    assert_eq!(activity(&studio, "ada"), "released");
    assert!(warned(&studio.sync_changes_nothing()));
    come_back(&studio, "ada");
    let report = studio.sync();
    assert_eq!(
        (report.counts.reactivated, report.counts.deactivated),
        (0, 0)
    );
    assert!(studio.user("ada").is_active);
    assert_eq!(activity(&studio, "ada"), "settled");
    studio.sync_changes_nothing();
}

#[test]
fn what_somebody_does_after_reactivating_a_leaver_is_theirs() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    leave(&studio, "ada");
    studio.sync();
    by_hand(&studio, "ada", &json!({"is_active": true}));
    studio.sync();
    by_hand(&studio, "ada", &json!({"is_active": false}));
    studio.sync_changes_nothing();
    come_back(&studio, "ada");
    let report = studio.sync();
    assert_eq!(report.counts.reactivated, 0, "{report:#?}");
    assert!(
        !studio.user("ada").is_active,
        "deactivated by hand, it stays so"
    );
    studio.sync_changes_nothing();
}

#[test]
fn what_may_not_be_done_is_not_done() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    leave(&studio, "cyd");
    studio.sync();
    studio.job =
        "users = { create = false, update = false, deactivate = false, reactivate = false }".into();
    studio.tree().add(person("new", "New", "Face")).unwrap();
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Changed"])
        .unwrap();
    leave(&studio, "bob");
    come_back(&studio, "cyd");
    let before = studio.ftrack().users();
    let report = studio.sync_changes_nothing();
    assert_eq!(studio.ftrack().users(), before);
    assert!(reasons(&report).contains("users.create is false"));
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("users.deactivate is false")),
        "{report:#?}"
    );
    studio.job = "limits.deactivate = 2".into();
    let report = studio.sync();
    let counts = &report.counts;
    assert_eq!(
        (
            counts.created,
            counts.updated,
            counts.deactivated,
            counts.reactivated
        ),
        (1, 1, 1, 1),
        "{report:#?}"
    );
}

#[test]
fn a_protected_user_whose_person_is_gone_is_held_for_a_person() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.job = "users = { protect = [\"a?a\"] }".into();
    leave(&studio, "ada");
    let report = studio.sync();
    assert_eq!(
        (
            report.counts.held,
            report.ftrack.write_calls,
            report.outcome
        ),
        (1, 0, Outcome::Held),
        "{report:#?}"
    );
    let [change] = &report.changes[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(change.held_by, Some(HeldBy::Protected));
    assert!(
        change
            .error
            .as_deref()
            .unwrap()
            .contains("protected by users.protect"),
        "{change:#?}"
    );
    assert!(studio.user("ada").is_active);
    approve(&studio);
    assert!(!studio.user("ada").is_active, "a person approved it");
    studio.sync_changes_nothing();
}

#[test]
fn somebody_must_be_missing_as_long_as_the_rule_says() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.job = "users = { deactivate_after = \"1h\" }".into();
    leave(&studio, "ada");
    studio.sync_changes_nothing();
    studio.sync_changes_nothing();
    come_back(&studio, "ada");
    studio.sync_changes_nothing();
    assert_eq!(
        absences(&studio),
        Vec::<String>::new(),
        "who is back was never away"
    );
    leave(&studio, "ada");
    studio.sync_changes_nothing();
    studio.job = "users = { deactivate_after = \"1s\" }".into();
    backdate_absences(&studio);
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["ada"]);
}

#[test]
fn one_complete_read_is_not_enough_where_patience_is_asked_for() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "users = { deactivate_after = \"1s\" }".into();
    studio.sync();
    leave(&studio, "ada");
    studio.sync_changes_nothing();
    backdate_absences(&studio);
    // A read that failed counts for nothing.
    let url = std::mem::replace(&mut studio.directory_url, "ldap://127.0.0.1:9".into());
    assert_eq!(studio.sync().outcome, Outcome::Failed);
    studio.directory_url = url;
    // Without what was known, one waits anew.
    fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.sync_changes_nothing();
    assert!(studio.user("ada").is_active);
    backdate_absences(&studio);
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["ada"]);
}

/// Lets an hour go by.
fn backdate_absences(studio: &Studio) {
    assert!(
        absent_since(studio, chrono::Utc::now() - chrono::Duration::hours(2)),
        "nobody is missing"
    );
}

#[test]
fn users_of_another_source_and_links_that_nobody_understands_are_left_alone() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    let link = |text: &str| [("ftrack-ldap-sync".to_owned(), text.to_owned())].into();
    let others = r#"{"source":"painters","id":"0","attribute":"entryUUID","activity":"settled"}"#;
    studio
        .ftrack()
        .add_user(&Account {
            metadata: link(others),
            ..account("ada")
        })
        .unwrap();
    studio
        .ftrack()
        .add_user(&Account {
            metadata: link("{\"source\":"),
            ..account("bob")
        })
        .unwrap();
    let before: Vec<Account> = ["ada", "bob"].map(|username| studio.user(username)).into();
    let report = studio.sync();
    assert_eq!(
        (logins(&report, Action::Create), report.skipped.len()),
        (vec!["cyd"], 2),
        "{report:#?}"
    );
    assert!(
        reasons(&report).contains("belongs to the source \"painters\""),
        "{}",
        reasons(&report)
    );
    assert!(
        reasons(&report).contains("link cannot be read"),
        "{}",
        reasons(&report)
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("\"bob\"")),
        "{report:#?}"
    );
    let after: Vec<Account> = ["ada", "bob"].map(|username| studio.user(username)).into();
    assert_eq!(after, before);
}

#[test]
fn lost_state_changes_nothing() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    leave(&studio, "bob");
    studio.sync();
    fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.sync_changes_nothing();
}

#[test]
fn a_job_is_renamed_by_keeping_its_source() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.job = "source = \"artists\"".into();
    let config = fs::read_to_string(studio.config()).unwrap();
    let renamed = studio.folder().join("renamed.toml");
    fs::write(
        &renamed,
        config.replace("[jobs.artists]", "[jobs.painters]"),
    )
    .unwrap();
    leave(&studio, "bob");
    let output = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
        .arg("--config")
        .arg(&renamed)
        .args(["sync", "--format", "json"])
        .output()
        .unwrap();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (
            &*report.job,
            logins(&report, Action::Deactivate),
            report.changes.len()
        ),
        ("painters", vec!["bob"], 1)
    );
}

/// Gives a user the Administrator role.
pub fn make_administrator(studio: &Studio, username: &str) {
    let roles = studio.ftrack().rows("SecurityRole").unwrap();
    let role = roles
        .iter()
        .find(|role| role["name"] == "Administrator")
        .unwrap();
    let user = studio.user(username).id;
    let fields = json!({"id": format!("role-of-{username}"), "user_id": user, "security_role_id": role["id"]});
    studio.ftrack().insert("UserSecurityRole", &fields).unwrap();
    assert_eq!(
        studio.user(username).roles,
        BTreeSet::from(["Administrator".to_owned()])
    );
}
