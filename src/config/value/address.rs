//! Addresses of servers.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

use super::socket::{is_socket, sockets};

/// The URL of an LDAP server, or of its socket.
#[derive(Debug, Clone)]
pub struct Address(Url);

/// A key that is the URL of an ftrack server: `https`, or `http` to a loopback host.
pub struct FtrackAddress;

impl Address {
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, "ldaps://ldap.studio.test").map(Self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Url> for Address {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl From<Address> for Url {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl FtrackAddress {
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Url>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map(Some).map_err(de::Error::custom)
    }

    fn parse(text: &str) -> Result<Url, String> {
        let url = parse(text, "https://studio.ftrackapp.com")?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) => Ok(url),
            "http" => Err(
                "the API key would go over the network in plain text; write https://".to_owned(),
            ),
            scheme => Err(format!(
                "{scheme:?} is not a scheme that ftrack uses; write https://"
            )),
        }
    }
}

/// A key that is the URL of a mail server: `smtps`, or `smtp`.
pub struct MailServerAddress;

impl MailServerAddress {
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Url>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map(Some).map_err(de::Error::custom)
    }

    fn parse(text: &str) -> Result<Url, String> {
        let url = parse(text, "smtps://mail.studio.test")?;
        match url.scheme() {
            "smtps" | "smtp" => Ok(url),
            scheme => Err(format!(
                "{scheme:?} is not a scheme of mail servers; write smtps:// or smtp://"
            )),
        }
    }
}

/// A key that is the address under which people reach the web page.
pub struct PageAddress;

impl PageAddress {
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Url>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map(Some).map_err(de::Error::custom)
    }

    fn parse(text: &str) -> Result<Url, String> {
        let example = "https://sync.studio.test";
        let url = Url::parse(text).map_err(|_| format!("not a URL such as {example:?}"))?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            "https" | "http" if is_plain => Ok(url),
            "https" | "http" => Err("more than a scheme, a host, a port and a path".to_owned()),
            scheme => Err(format!(
                "{scheme:?} is not a scheme of web pages; write it such as {example:?}"
            )),
        }
    }
}

/// A URL of a scheme, a host and optionally a port. A user and password in it are refused, and the
/// URL is never quoted, so that they are not printed.
fn parse(text: &str, example: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Err(_) => Err(format!("not a URL such as {example:?}")),
        Ok(url) if is_socket(&url) => sockets(&url).map(|_| url),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Err(format!(
            "a URL without a host; write it such as {example:?}"
        )),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("a user or password must not be in the URL".to_owned())
        }
        Ok(url)
            if !matches!(url.path(), "" | "/")
                || url.query().is_some()
                || url.fragment().is_some() =>
        {
            Err(format!(
                "more than a scheme, a host and a port; write it such as {example:?}"
            ))
        }
        Ok(url) => Ok(url),
    }
}

/// Whether a URL points to this machine by its text alone: `localhost`, 127.0.0.0/8 or ::1. No name
/// is resolved.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    // The url crate parses the hosts of web schemes by kind, and those of `ldap` as text only.
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Reads a key that is an IP address and a port.
pub fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| {
        de::Error::custom(format!(
            "{text:?} is not an IP address and a port such as \"127.0.0.1:9464\""
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn loopback_is_told_by_words() {
        for url in [
            "ldap://localhost",
            "ldap://127.0.0.9:3890",
            "ldap://[::1]",
            "http://localhost:80",
            "http://127.1",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "ldap://localhost.test",
            "ldap://10.0.0.1",
            "http://127.0.0.1.test",
            "ldap://[::2]",
        ] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
