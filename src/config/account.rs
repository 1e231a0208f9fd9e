//! `disabled` and `expires` of a job: how an entry shows that its person may not sign in.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    finding::KeyPath,
    notes::Notes,
    value::{Filter, is_attribute},
};
use crate::model::server_kind::ServerKind;

/// Who may not sign in, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DisabledKey {
    /// By the kind of the server that answers.
    #[default]
    Auto,
    /// Whom this filter matches, which the server is asked in a search of its own.
    Filter(Filter),
    /// Everybody may.
    Never,
}

const AUTO: &str = "auto";
const NEVER: &str = "never";

impl Serialize for DisabledKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Auto => AUTO,
            Self::Filter(filter) => filter.as_str(),
            Self::Never => NEVER,
        })
    }
}

impl<'de> Deserialize<'de> for DisabledKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = DisabledKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", \"never\" or a filter in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DisabledKey, E> {
                match text {
                    AUTO => Ok(DisabledKey::Auto),
                    NEVER => Ok(DisabledKey::Never),
                    filter if filter.starts_with('(') => {
                        filter.parse().map(DisabledKey::Filter).map_err(E::custom)
                    }
                    other => Err(E::custom(format!(
                        "{other:?} is neither \"auto\" nor \"never\", nor a filter in parentheses \
                         such as \"(employeeType=locked)\""
                    ))),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for DisabledKey {
    fn schema_name() -> Cow<'static, str> {
        "Disabled".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(auto|never|\\(.*\\))$" })
    }
}

/// The attribute that shows until when a person may sign in, and its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Expires {
    /// The attribute's name, such as `accountExpires`.
    pub from: String,
    /// The form of its values.
    pub form: ExpiryForm,
}

/// How an attribute shows a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    expecting = r#""filetime", "generalized-time", "days" or "seconds""#
)]
pub enum ExpiryForm {
    /// Intervals of 100 ns since 1601, where 0 and 2^63-1 mean never (`accountExpires` of Active
    /// Directory).
    Filetime,
    /// A generalized time (RFC 4517 section 3.3.13), such as `krbPrincipalExpiration` of FreeIPA;
    /// the beginning of 1970 means never.
    GeneralizedTime,
    /// Days since 1970, where 0 and negative ones mean never (`shadowExpire`).
    Days,
    /// Seconds since 1970, where 0 and negative ones mean never.
    Seconds,
}

impl ExpiryForm {
    fn name(self) -> &'static str {
        match self {
            Self::Filetime => "filetime",
            Self::GeneralizedTime => "generalized-time",
            Self::Days => "days",
            Self::Seconds => "seconds",
        }
    }
}

/// An attribute by which servers of one kind show that an account is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledFlag {
    /// Bit 2 of `userAccountControl`, which every person's entry has
    /// (`ACCOUNTDISABLE`, [MS-ADTS] section 2.2.16). A locked out account is not disabled.
    UserAccountControl,
    /// `nsAccountLock` of 389 Directory Server and FreeIPA, also by roles and classes of service.
    NsAccountLock,
    /// `pwdAccountLockedTime` of OpenLDAP's password policy, where it locks for ever; any other
    /// time is a lockout (draft-behera-ldap-password-policy-11 section 5.3.3).
    PwdAccountLockedTime,
}

impl DisabledFlag {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::UserAccountControl,
        Self::NsAccountLock,
        Self::PwdAccountLockedTime,
    ];

    /// The attribute.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::UserAccountControl => "userAccountControl",
            Self::NsAccountLock => "nsAccountLock",
            Self::PwdAccountLockedTime => "pwdAccountLockedTime",
        }
    }

    /// The same as a filter.
    const fn filter(self) -> &'static str {
        match self {
            Self::UserAccountControl => "(userAccountControl:1.2.840.113556.1.4.803:=2)",
            Self::NsAccountLock => "(nsAccountLock=true)",
            Self::PwdAccountLockedTime => "(pwdAccountLockedTime=000001010000Z)",
        }
    }
}

/// How the entries of one kind of server show that people may not sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRule {
    /// An attribute of the entry itself.
    pub flag: Option<DisabledFlag>,
    /// A filter that matches those who may not.
    pub filter: Option<Filter>,
    /// Until when they may.
    pub expires: Vec<Expires>,
    /// The attributes among these that the operator named: the server must know them.
    pub named: BTreeSet<String>,
}

impl AccountRule {
    /// The rule of a job at a kind of server.
    #[must_use]
    pub(super) fn new(kind: ServerKind, disabled: &DisabledKey, expires: Option<&Expires>) -> Self {
        let mut rule = match disabled {
            DisabledKey::Auto => Self {
                flag: flag(kind),
                expires: expiry(kind).into_iter().collect(),
                ..Self::default()
            },
            DisabledKey::Never => Self::default(),
            DisabledKey::Filter(filter) => Self {
                named: filter
                    .attributes()
                    .into_iter()
                    .map(|asserted| asserted.name.to_owned())
                    .collect(),
                filter: Some(filter.clone()),
                ..Self::default()
            },
        };
        if let Some(expires) = expires.filter(|expires| !rule.expires.contains(expires)) {
            rule.named.insert(expires.from.clone());
            rule.expires.push(expires.clone());
        }
        rule
    }

    /// The attributes that are read of each entry.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let flag = self.flag.map(DisabledFlag::attribute);
        flag.into_iter()
            .chain(self.expires.iter().map(|expires| expires.from.as_str()))
    }

    /// Whether it can show that anybody may not sign in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flag.is_none() && self.filter.is_none() && self.expires.is_empty()
    }
}

/// In words: the filter that means the same, and the attributes that show an end.
impl fmt::Display for AccountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = self.flag.map(|flag| flag.filter().to_owned());
        let filter = self.filter.as_ref().map(ToString::to_string);
        let expires = self.expires.iter();
        let expires =
            expires.map(|expires| format!("{} ({}) is past", expires.from, expires.form.name()));
        let all: Vec<String> = flag.into_iter().chain(filter).chain(expires).collect();
        if all.is_empty() {
            return f.write_str(NEVER);
        }
        f.write_str(&all.join(" or "))
    }
}

const fn flag(kind: ServerKind) -> Option<DisabledFlag> {
    match kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => Some(DisabledFlag::UserAccountControl),
        ServerKind::Ds389 | ServerKind::FreeIpa => Some(DisabledFlag::NsAccountLock),
        ServerKind::OpenLdap => Some(DisabledFlag::PwdAccountLockedTime),
        ServerKind::Generic => None,
    }
}

fn expiry(kind: ServerKind) -> Option<Expires> {
    let (from, form) = match kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => ("accountExpires", ExpiryForm::Filetime),
        ServerKind::FreeIpa => ("krbPrincipalExpiration", ExpiryForm::GeneralizedTime),
        ServerKind::Ds389 | ServerKind::OpenLdap | ServerKind::Generic => return None,
    };
    Some(Expires {
        from: from.to_owned(),
        form,
    })
}

/// The keys that mean what `disabled = "auto"` means at a kind of server.
pub(super) fn follow(
    kind: ServerKind,
    disabled: &DisabledKey,
    expires: Option<&Expires>,
) -> (DisabledKey, Option<Expires>) {
    let written = (disabled.clone(), expires.cloned());
    match (disabled, expires, expiry(kind)) {
        // Two attributes that show an end cannot be written.
        (DisabledKey::Auto, Some(_), Some(_))
        | (DisabledKey::Never | DisabledKey::Filter(_), _, _) => written,
        (DisabledKey::Auto, _, of_kind) => {
            let filter = flag(kind).map(|flag| DisabledKey::Filter(Filter::known(flag.filter())));
            (filter.unwrap_or(DisabledKey::Never), written.1.or(of_kind))
        }
    }
}

/// Checks the key `expires`.
pub(super) fn check(notes: &mut Notes, at: &KeyPath, expires: Option<&Expires>) {
    if let Some(expires) = expires.filter(|expires| !is_attribute(&expires.from)) {
        notes.find(
            &at.key("from"),
            format!("{:?} is not the name of an attribute", expires.from),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_filters_and_the_two_words_are_accepted() {
        for text in ["auto", "never", "(employeeType=locked)"] {
            let key: DisabledKey = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(key).unwrap(), text);
        }
        for wrong in ["", "employeeType=locked", "(employeeType=locked", "Auto"] {
            assert!(serde_json::from_value::<DisabledKey>(wrong.into()).is_err());
        }
    }

    #[test]
    fn what_follows_from_a_kind_means_the_same() {
        for kind in ServerKind::ALL {
            let rule = AccountRule::new(kind, &DisabledKey::Auto, None);
            let (disabled, expires) = follow(kind, &DisabledKey::Auto, None);
            let written = AccountRule::new(kind, &disabled, expires.as_ref());
            assert_eq!(rule.to_string(), written.to_string(), "{kind}");
            assert!(rule.named.is_empty(), "{kind}");
            if let DisabledKey::Filter(filter) = disabled {
                assert_eq!(filter.as_str().parse(), Ok(filter.clone()));
            }
        }
    }
}
