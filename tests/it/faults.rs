//! For any fault, nobody who is still present is deactivated: random people, a random network
//! fault, and the real program's result.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod days;
mod domain;
mod each;
mod ftrack_side;
mod groups;
mod replicas;
mod roles;

use std::{collections::HashMap, fs};

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Account, Applied},
    },
    model::{
        link::{LINK_KEY, Link},
        report::{Outcome, Report},
    },
};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::Config};

use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    studio::{Studio, dn, person},
};

/// The result codes of servers that have a bad day: operations, protocol, time and size limits,
/// referral, administrative limit, no such object, rights, busy, unavailable, unwilling, other.
pub const CODES: [u8; 12] = [1, 2, 3, 4, 10, 11, 32, 50, 51, 52, 53, 80];
/// A unit below the people's, into which some move.
const UNIT: &str = "ou=away,ou=people,dc=studio,dc=test";
/// What makes it certain that neither a limit nor a late adoption is what protects people. Counts,
/// since a percentage shrinks with the active users, and other runs of the day count too.
pub const NO_LIMIT: &str = "\
limits.deactivate = 1000
limits.rename = 1000
limits.clear = 1000
limits.reactivate = 1000
limits.create = 1000
users.adopt_always = true";

/// What becomes of somebody between two syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Leaves,
    IsRenamed,
    GetsMail,
    Moves,
}

/// Where the fault is.
#[derive(Debug, Clone)]
enum Place {
    Bind,
    /// In the search for everybody, after this part of the entries.
    Read(Index),
    /// When the program asks once more for those who are to be deactivated.
    SecondLook,
}

/// One day of a studio.
#[derive(Debug, Clone)]
struct Day {
    fates: Vec<Fate>,
    joiners: usize,
    page_size: usize,
    place: Place,
    trouble: Trouble,
}

/// What can happen to one of the searches of a run.
fn of_search() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => Just(Trouble::Reset),
        2 => Just(Trouble::Close),
        4 => proptest::sample::select(&CODES[..]).prop_map(Trouble::Result),
        2 => Just(Trouble::Reference),
        1 => Just(Trouble::NoControl),
    ]
}

fn day() -> impl Strategy<Value = Day> {
    let fate = prop_oneof![
        3 => Just(Fate::Stays),
        2 => Just(Fate::Leaves),
        1 => Just(Fate::IsRenamed),
        1 => Just(Fate::GetsMail),
        1 => Just(Fate::Moves),
    ];
    let of_bind = prop_oneof![
        1 => Just(Trouble::Reset),
        1 => Just(Trouble::Close),
        1 => Just(Trouble::Stall),
        3 => proptest::sample::select(&CODES[..]).prop_map(Trouble::Result),
    ];
    let of_search = prop_oneof![
        2 => Just(Trouble::Reset),
        2 => Just(Trouble::Close),
        1 => Just(Trouble::Stall),
        6 => proptest::sample::select(&CODES[..]).prop_map(Trouble::Result),
        2 => Just(Trouble::Reference),
        1 => Just(Trouble::EndlessCookie),
        2 => Just(Trouble::NoControl),
    ];
    let fault = prop_oneof![
        1 => of_bind.prop_map(|trouble| (Place::Bind, trouble)),
        5 => (any::<Index>(), of_search.clone()).prop_map(|(after, trouble)| (Place::Read(after), trouble)),
        2 => of_search.prop_map(|trouble| (Place::SecondLook, trouble)),
    ];
    (vec(fate, 0..20), 0_usize..4, 1_usize..9, fault).prop_map(
        |(fates, joiners, page_size, (place, trouble))| Day {
            fates,
            joiners,
            page_size,
            place,
            trouble,
        },
    )
}

/// As many cases as `FTRACK_LDAP_SYNC_TEST_CASES` says; few unless it does.
pub fn cases(few: u32) -> Config {
    let said = std::env::var("FTRACK_LDAP_SYNC_TEST_CASES").ok();
    Config {
        cases: said.map_or(few, |cases| {
            cases
                .parse()
                .expect("FTRACK_LDAP_SYNC_TEST_CASES is a number")
        }),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(cases(20))]
    #[test]
    fn nobody_who_is_there_is_deactivated(day in day()) {
        live_through(&day);
    }
}

fn live_through(day: &Day) {
    let mut studio = Studio::empty().end_to_end();
    studio.job = NO_LIMIT.into();
    studio
        .tree()
        .add(TreeEntry::new(UNIT).with("objectClass", "organizationalUnit"))
        .unwrap();
    let people: Vec<String> = (0..day.fates.len()).map(|nth| format!("p{nth}")).collect();
    // Somebody always stays: with nobody there, it is min_entries that protects.
    for uid in people.iter().map(String::as_str).chain(["anchor"]) {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    settings(&studio, day.page_size, "");
    let proxy = LdapProxy::start(studio.directory().address(), None);
    studio.directory_url = proxy.url();
    assert_eq!(studio.sync().counts.created, people.len() + 1);

    let expected = change_the_directory(&studio, day);
    let there = people.len() + 1 + day.joiners - expected.deactivated;
    proxy.set_fault(match &day.place {
        Place::Bind => Fault::at_bind(1, day.trouble),
        Place::Read(after) => Fault::in_search(1, after.index(there + 1), day.trouble),
        Place::SecondLook => Fault::in_search(2, 0, day.trouble),
    });
    settings(&studio, day.page_size, patience(day.trouble));
    let before = studio.ftrack().users();
    let report = studio.sync();
    assert_only_the_gone_are_inactive(&studio);
    // A connection from the pool that turns out to be dead, or silent, is replaced by a new one.
    let may_recover = matches!(day.place, Place::SecondLook)
        && matches!(
            day.trouble,
            Trouble::Reset | Trouble::Close | Trouble::Stall
        );
    assert!(
        proxy.injected() || matches!(day.place, Place::SecondLook),
        "the fault did not happen"
    );
    let failed = proxy.injected() && !may_recover;
    if failed {
        assert_failed_and_wrote_nothing(&studio, &report);
        assert_eq!(studio.ftrack().users(), before);
    } else {
        assert_done(&report, expected);
    }

    proxy.set_fault(None);
    settings(&studio, day.page_size, "");
    if failed {
        assert_done(&studio.sync(), expected);
    }
    studio.sync_changes_nothing();
    assert_only_the_gone_are_inactive(&studio);
    assert_everybody_is_right(&studio);
}

/// What the next complete sync is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Joiners.
    pub created: usize,
    /// People with other values.
    pub updated: usize,
    /// Leavers.
    pub deactivated: usize,
}

fn change_the_directory(studio: &Studio, day: &Day) -> Expected {
    let tree = studio.tree();
    let mut expected = Expected {
        created: day.joiners,
        ..Expected::default()
    };
    for (nth, fate) in day.fates.iter().enumerate() {
        let place = dn(&format!("p{nth}"));
        match fate {
            Fate::Stays => {}
            Fate::Leaves => {
                tree.remove(&place).unwrap();
                expected.deactivated += 1;
            }
            Fate::IsRenamed => {
                tree.rename(&place, &dn(&format!("renamed{nth}"))).unwrap();
                expected.updated += 1;
            }
            Fate::GetsMail => {
                tree.replace(&place, "mail", &[&format!("new{nth}@studio.test")])
                    .unwrap();
                expected.updated += 1;
            }
            // Another DN is no change at all.
            Fate::Moves => tree.rename(&place, &format!("uid=p{nth},{UNIT}")).unwrap(),
        }
    }
    for nth in 0..day.joiners {
        tree.add(person(&format!("j{nth}"), "Given", "Joiner"))
            .unwrap();
    }
    expected
}

/// Settings of the directory beyond the test world's own, and others.
pub fn settings(studio: &Studio, page_size: usize, more: &str) {
    let folder = studio.folder().join("config.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("test.toml"),
        format!("[directories.studio]\npage_size = {page_size}\n{more}\n"),
    )
    .unwrap();
}

/// The settings with which a trouble that is seen by a time limit alone is seen soon.
fn patience(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Stall => "operation_timeout = \"1s\"",
        Trouble::EndlessCookie => "[jobs.artists]\ntime_limit = \"2s\"",
        Trouble::Reset
        | Trouble::Close
        | Trouble::Result(_)
        | Trouble::Reference
        | Trouble::NoControl => "",
    }
}

/// The run failed, says that the directory was not read completely, and ftrack saw no write.
pub fn assert_failed_and_wrote_nothing(studio: &Studio, report: &Report) {
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert!(
        report
            .error
            .as_ref()
            .is_some_and(|error| error.contains("nothing was written")),
        "{report:#?}"
    );
    assert!(!report.directory.as_ref().unwrap().complete, "{report:#?}");
    assert_eq!(
        (&report.changes[..], report.ftrack.write_calls),
        (&[][..], 0),
        "{report:#?}"
    );
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    assert_eq!(studio.ftrack().applied(), Vec::<Applied>::new());
}

/// The run did exactly this.
pub fn assert_done(report: &Report, expected: Expected) {
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let counts = &report.counts;
    let done = Expected {
        created: counts.created,
        updated: counts.updated,
        deactivated: counts.deactivated,
    };
    assert_eq!(
        (done, report.changes.len()),
        (
            expected,
            expected.created + expected.updated + expected.deactivated
        ),
        "{report:#?}"
    );
}

/// The users that the program owns, by the person's directory id.
pub fn owned(studio: &Studio) -> HashMap<String, (Account, Link)> {
    let mut owned = HashMap::new();
    for user in studio.ftrack().users() {
        let Some(text) = user.metadata.get(LINK_KEY) else {
            continue;
        };
        let link: Link = serde_json::from_str(text).unwrap();
        let twice = owned.insert(link.id.as_str().to_owned(), (user, link));
        assert!(twice.is_none(), "two users of one person: {twice:?}");
    }
    owned
}

/// The directory ids of the people who are there, with their logins.
pub fn present(studio: &Studio) -> HashMap<String, String> {
    let mut logins = vec!["anchor".to_owned()];
    for nth in 0..30 {
        logins.extend(["p", "renamed", "j"].map(|kind| format!("{kind}{nth}")));
    }
    let mut present = HashMap::new();
    for login in logins {
        for place in [dn(&login), format!("uid={login},{UNIT}")] {
            if let Some(id) = studio.tree().entry_uuid(&place) {
                present.insert(id.to_string(), login.clone());
            }
        }
    }
    assert!(!present.is_empty());
    present
}

/// Whoever is inactive is nowhere in the tree.
pub fn assert_only_the_gone_are_inactive(studio: &Studio) {
    let present = present(studio);
    for (id, (user, link)) in owned(studio) {
        assert!(
            user.is_active || !present.contains_key(&id),
            "{} is there and inactive: {user:?} {link:?}",
            present[&id]
        );
    }
}

/// Everybody who is there has one active user of that name, and nobody else has one.
fn assert_everybody_is_right(studio: &Studio) {
    let (present, owned) = (present(studio), owned(studio));
    for (id, login) in &present {
        let (user, _) = &owned[id];
        assert_eq!((&user.username, user.is_active), (login, true));
    }
    let active = owned.values().filter(|(user, _)| user.is_active).count();
    assert_eq!(active, present.len());
}
