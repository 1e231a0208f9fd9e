//! `sync --only WHO…`: what concerns some people alone is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dismissed;

use std::fs;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::HeldBy,
        report::{Outcome, Report},
    },
};
use insta::assert_snapshot;
use serde_json::json;

use crate::{
    rules::{account, by_hand, leave, logins},
    situations::Situation,
    studio::{Studio, dn, person},
};

fn only(studio: &Studio, who: &[&str]) -> Report {
    let arguments = [&["sync", "--format", "json", "--only"], who].concat();
    let report = studio.synced(&arguments);
    assert_eq!(report.only, who);
    report
}

/// Who is changed, in alphabetical order.
fn changed(report: &Report) -> Vec<&str> {
    let changes = report.changes.iter();
    let mut logins: Vec<&str> = changes.map(|change| change.username.as_str()).collect();
    logins.sort_unstable();
    logins
}

#[test]
fn one_leaver_loses_access_and_nobody_else_is_touched() {
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan"])
        .entry(person("eve", "Eve", "Eve"))
        .then(|studio| {
            leave(studio, "ada");
            leave(studio, "bob");
            let mail = ["other@studio.test"];
            studio.tree().replace(&dn("cyd"), "mail", &mail).unwrap();
        });
    let others = || {
        let mut users = situation.ftrack().users();
        users.retain(|user| user.username != "ada");
        users
    };
    let before = others();
    let report = only(&situation, &["ada@studio.test"]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(changed(&report), ["ada"]);
    assert_eq!((report.counts.deactivated, report.counts.unchanged), (1, 0));
    assert!(!situation.user("ada").is_active);
    assert_eq!(others(), before);
    assert_eq!(only(&situation, &["ada"]).counts.changed(), 0);

    // The others come with the next run; whoever was deactivated counts in the limit.
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Held);
    assert_eq!((report.counts.created, report.counts.updated), (1, 1));
    let held = report
        .changes
        .iter()
        .filter(|change| change.held_by.is_some());
    let held: Vec<_> = held
        .map(|change| (&*change.username, change.held_by))
        .collect();
    assert_eq!(held, [("bob", Some(HeldBy::Limit))]);
}

#[test]
fn several_are_named_by_whatever_identifies_them() {
    let situation = Situation::of(&["ada", "bob", "cyd"]);
    let id = situation.explain(&["bob"]).unwrap().directory.unwrap();
    let report = only(&situation, &[&dn("ada"), &id.directory_id.unwrap()]);
    assert_eq!(changed(&report), ["ada", "bob"]);
    let user = situation.user("ada").id;
    by_hand(&situation, "ada", &json!({"first_name": "Other"}));
    by_hand(&situation, "bob", &json!({"first_name": "Other"}));
    assert_eq!(changed(&only(&situation, &[&user])), ["ada"]);
}

#[test]
fn a_name_that_nobody_or_several_have_writes_nothing() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        leave(studio, "ada");
        let mail = ["shared@studio.test"];
        for uid in ["cyd", "dan"] {
            studio.tree().add(person(uid, "Given", uid)).unwrap();
            studio.tree().replace(&dn(uid), "mail", &mail).unwrap();
        }
    });
    let (before, left) = (situation.reports(), journals(&situation));
    for (who, why) in [
        (["ada", "nobody"], "nobody"),
        (["ada", "shared@studio.test"], "may be"),
        (["ada", "ldap-sync"], "ldap-sync"),
        (["ada", "bbo"], "did you mean"),
    ] {
        let refused = situation.run(&[&["sync", "--only"], &who[..]].concat());
        assert_eq!(refused.status, 2, "{}", refused.stdout);
        let error = &refused.stderr;
        assert!(error.contains(why) && error.contains("--only"), "{error}");
        assert!(situation.user("ada").is_active);
        // It was no run.
        assert_eq!(situation.reports(), before);
        assert_eq!(journals(&situation), left);
    }
}

/// What runs that are under way, or were killed, leave.
fn journals(studio: &Studio) -> Vec<String> {
    let journals = studio.state_dir().join("journals/artists");
    let found = fs::read_dir(journals).into_iter().flatten();
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// What `sync --only ada` says at its end.
fn told(situation: &Situation) -> String {
    let ended = situation.run(&["sync", "--only", "ada"]);
    let at = ended
        .stdout
        .find("\nada ")
        .unwrap_or_else(|| panic!("{}", ended.stdout));
    format!("{}{}", ended.status, situation.plain(&ended.stdout[at..]))
}

#[test]
fn whoever_keeps_access_is_named_with_why_and_what_to_do() {
    let synced = || Situation::synced(&["ada", "bob", "cyd"]);
    let waits = synced()
        .job("users.deactivate_after = \"2d\"")
        .then(|studio| leave(studio, "ada"));
    let disabled = synced()
        .job(
            "disabled = \"(title=gone)\"\nusers.disabled_after = \"1d\"\nconfig_change = \"apply\"",
        )
        .then(|studio| {
            studio
                .tree()
                .replace(&dn("ada"), "title", &["gone"])
                .unwrap()
        });
    let closed = synced()
        .job("[[jobs.artists.freezes]]\nfrom = \"2020-01-01\"\nto = \"2999-01-01\"\nwhat = [\"deactivate\"]")
        .then(|studio| leave(studio, "ada"));
    let present = synced();
    let gone = synced().then(|studio| leave(studio, "ada"));
    let new = Situation::of(&["ada"]);
    let all = [waits, disabled, closed, present, gone, new];
    let all: String = all.iter().map(told).collect();
    assert_snapshot!(all, @"
    3
    ada still has access: the person has been missing since [time], in 1 complete read, and users.deactivate_after is not over
      To end it: users.deactivate_after counts for everybody, and no command passes it for one person: deactivate the user in ftrack by hand, which the program then leaves so, or shorten that time.
    3
    ada still has access: the person's account has been disabled in the directory since [time], in 1 complete read, and users.disabled_after is not over
      To end it: users.disabled_after counts for everybody, and no command passes it for one person: deactivate the user in ftrack by hand, which the program then leaves so, or shorten that time.
    3
    ada still has access: the person is still in the directory, but the entry is outside of the job's search bases and scope; the deactivation is held: deactivate is frozen from 2020-01-01 to 2999-01-01; the first run from [time] on writes it, or a person's approval: `approve 1` writes it
      To end it: `approve 1 --only ada` writes it for this person alone; or deactivate the user in ftrack by hand, which the program then leaves so.
    0
    ada still has access, because the directory shows the person among the job's people
      To end it: disable the account in the directory, and name the person again; or deactivate the user in ftrack by hand, which the program then leaves so.
    0
    ada has no access any more, because the person is still in the directory, but the entry is outside of the job's search bases and scope
    0
    ada has access now, because the person is in the directory, and got a user
    ");
}

#[test]
fn people_who_swap_logins_go_together() {
    let mut situation = Situation::of(&[])
        .numbered("ada", "1")
        .numbered("bob", "2")
        .job("limits.rename = 10");
    situation.attributes = "username = \"employeeNumber\"".into();
    let situation = situation.after_sync().then(|studio| {
        for (uid, login) in [("ada", "2"), ("bob", "1")] {
            let tree = studio.tree();
            tree.replace(&dn(uid), "employeeNumber", &[login]).unwrap();
        }
    });
    let refused = situation.run(&["sync", "--only", &dn("ada")]);
    assert_eq!(refused.status, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("name both"), "{}", refused.stderr);
    let report = only(&situation, &[&dn("ada"), &dn("bob")]);
    assert_eq!(report.counts.updated, 2, "{report:#?}");
}

#[test]
fn what_holds_a_change_holds_it_here_as_well() {
    let situation = Situation::synced(&["ada", "bob", "cyd"])
        .job("users.protect = [\"ada\"]")
        .after_sync()
        .then(|studio| {
            leave(studio, "ada");
            leave(studio, "bob");
        });
    let report = only(&situation, &["ada"]);
    assert_eq!(report.outcome, Outcome::Held);
    assert_eq!(report.changes[0].held_by, Some(HeldBy::Protected));
    assert!(situation.user("ada").is_active);
    assert!(situation.user("bob").is_active);
}

#[test]
fn the_next_run_judges_the_others_as_if_it_had_not_been() {
    // A changed configuration holds those whom it affects.
    let mut situation = Situation::synced(&["ada", "bob", "cyd"]);
    let mail = ["other@studio.test"];
    situation.tree().replace(&dn("cyd"), "mail", &mail).unwrap();
    situation.filter = "(&(objectClass=inetOrgPerson)(uid=c*))".into();
    let report = only(&situation, &["cyd"]);
    assert_eq!(changed(&report), ["cyd"]);
    let report = situation.sync();
    let held = report.changes.iter().map(|change| change.held_by);
    assert!(held.eq([Some(HeldBy::Configuration); 2]), "{report:#?}");

    // The first contact goes on: users are adopted, and the limit of creates does not count.
    let user = Account {
        is_active: true,
        ..account("bob")
    };
    let situation = Situation::of(&["ada", "bob"]).account(user);
    assert_eq!(changed(&only(&situation, &["ada"])), ["ada"]);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(
        logins(&report, ftrack_ldap_sync::model::change::Action::Adopt),
        ["bob"]
    );
    assert_eq!(situation.sync().counts.changed(), 0);
}

#[test]
fn who_has_just_gone_missing_waits() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("users.deactivate_after = \"1h\"")
        .then(|studio| leave(studio, "ada"));
    let report = only(&situation, &["ada"]);
    assert_eq!(
        (report.outcome, report.changes.len()),
        (Outcome::Succeeded, 0)
    );
    let named = &report.named[0];
    assert_eq!(
        (
            named.had_access,
            named.has_access,
            named.username.as_deref()
        ),
        (true, true, Some("ada"))
    );
    assert_eq!(
        situation.explain(&["ada"]).unwrap().verdict.as_str(),
        "waiting"
    );
}

#[test]
fn bad_usage_is_refused_and_a_dry_run_writes_nothing() {
    let situation = Situation::of(&["ada", "bob"]);
    let dry = situation.synced(&["sync", "--format", "json", "--dry-run", "--only", "ada"]);
    assert_eq!((changed(&dry), dry.ftrack.write_calls), (vec!["ada"], 0));
    for arguments in [
        &["sync", "--only"] as &[&str],
        &["sync", "--changes", "--only", "ada"],
    ] {
        assert_eq!(situation.run(arguments).status, 2);
    }
    let text = situation.run(&["sync", "--only", "ada"]);
    assert_eq!(text.status, 0, "{}", text.stderr);
    assert!(
        text.stdout.contains("  only       ada\n"),
        "{}",
        text.stdout
    );
    let status: Vec<Report> = situation.reports();
    assert_eq!(status.last().unwrap().only, ["ada"]);

    let situation = situation.job("mode = \"observe\"");
    let refused = situation.run(&["sync", "--only", "bob"]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("observe"), "{}", refused.stderr);
}

#[test]
fn whoever_gets_a_user_only_by_an_approval_is_told_its_number() {
    let situation = Situation::synced(&["bob", "cyd"])
        .stranger("ada")
        .entry(person("ada", "Ada", "Lund"));
    assert_snapshot!(told(&situation), @"
    3
    ada still has access, because the directory shows the person among the job's people; the adoption is held (adoption, hold 1): `approve 1 --only ada` writes it
      To end it: disable the account in the directory, and name the person again; or deactivate the user in ftrack by hand, which the program then leaves so.
    ");
}
