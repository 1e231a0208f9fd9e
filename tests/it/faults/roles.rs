//! Random days of groups that give roles, of people and of administrators who give and take them by
//! hand, and a random fault of either side: nobody who is in the group loses the role, what was given by
//! hand is not taken, and in the end the roles are those of the group and of the hands.

use std::collections::BTreeSet;

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Atomicity, CallKind, Fault as FtrackFault},
    },
    model::report::Outcome,
};
use proptest::{collection::vec, prelude::*, sample::Index, sample::select};
use serde_json::json;

use super::{NO_LIMIT, cases, of_search, patience, settings};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    rules::{come_back, leave},
    studio::{Studio, dn, person},
};

const ROLE: &str = "Project Manager";
const GROUP: &str = "cn=leads,dc=studio,dc=test";
const INNER: &str = "cn=seniors,dc=studio,dc=test";
const PEOPLE: usize = 5;

/// What happens to one person between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    /// Joins the group, or the group within it.
    Joins {
        inner: bool,
    },
    LeavesGroups,
    /// Somebody gives the role by hand.
    IsGiven,
    /// Somebody takes it by hand.
    IsTaken,
    Leaves,
    ComesBack,
}

/// What goes wrong in the first run after that.
#[derive(Debug, Clone)]
enum Wrong {
    Nothing,
    /// In one of the searches, after a part of the entries.
    Search(usize, Index, Trouble),
    /// In one of the calls that write.
    Write(u64, FtrackFault),
    /// In one of those that read.
    Read(u64, FtrackFault),
}

/// What is so of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    is_member: bool,
    is_away: bool,
    has_role: bool,
    /// Whether the program gave the role, and knows of it.
    is_noted: bool,
}

impl State {
    /// What a run makes of it.
    fn synced(self) -> Self {
        match (self.is_away, self.is_member, self.has_role) {
            (true, _, _) | (false, true, true) => self,
            (false, true, false) => Self {
                has_role: true,
                is_noted: true,
                ..self
            },
            (false, false, has_role) => Self {
                has_role: has_role && !self.is_noted,
                is_noted: false,
                ..self
            },
        }
    }
}

type Day = (Vec<(usize, Happening)>, Wrong);

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(|inner| Happening::Joins { inner }),
        3 => Just(Happening::LeavesGroups),
        2 => Just(Happening::IsGiven),
        1 => Just(Happening::IsTaken),
        1 => Just(Happening::Leaves),
        1 => Just(Happening::ComesBack),
    ]
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let faults = || {
        select(vec![
            FtrackFault::ResetBefore,
            FtrackFault::ResetAfter,
            FtrackFault::Html(502),
            FtrackFault::TruncatedJson,
            FtrackFault::ErrorAfter,
        ])
    };
    prop_oneof![
        1 => Just(Wrong::Nothing),
        3 => (1_usize..8, any::<Index>(), of_search())
            .prop_map(|(nth, after, trouble)| Wrong::Search(nth, after, trouble)),
        3 => (1_u64..4, faults()).prop_map(|(nth, fault)| Wrong::Write(nth, fault)),
        1 => (1_u64..20, faults()).prop_map(|(nth, fault)| Wrong::Read(nth, fault)),
    ]
}

fn days() -> impl Strategy<Value = Vec<Day>> {
    let day = (vec((0..PEOPLE, happening()), 1..5), wrong());
    vec(day, 2..5)
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn roles_are_those_of_the_groups_and_of_the_hands(
        days in days(),
        batch_size in 1_usize..4,
        atomicity in select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]),
    ) {
        let mut world = World::new(batch_size, atomicity);
        for (happenings, wrong) in &days {
            world.live_through(happenings, wrong);
        }
    }
}

fn uid(nth: usize) -> String {
    format!("p{nth}")
}

/// A studio, and what is so of each person.
struct World {
    studio: Studio,
    proxy: LdapProxy,
    people: [State; PEOPLE],
    /// The members of the group, and of the group within it.
    members: [BTreeSet<usize>; 2],
}

impl World {
    fn new(batch_size: usize, atomicity: Atomicity) -> Self {
        let mut studio = Studio::empty();
        studio.job =
            format!("roles = {{ {ROLE:?} = [{GROUP:?}] }}\n{NO_LIMIT}\nlimits.revoke = 1000");
        studio.ftrack_settings = format!("batch_size = {batch_size}\nattempts = 1");
        studio
            .ftrack()
            .change_rules(|rules| rules.atomicity = atomicity);
        for nth in 0..PEOPLE {
            let entry = person(&uid(nth), "Given", &uid(nth));
            studio.tree().add(entry).unwrap();
        }
        // Somebody who stays: neither the people nor the groups are ever empty.
        studio
            .tree()
            .add(person("anchor", "Given", "Anchor"))
            .unwrap();
        for (place, also) in [(GROUP, Some(INNER)), (INNER, None)] {
            let group = TreeEntry::new(place).with("objectClass", "groupOfNames");
            let group = group.with("member", dn("anchor"));
            let group = also
                .iter()
                .fold(group, |group, dn| group.with("member", *dn));
            studio.tree().add(group).unwrap();
        }
        settings(&studio, 3, "");
        let proxy = LdapProxy::start(studio.directory().address(), None);
        studio.directory_url = proxy.url();
        assert_eq!(studio.sync().counts.created, PEOPLE + 1);
        Self {
            studio,
            proxy,
            people: [State::default(); PEOPLE],
            members: Default::default(),
        }
    }

    fn live_through(&mut self, happenings: &[(usize, Happening)], wrong: &Wrong) {
        let before = self.people;
        for (nth, happening) in happenings {
            self.happens(*nth, *happening);
        }
        self.set_members();
        self.run(wrong);
        let now: Vec<bool> = (0..PEOPLE).map(|nth| self.has_role(nth)).collect();
        for (nth, (state, before)) in self.people.iter().zip(before).enumerate() {
            // Whoever is in the group and was, and whoever has it by hand.
            let stays = state.is_member && before.is_member || !state.is_noted;
            assert!(
                now[nth] || !(stays && state.has_role),
                "{nth} lost the role: {before:?} {state:?}"
            );
        }
        self.proxy.set_fault(None);
        self.studio.ftrack().heal();
        settings(&self.studio, 3, "");
        let report = self.studio.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        self.people = self.people.map(State::synced);
        let found: Vec<(bool, bool)> = (0..PEOPLE)
            .map(|nth| (self.has_role(nth), self.is_noted(nth)))
            .collect();
        let expected: Vec<(bool, bool)> = self
            .people
            .iter()
            .map(|state| (state.has_role, state.is_noted))
            .collect();
        assert_eq!(found, expected, "{:#?}", self.people);
        self.studio.sync_changes_nothing();
    }

    fn happens(&mut self, nth: usize, happening: Happening) {
        let state = self.people[nth];
        match happening {
            Happening::Joins { inner } => {
                self.members[usize::from(inner)].insert(nth);
                self.people[nth].is_member = true;
            }
            Happening::LeavesGroups => {
                for members in &mut self.members {
                    members.remove(&nth);
                }
                self.people[nth].is_member = false;
            }
            Happening::IsGiven if !state.has_role => {
                let role = self.role();
                let row = json!({
                    "id": format!("by-hand-{nth}"), "user_id": self.studio.user(&uid(nth)).id,
                    "security_role_id": role, "is_all_open_projects": true, "is_all_projects": true,
                });
                let given = self.studio.ftrack().insert("UserSecurityRole", &row);
                given.unwrap();
                self.people[nth].has_role = true;
            }
            Happening::IsTaken if state.has_role => {
                for row in self.rows(nth) {
                    let key = json!([row]);
                    let taken = self.studio.ftrack().remove("UserSecurityRole", &key);
                    taken.unwrap();
                }
                self.people[nth].has_role = false;
            }
            Happening::Leaves if !state.is_away => {
                leave(&self.studio, &uid(nth));
                self.people[nth].is_away = true;
            }
            Happening::ComesBack if state.is_away => {
                come_back(&self.studio, &uid(nth));
                self.people[nth].is_away = false;
            }
            Happening::IsGiven | Happening::IsTaken | Happening::Leaves | Happening::ComesBack => {}
        }
    }

    fn set_members(&self) {
        for (group, members) in [GROUP, INNER].iter().zip(&self.members) {
            let people = members.iter().map(|nth| dn(&uid(*nth)));
            let inner = (*group == GROUP).then(|| INNER.to_owned());
            let all: Vec<String> = people.chain([dn("anchor")]).chain(inner).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            self.studio.tree().replace(group, "member", &all).unwrap();
        }
    }

    /// A run in which that goes wrong.
    fn run(&self, wrong: &Wrong) {
        let of_kind = |kind: CallKind, nth: u64, fault: &FtrackFault| {
            let (fault, mut calls) = (fault.clone(), 0);
            self.studio.ftrack().fail_when(move |call| {
                calls += u64::from(call.kind == kind);
                (call.kind == kind && calls == nth).then(|| fault.clone())
            });
        };
        match wrong {
            Wrong::Nothing => {}
            Wrong::Search(nth, after, trouble) => {
                self.proxy
                    .set_fault(Fault::in_search(*nth, after.index(4), *trouble));
                settings(&self.studio, 3, patience(*trouble));
            }
            Wrong::Write(nth, fault) => of_kind(CallKind::Write, *nth, fault),
            Wrong::Read(nth, fault) => of_kind(CallKind::Read, *nth, fault),
        }
        self.studio.sync();
    }

    fn role(&self) -> String {
        let roles = self.studio.ftrack().rows("SecurityRole").unwrap();
        let role = roles.iter().find(|role| role["name"] == ROLE).unwrap();
        role["id"].as_str().unwrap().to_owned()
    }

    /// The rows by which a person has the role.
    fn rows(&self, nth: usize) -> Vec<String> {
        let (user, role) = (self.studio.user(&uid(nth)).id, self.role());
        let rows = self.studio.ftrack().rows("UserSecurityRole").unwrap();
        rows.iter()
            .filter(|row| row["user_id"] == json!(user) && row["security_role_id"] == json!(role))
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn has_role(&self, nth: usize) -> bool {
        !self.rows(nth).is_empty()
    }

    fn is_noted(&self, nth: usize) -> bool {
        let user = self.studio.user(&uid(nth));
        let link: serde_json::Value =
            serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
        link["roles"].as_array().is_some_and(|all| !all.is_empty())
    }
}
