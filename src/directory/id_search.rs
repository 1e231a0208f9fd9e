//! Which attributes may identify entries, and how an entry is searched for by its id.

use uuid::Uuid;

use super::filter;
use crate::model::{
    entry::DirectoryId,
    id::{IdAttribute, unhex},
    server_kind::ServerKind,
};

/// Ids per search.
pub(super) const GROUP: usize = 100;

impl IdAttribute {
    /// The attributes that may identify the entries of a kind of server, the best first. An
    /// attribute that every entry has comes first: one that only newer entries have (entryUUID in
    /// an upgraded 389-ds) would split people.
    #[must_use]
    pub fn candidates(kind: ServerKind) -> Vec<Self> {
        match kind {
            ServerKind::ActiveDirectory | ServerKind::Samba => vec![Self::ObjectGuid],
            ServerKind::Ds389 | ServerKind::FreeIpa => {
                vec![Self::NsUniqueId, Self::IpaUniqueId, Self::EntryUuid]
            }
            ServerKind::OpenLdap => vec![Self::EntryUuid],
            ServerKind::Generic => vec![
                Self::EntryUuid,
                Self::ObjectGuid,
                Self::NsUniqueId,
                Self::IpaUniqueId,
            ],
        }
    }

    /// A filter that finds the entry of an id; none when the id cannot be a value of this
    /// attribute.
    #[must_use]
    pub fn filter(&self, id: &DirectoryId) -> Option<String> {
        match self {
            Self::EntryUuid | Self::NsUniqueId | Self::IpaUniqueId => {
                Some(filter::equals(self.name(), id.as_str().as_bytes()))
            }
            Self::ObjectGuid => {
                let bytes = Uuid::try_parse(id.as_str()).ok()?.to_bytes_le();
                // Every byte is escaped: some would be special characters of a filter.
                let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                Some(format!("({}={escaped})", self.name()))
            }
            Self::Other(name) => {
                // Text that looks like hexadecimal digits may be either.
                let text = filter::equals(name, id.as_str().as_bytes());
                Some(unhex(id.as_str()).map_or_else(
                    || text.clone(),
                    |bytes| filter::any(&[text.clone(), filter::equals(name, &bytes)]),
                ))
            }
        }
    }
}
