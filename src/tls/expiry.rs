//! When the certificates that servers showed expire.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// The certificates of so many servers are noted: far more than anybody configures.
const MOST: usize = 256;

static NOTED: Mutex<BTreeMap<(Of, String), DateTime<Utc>>> = Mutex::new(BTreeMap::new());

/// What a server is: both may be on one host, whose ports the certificates do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    /// A directory's server.
    Directory,
    /// ftrack's.
    Ftrack,
}

/// When the certificate in DER expires; none where it cannot be parsed.
pub(crate) type Expiry = fn(&[u8]) -> Option<DateTime<Utc>>;

/// When the first certificate of the chain expires that this server showed last, by the host of its
/// URL: a name or an address. None where it has shown none that was trusted.
#[must_use]
pub(crate) fn of(what: Of, host: &str) -> Option<DateTime<Utc>> {
    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    noted.get(&(what, written(host))).copied()
}

/// One form of a name or an address: an address of version 6 without brackets.
fn written(host: &str) -> String {
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Trusts whom another one trusts, and notes when their certificates expire.
#[derive(Debug)]
pub(crate) struct NotesExpiry {
    trust: Arc<dyn ServerCertVerifier>,
    what: Of,
    expiry: Expiry,
}

impl NotesExpiry {
    /// With what is trusted, whose certificates they are, and how one is read.
    pub(crate) fn new(
        trust: impl ServerCertVerifier + 'static,
        what: Of,
        expiry: Expiry,
    ) -> Arc<Self> {
        let trust = Arc::new(trust);
        Arc::new(Self {
            trust,
            what,
            expiry,
        })
    }

    fn note(&self, server: &ServerName<'_>, chain: impl Iterator<Item = Option<DateTime<Utc>>>) {
        let Some(first) = chain.flatten().min() else {
            return;
        };
        let of = (self.what, written(&server.to_str()));
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST || noted.contains_key(&of) {
            noted.insert(of, first);
        }
    }
}

impl ServerCertVerifier for NotesExpiry {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.trust.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let chain = [end_entity].into_iter().chain(intermediates);
        self.note(
            server_name,
            chain.map(|certificate| (self.expiry)(certificate)),
        );
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.trust.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        self.trust.root_hint_subjects()
    }
}
