//! One mail to its server: the connection with its TLS is made here, and the words on it by the
//! library, which reads no more than [`LONGEST`].

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use lettre::{
    Message as Letter,
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, AsyncTokioStream},
        commands::{Data, Mail as MailCommand, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::CONNECTING;
use crate::{
    config::{Mail, Secret},
    notify::{deliver::Trouble, settled::Settled},
    tls::TlsFault,
};

/// How long the server may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// How much a server may say in one connection, in bytes.
const LONGEST: usize = 256 << 10;

/// How much it may say in one answer before TLS, in bytes.
const LONGEST_ANSWER: usize = 16 << 10;

/// A mail server, with everything that a mail needs.
pub(super) struct Server<'a> {
    pub mail: &'a Mail,
    /// The name by which this machine says hello.
    pub host: &'a str,
    pub tls: Option<&'a Arc<ClientConfig>>,
    pub login: Option<(&'a str, Secret)>,
}

impl Server<'_> {
    /// Sends one mail.
    ///
    /// # Errors
    /// The server did not take it, for some of those who get it at least.
    pub(super) async fn send(&self, letter: &Letter, settled: &Settled) -> Result<(), Trouble> {
        let stream = self.connect().await?;
        let hello = ClientId::Domain(self.host.to_owned());
        let greeted = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        let mut connection = greeted.map_err(|error| self.trouble("it did not greet", &error))?;
        if let Some((user, password)) = &self.login {
            let login = Credentials::new((*user).to_owned(), password.expose().to_owned());
            let accepted = connection.auth(&[Mechanism::Plain, Mechanism::Login], &login);
            let accepted = accepted.await;
            accepted.map_err(|error| self.trouble("it refused the login", &error))?;
        }
        let put_off = self.hand_over(&mut connection, letter, settled).await?;
        // It has the mail, whatever it answers now, or if it does not.
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        self.left_out(put_off, settled, "all others got it, but ")
    }

    /// Whether somebody was refused: those who were put off get another attempt.
    fn left_out(
        &self,
        put_off: Vec<String>,
        settled: &Settled,
        others: &str,
    ) -> Result<(), Trouble> {
        let refused = settled.refusals();
        let is_over = put_off.is_empty();
        let all: Vec<String> = refused.into_iter().chain(put_off).collect();
        if all.is_empty() {
            return Ok(());
        }
        let why = format!("{others}{}", all.join("; "));
        Err(if is_over {
            Trouble::Lasting(why)
        } else {
            Trouble::passing(why)
        })
    }

    /// Hands a mail over for those who are not settled; gives why others of them were put off, where the
    /// server took it for some.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        letter: &Letter,
        settled: &Settled,
    ) -> Result<Vec<String>, Trouble> {
        let envelope: &Envelope = letter.envelope();
        let mut options = Vec::new();
        let addresses = envelope.to().iter().chain(envelope.from());
        let mut addresses = addresses.map(AsRef::<str>::as_ref);
        if !addresses.all(str::is_ascii) {
            if !connection
                .server_info()
                .supports_feature(Extension::SmtpUtfEight)
            {
                return Err(Trouble::Lasting(self.said(
                    "it takes no addresses with letters beyond ASCII (SMTPUTF8)",
                )));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        let from = MailCommand::new(envelope.from().cloned(), options);
        let accepted = connection.command(from).await;
        accepted.map_err(|error| self.trouble("it refused the sender", &error))?;
        let mut taken = Vec::new();
        let mut put_off = Vec::new();
        for to in envelope.to() {
            let address: &str = to.as_ref();
            if settled.contains(address) {
                continue;
            }
            let accepted = connection.command(Rcpt::new(to.clone(), Vec::new())).await;
            let Err(error) = accepted else {
                taken.push(address);
                continue;
            };
            let trouble = self.trouble(&format!("it refused {to}"), &error);
            match trouble {
                Trouble::Lasting(why) => settled.refused(address, why),
                Trouble::Passing { why, wait: _ } if error.is_transient() => put_off.push(why),
                // There is no answer.
                trouble @ Trouble::Passing { .. } => return Err(trouble),
            }
        }
        if taken.is_empty() {
            self.left_out(put_off, settled, "")?;
            return Ok(Vec::new());
        }
        let accepted = connection.command(Data).await;
        accepted.map_err(|error| self.trouble("it refused the mail", &error))?;
        let accepted = connection.message(&letter.formatted()).await;
        accepted.map_err(|error| self.trouble("it refused the mail", &error))?;
        for address in taken {
            settled.taken(address);
        }
        Ok(put_off)
    }

    /// A connection, with TLS where that is wanted.
    async fn connect(&self) -> Result<Box<dyn AsyncTokioStream>, Trouble> {
        let is_smtps = self.mail.server.scheme() == "smtps";
        let mut tcp = self.reach(if is_smtps { 465 } else { 587 }).await?;
        let peer = tcp.peer_addr();
        let peer = peer.map_err(|error| Trouble::passing(self.said(&error.to_string())))?;
        let Some(tls) = self.tls else {
            return Ok(Box::new(Bounded::new(tcp, peer, b"")));
        };
        if !is_smtps {
            self.start_tls(&mut tcp).await?;
        }
        // The brackets of an IPv6 address are not part of it.
        let host = self.mail.server.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| Trouble::Lasting(self.said("its name cannot be in a certificate")))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let encrypted = connector.connect(name, tcp).await;
        let encrypted = encrypted.map_err(|error| self.no_tls(&error))?;
        // After STARTTLS the server does not greet again, and the library waits for it.
        let greeting: &[u8] = if is_smtps { b"" } else { b"220 TLS\r\n" };
        Ok(Box::new(Bounded::new(encrypted, peer, greeting)))
    }

    async fn reach(&self, port: u16) -> Result<TcpStream, Trouble> {
        let server = &self.mail.server;
        let host = server.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = server.port().unwrap_or(port);
        let addresses = lookup_host((host, port)).await;
        let addresses = addresses
            .map_err(|error| Trouble::passing(self.said(&format!("no address: {error}"))))?;
        let mut trouble = Trouble::passing(self.said("its name has no address"));
        for address in addresses {
            match tokio::time::timeout(CONNECTING, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => {
                    let why = format!("no connection to {address}: {error}");
                    trouble = Trouble::passing(self.said(&why));
                }
                Err(_) => {
                    let why = format!(
                        "no connection to {address} within {}",
                        humantime::format_duration(CONNECTING)
                    );
                    trouble = Trouble::passing(self.said(&why));
                }
            }
        }
        Err(trouble)
    }

    /// Has the server begin TLS (RFC 3207). Nothing that it says before counts.
    async fn start_tls(&self, tcp: &mut TcpStream) -> Result<(), Trouble> {
        let failed = |error: io::Error| Trouble::passing(self.said(&error.to_string()));
        self.expect(tcp, 220, "greet").await?;
        let hello = format!("EHLO {}\r\n", self.host);
        tcp.write_all(hello.as_bytes()).await.map_err(failed)?;
        let offered = self.expect(tcp, 250, "answer EHLO").await?;
        let offers = |line: &str| {
            let words = line.get(4..).unwrap_or_default().trim();
            words.eq_ignore_ascii_case("STARTTLS")
        };
        if !offered.lines().any(offers) {
            return Err(Trouble::Lasting(self.said(
                "it offers no STARTTLS, and nothing is sent without; with TLS from the first byte, \
                 write smtps://, and start_tls = false sends mail that anybody on the network can \
                 read",
            )));
        }
        tcp.write_all(b"STARTTLS\r\n").await.map_err(failed)?;
        self.expect(tcp, 220, "begin TLS").await?;
        Ok(())
    }

    /// The next answer, which must have this code.
    async fn expect(&self, tcp: &mut TcpStream, code: u16, what: &str) -> Result<String, Trouble> {
        let answer = answer(tcp).await;
        let answer = answer
            .map_err(|error| Trouble::passing(self.said(&format!("it did not {what}: {error}"))))?;
        let number = answer.lines().last().and_then(|line| line.get(..3));
        if number.and_then(|number| number.parse().ok()) == Some(code) {
            return Ok(answer);
        }
        let why = self.said(&format!("it did not {what}: {}", answer.trim()));
        Err(match number {
            Some(number) if number.starts_with('5') => Trouble::Lasting(why),
            Some(_) | None => Trouble::passing(why),
        })
    }

    fn no_tls(&self, error: &io::Error) -> Trouble {
        let why = self.said(&TlsFault::of_handshake(error).what());
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(_) => Trouble::Lasting(why),
            None => Trouble::passing(why),
        }
    }

    fn trouble(&self, what: &str, error: &lettre::transport::smtp::Error) -> Trouble {
        let source = std::error::Error::source(error);
        let why = match source {
            Some(source) => self.said(&format!("{what}: {error}: {source}")),
            None => self.said(&format!("{what}: {error}")),
        };
        if error.is_permanent() || error.is_client() {
            Trouble::Lasting(why)
        } else {
            Trouble::passing(why)
        }
    }

    /// With the server's name before it.
    fn said(&self, what: &str) -> String {
        let host = self.mail.server.host_str().unwrap_or_default();
        format!("{host}: {what}")
    }
}

/// One answer of a server (RFC 5321 section 4.2), byte by byte: what follows belongs to TLS.
async fn answer(tcp: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut line = 0;
    while answer.len() < LONGEST_ANSWER {
        let byte = tcp.read_u8().await?;
        answer.push(byte);
        if byte == b'\n' {
            let is_last = answer.get(line + 3).is_none_or(|after| *after != b'-');
            line = answer.len();
            if is_last {
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
    Err(io::Error::other("its answer does not end"))
}

/// A connection on which the server may say so much, after a greeting of our own.
#[derive(Debug)]
struct Bounded<S> {
    inner: S,
    peer: SocketAddr,
    greeting: &'static [u8],
    left: usize,
}

impl<S> Bounded<S> {
    fn new(inner: S, peer: SocketAddr, greeting: &'static [u8]) -> Self {
        Self {
            inner,
            peer,
            greeting,
            left: LONGEST,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let length = self.greeting.len().min(buffer.remaining());
            let (now, later) = self.greeting.split_at(length);
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(
                "it says more than a mail server has to",
            )));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let length = buffer.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(length);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream
    for Bounded<S>
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
