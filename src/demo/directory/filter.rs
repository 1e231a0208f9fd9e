//! Search filters in the three-valued sense of RFC 4511 section 4.5.1.7.

use ldap3_proto::proto::{LdapFilter, LdapSubstringFilter};

use super::{
    schema::{self, AttributeType},
    stored::Stored,
};

/// A filter whose attributes are known and whose values are prepared, so that each entry costs
/// little.
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Present(&'static AttributeType),
    Equal(&'static AttributeType, Vec<u8>),
    AtLeast(&'static AttributeType, Vec<u8>),
    AtMost(&'static AttributeType, Vec<u8>),
    Parts(&'static AttributeType, Parts),
    /// An unknown attribute, a value of the wrong syntax, a kind of matching that the attribute has
    /// not, or an attribute that nobody may read.
    Undefined,
}

/// The parts of a value that a substring filter asks for.
pub(super) struct Parts {
    initial: Vec<u8>,
    any: Vec<Vec<u8>>,
    last: Vec<u8>,
}

/// What a filter says of an entry; only `True` selects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Undefined,
}

impl Filter {
    /// Takes over a filter from the protocol, whose nesting is bounded by the decoder.
    pub(super) fn new(filter: &LdapFilter) -> Self {
        match filter {
            LdapFilter::And(filters) => Self::All(filters.iter().map(Self::new).collect()),
            LdapFilter::Or(filters) => Self::Any(filters.iter().map(Self::new).collect()),
            LdapFilter::Not(filter) => Self::Not(Box::new(Self::new(filter))),
            LdapFilter::Present(attribute) => {
                readable(attribute).map_or(Self::Undefined, Self::Present)
            }
            LdapFilter::Equality(attribute, value) | LdapFilter::Approx(attribute, value) => {
                compared(attribute, value)
                    .map_or(Self::Undefined, |(kind, value)| Self::Equal(kind, value))
            }
            LdapFilter::GreaterOrEqual(attribute, value) => {
                ordered(attribute, value, Self::AtLeast)
            }
            LdapFilter::LessOrEqual(attribute, value) => ordered(attribute, value, Self::AtMost),
            LdapFilter::Substring(attribute, parts) => {
                let found =
                    readable(attribute).and_then(|kind| Some((kind, Parts::new(kind, parts)?)));
                found.map_or(Self::Undefined, |(kind, parts)| Self::Parts(kind, parts))
            }
            LdapFilter::Extensible(_) => Self::Undefined,
        }
    }

    /// What the filter says of an entry.
    pub(super) fn truth(&self, entry: &Stored) -> Truth {
        match self {
            Self::All(filters) => strongest(
                filters.iter().map(|filter| filter.truth(entry)),
                Truth::False,
                Truth::True,
            ),
            Self::Any(filters) => strongest(
                filters.iter().map(|filter| filter.truth(entry)),
                Truth::True,
                Truth::False,
            ),
            Self::Not(filter) => match filter.truth(entry) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Undefined => Truth::Undefined,
            },
            Self::Present(kind) => Truth::from(
                entry
                    .attributes
                    .iter()
                    .any(|attribute| attribute.kind.is_kind_of(kind)),
            ),
            Self::Equal(kind, wanted) => {
                some_value(entry, kind, |value| value == wanted.as_slice())
            }
            Self::AtLeast(kind, bound) => {
                some_value(entry, kind, |value| value >= bound.as_slice())
            }
            Self::AtMost(kind, bound) => some_value(entry, kind, |value| value <= bound.as_slice()),
            Self::Parts(kind, parts) => some_value(entry, kind, |value| parts.are_in(value)),
            Self::Undefined => Truth::Undefined,
        }
    }
}

impl Parts {
    fn new(kind: &AttributeType, parts: &LdapSubstringFilter) -> Option<Self> {
        let LdapSubstringFilter {
            initial,
            any,
            final_,
        } = parts;
        let prepare =
            |part: Option<&String>| part.map_or(Some(Vec::new()), |part| kind.prepare_part(part));
        let any = any
            .iter()
            .map(|part| kind.prepare_part(part))
            .collect::<Option<_>>()?;
        Some(Self {
            initial: prepare(initial.as_ref())?.trim_ascii_start().to_vec(),
            any,
            last: prepare(final_.as_ref())?.trim_ascii_end().to_vec(),
        })
    }

    /// Whether the parts occur in this order without overlapping.
    fn are_in(&self, value: &[u8]) -> bool {
        let Some(mut rest) = value.strip_prefix(self.initial.as_slice()) else {
            return false;
        };
        for part in self.any.iter().filter(|part| !part.is_empty()) {
            let Some(at) = rest
                .windows(part.len())
                .position(|window| window == part.as_slice())
            else {
                return false;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        rest.ends_with(&self.last)
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

/// `deciding` when one says so, else undefined when one is, else `otherwise`; an empty AND is true
/// and an empty OR false (RFC 4526).
fn strongest(truths: impl Iterator<Item = Truth>, deciding: Truth, otherwise: Truth) -> Truth {
    let mut result = otherwise;
    for truth in truths {
        if truth == deciding {
            return deciding;
        }
        if truth == Truth::Undefined {
            result = Truth::Undefined;
        }
    }
    result
}

fn some_value(entry: &Stored, kind: &AttributeType, matches: impl Fn(&[u8]) -> bool) -> Truth {
    let of_kind = entry
        .attributes
        .iter()
        .filter(|attribute| attribute.kind.is_kind_of(kind));
    Truth::from(
        of_kind
            .flat_map(|attribute| attribute.prepared.iter().flatten())
            .any(|value| matches(value)),
    )
}

fn readable(attribute: &str) -> Option<&'static AttributeType> {
    schema::attribute_type(attribute).filter(|kind| !kind.is_secret())
}

fn compared(attribute: &str, value: &str) -> Option<(&'static AttributeType, Vec<u8>)> {
    let kind = readable(attribute)?;
    Some((kind, kind.prepare(value.as_bytes())?))
}

fn ordered(
    attribute: &str,
    value: &str,
    filter: fn(&'static AttributeType, Vec<u8>) -> Filter,
) -> Filter {
    match compared(attribute, value).filter(|(kind, _)| kind.is_ordered()) {
        Some((kind, value)) => filter(kind, value),
        None => Filter::Undefined,
    }
}
