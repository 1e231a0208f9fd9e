//! Which attributes of an entry a search returns (RFC 4511 section 4.5.1.8, RFC 3673).

use std::ptr;

use ldap3_proto::proto::{LdapPartialAttribute, LdapSearchResultEntry};

use super::{
    schema::{self, AttributeType, Usage},
    stored::Stored,
};

/// The attributes that were asked for.
pub(super) struct Selection {
    user: Asked,
    operational: Asked,
    named: Vec<&'static AttributeType>,
    values: Values,
}

/// Whether values are returned with the attributes.
#[derive(Clone, Copy)]
pub(super) enum Values {
    Returned,
    LeftOut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    All,
    Named,
}

impl Selection {
    /// Understands a list of attributes; names that the schema does not know select nothing.
    pub(super) fn new(attributes: &[String], values: Values) -> Self {
        let asked = |sign: &str| {
            if attributes.iter().any(|name| name == sign) {
                Asked::All
            } else {
                Asked::Named
            }
        };
        let user = if attributes.is_empty() {
            Asked::All
        } else {
            asked("*")
        };
        let named = attributes
            .iter()
            .filter_map(|name| schema::attribute_type(name))
            .collect();
        Self {
            user,
            operational: asked("+"),
            named,
            values,
        }
    }

    /// What is returned of an entry; a password never is.
    pub(super) fn of(&self, entry: &Stored) -> LdapSearchResultEntry {
        let selected = entry
            .attributes
            .iter()
            .filter(|attribute| self.includes(attribute.kind));
        let attributes = selected.map(|attribute| LdapPartialAttribute {
            atype: attribute.kind.name().to_owned(),
            vals: match self.values {
                Values::Returned => attribute.values.clone(),
                Values::LeftOut => Vec::new(),
            },
        });
        LdapSearchResultEntry {
            dn: entry.dn.clone(),
            attributes: attributes.collect(),
        }
    }

    fn includes(&self, kind: &AttributeType) -> bool {
        let all = match kind.usage {
            Usage::User => self.user,
            Usage::Operation | Usage::Server => self.operational,
        };
        !kind.is_secret()
            && (all == Asked::All
                || self
                    .named
                    .iter()
                    .any(|named| ptr::eq(*named, kind) || kind.is_kind_of(named)))
    }
}
