//! What an undo or a restore never touches, whoever orders it.

use std::{fs, time::Duration};

use ftrack_ldap_sync::{
    demo::ftrack::{Account, CallKind},
    model::{
        change::{Action, HeldBy},
        report::{ChangeResult, FailureKind, Outcome, Report},
    },
};
use serde_json::json;

use super::{
    NO_LIMIT, ROLE, eventful, left, managers, put_back, set_members,
    since::{done, link, signed, synced},
    undo, with_role,
};
use crate::{
    rules::{account, approve, by_hand, give_role, leave, logins, make_administrator},
    studio::{Ended, Studio, dn, person},
};

/// What holds each change of a report.
fn held(report: &Report) -> Vec<(&str, Option<HeldBy>)> {
    let changes = report.changes.iter();
    let mut held: Vec<_> = changes
        .map(|change| (&*change.username, change.held_by))
        .collect();
    held.sort_by_key(|(login, _)| *login);
    held
}

#[test]
fn the_last_administrator_stays_and_so_does_any_other() {
    let studio = synced(&["ada", "bob"]);
    for uid in ["gus", "hal"] {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    let run = studio.sync();
    for uid in ["gus", "hal"] {
        make_administrator(&studio, uid);
    }
    // The administrator who is always there.
    let others = studio.ftrack().users().into_iter();
    let others = others.filter(|user| user.roles.contains("Administrator"));
    let others: Vec<_> = others
        .map(|user| user.username)
        .filter(|login| !["gus", "hal", "ldap-sync"].contains(&&**login))
        .collect();
    for login in &others {
        by_hand(&studio, login, &json!({"is_active": false}));
    }
    let report = undo(&studio, &run);
    let last = Some(HeldBy::Administrator);
    assert_eq!(held(&report), [("gus", last), ("hal", last)]);
    for login in &others {
        by_hand(&studio, login, &json!({"is_active": true}));
    }
    let report = undo(&studio, &run);
    let protected = Some(HeldBy::Protected);
    assert_eq!(held(&report), [("gus", protected), ("hal", protected)]);
    assert_eq!(report.ftrack.write_calls, 0);
    assert!(studio.user("gus").is_active && studio.user("hal").is_active);
}

#[test]
fn activity_login_mail_and_roles_of_a_protected_user_stay() {
    let mut studio = with_role(&["ada", "bob", "cyd"], &["bob"]);
    studio.job = format!("{}\n", studio.job)
        .replace("revoke = 10", "revoke = 10, deactivate = 10, rename = 10");
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "sn", &["New"]).unwrap();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    set_members(&studio, &["ada", "bob"]);
    let run = studio.sync();
    leave(&studio, "ada");
    let gone = studio.sync();
    assert_eq!(logins(&gone, Action::Deactivate), ["ada"]);
    studio.job = format!("{}\nusers.protect = [\"ada\"]", studio.job);
    let report = undo(&studio, &gone);
    assert_eq!(held(&report), [("ada", Some(HeldBy::Protected))]);
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Held);
    let user = studio.user("ada");
    assert_eq!(
        (
            user.is_active,
            user.email.as_deref(),
            user.last_name.as_deref()
        ),
        (false, Some("new@studio.test"), Some("ada"))
    );
    assert_eq!(managers(&studio), ["ada", "bob"]);
}

#[test]
fn a_user_whose_link_somebody_forged_is_left_as_it_is() {
    let studio = signed(&["ada", "bob"]);
    for uid in ["ada", "bob"] {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    let run = studio.sync();
    let mut forged = link(&studio, "ada");
    forged["signature"] = json!("00".repeat(32));
    let key = json!([studio.user("ada").id, "ftrack-ldap-sync"]);
    let value = json!({"value": forged.to_string()});
    studio.ftrack().change("Metadata", &key, &value).unwrap();
    for command in ["undo", "restore"] {
        let report = put_back(&studio, &[command, &run.run]);
        let ada = report
            .changes
            .iter()
            .find(|change| change.username == "ada");
        assert_eq!(ada.unwrap().held_by, Some(HeldBy::Doubt), "{report:#?}");
        assert_eq!(studio.user("ada").last_name.unwrap(), "New");
    }
    assert_eq!(studio.user("bob").last_name.unwrap(), "bob");
}

#[test]
fn where_no_administrator_is_visible_nobody_is_called_otherwise_or_loses_access() {
    let studio = eventful();
    let run = studio.sync();
    let hidden = ["UserSecurityRole".to_owned()];
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = hidden.into());
    let before = super::seen(&studio);
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    let now = super::seen(&studio);
    for (id, user) in before {
        let now = &now[&id];
        assert_eq!(
            (&now.username, &now.email, now.is_active),
            (&user.username, &user.email, user.is_active)
        );
    }
    assert_eq!(
        studio.user("ada").last_name.unwrap(),
        "ada",
        "but names are"
    );
}

#[test]
fn who_was_unlinked_is_left_alone_and_named() {
    let studio = synced(&["ada", "bob"]);
    for uid in ["ada", "bob"] {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    let run = studio.sync();
    done(&studio, &["unlink", "ada"]);
    let before = studio.user("ada");
    for command in ["undo", "restore"] {
        let report = put_back(&studio, &[command, &run.run]);
        let [(who, why)] = left(&report)[..] else {
            panic!("{report:#?}");
        };
        assert!(who == "ada" && why.contains("unlinked"), "{why}");
        assert_eq!(studio.user("ada"), before);
    }
}

#[test]
fn a_snapshot_gives_nothing_to_another_person() {
    let studio = synced(&["ada", "bob"]);
    studio.tree().replace(&dn("bob"), "sn", &["New"]).unwrap();
    let run = studio.sync();
    let id = studio.user("ada").id;
    done(&studio, &["unlink", "ada"]);
    studio.tree().remove(&dn("ada")).unwrap();
    studio.tree().add(person("bea", "Bea", "bea")).unwrap();
    done(&studio, &["link", "bea", &id]);
    let before = studio.user("bea");
    let report = put_back(&studio, &["restore", &run.run]);
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(who == "bea" && why.contains("another person's"), "{why}");
    assert_eq!(studio.user("bea"), before);
}

#[test]
fn a_role_that_somebody_else_gave_since_stays() {
    let studio = with_role(&["ada", "bob"], &["bob"]);
    studio.sync();
    set_members(&studio, &["ada", "bob"]);
    let run = studio.sync();
    // Somebody takes it, the program forgets that it gave it, and somebody gives it again.
    let ftrack = studio.ftrack();
    let id = studio.user("ada").id;
    for row in ftrack.rows("UserSecurityRole").unwrap() {
        if row["user_id"] == json!(id) {
            let role = &row["security_role_id"];
            let roles = ftrack.rows("SecurityRole").unwrap();
            if roles
                .iter()
                .any(|known| known["id"] == *role && known["name"] == ROLE)
            {
                ftrack
                    .remove("UserSecurityRole", &json!([row["id"]]))
                    .unwrap();
            }
        }
    }
    set_members(&studio, &["bob"]);
    assert_eq!(managers(&studio), ["bob"]);
    studio.sync();
    give_role(&studio, "ada", ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    ftrack
        .change("UserSecurityRole", &json!(["role-of-ada"]), &row)
        .unwrap();
    let report = undo(&studio, &run);
    assert_eq!(managers(&studio), ["ada", "bob"], "{report:#?}");
    assert_eq!(left(&report).len(), 1);
}

#[test]
fn lost_state_does_nothing_again() {
    let studio = eventful();
    let before = super::seen(&studio);
    let run = studio.sync();
    undo(&studio, &run);
    // The links say it at once.
    fs::remove_file(studio.state_dir().join("state.db")).unwrap();
    let report = studio.sync();
    let mut changes = report.changes.iter();
    assert!(
        changes.all(|change| change.result == ChangeResult::Rejected),
        "{report:#?}"
    );
    let mut now = super::seen(&studio);
    now.remove(&studio.user("gus").id);
    assert_eq!(now, before);
}

#[test]
fn without_a_snapshot_of_its_own_nothing_is_put_back() {
    let studio = eventful();
    let run = studio.sync();
    let folder = studio.state_dir().join("snapshots");
    fs::rename(&folder, studio.state_dir().join("away")).unwrap();
    fs::write(&folder, "").unwrap();
    let users = studio.ftrack().users();
    let report = put_back(&studio, &["undo", &run.run]);
    assert_eq!(
        (report.outcome, report.error_kind, report.ftrack.write_calls),
        (Outcome::Failed, Some(FailureKind::State), 0)
    );
    assert_eq!(studio.ftrack().users(), users);
}

#[test]
fn a_snapshot_of_another_server_is_refused() {
    let mut studio = eventful();
    let run = studio.sync();
    let url = studio.ftrack_url();
    studio.ftrack_at = Some(url.replace("127.0.0.1", "localhost"));
    let ended = studio.run(&["restore", &run.run]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("is of the ftrack server"),
        "{}",
        ended.stderr
    );
}

/// After a run of ftrack's own synchronisation.
#[test]
fn administrators_and_the_programs_own_user_stay_as_that_synchronisation_left_them() {
    let studio = Studio::of(&[]);
    for login in ["ada", "boss"] {
        studio.ftrack().add_user(&account(login)).unwrap();
    }
    make_administrator(&studio, "boss");
    let changed = |login: &str| Account {
        email: Some(format!("changed-{login}@studio.test")),
        ..studio.user(login)
    };
    let users = ["ada", "boss", "ldap-sync"].map(changed);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_users = users.to_vec());
    crate::rules::add_config(&studio, "[jobs.nightly]\nkind = \"ftrack-ldap\"\n");
    let run = studio
        .run(&["sync", "nightly", "--format", "json"])
        .report();
    assert!(run.changes.len() >= 3, "{run:#?}");
    let report = put_back(&studio, &["restore", &run.run]);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    let mail = |login: &str| studio.user(login).email.unwrap_or_default();
    assert_eq!(mail("ada"), "ada@studio.test");
    assert_eq!(mail("boss"), "changed-boss@studio.test");
    assert_eq!(mail("ldap-sync"), "changed-ldap-sync@studio.test");
    let boss = report
        .changes
        .iter()
        .find(|change| change.username == "boss");
    assert_eq!(
        boss.map(|change| (change.result, change.held_by)),
        Some((ChangeResult::Held, Some(HeldBy::Protected)))
    );
    let named = left(&report);
    assert!(
        named
            .iter()
            .any(|(who, why)| *who == "ldap-sync" && why.contains("own user")),
        "{named:#?}"
    );
}

#[test]
fn what_a_forged_link_says_was_rejected_is_not_believed() {
    let mut studio = signed(&["ada", "bob", "cyd"]);
    leave(&studio, "ada");
    let run = studio.sync();
    undo(&studio, &run);
    let rejected = link(&studio, "ada")["rejected"].clone();
    assert!(rejected.is_array(), "{rejected}");
    let mut forged = link(&studio, "bob");
    forged["rejected"] = rejected;
    let key = json!([studio.user("bob").id, "ftrack-ldap-sync"]);
    let value = json!({"value": forged.to_string()});
    studio.ftrack().change("Metadata", &key, &value).unwrap();
    leave(&studio, "bob");
    studio.job = NO_LIMIT.into();
    let report = studio.sync();
    let result = |login: &str| {
        let mut changes = report.changes.iter();
        let change = changes.find(|change| change.username == login).unwrap();
        (change.result, change.held_by)
    };
    assert_eq!(result("ada"), (ChangeResult::Rejected, None));
    assert_eq!(result("bob"), (ChangeResult::Held, Some(HeldBy::Doubt)));
    // And it is not signed by the way.
    assert_eq!(link(&studio, "bob"), forged);
}

#[test]
fn a_role_that_makes_an_administrator_is_not_given_back() {
    let mut studio = with_role(&["ada", "bob", "cyd"], &["ada", "bob"]);
    studio.job = studio.job.replace(ROLE, "Administrator");
    studio.sync();
    approve(&studio);
    let is_one = |login: &str| studio.user(login).roles.contains("Administrator");
    assert!(is_one("ada") && is_one("bob"));
    set_members(&studio, &["bob"]);
    studio.sync();
    let run = approve(&studio);
    assert!(!is_one("ada"));
    let report = undo(&studio, &run);
    assert_eq!(held(&report), [("ada", Some(HeldBy::Protected))]);
    assert!(!is_one("ada"));
}

#[test]
fn who_became_an_administrator_while_it_reads_stays_active() {
    let studio = eventful();
    let run = studio.sync();
    // Nobody loses access by this one, so that the administrators are not looked at once more.
    let calm = ["undo", &run.run, "--only", "ada", "--dry-run"];
    let read = put_back(&studio, &calm).ftrack.read_calls;
    studio.ftrack().forget();
    let gate =
        studio.hold_when(move |call| call.kind == CallKind::Read && call.number_of_kind > read);
    let program = studio.start(&["undo", &run.run, "--only", "gus", "--format", "json"]);
    assert!(gate.wait_for(1, Duration::from_secs(30)));
    make_administrator(&studio, "gus");
    gate.open();
    let report = Ended::of(program.wait_with_output().unwrap()).report();
    assert_eq!(held(&report), [("gus", Some(HeldBy::Protected))]);
    assert!(studio.user("gus").is_active);
}
