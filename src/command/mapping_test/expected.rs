//! What a mapping makes of an entry, as it stands in an expected file and as it is.

mod collisions;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use collisions::{Claim, shared_mails, skip_rivals};

use crate::{
    config::LdapJob,
    directory::from_file::{FileEntry, FileId, FilePerson, FromFile, Standing},
    model::{account::Account, grant::GrantName, picture::ImageForm, reason::Reason},
    sync::{
        desired::{DesiredValue, Mapped, Person},
        mapping::Mapping,
    },
};

/// What stands in an expected file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// In any order.
    #[serde(default, rename = "entry", skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Outcome>,
}

/// What becomes of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are those of users --format json")]
pub struct Outcome {
    pub dn: String,
    pub verdict: Verdict,
    /// Why it is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Empty where the mapping clears it; absent where it leaves it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Whether the person may sign in, where no time decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Until when, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_until: Option<String>,
    /// Why that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_unclear: Option<String>,
    /// Those for one project as `ROLE@PROJECT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The form of the picture that is sent, `jpeg` or `png`, or why none of those is that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_attributes: BTreeMap<String, Custom>,
}

/// What becomes of an entry, in one word of `explain`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is a person's, who has this user.
    User,
    /// A required value is missing, and the entry is skipped.
    MissingValue,
    /// A value cannot be used, and the entry is skipped.
    InvalidValue,
    /// Another entry asks for the same login, or shows the same id, and neither gets a user.
    Collision,
    /// The filter does not match it.
    FilteredOut,
    /// It lies outside of the search bases.
    OutsideBases,
    /// It is in none of the groups of `member_of`.
    NotAMember,
}

/// The values of a custom attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Custom {
    /// One.
    One(String),
    /// All that the rule gives: an attribute of ftrack that takes one gets the first.
    Several(Vec<String>),
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::MissingValue => "skipped, a required value is missing",
            Self::InvalidValue => "skipped, a value cannot be used",
            Self::Collision => "skipped, as another entry",
            Self::FilteredOut => "not matched by the filter",
            Self::OutsideBases => "outside of the search bases",
            Self::NotAMember => "in none of the groups of member_of",
        }
    }
}

impl Outcome {
    fn new(dn: String, verdict: Verdict) -> Self {
        Self {
            dn,
            verdict,
            reason: None,
            username: None,
            email: None,
            first_name: None,
            last_name: None,
            active: None,
            active_until: None,
            active_unclear: None,
            roles: Vec::new(),
            groups: Vec::new(),
            picture: None,
            custom_attributes: BTreeMap::new(),
        }
    }

    /// One that is skipped, and why.
    pub fn skipped(dn: String, verdict: Verdict, reason: &Reason) -> Self {
        Self {
            reason: Some(reason.to_string()),
            ..Self::new(dn, verdict)
        }
    }

    /// What becomes of it, in a few words.
    pub fn summary(&self) -> String {
        let words = self.verdict.words();
        match (&self.username, &self.reason) {
            (Some(username), _) => {
                let active = match (self.active, &self.active_until, &self.active_unclear) {
                    (Some(false), _, _) => ", who may not sign in".to_owned(),
                    (_, _, Some(why)) => {
                        format!(", of whom it cannot be told whether they may sign in: {why}")
                    }
                    (_, Some(until), None) => format!(", who may sign in until {until}"),
                    (Some(true) | None, None, None) => String::new(),
                };
                format!("{words} {username}{active}")
            }
            (None, Some(reason)) => format!("{words}: {reason}"),
            (None, None) => words.to_owned(),
        }
    }
}

/// What becomes of the entries of a file; whether each is a group that the job does not read as a
/// person.
pub fn outcomes(
    read: FromFile<Mapped>,
    job: &LdapJob,
    mapping: &Mapping,
) -> (Vec<(bool, Outcome)>, Vec<String>) {
    let FromFile {
        entries,
        missing_groups,
        mut notes,
    } = read;
    let people = || entries.iter().filter_map(person_of);
    let shows_ids = people().any(|person| person.id != FileId::None);
    if !shows_ids && people().next().is_some() {
        notes.push(
            "no entry shows an id (entryUUID, objectGUID, nsUniqueId or ipaUniqueID), without which a \
             sync skips it; here that is left aside. `ldapsearch … '*' '+'` prints ids as well"
                .to_owned(),
        );
    }
    let mut of_grants: Vec<Vec<GrantName>> = Vec::new();
    for mapped in job.mapped_groups() {
        of_grants.extend(mapped.groups.iter().map(|_| mapped.names.clone()));
    }
    let unknown = job.mapped_groups().flat_map(|mapped| mapped.groups);
    let unknown = unknown.filter(|group| missing_groups.contains(*group));
    notes.extend(not_in_the_file(&unknown.map(ToString::to_string).collect()));
    let keys = mapping.custom_keys();
    let now = Utc::now();
    let claims: Vec<Claim> = entries.iter().map(|entry| claim(entry, now)).collect();
    let outcomes = entries.into_iter().map(|entry| {
        let is_unread_group = entry.is_group && !matches!(entry.standing, Standing::Person(_));
        (is_unread_group, outcome(entry, shows_ids, &of_grants, keys))
    });
    let mut outcomes: Vec<(bool, Outcome)> = outcomes.collect();
    skip_rivals(&mut outcomes, &claims);
    notes.extend(shared_mails(&outcomes, job.users.adopt));
    (outcomes, notes)
}

/// What an entry claims for its person alone.
fn claim(entry: &FileEntry<Mapped>, now: DateTime<Utc>) -> Claim {
    let person = person_of(entry);
    Claim {
        id: person.and_then(|person| match &person.id {
            FileId::Is(id) => Some(id.clone()),
            FileId::Several(_) | FileId::None => None,
        }),
        // Without an account and a user, nobody asks for a login.
        asks_for_login: person.is_some_and(|person| !person.account.is_disabled(now)),
    }
}

/// Names the groups of roles and memberships that a file lacks; none where it lacks none.
fn not_in_the_file(groups: &BTreeSet<String>) -> Option<String> {
    let named: Vec<&str> = groups.iter().map(String::as_str).collect();
    let (groups, are, them) = match named.len() {
        0 => return None,
        1 => ("the group", "is", "it"),
        _ => ("the groups", "are", "them"),
    };
    Some(format!(
        "{groups} {} of [roles] and [groups] {are} not in the file, so that nobody is a member of \
         {them}; a file of groups alone counts for every file beside it",
        named.join("; ")
    ))
}

fn person_of<T>(entry: &FileEntry<T>) -> Option<&FilePerson<T>> {
    match &entry.standing {
        Standing::Person(person) => Some(person),
        Standing::OutsideBases | Standing::FilteredOut | Standing::NotAMember => None,
    }
}

fn outcome(
    entry: FileEntry<Mapped>,
    shows_ids: bool,
    of_grants: &[Vec<GrantName>],
    keys: &[String],
) -> Outcome {
    let FileEntry { dn, standing, .. } = entry;
    let shown = match standing {
        Standing::OutsideBases => return Outcome::new(dn, Verdict::OutsideBases),
        Standing::FilteredOut => return Outcome::new(dn, Verdict::FilteredOut),
        Standing::NotAMember => return Outcome::new(dn, Verdict::NotAMember),
        Standing::Person(shown) => *shown,
    };
    let of_id = match shown.id {
        FileId::Several(number) => Some(Reason::SeveralIds(number)),
        FileId::None if shows_ids => Some(Reason::NoId),
        FileId::None | FileId::Is(_) => None,
    };
    let reason = match (&shown.mapped, of_id) {
        (Mapped::Alias { .. }, _) => Some(Reason::AliasEntry),
        (_, Some(reason)) => Some(reason),
        (Mapped::Skipped { reason, .. }, None) => Some(reason.clone()),
        (Mapped::Person(_), None) => None,
    };
    match (reason, shown.mapped) {
        (None, Mapped::Person(person)) => {
            let mut outcome = Outcome::new(dn, Verdict::User);
            outcome.put_values(&person, keys);
            outcome.put_account(shown.account);
            outcome.picture = shown.picture.map(|picture| match picture {
                Ok(ImageForm::Jpeg) => "jpeg".to_owned(),
                Ok(ImageForm::Png) => "png".to_owned(),
                Err(unfit) => unfit.to_string(),
            });
            for position in shown.memberships.of_grants.iter() {
                let place = usize::try_from(*position).unwrap_or(usize::MAX);
                for name in of_grants.get(place).into_iter().flatten() {
                    outcome.put_grant(name);
                }
            }
            outcome
        }
        (reason, _) => {
            let is_missing = matches!(reason, Some(Reason::MissingValue(_)));
            let verdict = if is_missing {
                Verdict::MissingValue
            } else {
                Verdict::InvalidValue
            };
            Outcome {
                reason: reason.map(|reason| reason.to_string()),
                ..Outcome::new(dn, verdict)
            }
        }
    }
}

impl Outcome {
    fn put_values(&mut self, person: &Person, keys: &[String]) {
        self.username = Some(person.username.to_string());
        self.email = text(&person.email);
        self.first_name = text(&person.first_name);
        self.last_name = text(&person.last_name);
        for (index, (key, value)) in keys.iter().zip(&person.custom).enumerate() {
            let several = person.several_of(index);
            let several: Option<Vec<String>> =
                several.map(|values| values.map(ToOwned::to_owned).collect());
            let one = || text(value).map(Custom::One);
            if let Some(custom) = several.map(Custom::Several).or_else(one) {
                self.custom_attributes.insert(key.clone(), custom);
            }
        }
    }

    fn put_account(&mut self, account: Account) {
        match account {
            Account::Enabled => self.active = Some(true),
            Account::Disabled => self.active = Some(false),
            Account::Until(end) => {
                self.active_until = Some(end.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            }
            Account::Unclear(why, end) => {
                self.active_unclear = Some(why.into());
                self.active_until = end.map(|end| end.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            }
        }
    }

    fn put_grant(&mut self, name: &GrantName) {
        let (list, name) = match name {
            GrantName::Role(role) => (&mut self.roles, role.to_string()),
            GrantName::ProjectRole { role, project } => {
                (&mut self.roles, format!("{role}@{project}"))
            }
            GrantName::Group(path) => (&mut self.groups, path.to_string()),
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

fn text(value: &DesiredValue) -> Option<String> {
    match value {
        DesiredValue::Keep => None,
        DesiredValue::Clear => Some(String::new()),
        DesiredValue::Text(text) => Some(text.to_string()),
    }
}
