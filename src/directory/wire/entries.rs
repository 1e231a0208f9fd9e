//! Entries on their way past the LDAP library: decoded once, from the message that contains them.
//! The library would parse each one bit by bit, and copy each value three times.
//!
//! An entry with controls takes the library's way, since its place among the other messages of a
//! synchronization matters (RFC 4533). So does what is not built like an entry: the reasons for
//! refusing a message are there.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    directory::wire::{
        ber::{Element, Parts, element},
        gate::UnderWay,
        message::ENTRY,
        too_large::MARK,
    },
    model::entry::{Attributes, Entry, Values},
};

/// More than a message id takes, with a length of eight bytes.
const LONGEST_ID: usize = 16;

/// Entries that arrived together, and what they take of the gate.
#[derive(Debug)]
pub(in crate::directory) struct Batch {
    /// Each with the id of its message (RFC 4511 section 4.1.1.1).
    pub entries: Vec<(i32, Entry)>,
    /// To be given back when they were taken.
    pub under_way: UnderWay,
}

/// Where entries are passed on; the gate bounds how many.
pub(in crate::directory) type ToSearch = mpsc::UnboundedSender<Batch>;
/// Where a search takes them.
pub(in crate::directory) type FromServer = mpsc::UnboundedReceiver<Batch>;

/// A way from a server to its searches.
pub(in crate::directory) fn channel() -> (ToSearch, FromServer) {
    mpsc::unbounded_channel()
}

/// What the bytes of a server begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A whole entry.
    Entry(Found),
    /// What may be an entry when more has arrived.
    Unfinished,
    /// Anything else.
    Other,
}

/// An entry, and its message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub id: i32,
    pub entry: Entry,
    /// The number of bytes of the message.
    pub bytes: usize,
    /// The number of elements of the message.
    pub elements: u32,
}

/// The most descriptions that are remembered, and the longest of them, in bytes.
const MOST_KNOWN: usize = 64;
const LONGEST_KNOWN: usize = 256;

/// The descriptions of attributes that a server sent, so that its entries share them.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    known: Vec<Arc<str>>,
    /// The place of the one that is probably next.
    next: usize,
}

impl Descriptions {
    /// A description as a text; none where it is not one.
    fn of(&mut self, sent: &[u8]) -> Option<Arc<str>> {
        let is = |known: &Arc<str>| known.as_bytes() == sent;
        // Most entries have the same attributes in the same order.
        let place = match self.known.get(self.next) {
            Some(known) if is(known) => Some(self.next),
            Some(_) | None => self.known.iter().position(is),
        };
        if let Some((place, known)) = place.and_then(|place| Some((place, self.known.get(place)?)))
        {
            self.next = place + 1;
            return Some(Arc::clone(known));
        }
        let new: Arc<str> = std::str::from_utf8(sent).ok()?.into();
        if self.known.len() < MOST_KNOWN && sent.len() <= LONGEST_KNOWN {
            self.known.push(Arc::clone(&new));
        }
        Some(new)
    }
}

/// Reads the first message, of at most so many bytes and elements.
pub(super) fn start(
    bytes: &[u8],
    longest: u64,
    most_elements: u32,
    descriptions: &mut Descriptions,
) -> Start {
    let Some(message) = element(bytes) else {
        return match bytes {
            [0x30] => Start::Unfinished,
            [0x30, form @ 0x81..=0x88, digits @ ..] if digits.len() < usize::from(form & 0x7f) => {
                Start::Unfinished
            }
            _ => Start::Other,
        };
    };
    if message.tag != 0x30 || message.length as u64 > longest {
        return Start::Other;
    }
    if !message.is_whole {
        let is_undecided = match kind(message.content) {
            Some(kind) => kind == ENTRY,
            None => message.content.len() < LONGEST_ID,
        };
        return if is_undecided {
            Start::Unfinished
        } else {
            Start::Other
        };
    }
    match of_message(message.content, most_elements, descriptions) {
        Some((id, entry, elements)) => Start::Entry(Found {
            id,
            entry,
            bytes: bytes.len() - message.rest.len(),
            elements,
        }),
        None => Start::Other,
    }
}

/// The tag of the operation in a message, once it has arrived.
fn kind(content: &[u8]) -> Option<u8> {
    let id = element(content).filter(|id| id.is_whole)?;
    id.rest.first().copied()
}

/// The entry in a message that contains nothing else, with the message's id, and the number of
/// elements.
fn of_message(
    content: &[u8],
    most_elements: u32,
    descriptions: &mut Descriptions,
) -> Option<(i32, Entry, u32)> {
    let id = element(content).filter(|id| id.is_whole && id.tag == 0x02)?;
    let operation = element(id.rest).filter(|operation| {
        operation.tag == ENTRY && operation.is_whole && operation.rest.is_empty()
    })?;
    let number = match id.content {
        [first, ..] if id.content.len() <= 4 && *first < 0x80 => {
            let digits = id.content.iter();
            digits.fold(0_i32, |number, digit| (number << 8) | i32::from(*digit))
        }
        _ => return None,
    };
    // The message, its id, and the operation.
    let mut elements = Elements {
        count: 3,
        most: most_elements,
    };
    let entry =
        of_operation(operation.content, &mut elements, descriptions).filter(|_| number != 0)?;
    Some((number, entry, elements.count))
}

/// Counts elements.
struct Elements {
    count: u32,
    most: u32,
}

impl Elements {
    /// One more, of this tag; none when it is another one, not whole, or there are too many.
    fn take<'b>(&mut self, part: Option<Element<'b>>, tag: u8) -> Option<Element<'b>> {
        self.count += 1;
        part.filter(|part| part.tag == tag && part.is_whole && self.count <= self.most)
    }
}

/// RFC 4511 section 4.5.2: a DN, and a list of descriptions with their values.
fn of_operation(
    content: &[u8],
    elements: &mut Elements,
    descriptions: &mut Descriptions,
) -> Option<Entry> {
    let dn = elements.take(element(content), 0x04)?;
    let list = elements.take(element(dn.rest), 0x30)?;
    let mut rest = list.content;
    let mut attributes = Attributes::with_capacity(Parts(rest).count());
    descriptions.next = 0;
    while !rest.is_empty() {
        let attribute = elements.take(element(rest), 0x30)?;
        let name = elements.take(element(attribute.content), 0x04)?;
        let set = elements.take(element(name.rest), 0x31)?;
        if !set.rest.is_empty() {
            return None;
        }
        let values = values(set.content, elements)?;
        attributes.push((descriptions.of(name.content)?, values));
        rest = attribute.rest;
    }
    let dn = String::from_utf8_lossy(dn.content).into_owned();
    list.rest.is_empty().then(|| as_read(dn, attributes))
}

fn values(set: &[u8], elements: &mut Elements) -> Option<Values> {
    let mut values = Values::with_capacity(Parts(set).count());
    let mut rest = set;
    while !rest.is_empty() {
        let value = elements.take(element(rest), 0x04)?;
        values.push(value.content.to_vec());
        rest = value.rest;
    }
    Some(values)
}

/// The entry of this DN and these attributes, or the one in whose place they were passed on.
pub(in crate::directory) fn as_read(dn: String, attributes: Attributes) -> Entry {
    match attributes.as_slice() {
        [(name, _)] if **name == *MARK => Entry::new(dn, Vec::new()).too_large(),
        _ => Entry::new(dn, attributes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;
    use crate::directory::lookup::decode;

    /// An element with its length in the shortest form, or in another one.
    fn built(tag: u8, content: &[u8], form: u8) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let head = match (form % 3, content.len()) {
            (0, ..0x80) => vec![tag, length[3]],
            (1, _) => [&[tag, 0x84][..], &length].concat(),
            _ => [&[tag, 0x83][..], &length[1..]].concat(),
        };
        [&head[..], content].concat()
    }

    fn list(parts: &[Vec<u8>], tag: u8, form: u8) -> Vec<u8> {
        built(tag, &parts.concat(), form)
    }

    fn message(id: &[u8], dn: &str, attributes: &[(String, Vec<Vec<u8>>)], form: u8) -> Vec<u8> {
        let attributes: Vec<Vec<u8>> = attributes
            .iter()
            .map(|(name, values)| {
                let values: Vec<Vec<u8>> = values.iter().map(|one| built(4, one, form)).collect();
                let parts = [built(4, name.as_bytes(), form), list(&values, 0x31, form)];
                list(&parts, 0x30, form)
            })
            .collect();
        let entry = [built(4, dn.as_bytes(), form), list(&attributes, 0x30, form)];
        list(&[built(2, id, form), list(&entry, ENTRY, form)], 0x30, form)
    }

    /// The entry of a message by the library's parser.
    fn by_the_library(bytes: &[u8]) -> Option<Entry> {
        let (_, whole) = ldap3::asn1::parse_tag(bytes).ok()?;
        let operation = whole.expect_constructed()?.into_iter().nth(1)?;
        decode(operation)
    }

    fn first(bytes: &[u8], longest: u64, most_elements: u32) -> Start {
        start(bytes, longest, most_elements, &mut Descriptions::default())
    }

    fn found(bytes: &[u8]) -> Option<Found> {
        match first(bytes, 1 << 20, 1000) {
            Start::Entry(found) => Some(found),
            Start::Unfinished | Start::Other => None,
        }
    }

    fn attributes() -> impl Strategy<Value = Vec<(String, Vec<Vec<u8>>)>> {
        let value = proptest::collection::vec(any::<u8>(), 0..300);
        let values = proptest::collection::vec(value, 0..4);
        proptest::collection::vec(("[a-zA-Z;-]{1,12}", values), 0..5)
    }

    proptest! {
        #[test]
        fn an_entry_is_what_the_library_makes_of_it(
            id in 1_i32..0x7fff_ffff, dn in ".{0,40}", attributes in attributes(), form in 0_u8..3,
        ) {
            let digits = id.to_be_bytes();
            let short = digits.iter().position(|digit| *digit != 0).unwrap();
            let short = if digits[short] < 0x80 { short } else { short - 1 };
            let bytes = message(&digits[short..], &dn, &attributes, form);
            let after = [&bytes[..], &[0x30]].concat();
            let found = found(&after).unwrap();
            prop_assert_eq!((found.id, found.bytes), (id, bytes.len()));
            prop_assert_eq!(&found.entry, &Entry::showing(&dn, attributes));
            prop_assert_eq!(Some(found.entry), by_the_library(&bytes));
        }

        #[test]
        fn damaged_bytes_are_never_another_entry_than_the_librarys(
            attributes in attributes(), form in 0_u8..3,
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = message(&[7], "cn=x", &attributes, form);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Some(found) = found(&bytes) {
                prop_assert_eq!(Some(found.entry), by_the_library(&bytes[..found.bytes]));
            }
        }

        #[test]
        fn a_part_of_an_entry_is_unfinished(attributes in attributes(), form in 0_u8..3) {
            let bytes = message(&[7], "cn=x", &attributes, form);
            for end in 1..bytes.len() {
                prop_assert_eq!(first(&bytes[..end], 1 << 20, 1000), Start::Unfinished, "{}", end);
            }
        }
    }

    #[test]
    fn the_library_gets_what_is_not_a_plain_entry() {
        let plain = message(&[7], "cn=x", &[("cn".into(), vec![b"x".to_vec()])], 0);
        assert!(found(&plain).is_some());
        let operation = &plain[5..];
        let controls = [0xa0, 0];
        let with_controls = list(
            &[built(2, &[7], 0), operation.to_vec(), controls.into()],
            0x30,
            0,
        );
        let of_nobody = list(&[built(2, &[0], 0), operation.to_vec()], 0x30, 0);
        let negative = list(&[built(2, &[0x80], 0), operation.to_vec()], 0x30, 0);
        let done = list(
            &[built(2, &[7], 0), built(0x65, &[10, 1, 0, 4, 0, 4, 0], 0)],
            0x30,
            0,
        );
        for bytes in [&with_controls, &of_nobody, &negative, &done] {
            assert_eq!(first(bytes, 1 << 20, 1000), Start::Other, "{bytes:02x?}");
        }
        // Of which only the beginning has arrived.
        assert_eq!(first(&done[..6], 1 << 20, 1000), Start::Other);
        for bytes in [&[0x30, 0x80][..], &[0x30, 0x89], &[0x48], b"HTTP/1.1"] {
            assert_eq!(first(bytes, 1 << 20, 1000), Start::Other, "{bytes:02x?}");
        }
        // Too long, and too many elements.
        let length = plain.len() as u64 - 2;
        assert!(matches!(first(&plain, length, 10), Start::Entry(_)));
        assert_eq!(first(&plain, length - 1, 10), Start::Other);
        assert!(matches!(first(&plain, length, 9), Start::Entry(_)));
        assert_eq!(first(&plain, length, 8), Start::Other);
    }

    #[test]
    fn what_was_passed_on_in_place_of_a_large_entry_is_one() {
        let bytes = message(&[7], "cn=x", &[(MARK.into(), Vec::new())], 1);
        assert!(found(&bytes).unwrap().entry.is_too_large());
    }
}
