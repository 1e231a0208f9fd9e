//! Under which names pages are served, and from which pages a form may come.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use std::sync::Arc;
use url::{Host, Url};

use super::{Site, answer::plain};
use crate::escape::escape_control;

/// Refuses requests for a page under a name that is not this daemon's: somebody else's name that
/// leads to this address lets that somebody's page read this one (DNS rebinding).
pub(super) async fn only_known_hosts(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let host = host(&parts).map(str::to_owned);
    if host
        .as_deref()
        .is_some_and(|host| is_known(host, &site.http.hosts))
    {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let named = host.unwrap_or_default();
    let named = escape_control(&named);
    plain(
        StatusCode::MISDIRECTED_REQUEST,
        format!(
            "this page is not served under the name \"{named}\"; use this machine's address, or add the \
             name to http.hosts\n"
        ),
    )
}

/// The host that is asked for, with the port if there is one.
fn host(parts: &Parts) -> Option<&str> {
    let in_path = parts.uri.authority().map(|authority| authority.as_str());
    in_path.or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}

/// Whether a host, with or without a port, is an address, `localhost`, or one of these names.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
        None => false,
    }
}

/// Whether the host that is asked for is this machine itself, as only somebody on it says.
pub(super) fn is_asked_locally(parts: &Parts) -> bool {
    let url = host(parts).and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => false,
    }
}

/// Whether a form comes from a page of this daemon: as the browser says (Fetch Metadata), or by the
/// origin that it names where it says nothing, as over plain HTTP.
pub(super) fn is_from_here(parts: &Parts, hosts: &[String]) -> bool {
    let named = |name: &str| parts.headers.get(name).map(|value| value.to_str());
    match (named("sec-fetch-site"), named("origin")) {
        (Some(site), _) => site.is_ok_and(|site| site == "same-origin"),
        (None, Some(origin)) => {
            origin.is_ok_and(|origin| is_own_origin(origin, host(parts), hosts))
        }
        // Every browser names it with a form.
        (None, None) => false,
    }
}

fn is_own_origin(origin: &str, host: Option<&str>, hosts: &[String]) -> bool {
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    let Some(host) = host else { return false };
    // The port that a browser leaves out depends on the scheme, which only the origin tells.
    let asked = Url::parse(&format!("{}://{host}/", origin.scheme()));
    let is_same = asked.is_ok_and(|asked| asked.origin() == origin.origin());
    // A proxy that asks by another name must be known by its own.
    let by_proxy = || {
        let name = origin.host_str().unwrap_or_default();
        origin.scheme() == "https" && hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    is_same || by_proxy()
}

/// Whether the browser reached this page by TLS, as the origin of a form tells.
pub(super) fn is_by_tls(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use axum::http::{Request, request::Parts};

    use super::{is_asked_locally, is_from_here};

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_form_comes_from_a_page_of_the_daemon_or_is_refused() {
        let hosts = ["sync.studio.test".to_owned()];
        let is_own = |headers: &[(&str, &str)]| is_from_here(&parts(headers), &hosts);
        let own: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "same-origin")],
            &[
                ("host", "10.1.2.3:9464"),
                ("origin", "http://10.1.2.3:9464"),
            ],
            &[("host", "studio"), ("origin", "http://studio:80")],
            &[
                ("host", "sync.studio.test:443"),
                ("origin", "https://sync.studio.test"),
            ],
            &[
                ("host", "127.0.0.1:9464"),
                ("origin", "https://sync.studio.test"),
            ],
        ];
        for headers in own {
            assert!(is_own(headers), "{headers:?}");
        }
        let foreign: &[&[(&str, &str)]] = &[
            &[],
            &[("host", "10.1.2.3")],
            &[("host", "10.1.2.3"), ("origin", "null")],
            &[("host", "10.1.2.3"), ("origin", "http://evil.test")],
            &[
                ("host", "10.1.2.3:9464"),
                ("origin", "http://10.1.2.3:8080"),
            ],
            &[("host", "127.0.0.1"), ("origin", "http://sync.studio.test")],
            &[
                ("host", "10.1.2.3"),
                ("origin", "http://10.1.2.3"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[
                ("host", "10.1.2.3"),
                ("origin", "http://10.1.2.3"),
                ("sec-fetch-site", "same-site"),
            ],
            &[
                ("host", "10.1.2.3"),
                ("origin", "http://10.1.2.3"),
                ("sec-fetch-site", "none"),
            ],
        ];
        for headers in foreign {
            assert!(!is_own(headers), "{headers:?}");
        }
    }

    #[test]
    fn only_this_machines_own_names_are_local() {
        let is_local = |host: &str| is_asked_locally(&parts(&[("host", host)]));
        for host in [
            "localhost",
            "localhost:9464",
            "127.0.0.1:80",
            "127.3.2.1",
            "[::1]:9464",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "studio",
            "10.1.2.3",
            "localhost.evil.test",
            "[::2]",
            "",
            "a b",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
