//! `link`: a person of the directory gets an existing user.

use ftrack_ldap_sync::{
    demo::ftrack::{Account, CallKind, Fault},
    model::{
        change::{Action, HeldBy},
        report::{ChangeResult, Outcome, Trigger},
    },
};
use serde_json::{Value, json};

use super::{by_hand, done, link, misnamed, number_of_users, refused};
use crate::{
    daemon::Daemon,
    rules::{account, give_role, logins, make_administrator},
    situations::Situation,
    studio::{Studio, dn, person},
};

/// The same with a schedule that never comes.
fn for_a_daemon() -> Studio {
    let studio = Studio::of(&["bob", "cyd"]).for_a_daemon("schedule = \"@yearly\"");
    studio.sync();
    studio.tree().add(person("ada", "Ada", "Lovelace")).unwrap();
    let user = Account {
        is_active: true,
        ..account("countess")
    };
    studio.ftrack().add_user(&user).unwrap();
    studio
}

/// People with users, one newcomer, and a user that nobody owns under another login.
fn newcomer() -> Situation {
    Situation::synced(&["bob", "cyd"])
        .entry(person("ada", "Ada", "Lovelace"))
        .account(Account {
            is_active: true,
            ..account("countess")
        })
}

#[test]
fn a_person_gets_an_existing_user_and_its_values_and_no_second_one() {
    let situation = newcomer();
    let id = situation.user("countess").id;
    let report = done(&situation, &["link", "ada", "countess"]);
    assert_eq!(
        (report.trigger, &*report.only),
        (Trigger::Link, &["ada".to_owned()][..])
    );
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(report.approved_by.unwrap().uid, uid);
    assert_eq!(report.counts.adopted, 1);
    assert_eq!(report.changes[0].action, Action::Adopt);
    assert!(
        report.changes[0].reason.contains("`link`"),
        "{:?}",
        report.changes[0].reason
    );
    let user = situation.user("ada");
    assert_eq!((&user.id, &*user.email.unwrap()), (&id, "ada@studio.test"));
    assert_eq!(number_of_users(&situation), 3);
    situation.sync_changes_nothing();
}

#[test]
fn both_are_named_by_whatever_identifies_them() {
    for (who, user) in [
        ("ADA", "COUNTESS"),
        ("ada@studio.test", "countess@studio.test"),
        ("dn", "id"),
        ("directory id", "countess"),
    ] {
        let situation = newcomer();
        let (dn, ftrack_id) = (dn("ada"), situation.user("countess").id);
        let directory_id = situation.tree().entry_uuid(&dn).unwrap().to_string();
        let who = match who {
            "dn" => &dn,
            "directory id" => &directory_id,
            who => who,
        };
        let user = if user == "id" { &ftrack_id } else { user };
        done(&situation, &["link", who, user]);
        assert_eq!(situation.user("ada").id, ftrack_id);
    }
}

#[test]
fn a_dry_run_shows_it_and_writes_nothing() {
    let situation = newcomer();
    let users = situation.ftrack().users();
    let report = done(&situation, &["link", "ada", "countess", "--dry-run"]);
    assert!(report.dry_run);
    let change = &report.changes[0];
    assert_eq!(
        (change.action, change.result),
        (Action::Adopt, ChangeResult::Planned)
    );
    assert_eq!(
        (situation.ftrack().users(), report.ftrack.write_calls),
        (users, 0)
    );
    let text = situation.run(&["link", "ada", "countess"]);
    assert_eq!(text.status, 0, "{}", text.stderr);
    assert!(text.stdout.contains("= adopt"), "{}", text.stdout);
}

#[test]
fn where_there_are_several_jobs_the_option_is_named() {
    let situation = newcomer().config(
        "[jobs.others]\ndirectory = \"studio\"\nsearch_bases = [\"ou=others,dc=studio,dc=test\"]\n",
    );
    for arguments in [&["link", "ada", "countess"] as &[&str], &["unlink", "bob"]] {
        let wrong = situation.run(arguments);
        assert_eq!(wrong.status, 2, "{}", wrong.stdout);
        assert!(wrong.stderr.contains("--job"), "{}", wrong.stderr);
        assert!(wrong.stderr.contains("artists, others"), "{}", wrong.stderr);
    }
}

#[test]
fn it_is_refused_when_either_side_has_a_link() {
    let situation = newcomer();
    let error = refused(&situation, &["link", "ada", "bob"]);
    assert!(error.contains("unlink"), "{error}");
    let error = refused(&situation, &["link", "bob", "countess"]);
    assert!(error.contains("has the user \"bob\" already"), "{error}");
    let error = refused(&situation, &["link", "bob", "bob"]);
    assert!(error.contains("already"), "{error}");
    // Also a link that cannot be read is one.
    let id = situation.user("countess").id;
    let row = json!({"value": "{\"version\": 99, \"id\": \"x\"}"});
    let fields = json!({"parent_id": id, "parent_type": "User", "key": "ftrack-ldap-sync", "value": row["value"]});
    situation.ftrack().insert("Metadata", &fields).unwrap();
    let error = refused(&situation, &["link", "ada", "countess"]);
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn who_is_not_there_or_not_known_for_certain_gets_nothing() {
    let situation = newcomer()
        .account(Account {
            email: Some("countess@studio.test".into()),
            ..account("countess2")
        })
        .then(|studio| {
            let mail = ["shared@studio.test"];
            for uid in ["dan", "eve"] {
                studio.tree().add(person(uid, "Given", uid)).unwrap();
                studio.tree().replace(&dn(uid), "mail", &mail).unwrap();
            }
        });
    for (who, user, why) in [
        ("nobody", "countess", "none of the job's people"),
        ("ada", "nobody", "no user in ftrack"),
        ("shared@studio.test", "countess", "may be"),
        ("ada", "countess@studio.test", "may be"),
    ] {
        let error = misnamed(&situation, &["link", who, user]);
        assert!(error.contains(why), "{who} {user}: {error}");
    }
    let error = refused(&situation, &["link", "ada", "ldap-sync"]);
    assert!(error.contains("API user"), "{error}");
    for (arguments, why) in [
        (&["link", "", "countess"] as &[&str], "WHO is empty"),
        (&["link", "ada", " "], "USER is empty"),
        (&["link", "ada"], "USER"),
        (&["link", "ada", "countess", "--job", "nojob"], "nojob"),
    ] {
        let wrong = situation.run(arguments);
        assert_eq!(wrong.status, 2, "{arguments:?}");
        assert!(wrong.stderr.contains(why), "{}", wrong.stderr);
    }
}

#[test]
fn no_limit_holds_it_and_nobody_else_is_touched() {
    let situation = newcomer()
        .job("limits = { rename = 0, clear = 0, create = 0 }\nusers.adopt = \"never\"")
        .then(|studio| {
            let mail = ["other@studio.test"];
            studio.tree().replace(&dn("cyd"), "mail", &mail).unwrap();
            give_role(studio, "countess", "Project Manager");
        });
    let report = done(&situation, &["link", "ada", "countess"]);
    assert_eq!(logins(&report, Action::Adopt), ["ada"]);
    assert_eq!(situation.user("cyd").email.unwrap(), "cyd@studio.test");
    let report = situation.sync();
    assert_eq!((report.counts.updated, report.counts.adopted), (1, 0));
}

#[test]
fn others_who_need_a_person_do_not_make_it_partial() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        for uid in ["ada", "bob"] {
            studio.tree().remove(&dn(uid)).unwrap();
            studio.tree().add(person(uid, "Given", uid)).unwrap();
        }
    });
    assert_eq!(situation.sync().counts.unsettled, 2);
    done(&situation, &["unlink", "ada"]);
    let report = done(&situation, &["link", &dn("ada"), "ada"]);
    assert_eq!(
        (report.outcome, report.counts.unsettled),
        (Outcome::Succeeded, 0)
    );
    assert_eq!(situation.sync().counts.unsettled, 1);
}

#[test]
fn an_administrator_keeps_login_and_mail_until_a_person_approves_that() {
    let situation = newcomer().then(|studio| make_administrator(studio, "countess"));
    let (status, report) = by_hand(&situation, &["link", "ada", "countess"]);
    assert_eq!((status, report.outcome), (3, Outcome::Held), "{report:#?}");
    let held = report
        .changes
        .iter()
        .find(|change| change.held_by.is_some())
        .unwrap();
    assert_eq!(held.held_by, Some(HeldBy::Protected));
    let user = situation.user("countess");
    assert_eq!(user.first_name.as_deref(), Some("Ada"));
    assert_ne!(link(&situation, "countess"), Value::Null);
    // It stays so, with a number of its own, and no second user is made.
    let report = situation.sync();
    assert_eq!((report.counts.held, report.ftrack.write_calls), (1, 0));
    assert_eq!(number_of_users(&situation), 3);
    assert!(situation.ftrack().user("ada").is_none());
}

#[test]
fn a_protected_user_stays_protected_under_another_login() {
    let situation = newcomer().job("users.protect = [\"countess\"]");
    let (status, _) = by_hand(&situation, &["link", "ada", "countess"]);
    assert_eq!(status, 3);
    assert_eq!(link(&situation, "countess")["protected"], true);
    let situation = situation.then(|studio| {
        let id = studio.user("countess").id;
        studio
            .ftrack()
            .change("User", &json!([id]), &json!({"username": "ada"}))
            .unwrap();
        studio.tree().remove(&dn("ada")).unwrap();
    });
    let report = situation.sync();
    assert_eq!(
        report.changes[0].held_by,
        Some(HeldBy::Protected),
        "{report:#?}"
    );
    assert!(situation.user("ada").is_active);
}

#[test]
fn a_pause_of_adoptions_holds_it_as_well() {
    let situation = for_a_daemon();
    let daemon = Daemon::start(&situation);
    let paused = situation.run(&["pause", "artists", "--only", "adopt"]);
    assert_eq!(paused.status, 0, "{}", paused.stderr);
    let (status, report) = by_hand(&situation, &["link", "ada", "countess"]);
    assert_eq!((status, report.ftrack.write_calls), (1, 0), "{report:#?}");
    assert!(
        report
            .changes
            .iter()
            .all(|change| change.held_by == Some(HeldBy::Paused))
    );
    assert_eq!(link(&situation, "countess"), Value::Null);
    assert!(daemon.stop().0.success());
}

#[test]
fn it_waits_for_the_daemons_run_and_is_done_beside_it() {
    let situation = for_a_daemon();
    situation
        .tree()
        .replace(&dn("cyd"), "mail", &["other@studio.test"])
        .unwrap();
    let gate = situation.hold(CallKind::Write);
    let daemon = Daemon::start(&situation);
    let triggered = situation.start(&["trigger", "artists"]);
    assert!(gate.wait_for(1, crate::daemon::LIMIT));
    let waiting = situation.start(&["link", "bob2", "countess", "--format", "json"]);
    gate.open();
    let ended = crate::studio::Ended::of(waiting.wait_with_output().unwrap());
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("bob2"), "{}", ended.stderr);
    assert!(triggered.wait_with_output().unwrap().status.success());
    assert_eq!(situation.user("cyd").email.unwrap(), "other@studio.test");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_lost_answer_changes_nothing_of_the_result() {
    for fault in [
        Fault::ResetAfter,
        Fault::ResetBefore,
        Fault::ErrorAfter,
        Fault::CutBody,
    ] {
        let situation = newcomer();
        situation.ftrack().fail_next(Some(CallKind::Write), fault);
        let ended = situation.run(&["link", "ada", "countess", "--format", "json"]);
        assert_eq!(ended.status, 0, "{}", ended.stdout);
        assert_eq!(ended.report().counts.adopted, 1);
        situation.sync_changes_nothing();
        assert_eq!(number_of_users(&situation), 3);
    }
}

#[test]
fn a_job_that_only_observes_links_nobody() {
    let situation = newcomer().job("mode = \"observe\"");
    for arguments in [
        &["link", "ada", "countess"] as &[&str],
        &["unlink", "bob"],
        &["release", "artists", "--yes"],
    ] {
        let ended = situation.run(arguments);
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("observe"), "{}", ended.stderr);
    }
}

#[test]
fn a_run_of_changes_after_it_knows_the_user() {
    let situation = Situation::of(&["bob", "cyd"])
        .job("schedule = \"@yearly\"\nchanges_schedule = \"@yearly\"")
        .after_sync()
        .account(account("countess"))
        .entry(person("ada", "Ada", "Lovelace"));
    done(&situation, &["link", "ada", "countess"]);
    let mail = ["other@studio.test"];
    situation.tree().replace(&dn("ada"), "mail", &mail).unwrap();
    let report = situation.synced(&["sync", "--format", "json", "--changes"]);
    assert_eq!(
        (report.counts.updated, report.counts.created),
        (1, 0),
        "{report:#?}"
    );
    assert_eq!(number_of_users(&situation), 3);
    done(&situation, &["unlink", "ada"]);
    let mail = ["third@studio.test"];
    situation.tree().replace(&dn("ada"), "mail", &mail).unwrap();
    let report = situation.synced(&["sync", "--format", "json", "--changes"]);
    assert_eq!(report.changes, [], "{report:#?}");
    assert_eq!(situation.user("ada").email.unwrap(), "other@studio.test");
}

#[test]
fn an_administrator_gets_no_role_by_it_and_nobody_becomes_one() {
    use crate::undo::{ROLE, set_members, with_role};
    for role in [ROLE, "Administrator"] {
        let mut studio = with_role(&["bob", "cyd"], &["bob"]);
        studio.sync();
        studio.tree().add(person("ada", "Ada", "Lovelace")).unwrap();
        let user = Account {
            is_active: true,
            ..account("countess")
        };
        studio.ftrack().add_user(&user).unwrap();
        let id = studio.user("countess").id;
        if role == ROLE {
            make_administrator(&studio, "countess");
        } else {
            studio.job = studio.job.replace(ROLE, role);
        }
        set_members(&studio, &["ada"]);
        let before = studio.user("countess").roles;
        let (_, report) = by_hand(&studio, &["link", "ada", &id]);
        let now = studio
            .ftrack()
            .users()
            .into_iter()
            .find(|user| user.id == id);
        assert_eq!(now.unwrap().roles, before, "{role}: {report:#?}");
    }
}

#[test]
fn who_may_not_sign_in_gets_no_user() {
    let situation = newcomer()
        .job("disabled = \"(employeeType=locked)\"\n")
        .then(|studio| {
            let tree = studio.tree();
            tree.replace(&dn("ada"), "employeeType", &["locked"])
                .unwrap();
        });
    let error = refused(&situation, &["link", "ada", "countess"]);
    assert!(error.contains("may not sign in"), "{error}");
}
