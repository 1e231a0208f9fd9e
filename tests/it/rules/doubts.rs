//! People who look absent, and users that look free or new, and may not be: lost permissions, bases
//! that show nobody, and words that look like others.

use std::process::{Command, Stdio};

use ftrack_ldap_sync::{
    demo::directory::TreeEntry,
    model::{
        change::{Action, HeldBy},
        report::{Outcome, Report},
    },
};

use super::{activity, add_config, approve, come_back, leave, logins};
use crate::studio::{Studio, person};

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
    // So many that their report is larger than the state's database.
    const PEOPLE: usize = 900;
    let uids: Vec<String> = (0..PEOPLE)
        .map(|number| format!("user{number:03}"))
        .collect();
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
        (1..PEOPLE).contains(&created),
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
    assert_eq!(next.counts.created, PEOPLE - created, "{next:#?}");
}
