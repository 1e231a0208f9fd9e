//! `unlink`: neither the user nor the person is touched until `link`.

use std::fs;

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Account, CallKind, Fault},
    },
    model::report::{Outcome, Trigger},
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{done, link, misnamed, number_of_users, refused};
use crate::{
    rules::{account, add_config, by_hand, leave},
    situations::Situation,
    studio::{Studio, dn, person},
};

/// No run touches the user, and makes none.
fn assert_untouched(studio: &Studio, before: &Account) {
    let number = number_of_users(studio);
    for _ in 0..2 {
        let report = studio.sync_changes_nothing();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    }
    assert_eq!(studio.user(&before.username), *before);
    assert_eq!(number_of_users(studio), number);
}

#[test]
fn neither_side_is_touched_until_link() {
    let situation = Situation::synced(&["ada", "bob"]);
    let report = done(&situation, &["unlink", "ada"]);
    assert_eq!((report.trigger, report.counts.updated), (Trigger::Link, 1));
    assert_eq!((report.directory, report.ftrack.write_calls), (None, 1));
    assert_eq!(link(&situation, "ada")["activity"], "unlinked");
    let runs = situation.run(&["runs"]).stdout;
    assert!(
        runs.contains(" unlink: 1 updated") && !runs.contains(" link: "),
        "{runs}"
    );
    let user = situation.user("ada");
    assert_untouched(&situation, &user);

    // Whatever happens on either side.
    by_hand(
        &situation,
        "ada",
        &json!({"username": "renamed", "email": "x@studio.test"}),
    );
    let mail = ["other@studio.test"];
    situation.tree().replace(&dn("ada"), "mail", &mail).unwrap();
    assert_untouched(&situation, &situation.user("renamed"));
    leave(&situation, "ada");
    assert_untouched(&situation, &situation.user("renamed"));
    crate::rules::come_back(&situation, "ada");
    by_hand(&situation, "renamed", &json!({"is_active": false}));
    assert_untouched(&situation, &situation.user("renamed"));
    by_hand(&situation, "renamed", &json!({"is_active": true}));

    let report = done(&situation, &["link", "ada", "renamed"]);
    assert_eq!(report.counts.adopted, 1);
    assert_eq!(situation.user("ada").id, user.id);
    assert_eq!(situation.user("ada").email.unwrap(), "other@studio.test");
    situation.sync_changes_nothing();
    leave(&situation, "ada");
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn the_memory_of_it_is_at_ftrack() {
    let situation = Situation::synced(&["ada", "bob"]);
    done(&situation, &["unlink", "ada"]);
    let user = situation.user("ada");
    fs::remove_dir_all(situation.state_dir()).unwrap();
    assert_untouched(&situation, &user);
    // Nor does another installation with another source make a second one.
    let situation = situation.job("source = \"elsewhere\"\nusers.adopt = \"email\"");
    by_hand(&situation, "bob", &json!({"is_active": true}));
    fs::remove_dir_all(situation.state_dir()).unwrap();
    situation.sync();
    assert_eq!(situation.user("ada"), user);
    assert_eq!(number_of_users(&situation), 2);
}

#[test]
fn plan_and_explain_say_what_it_is() {
    let situation = Situation::synced(&["ada", "bob"]);
    done(&situation, &["unlink", "ada@studio.test"]);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          a person unlinked the ftrack user "ada" from it, so neither is touched, and no other user is made; `link` gives it a user again
    "#);
    let explain = |who: &str| {
        let explained = situation.explain(&[who]).unwrap();
        format!("{}: {}\n", explained.verdict.as_str(), explained.reason)
    };
    let id = situation.user("ada").id;
    assert_eq!(explain("ada"), explain(&id));
    assert_snapshot!(explain("ada"), @r#"not_owned: a person unlinked the ftrack user "ada" from it, so neither is touched, and no other user is made; `link` gives it a user again"#);
    leave(&situation, "ada");
    assert_snapshot!(explain("ada"), @"outside_bases: the entry uid=ada,dc=studio,dc=test lies outside of the job's search bases and scope; a person unlinked the user, by `unlink`; neither the user nor the person is touched until `link`");
    situation
        .tree()
        .remove("uid=ada,dc=studio,dc=test")
        .unwrap();
    assert_snapshot!(explain("ada"), @"not_owned: no entry is known by that name; a person unlinked the user, by `unlink`; neither the user nor the person is touched until `link`");
}

#[test]
fn it_is_refused_where_there_is_nothing_to_end() {
    let situation = Situation::synced(&["ada"]).stranger("nobodys");
    for (user, why) in [
        ("nobodys", "nobody's of any job"),
        ("ldap-sync", "nobody's of any job"),
    ] {
        let error = refused(&situation, &["unlink", user]);
        assert!(error.contains(why), "{error}");
    }
    let error = misnamed(&situation, &["unlink", "nobody"]);
    assert!(error.contains("no user in ftrack"), "{error}");
    let report = done(&situation, &["unlink", "ada", "--dry-run"]);
    assert_eq!((report.changes.len(), report.ftrack.write_calls), (1, 0));
    done(&situation, &["unlink", "ada"]);
    // Once more, nothing is left to do.
    let report = done(&situation, &["unlink", "ada"]);
    assert_eq!((report.changes.len(), report.ftrack.write_calls), (0, 0));
    assert!(
        report.warnings[0].contains("already"),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_user_of_another_job_is_that_jobs_to_unlink() {
    let situation = Situation::of(&["ada", "bob"]).entry(
        TreeEntry::new("ou=london,dc=studio,dc=test").with("objectClass", "organizationalUnit"),
    );
    let mut cyd = person("cyd", "Given", "Cyd");
    cyd.dn = "uid=cyd,ou=london,dc=studio,dc=test".into();
    let situation = situation.entry(cyd);
    add_config(
        &situation,
        "[jobs.london]\ndirectory = \"studio\"\nsearch_bases = [\"ou=london,dc=studio,dc=test\"]\n\
         attributes = { username = \"uid\", email = \"mail\", first_name = \"givenName\", last_name \
         = \"sn\" }\n",
    );
    for job in ["artists", "london"] {
        situation.synced(&["sync", job]);
    }
    let wrong = situation.run(&["unlink", "cyd"]);
    assert_eq!(wrong.status, 2, "{}", wrong.stderr);
    let error = refused(&situation, &["unlink", "cyd", "--job", "artists"]);
    assert!(error.contains("unlink --job london"), "{error}");
    done(&situation, &["unlink", "cyd", "--job", "london"]);
    // Also where the person comes to the other job.
    let (from, to) = ("uid=cyd,ou=london,dc=studio,dc=test", dn("cyd"));
    situation.tree().rename(from, &to).unwrap();
    let user = situation.user("cyd");
    for job in ["artists", "london", "artists"] {
        let report = situation.synced(&["sync", job]);
        assert_eq!(report.changes, [], "{report:#?}");
    }
    assert_eq!(
        (situation.user("cyd"), number_of_users(&situation)),
        (user, 3)
    );
    // And there the person may be linked again.
    done(&situation, &["link", "cyd", "cyd", "--job", "artists"]);
    assert_eq!(link(&situation, "cyd")["source"], "artists");
}

#[test]
fn a_user_becomes_somebody_elses_only_once_the_first_person_is_provided_for() {
    let situation = Situation::synced(&["ada"])
        .entry(person("bob", "Bob", "Brown"))
        .stranger("other");
    done(&situation, &["unlink", "ada"]);
    let error = refused(&situation, &["link", "bob", "ada"]);
    assert!(
        error.contains("`link` that person to a user first"),
        "{error}"
    );
    by_hand(&situation, "ada", &json!({"username": "old"}));
    done(&situation, &["link", "ada", "other"]);
    done(&situation, &["link", "bob", "old"]);
    assert_eq!(number_of_users(&situation), 2);
    situation.sync_changes_nothing();
    assert_eq!(number_of_users(&situation), 2);

    // Or left for good.
    done(&situation, &["unlink", "ada"]);
    situation.tree().remove(&dn("ada")).unwrap();
    situation.tree().add(person("cyd", "Cyd", "Clark")).unwrap();
    done(&situation, &["link", "cyd", "ada"]);
    situation.sync_changes_nothing();
}

#[test]
fn roles_stay_and_are_known_again_after_link() {
    const LEADS: &str = "cn=leads,dc=studio,dc=test";
    let leads = TreeEntry::new(LEADS)
        .with("objectClass", "groupOfNames")
        .with("cn", "leads")
        .with("member", dn("ada"));
    let situation = Situation::of(&["ada", "bob"])
        .entry(leads)
        .job(&format!(
            "roles = {{ \"Project Manager\" = [{LEADS:?}] }}\nlimits.revoke = 10"
        ))
        .after_sync();
    let roles = || situation.user("ada").roles;
    let before = roles();
    assert!(before.contains("Project Manager"));
    let report = done(&situation, &["unlink", "ada"]);
    let named = "keeps the security roles that the job gave it: Project Manager";
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains(named)),
        "{report:#?}"
    );
    situation
        .tree()
        .replace(LEADS, "member", &[&dn("bob")])
        .unwrap();
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert_eq!(roles(), before);
    // The job gave the role, and so takes it.
    done(&situation, &["link", "ada", "ada"]);
    assert!(!roles().contains("Project Manager"));
    situation.sync_changes_nothing();
    // Also later, of somebody who is still a member when the user is linked again.
    done(&situation, &["unlink", "bob"]);
    done(&situation, &["link", "bob", "bob"]);
    situation.sync_changes_nothing();
    let nobody = "cn=nobody,dc=studio,dc=test";
    situation
        .tree()
        .replace(LEADS, "member", &[nobody])
        .unwrap();
    assert_eq!(situation.sync().counts.role_changes, 1);
    assert!(!situation.user("bob").roles.contains("Project Manager"));
}

#[test]
fn a_lost_answer_changes_nothing_of_the_result() {
    for fault in [
        Fault::ResetAfter,
        Fault::ResetBefore,
        Fault::ErrorAfter,
        Fault::CutBody,
    ] {
        let situation = Situation::synced(&["ada", "bob"]);
        situation.ftrack().fail_next(Some(CallKind::Write), fault);
        let ended = situation.run(&["unlink", "ada", "--format", "json"]);
        assert_eq!(ended.status, 0, "{}", ended.stdout);
        assert_eq!(link(&situation, "ada")["activity"], "unlinked");
        assert_untouched(&situation, &situation.user("ada"));
    }
}

#[test]
fn what_unlink_leaves_is_believed_only_of_its_own_user() {
    let situation = Situation::synced(&["ada", "bob"]);
    done(&situation, &["unlink", "ada"]);
    let value = situation.user("ada").metadata["ftrack-ldap-sync"].clone();
    let other = Account {
        metadata: [("ftrack-ldap-sync".to_owned(), value)].into(),
        is_active: true,
        ..account("cyd")
    };
    situation.ftrack().add_user(&other).unwrap();
    situation.tree().add(person("cyd", "Cyd", "Clark")).unwrap();
    let report = situation.sync();
    assert_eq!(report.counts.held, 1, "{report:#?}");
    assert_ne!(link(&situation, "cyd"), Value::Null);
}

#[test]
fn with_a_link_key_what_is_not_signed_is_named_and_makes_no_second_user() {
    let mut situation = Situation::of(&["ada", "bob"]);
    situation.ftrack_settings = "link_key = \"a-key-that-signs-the-links-0123\"".into();
    situation.sync();
    done(&situation, &["unlink", "ada"]);
    let report = situation.sync_changes_nothing();
    assert_eq!(report.warnings, [] as [String; 0]);
    // Somebody marks a user so without the key.
    let forge = |uid: &str| {
        let mut forged = link(&situation, uid);
        forged["activity"] = json!("unlinked");
        forged["signature"] = json!("00".repeat(32));
        let key = json!([situation.user(uid).id, "ftrack-ldap-sync"]);
        let value = json!({"value": forged.to_string()});
        situation.ftrack().change("Metadata", &key, &value).unwrap();
    };
    forge("ada");
    forge("bob");
    let report = situation.sync_changes_nothing();
    let named = |uid: &str| {
        let text = format!("the user {uid:?} is marked as unlinked");
        report
            .warnings
            .iter()
            .any(|warning| warning.contains(&text))
    };
    assert!(named("ada") && named("bob"), "{:?}", report.warnings);
    assert_eq!(number_of_users(&situation), 2);
    // A person says that one is meant, and that the other is not.
    done(&situation, &["unlink", "ada"]);
    done(&situation, &["link", "bob", "bob"]);
    let report = situation.sync_changes_nothing();
    assert_eq!(report.warnings, [] as [String; 0]);
    leave(&situation, "bob");
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn several_may_be_unlinked_and_the_next_sync_goes_on() {
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan"]);
    for uid in ["ada", "bob", "cyd"] {
        done(&situation, &["unlink", uid]);
    }
    let report = situation.sync_changes_nothing();
    assert_eq!(
        (report.outcome, report.skipped.len()),
        (Outcome::Succeeded, 3)
    );
    assert_eq!((report.ftrack.owned, report.ftrack.linked), (1, Some(4)));
}
