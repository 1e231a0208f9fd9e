//! How the job writes the attributes that it maps: always or with a creation only, and which of
//! them a person must have. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{AttributeRule, Target, Write},
    model::edit::Attribute,
};

/// How the mapped attributes are written.
#[derive(Debug, Clone, Default)]
pub struct WriteRules {
    on_create: BTreeSet<Attribute>,
    required: BTreeSet<Attribute>,
    /// The LDAP attributes, in lower case, that each attribute comes from.
    sources: BTreeMap<Attribute, Vec<String>>,
}

/// Whether a user is being created, or exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Also one whose creation is not finished yet.
    Creation,
    /// It belongs to a person, or is adopted.
    Existing,
}

impl WriteRules {
    /// The rules of a mapping.
    pub fn new<'r>(mapping: impl IntoIterator<Item = &'r AttributeRule>) -> Self {
        let mut rules = Self::default();
        for rule in mapping {
            for attribute in attributes(&rule.target) {
                if rule.write == Write::OnCreate {
                    rules.on_create.insert(attribute.clone());
                }
                if rule.required {
                    rules.required.insert(attribute.clone());
                }
                let names = rule.from.attributes().iter();
                let names = names.map(|name| name.to_ascii_lowercase()).collect();
                rules.sources.insert(attribute, names);
            }
        }
        rules
    }

    /// Whether the attribute of a user is not compared at all at this stage.
    #[must_use]
    pub fn leaves(&self, attribute: &Attribute, stage: Stage) -> bool {
        stage == Stage::Existing && self.on_create.contains(attribute)
    }

    /// Whether a person without a value that ftrack takes is skipped.
    #[must_use]
    pub fn requires(&self, attribute: &Attribute) -> bool {
        self.required.contains(attribute)
    }

    /// The LDAP attributes, in lower case, that only these attributes come from.
    #[must_use]
    pub fn sources_of(&self, attributes: &[Attribute]) -> BTreeSet<&str> {
        let of = |is_wanted: bool| {
            let rules = self.sources.iter();
            let wanted =
                rules.filter(move |(attribute, _)| attributes.contains(attribute) == is_wanted);
            wanted.flat_map(|(_, names)| names.iter().map(String::as_str))
        };
        let others: BTreeSet<&str> = of(false).collect();
        of(true).filter(|name| !others.contains(name)).collect()
    }
}

fn attributes(target: &Target) -> Vec<Attribute> {
    match target {
        Target::Username => vec![Attribute::Username],
        Target::Email => vec![Attribute::Email],
        Target::FirstName => vec![Attribute::FirstName],
        Target::LastName => vec![Attribute::LastName],
        Target::FullName => vec![Attribute::FirstName, Attribute::LastName],
        Target::Thumbnail => vec![Attribute::Thumbnail],
        Target::Custom(key) => vec![Attribute::Custom(key.clone())],
    }
}
