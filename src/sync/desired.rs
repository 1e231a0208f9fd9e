//! The desired state according to the directory: people, and everybody who was seen at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::{HashMap, HashMapExt, HashSet};

use super::extent::Extent;
use crate::{
    config::{Filter, Limit, Limits, PeopleFilter},
    directory::{ChangedEntries, GroupsRead, Memberships, PictureValues, Reading},
    escape::{escape_control, is_unseen},
    model::{
        account::Account,
        bind_account::BindAccount,
        entry::{DirectoryId, is_conflict},
        freshness::Freshness,
        id::IdAttribute,
        reason::Reason,
        server_kind::ServerKind,
    },
};

pub use super::person::{DesiredValue, Identified, Mapped, Person, SkippedEntry};

/// The desired state, made only from a complete reading, or from the entries that changed: nobody
/// else can be called absent.
#[derive(Debug, Default)]
pub struct Desired {
    extent: Extent,
    people: Vec<Identified>,
    left_out: HashSet<DirectoryId>,
    /// Of entries with an id that show anything but a person who may sign in.
    accounts: HashMap<DirectoryId, Account>,
    /// Of entries with an id that are in groups that give something, or may be.
    memberships: HashMap<DirectoryId, Memberships>,
    skipped: Vec<SkippedEntry>,
    unidentified: usize,
    notes: Vec<String>,
    /// What is said of LDAP attributes with several values, by their names, and its place among the
    /// notes.
    notes_of_several: (usize, BTreeMap<Box<str>, String>),
    entries: usize,
    id_attribute: Option<IdAttribute>,
    directory: Option<Arc<str>>,
    server: String,
    kind: ServerKind,
    bound_as: BindAccount,
    filter: Option<Filter>,
    groups: Option<GroupsRead>,
    is_preferred: bool,
    freshness: Freshness,
    /// What the directory shows of the pictures of people, by DN; empty where they were not read.
    pub(super) pictures: BTreeMap<Box<str>, PictureValues>,
}

/// A complete reading that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitReading {
    /// The directory shows fewer people than the job requires.
    #[error(
        "the directory shows {entries} people, and limits.min_entries asks for at least {least}: \
         the read is not used; {way_out}"
    )]
    TooFew {
        /// Entries that were read.
        entries: usize,
        /// The configured minimum.
        least: usize,
        /// What to do about it.
        way_out: String,
    },
    /// More entries are unusable than the job allows.
    #[error(
        "{unusable} of {entries} entries cannot be used, which is more than limits.unusable \
         allows, so nothing was written: {reasons}; check the job's attributes and id_attribute, \
         and whether the bind account may read them"
    )]
    Unusable {
        /// Unusable entries.
        unusable: usize,
        /// Entries that were read.
        entries: usize,
        /// The reasons, the most frequent first.
        reasons: String,
    },
}

impl Desired {
    /// Takes a complete reading, ordered by directory id so that equal readings give equal plans.
    ///
    /// # Errors
    /// The reading has fewer entries than the limits require, or more unusable ones than they
    /// allow.
    pub fn new(reading: Reading<Mapped>, limits: &Limits) -> Result<Self, UnfitReading> {
        Self::of(reading, Extent::Everybody, limits)
    }

    /// Takes the entries that changed, and who was named as deleted; nobody else is missing.
    /// `entries` is the number of those of the last complete reading, of which `limits.unusable` is
    /// a part.
    ///
    /// # Errors
    /// More of them are unusable than the limits allow.
    pub fn of_changes(
        changed: ChangedEntries<Mapped>,
        deleted: BTreeSet<DirectoryId>,
        entries: usize,
        limits: &Limits,
    ) -> Result<Self, UnfitReading> {
        let extent = Extent::Changed { deleted, entries };
        Self::of(changed.into_part(), extent, limits)
    }

    fn of(reading: Reading<Mapped>, extent: Extent, limits: &Limits) -> Result<Self, UnfitReading> {
        let mut desired = Self {
            extent,
            entries: reading.entries().len(),
            id_attribute: reading.id_attribute().cloned(),
            directory: reading.directory_id().map(Into::into),
            server: reading.server().to_owned(),
            kind: reading.kind(),
            bound_as: reading.account().clone(),
            filter: reading.filter().cloned(),
            groups: reading.groups().cloned(),
            is_preferred: reading.is_preferred(),
            freshness: reading.freshness().clone(),
            ..Self::default()
        };
        let is_alias = |entry: &&(_, Mapped)| matches!(entry.1, Mapped::Alias { .. });
        let aliases = reading.entries().iter().filter(is_alias).count();
        desired.entries = desired.entries.saturating_sub(aliases);
        if desired.is_of_everybody() && desired.entries < limits.min_entries {
            return Err(UnfitReading::TooFew {
                entries: desired.entries,
                least: limits.min_entries,
                way_out: where_few_are_shown(&reading, desired.entries),
            });
        }
        desired.notes = notes(&reading);
        // Of what changed, most members are not among the entries.
        if desired.is_of_everybody() {
            let of_groups = desired.groups.iter().flat_map(GroupsRead::notes);
            desired.notes.extend(of_groups);
        }
        let several_ids = reading.several_ids().clone();
        let without_id = |place| match several_ids.get(&place) {
            Some(number) => Reason::SeveralIds(*number),
            None => Reason::NoId,
        };
        desired.accounts = accounts(&reading);
        desired.memberships = memberships(&reading);
        let mut alias_entries = Vec::new();
        let entries = reading.into_entries();
        let mut noted = Noted {
            is_domain: desired.kind.is_active_directory(),
            ..Noted::default()
        };
        let identified = |(place, (id, mapped)): (usize, (Option<DirectoryId>, Mapped))| match (
            id,
            seen(mapped),
        ) {
            (Some(id), Mapped::Person(mut person)) => {
                noted.take(&mut person);
                Some((id, person))
            }
            (
                Some(id),
                Mapped::Skipped {
                    dn,
                    username,
                    reason,
                },
            ) => {
                desired.left_out.insert(id.clone());
                desired.skipped.push(SkippedEntry {
                    dn,
                    id: Some(id),
                    username,
                    reason,
                });
                None
            }
            (None, mapped @ (Mapped::Person(_) | Mapped::Skipped { .. })) => {
                desired.unidentified += 1;
                let (dn, username) = mapped.into_names();
                desired.skipped.push(SkippedEntry {
                    dn,
                    id: None,
                    username,
                    reason: without_id(place),
                });
                None
            }
            (id, Mapped::Alias { dn }) => {
                desired.left_out.extend(id.clone());
                alias_entries.push(SkippedEntry {
                    dn,
                    id,
                    username: None,
                    reason: Reason::AliasEntry,
                });
                None
            }
        };
        // Collected in place: the standard library reuses the memory, and this is the largest list
        // of a run.
        desired.people = entries
            .into_iter()
            .enumerate()
            .filter_map(identified)
            .collect();
        desired.are_usable(limits.unusable)?;
        desired.skipped.append(&mut alias_entries);
        // By the beginnings of the ids first, which are compared and moved at less cost than people.
        desired.people.sort_by_cached_key(|(id, _)| id.beginning());
        desired.people.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        desired.notes_of_several = (desired.notes.len(), noted.of_several(desired.entries));
        desired.notes.extend(noted.notes(desired.entries));
        Ok(desired)
    }

    /// The groups that were read, where only their members are people.
    #[must_use]
    pub fn groups(&self) -> Option<&GroupsRead> {
        self.groups.as_ref()
    }

    /// Adds the pictures of people, by the DNs of their entries.
    #[must_use]
    pub fn with_pictures(self, pictures: BTreeMap<Box<str>, PictureValues>) -> Self {
        Self { pictures, ..self }
    }

    /// Adds warnings about the mapping.
    #[must_use]
    pub fn noting(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Warns of attributes with several values, but for those (in lower case) whose values are all
    /// used.
    pub(super) fn note_several(&mut self, all_used: &BTreeSet<&str>) {
        let (place, notes) = std::mem::take(&mut self.notes_of_several);
        let told = notes.into_iter();
        let told = told.filter(|(name, _)| !all_used.contains(&*name.to_ascii_lowercase()));
        let place = place.min(self.notes.len());
        self.notes.splice(place..place, told.map(|(_, note)| note));
    }

    /// The people, to settle which of several values they have; their order stays.
    pub(super) fn people_mut(&mut self) -> &mut [Identified] {
        &mut self.people
    }

    /// Whether no more entries were skipped than the limit allows.
    fn are_usable(&self, limit: Limit) -> Result<(), UnfitReading> {
        let unusable = self.skipped.len();
        let all = match &self.extent {
            Extent::Everybody => self.entries,
            Extent::Changed { entries, .. } => self.entries.max(*entries),
        };
        let too_many = match limit {
            Limit::Count(most) => unusable > most,
            Limit::Percent(percent) => {
                unusable.saturating_mul(100) > all.saturating_mul(usize::from(percent))
            }
        };
        if !too_many {
            return Ok(());
        }
        Err(UnfitReading::Unusable {
            unusable,
            entries: self.entries,
            reasons: frequent_reasons(&self.skipped),
        })
    }

    /// Ordered by directory id.
    #[must_use]
    pub fn people(&self) -> &[Identified] {
        &self.people
    }

    /// The attribute that identified the people; none when there was nobody to identify.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&IdAttribute> {
        self.id_attribute.as_ref()
    }

    /// Whether this reading says anything about a person who is identified by that attribute: ids
    /// of one attribute cannot be found among those of another.
    #[must_use]
    pub fn is_told_by(&self, attribute: &IdAttribute) -> bool {
        self.id_attribute
            .as_ref()
            .is_none_or(|read| read == attribute)
    }

    /// Whether an id was not in the directory at all, not even as a skipped entry; where only what
    /// changed was read, whether the server named it as deleted.
    #[must_use]
    pub fn lacks(&self, id: &DirectoryId) -> bool {
        let may_lack = match &self.extent {
            Extent::Everybody => true,
            Extent::Changed { deleted, .. } => deleted.contains(id),
        };
        may_lack && !self.shows(id)
    }

    /// Whether it says anything about an id.
    #[must_use]
    pub fn tells_of(&self, id: &DirectoryId) -> bool {
        match &self.extent {
            Extent::Everybody => true,
            Extent::Changed { deleted, .. } => deleted.contains(id) || self.shows(id),
        }
    }

    /// Whether everybody was read, and not only what changed.
    #[must_use]
    pub fn is_of_everybody(&self) -> bool {
        matches!(self.extent, Extent::Everybody)
    }

    /// The ids that it shows, also of entries that are skipped.
    pub fn shown(&self) -> impl Iterator<Item = &DirectoryId> {
        self.people.iter().map(|(id, _)| id).chain(&self.left_out)
    }

    fn shows(&self, id: &DirectoryId) -> bool {
        self.left_out.contains(id)
            || self
                .people
                .binary_search_by(|(known, _)| known.cmp(id))
                .is_ok()
    }

    /// What the entry with an id shows of its person's account.
    #[must_use]
    pub fn account(&self, id: &DirectoryId) -> &Account {
        self.accounts.get(id).unwrap_or(&Account::Enabled)
    }

    /// The groups that give something to the person with an id.
    #[must_use]
    pub fn memberships(&self, id: &DirectoryId) -> Option<&Memberships> {
        self.memberships.get(id)
    }

    /// The person with an id.
    #[must_use]
    pub fn person(&self, id: &DirectoryId) -> Option<&Person> {
        let place = self.people.binary_search_by(|(known, _)| known.cmp(id));
        let (_, person) = self.people.get(place.ok()?)?;
        Some(person)
    }

    /// Entries that were skipped while mapping.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedEntry] {
        &self.skipped
    }

    /// Entries without an id.
    #[must_use]
    pub fn unidentified(&self) -> usize {
        self.unidentified
    }

    /// Warnings about the mapping.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The id of the directory that was read; none where it is not known.
    #[must_use]
    pub fn directory(&self) -> Option<&Arc<str>> {
        self.directory.as_ref()
    }

    /// The kind of the server that was read.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// As whom the server was bound to.
    #[must_use]
    pub fn bound_as(&self) -> &BindAccount {
        &self.bound_as
    }

    /// The filter for people with which it was read.
    #[must_use]
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The URL of the server that was read.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether it is the preferred one.
    #[must_use]
    pub fn is_preferred(&self) -> bool {
        self.is_preferred
    }

    /// How current its copy of the directory was, as far as it shows that.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The number of entries that were read.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }
}

/// Skips a person whose login or mail address contains a character that shows nothing: nobody could
/// tell it from the same text without the character.
fn seen(mapped: Mapped) -> Mapped {
    let Mapped::Person(person) = mapped else {
        return mapped;
    };
    let email = match &person.email {
        DesiredValue::Text(email) => &**email,
        DesiredValue::Keep | DesiredValue::Clear => "",
    };
    let texts = [("login", &*person.username), ("mail address", email)];
    let unseen = texts.into_iter().find_map(|(what, text)| {
        let character = text.chars().find(|character| is_unseen(*character))?;
        Some((what, text, character))
    });
    match unseen {
        None => Mapped::Person(person),
        Some((what, text, character)) => {
            let words = format!(
                "its {what} {} contains the character U+{:04X}, which shows nothing, so that it \
                 looks like another {what}",
                escape_control(text),
                u32::from(character)
            );
            Mapped::Skipped {
                dn: person.dn,
                username: Some(person.username),
                reason: Reason::InvalidValue(words.into()),
            }
        }
    }
}

/// What entries show of their people's accounts, by id. Where several entries show one id, all of
/// them must agree.
fn accounts<T>(reading: &Reading<T>) -> HashMap<DirectoryId, Account> {
    let mut accounts: HashMap<DirectoryId, Account> = HashMap::new();
    let shown = reading.accounts();
    if shown.is_empty() {
        return accounts;
    }
    for (place, (id, _)) in reading.entries().iter().enumerate() {
        if let (Some(id), Some(account)) = (id, shown.get(&place)) {
            accounts
                .entry(id.clone())
                .or_insert_with(|| account.clone());
        }
    }
    for (place, (id, _)) in reading.entries().iter().enumerate() {
        let own = shown.get(&place).unwrap_or(&Account::Enabled);
        if let Some(account) = id.as_ref().and_then(|id| accounts.get_mut(id))
            && account != own
        {
            *account = Account::Unclear("several entries show the same id".into(), None);
        }
    }
    accounts
}

/// The groups that give something to people, by the people's ids. Of several entries that show one id,
/// nobody knows which is the person's: only what all of them are members of gives something, and
/// nothing is taken.
fn memberships<T>(reading: &Reading<T>) -> HashMap<DirectoryId, Memberships> {
    let of_entry = |place: &usize| {
        let id = reading.entries().get(*place)?.0.as_ref()?;
        Some((id, (*place, reading.memberships().get(place)?.clone())))
    };
    let mut memberships: HashMap<&DirectoryId, (usize, Memberships)> =
        reading.memberships().keys().filter_map(of_entry).collect();
    for (place, (id, _)) in reading.entries().iter().enumerate() {
        let known = id.as_ref().and_then(|id| memberships.get_mut(id));
        if let Some((_, found)) = known.filter(|(first, _)| *first != place) {
            let other = reading.memberships().get(&place);
            let other = other.map(|other| &*other.of_grants).unwrap_or_default();
            let of_both = found.of_grants.iter().filter(|group| other.contains(group));
            found.of_grants = of_both.copied().collect();
            found.is_unclear = true;
        }
    }
    let memberships = memberships.into_iter();
    memberships
        .map(|(id, (_, found))| (id.clone(), found))
        .collect()
}

/// What to do where the directory shows too few people. Where it shows nobody, to ask for fewer is
/// no way out.
fn where_few_are_shown(reading: &Reading<Mapped>, entries: usize) -> String {
    if entries > 0 {
        return "check the filter and the bases, or lower limits.min_entries".into();
    }
    let found = reading.searches().iter().map(|search| search.entries);
    let found: u64 = found.sum();
    if reading.groups().is_some_and(GroupsRead::has_people) && found > 0 {
        return format!(
            "the searches found {found} entries, of whom nobody is a member of the groups in \
             member_of: check member_of, and whether the bind account may read the groups' members"
        );
    }
    let filter = reading.filter();
    filter
        .and_then(|filter| PeopleFilter::instead_of(reading.kind(), filter))
        .map(|instead| format!("{instead}; otherwise check the bases"))
        .unwrap_or_else(|| "check the filter, the bases, and what the bind account may read".into())
}

/// What there is to say about a reading as a whole.
fn notes<T>(reading: &Reading<T>) -> Vec<String> {
    let mut notes = reading.notes().to_vec();
    let referrals: u64 = reading
        .searches()
        .iter()
        .map(|search| search.referrals)
        .sum();
    if referrals > 0 {
        notes.push(format!(
            "the search bases have {referrals} referral objects; what they refer to is on other \
             servers, and is not read"
        ));
    }
    notes
}

/// LDAP attributes about which there is something to say: how many entries, and one of them.
#[derive(Debug, Default)]
struct Noted {
    /// Whether the people are those of a domain by Active Directory.
    is_domain: bool,
    /// Computers by their logins, and conflict objects of a replication, that count as people.
    no_people: usize,
    several: BTreeMap<Box<str>, (usize, Box<str>)>,
    not_text: BTreeMap<Box<str>, (usize, Box<str>)>,
}

impl Noted {
    /// Takes what there is to say of a person; what is left are the choices.
    fn take(&mut self, person: &mut Person) {
        if self.is_domain && (person.username.ends_with('$') || is_conflict(&person.dn)) {
            self.no_people += 1;
        }
        let Some(several) = &mut person.several else {
            return;
        };
        let lists = [
            (&mut self.several, std::mem::take(&mut several.attributes)),
            (&mut self.not_text, std::mem::take(&mut several.not_text)),
        ];
        for (noted, names) in lists {
            for name in names {
                let (count, first) = noted.entry(name).or_insert_with(|| (0, person.dn.clone()));
                *count += 1;
                // The order of the entries says nothing.
                if person.dn < *first {
                    *first = person.dn.clone();
                }
            }
        }
        if several.choices.is_empty() {
            person.several = None;
        }
    }

    fn of_several(&mut self, entries: usize) -> BTreeMap<Box<str>, String> {
        let several = std::mem::take(&mut self.several).into_iter();
        let note = |(attribute, (count, dn)): (Box<str>, (usize, Box<str>))| {
            let note = format!(
                "{attribute} has several values in {count} of {entries} entries: the one that ftrack \
                 has is kept, and a new user gets the one in the entry's name, or the shortest; \
                 one is {dn}"
            );
            (attribute, note)
        };
        several.map(note).collect()
    }

    fn notes(self, entries: usize) -> impl Iterator<Item = String> {
        let not_text = self.not_text.into_iter().map(move |(attribute, (count, dn))| {
            format!(
                "{attribute} has a value that is not text (UTF-8) in {count} of {entries} entries, \
                 which is ignored; one is {dn}"
            )
        });
        let no_people = (self.no_people > 0).then(|| {
            format!(
                "{} of {entries} entries are most likely no people, but computers (a login with $ \
                 at its end) or conflict objects of a replication: add your own condition to the \
                 filter of `config example --kind active-directory`, which leaves them out",
                self.no_people
            )
        });
        not_text.chain(no_people)
    }
}

/// The most frequent reasons for which entries were skipped.
fn frequent_reasons(skipped: &[SkippedEntry]) -> String {
    const MOST: usize = 3;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in skipped {
        *counts.entry(entry.reason.to_string()).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> = counts
        .iter()
        .take(MOST)
        .map(|(reason, count)| format!("{reason} ({count} of them)"))
        .collect();
    let more = if counts.len() > MOST {
        ", and others"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}
