//! Which certificates are trusted: the system's, or those that `ca_file` names, of authorities and a
//! server's own.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

/// Trusts the system's certificates.
///
/// # Errors
/// They cannot be loaded; the text says what to do.
pub(crate) fn of_the_system(provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
    Verifier::new(provider).map_err(|error| {
        format!(
            "the system's trusted certificates cannot be loaded ({error}); install \
             ca-certificates, or set ca_file"
        )
    })
}

/// Trusts servers whose certificate an authority issued that is named, and servers whose own
/// certificate is named, byte for byte: also a self-signed one that says that it is an authority's,
/// as `openssl req -x509` makes them.
#[derive(Debug)]
pub(crate) struct NamedCertificates {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl NamedCertificates {
    /// Trusts these certificates and no others.
    ///
    /// # Errors
    /// One of them is no certificate; the text says what is wrong.
    pub(crate) fn new(
        named: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            roots
                .add(certificate.clone())
                .map_err(|_| "it contains a certificate that cannot be read".to_owned())?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { authorities, named })
    }
}

/// Whether only the issuer is in question: the certificate is valid now, which is looked at before
/// that, and its name is looked at after it.
fn is_about_the_issuer(error: &Error) -> bool {
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error {
        other.to_string() == "CaUsedAsEndEntity"
    } else {
        // The latter where another one that is named has the issuer's name.
        [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
        ]
        .map(Error::InvalidCertificate)
        .contains(error)
    }
}

impl ServerCertVerifier for NamedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error) if is_about_the_issuer(&error) && self.named.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
