//! The messages of the content synchronization operation (RFC 4533 section 2), parsed without
//! trusting their form. No I/O.

use std::collections::BTreeSet;

use super::wire::ber::{Element, Parts, element};

/// The control with which changes are asked for (RFC 4533 section 2.2).
pub(super) const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// The control beside each entry (RFC 4533 section 2.3).
pub(super) const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// The control of the final result (RFC 4533 section 2.4).
pub(super) const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";

/// The longest cookie that is kept, in bytes: those of slapd and of 389 have a few hundred.
const LONGEST_COOKIE: usize = 64 * 1024;

/// Identifies an entry (RFC 4533 section 2.1.1).
pub(super) type SyncUuid = [u8; 16];

/// What a server says about an entry that it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    /// It is there, and did not change.
    Present,
    /// It was added, or changed: servers need not tell these apart.
    Changed,
    /// It is no longer among the entries of the search.
    Deleted,
}

/// A message between the entries (RFC 4533 section 2.5).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyncInfo {
    /// Only how far the search got.
    Cookie(Option<Vec<u8>>),
    /// Entries that are no longer among those of the search.
    Deleted(BTreeSet<SyncUuid>),
    /// Entries that are there, and did not change.
    Present(BTreeSet<SyncUuid>),
}

/// How a refresh ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyncDone {
    /// It may be empty: then it says nothing.
    pub cookie: Option<Vec<u8>>,
    /// Whether everybody who is gone was named; otherwise everybody was who is there.
    pub names_the_deleted: bool,
}

/// The value of the control beside an entry.
pub(super) fn entry_state(value: &[u8]) -> Option<(EntryState, SyncUuid)> {
    let mut parts = sequence(value)?;
    let state = parts.next().filter(|part| part.tag == 0x0a)?;
    let state = match state.content {
        [0] => EntryState::Present,
        [1 | 2] => EntryState::Changed,
        [3] => EntryState::Deleted,
        _ => return None,
    };
    Some((state, uuid(&parts.next()?)?))
}

/// The value of the control of the final result.
pub(super) fn sync_done(value: &[u8]) -> Option<SyncDone> {
    let mut parts = sequence(value)?;
    let (cookie, next) = cookie_of(&mut parts)?;
    let names_the_deleted = match next {
        Some(part) => boolean(&part)?,
        None => false,
    };
    Some(SyncDone {
        cookie,
        names_the_deleted,
    })
}

/// The value of an intermediate message.
pub(super) fn sync_info(value: &[u8]) -> Option<SyncInfo> {
    let whole = element(value).filter(|part| part.is_whole && part.rest.is_empty())?;
    let mut parts = Parts(whole.content);
    match whole.tag {
        0x80 => Some(SyncInfo::Cookie(Some(bounded(whole.content)?))),
        0xa1 | 0xa2 => Some(SyncInfo::Cookie(cookie_of(&mut parts)?.0)),
        0xa3 => {
            let (_, mut next) = cookie_of(&mut parts)?;
            let mut are_deleted = false;
            if let Some(part) = next.take_if(|part| part.tag == 0x01) {
                are_deleted = boolean(&part)?;
            }
            let set = match next {
                Some(part) => part,
                None => parts.next()?,
            };
            let mut ids = Parts(Some(set).filter(|set| set.tag == 0x31)?.content);
            let found: Option<BTreeSet<SyncUuid>> = ids.by_ref().map(|id| uuid(&id)).collect();
            let found = found.filter(|_| ids.0.is_empty())?;
            Some(if are_deleted {
                SyncInfo::Deleted(found)
            } else {
                SyncInfo::Present(found)
            })
        }
        _ => None,
    }
}

/// The cookie at the start, if there is one, and the element after it.
#[allow(clippy::type_complexity, reason = "two parts of one sequence")]
fn cookie_of<'a>(parts: &mut Parts<'a>) -> Option<(Option<Vec<u8>>, Option<Element<'a>>)> {
    match parts.next() {
        Some(part) if part.tag == 0x04 => Some((Some(bounded(part.content)?), parts.next())),
        other => Some((None, other)),
    }
}

fn bounded(cookie: &[u8]) -> Option<Vec<u8>> {
    (cookie.len() <= LONGEST_COOKIE).then(|| cookie.to_vec())
}

fn boolean(part: &Element<'_>) -> Option<bool> {
    match (part.tag, part.content) {
        (0x01, [byte]) => Some(*byte != 0),
        _ => None,
    }
}

fn uuid(part: &Element<'_>) -> Option<SyncUuid> {
    (part.tag == 0x04).then_some(part.content)?.try_into().ok()
}

fn sequence(value: &[u8]) -> Option<Parts<'_>> {
    let whole =
        element(value).filter(|part| part.tag == 0x30 && part.is_whole && part.rest.is_empty())?;
    Some(Parts(whole.content))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn built(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()][..], &content].concat()
    }

    fn text(bytes: &[u8]) -> Vec<u8> {
        built(4, &[bytes])
    }

    #[test]
    fn what_servers_send_is_understood() {
        let id = text(&[7; 16]);
        let state = built(0x30, &[&[10, 1, 3], &id, &text(b"csn")]);
        assert_eq!(entry_state(&state), Some((EntryState::Deleted, [7; 16])));
        let ids = BTreeSet::from([[7; 16]]);
        let set = built(0x31, &[&id]);
        assert_eq!(
            sync_info(&built(0xa3, &[&text(b"c"), &[1, 1, 255], &set])),
            Some(SyncInfo::Deleted(ids.clone()))
        );
        assert_eq!(
            sync_info(&built(0xa3, &[&set])),
            Some(SyncInfo::Present(ids))
        );
        assert_eq!(
            sync_info(&built(0x80, &[b"c"])),
            Some(SyncInfo::Cookie(Some(b"c".to_vec())))
        );
        for (value, cookie, names_the_deleted) in [
            (
                built(0x30, &[&text(b"c"), &[1, 1, 255]]),
                Some(b"c".to_vec()),
                true,
            ),
            (built(0x30, &[&[1, 1, 255]]), None, true),
            // A server that no longer knows the cookie may answer with an empty one.
            (built(0x30, &[&text(b"")]), Some(Vec::new()), false),
            (built(0x30, &[]), None, false),
        ] {
            let expected = SyncDone {
                cookie,
                names_the_deleted,
            };
            assert_eq!(sync_done(&value), Some(expected), "{value:02x?}");
        }
    }

    #[test]
    fn what_is_built_otherwise_is_refused() {
        let short = text(&[7; 15]);
        for value in [
            built(0x30, &[&[10, 1, 9], &text(&[7; 16])]),
            built(0x30, &[&[10, 1, 1], &short]),
            built(0x30, &[&[10, 1, 1]]),
            vec![0x30, 9, 10],
        ] {
            assert_eq!(entry_state(&value), None, "{value:02x?}");
        }
        for value in [
            built(0xa3, &[&built(0x31, &[&short])]),
            built(0xa3, &[]),
            built(0xa4, &[]),
        ] {
            assert_eq!(sync_info(&value), None, "{value:02x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_ends_the_program(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (entry_state(&value), sync_done(&value), sync_info(&value));
        }
    }
}
