//! `restore`: the users of a job as a snapshot has them, in the fields that the job manages, whoever
//! changed them.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::ftrack::{Account, BuiltinSync},
    model::{
        change::Action,
        report::{Outcome, Report, Trigger},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    faults::cases,
    rules::{
        account, add_config, by_hand, come_back, give_role, leave, logins, make_administrator,
    },
    studio::{Studio, dn, person},
    undo::{left, nothing_is_done_again, put_back, seen, set_members, with_role},
};

const ALL: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

const NO_LIMIT: &str = "limits = { deactivate = \"100%\", rename = \"100%\", clear = \"100%\", reactivate = \"100%\" }";

fn studio() -> Studio {
    let mut studio = Studio::of(&ALL);
    studio.job = NO_LIMIT.into();
    studio.sync();
    leave(&studio, "eve");
    studio.sync();
    studio
}

fn restore(studio: &Studio, snapshot: &str) -> Report {
    let report = put_back(studio, &["restore", snapshot]);
    assert_eq!(report.trigger, Trigger::Restore);
    assert_eq!(report.restores.as_deref(), Some(snapshot));
    report
}

#[test]
fn what_runs_and_what_people_did_since_is_put_back() {
    let studio = studio();
    let before = seen(&studio);
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    leave(&studio, "cyd");
    come_back(&studio, "eve");
    tree.add(person("gus", "Given", "gus")).unwrap();
    let run = studio.sync();
    by_hand(
        &studio,
        "bob",
        &json!({"first_name": "Vandal", "is_active": false}),
    );
    by_hand(&studio, "dan", &json!({"username": "mallory"}));
    by_hand(&studio, "ada", &json!({"email": null}));
    let fay = studio.user("fay").id;
    let link = json!([fay, "ftrack-ldap-sync"]);
    studio.ftrack().remove("Metadata", &link).unwrap();

    let trial = put_back(&studio, &["restore", &run.run, "--dry-run"]);
    assert_eq!((trial.dry_run, trial.ftrack.write_calls), (true, 0));
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(left(&report), []);
    let changed = |report: &Report| report.changes.len();
    assert_eq!(changed(&trial), changed(&report));
    let mut now = seen(&studio);
    let gus = studio.user("gus");
    assert!(!gus.is_active);
    now.remove(&gus.id);
    assert_eq!(now, before);
    assert!(studio.user("fay").metadata.contains_key("ftrack-ldap-sync"));
    nothing_is_done_again(&studio);

    // It is a run with a snapshot of its own, and can be undone.
    let undone = put_back(&studio, &["undo", &report.run]);
    assert_eq!(undone.outcome, Outcome::Succeeded, "{undone:#?}");
    assert_eq!(studio.user("bob").first_name.unwrap(), "Vandal");
    assert!(studio.user("gus").is_active && studio.user("mallory").is_active);
}

#[test]
fn what_the_job_does_not_manage_stays() {
    let mut studio = studio();
    studio.attributes = "username = \"uid\", email = \"mail\"".into();
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    let run = studio.sync();
    by_hand(
        &studio,
        "ada",
        &json!({"first_name": "By hand", "email": "x@x.test"}),
    );
    let stranger = Account {
        first_name: Some("Somebody".into()),
        ..account("stranger")
    };
    studio.ftrack().add_user(&stranger).unwrap();
    let report = restore(&studio, &run.run);
    assert_eq!(logins(&report, Action::Update), ["ada"]);
    let ada = studio.user("ada");
    assert_eq!(
        (ada.first_name.as_deref(), ada.email.as_deref()),
        (Some("By hand"), Some("ada@studio.test"))
    );
    assert_eq!(studio.user("stranger").first_name.unwrap(), "Somebody");
    nothing_is_done_again(&studio);
}

#[test]
fn an_adoption_since_is_put_back_or_named() {
    let studio = studio();
    studio.ftrack().add_user(&account("gus")).unwrap();
    let before = studio.user("gus");
    studio.tree().add(person("gus", "Given", "gus")).unwrap();
    let first = studio.sync();
    assert_eq!(first.outcome, Outcome::Held, "it waits for a person");
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let second = studio.sync();
    assert_eq!(second.counts.updated, 1);
    let third = crate::rules::approve(&studio);
    assert_eq!(third.counts.adopted, 1);
    let report = restore(&studio, &second.run);
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(
        who == "gus" && why.contains("adopted it or took it over after the snapshot"),
        "{why}"
    );
    assert!(studio.user("gus").is_active);
    let report = restore(&studio, &third.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(studio.user("gus"), before);
}

#[test]
fn only_some_people_and_nobody_unknown() {
    let studio = studio();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let run = studio.sync();
    by_hand(&studio, "bob", &json!({"first_name": "Vandal"}));
    by_hand(&studio, "cyd", &json!({"first_name": "Vandal"}));
    let report = put_back(&studio, &["restore", &run.run, "--only", "bob"]);
    assert_eq!(logins(&report, Action::Update), ["bob"]);
    assert_eq!(studio.user("cyd").first_name.unwrap(), "Vandal");
    assert_eq!(studio.user("ada").last_name.unwrap(), "New");
    let runs = studio.reports().len();
    for command in ["restore", "undo"] {
        let ended = studio.run(&[command, &run.run, "--only", "nobody"]);
        assert_eq!(ended.status, 2, "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("names nobody"), "{}", ended.stderr);
        assert_eq!(studio.reports().len(), runs, "it was no run");
    }
}

#[test]
fn roles_are_as_they_were_and_administrators_keep_theirs() {
    let studio = with_role(&["ada", "bob", "cyd"], &["ada"]);
    studio.sync();
    set_members(&studio, &["bob"]);
    let run = studio.sync();
    give_role(&studio, "cyd", "Project Manager");
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    let ftrack = studio.ftrack();
    ftrack
        .change("UserSecurityRole", &json!(["role-of-cyd"]), &row)
        .unwrap();
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let has = |uid| studio.user(uid).roles.contains("Project Manager");
    assert_eq!(["ada", "bob", "cyd"].map(has), [true, false, false]);
    nothing_is_done_again(&studio);
    make_administrator(&studio, "bob");
    by_hand(
        &studio,
        "bob",
        &json!({"email": "x@x.test", "first_name": "Vandal"}),
    );
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    assert_eq!(studio.user("bob").email.unwrap(), "x@x.test");
    assert_eq!(studio.user("bob").first_name.unwrap(), "Given");
}

/// ftrack's own synchronisation deactivated, renamed and created users: they are put back, and nobody
/// else is.
#[test]
fn after_a_run_of_ftracks_own_synchronisation() {
    let studio = Studio::of(&[]);
    for login in ["ada", "bob", "cyd"] {
        studio.ftrack().add_user(&account(login)).unwrap();
    }
    studio.ftrack().change_rules(|rules| {
        rules.builtin_sync = BuiltinSync::default();
        let changed = Account {
            first_name: Some("Changed".into()),
            ..account("ada")
        };
        rules.builtin_users = vec![changed, account("new")];
    });
    crate::rules::add_config(&studio, "[jobs.nightly]\nkind = \"ftrack-ldap\"\n");
    let before = seen(&studio);
    let ended = studio.run(&["sync", "nightly", "--format", "json"]);
    let run = ended.report();
    assert!(run.builtin.is_some() && !run.changes.is_empty(), "{run:#?}");
    let ended = studio.run(&["undo", &run.run]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains(&format!("`restore {}`", run.run)),
        "{}",
        ended.stderr
    );
    by_hand(&studio, "cyd", &json!({"last_name": "By hand"}));
    let cyd = studio.user("cyd");
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert!(!studio.user("new").is_active);
    let mut now = seen(&studio);
    now.remove(&studio.user("new").id);
    if !run.changes.iter().any(|change| change.username == "cyd") {
        assert_eq!(studio.user("cyd"), cyd);
        now.insert(cyd.id.clone(), before[&cyd.id].clone());
    }
    assert_eq!(now, before);
    assert_eq!(restore(&studio, &run.run).ftrack.write_calls, 0);
}

#[test]
fn a_link_that_a_person_took_away_after_activating_its_leaver_comes_back() {
    let studio = studio();
    leave(&studio, "cyd");
    let before = seen(&studio);
    let run = studio.sync();
    assert_eq!(logins(&run, Action::Deactivate), ["cyd"]);
    by_hand(&studio, "cyd", &json!({"is_active": true}));
    let link = json!([studio.user("cyd").id, "ftrack-ldap-sync"]);
    studio.ftrack().remove("Metadata", &link).unwrap();
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(seen(&studio), before);
    nothing_is_done_again(&studio);
}

#[test]
fn a_value_that_somebody_put_back_by_hand_stays() {
    let studio = studio();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    let run = studio.sync();
    by_hand(&studio, "ada", &json!({"email": "ada@studio.test"}));
    let report = restore(&studio, &run.run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    nothing_is_done_again(&studio);
    assert_eq!(studio.user("ada").email.unwrap(), "ada@studio.test");
    assert_eq!(restore(&studio, &run.run).ftrack.write_calls, 0);
}

/// What people do by hand.
fn vandalism() -> impl Strategy<Value = Vec<(usize, &'static str)>> {
    let what = select(vec![
        "email",
        "last_name",
        "first_name",
        "is_active",
        "username",
        "link",
    ]);
    vec((0_usize..6, what), 0..9)
}

fn vandalise(studio: &Studio, who: &str, what: &str, nth: usize) {
    let users = studio.ftrack().users();
    let user = users.into_iter().find(|user| user.id == who).unwrap();
    match what {
        "link" => {
            if user.metadata.contains_key("ftrack-ldap-sync") {
                let key = json!([who, "ftrack-ldap-sync"]);
                studio.ftrack().remove("Metadata", &key).unwrap();
            }
        }
        "is_active" => by_hand(
            studio,
            &user.username,
            &json!({"is_active": !user.is_active}),
        ),
        what => by_hand(
            studio,
            &user.username,
            &json!({what: format!("vandal-{nth}")}),
        ),
    }
}

proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn restore_puts_back_exactly_the_managed_fields(
        vandalism in vandalism(),
        mails in vec(0_usize..6, 0..4),
        leavers in vec(0_usize..6, 0..3),
    ) {
        let studio = studio();
        let tree = studio.tree();
        tree.add(person("always", "Given", "always")).unwrap();
        for who in mails {
            if tree.find(&dn(ALL[who])).is_some() {
                tree.replace(&dn(ALL[who]), "mail", &["new@studio.test"]).unwrap();
            }
        }
        for who in leavers {
            if tree.find(&dn(ALL[who])).is_some() {
                leave(&studio, ALL[who]);
            }
        }
        let before: BTreeMap<String, Account> = seen(&studio);
        let ids = ALL.map(|uid| studio.user(uid).id);
        let run = studio.sync();
        prop_assert_eq!(run.outcome, Outcome::Succeeded);
        for (nth, (who, what)) in vandalism.iter().enumerate() {
            vandalise(&studio, &ids[*who], what, nth);
        }
        let report = restore(&studio, &run.run);
        prop_assert_eq!(report.outcome, Outcome::Succeeded, "{:#?}", report);
        let mut now = seen(&studio);
        let created = studio.user("always");
        prop_assert!(!created.is_active);
        now.remove(&created.id);
        prop_assert_eq!(now, before);
        nothing_is_done_again(&studio);
    }
}

#[test]
fn among_several_jobs_the_one_whose_last_snapshot_is_meant_has_to_be_named() {
    let studio = studio();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let run = studio.sync();
    add_config(&studio, "[jobs.nightly]\nkind = \"ftrack-ldap\"\n");
    let users = seen(&studio);
    for arguments in [&["restore", "last"][..], &["restore", "last", "--dry-run"]] {
        let ended = studio.run(arguments);
        assert_eq!((ended.status, &*ended.stdout), (2, ""), "{arguments:?}");
        assert!(ended.stderr.contains("--job"), "{}", ended.stderr);
    }
    let none = studio.run(&["restore", "last", "--job", "nightly"]);
    assert_eq!(none.status, 2, "{}", none.stderr);
    assert_eq!(seen(&studio), users);
    let report = put_back(&studio, &["restore", "last", "--job", "artists"]);
    assert_eq!(report.restores.as_ref(), Some(&run.run));
    assert_eq!(logins(&report, Action::Update), ["ada"]);
    // One that is named needs no job.
    let report = put_back(&studio, &["restore", &report.run]);
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("New"));
    assert_eq!(report.job, "artists");
}

#[test]
fn the_text_says_what_was_restored() {
    let studio = studio();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let run = studio.sync();
    let ended = studio.run(&["restore", "last"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains(&format!("restores   the snapshot {}", run.run)),
        "{}",
        ended.stdout
    );
    let shown = studio.run(&["runs", "show", "last", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["trigger"], &shown["restores"]),
        (&json!("restore"), &json!(run.run))
    );
}
