//! An entry that is too large to be read: what is passed on in its place, so that it is known that it
//! is there. No I/O.

use crate::directory::wire::{ber::element, message::ENTRY};

/// The longest DN, in bytes.
pub(in crate::directory) const LONGEST_DN: usize = 16 << 10;
/// How many bytes of such a message are kept: enough for the DN.
pub(super) const BEGINNING: usize = LONGEST_DN + 64;
/// The description of the only attribute that is passed on: no server has an attribute of this OID
/// (RFC 4511 section 4.5.1.8).
pub(in crate::directory) const MARK: &str = "1.1;x-too-large";

/// The same entry with only its message id and DN; none when it shows none, or one that is too long.
pub(super) fn instead_of(message: &[u8]) -> Option<Vec<u8>> {
    let id =
        element(element(message)?.content).filter(|id| id.is_whole && id.content.len() <= 4)?;
    let entry = element(id.rest).filter(|entry| entry.tag == ENTRY)?;
    let dn = element(entry.content)
        .filter(|dn| dn.tag == 0x04 && dn.is_whole && dn.content.len() <= LONGEST_DN)?;
    let mark = built(0x30, &[&built(0x04, &[MARK.as_bytes()]), &built(0x31, &[])]);
    let dn = built(0x04, &[dn.content]);
    let entry = built(ENTRY, &[&dn, &built(0x30, &[&mark])]);
    Some(built(0x30, &[&built(0x02, &[id.content]), &entry]))
}

fn built(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    // In the long form of four bytes, whatever the length.
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&[tag, 0x84][..], &length, &content].concat()
}
