//! Groups with their members, and who is in which of them, however they are nested. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    budget::{Budget, OverBudget},
    dn::{Dn, Keys, from_key},
};
use crate::model::entry::{Entry, of_bytes};

/// The members by DN: of groupOfNames (RFC 4519 section 3.5) and Active Directory's groups, and of
/// groupOfUniqueNames (section 3.6).
pub(super) const BY_DN: [&str; 2] = ["member", UNIQUE_MEMBER];
/// Its values may have a bit string behind the DN (RFC 4517 section 3.3.21).
const UNIQUE_MEMBER: &str = "uniqueMember";
/// The members of posixGroup, by their logins (RFC 2307 section 3).
pub(super) const BY_UID: &str = "memberUid";
/// The attribute that holds those logins.
pub(super) const UID: &str = "uid";
/// The number of a group, which is built when it is asked for (MS-ADTS section 3.1.1.4.5.11), and that
/// of a user's primary group, which does not show the user as a member.
pub(super) const PRIMARY_GROUP_TOKEN: &str = "primaryGroupToken";
pub(super) const PRIMARY_GROUP_ID: &str = "primaryGroupID";
/// Who is a member of a group that the server computes.
pub(super) const MEMBER_URL: &str = "memberURL";
/// The object class of Active Directory's groups.
const OF_DOMAIN: &[u8] = b"group";
/// The most members that are named in a note.
const MOST_NAMED: usize = 3;

/// The groups of a directory.
#[derive(Debug, Default)]
pub(super) struct GroupGraph {
    dns: Dns,
    groups: HashMap<u32, Group>,
    /// Values that are not DNs.
    unreadable: usize,
}

/// The DNs of groups and members, each with a number, from 0 on: a member of several groups is kept
/// as text once.
#[derive(Debug, Default)]
struct Dns {
    /// By their keys.
    numbers: HashMap<Box<str>, u32>,
    keys: Keys,
}

impl Dns {
    /// The number of a DN, which it gets if it has none; none where the text is not a DN.
    fn number(&mut self, dn: &str, budget: &mut Budget) -> Result<Option<u32>, OverBudget> {
        let Some(key) = self.keys.of(dn) else {
            return Ok(None);
        };
        if let Some(number) = self.numbers.get(key) {
            return Ok(Some(*number));
        }
        let Ok(number) = u32::try_from(self.numbers.len()) else {
            return Ok(None);
        };
        budget.take(of_bytes(key.len()) + 2 * size_of::<(Box<str>, u32)>())?;
        self.numbers.insert(key.into(), number);
        Ok(Some(number))
    }

    /// The number of a DN that has one.
    fn find(&mut self, dn: &str) -> Option<u32> {
        self.numbers.get(self.keys.of(dn)?).copied()
    }
}

/// One group, with its own members.
#[derive(Debug)]
struct Group {
    dn: Box<str>,
    members: Vec<u32>,
    uids: Vec<Box<str>>,
    primary: Option<Box<str>>,
    is_computed: bool,
    /// Whether it is one of Active Directory's.
    is_of_domain: bool,
}

impl Group {
    fn size(&self) -> usize {
        let uids: usize = self.uids.iter().map(|uid| of_bytes(uid.len())).sum();
        size_of::<Self>()
            + of_bytes(self.dn.len())
            + size_of_val(&*self.members)
            + size_of_val(&*self.uids)
            + uids
    }

    /// The number of members that it names itself.
    fn len(&self) -> usize {
        self.members.len().saturating_add(self.uids.len())
    }
}

impl GroupGraph {
    /// Adds a group; one that came before stays.
    pub fn add(&mut self, entry: &Entry, budget: &mut Budget) -> Result<(), OverBudget> {
        let Some(number) = self.dns.number(&entry.dn, budget)? else {
            return Ok(());
        };
        if self.groups.contains_key(&number) {
            return Ok(());
        }
        let named = BY_DN.iter().map(|name| entry.values(name).len());
        let mut members = Vec::with_capacity(named.sum());
        for name in BY_DN {
            for value in entry.values(name) {
                let text = String::from_utf8_lossy(value);
                let dn = match name {
                    UNIQUE_MEMBER => without_bits(&text),
                    _ => &text,
                };
                match self.dns.number(dn, budget)? {
                    Some(member) => members.push(member),
                    None => self.unreadable = self.unreadable.saturating_add(1),
                }
            }
        }
        let text = |value: &Vec<u8>| Box::from(String::from_utf8_lossy(value).as_ref());
        let group = Group {
            dn: entry.dn.as_str().into(),
            members,
            uids: entry.values(BY_UID).iter().map(|uid| folded(uid)).collect(),
            primary: entry.values(PRIMARY_GROUP_TOKEN).first().map(text),
            is_computed: !entry.values(MEMBER_URL).is_empty(),
            is_of_domain: entry
                .values("objectClass")
                .iter()
                .any(|class| class.eq_ignore_ascii_case(OF_DOMAIN)),
        };
        budget.take(group.size())?;
        self.groups.insert(number, group);
        Ok(())
    }

    /// The place of the group with this DN.
    pub fn find(&mut self, dn: &str) -> Option<Place> {
        let number = self.dns.find(dn)?;
        self.groups.contains_key(&number).then_some(Place(number))
    }

    /// Whether a group names its members as a search, which the server did not carry out.
    pub fn is_left_to_compute(&self, Place(group): Place) -> bool {
        let group = self.groups.get(&group);
        group.is_some_and(|group| group.is_computed && group.len() == 0)
    }

    /// Who is a member of each of these groups, directly or through others.
    /// Of the first `of_people` alone it matters who their members are beyond those that are read.
    pub fn members(
        self,
        groups: &[Place],
        of_people: usize,
        budget: &mut Budget,
    ) -> Result<Members, OverBudget> {
        let mut seen = vec![false; self.dns.numbers.len()];
        let mut members = Members {
            unread: seen.clone(),
            of_grants: seen.clone(),
            of_people: u32::try_from(of_people).unwrap_or(u32::MAX),
            unreadable: self.unreadable,
            ..Members::default()
        };
        for (place, Place(group)) in (0..).zip(groups) {
            seen.fill(false);
            is_first(&mut seen, *group);
            let mut open = vec![*group];
            while let Some(group) = open.pop().and_then(|number| self.groups.get(&number)) {
                members.reach(group, place, budget)?;
                for number in &group.members {
                    if !is_first(&mut seen, *number) {
                        continue;
                    }
                    if self.groups.contains_key(number) {
                        open.push(*number);
                    } else {
                        members.add(*number, place, budget)?;
                    }
                }
            }
        }
        members.by_dn.sort_unstable();
        members.dns = self.dns;
        Ok(members)
    }
}

/// Whether a number is seen for the first time; it has been, from then on.
fn is_first(seen: &mut [bool], number: u32) -> bool {
    let seen = seen.get_mut(number as usize);
    seen.is_some_and(|seen| !std::mem::replace(seen, true))
}

/// Where a group stands in a [`GroupGraph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

fn put(places: &mut Vec<u32>, place: u32, budget: &mut Budget) -> Result<(), OverBudget> {
    if places.last() != Some(&place) {
        budget.take(of_bytes(4 * size_of::<u32>()))?;
        places.push(place);
    }
    Ok(())
}

/// A name with an optional unique identifier, without that (RFC 4517 section 3.3.21).
fn without_bits(text: &str) -> &str {
    let is_bits = |bits: &str| {
        let bits = bits
            .strip_prefix('\'')
            .and_then(|bits| bits.strip_suffix("'B"));
        bits.is_some_and(|bits| bits.bytes().all(|bit| matches!(bit, b'0' | b'1')))
    };
    match text.rsplit_once('#') {
        Some((dn, bits)) if is_bits(bits) => dn,
        Some(_) | None => text,
    }
}

/// A login as servers compare it.
fn folded(uid: &[u8]) -> Box<str> {
    String::from_utf8_lossy(uid).to_lowercase().into()
}

/// Who is a member of which of the groups that were asked for; each is known by its position among
/// them.
#[derive(Debug, Default)]
pub(super) struct Members {
    dns: Dns,
    /// The members by the numbers of their DNs, each with a group, in order.
    by_dn: Vec<(u32, u32)>,
    by_uid: HashMap<Box<str>, Vec<u32>>,
    by_primary: HashMap<Box<str>, Vec<u32>>,
    /// For each number whether it is that of a member whose entry was not read so far.
    unread: Vec<bool>,
    /// The same for members of groups that give something.
    of_grants: Vec<bool>,
    /// The number of the groups whose members alone are people; the others give roles.
    of_people: u32,
    /// Every group through which somebody may have a role, with the number of its own members.
    reached_by_grants: BTreeMap<String, usize>,
    /// Every group through which somebody may be a member, with the number of its own members.
    reached: BTreeMap<String, usize>,
    unreadable: usize,
    shows_uid: bool,
    shows_primary: bool,
    /// A group of Active Directory among those that does not show its number, so that whose primary
    /// group it is is not known.
    unnumbered: Option<Box<str>>,
}

impl Members {
    /// Adds a group through which its members are in the group at that position, with those whom it
    /// does not name by their DNs.
    fn reach(&mut self, group: &Group, place: u32, budget: &mut Budget) -> Result<(), OverBudget> {
        let reached = if place < self.of_people {
            &mut self.reached
        } else {
            &mut self.reached_by_grants
        };
        let reached = reached.entry(group.dn.as_ref().to_owned());
        reached.or_insert_with(|| group.len());
        for uid in &group.uids {
            put(self.by_uid.entry(uid.clone()).or_default(), place, budget)?;
        }
        match &group.primary {
            Some(primary) => {
                let of_primary = self.by_primary.entry(primary.clone());
                put(of_primary.or_default(), place, budget)?;
            }
            None if group.is_of_domain => {
                self.unnumbered.get_or_insert_with(|| group.dn.clone());
            }
            None => {}
        }
        Ok(())
    }

    /// Adds a member of the group at that position.
    fn add(&mut self, number: u32, place: u32, budget: &mut Budget) -> Result<(), OverBudget> {
        budget.take(2 * size_of::<(u32, u32)>())?;
        self.by_dn.push((number, place));
        let unread = if place < self.of_people {
            &mut self.unread
        } else {
            &mut self.of_grants
        };
        if let Some(unread) = unread.get_mut(number as usize) {
            *unread = true;
        }
        Ok(())
    }

    /// The groups that an entry belongs to.
    pub fn memberships(&mut self, entry: &Entry) -> Memberships {
        let mut groups = self.groups_of(entry);
        let of_grants = groups.split_off(&self.of_people);
        let positions = of_grants.iter().map(|place| place - self.of_people);
        Memberships {
            is_person: self.of_people == 0 || !groups.is_empty(),
            of_grants: positions.collect(),
            is_unclear: self.unclear_by(entry).is_some(),
        }
    }

    /// The positions of the groups that an entry belongs to.
    fn groups_of(&mut self, entry: &Entry) -> BTreeSet<u32> {
        let mut groups = BTreeSet::new();
        if let Some(number) = self.dns.find(&entry.dn) {
            for unread in [&mut self.unread, &mut self.of_grants] {
                if let Some(unread) = unread.get_mut(number as usize) {
                    *unread = false;
                }
            }
            let first = self.by_dn.partition_point(|(member, _)| *member < number);
            let of_member = self.by_dn.iter().skip(first);
            let of_member = of_member.take_while(|(member, _)| *member == number);
            groups.extend(of_member.map(|(_, place)| *place));
        }
        for uid in entry.values(UID) {
            self.shows_uid = true;
            groups.extend(self.by_uid.get(&folded(uid)).into_iter().flatten());
        }
        for id in entry.values(PRIMARY_GROUP_ID) {
            self.shows_primary = true;
            let id = String::from_utf8_lossy(id);
            groups.extend(self.by_primary.get(&*id).into_iter().flatten());
        }
        groups
    }

    /// A group of Active Directory, through which somebody may be a member, that does not show its
    /// number.
    pub fn unnumbered(&self) -> Option<&str> {
        self.unnumbered.as_deref()
    }

    /// The attribute that an entry lacks, and by which it may be a member although no group names it.
    pub fn unclear_by(&self, entry: &Entry) -> Option<&'static str> {
        let lacks = |name: &str| entry.values(name).is_empty();
        let uid = (!self.by_uid.is_empty() && lacks(UID)).then_some(UID);
        let primary = !self.by_primary.is_empty() && lacks(PRIMARY_GROUP_ID);
        uid.or(primary.then_some(PRIMARY_GROUP_ID))
    }

    /// The attribute that all entries lack, and without which some are members of nothing.
    pub fn lacking(&self) -> Option<&'static str> {
        let uid = (!self.by_uid.is_empty() && !self.shows_uid).then_some(UID);
        let primary = !self.by_primary.is_empty() && !self.shows_primary;
        uid.or(primary.then_some(PRIMARY_GROUP_ID))
    }

    /// Who they are, without the people.
    pub fn into_members(self) -> GroupMembers {
        GroupMembers {
            has_logins: !self.by_uid.is_empty(),
            dns: unread(&self.dns, &self.unread).collect(),
        }
    }

    /// What remains to be known when the people were read.
    pub fn groups_read(self) -> GroupsRead {
        GroupsRead {
            reached: self.reached,
            unreadable: self.unreadable,
            has_people: self.of_people > 0,
            reached_by_grants: self.reached_by_grants,
            outside_of_grants: unread(&self.dns, &self.of_grants).collect(),
            outside: unread(&self.dns, &self.unread).collect(),
        }
    }
}

/// The keys of the members whose entries were not read.
fn unread(dns: &Dns, unread: &[bool]) -> impl Iterator<Item = Box<str>> {
    let dns = dns.numbers.iter();
    dns.filter(|(_, number)| unread.get(**number as usize) == Some(&true))
        .map(|(key, _)| key.clone())
}

/// What an entry's memberships make of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memberships {
    /// Whether it is one of the people: in one of their groups, or there are none.
    pub is_person: bool,
    /// The positions of the groups that give it roles, in order.
    pub of_grants: Box<[u32]>,
    /// Whether it may be in more groups: it does not show an attribute by which groups name members.
    pub is_unclear: bool,
}

impl Memberships {
    /// Whether they say more than that the entry is that of somebody who gets nothing.
    #[must_use]
    pub fn tells_of_grants(&self) -> bool {
        self.is_unclear || !self.of_grants.is_empty()
    }
}

/// Who the members of the groups are that people must be in, as far as their DNs tell.
#[derive(Debug, Default)]
pub struct GroupMembers {
    /// Normalised; none of them is a group.
    dns: HashSet<Box<str>>,
    has_logins: bool,
}

impl GroupMembers {
    /// Whether some are named by their logins: their entries are known only when people are read.
    #[must_use]
    pub fn has_logins(&self) -> bool {
        self.has_logins
    }

    /// Whether a DN, in the form in which DNs are compared, is among them.
    #[must_use]
    pub fn names(&self, key: &str) -> bool {
        self.dns.contains(key)
    }

    /// The DNs of those who are not among these.
    #[must_use]
    pub fn others(&self, known: &HashSet<Box<str>>) -> Vec<String> {
        let others = self.dns.iter().filter(|key| !known.contains(&**key));
        let mut others: Vec<String> = others.map(|key| from_key(key)).collect();
        others.sort_unstable();
        others
    }
}

/// The groups that a reading went through, and their members who were not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupsRead {
    reached: BTreeMap<String, usize>,
    /// The keys of the DNs of members that are neither groups nor among the entries of the reading.
    outside: BTreeSet<Box<str>>,
    /// Members that are not named by a DN.
    unreadable: usize,
    /// Whether only members of groups are people.
    has_people: bool,
    reached_by_grants: BTreeMap<String, usize>,
    /// As `outside`, of the groups that give something.
    outside_of_grants: BTreeSet<Box<str>>,
}

/// A group that had members before, and does not show them any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostGroup {
    /// It is still a member of another group, and is not seen itself.
    Hidden(String),
    /// It has no members.
    Empty(String),
}

impl GroupsRead {
    /// Every group through which somebody may be a member, by its DN, with the number of members
    /// that it names itself.
    #[must_use]
    pub fn reached(&self) -> &BTreeMap<String, usize> {
        &self.reached
    }

    /// Whether only members of groups are people.
    #[must_use]
    pub fn has_people(&self) -> bool {
        self.has_people
    }

    /// The same as `reached` for the groups that give something.
    #[must_use]
    pub fn reached_by_grants(&self) -> &BTreeMap<String, usize> {
        &self.reached_by_grants
    }

    /// Those that only give something.
    #[must_use]
    pub fn only_of_grants(&self) -> Vec<String> {
        let of_grants = self.reached_by_grants.keys();
        let only = of_grants.filter(|dn| !self.reached.contains_key(*dn));
        only.cloned().collect()
    }

    /// All of both.
    #[must_use]
    pub fn all_reached(&self) -> BTreeMap<String, usize> {
        let of_grants = self.reached_by_grants.iter();
        let mut all = self.reached.clone();
        all.extend(of_grants.map(|(dn, members)| (dn.clone(), *members)));
        all
    }

    /// Those of the groups of people that had members in an earlier reading and do not show them,
    /// although they may still have them.
    #[must_use]
    pub fn lost(&self, before: &BTreeMap<String, usize>) -> Vec<LostGroup> {
        lost(before, &self.reached, &self.outside)
    }

    /// The same of the groups that give something.
    #[must_use]
    pub fn lost_of_grants(&self, before: &BTreeMap<String, usize>) -> Vec<LostGroup> {
        lost(before, &self.reached_by_grants, &self.outside_of_grants)
    }
}

fn lost(
    before: &BTreeMap<String, usize>,
    reached: &BTreeMap<String, usize>,
    outside: &BTreeSet<Box<str>>,
) -> Vec<LostGroup> {
    let now: HashMap<Dn, usize> = reached
        .iter()
        .filter_map(|(dn, members)| Some((Dn::parse(dn)?, *members)))
        .collect();
    let had_members = before.iter().filter(|(_, members)| **members > 0);
    let lost = had_members.filter_map(|(dn, _)| {
        let parsed = Dn::parse(dn)?;
        match now.get(&parsed) {
            Some(0) => Some(LostGroup::Empty(dn.clone())),
            Some(_) => None,
            None => {
                let is_member = outside.contains(parsed.key());
                is_member.then(|| LostGroup::Hidden(dn.clone()))
            }
        }
    });
    lost.collect()
}

impl GroupsRead {
    /// Whether a group names the DN as a member, and no entry that was read has it.
    #[must_use]
    pub fn names_in_vain(&self, dn: &str) -> bool {
        Dn::parse(dn).is_some_and(|dn| self.outside.contains(dn.key()))
    }

    /// The same of the groups that give something.
    #[must_use]
    pub fn names_for_grants(&self, dn: &str) -> bool {
        Dn::parse(dn).is_some_and(|dn| self.outside_of_grants.contains(dn.key()))
    }

    /// The DNs of members that are neither groups nor among the entries of the reading, normalised:
    /// one of them may be a group that the account cannot see.
    pub fn outside(&self) -> impl Iterator<Item = String> {
        self.outside.iter().map(|key| from_key(key))
    }

    /// What is to be said about members who were not read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.outside.is_empty() {
            let named: Vec<String> = self.outside().take(MOST_NAMED).collect();
            let more = match self.outside.len().saturating_sub(MOST_NAMED) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            notes.push(format!(
                "members of the groups are not among the entries that were read (outside of the \
                 search bases, excluded by the filter, or gone): {}{more}",
                named.join("; ")
            ));
        }
        if self.unreadable > 0 {
            notes.push(format!(
                "{} values of member and uniqueMember are not DNs, and name nobody",
                self.unreadable
            ));
        }
        notes
    }
}
