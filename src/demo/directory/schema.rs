//! The attributes and object classes of the embedded directory, and how it publishes them (RFC 4512
//! section 4.1).

use std::{fmt::Write as _, ptr};

use unicode_normalization::UnicodeNormalization as _;

use super::{attribute_types::ATTRIBUTE_TYPES, name::Name, object_classes::OBJECT_CLASSES};

/// An attribute type (RFC 4512 section 4.1.2).
pub(super) struct AttributeType {
    pub(super) oid: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) sup: Option<&'static str>,
    pub(super) matching: Matching,
    pub(super) count: ValueCount,
    pub(super) usage: Usage,
}

/// How values of an attribute are compared (RFC 4517 section 4.2), which also says which syntax
/// they have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Matching {
    CaseIgnore,
    CaseIgnoreIa5,
    CaseExact,
    Telephone,
    DistinguishedName,
    ObjectIdentifier,
    OctetString,
    Uuid,
    GeneralizedTime,
    Nothing { syntax: &'static str },
}

/// How many values an attribute may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueCount {
    Single,
    Many,
}

/// Who writes an attribute, and what it is about (RFC 4512 section 4.1.2, `USAGE`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    User,
    Operation,
    Server,
}

/// An object class (RFC 4512 section 4.1.1).
pub(super) struct ObjectClass {
    pub(super) oid: &'static str,
    pub(super) name: &'static str,
    pub(super) sup: Option<&'static str>,
    pub(super) kind: &'static str,
    pub(super) must: &'static [&'static str],
    pub(super) may: &'static [&'static str],
}

/// The attribute type with a name or an OID, ignoring case; options (`;lang-de`) are not supported.
pub(super) fn attribute_type(name: &str) -> Option<&'static AttributeType> {
    ATTRIBUTE_TYPES.iter().find(|kind| {
        kind.oid == name
            || kind
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// The object class with a name or an OID, ignoring case.
pub(super) fn object_class(name: &str) -> Option<&'static ObjectClass> {
    OBJECT_CLASSES
        .iter()
        .find(|class| class.oid == name || class.name.eq_ignore_ascii_case(name))
}

/// Every attribute type in the syntax of RFC 4512 section 4.1.2.
pub(super) fn attribute_type_descriptions() -> Vec<String> {
    ATTRIBUTE_TYPES
        .iter()
        .map(AttributeType::describe)
        .collect()
}

/// Every object class in the syntax of RFC 4512 section 4.1.1.
pub(super) fn object_class_descriptions() -> Vec<String> {
    OBJECT_CLASSES.iter().map(ObjectClass::describe).collect()
}

impl AttributeType {
    /// The same type with any number of values.
    pub(super) const fn many(mut self) -> Self {
        self.count = ValueCount::Many;
        self
    }

    /// The name that answers carry.
    pub(super) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or(self.oid)
    }

    /// Whether it is unreadable, even by a filter.
    pub(super) fn is_secret(&self) -> bool {
        self.oid == "2.5.4.35"
    }

    /// Whether it is `asked` or one of its subtypes (RFC 4512 section 2.5.1).
    pub(super) fn is_kind_of(&self, asked: &Self) -> bool {
        ptr::eq(self, asked) || self.sup.is_some_and(|sup| sup == asked.name())
    }

    /// The form in which equal values are equal bytes (after RFC 4518); `None` when the value does
    /// not fit the syntax or cannot be compared.
    pub(super) fn prepare(&self, value: &[u8]) -> Option<Vec<u8>> {
        match self.matching {
            Matching::CaseIgnore => text(value).map(|text| fold(text).into_bytes()),
            Matching::CaseIgnoreIa5 => text(value)
                .filter(|text| text.is_ascii())
                .map(|text| fold(text).into_bytes()),
            Matching::CaseExact => {
                text(value).map(|text| squeeze(text.nfkc()).trim().as_bytes().to_vec())
            }
            Matching::Telephone => {
                text(value).map(|text| fold(text).replace([' ', '-'], "").into_bytes())
            }
            Matching::DistinguishedName => text(value)
                .and_then(|text| Name::parse(text).ok())
                .map(|name| name.to_bytes()),
            Matching::ObjectIdentifier => text(value).and_then(identifier),
            Matching::OctetString => Some(value.to_vec()),
            Matching::Uuid => text(value)
                .and_then(|text| uuid::Uuid::parse_str(text).ok())
                .map(|uuid| uuid.as_bytes().to_vec()),
            Matching::GeneralizedTime => text(value).and_then(generalized_time),
            Matching::Nothing { .. } => None,
        }
    }

    /// The form in which a part of a value is found in prepared values; `None` when the type has no
    /// substring rule.
    pub(super) fn prepare_part(&self, part: &str) -> Option<Vec<u8>> {
        match self.matching {
            Matching::CaseIgnore => Some(squeeze(lower(part).nfkc()).into_bytes()),
            Matching::CaseIgnoreIa5 => part
                .is_ascii()
                .then(|| squeeze(lower(part).chars()).into_bytes()),
            Matching::Telephone => Some(lower(part).replace([' ', '-'], "").into_bytes()),
            Matching::CaseExact
            | Matching::DistinguishedName
            | Matching::ObjectIdentifier
            | Matching::OctetString
            | Matching::Uuid
            | Matching::GeneralizedTime
            | Matching::Nothing { .. } => None,
        }
    }

    /// Whether values have an order, so that `>=` and `<=` mean something.
    pub(super) fn is_ordered(&self) -> bool {
        self.matching.rules().1.is_some()
    }

    /// Whether a value may be stored: not empty where text is expected, and of the right syntax.
    pub(super) fn accepts(&self, value: &[u8]) -> bool {
        match self.matching {
            Matching::Nothing { .. } => !value.is_empty(),
            Matching::OctetString => true,
            Matching::CaseIgnore
            | Matching::CaseIgnoreIa5
            | Matching::CaseExact
            | Matching::Telephone
            | Matching::DistinguishedName
            | Matching::ObjectIdentifier
            | Matching::Uuid
            | Matching::GeneralizedTime => !value.is_empty() && self.prepare(value).is_some(),
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("( {} NAME {}", self.oid, quoted(self.names));
        if let Some(sup) = self.sup {
            let _ = write!(text, " SUP {sup}");
        } else {
            let (equality, ordering, substrings, syntax) = self.matching.rules();
            for (word, rule) in [
                ("EQUALITY", equality),
                ("ORDERING", ordering),
                ("SUBSTR", substrings),
                ("SYNTAX", Some(syntax)),
            ] {
                if let Some(rule) = rule {
                    let _ = write!(text, " {word} {rule}");
                }
            }
        }
        text.push_str(match self.count {
            ValueCount::Single => " SINGLE-VALUE",
            ValueCount::Many => "",
        });
        text.push_str(match self.usage {
            Usage::User => " )",
            Usage::Operation => " NO-USER-MODIFICATION USAGE directoryOperation )",
            Usage::Server => " NO-USER-MODIFICATION USAGE dSAOperation )",
        });
        text
    }
}

impl Matching {
    /// The rules for equality, order and substrings, and the syntax (RFC 4517, RFC 4530).
    fn rules(
        self,
    ) -> (
        Option<&'static str>,
        Option<&'static str>,
        Option<&'static str>,
        &'static str,
    ) {
        match self {
            Self::CaseIgnore => (
                Some("caseIgnoreMatch"),
                None,
                Some("caseIgnoreSubstringsMatch"),
                "1.3.6.1.4.1.1466.115.121.1.15",
            ),
            Self::CaseIgnoreIa5 => (
                Some("caseIgnoreIA5Match"),
                None,
                Some("caseIgnoreIA5SubstringsMatch"),
                "1.3.6.1.4.1.1466.115.121.1.26",
            ),
            Self::CaseExact => (
                Some("caseExactMatch"),
                None,
                None,
                "1.3.6.1.4.1.1466.115.121.1.15",
            ),
            Self::Telephone => (
                Some("telephoneNumberMatch"),
                None,
                Some("telephoneNumberSubstringsMatch"),
                "1.3.6.1.4.1.1466.115.121.1.50",
            ),
            Self::DistinguishedName => (
                Some("distinguishedNameMatch"),
                None,
                None,
                "1.3.6.1.4.1.1466.115.121.1.12",
            ),
            Self::ObjectIdentifier => (
                Some("objectIdentifierMatch"),
                None,
                None,
                "1.3.6.1.4.1.1466.115.121.1.38",
            ),
            Self::OctetString => (
                Some("octetStringMatch"),
                None,
                None,
                "1.3.6.1.4.1.1466.115.121.1.40",
            ),
            Self::Uuid => (
                Some("UUIDMatch"),
                Some("UUIDOrderingMatch"),
                None,
                "1.3.6.1.1.16.1",
            ),
            Self::GeneralizedTime => (
                Some("generalizedTimeMatch"),
                Some("generalizedTimeOrderingMatch"),
                None,
                "1.3.6.1.4.1.1466.115.121.1.24",
            ),
            Self::Nothing { syntax } => (None, None, None, syntax),
        }
    }
}

impl ObjectClass {
    /// The class and those that it is derived from.
    pub(super) fn lineage(&'static self) -> impl Iterator<Item = &'static ObjectClass> {
        std::iter::successors(Some(self), |class| class.sup.and_then(object_class))
    }

    fn describe(&self) -> String {
        let mut text = format!("( {} NAME {}", self.oid, quoted(&[self.name]));
        if let Some(sup) = self.sup {
            let _ = write!(text, " SUP {sup}");
        }
        let _ = write!(text, " {}", self.kind);
        for (word, names) in [("MUST", self.must), ("MAY", self.may)] {
            match names {
                [] => {}
                [name] => {
                    let _ = write!(text, " {word} {name}");
                }
                names => {
                    let _ = write!(text, " {word} ( {} )", names.join(" $ "));
                }
            }
        }
        text.push_str(" )");
        text
    }
}

/// `'cn'`, or `( 'cn' 'commonName' )` (RFC 4512 section 4.1, `qdescrs`).
fn quoted(names: &[&str]) -> String {
    match names {
        [name] => format!("'{name}'"),
        names => format!("( '{}' )", names.join("' '")),
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// Case and compatibility forms folded, runs of spaces made one, none at the ends (RFC 4518
/// sections 2.2, 2.3 and 2.6.1).
fn fold(text: &str) -> String {
    let folded = if text.is_ascii() {
        squeeze(lower(text).chars())
    } else {
        squeeze(lower(text).nfkc())
    };
    folded.trim().to_owned()
}

fn lower(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.nfkc().collect::<String>().to_lowercase()
    }
}

fn squeeze(text: impl Iterator<Item = char>) -> String {
    let mut squeezed = String::new();
    for letter in text {
        if !letter.is_whitespace() {
            squeezed.push(letter);
        } else if !squeezed.ends_with(' ') {
            squeezed.push(' ');
        }
    }
    squeezed
}

/// The one spelling of a known object class; an unknown one matches nothing (RFC 4517 section
/// 4.2.26).
fn identifier(name: &str) -> Option<Vec<u8>> {
    object_class(name).map(|class| class.name.as_bytes().to_vec())
}

/// `YYYYMMDDHHMMSSZ`, the form in which this directory keeps times; a fraction of a second is
/// dropped (RFC 4517 section 3.3.13).
fn generalized_time(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix('Z')?;
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let complete = matches!(whole.len(), 10 | 12 | 14) && (whole.len() == 14 || fraction == "0");
    (complete && numeric(whole) && numeric(fraction)).then(|| format!("{whole:0<14}Z").into_bytes())
}
