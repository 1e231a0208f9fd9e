//! Random days of a studio whose lists are cut at random places: a run fails and writes nothing, or
//! its result is right.

use std::collections::BTreeSet;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::report::{Outcome, Report},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;

use super::{LINKS, cut, hide, mend};
use crate::{
    faults::{NO_LIMIT, cases, owned},
    rules::{account, by_hand, come_back, leave},
    studio::{Studio, dn, person},
    truth::witness,
};

/// How many people there are, of whom the last ones come later.
const PEOPLE: usize = 16;
/// How many of them had a user at ftrack before the program.
const KNOWN: usize = 4;

/// What happens to one person between two runs.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Leaves,
    ComesBack,
    GetsName(u8),
    IsDeactivatedByHand,
    IsDeletedAtFtrack,
    LosesLink,
}

/// What the lists lack during a run.
#[derive(Debug, Clone)]
enum Lack {
    Nothing,
    /// The users after this place.
    Users(Index),
    Links(Index),
    /// Both end at the same user.
    Both(Index),
    Each(Index, Index),
    /// Single users and single links.
    Some(Vec<Index>, Vec<Index>),
}

#[derive(Debug, Clone)]
struct Day {
    turns: Vec<(usize, Turn)>,
    lack: Lack,
    page_size: usize,
}

fn day() -> impl Strategy<Value = Day> {
    let turn = prop_oneof![
        3 => Just(Turn::Leaves),
        3 => Just(Turn::ComesBack),
        3 => any::<u8>().prop_map(Turn::GetsName),
        2 => Just(Turn::IsDeactivatedByHand),
        1 => Just(Turn::IsDeletedAtFtrack),
        1 => Just(Turn::LosesLink),
    ];
    let lack = prop_oneof![
        1 => Just(Lack::Nothing),
        3 => any::<Index>().prop_map(Lack::Users),
        3 => any::<Index>().prop_map(Lack::Links),
        2 => any::<Index>().prop_map(Lack::Both),
        2 => any::<(Index, Index)>().prop_map(|(users, links)| Lack::Each(users, links)),
        3 => (vec(any::<Index>(), 0..3), vec(any::<Index>(), 0..3)).prop_map(|(users, links)| Lack::Some(users, links)),
    ];
    (vec((0..PEOPLE, turn), 0..8), lack, 3_usize..24).prop_map(|(turns, lack, page_size)| Day {
        turns,
        lack,
        page_size,
    })
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn a_run_fails_and_writes_nothing_or_is_right(days in vec(day(), 1..4)) {
        live_through(&days);
    }
}

fn uid(number: usize) -> String {
    format!("user{number:02}")
}

fn live_through(days: &[Day]) {
    let mut studio = Studio::empty();
    studio.job = NO_LIMIT.into();
    // With nobody there, it is min_entries that ends a run.
    studio
        .tree()
        .add(person("anchor", "Given", "Anchor"))
        .unwrap();
    for number in 0..PEOPLE {
        studio
            .tree()
            .add(person(&uid(number), "Given", &uid(number)))
            .unwrap();
        if number >= PEOPLE - 3 {
            leave(&studio, &uid(number));
        }
        if number < KNOWN {
            studio.ftrack().add_user(&account(&uid(number))).unwrap();
        }
    }
    let report = witness::sync(&studio);
    assert_eq!(
        (report.counts.created, report.counts.adopted),
        (PEOPLE + 1 - 3 - KNOWN, KNOWN),
        "{report:#?}"
    );
    // Whom a person deactivated, and the program never did, by the user's id.
    let mut by_hand_only = BTreeSet::new();
    for day in days {
        for (number, turn) in &day.turns {
            take(&studio, &uid(*number), *turn, &mut by_hand_only);
        }
        lack(&studio, &day.lack);
        studio.ftrack_settings = format!("page_size = {}", day.page_size);
        let before = studio.ftrack().users();
        let report = witness::sync(&studio);
        let after = studio.ftrack().users();
        if report.outcome == Outcome::Failed {
            assert_failed(&report, &before, &after);
        }
        mend(&studio);
        assert_sound(&studio, &by_hand_only);
    }
    let report = witness::sync(&studio);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    studio.sync_changes_nothing();
    assert_sound(&studio, &by_hand_only);
}

/// A turn that does not apply is none.
fn take(studio: &Studio, uid: &str, turn: Turn, by_hand_only: &mut BTreeSet<String>) {
    let is_there = studio.tree().entry_uuid(&dn(uid)).is_some();
    let user = studio.ftrack().user(uid);
    match (turn, user) {
        (Turn::Leaves, _) if is_there => leave(studio, uid),
        (Turn::ComesBack, _) if !is_there => come_back(studio, uid),
        (Turn::GetsName(number), _) if is_there => drop(studio.tree().replace(
            &dn(uid),
            "sn",
            &[&format!("Name {number}")],
        )),
        (Turn::IsDeactivatedByHand, Some(user)) if user.is_active => {
            by_hand(studio, uid, &json!({"is_active": false}));
            by_hand_only.insert(user.id);
        }
        (Turn::IsDeletedAtFtrack, Some(user)) => {
            studio.ftrack().remove("User", &json!([user.id])).unwrap();
            // Whoever gets a user again gets an active one.
            by_hand_only.remove(&user.id);
        }
        (Turn::LosesLink, Some(user))
            if user.is_active && user.metadata.contains_key("ftrack-ldap-sync") =>
        {
            studio
                .ftrack()
                .remove(LINKS, &json!([user.id, "ftrack-ldap-sync"]))
                .unwrap();
        }
        (
            Turn::Leaves
            | Turn::ComesBack
            | Turn::GetsName(_)
            | Turn::IsDeactivatedByHand
            | Turn::IsDeletedAtFtrack
            | Turn::LosesLink,
            _,
        ) => {}
    }
}

fn lack(studio: &Studio, lack: &Lack) {
    let users = studio.ftrack().users();
    let links = users
        .iter()
        .filter(|user| user.metadata.contains_key("ftrack-ldap-sync"))
        .count();
    // The administrators come first; without the API user there is no call.
    let place = |index: &Index| 2 + index.index(users.len() - 1);
    match lack {
        Lack::Nothing => {}
        Lack::Users(at) => cut(studio, "User", place(at)),
        Lack::Links(at) => cut(studio, LINKS, at.index(links + 1)),
        Lack::Both(at) => {
            let linked = users
                .iter()
                .take(place(at))
                .filter(|user| user.metadata.contains_key("ftrack-ldap-sync"));
            cut(studio, LINKS, linked.count());
            cut(studio, "User", place(at));
        }
        Lack::Each(of_users, of_links) => {
            cut(studio, "User", place(of_users));
            cut(studio, LINKS, of_links.index(links + 1));
        }
        Lack::Some(hidden_users, hidden_links) => {
            let hidden: Vec<&Account> =
                hidden_users.iter().map(|index| index.get(&users)).collect();
            hidden
                .iter()
                .for_each(|user| hide(studio, "User", &user.id));
            // Where both are hidden, only the id of a user that the program made tells that there
            // is one.
            let of_links = hidden_links.iter().map(|index| index.get(&users));
            let told = of_links.filter(|user| !hidden.contains(user) || is_made_here(user));
            told.for_each(|user| hide(studio, LINKS, &user.id));
        }
    }
}

fn is_made_here(user: &Account) -> bool {
    ftrack_ldap_sync::model::user::EntityId::new(&user.id)
        .unwrap()
        .is_of_version_5()
}

fn assert_failed(report: &Report, before: &[Account], after: &[Account]) {
    let error = report.error.as_deref().unwrap();
    assert!(error.contains("was cut short"), "{error}");
    assert_eq!(
        (&report.changes[..], report.ftrack.write_calls),
        (&[][..], 0),
        "{report:#?}"
    );
    assert_eq!(before, after);
}

/// Nobody has two users, and nobody is active whom a person deactivated.
fn assert_sound(studio: &Studio, by_hand_only: &BTreeSet<String>) {
    owned(studio);
    let users = studio.ftrack().users();
    let names: BTreeSet<&str> = users.iter().map(|user| &*user.username).collect();
    assert_eq!(names.len(), users.len());
    for user in users.iter().filter(|user| by_hand_only.contains(&user.id)) {
        assert!(!user.is_active, "{user:#?}");
    }
}
