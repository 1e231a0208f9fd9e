//! What to do about an error of the directory.

use super::{
    error::{BindMethod, DirectoryError},
    limits::limit_advice,
    result_code::{bind_advice, code_advice, ticket_advice},
};

impl DirectoryError {
    /// What to do about it, if the error alone shows that.
    #[must_use]
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            Self::ServersNotFound { .. } => {
                Some("check srv and this machine's DNS, or name the servers in urls")
            }
            Self::NameNotResolved { .. } => Some("check the name and this machine's DNS"),
            Self::Connect { address, .. } if address.starts_with('/') => Some(
                "check that the server runs on this machine, that it listens there (slapd: -h \
                 ldapi://…), and that this program's user may write to the socket",
            ),
            Self::Connect { .. } => Some("check the server, its port and any firewall in between"),
            Self::StartTlsRefused { .. } => Some("use ldaps:// or enable StartTLS on the server"),
            Self::Tls { fault, .. } => fault.way_out(),
            Self::Gssapi { fault, .. } => Some(fault.way_out()),
            Self::BindRefused {
                code: 14 | 47..=50 | 53,
                by: BindMethod::External,
                ..
            } => Some(
                "see which account the server has for this certificate or user (slapd: \
                 olcAuthzRegexp, 389-ds: certmap.conf and nsslapd-ldapimaprootdn), and its log",
            ),
            Self::BindRefused { by, code, text, .. } => Some(match by {
                BindMethod::Simple | BindMethod::External => bind_advice(*code, text),
                BindMethod::Ticket => ticket_advice(*code, text),
            }),
            Self::NoSuchBase { .. } => Some("check the search base and the account's rights"),
            Self::Refused {
                code, text, kind, ..
            } => limit_advice(*code, *kind).or_else(|| code_advice(*code, text)),
            Self::Referred { .. } => Some(
                "choose search bases that are on this server; the root of an Active Directory domain \
                 can be one if no other domain lies below it, and the bind account can read \
                 CN=Partitions of the configuration",
            ),
            Self::UnknownNames { .. } => Some("write the attribute's name as the directory does"),
            Self::Group { .. } => Some(
                "check the group's DN in the job's member_of, roles or groups, the bind account's \
                 rights, and group_bases",
            ),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::TimedOut { .. }
            | Self::NotProven { .. }
            | Self::TooMuch { .. }
            | Self::Garbled { .. }
            | Self::Lost { .. }
            | Self::Deadline { .. }
            | Self::Cancelled
            | Self::NotAsked { .. }
            | Self::PoolExhausted { .. }
            | Self::AllServers(_) => None,
        }
    }

    /// What to do about it; where the error shows no more, what the kind of error suggests.
    #[must_use]
    pub fn general_way_out(&self) -> &'static str {
        if let Some(way_out) = self.way_out() {
            return way_out;
        }
        match self {
            Self::TimedOut { .. } | Self::NotAsked { .. } => {
                "check the load of the server and the network to it; a slow server needs a longer \
                 connect_timeout or operation_timeout"
            }
            Self::Tls { .. } => {
                "see the server's log, and which TLS versions and ciphers it offers"
            }
            Self::File { .. } => "name another file, or fix this one",
            Self::Settings { .. } => "fix the directory's settings",
            Self::NotProven { .. } => {
                "see the server's log, and whether it supports paged results (RFC 2696)"
            }
            Self::TooMuch { .. } => "narrow the search, or lower page_size",
            Self::Garbled { .. } => {
                "check that the URL leads to an LDAP server, and not to another port of it"
            }
            Self::Lost { .. } => {
                "see the server's log, and check what is in between; ldap:// does not work with a \
                 port that expects TLS from the first byte"
            }
            Self::PoolExhausted { .. } => "raise pool_size",
            Self::Deadline { .. } | Self::Cancelled | Self::AllServers(_) => "try again",
            Self::Refused { .. }
            | Self::ServersNotFound { .. }
            | Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::StartTlsRefused { .. }
            | Self::BindRefused { .. }
            | Self::Gssapi { .. }
            | Self::NoSuchBase { .. }
            | Self::UnknownNames { .. }
            | Self::Group { .. }
            | Self::Referred { .. } => "see the server's log for the reason",
        }
    }
}
