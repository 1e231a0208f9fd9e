//! Entries, their values, and the permanent id. No I/O.

use std::{collections::HashMap, fmt};

/// Attribute descriptions with their values, byte for byte.
pub type Attributes = Vec<(String, Vec<Vec<u8>>)>;

/// One entry as the server returned it, with the requested attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's DN as the server wrote it (RFC 4514); not an identity, since renames change it.
    pub dn: String,
    /// As the server wrote them.
    attributes: Attributes,
}

impl Entry {
    /// An entry with this DN and these attributes.
    #[must_use]
    pub fn new(dn: String, attributes: Attributes) -> Self {
        Self { dn, attributes }
    }

    /// The entry with the parts of each attribute as one, should the server have sent several.
    #[must_use]
    pub(crate) fn merged(self) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut attributes = Attributes::new();
        for (description, mut values) in self.attributes {
            let place = *places
                .entry(description.to_ascii_lowercase())
                .or_insert(attributes.len());
            match attributes.get_mut(place) {
                Some((_, all)) => all.append(&mut values),
                None => attributes.push((description, values)),
            }
        }
        Self { attributes, ..self }
    }

    /// The DN, and the attributes with their values.
    pub(crate) fn into_parts(self) -> (String, Attributes) {
        (self.dn, self.attributes)
    }

    /// The attributes with their values, to add values that the server returned in parts.
    pub(crate) fn attributes_mut(&mut self) -> &mut Attributes {
        &mut self.attributes
    }

    /// The values of an attribute, whose name is compared without case (RFC 4512 section 2.5);
    /// empty when there are none.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes
            .iter()
            .find(|(description, _)| description.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values.as_slice())
    }
}

/// Identifies a person permanently: the canonical text of entryUUID, objectGUID, nsUniqueId,
/// ipaUniqueID or a configured attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(Box<str>);

impl DirectoryId {
    /// Takes an id in its canonical form; `None` when it is empty or contains anything but
    /// printable ASCII without spaces.
    #[must_use]
    pub fn new(canonical: &str) -> Option<Self> {
        let printable =
            !canonical.is_empty() && canonical.bytes().all(|byte| byte.is_ascii_graphic());
        printable.then(|| Self(canonical.into()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
