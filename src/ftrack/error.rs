//! What can go wrong with ftrack: what was tried, on what server, what happened, the way out, and
//! whether trying again may help.

use std::{fmt, time::Duration};

use thiserror::Error;

use super::{key::Keys, user::EntityId};
use crate::escape::what_and_way_out;

/// Texts of the server are cut to this many characters before they reach an error.
const LONGEST_EXCERPT: usize = 300;

/// One thing that was tried at ftrack and did not come out; its text never holds the API key.
#[derive(Debug, Clone, Error)]
pub struct FtrackError {
    /// What was tried, as "reading User".
    doing: Box<str>,
    /// The server's scheme, host and port.
    server: Box<str>,
    /// How often it was tried.
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

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &FtrackErrorKind {
        &self.trouble
    }

    /// Whether the same thing may come out well later, with nothing changed by a person.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        self.trouble.passes()
    }

    /// What happened, and the way out, apart from each other.
    #[must_use]
    pub fn apart(&self) -> (String, String) {
        let (what, way_out) = self.trouble.apart();
        let times = if self.tries > 1 {
            format!(" {} times", self.tries)
        } else {
            String::new()
        };
        (format!("{} failed{times}: {what}", self.doing), way_out)
    }

    /// What the server itself said, if it answered with an error of its own.
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
            "it may work when it is tried again"
        } else {
            "trying again alone does not help"
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
    /// The server's text, cut to a bounded length.
    pub content: Box<str>,
    /// The server's code, where it gives one.
    pub error_code: Option<Box<str>>,
    /// The HTTP status that it came with; 200 unless the server honours strict mode.
    pub status: u16,
    /// Which operation of the call it stood in place of; absent when it stood in place of the whole
    /// answer.
    pub operation: Option<usize>,
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.content)?;
        match &self.error_code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// The host's name could not be resolved.
    Name,
    /// Nothing listens at the port.
    Closed,
    /// The certificate is of no trusted authority, or is not valid now.
    Untrusted,
    /// The certificate is for another host.
    WrongHost,
    /// It took longer than the limit.
    Slow,
    /// Anything else: the reason says what.
    Other,
}

impl ConnectErrorKind {
    fn way_out(self) -> &'static str {
        match self {
            Self::Name => "check the host in ftrack.server and this machine's name resolution",
            Self::Closed => "check the port in ftrack.server, and that the server runs",
            Self::Untrusted => {
                "check the server's certificate; for a server with an authority of its own set \
                 ftrack.ca_file"
            }
            Self::WrongHost => "use the name in the server's certificate in ftrack.server",
            Self::Slow => {
                "check the network and firewalls between this machine and the server, or raise \
                 ftrack.connect_timeout"
            }
            Self::Other => "check ftrack.server and the network",
        }
    }
}

/// What happened, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FtrackErrorKind {
    /// The client could not be made from its configuration.
    #[error("{0}")]
    Setup(String),
    /// No connection came about, so nothing was sent.
    #[error("no connection: {reason}; {}", .obstacle.way_out())]
    Unreachable {
        /// Which kind of obstacle.
        obstacle: ConnectErrorKind,
        /// The words of the network.
        reason: String,
    },
    /// The connection ended before the whole answer was there.
    #[error(
        "the connection broke: {0}; if it happens often, look at the proxies and balancers on the \
         way"
    )]
    Interrupted(String),
    /// The answer took too long.
    #[error("no whole answer within {}; if the server is only slow, raise ftrack.request_timeout or lower ftrack.page_size or ftrack.batch_size", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The time for the whole run was used up.
    #[error(
        "the time limit of the run was reached; raise the job's time_limit if runs need longer"
    )]
    DeadlinePassed,
    /// Somebody asked the program to stop.
    #[error("the program was told to stop")]
    Cancelled,
    /// The server sent the client elsewhere, where the key must not go.
    #[error(
        "the server answered {status}, a redirect to {host}, which is never followed; set \
         ftrack.server to the address that answers itself"
    )]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host (and port) that it named.
        host: String,
    },
    /// The server asked to slow down (429).
    #[error("the server has too many requests (429): {0}; lower ftrack.connections, or wait")]
    Busy(String),
    /// An HTTP error without an error of ftrack's in it, mostly of something between here and
    /// ftrack.
    #[error("the answer was HTTP {status}: {excerpt}; {}", status_way_out(*.status))]
    Status {
        /// The HTTP status.
        status: u16,
        /// How the body begins.
        excerpt: String,
    },
    /// A success whose body is not JSON.
    #[error(
        "the answer was not JSON but: {0}; check that ftrack.server is an ftrack server, and that \
         no login or maintenance page stands before it"
    )]
    NotJson(String),
    /// JSON that ends too early or breaks off in noise.
    #[error(
        "the answer was cut off or damaged: {0}; if it happens often, look at the proxies and \
         balancers on the way"
    )]
    Damaged(String),
    /// More bytes than any answer may have.
    #[error("the answer was larger than {} MiB; lower ftrack.page_size", .0 / (1024 * 1024))]
    TooLarge(usize),
    /// JSON that is not of the form that was asked for.
    #[error(
        "the answer is not of the expected form: {0}; this ftrack version may not be supported"
    )]
    Malformed(String),
    /// The key or its user was refused.
    #[error(
        "the server refused ftrack.api_user with ftrack.api_key: {0}; make a new key at Settings \
         > API keys, and check that the user exists and is active"
    )]
    Credentials(ServerRefusal),
    /// The key is good but may not do this.
    #[error(
        "the key has not the right to do this: {0}; give its role the permission to manage users"
    )]
    Permission(ServerRefusal),
    /// The server refused the request, with its reason.
    #[error("the server refused it: {0}")]
    Refused(ServerRefusal),
    /// A list changed each time while its pages were read.
    #[error(
        "the list of {what} changed during each of {tries} reads; something else adds or removes \
         them at the same time"
    )]
    Changing {
        /// Which list.
        what: String,
        /// How often it was read.
        tries: u32,
    },
    /// A list ended before its end, each time that it was read.
    #[error(
        "the list of {what} was cut short: it held {rows} rows, and not that of the user {lacks}, \
         which the server shows all the same; look for a limit on rows at the server or on the \
         way to it, and for something else that adds users at the same time"
    )]
    CutShort {
        /// Which list.
        what: &'static str,
        /// How many rows it held.
        rows: usize,
        /// Whose it lacked.
        lacks: EntityId,
    },
    /// A mapped custom attribute is not there.
    #[error(
        "ftrack has no custom attribute {0:?} for users that this key may read; make it at \
         Settings > Custom attributes, and let the key's role read and write it"
    )]
    UnknownCustomAttribute(String),
    /// A role that makes somebody an administrator is not there.
    #[error(
        "ftrack has no security role {role:?}, which ftrack.administrator_roles names; it has: \
         {known}"
    )]
    UnknownRole {
        /// The role's name.
        role: String,
        /// The names that exist.
        known: String,
    },
}

fn status_way_out(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => {
            "this is no error of ftrack's own: check the proxies and gateways between here and \
             ftrack"
        }
        404 | 405 | 410 => "check that ftrack.server is the address of an ftrack server",
        413 => "lower ftrack.batch_size",
        500..=599 => {
            "the server or a balancer before it has a fault; see its log or the vendor's status \
             page"
        }
        _ => "see the log of the server, or of what stands between",
    }
}

impl FtrackErrorKind {
    /// What the server itself said.
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

    /// What happened, and the way out.
    fn apart(&self) -> (String, String) {
        let way_out = match self {
            Self::Unreachable { obstacle, reason } => {
                return (
                    format!("no connection: {reason}"),
                    obstacle.way_out().to_owned(),
                );
            }
            Self::Setup(text) if !text.contains("; ") => "mend the settings of [ftrack]",
            Self::Refused(_) => "see the log of the server",
            Self::Changing { .. } => "try again when nobody else changes users",
            Self::Cancelled => "try again",
            Self::Interrupted(_)
            | Self::Setup(_)
            | Self::TimedOut(_)
            | Self::DeadlinePassed
            | Self::Redirected { .. }
            | Self::Busy(_)
            | Self::Status { .. }
            | Self::NotJson(_)
            | Self::Damaged(_)
            | Self::TooLarge(_)
            | Self::Malformed(_)
            | Self::Credentials(_)
            | Self::Permission(_)
            | Self::CutShort { .. }
            | Self::UnknownCustomAttribute(_)
            | Self::UnknownRole { .. } => {
                return what_and_way_out(self.to_string());
            }
        };
        (self.to_string(), way_out.to_owned())
    }

    /// Whether the same request may come out well later.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { obstacle, .. } => !matches!(
                obstacle,
                ConnectErrorKind::Untrusted | ConnectErrorKind::WrongHost
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
            | Self::Malformed(_)
            | Self::Credentials(_)
            | Self::Permission(_)
            | Self::UnknownCustomAttribute(_)
            | Self::UnknownRole { .. } => false,
        }
    }
}

/// What became of a write call that did not come out.
#[derive(Debug, Clone, Error)]
pub enum WriteFailure {
    /// The server said clearly that it refuses the call; one of the operations is at fault. That
    /// none of them was applied is likely but nowhere promised.
    #[error(transparent)]
    Refused(FtrackError),
    /// Nobody knows whether the operations were applied.
    #[error(transparent)]
    Unclear(FtrackError),
    /// None of the operations was applied: the call never reached the server, or was refused before
    /// it was looked at.
    #[error(transparent)]
    NotSent(FtrackError),
    /// None of the operations was applied, and no other call will fare better: the key, the address
    /// or the way is wrong.
    #[error(transparent)]
    Fatal(FtrackError),
}

impl WriteFailure {
    /// The error behind it.
    #[must_use]
    pub fn error(&self) -> &FtrackError {
        match self {
            Self::Refused(error)
            | Self::Unclear(error)
            | Self::NotSent(error)
            | Self::Fatal(error) => error,
        }
    }

    /// Sorts an error by what it says about the operations of the call.
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
            // A gateway may put its own words for a lost answer into the same form.
            FtrackErrorKind::Refused(refusal) if matches!(refusal.status, 408 | 502..=504) => {
                Self::Unclear(error)
            }
            FtrackErrorKind::Refused(_)
            | FtrackErrorKind::Permission(_)
            | FtrackErrorKind::UnknownCustomAttribute(_)
            | FtrackErrorKind::UnknownRole { .. } => Self::Refused(error),
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
            | FtrackErrorKind::Malformed(_)
            | FtrackErrorKind::Changing { .. }
            | FtrackErrorKind::CutShort { .. } => Self::Unclear(error),
        }
    }
}

/// Makes a text of the server fit for an error: one line, of bounded length, without the key.
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
        // The key before it is none to be shown either, whichever of the two holds the other.
        let longer = keys
            .followed_by(Secret::new("0123-secret-4567".to_owned()))
            .unwrap();
        assert_eq!(excerpt("0123-secret-4567 0123-secret", &longer), "*** ***");
        let shorter = longer.followed_by(Secret::new("0123".to_owned())).unwrap();
        assert_eq!(excerpt("0123-secret-4567 0123", &shorter), "*** ***");
    }
}
