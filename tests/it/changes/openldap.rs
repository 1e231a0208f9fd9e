//! OpenLDAP, which tells what changed by content synchronization (RFC 4533).

use ftrack_ldap_sync::demo::ftrack::{CallKind, Fault};
use serde_json::json;

use super::*;
use crate::rules::account;

/// A slapd with these people that remembers so many deletes.
pub fn slapd(uids: &[&str], remembers: usize) -> Slapd {
    slapd_with(&people(uids.iter().copied()), remembers)
}

/// The same with these entries.
pub fn slapd_with(entries: &str, remembers: usize) -> Slapd {
    let mut setup = Setup::new(entries.to_owned());
    setup.global = "moduleload syncprov".into();
    let overlay = format!("overlay syncprov\nsyncprov-sessionlog {remembers}");
    setup.database(&overlay).start()
}

const EIGHT: [&str; 8] = ["ada", "bea", "cleo", "dora", "eva", "fay", "gwen", "hope"];

/// A directory whose people have users, after a run that read everything.
fn after_a_run(remembers: usize) -> (Slapd, Studio) {
    let slapd = slapd(&EIGHT, remembers);
    let mut studio = studio(slapd.url().as_str());
    studio.job += "limits = { deactivate = 5 }\n";
    assert_eq!(studio.sync().counts.created, EIGHT.len());
    (slapd, studio)
}

pub fn leaves(uid: &str) -> String {
    format!("dn: uid={uid},{PEOPLE}\nchangetype: delete\n\n")
}

pub fn is_called(uid: &str, last: &str) -> String {
    format!("dn: uid={uid},{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: {last}\n\n")
}

#[test]
fn who_joins_leaves_changes_and_moves_is_found_and_nobody_else_is_read() {
    let (slapd, studio) = after_a_run(100);
    assert_eq!(changes(&studio), None, "nothing changed since");
    slapd.change(&format!(
        "{}{}{}dn: uid=dora,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=nora\ndeleteoldrdn: \
         1\n\ndn: uid=eva,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=eva\ndeleteoldrdn: \
         0\nnewsuperior: dc=studio,dc=test\n",
        person("ida"),
        leaves("bea"),
        is_called("cleo", "New"),
    ));
    let report = some_changes(&studio);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(
        done(&report),
        [
            "create ida applied",
            "deactivate bea applied",
            "deactivate eva applied",
            "update cleo applied",
            "update nora applied",
        ]
    );
    let directory = report.directory.as_ref().unwrap();
    assert!(!directory.complete, "it is not a complete reading");
    assert_eq!(
        part(&report).unwrap(),
        &ChangesPart {
            by: "cookie".into(),
            changed: 3,
            deleted: 2
        }
    );
    let reason = |login: &str| {
        let mut changes = report.changes.iter();
        changes
            .find(|change| change.username == login)
            .unwrap()
            .reason
            .clone()
    };
    assert!(
        reason("bea").contains("no longer in the directory"),
        "{}",
        reason("bea")
    );
    assert!(
        reason("eva").contains("outside of the job's search bases"),
        "{}",
        reason("eva")
    );
    assert!(studio.user("nora").is_active);
    assert!(!studio.user("bea").is_active);
    assert_eq!(studio.user("cleo").last_name.as_deref(), Some("New"));
    // The cookie is kept with what it covers, and a run that reads everything finds the same.
    assert_eq!(changes(&studio), None);
    studio.sync_changes_nothing();
    assert_eq!(changes(&studio), None);
}

#[test]
fn where_the_server_names_who_is_there_instead_the_others_are_looked_for() {
    // A log of deletes that is too short makes slapd name everybody who is there.
    let (slapd, studio) = after_a_run(1);
    slapd.change(&format!(
        "{}{}{}{}",
        leaves("ada"),
        leaves("bea"),
        leaves("cleo"),
        is_called("dora", "New")
    ));
    let report = some_changes(&studio);
    assert_eq!(
        done(&report),
        [
            "deactivate ada applied",
            "deactivate bea applied",
            "deactivate cleo applied",
            "update dora applied",
        ]
    );
    assert_eq!(changes(&studio), None);
    studio.sync_changes_nothing();
}

#[test]
fn a_cookie_that_the_server_does_not_know_means_that_everything_is_read() {
    let (slapd, studio) = after_a_run(100);
    for cookie in [
        "garbage",
        "rid=000,csn=20990101000000.000000Z#000000#000#000000",
    ] {
        let hex: String = cookie.bytes().map(|byte| format!("{byte:02x}")).collect();
        let state = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
        let changed = state
            .execute(
                "UPDATE known_changes SET known = \
                 json_set(known, '$.position.marks[0].at.cookie', ?1)",
                [&hex],
            )
            .unwrap();
        assert_eq!(changed, 1);
        drop(state);
        let uid = format!("new{}", cookie.len());
        slapd.change(&person(&uid));
        let report = changes(&studio).unwrap();
        assert_eq!(part(&report), None, "{report:#?}");
        assert!(report.directory.as_ref().unwrap().complete);
        assert_eq!(done(&report), [format!("create {uid} applied")]);
        assert!(
            report.warnings[0].starts_with("everything was read instead of what changed: "),
            "{:?}",
            report.warnings
        );
        // It noted a cookie that is good.
        slapd.change(&leaves(&uid));
        assert_eq!(
            done(&some_changes(&studio)),
            [format!("deactivate {uid} applied")]
        );
    }
}

#[test]
fn what_ftrack_refuses_comes_again_although_nothing_changed_since() {
    let (slapd, studio) = after_a_run(100);
    // The index does not know of a user whom somebody made since.
    let stranger = studio.ftrack().add_user(&account("ida")).unwrap();
    slapd.change(&format!("{}{}", person("ida"), is_called("ada", "New")));
    let report = some_changes(&studio);
    assert_eq!(report.outcome, Outcome::Partial, "{report:#?}");
    assert_eq!(done(&report), ["create ida failed", "update ada applied"]);
    let again = some_changes(&studio);
    assert_eq!(done(&again), ["create ida failed"]);
    studio
        .ftrack()
        .change("User", &json!(stranger), &json!({"username": "other"}))
        .unwrap();
    assert_eq!(done(&some_changes(&studio)), ["create ida applied"]);
    assert_eq!(changes(&studio), None);
}

#[test]
fn a_cookie_is_kept_only_with_what_it_covers() {
    let (slapd, studio) = after_a_run(100);
    slapd.change(&format!("{}{}", is_called("ada", "New"), leaves("bea")));
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::Html(500)));
    let report = changes(&studio).unwrap();
    assert_ne!(report.outcome, Outcome::Succeeded, "{report:#?}");
    studio.ftrack().heal();
    // Whatever became of it, the next run finds out, and does the rest.
    let _ = changes(&studio);
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("New"));
    assert!(!studio.user("bea").is_active);
    studio.sync_changes_nothing();
}

#[test]
fn what_a_limit_holds_is_held_over_both_kinds_of_runs_and_reported_once() {
    let slapd = slapd(&EIGHT, 100);
    let mut studio = studio(slapd.url().as_str());
    studio.job += "limits = { deactivate = 2 }\n";
    studio.sync();
    slapd.change(&leaves("ada"));
    assert_eq!(done(&some_changes(&studio)), ["deactivate ada applied"]);
    slapd.change(&format!("{}{}", leaves("bea"), leaves("cleo")));
    let held = some_changes(&studio);
    assert_eq!(held.outcome, Outcome::Held);
    assert_eq!(done(&held), ["deactivate bea held", "deactivate cleo held"]);
    assert_eq!(changes(&studio), None, "it is known");
    let all = studio.sync();
    assert_eq!(done(&all), ["deactivate bea held", "deactivate cleo held"]);
    // One comes back: it is no longer held, and the other one stays.
    slapd.change(&person("bea"));
    let report = changes(&studio).unwrap();
    assert!(
        !done(&report).contains(&"deactivate cleo applied".to_owned()),
        "{report:#?}"
    );
    assert!(studio.user("cleo").is_active);
}

#[test]
fn who_moves_from_one_search_base_to_another_stays() {
    let slapd = slapd(&EIGHT, 100);
    let mut studio = studio(slapd.url().as_str());
    slapd.change(&person("gina").replace("ou=people", "ou=groups"));
    // The key holds a list.
    studio.search_base = format!("{PEOPLE}|ou=groups,dc=studio,dc=test");
    assert_eq!(studio.sync().counts.created, EIGHT.len() + 1);
    slapd.change(&format!(
        "dn: uid=ada,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=ada\ndeleteoldrdn: \
         0\nnewsuperior: ou=groups,dc=studio,dc=test\n\n{}",
        is_called("bea", "New")
    ));
    assert_eq!(done(&some_changes(&studio)), ["update bea applied"]);
    slapd.change(&leaves("cleo"));
    assert_eq!(done(&some_changes(&studio)), ["deactivate cleo applied"]);
    studio.sync_changes_nothing();
}

#[test]
fn who_is_disabled_by_a_filter_is_found_among_those_who_changed() {
    let slapd = slapd(&EIGHT, 100);
    let mut studio = studio(slapd.url().as_str());
    studio.job += "disabled = \"(employeeType=locked)\"\nlimits = { deactivate = 5 }\n";
    studio.sync();
    let locks = |uid: &str| {
        format!(
            "dn: uid={uid},{PEOPLE}\nchangetype: modify\nadd: employeeType\nemployeeType: locked\n\n"
        )
    };
    slapd.change(&format!("{}{}", locks("ada"), is_called("bea", "New")));
    let report = some_changes(&studio);
    assert_eq!(
        done(&report),
        ["deactivate ada applied", "update bea applied"]
    );
    slapd.change(&format!(
        "dn: uid=ada,{PEOPLE}\nchangetype: modify\ndelete: employeeType\n\n"
    ));
    assert_eq!(done(&some_changes(&studio)), ["reactivate ada applied"]);
    studio.sync_changes_nothing();
}

#[test]
fn a_changed_configuration_and_a_search_base_without_anybody_mean_that_everything_is_read() {
    let (slapd, mut studio) = after_a_run(100);
    slapd.change(&is_called("ada", "New"));
    studio.attributes = studio.attributes.replace("\"sn\"", "\"uid\"");
    let report = changes(&studio).unwrap();
    assert_eq!(part(&report), None, "{report:#?}");
    assert!(
        report.warnings[0].contains("the configuration changed"),
        "{:?}",
        report.warnings
    );
    // A base that is empty at once is judged by the whole reading.
    slapd.change(&EIGHT.map(leaves).concat());
    let report = changes(&studio).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|it| it.contains("shows nobody any more"))
            || report.outcome == Outcome::Failed,
        "{report:#?}"
    );
    assert_eq!(report.counts.deactivated, 0);
}

#[test]
fn a_successor_of_a_leaver_is_seen_although_it_changed_before() {
    let (slapd, studio) = after_a_run(100);
    // An entry that asks for the login of another one gets no user.
    slapd.change(
        &person("ada")
            .replace("dn: uid=ada,", "dn: cn=ada again,")
            .replace("cn: Given ada", "cn: ada again"),
    );
    let report = changes(&studio).unwrap();
    assert!(
        report.changes.is_empty() && !report.skipped.is_empty(),
        "{report:#?}"
    );
    assert_eq!(changes(&studio), None, "it is known");
    slapd.change(&leaves("ada"));
    let report = some_changes(&studio);
    assert_eq!(done(&report)[0], "deactivate ada held", "{report:#?}");
    let whole = studio.sync();
    assert_eq!(done(&whole)[0], "deactivate ada held", "{whole:#?}");
}

#[test]
fn a_job_without_the_schedule_reads_no_changes() {
    let slapd = slapd(&EIGHT[..2], 100);
    let mut studio = studio(slapd.url().as_str());
    studio.job.clear();
    let ended = studio.run(&["sync", "--changes"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("has no changes_schedule"),
        "{}",
        ended.stderr
    );
    studio.job = "changes_schedule = \"* * * * *\"\n".into();
    let ended = studio.run(&["check", "--offline"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stdout.contains("needs a schedule") || ended.stderr.contains("needs a schedule"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn a_check_and_a_report_say_how_what_changed_is_read() {
    let (slapd, studio) = after_a_run(100);
    let checked = studio.run(&["check"]).stdout;
    for said in [
        "* * * * * in UTC: ",
        "what changed is found by content synchronization with a cookie (RFC 4533)",
    ] {
        assert!(checked.contains(said), "{said}: {checked}");
    }
    slapd.change(&format!("{}{}", is_called("ada", "New"), leaves("bea")));
    let said = studio.run(&["sync", "--changes"]).stdout;
    for line in [
        ": only what changed: 1 entry, and 1 person no longer there",
        " users whom that may concern; ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("not read to its end"), "{said}");
}

#[test]
fn a_server_that_lags_behind_writes_nothing_old_through_a_run_of_changes() {
    let numbered = |export: Option<String>| {
        let setup = Setup::new(people(EIGHT)).provider(1);
        match export {
            Some(export) => setup.export(export).start(),
            None => setup.start(),
        }
    };
    let current = numbered(None);
    // So that there is a change that a backup has.
    current.change(&is_called("hope", "Old"));
    let mut studio = studio(current.url().as_str());
    let rest = "disabled = \"(employeeType=locked)\"\nlimits = { deactivate = 5 }\n";
    studio.job += rest;
    // In the backup, ada is locked and bea is not.
    let lock = |uid: &str, how: &str| {
        format!(
            "dn: uid={uid},{PEOPLE}\nchangetype: modify\n{how}: employeeType\nemployeeType: locked\n\n"
        )
    };
    current.change(&lock("ada", "add"));
    let backup = current.export();
    let newest = backup
        .lines()
        .filter_map(|line| line.strip_prefix("entryCSN: "))
        .filter(|csn| csn.contains("#001#"))
        .max()
        .unwrap();
    let backup = backup.replacen("\n\n", &format!("\ncontextCSN: {newest}\n\n"), 1);
    current.change(&format!("{}{}", lock("ada", "delete"), lock("bea", "add")));
    let first = studio.sync();
    assert_eq!(first.counts.created, EIGHT.len() - 1, "{first:#?}");
    assert!(studio.user("ada").is_active);
    let before = studio.ftrack().users();
    drop(current);

    let restored = numbered(Some(backup));
    studio.directory_url = restored.url().to_string();
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Held, "{report:#?}");
    assert!(studio.user("ada").is_active, "{report:#?}");
    let report = changes(&studio);
    assert!(studio.user("ada").is_active, "{report:#?}");
    let logins = |users: &[ftrack_ldap_sync::demo::ftrack::Account]| users.len();
    assert_eq!(
        logins(&studio.ftrack().users()),
        logins(&before) + 1,
        "{report:#?}"
    );
}
