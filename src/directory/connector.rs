//! Connects to a server step by step: resolve, connect, StartTLS or TLS, bind.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant as Moment, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::Url;

#[cfg(feature = "gssapi")]
use super::sasl::{self, Outcome};
use super::{
    binds::Binds,
    connection::{Connection, garbled},
    credentials::{Credentials, Presented},
    error::{BindMethod, DirectoryError},
    place::{Host, Place, connect_to_any, connect_to_socket},
    start_tls::start_tls,
    tls,
    transport::Transport,
};
#[cfg(feature = "gssapi")]
use crate::model::bind_account::BindAccount;
use crate::{
    config::{Directory, Secret, SrvScheme, files, is_socket},
    model::{readable_time::readable_time, server_kind::ServerKind},
    tls::TlsFault,
};

/// How every server of a directory is reached, whatever its address.
#[derive(Debug)]
pub(super) struct Access {
    /// The directory's name in the configuration.
    directory: String,
    tls: Option<Arc<ClientConfig>>,
    start_tls: bool,
    credentials: Credentials,
    /// Where and how the directory's servers are reached, for marks.
    way: String,
    connect_timeout: Duration,
    operation_timeout: Duration,
    /// As configured.
    kind: Option<ServerKind>,
}

/// Connects to one server.
#[derive(Debug, Clone)]
pub struct Connector {
    access: Arc<Access>,
    /// The URL without anything but scheme, host and port, for errors and reports.
    server: String,
    place: Place,
    encryption: Encryption,
    binds: Arc<Binds>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    None,
    StartTls,
    Tls,
}

impl Access {
    /// The settings of a directory; reads the certificate files, but does not use the network.
    ///
    /// # Errors
    /// A certificate file cannot be used, or settings contradict each other.
    pub fn new(name: &str, directory: &Directory) -> Result<Self, DirectoryError> {
        let Directory {
            start_tls,
            connect_timeout,
            operation_timeout,
            kind,
            ..
        } = *directory;
        let by_records = directory.srv.is_some() && directory.srv_scheme != Some(SrvScheme::Ldap);
        let is_encrypted =
            start_tls || by_records || directory.urls.iter().any(|url| url.scheme() == "ldaps");
        let has_files = directory.ca_file.is_some()
            || directory.client_cert_file.is_some()
            || directory.client_key_file.is_some();
        let tls = if is_encrypted || has_files {
            Some(tls::client_config(name, directory)?)
        } else {
            None
        };
        let credentials =
            Credentials::of(directory).map_err(|reason| DirectoryError::Settings {
                directory: name.into(),
                reason: reason.into(),
            })?;
        Ok(Self {
            directory: name.into(),
            tls,
            start_tls,
            credentials,
            way: way(directory),
            connect_timeout,
            operation_timeout,
            kind,
        })
    }

    /// The mark of what would be tried now: see `Secret::mark_on`.
    ///
    /// # Errors
    /// `File` when the password's file no longer contains one.
    pub async fn mark(&self, salt: &str) -> Result<String, DirectoryError> {
        let presented = self.credentials.present().await?;
        Ok(self.mark_of(presented.secret(), salt))
    }

    /// The mark of what was tried with this password, or without one.
    pub fn mark_of(&self, password: Option<&Secret>, salt: &str) -> String {
        let none = Secret::new(String::new());
        password
            .unwrap_or(&none)
            .mark_on(salt, self.credentials.identity(), &self.way)
    }
}

impl Connector {
    /// To the server with this URL.
    ///
    /// # Errors
    /// It is no URL of an LDAP server.
    pub(super) fn new(access: &Arc<Access>, url: &Url) -> Result<Self, DirectoryError> {
        let settings = |reason: String| DirectoryError::Settings {
            directory: access.directory.clone(),
            reason: format!("{url}: {reason}"),
        };
        let (encryption, usual_port) = match url.scheme() {
            "ldaps" => (Encryption::Tls, 636),
            "ldap" if access.start_tls => (Encryption::StartTls, 389),
            "ldap" | "ldapi" => (Encryption::None, 389),
            _ => {
                let reason = "only ldaps://, ldap:// and ldapi:// are supported";
                return Err(settings(reason.into()));
            }
        };
        Ok(Self {
            access: Arc::clone(access),
            server: shown(url),
            place: Place::of(url, usual_port).map_err(settings)?,
            encryption,
            binds: Arc::default(),
        })
    }

    /// The server's URL, as shown in errors and reports.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it leads to the global catalogue of an Active Directory, by its port.
    pub(super) fn is_to_global_catalogue(&self) -> bool {
        self.place.is_global_catalogue()
    }

    /// Whether the connection is encrypted from the start.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption != Encryption::None
    }

    /// The kind of server that the configuration says; none where the server's own is taken.
    #[must_use]
    pub fn kind(&self) -> Option<ServerKind> {
        self.access.kind
    }

    /// How a bind is made and as whom, for people.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.access.credentials
    }

    /// Time limit for one connection, bind included.
    pub(super) fn limit(&self) -> Duration {
        let Access {
            connect_timeout,
            operation_timeout,
            ..
        } = &*self.access;
        connect_timeout.saturating_add(*operation_timeout)
    }

    /// Makes a bound connection.
    ///
    /// # Errors
    /// The step that failed; each has its own kind.
    pub async fn connect(&self) -> Result<Connection, DirectoryError> {
        let until = self.until();
        let transport = match &self.place {
            Place::Host(host) => {
                let addresses = self.resolve(host, until).await?;
                let tcp = self.tcp(&addresses, until).await?;
                self.secure(host, tcp, until).await?
            }
            Place::Socket(files) => {
                let (socket, _) = self.socket(files, until).await?;
                Transport::Socket(socket)
            }
        };
        self.bind(transport).await
    }

    /// The deadline for name resolution, connecting and TLS, which start now.
    #[must_use]
    pub fn until(&self) -> Moment {
        Moment::now() + self.access.connect_timeout
    }

    /// All addresses of a server's host.
    ///
    /// # Errors
    /// `NameNotResolved`, `TimedOut`.
    pub async fn resolve(
        &self,
        host: &Host,
        until: Moment,
    ) -> Result<Vec<SocketAddr>, DirectoryError> {
        let failed = |reason: String| DirectoryError::NameNotResolved {
            server: self.server.clone(),
            host: host.name.clone(),
            reason,
        };
        let looked_up = timeout_at(until, lookup_host((host.name.as_str(), host.port)))
            .await
            .map_err(|_| self.timed_out("resolving the name"))?;
        let addresses: Vec<SocketAddr> = looked_up
            .map_err(|error| failed(error.to_string()))?
            .collect();
        if addresses.is_empty() {
            Err(failed("it has no address".into()))
        } else {
            Ok(addresses)
        }
    }

    /// A TCP connection to the first address that answers.
    ///
    /// # Errors
    /// `Connect`, `TimedOut`.
    pub async fn tcp(
        &self,
        addresses: &[SocketAddr],
        until: Moment,
    ) -> Result<TcpStream, DirectoryError> {
        match timeout_at(until, connect_to_any(addresses)).await {
            Ok(Ok((stream, address))) => self.tuned(stream, address),
            Ok(Err((address, reason))) => Err(self.not_connected(address, reason)),
            Err(_) => Err(self.timed_out(&match addresses {
                [only] => format!("connecting to {only}"),
                [] | [..] => "connecting".into(),
            })),
        }
    }

    /// A connection to a socket of this machine, with the file at which it is.
    ///
    /// # Errors
    /// `Connect`, `TimedOut`.
    pub async fn socket<'f>(
        &self,
        files: &'f [std::path::PathBuf],
        until: Moment,
    ) -> Result<(UnixStream, &'f Path), DirectoryError> {
        timeout_at(until, connect_to_socket(files))
            .await
            .map_err(|_| self.timed_out("connecting"))?
            .map_err(|(file, reason)| self.not_connected(file, reason))
    }

    /// Encrypts a connection as configured.
    ///
    /// # Errors
    /// `StartTlsRefused`, `Tls`, `TimedOut`, `Lost`, `Garbled`.
    pub async fn secure(
        &self,
        host: &Host,
        tcp: TcpStream,
        until: Moment,
    ) -> Result<Transport, DirectoryError> {
        let (Some(config), true) = (&self.access.tls, self.is_encrypted()) else {
            return Ok(Transport::Plain(tcp));
        };
        let tls = |fault: TlsFault| DirectoryError::Tls {
            server: self.server.clone(),
            fault,
        };
        let tcp = match self.encryption {
            Encryption::StartTls => timeout_at(until, start_tls(tcp, &self.server))
                .await
                .map_err(|_| self.timed_out("StartTLS"))??,
            Encryption::None | Encryption::Tls => tcp,
        };
        let name = ServerName::try_from(host.name.clone()).map_err(|_| {
            tls(TlsFault::Other {
                detail: format!("{} cannot be a name in a certificate", host.name),
            })
        })?;
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        match timeout_at(until, handshake).await {
            Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(tls(TlsFault::of_handshake(&error))),
            Err(_) => Err(self.timed_out("the TLS handshake")),
        }
    }

    /// Binds as configured, with the current password from its file.
    ///
    /// The answer to a bind that was sent is always awaited, even if the caller no longer waits for
    /// it, since a refusal counts against the account.
    ///
    /// # Errors
    /// `BindRefused`, `TimedOut`, `Lost`, `Garbled`, `File`, and `Tls` when the server refuses the
    /// client certificate.
    pub async fn bind(&self, transport: Transport) -> Result<Connection, DirectoryError> {
        let presented = self.access.credentials.present().await?;
        if let Presented::Ticket { key } = presented {
            return self.bind_by_ticket(transport, key).await;
        }
        let connection = Connection::start(
            transport,
            self.server.clone(),
            self.access.operation_timeout,
            presented.secret().cloned(),
        )
        .await?
        .of_kind(self.access.kind)
        .of_account(self.credentials().account())
        .to(&self.place);
        let mut ldap = connection.ldap.clone();
        ldap.with_timeout(self.access.operation_timeout);
        let binds = Arc::clone(&self.binds);
        // In a task of its own, also because the library panics on a bind answer of another type.
        let bound = tokio::spawn(async move {
            let trial = binds.begin();
            let outcome = match &presented {
                Presented::Ticket { .. } | Presented::Nobody => ldap.simple_bind("", "").await,
                Presented::Password { dn, password } => {
                    ldap.simple_bind(dn, password.expose()).await
                }
                Presented::Peer => ldap.sasl_external_bind().await,
            };
            if let Ok(result) = &outcome {
                trial.answered(result.rc, presented.secret());
            }
            (outcome, connection)
        })
        .await;
        let (result, connection) = match bound {
            Ok((Ok(result), connection)) => (result, connection),
            Ok((Err(error), connection)) => {
                return Err(self.lost_in_bind(connection.failure("the bind", &error)));
            }
            Err(_) => {
                return Err(garbled(&self.server, "cannot parse the answer to the bind"));
            }
        };
        if result.rc == 0 {
            return Ok(connection);
        }
        Err(DirectoryError::BindRefused {
            server: self.server.clone(),
            who: self.credentials().who().into(),
            with: self.password_words().map(Into::into),
            by: match self.credentials() {
                Credentials::External(_) => BindMethod::External,
                Credentials::Anonymous
                | Credentials::Simple { .. }
                | Credentials::Ticket { .. } => BindMethod::Simple,
            },
            code: result.rc,
            text: connection.words(&result.text),
        })
    }

    /// Where the password is from, and when the server last accepted one.
    fn password_words(&self) -> Option<String> {
        let file = self.credentials().password_file()?;
        let accepted = self.binds.last_accepted_at();
        let accepted = accepted.map(|at| format!("; accepted until {}", readable_time(at, &Utc)));
        Some(format!(
            "password from {}{}",
            file.display(),
            accepted.unwrap_or_default()
        ))
    }

    /// Binds by SASL GSSAPI, with a ticket that this key obtains.
    #[cfg(feature = "gssapi")]
    async fn bind_by_ticket(
        &self,
        transport: Transport,
        key: Secret,
    ) -> Result<Connection, DirectoryError> {
        let host = match &self.place {
            Place::Host(host) => host.name.clone(),
            Place::Socket(_) => String::new(),
        };
        let principal = match self.credentials() {
            Credentials::Ticket { kerberos, .. } => kerberos.principal().map(str::to_owned),
            Credentials::Anonymous | Credentials::Simple { .. } | Credentials::External(_) => None,
        };
        let limit = self.access.operation_timeout;
        let until = Moment::now() + limit;
        let (server, binds, tried) = (self.server.clone(), Arc::clone(&self.binds), key.clone());
        // In a task of its own, so that the answer is awaited in any case.
        let bound = tokio::spawn(async move {
            let trial = binds.begin();
            let bind = sasl::bind(transport, &server, (&host, principal), until);
            let outcome = timeout_at(until, bind).await;
            match &outcome {
                Ok(Ok(Outcome::Bound(..))) => trial.answered(0, Some(&tried)),
                Ok(Ok(Outcome::Refused { code, .. })) => trial.answered(*code, Some(&tried)),
                // Refused by Kerberos, where that counts against the account as well.
                Ok(Err(error)) if error.is_refusal() => trial.answered(49, Some(&tried)),
                Ok(Err(_)) | Err(_) => {}
            }
            outcome
        })
        .await;
        match bound {
            Ok(Ok(Ok(Outcome::Bound(transport, principal)))) => {
                let principal = Some(principal).filter(|principal| !principal.is_empty());
                let start = Connection::start(transport, self.server.clone(), limit, Some(key));
                Ok(start
                    .await?
                    .of_kind(self.access.kind)
                    .to(&self.place)
                    .of_account(BindAccount::Ticket(principal)))
            }
            Ok(Ok(Ok(Outcome::Refused { code, text }))) => Err(DirectoryError::BindRefused {
                server: self.server.clone(),
                who: self.credentials().who().into(),
                with: None,
                by: BindMethod::Ticket,
                code,
                text,
            }),
            Ok(Ok(Err(error))) => Err(self.lost_in_bind(error)),
            Ok(Err(_)) => Err(DirectoryError::TimedOut {
                server: self.server.clone(),
                tried: "the bind".into(),
                limit,
            }),
            Err(_) => Err(garbled(&self.server, "cannot parse the answer to the bind")),
        }
    }

    /// A build without it takes no configuration that needs it.
    #[cfg(not(feature = "gssapi"))]
    async fn bind_by_ticket(&self, _: Transport, _: Secret) -> Result<Connection, DirectoryError> {
        Err(DirectoryError::Settings {
            directory: self.access.directory.clone(),
            reason: "sasl = \"gssapi\" is not in this build of the program".into(),
        })
    }

    /// Whether a connection was bound with the current password; false when the password cannot be
    /// read.
    pub(super) async fn is_bound_with_the_current(&self, connection: &Connection) -> bool {
        self.access
            .credentials
            .present()
            .await
            .is_ok_and(|presented| connection.is_bound_with(presented.secret()))
    }

    /// Counts of binds since the program started.
    pub(super) fn binds(&self) -> &Binds {
        &self.binds
    }

    /// A server that requires a client certificate may close the connection without the alert that
    /// would say so (TLS 1.3 asks for it late).
    fn lost_in_bind(&self, mut error: DirectoryError) -> DirectoryError {
        if let DirectoryError::Lost { reason, .. } = &mut error
            && self.is_encrypted()
        {
            reason.push_str("; it may require a client certificate that it trusts");
        }
        error
    }

    /// A peer that disappears is noticed after the operation timeout, and small requests are not
    /// delayed.
    fn tuned(&self, stream: TcpStream, address: SocketAddr) -> Result<TcpStream, DirectoryError> {
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(30))
            .with_interval(Duration::from_secs(10))
            .with_retries(3);
        socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_keepalive(&keepalive))
            .and_then(|()| socket.set_tcp_user_timeout(Some(self.access.operation_timeout)))
            .map_err(|reason| self.not_connected(address, reason))?;
        Ok(stream)
    }

    fn not_connected(&self, place: impl ToString, reason: io::Error) -> DirectoryError {
        DirectoryError::Connect {
            server: self.server.clone(),
            address: place.to_string(),
            reason,
        }
    }

    fn timed_out(&self, tried: &str) -> DirectoryError {
        DirectoryError::TimedOut {
            server: self.server.clone(),
            tried: tried.into(),
            limit: self.access.connect_timeout,
        }
    }
}

/// Everything but the credentials that decides what a bind at a directory's servers ends with. A
/// client certificate counts by its content: a renewed one has the name of the old one.
fn way(directory: &Directory) -> String {
    let urls: Vec<String> = directory.urls.iter().map(shown).collect();
    let certificate = directory
        .client_cert_file
        .as_deref()
        .and_then(|file| files::read(file, files::CERTIFICATES_LIMIT).ok());
    format!(
        "{urls:?} {:?} {:?} {} {:?} {:?} {certificate:?}",
        directory.srv, directory.srv_scheme, directory.start_tls, directory.sasl, directory.ca_file
    )
}

/// A URL reduced to scheme, host and port, so that secrets in it are not shown.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    if is_socket(url) && host.is_empty() {
        return "ldapi:///".into();
    }
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}", url.scheme())
}
