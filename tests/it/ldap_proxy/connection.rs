//! One connection through the proxy.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt as _;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    time::timeout,
};
use tokio_util::{bytes::Bytes, codec::FramedRead};

use super::{
    Program, Trouble, Upstream,
    ber::{self, ENDLESS, Message, Messages},
    lock,
    quirks::Quirks,
};

type Reader = FramedRead<OwnedReadHalf, Messages>;
type FromServer = Box<dyn AsyncRead + Send + Unpin>;
type ToServer = Box<dyn AsyncWrite + Send + Unpin>;

struct Connection {
    program: Arc<Mutex<Program>>,
    client: OwnedWriteHalf,
    server: ToServer,
    /// What is to happen to the answers of these binds.
    binds: HashMap<Vec<u8>, Trouble>,
    /// To which search these messages belong.
    searches: HashMap<Vec<u8>, usize>,
    /// The search that was started last, and how many of its entries have passed.
    current: usize,
    sent: usize,
    /// The search whose cookies never end.
    endless: Option<usize>,
    /// Messages whose answer is ended already.
    ended: HashSet<Vec<u8>>,
    /// Searches without pages, and how many of their entries have come.
    unpaged: HashMap<Vec<u8>, u8>,
}

/// A result code (RFC 4511 section 4.1.9).
const SIZE_LIMIT_EXCEEDED: u8 = 4;

/// How a connection ends before its time.
#[derive(Clone, Copy)]
enum Cut {
    Reset,
    Close,
    Stall,
}

/// Forwards one connection until an end of it is closed, or the fault ends it.
pub async fn forward(client: TcpStream, upstream: Upstream, program: Arc<Mutex<Program>>) {
    // A server that is down looks like one that hangs up.
    let Some((from_server, to_server)) = reached(upstream).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let mut requests = FramedRead::new(from_client, Messages);
    let mut answers = FramedRead::new(from_server, Messages);
    let mut connection = Connection {
        program,
        client: to_client,
        server: to_server,
        binds: HashMap::new(),
        searches: HashMap::new(),
        current: 0,
        sent: 0,
        endless: None,
        ended: HashSet::new(),
        unpaged: HashMap::new(),
    };
    loop {
        let passed = select! {
            request = requests.next() => match request {
                Some(Ok(request)) => connection.request(&request).await,
                _ => return,
            },
            answer = answers.next() => match answer {
                Some(Ok(answer)) => connection.answer(&answer).await,
                _ => return,
            },
        };
        match passed {
            Ok(None) => {}
            Ok(Some(cut)) => return connection.cut(cut, requests).await,
            // An end went away while it was written to.
            Err(_) => return,
        }
    }
}

/// A connection to the server.
async fn reached(upstream: Upstream) -> Option<(FromServer, ToServer)> {
    let server = TcpStream::connect(upstream.address).await.ok()?;
    server.set_nodelay(true).unwrap();
    let Some(tls) = upstream.tls else {
        let (from, to) = server.into_split();
        return Some((Box::new(from), Box::new(to)));
    };
    let name = upstream.address.ip().into();
    let (from, to) = tokio::io::split(tls.connect(name, server).await.ok()?);
    Some((Box::new(from), Box::new(to)))
}

impl Connection {
    async fn request(&mut self, bytes: &Bytes) -> std::io::Result<Option<Cut>> {
        let message = Message::new(bytes);
        match message.tag {
            ber::BIND_REQUEST => {
                if let Some(trouble) = lock(&self.program).bind() {
                    self.binds.insert(message.id.to_vec(), trouble);
                }
            }
            ber::SEARCH_REQUEST if !message.is_read() => {
                if message.cookie().is_empty() {
                    self.current = lock(&self.program).search();
                    self.sent = 0;
                }
                self.searches.insert(message.id.to_vec(), self.current);
                if message.cookie() == ENDLESS {
                    self.server.write_all(&message.with_cookie(b"")).await?;
                    self.server.flush().await?;
                    return Ok(None);
                }
            }
            _ => {}
        }
        match self.quirks() {
            Some(quirks) if message.tag == ber::SEARCH_REQUEST => {
                if !message.is_paged() {
                    self.unpaged.insert(message.id.to_vec(), 0);
                }
                let capped = message.with_page_size(quirks.page_size);
                self.server.write_all(&capped).await?;
            }
            _ => self.server.write_all(bytes).await?,
        }
        self.server.flush().await?;
        Ok(None)
    }

    fn quirks(&self) -> Option<Quirks> {
        lock(&self.program).quirks
    }

    async fn answer(&mut self, bytes: &Bytes) -> std::io::Result<Option<Cut>> {
        let message = Message::new(bytes);
        if message.tag == ber::BIND_RESPONSE {
            return match self.binds.remove(message.id) {
                Some(trouble) => self.trouble(trouble, bytes, &message).await,
                None => self.pass(bytes).await,
            };
        }
        let Some(search) = self.searches.get(message.id).copied() else {
            return self.pass(bytes).await;
        };
        let at_end = message.tag == ber::SEARCH_DONE;
        if self.ended.contains(message.id) {
            if at_end {
                self.ended.remove(message.id);
                self.searches.remove(message.id);
            }
            return Ok(None);
        }
        let due = lock(&self.program).due(search, self.sent, at_end);
        self.sent += usize::from(message.tag == ber::SEARCH_ENTRY);
        let cut = match due {
            Some(trouble) => self.trouble(trouble, bytes, &message).await,
            None if at_end && self.endless == Some(search) => {
                self.pass(&message.with_cookie(ENDLESS)).await
            }
            None => self.pass(bytes).await,
        };
        if at_end {
            self.searches.remove(message.id);
        }
        cut
    }

    /// Lets the fault happen at a message.
    async fn trouble(
        &mut self,
        trouble: Trouble,
        bytes: &[u8],
        message: &Message<'_>,
    ) -> std::io::Result<Option<Cut>> {
        match trouble {
            Trouble::Reset => Ok(Some(Cut::Reset)),
            Trouble::Close => Ok(Some(Cut::Close)),
            Trouble::Stall => Ok(Some(Cut::Stall)),
            Trouble::Result(code) => {
                let tag = if message.tag == ber::BIND_RESPONSE {
                    ber::BIND_RESPONSE
                } else {
                    ber::SEARCH_DONE
                };
                if tag == ber::SEARCH_DONE && message.tag != ber::SEARCH_DONE {
                    self.ended.insert(message.id.to_vec());
                }
                self.pass(&ber::result(message.id, tag, code)).await
            }
            Trouble::Reference => {
                self.client.write_all(&ber::reference(message.id)).await?;
                self.pass(bytes).await
            }
            Trouble::EndlessCookie => {
                self.endless = Some(self.current);
                self.pass(&message.with_cookie(ENDLESS)).await
            }
            Trouble::NoControl => self.pass(&message.without_controls()).await,
        }
    }

    async fn pass(&mut self, bytes: &[u8]) -> std::io::Result<Option<Cut>> {
        match self.quirks().map(|quirks| self.limited(quirks, bytes)) {
            Some(Some(limited)) => self.client.write_all(&limited).await?,
            Some(None) => {}
            None => self.client.write_all(bytes).await?,
        }
        Ok(None)
    }

    /// An answer within the limits; none for an entry beyond them.
    fn limited(&mut self, quirks: Quirks, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = Message::new(bytes);
        match message.tag {
            ber::SEARCH_ENTRY => {
                if let Some(entries) = self.unpaged.get_mut(message.id) {
                    *entries = entries.saturating_add(1);
                    if *entries > quirks.page_size {
                        return None;
                    }
                }
                Some(quirks.entry(bytes))
            }
            ber::SEARCH_DONE => {
                let entries = self.unpaged.remove(message.id).unwrap_or_default();
                if entries > quirks.page_size {
                    return Some(ber::result(
                        message.id,
                        ber::SEARCH_DONE,
                        SIZE_LIMIT_EXCEEDED,
                    ));
                }
                Some(bytes.to_vec())
            }
            _ => Some(bytes.to_vec()),
        }
    }

    /// Ends the connection as the fault asks for.
    async fn cut(mut self, cut: Cut, mut requests: Reader) {
        match cut {
            Cut::Reset => SockRef::from(self.client.as_ref())
                .set_linger(Some(Duration::ZERO))
                .unwrap(),
            // What the client still says is read, since closing with unread bytes would be a reset.
            Cut::Close => {
                let _ = self.client.shutdown().await;
                let _ = timeout(Duration::from_secs(10), async {
                    while let Some(Ok(_)) = requests.next().await {}
                })
                .await;
            }
            Cut::Stall => while let Some(Ok(_)) = requests.next().await {},
        }
    }
}
