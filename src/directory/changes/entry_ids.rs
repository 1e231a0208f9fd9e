//! What identifies the entries that are asked about.

use crate::model::{
    entry::{DirectoryId, Entry},
    id::{IdAttribute, hex},
    server_kind::ServerKind,
};

/// By what the entries are identified that are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum EntryIds<'a> {
    /// The people's id attribute.
    Attribute(&'a IdAttribute),
    /// Their DNs: it is only asked whether there are any.
    Dn,
    /// Nothing: none are named.
    None,
}

impl EntryIds<'_> {
    /// The attributes that show it.
    pub fn attributes(self) -> Vec<String> {
        match self {
            Self::Attribute(attribute) => vec![attribute.name().to_owned()],
            Self::Dn | Self::None => Vec::new(),
        }
    }

    /// What identifies an entry; none where it does not show it.
    pub fn of(self, entry: &Entry) -> Option<DirectoryId> {
        match self {
            Self::Attribute(attribute) => attribute.of(entry),
            Self::Dn => DirectoryId::new(&entry.dn),
            Self::None => None,
        }
    }

    /// The id of an entry that the server names by its UUID (RFC 4533 section 2.1.1).
    pub fn named(self, kind: ServerKind, uuid: &[u8; 16]) -> Option<DirectoryId> {
        match self {
            Self::Attribute(attribute) => named(kind, attribute, uuid),
            Self::Dn => DirectoryId::new(&hex(uuid)),
            Self::None => None,
        }
    }
}

/// The id of an entry that a server names by its UUID (RFC 4533 section 2.1.1), in terms of the id
/// attribute; none where these do not follow from each other.
fn named(kind: ServerKind, attribute: &IdAttribute, uuid: &[u8; 16]) -> Option<DirectoryId> {
    let digits = hex(uuid);
    match (attribute, kind) {
        // 389 names entries by the digits of their nsUniqueId, whatever else they have.
        // https://github.com/389ds/389-ds-base/blob/main/ldap/servers/plugins/sync/sync_util.c
        (IdAttribute::NsUniqueId, ServerKind::Ds389 | ServerKind::FreeIpa) => {
            let groups: Option<Vec<&str>> = [0..8, 8..16, 16..24, 24..32]
                .into_iter()
                .map(|part| digits.get(part))
                .collect();
            DirectoryId::new(&groups?.join("-"))
        }
        (IdAttribute::EntryUuid, ServerKind::OpenLdap | ServerKind::Generic) => {
            DirectoryId::new(&uuid::Uuid::from_bytes(*uuid).to_string())
        }
        (
            IdAttribute::EntryUuid
            | IdAttribute::ObjectGuid
            | IdAttribute::NsUniqueId
            | IdAttribute::IpaUniqueId
            | IdAttribute::Other(_),
            _,
        ) => None,
    }
}
