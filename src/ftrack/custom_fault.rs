//! Why a mapped custom attribute cannot be written, in words. No I/O.

/// Why a mapped custom attribute cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomAttributeFault {
    /// There is none with this key, as far as the key of the program may read.
    Unknown(String),
    /// There is one, but of other entities than users.
    OfOthers {
        /// The key.
        key: String,
        /// The names of the entities.
        entities: String,
    },
    /// Its values are of a type that this program does not write.
    Type {
        /// The key.
        key: String,
        /// The name of the type.
        name: String,
    },
}

impl CustomAttributeFault {
    /// What is wrong, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Unknown(key) => {
                format!("ftrack has no custom attribute {key:?} for users readable with this key")
            }
            Self::OfOthers { key, entities } => format!(
                "the custom attribute {key:?} is one of {entities} in ftrack, and not of users"
            ),
            Self::Type { key, name } => format!(
                "the custom attribute {key:?} is of the type {name:?}, whose values this program \
                 does not write"
            ),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::Unknown(_) => {
                "create it under Settings > Custom attributes, and give the key's role read and \
                 write access to it"
            }
            Self::OfOthers { .. } => {
                "create one for users under Settings > Custom attributes, or take it out of the \
                 job's attributes"
            }
            Self::Type { .. } => {
                "map one of the types text, url, number, boolean, date, enumerator or dynamic \
                 enumerator, or take it out of the job's attributes"
            }
        }
    }
}
