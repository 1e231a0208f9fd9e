//! In which way TLS failed.

use std::{io, net::Ipv6Addr};

use rustls::{AlertDescription as Alert, CertificateError, Error};

/// How TLS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The server's certificate is not issued by a trusted authority.
    UntrustedIssuer {
        /// What the verifier said.
        detail: String,
    },
    /// The certificate has no subjectAltName (RFC 9525 section 2): its CN does not count.
    NoAlternativeName,
    /// The certificate is of version 1, which has no extensions and so no subjectAltName.
    Version1,
    /// The certificate, or one of its issuers', is signed in a way that is not accepted.
    WeakSignature,
    /// The certificate is that of an authority (CA:TRUE), and `ca_file` does not name it.
    Authority,
    /// The certificate is for other names.
    WrongHost {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate, as far as known.
        presented: Vec<String>,
    },
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The server rejects the client certificate, or requires one.
    ClientCertificate {
        /// The alert that the server sent.
        detail: String,
    },
    /// The server does not speak TLS.
    NotTls {
        /// What it sent instead.
        detail: String,
    },
    /// Anything else.
    Other {
        /// What the TLS library said.
        detail: String,
    },
}

impl TlsFault {
    /// The meaning of an error of the TLS library.
    #[must_use]
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the enums are non-exhaustive; other errors are reported in the library's own words"
    )]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(reason) => of_certificate(reason),
            Error::InvalidMessage(_) => Self::NotTls {
                detail: "its answer is something else".into(),
            },
            Error::AlertReceived(
                alert @ (Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied),
            ) => Self::ClientCertificate {
                detail: format!("alert: {}", words(&format!("{alert:?}"))),
            },
            Error::AlertReceived(alert) => Self::Other {
                detail: format!(
                    "the server ended the handshake with the alert: {}",
                    words(&format!("{alert:?}"))
                ),
            },
            other => Self::Other {
                detail: other.to_string(),
            },
        }
    }

    /// The meaning of a failed handshake.
    #[must_use]
    pub fn of_handshake(error: &io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        {
            Some(inner) => Self::of(inner),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::NotTls {
                detail: "the server closed the connection during the handshake".into(),
            },
            None => Self::Other {
                detail: error.to_string(),
            },
        }
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::UntrustedIssuer { detail } => {
                format!("the server's certificate is not trusted ({detail})")
            }
            Self::NoAlternativeName => {
                "the server's certificate has no subjectAltName, and the name \
                 in its CN does not count any more"
                    .to_owned()
            }
            Self::Version1 => {
                "the server's certificate is of version 1, which cannot contain a subjectAltName"
                    .to_owned()
            }
            Self::WeakSignature => {
                "the server's certificate, or one of its issuers', is signed in a \
                 way that is not accepted, such as with SHA-1"
                    .to_owned()
            }
            Self::Authority => {
                "the server's certificate is that of an authority (CA:TRUE), which is \
                 accepted as a server's only where ca_file names it"
                    .to_owned()
            }
            Self::WrongHost {
                expected,
                presented,
            } => {
                let but = if presented.is_empty() {
                    String::new()
                } else {
                    format!(" but for {}", presented.join(", "))
                };
                format!("the server's certificate is not for {expected}{but}")
            }
            Self::Expired => "the server's certificate has expired".to_owned(),
            Self::NotYetValid => "the server's certificate is not valid yet".to_owned(),
            Self::ClientCertificate { detail } => {
                format!("the server rejects the client certificate, or requires one ({detail})")
            }
            Self::NotTls { detail } => format!("the server does not speak TLS ({detail})"),
            Self::Other { detail } => format!("TLS failed: {detail}"),
        }
    }

    /// What to do about it, if that is known.
    #[must_use]
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            Self::UntrustedIssuer { .. } => Some(
                "set ca_file to the certificate of its issuer, or to the server's own if it is \
                 self-signed",
            ),
            Self::NoAlternativeName => Some(
                "renew it with the name in the URL as subjectAltName (openssl req: -addext \
                 subjectAltName=DNS:NAME)",
            ),
            Self::Version1 => Some(
                "renew it with the name in the URL as subjectAltName (openssl x509 -req: -extfile \
                 with the line subjectAltName=DNS:NAME)",
            ),
            Self::WeakSignature => Some("renew them with SHA-256 or better"),
            Self::Authority => Some("set ca_file to this certificate, or renew it with CA:FALSE"),
            Self::WrongHost { .. } => Some(
                "use a name from the certificate in the URL, or renew the certificate with this \
                 name",
            ),
            Self::Expired => Some("renew it, or correct this machine's clock"),
            Self::NotYetValid => Some("check this machine's clock"),
            Self::ClientCertificate { .. } => Some("check client_cert_file and client_key_file"),
            Self::NotTls { .. } => {
                Some("ldaps:// is usually port 636, StartTLS with ldap:// port 389")
            }
            Self::Other { .. } => None,
        }
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is non-exhaustive; other errors are reported in the library's own words"
)]
fn of_certificate(reason: &CertificateError) -> TlsFault {
    match reason {
        CertificateError::UnknownIssuer => TlsFault::UntrustedIssuer {
            detail: "unknown issuer".into(),
        },
        CertificateError::BadSignature => TlsFault::UntrustedIssuer {
            detail: "its signature is not the issuer's".into(),
        },
        CertificateError::NotValidForName => TlsFault::WrongHost {
            expected: "this host".into(),
            presented: Vec::new(),
        },
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            TlsFault::NoAlternativeName
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => TlsFault::WrongHost {
            expected: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| plain_name(name)).collect(),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFault::NotYetValid
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsFault::WeakSignature
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            TlsFault::Other {
                detail: "the server's certificate is not for servers: its extendedKeyUsage lacks \
                         serverAuth"
                    .into(),
            }
        }
        CertificateError::Other(other) => match other.to_string().as_str() {
            "UnsupportedCertVersion" => TlsFault::Version1,
            "CaUsedAsEndEntity" => TlsFault::Authority,
            other => TlsFault::UntrustedIssuer {
                detail: words(other),
            },
        },
        other => TlsFault::Other {
            detail: format!("the server's certificate: {}", words(&format!("{other:?}"))),
        },
    }
}

/// A name in a certificate as people write it: the library wraps it, as in `DnsName("a.test")`, and
/// writes addresses as nobody else does: `0::1`, and `2001:db8` without the zeros that follow.
fn plain_name(shown: &str) -> String {
    let inner = shown
        .split_once('(')
        .and_then(|(_, inner)| inner.strip_suffix(')'));
    let name = inner.unwrap_or(shown).trim_matches('"');
    let address = name.parse().or_else(|_| format!("{name}::").parse());
    address.map_or_else(|_| name.to_owned(), |address: Ipv6Addr| address.to_string())
}

/// The name of a variant of the library's enums as words: `CertificateRevoked` as `certificate
/// revoked`; without what is in it.
fn words(variant: &str) -> String {
    let name = variant
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    let mut words = String::new();
    let mut before = 'A';
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use rustls::{
        client::verify_server_name,
        pki_types::{CertificateDer, ServerName},
        server::ParsedCertificate,
    };

    use super::*;

    #[test]
    fn the_addresses_of_a_certificate_are_written_as_everywhere() {
        let names = ["::1", "2001:db8::", "2001:db8::7", "127.0.0.1", "a.test"];
        let certificate =
            rcgen::generate_simple_self_signed(names.map(str::to_owned).to_vec()).unwrap();
        let certificate: CertificateDer<'_> = certificate.cert.into();
        let certificate = ParsedCertificate::try_from(&certificate).unwrap();
        let other = ServerName::try_from("::2").unwrap();
        let error = verify_server_name(&certificate, &other).unwrap_err();
        let TlsFault::WrongHost {
            expected,
            presented,
        } = TlsFault::of(&error)
        else {
            panic!("{error:?}");
        };
        assert_eq!(expected, "::2");
        assert_eq!(presented, names);
    }

    #[test]
    fn nothing_is_shown_as_the_library_writes_it() {
        assert_eq!(
            plain_name("DnsName(\"ldap1.studio.test\")"),
            "ldap1.studio.test"
        );
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(plain_name("other"), "other");
        assert_eq!(words("CertificateRevoked"), "certificate revoked");
        assert_eq!(words("UnknownCA"), "unknown ca");
        assert_eq!(words("Unknown { code: 3 }"), "unknown");
        let fault = TlsFault::of(&Error::AlertReceived(Alert::HandshakeFailure));
        assert_eq!(
            fault.what(),
            "TLS failed: the server ended the handshake with the alert: handshake failure"
        );
        let fault = TlsFault::of(&Error::InvalidCertificate(CertificateError::Revoked));
        assert_eq!(
            fault.what(),
            "TLS failed: the server's certificate: revoked"
        );
    }
}
