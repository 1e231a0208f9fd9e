//! The control API, version 1, for `status`, `trigger`, `pause`, `resume`, `approve` and
//! `reject`: HTTP over a Unix
//! socket whose file mode is the permission.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
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
use tokio::{net::UnixStream, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    commands::{CommandError, Commands, RunUpdate, Wish},
    heartbeat::Heartbeat,
    places::{Peer, Place, TooManyWatchers},
    serve,
    serve::{Client, serve},
    socket::ControlSocket,
    status::{JobStatus, Status},
};
use crate::{
    escape::escape_control,
    model::{
        change_kind::ChangeKind, hold_number::HoldNumber, open_hold::OpenHold, pause::Pause,
        report::Approver,
    },
    run::{approval::HoldDecision, failure::HoldError},
};

/// The longest reason of a pause, in characters.
pub const REASON_LIMIT: usize = 500;

/// The longest login of the person who called sudo, in characters.
const LOGIN_LIMIT: usize = 256;

/// Time limit for the daemon to accept a command.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The same for a rejection, which waits for a run to end and writes to ftrack.
pub(crate) const REJECT_LIMIT: Duration = Duration::from_secs(25);

/// `GET /v1/status`: the daemon's current status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StatusReply {
    /// Seconds since the scheduler last made progress, by a monotonic clock.
    pub beat_age_seconds: f64,
    #[serde(flatten)]
    pub status: Status,
}

/// The body of `POST /v1/jobs/{job}/trigger`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggerRequest {
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// Whether only what changed is read; never a dry run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// The login of the person who called sudo, as the client's environment names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
}

impl TriggerRequest {
    /// What is wanted.
    fn wish(&self) -> Result<Wish, ApiError> {
        match (self.dry_run, self.changes) {
            (false, false) => Ok(Wish::Run),
            (true, false) => Ok(Wish::DryRun),
            (false, true) => Ok(Wish::Changes),
            (true, true) => Err(ApiError::new(
                ApiErrorCode::Malformed,
                "a dry run reads everything: leave out either dry_run or changes".to_owned(),
            )),
        }
    }
}

/// The body of `POST /v1/jobs/{job}/pause`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseRequest {
    /// When the pause ends by itself.
    pub until: Option<DateTime<Utc>>,
    /// At most [`REASON_LIMIT`] characters.
    pub reason: Option<String>,
    /// Of the job's changes, only this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<ChangeKind>,
    /// The login of the person who called sudo, as the client's environment names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
}

/// The body of `POST /v1/jobs/{job}/resume`; may be empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResumeRequest {
    /// Of the job's changes, only this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<ChangeKind>,
}

/// The body of `POST /v1/holds/{hold}/approve` and of `reject`; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionRequest {
    /// Only these people; everybody whom it holds, where it is empty.
    pub only: Vec<String>,
    /// The login of the person who called sudo, as the client's environment names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
}

/// The answer to `POST /v1/holds/{hold}/reject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectReply {
    /// Of how many people.
    pub rejected: usize,
    /// Why it does not stand in their links yet; omitted where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// The body of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// For people.
    pub error: String,
    /// For programs.
    pub kind: ApiErrorCode,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiErrorCode {
    /// There is no such job.
    UnknownJob,
    /// A run of the job is in progress.
    AlreadyRunning,
    /// The changes of the job cannot be planned.
    CannotTell,
    /// The job never reads only what changed.
    NoChanges,
    /// The job is paused.
    Paused,
    /// There is no such hold, or it holds nobody of that name.
    UnknownHold,
    /// The hold has ended, or cannot be approved.
    NothingToDecide,
    /// A server refused the credentials recently.
    Refused,
    /// It could not be saved over a restart.
    NotKept,
    /// The daemon is stopping.
    Stopping,
    /// The request is malformed.
    Malformed,
    /// There is nothing at this path.
    NotFound,
    /// The path supports other methods.
    MethodNotAllowed,
    /// The daemon did not accept the command in time.
    NoAnswer,
    /// As many clients follow runs as may.
    TooManyWatchers,
    /// Something that a newer daemon says.
    #[serde(other)]
    Other,
}

#[derive(Clone)]
struct ControlState {
    commands: Commands,
    heartbeat: Arc<Heartbeat>,
}

/// Serves the control socket until `end` is cancelled; its file is removed then, and answers in
/// flight may finish.
///
/// Watched runs should have ended before: their last update is waited for no longer than any
/// answer.
pub async fn listen(
    socket: ControlSocket,
    orders: Commands,
    heartbeat: Arc<Heartbeat>,
    end: &CancellationToken,
) {
    let router = router(ControlState {
        commands: orders,
        heartbeat,
    });
    let peer = |stream: &UnixStream, _: &_| Client {
        peer: Peer::User(stream.peer_cred().ok().map(|credentials| credentials.uid())),
        address: None,
    };
    serve(socket, peer, router, end).await;
}

fn router(site: ControlState) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/jobs/{job}/trigger", post(trigger))
        .route("/v1/jobs/{job}/pause", post(pause))
        .route("/v1/jobs/{job}/resume", post(resume))
        .route("/v1/holds", get(holds))
        .route("/v1/holds/{hold}", get(hold))
        .route("/v1/holds/{hold}/approve", post(approve))
        .route("/v1/holds/{hold}/reject", post(reject))
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_methods)
        .with_state(site)
}

async fn status(State(site): State<ControlState>) -> Json<StatusReply> {
    Json(StatusReply {
        beat_age_seconds: site.heartbeat.age().as_secs_f64(),
        status: Status::clone(&site.commands.status()),
    })
}

/// The open holds.
async fn holds(State(site): State<ControlState>) -> Result<Json<Vec<OpenHold>>, ApiError> {
    let mut holds = within_limit(site.commands.holds()).await?;
    holds.retain(|hold| hold.ended.is_none());
    Ok(Json(holds))
}

/// One hold, open or not.
async fn hold(
    State(site): State<ControlState>,
    hold: Result<Path<String>, PathRejection>,
) -> Result<Json<OpenHold>, ApiError> {
    let wanted = hold_number(hold)?;
    let found = within_limit(site.commands.hold(wanted)).await?;
    let unknown = || CommandError::from(HoldError::Unknown(wanted));
    Ok(Json(found.ok_or_else(|| ApiError::from(unknown()))?))
}

async fn trigger(
    State(site): State<ControlState>,
    Extension(place): Extension<Place>,
    Extension(peer): Extension<Peer>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ApiError> {
    let job = job_name(job)?;
    let request: TriggerRequest = parse_request(body).await?;
    let wish = request.wish()?;
    let by = asked_by(peer, request.sudo_user)?;
    // Before the run is wanted: no run begins whose end cannot be told.
    place.watch()?;
    let told = within_limit(site.commands.trigger(&job, wish, by)).await?;
    Ok((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines(told)),
    )
        .into_response())
}

async fn pause(
    State(site): State<ControlState>,
    Extension(peer): Extension<Peer>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<JobStatus>, ApiError> {
    let job = job_name(job)?;
    let mut wish: PauseRequest = parse_request(body).await?;
    let only = wish.only;
    let by = asked_by(peer, wish.sudo_user.take())?;
    let pause = pause_of(wish, Utc::now(), &by)?;
    within_limit(site.commands.pause(&job, only, pause))
        .await
        .map(Json)
}

async fn resume(
    State(site): State<ControlState>,
    job: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<JobStatus>, ApiError> {
    let job = job_name(job)?;
    let ResumeRequest { only } = parse_request(body).await?;
    within_limit(site.commands.resume(&job, only))
        .await
        .map(Json)
}

async fn approve(
    State(site): State<ControlState>,
    Extension(place): Extension<Place>,
    Extension(peer): Extension<Peer>,
    hold: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ApiError> {
    let decision = decision(peer, hold, parse_request(body).await?)?;
    place.watch()?;
    let told = within_limit(site.commands.approve(decision)).await?;
    Ok((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines(told)),
    )
        .into_response())
}

async fn reject(
    State(site): State<ControlState>,
    Extension(peer): Extension<Peer>,
    hold: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<RejectReply>, ApiError> {
    let decision = decision(peer, hold, parse_request(body).await?)?;
    let rejection = within(REJECT_LIMIT, site.commands.reject(decision)).await?;
    Ok(Json(RejectReply {
        rejected: rejection.people,
        pending: rejection.pending,
    }))
}

fn hold_number(hold: Result<Path<String>, PathRejection>) -> Result<HoldNumber, ApiError> {
    let malformed = |error: &str| ApiError::new(ApiErrorCode::Malformed, error.to_owned());
    let Path(hold) = hold.map_err(|error| malformed(&error.body_text()))?;
    hold.parse().map_err(malformed)
}

/// What a user of this machine decided.
fn decision(
    peer: Peer,
    hold: Result<Path<String>, PathRejection>,
    DecisionRequest { only, sudo_user }: DecisionRequest,
) -> Result<HoldDecision, ApiError> {
    let hold = hold_number(hold)?;
    let by = asked_by(peer, sudo_user)?;
    Ok(HoldDecision { hold, only, by })
}

/// Who asks for something.
fn asked_by(peer: Peer, sudo_user: Option<String>) -> Result<Approver, ApiError> {
    let (Peer::User(Some(uid)), true) = (peer, sudo_user.as_ref().is_none_or(is_login)) else {
        return Err(ApiError::new(
            ApiErrorCode::Malformed,
            "it is not known who asks for it".to_owned(),
        ));
    };
    Ok(Approver::of_user(uid, sudo_user))
}

#[allow(clippy::ptr_arg, reason = "the form that is_none_or asks for")]
fn is_login(name: &String) -> bool {
    name.chars().count() <= LOGIN_LIMIT && !name.chars().any(char::is_control)
}

async fn nothing_here(uri: Uri) -> ApiError {
    ApiError::new(
        ApiErrorCode::NotFound,
        format!("there is nothing at {}", escape_control(uri.path())),
    )
}

async fn other_methods(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        ApiErrorCode::MethodNotAllowed,
        format!(
            "{} does not support {}",
            escape_control(uri.path()),
            escape_control(method.as_str())
        ),
    )
}

fn job_name(job: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    job.map(|Path(job)| job)
        .map_err(|error| ApiError::new(ApiErrorCode::Malformed, error.body_text()))
}

/// The parsed body; the default when it is empty.
async fn parse_request<W: Default + DeserializeOwned>(body: Body) -> Result<W, ApiError> {
    let bytes = serve::body(body)
        .await
        .map_err(|error| ApiError::new(ApiErrorCode::Malformed, error.to_string()))?;
    if bytes.is_empty() {
        return Ok(W::default());
    }
    // Via an object, since serde would also accept a list of the values.
    let object: Result<Map<String, Value>, _> = serde_json::from_slice(&bytes);
    object
        .and_then(|object| serde_json::from_value(Value::Object(object)))
        .map_err(|error| {
            ApiError::new(
                ApiErrorCode::Malformed,
                format!(
                    "the body is invalid: {}",
                    escape_control(&error.to_string())
                ),
            )
        })
}

/// The requested pause.
///
/// # Errors
/// It would end in the past, or the reason is too long.
pub fn pause_of(
    PauseRequest {
        until,
        reason,
        only: _,
        sudo_user: _,
    }: PauseRequest,
    now: DateTime<Utc>,
    by: &Approver,
) -> Result<Pause, ApiError> {
    if until.is_some_and(|until| until <= now) {
        return Err(ApiError::new(
            ApiErrorCode::Malformed,
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
        return Err(ApiError::new(
            ApiErrorCode::Malformed,
            format!("the reason is longer than {REASON_LIMIT} characters"),
        ));
    }
    Ok(Pause {
        since: now,
        until,
        reason: reason.map(|reason| escape_control(&reason).into_owned()),
        by: Some(escape_control(&by.to_string()).into_owned()),
    })
}

pub(crate) async fn within_limit<T>(
    order: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, ApiError> {
    within(ANSWER_LIMIT, order).await
}

pub(crate) async fn within<T>(
    limit: Duration,
    order: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, ApiError> {
    match timeout(limit, order).await {
        Ok(answer) => answer.map_err(ApiError::from),
        Err(_) => {
            let error = format!(
                "the daemon did not answer within {} s; it is not known whether it will execute \
                 the command",
                limit.as_secs()
            );
            Err(ApiError::new(ApiErrorCode::NoAnswer, error))
        }
    }
}

/// The updates of a run, one per line; the last one says how it ended.
fn lines(
    told: mpsc::Receiver<RunUpdate>,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(told), |told| async {
        let mut told = told?;
        let next = told.recv().await.unwrap_or_else(|| RunUpdate::Ended {
            error: "the run ended without a report; `runs` shows its result".to_owned(),
        });
        match next {
            RunUpdate::Waiting | RunUpdate::Started | RunUpdate::Progress(_) => {
                Some((Ok(line(&next)), Some(told)))
            }
            RunUpdate::Finished { .. } | RunUpdate::NothingChanged | RunUpdate::Ended { .. } => {
                // The report of a large studio takes a while to serialise, during which the daemon
                // has to do other things.
                let last = tokio::task::spawn_blocking(move || line(&next))
                    .await
                    .unwrap_or_default();
                Some((Ok(last), None))
            }
        }
    })
}

fn line(told: &RunUpdate) -> Bytes {
    let mut line = serde_json::to_vec(told).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

impl ApiError {
    fn new(kind: ApiErrorCode, error: String) -> Self {
        Self { error, kind }
    }
}

impl From<TooManyWatchers> for ApiError {
    fn from(error: TooManyWatchers) -> Self {
        Self::new(ApiErrorCode::TooManyWatchers, error.to_string())
    }
}

impl From<CommandError> for ApiError {
    fn from(refusal: CommandError) -> Self {
        let kind = match &refusal {
            CommandError::UnknownJob { .. } => ApiErrorCode::UnknownJob,
            CommandError::AlreadyRunning(_) | CommandError::ExplainsAlready => {
                ApiErrorCode::AlreadyRunning
            }
            CommandError::CannotTell(_) | CommandError::NotExplained(_) => ApiErrorCode::CannotTell,
            CommandError::NoKinds(_) => ApiErrorCode::CannotTell,
            CommandError::NoChanges(_) => ApiErrorCode::NoChanges,
            CommandError::Paused { .. } => ApiErrorCode::Paused,
            CommandError::UnknownHold(_) => ApiErrorCode::UnknownHold,
            CommandError::NothingToDecide(_) => ApiErrorCode::NothingToDecide,
            CommandError::Refused { .. } => ApiErrorCode::Refused,
            CommandError::NotKept(_) => ApiErrorCode::NotKept,
            CommandError::Stopping => ApiErrorCode::Stopping,
        };
        Self::new(kind, escape_control(&refusal.to_string()).into_owned())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.kind {
            ApiErrorCode::UnknownJob | ApiErrorCode::UnknownHold | ApiErrorCode::NotFound => {
                StatusCode::NOT_FOUND
            }
            ApiErrorCode::AlreadyRunning
            | ApiErrorCode::CannotTell
            | ApiErrorCode::NoChanges
            | ApiErrorCode::Paused
            | ApiErrorCode::NothingToDecide
            | ApiErrorCode::Refused
            | ApiErrorCode::NotKept
            | ApiErrorCode::Stopping => StatusCode::CONFLICT,
            ApiErrorCode::Malformed | ApiErrorCode::Other => StatusCode::BAD_REQUEST,
            ApiErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiErrorCode::NoAnswer | ApiErrorCode::TooManyWatchers => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, Json(self)).into_response()
    }
}
