//! Stands between the network and the LDAP library: bounds what a server may send, and records how
//! a connection ended.
//!
//! The library reads messages of any length and depth, recurses into them, and discards the reason
//! why a connection ended. Here every message is measured before it is passed on: a hostile or
//! broken server costs a connection, never memory or the process.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    directory::{
        error::DirectoryError,
        wire::{
            entries::{Batch, Descriptions, Start, ToSearch, start},
            gate::{Gate, cost},
            message,
            message::Fault,
            too_large,
        },
    },
    tls::TlsFault,
};

/// The longest message that is read, in bytes: a group of 100,000 members fits. An entry that is
/// longer is passed over.
const MAX_MESSAGE: u64 = 16 << 20;
/// The most bytes between two requests: one page with a portrait for each of 1,000 people fits.
const MAX_ANSWER: u64 = 256 << 20;
/// The deepest nesting: a search entry needs 6, a control 4.
const MAX_DEPTH: usize = 16;
/// The most elements of one message; each costs the library far more memory than its two bytes on
/// the wire.
const MAX_ELEMENTS: u32 = 150_000;
/// The longest message that is not an entry.
const MAX_PLAIN: usize = 256 << 10;
/// The size of one read.
const CHUNK: usize = 64 << 10;

/// How a connection ended.
#[derive(Debug)]
pub(in crate::directory) enum ConnectionEnd {
    /// The server closed it.
    Closed,
    /// The network failed.
    Network(String),
    /// TLS failed after the handshake, as TLS 1.3 does for client certificates.
    Tls(TlsFault),
    /// The data is not LDAP.
    Garbled(String),
    /// The data exceeds a limit.
    TooMuch(String),
    /// The server gave a reason for closing it.
    Notice {
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
}

impl ConnectionEnd {
    /// The error for the operation in progress; `words` makes a text of the server safe to print.
    pub(in crate::directory) fn error(
        &self,
        server: &str,
        tried: &str,
        words: impl Fn(&str) -> String,
    ) -> DirectoryError {
        let (server, tried) = (server.to_owned(), tried.to_owned());
        match self {
            Self::Closed => DirectoryError::Lost {
                server,
                tried,
                reason: "the server closed it".into(),
            },
            Self::Network(reason) => DirectoryError::Lost {
                server,
                tried,
                reason: reason.clone(),
            },
            Self::Tls(fault) => DirectoryError::Tls {
                server,
                fault: fault.clone(),
            },
            Self::Garbled(reason) => DirectoryError::Garbled {
                server,
                reason: reason.clone(),
            },
            Self::TooMuch(reason) => DirectoryError::TooMuch {
                server,
                reason: reason.clone(),
            },
            Self::Notice { code, text } => DirectoryError::Refused {
                server,
                tried: format!("{tried} (the server hung up)"),
                code: *code,
                text: words(text),
                kind: None,
            },
        }
    }
}

/// Set once the connection has ended.
pub(in crate::directory) type End = Arc<OnceLock<ConnectionEnd>>;

/// Carries bytes between a server and the library's end of a socket pair until one side ends, and
/// entries to the search; dropping the task ends both.
pub(in crate::directory) fn spawn<S>(
    network: S,
    local: UnixStream,
    to_search: ToSearch,
    gate: Arc<Gate>,
) -> (AbortOnDropHandle<()>, End)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let end = End::default();
    let reason = Arc::clone(&end);
    let task = tokio::spawn(async move {
        let (mut from_network, mut to_network) = tokio::io::split(network);
        let (mut from_local, to_local) = local.into_split();
        let unanswered = AtomicU64::new(0);
        let mut inbound = Inbound {
            to_library: to_local,
            to_search,
            gate: &gate,
            framing: Framing::default(),
            unfinished: Vec::new(),
            descriptions: Descriptions::default(),
        };
        tokio::select! {
            ended = inbound.carry(&mut from_network, &unanswered) => { let _ = reason.set(ended); }
            ended = outbound(&mut from_local, &mut to_network, &unanswered, &gate) => {
                if let Some(ended) = ended { let _ = reason.set(ended); }
            }
        }
        // The reason is known before the library can see the end, since its side is closed only
        // here.
        drop((from_local, inbound));
    });
    (AbortOnDropHandle::new(task), end)
}

/// What a server sends, on its way.
struct Inbound<'g, W> {
    to_library: W,
    to_search: ToSearch,
    gate: &'g Gate,
    framing: Framing,
    /// The beginning of an entry.
    unfinished: Vec<u8>,
    descriptions: Descriptions,
}

impl<W: AsyncWrite + Unpin> Inbound<'_, W> {
    /// Carries everything, until the connection ends.
    async fn carry<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        unanswered: &AtomicU64,
    ) -> ConnectionEnd {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match from.read(&mut chunk).await {
                Ok(0) => return ConnectionEnd::Closed,
                Ok(count) => count,
                Err(error) => return network(&error),
            };
            let bytes = chunk.get(..count).unwrap_or_default();
            if unanswered.fetch_add(count as u64, Ordering::Relaxed) > MAX_ANSWER {
                return ConnectionEnd::TooMuch(format!(
                    "it sent more than {} MiB in answer to one request; lower page_size",
                    MAX_ANSWER >> 20
                ));
            }
            if let Err(ended) = self.sort(bytes) {
                return ended;
            }
            for cost in self.framing.streamed.drain(..) {
                self.gate.pass(cost);
            }
            if self
                .to_library
                .write_all(&self.framing.passed)
                .await
                .is_err()
            {
                return ConnectionEnd::Closed;
            }
            self.framing.passed.clear();
            self.gate.wait().await;
        }
    }

    /// Passes on the entries among these bytes, before the library gets what follows them, and keeps
    /// the beginning of one that is not whole.
    fn sort(&mut self, bytes: &[u8]) -> Result<(), ConnectionEnd> {
        let mut all = std::mem::take(&mut self.unfinished);
        let mut rest = if all.is_empty() {
            bytes
        } else {
            all.extend_from_slice(bytes);
            &all
        };
        let (mut entries, mut cost_of_all) = (Vec::new(), 0);
        while !rest.is_empty() {
            if self.framing.is_between_messages() {
                match start(rest, MAX_MESSAGE, MAX_ELEMENTS, &mut self.descriptions) {
                    Start::Entry(found) => {
                        cost_of_all += cost(found.bytes as u64, found.elements);
                        entries.push((found.id, found.entry));
                        rest = rest.get(found.bytes..).unwrap_or_default();
                        continue;
                    }
                    Start::Unfinished => break,
                    Start::Other => {}
                }
            }
            rest = self.framing.take(rest)?;
        }
        if !entries.is_empty() {
            let under_way = self.gate.pass_beside(cost_of_all);
            // Nobody receives any more where the connection was dropped, which ends this task.
            let _ = self.to_search.send(Batch { entries, under_way });
        }
        // Not copied where it only grew.
        let kept = (rest.len() != all.len()).then(|| rest.to_vec());
        self.unfinished = kept.unwrap_or(all);
        Ok(())
    }
}

async fn outbound<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut R,
    to: &mut W,
    unanswered: &AtomicU64,
    gate: &Gate,
) -> Option<ConnectionEnd> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await.unwrap_or(0);
        if count == 0 {
            let _ = to.shutdown().await;
            return None;
        }
        unanswered.store(0, Ordering::Relaxed);
        gate.open();
        let sent = async {
            to.write_all(chunk.get(..count).unwrap_or_default()).await?;
            to.flush().await
        };
        if let Err(error) = sent.await {
            return Some(network(&error));
        }
    }
}

fn network(error: &io::Error) -> ConnectionEnd {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
    {
        return ConnectionEnd::Tls(TlsFault::of_handshake(error));
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return ConnectionEnd::Closed; // TLS without its farewell: no harm, since completeness is never concluded from an end
    }
    ConnectionEnd::Network(error.to_string())
}

/// Parses BER as it arrives (X.690, in the form of RFC 4511 section 5.1): lengths, depth and number
/// of elements.
#[derive(Debug, Default)]
struct Framing {
    /// Bytes seen so far.
    position: u64,
    /// Where each open element ends, the message first.
    open: Vec<u64>,
    /// Bytes of a value that are still to come.
    skip: u64,
    /// The tag and length that are being read.
    header: Vec<u8>,
    elements: u32,
    /// The number of elements of the message itself so far: its id, the operation, the controls.
    parts: u8,
    /// The message so far: all of it, or the beginning of an entry that is passed over.
    plain: Vec<u8>,
    is_entry: bool,
    /// Whether the message is not passed on, since it is too large.
    is_skipped: bool,
    /// Where the message began.
    start: u64,
    /// The bytes to pass on.
    passed: Vec<u8>,
    /// What the messages among them that a search streams cost.
    streamed: Vec<u64>,
}

impl Framing {
    /// Whether the next byte begins a message.
    fn is_between_messages(&self) -> bool {
        self.open.is_empty() && self.header.is_empty() && self.skip == 0
    }

    /// Takes bytes up to the end of a message, or all of them, and returns the rest.
    fn take<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], ConnectionEnd> {
        while let Some(&first) = bytes.first() {
            let count = if self.skip > 0 {
                usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len())
            } else {
                1
            };
            let (now, rest) = bytes.split_at(count);
            self.keep(now)?;
            self.position += count as u64;
            bytes = rest;
            if self.skip > 0 {
                self.skip -= count as u64;
            } else {
                self.header.push(first);
                if let Some(length) = self.length()? {
                    self.element(length)?;
                }
            }
            if self.close()? {
                return Ok(bytes);
            }
        }
        Ok(bytes)
    }

    /// Keeps what is checked at the end of the message, and passes on the rest.
    fn keep(&mut self, now: &[u8]) -> Result<(), ConnectionEnd> {
        if self.is_skipped {
            let room = too_large::BEGINNING.saturating_sub(self.plain.len());
            self.plain.extend(now.iter().take(room));
            return Ok(());
        }
        if !self.is_entry {
            self.plain.extend_from_slice(now);
            if self.plain.len() > MAX_PLAIN {
                return Err(ConnectionEnd::TooMuch(format!(
                    "it sent a message other than an entry of more than {MAX_PLAIN} bytes"
                )));
            }
        }
        // Whether a message is passed on is known after its own header.
        if !self.open.is_empty() {
            self.passed.extend_from_slice(now);
        }
        Ok(())
    }

    /// The length of the element whose header is being read; none until the header is complete.
    fn length(&self) -> Result<Option<u64>, ConnectionEnd> {
        match self.header.as_slice() {
            [] => Ok(None),
            [tag, ..] if self.open.is_empty() && *tag != 0x30 => {
                Err(ConnectionEnd::Garbled(format!(
                    "a message starts with byte 0x{tag:02x} instead of 0x30; is the port right, \
                     and does it require TLS?"
                )))
            }
            [tag, ..] if tag & 0x1f == 0x1f => {
                Err(ConnectionEnd::Garbled("a tag of more than one byte".into()))
            }
            [_] => Ok(None),
            [_, short] if *short < 0x80 => Ok(Some(u64::from(*short))),
            [_, form, digits @ ..] => {
                let wanted = usize::from(form & 0x7f);
                if wanted == 0 || wanted > 8 {
                    return Err(ConnectionEnd::Garbled(format!(
                        "a length of the form 0x{form:02x}"
                    )));
                }
                let value = digits
                    .iter()
                    .fold(0_u64, |value, digit| (value << 8) | u64::from(*digit));
                Ok((digits.len() == wanted).then_some(value))
            }
        }
    }

    fn element(&mut self, length: u64) -> Result<(), ConnectionEnd> {
        let tag = self.header.first().copied().unwrap_or_default();
        if self.open.is_empty() {
            if length > MAX_ANSWER {
                return Err(ConnectionEnd::TooMuch(format!(
                    "it announced a message of {length} bytes"
                )));
            }
            self.start = self.position - self.header.len() as u64;
            self.is_skipped = length > MAX_MESSAGE;
            if !self.is_skipped {
                self.passed.extend_from_slice(&self.header);
            }
        }
        self.header.clear();
        if self.open.len() == 1 {
            self.parts = self.parts.saturating_add(1);
            self.is_entry |= self.parts == 2 && tag == message::ENTRY;
            if self.is_skipped && self.parts == 2 && !self.is_entry {
                return Err(ConnectionEnd::TooMuch(format!(
                    "it announced a message of more than {MAX_MESSAGE} bytes that is not an entry"
                )));
            }
        }
        self.elements = self.elements.saturating_add(1);
        if self.elements > MAX_ELEMENTS && !self.is_skipped {
            return Err(ConnectionEnd::TooMuch(format!(
                "it sent a message of more than {MAX_ELEMENTS} elements"
            )));
        }
        let end = self.position.saturating_add(length);
        if self.open.last().is_some_and(|outer| end > *outer) {
            return Err(ConnectionEnd::Garbled(
                "an element is longer than its container".into(),
            ));
        }
        if tag & 0x20 == 0 {
            self.skip = length;
        } else if self.open.len() >= MAX_DEPTH {
            return Err(ConnectionEnd::Garbled(format!(
                "elements are nested more than {MAX_DEPTH} deep"
            )));
        } else {
            self.open.push(end);
        }
        Ok(())
    }

    /// Closes the elements that end here; whether the message ends.
    fn close(&mut self) -> Result<bool, ConnectionEnd> {
        if self.skip > 0 || !self.header.is_empty() {
            // An element's header may not extend beyond the end of its container.
            return match self.open.last() {
                Some(end) if self.position >= *end && !self.header.is_empty() => Err(
                    ConnectionEnd::Garbled("an element ends within its own header".into()),
                ),
                _ => Ok(false),
            };
        }
        while self.open.last().is_some_and(|end| *end == self.position) {
            self.open.pop();
        }
        if !self.open.is_empty() {
            return Ok(false);
        }
        if self.is_skipped {
            let instead = too_large::instead_of(&self.plain)
                .ok_or_else(|| ConnectionEnd::Garbled("an entry without a DN".into()))?;
            self.passed.extend(instead);
        } else if !self.is_entry {
            message::check(&self.plain).map_err(|fault| match fault {
                Fault::Notice { code, text } => ConnectionEnd::Notice { code, text },
                Fault::Misbuilt(what) => ConnectionEnd::Garbled(what.into()),
            })?;
        }
        if self.is_entry || message::is_streamed(&self.plain) {
            let bytes = self.position - self.start;
            self.streamed
                .push(cost(bytes.min(MAX_MESSAGE), self.elements));
        }
        (self.elements, self.parts) = (0, 0);
        (self.is_entry, self.is_skipped) = (false, false);
        self.plain.clear();
        self.plain.shrink_to(MAX_PLAIN);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A result of a bind: id 1, success, no text.
    const BOUND: [u8; 14] = [
        0x30, 0x0c, 0x02, 0x01, 0x01, 0x61, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00,
    ];

    /// Lets all bytes through.
    fn through(measure: &mut Framing, mut bytes: &[u8]) -> Result<(), ConnectionEnd> {
        while !bytes.is_empty() {
            bytes = measure.take(bytes)?;
        }
        Ok(())
    }

    #[test]
    fn messages_pass_in_any_pieces() {
        let two = [BOUND, BOUND].concat();
        for size in 1..=two.len() {
            let mut measure = Framing::default();
            for piece in two.chunks(size) {
                through(&mut measure, piece).unwrap();
            }
            assert!(measure.open.is_empty(), "pieces of {size}");
            assert_eq!(measure.passed, two, "pieces of {size}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: u8| -> Vec<u8> {
            (0..depth)
                .rev()
                .flat_map(|inner| [0x30, inner * 2])
                .collect()
        };
        let told = |depth| match Framing::default().take(&nested(depth)) {
            Err(ConnectionEnd::Garbled(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (told(16), told(17)),
            (
                "no message id".into(),
                "elements are nested more than 16 deep".into()
            )
        );
    }

    #[test]
    fn length_is_bounded() {
        // A search result of more than 16 MiB.
        let announced = [
            0x30, 0x84, 0x01, 0x00, 0x00, 0x01, 0x02, 0x01, 0x01, 0x65, 0x02,
        ];
        assert!(matches!(
            Framing::default().take(&announced),
            Err(ConnectionEnd::TooMuch(_))
        ));
        assert!(matches!(
            Framing::default().take(&[0x30, 0x80]),
            Err(ConnectionEnd::Garbled(_))
        ));
    }

    #[test]
    fn an_entry_that_is_too_large_is_passed_on_without_its_attributes() {
        let attribute = |bytes: usize| {
            let mut value = vec![0x04, 0x84];
            value.extend(u32::try_from(bytes).unwrap().to_be_bytes());
            value.resize(6 + bytes, b'x');
            value
        };
        let framed = |tag: u8, content: &[u8]| {
            let mut all = vec![tag, 0x84];
            all.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
            all.extend(content);
            all
        };
        let set = framed(0x31, &attribute(17 << 20));
        let attributes = framed(
            0x30,
            &framed(0x30, &[&[0x04, 0x02, b's', b'n'][..], &set].concat()),
        );
        let entry = framed(
            0x64,
            &[&[0x04, 0x04, b'c', b'n', b'=', b'x'][..], &attributes].concat(),
        );
        let message = framed(0x30, &[&[0x02, 0x01, 0x07][..], &entry].concat());
        let mut measure = Framing::default();
        for piece in [&message[..], &BOUND[..]].concat().chunks(CHUNK) {
            through(&mut measure, piece).unwrap();
        }
        let instead = too_large::instead_of(&message).unwrap();
        assert_eq!(measure.passed, [&instead[..], &BOUND[..]].concat());
        assert!(instead.len() < 100 && measure.plain.capacity() <= MAX_PLAIN);
    }

    #[test]
    fn what_is_not_ldap_is_told() {
        let Err(ConnectionEnd::Garbled(reason)) =
            Framing::default().take(b"HTTP/1.1 400 Bad Request")
        else {
            panic!("passed")
        };
        assert!(reason.contains("0x48"), "{reason}");
        assert!(
            Framing::default()
                .take(&[0x30, 0x03, 0x02, 0x05, 0x00])
                .is_err(),
            "an element beyond its container"
        );
        assert!(
            Framing::default().take(&[0x30, 0x01, 0x02]).is_err(),
            "a header beyond its container"
        );
    }

    #[test]
    fn a_notice_of_disconnection_is_told() {
        let mut message = vec![
            0x30, 0x10, 0x02, 0x01, 0x00, 0x78, 0x0b, 0x0a, 0x01, 52, 0x04, 0x00, 0x04, 0x04,
        ];
        message.extend(b"down");
        let Err(ConnectionEnd::Notice { code, text }) = Framing::default().take(&message) else {
            panic!("passed")
        };
        assert_eq!((code, text.as_str()), (52, "down"));
    }
}
