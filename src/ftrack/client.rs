//! Sets up the HTTP client, and reads the headers of an answer.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use reqwest::{
    Certificate, Client,
    header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use url::Url;

use super::{error::SetupProblem, network};
use crate::config;

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
    let mut builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .default_headers(headers(config)?)
        .redirect(redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .read_timeout(config.request_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(config.connections.max(1))
        .referer(false);
    if config.server.host().is_some_and(|host| is_loopback(&host)) {
        // A proxy elsewhere cannot reach this machine's own servers, and plain HTTP would disclose
        // the key to it.
        builder = builder.no_proxy();
    }
    if let Some(file) = &config.ca_file {
        let pem = fs::read(file).map_err(|error| {
            format!("ftrack.ca_file {} cannot be read: {error}", file.display())
        })?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|error| format!("ftrack.ca_file {} is not PEM: {error}", file.display()))?;
        if certificates.is_empty() {
            let what = format!("ftrack.ca_file {} contains no certificate", file.display());
            return Err(what.into());
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| {
        let what = format!(
            "cannot set up the HTTP client: {}",
            network::reasons(&error)
        );
        let way_out = match &config.ca_file {
            Some(file) => format!(
                "check that ftrack.ca_file {} contains complete certificates",
                file.display()
            ),
            None => "check this system's certificates, or set ftrack.ca_file".to_owned(),
        };
        SetupProblem::new(what, way_out)
    })
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

fn is_loopback(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

/// How long the server asks to wait (RFC 9110 section 10.2.3): seconds, or a date, which is
/// compared with the server's own clock if it sends it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(asked).ok()?;
    let now = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok());
    Some(
        date.duration_since(now.unwrap_or_else(SystemTime::now))
            .unwrap_or_default(),
    )
}
