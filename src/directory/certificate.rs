//! Whose a certificate is, and when it expires (RFC 5280 section 4.1.2). No I/O.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::wire::ber::{self, Element, Parts};

const SEQUENCE: u8 = 0x30;
/// The version, which certificates of version 1 do not have.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// When a certificate in DER expires; none where it cannot be parsed.
#[must_use]
pub fn expiry(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let not_before = ber::element(validity(certificate)?.content)?;
    time(&ber::element(not_before.rest)?)
}

/// The subject of a certificate in DER, to be compared: each attribute's type by its bytes, with the
/// value. None where it cannot be parsed or is empty, as it may be beside a subjectAltName.
#[must_use]
pub fn subject(certificate: &[u8]) -> Option<String> {
    let subject = of(validity(certificate)?.rest, SEQUENCE).filter(|subject| subject.is_whole)?;
    let mut text = String::new();
    for name in Parts(subject.content) {
        let mut separator = if text.is_empty() { "" } else { "," };
        for attribute in Parts(Some(name).filter(|name| name.tag == SET)?.content) {
            let kind = of(attribute.content, OBJECT_IDENTIFIER)?;
            // Of a text in whatever encoding, the letters of English are the same bytes.
            let value = ber::element(kind.rest)?.content;
            text.push_str(separator);
            separator = "+";
            for byte in kind.content {
                let _ = write!(text, "{byte:02x}");
            }
            let _ = write!(text, "={}", value.escape_ascii());
        }
    }
    (!text.is_empty()).then_some(text)
}

fn of(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    ber::element(bytes).filter(|element| element.tag == tag)
}

/// The validity, which the subject follows.
fn validity(certificate: &[u8]) -> Option<Element<'_>> {
    let signed = of(of(certificate, SEQUENCE)?.content, SEQUENCE)?.content;
    let after_version = of(signed, VERSION).map_or(signed, |version| version.rest);
    // The serial number, the algorithm and the issuer come before the validity.
    let mut rest = after_version;
    for _ in 0..3 {
        rest = ber::element(rest)?.rest;
    }
    of(rest, SEQUENCE)
}

fn time(element: &Element<'_>) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(element.content).ok()?;
    let text = match element.tag {
        // Two digits of the year: 50 to 99 are of the last century.
        UTC_TIME if text.as_bytes().first()? >= &b'5' => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn certificates_expire() {
        for (year, month, day) in [(2049, 12, 31), (2050, 1, 1), (1999, 5, 6)] {
            let mut parameters = rcgen::CertificateParams::default();
            parameters.not_before = rcgen::date_time_ymd(1990, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            let expires = expiry(certificate.der()).unwrap();
            assert_eq!(
                expires.date_naive().to_string(),
                format!("{year}-{month:02}-{day:02}")
            );
        }
    }

    #[test]
    fn a_subject_is_that_of_every_certificate_of_its_account() {
        let key = || rcgen::KeyPair::generate().unwrap();
        let of = |names: &[(rcgen::DnType, &str)]| {
            let mut parameters = rcgen::CertificateParams::default();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in names {
                let name = &mut parameters.distinguished_name;
                name.push(kind.clone(), *value);
            }
            subject(parameters.self_signed(&key()).unwrap().der())
        };
        let (cn, o) = (rcgen::DnType::CommonName, rcgen::DnType::OrganizationName);
        let sync = of(&[(o.clone(), "studio"), (cn.clone(), "sync, the one")]);
        assert_eq!(sync.as_deref(), Some("55040a=studio,550403=sync, the one"));
        assert_eq!(
            sync,
            of(&[(o.clone(), "studio"), (cn.clone(), "sync, the one")])
        );
        assert_ne!(sync, of(&[(o, "studio"), (cn, "another")]));
        assert_eq!(of(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = expiry(&bytes);
            let _ = subject(&bytes);
        }
    }
}
