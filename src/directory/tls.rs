//! The TLS settings of a directory: trusted certificates and the client certificate, and the
//! meaning of a failed handshake.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    client::WantsClientCert,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::{error::DirectoryError, tls_fault::TlsFault};
use crate::config::Directory;

/// The TLS settings of a directory: the system's roots, or `ca_file` alone; a client certificate
/// when there is one.
///
/// # Errors
/// A file cannot be read or contains nothing usable, or a certificate has no key.
pub fn client_config(
    name: &str,
    directory: &Directory,
) -> Result<Arc<ClientConfig>, DirectoryError> {
    let settings = |reason: String| DirectoryError::Settings {
        directory: name.into(),
        reason,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| settings(format!("TLS cannot be set up: {error}")))?;
    let builder = match &directory.ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(system_verifier(name, provider)?)),
    };
    let config = match (&directory.client_cert_file, &directory.client_key_file) {
        (Some(certificate), Some(key)) => with_client_certificate(builder, certificate, key)?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(settings("client_cert_file needs client_key_file".into())),
        (None, Some(_)) => return Err(settings("client_key_file needs client_cert_file".into())),
    };
    Ok(Arc::new(config))
}

/// Translates a failed handshake.
#[must_use]
pub fn fault(error: &io::Error) -> TlsFault {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(inner) => rustls_fault(inner),
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsFault::NotTls {
            detail: "the server closed the connection during the handshake".into(),
        },
        None => TlsFault::Other {
            detail: error.to_string(),
        },
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are non-exhaustive; other errors are reported in the library's own words"
)]
fn rustls_fault(error: &rustls::Error) -> TlsFault {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate_fault(reason),
        rustls::Error::InvalidMessage(reason) => TlsFault::NotTls {
            detail: format!("{reason:?}"),
        },
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => TlsFault::ClientCertificate {
            detail: format!("alert {alert:?}"),
        },
        other => TlsFault::Other {
            detail: other.to_string(),
        },
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is non-exhaustive; other errors are reported in the library's own words"
)]
fn certificate_fault(reason: &CertificateError) -> TlsFault {
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
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => TlsFault::WrongHost {
            expected: expected.to_str().into_owned(),
            presented: presented.clone(),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFault::NotYetValid
        }
        CertificateError::Other(other) => TlsFault::UntrustedIssuer {
            detail: other.to_string(),
        },
        other => TlsFault::Other {
            detail: other.to_string(),
        },
    }
}

fn system_verifier(name: &str, provider: Arc<CryptoProvider>) -> Result<Verifier, DirectoryError> {
    Verifier::new(provider).map_err(|error| DirectoryError::Settings {
        directory: name.into(),
        reason: format!(
            "the system's trusted certificates cannot be loaded ({error}); install \
             ca-certificates, or set ca_file"
        ),
    })
}

fn roots(path: &Path) -> Result<RootCertStore, DirectoryError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("CA", path)? {
        store
            .add(certificate)
            .map_err(|error| file("CA", path, error.to_string()))?;
    }
    Ok(store)
}

fn with_client_certificate(
    builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: &Path,
    key: &Path,
) -> Result<ClientConfig, DirectoryError> {
    let chain = certificates("client certificate", certificate)?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| file("client key", key, error.to_string()))?;
    builder
        .with_client_auth_cert(chain, key_der)
        .map_err(|error| {
            file(
                "client key",
                key,
                format!("it does not match the client certificate: {error}"),
            )
        })
}

/// All certificates of a PEM file, of which there must be at least one.
fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, DirectoryError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(|sections| sections.collect::<Result<Vec<_>, _>>())
        .map_err(|error| file(what, path, error.to_string()))?;
    if found.is_empty() {
        return Err(file(
            what,
            path,
            "it contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)".into(),
        ));
    }
    Ok(found)
}

fn file(what: &'static str, path: &Path, reason: String) -> DirectoryError {
    DirectoryError::File {
        what,
        path: path.into(),
        reason,
    }
}
