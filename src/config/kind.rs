//! The kind of a directory's servers, and what follows from it where the configuration says nothing.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    attributes::{AttributeRule, Target, WhenAbsent, Write},
    table::Complete,
    value::{Filter, Source},
};
use crate::model::server_kind::ServerKind;

/// The kind of a directory's servers, as it is written; `auto` where it is detected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindKey(Option<ServerKind>);

const AUTO: &str = "auto";

/// As it may be written: every name of a kind, and `auto`.
const NAMES: [&str; 7] = [
    AUTO,
    ServerKind::ActiveDirectory.name(),
    ServerKind::Samba.name(),
    ServerKind::Ds389.name(),
    ServerKind::FreeIpa.name(),
    ServerKind::OpenLdap.name(),
    ServerKind::Generic.name(),
];

impl Serialize for KindKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.map_or(AUTO, ServerKind::name))
    }
}

impl<'de> Deserialize<'de> for KindKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl de::Visitor<'_> for Name {
            type Value = KindKey;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the kind of a server in quotes")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<KindKey, E> {
                match (name, ServerKind::named(name)) {
                    (AUTO, _) => Ok(KindKey(None)),
                    (_, Some(kind)) => Ok(KindKey(Some(kind))),
                    (_, None) => Err(E::unknown_variant(name, &NAMES)),
                }
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl JsonSchema for KindKey {
    fn schema_name() -> Cow<'static, str> {
        "ServerKind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": NAMES })
    }
}

impl Complete<Option<ServerKind>> for KindKey {
    fn complete(self) -> Option<Option<ServerKind>> {
        Some(self.0)
    }
}

impl From<Option<ServerKind>> for KindKey {
    fn from(kind: Option<ServerKind>) -> Self {
        Self(kind)
    }
}

/// A filter for people, and what is added to it where the server's schema has the attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleFilter {
    always: Filter,
    /// Conditions that leave people out, by the attribute that they need.
    unless: &'static [(&'static str, &'static str)],
}

/// People, as Microsoft's own directory synchronisation selects them: no computers, service accounts
/// and contacts, no accounts of the system, and no halves of a replication conflict.
// https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-functions-reference
// and .../concept-azure-ad-connect-sync-default-configuration, "Out of the box rules".
const OF_ACTIVE_DIRECTORY: &str = "(&(sAMAccountType=805306368)(!(isCriticalSystemObject=*))\
    (!(sAMAccountName=AAD_*))(!(sAMAccountName=MSOL_*))(!(sAMAccountName=SUPPORT_388945a0))\
    (!(sAMAccountName=CAS_*}*))(!(cn=*\\0aCNF:*)))";

/// Mailboxes of Exchange's own, where the schema has Exchange's attributes; the mask is that of the
/// same rules.
const OF_EXCHANGE: [(&str, &str); 2] = [
    ("mailNickname", "(mailNickname=SystemMailbox{*)"),
    (
        "msExchRecipientTypeDetails",
        "(msExchRecipientTypeDetails:1.2.840.113556.1.4.804:=566259712)",
    ),
];

/// Parts of filters, in lower case, that match nobody in a domain by Active Directory, and of those
/// that match only there.
const OF_OTHER_KINDS: [&str; 3] = ["inetorgperson", "posixaccount", "(uid="];
const OF_DOMAINS: [&str; 3] = ["samaccount", "objectclass=user)", "userprincipalname"];

const OF_OTHERS: &str = "(objectClass=inetOrgPerson)";

impl PeopleFilter {
    /// A filter of the configuration.
    #[must_use]
    pub const fn configured(filter: Filter) -> Self {
        Self {
            always: filter,
            unless: &[],
        }
    }

    /// The filter of a kind of server.
    #[must_use]
    pub fn of_kind(kind: ServerKind) -> Self {
        if kind.is_active_directory() {
            Self {
                always: Filter::known(OF_ACTIVE_DIRECTORY),
                unless: &OF_EXCHANGE,
            }
        } else {
            Self::configured(Filter::known(OF_OTHERS))
        }
    }

    /// What to do where a filter matches nobody at a server of this kind, if it is one for another
    /// kind.
    #[must_use]
    pub fn instead_of(kind: ServerKind, filter: &Filter) -> Option<String> {
        let others = if kind.is_active_directory() {
            &OF_OTHER_KINDS
        } else {
            &OF_DOMAINS
        };
        let filter = filter.as_str().to_ascii_lowercase();
        let is_foreign = others.iter().any(|part| filter.contains(part));
        (kind != ServerKind::Generic && is_foreign).then(|| {
            format!(
                "the server is of the kind {kind}: leave filter and [attributes] out of the job, \
                 or see `config example --kind {kind}`"
            )
        })
    }

    /// The filter for a server whose schema has these attributes.
    #[must_use]
    pub fn where_known(&self, has: impl Fn(&str) -> bool) -> Filter {
        let unless = self.unless.iter().filter(|(name, _)| has(name));
        let unless: Vec<&str> = unless.map(|(_, condition)| *condition).collect();
        self.always.unless(&unless)
    }
}

/// The mapping of a kind of server, by the key of each ftrack attribute.
#[must_use]
pub fn attributes(kind: ServerKind) -> BTreeMap<String, AttributeRule> {
    let login = if kind.is_active_directory() {
        "sAMAccountName"
    } else {
        "uid"
    };
    let rules = [
        ("username", Target::Username, login),
        ("email", Target::Email, "mail"),
        ("first_name", Target::FirstName, "givenName"),
        ("last_name", Target::LastName, "sn"),
    ];
    let rules = rules.into_iter().map(|(key, target, name)| {
        let rule = AttributeRule {
            required: target == Target::Username,
            target,
            from: Source::Attribute(name.to_owned()),
            when_absent: WhenAbsent::Keep,
            write: Write::Always,
        };
        (key.to_owned(), rule)
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_filter_of_each_kind_can_be_parsed_and_names_only_what_the_schema_has() {
        for kind in ServerKind::ALL {
            let filter = PeopleFilter::of_kind(kind);
            let without = filter.where_known(|_| false);
            let with = filter.where_known(|_| true);
            for filter in [&without, &with] {
                assert_eq!(filter.as_str().parse(), Ok(filter.clone()), "{kind}");
            }
            let added = |name: &str| with.attributes().iter().any(|one| one.name == name);
            assert_eq!(added("mailNickname"), kind.is_active_directory(), "{kind}");
            assert!(
                without
                    .attributes()
                    .iter()
                    .all(|one| one.name != "mailNickname")
            );
        }
    }

    #[test]
    fn only_the_known_names_are_accepted() {
        for name in NAMES {
            let kind: KindKey = serde_json::from_value(name.into()).unwrap();
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        let wrong = serde_json::from_value::<KindKey>("ad".into()).unwrap_err();
        assert!(wrong.to_string().contains("active-directory"), "{wrong}");
    }
}
