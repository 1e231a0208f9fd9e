//! Files that are sent to the storage that ftrack names: another server, perhaps, which gets no
//! key.

use reqwest::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Until, Writer};
use crate::ftrack::network;

/// The most headers that a storage may ask for.
const MOST_HEADERS: usize = 32;

/// Where a file is to be sent, and with which headers, as ftrack says.
#[derive(Debug)]
pub(in crate::ftrack) struct Destination {
    url: Url,
    headers: HeaderMap,
}

impl Writer {
    /// The place that an answer of ftrack names.
    ///
    /// # Errors
    /// It is no place to which a picture of a person may be sent.
    pub(in crate::ftrack) fn destination(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Destination, String> {
        // The address is signed, and as good as a key.
        let url = Url::parse(url).map_err(|_| "ftrack names no address for it".to_owned())?;
        let is_own = url.origin() == self.reader().shared.endpoint.origin();
        if url.scheme() != "https" && !is_own {
            return Err("ftrack names an address for it that has no TLS".to_owned());
        }
        let mut named = HeaderMap::new();
        for (name, value) in headers.into_iter().take(MOST_HEADERS) {
            let name = HeaderName::try_from(name);
            let value = HeaderValue::try_from(value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err("ftrack names a header for it that is none".to_owned());
            };
            if !matches!(name, CONTENT_LENGTH | HOST) {
                named.insert(name, value);
            }
        }
        Ok(Destination {
            url,
            headers: named,
        })
    }

    /// Sends a file there, once.
    ///
    /// # Errors
    /// Why it did not arrive, or may not have.
    pub(in crate::ftrack) async fn put(
        &self,
        destination: Destination,
        file: Vec<u8>,
        until: &Until,
    ) -> Result<(), String> {
        let Destination { url, headers } = destination;
        let host = url.host_str().unwrap_or_default().to_owned();
        let sent = self
            .reader()
            .shared
            .storage
            .put(url)
            .headers(headers)
            .body(file)
            .send();
        let response = tokio::select! {
            () = until.cancel.cancelled() => return Err("the run ended while it was sent".to_owned()),
            () = tokio::time::sleep_until(until.deadline.into()) => {
                return Err("the run's time was over while it was sent".to_owned());
            }
            response = sent => response,
        };
        // Without the address, which the error would name.
        let response = response.map_err(|error| {
            format!(
                "{host} did not take it: {}",
                network::reasons(&error.without_url())
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{host} did not take it: HTTP {}", status.as_u16()))
    }
}

impl Until {
    /// The same, but no stop ends it: what was begun is finished within so long.
    #[must_use]
    pub(in crate::ftrack) fn finishing(&self, grace: std::time::Duration) -> Self {
        Self {
            deadline: self.deadline + grace,
            cancel: CancellationToken::new(),
        }
    }
}
