//! Random days of a studio with two servers, one of which may lag behind or be down, and two jobs:
//! whatever happens, nobody is deactivated whom a reachable server shows, limits hold over the
//! days, and one person has one user.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use ftrack_ldap_sync::{
    demo::directory::{DirectoryServer, Tree, TreeEntry},
    model::{
        change::Action,
        link::{LINK_KEY, Link},
        report::{ChangeResult, Outcome, Report},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

use super::cases;
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    nobody_wrongly::{let_pass, replica},
    rules::{add_config, by_hand},
    studio::{Studio, person},
    truth::witness,
};

/// The people, in the order in which they join.
const PEOPLE: [&str; 9] = [
    "ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy",
];
/// The most deactivations of one job in a day.
const LIMIT: usize = 2;
/// The parts of the directory that the two jobs search.
const UNITS: [&str; 2] = ["people", "london"];

/// What happens before a run.
#[derive(Debug, Clone)]
enum Event {
    /// Somebody new, in one of the units.
    Joins(usize, usize),
    /// Leaves for good.
    Leaves(usize),
    /// To the other unit.
    Moves(usize),
    /// Gets another login, or the old one back.
    IsRenamed(usize),
    GetsMail(usize, u8),
    /// A person at ftrack switches the user on or off.
    ByHand(usize, bool),
    /// The replica gets what the preferred server has.
    ReplicaCatchesUp,
    /// Which servers can be reached: the preferred one, the replica.
    Servers(bool, bool),
    /// The list of users, or of links, ends after so many rows.
    ListsAreCut(Option<usize>, Option<usize>),
    /// So many hours go by.
    TimePasses(i64),
    StateIsLost,
}

fn event() -> impl Strategy<Value = Event> {
    let who = 0..PEOPLE.len();
    prop_oneof![
        4 => (who.clone(), 0..UNITS.len()).prop_map(|(who, unit)| Event::Joins(who, unit)),
        3 => who.clone().prop_map(Event::Leaves),
        3 => who.clone().prop_map(Event::Moves),
        2 => who.clone().prop_map(Event::IsRenamed),
        1 => (who.clone(), any::<u8>()).prop_map(|(who, nth)| Event::GetsMail(who, nth)),
        2 => (who, any::<bool>()).prop_map(|(who, on)| Event::ByHand(who, on)),
        2 => Just(Event::ReplicaCatchesUp),
        2 => any::<(bool, bool)>().prop_map(|(preferred, replica)| Event::Servers(preferred, replica)),
        2 => (proptest::option::of(1_usize..12), proptest::option::of(1_usize..12)).prop_map(|(users, links)| Event::ListsAreCut(users, links)),
        3 => select(vec![1, 7, 25]).prop_map(Event::TimePasses),
        1 => Just(Event::StateIsLost),
    ]
}

/// How the two jobs stand to each other: beside, one within the other, and by a table of their own
/// or the same.
#[derive(Debug, Clone, Copy)]
struct Jobs {
    overlap: bool,
    own_table: bool,
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn over_days_and_servers_nobody_is_locked_out_let_in_or_made_twice(
        (overlap, own_table) in any::<(bool, bool)>(),
        start in 3_usize..9,
        days in vec((vec(event(), 0..5), 0_usize..2), 3..9),
    ) {
        live_through(Jobs { overlap, own_table }, start, &days);
    }
}

/// Found by the property: the replica shows somebody where the person was before another job, by a
/// table of its own, took the user over.
#[test]
fn a_replica_that_shows_somebody_at_the_former_place_holds_whichever_table_names_it() {
    let beside = Jobs {
        overlap: false,
        own_table: true,
    };
    let days = [
        (vec![Event::Moves(0)], 0),
        (vec![], 1),
        (vec![Event::Leaves(0)], 0),
        (vec![], 1),
    ];
    live_through(beside, 3, &days);
}

/// A studio with two servers and two jobs, and what is known of it from outside.
struct World {
    studio: Studio,
    preferred: LdapProxy,
    replica: LdapProxy,
    /// What the replica holds.
    behind: DirectoryServer,
    reachable: (bool, bool),
    jobs: Jobs,
    /// The directory id of each person, by the name that they had at first.
    ids: BTreeMap<usize, String>,
    /// Users that a person deactivated.
    off_by_hand: BTreeSet<String>,
    /// What each job deactivated without approval, and when.
    deactivated: Vec<(String, DateTime<Utc>)>,
    now: DateTime<Utc>,
}

fn live_through(jobs: Jobs, start: usize, days: &[(Vec<Event>, usize)]) {
    let mut world = World::new(jobs);
    for who in 0..start {
        world.take(&Event::Joins(who, who % 2));
    }
    world.take(&Event::ReplicaCatchesUp);
    world.run(0);
    world.run(1);
    for (events, job) in days {
        for event in events {
            world.take(event);
        }
        world.run(*job);
    }
    // Everything heals, and what is not held comes together.
    for event in [
        Event::Servers(true, true),
        Event::ListsAreCut(None, None),
        Event::ReplicaCatchesUp,
        Event::TimePasses(25),
    ] {
        world.take(&event);
    }
    for job in [0, 1, 0, 1] {
        world.run(job);
    }
    for job in [0, 1] {
        let report = world.run(job);
        assert_eq!(report.ftrack.write_calls, 0, "{report:#?}");
    }
    world.assert_everybody_who_is_there_has_a_user();
}

impl World {
    fn new(jobs: Jobs) -> Self {
        let mut studio = Studio::empty().end_to_end();
        studio.job = format!(
            "limits.deactivate = {LIMIT}\nlimits.rename = 1000\nlimits.reactivate = \
             1000\nlimits.create = 1000\nlimits.min_entries = 0\nlimits.unusable = \
             \"100%\"\nusers.adopt_always = true"
        );
        studio
            .tree()
            .add(
                TreeEntry::new(unit(1))
                    .with("objectClass", "organizationalUnit")
                    .with("ou", UNITS[1]),
            )
            .unwrap();
        // Somebody stays in each unit: a base that is suddenly empty is another story.
        for place in 0..UNITS.len() {
            let mut anchor = person(&format!("anchor{place}"), "Given", "Anchor");
            anchor.dn = dn(&format!("anchor{place}"), place);
            studio.tree().add(anchor).unwrap();
        }
        let preferred = LdapProxy::start(studio.directory().address(), None);
        let behind = replica(&studio, studio.tree().copy());
        let stands_in = LdapProxy::start(behind.address(), None);
        Self {
            studio,
            preferred,
            replica: stands_in,
            behind,
            reachable: (true, true),
            jobs,
            ids: BTreeMap::new(),
            off_by_hand: BTreeSet::new(),
            deactivated: Vec::new(),
            now: Utc::now(),
        }
    }

    fn configure(&self) {
        let table = |name: &str| {
            format!(
                "[directories.{name}]\nurls = [{:?}, {:?}]\nbind_dn = \
                 \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
                 \"ldap-password\"\noperation_timeout = \"3s\"\n",
                self.preferred.url(),
                self.replica.url()
            )
        };
        let base = if self.jobs.overlap {
            "dc=studio,dc=test".to_owned()
        } else {
            unit(1)
        };
        let (own, name) = if self.jobs.own_table {
            (table("again"), "again")
        } else {
            (String::new(), "studio")
        };
        add_config(
            &self.studio,
            &format!(
                "{}{own}[jobs.others]\ndirectory = \"{name}\"\nsearch_bases = [{base:?}]\nfilter \
                 = \"(objectClass=inetOrgPerson)\"\nattributes = {{ {} }}\nlimits = {{ deactivate \
                 = {LIMIT}, rename = 1000, reactivate = 1000, create = 1000, min_entries = 0, \
                 unusable = \"100%\" }}\nusers.adopt_always = true\n",
                table("studio"),
                self.studio.attributes
            ),
        );
    }

    /// An event that does not apply, since somebody is not there or is there already, is none.
    fn take(&mut self, event: &Event) {
        let tree = self.studio.tree().clone();
        match event {
            Event::Joins(who, place)
                if self.place_of(*who).is_none() && !self.ids.contains_key(who) =>
            {
                let mut entry = person(PEOPLE[*who], "Given", PEOPLE[*who]);
                entry.dn = dn(PEOPLE[*who], *place);
                let id = tree.add(entry).unwrap();
                self.ids.insert(*who, id.to_string());
            }
            Event::Leaves(who) => {
                if let Some(place) = self.place_of(*who) {
                    tree.remove(&place).unwrap();
                }
            }
            Event::Moves(who) => {
                if let Some(place) = self.place_of(*who) {
                    let (name, at) = place.split_once(',').unwrap();
                    let other = if at == unit(0) { unit(1) } else { unit(0) };
                    tree.rename(&place, &format!("{name},{other}")).unwrap();
                }
            }
            Event::IsRenamed(who) => {
                if let Some(place) = self.place_of(*who) {
                    let (name, at) = place.split_once(',').unwrap();
                    let new = if name.ends_with("-x") {
                        name.trim_end_matches("-x").to_owned()
                    } else {
                        format!("{name}-x")
                    };
                    tree.rename(&place, &format!("{new},{at}")).unwrap();
                }
            }
            Event::GetsMail(who, nth) => {
                if let Some(place) = self.place_of(*who) {
                    tree.replace(&place, "mail", &[&format!("mail{nth}@studio.test")])
                        .unwrap();
                }
            }
            Event::ByHand(who, on) => self.switch(*who, *on),
            Event::ReplicaCatchesUp => {
                self.behind = replica(&self.studio, tree.copy());
                self.replica = LdapProxy::start(self.behind.address(), None);
                self.set_servers();
            }
            Event::Servers(preferred, replica) => {
                self.reachable = (*preferred, *replica);
                self.set_servers();
            }
            Event::ListsAreCut(users, links) => {
                let cut = [("User", users), ("Metadata", links)];
                let cut = cut
                    .into_iter()
                    .filter_map(|(of, rows)| Some((of.to_owned(), (*rows)?)));
                let cut = cut.collect();
                self.studio
                    .ftrack()
                    .change_rules(|rules| rules.cut_lists = cut);
            }
            Event::TimePasses(hours) => self.let_pass(Duration::hours(*hours)),
            Event::StateIsLost => {
                let _ = std::fs::remove_dir_all(self.studio.state_dir());
            }
            Event::Joins(..) => {}
        }
    }

    fn set_servers(&self) {
        for (proxy, is_up) in [
            (&self.preferred, self.reachable.0),
            (&self.replica, self.reachable.1),
        ] {
            proxy.set_fault((!is_up).then(|| Fault::at_every_bind(Trouble::Close)));
        }
    }

    /// Where a person's entry is at the preferred server.
    fn place_of(&self, who: usize) -> Option<String> {
        let id = self.ids.get(&who)?;
        places(who).find(|place| {
            self.studio
                .tree()
                .entry_uuid(place)
                .is_some_and(|uuid| uuid.to_string() == *id)
        })
    }

    /// Whether a tree shows a person within what the jobs search.
    fn shows(tree: &Tree, id: &str) -> bool {
        (0..PEOPLE.len()).flat_map(places).any(|place| {
            tree.entry_uuid(&place)
                .is_some_and(|uuid| uuid.to_string() == id)
        })
    }

    fn switch(&mut self, who: usize, on: bool) {
        let Some(id) = self.ids.get(&who) else { return };
        let users = self.studio.ftrack().users();
        let Some(user) = users
            .iter()
            .find(|user| directory_id(user).as_ref() == Some(id))
        else {
            return;
        };
        by_hand(&self.studio, &user.username, &json!({"is_active": on}));
        if on {
            self.off_by_hand.remove(&user.id);
        } else if user.is_active {
            self.off_by_hand.insert(user.id.clone());
        }
    }

    fn let_pass(&mut self, time: Duration) {
        self.now += time;
        let_pass(&self.studio, time);
    }

    /// One run of one job, whose report is compared with what the stand-in saw, and with what may
    /// never be.
    fn run(&mut self, job: usize) -> Report {
        self.configure();
        let name = ["artists", "others"][job];
        let report = witness::synced(&self.studio, &["sync", name, "--format", "json"]);
        if report.outcome == Outcome::Failed {
            assert_eq!(report.ftrack.write_calls, 0, "{report:#?}");
        }
        for change in report
            .changes
            .iter()
            .filter(|change| change.result == ChangeResult::Applied)
        {
            if change.action == Action::Deactivate {
                self.deactivated.push((name.to_owned(), self.now));
                let (preferred, replica) = (self.studio.tree(), self.behind.tree());
                for (tree, is_up) in [(preferred, self.reachable.0), (replica, self.reachable.1)] {
                    assert!(
                        !is_up || !Self::shows(tree, change.directory_id.as_deref().unwrap()),
                        "shown by a server: {report:#?}"
                    );
                }
                assert!(self.reachable.0, "by a replica: {report:#?}");
            }
        }
        let within = |(of, at): &&(String, DateTime<Utc>)| {
            of == name && self.now - *at < Duration::hours(24)
        };
        assert!(
            self.deactivated.iter().filter(within).count() <= LIMIT,
            "more than the limit: {report:#?}"
        );
        self.assert_one_user_each(&report);
        for user in self.studio.ftrack().users() {
            assert!(
                !user.is_active || !self.off_by_hand.contains(&user.id),
                "deactivated by hand, and active: {user:?} {report:#?}"
            );
        }
        report
    }

    fn assert_one_user_each(&self, report: &Report) {
        let mut seen = BTreeSet::new();
        for user in self.studio.ftrack().users() {
            if let Some(id) = directory_id(&user) {
                assert!(
                    seen.insert(id),
                    "two users of one person: {user:?} {report:#?}"
                );
            }
        }
    }

    fn assert_everybody_who_is_there_has_a_user(&self) {
        let users = self.studio.ftrack().users();
        for (who, id) in &self.ids {
            let user = users
                .iter()
                .find(|user| directory_id(user).as_ref() == Some(id));
            if self.place_of(*who).is_some() {
                let user = user.unwrap_or_else(|| panic!("{} has no user", PEOPLE[*who]));
                assert!(
                    user.is_active || self.off_by_hand.contains(&user.id),
                    "{} is locked out: {user:?}",
                    PEOPLE[*who]
                );
            }
        }
    }
}

fn directory_id(user: &ftrack_ldap_sync::demo::ftrack::Account) -> Option<String> {
    let link: Link = serde_json::from_str(user.metadata.get(LINK_KEY)?).unwrap();
    Some(link.id.as_str().to_owned())
}

fn unit(place: usize) -> String {
    format!("ou={},dc=studio,dc=test", UNITS[place])
}

fn dn(uid: &str, place: usize) -> String {
    format!("uid={uid},{}", unit(place))
}

/// Where a person's entry may be.
fn places(who: usize) -> impl Iterator<Item = String> {
    let logins = [PEOPLE[who].to_owned(), format!("{}-x", PEOPLE[who])];
    logins
        .into_iter()
        .flat_map(|login| [dn(&login, 0), dn(&login, 1)])
}
