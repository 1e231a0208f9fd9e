//! What a server is and supports: its root DSE (RFC 4512 section 5.1).

use super::{connection::Connection, error::DirectoryError, lookup::look};
use crate::model::entry::Entry;

/// The capability of an Active Directory (MS-ADTS section 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// Simple paged results (RFC 2696).
pub(super) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Referral objects are treated as any other entry (RFC 3296 section 3).
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";

/// No references to other parts of the directory are returned (MS-ADTS section 3.1.1.3.4.1.11).
pub(super) const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";

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

/// How a server returns referral objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Referrals {
    /// As references to other servers, with which no search is complete.
    #[default]
    AsReferences,
    /// As entries, on request (RFC 3296), which are counted.
    AsEntries,
}

/// What is done about referral objects, where the server returns them as entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferralObjects {
    /// They are asked for beside the people, and counted.
    Counted,
    /// Nobody asks for them.
    LeftOut,
}

/// What is done about references to other servers (RFC 4511 section 4.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuations {
    /// They end the search, which is not complete.
    EndTheSearch,
    /// The server is asked to send none, if it offers that.
    LeftOut,
}

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
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

    /// Whether a control is offered.
    fn offers(&self, control: &str) -> bool {
        self.supported_controls.iter().any(|oid| oid == control)
    }

    /// Whether it offers to return results in pages.
    #[must_use]
    pub fn offers_pages(&self) -> bool {
        self.offers(PAGED_RESULTS)
    }

    /// How referral objects are treated: as entries where the server offers that.
    pub(super) fn referrals(&self) -> Referrals {
        if self.offers(MANAGE_DSA_IT) {
            Referrals::AsEntries
        } else {
            Referrals::AsReferences
        }
    }

    /// Whether it leaves out references to other servers on request.
    pub(super) fn leaves_out_continuations(&self) -> bool {
        self.offers(DOMAIN_SCOPE)
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
