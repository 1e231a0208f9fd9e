//! Proxies that change what a server answers, message by message.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use tokio_util::{bytes::BytesMut, codec::Decoder};

use crate::ldap_proxy::ber::Messages;

/// What becomes of one answer, given its number from 0 over all connections; nothing closes the
/// connection.
pub type Tamper = Arc<dyn Fn(usize, Vec<u8>) -> Option<Vec<u8>> + Send + Sync>;

/// A proxy; it accepts no more connections when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of a directory.
    pub fn of_directory(upstream: SocketAddr, tamper: Tamper) -> Self {
        Self::start(upstream, tamper, forward_ldap)
    }

    /// In front of ftrack: bodies are changed.
    pub fn of_ftrack(upstream: SocketAddr, tamper: Tamper) -> Self {
        Self::start(upstream, tamper, forward_http)
    }

    fn start(
        upstream: SocketAddr,
        tamper: Tamper,
        forward: fn(TcpStream, TcpStream, Tamper, Arc<AtomicUsize>) -> io::Result<()>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::<AtomicBool>::default();
        let (ends, answers) = (Arc::clone(&is_over), Arc::<AtomicUsize>::default());
        thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (client, server) = (client.unwrap(), TcpStream::connect(upstream).unwrap());
                let (tamper, answers) = (Arc::clone(&tamper), Arc::clone(&answers));
                // An end that goes away ends the connection.
                thread::spawn(move || drop(forward(client, server, tamper, answers)));
            }
        });
        Self { address, is_over }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn forward_ldap(
    client: TcpStream,
    server: TcpStream,
    tamper: Tamper,
    answers: Arc<AtomicUsize>,
) -> io::Result<()> {
    let (mut requests, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut requests, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (server, client);
    let (mut buffer, mut chunk) = (BytesMut::new(), vec![0; 64 << 10]);
    let passed = loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            break Ok(());
        }
        buffer.extend_from_slice(&chunk[..count]);
        while let Some(message) = Messages.decode(&mut buffer)? {
            let number = answers.fetch_add(1, Ordering::Relaxed);
            match tamper(number, message.to_vec()) {
                Some(message) => to.write_all(&message)?,
                None => return to.shutdown(Shutdown::Both),
            }
        }
    };
    let _ = to.shutdown(Shutdown::Both);
    passed
}

fn forward_http(
    client: TcpStream,
    server: TcpStream,
    tamper: Tamper,
    answers: Arc<AtomicUsize>,
) -> io::Result<()> {
    let (mut requests, mut responses) = (
        BufReader::new(client.try_clone()?),
        BufReader::new(server.try_clone()?),
    );
    let (mut to_client, mut to_server) = (client, server);
    while let Some((head, body)) = message(&mut requests)? {
        to_server.write_all(&[with_length(&head, body.len()).as_bytes(), &body].concat())?;
        let Some((head, body)) = message(&mut responses)? else {
            break;
        };
        let number = answers.fetch_add(1, Ordering::Relaxed);
        let Some(body) = tamper(number, body) else {
            break;
        };
        to_client.write_all(with_length(&head, body.len()).as_bytes())?;
        to_client.write_all(&body)?;
    }
    to_client.shutdown(Shutdown::Both)
}

/// The head and the body of an HTTP message; none at the end of the connection.
fn message(from: &mut impl BufRead) -> io::Result<Option<(Vec<String>, Vec<u8>)>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.expect("a message whose length is known")];
    from.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

fn with_length(head: &[String], length: usize) -> String {
    let others = head.iter().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("content-length")
            && !name.eq_ignore_ascii_case("accept-encoding")
    });
    let others: Vec<&str> = others.map(String::as_str).collect();
    format!(
        "{}\r\ncontent-length: {length}\r\n\r\n",
        others.join("\r\n")
    )
}
