//! Whose a user is by now, and what later runs did, when an earlier run is undone or a snapshot is
//! restored: nobody gets what is another person's, or what a later run ended.

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::{Action, HeldBy},
        report::{ChangeResult, Outcome},
    },
};
use serde_json::{Value, json};

use super::{
    ROLE, left, links_settle, managers, nothing_is_done_again, put_back, set_members, undo,
    with_role,
};
use crate::{
    rules::{account, activity, by_hand, come_back, decide, leave, logins},
    studio::{Studio, dn, person},
};

const NO_LIMIT: &str = "limits = { deactivate = \"100%\", rename = \"100%\", reactivate = \"100%\", revoke = \"100%\", create = \"100%\" }";

/// A synced studio without limits.
pub(super) fn synced(uids: &[&str]) -> Studio {
    let mut studio = Studio::of(uids);
    studio.job = NO_LIMIT.into();
    studio.sync();
    studio
}

/// The link of a user as it is stored; null where there is none.
pub(super) fn link(studio: &Studio, login: &str) -> Value {
    let user = studio.user(login);
    let link = user.metadata.get("ftrack-ldap-sync");
    link.map_or(Value::Null, |link| serde_json::from_str(link).unwrap())
}

/// A command that is done.
pub(super) fn done(studio: &Studio, arguments: &[&str]) {
    let ended = studio.run(arguments);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn who_was_deactivated_again_by_a_later_run_stays_so() {
    let studio = synced(&["ada", "bob", "cyd", "dan"]);
    for uid in ["cyd", "dan"] {
        leave(&studio, uid);
    }
    let mass = studio.sync();
    assert_eq!(logins(&mass, Action::Deactivate), ["cyd", "dan"]);
    come_back(&studio, "cyd");
    studio.sync();
    // Dismissed.
    leave(&studio, "cyd");
    let dismissal = studio.sync();
    assert_eq!(logins(&dismissal, Action::Deactivate), ["cyd"]);
    let report = undo(&studio, &mass);
    assert_eq!(logins(&report, Action::Reactivate), ["dan"]);
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(who == "cyd" && why.contains(&dismissal.run), "{who}: {why}");
    assert!(!studio.user("cyd").is_active && studio.user("dan").is_active);
    nothing_is_done_again(&studio);
    // The later run can be put back; then the earlier one as well, which has nothing left to do.
    undo(&studio, &dismissal);
    assert!(studio.user("cyd").is_active);
    let report = undo(&studio, &mass);
    assert_eq!((report.changes.len(), left(&report)), (0, vec![]));
}

#[test]
fn a_value_that_a_later_run_wrote_again_is_that_runs() {
    let studio = synced(&["ada"]);
    let mail = |mail: &str| {
        studio.tree().replace(&dn("ada"), "mail", &[mail]).unwrap();
        studio.sync()
    };
    let first = mail("new@studio.test");
    mail("ada@studio.test");
    let third = mail("new@studio.test");
    let report = undo(&studio, &first);
    assert_eq!((report.changes.len(), left(&report).len()), (0, 1));
    assert_eq!(studio.user("ada").email.unwrap(), "new@studio.test");
    // One after the other, the last one first, each can be put back.
    let undone = undo(&studio, &third);
    assert_eq!(studio.user("ada").email.unwrap(), "ada@studio.test");
    undo(&studio, &undone);
    assert_eq!(studio.user("ada").email.unwrap(), "new@studio.test");
    let report = undo(&studio, &first);
    assert_eq!((report.changes.len(), left(&report).len()), (0, 1));
    links_settle(&studio);
}

#[test]
fn runs_are_put_back_one_after_the_other_the_last_one_first() {
    let studio = synced(&["ada"]);
    let mail = |mail: &str| {
        studio.tree().replace(&dn("ada"), "mail", &[mail]).unwrap();
        studio.sync()
    };
    let (first, second) = (mail("b@studio.test"), mail("c@studio.test"));
    undo(&studio, &second);
    assert_eq!(studio.user("ada").email.unwrap(), "b@studio.test");
    let report = undo(&studio, &first);
    assert_eq!(left(&report), []);
    assert_eq!(studio.user("ada").email.unwrap(), "ada@studio.test");
    nothing_is_done_again(&studio);
}

#[test]
fn a_user_that_is_another_persons_by_now_keeps_what_that_person_has() {
    let studio = with_role(&["ada", "bob", "cyd"], &["cyd"]);
    studio.sync();
    set_members(&studio, &["ada", "cyd"]);
    let run = studio.sync();
    assert_eq!(managers(&studio), ["ada", "cyd"]);
    let id = studio.user("ada").id;
    done(&studio, &["unlink", "ada"]);
    studio.tree().remove(&dn("ada")).unwrap();
    studio.tree().add(person("bea", "Bea", "bea")).unwrap();
    set_members(&studio, &["bea", "cyd"]);
    done(&studio, &["link", "bea", &id]);
    assert_eq!(managers(&studio), ["bea", "cyd"]);
    let report = undo(&studio, &run);
    assert_eq!(managers(&studio), ["bea", "cyd"], "{report:#?}");
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(who == "bea" && why.contains("another person's"), "{why}");
    assert_eq!(report.ftrack.write_calls, 0);
}

#[test]
fn a_returner_that_was_approved_by_mistake_is_put_back_to_the_former_person() {
    let studio = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    studio.sync();
    let before = link(&studio, "ada");
    studio.tree().add(person("ada", "Another", "Ada")).unwrap();
    let held = studio.sync();
    assert_eq!(held.outcome, Outcome::Held);
    decide(&studio, &held, "approve");
    assert!(studio.user("ada").is_active);
    assert_ne!(link(&studio, "ada")["id"], before["id"]);
    let report = put_back(&studio, &["undo", "last"]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let now = link(&studio, "ada");
    assert_eq!(
        (&now["id"], &now["activity"]),
        (&before["id"], &json!("deactivated"))
    );
    assert!(!studio.user("ada").is_active);
    // The new one is not given the account again; the former one gets it back.
    let report = studio.sync();
    assert!(!studio.user("ada").is_active, "{report:#?}");
    studio.tree().remove(&dn("ada")).unwrap();
    studio.sync();
    come_back(&studio, "ada");
    studio.sync();
    assert!(studio.user("ada").is_active);
    assert_eq!(link(&studio, "ada")["id"], before["id"]);
}

#[test]
fn nobody_gets_a_second_user_by_a_link_that_is_put_back() {
    let studio = synced(&["ada", "bob"]);
    let countess = Account {
        is_active: true,
        ..account("countess")
    };
    studio.ftrack().add_user(&countess).unwrap();
    let countess = studio.user("countess").id;
    let owned = studio.user("ada").id;
    studio.sync();
    done(&studio, &["release", "artists", "--yes"]);
    let released = studio.run(&["runs", "show", "last", "--format", "json"]);
    let released: Value = serde_json::from_str(&released.stdout).unwrap();
    let released = released["run"].as_str().unwrap();
    by_hand(&studio, "ada", &json!({"username": "former"}));
    done(&studio, &["link", "ada", &countess]);
    let report = put_back(&studio, &["undo", released]);
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(who == "former" && why.contains("\"ada\""), "{who}: {why}");
    assert_eq!(logins(&report, Action::Adopt), ["bob"]);
    let users = studio.ftrack().users().into_iter();
    let former = users.clone().find(|user| user.id == owned).unwrap();
    assert!(!former.metadata.contains_key("ftrack-ldap-sync"));
}

#[test]
fn an_adoption_stays_the_jobs_while_what_it_gave_cannot_be_taken() {
    let studio = with_role(&["ada", "bob"], &["ada"]);
    studio.ftrack().add_user(&account("ada")).unwrap();
    let before = studio.user("ada");
    by_hand(&studio, "ada", &json!({"is_active": true}));
    let run = studio.sync();
    assert_eq!(
        (run.counts.adopted, managers(&studio)),
        (1, vec!["ada".to_owned()])
    );
    done(&studio, &["pause", "artists", "--only", "revoke"]);
    let report = put_back(&studio, &["undo", &run.run, "--only", "ada"]);
    assert_eq!(managers(&studio), ["ada"]);
    let held: Vec<_> = report.changes.iter().map(|change| change.held_by).collect();
    assert!(held.contains(&Some(HeldBy::Paused)), "{report:#?}");
    let mut why = report
        .changes
        .iter()
        .filter_map(|change| change.error.as_deref());
    assert!(
        why.any(|why| why.contains("no later run does this: resume it, and repeat the command"))
    );
    assert_ne!(
        link(&studio, "ada"),
        Value::Null,
        "without it nobody would know who gave the role"
    );
    done(&studio, &["resume", "artists", "--only", "revoke"]);
    let report = put_back(&studio, &["undo", &run.run, "--only", "ada"]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(managers(&studio), [] as [&str; 0]);
    assert_eq!(studio.user("ada").metadata, before.metadata);
}

#[test]
fn what_later_runs_gave_is_named_where_the_link_is_taken_away() {
    let studio = with_role(&["ada", "bob"], &["bob"]);
    studio.ftrack().add_user(&account("ada")).unwrap();
    by_hand(&studio, "ada", &json!({"is_active": true}));
    let run = studio.sync();
    assert_eq!(run.counts.adopted, 1);
    set_members(&studio, &["ada", "bob"]);
    studio.sync();
    assert_eq!(managers(&studio), ["ada", "bob"]);
    let report = put_back(&studio, &["undo", &run.run, "--only", "ada"]);
    assert_eq!(link(&studio, "ada"), Value::Null);
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(who == "ada" && why.contains(ROLE), "{who}: {why}");
}

#[test]
fn somebody_made_again_at_once_is_proposed_their_user_although_its_reactivation_was_put_back() {
    let mut studio = synced(&["ada", "bob", "cyd"]);
    studio.attributes = "username = \"uid\", email = \"mail\"".into();
    studio.sync();
    leave(&studio, "cyd");
    studio.sync();
    come_back(&studio, "cyd");
    let back = studio.sync();
    assert_eq!(logins(&back, Action::Reactivate), ["cyd"]);
    undo(&studio, &back);
    assert!(!studio.user("cyd").is_active);
    // Between two runs, the entry is deleted and made again under another login.
    studio.tree().remove(&dn("cyd")).unwrap();
    studio.tree().add(person("cyd2", "Given", "cyd")).unwrap();
    studio
        .tree()
        .replace(&dn("cyd2"), "mail", &["cyd@studio.test"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(report.counts.created, 0, "{report:#?}");
    let held: Vec<_> = report.changes.iter().map(|change| change.held_by).collect();
    assert!(held.contains(&Some(HeldBy::Returner)), "{report:#?}");
}

#[test]
fn a_user_whose_link_is_gone_is_protected_as_it_was() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = NO_LIMIT.into();
    studio.sync();
    studio.job = format!("users.protect = [\"ada\"]\n{NO_LIMIT}");
    studio.sync();
    studio.tree().replace(&dn("bob"), "sn", &["New"]).unwrap();
    studio.sync();
    let run = studio.run(&["snapshots", "--format", "json"]);
    let snapshots: Value = serde_json::from_str(&run.stdout).unwrap();
    let newest = snapshots[0]["snapshot"].as_str().unwrap();
    // Protection belongs to the user, not to the name that it has today.
    by_hand(
        &studio,
        "ada",
        &json!({"username": "lovelace", "email": "l@studio.test"}),
    );
    let row = json!([studio.user("lovelace").id, "ftrack-ldap-sync"]);
    studio.ftrack().remove("Metadata", &row).unwrap();
    let report = put_back(&studio, &["restore", newest, "--only", "lovelace"]);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    let user = studio.user("lovelace");
    assert_eq!(user.email.as_deref(), Some("l@studio.test"));
}

#[test]
fn a_rejected_change_of_somebody_whose_entry_cannot_be_used_once_stays_rejected() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.job = NO_LIMIT.into();
    studio.attributes =
        "username = \"employeeNumber\", email = \"mail\", last_name = \"sn\"".into();
    let login = |uid: &str, login: &[&str]| {
        let tree = studio.tree();
        tree.replace(&dn(uid), "employeeNumber", login).unwrap();
    };
    for uid in ["ada", "bob", "cyd", "dan"] {
        login(uid, &[uid]);
    }
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "sn", &["New"]).unwrap();
    tree.add(person("eve", "Given", "eve")).unwrap();
    login("eve", &["eve"]);
    let run = studio.sync();
    undo(&studio, &run);
    nothing_is_done_again(&studio);
    // For one run, both entries have no login, which every user must have.
    login("ada", &[]);
    login("eve", &[]);
    let report = studio.sync();
    assert_eq!(report.counts.skipped, 2, "{report:#?}");
    login("ada", &["ada"]);
    login("eve", &["eve"]);
    let report = nothing_is_done_again(&studio);
    assert_eq!(report.counts.rejected, 2, "{report:#?}");
    assert_eq!(studio.user("ada").last_name.unwrap(), "ada");
    assert!(!studio.user("eve").is_active);
}

#[test]
fn a_rejected_deactivation_stays_so_while_it_has_to_wait_for_something_else() {
    let mut studio = synced(&["ada", "bob"]);
    leave(&studio, "ada");
    let run = studio.sync();
    undo(&studio, &run);
    for patience in ["deactivate_after = \"30d\"", "deactivate = false"] {
        studio.job = format!("{NO_LIMIT}\nusers.{patience}");
        studio.sync();
        studio.sync();
    }
    studio.job = NO_LIMIT.into();
    studio.sync();
    let report = studio.sync();
    let became: Vec<_> = report.changes.iter().map(|change| change.result).collect();
    assert_eq!(became, [ChangeResult::Rejected], "{report:#?}");
    assert!(studio.user("ada").is_active);
    assert_eq!(activity(&studio, "ada"), "settled");
}

/// A studio whose links are signed.
pub(super) fn signed(uids: &[&str]) -> Studio {
    let mut studio = Studio::of(uids);
    studio.ftrack_settings = "link_key = \"a-key-that-signs-the-links-0123\"".into();
    studio.job = NO_LIMIT.into();
    studio.sync();
    studio
}

#[test]
fn links_that_are_put_back_are_signed_at_once() {
    let studio = signed(&["ada", "bob"]);
    let before = link(&studio, "ada");
    done(&studio, &["release", "artists", "--yes"]);
    let report = put_back(&studio, &["undo", "last"]);
    assert_eq!(
        (
            report.outcome,
            report.counts.adopted,
            report.ftrack.write_calls
        ),
        (Outcome::Succeeded, 2, 1),
        "{report:#?}"
    );
    let now = link(&studio, "ada");
    assert_eq!(now["id"], before["id"]);
    studio.sync_changes_nothing();

    studio.tree().replace(&dn("bob"), "sn", &["New"]).unwrap();
    let run = studio.sync();
    let row = json!([studio.user("ada").id, "ftrack-ldap-sync"]);
    studio.ftrack().remove("Metadata", &row).unwrap();
    let report = put_back(&studio, &["restore", &run.run, "--only", "ada"]);
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
}
