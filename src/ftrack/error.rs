//! Errors of ftrack: what was tried, on which server, what happened, what to do, and whether a
//! retry may help.

use std::{
    borrow::Cow,
    fmt,
    mem::{Discriminant, discriminant},
    time::Duration,
};

use thiserror::Error;

use super::{custom_fault::CustomAttributeFault, key::Keys};
use crate::{model::user::EntityId, tls::TlsFault};

/// Texts from the server are truncated to this many characters before they reach an error.
const LONGEST_EXCERPT: usize = 300;

/// One failed operation at ftrack; its text never contains the API key.
#[derive(Debug, Clone, Error)]
pub struct FtrackError {
    /// What was tried, such as "reading User".
    doing: Box<str>,
    /// The server's scheme, host and port.
    server: Box<str>,
    /// The number of attempts.
    tries: u32,
    /// What happened.
    trouble: Box<FtrackErrorKind>,
}

impl FtrackError {
    pub(super) fn new(doing: &str, server: &str, tries: u32, trouble: FtrackErrorKind) -> Self {
        Self {
            doing: doing.into(),
            server: server.into(),
            tries,
            trouble: Box::new(trouble),
        }
    }

    /// The underlying error.
    #[must_use]
    pub fn kind(&self) -> &FtrackErrorKind {
        &self.trouble
    }

    /// Whether the same request may succeed later, without a change by a person.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        self.trouble.passes()
    }

    /// What happened, without the server's name.
    #[must_use]
    pub fn what(&self) -> String {
        let times = if self.tries > 1 {
            format!(" {} times", self.tries)
        } else {
            String::new()
        };
        format!("{} failed{times}: {}", self.doing, self.trouble.what())
    }

    /// What to do about it.
    #[must_use]
    pub fn way_out(&self) -> String {
        self.trouble.general_way_out().into_owned()
    }

    /// The server's own message, if it answered with an error of its own.
    #[must_use]
    pub fn refusal(&self) -> Option<&ServerRefusal> {
        self.trouble.refusal()
    }
}

impl fmt::Display for FtrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            doing,
            server,
            tries,
            trouble,
        } = self;
        write!(f, "{doing} at {server} failed")?;
        if *tries > 1 {
            write!(f, " {tries} times")?;
        }
        let hope = if trouble.passes() {
            "a retry may help"
        } else {
            "a retry alone does not help"
        };
        write!(f, ": {trouble} ({hope})")
    }
}

/// An error that ftrack itself reported: an object with `exception`, `content` and `error_code` in
/// place of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRefusal {
    /// The class of the error, such as `ValidationError`.
    pub exception: Box<str>,
    /// The server's text, truncated to a bounded length.
    pub content: Box<str>,
    /// The server's code, if there is one.
    pub error_code: Option<Box<str>>,
    /// The HTTP status; 200 unless the server honours strict mode.
    pub status: u16,
    /// The operation of the call that it replaced; absent when it replaced the whole answer.
    pub operation: Option<usize>,
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // More may follow, which its full stop would end.
        let content = self.content.trim_end_matches('.');
        write!(f, "{}: {content}", self.exception)?;
        match &self.error_code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}

/// Why the client cannot be built from its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupProblem {
    what: String,
    way_out: Option<String>,
}

impl SetupProblem {
    /// A problem with what to do about it.
    pub(super) fn new(what: String, way_out: String) -> Self {
        Self {
            what,
            way_out: Some(way_out),
        }
    }
}

impl From<String> for SetupProblem {
    fn from(what: String) -> Self {
        Self {
            what,
            way_out: None,
        }
    }
}

/// Why no connection was established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// The host's name could not be resolved.
    Name,
    /// Nothing listens on the port.
    Closed,
    /// The certificate is not issued by a trusted authority.
    Untrusted,
    /// The certificate is for another host.
    WrongHost,
    /// Another fault of the certificate, and what to do about it.
    Certificate(&'static str),
    /// The server does not speak TLS.
    NotTls,
    /// It was tried through a proxy.
    Proxy,
    /// It took longer than the limit.
    Slow,
    /// Anything else: the reason says what.
    Other,
}

impl ConnectErrorKind {
    pub(super) fn of_tls(fault: &TlsFault) -> Self {
        match fault {
            TlsFault::UntrustedIssuer { .. } => Self::Untrusted,
            TlsFault::WrongHost { .. } => Self::WrongHost,
            TlsFault::NotTls { .. } => Self::NotTls,
            TlsFault::NoAlternativeName
            | TlsFault::Version1
            | TlsFault::WeakSignature
            | TlsFault::Authority
            | TlsFault::Expired
            | TlsFault::NotYetValid => fault.way_out().map_or(Self::Other, Self::Certificate),
            TlsFault::ClientCertificate { .. } | TlsFault::Other { .. } => Self::Other,
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::Name => "check the host in ftrack.server and this machine's name resolution",
            Self::Closed => "check the port in ftrack.server, and that the server runs",
            Self::Untrusted => {
                "check the server's certificate; for a server with its own certificate authority \
                 set ftrack.ca_file"
            }
            Self::WrongHost => "use the name in the server's certificate in ftrack.server",
            Self::Certificate(way_out) => way_out,
            Self::NotTls => {
                "check the port in ftrack.server: https:// needs one at which the server speaks TLS"
            }
            Self::Proxy => {
                "check that the proxy runs and lets this machine through, or correct the variable; \
                 NO_PROXY lists hosts that are reached without it"
            }
            Self::Slow => {
                "check the network and firewalls between this machine and the server, or raise \
                 ftrack.connect_timeout"
            }
            Self::Other => "check ftrack.server and the network",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum FtrackErrorKind {
    /// The client could not be built from its configuration.
    Setup(SetupProblem),
    /// No connection was established, so nothing was sent.
    Unreachable {
        obstacle: ConnectErrorKind,
        /// The network's error message.
        reason: String,
    },
    /// The connection ended before the whole answer was received.
    Interrupted(String),
    /// The answer took too long.
    TimedOut(Duration),
    /// The time limit of the whole run was reached.
    DeadlinePassed,
    /// A stop was requested.
    Cancelled,
    /// The server redirected the client elsewhere, where the key must not be sent.
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host (and port) of the redirect.
        host: String,
    },
    /// The server is rate limiting (429).
    Busy(String),
    /// An HTTP error without an error of ftrack's in it, mostly from something in between.
    Status {
        /// The HTTP status.
        status: u16,
        /// How the body begins.
        excerpt: String,
    },
    /// A successful answer whose body is not JSON.
    NotJson(String),
    /// JSON that is truncated or damaged.
    Damaged(String),
    /// The answer exceeds the size limit.
    TooLarge(usize),
    /// What was read exceeds so many bytes of memory.
    TooMuch(usize),
    /// JSON that does not have the expected form.
    Malformed(String),
    /// The key or its user was refused.
    Credentials(ServerRefusal),
    /// The key is valid but lacks the permission.
    Permission(ServerRefusal),
    /// The server refused the request, with its reason.
    Refused(ServerRefusal),
    /// A list changed during each read of its pages.
    Changing {
        /// Which list.
        what: String,
        /// How often it was read.
        tries: u32,
    },
    /// A list was incomplete each time that it was read.
    CutShort {
        /// Which list.
        what: &'static str,
        /// How many rows it held.
        rows: usize,
        /// The user whose row is missing.
        lacks: EntityId,
    },
    /// A mapped custom attribute does not exist, or cannot be written.
    CustomAttribute(CustomAttributeFault),
    /// A configured role, project or group does not exist, or cannot be given to users.
    UnusableGrant {
        /// Which one, and why.
        problem: String,
        /// The names of others.
        known: String,
    },
}

/// What calls are repeated for, whatever the server's words: the kind of error, what was in the way
/// of a connection, and the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RetryCause {
    kind: Discriminant<FtrackErrorKind>,
    obstacle: Option<Discriminant<ConnectErrorKind>>,
    status: Option<u16>,
}

fn status_way_out(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => {
            "this is not ftrack's own error: check the proxies and gateways between here and \
             ftrack"
        }
        404 | 405 | 410 => "check that ftrack.server is the address of an ftrack server",
        413 => "lower ftrack.batch_size",
        500..=599 => {
            "the server or a load balancer in front of it has a fault; see its log or the \
             vendor's status page"
        }
        _ => "see the log of the server, or of what is in between",
    }
}

impl FtrackErrorKind {
    /// What a call is repeated for.
    pub(super) fn retry_cause(&self) -> RetryCause {
        let of_refusal = self.refusal().map(|refusal| refusal.status);
        RetryCause {
            kind: discriminant(self),
            obstacle: if let Self::Unreachable { obstacle, .. } = self {
                Some(discriminant(obstacle))
            } else {
                None
            },
            status: if let Self::Status { status, .. } = self {
                Some(*status)
            } else {
                of_refusal
            },
        }
    }

    /// The server's own message.
    #[must_use]
    pub fn refusal(&self) -> Option<&ServerRefusal> {
        if let Self::Credentials(refusal) | Self::Permission(refusal) | Self::Refused(refusal) =
            self
        {
            Some(refusal)
        } else {
            None
        }
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Setup(problem) => problem.what.clone(),
            Self::Unreachable { reason, .. } => format!("no connection: {reason}"),
            Self::Interrupted(reason) => format!("the connection broke: {reason}"),
            Self::TimedOut(limit) => format!(
                "no complete answer within {}",
                humantime::format_duration(*limit)
            ),
            Self::DeadlinePassed => "the time limit of the run was reached".to_owned(),
            Self::Cancelled => "stopped on request".to_owned(),
            Self::Redirected { status, host } => format!(
                "the server answered {status}, a redirect to {host}, which is never followed"
            ),
            Self::Busy(excerpt) => format!("the server has too many requests (429): {excerpt}"),
            Self::Status { status, excerpt } => {
                format!("the answer was HTTP {status}: {excerpt}")
            }
            Self::NotJson(excerpt) => format!("the answer was not JSON but: {excerpt}"),
            Self::Damaged(reason) => format!("the answer was cut off or damaged: {reason}"),
            Self::TooLarge(bytes) => {
                format!("the answer was larger than {} MiB", bytes / (1024 * 1024))
            }
            Self::TooMuch(bytes) => {
                format!(
                    "what it sent needs more than {} MiB of memory",
                    bytes / (1024 * 1024)
                )
            }
            Self::Malformed(reason) => {
                format!("the answer does not have the expected form: {reason}")
            }
            Self::Credentials(refusal) => {
                format!("the server refused ftrack.api_user with its API key: {refusal}")
            }
            Self::Permission(refusal) => {
                format!("the key lacks the permission to do this: {refusal}")
            }
            Self::Refused(refusal) => format!("the server refused it: {refusal}"),
            Self::Changing { what, tries } => {
                format!("the list of {what} changed during each of {tries} reads")
            }
            Self::CutShort { what, rows, lacks } => format!(
                "the list of {what} was cut short: it had {rows} rows, without that of the user \
                 {lacks}, which the server returns otherwise"
            ),
            Self::CustomAttribute(fault) => fault.what(),
            Self::UnusableGrant { problem, .. } => problem.clone(),
        }
    }

    /// What to do about it, if the error alone shows that.
    #[must_use]
    pub fn way_out(&self) -> Option<Cow<'static, str>> {
        let between = "if it happens often, check the proxies and load balancers in between";
        let way_out = match self {
            Self::Setup(problem) => return problem.way_out.clone().map(Into::into),
            Self::Cancelled | Self::Refused(_) => return None,
            Self::UnusableGrant { known, .. } => return Some(format!("it has: {known}").into()),
            Self::Unreachable { obstacle, .. } => obstacle.way_out(),
            Self::Interrupted(_) | Self::Damaged(_) => between,
            Self::TimedOut(_) => {
                "if the server is only slow, raise ftrack.request_timeout or lower \
                 ftrack.page_size or ftrack.batch_size"
            }
            Self::DeadlinePassed => "raise the job's time_limit if runs need longer",
            Self::Redirected { .. } => "set ftrack.server to the final address",
            Self::Busy(_) => "lower ftrack.connections, or wait",
            Self::Status { status, .. } => status_way_out(*status),
            Self::NotJson(_) => {
                "check that ftrack.server is an ftrack server, and that no login or maintenance \
                 page is in front of it"
            }
            Self::TooLarge(_) => "lower ftrack.page_size",
            Self::TooMuch(_) => {
                "see which users have values of such a length, or whether something else answers \
                 in the server's place"
            }
            Self::Malformed(_) => "this ftrack version may not be supported",
            Self::Credentials(_) => {
                "check that the user exists and is active, and that the key is that user's; or \
                 create a new key under System settings > Security > API keys"
            }
            Self::Permission(_) => "give its role the permission to manage users",
            Self::Changing { .. } => "something else adds or removes them at the same time",
            Self::CutShort { .. } => {
                "check for a row limit on the server or in between, and for something else that \
                 adds users at the same time"
            }
            Self::CustomAttribute(fault) => fault.way_out(),
        };
        Some(way_out.into())
    }

    /// What to do where the error shows no more.
    fn general_way_out(&self) -> Cow<'static, str> {
        match self {
            Self::Setup(_) => self
                .way_out()
                .unwrap_or("fix the settings of [ftrack]".into()),
            Self::Refused(_) => "see the log of the server".into(),
            Self::Changing { .. } => "try again when nothing else changes users".into(),
            Self::Unreachable { .. }
            | Self::Interrupted(_)
            | Self::TimedOut(_)
            | Self::DeadlinePassed
            | Self::Cancelled
            | Self::Redirected { .. }
            | Self::Busy(_)
            | Self::Status { .. }
            | Self::NotJson(_)
            | Self::Damaged(_)
            | Self::TooLarge(_)
            | Self::TooMuch(_)
            | Self::Malformed(_)
            | Self::Credentials(_)
            | Self::Permission(_)
            | Self::CutShort { .. }
            | Self::CustomAttribute(_)
            | Self::UnusableGrant { .. } => self.way_out().unwrap_or("try again".into()),
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { obstacle, .. } => !matches!(
                obstacle,
                ConnectErrorKind::Untrusted
                    | ConnectErrorKind::WrongHost
                    | ConnectErrorKind::Certificate(_)
                    | ConnectErrorKind::NotTls
            ),
            Self::Status { status, .. } => matches!(status, 408 | 425 | 500..=599),
            Self::Refused(refusal) => refusal.status >= 500,
            Self::Interrupted(_)
            | Self::TimedOut(_)
            | Self::DeadlinePassed
            | Self::Cancelled
            | Self::Busy(_)
            | Self::NotJson(_)
            | Self::Damaged(_)
            | Self::Changing { .. }
            | Self::CutShort { .. } => true,
            Self::Setup(_)
            | Self::Redirected { .. }
            | Self::TooLarge(_)
            | Self::TooMuch(_)
            | Self::Malformed(_)
            | Self::Credentials(_)
            | Self::Permission(_)
            | Self::CustomAttribute(_)
            | Self::UnusableGrant { .. } => false,
        }
    }
}

impl fmt::Display for FtrackErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what();
        match self.way_out() {
            // The server's own text may be a sentence.
            Some(way_out) => write!(f, "{}; {way_out}", what.trim_end_matches('.')),
            None => f.write_str(&what),
        }
    }
}

impl std::error::Error for FtrackErrorKind {}

/// The result of a write call that failed.
#[derive(Debug, Clone, Error)]
pub enum WriteFailure {
    /// The server clearly refused the call; one of the operations is at fault. That none of them
    /// was applied is likely but not guaranteed.
    #[error(transparent)]
    Refused(FtrackError),
    /// It is not known whether the operations were applied.
    #[error(transparent)]
    Unclear(FtrackError),
    /// None of the operations was applied: the call did not reach the server, or was refused before
    /// it was processed.
    #[error(transparent)]
    NotSent(FtrackError),
    /// None of the operations was applied, and no other call will succeed: the key, the address or
    /// the connection is wrong.
    #[error(transparent)]
    Fatal(FtrackError),
}

impl WriteFailure {
    /// The underlying error.
    #[must_use]
    pub fn error(&self) -> &FtrackError {
        match self {
            Self::Refused(error)
            | Self::Unclear(error)
            | Self::NotSent(error)
            | Self::Fatal(error) => error,
        }
    }

    /// Classifies an error by what it says about the operations of the call.
    pub(super) fn of(error: FtrackError) -> Self {
        match error.kind() {
            FtrackErrorKind::Unreachable { .. } if !error.may_be_retried() => Self::Fatal(error),
            FtrackErrorKind::Unreachable { .. }
            | FtrackErrorKind::Busy(_)
            | FtrackErrorKind::DeadlinePassed
            | FtrackErrorKind::Cancelled => Self::NotSent(error),
            FtrackErrorKind::Setup(_)
            | FtrackErrorKind::Redirected { .. }
            | FtrackErrorKind::Credentials(_) => Self::Fatal(error),
            // A gateway may report a lost answer in the same form.
            FtrackErrorKind::Refused(refusal) if matches!(refusal.status, 408 | 502..=504) => {
                Self::Unclear(error)
            }
            FtrackErrorKind::Refused(_)
            | FtrackErrorKind::Permission(_)
            | FtrackErrorKind::CustomAttribute(_)
            | FtrackErrorKind::UnusableGrant { .. } => Self::Refused(error),
            FtrackErrorKind::Status { status, .. } => match status {
                401 | 403 | 404 | 405 | 407 | 410 => Self::Fatal(error),
                400 | 409 | 411..=424 | 431 => Self::Refused(error),
                _ => Self::Unclear(error),
            },
            FtrackErrorKind::Interrupted(_)
            | FtrackErrorKind::TimedOut(_)
            | FtrackErrorKind::NotJson(_)
            | FtrackErrorKind::Damaged(_)
            | FtrackErrorKind::TooLarge(_)
            | FtrackErrorKind::TooMuch(_)
            | FtrackErrorKind::Malformed(_)
            | FtrackErrorKind::Changing { .. }
            | FtrackErrorKind::CutShort { .. } => Self::Unclear(error),
        }
    }
}

/// Makes a text of the server safe for an error: one line, of bounded length, without the key.
pub(super) fn excerpt(text: &str, keys: &Keys) -> String {
    let beginning: String = text.chars().take(LONGEST_EXCERPT * 8).collect();
    let scrubbed = keys.scrub(beginning);
    let mut line = String::with_capacity(LONGEST_EXCERPT);
    for word in scrubbed
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > LONGEST_EXCERPT {
        line = line.chars().take(LONGEST_EXCERPT).chain(['…']).collect();
    }
    if line.is_empty() {
        "an empty text".to_owned()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{super::key::Keys, LONGEST_EXCERPT, excerpt};
    use crate::config::Secret;

    #[test]
    fn an_excerpt_is_one_short_line_without_the_key() {
        let keys = Keys::new(Secret::new("0123-secret".to_owned())).unwrap();
        assert_eq!(
            excerpt("<h1>no\r\n\tkey 0123-secret\u{1b}[31m</h1>", &keys),
            "<h1>no key *** [31m</h1>"
        );
        assert_eq!(excerpt(" \n", &keys), "an empty text");
        let long = excerpt(&"0123-secret".repeat(1000), &keys);
        assert_eq!(long.chars().count(), LONGEST_EXCERPT + 1);
        assert!(!long.contains("0123"), "{long}");
        // The previous key must not be shown either, whichever of the two contains the other.
        let longer = keys
            .followed_by(Secret::new("0123-secret-4567".to_owned()))
            .unwrap();
        assert_eq!(excerpt("0123-secret-4567 0123-secret", &longer), "*** ***");
        let shorter = longer.followed_by(Secret::new("0123".to_owned())).unwrap();
        assert_eq!(excerpt("0123-secret-4567 0123", &shorter), "*** ***");
    }
}
