//! A connection whose messages are sealed (RFC 4422 section 3.7): each is preceded by its length in
//! four bytes.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio_util::{
    codec::{Decoder, Encoder, Framed},
    io::{SinkWriter, StreamReader},
};

use super::{
    layer::{Choice, MAX_SEALED, Protection},
    ticket::Ticket,
};

/// The length of a length.
const LENGTH: usize = 4;

/// A byte stream to a server, sealed.
pub type Sealed = SinkWriter<StreamReader<Framed<TcpStream, Seal>, Bytes>>;

/// Seals what is sent, and opens what comes.
#[derive(Debug)]
pub struct Seal {
    ticket: Ticket,
    longest_piece: usize,
}

/// The connection, sealed from now on.
pub(in crate::directory) fn sealed(tcp: TcpStream, ticket: Ticket, choice: &Choice) -> Sealed {
    let seal = Seal {
        ticket,
        longest_piece: choice.longest_piece,
    };
    SinkWriter::new(StreamReader::new(Framed::new(tcp, seal)))
}

impl Encoder<&[u8]> for Seal {
    type Error = io::Error;

    fn encode(&mut self, bytes: &[u8], to: &mut BytesMut) -> io::Result<()> {
        for piece in bytes.chunks(self.longest_piece) {
            let sealed = self
                .ticket
                .wrap(piece, Protection::Sealed)
                .map_err(io::Error::other)?;
            let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
            to.extend_from_slice(&length.to_be_bytes());
            to.extend_from_slice(&sealed);
        }
        Ok(())
    }
}

impl Decoder for Seal {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let Some(sealed) = first_of(from)? else {
            return Ok(None);
        };
        let end = LENGTH.saturating_add(sealed.len());
        let opened = self.ticket.unwrap(sealed).map_err(|fault| {
            io::Error::other(format!("a sealed message cannot be opened: {fault}"))
        })?;
        let opened = Bytes::copy_from_slice(&opened);
        from.advance(end);
        Ok(Some(opened))
    }
}

/// The first of some sealed messages, once all of it has come.
fn first_of(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if length > MAX_SEALED {
        return Err(io::Error::other(format!(
            "it announced a sealed message of {length} bytes"
        )));
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    Ok(rest.get(..length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_are_read_whole_and_bounded() {
        assert_eq!(first_of(&[0, 0, 0]).unwrap(), None);
        assert_eq!(first_of(&[0, 0, 0, 2, 7]).unwrap(), None);
        assert_eq!(first_of(&[0, 0, 0, 2, 7, 8, 9]).unwrap(), Some(&[7, 8][..]));
        assert_eq!(first_of(&[0, 0xff, 0xff, 0xff]).unwrap(), None);
        let too_long = first_of(&[1, 0, 0, 0]).unwrap_err();
        assert_eq!(
            too_long.to_string(),
            "it announced a sealed message of 16777216 bytes"
        );
        // What comes without being sealed.
        assert!(first_of(b"HTTP/1.1 400").is_err());
    }
}
