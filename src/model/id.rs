//! Which attribute identifies an entry permanently, and how its value is written. No I/O.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::entry::{DirectoryId, Entry};

/// An attribute whose value stays with an entry through renames and moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum IdAttribute {
    /// RFC 4530; text.
    EntryUuid,
    /// Active Directory; 16 bytes, the first three groups of the GUID little-endian (MS-DTYP
    /// section 2.3.4.2).
    ObjectGuid,
    /// 389 Directory Server and its relatives; text.
    NsUniqueId,
    /// FreeIPA; text.
    IpaUniqueId,
    /// An attribute that the operator configured; its case matters.
    Other(String),
}

impl From<String> for IdAttribute {
    fn from(name: String) -> Self {
        Self::named(&name)
    }
}

impl From<IdAttribute> for String {
    fn from(attribute: IdAttribute) -> Self {
        attribute.name().to_owned()
    }
}

impl IdAttribute {
    /// The attribute with this name, ignoring case.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = [
            Self::EntryUuid,
            Self::ObjectGuid,
            Self::NsUniqueId,
            Self::IpaUniqueId,
        ];
        known
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.into()))
    }

    /// The name to request.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::EntryUuid => "entryUUID",
            Self::ObjectGuid => "objectGUID",
            Self::NsUniqueId => "nsUniqueId",
            Self::IpaUniqueId => "ipaUniqueID",
            Self::Other(name) => name,
        }
    }

    /// The id of an entry in its canonical form; none when the entry has no value, several, or an
    /// invalid one.
    #[must_use]
    pub fn of(&self, entry: &Entry) -> Option<DirectoryId> {
        self.read(entry).ok().flatten()
    }

    /// The id of an entry in its canonical form; none when the entry has no value, or an invalid
    /// one. Values that mean the same are one.
    ///
    /// # Errors
    /// The number of values, where there are several.
    pub fn read(&self, entry: &Entry) -> Result<Option<DirectoryId>, usize> {
        match entry.values(self.name()) {
            [] => Ok(None),
            [value] => Ok(self.canonical(value)),
            values => {
                let ids: BTreeSet<Result<DirectoryId, &Vec<u8>>> = values
                    .iter()
                    .map(|value| self.canonical(value).ok_or(value))
                    .collect();
                match (ids.len(), ids.into_iter().next()) {
                    (1, id) => Ok(id.and_then(Result::ok)),
                    (several, _) => Err(several),
                }
            }
        }
    }

    /// A value in its canonical form; none when it is invalid.
    fn canonical(&self, value: &[u8]) -> Option<DirectoryId> {
        match self {
            Self::EntryUuid | Self::NsUniqueId | Self::IpaUniqueId => {
                DirectoryId::new(&std::str::from_utf8(value).ok()?.to_ascii_lowercase())
            }
            Self::ObjectGuid => {
                DirectoryId::new(&Uuid::from_bytes_le(value.try_into().ok()?).to_string())
            }
            Self::Other(_) => std::str::from_utf8(value)
                .ok()
                .and_then(DirectoryId::new)
                .or_else(|| DirectoryId::new(&hex(value))),
        }
    }

    /// Every id that an entry may mean: of each value its canonical form, its text, and the text of
    /// its bytes.
    #[must_use]
    pub fn spellings(&self, entry: &Entry) -> Vec<String> {
        let of_value = |value: &Vec<u8>| {
            [
                self.canonical(value).map(|id| id.as_str().to_owned()),
                std::str::from_utf8(value).ok().map(str::to_owned),
                Some(hex(value)),
            ]
        };
        entry
            .values(self.name())
            .iter()
            .flat_map(of_value)
            .flatten()
            .collect()
    }

    /// Whether its values identify a person everywhere, and not only in one directory: they are
    /// unique by construction.
    #[must_use]
    pub fn is_universal(&self) -> bool {
        match self {
            Self::EntryUuid | Self::ObjectGuid | Self::NsUniqueId | Self::IpaUniqueId => true,
            Self::Other(_) => false,
        }
    }
}

impl fmt::Display for IdAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(
        pairs
            .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
            .collect(),
    )
}

/// Bytes as hexadecimal digits, in what is saved.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{hex, unhex};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(bytes))
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        unhex(&text).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn entry(name: &str, value: &[u8]) -> Entry {
        Entry::showing("cn=x", [(name, vec![value.to_vec()])])
    }

    #[test]
    fn an_object_guid_is_read_and_sought_mixed_endian() {
        let bytes = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0x2a,
        ];
        let id = IdAttribute::ObjectGuid
            .of(&entry("objectguid", &bytes))
            .unwrap();
        assert_eq!(id.as_str(), "00112233-4455-6677-8899-aabbccddee2a");
        let filter = IdAttribute::ObjectGuid.filter(&id).unwrap();
        assert_eq!(
            filter,
            r"(objectGUID=\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\2a)"
        );
        assert!(
            IdAttribute::ObjectGuid
                .of(&entry("objectGUID", &bytes[1..]))
                .is_none(),
            "15 bytes are no GUID"
        );
    }

    #[test]
    fn text_ids_are_lower_case() {
        let id = IdAttribute::named("ENTRYUUID")
            .of(&entry("entryUUID", b"0A1B2C3D-0000-0000-0000-00000000000F"))
            .unwrap();
        assert_eq!(id.as_str(), "0a1b2c3d-0000-0000-0000-00000000000f");
    }

    #[test]
    fn other_ids_are_text_or_hexadecimal() {
        let badge = IdAttribute::named("badge");
        assert_eq!(badge.of(&entry("badge", b"Ab-7")).unwrap().as_str(), "Ab-7");
        let binary = badge.of(&entry("badge", &[0, 0xff])).unwrap();
        assert_eq!(binary.as_str(), "00ff");
        assert_eq!(
            badge.filter(&binary).unwrap(),
            r"(|(badge=00ff)(badge=\00\ff))"
        );
    }

    #[test]
    fn several_values_identify_nobody() {
        let values = vec![b"1".to_vec(), b"2".to_vec()];
        let twice = Entry::showing("cn=x", [("badge", values)]);
        let badge = IdAttribute::named("badge");
        assert_eq!(badge.read(&twice), Err(2));
        assert!(badge.of(&twice).is_none());
        // One value in two spellings, as servers may send it twice.
        let uuid = "0a1b2c3d-0000-0000-0000-00000000000f";
        let values = [uuid, &uuid.to_uppercase()].map(|value| value.as_bytes().to_vec());
        let twice = Entry::showing("cn=x", [("entryUUID", values.to_vec())]);
        let id = IdAttribute::EntryUuid.of(&twice).unwrap();
        assert_eq!(id.as_str(), uuid);
    }
}
