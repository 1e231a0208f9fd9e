//! Where the value of an ftrack attribute comes from: an LDAP attribute, or a template.

use std::{collections::BTreeMap, fmt, sync::Arc};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::is_attribute;
use crate::config::finding::did_you_mean;

/// The maximum number of instructions per template.
const FUEL: u64 = 10_000;

/// The variable that holds all attributes of a template, for names that are no variables:
/// `{{ ldap["msDS-cloudExtensionAttribute1"] }}`.
const ALL: &str = "ldap";

/// The source of an ftrack attribute's value.
#[derive(Debug, Clone)]
pub enum Source {
    /// A value of the LDAP attribute of this name.
    Attribute(String),
    /// A template over LDAP attributes.
    Template(Template),
}

/// A template, parsed.
#[derive(Debug, Clone)]
pub struct Template {
    /// The ftrack attribute that it fills.
    name: String,
    text: String,
    attributes: Vec<String>,
    /// Contains it alone.
    environment: Arc<Environment<'static>>,
}

impl Source {
    /// Parses the source of an ftrack attribute.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(target: &str, text: &str) -> Result<Self, String> {
        if text.contains("{{") || text.contains("{%") {
            let template = Template::parse(target, text)?;
            match template.fault() {
                Some(error) => Err(format!("{text:?} fails for every entry: {}", why(&error))),
                None => Ok(Self::Template(template)),
            }
        } else if is_attribute(text) {
            Ok(Self::Attribute(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is neither the name of an LDAP attribute (RFC 4512) nor a {{{{ template \
                 }}}}"
            ))
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            Self::Template(template) => &template.text,
        }
    }

    /// The LDAP attributes that it reads.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        match self {
            Self::Attribute(name) => std::slice::from_ref(name),
            Self::Template(template) => &template.attributes,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Template {
    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let looked_up = lookups(text).map_err(|reason| format!("{text:?}: {reason}"))?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        let attributes = environment
            .add_template_owned(name.to_owned(), text.to_owned())
            .and_then(|()| environment.get_template(name))
            .map(|template| template.undeclared_variables(false))
            .map_err(|error| format!("{text:?} is not a template: {}", why(&error)))?;
        let mut attributes: Vec<String> = attributes
            .into_iter()
            .filter(|name| name != ALL)
            .chain(looked_up)
            .collect();
        attributes.sort();
        attributes.dedup();
        let template = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            attributes,
            environment: Arc::new(environment),
        };
        if template.subtracts_text() {
            return Err(format!(
                "{text:?} subtracts one text from another, which never works; the name of an \
                 attribute that contains a hyphen is written as {ALL}[\"extension-attribute\"]"
            ));
        }
        Ok(template)
    }

    /// Whether it subtracts one attribute from another, whatever their values are: somebody meant
    /// the name of an attribute with a hyphen.
    fn subtracts_text(&self) -> bool {
        self.text.contains('-')
            && ["sample", "7", "2020-01-31", "1.5"].iter().all(|sample| {
                let values = self.attributes.iter().map(|name| (name.as_str(), *sample));
                self.rendered(&values.collect()).is_err_and(|error| {
                    error.kind() == ErrorKind::InvalidOperation
                        && error
                            .detail()
                            .is_some_and(|words| words.contains("- operator"))
                })
            })
    }

    /// The ftrack attribute that it fills.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renders it with one value of each attribute; `None` when it needs one that is absent.
    ///
    /// # Errors
    /// It fails otherwise.
    pub fn render(
        &self,
        values: &BTreeMap<&str, &str>,
    ) -> Result<Option<String>, minijinja::Error> {
        match self.rendered(values) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why it fails whatever the entry, such as for a filter that does not exist, if so.
    ///
    /// It is tried with all of its attributes, none, each alone and each missing; a branch that
    /// none of these takes is not tested.
    #[must_use]
    fn fault(&self) -> Option<minijinja::Error> {
        let fails = |present: Vec<&String>| {
            let values: BTreeMap<&str, &str> = present
                .into_iter()
                .map(|name| (name.as_str(), "sample"))
                .collect();
            self.rendered(&values)
                .err()
                .filter(|error| is_for_good(error.kind()))
        };
        let over = &self.attributes;
        let missing = |one: &String| over.iter().filter(|name| *name != one).collect();
        fails(over.iter().collect())
            .or_else(|| fails(Vec::new()))
            .or_else(|| {
                over.iter()
                    .find_map(|one| fails(missing(one)).or_else(|| fails(vec![one])))
            })
    }

    fn rendered(&self, values: &BTreeMap<&str, &str>) -> Result<String, minijinja::Error> {
        let values = values.iter().map(|(name, value)| (*name, *value));
        let all = Value::from_pairs(values.clone());
        let named = values.map(|(name, value)| (name, Value::from(value)));
        let context = Value::from_pairs(named.chain([(ALL, all)]));
        self.environment.get_template(&self.name)?.render(context)
    }
}

/// The filters of templates, for the nearest one to an unknown name.
const FILTERS: [&str; 23] = [
    "abs",
    "batch",
    "bool",
    "capitalize",
    "default",
    "first",
    "float",
    "indent",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "split",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
];

/// What is wrong with a template, with the nearest filter where its name is unknown.
fn why(error: &minijinja::Error) -> String {
    let reason = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    let unknown = reason
        .strip_prefix("filter ")
        .and_then(|rest| rest.strip_suffix(" is unknown"));
    let hint = unknown.map(|name| did_you_mean(name, FILTERS));
    format!("{reason}{}", hint.unwrap_or_default())
}

/// The attributes that a template looks up as `ldap["NAME"]`.
///
/// # Errors
/// A name that is none, a lookup whose name is not written out, or an OID that is not written so.
fn lookups(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((code, after)) = next_code(rest) {
        rest = after;
        let mut parts = code.split(['"', '\'']);
        // Outside and inside of string literals, in turn.
        while let Some(outside) = parts.next() {
            if let Some(oid) = written_oid(outside) {
                return Err(format!("an OID is written as {ALL}[\"{oid}\"]"));
            }
            let literal = parts.next();
            let before = outside.trim_end().strip_suffix('[').map(str::trim_end);
            if before.is_none_or(|before| last_word(before) != ALL) {
                let is_used = outside
                    .split(|c| !is_word(c))
                    .any(|word| word.split('.').next() == Some(ALL));
                if is_used {
                    return Err(format!("{ALL} is used as {ALL}[\"NAME\"]"));
                }
                continue;
            }
            match literal {
                Some(name) if is_attribute(name) => names.push(name.to_owned()),
                Some(name) => {
                    return Err(format!("{name:?} is not the name of an LDAP attribute"));
                }
                None => return Err(format!("{ALL} is used as {ALL}[\"NAME\"]")),
            }
        }
    }
    Ok(names)
}

/// The next expression or statement of a template, and what follows it.
fn next_code(text: &str) -> Option<(&str, &str)> {
    let openings = [("{{", "}}"), ("{%", "%}")];
    let first = openings
        .iter()
        .filter_map(|(open, close)| Some((text.find(open)?, *close)))
        .min()?;
    let code = text.get(first.0 + 2..)?;
    let end = code.find(first.1).unwrap_or(code.len());
    Some((code.get(..end)?, code.get(end..)?))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.')
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c| !is_word(c)).next().unwrap_or_default()
}

/// An OID (RFC 4512 section 1.4) outside of a string literal, which a template would take for a
/// number.
fn written_oid(code: &str) -> Option<&str> {
    code.split(|c| !is_word(c)).find(|word| {
        let arcs: Vec<&str> = word.split('.').collect();
        let is_number = |arc: &&str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
        arcs.len() > 2 && arcs.iter().all(is_number)
    })
}

/// Whether a template failed because of its text, not because of the values.
fn is_for_good(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownMethod
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::TemplateNotFound
            | ErrorKind::OutOfFuel
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::{FILTERS, Source};

    #[test]
    fn names_that_are_no_variables_are_looked_up() {
        let source = Source::parse(
            "first_name",
            "{{ ldap['msDS-x'] }} {{ ldap [ \"2.5.4.42\" ] | default(uid) }}{% if \
             ldap[\"cn;lang-en\"] %}-{% endif %}",
        )
        .unwrap();
        assert_eq!(
            source.attributes(),
            ["2.5.4.42", "cn;lang-en", "msDS-x", "uid"]
        );
        let Source::Template(template) = source else {
            panic!("a template");
        };
        let values = BTreeMap::from([("msDS-x", "Lighting"), ("uid", "ada")]);
        assert_eq!(template.render(&values).unwrap().unwrap(), "Lighting ada");
        assert_eq!(
            template.render(&BTreeMap::from([("uid", "ada")])).unwrap(),
            None
        );
    }

    #[test]
    fn what_can_never_work_is_an_error() {
        let error = |text: &str| Source::parse("first_name", text).unwrap_err();
        for (text, words) in [
            (
                "{{ msDS-cloudExtensionAttribute1 }}",
                "ldap[\"extension-attribute\"]",
            ),
            ("{{ 2.5.4.42 }}", "an OID is written as ldap[\"2.5.4.42\"]"),
            ("{{ ldap[uid] }}", "ldap is used as ldap[\"NAME\"]"),
            ("{{ ldap.uid }}", "ldap is used as"),
            (
                "{{ ldap[\"a_b\"] }}",
                "\"a_b\" is not the name of an LDAP attribute",
            ),
        ] {
            assert!(error(text).contains(words), "{text}: {}", error(text));
        }
        for text in [
            "{{ uid }}-{{ sn }}",
            "{{ uid | int - 1 }}",
            "{{ sn ~ '-2.5.4.42' }}",
            "{{ uid[:-1] }}",
            "{{ 1.5 }}{{ uid }}",
            "ldap 2.5.4.42 {{ uid }}",
        ] {
            Source::parse("first_name", text).unwrap();
        }
    }

    #[test]
    fn the_known_filters_are_there() {
        for filter in FILTERS {
            let fault = Source::parse("username", &format!("{{{{ uid | {filter} }}}}")).err();
            let is_unknown = |fault: &String| fault.contains("is unknown");
            assert!(!fault.as_ref().is_some_and(is_unknown), "{fault:?}");
        }
    }

    #[test]
    fn a_template_that_no_entry_can_mend_is_found() {
        let broken = |template: &str| Source::parse("username", template).err();
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
            (
                "{{ uid | lowre }}",
                "filter lowre is unknown; did you mean \"lower\"?",
            ),
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
}
