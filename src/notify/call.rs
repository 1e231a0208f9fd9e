//! HTTP calls to an address that is a secret.

use std::path::{Path, PathBuf};

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use url::Url;

use super::deliver::{Trouble, said, set_up};
use crate::{
    config::{Credential, callable},
    ftrack::{client::retry_after, network, proxy::is_direct},
    tls::client::client_config,
};

/// How much of an answer is read, in bytes.
const ANSWER: usize = 2_048;

/// The shortest part of an address that counts as secret, in characters.
const SHORTEST_SECRET: usize = 6;

/// An address that is called.
#[derive(Debug)]
pub struct Callee {
    url: Credential,
    ca_file: Option<PathBuf>,
    allow_plaintext: bool,
}

impl Callee {
    pub fn new(url: &Credential, ca_file: Option<&Path>, allow_plaintext: bool) -> Self {
        Self {
            url: url.clone(),
            ca_file: ca_file.map(Path::to_owned),
            allow_plaintext,
        }
    }

    /// The host that is called, as far as it may be shown.
    pub fn shown(&self) -> String {
        let url = Url::parse(self.url.loaded().expose()).ok();
        let host = url.as_ref().and_then(Url::host_str);
        host.unwrap_or_default().to_owned()
    }

    /// Makes one call, and says whether it was accepted.
    ///
    /// # Errors
    /// It was not; the text contains nothing of the address but its host.
    pub async fn call(
        &self,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<(), Trouble> {
        let url = self.url.current().await;
        let url = url.map_err(|unreadable| Trouble::passing(unreadable.to_string()))?;
        let url = callable(url.expose(), self.allow_plaintext)
            .map_err(|problem| Trouble::Lasting(format!("its address is {problem}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let secrets = secrets(&url);
        let (ca_file, direct) = (self.ca_file.clone(), is_direct(&url));
        let client = set_up(move || client(ca_file.as_deref(), direct)).await?;
        let sent = request(&client, url).send().await;
        let response = sent.map_err(|error| lost(&host, error))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(refused(&host, response, &secrets).await)
    }
}

fn client(ca_file: Option<&Path>, direct: bool) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .redirect(redirect::Policy::none())
        // Of HTTP/2, the library logs the path, which is a secret, at TRACE.
        .http1_only()
        // A connection that was kept may be gone, and messages are rare.
        .pool_max_idle_per_host(0)
        .referer(false);
    if direct {
        builder = builder.no_proxy();
    }
    if ca_file.is_some() {
        let mut tls = client_config(ca_file)?;
        tls.alpn_protocols = vec!["http/1.1".into()];
        builder = builder.tls_backend_preconfigured(tls);
    }
    builder.build().map_err(|error| {
        format!(
            "the HTTP client cannot be set up: {}",
            network::reasons(&error)
        )
    })
}

/// The parts of an address that are as good as a password.
fn secrets(url: &Url) -> Vec<String> {
    let segments = url.path_segments().into_iter().flatten();
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    let user = [Some(url.username()), url.password()];
    let user = user.into_iter().flatten().map(str::to_owned);
    segments
        .map(str::to_owned)
        .chain(query)
        .chain(user)
        .filter(|part| part.chars().count() >= SHORTEST_SECRET)
        .collect()
}

/// Why there is no answer.
fn lost(host: &str, error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    match network::tls_fault(&error) {
        Some(fault) => Trouble::Lasting(format!("{host}: {}", fault.what())),
        None => Trouble::passing(format!("{host}: {}", network::reasons(&error))),
    }
}

/// Why a call was not accepted.
async fn refused(host: &str, mut response: Response, secrets: &[String]) -> Trouble {
    let status = response.status();
    let wait = retry_after(response.headers());
    let mut body = Vec::new();
    while body.len() < ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(ANSWER);
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let body = said(&String::from_utf8_lossy(&body), &secrets);
    let number = status.as_u16();
    if status.is_redirection() {
        return Trouble::Lasting(format!(
            "{host}: HTTP {number}: it refers to another address, which is not followed"
        ));
    }
    let why = if body.is_empty() {
        format!("{host}: HTTP {number}")
    } else {
        format!("{host}: HTTP {number}: {body}")
    };
    let passes = status.is_server_error()
        || [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_EARLY,
            StatusCode::TOO_MANY_REQUESTS,
        ]
        .contains(&status);
    if passes {
        Trouble::Passing { why, wait }
    } else {
        Trouble::Lasting(why)
    }
}
