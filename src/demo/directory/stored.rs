//! One entry as the tree stores it: checked against the schema and normalised for comparison.

use std::ptr;

use uuid::Uuid;

use super::{
    name::Name,
    schema::{self, AttributeType, ObjectClass, Usage, ValueCount},
    tree::{SUBSCHEMA_DN, TreeEntry, TreeError},
};

/// An entry of the tree, or one in which the server describes itself.
#[derive(Clone)]
pub(super) struct Stored {
    /// Its position in the order of adding, which renames do not change.
    pub(super) number: u64,
    pub(super) uuid: Uuid,
    pub(super) dn: String,
    pub(super) name: Name,
    pub(super) attributes: Vec<StoredAttribute>,
}

/// One attribute; `prepared` holds each value in its comparable form, where it has one.
#[derive(Clone)]
pub(super) struct StoredAttribute {
    pub(super) kind: &'static AttributeType,
    pub(super) values: Vec<Vec<u8>>,
    pub(super) prepared: Vec<Option<Vec<u8>>>,
}

type Checked<T> = Result<T, TreeError>;

impl Stored {
    /// A new entry.
    pub(super) fn added(number: u64, uuid: Uuid, name: Name, entry: TreeEntry) -> Checked<Self> {
        let TreeEntry { dn, attributes } = entry;
        let mut stored = Self {
            number,
            uuid,
            dn,
            name,
            attributes: Vec::with_capacity(attributes.len() + 4),
        };
        for (attribute, values) in attributes {
            let kind = stored.writable(&attribute)?;
            stored.put(kind, values)?;
        }
        stored.add_naming_values()?;
        stored.check_classes()?;
        let now = now();
        stored.keep("entryUUID", &uuid.hyphenated().to_string());
        stored.keep("createTimestamp", &now);
        stored.keep("modifyTimestamp", &now);
        stored.keep("subschemaSubentry", SUBSCHEMA_DN);
        Ok(stored)
    }

    /// An entry of the server itself; attributes that the schema does not know are omitted.
    pub(super) fn of_server(dn: &str, attributes: Vec<(String, Vec<Vec<u8>>)>) -> Self {
        let name = Name::parse(dn).unwrap_or_default();
        let known = attributes
            .into_iter()
            .filter_map(|(attribute, values)| Some((schema::attribute_type(&attribute)?, values)));
        let attributes = known
            .map(|(kind, values)| StoredAttribute::new(kind, values))
            .collect();
        Self {
            number: 0,
            uuid: Uuid::nil(),
            dn: dn.to_owned(),
            name,
            attributes,
        }
    }

    /// The entry with other values of one attribute.
    pub(super) fn replaced(&self, attribute: &str, values: Vec<Vec<u8>>) -> Checked<Self> {
        let mut changed = self.clone();
        let kind = changed.writable(attribute)?;
        changed
            .attributes
            .retain(|stored| !ptr::eq(stored.kind, kind));
        if !values.is_empty() {
            changed.put(kind, values)?;
        }
        for naming in Name::naming_values(&changed.dn)? {
            if !changed.holds(naming.kind, naming.value.as_bytes()) {
                return Err(changed.refused(format!("{} is part of its name", naming.kind.name())));
            }
        }
        changed.check_classes()?;
        changed.keep("modifyTimestamp", &now());
        Ok(changed)
    }

    /// The entry under another name: the values of its old RDN are removed, those of the new one
    /// added.
    pub(super) fn renamed(&self, name: Name, dn: &str) -> Checked<Self> {
        let mut changed = self.clone();
        for naming in Name::naming_values(&self.dn)? {
            changed.drop_value(naming.kind, naming.value.as_bytes());
        }
        changed.name = name;
        dn.clone_into(&mut changed.dn);
        changed.add_naming_values()?;
        changed.check_classes()?;
        changed.keep("modifyTimestamp", &now());
        Ok(changed)
    }

    /// The entry at another place, because one above it was renamed.
    pub(super) fn moved(&self, name: Name, dn: String) -> Self {
        Self {
            name,
            dn,
            ..self.clone()
        }
    }

    /// Whether a password is one of the entry's; they are stored in plain text.
    pub(super) fn has_password(&self, password: &str) -> bool {
        let secrets = self
            .attributes
            .iter()
            .filter(|attribute| attribute.kind.is_secret());
        secrets
            .flat_map(|attribute| &attribute.values)
            .any(|value| value == password.as_bytes())
    }

    /// The entry with its user attributes.
    pub(super) fn to_entry(&self) -> TreeEntry {
        let user = self
            .attributes
            .iter()
            .filter(|attribute| attribute.kind.usage == Usage::User);
        let attributes = user
            .map(|attribute| (attribute.kind.name().to_owned(), attribute.values.clone()))
            .collect();
        TreeEntry {
            dn: self.dn.clone(),
            attributes,
        }
    }

    fn writable(&self, attribute: &str) -> Checked<&'static AttributeType> {
        let kind = schema::attribute_type(attribute)
            .ok_or_else(|| self.refused(format!("attribute {attribute} is not defined")))?;
        match kind.usage {
            Usage::User => Ok(kind),
            Usage::Operation | Usage::Server => {
                Err(self.refused(format!("{attribute} is maintained by the server")))
            }
        }
    }

    fn put(&mut self, kind: &'static AttributeType, values: Vec<Vec<u8>>) -> Checked<()> {
        let name = kind.name();
        if values.is_empty()
            || self
                .attributes
                .iter()
                .any(|stored| ptr::eq(stored.kind, kind))
        {
            return Err(self.refused(format!("{name} is given without values, or twice")));
        }
        if kind.count == ValueCount::Single && values.len() > 1 {
            return Err(self.refused(format!("{name} may have one value only")));
        }
        if !values.iter().all(|value| kind.accepts(value)) {
            return Err(self.refused(format!("a value of {name} has the wrong syntax")));
        }
        let attribute = StoredAttribute::new(kind, values);
        let mut prepared: Vec<&Vec<u8>> = attribute.prepared.iter().flatten().collect();
        prepared.sort_unstable();
        if prepared
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one == other))
        {
            return Err(self.refused(format!("{name} has the same value twice")));
        }
        self.attributes.push(attribute);
        Ok(())
    }

    fn add_naming_values(&mut self) -> Checked<()> {
        for naming in Name::naming_values(&self.dn)? {
            if self.holds(naming.kind, naming.value.as_bytes()) {
                continue;
            }
            let kind = self.writable(naming.kind.name())?;
            let at = self
                .attributes
                .iter()
                .position(|stored| ptr::eq(stored.kind, kind));
            let mut values = at
                .map(|at| self.attributes.remove(at).values)
                .unwrap_or_default();
            values.push(naming.value.into_bytes());
            self.put(kind, values)?;
        }
        Ok(())
    }

    fn holds(&self, kind: &AttributeType, value: &[u8]) -> bool {
        let wanted = kind.prepare(value);
        self.attributes
            .iter()
            .any(|stored| ptr::eq(stored.kind, kind) && stored.prepared.contains(&wanted))
    }

    fn drop_value(&mut self, kind: &AttributeType, value: &[u8]) {
        let dropped = kind.prepare(value);
        for stored in self
            .attributes
            .iter_mut()
            .filter(|stored| ptr::eq(stored.kind, kind))
        {
            let kept = stored
                .values
                .drain(..)
                .zip(stored.prepared.drain(..))
                .filter(|(_, prepared)| *prepared != dropped);
            (stored.values, stored.prepared) = kept.collect::<Vec<_>>().into_iter().unzip();
        }
        self.attributes.retain(|stored| !stored.values.is_empty());
    }

    /// Checks that every object class is known, that their required attributes are present, and
    /// that there are no others (RFC 4512 section 2.4).
    fn check_classes(&self) -> Checked<()> {
        let named = self
            .attributes
            .iter()
            .filter(|attribute| attribute.kind.name() == "objectClass")
            .flat_map(|attribute| &attribute.values);
        let mut classes: Vec<&'static ObjectClass> = Vec::new();
        for value in named {
            let class = std::str::from_utf8(value)
                .ok()
                .and_then(schema::object_class);
            classes.extend(
                class
                    .ok_or_else(|| self.refused("an object class is not defined".to_owned()))?
                    .lineage(),
            );
        }
        if classes.is_empty() {
            return Err(self.refused("it has no object class".to_owned()));
        }
        let has = |name: &str| {
            self.attributes
                .iter()
                .any(|attribute| attribute.kind.name() == name)
        };
        if let Some(missing) = classes
            .iter()
            .flat_map(|class| class.must)
            .find(|must| !has(must))
        {
            return Err(self.refused(format!("its object classes demand {missing}")));
        }
        let allowed = |name: &str| {
            classes
                .iter()
                .any(|class| class.must.contains(&name) || class.may.contains(&name))
        };
        let mut user = self
            .attributes
            .iter()
            .filter(|attribute| attribute.kind.usage == Usage::User);
        match user.find(|attribute| !allowed(attribute.kind.name())) {
            Some(other) => Err(self.refused(format!(
                "its object classes do not allow {}",
                other.kind.name()
            ))),
            None => Ok(()),
        }
    }

    fn keep(&mut self, attribute: &str, value: &str) {
        if let Some(kind) = schema::attribute_type(attribute) {
            self.attributes.retain(|stored| !ptr::eq(stored.kind, kind));
            self.attributes
                .push(StoredAttribute::new(kind, vec![value.as_bytes().to_vec()]));
        }
    }

    fn refused(&self, why: String) -> TreeError {
        TreeError::Schema {
            dn: self.dn.clone(),
            why,
        }
    }
}

impl StoredAttribute {
    fn new(kind: &'static AttributeType, values: Vec<Vec<u8>>) -> Self {
        let prepared = values.iter().map(|value| kind.prepare(value)).collect();
        Self {
            kind,
            values,
            prepared,
        }
    }
}

fn now() -> String {
    chrono::Utc::now().format("%Y%m%d%H%M%SZ").to_string()
}
