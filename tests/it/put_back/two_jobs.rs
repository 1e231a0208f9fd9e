//! Two jobs of one ftrack that give the same role: each takes only what it gave, and what puts one of
//! them back leaves the other alone.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::{directory::TreeEntry, ftrack::Account},
    model::report::{ChangeResult, Outcome, Report},
};
use serde_json::json;

use super::in_effect;
use crate::{
    rules::{add_config, give_role},
    studio::{Studio, dn, person},
    undo::{left, put_back},
};

const ROLE: &str = "Project Manager";
const LONDON: &str = "ou=london,dc=studio,dc=test";
const LIMITS: &str = "limits = { revoke = 10, min_entries = 0 }";
/// Those of the job `artists`, and those of the job `others`.
const PARIS: [&str; 4] = ["ada", "bob", "cyd", "dan"];
const OTHERS: [&str; 3] = ["eve", "fay", "gus"];

fn dn_of(uid: &str) -> String {
    if OTHERS.contains(&uid) {
        format!("uid={uid},{LONDON}")
    } else {
        dn(uid)
    }
}

fn group_dn(job: &str) -> String {
    format!("cn=leads of {job},ou=groups,dc=studio,dc=test")
}

fn set_members(studio: &Studio, job: &str, uids: &[&str]) {
    let members: Vec<String> = uids.iter().map(|uid| dn_of(uid)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let tree = studio.tree();
    tree.replace(&group_dn(job), "member", &members).unwrap();
}

fn studio() -> Studio {
    let mut studio = Studio::of(&PARIS);
    let tree = studio.tree();
    for unit in [LONDON, "ou=groups,dc=studio,dc=test"] {
        let unit = TreeEntry::new(unit).with("objectClass", "organizationalUnit");
        tree.add(unit).unwrap();
    }
    for uid in OTHERS {
        let mut entry = person(uid, "Given", uid);
        entry.dn = dn_of(uid);
        tree.add(entry).unwrap();
    }
    for (job, uid) in [("artists", "ada"), ("others", "eve")] {
        let group = TreeEntry::new(group_dn(job)).with("objectClass", "groupOfNames");
        tree.add(group.with("member", dn_of(uid))).unwrap();
    }
    let roles = |job: &str| format!("roles = {{ {ROLE:?} = [{:?}] }}\n{LIMITS}\n", group_dn(job));
    add_config(
        &studio,
        &format!(
            "[jobs.others]\ndirectory = \"studio\"\nsearch_bases = [{LONDON:?}]\nfilter = \
             \"(objectClass=inetOrgPerson)\"\nattributes = {{ username = \"uid\", email = \"mail\", \
             first_name = \"givenName\", last_name = \"sn\" }}\n{}",
            roles("others")
        ),
    );
    studio.job = roles("artists");
    studio
}

/// Gives the role by hand, for all open projects.
fn give(studio: &Studio, uid: &str) {
    give_role(studio, uid, ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    let key = json!([format!("role-of-{uid}")]);
    let ftrack = studio.ftrack();
    ftrack.change("UserSecurityRole", &key, &row).unwrap();
}

fn sync(studio: &Studio, job: &str) -> Report {
    let report = studio.synced(&["sync", job]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    report
}

/// Who has the role.
fn managers(studio: &Studio) -> String {
    let mut with: Vec<String> = in_effect(studio)
        .into_values()
        .filter(|user| user.roles.contains(ROLE))
        .map(|user| user.username)
        .collect();
    with.sort_unstable();
    with.join(" ")
}

fn of(studio: &Studio, uids: &[&str]) -> BTreeMap<String, Account> {
    let mut users = in_effect(studio);
    users.retain(|_, user| uids.contains(&&*user.username));
    users
}

/// Nothing but what was rejected is left for either of them.
fn both_are_done(studio: &Studio) {
    for job in ["artists", "others", "artists", "others"] {
        let report = sync(studio, job);
        let mut results = report.changes.iter().map(|change| change.result);
        assert!(
            results.all(|result| result == ChangeResult::Rejected),
            "{report:#?}"
        );
        assert_eq!(report.ftrack.write_calls, 0, "{report:#?}");
    }
}

/// A studio after a run of each that gave and took the role; with both runs.
fn both_changed() -> (Studio, Report, Report) {
    let studio = studio();
    for job in ["artists", "others"] {
        sync(&studio, job);
    }
    assert_eq!(managers(&studio), "ada eve");
    give(&studio, "bob");
    give(&studio, "fay");
    // A member of the other job's group is nobody of this job.
    set_members(&studio, "artists", &["bob", "cyd", "gus"]);
    set_members(&studio, "others", &["fay", "gus", "dan"]);
    let first = sync(&studio, "artists");
    assert_eq!(managers(&studio), "bob cyd eve fay");
    let second = sync(&studio, "others");
    assert_eq!(managers(&studio), "bob cyd fay gus");
    assert_eq!(
        (first.counts.role_changes, second.counts.role_changes),
        (2, 2)
    );
    both_are_done(&studio);
    (studio, first, second)
}

#[test]
fn each_takes_only_what_it_gave() {
    let (studio, ..) = both_changed();
    set_members(&studio, "artists", &["ada"]);
    set_members(&studio, "others", &["eve"]);
    let report = sync(&studio, "others");
    assert_eq!(managers(&studio), "bob cyd eve fay", "{report:#?}");
    let report = sync(&studio, "artists");
    assert_eq!(managers(&studio), "ada bob eve fay", "{report:#?}");
    both_are_done(&studio);
}

#[test]
fn an_undo_of_one_leaves_the_other_alone() {
    let (studio, first, second) = both_changed();
    let others = of(&studio, &OTHERS);
    let report = put_back(&studio, &["undo", &first.run]);
    assert_eq!(report.job, "artists");
    assert_eq!(left(&report), []);
    assert_eq!(managers(&studio), "ada bob fay gus", "{report:#?}");
    assert_eq!(of(&studio, &OTHERS), others);
    both_are_done(&studio);
    let ours = of(&studio, &PARIS);
    put_back(&studio, &["undo", &second.run]);
    assert_eq!(managers(&studio), "ada bob eve fay");
    assert_eq!(of(&studio, &PARIS), ours);
    both_are_done(&studio);
}

#[test]
fn a_restore_of_one_leaves_the_other_alone() {
    let (studio, first, second) = both_changed();
    let ours = of(&studio, &PARIS);
    let report = put_back(&studio, &["restore", &second.run, "--job", "others"]);
    assert_eq!(report.job, "others");
    assert_eq!(managers(&studio), "bob cyd eve fay", "{report:#?}");
    assert_eq!(of(&studio, &PARIS), ours);
    both_are_done(&studio);
    let others = of(&studio, &OTHERS);
    put_back(&studio, &["restore", &first.run, "--job", "artists"]);
    assert_eq!(managers(&studio), "ada bob eve fay");
    assert_eq!(of(&studio, &OTHERS), others);
    both_are_done(&studio);
}

/// Whoever moves takes along what the program gave: the job that owns the user now takes it.
#[test]
fn who_moves_to_the_other_job_keeps_what_is_by_hand() {
    let (studio, ..) = both_changed();
    for uid in ["bob", "cyd"] {
        let there = format!("uid={uid},{LONDON}");
        studio.tree().rename(&dn(uid), &there).unwrap();
    }
    for job in ["artists", "others", "artists"] {
        sync(&studio, job);
    }
    assert_eq!(managers(&studio), "bob fay gus");
    both_are_done(&studio);
}
