//! The directories that tell what changed in other ways than OpenLDAP does.

use super::*;
use crate::{
    ability::must_skip_as_root,
    directories::{OF_389, OF_SAMBA, servers::RealDirectory, situation},
    situations::Situation,
};

/// A studio with this directory, of two people.
fn of_two(directory: &RealDirectory) -> Situation {
    directory.join("ada");
    directory.join("bob");
    let mut situation = situation(directory);
    *situation = std::mem::replace(&mut *situation, Studio::empty()).end_to_end();
    situation.job =
        format!("{SCHEDULES}limits = {{ deactivate = 10, rename = 10, reactivate = 10 }}\n");
    assert_eq!(situation.sync().counts.created, 2);
    assert_eq!(changes(&situation), None, "nothing changed since");
    situation
}

/// Somebody joins, and somebody gets another name.
fn join_and_rename(directory: &RealDirectory) {
    directory.join("cyd");
    directory.change(
        "dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: sn\nsn: New\n",
    );
}

/// Somebody joins a group, and somebody leaves it.
fn follow_a_group(directory: &RealDirectory, mut situation: Situation) {
    let groups = "ou=groups,dc=studio,dc=test";
    if directory.kind.is_active_directory() {
        directory.change(&format!("dn: {groups}\nobjectClass: organizationalUnit\n"));
    }
    let artists = format!("cn=artists,{groups}");
    let person = |name: &str| format!("cn={name},{PEOPLE}");
    directory.group(&artists, &[person("ada")]);
    situation.job += &format!("member_of = [{artists:?}]\nconfig_change = \"apply\"\n");
    situation.sync();
    assert_eq!(changes(&situation), None, "nothing changed since");
    directory.join("dan");
    assert_eq!(changes(&situation), None, "dan is no member");
    directory.members(&artists, "add", &person("dan"));
    assert_eq!(done(&some_changes(&situation)), ["create dan applied"]);
    directory.members(&artists, "delete", &person("ada"));
    let report = some_changes(&situation);
    assert_eq!(done(&report), ["deactivate ada applied"]);
    assert_eq!(changes(&situation), None);
    situation.sync_changes_nothing();
}

/// Changes what the program keeps of the directory's position, as if the server were another one.
fn set_position(studio: &Studio, key: &str, value: &str) {
    let state = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    let changed = state
        .execute(
            &format!("UPDATE known_changes SET known = json_set(known, '$.position.marks[0].at.{key}', json(?1))"),
            [value],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

/// A run of changes that reads everything, since the server does not know its position, and what it
/// says about that.
fn reads_everything(studio: &Studio) -> String {
    let report = changes(studio).unwrap();
    assert_eq!(part(&report), None, "{report:#?}");
    assert!(report.directory.as_ref().unwrap().complete);
    let why = report.warnings[0].strip_prefix("everything was read instead of what changed: ");
    why.unwrap().to_owned()
}

#[test]
fn on_389_directory_server_the_cookie_tells_who_left() {
    if must_skip_as_root("on_389_directory_server_the_cookie_tells_who_left", OF_389) {
        return;
    }
    let directory = RealDirectory::ds389();
    let situation = of_two(&directory);
    join_and_rename(&directory);
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let report = some_changes(&situation);
    assert_eq!(part(&report).unwrap().by, "cookie");
    assert_eq!(
        done(&report),
        [
            "create cyd applied",
            "deactivate bob applied",
            "update ada applied"
        ]
    );
    assert_eq!(changes(&situation), None);
    directory.change(
        "dn: cn=cyd,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=cyd\ndeleteoldrdn: \
         1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
    assert_eq!(done(&some_changes(&situation)), ["deactivate cyd applied"]);
    situation.sync_changes_nothing();
    for (cookie, surname) in [("garbage", "One"), ("a:1#b:c:d#1", "Two")] {
        let hex: String = cookie.bytes().map(|byte| format!("{byte:02x}")).collect();
        set_position(&situation, "cookie", &format!("{hex:?}"));
        directory.change(&format!(
            "dn: cn=ada,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: {surname}\n"
        ));
        let why = reads_everything(&situation);
        assert!(why.contains("cookie"), "{why}");
        assert_eq!(situation.user("ada").last_name.as_deref(), Some(surname));
    }
    follow_a_group(&directory, situation);
}

#[test]
fn on_active_directory_the_numbers_of_its_changes_tell_who_moved_and_not_who_was_deleted() {
    if must_skip_as_root(
        "on_active_directory_the_numbers_of_its_changes_tell",
        OF_SAMBA,
    ) {
        return;
    }
    let directory = RealDirectory::samba();
    let situation = of_two(&directory);
    join_and_rename(&directory);
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let report = some_changes(&situation);
    assert_eq!(part(&report).unwrap().by, "usn");
    assert_eq!(done(&report), ["create cyd applied", "update ada applied"]);
    assert_eq!(changes(&situation), None);
    assert_eq!(done(&situation.sync()), ["deactivate bob applied"]);
    assert_eq!(changes(&situation), None);
    directory.change(&format!(
        "dn: cn=cyd,{PEOPLE}\nchangetype: modrdn\nnewrdn: cn=cyd\ndeleteoldrdn: 1\nnewsuperior: \
         ou=services,dc=studio,dc=test\n"
    ));
    let report = some_changes(&situation);
    assert_eq!(done(&report), ["deactivate cyd applied"]);
    let reason = &report.changes[0].reason;
    assert!(
        reason.contains("outside of the job's search bases"),
        "{reason}"
    );
    assert_eq!(changes(&situation), None);
    // A server that was restored has another id of its database, or counts from an earlier number.
    for (key, value) in [
        ("invocation", "\"00000000-0000-4000-8000-000000000000\""),
        ("next", "999999999"),
    ] {
        set_position(&situation, key, value);
        directory.change(&format!(
            "dn: cn=ada,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: {key}\n"
        ));
        let why = reads_everything(&situation);
        assert!(why.contains("the server was restored"), "{why}");
        assert_eq!(situation.user("ada").last_name.as_deref(), Some(key));
        assert_eq!(
            changes(&situation),
            None,
            "it noted a position that is good"
        );
    }
    follow_a_group(&directory, situation);
}

#[test]
fn without_either_the_times_of_the_changes_tell_and_nobody_is_absent() {
    let slapd = Setup::new(people(["ada", "bea", "cleo"])).start();
    let studio = studio(slapd.url().as_str());
    studio.sync();
    // What changed within the overlap comes once more, and is nothing new.
    assert_eq!(changes(&studio), None);
    slapd.change(&format!(
        "{}dn: uid=ada,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: New\n\ndn: \
         uid=bea,{PEOPLE}\nchangetype: delete\n",
        person("ida")
    ));
    let report = some_changes(&studio);
    assert_eq!(part(&report).unwrap().by, "time");
    assert_eq!(done(&report), ["create ida applied", "update ada applied"]);
    assert_eq!(changes(&studio), None);
    assert_eq!(done(&studio.sync()), ["deactivate bea applied"]);
}

#[test]
fn people_who_were_imported_within_a_second_are_not_read_in_each_run_of_changes() {
    let uids: Vec<String> = (0..250).map(|number| format!("user{number}")).collect();
    let slapd = Setup::new(people(uids.iter().map(String::as_str))).start();
    let studio = studio(slapd.url().as_str());
    studio.sync();
    // The directory stays as it is.
    for _ in 0..2 {
        let report = changes(&studio);
        assert!(report.is_none(), "{:?}", report.unwrap().warnings);
    }
}

#[test]
fn a_time_that_is_far_ahead_hides_no_changes() {
    // The clock of the server was wrong when somebody was changed.
    let ahead = person("zoe").replace("mail: zoe", "modifyTimestamp: 20991231235959Z\nmail: zoe");
    let slapd = Setup::new(format!("{}{ahead}", people(["ada", "bea"]))).start();
    let studio = studio(slapd.url().as_str());
    assert_eq!(studio.sync().counts.created, 3);
    slapd.change(&person("ida"));
    let report = changes(&studio).expect("a report");
    assert_eq!(done(&report), ["create ida applied"]);
    let warnings = &report.warnings;
    let said = "is dated 2099-12-31 23:59:59 UTC, which no clock shows yet";
    assert!(warnings.iter().any(|it| it.contains(said)), "{warnings:?}");
    assert_eq!(changes(&studio), None);
}
