//! People who look absent, users that look free or new, and may not be: lost permissions, ids and
//! logins in another spelling.

use std::process::{Command, Stdio};

use ftrack_ldap_sync::{
    demo::directory::TreeEntry,
    model::{
        change::{Action, HeldBy},
        report::{Outcome, Report},
    },
};

use super::{
    absences, absent_since, account, activity, add_config, approve, come_back, leave, logins,
    reasons,
};
use crate::studio::{Studio, dn, person};

/// Lets the key see nothing of an entity type.
fn hide(studio: &Studio, entity_type: &str) {
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = [entity_type.to_owned()].into());
}

fn show_everything(studio: &Studio) {
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable.clear());
}

#[test]
fn links_that_are_all_out_of_sight_stop_a_run() {
    let studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve"]);
    studio.sync();
    leave(&studio, "ada");
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["ada"]);
    come_back(&studio, "ada");
    hide(&studio, "Metadata");
    for arguments in [
        &["sync", "--format", "json"][..],
        &["sync", "--dry-run", "--format", "json"],
    ] {
        let report = studio.synced(arguments);
        assert_eq!(
            (report.outcome, report.ftrack.write_calls),
            (Outcome::Failed, 0),
            "{report:#?}"
        );
        let error = report.error.unwrap();
        assert!(
            error.contains("owned 5 users after the run before"),
            "{error}"
        );
    }
    assert_eq!(activity(&studio, "ada"), "deactivated");
    show_everything(&studio);
    assert_eq!(logins(&studio.sync(), Action::Reactivate), ["ada"]);
    studio.sync_changes_nothing();
}

#[test]
fn users_that_are_all_out_of_sight_stop_a_run() {
    let studio = Studio::of(&["ada"]);
    studio.sync();
    studio.tree().add(person("bob", "B", "B")).unwrap();
    hide(&studio, "User");
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    assert!(report.error.unwrap().contains("reading users"));
}

#[test]
fn nobody_is_adopted_where_no_administrator_is_visible() {
    let studio = Studio::of(&["admin", "ada"]);
    studio.ftrack().add_user(&account("ada")).unwrap();
    hide(&studio, "UserSecurityRole");
    let before = studio.ftrack().users();
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.skipped.len()),
        (0, 2),
        "{report:#?}"
    );
    assert!(
        reasons(&report).contains("no active administrator is visible"),
        "{}",
        reasons(&report)
    );
    assert_eq!(studio.ftrack().users(), before);
}

#[test]
fn a_login_in_another_unicode_form_is_the_same_login() {
    let studio = Studio::empty();
    let entry = TreeEntry::new(dn("jos\u{e9}")).with("objectClass", "inetOrgPerson");
    let entry = ["cn", "sn", "uid"]
        .iter()
        .fold(entry, |entry, attribute| entry.with(attribute, "jos\u{e9}"));
    studio.tree().add(entry).unwrap();
    let id = studio.ftrack().add_user(&account("jose\u{301}")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.adopted, report.counts.created),
        (1, 0),
        "{report:#?}"
    );
    assert_eq!(studio.user("jos\u{e9}").id, id);
    studio.sync_changes_nothing();
}

#[test]
fn an_id_in_another_case_is_no_absence() {
    let studio = Studio::empty();
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    for (uid, number) in [("ada", "Ab-7"), ("bob", "Ab-8")] {
        studio
            .tree()
            .add(person(uid, "G", uid).with("employeeNumber", number))
            .unwrap();
    }
    studio.sync();
    studio
        .tree()
        .replace(&dn("ada"), "employeeNumber", &["AB-7"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(report.changes, [], "{report:#?}");
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("Ab-7")),
        "{:#?}",
        report.warnings
    );
    assert!(studio.user("ada").is_active);
}

#[test]
fn who_comes_back_gets_access_though_the_new_login_is_taken() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    leave(&studio, "ada");
    studio.sync();
    studio.ftrack().add_user(&account("lovelace")).unwrap();
    come_back(&studio, "ada");
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Lovelace"])
        .unwrap();
    studio.tree().rename(&dn("ada"), &dn("lovelace")).unwrap();
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Reactivate), ["ada"], "{report:#?}");
    assert!(
        reasons(&report).contains("\"lovelace\" belongs to another ftrack user"),
        "{}",
        reasons(&report)
    );
    let user = studio.user("ada");
    assert_eq!(
        (user.is_active, user.last_name.as_deref()),
        (true, Some("Lovelace"))
    );
    let again = studio.sync();
    assert_eq!(
        (
            again.changes.len(),
            again.ftrack.write_calls,
            again.skipped.len()
        ),
        (0, 0, 1),
        "{again:#?}"
    );
}

#[test]
fn an_absence_from_the_future_is_counted_anew() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "users = { deactivate_after = \"1s\" }".into();
    studio.sync();
    leave(&studio, "ada");
    studio.sync();
    assert!(absent_since(
        &studio,
        "2999-01-01T00:00:00Z".parse().unwrap()
    ));
    assert_eq!(studio.sync().counts.deactivated, 0);
    let [since] = &absences(&studio)[..] else {
        panic!("one is missing")
    };
    assert!(!since.starts_with("2999"), "{since}");
    assert!(studio.user("ada").is_active);
}

#[test]
fn refused_logins_that_look_like_words_about_seats_hold_up_nobody() {
    let studio = Studio::of(&[
        "ada", "seat.a", "seat.b", "seat.c", "seat.d", "zoe", "bob", "cyd", "dan", "eve",
    ]);
    let refused = ["seat.a", "seat.b", "seat.c", "seat.d"];
    studio.ftrack().change_rules(|rules| {
        rules.refused_users = refused.into_iter().map(str::to_owned).collect()
    });
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.counts.failed),
        (6, 4),
        "{report:#?}"
    );
}

#[test]
fn a_base_that_suddenly_shows_nobody_holds_whoever_is_gone() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    for (unit, person_of) in [("london", Some("lou")), ("oslo", None)] {
        let base = format!("ou={unit},dc=studio,dc=test");
        studio
            .tree()
            .add(
                TreeEntry::new(&base)
                    .with("objectClass", "organizationalUnit")
                    .with("ou", unit),
            )
            .unwrap();
        if let Some(uid) = person_of {
            let mut entry = person(uid, "Given", uid);
            entry.dn = format!("uid={uid},{base}");
            studio.tree().add(entry).unwrap();
        }
    }
    let bases = ["ou=people", "ou=london", "ou=oslo"]
        .map(|unit| format!("\"{unit},dc=studio,dc=test\""))
        .join(", ");
    add_config(
        &studio,
        &format!("[jobs.artists]\nsearch_bases = [{bases}]\nlimits.deactivate = 4\n"),
    );
    let named =
        |report: &Report, base: &str| report.warnings.iter().any(|warning| warning.contains(base));
    let first = studio.sync();
    assert!(
        first.counts.created == 4 && !named(&first, "ou=oslo"),
        "{first:#?}"
    );
    // One that never had anybody is no reason for doubt.
    leave(&studio, "ada");
    let report = studio.sync();
    assert!(
        report.counts.deactivated == 1 && !named(&report, "ou=oslo"),
        "{report:#?}"
    );
    // The bind account may not look into it any more, or everybody left: nobody can say.
    studio
        .tree()
        .remove("uid=lou,ou=london,dc=studio,dc=test")
        .unwrap();
    leave(&studio, "bob");
    for lost_state in [false, false, true] {
        if lost_state {
            std::fs::remove_file(studio.state_dir().join("state.db")).unwrap();
        }
        let report = studio.sync();
        assert_eq!(
            (report.counts.held, report.counts.deactivated),
            (2, 0),
            "{report:#?}"
        );
        assert!(
            named(&report, "ou=london") && !named(&report, "ou=oslo"),
            "{report:#?}"
        );
        assert!(
            report
                .changes
                .iter()
                .all(|change| change.held_by == Some(HeldBy::Doubt)),
            "{report:#?}"
        );
    }
    // A person looked, and says so.
    assert_eq!(approve(&studio).counts.deactivated, 2);
    leave(&studio, "cyd");
    add_config(
        &studio,
        &format!(
            "[jobs.artists]\nsearch_bases = [{bases}]\nlimits = {{ deactivate = 4, min_entries = \
             0 }}\n"
        ),
    );
    let report = studio.sync();
    assert!(
        !named(&report, "ou=london") && named(&report, "ou=people"),
        "the last one of a base is as sudden: {report:#?}"
    );
}

#[test]
fn a_report_that_finds_no_room_is_shown_all_the_same() {
    let uids: Vec<String> = (0..90).map(|number| format!("user{number:02}")).collect();
    let studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    add_config(&studio, "[ftrack]\nbatch_size = 5\n");
    let planned = studio.synced(&["sync", "--dry-run", "--format", "json"]);
    // Room for the journal as it is opened, and for a few results.
    let room = serde_json::to_vec(&planned).unwrap().len().div_ceil(512) + 1;
    let whole = studio.command(&["sync", "--format", "json"]);
    let output = Command::new("/bin/sh")
        .args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {room}; exec \"$@\""),
            "sh",
        ])
        .arg(whole.get_program())
        .args(whole.get_args())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(
        (output.status.code(), report.outcome),
        (Some(1), Outcome::Failed)
    );
    let created = studio
        .ftrack()
        .users()
        .iter()
        .filter(|user| user.username.starts_with("user"))
        .count();
    assert_eq!(report.counts.created, created, "{report:#?}");
    assert!(
        (1..90).contains(&created),
        "it writes no more once results cannot be saved: {created}"
    );
    let error = report.error.unwrap();
    assert!(
        error.contains(
            "results cannot be \
            saved"
        ) && error.contains("this report could not be saved"),
        "{error}"
    );
    let next = studio.sync();
    assert_eq!(next.counts.created, 90 - created, "{next:#?}");
}
