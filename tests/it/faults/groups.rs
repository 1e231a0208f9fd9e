//! Random groups, random changes and a random fault while they are read: nobody who is still a member
//! loses access.

use std::collections::BTreeSet;

use ftrack_ldap_sync::demo::directory::TreeEntry;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{NO_LIMIT, cases, of_search, patience, settings};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    studio::{Studio, dn, person},
};

const GROUPS: usize = 5;

/// Who is in which group, and which group is in which: the first is the job's.
#[derive(Debug, Clone)]
struct Members {
    people: Vec<BTreeSet<usize>>,
    groups: Vec<BTreeSet<usize>>,
}

impl Members {
    /// The people who are members of the first group, but for those through a group that is left out.
    fn of_first(&self, without: Option<usize>) -> BTreeSet<usize> {
        let (mut people, mut known, mut open) = (BTreeSet::new(), BTreeSet::from([0]), vec![0]);
        while let Some(group) = open.pop() {
            if Some(group) == without {
                continue;
            }
            people.extend(&self.people[group]);
            open.extend(
                self.groups[group]
                    .iter()
                    .filter(|group| known.insert(**group)),
            );
        }
        people
    }

    fn dns(&self, group: usize) -> Vec<String> {
        let people = self.people[group].iter().map(|nth| dn(&format!("p{nth}")));
        let groups = self.groups[group].iter().map(|nth| group_dn(*nth));
        // Somebody who is no person: a group of this class has a member.
        people.chain(groups).chain(["cn=nobody".into()]).collect()
    }
}

fn group_dn(nth: usize) -> String {
    format!("cn=g{nth},dc=studio,dc=test")
}

/// What goes wrong in one run.
#[derive(Debug, Clone)]
enum Wrong {
    /// In one of the searches of the run, after a part of the entries.
    Search(usize, Index, Trouble),
    /// A group is not shown.
    Hidden(usize),
}

fn members(people: usize) -> impl Strategy<Value = Members> {
    let some_of = |most: usize| proptest::collection::btree_set(0..most, 0..=most);
    (
        vec(some_of(people), GROUPS),
        vec(
            some_of(GROUPS).prop_map(|groups| groups.into_iter().take(2).collect()),
            GROUPS,
        ),
    )
        .prop_map(
            |(mut people, groups): (Vec<BTreeSet<usize>>, Vec<BTreeSet<usize>>)| {
                // The job has somebody, so that limits.min_entries is not what protects people.
                people[0].insert(0);
                Members { people, groups }
            },
        )
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop_oneof![
        3 => (1_usize..5, any::<Index>(), of_search())
            .prop_map(|(nth, after, trouble)| Wrong::Search(nth, after, trouble)),
        1 => (0..GROUPS).prop_map(Wrong::Hidden),
    ]
}

fn day() -> impl Strategy<Value = (Members, Members, Wrong, usize)> {
    (2_usize..6).prop_flat_map(|people| (members(people), members(people), wrong(), 1_usize..7))
}

proptest! {
    #![proptest_config(cases(15))]
    #[test]
    fn nobody_who_is_a_member_is_deactivated((before, after, wrong, page_size) in day()) {
        live_through(&before, &after, &wrong, page_size);
    }
}

fn live_through(before: &Members, after: &Members, wrong: &Wrong, page_size: usize) {
    let mut studio = Studio::empty();
    studio.job = format!("member_of = [{:?}]\n{NO_LIMIT}", group_dn(0));
    let tree = studio.tree().clone();
    for nth in 0..6 {
        let uid = format!("p{nth}");
        tree.add(person(&uid, "Given", &uid)).unwrap();
    }
    for nth in 0..GROUPS {
        tree.add(group(before, nth)).unwrap();
    }
    settings(&studio, page_size, "");
    let proxy = LdapProxy::start(studio.directory().address(), None);
    studio.directory_url = proxy.url();
    studio.sync();
    assert_eq!(active(&studio), before.of_first(None));

    for nth in 0..GROUPS {
        let members = after.dns(nth);
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        tree.replace(&group_dn(nth), "member", &members).unwrap();
    }
    match wrong {
        Wrong::Search(nth, after, trouble) => {
            proxy.set_fault(Fault::in_search(*nth, after.index(7), *trouble));
            settings(&studio, page_size, patience(*trouble));
        }
        Wrong::Hidden(nth) => tree.remove(&group_dn(*nth)).unwrap(),
    }
    studio.sync();
    let still: BTreeSet<usize> = &before.of_first(None) & &after.of_first(None);
    let now = active(&studio);
    assert!(still.is_subset(&now), "{still:?} {now:?}");

    proxy.set_fault(None);
    if let Wrong::Hidden(nth) = wrong {
        tree.add(group(after, *nth)).unwrap();
    }
    settings(&studio, page_size, "");
    studio.sync();
    assert_eq!(active(&studio), after.of_first(None));
    studio.sync_changes_nothing();
}

fn group(members: &Members, nth: usize) -> TreeEntry {
    let group = TreeEntry::new(group_dn(nth)).with("objectClass", "groupOfNames");
    members
        .dns(nth)
        .iter()
        .fold(group, |group, member| group.with("member", member))
}

/// The people with active users.
fn active(studio: &Studio) -> BTreeSet<usize> {
    let users = studio.ftrack().users().into_iter();
    let active = users.filter(|user| user.is_active);
    active
        .filter_map(|user| user.username.strip_prefix('p')?.parse().ok())
        .collect()
}
