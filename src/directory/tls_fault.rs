//! In which way TLS failed.

/// How TLS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The server's certificate is not issued by a trusted authority.
    UntrustedIssuer {
        /// What the verifier said.
        detail: String,
    },
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
    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::UntrustedIssuer { detail } => {
                format!("the server's certificate is not trusted ({detail})")
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
            Self::UntrustedIssuer { .. } => Some("set ca_file to the certificate of its issuer"),
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
