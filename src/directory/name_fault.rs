//! What is wrong with the name of an attribute that no entry shows.

use std::fmt;

/// A name that was asked for, and that no entry showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFault {
    /// The schema does not have it.
    NotInSchema {
        /// As it was asked for.
        name: String,
        /// A similar name of the schema.
        near: Option<String>,
    },
    /// The schema is not known, and the server answered with attributes for which nobody asked, of
    /// which one may be meant.
    OtherNames {
        /// As it was asked for.
        name: String,
        /// Some of those attributes.
        others: Vec<String>,
    },
    /// The schema is not known, so that it cannot be told whether it has the name.
    NotKnown {
        /// As it was asked for.
        name: String,
    },
}

impl NameFault {
    /// As it was asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::NotInSchema { name, .. }
            | Self::OtherNames { name, .. }
            | Self::NotKnown { name } => name,
        }
    }

    /// What is wrong with several names, those without a schema together.
    #[must_use]
    pub fn all(faults: &[Self]) -> String {
        let (mut unknown, mut among, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for fault in faults {
            match fault {
                Self::OtherNames { name, others } => {
                    unknown.push(name.clone());
                    among.clone_from(others);
                }
                Self::NotInSchema { .. } | Self::NotKnown { .. } => words.push(fault.to_string()),
            }
        }
        if !unknown.is_empty() {
            let together = Self::OtherNames {
                name: unknown.join(", "),
                others: among,
            };
            words.push(together.to_string());
        }
        words.join("; ")
    }

    /// Whether a value can certainly not be found under that name.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NotInSchema { .. } | Self::OtherNames { .. } => true,
            Self::NotKnown { .. } => false,
        }
    }
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInSchema { name, near } => {
                write!(
                    f,
                    "the directory's schema has no attribute {name}, and no entry shows it"
                )?;
                match near {
                    Some(near) => write!(f, " (did you mean {near}?)"),
                    None => Ok(()),
                }
            }
            Self::OtherNames { name, others } => write!(
                f,
                "no entry shows {name}, the directory shows no schema, and it answered with {} \
                 instead, for which nobody asked",
                others.join(", ")
            ),
            Self::NotKnown { name } => write!(
                f,
                "no entry shows {name}, and the directory shows no schema, so it is not known \
                 whether that is the name of an attribute"
            ),
        }
    }
}
