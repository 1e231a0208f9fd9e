//! The object classes of the embedded directory, as defined by RFC 4519, RFC 4512, RFC 4524 and RFC
//! 2798, and RFC 2307 for posixGroup, with the attributes that it knows.

use super::schema::ObjectClass;

const PERSON_MAY: &[&str] = &["userPassword", "telephoneNumber", "seeAlso", "description"];
const ORGANIZATIONAL_PERSON_MAY: &[&str] = &[
    "title",
    "telephoneNumber",
    "street",
    "postalCode",
    "physicalDeliveryOfficeName",
    "ou",
    "st",
    "l",
];
const INET_ORG_PERSON_MAY: &[&str] = &[
    "businessCategory",
    "carLicense",
    "departmentNumber",
    "displayName",
    "employeeNumber",
    "employeeType",
    "givenName",
    "homePhone",
    "initials",
    "jpegPhoto",
    "labeledURI",
    "mail",
    "manager",
    "mobile",
    "o",
    "preferredLanguage",
    "roomNumber",
    "secretary",
    "uid",
];
const ORGANIZATION_MAY: &[&str] = &[
    "userPassword",
    "seeAlso",
    "businessCategory",
    "telephoneNumber",
    "street",
    "postalCode",
    "physicalDeliveryOfficeName",
    "st",
    "l",
    "description",
];
const ROLE_MAY: &[&str] = &[
    "telephoneNumber",
    "seeAlso",
    "roleOccupant",
    "street",
    "postalCode",
    "physicalDeliveryOfficeName",
    "ou",
    "st",
    "l",
    "description",
];
const GROUP_MAY: &[&str] = &[
    "businessCategory",
    "seeAlso",
    "owner",
    "ou",
    "o",
    "description",
];

/// Every object class.
pub(super) const OBJECT_CLASSES: &[ObjectClass] = &[
    ObjectClass {
        oid: "2.5.6.0",
        name: "top",
        sup: None,
        kind: "ABSTRACT",
        must: &["objectClass"],
        may: &[],
    },
    structural("2.5.6.6", "person", "top", &["sn", "cn"], PERSON_MAY),
    structural(
        "2.5.6.7",
        "organizationalPerson",
        "person",
        &[],
        ORGANIZATIONAL_PERSON_MAY,
    ),
    structural(
        "2.16.840.1.113730.3.2.2",
        "inetOrgPerson",
        "organizationalPerson",
        &[],
        INET_ORG_PERSON_MAY,
    ),
    structural("2.5.6.4", "organization", "top", &["o"], ORGANIZATION_MAY),
    structural(
        "2.5.6.5",
        "organizationalUnit",
        "top",
        &["ou"],
        ORGANIZATION_MAY,
    ),
    structural("2.5.6.8", "organizationalRole", "top", &["cn"], ROLE_MAY),
    structural(
        "2.5.6.9",
        "groupOfNames",
        "top",
        &["member", "cn"],
        GROUP_MAY,
    ),
    structural(
        "2.5.6.17",
        "groupOfUniqueNames",
        "top",
        &["uniqueMember", "cn"],
        GROUP_MAY,
    ),
    structural(
        "1.3.6.1.1.1.2.2",
        "posixGroup",
        "top",
        &["cn", "gidNumber"],
        &["userPassword", "memberUid", "description"],
    ),
    auxiliary("1.3.6.1.4.1.1466.344", "dcObject", &["dc"]),
    auxiliary(
        "0.9.2342.19200300.100.4.19",
        "simpleSecurityObject",
        &["userPassword"],
    ),
    ObjectClass {
        oid: "2.5.20.1",
        name: "subschema",
        sup: None,
        kind: "AUXILIARY",
        must: &[],
        may: &["attributeTypes", "objectClasses"],
    },
];

const fn structural(
    oid: &'static str,
    name: &'static str,
    sup: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
) -> ObjectClass {
    ObjectClass {
        oid,
        name,
        sup: Some(sup),
        kind: "STRUCTURAL",
        must,
        may,
    }
}

const fn auxiliary(
    oid: &'static str,
    name: &'static str,
    must: &'static [&'static str],
) -> ObjectClass {
    ObjectClass {
        oid,
        name,
        sup: Some("top"),
        kind: "AUXILIARY",
        must,
        may: &[],
    }
}
