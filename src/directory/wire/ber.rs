//! Just enough BER (X.690, as restricted by RFC 4511 section 5.1) to inspect an element without
//! recursing into it. No I/O.

/// One element: its tag, the part of its content that is present, and the bytes that follow.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::directory) struct Element<'a> {
    pub tag: u8,
    /// Shorter than announced when the bytes end early.
    pub content: &'a [u8],
    /// The announced length of the content.
    pub length: usize,
    /// Whether the content is complete.
    pub is_whole: bool,
    /// The bytes after the element.
    pub rest: &'a [u8],
}

/// The element at the start of some bytes; none when its header is incomplete or has an unusual
/// form.
pub(in crate::directory) fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&form, mut bytes) = bytes.split_first()?;
    let mut length = usize::from(form);
    if form >= 0x80 {
        let (digits, after) = bytes
            .split_at_checked(usize::from(form & 0x7f))
            .filter(|(digits, _)| (1..=8).contains(&digits.len()))?;
        length = digits.iter().try_fold(0_usize, |value, digit| {
            value.checked_mul(256)?.checked_add(usize::from(*digit))
        })?;
        bytes = after;
    }
    let (content, rest) = bytes.split_at(length.min(bytes.len()));
    Some(Element {
        tag,
        content,
        length,
        is_whole: content.len() == length,
        rest,
    })
}

/// The elements within one, until one is not whole.
pub(in crate::directory) struct Parts<'a>(pub &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let part = element(self.0).filter(|part| part.is_whole)?;
        self.0 = part.rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn elements_in_all_forms() {
        let long = element(&[0x04, 0x84, 0, 0, 0, 1, 7, 9]).unwrap();
        assert_eq!(
            long,
            Element {
                tag: 4,
                content: &[7],
                length: 1,
                is_whole: true,
                rest: &[9]
            }
        );
        let cut = element(&[0x30, 5, 1]).unwrap();
        assert_eq!((cut.content, cut.is_whole), (&[1_u8][..], false));
        assert_eq!(element(&[0x30]), None);
        assert_eq!(element(&[0x30, 0x80]), None);
        assert_eq!(element(&[0x30, 0x82, 1]), None);
    }
}
