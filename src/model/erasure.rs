//! By what a person is known, over all that is saved, and how a report is without that. No I/O.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use text::without;

use crate::model::{
    edit::Field,
    fold::fold,
    snapshot::{Snapshot, SnapshotUser},
};

/// What stands in the place of the person.
pub const NEUTRAL: &str = "(erased)";
/// The id in ftrack that stands in the place of the person's, which no user has.
pub const NO_ID: &str = "erased";

/// The fields of a change that are texts about its person.
const TEXTS: [&str; 3] = ["reason", "error", "note"];

/// By what a person is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What was asked for.
    who: String,
    directory_ids: BTreeSet<String>,
    ftrack_ids: BTreeSet<String>,
    /// Logins, mail addresses, DNs and full names.
    names: BTreeSet<String>,
}

/// What was found of a person in one report.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct InReport {
    pub changes: usize,
    pub skipped: usize,
    pub texts: usize,
}

impl InReport {
    /// Whether the report does not name the person.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.changes + self.skipped + self.texts == 0
    }
}

/// One mention of somebody: the ids, and the names beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    directory_id: Option<String>,
    ftrack_id: Option<String>,
    names: BTreeSet<String>,
}

/// All mentions, of whom those of one person are to be found.
#[derive(Debug)]
pub struct Sought {
    who: String,
    folded: String,
    mentions: BTreeSet<Mention>,
    /// Mentions without an id, whose entries have none or are known by a DN alone.
    is_mentioned: bool,
}

impl Sought {
    /// By a login, mail address, DN or id.
    #[must_use]
    pub fn new(who: &str) -> Self {
        Self {
            who: who.to_owned(),
            folded: fold(who).into_owned(),
            mentions: BTreeSet::new(),
            is_mentioned: false,
        }
    }

    /// Adds whom a report names.
    pub fn report(&mut self, report: &Value) {
        for change in list(report, "changes").chain(list(report, "skipped")) {
            self.add(mention(change));
        }
        for named in list(report, "named") {
            self.add(mention(named));
        }
    }

    /// Adds somebody of a hold.
    pub fn held(&mut self, person: &Value) {
        self.add(mention(person));
    }

    /// Adds the users of a snapshot.
    pub fn snapshot(&mut self, snapshot: &Snapshot) {
        for user in &snapshot.users {
            let fields = [Field::Username, Field::Email].map(|field| user.text(&field));
            self.add(Mention {
                directory_id: user.link.link().map(|link| link.id.as_str().to_owned()),
                ftrack_id: Some(user.ftrack_id.to_string()),
                names: fields.into_iter().flatten().map(str::to_owned).collect(),
            });
        }
    }

    fn add(&mut self, mention: Mention) {
        if mention.ftrack_id.as_deref() == Some(NO_ID) {
            return;
        }
        if mention.directory_id.is_some() || mention.ftrack_id.is_some() {
            self.mentions.insert(mention);
        } else if mention.is(&self.folded) {
            self.is_mentioned = true;
            self.mentions.insert(mention);
        }
    }

    /// The person; none where nobody is.
    ///
    /// # Errors
    /// The ids of all, where there are several.
    pub fn found(self) -> Result<Option<Identity>, Vec<String>> {
        let Self {
            who,
            folded,
            mentions,
            is_mentioned,
        } = self;
        let named: Vec<&Mention> = mentions
            .iter()
            .filter(|mention| mention.is(&folded))
            .collect();
        let mut groups: BTreeMap<String, Identity> = BTreeMap::new();
        for first in named.iter().filter(|mention| mention.has_id()) {
            let identity = grown(first, &mentions);
            groups.insert(identity.shown(), identity);
        }
        let mut groups = groups.into_values();
        match (groups.next(), groups.next()) {
            (None, _) if !is_mentioned => Ok(None),
            (None, _) => Ok(Some(Identity {
                names: BTreeSet::from([who.clone()]),
                who,
                ..Identity::default()
            })),
            (Some(only), None) => {
                let mut identity = Identity { who, ..only };
                // What has no id is whoever has the name.
                for mention in named.iter().filter(|mention| !mention.has_id()) {
                    identity.names.extend(mention.names.iter().cloned());
                }
                Ok(Some(identity))
            }
            (Some(one), Some(other)) => {
                let all = [one, other].into_iter().chain(groups);
                Err(all.map(|identity| identity.shown()).collect())
            }
        }
    }
}

/// Everything that shares an id with a mention.
fn grown(first: &Mention, all: &BTreeSet<Mention>) -> Identity {
    let mut identity = Identity::default();
    identity.take(first);
    loop {
        let before = (identity.directory_ids.len(), identity.ftrack_ids.len());
        for mention in all {
            if !identity.has_id_of(mention) {
                continue;
            }
            identity.directory_ids.extend(mention.directory_id.clone());
            identity.ftrack_ids.extend(mention.ftrack_id.clone());
        }
        if before == (identity.directory_ids.len(), identity.ftrack_ids.len()) {
            break;
        }
    }
    let (own, others): (Vec<&Mention>, Vec<&Mention>) = all
        .iter()
        .filter(|mention| mention.has_id())
        .partition(|mention| identity.has_id_of(mention));
    let names = own.iter().flat_map(|mention| &mention.names);
    identity.names = names.cloned().collect();
    // Where somebody else is called so as well, texts may be about them.
    let of_others: BTreeSet<String> = others
        .iter()
        .flat_map(|mention| &mention.names)
        .map(|name| fold(name).into_owned())
        .collect();
    identity
        .names
        .retain(|name| !of_others.contains(&*fold(name)));
    identity
}

impl Mention {
    fn has_id(&self) -> bool {
        self.directory_id.is_some() || self.ftrack_id.is_some()
    }

    fn is(&self, folded: &str) -> bool {
        let ids = self.directory_id.iter().chain(&self.ftrack_id);
        ids.chain(&self.names).any(|text| fold(text) == folded)
    }
}

impl Identity {
    /// The directory ids.
    pub fn directory_ids(&self) -> impl Iterator<Item = &str> {
        self.directory_ids.iter().map(String::as_str)
    }

    /// The ids in ftrack.
    pub fn ftrack_ids(&self) -> impl Iterator<Item = &str> {
        self.ftrack_ids.iter().map(String::as_str)
    }

    /// The person for people: the ids, which say nothing about anybody once all is erased.
    #[must_use]
    pub fn shown(&self) -> String {
        let directory = self.directory_ids.iter();
        let directory = directory.map(|id| format!("directory id {id}"));
        let ftrack = self.ftrack_ids.iter().map(|id| format!("ftrack id {id}"));
        let all: Vec<String> = directory.chain(ftrack).collect();
        if all.is_empty() {
            format!("{:?}", self.who)
        } else {
            all.join(" and ")
        }
    }

    /// Whether the person is called so.
    #[must_use]
    pub fn is_named(&self, who: &str) -> bool {
        let folded = fold(who);
        self.all_names().any(|name| fold(name) == folded) || fold(&self.who) == folded
    }

    /// Whether a user of a snapshot is the person's.
    #[must_use]
    pub fn is_user(&self, user: &SnapshotUser) -> bool {
        let link = user.link.link();
        self.ftrack_ids.contains(&user.ftrack_id.to_string())
            || link.is_some_and(|link| self.directory_ids.contains(link.id.as_str()))
    }

    /// Whether a JSON text of the database is about the person.
    #[must_use]
    pub fn is_about(&self, person: &Value) -> bool {
        self.has_id_of(&mention(person))
    }

    /// A text without the person; none where it does not name the person.
    #[must_use]
    pub fn take_out_of(&self, text: &str) -> Option<String> {
        without(text, self.all_names())
    }

    /// All names, the longest first: a login may be part of a DN.
    fn all_names(&self) -> impl Iterator<Item = &str> {
        let ids = self.directory_ids.iter().chain(&self.ftrack_ids);
        let mut all: Vec<&str> = self.names.iter().chain(ids).map(String::as_str).collect();
        all.sort_by_key(|name| std::cmp::Reverse(name.len()));
        all.into_iter()
    }

    fn take(&mut self, mention: &Mention) {
        self.directory_ids.extend(mention.directory_id.clone());
        self.ftrack_ids.extend(mention.ftrack_id.clone());
        self.names.extend(mention.names.iter().cloned());
    }

    fn has_id_of(&self, mention: &Mention) -> bool {
        let has = |ids: &BTreeSet<String>, id: &Option<String>| {
            id.as_ref().is_some_and(|id| ids.contains(id))
        };
        has(&self.directory_ids, &mention.directory_id) || has(&self.ftrack_ids, &mention.ftrack_id)
    }

    /// Whether a mention is the person's: by an id, or where it has none, by a name.
    fn is_mention(&self, mention: &Mention) -> bool {
        let by_name = || mention.names.iter().any(|name| self.is_named(name));
        self.has_id_of(mention) || (!mention.has_id() && by_name())
    }

    /// Puts neutral texts in the place of the person; the counts of the report stay as they are.
    pub fn take_out_of_report(&self, report: &mut Value) -> InReport {
        let mut found = InReport::default();
        let Value::Object(report) = report else {
            return found;
        };
        for (key, value) in report.iter_mut() {
            match (key.as_str(), value) {
                ("run" | "job", _) => {}
                ("changes", Value::Array(changes)) => {
                    for change in changes {
                        if self.is_mention(&mention(change)) {
                            found.changes += 1;
                            neutral_change(change);
                        } else {
                            self.of_texts(change, &mut found.texts);
                        }
                    }
                }
                ("skipped", Value::Array(entries)) => {
                    for entry in entries {
                        if self.is_mention(&mention(entry)) {
                            found.skipped += 1;
                            neutral_entry(entry);
                        } else {
                            self.of_texts(entry, &mut found.texts);
                        }
                    }
                }
                (_, other) => self.of_texts(other, &mut found.texts),
            }
        }
        found
    }

    /// Takes the person out of every text of a value; ids stay ids.
    fn of_texts(&self, value: &mut Value, number: &mut usize) {
        match value {
            Value::String(text) => {
                if let Some(left) = self.take_out_of(text) {
                    *number += 1;
                    *text = left;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|one| self.of_texts(one, number)),
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    let id = value.as_str().filter(|_| key == "ftrack_id");
                    if id.is_some_and(|id| self.ftrack_ids.contains(id)) {
                        *number += 1;
                        *value = NO_ID.into();
                    } else {
                        self.of_texts(value, number);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn list<'v>(report: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    report
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Whom a change, a skipped entry or a held person mentions.
fn mention(of: &Value) -> Mention {
    let text = |key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut names: BTreeSet<String> = ["username", "dn", "email", "name", "who"]
        .into_iter()
        .filter_map(text)
        .collect();
    if let Some(Value::Object(known)) = of.get("person") {
        names.extend(known.values().filter_map(Value::as_str).map(str::to_owned));
    }
    let value = |field: &str, side: &str| {
        let value = of.get("fields")?.get(field)?.get(side)?;
        value.as_str().map(str::to_owned)
    };
    for side in ["old", "new"] {
        names.extend(value("username", side));
        names.extend(value("email", side));
        let full = value("first_name", side).zip(value("last_name", side));
        names.extend(full.map(|(first, last)| format!("{first} {last}")));
    }
    names.retain(|name| !name.trim().is_empty() && name != NEUTRAL);
    Mention {
        directory_id: text("directory_id"),
        ftrack_id: text("ftrack_id"),
        names,
    }
}

/// A change that says what was done, and neither to whom nor with which values.
fn neutral_change(change: &mut Value) {
    let Value::Object(change) = change else {
        return;
    };
    put(change, "username", NEUTRAL.into());
    put(change, "ftrack_id", NO_ID.into());
    put(change, "dn", Value::Null);
    put(change, "directory_id", Value::Null);
    for key in ["person", "edits", "work"] {
        change.remove(key);
    }
    for key in TEXTS {
        if let Some(text) = change.get_mut(key).filter(|text| !text.is_null()) {
            *text = NEUTRAL.into();
        }
    }
    if let Some(Value::Object(fields)) = change.get_mut("fields") {
        for values in fields.values_mut().filter_map(Value::as_object_mut) {
            for side in values.values_mut() {
                if !matches!(side, Value::Null | Value::Bool(_)) {
                    *side = NEUTRAL.into();
                }
            }
        }
    }
}

fn neutral_entry(entry: &mut Value) {
    let Value::Object(entry) = entry else { return };
    put(entry, "dn", NEUTRAL.into());
    put(entry, "reason", NEUTRAL.into());
    for key in ["username", "email", "directory_id"] {
        entry.remove(key);
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}
