//! An ftrack whose pages are made beforehand: whatever was asked once is answered from memory, so that a
//! reader is measured and not the stand-in behind it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
    serve::ListenerExt as _,
};
use ftrack_ldap_sync::demo::ftrack::FtrackServer;
use serde_json::json;
use tokio::net::TcpListener;

use crate::answers;

/// What an answer is kept with.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_ENCODING];

/// An answer as it was given.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The answers that are there, and what was asked for since the last question about it.
struct Recorded {
    client: reqwest::Client,
    behind: String,
    answers: Mutex<HashMap<Bytes, Answer>>,
    asked: Mutex<Vec<Bytes>>,
}

/// Serves in front of this server, which nobody changes, until standard input ends. A line of it is
/// answered with the bodies of the calls since the line before.
pub async fn serve(behind: &FtrackServer) {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(anywhere).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let recorded = Arc::new(Recorded {
        client: reqwest::Client::builder()
            .no_gzip()
            .no_proxy()
            .build()
            .expect("a client"),
        behind: behind.url(),
        answers: Mutex::default(),
        asked: Mutex::default(),
    });
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(&recorded));
    let listener = listener.tap_io(|stream| {
        // As the stand-in does.
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    println!("http://{address}");
    let asked = move || {
        let asked = std::mem::take(&mut *lock(&recorded.asked));
        let bodies = asked.iter().map(|body| String::from_utf8_lossy(body));
        json!({"bodies": bodies.collect::<Vec<_>>()})
    };
    answers::until_the_end(asked).await;
}

async fn answer(State(recorded): State<Arc<Recorded>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(asked) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    lock(&recorded.asked).push(asked.clone());
    let known = lock(&recorded.answers).get(&asked).cloned();
    let answer = match known {
        Some(answer) => answer,
        None => match behind(&recorded, &parts.headers, &asked).await {
            Ok(answer) => {
                lock(&recorded.answers).insert(asked, answer.clone());
                answer
            }
            Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        },
    };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// Asks the server behind it.
async fn behind(
    recorded: &Recorded,
    headers: &HeaderMap,
    asked: &Bytes,
) -> Result<Answer, reqwest::Error> {
    let mut headers = headers.clone();
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    let url = format!("{}/api", recorded.behind);
    let call = recorded.client.post(url).headers(headers);
    let response = call.body(asked.clone()).send().await?;
    let status = response.status();
    let shown = response.headers();
    let headers = KEPT
        .into_iter()
        .filter_map(|name| Some((name.clone(), shown.get(&name)?.clone())))
        .collect();
    let body = response.bytes().await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
