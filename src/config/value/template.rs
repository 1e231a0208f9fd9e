//! Where the value of an ftrack attribute comes from: an LDAP attribute, or a template.

use std::{collections::BTreeMap, fmt, sync::Arc};

use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::is_attribute;
use crate::config::finding::did_you_mean;

/// The maximum number of instructions per template.
const FUEL: u64 = 10_000;

/// The source of an ftrack attribute's value.
#[derive(Debug, Clone)]
pub enum Source {
    /// The first value of the LDAP attribute of this name.
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
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        let attributes = environment
            .add_template_owned(name.to_owned(), text.to_owned())
            .and_then(|()| environment.get_template(name))
            .map(|template| template.undeclared_variables(false))
            .map_err(|error| format!("{text:?} is not a template: {}", why(&error)))?;
        let mut attributes: Vec<String> = attributes.into_iter().collect();
        attributes.sort();
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            attributes,
            environment: Arc::new(environment),
        })
    }

    /// The ftrack attribute that it fills.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renders it with the first values of its attributes; `None` when it needs one that is absent.
    ///
    /// # Errors
    /// It fails otherwise.
    pub fn render(
        &self,
        values: &BTreeMap<&str, String>,
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
            let values: BTreeMap<&str, String> = present
                .into_iter()
                .map(|name| (name.as_str(), "sample".to_owned()))
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

    fn rendered(&self, values: &BTreeMap<&str, String>) -> Result<String, minijinja::Error> {
        self.environment.get_template(&self.name)?.render(values)
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
    use super::{FILTERS, Source};

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
