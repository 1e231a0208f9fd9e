//! The one URL of the API over HTTP: headers, bodies, compression, and injected faults.

use std::{io::Write as _, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Repetition,
    connection::Cut,
    error::ApiError,
    fault::{Call, Fault},
    gate::Gate,
    operation::VERSION,
    studio::Studio,
};

/// The largest request.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// The smallest answer that is worth compressing.
const COMPRESSED: usize = 1024;

/// The page that balancers send when the server behind them is in trouble.
const HTML: &str = "<html>\r\n<head><title>Trouble</title></head>\r\n<body><center><h1>The server \
                    is in trouble</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n";

#[derive(Clone)]
struct Site {
    studio: Studio,
    stop: CancellationToken,
}

/// Serves all requests; calls that never end do so when `stop` is cancelled.
pub(super) fn router(studio: Studio, stop: CancellationToken) -> Router {
    // A fallback instead of a route, since clients that were given a server with a slash at its end
    // ask for `//api`.
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Site { studio, stop })
}

async fn answer(
    State(site): State<Site>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().trim_start_matches('/');
    let mut response = match (path, method) {
        ("", Method::GET) => ([("FTRACK_VERSION", VERSION)], "ftrack\n").into_response(),
        ("api", Method::POST) => api(&site, &cut, &headers, &body).await,
        (path, Method::PUT) if path.starts_with("upload/") => {
            let component = path.trim_start_matches("upload/");
            site.studio
                .receive(component, &headers, &body)
                .into_response()
        }
        ("api" | "", _) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    if let Some(date) = site.studio.date() {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn api(site: &Site, cut: &Cut, headers: &HeaderMap, body: &Bytes) -> Response {
    let operations = match serde_json::from_slice(body) {
        Ok(Value::Array(operations)) => operations,
        Ok(other) => {
            return unprocessable(&format!(
                "a list of operations is needed, not {}",
                if other.is_object() {
                    "an object"
                } else {
                    "that"
                }
            ));
        }
        Err(error) => return unprocessable(&error.to_string()),
    };
    let asked = Asked::of(headers);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match site
        .studio
        .admit(header("ftrack-user"), header("ftrack-api-key"), &operations)
    {
        Err(error) => asked.answer(Err(error)),
        Ok((call, None)) => asked.answer(perform(site, call, operations, asked.repetition).await),
        Ok((call, Some(fault))) => faulty(site, cut, asked, (call, operations), fault).await,
    }
}

async fn faulty(
    site: &Site,
    cut: &Cut,
    asked: Asked,
    (call, operations): (Call, Vec<Value>),
    fault: Fault,
) -> Response {
    // Half an answer has to be half of the JSON, not half of its compressed form.
    let encoding = if matches!(fault, Fault::TruncatedJson | Fault::CutBody) {
        Encoding::Plain
    } else {
        asked.encoding
    };
    let asked = Asked { encoding, ..asked };
    let done = || async {
        let operations = operations.clone();
        asked.answer(perform(site, call, operations, asked.repetition).await)
    };
    match fault {
        Fault::TooManyRequests(wait) => {
            let mut response = (
                StatusCode::TOO_MANY_REQUESTS,
                axum::Json(json!({"message": "Too many requests"})),
            )
                .into_response();
            if let Some(Ok(wait)) = wait.map(|wait| wait.header().parse()) {
                response.headers_mut().insert(header::RETRY_AFTER, wait);
            }
            response
        }
        Fault::Html(status) => html(status),
        Fault::KeyRefused => asked.answer(Err(ApiError::credentials(
            "The supplied API key is not valid.",
        ))),
        Fault::Redirect(location) => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, location)],
        )
            .into_response(),
        Fault::ResetBefore => reset(cut),
        Fault::ResetAfter => {
            let _lost = done().await;
            reset(cut)
        }
        Fault::StallBefore => stalled(site, cut).await,
        Fault::StallAfter => {
            let _lost = done().await;
            stalled(site, cut).await
        }
        Fault::TruncatedJson => halved(done().await, Half::WholeMessage).await,
        Fault::CutBody => halved(done().await, Half::BrokenMessage).await,
        Fault::ErrorAfter => {
            let _done = done().await;
            let error = json!({"exception": "InternalError", "content": "The answer could not be made.", "error_code": null});
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(error)).into_response()
        }
        Fault::Delay(delay) => {
            let response = done().await;
            late(site, delay).await;
            response
        }
        Fault::HoldAnswer(gate) => {
            let response = done().await;
            held(site, &gate).await;
            response
        }
        Fault::HoldRequest(gate) => asked
            .answer(perform_later(site, gate, (call, operations.clone()), asked.repetition).await),
    }
}

/// Runs on a thread that may block: a full read of a large table takes a while.
async fn perform(
    site: &Site,
    call: Call,
    operations: Vec<Value>,
    repetition: Repetition,
) -> Result<Value, ApiError> {
    let studio = site.studio.clone();
    let work = tokio::task::spawn_blocking(move || {
        studio
            .call(&call, &operations, repetition)
            .map(Value::Array)
    });
    work.await
        .unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
}

/// A task of its own, since what serves a connection ends with its client.
async fn perform_later(
    site: &Site,
    gate: Gate,
    (call, operations): (Call, Vec<Value>),
    repetition: Repetition,
) -> Result<Value, ApiError> {
    let site = site.clone();
    let later = tokio::spawn(async move {
        held(&site, &gate).await;
        let answer = perform(&site, call, operations, repetition).await;
        gate.count_done();
        answer
    });
    later
        .await
        .unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
}

/// How the client wants its answers.
#[derive(Debug, Clone, Copy)]
struct Asked {
    errors: Errors,
    encoding: Encoding,
    repetition: Repetition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errors {
    Status,
    Always200,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

impl Asked {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_lowercase()
        };
        let options = text("ftrack-api-options").replace('=', ":");
        let on = |option: &str| options.split(';').any(|part| part.trim() == option);
        Self {
            errors: if text("ftrack-strict-api") == "true" {
                Errors::Status
            } else {
                Errors::Always200
            },
            encoding: if text("accept-encoding").contains("gzip") {
                Encoding::Gzip
            } else {
                Encoding::Plain
            },
            repetition: if on("strict:1") && on("denormalize:1") {
                Repetition::Denormalized
            } else {
                Repetition::Deduplicated
            },
        }
    }

    fn answer(self, answer: Result<Value, ApiError>) -> Response {
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            Err(error) => {
                let status = match self.errors {
                    Errors::Status => StatusCode::from_u16(error.status)
                        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    Errors::Always200 => StatusCode::OK,
                };
                (status, error.body())
            }
        };
        let body = body.to_string().into_bytes();
        let kind = (header::CONTENT_TYPE, "application/json");
        match self.encoding {
            Encoding::Gzip if body.len() >= COMPRESSED => match gzip(&body) {
                Ok(body) => {
                    (status, [kind, (header::CONTENT_ENCODING, "gzip")], body).into_response()
                }
                Err(_) => (status, [kind], body).into_response(),
            },
            Encoding::Gzip | Encoding::Plain => (status, [kind], body).into_response(),
        }
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn html(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/html")], HTML).into_response()
}

/// What the server answers to a body that is no list of operations, in the shape that the vendor
/// documents for a malformed call.
fn unprocessable(problem: &str) -> Response {
    let body = json!({"detail": [{"loc": ["body"], "msg": problem, "type": "value_error"}]});
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response()
}

fn reset(cut: &Cut) -> Response {
    cut.cut();
    StatusCode::OK.into_response()
}

async fn stalled(site: &Site, cut: &Cut) -> Response {
    site.stop.cancelled().await;
    reset(cut)
}

async fn late(site: &Site, delay: Duration) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = site.stop.cancelled() => {}
    }
}

/// Waits until the gate is open, or the server stops.
async fn held(site: &Site, gate: &Gate) {
    tokio::select! {
        () = gate.pass() => {}
        () = site.stop.cancelled() => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    WholeMessage,
    BrokenMessage,
}

/// The first half of an answer: as a message that is whole for HTTP, or cut off where more was
/// announced.
async fn halved(response: Response, half: Half) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return html(500);
    };
    let first = body.slice(..body.len() / 2);
    let body = match half {
        Half::WholeMessage => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(first)
        }
        Half::BrokenMessage => {
            parts
                .headers
                .insert(header::CONTENT_LENGTH, body.len().into());
            Body::from_stream(stream::iter([
                Ok(first),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ]))
        }
    };
    Response::from_parts(parts, body)
}
