//! Checks that a message other than an entry is built according to RFC 4511 before it reaches the
//! library, which would otherwise panic. No I/O.

use crate::directory::wire::ber::{Element, Parts, element};

/// A search result entry, which is not inspected here (RFC 4511 section 4.5.2).
pub(in crate::directory) const ENTRY: u8 = 0x64;

/// Why a message is not passed on.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::directory) enum Fault {
    /// A notice of disconnection (RFC 4511 section 4.4.1).
    Notice {
        /// The result code.
        code: u32,
        /// The server's words, as they came.
        text: String,
    },
    /// It is not built like a message to a client.
    Misbuilt(&'static str),
}

/// Checks one whole message.
pub(in crate::directory) fn check(message: &[u8]) -> Result<(), Fault> {
    let mut parts = Parts(
        element(message)
            .ok_or(Fault::Misbuilt("no message"))?
            .content,
    );
    let id = parts
        .next()
        .filter(|id| id.tag == 0x02 && is_number(id))
        .ok_or(Fault::Misbuilt("no message id"))?;
    let operation = parts.next().ok_or(Fault::Misbuilt("no operation"))?;
    if id.content.iter().all(|byte| *byte == 0) {
        return Err(notice(operation.content));
    }
    match operation.tag {
        0x61 | 0x65 | 0x78 => result(Parts(operation.content))?, // of a bind, a search, an extended operation
        0x73 if all_are_texts(Parts(operation.content)) => {}    // a reference
        0x73 => return Err(Fault::Misbuilt("a reference without addresses")),
        ENTRY | 0x79 => {} // 0x79 is an intermediate response
        _ => {
            return Err(Fault::Misbuilt(
                "an operation that is never sent to a client",
            ));
        }
    }
    match (parts.next(), parts.next()) {
        (None, _) => Ok(()),
        (Some(controls), None)
            if controls.tag == 0xa0 && Parts(controls.content).all(is_control) =>
        {
            Ok(())
        }
        (Some(_), _) => Err(Fault::Misbuilt(
            "something other than controls after the operation",
        )),
    }
}

/// Whether a search streams this message: a reference, or an intermediate response.
pub(in crate::directory) fn is_streamed(message: &[u8]) -> bool {
    let operation = element(message).map(|message| Parts(message.content).nth(1));
    operation
        .flatten()
        .is_some_and(|operation| matches!(operation.tag, 0x73 | 0x79))
}

/// The parts of every result (RFC 4511 section 4.1.9); a longer code would be truncated, in the
/// worst case to success.
fn result(mut parts: Parts<'_>) -> Result<(), Fault> {
    if !parts
        .next()
        .is_some_and(|code| code.tag == 0x0a && is_number(&code))
    {
        return Err(Fault::Misbuilt("a result without a code"));
    }
    if !(parts.next().is_some_and(|matched| is_text(&matched))
        && parts.next().is_some_and(|text| is_text(&text)))
    {
        return Err(Fault::Misbuilt("a result with an invalid DN or text"));
    }
    let is_right = |part: Element<'_>| match part.tag {
        0xa3 => all_are_texts(Parts(part.content)), // where it is referred to
        0x8a => std::str::from_utf8(part.content).is_ok(),
        tag => !matches!(tag & 0x1f, 3 | 7 | 10 | 11) || matches!(tag, 0x87 | 0x8b),
    };
    if parts.all(is_right) {
        Ok(())
    } else {
        Err(Fault::Misbuilt("a result with unusual parts"))
    }
}

fn notice(response: &[u8]) -> Fault {
    let mut parts = Parts(response);
    let code = parts.next().map_or(0, |code| {
        code.content
            .iter()
            .take(4)
            .fold(0, |value, byte| (value << 8) | u32::from(*byte))
    });
    let text = parts
        .by_ref()
        .nth(1)
        .map(|text| String::from_utf8_lossy(text.content).into_owned());
    Fault::Notice {
        code,
        text: text.unwrap_or_default(),
    }
}

fn is_control(control: Element<'_>) -> bool {
    let mut parts = Parts(control.content);
    let is_named = control.tag == 0x30 && parts.next().is_some_and(|oid| is_text(&oid));
    let next = match parts.next() {
        Some(critical) if critical.tag == 0x01 && !critical.content.is_empty() => parts.next(),
        other => other,
    };
    is_named && next.is_none_or(|value| value.tag == 0x04) && parts.0.is_empty()
}

fn is_number(part: &Element<'_>) -> bool {
    (1..=4).contains(&part.content.len())
}

fn is_text(part: &Element<'_>) -> bool {
    part.tag == 0x04 && std::str::from_utf8(part.content).is_ok()
}

fn all_are_texts(mut parts: Parts<'_>) -> bool {
    parts.all(|part| is_text(&part)) && parts.0.is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn built(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()][..], &content].concat()
    }

    fn with(operation: &[u8], rest: &[u8]) -> Result<(), Fault> {
        check(&built(0x30, &[&[2, 1, 1], operation, rest]))
    }

    const SUCCESS: [u8; 7] = [10, 1, 0, 4, 0, 4, 0];

    #[test]
    fn what_servers_send_passes() {
        let referred = built(0x65, &[&SUCCESS, &built(0xa3, &[&[4, 1, b'x']])]);
        let extended = built(0x78, &[&SUCCESS, &[0x8a, 1, b'1'], &[0x8b, 2, 0, 1]]);
        for operation in [
            built(0x61, &[&SUCCESS]),
            referred,
            extended,
            built(0x73, &[&[4, 1, b'x']]),
        ] {
            assert_eq!(with(&operation, &[]), Ok(()), "{operation:02x?}");
        }
        let control = built(
            0xa0,
            &[
                &built(0x30, &[&[4, 1, b'1'], &[1, 1, 255], &[4, 1, 0]]),
                &built(0x30, &[&[4, 1, b'2']]),
            ],
        );
        assert_eq!(with(&built(0x65, &[&SUCCESS]), &control), Ok(()));
    }

    #[test]
    fn what_would_be_misread_does_not() {
        let misbuilt = [
            built(0x65, &[]),
            built(0x65, &[&[10, 5, 1, 0, 0, 0, 0], &SUCCESS[3..]]), // truncated to 32 bits this would be success
            built(0x65, &[&[10, 0], &SUCCESS[3..]]),
            built(0x65, &[&[2, 1, 0], &SUCCESS[3..]]),
            built(0x65, &[&SUCCESS[..5], &[4, 1, 0xff]]),
            built(0x65, &[&SUCCESS, &[0x83, 0]]),
            built(0x65, &[&SUCCESS, &built(0xa3, &[&[4, 1, 0xff]])]),
            built(0x78, &[&SUCCESS, &[0x8a, 1, 0xff]]),
            built(0x73, &[&[0x30, 0]]),
            built(0x63, &[&SUCCESS]),
        ];
        for operation in misbuilt {
            assert!(
                matches!(with(&operation, &[]), Err(Fault::Misbuilt(_))),
                "{operation:02x?}"
            );
        }
        for rest in [
            &[0xa0, 2, 4, 0][..],
            &[0xa0, 4, 0x30, 2, 1, 0],
            &[4, 0],
            &[0xa0, 0, 0xa0, 0],
        ] {
            assert!(
                matches!(
                    with(&built(0x65, &[&SUCCESS]), rest),
                    Err(Fault::Misbuilt(_))
                ),
                "{rest:02x?}"
            );
        }
        for message in [&[0x30, 0][..], &[0x30, 3, 2, 1, 1], &[0x30, 2, 2, 0]] {
            assert!(
                matches!(check(message), Err(Fault::Misbuilt(_))),
                "{message:02x?}"
            );
        }
    }
}
