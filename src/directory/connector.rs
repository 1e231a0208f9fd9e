//! Connects to a server step by step: resolve, connect, StartTLS or TLS, bind.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec,
    proto::{LdapExtendedRequest, LdapMsg, LdapOp},
};
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant as Moment, timeout_at},
};
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;
use url::Url;

use super::{
    binds::Binds,
    connection::{Connection, garbled},
    error::{DirectoryError, words},
    tls,
    transport::Transport,
};
use crate::{
    config::{Credential, Directory, Sasl, Secret, Unreadable, files},
    model::server_kind::ServerKind,
    tls::TlsFault,
};

/// The extended operation StartTLS (RFC 4511 section 4.14.1).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// Connects to one server.
#[derive(Debug, Clone)]
pub struct Connector {
    url: Url,
    /// The URL without anything but scheme, host and port, for errors and reports.
    server: String,
    tls: Option<Arc<ClientConfig>>,
    encryption: Encryption,
    credentials: Credentials,
    /// Where and how the directory's servers are reached, for marks.
    way: Arc<str>,
    binds: Arc<Binds>,
    connect_timeout: Duration,
    operation_timeout: Duration,
    /// As configured.
    kind: Option<ServerKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    None,
    StartTls,
    Tls,
}

#[derive(Debug, Clone)]
enum Credentials {
    Anonymous,
    Simple { dn: String, password: Credential },
    External,
}

impl Credentials {
    fn who(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Simple { dn, .. } => dn,
            Self::External => "the client certificate (SASL EXTERNAL)",
        }
    }
}

/// The credentials of one bind.
enum Presented {
    Nobody,
    Password { dn: String, password: Secret },
    Certificate,
}

impl Presented {
    fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password { password, .. } => Some(password),
            Self::Nobody | Self::Certificate => None,
        }
    }
}

/// The connectors of a directory's servers, in order of preference; reads the certificate files,
/// but does not use the network.
///
/// # Errors
/// A certificate file cannot be used, or settings contradict each other.
pub fn connectors(name: &str, directory: &Directory) -> Result<Vec<Connector>, DirectoryError> {
    let settings = |reason: &str| DirectoryError::Settings {
        directory: name.into(),
        reason: reason.into(),
    };
    let encrypted = directory.start_tls || directory.urls.iter().any(|url| url.scheme() == "ldaps");
    let tls = if encrypted
        || directory.ca_file.is_some()
        || directory.client_cert_file.is_some()
        || directory.client_key_file.is_some()
    {
        Some(tls::client_config(name, directory)?)
    } else {
        None
    };
    let credentials = match (directory.sasl, &directory.bind_dn, &directory.bind_password) {
        (Some(Sasl::External), ..) if directory.client_cert_file.is_none() => {
            return Err(settings(
                "sasl = \"external\" needs client_cert_file and client_key_file",
            ));
        }
        (Some(Sasl::External), ..) => Credentials::External,
        // An empty password or name would be an unauthenticated bind, which many servers answer
        // with success (RFC 4513 section 5.1.2).
        (None, Some(dn), Some(password))
            if !dn.is_empty() && !password.loaded().expose().is_empty() =>
        {
            Credentials::Simple {
                dn: dn.clone(),
                password: password.clone(),
            }
        }
        (None, None, None) => Credentials::Anonymous,
        (None, ..) => {
            return Err(settings(
                "bind_dn and bind_password belong together, and neither may be empty",
            ));
        }
    };
    if directory.urls.is_empty() {
        return Err(settings("urls is empty"));
    }
    let way: Arc<str> = way(directory).into();
    directory
        .urls
        .iter()
        .map(|url| {
            let encryption = match url.scheme() {
                "ldaps" => Encryption::Tls,
                "ldap" if directory.start_tls => Encryption::StartTls,
                "ldap" => Encryption::None,
                _ => {
                    return Err(settings(&format!(
                        "{url}: only ldap:// and ldaps:// are supported"
                    )));
                }
            };
            if url.host_str().is_none_or(str::is_empty) {
                return Err(settings(&format!("{url}: the host is missing")));
            }
            Ok(Connector {
                server: shown(url),
                url: url.clone(),
                tls: tls.clone(),
                encryption,
                credentials: credentials.clone(),
                way: Arc::clone(&way),
                binds: Arc::default(),
                connect_timeout: directory.connect_timeout,
                operation_timeout: directory.operation_timeout,
                kind: directory.kind,
            })
        })
        .collect()
}

impl Connector {
    /// The server's URL, as shown in errors and reports.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether it leads to the global catalogue of an Active Directory, by its port.
    pub(super) fn is_to_global_catalogue(&self) -> bool {
        matches!(self.url.port(), Some(3268 | 3269))
    }

    /// Whether the connection is encrypted from the start.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption != Encryption::None
    }

    /// The kind of server that the configuration says; none where the server's own is taken.
    #[must_use]
    pub fn kind(&self) -> Option<ServerKind> {
        self.kind
    }

    /// Time limit for one connection, bind included.
    pub(super) fn limit(&self) -> Duration {
        self.connect_timeout.saturating_add(self.operation_timeout)
    }

    /// Makes a bound connection.
    ///
    /// # Errors
    /// The step that failed; each has its own kind.
    pub async fn connect(&self) -> Result<Connection, DirectoryError> {
        let until = self.until();
        let addresses = self.resolve(until).await?;
        let tcp = self.tcp(&addresses, until).await?;
        let transport = self.secure(tcp, until).await?;
        self.bind(transport).await
    }

    /// The deadline for name resolution, connecting and TLS, which start now.
    #[must_use]
    pub fn until(&self) -> Moment {
        Moment::now() + self.connect_timeout
    }

    /// All addresses of the server's host.
    ///
    /// # Errors
    /// `NameNotResolved`, `TimedOut`.
    pub async fn resolve(&self, until: Moment) -> Result<Vec<SocketAddr>, DirectoryError> {
        let failed = |reason: String| DirectoryError::NameNotResolved {
            server: self.server.clone(),
            host: self.host().into(),
            reason,
        };
        let looked_up = timeout_at(until, lookup_host((self.host(), self.port())))
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

    /// A TCP connection to the first address that answers; one that does not answer leaves time for
    /// the others.
    ///
    /// # Errors
    /// `Connect`, `TimedOut`.
    pub async fn tcp(
        &self,
        addresses: &[SocketAddr],
        until: Moment,
    ) -> Result<TcpStream, DirectoryError> {
        let mut failure = self.timed_out("connecting");
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Moment::now()) / left;
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return self.tuned(stream, *address),
                Ok(Err(reason)) => {
                    failure = DirectoryError::Connect {
                        server: self.server.clone(),
                        address: address.to_string(),
                        reason,
                    }
                }
                Err(_) => failure = self.timed_out(&format!("connecting to {address}")),
            }
        }
        Err(failure)
    }

    /// Encrypts a connection as configured.
    ///
    /// # Errors
    /// `StartTlsRefused`, `Tls`, `TimedOut`, `Lost`, `Garbled`.
    pub async fn secure(&self, tcp: TcpStream, until: Moment) -> Result<Transport, DirectoryError> {
        let (Some(config), true) = (&self.tls, self.is_encrypted()) else {
            return Ok(Transport::Plain(tcp));
        };
        let tls = |fault: TlsFault| DirectoryError::Tls {
            server: self.server.clone(),
            fault,
        };
        let tcp = match self.encryption {
            Encryption::StartTls => timeout_at(until, self.start_tls(tcp))
                .await
                .map_err(|_| self.timed_out("StartTLS"))??,
            Encryption::None | Encryption::Tls => tcp,
        };
        let name = ServerName::try_from(self.host().to_owned()).map_err(|_| {
            tls(TlsFault::Other {
                detail: format!("{} cannot be a name in a certificate", self.host()),
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
        let presented = self.present().await?;
        let connection = Connection::start(
            transport,
            self.server.clone(),
            self.operation_timeout,
            presented.password().cloned(),
        )
        .await?
        .of_kind(self.kind);
        let mut ldap = connection.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let binds = Arc::clone(&self.binds);
        // In a task of its own, also because the library panics on a bind answer of another type.
        let bound = tokio::spawn(async move {
            let trial = binds.begin();
            let outcome = match &presented {
                Presented::Nobody => ldap.simple_bind("", "").await,
                Presented::Password { dn, password } => {
                    ldap.simple_bind(dn, password.expose()).await
                }
                Presented::Certificate => ldap.sasl_external_bind().await,
            };
            if let Ok(result) = &outcome {
                trial.answered(result.rc, presented.password());
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
            who: self.credentials.who().into(),
            code: result.rc,
            text: connection.words(&result.text),
        })
    }

    /// Whether a connection was bound with the current password; false when the password cannot be
    /// read.
    pub(super) async fn is_bound_with_the_current(&self, connection: &Connection) -> bool {
        self.present()
            .await
            .is_ok_and(|presented| connection.is_bound_with(presented.password()))
    }

    /// The mark of what would be tried now: see `Secret::mark_on`.
    pub(super) async fn mark(&self, salt: &str) -> Result<String, DirectoryError> {
        let presented = self.present().await?;
        Ok(self.mark_of(presented.password(), salt))
    }

    /// The mark of what was tried with this password, or without one.
    pub(super) fn mark_of(&self, password: Option<&Secret>, salt: &str) -> String {
        let none = Secret::new(String::new());
        password
            .unwrap_or(&none)
            .mark_on(salt, self.who(), &self.way)
    }

    /// Counts of binds since the program started.
    pub(super) fn binds(&self) -> &Binds {
        &self.binds
    }

    /// The bind identity, for messages.
    pub(super) fn who(&self) -> &str {
        self.credentials.who()
    }

    /// The credentials of the next bind.
    async fn present(&self) -> Result<Presented, DirectoryError> {
        let unreadable = |Unreadable { file, problem }| DirectoryError::File {
            what: "bind_password",
            path: file,
            reason: problem,
        };
        Ok(match &self.credentials {
            Credentials::Anonymous => Presented::Nobody,
            Credentials::External => Presented::Certificate,
            Credentials::Simple { dn, password } => Presented::Password {
                dn: dn.clone(),
                password: password.current().await.map_err(unreadable)?,
            },
        })
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
            .and_then(|()| socket.set_tcp_user_timeout(Some(self.operation_timeout)))
            .map_err(|reason| DirectoryError::Connect {
                server: self.server.clone(),
                address: address.to_string(),
                reason,
            })?;
        Ok(stream)
    }

    async fn start_tls(&self, tcp: TcpStream) -> Result<TcpStream, DirectoryError> {
        let lost = |reason: String| DirectoryError::Lost {
            server: self.server.clone(),
            tried: "StartTLS".into(),
            reason,
        };
        let garbled = |reason: &str| DirectoryError::Garbled {
            server: self.server.clone(),
            reason: reason.into(),
        };
        let mut framed = Framed::new(tcp, LdapCodec::default());
        let request = LdapExtendedRequest {
            name: START_TLS.into(),
            value: None,
        };
        framed
            .send(LdapMsg::new(1, LdapOp::ExtendedRequest(request)))
            .await
            .map_err(|error| lost(error.to_string()))?;
        let answer: LdapMsg = match framed.next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Err(garbled(&format!("the answer to StartTLS: {error}"))),
            None => return Err(lost("the server closed it".into())),
        };
        let LdapOp::ExtendedResponse(response) = answer.op else {
            return Err(garbled("the answer is not one to StartTLS"));
        };
        let code = response.res.code as i32;
        if code != 0 {
            let code = u32::try_from(code).unwrap_or(80);
            return Err(DirectoryError::StartTlsRefused {
                server: self.server.clone(),
                code,
                text: words(&response.res.message),
            });
        }
        let parts = framed.into_parts();
        // Bytes from before the handshake may have been injected by an attacker (RFC 4511 section
        // 4.14.2).
        if parts.read_buf.is_empty() {
            Ok(parts.io)
        } else {
            Err(garbled("plain bytes after the answer to StartTLS"))
        }
    }

    fn host(&self) -> &str {
        self.url
            .host_str()
            .unwrap_or_default()
            .trim_start_matches('[')
            .trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        let usual = if self.encryption == Encryption::Tls {
            636
        } else {
            389
        };
        self.url.port().unwrap_or(usual)
    }

    fn timed_out(&self, tried: &str) -> DirectoryError {
        DirectoryError::TimedOut {
            server: self.server.clone(),
            tried: tried.into(),
            limit: self.connect_timeout,
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
        "{urls:?} {} {:?} {:?} {certificate:?}",
        directory.start_tls, directory.sasl, directory.ca_file
    )
}

/// A URL reduced to scheme, host and port, so that secrets in it are not shown.
fn shown(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}
