//! Sets up the HTTP client, and reads the headers of an answer.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    Client,
    header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::{error::SetupProblem, network, proxy::is_direct};
use crate::{
    config,
    config::files,
    directory::certificate::expiry,
    tls::{
        expiry::{NotesExpiry, Of},
        trust::NamedCertificates,
    },
};

/// How long an unused connection is kept open: less than common load balancers do, which would
/// otherwise close it during a request.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The URL to which calls are posted.
pub(super) fn endpoint(server: &Url) -> Option<Url> {
    let mut endpoint = server.clone();
    endpoint
        .path_segments_mut()
        .ok()?
        .pop_if_empty()
        .push("api");
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    endpoint.set_username("").ok()?;
    endpoint.set_password(None).ok()?;
    Some(endpoint)
}

/// The client that posts them, without the key, which may change while the client exists.
pub(super) fn client(config: &config::Ftrack) -> Result<Client, SetupProblem> {
    client_with(config, headers(config)?)
}

/// The client that sends files to the storage that ftrack names, which learns nothing about the user.
pub(super) fn storage_client(config: &config::Ftrack) -> Result<Client, SetupProblem> {
    client_with(config, HeaderMap::new())
}

fn client_with(config: &config::Ftrack, headers: HeaderMap) -> Result<Client, SetupProblem> {
    let mut builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .read_timeout(config.request_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(config.connections.max(1))
        .referer(false);
    if is_direct(&config.server) {
        builder = builder.no_proxy();
    }
    let tls = if let Some(file) = &config.ca_file {
        let pem = files::read(file, files::CERTIFICATES_LIMIT)
            .map_err(|problem| format!("ftrack.ca_file {} {problem}", file.display()))?;
        trusting(&pem).map_err(|problem| {
            let file = file.display();
            SetupProblem::new(
                format!("ftrack.ca_file {file} {problem}"),
                format!("check that ftrack.ca_file {file} contains complete certificates"),
            )
        })?
    } else {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let system = Verifier::new(Arc::clone(&provider)).map_err(|error| error.to_string());
        let tls = system
            .and_then(|system| tls_by(NotesExpiry::new(system, Of::Ftrack, expiry), provider));
        tls.map_err(|problem| not_set_up(&problem))?
    };
    let client = builder.tls_backend_preconfigured(tls).build();
    client.map_err(|error| not_set_up(&network::reasons(&error)))
}

fn not_set_up(problem: &str) -> SetupProblem {
    let what = format!("cannot set up the HTTP client: {problem}");
    let way_out = "check this system's certificates, or set ftrack.ca_file";
    SetupProblem::new(what, way_out.to_owned())
}

/// TLS that trusts the certificates in this text alone.
fn trusting(pem: &[u8]) -> Result<ClientConfig, String> {
    let named = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let named = named.map_err(|error| format!("is not PEM: {error}"))?;
    if named.is_empty() {
        return Err("contains no certificate".to_owned());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let named = NamedCertificates::new(named, Arc::clone(&provider))
        .map_err(|problem| format!("cannot be used: {problem}"))?;
    tls_by(NotesExpiry::new(named, Of::Ftrack, expiry), provider)
        .map_err(|problem| format!("cannot be used: {problem}"))
}

/// TLS by what is trusted.
fn tls_by(trust: Arc<NotesExpiry>, provider: Arc<CryptoProvider>) -> Result<ClientConfig, String> {
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(trust)
        .with_no_client_auth();
    tls.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Ok(tls)
}

fn headers(config: &config::Ftrack) -> Result<HeaderMap, String> {
    let user = HeaderValue::from_bytes(config.api_user.as_bytes()).map_err(|_| {
        "ftrack.api_user contains a character that is not allowed in an HTTP \
            header"
            .to_owned()
    })?;
    Ok(HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            HeaderName::from_static("ftrack-strict-api"),
            HeaderValue::from_static("true"),
        ),
        (
            HeaderName::from_static("ftrack-api-options"),
            HeaderValue::from_static("strict:1;denormalize:1"),
        ),
        (HeaderName::from_static("ftrack-user"), user),
    ]))
}

/// How long the server asks to wait (RFC 9110 section 10.2.3): seconds, or a date, which is
/// compared with the server's own clock if it sends it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = date(headers).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// What the server's clock shows (RFC 9110 section 6.6.1).
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}
