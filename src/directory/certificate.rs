//! When a certificate expires (RFC 5280 section 4.1.2.5). No I/O.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::wire::ber::{self, Element};

const SEQUENCE: u8 = 0x30;
/// The version, which certificates of version 1 do not have.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate in DER expires; none where it cannot be parsed.
#[must_use]
pub fn expiry(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let of = |bytes, tag| ber::element(bytes).filter(|element| element.tag == tag);
    let signed = of(of(certificate, SEQUENCE)?.content, SEQUENCE)?.content;
    let after_version = of(signed, VERSION).map_or(signed, |version| version.rest);
    // The serial number, the algorithm and the issuer come before the validity.
    let mut rest = after_version;
    for _ in 0..3 {
        rest = ber::element(rest)?.rest;
    }
    let not_before = ber::element(of(rest, SEQUENCE)?.content)?;
    time(&ber::element(not_before.rest)?)
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

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = expiry(&bytes);
        }
    }
}
