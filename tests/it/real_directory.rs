//! The main pipeline with a real slapd: a thousand people with everything that real directories
//! contain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast,
        cast::{Oddities, Person},
    },
    model::{change::Action, report::Outcome},
};

use crate::{
    slapd::{SUFFIX, SYNC_DN, SYNC_PASSWORD, Setup, Slapd},
    studio::Studio,
};

const PEOPLE: usize = 1000;

/// A slapd with these people, besides what every test directory has.
fn slapd(people: &[Person]) -> Slapd {
    let known = [
        SUFFIX,
        cast::PEOPLE,
        SYNC_DN,
        "ou=services,dc=studio,dc=test",
    ];
    let entries = cast::entries(people, &Secret::new(SYNC_PASSWORD.into()));
    let others: Vec<_> = entries
        .into_iter()
        .filter(|entry| !known.contains(&entry.dn.as_str()))
        .collect();
    Setup::new(cast::ldif(&others)).start()
}

/// Whom ftrack is to show, and how many entries are left out.
fn expected(people: &[Person]) -> (Vec<&Person>, usize) {
    let address = |mail: &Option<String>| {
        mail.as_deref()
            .is_none_or(|mail| mail.contains('@') && !mail.contains(' '))
    };
    let (users, left_out): (Vec<_>, Vec<_>) = people
        .iter()
        .partition(|person| person.expected.username.is_some() && address(&person.expected.email));
    (users, left_out.len())
}

#[test]
fn a_thousand_odd_people_come_out_right_and_a_second_run_changes_nothing() {
    let people = cast::people(PEOPLE, 7, Oddities::Some);
    let slapd = slapd(&people);
    let mut studio = Studio::empty().end_to_end();
    studio.directory_url = slapd.url().to_string();
    let (users, left_out) = expected(&people);

    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{:?}", report.error);
    assert_eq!(
        (
            report.directory.as_ref().unwrap().entries,
            report.counts.created,
            report.counts.skipped
        ),
        (PEOPLE, users.len(), left_out)
    );
    assert_eq!(
        report.directory.as_ref().unwrap().id_attribute.as_deref(),
        Some("entryUUID")
    );
    for person in users {
        let expected = &person.expected;
        let user = studio.user(expected.username.as_deref().unwrap());
        assert_eq!(user.email, expected.email, "{}", person.entry.dn);
        // What the directory does not show is what the server makes of a new user.
        assert_eq!(
            user.first_name.as_deref(),
            expected.first_name.as_deref().or(Some("first")),
            "{}",
            person.entry.dn
        );
        assert_eq!(
            user.last_name.as_deref(),
            expected.last_name.as_deref().or(Some("last")),
            "{}",
            person.entry.dn
        );
        assert!(user.is_active);
    }
    studio.sync_changes_nothing();
}

#[test]
fn people_who_leave_and_move_in_a_real_directory_are_told_apart() {
    let people = cast::people(30, 3, Oddities::None);
    let slapd = slapd(&people);
    let mut studio = Studio::empty().end_to_end();
    studio.directory_url = slapd.url().to_string();
    studio.sync();

    let (leaver, mover, outside) = (&people[4].entry.dn, &people[5], &people[6].entry.dn);
    let user = studio.user(mover.expected.username.as_deref().unwrap());
    slapd.change(&format!(
        "dn: {leaver}\nchangetype: delete\n\ndn: {}\nchangetype: modrdn\nnewrdn: \
         uid=mover\ndeleteoldrdn: 1\n\ndn: {outside}\nchangetype: modrdn\nnewrdn: \
         uid=outside\ndeleteoldrdn: 0\nnewsuperior: dc=studio,dc=test\n",
        mover.entry.dn
    ));
    let report = studio.sync();
    assert_eq!(
        (
            report.counts.deactivated,
            report.counts.updated,
            report.changes.len()
        ),
        (2, 1, 3),
        "{report:#?}"
    );
    // The report says of each whether the entry is gone.
    let deactivated = report
        .changes
        .iter()
        .filter(|change| change.action == Action::Deactivate);
    let mut said: Vec<_> = deactivated
        .map(|change| (change.dn.as_deref(), change.reason.as_str()))
        .collect();
    said.sort_unstable();
    let [(None, gone), (Some(dn), elsewhere)] = said[..] else {
        panic!("{said:?}");
    };
    assert!(gone.contains("no longer in the directory"), "{gone}");
    assert_eq!(dn, "uid=outside,dc=studio,dc=test");
    assert!(
        elsewhere.contains("outside of the job's search bases"),
        "{elsewhere}"
    );
    assert_eq!(studio.user("mover").id, user.id);
    assert!(
        !studio
            .user(people[4].expected.username.as_deref().unwrap())
            .is_active
    );
    studio.sync_changes_nothing();
}
