//! What a read would show of entries that stand in a file: who is searched for and where, the groups,
//! the id, who may not sign in. For tests of a mapping: it is no `Reading`, and shows nobody absent.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    account,
    budget::Budget,
    dn::Dn,
    filter_match::{Condition, OnlyAServer},
    group_graph::{GroupGraph, Members, Memberships, Place},
    groups,
    identity::ServerIdentity,
    ldif::Ldif,
    names::Names,
    request::ReadRequest,
    schema::Schema,
    standard_schema::{schema_of, standard_schema},
};
use crate::{
    config::Filter,
    model::{
        account::Account,
        entry::{DirectoryId, Entry},
        id::IdAttribute,
        picture::{ImageForm, UnfitPicture, sendable},
        server_kind::ServerKind,
    },
};

/// What a read would show of the entries of a file.
#[derive(Debug)]
pub struct FromFile<T> {
    /// In the order of the file.
    pub entries: Vec<FileEntry<T>>,
    /// The groups of the job that the file lacks: who is in them is not known.
    pub missing_groups: BTreeSet<String>,
    /// What cannot be told from the file alone.
    pub notes: Vec<String>,
}

/// What a read would show of one entry.
#[derive(Debug)]
pub struct FileEntry<T> {
    /// Its line in the file.
    pub line: usize,
    /// As the file has it.
    pub dn: String,
    /// Whether it is that of a group.
    pub is_group: bool,
    /// Whether it is one of the people's.
    pub standing: Standing<T>,
}

/// Whether an entry is one of the people's.
#[derive(Debug)]
pub enum Standing<T> {
    /// It lies outside of the search bases and the scope.
    OutsideBases,
    /// The filter does not match it, or it lies where nobody is a user.
    FilteredOut,
    /// It is in none of the groups whose members alone are people.
    NotAMember,
    /// It is.
    Person(Box<FilePerson<T>>),
}

/// What an entry of one of the people shows.
#[derive(Debug)]
pub struct FilePerson<T> {
    /// What the caller made of it.
    pub mapped: T,
    /// Whether the person may sign in.
    pub account: Account,
    /// The groups that give it something.
    pub memberships: Memberships,
    /// Its id.
    pub id: FileId,
    /// The picture that it has, where pictures are asked for; none where it has none.
    pub picture: Option<Result<ImageForm, UnfitPicture>>,
}

/// What an entry shows of its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileId {
    /// It shows one.
    Is(DirectoryId),
    /// It shows so many values.
    Several(usize),
    /// It shows none.
    None,
}

/// Why nothing can be told of a file.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// A filter uses what only a server can do.
    #[error(transparent)]
    OnlyAServer(#[from] OnlyAServer),
    /// An entry is a reference to another server.
    #[error("line {line}: {dn} is a referral object, with which every sync fails")]
    Referral {
        /// Its line.
        line: usize,
        /// Its DN.
        dn: String,
    },
    /// Its groups have too many members.
    #[error("the groups of the file need more memory than a read of a directory may take")]
    TooMuch,
}

/// The kind of server that shows entries with these attributes; generic where none tells.
#[must_use]
pub fn kind_of(file: &Ldif) -> ServerKind {
    let shows = |name: &str| {
        let mut entries = file.entries.iter();
        entries.any(|(_, entry)| !entry.values(name).is_empty())
    };
    if shows("objectGUID") || shows("userAccountControl") {
        ServerKind::ActiveDirectory
    } else if shows("ipaUniqueID") {
        ServerKind::FreeIpa
    } else if shows("nsUniqueId") {
        ServerKind::Ds389
    } else if shows("structuralObjectClass") || shows("entryCSN") {
        ServerKind::OpenLdap
    } else {
        ServerKind::Generic
    }
}

/// Whether an entry is a group's, as the program knows them.
///
/// # Errors
/// Never: the filter is the program's own.
fn group_condition() -> Result<Condition, OnlyAServer> {
    let parsed = groups::GROUPS.parse::<Filter>();
    let filter = parsed.map_err(|what| OnlyAServer {
        filter: groups::GROUPS.to_owned(),
        what,
    })?;
    Condition::new(&filter)
}

/// Whether all entries of a file are groups.
#[must_use]
pub fn are_all_groups(file: &Ldif) -> bool {
    let is_group = group_condition();
    is_group.is_ok_and(|is_group| {
        let mut entries = file.entries.iter();
        entries.all(|(_, entry)| is_group.matches(entry, &[]))
    })
}

/// Whether all entries of a file are a schema: `ldapsearch -s base -b cn=Subschema attributeTypes`.
#[must_use]
pub fn is_schema(file: &Ldif) -> bool {
    let mut entries = file.entries.iter();
    entries.all(|(_, entry)| !entry.values("attributeTypes").is_empty())
}

/// What stands beside a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Entries of other files, whose groups count where the file itself has none of that name.
    pub groups: &'a [&'a Entry],
    /// Entries of a server's schema. Where there are none, the names are those of the standards, or in
    /// Active Directory the ones that stand there.
    pub schema: &'a [&'a Entry],
    /// The attribute of pictures, where they are sent.
    pub pictures: Option<&'a str>,
}

/// Judges the entries of a file as those of a server of a kind.
///
/// # Errors
/// The file cannot be judged without a server.
pub fn from_file<T>(
    (file, beside): (&Ldif, Beside<'_>),
    request: &ReadRequest,
    kind: ServerKind,
    mut map: impl FnMut(ServerKind, &Entry) -> T,
) -> Result<FromFile<T>, FileFault> {
    for (line, entry) in &file.entries {
        if is_referral(entry) {
            let (line, dn) = (*line, entry.dn.clone());
            return Err(FileFault::Referral { line, dn });
        }
    }
    let people = request.people.of(kind);
    let condition = Condition::new(&people.filter.where_known(|_| true))?;
    let disabled = people.account.filter.as_ref();
    let disabled = disabled.map(Condition::new).transpose()?;
    let is_group = group_condition()?;
    let own = file.entries.iter().map(|(_, entry)| entry);
    let all_groups: Vec<&Entry> = own
        .chain(beside.groups.iter().copied())
        .filter(|entry| is_group.matches(entry, &[]))
        .collect();
    let schema = schema_of(beside.schema.iter().copied()).or_else(|| standard_schema(kind));
    let mut found = GroupsOfFile::new(request, kind, (&all_groups, schema.clone()))?;
    let mut asked = asked(request, kind);
    asked.extend(beside.pictures.map(str::to_owned));
    let mut names = Names::new(&asked, schema.clone());
    let mut asserted = Asserted::new(&people.filter.where_known(|_| true), schema.clone());
    let of_disabled = people.account.filter.as_ref();
    let mut of_disabled = of_disabled.map(|filter| Asserted::new(filter, schema));
    let place = Places::new(request, kind);
    let ids = ids(request, kind);
    let mut entries = Vec::with_capacity(file.entries.len());
    for (line, raw) in &file.entries {
        let matched = place
            .holds(raw)
            .then(|| condition.matches(&asserted.named(raw), &all_groups));
        let standing = match matched {
            None => Standing::OutsideBases,
            Some(false) => Standing::FilteredOut,
            Some(true) if place.leaves_out(raw) => Standing::FilteredOut,
            Some(true) => {
                let entry = names.resolve(raw.clone());
                let memberships = found.memberships(&entry);
                if memberships.is_person {
                    let by_filter = disabled.as_ref().zip(of_disabled.as_mut());
                    let by_filter = by_filter.is_some_and(|(filter, asserted)| {
                        filter.matches(&asserted.named(raw), &all_groups)
                    });
                    let by_filter = if by_filter {
                        Account::Disabled
                    } else {
                        Account::Enabled
                    };
                    Standing::Person(Box::new(FilePerson {
                        mapped: map(kind, &entry),
                        account: account::shown(&people.account, &entry).and(by_filter),
                        memberships,
                        id: id_of(&ids, &entry),
                        picture: beside.pictures.and_then(|name| picture_of(&entry, name)),
                    }))
                } else {
                    Standing::NotAMember
                }
            }
        };
        entries.push(FileEntry {
            line: *line,
            dn: raw.dn.clone(),
            is_group: is_group.matches(raw, &[]),
            standing,
        });
    }
    let notes = found.notes(file);
    Ok(FromFile {
        entries,
        missing_groups: found.missing,
        notes,
    })
}

fn is_referral(entry: &Entry) -> bool {
    let mut classes = entry.values("objectClass").iter();
    classes.any(|class| class.eq_ignore_ascii_case(b"referral"))
}

/// The picture that would be sent, or why none of them can be.
fn picture_of(entry: &Entry, name: &str) -> Option<Result<ImageForm, UnfitPicture>> {
    let forms = entry.values(name).iter().map(|picture| {
        sendable(picture)?;
        ImageForm::of(picture).ok_or(UnfitPicture::NoImage)
    });
    // Those that can be sent come first.
    forms.min_by_key(Result::is_err)
}

/// The attributes that a filter names, by whatever name a file has them.
struct Asserted {
    names: Names,
    asked: Vec<String>,
}

impl Asserted {
    fn new(filter: &Filter, schema: Option<Arc<Schema>>) -> Self {
        let names = filter.attributes().into_iter();
        let asked: BTreeSet<String> = names.map(|asserted| asserted.name.to_owned()).collect();
        let asked: Vec<String> = asked.into_iter().collect();
        Self {
            names: Names::new(&asked, schema),
            asked,
        }
    }

    /// An entry with these attributes under the names that the filter has, beside its own.
    fn named(&mut self, raw: &Entry) -> Entry {
        let named = self.names.resolve(raw.clone());
        let (dn, mut attributes) = raw.clone().into_parts();
        for name in &self.asked {
            if raw.values(name).is_empty() && !named.values(name).is_empty() {
                attributes.push((name.as_str().into(), named.values(name).to_vec().into()));
            }
        }
        Entry::new(dn, attributes)
    }
}

/// The attributes for which a read asks.
fn asked(request: &ReadRequest, kind: ServerKind) -> Vec<String> {
    let people = request.people.of(kind);
    let mut asked = people.attributes.clone();
    asked.extend(ids(request, kind).iter().map(|id| id.name().to_owned()));
    asked.extend(people.account.attributes().map(ToOwned::to_owned));
    asked.push("objectClass".into());
    let mut seen = BTreeSet::new();
    asked.retain(|name| seen.insert(name.to_ascii_lowercase()));
    groups::with_member_names(asked)
}

/// The attributes that may identify an entry, the best first.
fn ids(request: &ReadRequest, kind: ServerKind) -> Vec<IdAttribute> {
    if let Some(name) = &request.id_attribute {
        return vec![IdAttribute::named(name)];
    }
    let mut ids = IdAttribute::candidates(kind);
    for other in IdAttribute::candidates(ServerKind::Generic) {
        if !ids.contains(&other) {
            ids.push(other);
        }
    }
    ids
}

fn id_of(ids: &[IdAttribute], entry: &Entry) -> FileId {
    let mut several = None;
    for attribute in ids {
        match attribute.read(entry) {
            Ok(Some(id)) => return FileId::Is(id),
            Ok(None) => {}
            Err(number) => several = several.or(Some(number)),
        }
    }
    several.map_or(FileId::None, FileId::Several)
}

/// Where people are.
struct Places {
    bases: Vec<Dn>,
    scope: crate::config::Scope,
    left_out: Vec<Dn>,
}

impl Places {
    fn new(request: &ReadRequest, kind: ServerKind) -> Self {
        let contexts = request.bases.iter().map(|base| domain(base));
        let mut about = ServerIdentity::default();
        about.kind = kind;
        about.naming_contexts = contexts.collect();
        Self {
            bases: request
                .bases
                .iter()
                .filter_map(|base| Dn::parse(base))
                .collect(),
            scope: request.scope,
            left_out: about.left_out(&request.bases),
        }
    }

    fn holds(&self, entry: &Entry) -> bool {
        let dn = Dn::parse(&entry.dn);
        dn.is_some_and(|dn| self.bases.iter().any(|base| dn.lies_in(base, self.scope)))
    }

    fn leaves_out(&self, entry: &Entry) -> bool {
        let dn = Dn::parse(&entry.dn);
        dn.is_some_and(|dn| {
            self.left_out
                .iter()
                .any(|place| dn.depth_below(place).is_some())
        })
    }
}

/// The end of a DN that names a domain (RFC 2247), as naming contexts do.
fn domain(dn: &str) -> String {
    let rdns: Vec<&str> = dn.split(',').map(str::trim).collect();
    let is_dc = |rdn: &&&str| {
        rdn.get(..3)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("dc="))
    };
    let of_domain = rdns.iter().rev().take_while(is_dc).count();
    rdns.get(rdns.len() - of_domain..)
        .unwrap_or_default()
        .join(",")
}

/// The groups that a job names, as far as the file has them.
struct GroupsOfFile {
    members: Option<Members>,
    missing: BTreeSet<String>,
    /// Those that name their members as a search.
    computed: Vec<String>,
    /// Whether one of them decides who is one of the people, and is missing.
    lacks_people: bool,
}

impl GroupsOfFile {
    fn new(
        request: &ReadRequest,
        kind: ServerKind,
        (all, schema): (&[&Entry], Option<Arc<Schema>>),
    ) -> Result<Self, FileFault> {
        let mut found = Self {
            members: None,
            missing: BTreeSet::new(),
            computed: Vec::new(),
            lacks_people: false,
        };
        let Some(wanted) = request.groups.as_deref() else {
            return Ok(found);
        };
        let mut budget = Budget::of_a_reading();
        let mut graph = GroupGraph::default();
        let bases: Vec<Dn> = wanted
            .bases
            .iter()
            .filter_map(|base| Dn::parse(base))
            .collect();
        let is_searched = |dn: &str| {
            let lies = |dn: Dn| bases.iter().any(|base| dn.depth_below(base).is_some());
            bases.is_empty() || Dn::parse(dn).is_some_and(lies)
        };
        let mut names = Names::new(&groups::attributes(kind), schema);
        for group in all.iter().filter(|group| is_searched(&group.dn)) {
            let group = names.resolve((*group).clone());
            graph
                .add(&group, &mut budget)
                .map_err(|_| FileFault::TooMuch)?;
        }
        let mut places: Vec<Place> = Vec::new();
        for (number, group) in wanted.all().enumerate() {
            if graph.find(group).is_none() {
                found.missing.insert(group.clone());
                found.lacks_people |= number < wanted.people.len();
                // One without members takes its place: the groups are known by their positions.
                let empty = Entry::new(group.clone(), Vec::new());
                graph
                    .add(&empty, &mut budget)
                    .map_err(|_| FileFault::TooMuch)?;
            }
            let Some(place) = graph.find(group) else {
                return Err(FileFault::TooMuch);
            };
            if graph.is_left_to_compute(place) {
                found.computed.push(group.clone());
            }
            places.push(place);
        }
        let members = graph.members(&places, wanted.people.len(), &mut budget);
        found.members = Some(members.map_err(|_| FileFault::TooMuch)?);
        Ok(found)
    }

    fn memberships(&mut self, entry: &Entry) -> Memberships {
        let Some(members) = &mut self.members else {
            return Memberships {
                is_person: true,
                ..Memberships::default()
            };
        };
        let mut memberships = members.memberships(entry);
        memberships.is_person |= self.lacks_people;
        memberships
    }

    fn notes(&self, file: &Ldif) -> Vec<String> {
        let mut notes = Vec::new();
        if self.lacks_people {
            notes.push(
                "a group of member_of is not in the file, so that everybody counts as a member of it"
                    .to_owned(),
            );
        }
        for group in &self.computed {
            notes.push(format!(
                "{group} names its members by memberURL, and only a server computes them"
            ));
        }
        let unnumbered = self.members.as_ref().and_then(Members::unnumbered);
        if let Some(group) = unnumbered {
            notes.push(format!(
                "{group} shows no primaryGroupToken, so that whose primary group it is is not known; \
                 ask for that attribute by its name"
            ));
        }
        if let Some(line) = file.references.first() {
            notes.push(format!(
                "line {line}: the search was referred to another server, whose entries the file lacks"
            ));
        }
        notes
    }
}
