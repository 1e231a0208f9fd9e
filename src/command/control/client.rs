//! Client of a running daemon, over its control socket.

use std::{
    error::Error,
    io::{self, ErrorKind},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Method, Request, Response, StatusCode, Url, redirect};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, LinesCodec},
};

use crate::{
    cli::{Exit, PluginStatus, Stop},
    command::in_container,
    config::files::whose,
    daemon::{
        commands::RunUpdate,
        control::{
            ApiError, ApiErrorCode, DecisionRequest, PauseRequest, RejectReply, ResumeRequest,
            StatusReply, TriggerRequest,
        },
        status::JobStatus,
    },
    escape::escape_control,
    model::{hold_number::HoldNumber, open_hold::OpenHold},
};

/// Time limit for the daemon to accept a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// Time limit for an answer, except for the lines of a run; longer than the daemon's own limit for
/// a command.
const ANSWERING: Duration = Duration::from_secs(30);

/// Time limit for what only reads, and for a monitoring system's question, which has ten seconds at
/// least.
const CHECKING: Duration = Duration::from_secs(8);

/// The longest answer, and the longest line of a run, in bytes; the report of the largest studio
/// fits.
const LONGEST: usize = 1 << 30;

/// A daemon that may be running.
#[derive(Debug)]
pub(in crate::command) struct Daemon {
    socket: PathBuf,
    client: Client,
}

/// A run whose progress the daemon reports.
#[derive(Debug)]
pub(in crate::command) struct RunWatch {
    response: Response,
    arrived: BytesMut,
    lines: LinesCodec,
}

/// The group of a file, by its name where the system's list of groups has it.
fn group_of(path: &Path) -> String {
    let Ok(number) = path.symlink_metadata().map(|found| found.gid()) else {
        return "`ls -l` shows which".to_owned();
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        (gid.parse() == Ok(number)).then_some(name)
    });
    name.map_or_else(
        || format!("gid {number}"),
        |name| escape_control(name).into_owned(),
    )
}

/// Whether something listens there; whoever may not ask it may not do it either.
pub(in crate::command) fn is_there(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused
        ),
    }
}

impl Daemon {
    /// The daemon that listens at a path.
    pub(in crate::command) fn at(socket: &Path) -> Result<Self, Stop> {
        let client = Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECTING)
            // TLS is never used here, and it must work on a machine without certificates.
            .tls_certs_only([])
            .build()
            .map_err(|error| Stop::failed(&error))?;
        Ok(Self {
            socket: socket.to_owned(),
            client,
        })
    }

    /// The current status of the daemon and its jobs.
    pub(in crate::command) async fn status(&self) -> Result<StatusReply, Stop> {
        self.json(Method::GET, &["v1", "status"], None::<&()>).await
    }

    /// The status within the time that a monitoring system has, or why there is none: critical where
    /// the daemon does not answer, unknown where this program may not ask or does not understand.
    pub(super) async fn status_or_why(&self) -> Result<StatusReply, (PluginStatus, Stop)> {
        let unknown = |stop| (PluginStatus::Unknown, stop);
        let asking = async {
            let request = self.request(Method::GET, &["v1", "status"], None::<&()>);
            let sent = self.client.execute(request.map_err(unknown)?).await;
            let response = sent.map_err(|error| {
                let kind = system_error(&error).map(io::Error::kind);
                let status = match kind {
                    Some(ErrorKind::PermissionDenied) => PluginStatus::Unknown,
                    Some(_) | None => PluginStatus::Critical,
                };
                (status, self.unreachable(&error))
            })?;
            let bytes = whole(response).await;
            let bytes = bytes.map_err(|stop| (PluginStatus::Critical, stop))?;
            parsed(&bytes).map_err(unknown)
        };
        let silent = || {
            let text = format!("the daemon did not answer within {} s", CHECKING.as_secs());
            (PluginStatus::Critical, Stop::failed(&text))
        };
        timeout(CHECKING, asking).await.map_err(|_| silent())?
    }

    /// Pauses a job.
    pub(in crate::command) async fn pause(
        &self,
        job: &str,
        wish: &PauseRequest,
    ) -> Result<JobStatus, Stop> {
        self.json(Method::POST, &["v1", "jobs", job, "pause"], Some(wish))
            .await
    }

    /// Resumes a job.
    pub(in crate::command) async fn resume(
        &self,
        job: &str,
        wish: ResumeRequest,
    ) -> Result<JobStatus, Stop> {
        self.json(Method::POST, &["v1", "jobs", job, "resume"], Some(&wish))
            .await
    }

    /// Starts a run.
    pub(in crate::command) async fn trigger(
        &self,
        job: &str,
        wish: TriggerRequest,
    ) -> Result<RunWatch, Stop> {
        let response = self
            .answer(Method::POST, &["v1", "jobs", job, "trigger"], Some(&wish))
            .await?;
        Ok(RunWatch {
            response,
            arrived: BytesMut::new(),
            lines: LinesCodec::new_with_max_length(LONGEST),
        })
    }

    /// The holds that are open.
    pub(in crate::command) async fn holds(&self) -> Result<Vec<OpenHold>, Stop> {
        self.json(Method::GET, &["v1", "holds"], None::<&()>).await
    }

    /// Approves a hold.
    pub(in crate::command) async fn approve(
        &self,
        hold: HoldNumber,
        decision: &DecisionRequest,
    ) -> Result<RunWatch, Stop> {
        let hold = hold.to_string();
        let path = ["v1", "holds", &hold, "approve"];
        let response = self.answer(Method::POST, &path, Some(decision)).await?;
        Ok(RunWatch {
            response,
            arrived: BytesMut::new(),
            lines: LinesCodec::new_with_max_length(LONGEST),
        })
    }

    /// Rejects a hold.
    pub(in crate::command) async fn reject(
        &self,
        hold: HoldNumber,
        decision: &DecisionRequest,
    ) -> Result<RejectReply, Stop> {
        let hold = hold.to_string();
        let path = ["v1", "holds", &hold, "reject"];
        self.json(Method::POST, &path, Some(decision)).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Stop> {
        let response = self.answer(method, path, body).await?;
        parsed(&whole(response).await?)
    }

    /// The start of a successful answer.
    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, Stop> {
        let limit = limit(&method);
        let silent = silent(&method);
        let request = self.request(method, path, body)?;
        let sent = timeout(limit, self.client.execute(request))
            .await
            .map_err(|_| silent)?;
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
                "{} answers with {status}; it is not a daemon of this program",
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

    /// Why there is no answer, and what to do.
    fn unreachable(&self, error: &reqwest::Error) -> Stop {
        let path = self.socket.display();
        let start = if in_container() {
            "start its container, by `docker compose up -d`, and ask in that one, by `docker compose \
             exec ftrack-ldap-sync ftrack-ldap-sync COMMAND`"
        } else {
            "start it with `ftrack-ldap-sync daemon`, or `systemctl start ftrack-ldap-sync` where it \
             is a service"
        };
        let reason = system_error(error).map(|error| (error.kind(), error.to_string()));
        let connecting = error.is_connect();
        Stop::failed(&match reason {
            Some((ErrorKind::NotFound, _)) if connecting => {
                format!("no daemon listens on {path}; {start}")
            }
            Some((ErrorKind::ConnectionRefused, _)) if connecting => {
                format!(
                    "no daemon listens on {path}: the socket is left over from a daemon that has \
                     ended; {start}"
                )
            }
            Some((ErrorKind::PermissionDenied, _)) if connecting => {
                format!(
                    "permission denied on {path}; its owner, its group and root may send \
                     commands: {}; or ask to be added to its group ({})",
                    whose(&self.socket),
                    group_of(&self.socket)
                )
            }
            Some((_, reason)) if connecting => format!("{path} cannot be used: {reason}"),
            Some(_) | None if error.is_timeout() => "the daemon does not accept connections; it \
                may be suspended, or have too many connections"
                .to_owned(),
            Some(_) | None => "the daemon closed the connection without an answer; if it is \
                               stopping, start it again"
                .to_owned(),
        })
    }
}

impl RunWatch {
    /// The next update of the run.
    pub(in crate::command) async fn next(&mut self) -> Result<RunUpdate, Stop> {
        loop {
            if let Some(line) = self
                .lines
                .decode(&mut self.arrived)
                .map_err(|_| daemon_gone())?
            {
                return serde_json::from_str(&line).map_err(|error| {
                    Stop::failed(&format!(
                        "cannot parse the daemon's reply; is the daemon another version? {error}"
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

/// The system's error, below the HTTP client's.
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
pub(in crate::command) fn daemon_gone() -> Stop {
    Stop::failed(
        "the daemon ended before the run did; if it was stopped, `runs` shows the result of the run; \
         if it was killed, only after its next start, or after the next run of the job",
    )
}

/// Time limit for an answer: what only reads is answered at once.
fn limit(method: &Method) -> Duration {
    if *method == Method::GET {
        CHECKING
    } else {
        ANSWERING
    }
}

fn silent(method: &Method) -> Stop {
    let what = if *method == Method::GET {
        "its process may be suspended, or the machine overloaded"
    } else {
        "it is not known whether the command took effect"
    };
    let seconds = limit(method).as_secs();
    Stop::failed(&format!(
        "the daemon did not answer within {seconds} s; {what}"
    ))
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Stop> {
    serde_json::from_slice(bytes).map_err(|error| {
        Stop::failed(&format!(
            "cannot parse the daemon's answer; is the daemon another version? {error}"
        ))
    })
}

/// A whole answer, within the time limit.
async fn whole(mut response: Response) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(chunk) = response.chunk().await.map_err(|_| cut_off())? {
            if bytes.len().saturating_add(chunk.len()) > LONGEST {
                return Err(Stop::failed("the daemon's answer is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout(ANSWERING, reading).await.map_err(|_| cut_off())??;
    Ok(bytes)
}

fn cut_off() -> Stop {
    Stop::failed(&format!(
        "the daemon's answer did not come to its end within {} s; it is not known whether the command \
         took effect",
        ANSWERING.as_secs()
    ))
}

/// A wrong request is bad usage; everything else is a failure.
fn exit(kind: ApiErrorCode) -> Exit {
    match kind {
        ApiErrorCode::UnknownJob
        | ApiErrorCode::CannotTell
        | ApiErrorCode::NoChanges
        | ApiErrorCode::UnknownHold
        | ApiErrorCode::Malformed => Exit::Usage,
        ApiErrorCode::AlreadyRunning
        | ApiErrorCode::Paused
        | ApiErrorCode::NothingToDecide
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
