//! A mail server: it keeps what it gets, with TLS, logins and refusals as it is told to.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

/// How a server is.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// TLS from the first byte.
    pub implicit_tls: bool,
    /// It offers STARTTLS.
    pub start_tls: bool,
    /// What it takes at AUTH PLAIN, in base64; it offers no login otherwise.
    pub login: Option<String>,
    /// Answers instead of the usual ones, by the beginning of the command; used up one by one.
    pub answers: Vec<(&'static str, String)>,
    /// It says nothing at all.
    pub silent: bool,
    /// Its greeting does not end.
    pub endless: bool,
}

/// A mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    pub has_tls: bool,
    pub has_login: bool,
}

impl Mail {
    /// A header's value, unfolded.
    pub fn header(&self, name: &str) -> String {
        let text = self.text.replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    }

    /// The decoded part of a type.
    pub fn part(&self, kind: &str) -> String {
        let (_, rest) = self
            .text
            .split_once(&format!("Content-Type: {kind}"))
            .unwrap_or_else(|| panic!("no {kind} in {}", self.text));
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap();
        let (body, _) = body.split_once("\r\n--").unwrap();
        if headers.contains("quoted-printable") {
            unquoted(body)
        } else if headers.contains("base64") {
            use base64::{Engine, prelude::BASE64_STANDARD};
            let body: String = body.split_whitespace().collect();
            String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap()
        } else {
            body.to_owned()
        }
    }
}

fn unquoted(body: &str) -> String {
    let body = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[derive(Default)]
struct Shared {
    mails: Mutex<Vec<Mail>>,
    connections: Mutex<usize>,
    manner: Mutex<Manner>,
    said: Mutex<BTreeMap<usize, Vec<String>>>,
}

/// A mail server.
pub struct MailSink {
    port: u16,
    shared: Arc<Shared>,
}

impl MailSink {
    /// Starts it, on loopback, with a certificate of the authority that it writes to `ca.pem` of this
    /// folder.
    pub fn start(on: &Runtime, folder: &Path, manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            ..Shared::default()
        });
        let acceptor = TlsAcceptor::from(Arc::new(tls(folder)));
        let listener = on.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = Arc::clone(&shared);
        on.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = {
                    let mut connections = all.connections.lock().unwrap();
                    *connections += 1;
                    *connections
                };
                let talk = Talk {
                    shared: Arc::clone(&all),
                    number,
                    mail: Mail::default(),
                };
                // A client that leaves ends it.
                tokio::spawn(talk.serve(tcp, acceptor.clone()));
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Behaves otherwise from the next connection on.
    pub fn change(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }

    /// The commands of a connection, counted from 1.
    pub fn said(&self, connection: usize) -> Vec<String> {
        let said = self.shared.said.lock().unwrap();
        said.get(&connection).cloned().unwrap_or_default()
    }

    /// All mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails.lock().unwrap().clone()
    }
}

fn tls(folder: &Path) -> ServerConfig {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    std::fs::write(folder.join("ca.pem"), pem).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let server = CertificateParams::new(names).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap()
}

/// One connection.
struct Talk {
    shared: Arc<Shared>,
    number: usize,
    mail: Mail,
}

impl Talk {
    async fn serve(mut self, tcp: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
        let manner = self.shared.manner.lock().unwrap().clone();
        if manner.silent {
            return std::future::pending().await;
        }
        if manner.implicit_tls {
            self.mail.has_tls = true;
            let stream = acceptor.accept(tcp).await?;
            return self.talk(BufStream::new(stream), &manner).await.map(drop);
        }
        let plain = self.talk(BufStream::new(tcp), &manner).await?;
        if let Some(stream) = plain {
            self.mail.has_tls = true;
            let stream = acceptor.accept(stream.into_inner()).await?;
            self.talk(BufStream::new(stream), &manner).await?;
        }
        Ok(())
    }

    /// Talks until the end, or until TLS is to begin on the connection.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut stream: BufStream<S>,
        manner: &Manner,
    ) -> std::io::Result<Option<BufStream<S>>> {
        let is_upgraded = self.mail.has_tls && !manner.implicit_tls;
        if manner.endless {
            loop {
                stream.write_all(&[b'2'; 4096]).await?;
                stream.flush().await?;
            }
        }
        if !is_upgraded {
            say(&mut stream, "220 mail.studio.test").await?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let line = line.trim_end().to_owned();
            self.note(&line);
            let command = line.to_uppercase();
            if let Some(answer) = self.special(&command) {
                say(&mut stream, &answer).await?;
                continue;
            }
            if command.starts_with("EHLO") {
                let mut offers = vec!["mail.studio.test"];
                if manner.start_tls && !self.mail.has_tls {
                    offers.push("STARTTLS");
                }
                if manner.login.is_some() {
                    offers.push("AUTH PLAIN LOGIN");
                }
                offers.push("8BITMIME");
                say(&mut stream, &offered(&offers)).await?;
            } else if command == "STARTTLS" {
                say(&mut stream, "220 go on").await?;
                return Ok(Some(stream));
            } else if let Some(given) = line.strip_prefix("AUTH PLAIN ") {
                self.mail.has_login = manner.login.as_deref() == Some(given);
                let answer = if self.mail.has_login {
                    "235 welcome".to_owned()
                } else {
                    format!("535 5.7.8 not with {given}")
                };
                say(&mut stream, &answer).await?;
            } else if let Some(from) = line.strip_prefix("MAIL FROM:") {
                self.mail.from = address(from);
                say(&mut stream, "250 ok").await?;
            } else if let Some(to) = line.strip_prefix("RCPT TO:") {
                self.mail.to.push(address(to));
                say(&mut stream, "250 ok").await?;
            } else if command == "DATA" {
                say(&mut stream, "354 go on").await?;
                self.mail.text = data(&mut stream).await?;
                self.shared.mails.lock().unwrap().push(self.mail.clone());
                say(&mut stream, "250 taken").await?;
            } else if command == "QUIT" {
                say(&mut stream, "221 bye").await?;
                return Ok(None);
            } else {
                say(&mut stream, "500 what").await?;
            }
        }
    }

    fn note(&self, line: &str) {
        let mut said = self.shared.said.lock().unwrap();
        said.entry(self.number).or_default().push(line.to_owned());
    }

    fn special(&self, command: &str) -> Option<String> {
        let mut manner = self.shared.manner.lock().unwrap();
        let is_meant = |(start, _): &(&str, String)| command.starts_with(*start);
        let position = manner.answers.iter().position(is_meant)?;
        Some(manner.answers.remove(position).1)
    }
}

fn offered(offers: &[&str]) -> String {
    let (last, before) = offers.split_last().unwrap();
    let mut lines: Vec<String> = before.iter().map(|offer| format!("250-{offer}")).collect();
    lines.push(format!("250 {last}"));
    lines.join("\r\n")
}

fn address(text: &str) -> String {
    let (_, rest) = text.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// The text of a mail, without the dots that keep its lines from ending it.
async fn data<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.take(1 << 20).read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
