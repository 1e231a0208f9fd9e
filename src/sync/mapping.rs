//! Maps an entry to the person that ftrack should show, or says why that is not possible.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::desired::{DesiredValue, Mapped, Person};
use crate::{
    config::{AttributeRule, Source, Target, WhenAbsent},
    model::{entry::Entry, reason::Reason},
};

/// The longest text that ftrack stores in an attribute of a user, in characters.
pub const LONGEST: usize = 255;

/// The attribute rules of a job.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<(Place, AttributeRule)>,
    custom_keys: Vec<String>,
}

/// Where the value of a rule is put in a person.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Username,
    Email,
    FirstName,
    LastName,
    FullName,
    /// The custom attribute at this index of `custom_keys`.
    Custom(usize),
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
        let rules = attributes.into_iter().map(|rule| {
            let place = match &rule.target {
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
            (place, rule.clone())
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

    /// The keys of the mapped custom attributes, in the order of a person's custom values.
    #[must_use]
    pub fn custom_keys(&self) -> &[String] {
        &self.custom_keys
    }

    /// Maps an entry to a person, or says why it is skipped.
    #[must_use]
    pub fn map(&self, entry: &Entry) -> Mapped {
        match self.person(entry) {
            Ok(person) => Mapped::Person(person),
            Err(Unusable(reason)) => Mapped::Skipped {
                dn: entry.dn.as_str().into(),
                reason,
            },
        }
    }

    fn person(&self, entry: &Entry) -> Result<Person, Unusable> {
        let mut person = Person::unmapped(&entry.dn, self.custom_keys.len());
        for (place, rule) in &self.rules {
            let value = value(entry, &rule.from, &mut person)?;
            if value.is_none() && (rule.required || *place == Place::Username) {
                let name = match &rule.from {
                    Source::Attribute(name) => name,
                    Source::Template(template) => template.name(),
                };
                return Err(Unusable(Reason::MissingValue(name.into())));
            }
            put(&mut person, place, value, rule.when_absent)?;
        }
        Ok(person)
    }
}

/// The value of a source, trimmed, in NFC and on one line; `None` when the entry has none.
fn value(entry: &Entry, source: &Source, person: &mut Person) -> Result<Option<String>, Unusable> {
    let text = match source {
        Source::Attribute(name) => first_text(entry, name, person)?,
        Source::Template(template) => {
            let mut values = BTreeMap::new();
            for variable in source.attributes() {
                if let Some(text) = first_text(entry, variable, person)? {
                    values.insert(variable.as_str(), text);
                }
            }
            template.render(&values).map_err(|error| {
                let name = template.name();
                Unusable::invalid(format!("the template for {name} fails: {error}"))
            })?
        }
    };
    Ok(text
        .as_deref()
        .map(one_line)
        .filter(|text| !text.is_empty()))
}

/// The first value of an attribute as text; several values give a warning, a value that is not text
/// skips the entry.
fn first_text(entry: &Entry, name: &str, person: &mut Person) -> Result<Option<String>, Unusable> {
    let values = entry.values(name);
    let Some(first) = values.first() else {
        return Ok(None);
    };
    if values.len() > 1 && !person.several.iter().any(|noted| **noted == *name) {
        person.several.push(name.into());
    }
    match std::str::from_utf8(first) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Unusable::invalid(format!(
            "the value of {name} is not text (UTF-8)"
        ))),
    }
}

/// A text in NFC, trimmed, with every run of control characters and blanks replaced by one space.
fn one_line(text: &str) -> String {
    let already = text.is_ascii()
        && !text.bytes().any(|byte| byte.is_ascii_control())
        && text.trim() == text
        && !text.contains("  ");
    if already {
        return text.to_owned();
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
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts a value in its field, unless ftrack would refuse it.
fn put(
    person: &mut Person,
    place: &Place,
    value: Option<String>,
    when_absent: WhenAbsent,
) -> Result<(), Unusable> {
    if let Some(text) = &value {
        acceptable(place, text)?;
    }
    let absent = match when_absent {
        WhenAbsent::Keep => DesiredValue::Keep,
        WhenAbsent::Clear => DesiredValue::Clear,
    };
    let wanted = |text: Option<String>| {
        text.map_or_else(|| absent.clone(), |text| DesiredValue::Text(text.into()))
    };
    match place {
        Place::Username => person.username = value.unwrap_or_default().into(),
        Place::Email => person.email = wanted(value),
        Place::FirstName => person.first_name = wanted(value),
        Place::LastName => person.last_name = wanted(value),
        Place::FullName => {
            let (first, last) = value.as_deref().map(split_at_last_space).unzip();
            person.first_name = wanted(first);
            person.last_name = wanted(last);
        }
        Place::Custom(index) => {
            if let Some(slot) = person.custom.get_mut(*index) {
                *slot = wanted(value);
            }
        }
    }
    Ok(())
}

/// Values that ftrack would refuse are found here, while planning, and not while writing.
fn acceptable(place: &Place, text: &str) -> Result<(), Unusable> {
    let what = match place {
        Place::Username => "username",
        Place::Email => "email",
        Place::FirstName => "first_name",
        Place::LastName => "last_name",
        Place::FullName => "full_name",
        Place::Custom(_) => return Ok(()),
    };
    let characters = text.chars().count();
    if characters > LONGEST {
        return Err(Unusable::invalid(format!(
            "its {what} is {characters} characters long; ftrack accepts {LONGEST}"
        )));
    }
    if *place == Place::Email && !is_address(text) {
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

/// The first and last name of a full name: the parts before and after the last space; a single word
/// is a first name without a last name.
fn split_at_last_space(full: &str) -> (String, String) {
    let (first, last) = full.rsplit_once(' ').unwrap_or((full, ""));
    (first.to_owned(), last.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(target: &str, from: &str) -> AttributeRule {
        AttributeRule {
            target: target.parse().unwrap(),
            from: Source::parse(target, from).unwrap(),
            when_absent: WhenAbsent::Keep,
            required: false,
        }
    }

    fn mapped(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> Mapped {
        let rules: Vec<_> = rules
            .iter()
            .map(|(target, from)| rule(target, from))
            .collect();
        let attributes = attributes
            .iter()
            .map(|(name, values)| {
                (
                    (*name).to_owned(),
                    values.iter().map(|value| value.to_vec()).collect(),
                )
            })
            .collect();
        Mapping::new(&rules).map(&Entry::new("uid=x".into(), attributes))
    }

    fn person(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> Person {
        match mapped(rules, attributes) {
            Mapped::Person(person) => person,
            Mapped::Skipped { reason, .. } => panic!("skipped: {reason}"),
        }
    }

    fn skipped(rules: &[(&str, &str)], attributes: &[(&str, &[&[u8]])]) -> String {
        match mapped(rules, attributes) {
            Mapped::Person(person) => panic!("not skipped: {person:?}"),
            Mapped::Skipped { reason, .. } => reason.to_string(),
        }
    }

    #[test]
    fn a_name_is_trimmed_composed_and_on_one_line() {
        let person = person(
            &[("username", "uid"), ("first_name", "givenName")],
            &[
                ("UID", &[b" ada "]),
                ("givenName", &["Jose\u{301}\n  Mari\u{301}a".as_bytes()]),
            ],
        );
        assert_eq!(&*person.username, "ada");
        assert_eq!(
            person.first_name,
            DesiredValue::Text("Jos\u{e9} Mar\u{ed}a".into())
        );
    }

    #[test]
    fn a_full_name_is_split_at_its_last_space() {
        let rules = [("username", "uid"), ("full_name", "cn")];
        let two = person(&rules, &[("uid", &[b"a"]), ("cn", &[b"Juan Carlos Ruiz"])]);
        assert_eq!(
            (two.first_name, two.last_name),
            (
                DesiredValue::Text("Juan Carlos".into()),
                DesiredValue::Text("Ruiz".into())
            )
        );
        let one = person(&rules, &[("uid", &[b"a"]), ("cn", &[b"Madonna"])]);
        assert_eq!(
            (one.first_name, one.last_name),
            (
                DesiredValue::Text("Madonna".into()),
                DesiredValue::Text("".into())
            )
        );
        for silent in [&[][..], &[&b"  "[..]]] {
            let none = person(&rules, &[("uid", &[b"a"]), ("cn", silent)]);
            assert_eq!(
                (none.first_name, none.last_name),
                (DesiredValue::Keep, DesiredValue::Keep)
            );
        }
    }

    #[test]
    fn the_first_of_several_values_is_taken_and_said() {
        let person = person(
            &[("username", "uid"), ("email", "mail")],
            &[("uid", &[b"a"]), ("mail", &[b"a@x.test", b"b@x.test"])],
        );
        assert_eq!(person.email, DesiredValue::Text("a@x.test".into()));
        assert_eq!(person.several, vec!["mail".into()]);
    }

    #[test]
    fn a_template_reads_its_attributes_and_is_absent_without_them() {
        let rules = [
            ("username", "{{ uid | lower }}"),
            ("email", "{{ mail | default(uid ~ '@x.test') }}"),
            ("first_name", "{{ givenName }} {{ sn }}"),
        ];
        let person = person(&rules, &[("uid", &[b"ADA"]), ("sn", &[b"L"])]);
        assert_eq!(&*person.username, "ada");
        assert_eq!(person.email, DesiredValue::Text("ADA@x.test".into()));
        assert_eq!(person.first_name, DesiredValue::Keep);
        let rules: Vec<_> = rules
            .iter()
            .map(|(target, from)| rule(target, from))
            .collect();
        assert_eq!(
            Mapping::new(&rules).ldap_attributes(),
            ["givenName", "mail", "sn", "uid"]
        );
    }

    #[test]
    fn what_ftrack_would_refuse_is_left_out_by_name() {
        let rules = [("username", "uid"), ("email", "mail")];
        assert_eq!(
            skipped(&rules, &[("mail", &[b"a@x.test"])]),
            "it has no uid, which is required"
        );
        assert_eq!(
            skipped(&rules, &[("uid", &[b"  "])]),
            "it has no uid, which is required"
        );
        assert_eq!(
            skipped(&rules, &[("uid", &[b"a"]), ("mail", &[b"nobody"])]),
            "its email is not a mail address: \"nobody\""
        );
        assert_eq!(
            skipped(&rules, &[("uid", &[&[0xff, 0xfe]])]),
            "the value of uid is not text (UTF-8)"
        );
        let long = "x".repeat(256);
        assert_eq!(
            skipped(&rules, &[("uid", &[long.as_bytes()])]),
            "its username is 256 characters long; ftrack accepts 255"
        );
        let edge = "x".repeat(255);
        assert_eq!(
            &*person(&rules, &[("uid", &[edge.as_bytes()])]).username,
            edge
        );
    }

    #[test]
    fn a_template_that_does_not_end_leaves_the_entry_out() {
        let rules = [
            ("username", "uid"),
            (
                "first_name",
                "{% if uid == 'a' %}{% for i in range(99999) %}{{ i }}{% endfor %}{% endif %}",
            ),
        ];
        assert!(skipped(&rules, &[("uid", &[b"a"])]).contains("the template for first_name fails"));
    }
}
