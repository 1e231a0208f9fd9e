//! The attribute types of the embedded directory, as defined by RFC 4519, RFC 2798, RFC 4512, RFC
//! 4524, RFC 4530 and RFC 3045.

use super::schema::{AttributeType, Matching, Usage, ValueCount};

/// A user attribute of the kind `name`, `mail`, `telephoneNumber` ...: it may have several values.
const fn user(
    oid: &'static str,
    names: &'static [&'static str],
    matching: Matching,
) -> AttributeType {
    AttributeType {
        oid,
        names,
        sup: None,
        matching,
        count: ValueCount::Many,
        usage: Usage::User,
    }
}

/// A user attribute derived from `name` (RFC 4519 section 2.18).
const fn name(oid: &'static str, names: &'static [&'static str]) -> AttributeType {
    AttributeType {
        oid,
        names,
        sup: Some("name"),
        matching: Matching::CaseIgnore,
        count: ValueCount::Many,
        usage: Usage::User,
    }
}

/// A user attribute with at most one value.
const fn single(
    oid: &'static str,
    names: &'static [&'static str],
    matching: Matching,
) -> AttributeType {
    AttributeType {
        oid,
        names,
        sup: None,
        matching,
        count: ValueCount::Single,
        usage: Usage::User,
    }
}

/// An attribute that only the server writes.
const fn operational(
    oid: &'static str,
    names: &'static [&'static str],
    matching: Matching,
) -> AttributeType {
    AttributeType {
        oid,
        names,
        sup: None,
        matching,
        count: ValueCount::Single,
        usage: Usage::Operation,
    }
}

/// An attribute in which the server describes itself.
const fn server(
    oid: &'static str,
    names: &'static [&'static str],
    matching: Matching,
    count: ValueCount,
) -> AttributeType {
    AttributeType {
        oid,
        names,
        sup: None,
        matching,
        count,
        usage: Usage::Server,
    }
}

const INTEGER: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.27",
};
const JPEG: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.28",
};
const OID: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.38",
};
const NAME_AND_UID: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.34",
};
const DN: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.12",
};
const ATTRIBUTE_TYPE: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.3",
};
const OBJECT_CLASS: Matching = Matching::Nothing {
    syntax: "1.3.6.1.4.1.1466.115.121.1.37",
};

use Matching::{
    CaseExact, CaseIgnore, CaseIgnoreIa5, DistinguishedName, GeneralizedTime, ObjectIdentifier,
    OctetString, Telephone, Uuid,
};

/// Every attribute type; answers use the first name.
pub(super) const ATTRIBUTE_TYPES: &[AttributeType] = &[
    user("2.5.4.0", &["objectClass"], ObjectIdentifier),
    user("2.5.4.41", &["name"], CaseIgnore),
    name("2.5.4.3", &["cn", "commonName"]),
    name("2.5.4.4", &["sn", "surname"]),
    name("2.5.4.7", &["l", "localityName"]),
    name("2.5.4.8", &["st", "stateOrProvinceName"]),
    name("2.5.4.10", &["o", "organizationName"]),
    name("2.5.4.11", &["ou", "organizationalUnitName"]),
    name("2.5.4.12", &["title"]),
    name("2.5.4.42", &["givenName"]),
    name("2.5.4.43", &["initials"]),
    user("2.5.4.9", &["street", "streetAddress"], CaseIgnore),
    user("2.5.4.13", &["description"], CaseIgnore),
    user("2.5.4.15", &["businessCategory"], CaseIgnore),
    user("2.5.4.17", &["postalCode"], CaseIgnore),
    user("2.5.4.19", &["physicalDeliveryOfficeName"], CaseIgnore),
    user("2.5.4.20", &["telephoneNumber"], Telephone),
    user("2.5.4.31", &["member"], DistinguishedName),
    user("2.5.4.32", &["owner"], DistinguishedName),
    user("2.5.4.33", &["roleOccupant"], DistinguishedName),
    user("2.5.4.34", &["seeAlso"], DistinguishedName),
    user("2.5.4.35", &["userPassword"], OctetString),
    user("2.5.4.50", &["uniqueMember"], NAME_AND_UID),
    single("1.3.6.1.1.1.1.1", &["gidNumber"], INTEGER),
    user("1.3.6.1.1.1.1.12", &["memberUid"], CaseExact),
    single(
        "0.9.2342.19200300.100.1.25",
        &["dc", "domainComponent"],
        CaseIgnoreIa5,
    ),
    user("0.9.2342.19200300.100.1.1", &["uid", "userid"], CaseIgnore),
    user(
        "0.9.2342.19200300.100.1.3",
        &["mail", "rfc822Mailbox"],
        CaseIgnoreIa5,
    ),
    user("0.9.2342.19200300.100.1.6", &["roomNumber"], CaseIgnore),
    user(
        "0.9.2342.19200300.100.1.10",
        &["manager"],
        DistinguishedName,
    ),
    user(
        "0.9.2342.19200300.100.1.20",
        &["homePhone", "homeTelephoneNumber"],
        Telephone,
    ),
    user(
        "0.9.2342.19200300.100.1.21",
        &["secretary"],
        DistinguishedName,
    ),
    user(
        "0.9.2342.19200300.100.1.41",
        &["mobile", "mobileTelephoneNumber"],
        Telephone,
    ),
    user("0.9.2342.19200300.100.1.60", &["jpegPhoto"], JPEG),
    user("1.3.6.1.4.1.250.1.57", &["labeledURI"], CaseExact),
    user("2.16.840.1.113730.3.1.1", &["carLicense"], CaseIgnore),
    user("2.16.840.1.113730.3.1.2", &["departmentNumber"], CaseIgnore),
    single("2.16.840.1.113730.3.1.3", &["employeeNumber"], CaseIgnore),
    user("2.16.840.1.113730.3.1.4", &["employeeType"], CaseIgnore),
    single(
        "2.16.840.1.113730.3.1.39",
        &["preferredLanguage"],
        CaseIgnore,
    ),
    single("2.16.840.1.113730.3.1.241", &["displayName"], CaseIgnore),
    operational("1.3.6.1.1.16.4", &["entryUUID"], Uuid),
    operational("2.5.18.1", &["createTimestamp"], GeneralizedTime),
    operational("2.5.18.2", &["modifyTimestamp"], GeneralizedTime),
    operational("2.5.18.10", &["subschemaSubentry"], DistinguishedName),
    operational("2.5.21.5", &["attributeTypes"], ATTRIBUTE_TYPE).many(),
    operational("2.5.21.6", &["objectClasses"], OBJECT_CLASS).many(),
    server(
        "1.3.6.1.4.1.1466.101.120.5",
        &["namingContexts"],
        DN,
        ValueCount::Many,
    ),
    server(
        "1.3.6.1.4.1.1466.101.120.7",
        &["supportedExtension"],
        OID,
        ValueCount::Many,
    ),
    server(
        "1.3.6.1.4.1.1466.101.120.13",
        &["supportedControl"],
        OID,
        ValueCount::Many,
    ),
    server(
        "1.3.6.1.4.1.1466.101.120.15",
        &["supportedLDAPVersion"],
        INTEGER,
        ValueCount::Many,
    ),
    server(
        "1.3.6.1.4.1.4203.1.3.5",
        &["supportedFeatures"],
        ObjectIdentifier,
        ValueCount::Many,
    ),
    server(
        "1.3.6.1.1.4",
        &["vendorName"],
        CaseExact,
        ValueCount::Single,
    ),
    server(
        "1.3.6.1.1.5",
        &["vendorVersion"],
        CaseExact,
        ValueCount::Single,
    ),
];
