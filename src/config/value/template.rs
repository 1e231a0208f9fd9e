//! Where the value of an ftrack attribute comes from: an LDAP attribute, or a template.

use std::{collections::BTreeMap, fmt, sync::Arc};

use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::is_attribute;

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
            Template::parse(target, text).map(Self::Template)
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
            .map_err(|error| {
                let reason = error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned);
                format!("{text:?} is not a template: {reason}")
            })?;
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
    pub fn fault(&self) -> Option<minijinja::Error> {
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
