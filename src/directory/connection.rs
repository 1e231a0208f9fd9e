//! One bound connection to one server: the library, its driver, and the guard between it and the
//! network.

use std::{
    io,
    time::{Duration, Instant},
};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream, exop::WhoAmI};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::{DirectoryError, words},
    transport::Transport,
};
use crate::{
    config::Secret,
    directory::wire::{framing, framing::End},
};

/// One bound connection, used by one task at a time; dropping it closes it at once.
#[derive(Debug)]
pub struct Connection {
    pub(super) ldap: Ldap,
    driver: AbortOnDropHandle<Result<(), LdapError>>,
    guard: AbortOnDropHandle<()>,
    end: End,
    server: String,
    pub(super) operation_timeout: Duration,
    born: Instant,
    is_ended: bool,
    password: Option<Secret>,
}

impl Connection {
    /// Puts the guard and the library on a byte stream, on which the caller then binds with this
    /// password.
    pub(super) async fn start(
        transport: Transport,
        server: String,
        operation_timeout: Duration,
        password: Option<Secret>,
    ) -> Result<Self, DirectoryError> {
        let local = |error: io::Error| DirectoryError::Lost {
            server: server.clone(),
            tried: "setting up".into(),
            reason: format!("no socket pair: {error}"),
        };
        let (near, far) = UnixStream::pair().map_err(local)?;
        let far = far.into_std().map_err(local)?;
        let (guard, end) = match transport {
            Transport::Plain(stream) => framing::spawn(stream, near),
            Transport::Tls(stream) => framing::spawn(stream, near),
        };
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(far));
        let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi://guard")
            .await
            .map_err(|error| local(io::Error::other(error)))?;
        Ok(Self {
            ldap,
            driver: AbortOnDropHandle::new(tokio::spawn(driver.drive())),
            guard,
            end,
            server,
            operation_timeout,
            born: Instant::now(),
            is_ended: false,
            password,
        })
    }

    /// The server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether it was bound with this password.
    pub(super) fn is_bound_with(&self, password: Option<&Secret>) -> bool {
        self.password.as_ref().map(Secret::expose) == password.map(Secret::expose)
    }

    /// The age of the connection.
    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Closes the connection at once.
    pub(super) fn end(&mut self) {
        self.is_ended = true; // the tasks notice only later
        self.guard.abort();
        self.driver.abort();
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&mut self) -> bool {
        self.is_ended
            || self.end.get().is_some()
            || self.guard.is_finished()
            || self.driver.is_finished()
            || self.ldap.is_closed()
    }

    /// Whether the server still answers, tested with a cheap request (RFC 4532); a refusal is an
    /// answer too.
    pub(super) async fn answers(&mut self, limit: Duration) -> bool {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(limit);
        matches!(
            AbortOnDropHandle::new(tokio::spawn(async move { ldap.extended(WhoAmI).await })).await,
            Ok(Ok(_))
        )
    }

    /// Translates an error of the library, using the reason why the connection ended when that is
    /// known.
    pub(super) fn failure(&self, tried: &str, error: &LdapError) -> DirectoryError {
        if matches!(error, LdapError::Timeout { .. }) {
            return DirectoryError::TimedOut {
                server: self.server.clone(),
                tried: tried.into(),
                limit: self.operation_timeout,
            };
        }
        if let LdapError::LdapResult { result } = error {
            return DirectoryError::Refused {
                server: self.server.clone(),
                tried: tried.into(),
                code: result.rc,
                text: words(&result.text),
            };
        }
        match self.end.get() {
            Some(ended) => ended.error(&self.server, tried),
            // The guard records every end that comes from outside; without one, the library gave up
            // on what it received.
            None => self.garbled(&format!("cannot parse a message during {tried}")),
        }
    }

    /// The error for an invalid answer.
    pub(super) fn garbled(&self, reason: &str) -> DirectoryError {
        garbled(&self.server, reason)
    }
}

/// The error for an invalid answer of a server.
pub(super) fn garbled(server: &str, reason: &str) -> DirectoryError {
    DirectoryError::Garbled {
        server: server.into(),
        reason: reason.into(),
    }
}
