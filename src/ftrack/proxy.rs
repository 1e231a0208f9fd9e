//! The proxy between this machine and ftrack, for errors: the HTTP client finds it by itself, in the
//! variables of the environment, and does not say which it uses.

use hyper_util::client::proxy::matcher::Matcher;
use url::{Host, Url};

use crate::config;

/// Whether a server is reached without a proxy, whatever the variables say: one elsewhere cannot
/// reach this machine's own servers, and plain HTTP would disclose the key to it.
pub(crate) fn is_direct(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The proxy through which a server is reached: its host and port, and the variable that names it;
/// never its user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    address: String,
    variable: &'static str,
}

impl Proxy {
    /// The proxy for a server; none where it is reached directly.
    pub fn of(server: &Url) -> Option<Self> {
        if is_direct(server) {
            return None;
        }
        let proxy = Matcher::from_system().intercept(&server.as_str().parse().ok()?)?;
        let uri = proxy.uri();
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            Some(scheme) if scheme.starts_with("socks") => 1080,
            Some(_) | None => 80,
        });
        Some(Self {
            address: format!("{}:{port}", uri.host()?),
            variable: config::proxy_variable(server.scheme())?,
        })
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {} of {}", self.address, self.variable)
    }
}
