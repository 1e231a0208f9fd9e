//! Classifies errors of the HTTP client: no connection and why, a broken connection, a timeout.

use std::{error::Error, io, time::Duration};

use super::{
    error::{ConnectErrorKind, FtrackErrorKind, excerpt},
    key::Keys,
    proxy::Proxy,
};
use crate::tls::TlsFault;

/// Classifies an error of the HTTP client. Only errors before a connection was established become
/// [`FtrackErrorKind::Unreachable`].
pub(super) fn lost(
    error: &reqwest::Error,
    connecting: Duration,
    whole: Duration,
    proxy: Option<&Proxy>,
    keys: &Keys,
) -> FtrackErrorKind {
    if error.is_connect() {
        if let Some(fault) = tls_fault(error) {
            return FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::of_tls(&fault),
                reason: excerpt(&fault.what(), keys),
            };
        }
        let obstacle = if error.is_timeout() {
            ConnectErrorKind::Slow
        } else {
            obstacle(error)
        };
        let reason = if obstacle == ConnectErrorKind::Slow {
            format!("none within {}", humantime::format_duration(connecting))
        } else {
            excerpt(&reasons(error), keys)
        };
        return match proxy {
            Some(proxy) => FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::Proxy,
                reason: format!("through {proxy}: {reason}"),
            },
            None => FtrackErrorKind::Unreachable { obstacle, reason },
        };
    }
    if error.is_timeout() {
        return FtrackErrorKind::TimedOut(whole);
    }
    let reason = excerpt(&reasons(error), keys);
    if error.is_decode() {
        FtrackErrorKind::Damaged(reason)
    } else if error.is_builder() {
        FtrackErrorKind::Setup(reason.into())
    } else {
        FtrackErrorKind::Interrupted(reason)
    }
}

/// The error's causes, from the outer to the inner, without the address.
pub(crate) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for reason in chain(error).skip(1) {
        let text = reason.to_string();
        // Many layers repeat the inner error's text.
        if let Some(last) = words.last_mut().filter(|last| last.contains(&text)) {
            *last = text;
        } else {
            words.push(text);
        }
    }
    if words.is_empty() {
        error.to_string()
    } else {
        words.join(": ")
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // An io::Error contains the TLS error without returning it as its source.
    std::iter::successors(
        Some(error),
        |&error: &&'a (dyn Error + 'static)| match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        },
    )
    .take(16)
}

pub(crate) fn tls_fault(error: &(dyn Error + 'static)) -> Option<TlsFault> {
    chain(error)
        .find_map(|reason| reason.downcast_ref())
        .map(TlsFault::of)
}

fn obstacle(error: &(dyn Error + 'static)) -> ConnectErrorKind {
    for reason in chain(error) {
        if reason.to_string().starts_with("dns error") {
            return ConnectErrorKind::Name;
        }
        if let Some(error) = reason.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return ConnectErrorKind::Closed;
            }
            if error.kind() == io::ErrorKind::TimedOut {
                return ConnectErrorKind::Slow;
            }
        }
    }
    ConnectErrorKind::Other
}
