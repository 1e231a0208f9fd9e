//! The same in a domain of Active Directory, which cuts pages and the values of groups, and refers to
//! other naming contexts from its root: for any fault, nobody loses access who still has it.

use std::collections::BTreeSet;

use ldap3_proto::proto::LdapResultCode;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{NO_LIMIT, cases, of_search, patience, settings};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    odd_directory::{
        Odd, OddDirectory, attribute, domains, entry,
        kinds::{account, by_kind},
    },
    situations::Situation,
    studio::dn,
};

const ARTISTS: &str = "cn=artists,dc=studio,dc=test";
const LIGHTING: &str = "cn=lighting,ou=groups,dc=studio,dc=test";
/// The group of all, which no job is for.
const OF_DOMAIN_USERS: [(&str, &str); 1] = [("primaryGroupID", "513")];

/// What becomes of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Leaves,
    IsDisabled,
    /// Into a container below that of the people.
    MovesWithin,
    /// Out of the people's container, not out of the domain.
    MovesOut,
    LeavesTheGroup,
}

/// What goes wrong.
#[derive(Debug, Clone)]
enum Wrong {
    /// In one of the searches of the run, after a part of the entries.
    Search(usize, Index, Trouble),
    /// When somebody is asked for by GUID.
    ByGuid(LdapResultCode),
    /// No search shows somebody.
    Unindexed(Index),
    /// There is a domain below this one, into which somebody is moved.
    DomainBelow(Index),
}

/// One day of a studio.
#[derive(Debug, Clone)]
struct Day {
    fates: Vec<Fate>,
    base: &'static str,
    has_groups: bool,
    most_entries: usize,
    most_values: usize,
    wrong: Wrong,
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let of_guid = proptest::sample::select(vec![
        LdapResultCode::OperationsError,
        LdapResultCode::Referral,
        LdapResultCode::InvalidDNSyntax,
        LdapResultCode::InsufficentAccessRights,
        LdapResultCode::Busy,
        LdapResultCode::Other,
    ]);
    prop_oneof![
        4 => (1_usize..9, any::<Index>(), of_search())
            .prop_map(|(nth, after, trouble)| Wrong::Search(nth, after, trouble)),
        1 => of_guid.prop_map(Wrong::ByGuid),
        2 => any::<Index>().prop_map(Wrong::Unindexed),
        2 => any::<Index>().prop_map(Wrong::DomainBelow),
    ]
}

fn day() -> impl Strategy<Value = Day> {
    let fate = prop_oneof![
        3 => Just(Fate::Stays),
        1 => Just(Fate::Leaves),
        1 => Just(Fate::IsDisabled),
        1 => Just(Fate::MovesWithin),
        1 => Just(Fate::MovesOut),
        1 => Just(Fate::LeavesTheGroup),
    ];
    let base = prop_oneof![Just(domains::ROOT), Just("ou=people,dc=studio,dc=test")];
    // A part begins with the last value of the one before it, and has another one.
    let limits = (1_usize..4, 2_usize..5);
    (vec(fate, 1..9), base, any::<bool>(), limits, wrong()).prop_map(
        |(fates, base, has_groups, (most_entries, most_values), wrong)| Day {
            fates,
            base,
            has_groups,
            most_entries,
            most_values,
            wrong,
        },
    )
}

proptest! {
    #![proptest_config(cases(15))]
    #[test]
    fn nobody_who_has_access_in_a_domain_loses_it(day in day()) {
        live_through(&day);
    }
}

impl Day {
    /// The entry of somebody, after this day or before it; none where it is gone.
    fn dn(&self, nth: usize, is_over: bool) -> Option<String> {
        let name = format!("p{nth}");
        match self.fates[nth] {
            Fate::Leaves if is_over => None,
            Fate::MovesWithin if is_over => {
                Some(format!("uid={name},ou=fx,ou=people,dc=studio,dc=test"))
            }
            Fate::MovesOut if is_over => Some(format!("uid={name},ou=other,dc=studio,dc=test")),
            Fate::Stays
            | Fate::Leaves
            | Fate::IsDisabled
            | Fate::MovesWithin
            | Fate::MovesOut
            | Fate::LeavesTheGroup => Some(dn(&name)),
        }
    }

    /// The domain after this day or before it.
    fn domain(&self, is_over: bool) -> Odd {
        let mut odd = domains::whole_domain();
        odd.most_entries = self.most_entries;
        odd.most_values = self.most_values;
        // Somebody always stays: with nobody there, it is min_entries that protects.
        odd.entries.push(account("anchor", 100, &OF_DOMAIN_USERS));
        let anchor = dn("anchor");
        let mut members = [vec![anchor.clone(), LIGHTING.into()], vec![anchor]];
        for (nth, fate) in self.fates.iter().enumerate() {
            let Some(place) = self.dn(nth, is_over) else {
                continue;
            };
            let (mut entry, id) = (account(&format!("p{nth}"), 0, &OF_DOMAIN_USERS), 20 + nth);
            entry.0.clone_from(&place);
            for (name, values) in &mut entry.1 {
                match name.as_str() {
                    "objectGUID" => *values = vec![vec![u8::try_from(id).unwrap(); 16]],
                    "userAccountControl" if is_over && *fate == Fate::IsDisabled => {
                        *values = vec![b"514".to_vec()];
                    }
                    _ => {}
                }
            }
            odd.entries.push(entry);
            if !(is_over && *fate == Fate::LeavesTheGroup) {
                members[nth % 2].push(place);
            }
        }
        let groups = [(ARTISTS, "1105"), (LIGHTING, "1106")];
        for ((group, number), members) in groups.iter().zip(&members) {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            let of_group = [
                ("objectClass", &["group"] as &[&str]),
                ("primaryGroupToken", &[number]),
            ];
            let mut group = entry(group, &of_group);
            group.1.push(attribute("member", &members));
            odd.entries.push(group);
        }
        odd
    }

    /// Whether somebody has access after this day.
    fn has_access(&self, nth: usize) -> bool {
        match self.fates[nth] {
            Fate::Stays | Fate::MovesWithin => true,
            Fate::Leaves | Fate::IsDisabled => false,
            Fate::MovesOut => self.base == domains::ROOT,
            Fate::LeavesTheGroup => !self.has_groups,
        }
    }

    /// Who has access after this day.
    fn expected(&self) -> BTreeSet<usize> {
        (0..self.fates.len())
            .filter(|nth| self.has_access(*nth))
            .collect()
    }
}

fn live_through(day: &Day) {
    let directory = OddDirectory::start(day.domain(false));
    let proxy = LdapProxy::start(directory.address(), None);
    let mut situation = by_kind(&directory);
    situation.directory_url = proxy.url();
    situation.search_base = day.base.into();
    let groups = format!("member_of = [{ARTISTS:?}]\n");
    let groups = if day.has_groups { &*groups } else { "" };
    let situation = situation.job(&format!("{groups}{NO_LIMIT}"));
    settings(&situation, 100, "");
    situation.sync();
    assert_eq!(active(&situation), (0..day.fates.len()).collect());

    let mut still = day.expected();
    let mut today = day.domain(true);
    match &day.wrong {
        Wrong::Search(nth, after, trouble) => {
            proxy.set_fault(Fault::in_search(*nth, after.index(7), *trouble));
            settings(&situation, 100, patience(*trouble));
        }
        Wrong::ByGuid(code) => today.guid_result = Some(code.clone()),
        Wrong::Unindexed(whom) => {
            today.not_indexed = day.dn(whom.index(day.fates.len()), true);
        }
        Wrong::DomainBelow(whom) => {
            let whom = whom.index(day.fates.len());
            domains::with_eu(&mut today);
            let place = day.dn(whom, true);
            let moved = today.entries.iter_mut();
            for (dn, _) in moved.filter(|(dn, _)| Some(dn.as_str()) == place.as_deref()) {
                *dn = format!("uid=p{whom},{}", domains::EU);
            }
            if day.base != domains::ROOT {
                still.remove(&whom);
            }
        }
    }
    directory.set(|odd| *odd = today);
    situation.sync();
    let now = active(&situation);
    assert!(still.is_subset(&now), "{still:?} {now:?}");

    proxy.set_fault(None);
    settings(&situation, 100, "");
    directory.set(|odd| *odd = day.domain(true));
    situation.sync();
    assert_eq!(active(&situation), day.expected());
    situation.sync_changes_nothing();
}

/// The people with active users.
fn active(situation: &Situation) -> BTreeSet<usize> {
    let users = situation.ftrack().users().into_iter();
    let active = users.filter(|user| user.is_active);
    active
        .filter_map(|user| user.username.strip_prefix('p')?.parse().ok())
        .collect()
}
