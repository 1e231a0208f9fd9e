//! `users`: the people of a job with their users.

use ftrack_ldap_sync::demo::{directory::TreeEntry, ftrack::Account};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{done, listed, users};
use crate::{
    rules::{account, by_hand, leave, make_administrator},
    situations::Situation,
    studio::{dn, person},
};

const LEADS: &str = "cn=leads,dc=studio,dc=test";

/// A job with everybody who may be in a list.
fn situation() -> Situation {
    let leads = TreeEntry::new(LEADS)
        .with("objectClass", "groupOfNames")
        .with("cn", "leads")
        .with("member", dn("fay"));
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"])
        .entry(leads)
        .stranger("nobodys")
        .job(&format!(
            "users = {{ absent_after = \"30d\", out_of_scope_after = \"0s\", protect = [\"ada\"] }}\n\
             roles = {{ \"Project Manager\" = [{LEADS:?}] }}\nlimits.deactivate = 10"
        ))
        .after_sync();
    leave(&situation, "bob");
    situation.sync();
    by_hand(&situation, "cyd", &json!({"is_active": false}));
    leave(&situation, "dan");
    situation.sync();
    by_hand(&situation, "dan", &json!({"is_active": true}));
    make_administrator(&situation, "eve");
    done(&situation, &["unlink", "gus"]);
    situation.tree().remove(&dn("hal")).unwrap();
    situation.sync();
    situation
}

#[test]
fn the_people_of_a_job_are_listed_with_their_users() {
    let situation = situation();
    situation.ftrack().forget();
    let reports = situation.reports();
    let listed = listed(&situation);
    assert_eq!(situation.ftrack().counters().write_calls, 0);
    assert_eq!(situation.reports(), reports);
    let shown = |key: &str| -> Vec<(String, Value)> {
        let users = listed.iter();
        users
            .map(|user| {
                (
                    user["username"].as_str().unwrap().to_owned(),
                    user[key].clone(),
                )
            })
            .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
            .collect()
    };
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, Value)> {
        let pairs = pairs.iter();
        pairs
            .map(|(user, value)| ((*user).to_owned(), json!(value)))
            .collect()
    };
    assert_eq!(
        shown("state"),
        of(&[
            ("ada", "active"),
            ("bob", "deactivated"),
            ("cyd", "deactivated_by_hand"),
            ("dan", "reactivated_by_hand"),
            ("eve", "active"),
            ("fay", "active"),
            ("gus", "unlinked"),
            ("hal", "active"),
        ])
    );
    let names =
        |key: &str| -> Vec<String> { shown(key).into_iter().map(|(user, _)| user).collect() };
    assert_eq!(names("protected"), ["ada"]);
    assert_eq!(names("administrator"), ["eve"]);
    assert_eq!(names("deactivated_at"), ["bob"]);
    assert_eq!(names("missing_since"), ["hal"]);
    let ada = &listed[0];
    assert_eq!(listed[5]["roles"], json!(["Project Manager"]));
    assert_eq!(ada["roles"], json!([]));
    assert_eq!(ada["groups"], json!([]));
    assert_eq!(ada["dn"], dn("ada"));
    assert_eq!(ada["ftrack_id"], situation.user("ada").id);
    let id = situation.tree().entry_uuid(&dn("ada")).unwrap().to_string();
    assert_eq!(ada["directory_id"], id);

    let text = users(&situation, &["artists"]).stdout;
    let row = |name: &str| {
        text.lines()
            .find(|line| line.trim().starts_with(name))
            .unwrap()
    };
    assert!(row("ada").contains("yes"), "{text}");
    assert!(row("fay").contains("Project Manager"), "{text}");
    assert!(row("hal").contains("missing since"), "{text}");
    assert!(row("eve").contains("administrator"), "{text}");
    assert!(
        text.contains("8 users, 6 active, 1 of them unlinked. From the links in ftrack"),
        "{text}"
    );
    let csv = users(&situation, &["--format", "csv"]).stdout;
    let mut lines = csv.split("\r\n");
    assert_snapshot!(lines.next().unwrap(), @"directory_id,dn,username,ftrack_id,email,active,state,deactivated_at,missing_since,disabled_since,protected,administrator,roles,groups");
    let user = &situation.user("ada").id;
    let line = lines.next().unwrap();
    assert_eq!(
        line,
        format!(
            "{id},\"{}\",ada,{user},ada@studio.test,true,active,,,,true,false,,",
            dn("ada")
        )
    );
    assert_eq!(csv.lines().count(), 9);
    // Where no run knows where the entry is, what stands there is called what it is.
    let gus = listed[6]["directory_id"].as_str().unwrap();
    std::fs::remove_dir_all(situation.state_dir()).unwrap();
    let without = users(&situation, &[]).stdout;
    assert!(without.contains(&format!(" id {gus}")), "{without}");
}

#[test]
fn nothing_in_a_list_is_a_formula_or_reaches_the_terminal() {
    let situation = Situation::of(&["ada"])
        .entry(person("=cmd|x", "Given", "Formula"))
        .after_sync();
    let login = "a\u{1b}[2Jda,\"\r\nx";
    by_hand(&situation, "ada", &json!({"username": login}));
    for format in ["text", "csv", "json"] {
        let text = users(&situation, &["--format", format]).stdout;
        assert!(!text.contains('\u{1b}'), "{format}: {text:?}");
    }
    let csv = users(&situation, &["--format", "csv"]).stdout;
    assert!(csv.contains(",\"'=cmd|x\","), "{csv}");
    assert!(
        csv.contains(",\"a\\u{1b}[2Jda,\"\"\\u{d}\\u{a}x\","),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn a_list_of_nobody_or_of_no_job_says_so() {
    let situation = Situation::of(&["ada"]).account(Account {
        is_active: true,
        ..account("nobodys")
    });
    let text = users(&situation, &[]).stdout;
    assert_eq!(text, "No user in ftrack has a link of the job artists.\n");
    assert_eq!(users(&situation, &["--format", "json"]).stdout, "[]\n");
    assert_eq!(
        users(&situation, &["--format", "csv"])
            .stdout
            .lines()
            .count(),
        1
    );
    let wrong = situation.run(&["users", "nojob"]);
    assert_eq!(wrong.status, 2, "{}", wrong.stderr);
}

#[test]
fn who_is_inactive_is_not_waited_for() {
    let situation = Situation::synced(&["ada", "bob", "cyd"])
        .job("users.absent_after = \"30d\"\nlimits.deactivate = 2")
        .after_sync();
    for uid in ["ada", "bob"] {
        situation.tree().remove(&dn(uid)).unwrap();
    }
    situation.sync();
    by_hand(&situation, "ada", &json!({"is_active": false}));
    let listed = listed(&situation);
    assert_eq!(listed[0]["missing_since"], Value::Null, "{listed:#?}");
    assert_ne!(listed[1]["missing_since"], Value::Null, "{listed:#?}");
}
