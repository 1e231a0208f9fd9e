//! The attribute types that directories by the standards share, with their names: for entries of files,
//! beside which no schema stands (RFC 4519, RFC 4524, RFC 2798, RFC 2079). No I/O.

use std::sync::Arc;

use super::schema::Schema;
use crate::model::{entry::Entry, server_kind::ServerKind};

/// The types of which people are made and that have several names, or are derived from others.
const TYPES: [&str; 33] = [
    "( 2.5.4.0 NAME 'objectClass' )",
    "( 2.5.4.41 NAME 'name' )",
    "( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )",
    "( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )",
    "( 2.5.4.42 NAME ( 'givenName' 'gn' ) SUP name )",
    "( 2.5.4.43 NAME 'initials' SUP name )",
    "( 2.5.4.44 NAME 'generationQualifier' SUP name )",
    "( 2.5.4.12 NAME 'title' SUP name )",
    "( 2.5.4.6 NAME ( 'c' 'countryName' ) SUP name )",
    "( 2.5.4.7 NAME ( 'l' 'localityName' ) SUP name )",
    "( 2.5.4.8 NAME ( 'st' 'stateOrProvinceName' ) SUP name )",
    "( 2.5.4.9 NAME ( 'street' 'streetAddress' ) )",
    "( 2.5.4.10 NAME ( 'o' 'organizationName' ) SUP name )",
    "( 2.5.4.11 NAME ( 'ou' 'organizationalUnitName' ) SUP name )",
    "( 2.5.4.13 NAME 'description' )",
    "( 2.5.4.20 NAME 'telephoneNumber' )",
    "( 2.5.4.23 NAME ( 'facsimileTelephoneNumber' 'fax' ) )",
    "( 2.5.4.49 NAME 'distinguishedName' )",
    "( 2.5.4.31 NAME 'member' SUP distinguishedName )",
    "( 2.5.4.50 NAME 'uniqueMember' )",
    "( 0.9.2342.19200300.100.1.1 NAME ( 'uid' 'userid' ) )",
    "( 0.9.2342.19200300.100.1.3 NAME ( 'mail' 'rfc822Mailbox' ) )",
    "( 0.9.2342.19200300.100.1.5 NAME ( 'drink' 'favouriteDrink' ) )",
    "( 0.9.2342.19200300.100.1.20 NAME ( 'homePhone' 'homeTelephoneNumber' ) )",
    "( 0.9.2342.19200300.100.1.25 NAME ( 'dc' 'domainComponent' ) )",
    "( 0.9.2342.19200300.100.1.41 NAME ( 'mobile' 'mobileTelephoneNumber' ) )",
    "( 0.9.2342.19200300.100.1.42 NAME ( 'pager' 'pagerTelephoneNumber' ) )",
    "( 0.9.2342.19200300.100.1.43 NAME ( 'co' 'friendlyCountryName' ) )",
    "( 0.9.2342.19200300.100.1.60 NAME 'jpegPhoto' )",
    "( 2.16.840.1.113730.3.1.3 NAME 'employeeNumber' )",
    "( 2.16.840.1.113730.3.1.4 NAME 'employeeType' )",
    "( 2.16.840.1.113730.3.1.241 NAME 'displayName' )",
    "( 1.3.6.1.4.1.250.1.57 NAME 'labeledURI' )",
];

/// The shared types, as a server of that kind has them; none where each attribute has one name alone, as
/// in Active Directory.
pub(super) fn standard_schema(kind: ServerKind) -> Option<Arc<Schema>> {
    match kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => None,
        ServerKind::Ds389 | ServerKind::FreeIpa | ServerKind::OpenLdap | ServerKind::Generic => {
            Some(Arc::new(Schema::of(TYPES)))
        }
    }
}

/// The schema of entries that are one, as a server shows it; none where they show no types.
pub(super) fn schema_of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Option<Arc<Schema>> {
    let values = entries
        .into_iter()
        .flat_map(|entry| entry.values("attributeTypes"));
    let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value)).collect();
    (!texts.is_empty()).then(|| Arc::new(Schema::of(texts)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_types_are_understood_and_each_name_is_one() {
        let schema = standard_schema(ServerKind::OpenLdap).unwrap();
        for (name, canonical) in [
            ("surname", "sn"),
            ("GN", "givenName"),
            ("userid", "uid"),
            ("rfc822mailbox", "mail"),
            ("2.5.4.4", "sn"),
            ("commonName", "cn"),
        ] {
            assert_eq!(schema.find(name).unwrap().name(), canonical);
        }
        for text in TYPES {
            let name = text.split('\'').nth(1).unwrap();
            assert_eq!(schema.find(name).unwrap().name(), name);
        }
        assert!(standard_schema(ServerKind::Samba).is_none());
        let odd = Entry::showing("cn=x", [("attributeTypes", vec![])]);
        assert!(schema_of([&odd]).is_none());
    }
}
