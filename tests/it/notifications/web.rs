//! A receiver of HTTP calls: it keeps what it gets, and answers as it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::daemon::LIMIT;

/// How a call is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// At once, with a status.
    Status(u16),
    /// At once, with a status, a text, and how many seconds to wait until the next call.
    Refused(u16, String, Option<u64>),
    /// Never.
    Never,
}

/// A call.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    news: Condvar,
    /// The answers to the next calls; 200 when there are no more.
    answers: Mutex<VecDeque<Answer>>,
    /// The answer to all calls after those.
    always: Mutex<Option<Answer>>,
}

/// A receiver of HTTP calls.
pub struct WebSink {
    port: u16,
    shared: Arc<Shared>,
}

impl WebSink {
    /// Starts it, on loopback.
    pub fn start(on: &Runtime) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = on.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        on.spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Answers the next calls so.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    /// Answers all further calls so.
    pub fn answer_all(&self, answer: Answer) {
        *self.shared.always.lock().unwrap() = Some(answer);
    }

    /// All calls so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// All calls, as soon as there are so many.
    pub fn received_when(&self, at_least: usize) -> Vec<Received> {
        let until = Instant::now() + LIMIT;
        let mut all = self.shared.received.lock().unwrap();
        while all.len() < at_least {
            let left = until.saturating_duration_since(Instant::now());
            assert!(left > Duration::ZERO, "only {all:#?}");
            all = self.shared.news.wait_timeout(all, left).unwrap().0;
        }
        all.clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let received = Received {
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
    };
    shared.received.lock().unwrap().push(received);
    shared.news.notify_all();
    let next = shared.answers.lock().unwrap().pop_front();
    let answer = next
        .or_else(|| shared.always.lock().unwrap().clone())
        .unwrap_or(Answer::Status(200));
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Refused(status, text, wait) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
            if let Some(wait) = wait {
                let wait = HeaderValue::from(wait);
                response.headers_mut().insert("retry-after", wait);
            }
            response
        }
        Answer::Never => std::future::pending().await,
    }
}
