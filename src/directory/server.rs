//! What a server is and supports: its root DSE (RFC 4512 section 5.1) and the attributes of its
//! schema (section 4.2).

use std::collections::BTreeSet;

use super::{connection::Connection, error::DirectoryError, lookup::look};
use crate::model::entry::Entry;

/// The capability of an Active Directory (MS-ADTS section 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// The kinds of servers that are distinguished, since each identifies entries in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// Active Directory, also Samba's.
    ActiveDirectory,
    /// 389 Directory Server and its relatives, also FreeIPA.
    Ds389,
    /// OpenLDAP's slapd.
    OpenLdap,
    /// Anything else.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDse {
    /// The kind of server.
    pub kind: ServerKind,
    /// The vendor and version, if shown (RFC 3045).
    pub vendor: Option<String>,
    pub naming_contexts: Vec<String>,
    /// The supported controls, by OID.
    pub supported_controls: Vec<String>,
    /// The SASL mechanisms offered on this connection.
    pub sasl_mechanisms: Vec<String>,
    /// The DN of the schema.
    pub schema: Option<String>,
}

impl RootDse {
    /// Reads the root DSE; a server that shows none is of the kind `Other` without capabilities.
    ///
    /// # Errors
    /// Everything but an answer; a refusal by access rights counts as an empty one.
    pub async fn read(connection: &mut Connection) -> Result<Self, DirectoryError> {
        let wanted = [
            "objectClass",
            "vendorName",
            "vendorVersion",
            "namingContexts",
            "supportedControl",
            "supportedCapabilities",
            "supportedSASLMechanisms",
            "subschemaSubentry",
        ];
        match look(connection, "", "(objectClass=*)", &wanted).await {
            Ok(entry) => Ok(Self::of(
                &entry.unwrap_or_else(|| Entry::new(String::new(), Vec::new())),
            )),
            Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Refused { code: 50, .. }) => {
                Ok(Self::of(&Entry::new(String::new(), Vec::new())))
            }
            Err(error) => Err(error),
        }
    }

    fn of(entry: &Entry) -> Self {
        let texts = |name: &str| -> Vec<String> {
            entry
                .values(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect()
        };
        let vendor = [texts("vendorName"), texts("vendorVersion")]
            .concat()
            .join(" ");
        let is_openldap = texts("objectClass")
            .iter()
            .any(|class| class.eq_ignore_ascii_case("OpenLDAProotDSE"));
        let has_389_vendor = ["389 project", "fedora", "red hat"]
            .iter()
            .any(|name| vendor.to_ascii_lowercase().contains(name));
        let kind = if texts("supportedCapabilities")
            .iter()
            .any(|oid| oid == ACTIVE_DIRECTORY)
        {
            ServerKind::ActiveDirectory
        } else if is_openldap {
            ServerKind::OpenLdap
        } else if has_389_vendor {
            ServerKind::Ds389
        } else {
            ServerKind::Other
        };
        let vendor = match (vendor.is_empty(), kind) {
            (false, _) => Some(vendor),
            (true, ServerKind::OpenLdap) => Some("OpenLDAP".into()),
            (true, ServerKind::ActiveDirectory) => Some("Active Directory".into()),
            (true, ServerKind::Ds389 | ServerKind::Other) => None,
        };
        Self {
            kind,
            vendor,
            naming_contexts: texts("namingContexts"),
            supported_controls: texts("supportedControl"),
            sasl_mechanisms: texts("supportedSASLMechanisms"),
            schema: texts("subschemaSubentry").into_iter().next(),
        }
    }
}

/// The attributes of a server's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Names and OIDs in lower case.
    names: BTreeSet<String>,
}

impl Schema {
    /// Reads the schema that the root DSE points to; none when it points nowhere or shows nothing
    /// there.
    ///
    /// # Errors
    /// Everything but an answer.
    pub async fn read(
        connection: &mut Connection,
        root: &RootDse,
    ) -> Result<Option<Self>, DirectoryError> {
        let Some(place) = &root.schema else {
            return Ok(None);
        };
        let entry = match look(
            connection,
            place,
            "(objectClass=subschema)",
            &["attributeTypes"],
        )
        .await
        {
            Ok(entry) => entry,
            Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Refused { code: 50, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let names: BTreeSet<String> = entry
            .iter()
            .flat_map(|entry| entry.values("attributeTypes"))
            .flat_map(|value| names(&String::from_utf8_lossy(value)))
            .collect();
        Ok((!names.is_empty()).then_some(Self { names }))
    }

    /// Whether the schema has an attribute, ignoring the case of its name and any options.
    #[must_use]
    pub fn knows(&self, attribute: &str) -> bool {
        let plain = attribute.split(';').next().unwrap_or_default();
        self.names.contains(&plain.to_ascii_lowercase())
    }

    /// The names, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

/// The OID and the names in an attribute type description (RFC 4512 section 4.1.2), in lower case.
fn names(description: &str) -> Vec<String> {
    let mut words = description
        .trim_start_matches(['(', ' '])
        .split_whitespace();
    let mut names: Vec<String> = words
        .next()
        .into_iter()
        .map(str::to_ascii_lowercase)
        .collect();
    if words.next() == Some("NAME") {
        let rest = description
            .split_once("NAME")
            .map_or("", |(_, rest)| rest)
            .trim_start();
        // One quoted name, or several in parentheses.
        let quoted = if rest.starts_with('(') {
            rest.split(')').next().unwrap_or_default()
        } else {
            rest
        };
        let mut parts = quoted.split('\'').skip(1).step_by(2);
        if rest.starts_with('(') {
            names.extend(parts.map(str::to_ascii_lowercase));
        } else {
            names.extend(parts.next().map(str::to_ascii_lowercase));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_of_attribute_types() {
        assert_eq!(
            names(
                "( 2.5.4.4 NAME ( 'sn' 'surname' ) DESC 'RFC2256: last (family) name' SUP name )"
            ),
            ["2.5.4.4", "sn", "surname"]
        );
        assert_eq!(
            names("( 1.3 NAME 'employeeType' DESC 'it''s' )"),
            ["1.3", "employeetype"]
        );
        assert_eq!(names("( 1.4 DESC 'no NAME here' )"), ["1.4"]);
        assert_eq!(names(""), [] as [String; 0]);
    }
}
