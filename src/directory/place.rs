//! Where a server listens, and a connection to that place.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::{TcpStream, UnixStream},
    time::sleep,
};
use url::Url;

use crate::config::{is_socket, sockets};

/// After this time without an answer the next address of a name is tried as well (RFC 8305 section
/// 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// The ports of a global catalogue, without and with TLS
/// (<https://learn.microsoft.com/windows-server/identity/ad-ds/plan/planning-global-catalog-server-placement>).
const OF_GLOBAL_CATALOGUES: [u16; 2] = [3268, 3269];
/// The most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port of a host.
    Host(Host),
    /// A socket of this machine (`ldapi://`): the first of these files that exists.
    Socket(Vec<PathBuf>),
}

/// A port of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Host {
    /// A name or an address, without brackets.
    pub name: String,
    pub port: u16,
}

impl Place {
    /// The place of a URL, with the usual port where it names none.
    ///
    /// # Errors
    /// The URL names no place; the text says why.
    pub fn of(url: &Url, usual_port: u16) -> Result<Self, String> {
        if is_socket(url) {
            return sockets(url).map(Self::Socket);
        }
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() {
            return Err("the host is missing".into());
        }
        Ok(Self::Host(Host {
            name: name.to_owned(),
            port: url.port().unwrap_or(usual_port),
        }))
    }

    /// Whether it is the global catalogue of an Active Directory, by its port: nothing else tells it
    /// from the domain itself.
    pub(super) fn is_global_catalogue(&self) -> bool {
        match self {
            Self::Host(host) => OF_GLOBAL_CATALOGUES.contains(&host.port),
            Self::Socket(_) => false,
        }
    }
}

/// A connection to the address that answers first. They are tried in turn, families alternating,
/// and each is given only a moment before the next is tried beside it (RFC 8305), so that a dead one
/// delays nothing much. Waits for as long as the system does.
///
/// # Errors
/// None can be connected to: the last that failed, and why.
pub(super) async fn connect_to_any(
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    let mut waiting = alternating(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if attempts.is_empty() {
            let Some(next) = waiting.next() else {
                let unknown = || {
                    (
                        SocketAddr::from(([0; 4], 0)),
                        io::ErrorKind::NotFound.into(),
                    )
                };
                return Err(failure.unwrap_or_else(unknown));
            };
            attempts.push(connect(next));
        }
        tokio::select! {
            Some(ended) = attempts.next() => match ended {
                Ok(connected) => return Ok(connected),
                // The next one is due now.
                Err(failed) => {
                    failure = Some(failed);
                    attempts.extend(waiting.next().map(connect));
                }
            },
            () = sleep(NEXT_AFTER), if waiting.len() > 0 => {
                attempts.extend(waiting.next().map(connect));
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    match TcpStream::connect(address).await {
        Ok(stream) => Ok((stream, address)),
        Err(error) => Err((address, error)),
    }
}

/// Addresses in the system's order, but with the families alternating (RFC 8305 section 4).
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (same, other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    while ordered.len() < addresses.len().min(MOST_ADDRESSES) {
        ordered.extend(same.next());
        ordered.extend(other.next());
    }
    ordered.truncate(MOST_ADDRESSES);
    ordered
}

/// A connection to the first of these sockets that exists, with its file.
///
/// # Errors
/// Nothing accepts it there: at which file, or at which files if none exists, and why.
pub(super) async fn connect_to_socket(
    files: &[PathBuf],
) -> Result<(UnixStream, &Path), (String, io::Error)> {
    let mut missing = io::Error::from(io::ErrorKind::NotFound);
    for file in files {
        match UnixStream::connect(file).await {
            Ok(stream) => return Ok((stream, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = error,
            Err(error) => return Err((file.display().to_string(), error)),
        }
    }
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Err((files.join(" or "), missing))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_every_address_is_tried() {
        let six = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"];
        assert_eq!(
            alternating(&addresses(&six)),
            addresses(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"])
        );
        let four = ["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"];
        assert_eq!(
            alternating(&addresses(&four)),
            addresses(&["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"])
        );
        assert!(alternating(&[]).is_empty());
        let many: Vec<SocketAddr> = (1..100).map(|port| ([127, 0, 0, 1], port).into()).collect();
        assert_eq!(alternating(&many), many[..MOST_ADDRESSES]);
    }
}
