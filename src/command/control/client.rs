//! The way to a running daemon, over its control socket.

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Method, Request, Response, StatusCode, Url, redirect};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use tokio_util::{bytes::BytesMut, codec::Decoder, codec::LinesCodec};

use crate::{
    cli::{Exit, Stop},
    daemon::{
        commands::RunUpdate,
        control::{ApiError, ApiErrorCode, PauseRequest, StatusReply, TriggerRequest},
        status::JobStatus,
    },
    escape::escape_control,
};

/// How long the daemon has to take a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long the daemon has to answer, apart from the lines of a run; longer than it takes itself to
/// give an order up.
const ANSWERING: Duration = Duration::from_secs(15);

/// The longest answer, and the longest line of a run's: the report of the largest studio fits in.
const LONGEST: usize = 1 << 30;

/// A daemon that may be running.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
    client: Client,
}

/// A run that the daemon tells of.
#[derive(Debug)]
pub(super) struct RunWatch {
    response: Response,
    arrived: BytesMut,
    lines: LinesCodec,
}

impl Daemon {
    /// The daemon that listens at a path.
    pub(super) fn at(socket: &Path) -> Result<Self, Stop> {
        let client = Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECTING)
            // TLS is never spoken here, and a machine without certificates is to do.
            .tls_certs_only([])
            .build()
            .map_err(|error| Stop::failed(&error))?;
        Ok(Self {
            socket: socket.to_owned(),
            client,
        })
    }

    /// The daemon at this moment.
    pub(super) async fn status(&self) -> Result<StatusReply, Stop> {
        self.json(Method::GET, &["v1", "status"], None::<&()>).await
    }

    /// Lets a job wait.
    pub(super) async fn pause(&self, job: &str, wish: &PauseRequest) -> Result<JobStatus, Stop> {
        self.json(Method::POST, &["v1", "jobs", job, "pause"], Some(wish))
            .await
    }

    /// Lets a job go on.
    pub(super) async fn resume(&self, job: &str) -> Result<JobStatus, Stop> {
        self.json(Method::POST, &["v1", "jobs", job, "resume"], None::<&()>)
            .await
    }

    /// Starts a run.
    pub(super) async fn trigger(&self, job: &str, wish: TriggerRequest) -> Result<RunWatch, Stop> {
        let response = self
            .answer(Method::POST, &["v1", "jobs", job, "trigger"], Some(&wish))
            .await?;
        Ok(RunWatch {
            response,
            arrived: BytesMut::new(),
            lines: LinesCodec::new_with_max_length(LONGEST),
        })
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Stop> {
        let response = self.answer(method, path, body).await?;
        let bytes = whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Stop::failed(&format!(
                "the daemon's answer is not understood; is it of another version? {error}"
            ))
        })
    }

    /// The beginning of an answer that says yes.
    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, Stop> {
        let request = self.request(method, path, body)?;
        let sent = timeout(ANSWERING, self.client.execute(request))
            .await
            .map_err(|_| silent())?;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let bytes = whole(response).await?;
        Err(match serde_json::from_slice(&bytes) {
            Ok(ApiError { error, kind }) => Stop {
                exit: exit(kind),
                lines: vec![escape_control(&error).into_owned()],
            },
            Err(_) => Stop::failed(&format!(
                "{} answers with {status}; it is no daemon of this program",
                self.socket.display()
            )),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Request, Stop> {
        let mut url = Url::parse("http://daemon/").map_err(|error| Stop::failed(&error))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.build().map_err(|error| Stop::failed(&error))
    }

    /// Why there is no answer, and the way out.
    fn unreachable(&self, error: &reqwest::Error) -> Stop {
        let path = self.socket.display();
        let start = "start it with `ftrack-ldap-sync daemon`, or `systemctl start \
                     ftrack-ldap-sync` where it is a service";
        let reason = system_error(error).map(|error| (error.kind(), error.to_string()));
        let connecting = error.is_connect();
        Stop::failed(&match reason {
            Some((ErrorKind::NotFound, _)) if connecting => {
                format!("no daemon listens on {path}; {start}")
            }
            Some((ErrorKind::ConnectionRefused, _)) if connecting => {
                format!(
                    "no daemon listens on {path}: the socket was left by one that is gone; {start}"
                )
            }
            Some((ErrorKind::PermissionDenied, _)) if connecting => {
                format!(
                    "you may not give orders at {path}; its owner, its group and root may: use \
                     sudo, or have yourself added to the group that `ls -l` shows"
                )
            }
            Some((_, reason)) if connecting => format!("{path} cannot be used: {reason}"),
            Some(_) | None if error.is_timeout() => "the daemon does not take connections; it may \
                                                     be stopped, or busy with too many"
                .to_owned(),
            Some(_) | None => "the daemon closed the connection without an answer; if it is \
                               stopping, start it again"
                .to_owned(),
        })
    }
}

impl RunWatch {
    /// What the run says next.
    pub(super) async fn next(&mut self) -> Result<RunUpdate, Stop> {
        loop {
            if let Some(line) = self
                .lines
                .decode(&mut self.arrived)
                .map_err(|_| daemon_gone())?
            {
                return serde_json::from_str(&line).map_err(|error| {
                    Stop::failed(&format!(
                        "the daemon's word is not understood; is it of another version? {error}"
                    ))
                });
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.arrived.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return Err(daemon_gone()),
            }
        }
    }
}

/// What the system said, below what the HTTP client makes of it.
fn system_error(error: &reqwest::Error) -> Option<&io::Error> {
    let mut reason: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = reason {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        reason = error.source();
    }
    None
}

/// The daemon ended before the run did.
pub(super) fn daemon_gone() -> Stop {
    Stop::failed("the daemon went away; `runs` shows what became of the run")
}

fn silent() -> Stop {
    Stop::failed(&format!(
        "the daemon did not answer within {} s; if it was asked to do something, whether it did \
         is not known",
        ANSWERING.as_secs()
    ))
}

/// A whole answer, in time.
async fn whole(mut response: Response) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(chunk) = response.chunk().await.map_err(|_| silent())? {
            if bytes.len().saturating_add(chunk.len()) > LONGEST {
                return Err(Stop::failed("the daemon's answer is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout(ANSWERING, reading).await.map_err(|_| silent())??;
    Ok(bytes)
}

/// What was asked for wrongly is bad usage; everything else could not be done.
fn exit(kind: ApiErrorCode) -> Exit {
    match kind {
        ApiErrorCode::UnknownJob | ApiErrorCode::CannotTell | ApiErrorCode::Malformed => {
            Exit::Usage
        }
        ApiErrorCode::AlreadyRunning
        | ApiErrorCode::Paused
        | ApiErrorCode::Refused
        | ApiErrorCode::NotKept
        | ApiErrorCode::Stopping
        | ApiErrorCode::NotFound
        | ApiErrorCode::MethodNotAllowed
        | ApiErrorCode::NoAnswer
        | ApiErrorCode::TooManyWatchers
        | ApiErrorCode::Other => Exit::Failed,
    }
}
