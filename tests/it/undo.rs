//! `undo`: what a run wrote is put back, and nothing else.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Account, CallKind, Fault, Stores},
    },
    model::{
        change::{Action, HeldBy},
        edit::Field,
        report::{ChangeResult, Outcome, Report, Trigger},
    },
};
use serde_json::{Value, json};

use crate::{
    rules::{
        account, activity, approve, by_hand, come_back, give_role, leave, logins,
        make_administrator,
    },
    studio::{Studio, dn, person},
};

mod grants;
mod guarded;
mod interrupted;
mod last;
mod properties;
mod refused;
mod released;
mod since;
mod told;
mod twice;

/// What a person sees of the users, by id; the links are the program's own business.
pub fn seen(studio: &Studio) -> BTreeMap<String, Account> {
    let users = studio.ftrack().users().into_iter();
    users
        .map(|user| {
            let seen = Account {
                metadata: BTreeMap::new(),
                ..user.clone()
            };
            (user.id, seen)
        })
        .collect()
}

/// A command that puts something back, by the program, with its report.
pub fn put_back(studio: &Studio, arguments: &[&str]) -> Report {
    // In a small studio, few are most.
    let yes: &[&str] = if arguments.contains(&"--dry-run") {
        &[]
    } else {
        &["--yes"]
    };
    let ended = studio.run(&[arguments, yes, &["--format", "json"]].concat());
    let report = ended.report();
    let status = match report.outcome {
        Outcome::Succeeded => 0,
        Outcome::Failed => 1,
        Outcome::Held => 3,
        Outcome::Partial => 4,
    };
    assert_eq!(ended.status, status, "{report:#?}");
    report
}

/// Undoes a run to its end.
pub fn undo(studio: &Studio, undone: &Report) -> Report {
    let report = put_back(studio, &["undo", &undone.run]);
    assert_eq!(report.trigger, Trigger::Undo);
    assert_eq!(report.undoes.as_deref(), Some(&*undone.run));
    report
}

/// A run after something was put back changes nobody: at most, what was rejected and can never be due
/// leaves the links.
pub fn links_settle(studio: &Studio) {
    let report = studio.sync();
    let is_rejected = |result| result == ChangeResult::Rejected;
    let mut changes = report.changes.iter();
    assert!(
        changes.all(|change| is_rejected(change.result)),
        "{report:#?}"
    );
}

/// After that, a run writes nothing, and does not try to.
pub fn nothing_is_done_again(studio: &Studio) -> Report {
    links_settle(studio);
    studio.ftrack().forget();
    let report = studio.sync();
    assert_ne!(report.outcome, Outcome::Failed, "{:?}", report.error);
    assert_eq!(report.ftrack.write_calls, 0, "{:#?}", report.changes);
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    let is_rejected = |result| result == ChangeResult::Rejected;
    assert!(
        report
            .changes
            .iter()
            .all(|change| is_rejected(change.result)),
        "{report:#?}"
    );
    report
}

/// Who and what a report names as left alone.
pub fn left(report: &Report) -> Vec<(&str, &str)> {
    let left = report.skipped.iter();
    left.map(|entry| (&*entry.dn, &*entry.reason)).collect()
}

const NO_LIMIT: &str = "limits = { deactivate = \"100%\", rename = \"100%\", clear = \"100%\", revoke = \"100%\", reactivate = \"100%\" }";

/// A studio in which a run has every kind of change to do.
fn eventful() -> Studio {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve", "fay"]);
    studio.job = NO_LIMIT.into();
    studio.sync();
    leave(&studio, "eve");
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    tree.replace(&dn("ada"), "sn", &["New"]).unwrap();
    tree.rename(&dn("bob"), &dn("bobby")).unwrap();
    leave(&studio, "cyd");
    come_back(&studio, "eve");
    tree.add(person("gus", "Given", "gus")).unwrap();
    studio
}

#[test]
fn everything_that_a_run_wrote_is_put_back_and_not_done_again() {
    let studio = eventful();
    let before = seen(&studio);
    let run = studio.sync();
    let counts = &run.counts;
    assert_eq!(
        [
            counts.created,
            counts.updated,
            counts.deactivated,
            counts.reactivated
        ],
        [1, 2, 1, 1]
    );
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(left(&report), []);
    assert_eq!(logins(&report, Action::Deactivate), ["eve", "gus"]);
    assert_eq!(logins(&report, Action::Reactivate), ["cyd"]);
    assert_eq!(logins(&report, Action::Update), ["ada", "bob"]);
    let mut now = seen(&studio);
    let created = studio.user("gus");
    assert!(!created.is_active, "it is deactivated, never deleted");
    now.remove(&created.id);
    assert_eq!(now, before);
    assert_eq!(activity(&studio, "cyd"), "settled");
    assert_eq!(activity(&studio, "eve"), "deactivated");

    let rejected = nothing_is_done_again(&studio);
    assert_eq!(rejected.counts.rejected, 5, "{rejected:#?}");
    nothing_is_done_again(&studio);
    // Nothing is left to put back.
    let again = undo(&studio, &run);
    assert_eq!((again.changes.len(), again.ftrack.write_calls), (0, 0));
    nothing_is_done_again(&studio);
    // A new cause is another matter.
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["newer@studio.test"])
        .unwrap();
    let report = studio.sync();
    assert_eq!((report.counts.updated, report.counts.rejected), (1, 5));
    assert_eq!(studio.user("ada").email.unwrap(), "newer@studio.test");
    come_back(&studio, "cyd");
    studio.sync();
    leave(&studio, "cyd");
    assert_eq!(studio.sync().counts.deactivated, 1);
}

#[test]
fn an_undo_can_itself_be_undone() {
    let studio = eventful();
    let before = seen(&studio);
    let run = studio.sync();
    let after = seen(&studio);
    let first = undo(&studio, &run);
    let second = undo(&studio, &first);
    assert_eq!(second.outcome, Outcome::Succeeded, "{second:#?}");
    assert_eq!(seen(&studio), after);
    links_settle(&studio);
    studio.sync_changes_nothing();
    let third = undo(&studio, &second);
    assert_eq!(third.outcome, Outcome::Succeeded, "{third:#?}");
    let mut now = seen(&studio);
    now.remove(&studio.user("gus").id);
    assert_eq!(now, before);
    nothing_is_done_again(&studio);
}

#[test]
fn what_somebody_changed_since_is_left_alone_and_named() {
    let studio = eventful();
    let run = studio.sync();
    by_hand(&studio, "ada", &json!({"email": "by-hand@studio.test"}));
    by_hand(&studio, "cyd", &json!({"is_active": true}));
    by_hand(&studio, "gus", &json!({"first_name": "Augustus"}));
    let id = studio.user("bobby").id;
    studio.ftrack().remove("User", &json!([id])).unwrap();
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let named = left(&report);
    let [(ada, email), (bob, gone)] = named.as_slice() else {
        panic!("{named:#?}");
    };
    assert_eq!((*ada, *bob), ("ada", "bobby"));
    assert!(
        email.contains("email is \"by-hand@studio.test\" by now"),
        "{email}"
    );
    assert!(gone.contains("no longer exists"), "{gone}");
    let ada = studio.user("ada");
    assert_eq!(
        (ada.email.as_deref(), ada.last_name.as_deref()),
        (Some("by-hand@studio.test"), Some("ada"))
    );
    // Whoever is as before already needs nothing.
    assert!(studio.user("cyd").is_active);
    let gus = studio.user("gus");
    assert_eq!(
        (gus.is_active, gus.first_name.as_deref()),
        (false, Some("Augustus"))
    );
    assert!(!studio.user("eve").is_active);
}

#[test]
fn an_adoption_is_put_back_whole() {
    let studio = Studio::of(&["ada", "bob"]);
    let old = Account {
        first_name: Some("Another".into()),
        ..account("ada")
    };
    studio.ftrack().add_user(&old).unwrap();
    let before = studio.user("ada");
    let run = studio.sync();
    assert_eq!((run.counts.adopted, run.counts.created), (1, 1));
    assert_eq!(studio.user("ada").first_name.as_deref(), Some("Given"));
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(studio.user("ada"), before, "also the link is gone");
    assert_eq!((report.ftrack.owned, report.ftrack.linked), (1, Some(1)));
    let next = nothing_is_done_again(&studio);
    assert_eq!(logins(&next, Action::Adopt), ["ada"]);

    // And back.
    let back = undo(&studio, &report);
    assert_eq!(
        (back.outcome, back.counts.adopted),
        (Outcome::Succeeded, 1),
        "{back:#?}"
    );
    assert_eq!(studio.user("ada").first_name.as_deref(), Some("Given"));
    assert!(studio.user("bob").is_active);
    links_settle(&studio);
    studio.sync_changes_nothing();
}

const GROUP: &str = "cn=leads,ou=groups,dc=studio,dc=test";
pub const ROLE: &str = "Project Manager";

/// A studio in which a group of these people gives a role.
pub fn with_role(uids: &[&str], members: &[&str]) -> Studio {
    let mut studio = Studio::of(uids);
    let limits = "limits = { revoke = 10 }";
    studio.job = format!("roles = {{ {ROLE:?} = [{GROUP:?}] }}\n{limits}");
    let tree = studio.tree();
    let groups = TreeEntry::new("ou=groups,dc=studio,dc=test");
    tree.add(groups.with("objectClass", "organizationalUnit"))
        .unwrap();
    let group = TreeEntry::new(GROUP).with("objectClass", "groupOfNames");
    tree.add(group.with("cn", "leads").with("member", dn(uids[0])))
        .unwrap();
    set_members(&studio, members);
    studio
}

pub fn set_members(studio: &Studio, members: &[&str]) {
    let members: Vec<String> = members.iter().map(|uid| dn(uid)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    studio.tree().replace(GROUP, "member", &members).unwrap();
}

fn managers(studio: &Studio) -> Vec<String> {
    let users = studio.ftrack().users().into_iter();
    let with = users.filter(|user| user.roles.contains(ROLE));
    let mut managers: Vec<String> = with.map(|user| user.username).collect();
    managers.sort_unstable();
    managers
}

#[test]
fn roles_are_given_and_taken_back() {
    let studio = with_role(&["ada", "bob", "cyd", "dan"], &["ada", "dan"]);
    studio.sync();
    give_role(&studio, "cyd", ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    let ftrack = studio.ftrack();
    ftrack
        .change("UserSecurityRole", &json!(["role-of-cyd"]), &row)
        .unwrap();
    let before = managers(&studio);
    assert_eq!(before, ["ada", "cyd", "dan"]);
    set_members(&studio, &["bob", "cyd", "dan"]);
    let run = studio.sync();
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(managers(&studio), before);
    nothing_is_done_again(&studio);
    // The program still knows which it gave, once the cause of what was undone has ended.
    set_members(&studio, &["ada", "cyd"]);
    studio.sync();
    set_members(&studio, &["bob"]);
    let report = studio.sync();
    assert_eq!(managers(&studio), ["bob", "cyd"], "{report:#?}");
}

#[test]
fn protected_users_and_administrators_keep_what_they_have() {
    let mut studio = eventful();
    studio.job = format!("{NO_LIMIT}\nusers.protect = [\"ada\"]");
    studio.sync();
    // As a person approves it.
    let run = approve(&studio);
    assert_eq!(logins(&run, Action::Update), ["ada"]);
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    let held: Vec<_> = report
        .changes
        .iter()
        .map(|change| (change.held_by, change.result))
        .collect();
    assert!(
        held.contains(&(Some(HeldBy::Protected), ChangeResult::Held)),
        "{report:#?}"
    );
    assert_eq!(studio.user("ada").email.unwrap(), "new@studio.test");

    make_administrator(&studio, "bobby");
    let run = last_run_of(&studio, "bobby");
    let report = put_back(&studio, &["undo", &run, "--only", "bobby"]);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    assert_eq!(studio.user("bobby").username, "bobby");
}

/// The last run that wrote something of a person.
fn last_run_of(studio: &Studio, who: &str) -> String {
    let ended = studio.run(&["runs", "--person", who, "--changed", "--format", "json"]);
    let runs: Value = serde_json::from_str(&ended.stdout).unwrap();
    runs[0]["run"].as_str().unwrap().to_owned()
}

#[test]
fn only_some_people_and_only_on_trial() {
    let studio = eventful();
    let run = studio.sync();
    let after = seen(&studio);
    let report = put_back(&studio, &["undo", "last", "--dry-run"]);
    assert_eq!((report.dry_run, report.ftrack.write_calls), (true, 0));
    assert_eq!(report.changes.len(), 5, "{report:#?}");
    assert_eq!(seen(&studio), after);
    studio.sync_changes_nothing();
    let report = put_back(
        &studio,
        &["undo", &run.run, "--only", "ada", "cyd@studio.test"],
    );
    assert_eq!(report.only, ["ada", "cyd@studio.test"]);
    assert_eq!(logins(&report, Action::Update), ["ada"]);
    assert_eq!(logins(&report, Action::Reactivate), ["cyd"]);
    assert_eq!(report.changes.len(), 2);
    let next = nothing_is_done_again(&studio);
    assert_eq!(next.counts.rejected, 2);
}

#[test]
fn it_works_while_the_directory_is_what_is_wrong() {
    let mut studio = eventful();
    let before = seen(&studio);
    let run = studio.sync();
    let url = std::mem::replace(&mut studio.directory_url, "ldap://127.0.0.1:1".into());
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(report.directory, None);
    let mut now = seen(&studio);
    now.remove(&studio.user("gus").id);
    assert_eq!(now, before);
    studio.directory_url = url;
    nothing_is_done_again(&studio);
}

#[test]
fn limits_windows_and_freezes_are_aside_and_a_pause_is_not() {
    let mut studio = eventful();
    let run = studio.sync();
    studio.job = "limits = { deactivate = 0, rename = 0, clear = 0, reactivate = 0 }\nfreezes = [{ from = \"2020-01-01\", to = \"2099-01-01\", what = [\"deactivate\", \"rename\"] }]".into();
    let report = undo(&studio, &run);
    assert_eq!(
        (report.outcome, report.counts.held),
        (Outcome::Succeeded, 0),
        "{report:#?}"
    );
    // What runs did counts for the limits of those after it, two people, and nothing of the undo.
    studio.job = "limits = { deactivate = 3 }".into();
    leave(&studio, "fay");
    assert_eq!(studio.sync().counts.deactivated, 1);
}

#[test]
fn the_text_says_what_was_undone() {
    let studio = eventful();
    let run = studio.sync();
    let ended = studio.run(&["undo", &run.run]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains(&format!("undoes     the run {}", run.run)),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("a person had the run"),
        "{}",
        ended.stdout
    );
    let again = "The next run does not do it again";
    assert!(ended.stdout.contains(again), "{}", ended.stdout);
    let field = studio.run(&["runs", "show", "last", "--format", "json"]);
    let shown: Value = serde_json::from_str(&field.stdout).unwrap();
    assert_eq!(
        (&shown["trigger"], &shown["undoes"]),
        (&json!("undo"), &json!(run.run))
    );
}

/// Whether a fault that loses an answer makes any difference.
#[test]
fn a_lost_answer_changes_nothing() {
    for fault in [Fault::ResetAfter, Fault::CutBody, Fault::ResetBefore] {
        let studio = eventful();
        let before = seen(&studio);
        let run = studio.sync();
        studio
            .ftrack()
            .fail_next(Some(CallKind::Write), fault.clone());
        let report = undo(&studio, &run);
        assert_eq!(report.outcome, Outcome::Succeeded, "{fault:?} {report:#?}");
        let mut now = seen(&studio);
        now.remove(&studio.user("gus").id);
        assert_eq!(now, before, "{fault:?}");
        nothing_is_done_again(&studio);
    }
}

#[test]
fn a_value_that_ftrack_stores_otherwise_is_put_back_too() {
    let studio = eventful();
    studio.ftrack().change_rules(|rules| {
        rules.stores.insert("email".into(), Stores::LowerCase);
    });
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["New.Ada@Studio.Test"])
        .unwrap();
    let run = studio.sync();
    assert_eq!(studio.user("ada").email.unwrap(), "new.ada@studio.test");
    let report = put_back(&studio, &["undo", &run.run, "--only", "ada"]);
    assert_eq!(left(&report), []);
    assert_eq!(studio.user("ada").email.unwrap(), "ada@studio.test");
    let next = nothing_is_done_again(&studio);
    let ada = next
        .changes
        .iter()
        .find(|change| change.username == "ada")
        .unwrap();
    assert!(ada.fields.contains_key(&Field::Email));
}
