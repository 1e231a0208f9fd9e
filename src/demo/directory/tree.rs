//! The entries of the embedded directory: a tree that can be changed while it is served.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use uuid::Uuid;

use super::{
    name::{InvalidDn, Name, leading_rdns},
    schema,
    stored::Stored,
};

/// One entry with its user attributes.
#[derive(Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its DN (RFC 4514).
    pub dn: String,
    /// Attribute names with their values, byte for byte.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// Why a tree refused a change, which then has no effect.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum TreeError {
    /// The text is not a DN.
    #[error(transparent)]
    InvalidDn(#[from] InvalidDn),
    /// The DN lies outside the tree.
    #[error("{dn} is not below {suffix}")]
    Outside {
        dn: String,
        /// The naming context of the tree.
        suffix: String,
    },
    /// There is no such entry.
    #[error("there is no entry {0}")]
    NoSuchEntry(String),
    /// The entry above is missing.
    #[error("there is no entry above {0}")]
    NoParent(String),
    /// The DN is already in use.
    #[error("there is an entry {0} already")]
    AlreadyExists(String),
    /// There are entries below it, or it would be moved below itself.
    #[error("there are entries below {0}")]
    NotALeaf(String),
    /// The entry would violate the schema.
    #[error("{dn}: {why}")]
    Schema {
        dn: String,
        /// What does not fit.
        why: String,
    },
}

/// A shared handle to one tree of entries; clones are the same tree.
#[derive(Clone)]
pub struct Tree {
    suffix: Name,
    suffix_dn: Arc<str>,
    entries: Arc<RwLock<Entries>>,
}

/// Entries in the order in which they were added, and an index by name.
#[derive(Clone, Default)]
struct Entries {
    last: u64,
    by_number: BTreeMap<u64, Arc<Stored>>,
    by_name: BTreeMap<Name, u64>,
}

impl TreeEntry {
    /// An entry without attributes.
    #[must_use]
    pub fn new(dn: impl Into<String>) -> Self {
        Self {
            dn: dn.into(),
            attributes: Vec::new(),
        }
    }

    /// The entry with one more value of an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        match self
            .attributes
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, values)) => values.push(value),
            None => self.attributes.push((name.to_owned(), vec![value])),
        }
        self
    }

    /// The values of an attribute, whose name is compared without case; empty when there are none.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self
            .attributes
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values.as_slice())
    }
}

impl fmt::Debug for TreeEntry {
    /// Without the values, since a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .attributes
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("TreeEntry")
            .field("dn", &self.dn)
            .field("attributes", &names)
            .finish()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("suffix", &self.suffix_dn)
            .field("entries", &self.len())
            .finish()
    }
}

impl Tree {
    /// A tree without entries whose naming context is `suffix`; its first entry must be `suffix`
    /// itself.
    ///
    /// # Errors
    /// When `suffix` is no DN, or the root.
    pub fn new(suffix: &str) -> Result<Self, TreeError> {
        let name = Name::parse(suffix)?;
        if name.is_root() {
            return Err(TreeError::Outside {
                dn: String::new(),
                suffix: String::new(),
            });
        }
        Ok(Self {
            suffix: name,
            suffix_dn: suffix.into(),
            entries: Arc::default(),
        })
    }

    /// A copy of the tree with the same entries and ids, like a replica; later changes are not
    /// shared.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            suffix: self.suffix.clone(),
            suffix_dn: Arc::clone(&self.suffix_dn),
            entries: Arc::new(RwLock::new(self.read().clone())),
        }
    }

    /// Adds an entry and gives it its entryUUID (RFC 4530), which it keeps for ever.
    ///
    /// Values of its RDN that are missing among its attributes are added (RFC 4511 section 4.7).
    ///
    /// # Errors
    /// When the name is taken, no entry lies above it, or it does not fit the schema.
    pub fn add(&self, entry: TreeEntry) -> Result<Uuid, TreeError> {
        let name = self.inside(&entry.dn)?;
        let mut entries = self.write();
        entries.vacant(&name, &entry.dn, &self.suffix)?;
        let number = entries.last.saturating_add(1);
        let uuid = Uuid::new_v4();
        let stored = Stored::added(number, uuid, name.clone(), entry)?;
        entries.last = number;
        entries.by_name.insert(name, number);
        entries.by_number.insert(number, Arc::new(stored));
        Ok(uuid)
    }

    /// Replaces all values of one attribute; no values remove it (RFC 4511 section 4.6, `replace`).
    ///
    /// # Errors
    /// When there is no such entry, or it would no longer fit the schema.
    pub fn replace(&self, dn: &str, attribute: &str, values: &[&str]) -> Result<(), TreeError> {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        self.replace_bytes(dn, attribute, &values)
    }

    /// The same, with values that are not text.
    ///
    /// # Errors
    /// As [`Tree::replace`].
    pub fn replace_bytes(
        &self,
        dn: &str,
        attribute: &str,
        values: &[&[u8]],
    ) -> Result<(), TreeError> {
        let name = self.inside(dn)?;
        let mut entries = self.write();
        let old = entries
            .find(&name)
            .ok_or_else(|| TreeError::NoSuchEntry(dn.to_owned()))?;
        let values = values.iter().map(|value| value.to_vec()).collect();
        let changed = old.replaced(attribute, values)?;
        entries.by_number.insert(old.number, Arc::new(changed));
        Ok(())
    }

    /// Renames or moves an entry with everything below it; its old RDN values go, the new ones come
    /// (RFC 4511 section 4.9).
    ///
    /// # Errors
    /// When there is no such entry, the new name is taken or has nothing above it, or the entry
    /// would no longer fit the schema.
    pub fn rename(&self, dn: &str, new_dn: &str) -> Result<(), TreeError> {
        let (from, to) = (self.inside(dn)?, self.inside(new_dn)?);
        let mut entries = self.write();
        let old = entries
            .find(&from)
            .ok_or_else(|| TreeError::NoSuchEntry(dn.to_owned()))?;
        if from == self.suffix || to.depth_below(&from).is_some_and(|depth| depth > 0) {
            return Err(TreeError::NotALeaf(dn.to_owned()));
        }
        if from != to {
            entries.vacant(&to, new_dn, &self.suffix)?;
        }
        let renamed = old.renamed(to.clone(), new_dn)?;
        let below: Vec<(Name, u64)> = entries
            .below(&from)
            .map(|(name, number)| (name.clone(), *number))
            .collect();
        for (name, number) in below {
            entries.by_name.remove(&name);
            let moved = name.moved(&from, &to);
            entries.by_name.insert(moved.clone(), number);
            let Some(stored) = entries.by_number.get(&number).cloned() else {
                continue;
            };
            let depth = name.depth_below(&from).unwrap_or_default();
            let stored = match depth {
                0 => renamed.clone(),
                depth => stored.moved(
                    moved,
                    format!("{},{new_dn}", leading_rdns(&stored.dn, depth)),
                ),
            };
            entries.by_number.insert(number, Arc::new(stored));
        }
        Ok(())
    }

    /// Removes an entry that has none below it.
    ///
    /// # Errors
    /// When there is no such entry, or entries lie below it.
    pub fn remove(&self, dn: &str) -> Result<(), TreeError> {
        let name = self.inside(dn)?;
        let mut entries = self.write();
        if entries.below(&name).nth(1).is_some() {
            return Err(TreeError::NotALeaf(dn.to_owned()));
        }
        let number = entries
            .by_name
            .remove(&name)
            .ok_or_else(|| TreeError::NoSuchEntry(dn.to_owned()))?;
        entries.by_number.remove(&number);
        Ok(())
    }

    /// The entry of a DN with its user attributes, its password included; `None` when there is
    /// none.
    #[must_use]
    pub fn find(&self, dn: &str) -> Option<TreeEntry> {
        self.read()
            .find(&Name::parse(dn).ok()?)
            .map(|stored| stored.to_entry())
    }

    /// The entryUUID of an entry; `None` when there is none.
    #[must_use]
    pub fn entry_uuid(&self, dn: &str) -> Option<Uuid> {
        self.read()
            .find(&Name::parse(dn).ok()?)
            .map(|stored| stored.uuid)
    }

    /// How many entries there are, of any kind.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().by_number.len()
    }

    /// Whether there is no entry at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The DN of the naming context as it was given.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.suffix_dn
    }

    /// The entry of a name.
    pub(super) fn at(&self, name: &Name) -> Option<Arc<Stored>> {
        self.read().find(name)
    }

    /// The DN of the nearest entry above a name that is missing; empty when there is none (RFC 4511
    /// section 4.1.9, `matchedDN`).
    pub(super) fn nearest_above(&self, name: &Name) -> String {
        let entries = self.read();
        let above =
            std::iter::successors(name.parent(), Name::parent).find_map(|name| entries.find(&name));
        above.map(|stored| stored.dn.clone()).unwrap_or_default()
    }

    /// At most `count` entries that were added after number `after`, in that order, so that changes
    /// between two calls skip none.
    pub(super) fn after(&self, after: u64, count: usize) -> Vec<Arc<Stored>> {
        let entries = self.read();
        entries
            .by_number
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take(count)
            .map(|(_, stored)| Arc::clone(stored))
            .collect()
    }

    fn inside(&self, dn: &str) -> Result<Name, TreeError> {
        let name = Name::parse(dn)?;
        match name.depth_below(&self.suffix) {
            Some(_) => Ok(name),
            None => Err(TreeError::Outside {
                dn: dn.to_owned(),
                suffix: self.suffix_dn.to_string(),
            }),
        }
    }

    /// A lock is poisoned only by a panic between two complete changes, so its content is
    /// consistent.
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn find(&self, name: &Name) -> Option<Arc<Stored>> {
        self.by_name
            .get(name)
            .and_then(|number| self.by_number.get(number))
            .cloned()
    }

    /// A name and all names below it.
    fn below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = (&'a Name, &'a u64)> {
        self.by_name
            .range(name..)
            .take_while(move |(other, _)| other.depth_below(name).is_some())
    }

    /// Checks that an entry may be put at a name.
    fn vacant(&self, name: &Name, dn: &str, suffix: &Name) -> Result<(), TreeError> {
        if self.by_name.contains_key(name) {
            return Err(TreeError::AlreadyExists(dn.to_owned()));
        }
        let has_parent = name == suffix
            || name
                .parent()
                .is_some_and(|parent| self.by_name.contains_key(&parent));
        if has_parent {
            Ok(())
        } else {
            Err(TreeError::NoParent(dn.to_owned()))
        }
    }
}

/// The subschema entry (RFC 4512 section 4.2), which is not part of any tree.
pub(super) const SUBSCHEMA_DN: &str = "cn=Subschema";

/// The published schema as an entry.
pub(super) fn subschema() -> Stored {
    let one = |name: &str, value: &str| (name.to_owned(), vec![value.as_bytes().to_vec()]);
    let many = |name: &str, values: Vec<String>| {
        (
            name.to_owned(),
            values.into_iter().map(String::into_bytes).collect(),
        )
    };
    let attributes = vec![
        (
            "objectClass".to_owned(),
            vec![b"top".to_vec(), b"subschema".to_vec()],
        ),
        one("cn", "Subschema"),
        many("attributeTypes", schema::attribute_type_descriptions()),
        many("objectClasses", schema::object_class_descriptions()),
    ];
    Stored::of_server(SUBSCHEMA_DN, attributes)
}
