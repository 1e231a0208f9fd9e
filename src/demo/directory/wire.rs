//! The messages of one connection, with limits on their size and on every wait.

use std::{io, time::Duration};

use futures_util::SinkExt as _;
use ldap3_proto::{
    LdapCodec,
    control::LdapControl,
    proto::{LdapBindResponse, LdapExtendedResponse, LdapMsg, LdapOp, LdapResult, LdapResultCode},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, FramedRead, FramedWrite},
};

/// The longest request; answers may be longer.
const REQUEST_BYTES: usize = 256 * 1024;
/// Answers are written when this many bytes are buffered.
const WRITE_BYTES: usize = 64 * 1024;
/// How long a client may leave an answer unread.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// The name of the message by which a server says that it closes the connection (RFC 4511 section
/// 4.4.1).
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

pub(super) type Reader = FramedRead<OwnedReadHalf, Requests>;

/// Decodes requests, and refuses invalid ones as soon as their first bytes show it.
pub(super) struct Requests(LdapCodec);

/// The sending half of a connection.
pub(super) struct Writer(FramedWrite<OwnedWriteHalf, LdapCodec>);

/// The two halves of a connection.
pub(super) fn open(stream: TcpStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    let mut writer = FramedWrite::new(write, LdapCodec::default());
    writer.set_backpressure_boundary(WRITE_BYTES);
    (
        FramedRead::new(read, Requests(LdapCodec::new(Some(REQUEST_BYTES), None))),
        Writer(writer),
    )
}

impl Decoder for Requests {
    type Item = LdapMsg;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<LdapMsg>> {
        if !may_be_message(buffer) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.0.decode(buffer)
    }
}

/// Whether bytes may start an LDAP message (RFC 4511 section 4.1.1) of an acceptable length.
///
/// The decoder would wait for a whole message before inspecting it, and would print unknown
/// operations to standard output.
fn may_be_message(bytes: &[u8]) -> bool {
    let (Some(0x30), Some(&first)) = (bytes.first(), bytes.get(1)) else {
        return matches!(bytes, [] | [0x30]);
    };
    let (start, length) = match first {
        short @ ..=0x7f => (2, usize::from(short)),
        long @ 0x81..=0x84 => {
            let start = 2 + usize::from(long - 0x80);
            let Some(length) = bytes.get(2..start) else {
                return true;
            };
            (
                start,
                length
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            )
        }
        _ => return false,
    };
    let id_length = bytes
        .get(start + 1)
        .map_or(0, |length| usize::from(*length));
    let tag = bytes.get(start..).and_then(|id| id.get(2 + id_length));
    length <= REQUEST_BYTES && id_length <= 4 && tag.is_none_or(|tag| is_operation(*tag))
}

/// Whether a tag is that of an operation (RFC 4511 section 4.2 to 4.13).
fn is_operation(tag: u8) -> bool {
    matches!(tag, 0x42 | 0x4a | 0x50 | 0x60 | 0x61 | 0x63..=0x69 | 0x6b..=0x6f | 0x73 | 0x77..=0x79)
}

impl Writer {
    /// Queues a message; written when enough is buffered.
    pub(super) async fn feed(
        &mut self,
        msgid: i32,
        op: LdapOp,
        ctrl: Vec<LdapControl>,
    ) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.0.feed(LdapMsg { msgid, op, ctrl }))
            .await
            .map_err(io::Error::from)?
    }

    /// Writes the buffer.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.0.flush())
            .await
            .map_err(io::Error::from)?
    }

    /// Queues a message and writes the buffer.
    pub(super) async fn send(
        &mut self,
        msgid: i32,
        op: LdapOp,
        ctrl: Vec<LdapControl>,
    ) -> io::Result<()> {
        self.feed(msgid, op, ctrl).await?;
        self.flush().await
    }

    /// Sends the reason why the connection ends, if the client still listens, and ends it.
    pub(super) async fn disconnect(&mut self, code: LdapResultCode, message: &str) {
        let notice = LdapExtendedResponse {
            res: result(code, message),
            name: Some(NOTICE_OF_DISCONNECTION.to_owned()),
            value: None,
        };
        let limit = Duration::from_secs(1);
        // The client may have disconnected already.
        let _ = timeout(
            limit,
            self.send(0, LdapOp::ExtendedResponse(notice), Vec::new()),
        )
        .await;
        let _ = timeout(limit, self.0.get_mut().shutdown()).await;
    }
}

/// A result with a code and a text for people.
pub(super) fn result(code: LdapResultCode, message: &str) -> LdapResult {
    LdapResult {
        code,
        matcheddn: String::new(),
        message: message.to_owned(),
        referral: Vec::new(),
    }
}

/// The answer to a bind.
pub(super) fn bind_response(res: LdapResult) -> LdapOp {
    LdapOp::BindResponse(LdapBindResponse {
        res,
        saslcreds: None,
    })
}

/// The answer to an extended operation.
pub(super) fn extended_response(res: LdapResult, value: Option<Vec<u8>>) -> LdapOp {
    LdapOp::ExtendedResponse(LdapExtendedResponse {
        res,
        name: None,
        value,
    })
}
