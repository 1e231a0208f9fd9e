//! The second look: people who seem to have left are asked for by id, and every entry that comes
//! back shows that they are present.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::{
    budget::{Budget, OverBudget},
    by_guid::{self, ByGuid, Shown},
    error::DirectoryError,
    filter,
    group_graph::Members,
    groups,
    id_search::GROUP,
    identity::{FreshnessUse, SchemaUse, ServerIdentity},
    locate::Location,
    pool::DirectoryPool,
    request::{ReadFailure, ReadRequest},
    searches::{EntrySink, SearchRun, Searches, Servers, Wanted, bounded, of_request, run},
    server::{Continuations, ReferralObjects},
};
use crate::model::{
    entry::{DirectoryId, Entry, Kept},
    id::IdAttribute,
};

/// A person whom a complete read did not show, and a complete search by id on the same server did
/// not find either; only the second look makes one.
///
/// What other servers say can make it doubtful, and nothing makes it certain again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    id: DirectoryId,
    is_no_member: bool,
    doubt: Option<AbsenceDoubt>,
}

/// Why it is doubtful that somebody is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AbsenceDoubt {
    /// Another server still shows the person.
    ShownBy {
        /// The URL of that server.
        server: String,
    },
    /// An answer is missing or cannot be understood, as these words say.
    Unclear(String),
}

impl Absent {
    fn new(id: DirectoryId) -> Self {
        Self {
            id,
            is_no_member: false,
            doubt: None,
        }
    }

    /// Whether there is an entry of the person where people are searched for, which is in none of the
    /// groups that people must be in: not when it was read, and not when it was asked for again.
    #[must_use]
    pub fn is_no_member(&self) -> bool {
        self.is_no_member
    }

    /// The id of the person.
    #[must_use]
    pub fn id(&self) -> &DirectoryId {
        &self.id
    }

    /// Why it is doubtful, if it is.
    #[must_use]
    pub fn doubt(&self) -> Option<&AbsenceDoubt> {
        self.doubt.as_ref()
    }

    /// Makes it doubtful; a server that shows the person outweighs what is unclear.
    pub fn doubted(&mut self, doubt: AbsenceDoubt) {
        let is_shown = matches!(self.doubt, Some(AbsenceDoubt::ShownBy { .. }));
        if !is_shown || matches!(doubt, AbsenceDoubt::ShownBy { .. }) {
            self.doubt = Some(doubt);
        }
    }
}

#[cfg(test)]
impl Absent {
    /// A proof for tests of what is decided from it.
    pub(crate) fn for_tests(id: DirectoryId) -> Self {
        Self::new(id)
    }
}

/// What the server that was read returned for people whom the read did not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookedAgain {
    /// Those who are present all the same: an entry that was moved during the read was in no page.
    pub there: BTreeSet<DirectoryId>,
    /// All others.
    pub absent: BTreeMap<DirectoryId, Absent>,
    /// Where the entries of some of those are, as far as this shows it.
    pub locations: BTreeMap<DirectoryId, Location>,
}

impl LookedAgain {
    /// Adds what an Active Directory shows of the people by their GUIDs. That it shows one of them
    /// whom its searches do not, makes its searches doubtful for all who were not asked for so.
    fn add(&mut self, shown: BTreeMap<DirectoryId, Shown>) {
        let is_whole = shown.is_empty() || shown.len() < by_guid::MOST;
        let mut is_doubtful = false;
        let asked: BTreeSet<DirectoryId> = shown.keys().cloned().collect();
        for (id, shown) in shown {
            match shown {
                Shown::Nothing => {
                    self.locations.insert(id, Location::Nowhere);
                }
                Shown::NotAmongPeople(location) => {
                    self.locations.insert(id, location);
                }
                // Whether they are members of groups is not known, and does not matter: they are not
                // absent.
                Shown::AmongPeople => {
                    self.absent.remove(&id);
                    self.there.insert(id);
                    is_doubtful = true;
                }
                Shown::Unclear(why) => {
                    is_doubtful = true;
                    if let Some(absent) = self.absent.get_mut(&id) {
                        absent.doubted(AbsenceDoubt::Unclear(why));
                    }
                }
            }
        }
        if is_whole || !is_doubtful {
            return;
        }
        let others = self.absent.iter_mut();
        for (_, absent) in others.filter(|(id, _)| !asked.contains(*id)) {
            absent.doubted(AbsenceDoubt::Unclear(
                "the server does not show others in its searches who are there: see whether its \
                 database is damaged"
                    .to_owned(),
            ));
        }
    }
}

/// Asks the server that was read once more for the people whom the read did not show, by id.
///
/// # Errors
/// As for `read`; then nobody is known to be absent.
pub async fn look_again(
    pool: &DirectoryPool,
    server: &str,
    request: &ReadRequest,
    id_attribute: &IdAttribute,
    ids: &[DirectoryId],
    cancel: &CancellationToken,
) -> Result<LookedAgain, ReadFailure> {
    let (answer, about) =
        ask_as_read(pool, Some(server), request, id_attribute, ids, cancel).await?;
    let Answer {
        there,
        no_members,
        unclear,
        doubtful,
        ..
    } = answer;
    let found = |id: &&DirectoryId| {
        there.contains_key(id) || no_members.contains(id) || doubtful.contains(id)
    };
    let lost: Vec<DirectoryId> = ids.iter().filter(|id| !found(id)).cloned().collect();
    let absent = ids.iter().filter(|id| !there.contains_key(id)).map(|id| {
        let mut absent = Absent {
            is_no_member: no_members.contains(id),
            ..Absent::new(id.clone())
        };
        if doubtful.contains(id) {
            absent.doubted(AbsenceDoubt::Unclear(format!(
                "{server} found an entry when the person was asked for by {id_attribute}, but \
                     its {id_attribute} is not one that was asked for; can the bind account read \
                     it?"
            )));
        }
        if let Some(attribute) = unclear.get(id) {
            absent.doubted(AbsenceDoubt::Unclear(format!(
                "the person's entry does not show {attribute}, by which groups of member_of have \
                 members: can the bind account read it? If the person left the groups, approve it"
            )));
        }
        (id.clone(), absent)
    });
    let mut looked = LookedAgain {
        absent: absent.collect(),
        there: there.keys().cloned().collect(),
        locations: BTreeMap::new(),
    };
    if about.kind.is_active_directory() && *id_attribute == IdAttribute::ObjectGuid {
        let by_guid = ByGuid {
            request,
            about: &about,
            ids: &lost,
        };
        looked.add(by_guid.ask(pool, server, cancel).await?);
    }
    Ok(looked)
}

/// What one server returned for people who were asked for by id; made only from complete searches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Those who are present, with the DN of the entry that came back.
    pub there: BTreeMap<DirectoryId, String>,
    /// Those whose entries are in none of the groups that people must be in.
    pub no_members: BTreeSet<DirectoryId>,
    /// Those of them who may be members all the same, with the attribute that would show it.
    pub unclear: BTreeMap<DirectoryId, &'static str>,
    /// Those for whom it is unclear: an entry came back that has none of the ids that were asked
    /// for.
    pub doubtful: BTreeSet<DirectoryId>,
    /// Identifies the directory itself, if known.
    pub directory_id: Option<String>,
}

/// Asks a server for people by id, over the bases and with the filter of a request; if no server is
/// given, the first that can be reached.
///
/// A person who is neither present nor doubtful is not in that part of the directory, since each
/// search was proven complete.
///
/// # Errors
/// As for `read`; then nobody is known to be absent.
pub async fn ask(
    pool: &DirectoryPool,
    server: Option<&str>,
    request: &ReadRequest,
    id_attribute: &IdAttribute,
    ids: &[DirectoryId],
    cancel: &CancellationToken,
) -> Result<Answer, ReadFailure> {
    ask_as_read(pool, server, request, id_attribute, ids, cancel)
        .await
        .map(|(answer, _)| answer)
}

/// The same, with what the server is.
async fn ask_as_read(
    pool: &DirectoryPool,
    server: Option<&str>,
    request: &ReadRequest,
    id_attribute: &IdAttribute,
    ids: &[DirectoryId],
    cancel: &CancellationToken,
) -> Result<(Answer, ServerIdentity), ReadFailure> {
    let (mut filters, mut asked) = (Vec::new(), Vec::new());
    for group in ids.chunks(GROUP) {
        let of_group: Vec<String> = group
            .iter()
            .filter_map(|id| id_attribute.filter(id))
            .collect();
        if of_group.len() != group.len() {
            let reason = format!(
                "some ids of these people are not values of the attribute {id_attribute}; was the \
                 id attribute changed?"
            );
            let error = DirectoryError::Settings {
                directory: pool.name().into(),
                reason,
            };
            return Err(SearchRun::default().failure(error));
        }
        asked.extend(request.bases.iter().map(|_| Group::new(group)));
        filters.push(filter::any(&of_group));
    }
    if filters.is_empty() {
        return Ok((Answer::default(), ServerIdentity::default()));
    }
    let mut attributes = vec![id_attribute.name().to_owned()];
    if request.groups.is_some() {
        attributes = groups::with_member_names(attributes);
    }
    let searches = |about: &ServerIdentity| {
        let people = about.people(request);
        let of_group = |ids: &String| {
            let filter = filter::both(&people, ids);
            of_request(pool, request, &filter, &attributes, &attributes)
        };
        Searches {
            groups: groups::of_request(pool, request, about),
            list: filters.iter().flat_map(of_group).collect(),
            disabled: Vec::new(),
            meant: Vec::new(),
            people: None,
            left_out: about.left_out(&request.bases),
            referral_objects: ReferralObjects::LeftOut,
            continuations: Continuations::LeftOutWithoutPeople,
        }
    };
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::of_ids(id_attribute),
        freshness: FreshnessUse::None,
        searches: &searches,
    };
    let mut sink = Found {
        attribute: id_attribute,
        asked,
        members: None,
        answer: Answer::default(),
    };
    let mut course = SearchRun::default();
    let servers = server.map_or(Servers::InOrder, Servers::Only);
    match bounded(
        run(pool, servers, wanted, &mut sink, &mut course),
        request.deadline,
        cancel,
    )
    .await
    {
        Ok(_) => {
            let mut answer = sink.answer();
            let directory_id = course.about.directory_id.clone();
            answer.directory_id = pool.id().map(str::to_owned).or(directory_id);
            Ok((answer, course.about))
        }
        Err(error) => Err(course.failure(error)),
    }
}

/// The ids of one search, by their normalised form.
struct Group<'a> {
    ids: &'a [DirectoryId],
    by_plain: BTreeMap<String, Vec<&'a DirectoryId>>,
}

impl<'a> Group<'a> {
    fn new(ids: &'a [DirectoryId]) -> Self {
        let mut by_plain: BTreeMap<String, Vec<&DirectoryId>> = BTreeMap::new();
        for id in ids {
            by_plain.entry(plain(id.as_str())).or_default().push(id);
        }
        Self { ids, by_plain }
    }
}

struct Found<'a> {
    attribute: &'a IdAttribute,
    asked: Vec<Group<'a>>,
    members: Option<Members>,
    answer: Answer,
}

impl Found<'_> {
    /// People who are present are not doubtful.
    fn answer(self) -> Answer {
        let Answer {
            there,
            mut no_members,
            unclear,
            mut doubtful,
            directory_id,
        } = self.answer;
        doubtful.retain(|id| !there.contains_key(id));
        no_members.retain(|id| !there.contains_key(id));
        Answer {
            there,
            no_members,
            unclear,
            doubtful,
            directory_id,
        }
    }
}

impl EntrySink for Found<'_> {
    fn begin(&mut self, _: &ServerIdentity, members: Option<Members>) {
        self.members = members;
        self.answer = Answer::default();
    }

    /// The server compares with its own rules, which may ignore case, blanks, hyphens or braces:
    /// every id that it may have matched counts as present. An entry that matches none was still
    /// found by the server.
    fn entry(
        &mut self,
        search: usize,
        entry: &Entry,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        let Some(group) = self.asked.get(search) else {
            return Ok(());
        };
        let shown = self.attribute.spellings(entry);
        let meant: Vec<&DirectoryId> = match group.ids {
            [only] => vec![only],
            [..] => shown
                .iter()
                .filter_map(|id| group.by_plain.get(&plain(id)))
                .flatten()
                .copied()
                .collect(),
        };
        if meant.is_empty() {
            self.answer.doubtful.extend(group.ids.iter().cloned());
        }
        let members = self.members.as_mut();
        let is_member = members.is_none_or(|members| members.memberships(entry).is_person);
        let members = self.members.as_ref();
        let unclear = members.and_then(|members| members.unclear_by(entry));
        for id in meant {
            if !is_member {
                if let Some(attribute) = unclear {
                    self.answer.unclear.insert(id.clone(), attribute);
                }
                self.answer.no_members.insert(id.clone());
                continue;
            }
            budget.take(entry.dn.size())?;
            self.answer.there.insert(id.clone(), entry.dn.clone());
        }
        Ok(())
    }

    fn page(&mut self, _: u64) {}
}

/// An id without what one server writes and another omits: only letters and digits, in lower case,
/// without leading zeros.
fn plain(id: &str) -> String {
    let letters: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.trim_start_matches('0').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn answer(attribute: &str, asked: &[&str], came: &[&[&str]]) -> (Vec<String>, Vec<String>) {
        let ids: Vec<DirectoryId> = asked
            .iter()
            .map(|id| DirectoryId::new(id).unwrap())
            .collect();
        let attribute = IdAttribute::named(attribute);
        let mut found = Found {
            attribute: &attribute,
            asked: vec![Group::new(&ids)],
            members: None,
            answer: Answer::default(),
        };
        for values in came {
            let values = values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect();
            let entry = Entry::showing("cn=x", [(attribute.name(), values)]);
            found.entry(0, &entry, &mut Budget::of_a_reading()).unwrap();
        }
        let Answer {
            there, doubtful, ..
        } = found.answer();
        let text = |id: &DirectoryId| id.to_string();
        (
            there.keys().map(text).collect(),
            doubtful.iter().map(text).collect(),
        )
    }

    #[test]
    fn an_id_in_another_spelling_is_there() {
        let uuid = "0a1b2c3d-0000-4000-8000-00000000000f";
        for (attribute, asked, shown) in [
            ("telephoneNumber", "55-03", "5503"),
            ("badge", "Ab-7", "AB-7"),
            ("badge", "007", "7"),
            ("entryUUID", uuid, "{0A1B2C3D-0000-4000-8000-00000000000F}"),
            ("entryUUID", uuid, "0a1b2c3d00004000800000000000000f"),
        ] {
            let (there, doubtful) = answer(attribute, &[asked, "other"], &[&[shown]]);
            assert_eq!(
                (there, doubtful),
                (vec![asked.to_owned()], vec![]),
                "{shown}"
            );
            let (there, _) = answer(attribute, &[asked, "other"], &[&[shown, shown]]);
            assert_eq!(there, [asked], "sent twice: {shown}");
        }
    }

    #[test]
    fn what_belongs_to_no_id_makes_all_of_the_search_doubtful() {
        for came in [&[] as &[&str], &["another"], &["\u{fffd}"]] {
            assert_eq!(
                answer("badge", &["1", "2"], &[came]),
                (vec![], vec!["1".to_owned(), "2".to_owned()]),
                "{came:?}"
            );
            assert_eq!(
                answer("badge", &["1", "2"], &[&["2"], came]),
                (vec!["2".to_owned()], vec!["1".to_owned()]),
                "{came:?}"
            );
        }
    }

    #[test]
    fn whatever_comes_back_for_one_id_is_that_person() {
        assert_eq!(
            answer("badge", &["1"], &[&[]]),
            (vec!["1".to_owned()], vec![])
        );
        assert_eq!(answer("badge", &["1", "2"], &[]), (vec![], vec![]));
    }
}
