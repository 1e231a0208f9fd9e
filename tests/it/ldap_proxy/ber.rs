//! The part of BER (X.690) that the proxy needs: whole messages, their parts, and a few answers of
//! its own.

use std::{io, ops::Range};

use tokio_util::{
    bytes::{Bytes, BytesMut},
    codec::Decoder,
};

/// The paged results control (RFC 2696).
const PAGED_RESULTS: &[u8] = b"1.2.840.113556.1.4.319";
/// The cookie that leads to the first page again.
pub const ENDLESS: &[u8] = b"and so on";

pub const BIND_REQUEST: u8 = 0x60;
pub const BIND_RESPONSE: u8 = 0x61;
pub const SEARCH_REQUEST: u8 = 0x63;
pub const SEARCH_ENTRY: u8 = 0x64;
pub const SEARCH_DONE: u8 = 0x65;
pub const SEARCH_REFERENCE: u8 = 0x73;
const INTERMEDIATE: u8 = 0x79;
const CONTROLS: u8 = 0xa0;

/// Cuts a stream into whole messages, of which nothing is changed.
pub struct Messages;

impl Decoder for Messages {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match header(buffer) {
            Some((start, length)) if buffer.len() >= start + length => {
                Ok(Some(buffer.split_to(start + length).freeze()))
            }
            _ => Ok(None),
        }
    }
}

/// The parts of a message.
pub struct Message<'a> {
    /// The message id's content.
    pub id: &'a [u8],
    /// The operation's tag.
    pub tag: u8,
    /// The operation's content.
    pub content: &'a [u8],
    controls: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let (_, message, _) = element(bytes);
        let (_, id, rest) = element(message);
        let (tag, content, rest) = element(rest);
        let controls = if rest.first() == Some(&CONTROLS) {
            element(rest).1
        } else {
            &[]
        };
        Self {
            id,
            tag,
            content,
            controls,
        }
    }

    /// Whether a search request asks for a single entry.
    pub fn is_read(&self) -> bool {
        let (_, _base, rest) = element(self.content);
        element(rest).1 == [0]
    }

    /// Whether a search request asks for pages.
    pub fn is_paged(&self) -> bool {
        self.controls().any(|(oid, _)| oid == PAGED_RESULTS)
    }

    /// The cookie of the paged results control; empty when there is none.
    pub fn cookie(&self) -> &'a [u8] {
        let paged = self.controls().find(|(oid, _)| *oid == PAGED_RESULTS);
        paged.map_or(&[], |(_, control)| {
            let (_, _size, cookie) = element(page(control));
            element(cookie).1
        })
    }

    /// The message with another cookie.
    pub fn with_cookie(&self, cookie: &[u8]) -> Vec<u8> {
        self.with_page(|size, _| (size.to_vec(), cookie.to_vec()))
    }

    /// The message with pages of at most so many entries.
    pub fn with_page_size(&self, most: u8) -> Vec<u8> {
        self.with_page(|size, cookie| {
            let is_larger = size.len() > 1 || size[0] > most;
            let size = if is_larger { vec![most] } else { size.to_vec() };
            (size, cookie.to_vec())
        })
    }

    /// The message with another size and cookie in its paged results control.
    fn with_page(&self, other: impl Fn(&[u8], &[u8]) -> (Vec<u8>, Vec<u8>)) -> Vec<u8> {
        let mut controls = Vec::new();
        for (oid, control) in self.controls() {
            if oid == PAGED_RESULTS {
                let (_, size, cookie) = element(page(control));
                let (size, cookie) = other(size, element(cookie).1);
                let value = tlv(0x30, &[tlv(0x02, &size), tlv(0x04, &cookie)].concat());
                controls.extend(tlv(0x30, &[tlv(0x04, oid), tlv(0x04, &value)].concat()));
            } else {
                controls.extend(tlv(0x30, control));
            }
        }
        message(self.id, &tlv(self.tag, self.content), &controls)
    }

    /// The message without controls.
    pub fn without_controls(&self) -> Vec<u8> {
        message(self.id, &tlv(self.tag, self.content), &[])
    }

    /// Each control's OID and content.
    fn controls(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        elements(self.controls).map(|control| (element(control).1, control))
    }
}

/// The DN of a search entry.
pub fn dn<'a>(entry: &Message<'a>) -> &'a [u8] {
    element(entry.content).1
}

/// A search entry with other attributes: those of each name and its values.
pub fn with_attributes(
    entry: &Message<'_>,
    other: impl Fn(String, Vec<&[u8]>) -> Vec<(String, Vec<Vec<u8>>)>,
) -> Vec<u8> {
    let (_, dn, rest) = element(entry.content);
    let mut attributes = Vec::new();
    for attribute in elements(element(rest).1) {
        let (_, name, values) = element(attribute);
        let name = String::from_utf8(name.to_vec()).unwrap();
        for (name, values) in other(name, elements(element(values).1).collect()) {
            let values: Vec<u8> = values.iter().flat_map(|value| tlv(0x04, value)).collect();
            let both = [tlv(0x04, name.as_bytes()), tlv(0x31, &values)].concat();
            attributes.extend(tlv(0x30, &both));
        }
    }
    let content = [tlv(0x04, dn), tlv(0x30, &attributes)].concat();
    message(entry.id, &tlv(SEARCH_ENTRY, &content), entry.controls)
}

/// A search entry with another attribute, of so many equal values.
pub fn entry_with(entry: &[u8], name: &[u8], value: &[u8], count: usize) -> Vec<u8> {
    let whole = Message::new(entry);
    let (_, dn, rest) = element(whole.content);
    let (_, attributes, _) = element(rest);
    let values = tlv(0x31, &tlv(0x04, value).repeat(count));
    let more = tlv(0x30, &[tlv(0x04, name), values].concat());
    let content = [tlv(0x04, dn), tlv(0x30, &[attributes, &more].concat())].concat();
    message(whole.id, &tlv(SEARCH_ENTRY, &content), whole.controls)
}

/// A search entry with this DN, and an attribute without values alone.
pub fn bare(entry: &[u8], dn: &str, name: &[u8]) -> Vec<u8> {
    let whole = Message::new(entry);
    let only = tlv(0x30, &[tlv(0x04, name), tlv(0x31, &[])].concat());
    let content = [tlv(0x04, dn.as_bytes()), tlv(0x30, &only)].concat();
    message(whole.id, &tlv(SEARCH_ENTRY, &content), whole.controls)
}

/// A search entry with another DN.
pub fn renamed(entry: &[u8], dn: &str) -> Vec<u8> {
    let whole = Message::new(entry);
    let (_, _, rest) = element(whole.content);
    let content = [&tlv(0x04, dn.as_bytes()), rest].concat();
    message(whole.id, &tlv(SEARCH_ENTRY, &content), whole.controls)
}

/// An answer that ends an operation: `SearchResultDone`, `BindResponse`.
pub fn result(id: &[u8], tag: u8, code: u8) -> Vec<u8> {
    result_saying(id, tag, code, b"", b"injected")
}

/// The same with a matched DN, and a text of the server.
pub fn result_saying(id: &[u8], tag: u8, code: u8, matched: &[u8], text: &[u8]) -> Vec<u8> {
    let mut content = [tlv(0x0a, &[code]), tlv(0x04, matched), tlv(0x04, text)].concat();
    if code == 10 {
        content.extend(tlv(0xa3, &tlv(0x04, ELSEWHERE)));
    }
    message(id, &tlv(tag, &content), &[])
}

/// A message before that end of a search which names as present the entries with these numbers
/// (RFC 4533 section 2.5).
pub fn names_present(end: &[u8], numbers: Range<u128>) -> Vec<u8> {
    let ids: Vec<u8> = numbers
        .flat_map(|number| tlv(0x04, &number.to_be_bytes()))
        .collect();
    let named = tlv(0xa3, &tlv(0x31, &ids));
    let content = [tlv(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), tlv(0x81, &named)];
    message(
        Message::new(end).id,
        &tlv(INTERMEDIATE, &content.concat()),
        &[],
    )
}

/// A continuation reference to a place where nobody listens.
pub fn reference(id: &[u8]) -> Vec<u8> {
    message(id, &tlv(SEARCH_REFERENCE, &tlv(0x04, ELSEWHERE)), &[])
}

const ELSEWHERE: &[u8] = b"ldap://127.0.0.1:1/ou=elsewhere,dc=studio,dc=test??sub";

fn message(id: &[u8], operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let controls = if controls.is_empty() {
        Vec::new()
    } else {
        tlv(CONTROLS, controls)
    };
    tlv(0x30, &[&tlv(0x02, id), operation, &controls].concat())
}

/// The size and cookie of a paged results control, whose criticality may be there or not.
fn page(control: &[u8]) -> &[u8] {
    let (_, _oid, rest) = element(control);
    let (tag, value, rest) = element(rest);
    let value = if tag == 0x01 { element(rest).1 } else { value };
    element(value).1
}

/// The contents of all elements.
fn elements(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_, content, after) = (!rest.is_empty()).then(|| element(rest))?;
        rest = after;
        Some(content)
    })
}

/// The first element: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
    let (start, length) = header(bytes).expect("an element");
    (
        bytes[0],
        &bytes[start..start + length],
        &bytes[start + length..],
    )
}

/// Where the content of the first element starts, and how long it is; `None` when too little is
/// there to tell.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let count = first - 0x80;
    let length = bytes
        .get(2..2 + count)?
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    Some((2 + count, length))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..=0x7f) => bytes.push(short),
        _ => {
            bytes.push(0x84);
            bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(content);
    bytes
}
