//! The root DSE, in which the server describes its capabilities (RFC 4512 section 5.1).

use ldap3_proto::proto::OID_WHOAMI;

use super::{
    stored::Stored,
    tree::{SUBSCHEMA_DN, Tree},
};

/// Simple paged results (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Entries that are referrals are treated as any other (RFC 3296); there are none here.
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// `+` for all operational attributes (RFC 3673).
const ALL_OPERATIONAL_ATTRIBUTES: &str = "1.3.6.1.4.1.4203.1.5.1";
/// `(&)` and `(|)` (RFC 4526).
const ABSOLUTE_FILTERS: &str = "1.3.6.1.4.1.4203.1.5.3";

/// The root DSE of a server of one tree.
pub(super) fn root_dse(tree: &Tree) -> Stored {
    let attribute = |name: &str, values: &[&str]| {
        (
            name.to_owned(),
            values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect(),
        )
    };
    let attributes = vec![
        attribute("objectClass", &["top"]),
        attribute("namingContexts", &[tree.suffix()]),
        attribute("subschemaSubentry", &[SUBSCHEMA_DN]),
        attribute("supportedControl", &[PAGED_RESULTS, MANAGE_DSA_IT]),
        attribute("supportedExtension", &[OID_WHOAMI]),
        attribute(
            "supportedFeatures",
            &[ALL_OPERATIONAL_ATTRIBUTES, ABSOLUTE_FILTERS],
        ),
        attribute("supportedLDAPVersion", &["3"]),
        attribute("vendorName", &["ftrack-ldap-sync"]),
        attribute("vendorVersion", &[env!("CARGO_PKG_VERSION")]),
    ];
    Stored::of_server("", attributes)
}
