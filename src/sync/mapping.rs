//! Maps an entry to the person that ftrack should show, or says why that is not possible.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::{
    choice::{Choice, Place, Several},
    desired::{Identified, Mapped, Person},
};
use crate::{
    config::{AttributeRule, Source, Target, Template},
    directory::dn,
    escape::is_unseen,
    model::{edit::Field, entry::Entry, fold::fold, reason::Reason},
};

/// The longest text that ftrack stores in an attribute of a user, in characters.
pub const LONGEST: usize = 255;
/// The most values of one attribute, and results of one template, that count; the rest is ignored.
const MOST_VALUES: usize = 64;

/// The object class of alias entries, by name and OID.
const ALIAS: [&str; 2] = ["alias", "2.5.6.1"];

/// The attribute rules of a job.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<(Place, AttributeRule)>,
    custom_keys: Vec<String>,
}

/// The error in one value, for which the entry is skipped.
struct Unusable(Reason);

impl Unusable {
    fn invalid(words: String) -> Self {
        Self(Reason::InvalidValue(words.into()))
    }
}

impl Mapping {
    /// The attribute rules of a job.
    pub fn new<'r>(attributes: impl IntoIterator<Item = &'r AttributeRule>) -> Self {
        let mut custom_keys = Vec::new();
        let rules = attributes.into_iter().filter_map(|rule| {
            let place = match &rule.target {
                // Pictures are read apart from the people.
                Target::Thumbnail => return None,
                Target::Username => Place::Username,
                Target::Email => Place::Email,
                Target::FirstName => Place::FirstName,
                Target::LastName => Place::LastName,
                Target::FullName => Place::FullName,
                Target::Custom(key) => {
                    custom_keys.push(key.clone());
                    Place::Custom(custom_keys.len() - 1)
                }
            };
            Some((place, rule.clone()))
        });
        Self {
            rules: rules.collect(),
            custom_keys,
        }
    }

    /// The LDAP attributes that the rules read, which a search requests; sorted, each once.
    #[must_use]
    pub fn ldap_attributes(&self) -> Vec<String> {
        let sources = self.rules.iter().map(|(_, rule)| &rule.from);
        let mut names: Vec<String> = sources
            .flat_map(|source| source.attributes().iter().cloned())
            .collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        names
    }

    /// The LDAP attributes that logins and mail addresses come from.
    pub fn naming_attributes(&self) -> impl Iterator<Item = String> {
        let is_name = |place: &Place| matches!(place, Place::Username | Place::Email);
        let rules = self.rules.iter().filter(move |(place, _)| is_name(place));
        rules.flat_map(|(_, rule)| rule.from.attributes().iter().cloned())
    }

    /// The fields of a user that the rules fill.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<Field> {
        let of_rule = |(_, rule): &(Place, AttributeRule)| match &rule.target {
            Target::Username => vec![Field::Username],
            Target::Email => vec![Field::Email],
            Target::FirstName => vec![Field::FirstName],
            Target::LastName => vec![Field::LastName],
            Target::FullName => vec![Field::FirstName, Field::LastName],
            // What is sent is not put back.
            Target::Thumbnail => Vec::new(),
            Target::Custom(key) => vec![Field::Custom(key.clone())],
        };
        self.rules.iter().flat_map(of_rule).collect()
    }

    /// The keys of the mapped custom attributes, in the order of a person's custom values.
    #[must_use]
    pub fn custom_keys(&self) -> &[String] {
        &self.custom_keys
    }

    /// Maps an entry to a person, or says why it is skipped.
    #[must_use]
    pub fn map(&self, entry: &Entry) -> Mapped {
        if is_alias(entry) {
            return Mapped::Alias {
                dn: entry.dn.as_str().into(),
            };
        }
        let mapped = if entry.is_too_large() {
            Err(Unusable(Reason::TooLarge))
        } else {
            self.person(entry)
        };
        match mapped {
            Ok(person) => Mapped::Person(person),
            Err(Unusable(reason)) => Mapped::Skipped {
                dn: entry.dn.as_str().into(),
                username: self.username(entry),
                reason,
            },
        }
    }

    /// The login of an entry that is skipped for something else.
    fn username(&self, entry: &Entry) -> Option<Box<str>> {
        let mut rules = self.rules.iter();
        let (place, rule) = rules.find(|(place, _)| *place == Place::Username)?;
        let Ok(Given::Values(values)) = given(entry, &rule.from, &mut Several::default()) else {
            return None;
        };
        let values = acceptable_ones(*place, values).ok()?;
        values.into_iter().next().map(Into::into)
    }

    /// A warning for each rule by which none of these people got a value.
    #[must_use]
    pub fn empty_rules(&self, people: &[Identified]) -> Vec<String> {
        let is_empty = |place: &Place| !people.iter().any(|(_, person)| person.has(*place));
        let rules = self.rules.iter().filter(|_| !people.is_empty());
        rules
            .filter(|(place, _)| is_empty(place))
            .map(|(_, rule)| {
                format!(
                    "nobody has a value for attributes.{} ({:?}): check the name, and whether \
                     the bind account may read it",
                    rule.target,
                    rule.from.as_str()
                )
            })
            .collect()
    }

    fn person(&self, entry: &Entry) -> Result<Person, Unusable> {
        let mut person = Person::unmapped(&entry.dn, self.custom_keys.len());
        let mut several = Several::default();
        for (place, rule) in &self.rules {
            if let Some(value) = plain_value(entry, &rule.from, *place) {
                person.put(*place, value);
                continue;
            }
            let is_required = rule.required || *place == Place::Username;
            match given(entry, &rule.from, &mut several)? {
                Given::Values(values) => {
                    let values = acceptable_ones(*place, values)?;
                    if let Some(first) = values.first() {
                        person.put(*place, first);
                    }
                    if values.len() > 1 {
                        let values = values.into_iter().map(Into::into).collect();
                        several.choices.push(Choice {
                            place: *place,
                            values,
                        });
                    }
                }
                Given::NotText(name) if is_required => {
                    let words = format!("the value of {name} is not text (UTF-8)");
                    return Err(Unusable::invalid(words));
                }
                // The directory shows a value, so nothing is cleared.
                Given::NotText(name) => note(&mut several.not_text, name),
                Given::Nothing if is_required => {
                    let name = missing(entry, &rule.from);
                    return Err(Unusable(Reason::MissingValue(name.into())));
                }
                Given::Nothing => person.leave(*place, rule.when_absent),
            }
        }
        person.several = (several != Several::default()).then(|| Box::new(several));
        Ok(person)
    }
}

/// The value of an attribute that has one, already in the form that ftrack gets, as most are: what
/// all the steps for other values would leave of it.
fn plain_value<'e>(entry: &'e Entry, source: &Source, place: Place) -> Option<&'e str> {
    let Source::Attribute(name) = source else {
        return None;
    };
    let [value] = entry.values(name) else {
        return None;
    };
    match std::str::from_utf8(value).map(one_line) {
        Ok(Cow::Borrowed(text)) if !text.is_empty() && acceptable(place, text).is_ok() => {
            Some(text)
        }
        Ok(Cow::Borrowed(_) | Cow::Owned(_)) | Err(_) => None,
    }
}

/// What an entry lacks of which a rule gives nothing: the attribute, also that of a template, so that
/// both ways of writing a rule say the same; what the rule fills, where it is not one attribute.
fn missing<'r>(entry: &Entry, source: &'r Source) -> &'r str {
    let template = match source {
        Source::Attribute(name) => return name,
        Source::Template(template) => template,
    };
    let is_missing = |name: &&String| {
        let texts = attribute_texts(entry, name, &mut Several::default());
        texts.is_some_and(|texts| texts.is_empty())
    };
    let mut names = source.attributes().iter().filter(is_missing);
    match (names.next(), names.next()) {
        (Some(name), None) => name,
        (Some(_), Some(_)) | (None, _) => template.name(),
    }
}

/// Whether an entry is only another name of an entry (RFC 4512 section 2.6).
fn is_alias(entry: &Entry) -> bool {
    let mut classes = entry.values("objectClass").iter();
    classes.any(|class| {
        ALIAS
            .iter()
            .any(|name| class.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// What a rule gives.
enum Given<'e> {
    Nothing,
    /// No value of this attribute is text.
    NotText(&'e str),
    /// Each once, trimmed, in NFC and on one line; first the one for a new user. At least one.
    Values(Vec<String>),
}

/// The values of a source. Which is first does not depend on the order in which the server sent
/// them, which says nothing (RFC 4511 section 4.1.7).
///
/// A template is rendered with every combination of its attributes' values, of which the first
/// [`MOST_VALUES`] count.
fn given<'e>(
    entry: &Entry,
    source: &'e Source,
    several: &mut Several,
) -> Result<Given<'e>, Unusable> {
    let mut texts: Vec<(&'e str, Vec<Cow<'_, str>>)> = Vec::new();
    for name in source.attributes() {
        match attribute_texts(entry, name, several) {
            None => return Ok(Given::NotText(name)),
            Some(found) => texts.push((name, found)),
        }
    }
    let mut values: Vec<String> = match source {
        Source::Attribute(_) => {
            let found = texts.into_iter().flat_map(|(_, found)| found);
            found.map(Cow::into_owned).collect()
        }
        Source::Template(template) => rendered(template, &texts)?,
    };
    values.retain(|value| !value.is_empty());
    if values.len() > 1 {
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.clone()));
    }
    Ok(if values.is_empty() {
        Given::Nothing
    } else {
        Given::Values(values)
    })
}

/// The results of a template for the combinations of values; an error only if none has a result.
fn rendered(
    template: &Template,
    texts: &[(&str, Vec<Cow<'_, str>>)],
) -> Result<Vec<String>, Unusable> {
    let (mut values, mut failed) = (Vec::new(), None);
    for combination in combinations(texts) {
        match template.render(&combination) {
            Ok(text) => values.extend(text.map(|text| one_line(&text).into_owned())),
            Err(error) => {
                let name = template.name();
                let words = format!("the template for {name} fails: {error}");
                failed.get_or_insert(Unusable::invalid(words));
            }
        }
    }
    match failed {
        Some(failed) if values.is_empty() => Err(failed),
        Some(_) | None => Ok(values),
    }
}

/// Every combination of one value of each attribute that has any, those of the first values first;
/// at most [`MOST_VALUES`].
fn combinations<'v>(texts: &'v [(&str, Vec<Cow<'_, str>>)]) -> Vec<BTreeMap<&'v str, &'v str>> {
    let mut all = vec![BTreeMap::new()];
    for (name, values) in texts.iter().filter(|(_, values)| !values.is_empty()) {
        let extended = values.iter().flat_map(|value| {
            all.iter().map(move |before| {
                let mut with = before.clone();
                with.insert(*name, &**value);
                with
            })
        });
        all = extended.take(MOST_VALUES).collect();
    }
    all
}

/// The values of an attribute that are text, each once, first the one in the entry's own name, then
/// the shorter ones, and of one length in alphabetical order; `None` where it has values, and none is text.
fn attribute_texts<'e>(
    entry: &'e Entry,
    name: &str,
    several: &mut Several,
) -> Option<Vec<Cow<'e, str>>> {
    let values = entry.values(name);
    let mut texts: Vec<Cow<'e, str>> = values
        .iter()
        .filter_map(|value| std::str::from_utf8(value).ok())
        .map(one_line)
        .collect();
    if texts.is_empty() && !values.is_empty() {
        return None;
    }
    texts.retain(|text| !text.is_empty());
    if texts.len() > 1 {
        texts.sort_unstable();
        texts.dedup();
    }
    if texts.len() > 1 {
        note(&mut several.attributes, name);
        let naming: Vec<String> = dn::naming_values(&entry.dn)
            .iter()
            .map(|value| fold(&one_line(value)).into_owned())
            .collect();
        // A stable sort: otherwise in alphabetical order.
        texts.sort_by_key(|text| {
            let is_naming = naming.iter().any(|naming| *naming == fold(text));
            (!is_naming, text.chars().count())
        });
        texts.truncate(MOST_VALUES);
    }
    Some(texts)
}

fn note(names: &mut Vec<Box<str>>, name: &str) {
    if !names.iter().any(|noted| **noted == *name) {
        names.push(name.into());
    }
}

/// Those of the values that ftrack would accept.
///
/// # Errors
/// It would accept none.
fn acceptable_ones(place: Place, values: Vec<String>) -> Result<Vec<String>, Unusable> {
    let (mut accepted, mut refused) = (Vec::with_capacity(values.len()), None);
    for value in values {
        match acceptable(place, &value) {
            Ok(()) => accepted.push(value),
            Err(reason) => {
                refused.get_or_insert(reason);
            }
        }
    }
    // A login or an address with a character that shows nothing is never kept or chosen beside one
    // without.
    let is_seen = |value: &String| !value.chars().any(is_unseen);
    if matches!(place, Place::Username | Place::Email) && accepted.iter().any(is_seen) {
        accepted.retain(is_seen);
    }
    match refused {
        Some(reason) if accepted.is_empty() => Err(reason),
        Some(_) | None => Ok(accepted),
    }
}

/// Whether a text is printable ASCII without blanks that would be removed, as most are: then it is in
/// NFC, trimmed, and on one line.
fn is_plain_line(text: &str) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        if !byte.is_ascii_graphic() && (byte != b' ' || before == b' ') {
            return false;
        }
        before = byte;
    }
    before != b' ' || text.is_empty()
}

/// A text in NFC, trimmed, with every run of control characters and blanks replaced by one space.
fn one_line(text: &str) -> Cow<'_, str> {
    if is_plain_line(text) {
        return Cow::Borrowed(text);
    }
    let is_composed = text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes;
    let blank = |character: char| character != ' ' && character.is_whitespace();
    let already = is_composed
        && !text.contains(|character: char| character.is_control() || blank(character))
        && text.trim() == text
        && !text.contains("  ");
    if already {
        return Cow::Borrowed(text);
    }
    let composed: String = text
        .nfc()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let words: Vec<&str> = composed.split_whitespace().collect();
    Cow::Owned(words.join(" "))
}

/// Values that ftrack would refuse are found here, while planning, and not while writing.
fn acceptable(place: Place, text: &str) -> Result<(), Unusable> {
    let what = match place {
        Place::Username => "username",
        Place::Email => "email",
        Place::FirstName => "first_name",
        Place::LastName => "last_name",
        Place::FullName => "full_name",
        Place::Custom(_) => return Ok(()),
    };
    // No text has more characters than bytes.
    let characters = if text.len() > LONGEST {
        text.chars().count()
    } else {
        0
    };
    if characters > LONGEST {
        return Err(Unusable::invalid(format!(
            "its {what} is {characters} characters long; ftrack accepts {LONGEST}"
        )));
    }
    if place == Place::Email && !is_address(text) {
        return Err(Unusable::invalid(format!(
            "its {what} is not a mail address: {text:?}"
        )));
    }
    Ok(())
}

/// Whether a text has the form of a mail address: a local part, one `@`, a domain, no blanks (a
/// narrow reading of RFC 5321 section 4.1.2).
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'))
    };
    plain(local)
        && plain(domain)
        && !local.contains('@')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !domain.contains("..")
}

#[cfg(test)]
mod tests;
