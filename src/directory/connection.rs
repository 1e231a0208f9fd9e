//! One bound connection to one server: the library, its driver, and the guard between it and the
//! network.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, ResultEntry, SearchStream, StdStream,
    controls::Control, exop::WhoAmI, result::ExopResult,
};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::{
    error::{DirectoryError, scrubbed, words},
    place::Place,
    transport::Transport,
};
use crate::{
    config::Secret,
    directory::wire::{
        entries,
        entries::{Batch, FromServer},
        framing,
        framing::End,
        gate::Gate,
    },
    model::{bind_account::BindAccount, entry::Entry, server_kind::ServerKind},
};

/// A message of a search.
#[derive(Debug)]
pub(super) enum Message {
    /// An entry without controls.
    Entry(Entry),
    /// Whatever took the library's way: a reference, an intermediate message, an entry with controls.
    Other(ResultEntry),
}

impl Message {
    /// Its controls.
    pub(super) fn controls(&self) -> &[Control] {
        match self {
            Self::Entry(_) => &[],
            Self::Other(message) => &message.1,
        }
    }
}

/// Entries of a search that arrived and were not yet taken.
#[derive(Debug, Default)]
struct Received {
    /// The id of the search's request.
    search: i32,
    entries: VecDeque<Entry>,
    /// Whether the search has ended: no more arrive.
    is_ended: bool,
}

/// One bound connection, used by one task at a time; dropping it closes it at once.
#[derive(Debug)]
pub struct Connection {
    pub(super) ldap: Ldap,
    driver: AbortOnDropHandle<Result<(), LdapError>>,
    guard: AbortOnDropHandle<()>,
    gate: Arc<Gate>,
    from_server: FromServer,
    received: Received,
    end: End,
    server: String,
    pub(super) operation_timeout: Duration,
    born: Instant,
    is_ended: bool,
    password: Option<Secret>,
    kind: Option<ServerKind>,
    is_to_global_catalogue: bool,
    detected: Option<ServerKind>,
    account: BindAccount,
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
        let gate = Arc::<Gate>::default();
        let at = Arc::clone(&gate);
        let (to_search, from_server) = entries::channel();
        let (guard, end) = match transport {
            Transport::Plain(stream) => framing::spawn(stream, near, to_search, at),
            Transport::Tls(stream) => framing::spawn(stream, near, to_search, at),
            Transport::Socket(stream) => framing::spawn(stream, near, to_search, at),
            #[cfg(feature = "gssapi")]
            Transport::Sealed(stream) => framing::spawn(stream, near, to_search, at),
        };
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(far));
        let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi://guard")
            .await
            .map_err(|error| local(io::Error::other(error)))?;
        Ok(Self {
            ldap,
            driver: AbortOnDropHandle::new(tokio::spawn(driver.drive())),
            guard,
            gate,
            from_server,
            received: Received::default(),
            end,
            server,
            operation_timeout,
            born: Instant::now(),
            is_ended: false,
            password,
            kind: None,
            is_to_global_catalogue: false,
            detected: None,
            account: BindAccount::Anonymous,
        })
    }

    /// The same, to be bound as this account.
    pub(super) fn of_account(self, account: BindAccount) -> Self {
        Self { account, ..self }
    }

    /// As whom it is bound.
    pub(super) fn account(&self) -> &BindAccount {
        &self.account
    }

    /// Whether it is bound as nobody in particular.
    pub(super) fn is_anonymous(&self) -> bool {
        self.account == BindAccount::Anonymous
    }

    /// The principal by whose ticket it is bound.
    pub(super) fn principal(&self) -> Option<&str> {
        match &self.account {
            BindAccount::Ticket(principal) => principal.as_deref(),
            BindAccount::Anonymous
            | BindAccount::Named(_)
            | BindAccount::Certificate(_)
            | BindAccount::User(_) => None,
        }
    }

    /// The same to a server of this kind, whatever it says about itself, if one is configured.
    pub(super) fn of_kind(self, kind: Option<ServerKind>) -> Self {
        Self { kind, ..self }
    }

    /// The same to a server that listens there.
    pub(super) fn to(self, place: &Place) -> Self {
        Self {
            is_to_global_catalogue: place.is_global_catalogue(),
            ..self
        }
    }

    /// Whether it leads to the global catalogue of an Active Directory.
    pub(super) fn is_to_global_catalogue(&self) -> bool {
        self.is_to_global_catalogue
    }

    /// The configured kind of the server.
    pub(super) fn kind(&self) -> Option<ServerKind> {
        self.kind
    }

    /// Notes the kind that the server shows.
    pub(super) fn shows_kind(&mut self, detected: ServerKind) {
        self.detected = Some(detected);
    }

    /// The kind of the server: as configured, or else as it has shown itself.
    pub(super) fn known_kind(&self) -> Option<ServerKind> {
        self.kind.or(self.detected)
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
    pub(super) async fn answers(&self, limit: Duration) -> bool {
        self.who_am_i(limit).await.is_some()
    }

    /// Asks the server whom it takes this connection for (RFC 4532); none without an answer.
    async fn who_am_i(&self, limit: Duration) -> Option<ExopResult> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(limit);
        let asked = tokio::spawn(async move { ldap.extended(WhoAmI).await });
        AbortOnDropHandle::new(asked).await.ok()?.ok()
    }

    /// Whom the server takes this connection for, safe to print: empty for nobody in particular, and
    /// none where it does not say.
    pub(super) async fn identity(&mut self) -> Option<String> {
        let ExopResult(answer, result) = self.who_am_i(self.operation_timeout).await?;
        if result.rc != 0 {
            return None;
        }
        let identity = answer.val.unwrap_or_default();
        Some(if identity.is_empty() {
            String::new()
        } else {
            self.words(&String::from_utf8_lossy(&identity))
        })
    }

    /// The next message of a search, which makes room for another one; none after the last.
    pub(super) async fn next<'a, S, A>(
        &mut self,
        stream: &mut SearchStream<'a, S, A>,
        tried: &str,
    ) -> Result<Option<Message>, DirectoryError>
    where
        S: AsRef<str> + Send + Sync + 'a,
        A: AsRef<[S]> + Send + Sync + 'a,
    {
        let search = stream.ldap_handle().last_id();
        if self.received.search != search {
            self.received = Received {
                search,
                ..Received::default()
            };
        }
        loop {
            if let Some(entry) = self.received.entries.pop_front() {
                return Ok(Some(Message::Entry(entry)));
            }
            // The library's stream must not be asked again after its end.
            if self.received.is_ended {
                return Ok(None);
            }
            tokio::select! {
                biased;
                Some(batch) = self.from_server.recv() => self.receive(batch),
                message = stream.next() => {
                    match self.passed_on(message, tried)? {
                        Some(message) => return Ok(Some(Message::Other(message))),
                        // All entries were passed on before the result.
                        None => {
                            self.received.is_ended = true;
                            while let Ok(batch) = self.from_server.try_recv() {
                                self.receive(batch);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The next message of one of several searches that go on at the same time, and whose entries all
    /// have controls; none after the last.
    pub(super) async fn next_of_several<'a, S, A>(
        &self,
        stream: &mut SearchStream<'a, S, A>,
        tried: &str,
    ) -> Result<Option<ResultEntry>, DirectoryError>
    where
        S: AsRef<str> + Send + Sync + 'a,
        A: AsRef<[S]> + Send + Sync + 'a,
    {
        let message = stream.next().await;
        self.passed_on(message, tried)
    }

    /// What the library passes on of a search, which makes room for another message.
    fn passed_on(
        &self,
        message: Result<Option<ResultEntry>, LdapError>,
        tried: &str,
    ) -> Result<Option<ResultEntry>, DirectoryError> {
        self.gate.take();
        message.map_err(|error| self.failure(tried, &error))
    }

    /// Takes entries over; those of an earlier search concern nobody any more.
    fn receive(&mut self, Batch { entries, under_way }: Batch) {
        self.gate.give_back(under_way);
        let search = self.received.search;
        let own = entries.into_iter().filter(|(id, _)| *id == search);
        self.received.entries.extend(own.map(|(_, entry)| entry));
    }

    /// A text of the server, safe to print, without the password that it was bound with.
    pub(super) fn words(&self, text: &str) -> String {
        words(&scrubbed(text, self.password.as_ref()))
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
                text: self.words(&result.text),
                kind: self.known_kind(),
            };
        }
        match self.end.get() {
            Some(ended) => ended.error(&self.server, tried, |text| self.words(text)),
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
