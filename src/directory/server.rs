//! What a server is and supports: its root DSE (RFC 4512 section 5.1).

use super::{
    connection::Connection, dn::Dn, error::DirectoryError, lookup::look, sync_control::SYNC_REQUEST,
};
use crate::model::{entry::Entry, server_kind::ServerKind};

/// The capability of an Active Directory (MS-ADTS section 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// The extended operations of FreeIPA, such as that for keytabs, begin so.
// https://freeipa.readthedocs.io/en/latest/designs/keytab-retrieval.html
const OF_FREE_IPA: &str = "2.16.840.1.113730.3.8.10.";
/// Simple paged results (RFC 2696).
pub(super) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Referral objects are treated as any other entry (RFC 3296 section 3).
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";

/// The control of a search that goes on with the entries that change
/// (draft-ietf-ldapext-psearch-03).
pub(super) const PERSISTENT_SEARCH: &str = "2.16.840.1.113730.3.4.3";
/// No references to other parts of the directory are returned (MS-ADTS section 3.1.1.3.4.1.11).
pub(super) const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";

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
    /// The server is asked to send none, if that hides no people: see `partitions`.
    LeftOutWithoutPeople,
    /// The server is asked to send none, if it offers that.
    LeftOut,
}

/// The extended operation "Who am I?" (RFC 4532).
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct RootDse {
    /// The kind of server: as configured, or as it shows itself.
    pub kind: ServerKind,
    /// As it shows itself.
    pub detected: ServerKind,
    /// The vendor and version, if shown (RFC 3045).
    pub vendor: Option<String>,
    pub naming_contexts: Vec<String>,
    /// The DN of the configuration of an Active Directory forest.
    pub configuration: Option<String>,
    /// The supported controls, by OID.
    pub supported_controls: Vec<String>,
    /// Whether it says as whom it knows a connection (RFC 4532).
    pub tells_identity: bool,
    /// The SASL mechanisms offered on this connection.
    pub sasl_mechanisms: Vec<String>,
    /// The DN of the schema.
    pub schema: Option<String>,
    /// The number of its last change, and the DN of the entry that identifies its database, if it
    /// is one of Active Directory (MS-ADTS section 3.1.1.3.2).
    pub update_number: Option<(u64, String)>,
}

impl RootDse {
    /// Reads the root DSE; a server that shows none is a generic one without capabilities.
    ///
    /// # Errors
    /// Everything but an answer; a refusal by access rights counts as an empty one.
    pub async fn read(connection: &mut Connection) -> Result<Self, DirectoryError> {
        let wanted = [
            "objectClass",
            "vendorName",
            "vendorVersion",
            "namingContexts",
            "configurationNamingContext",
            "supportedControl",
            "supportedCapabilities",
            "supportedExtension",
            "supportedSASLMechanisms",
            "subschemaSubentry",
            "ipaTopologyPluginVersion",
            "highestCommittedUSN",
            "dsServiceName",
        ];
        let nothing = || Entry::new(String::new(), Vec::new());
        let entry = match look(connection, "", "(objectClass=*)", &wanted).await {
            Ok(entry) => entry.unwrap_or_else(nothing),
            Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Refused { code: 50, .. }) => {
                nothing()
            }
            Err(error) => return Err(error),
        };
        let shown = Self::of(&entry);
        connection.shows_kind(shown.detected);
        let kind = connection.kind().unwrap_or(shown.detected);
        Ok(Self { kind, ..shown })
    }

    /// Whether it is read as another kind of server than it shows itself; Samba and Active
    /// Directory are read in the same way.
    pub(super) fn is_another_kind(&self) -> bool {
        let are_domains = self.kind.is_active_directory() && self.detected.is_active_directory();
        self.kind != self.detected && self.detected != ServerKind::Generic && !are_domains
    }

    /// Whether a control is offered.
    fn offers(&self, control: &str) -> bool {
        self.supported_controls.iter().any(|oid| oid == control)
    }

    /// What there is to say where it is read as another kind than it shows itself, and what to do.
    pub(super) fn kind_in_doubt(&self) -> Option<(String, &'static str)> {
        let Self { kind, detected, .. } = self;
        let seen = format!(
            "it is treated as {kind}, as the configuration says, but shows itself as {detected}"
        );
        let way_out = "remove kind from the directory, or correct it";
        self.is_another_kind().then_some((seen, way_out))
    }

    /// Whether it offers to return results in pages.
    #[must_use]
    pub fn offers_pages(&self) -> bool {
        self.offers(PAGED_RESULTS)
    }

    /// Whether it returns attributes with very many values in ranges (MS-ADTS section
    /// 3.1.1.3.1.3.3).
    #[must_use]
    pub fn returns_ranges(&self) -> bool {
        self.kind.is_active_directory()
    }

    /// How referral objects are treated: as entries where the server offers that.
    pub(super) fn referrals(&self) -> Referrals {
        if self.offers(MANAGE_DSA_IT) {
            Referrals::AsEntries
        } else {
            Referrals::AsReferences
        }
    }

    /// Whether it offers content synchronization (RFC 4533).
    #[must_use]
    pub fn offers_sync(&self) -> bool {
        self.offers(SYNC_REQUEST)
    }

    /// How it is noticed that something changes on it; none where it offers nothing for that.
    pub(super) fn watched_by(&self) -> Option<WatchedBy> {
        if let Some((number, _)) = self.update_number {
            Some(WatchedBy::Number(number))
        } else if self.offers(PERSISTENT_SEARCH) {
            Some(WatchedBy::PersistentSearch)
        } else if self.offers_sync() {
            Some(WatchedBy::ContentSynchronization)
        } else {
            None
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
        let detected = detected(&texts, &vendor);
        let vendor = match (vendor.is_empty(), detected) {
            (false, _) => Some(vendor),
            (true, ServerKind::OpenLdap) => Some("OpenLDAP".into()),
            (true, ServerKind::ActiveDirectory) => Some("Active Directory".into()),
            (
                true,
                ServerKind::Samba | ServerKind::Ds389 | ServerKind::FreeIpa | ServerKind::Generic,
            ) => None,
        };
        Self {
            kind: detected,
            detected,
            vendor,
            naming_contexts: texts("namingContexts"),
            configuration: texts("configurationNamingContext").into_iter().next(),
            supported_controls: texts("supportedControl"),
            tells_identity: texts("supportedExtension")
                .iter()
                .any(|oid| oid == WHO_AM_I),
            sasl_mechanisms: texts("supportedSASLMechanisms"),
            schema: texts("subschemaSubentry").into_iter().next(),
            update_number: texts("highestCommittedUSN")
                .first()
                .and_then(|number| number.parse().ok())
                .zip(texts("dsServiceName").into_iter().next()),
        }
    }
}

/// How it is noticed that something changes on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WatchedBy {
    /// It is asked for the number of its last change, which is this one now: at little cost.
    Number(u64),
    /// It returns entries as they change
    /// (<https://datatracker.ietf.org/doc/html/draft-ietf-ldapext-psearch-03>).
    PersistentSearch,
    /// It goes on with content synchronization (RFC 4533 section 3.4).
    ContentSynchronization,
}

/// The naming context of a base (RFC 4512 section 5.1): the lowest of those that contain it.
pub(super) fn naming_context<'a>(contexts: &'a [String], base: &str) -> Option<&'a str> {
    let base = Dn::parse(base)?;
    let holds =
        |context: &&'a String| Some((base.depth_below(&Dn::parse(context)?)?, context.as_str()));
    contexts
        .iter()
        .filter_map(|context| holds(&context))
        .min()
        .map(|(_, context)| context)
}

/// The kind that the values of a root DSE show.
fn detected(texts: &impl Fn(&str) -> Vec<String>, vendor: &str) -> ServerKind {
    let any = |name: &str, is: &dyn Fn(&str) -> bool| texts(name).iter().any(|value| is(value));
    let vendor = vendor.to_ascii_lowercase();
    let is_by = |names: &[&str]| names.iter().any(|name| vendor.contains(name));
    if any("supportedCapabilities", &|oid| oid == ACTIVE_DIRECTORY) {
        return if is_by(&["samba"]) {
            ServerKind::Samba
        } else {
            ServerKind::ActiveDirectory
        };
    }
    let is_openldap = |class: &str| class.eq_ignore_ascii_case("OpenLDAProotDSE");
    if any("objectClass", &is_openldap) {
        return ServerKind::OpenLdap;
    }
    if any("ipaTopologyPluginVersion", &|_| true)
        || any("supportedExtension", &|oid| oid.starts_with(OF_FREE_IPA))
    {
        return ServerKind::FreeIpa;
    }
    if is_by(&["389 project", "fedora", "red hat"]) {
        return ServerKind::Ds389;
    }
    ServerKind::Generic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[(&str, &str)]) -> ServerKind {
        let values = values.iter();
        let values = values.map(|(name, value)| (*name, vec![value.as_bytes().to_vec()]));
        RootDse::of(&Entry::showing("", values)).kind
    }

    #[test]
    fn each_kind_shows_itself() {
        let ad = ("supportedCapabilities", ACTIVE_DIRECTORY);
        let samba = ("vendorName", "Samba Team (https://www.samba.org)");
        let of_389 = ("vendorName", "389 Project");
        let extension = ("supportedExtension", "2.16.840.1.113730.3.8.10.5");
        let kinds = [
            (kind(&[ad]), ServerKind::ActiveDirectory),
            (kind(&[samba, ad]), ServerKind::Samba),
            (kind(&[of_389]), ServerKind::Ds389),
            (kind(&[of_389, extension]), ServerKind::FreeIpa),
            (
                kind(&[of_389, ("ipaTopologyPluginVersion", "1.0")]),
                ServerKind::FreeIpa,
            ),
            (
                kind(&[("objectClass", "OpenLDAProotDSE")]),
                ServerKind::OpenLdap,
            ),
            (
                kind(&[("vendorName", "Sun Microsystems")]),
                ServerKind::Generic,
            ),
            (kind(&[]), ServerKind::Generic),
        ];
        for (shown, expected) in kinds {
            assert_eq!(shown, expected);
        }
    }
}
