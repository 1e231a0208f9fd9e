//! Errors of the directory: what was tried, on which server, and what to do.

use std::{borrow::Cow, error::Error, fmt, io, path::PathBuf, time::Duration};

use super::{
    gssapi_fault::GssapiFault,
    name_fault::NameFault,
    result_code::{code_name, is_refusal},
};
use crate::{config::Secret, model::server_kind::ServerKind, tls::TlsFault};

/// A way to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindMethod {
    /// With a password, or anonymously.
    Simple,
    /// By SASL EXTERNAL, without a password.
    External,
    /// By SASL GSSAPI, with a Kerberos ticket.
    Ticket,
}

/// Why a directory could not be used, or a read of it is incomplete.
#[derive(Debug)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum DirectoryError {
    /// A certificate or key file of the configuration cannot be used.
    File {
        /// What the file is for.
        what: &'static str,
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings of a directory contradict each other.
    Settings {
        /// The directory's name in the configuration.
        directory: String,
        /// What is wrong, and how it would be right.
        reason: String,
    },
    /// The servers of a domain cannot be looked up.
    ServersNotFound {
        domain: String,
        /// What the name servers said.
        reason: String,
    },
    /// The host name has no address.
    NameNotResolved {
        /// The server's URL.
        server: String,
        /// The host's name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No TCP connection was established.
    Connect {
        /// The server's URL.
        server: String,
        /// The last address that was tried.
        address: String,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The server did not answer in time.
    TimedOut {
        /// The server's URL.
        server: String,
        /// What was waited for.
        tried: String,
        limit: Duration,
    },
    /// The server refused StartTLS on a plain connection (RFC 4511 section 4.14).
    StartTlsRefused {
        /// The server's URL.
        server: String,
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
    /// No trusted TLS connection was established.
    Tls {
        /// The server's URL.
        server: String,
        /// In which way it failed.
        fault: TlsFault,
    },
    /// No bind by a Kerberos ticket was possible.
    Gssapi {
        /// The server's URL.
        server: String,
        /// In which way it failed.
        fault: GssapiFault,
    },
    /// The server refused the credentials; they are not tried at another server, since each refusal
    /// counts against the account.
    BindRefused {
        /// The server's URL.
        server: String,
        /// Who wanted to bind.
        who: String,
        /// Where the password is from, and when the server last accepted one, as far as that is known.
        with: Option<Box<str>>,
        /// In which way.
        by: BindMethod,
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
    /// A search base does not exist, or is not visible to the account.
    NoSuchBase {
        /// The server's URL.
        server: String,
        /// The base that was asked for.
        base: String,
        /// The part of it that exists; empty when unknown.
        matched: String,
    },
    /// The server ended an operation with a result other than success.
    Refused {
        /// The server's URL.
        server: String,
        /// What was tried.
        tried: String,
        /// The result code (RFC 4511 appendix A).
        code: u32,
        /// The server's words.
        text: String,
        /// The kind of the server, if it is known.
        kind: Option<ServerKind>,
    },
    /// A part of the tree is on another server, so the answer is incomplete.
    Referred {
        /// The server's URL.
        server: String,
        /// The search base.
        base: String,
        /// Where the server points to.
        to: Vec<String>,
    },
    /// The server reported success, but its answer cannot be proven complete.
    NotProven {
        /// The server's URL.
        server: String,
        /// The search base.
        base: String,
        /// What is missing.
        reason: String,
    },
    /// A group whose members are wanted cannot be read.
    Group {
        /// The server's URL.
        server: String,
        /// The group's DN.
        group: String,
        /// Why.
        reason: String,
    },
    /// Attributes were asked for under names that this server does not have.
    UnknownNames {
        /// The server's URL.
        server: String,
        /// Those that have no meaning here.
        names: Vec<NameFault>,
    },
    /// The server sent more than the program accepts.
    TooMuch {
        /// The server's URL.
        server: String,
        /// What was too much, and the bound.
        reason: String,
    },
    /// The server sent invalid LDAP.
    Garbled {
        /// The server's URL.
        server: String,
        /// What could not be understood.
        reason: String,
    },
    /// The connection ended before the operation did.
    Lost {
        /// The server's URL.
        server: String,
        /// What was under way.
        tried: String,
        /// How it ended.
        reason: String,
    },
    /// The time limit of the whole read passed.
    Deadline {
        /// What was under way.
        tried: String,
    },
    /// A stop was requested.
    Cancelled,
    /// Every connection of the pool stayed in use.
    PoolExhausted {
        /// The server's URL.
        server: String,
        /// How long was waited.
        limit: Duration,
    },
    /// A server was not asked, since it did not answer a moment ago.
    NotAsked {
        /// The server's URL.
        server: String,
        /// How long ago that was.
        ago: Duration,
        /// What was tried then, and how it failed.
        reason: String,
    },
    /// None of several servers could be used.
    AllServers(Vec<DirectoryError>),
}

impl DirectoryError {
    /// The error of a directory of which no server can be used: the server's own error if there is
    /// only one.
    pub(super) fn of_all(mut failures: Vec<Self>) -> Self {
        match failures.pop() {
            Some(only) if failures.is_empty() => only,
            last => Self::AllServers(failures.into_iter().chain(last).collect()),
        }
    }

    /// Whether another server of the directory may be tried, as long as no entry was read: never
    /// when credentials were refused (trying them elsewhere locks the account) and never when the
    /// result would be the same there.
    #[must_use]
    pub fn concerns_one_server(&self) -> bool {
        match self {
            Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::StartTlsRefused { .. }
            | Self::Tls { .. }
            | Self::Garbled { .. }
            | Self::Lost { .. }
            | Self::NotAsked { .. }
            | Self::PoolExhausted { .. } => true,
            Self::BindRefused { code, .. } | Self::Refused { code, .. } => matches!(code, 51 | 52),
            Self::Gssapi { fault, .. } => fault.concerns_one_server(),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::ServersNotFound { .. }
            | Self::NoSuchBase { .. }
            | Self::Referred { .. }
            | Self::NotProven { .. }
            | Self::UnknownNames { .. }
            | Self::Group { .. }
            | Self::TooMuch { .. }
            | Self::Deadline { .. }
            | Self::Cancelled
            | Self::AllServers(_) => false,
        }
    }

    /// Whether the credentials were refused, so that many more attempts may lock the account;
    /// "busy" says nothing about them.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::BindRefused { code, .. } => is_refusal(*code),
            Self::Gssapi { fault, .. } => fault.is_refusal(),
            Self::AllServers(errors) => errors.iter().any(Self::is_refusal),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::ServersNotFound { .. }
            | Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::StartTlsRefused { .. }
            | Self::Tls { .. }
            | Self::NoSuchBase { .. }
            | Self::Refused { .. }
            | Self::Referred { .. }
            | Self::NotProven { .. }
            | Self::UnknownNames { .. }
            | Self::Group { .. }
            | Self::TooMuch { .. }
            | Self::Garbled { .. }
            | Self::Lost { .. }
            | Self::Deadline { .. }
            | Self::Cancelled
            | Self::NotAsked { .. }
            | Self::PoolExhausted { .. } => false,
        }
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::File { what, path, reason } => {
                format!(
                    "the {what} file {} cannot be used: {reason}",
                    path.display()
                )
            }
            Self::Settings { directory, reason } => format!("directory {directory}: {reason}"),
            Self::ServersNotFound { domain, reason } => {
                format!("the servers of {domain} cannot be looked up: {reason}")
            }
            Self::NameNotResolved {
                server,
                host,
                reason,
            } => format!("{server}: the name {host} cannot be resolved ({reason})"),
            Self::Connect {
                server,
                address,
                reason,
            } => format!("{server}: cannot connect to {address} ({reason})"),
            Self::TimedOut {
                server,
                tried,
                limit,
            } => {
                let limit = humantime::format_duration(*limit);
                format!("{server}: {tried} took longer than {limit}")
            }
            Self::StartTlsRefused { server, code, text } => {
                let name = code_name(*code);
                format!("{server}: StartTLS was refused with {name} ({code}): {text}")
            }
            Self::Tls { server, fault } => format!("{server}: {}", fault.what()),
            Self::Gssapi { server, fault } => format!("{server}: {}", fault.what()),
            Self::BindRefused {
                server,
                who,
                with,
                code,
                text,
                ..
            } => {
                let name = code_name(*code);
                let with = with.as_deref().map(|with| format!(" ({with})"));
                let who = format!("{who}{}", with.unwrap_or_default());
                format!("{server}: the bind as {who} was refused with {name} ({code}): {text}")
            }
            Self::NoSuchBase {
                server,
                base,
                matched,
            } => format!(
                "{server}: there is no {base:?}, or it is not visible to the account{}",
                matched_words(matched)
            ),
            Self::Refused {
                server,
                tried,
                code,
                text,
                ..
            } => {
                let name = code_name(*code);
                format!("{server}: {tried} ended with {name} ({code}): {text}")
            }
            Self::Referred { server, base, to } => format!(
                "{server}: part of the tree below {base:?} is referred to {}",
                to.join(" ")
            ),
            Self::NotProven {
                server,
                base,
                reason,
            } => format!("{server}: the answer for {base:?} cannot be proven complete: {reason}"),
            Self::UnknownNames { server, names } => {
                format!("{server}: {}", NameFault::all(names))
            }
            Self::Group {
                server,
                group,
                reason,
            } => format!("{server}: the members of {group:?} cannot be known: {reason}"),
            Self::TooMuch { server, reason } => format!("{server}: {reason}"),
            Self::Garbled { server, reason } => {
                format!("{server}: the answer is not valid LDAP: {reason}")
            }
            Self::Lost {
                server,
                tried,
                reason,
            } => format!("{server}: the connection was lost during {tried}: {reason}"),
            Self::Deadline { tried } => {
                format!("the time limit of the whole read was reached during {tried}")
            }
            Self::Cancelled => "stopped on request".to_owned(),
            Self::PoolExhausted { server, limit } => format!(
                "{server}: no connection of the pool became free within {}",
                humantime::format_duration(*limit)
            ),
            Self::NotAsked {
                server,
                ago,
                reason,
            } => format!(
                "{server}: not asked, since it did not answer {} ago ({reason})",
                humantime::format_duration(Duration::from_secs(ago.as_secs()))
            ),
            Self::AllServers(errors) => {
                format!(
                    "none of the directory's servers can be used: {}",
                    join(errors)
                )
            }
        }
    }

    /// The outcome in a few words, for the searches in the report: `busy (51)`, `timeout`,
    /// `referral`.
    #[must_use]
    pub fn outcome(&self) -> String {
        match self {
            Self::File { .. } | Self::Settings { .. } => "not tried".into(),
            Self::ServersNotFound { .. } => "servers not found".into(),
            Self::NameNotResolved { .. } => "name not resolved".into(),
            Self::Connect { .. } => "no connection".into(),
            Self::TimedOut { .. } | Self::Deadline { .. } => "timeout".into(),
            Self::Tls { .. } => "TLS failed".into(),
            Self::Gssapi { fault, .. } => fault.outcome().into(),
            Self::NoSuchBase { .. } => "noSuchObject (32)".into(),
            Self::StartTlsRefused { code, .. }
            | Self::BindRefused { code, .. }
            | Self::Refused { code, .. } => {
                format!("{} ({code})", code_name(*code))
            }
            Self::Referred { .. } => "referral".into(),
            Self::NotProven { .. } => "not proven complete".into(),
            Self::UnknownNames { .. } => "unknown attribute".into(),
            Self::Group { .. } => "group not read".into(),
            Self::TooMuch { .. } => "too much sent".into(),
            Self::Garbled { .. } => "garbled answer".into(),
            Self::Lost { .. } => "connection lost".into(),
            Self::Cancelled => "cancelled".into(),
            Self::PoolExhausted { .. } => "no free connection".into(),
            Self::NotAsked { .. } => "not asked".into(),
            Self::AllServers(_) => "no server".into(),
        }
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.way_out() {
            Some(way_out) => write!(f, "; {way_out}"),
            None => Ok(()),
        }
    }
}

impl Error for DirectoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { reason, .. } => Some(reason),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::ServersNotFound { .. }
            | Self::NameNotResolved { .. }
            | Self::TimedOut { .. }
            | Self::StartTlsRefused { .. }
            | Self::Tls { .. }
            | Self::Gssapi { .. }
            | Self::BindRefused { .. }
            | Self::NoSuchBase { .. }
            | Self::Refused { .. }
            | Self::Referred { .. }
            | Self::Group { .. }
            | Self::NotProven { .. }
            | Self::UnknownNames { .. }
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
}

/// A server's text without a password that it repeats.
pub(super) fn scrubbed<'t>(text: &'t str, password: Option<&Secret>) -> Cow<'t, str> {
    let password = password
        .map(Secret::expose)
        .filter(|password| !password.is_empty());
    match password {
        Some(password) if text.contains(password) => text.replace(password, "***").into(),
        Some(_) | None => text.into(),
    }
}

/// A server's message, safe to print: on one line, of bounded length, without control characters.
pub(super) fn words(text: &str) -> String {
    const LONGEST: usize = 500;
    let plain: String = text
        .trim_matches(|c: char| c.is_whitespace() || c.is_control())
        .chars()
        .take(LONGEST)
        .collect();
    let plain = plain.replace(char::is_control, " ");
    if plain.is_empty() {
        "the server gave no reason".into()
    } else {
        plain
    }
}

fn matched_words(matched: &str) -> String {
    if matched.is_empty() {
        String::new()
    } else {
        format!(" (the part that exists is {matched:?})")
    }
}

fn join(errors: &[DirectoryError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" | ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn words_of_a_server_stay_on_their_line() {
        assert_eq!(words("\u{0}"), "the server gave no reason");
        assert_eq!(
            words("busy\nERROR forged \u{1b}[31m\0"),
            "busy ERROR forged  [31m"
        );
        assert_eq!(words(&"x".repeat(10_000)).len(), 500);
    }

    #[test]
    fn a_password_is_not_repeated() {
        let password = Secret::new("hunter2".to_owned());
        assert_eq!(
            scrubbed("no user with hunter2, hunter2", Some(&password)),
            "no user with ***, ***"
        );
        assert_eq!(scrubbed("abc", Some(&Secret::new(String::new()))), "abc");
        assert_eq!(scrubbed("abc", None), "abc");
    }

    #[test]
    fn the_reason_of_active_directory_is_told() {
        for (data, reason) in [
            (
                "57",
                "the server cannot read the bind: check bind_dn and the password's characters",
            ),
            ("525", "the account does not exist"),
            ("530", "the account may not log on at this time"),
            ("531", "the account may not log on from here"),
            ("532", "the password has expired"),
            ("533", "the account is disabled"),
            ("701", "the account has expired"),
            ("773", "the password must be changed first"),
            ("775", "the account is locked"),
            (
                "52e",
                "the name or the password is wrong; a name is written as user@studio.test, \
                 STUDIO\\user or a DN",
            ),
            (
                "80090346",
                "the server wants channel binding, or what is in between replaces its certificate: \
                 connect to the server itself",
            ),
        ] {
            let error = DirectoryError::BindRefused {
                server: "ldap://dc".into(),
                who: "cn=sync".into(),
                with: None,
                by: BindMethod::Simple,
                code: 49,
                text: format!(
                    "80090308: LdapErr: DSID-0C09056B, comment: AcceptSecurityContext error, data \
                     {data}, v4563"
                ),
            };
            assert!(
                error.to_string().ends_with(&format!("v4563; {reason}")),
                "{error}"
            );
        }
    }
}
