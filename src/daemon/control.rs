//! The control API, version 1: what `status`, `trigger`, `pause` and `resume` say to a running
//! daemon, over a Unix socket whose file mode is the permission.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    orders::{Orders, Refusal, Told},
    pause::Pause,
    pulse::Pulse,
    serve::{self, serve},
    socket::ControlSocket,
    status::{JobStatus, Status},
};
use crate::printable::printable;

/// The most characters of a pause's reason.
pub const REASON_LIMIT: usize = 500;

/// How long the daemon has to take an order.
const ANSWER: Duration = Duration::from_secs(10);

/// `GET /v1/status`: the daemon at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// Seconds since the scheduler last made progress, by a clock that nobody can set.
    pub beat_age_seconds: f64,
    /// The rest.
    #[serde(flatten)]
    pub status: Status,
}

/// The body of `POST /v1/jobs/{job}/trigger`; may be empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggerWish {
    /// Whether the run is to write nothing.
    pub dry_run: bool,
}

/// The body of `POST /v1/jobs/{job}/pause`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseWish {
    /// When the job goes on by itself.
    pub until: Option<DateTime<Utc>>,
    /// Why; at most [`REASON_LIMIT`] characters.
    pub reason: Option<String>,
}

/// Every answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct No {
    /// Why, in words.
    pub error: String,
    /// What programs tell it by.
    pub kind: NoKind,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoKind {
    /// There is no such job.
    UnknownJob,
    /// A run of the job is under way.
    AlreadyRunning,
    /// What a run would write cannot be told beforehand.
    CannotTell,
    /// The job is paused.
    Paused,
    /// A server refused the credentials not long ago.
    Refused,
    /// It could not be kept over a restart.
    NotKept,
    /// The daemon stops.
    Stopping,
    /// The request is not what it should be.
    Malformed,
    /// There is nothing at this path.
    NotFound,
    /// The path knows other methods.
    MethodNotAllowed,
    /// The daemon did not take the order in time.
    NoAnswer,
    /// Something that a newer daemon says.
    #[serde(other)]
    Other,
}

#[derive(Clone)]
struct Site {
    orders: Orders,
    pulse: Arc<Pulse>,
}

/// Answers on the control socket until `end` is cancelled; its file is removed then, and answers in
/// flight may finish.
///
/// Runs that are told of should have ended before: their last word is waited for no longer than any
/// answer.
pub async fn listen(
    socket: ControlSocket,
    orders: Orders,
    pulse: Arc<Pulse>,
    end: &CancellationToken,
) {
    serve(socket, router(Site { orders, pulse }), end).await;
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/jobs/{job}/trigger", post(trigger))
        .route("/v1/jobs/{job}/pause", post(pause))
        .route("/v1/jobs/{job}/resume", post(resume))
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_methods)
        .with_state(site)
}

async fn status(State(site): State<Site>) -> Json<Now> {
    Json(Now {
        beat_age_seconds: site.pulse.age().as_secs_f64(),
        status: Status::clone(&site.orders.status()),
    })
}

async fn trigger(
    State(site): State<Site>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, No> {
    let job = job_name(job)?;
    let TriggerWish { dry_run } = wish(body).await?;
    let told = in_time(site.orders.trigger(&job, dry_run)).await?;
    Ok((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines(told)),
    )
        .into_response())
}

async fn pause(
    State(site): State<Site>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<JobStatus>, No> {
    let job = job_name(job)?;
    let pause = pause_of(wish(body).await?, Utc::now())?;
    in_time(site.orders.pause(&job, pause)).await.map(Json)
}

async fn resume(
    State(site): State<Site>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<JobStatus>, No> {
    let job = job_name(job)?;
    let Nothing {} = wish(body).await?;
    in_time(site.orders.resume(&job)).await.map(Json)
}

async fn nothing_here(uri: Uri) -> No {
    No::new(
        NoKind::NotFound,
        format!("there is nothing at {}", printable(uri.path())),
    )
}

async fn other_methods(method: Method, uri: Uri) -> No {
    No::new(
        NoKind::MethodNotAllowed,
        format!(
            "{} does not take {}",
            printable(uri.path()),
            printable(method.as_str())
        ),
    )
}

/// The body of a request that says nothing beyond its path.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn job_name(job: Result<Path<String>, PathRejection>) -> Result<String, No> {
    job.map(|Path(job)| job)
        .map_err(|error| No::new(NoKind::Malformed, error.body_text()))
}

/// What a body says; the default when it is empty.
async fn wish<W: Default + DeserializeOwned>(body: Body) -> Result<W, No> {
    let bytes = serve::body(body)
        .await
        .map_err(|error| No::new(NoKind::Malformed, error.to_string()))?;
    if bytes.is_empty() {
        return Ok(W::default());
    }
    // By way of an object, since a list of the values would do for serde.
    let object: Result<Map<String, Value>, _> = serde_json::from_slice(&bytes);
    object
        .and_then(|object| serde_json::from_value(Value::Object(object)))
        .map_err(|error| {
            No::new(
                NoKind::Malformed,
                format!(
                    "the body is not what it should be: {}",
                    printable(&error.to_string())
                ),
            )
        })
}

/// The pause that somebody wishes for.
fn pause_of(PauseWish { until, reason }: PauseWish, now: DateTime<Utc>) -> Result<Pause, No> {
    if until.is_some_and(|until| until <= now) {
        return Err(No::new(
            NoKind::Malformed,
            "until is in the past".to_owned(),
        ));
    }
    let reason = reason
        .map(|reason| reason.trim().to_owned())
        .filter(|reason| !reason.is_empty());
    if reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > REASON_LIMIT)
    {
        return Err(No::new(
            NoKind::Malformed,
            format!("the reason is longer than {REASON_LIMIT} characters"),
        ));
    }
    Ok(Pause {
        since: now,
        until,
        reason: reason.map(|reason| printable(&reason).into_owned()),
    })
}

async fn in_time<T>(order: impl Future<Output = Result<T, Refusal>>) -> Result<T, No> {
    match timeout(ANSWER, order).await {
        Ok(answer) => answer.map_err(No::from),
        Err(_) => {
            let error = format!(
                "the daemon did not answer within {} s; whether it will do it is not known",
                ANSWER.as_secs()
            );
            Err(No::new(NoKind::NoAnswer, error))
        }
    }
}

/// What a run says, a line each; always ended by how it ended.
fn lines(
    told: mpsc::Receiver<Told>,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(told), |told| async {
        let mut told = told?;
        let next = told.recv().await.unwrap_or_else(|| Told::Ended {
            error: "the run ended without a word; `runs` shows what became of it".to_owned(),
        });
        match next {
            Told::Waiting | Told::Started | Told::Progress(_) => {
                Some((Ok(line(&next)), Some(told)))
            }
            Told::Finished { .. } | Told::Ended { .. } => {
                // The report of a large studio takes a while, in which the daemon is to do other
                // things.
                let last = tokio::task::spawn_blocking(move || line(&next))
                    .await
                    .unwrap_or_default();
                Some((Ok(last), None))
            }
        }
    })
}

fn line(told: &Told) -> Bytes {
    let mut line = serde_json::to_vec(told).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

impl No {
    fn new(kind: NoKind, error: String) -> Self {
        Self { error, kind }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::UnknownJob { .. } => NoKind::UnknownJob,
            Refusal::AlreadyRunning(_) => NoKind::AlreadyRunning,
            Refusal::CannotTell(_) => NoKind::CannotTell,
            Refusal::Paused { .. } => NoKind::Paused,
            Refusal::Refused { .. } => NoKind::Refused,
            Refusal::NotKept(_) => NoKind::NotKept,
            Refusal::Stopping => NoKind::Stopping,
        };
        Self::new(kind, printable(&refusal.to_string()).into_owned())
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let status = match self.kind {
            NoKind::UnknownJob | NoKind::NotFound => StatusCode::NOT_FOUND,
            NoKind::AlreadyRunning
            | NoKind::CannotTell
            | NoKind::Paused
            | NoKind::Refused
            | NoKind::NotKept
            | NoKind::Stopping => StatusCode::CONFLICT,
            NoKind::Malformed | NoKind::Other => StatusCode::BAD_REQUEST,
            NoKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            NoKind::NoAnswer => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}
