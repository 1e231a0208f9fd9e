//! Errors of the directory: what was tried, on which server, and what to do.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::escape::what_and_way_out;

/// Why a directory could not be used, or a read of it is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A certificate or key file of the configuration cannot be used.
    #[error("the {what} file {} cannot be used: {reason}", path.display())]
    File {
        /// What the file is for.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings of a directory contradict each other.
    #[error("directory {directory}: {reason}")]
    Settings {
        /// The directory's name in the configuration.
        directory: String,
        /// What is wrong, and how it would be right.
        reason: String,
    },
    /// The host name has no address.
    #[error(
        "{server}: the name {host} cannot be resolved ({reason}); check the name and this \
         machine's DNS"
    )]
    NameNotResolved {
        /// The server's URL.
        server: String,
        /// The host's name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No TCP connection was established.
    #[error(
        "{server}: cannot connect to {address} ({reason}); check the server, its port and any \
         firewall in between"
    )]
    Connect {
        /// The server's URL.
        server: String,
        /// The last address that was tried.
        address: String,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The server did not answer in time.
    #[error("{server}: {tried} took longer than {}", humantime::format_duration(*limit))]
    TimedOut {
        /// The server's URL.
        server: String,
        /// What was waited for.
        tried: String,
        /// The limit.
        limit: Duration,
    },
    /// The server refused StartTLS on a plain connection (RFC 4511 section 4.14).
    #[error("{server}: StartTLS was refused with {} ({code}): {text}; use ldaps:// or enable \
        StartTLS on the server", code_name(*code))]
    StartTlsRefused {
        /// The server's URL.
        server: String,
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
    /// No trusted TLS connection was established.
    #[error("{server}: {fault}")]
    Tls {
        /// The server's URL.
        server: String,
        /// In which way it failed.
        fault: TlsFault,
    },
    /// The server refused the credentials; they are not tried at another server, since each refusal
    /// counts against the account.
    #[error("{server}: the bind as {who} was refused with {} ({code}): {text}{}", code_name(*code), bind_advice(text))]
    BindRefused {
        /// The server's URL.
        server: String,
        /// Who wanted to bind.
        who: String,
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
    /// A search base does not exist, or is not visible to the account.
    #[error(
        "{server}: there is no {base:?}, or it is not visible to the account{}; check the search \
         base and the account's rights",
        matched_words(matched)
    )]
    NoSuchBase {
        /// The server's URL.
        server: String,
        /// The base that was asked for.
        base: String,
        /// The part of it that exists; empty when unknown.
        matched: String,
    },
    /// The server ended an operation with a result other than success.
    #[error("{server}: {tried} ended with {} ({code}): {text}{}", code_name(*code), code_advice(*code))]
    Refused {
        /// The server's URL.
        server: String,
        /// What was tried.
        tried: String,
        /// The result code (RFC 4511 appendix A).
        code: u32,
        /// The server's words.
        text: String,
    },
    /// A part of the tree is on another server, so the answer is incomplete.
    #[error("{server}: part of the tree below {base:?} is referred to {}; choose search bases \
        that are on this server", to.join(" "))]
    Referred {
        /// The server's URL.
        server: String,
        /// The search base.
        base: String,
        /// Where the server points to.
        to: Vec<String>,
    },
    /// The server reported success, but its answer cannot be proven complete.
    #[error("{server}: the answer for {base:?} cannot be proven complete: {reason}")]
    NotProven {
        /// The server's URL.
        server: String,
        /// The search base.
        base: String,
        /// What is missing.
        reason: String,
    },
    /// The server sent more than the program accepts.
    #[error("{server}: {reason}")]
    TooMuch {
        /// The server's URL.
        server: String,
        /// What was too much, and the bound.
        reason: String,
    },
    /// The server sent invalid LDAP.
    #[error("{server}: the answer is not valid LDAP: {reason}")]
    Garbled {
        /// The server's URL.
        server: String,
        /// What could not be understood.
        reason: String,
    },
    /// The connection ended before the operation did.
    #[error("{server}: the connection was lost during {tried}: {reason}")]
    Lost {
        /// The server's URL.
        server: String,
        /// What was under way.
        tried: String,
        /// How it ended.
        reason: String,
    },
    /// The time limit of the whole read passed.
    #[error("the time limit of the whole read was reached during {tried}")]
    Deadline {
        /// What was under way.
        tried: String,
    },
    /// A stop was requested.
    #[error("stopped on request")]
    Cancelled,
    /// Every connection of the pool stayed in use.
    #[error("{server}: no connection of the pool became free within \
        {}", humantime::format_duration(*limit))]
    PoolExhausted {
        /// The server's URL.
        server: String,
        /// How long was waited.
        limit: Duration,
    },
    /// None of several servers could be used.
    #[error("none of the directory's servers can be used: {}", join(.0))]
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
            | Self::PoolExhausted { .. } => true,
            Self::BindRefused { code, .. } | Self::Refused { code, .. } => matches!(code, 51 | 52),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::NoSuchBase { .. }
            | Self::Referred { .. }
            | Self::NotProven { .. }
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
            Self::AllServers(errors) => errors.iter().any(Self::is_refusal),
            Self::File { .. }
            | Self::Settings { .. }
            | Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::StartTlsRefused { .. }
            | Self::Tls { .. }
            | Self::NoSuchBase { .. }
            | Self::Refused { .. }
            | Self::Referred { .. }
            | Self::NotProven { .. }
            | Self::TooMuch { .. }
            | Self::Garbled { .. }
            | Self::Lost { .. }
            | Self::Deadline { .. }
            | Self::Cancelled
            | Self::PoolExhausted { .. } => false,
        }
    }

    /// What happened, and what to do, as two texts; the error's text contains both, except where
    /// the advice depends only on the kind of error.
    #[must_use]
    pub fn apart(&self) -> (String, String) {
        let way_out = match self {
            Self::TimedOut { .. } => {
                "check the load of the server and the network to it; a slow server \
                 needs a longer connect_timeout or operation_timeout"
            }
            Self::Refused { code, .. } if code_advice(*code).is_empty() => {
                "see the server's log for the reason"
            }
            Self::Tls {
                fault: TlsFault::Other { .. },
                ..
            } => "see the server's log, and which TLS versions and ciphers it offers",
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
            Self::NameNotResolved { .. }
            | Self::Connect { .. }
            | Self::StartTlsRefused { .. }
            | Self::Tls { .. }
            | Self::BindRefused { .. }
            | Self::NoSuchBase { .. }
            | Self::Refused { .. }
            | Self::Referred { .. } => {
                return what_and_way_out(self.to_string());
            }
        };
        (self.to_string(), way_out.to_owned())
    }

    /// The outcome in a few words, for the searches in the report: `busy (51)`, `timeout`,
    /// `referral`.
    #[must_use]
    pub fn outcome(&self) -> String {
        match self {
            Self::File { .. } | Self::Settings { .. } => "not tried".into(),
            Self::NameNotResolved { .. } => "name not resolved".into(),
            Self::Connect { .. } => "no connection".into(),
            Self::TimedOut { .. } | Self::Deadline { .. } => "timeout".into(),
            Self::Tls { .. } => "TLS failed".into(),
            Self::NoSuchBase { .. } => "noSuchObject (32)".into(),
            Self::StartTlsRefused { code, .. }
            | Self::BindRefused { code, .. }
            | Self::Refused { code, .. } => {
                format!("{} ({code})", code_name(*code))
            }
            Self::Referred { .. } => "referral".into(),
            Self::NotProven { .. } => "not proven complete".into(),
            Self::TooMuch { .. } => "too much sent".into(),
            Self::Garbled { .. } => "garbled answer".into(),
            Self::Lost { .. } => "connection lost".into(),
            Self::Cancelled => "cancelled".into(),
            Self::PoolExhausted { .. } => "no free connection".into(),
            Self::AllServers(_) => "no server".into(),
        }
    }
}

/// How TLS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The server's certificate is not issued by a trusted authority.
    UntrustedIssuer {
        /// What the verifier said.
        detail: String,
    },
    /// The certificate is for other names.
    WrongHost {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate, as far as known.
        presented: Vec<String>,
    },
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The server rejects the client certificate, or requires one.
    ClientCertificate {
        /// The alert that the server sent.
        detail: String,
    },
    /// The server does not speak TLS.
    NotTls {
        /// What it sent instead.
        detail: String,
    },
    /// Anything else.
    Other {
        /// What the TLS library said.
        detail: String,
    },
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UntrustedIssuer { detail } => {
                write!(
                    f,
                    "the server's certificate is not trusted ({detail}); set ca_file to the \
                     certificate of its issuer"
                )
            }
            Self::WrongHost {
                expected,
                presented,
            } => {
                write!(f, "the server's certificate is not for {expected}")?;
                if !presented.is_empty() {
                    write!(f, " but for {}", presented.join(", "))?;
                }
                f.write_str(
                    "; use a name from the certificate in the URL, or renew the certificate with \
                     this name",
                )
            }
            Self::Expired => f.write_str(
                "the server's certificate has expired; renew it, or correct this machine's clock",
            ),
            Self::NotYetValid => {
                f.write_str("the server's certificate is not valid yet; check this machine's clock")
            }
            Self::ClientCertificate { detail } => {
                write!(
                    f,
                    "the server rejects the client certificate, or requires one \
                     ({detail}); check client_cert_file and client_key_file"
                )
            }
            Self::NotTls { detail } => {
                write!(
                    f,
                    "the server does not speak TLS ({detail}); ldaps:// is usually port 636, \
                     StartTLS with ldap:// port 389"
                )
            }
            Self::Other { detail } => write!(f, "TLS failed: {detail}"),
        }
    }
}

/// The name of a result code (RFC 4511 section 4.1.9).
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        14 => "saslBindInProgress",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        33 => "aliasProblem",
        34 => "invalidDNSyntax",
        36 => "aliasDereferencingProblem",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        80 => "other",
        _ => "an unusual result",
    }
}

/// Whether this result code of a bind means that the credentials are wrong: every failure but busy
/// and unavailable.
pub(super) fn is_refusal(code: u32) -> bool {
    !matches!(code, 0 | 51 | 52)
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

/// What to do about a result code of a search.
fn code_advice(code: u32) -> &'static str {
    match code {
        1 => "; the server may require a bind first, or have a problem of its own (see its log)",
        3 => "; raise the server's time limit for this account, or narrow the search",
        4 => {
            "; raise the server's size limit for this account (slapd: limits … \
             size.prtotal=unlimited)"
        }
        11 => {
            "; the request exceeds the server's limits for this account: lower page_size, or raise \
             its limits (slapd: size.pr, 389-ds: nsslapd-lookthroughlimit and \
             nsPagedLookThroughLimit)"
        }
        12 => {
            "; the server does not offer paged results (RFC 2696), without which completeness \
             cannot be proven"
        }
        8 | 13 => "; the server requires encryption: use ldaps:// or start_tls",
        34 => "; a search base is not a DN",
        50 => "; grant the account the right to search there",
        51 | 52 => "; the next run tries again",
        _ => "",
    }
}

/// The meaning of Active Directory's code in a refused bind (Microsoft KB, `AcceptSecurityContext
/// error, data …`).
fn bind_advice(text: &str) -> &'static str {
    let code = text
        .split("data ")
        .nth(1)
        .and_then(|rest| rest.split([',', ' ', '\0']).next());
    match code {
        Some("525") => "; the account does not exist",
        Some("52e") => "; the name or the password is wrong",
        Some("530") => "; the account may not log on at this time",
        Some("531") => "; the account may not log on from here",
        Some("532") => "; the password has expired",
        Some("533") => "; the account is disabled",
        Some("701") => "; the account has expired",
        Some("773") => "; the password must be changed first",
        Some("775") => "; the account is locked",
        _ => "; check bind_dn and the password, and whether the account is locked",
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
    fn the_reason_of_active_directory_is_told() {
        let text = "80090308: LdapErr: DSID-0C09056B, comment: AcceptSecurityContext error, data \
                    533, v4563";
        let error = DirectoryError::BindRefused {
            server: "ldap://dc".into(),
            who: "cn=sync".into(),
            code: 49,
            text: text.into(),
        };
        assert!(
            error
                .to_string()
                .ends_with("v4563; the account is disabled"),
            "{error}"
        );
    }
}
