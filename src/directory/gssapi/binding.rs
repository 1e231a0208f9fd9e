//! The channel binding `tls-server-end-point` (RFC 5929 section 4): the hash of a server's
//! certificate. No I/O.

use aws_lc_rs::digest::{self, Algorithm, SHA256, SHA384, SHA512};

use crate::directory::wire::ber::element;

/// The name of the binding, and what separates it from the hash (RFC 5056 section 2.1).
const PREFIX: &[u8] = b"tls-server-end-point:";

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
/// The parameters of RSASSA-PSS (RFC 4055 section 3.1): the hash is the one tagged 0.
const PSS_HASH: u8 = 0xa0;

/// 1.2.840.113549.1.1: PKCS #1 (RFC 8017 appendix C), and which of its algorithms.
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4.3: ECDSA with SHA-2 (RFC 5758 section 3.2), and with which.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// 1.2.840.10045.4.1: ECDSA with SHA-1.
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// 2.16.840.1.101.3.4.2: SHA-2 (RFC 5754 section 2), and which.
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// The binding to a certificate in DER; none where the standard defines none, since its signature
/// has not exactly one hash.
pub(in crate::directory) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = digest::digest(algorithm(certificate)?, certificate);
    Some([PREFIX, hash.as_ref()].concat())
}

/// The hash of a certificate's signature, with SHA-256 instead of MD5 and SHA-1.
fn algorithm(certificate: &[u8]) -> Option<&'static Algorithm> {
    let of = |bytes, tag| element(bytes).filter(|element| element.tag == tag);
    let signed = of(of(certificate, SEQUENCE)?.content, SEQUENCE)?;
    let name = of(of(signed.rest, SEQUENCE)?.content, OBJECT_ID)?;
    if name.content == ECDSA_SHA1 {
        return Some(&SHA256);
    }
    if let Some([which]) = name.content.strip_prefix(ECDSA) {
        return match which {
            1 | 2 => Some(&SHA256),
            3 => Some(&SHA384),
            4 => Some(&SHA512),
            _ => None,
        };
    }
    match name.content.strip_prefix(PKCS1)? {
        [2 | 4 | 5 | 11] => Some(&SHA256),
        [12] => Some(&SHA384),
        [13] => Some(&SHA512),
        [10] => of_pss(name.rest),
        _ => None,
    }
}

/// The hash of RSASSA-PSS, which is SHA-1 where its parameters name none.
fn of_pss(parameters: &[u8]) -> Option<&'static Algorithm> {
    let of = |bytes, tag| element(bytes).filter(|element| element.tag == tag);
    let Some(hash) = of(of(parameters, SEQUENCE)?.content, PSS_HASH) else {
        return Some(&SHA256);
    };
    let name = of(of(hash.content, SEQUENCE)?.content, OBJECT_ID)?;
    match name.content.strip_prefix(SHA2) {
        Some([2]) => Some(&SHA384),
        Some([3]) => Some(&SHA512),
        Some([1]) | None => Some(&SHA256),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// A certificate as far as it is read: its algorithm, and the parameters of that.
    fn signed_with(name: &[u8], parameters: &[u8]) -> Vec<u8> {
        let element = |tag: u8, parts: &[&[u8]]| {
            let content = parts.concat();
            [&[tag, u8::try_from(content.len()).unwrap()][..], &content].concat()
        };
        let algorithm = element(SEQUENCE, &[&element(OBJECT_ID, &[name]), parameters]);
        element(SEQUENCE, &[&element(SEQUENCE, &[]), &algorithm])
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        // RSASSA-PSS with SHA-384, its parameters as openssl writes them.
        let pss = [
            0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2,
        ];
        for (name, parameters, length) in [
            ([PKCS1, &[4]].concat(), &[][..], Some(32)), // MD5
            ([PKCS1, &[5]].concat(), &[], Some(32)),     // SHA-1
            ([PKCS1, &[11]].concat(), &[5, 0], Some(32)),
            ([PKCS1, &[12]].concat(), &[5, 0], Some(48)),
            ([PKCS1, &[13]].concat(), &[5, 0], Some(64)),
            ([PKCS1, &[10]].concat(), &[0x30, 0], Some(32)),
            ([PKCS1, &[10]].concat(), &pss, Some(48)),
            ([ECDSA, &[2]].concat(), &[], Some(32)),
            ([ECDSA, &[3]].concat(), &[], Some(48)),
            ([ECDSA, &[4]].concat(), &[], Some(64)),
            (ECDSA_SHA1.to_vec(), &[], Some(32)),
            (vec![0x2b, 0x65, 0x70], &[], None), // Ed25519
        ] {
            let bound = end_point(&signed_with(&name, parameters));
            let hash = bound.map(|bound| bound.strip_prefix(PREFIX).unwrap().len());
            assert_eq!(hash, length, "{name:02x?}");
        }
    }

    #[test]
    fn the_whole_certificate_is_hashed() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let hash = digest::digest(&SHA256, certificate.der());
        let expected = [b"tls-server-end-point:", hash.as_ref()].concat();
        assert_eq!(end_point(certificate.der()), Some(expected));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = end_point(&bytes);
        }
    }
}
