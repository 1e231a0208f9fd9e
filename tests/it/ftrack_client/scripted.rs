//! A web server on loopback with scripted answers, which records the requests.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use ftrack_ldap_sync::{
    config::{self, Secret},
    ftrack::session::{Session, Until, Writer},
};
use futures_util::stream;
use serde_json::Value;
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

/// The key of all sessions; must never be seen anywhere else.
pub const KEY: &str = "KEY-0123456789-SECRET";

/// One call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    pub operations: Vec<Value>,
}

impl Call {
    /// The expressions of its queries.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.operations
            .iter()
            .filter_map(|operation| operation["expression"].as_str())
    }
}

/// What the server does with one call.
pub enum Reply {
    Now(Response),
    Never,
}

impl<T: IntoResponse> From<T> for Reply {
    fn from(response: T) -> Self {
        Self::Now(response.into_response())
    }
}

pub struct Scripted {
    pub url: Url,
    calls: Arc<Mutex<Vec<Call>>>,
    task: AbortHandle,
}

impl Scripted {
    /// Starts a server; `script` is given the call's number, from 0, and its operations.
    pub async fn start(script: impl Fn(usize, &[Value]) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (kept, script) = (Arc::clone(&calls), Arc::new(script));
        let router = Router::new().fallback(move |request: Request| {
            let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let operations: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
                let number = {
                    let mut calls = kept.lock().unwrap();
                    calls.push(Call {
                        path: parts.uri.path().to_owned(),
                        headers: parts.headers,
                        operations: operations.clone(),
                    });
                    calls.len() - 1
                };
                match script(number, &operations) {
                    Reply::Now(response) => response,
                    Reply::Never => std::future::pending().await,
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
            .abort_handle();
        Self { url, calls, task }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn session(&self) -> Writer {
        Session::new(&config(&self.url)).unwrap().writer()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A session's configuration that makes tests quick.
pub fn config(server: &Url) -> config::Ftrack {
    config::Ftrack {
        server: server.clone(),
        api_user: "ldap-sync".to_owned(),
        api_key: Secret::new(KEY.to_owned()).into(),
        link_key: None,
        ca_file: None,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        page_size: 3,
        connections: 3,
        batch_size: 10,
        attempts: 3,
        administrator_roles: vec!["Administrator".to_owned()],
        default_roles: vec!["User".to_owned()],
    }
}

/// Half a minute from now: no test waits that long.
pub fn until() -> Until {
    Until {
        deadline: Instant::now() + Duration::from_secs(30),
        cancel: CancellationToken::new(),
    }
}

/// A body that begins and then breaks off.
pub fn broken() -> Body {
    Body::from_stream(stream::iter([
        Ok(Bytes::from_static(b"[{\"action\"")),
        Err(io::Error::other("cut")),
    ]))
}

/// A body that begins and never goes on.
pub fn stalled() -> Body {
    use futures_util::StreamExt;
    Body::from_stream(
        stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"["))]).chain(stream::pending()),
    )
}

/// A body of so many MiB of blanks, of unannounced length.
pub fn blanks(mebibytes: usize) -> Body {
    let blank = Bytes::from(vec![b' '; 1024 * 1024]);
    Body::from_stream(stream::iter(
        (0..mebibytes).map(move |_| Ok::<_, io::Error>(blank.clone())),
    ))
}
