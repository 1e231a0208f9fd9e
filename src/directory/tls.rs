//! The TLS settings of a directory: trusted certificates and the client certificate.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    client::WantsClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{certificate::expiry, error::DirectoryError};
use crate::{
    config::Directory,
    tls::{
        expiry::{NotesExpiry, Of},
        trust::{NamedCertificates, of_the_system},
    },
};

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
    let trust = match &directory.ca_file {
        Some(path) => {
            let named = NamedCertificates::new(certificates("CA", path)?, provider);
            let named = named.map_err(|reason| file("CA", path, reason))?;
            NotesExpiry::new(named, Of::Directory, expiry)
        }
        None => {
            let system = of_the_system(provider).map_err(settings)?;
            NotesExpiry::new(system, Of::Directory, expiry)
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(trust);
    let config = match (&directory.client_cert_file, &directory.client_key_file) {
        (Some(certificate), Some(key)) => with_client_certificate(builder, certificate, key)?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(settings("client_cert_file needs client_key_file".into())),
        (None, Some(_)) => return Err(settings("client_key_file needs client_cert_file".into())),
    };
    Ok(Arc::new(config))
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
