//! Entries, their values, and the permanent id. No I/O.

use std::{
    cmp::Ordering,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use smallvec::SmallVec;

/// The values of an attribute, byte for byte; most attributes have one.
pub type Values = SmallVec<[Vec<u8>; 1]>;
/// Attribute descriptions, which entries share, with their values.
pub type Attributes = Vec<(Arc<str>, Values)>;

/// One entry as the server returned it, with the requested attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's DN as the server wrote it (RFC 4514); not an identity, since renames change it.
    pub dn: String,
    /// As the server wrote them.
    attributes: Attributes,
    is_too_large: bool,
}

/// The longest id, in characters.
const LONGEST_ID: usize = 1024;

/// What is kept of the entries of a reading, which has a budget of memory.
pub trait Kept {
    /// The memory that it takes, in bytes.
    fn size(&self) -> usize;
}

impl Kept for () {
    fn size(&self) -> usize {
        0
    }
}

impl Kept for String {
    fn size(&self) -> usize {
        size_of::<Self>() + of_bytes(self.len())
    }
}

impl Kept for Entry {
    fn size(&self) -> usize {
        let value = |value: &Vec<u8>| size_of::<Vec<u8>>() + of_bytes(value.len());
        let attribute = |(name, values): &(Arc<str>, Values)| {
            let values: usize = values.iter().map(value).sum();
            size_of::<(Arc<str>, Values)>() + of_bytes(name.len()) + values
        };
        let attributes: usize = self.attributes.iter().map(attribute).sum();
        size_of::<Self>() + of_bytes(self.dn.len()) + attributes
    }
}

/// Whether a DN is that of an entry that a replication renamed, since another one had its name
/// (MS-ADTS section 3.1.1.1.6): `cn=ada\0ACNF:` with an id.
#[must_use]
pub fn is_conflict(dn: &str) -> bool {
    const MARK: &[u8] = b"\\0ACNF:";
    let mut parts = dn.as_bytes().windows(MARK.len());
    parts.any(|part| part.eq_ignore_ascii_case(MARK))
}

/// The memory that so many bytes take on the heap, with the allocator's own share.
#[must_use]
pub fn of_bytes(bytes: usize) -> usize {
    bytes + 16
}

impl Entry {
    /// An entry with this DN and these attributes.
    #[must_use]
    pub fn new(dn: String, attributes: Attributes) -> Self {
        Self {
            dn,
            attributes,
            is_too_large: false,
        }
    }

    /// An entry with this DN and these attributes.
    #[cfg(test)]
    pub(crate) fn showing<N: Into<Arc<str>>>(
        dn: &str,
        attributes: impl IntoIterator<Item = (N, Vec<Vec<u8>>)>,
    ) -> Self {
        let attributes = attributes.into_iter();
        let attributes = attributes.map(|(name, values)| (name.into(), values.into()));
        Self::new(dn.to_owned(), attributes.collect())
    }

    /// The same entry of which everything else was too large to be read.
    #[must_use]
    pub fn too_large(self) -> Self {
        Self {
            is_too_large: true,
            ..self
        }
    }

    /// Whether it was too large to be read: only its DN is known, and its id if that could be read.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
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

    /// The attributes with their values, as the server wrote them.
    pub(crate) fn attributes(&self) -> &Attributes {
        &self.attributes
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
            .find(|(description, _)| {
                // Mostly they are written as they were asked for, which is compared at once.
                description.len() == name.len()
                    && (**description == *name || description.eq_ignore_ascii_case(name))
            })
            .map_or(&[], |(_, values)| values.as_slice())
    }
}

/// Identifies a person permanently: the canonical text of entryUUID, objectGUID, nsUniqueId,
/// ipaUniqueID or a configured attribute.
///
/// There are as many as people, and most are as long as a UUID: those take no memory of their own.
#[derive(Clone)]
pub struct DirectoryId(Id);

#[derive(Clone)]
enum Id {
    /// The text, and its length.
    Short([u8; SHORT], u8),
    Long(Box<str>),
}

/// The bytes of the longest id that takes no memory of its own.
const SHORT: usize = 38;

impl DirectoryId {
    /// Takes an id in its canonical form; `None` when it is empty, longer than 1024 characters, or
    /// contains anything but printable ASCII without spaces.
    #[must_use]
    pub fn new(canonical: &str) -> Option<Self> {
        let printable = (1..=LONGEST_ID).contains(&canonical.len())
            && canonical.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable {
            return None;
        }
        let mut text = [0; SHORT];
        let short = text.get_mut(..canonical.len());
        Some(Self(match (short, u8::try_from(canonical.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(canonical.as_bytes());
                Id::Short(text, length)
            }
            (_, _) => Id::Long(canonical.into()),
        }))
    }

    /// How it begins: of two ids, the lesser one has the lesser beginning, or the same.
    #[must_use]
    pub fn beginning(&self) -> u128 {
        let mut first = [0; 16];
        first
            .iter_mut()
            .zip(self.bytes())
            .for_each(|(place, byte)| *place = *byte);
        u128::from_be_bytes(first)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It is ASCII.
            Id::Short(..) => std::str::from_utf8(self.bytes()).unwrap_or_default(),
            Id::Long(text) => text,
        }
    }

    /// The memory that it takes on the heap, in bytes, with the allocator's own share.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.0 {
            Id::Short(..) => 0,
            Id::Long(text) => of_bytes(text.len()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Id::Short(text, length) => text.get(..usize::from(*length)).unwrap_or_default(),
            Id::Long(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for DirectoryId {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for DirectoryId {}

impl PartialOrd for DirectoryId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DirectoryId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for DirectoryId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirectoryId({:?})", self.as_str())
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_as_servers_make_them_take_no_memory_of_their_own() {
        for id in [
            "0dd4c83b-aaf2-5307-8500-b980c74b8fed",
            "0dd4c83b-aaf25307-8500b980-c74b8fed",
        ] {
            assert_eq!(DirectoryId::new(id).unwrap().heap_size(), 0);
        }
        assert!(size_of::<Option<DirectoryId>>() <= 40);
    }

    proptest! {
        #[test]
        fn an_id_is_its_text(one in "[!-~]{1,48}", other in "[!-~]{30,48}") {
            let (id, another) = (DirectoryId::new(&one).unwrap(), DirectoryId::new(&other).unwrap());
            prop_assert_eq!(id.as_str(), &*one);
            prop_assert_eq!(id.cmp(&another), one.cmp(&other));
            prop_assert_eq!(id == another, one == other);
            prop_assert_eq!(id.heap_size() == 0, one.len() <= SHORT);
        }
    }
}
