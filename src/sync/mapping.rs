//! Maps an entry to the person that ftrack should show, or says why that is not possible.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use unicode_normalization::UnicodeNormalization;

use super::{
    desired::{DesiredValue, Mapped, Person},
    several::{Choice, Several},
};
use crate::{
    config::{AttributeRule, Source, Target, Template, WhenAbsent},
    directory::dn,
    model::{entry::Entry, fold::fold, reason::Reason},
};

/// The longest text that ftrack stores in an attribute of a user, in characters.
pub const LONGEST: usize = 255;
/// The most values of one attribute, and results of one template, that count; the rest is ignored.
const MOST_VALUES: usize = 64;

/// The attribute rules of a job.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<(Place, AttributeRule)>,
    custom_keys: Vec<String>,
}

/// Where the value of a rule is put in a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
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

    /// The templates that fail whatever the entry, such as for a filter that does not exist: the
    /// target, and the reason.
    #[must_use]
    pub fn broken_templates(&self) -> Vec<(&str, minijinja::Error)> {
        let templates = self.rules.iter().filter_map(|(_, rule)| match &rule.from {
            Source::Attribute(_) => None,
            Source::Template(template) => Some(template),
        });
        templates
            .filter_map(|template| Some((template.name(), template.fault()?)))
            .collect()
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
        let mut several = Several::default();
        for (place, rule) in &self.rules {
            let is_required = rule.required || *place == Place::Username;
            match given(entry, &rule.from, &mut several)? {
                Given::Values(values) => {
                    let values = acceptable_ones(*place, values)?;
                    if let Some(first) = values.first() {
                        place.put(&mut person, first);
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
                    let name = match &rule.from {
                        Source::Attribute(name) => name,
                        Source::Template(template) => template.name(),
                    };
                    return Err(Unusable(Reason::MissingValue(name.into())));
                }
                Given::Nothing => place.leave(&mut person, rule.when_absent),
            }
        }
        person.several = (several != Several::default()).then(|| Box::new(several));
        Ok(person)
    }
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
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
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
/// in alphabetical order; `None` where it has values, and none is text.
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
        texts.sort_by_key(|text| !naming.iter().any(|naming| *naming == fold(text)));
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
    match refused {
        Some(reason) if accepted.is_empty() => Err(reason),
        Some(_) | None => Ok(accepted),
    }
}

/// A text in NFC, trimmed, with every run of control characters and blanks replaced by one space.
fn one_line(text: &str) -> Cow<'_, str> {
    let already = text.is_ascii()
        && !text.bytes().any(|byte| byte.is_ascii_control())
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

impl Place {
    /// Puts a value in its field.
    pub(super) fn put(self, person: &mut Person, value: &str) {
        let text = |text: &str| DesiredValue::Text(text.into());
        match self {
            Self::Username => person.username = value.into(),
            Self::Email => person.email = text(value),
            Self::FirstName => person.first_name = text(value),
            Self::LastName => person.last_name = text(value),
            Self::FullName => {
                let (first, last) = split_at_last_space(value);
                person.first_name = text(first);
                person.last_name = text(last);
            }
            Self::Custom(index) => {
                if let Some(slot) = person.custom.get_mut(index) {
                    *slot = text(value);
                }
            }
        }
    }

    /// What happens to the field when the directory shows no value.
    fn leave(self, person: &mut Person, when_absent: WhenAbsent) {
        let absent = match when_absent {
            WhenAbsent::Keep => DesiredValue::Keep,
            WhenAbsent::Clear => DesiredValue::Clear,
        };
        match self {
            Self::Username => {}
            Self::Email => person.email = absent,
            Self::FirstName => person.first_name = absent,
            Self::LastName => person.last_name = absent,
            Self::FullName => {
                person.first_name = absent.clone();
                person.last_name = absent;
            }
            Self::Custom(index) => {
                if let Some(slot) = person.custom.get_mut(index) {
                    *slot = absent;
                }
            }
        }
    }
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
    let characters = text.chars().count();
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

/// The first and last name of a full name: the parts before and after the last space; a single word
/// is a first name without a last name.
pub(super) fn split_at_last_space(full: &str) -> (&str, &str) {
    full.rsplit_once(' ').unwrap_or((full, ""))
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
    fn the_order_of_several_values_does_not_matter() {
        let rules = [
            ("username", "uid"),
            ("email", "mail"),
            ("first_name", "{{ uid }} {{ mail }}"),
        ];
        let of = |uid: &[&[u8]], mail: &[&[u8]]| person(&rules, &[("uid", uid), ("mail", mail)]);
        let one = of(&[b"a", b"x", b"b"], &[b"b@x.test", b"a@x.test"]);
        for other in [
            of(&[b"x", b"b", b"a", b"x"], &[b"a@x.test", b"b@x.test"]),
            of(&[b"b", b"a", b"x"], &[b"b@x.test", b"a@x.test"]),
        ] {
            assert_eq!(one, other);
        }
        assert_eq!(&*one.username, "x", "the entry is uid=x");
        assert_eq!(one.email, DesiredValue::Text("a@x.test".into()));
        assert_eq!(one.first_name, DesiredValue::Text("x a@x.test".into()));
        let several = one.several.unwrap();
        assert_eq!(several.attributes, ["uid".into(), "mail".into()]);
        let counts: Vec<usize> = several.choices.iter().map(|one| one.values.len()).collect();
        assert_eq!(counts, [3, 2, 6]);
        let odd = of(&[b"a"], &[b"nobody", b"b@x.test"]);
        let accepted = DesiredValue::Text("b@x.test".into());
        assert_eq!(odd.email, accepted);
    }

    #[test]
    fn equal_values_are_one_value() {
        let one = person(
            &[("username", "uid"), ("email", "mail")],
            &[
                ("uid", &[b"a", b"a"]),
                ("mail", &[b"a@x.test", b" a@x.test"]),
            ],
        );
        assert_eq!((&*one.username, &one.several), ("a", &None));
    }

    #[test]
    fn many_values_are_bounded() {
        let many: Vec<Vec<u8>> = (0..500)
            .map(|nth| format!("v{nth:03}").into_bytes())
            .collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let one = person(
            &[("username", "{{ uid }}.{{ cn }}{{ sn }}")],
            &[("uid", &many), ("cn", &many), ("sn", &many)],
        );
        let several = one.several.unwrap();
        assert_eq!(several.choices[0].values.len(), MOST_VALUES);
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
    fn a_template_that_no_entry_can_mend_is_found() {
        let broken = |template: &str| {
            let rules = [rule("username", template)];
            let mapping = Mapping::new(&rules);
            mapping
                .broken_templates()
                .first()
                .map(|(_, error)| error.to_string())
        };
        for good in [
            "{{ uid | lower }}",
            "{{ mail | default(uid) }}",
            "{{ uid | int }}",
            "{{ mail[0] }}",
            "{{ uid }}{{ sn }}",
        ] {
            assert_eq!(broken(good), None, "{good}");
        }
        for (bad, words) in [
            ("{{ uid | lowre }}", "filter lowre is unknown"),
            ("{{ uid }}{{ initials(sn) }}", "initials is unknown"),
            ("{{ uid.lower() }}", "no method named lower"),
            (
                "{% if uid is odd_one %}x{% endif %}",
                "test odd_one is unknown",
            ),
            (
                "{% if mail %}{{ mail }}{% else %}{{ uid | lowre }}{% endif %}",
                "filter lowre is unknown",
            ),
        ] {
            assert!(
                broken(bad).is_some_and(|error| error.contains(words)),
                "{bad}: {:?}",
                broken(bad)
            );
        }
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
        let binary: &[&[u8]] = &[&[0xff, 0xfe]];
        assert_eq!(
            skipped(&rules, &[("uid", binary)]),
            "the value of uid is not text (UTF-8)"
        );
        let kept = person(&rules, &[("uid", &[b"a"]), ("mail", binary)]);
        assert_eq!(kept.email, DesiredValue::Keep);
        assert_eq!(kept.several.unwrap().not_text, ["mail".into()]);
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
                "{{ uid }}{% for i in range(99999) %}{{ i }}{% endfor %}",
            ),
        ];
        assert!(skipped(&rules, &[("uid", &[b"a"])]).contains("the template for first_name fails"));
    }
}
