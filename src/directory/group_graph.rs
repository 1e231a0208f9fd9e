//! Groups with their members, and who is in which of them, however they are nested. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    budget::{Budget, OverBudget},
    dn::Dn,
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
/// The most members that are named in a note.
const MOST_NAMED: usize = 3;

/// The groups of a directory.
#[derive(Debug, Default)]
pub(super) struct GroupGraph {
    /// The number of each DN that is a group or a member.
    numbers: HashMap<Arc<str>, u32>,
    dns: Vec<Arc<str>>,
    groups: HashMap<u32, Group>,
    /// Values that are not DNs.
    unreadable: usize,
}

/// One group, with its own members.
#[derive(Debug)]
struct Group {
    dn: Box<str>,
    members: Vec<u32>,
    uids: Vec<Box<str>>,
    primary: Option<Box<str>>,
    is_computed: bool,
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
        let Some(number) = self.number(&entry.dn, budget)? else {
            return Ok(());
        };
        if self.groups.contains_key(&number) {
            return Ok(());
        }
        let mut members = Vec::new();
        for name in BY_DN {
            for value in entry.values(name) {
                let text = String::from_utf8_lossy(value);
                let dn = match name {
                    UNIQUE_MEMBER => without_bits(&text),
                    _ => &text,
                };
                match self.number(dn, budget)? {
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
        };
        budget.take(group.size())?;
        self.groups.insert(number, group);
        Ok(())
    }

    /// The number of a DN; none where the text is not one.
    fn number(&mut self, dn: &str, budget: &mut Budget) -> Result<Option<u32>, OverBudget> {
        let Some(key) = Dn::parse(dn).map(|dn| dn.key()) else {
            return Ok(None);
        };
        if let Some(number) = self.numbers.get(&*key) {
            return Ok(Some(*number));
        }
        let Ok(number) = u32::try_from(self.dns.len()) else {
            return Ok(None);
        };
        budget.take(of_bytes(key.len()) + 2 * size_of::<(Arc<str>, u32)>())?;
        let key: Arc<str> = key.into();
        self.dns.push(Arc::clone(&key));
        self.numbers.insert(key, number);
        Ok(Some(number))
    }

    /// The place of the group with this DN.
    pub fn find(&self, dn: &str) -> Option<Place> {
        let number = self.numbers.get(&*Dn::parse(dn)?.key())?;
        self.groups.contains_key(number).then_some(Place(*number))
    }

    /// Whether a group names its members as a search, which the server did not carry out.
    pub fn is_left_to_compute(&self, Place(group): Place) -> bool {
        let group = self.groups.get(&group);
        group.is_some_and(|group| group.is_computed && group.len() == 0)
    }

    /// Who is a member of each of these groups, directly or through others.
    pub fn members(&self, groups: &[Place], budget: &mut Budget) -> Result<Members, OverBudget> {
        let mut members = Members {
            unreadable: self.unreadable,
            ..Members::default()
        };
        for (place, Place(group)) in groups.iter().enumerate() {
            let mut open = vec![*group];
            let mut known = HashSet::from([*group]);
            while let Some(group) = open.pop().and_then(|number| self.groups.get(&number)) {
                let reached = members.reached.entry(group.dn.as_ref().to_owned());
                reached.or_insert_with(|| group.len());
                for uid in &group.uids {
                    let of_uid = members.by_uid.entry(uid.clone());
                    put(of_uid.or_default(), place, budget)?;
                }
                if let Some(primary) = &group.primary {
                    let of_primary = members.by_primary.entry(primary.clone());
                    put(of_primary.or_default(), place, budget)?;
                }
                for number in group.members.iter().filter(|number| known.insert(**number)) {
                    if self.groups.contains_key(number) {
                        open.push(*number);
                    } else if let Some(dn) = self.dns.get(*number as usize) {
                        let of_dn = members.by_dn.entry(Arc::clone(dn)).or_default();
                        put(&mut of_dn.groups, place, budget)?;
                    }
                }
            }
        }
        Ok(members)
    }
}

/// Where a group stands in a [`GroupGraph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

fn put(places: &mut Vec<usize>, place: usize, budget: &mut Budget) -> Result<(), OverBudget> {
    if places.last() != Some(&place) {
        budget.take(4 * size_of::<usize>())?;
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
    by_dn: HashMap<Arc<str>, Member>,
    by_uid: HashMap<Box<str>, Vec<usize>>,
    by_primary: HashMap<Box<str>, Vec<usize>>,
    /// Every group through which somebody may be a member, with the number of its own members.
    reached: BTreeMap<String, usize>,
    unreadable: usize,
    shows_uid: bool,
    shows_primary: bool,
}

#[derive(Debug, Default)]
struct Member {
    groups: Vec<usize>,
    /// Whether such an entry was among those that were read.
    is_read: bool,
}

impl Members {
    /// The positions of the groups that an entry belongs to.
    pub fn groups_of(&mut self, entry: &Entry) -> BTreeSet<usize> {
        let mut groups = BTreeSet::new();
        let key = Dn::parse(&entry.dn).map(|dn| dn.key());
        if let Some(member) = key.and_then(|key| self.by_dn.get_mut(&*key)) {
            member.is_read = true;
            groups.extend(&member.groups);
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

    /// The attribute that all entries lack, and without which some are members of nothing.
    pub fn lacking(&self) -> Option<&'static str> {
        let uid = (!self.by_uid.is_empty() && !self.shows_uid).then_some(UID);
        let primary = !self.by_primary.is_empty() && !self.shows_primary;
        uid.or(primary.then_some(PRIMARY_GROUP_ID))
    }

    /// What remains to be known when the people were read.
    pub fn groups_read(self) -> GroupsRead {
        let outside = self.by_dn.into_iter().filter(|(_, member)| !member.is_read);
        GroupsRead {
            reached: self.reached,
            outside: outside.map(|(dn, _)| dn).collect(),
            unreadable: self.unreadable,
        }
    }
}

/// The groups that a reading went through, and their members who were not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupsRead {
    reached: BTreeMap<String, usize>,
    /// The DNs of members, normalised, that are neither groups nor among the entries of the reading.
    outside: BTreeSet<Arc<str>>,
    /// Members that are not named by a DN.
    unreadable: usize,
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

    /// Those that had members in an earlier reading and do not show them, although they may still
    /// have them.
    #[must_use]
    pub fn lost(&self, before: &BTreeMap<String, usize>) -> Vec<LostGroup> {
        let now: HashMap<Box<str>, usize> = self
            .reached
            .iter()
            .filter_map(|(dn, members)| Some((Dn::parse(dn)?.key(), *members)))
            .collect();
        let had_members = before.iter().filter(|(_, members)| **members > 0);
        let lost = had_members.filter_map(|(dn, _)| {
            let key = Dn::parse(dn)?.key();
            match now.get(&key) {
                Some(0) => Some(LostGroup::Empty(dn.clone())),
                Some(_) => None,
                None => {
                    let is_member = self.outside.contains(&*key);
                    is_member.then(|| LostGroup::Hidden(dn.clone()))
                }
            }
        });
        lost.collect()
    }

    /// Whether a group names the DN as a member, and no entry that was read has it.
    #[must_use]
    pub fn names_in_vain(&self, dn: &str) -> bool {
        Dn::parse(dn).is_some_and(|dn| self.outside.contains(&*dn.key()))
    }

    /// The DNs of members that are neither groups nor among the entries of the reading, normalised:
    /// one that is new may be a group that the account cannot see.
    pub fn outside(&self) -> impl Iterator<Item = String> {
        self.outside.iter().map(|key| {
            let rdns: Vec<&str> = key.rsplit('\n').collect();
            rdns.join(",")
        })
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
