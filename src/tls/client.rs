//! TLS of a client: it trusts the system's certificates, or those of a file alone.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};

use super::trust::{NamedCertificates, of_the_system};
use crate::config::files;

/// TLS that trusts the certificates of this file alone, or the system's where there is none.
///
/// # Errors
/// The file, or the system's certificates, cannot be used; the text names the file.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    match ca_file {
        Some(file) => {
            let pem = files::read(file, files::CERTIFICATES_LIMIT);
            let tls = pem.and_then(|pem| trusting(&pem));
            tls.map_err(|problem| format!("ca_file {} {problem}", file.display()))
        }
        None => {
            let provider = Arc::new(aws_lc_rs::default_provider());
            let system = of_the_system(Arc::clone(&provider))?;
            tls_by(Arc::new(system), provider)
                .map_err(|error| format!("TLS cannot be set up: {error}"))
        }
    }
}

/// TLS that trusts the certificates in this text alone.
///
/// # Errors
/// There are none, or one of them cannot be used; the text is to follow the file's name.
fn trusting(pem: &[u8]) -> Result<ClientConfig, String> {
    let named = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let named = named.map_err(|error| format!("is not PEM: {error}"))?;
    if named.is_empty() {
        return Err("contains no certificate".to_owned());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let named = NamedCertificates::new(named, Arc::clone(&provider))
        .map_err(|problem| format!("cannot be used: {problem}"))?;
    tls_by(Arc::new(named), provider).map_err(|error| format!("cannot be used: {error}"))
}

/// TLS by what is trusted, without a certificate of the client's own.
fn tls_by(
    trust: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, rustls::Error> {
    let tls =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(tls
        .dangerous()
        .with_custom_certificate_verifier(trust)
        .with_no_client_auth())
}
