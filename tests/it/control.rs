//! Control and monitoring of a daemon: its control socket, its HTTP listener, its metrics, and the
//! commands. The listeners and the program are the real ones; behind them is a minimal coordinator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use ftrack_ldap_sync::{
    config,
    config::Environment,
    daemon::{
        commands::{CommandError, Commands, DaemonCommand, HoldRequest, RunUpdate, Wish},
        control,
        heartbeat::Heartbeat,
        http,
        http::HttpState,
        metrics::{ConnectionFigures, Metrics},
        socket::ControlSocket,
        status::{ConfigStatus, Contact, JobPhase, JobStatus, Status},
    },
    model::report::{Outcome, Report, Trigger},
    state::State,
    web,
};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

mod api;
mod commands;
mod hostile;
mod metrics;
mod monitoring;
mod page;
mod place;

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(20);

/// A run that somebody triggered.
struct Triggered {
    job: String,
    dry_run: bool,
    told: mpsc::Sender<RunUpdate>,
}

/// The listeners of a daemon, and what stands behind them.
struct Daemon {
    runtime: Runtime,
    folder: TempDir,
    address: SocketAddr,
    pulse: Arc<Heartbeat>,
    metrics: Arc<Metrics>,
    status: watch::Sender<Arc<Status>>,
    triggered: mpsc::Receiver<Triggered>,
    end: CancellationToken,
    listening: Vec<JoinHandle<()>>,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A job that never ran.
fn job(name: &str) -> JobStatus {
    JobStatus {
        job: name.into(),
        phase: JobPhase::Idle,
        schedule: Some("*/15 * * * *".into()),
        timezone: "Europe/Stockholm".into(),
        next_run: Some(at("2030-01-01T00:00:00Z")),
        next_changes: None,
        watch: None,
        last_changes: None,
        elsewhere_since: None,
        running: None,
        pause: None,
        paused_kinds: BTreeMap::new(),
        refused: None,
        backoff: None,
        last_run: None,
        last_success: None,
        success_due: None,
        ticks_skipped: 0,
    }
}

/// A daemon of these jobs that reached every server.
fn status(jobs: Vec<JobStatus>) -> Status {
    Status {
        version: "0.1.0".into(),
        pid: 42,
        started_at: at("2026-01-01T00:00:00Z"),
        stopping: false,
        beat_at: at("2026-01-01T00:00:01Z"),
        config: ConfigStatus {
            file: "/etc/ftrack-ldap-sync/config.toml".into(),
            loaded_at: at("2026-01-01T00:00:00Z"),
            reload_failures: 0,
            error: None,
            restart_for: Vec::new(),
        },
        contacts: vec![Contact {
            server: "ftrack".into(),
            since: Some(at("2026-01-01T00:00:00Z")),
            error: None,
        }],
        jobs,
    }
}

/// The state of a daemon that has done nothing yet.
fn state(folder: &Path) -> State {
    let file = folder.join("config.toml");
    let text = "state_dir = \"state\"\n[ftrack]\nserver = \"http://127.0.0.1:1\"\napi_user = \"a\"\napi_key = \"k\"\n\
                [jobs.nightly]\nkind = \"ftrack-ldap\"\n";
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, &Environment::default()).unwrap();
    State::open(&config).unwrap().0
}

/// A report of a run of ten seconds.
fn report(job: &str, outcome: Outcome) -> Report {
    serde_json::from_value(serde_json::json!({
        "run": "20260101-000000-0000", "job": job, "trigger": Trigger::Manual, "dry_run": false,
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:10Z",
        "outcome": outcome, "error": (outcome == Outcome::Failed).then_some("no server answered"),
        "seconds": {"directory": 1.5, "ftrack": 2.0, "planning": 0.01, "writing": 0.2},
        "directory": {"server": "ldap://127.0.0.1", "complete": true, "entries": 412, "id_attribute": "entryUUID", "searches": []},
        "ftrack": {"server": "http://127.0.0.1", "users": 430, "owned": 405, "owned_active": 400, "read_calls": 2, "write_calls": 1},
        "counts": {"created": 1, "updated": 0, "deactivated": 0, "reactivated": 0, "adopted": 0, "role_changes": 0, "group_changes": 0,
                   "unchanged": 411, "skipped": 0, "held": 2, "failed": 0},
        "planned": {"create": 1},
        "changes": [{"action": "create", "username": "ada", "dn": "uid=ada", "directory_id": "1", "ftrack_id": "6f1e2a3c-0000-4000-8000-000000000001",
                     "fields": {"email": {"old": null, "new": "ada@studio.test"}}, "reason": "new", "result": "applied", "error": null}],
        "skipped": [], "warnings": []
    }))
    .unwrap()
}

/// Answers orders as a daemon would: a job that is paused or at work is not run; whatever is
/// triggered is handed to the test.
async fn coordinate(
    mut orders: mpsc::Receiver<DaemonCommand>,
    status: watch::Sender<Arc<Status>>,
    triggered: mpsc::Sender<Triggered>,
) {
    let change = |name: &str, change: &dyn Fn(&mut JobStatus)| {
        let mut now = Status::clone(&status.borrow());
        let known = now
            .jobs
            .iter()
            .map(|job| job.job.clone())
            .collect::<Vec<_>>()
            .join(", ");
        let unknown = || CommandError::UnknownJob {
            job: name.into(),
            known,
        };
        let job = now
            .jobs
            .iter_mut()
            .find(|job| job.job == name)
            .ok_or_else(unknown)?;
        change(job);
        let job = job.clone();
        status.send_replace(Arc::new(now));
        Ok(job)
    };
    while let Some(order) = orders.recv().await {
        match order {
            DaemonCommand::Trigger {
                job,
                wish,
                by: _,
                told,
                answer,
            } => {
                let dry_run = wish == Wish::DryRun;
                let may = change(&job, &|_| ()).and_then(|now| match (now.phase, now.pause) {
                    (JobPhase::Running, _) => Err(CommandError::AlreadyRunning(job.clone())),
                    (_, Some(pause)) => Err(CommandError::Paused {
                        job: job.clone(),
                        pause,
                        zone: chrono_tz::Europe::Stockholm,
                    }),
                    (_, None) => Ok(()),
                });
                let runs = may.is_ok();
                answer.send(may).unwrap();
                if runs {
                    triggered
                        .send(Triggered { job, dry_run, told })
                        .await
                        .unwrap();
                }
            }
            DaemonCommand::Pause {
                job,
                only: _,
                pause,
                answer,
            } => {
                let pause = &pause;
                answer
                    .send(change(&job, &|job| job.pause = Some(pause.clone())))
                    .unwrap();
            }
            DaemonCommand::Resume {
                job,
                only: _,
                answer,
            } => answer.send(change(&job, &|job| job.pause = None)).unwrap(),
            DaemonCommand::Hold(HoldRequest::List(answer)) => answer.send(Ok(Vec::new())).unwrap(),
            DaemonCommand::Hold(HoldRequest::Show(_, answer)) => answer.send(Ok(None)).unwrap(),
            DaemonCommand::Hold(HoldRequest::Approve(_) | HoldRequest::Reject(_))
            | DaemonCommand::Explain(_)
            | DaemonCommand::TriggerAll
            | DaemonCommand::Reload => {}
        }
    }
}

impl Daemon {
    fn of(jobs: &[&str]) -> Self {
        Self::with(
            status(jobs.iter().map(|name| job(name)).collect()),
            Heartbeat::new(),
        )
    }

    fn with(status: Status, pulse: Heartbeat) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = TempDir::new().unwrap();
        let (status, hears) = watch::channel(Arc::new(status));
        let (orders, hears_orders) = mpsc::channel(16);
        let (triggers, triggered) = mpsc::channel(16);
        runtime.spawn(coordinate(hears_orders, status.clone(), triggers));
        let orders = Commands::new(orders, hears);
        let (pulse, metrics, end) = (
            Arc::new(pulse),
            Arc::new(Metrics::new().unwrap()),
            CancellationToken::new(),
        );
        let socket = runtime
            .block_on(ControlSocket::bind(&folder.path().join("run/control.sock")))
            .unwrap();
        let listener = runtime
            .block_on(http::bind("127.0.0.1:0".parse().unwrap()))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let site = HttpState {
            hosts: ["daemon".to_owned()].into(),
            has_named_hosts: false,
            trusted_proxies: [].into(),
            commands: orders.clone(),
            heartbeat: Arc::clone(&pulse),
            metrics: Arc::clone(&metrics),
            figures: Arc::new(ConnectionFigures::default),
            tokens: watch::channel([].into()).1,
            state: Arc::new(state(folder.path())),
            state_dir: folder.path().join("state").as_path().into(),
        };
        let listening = {
            let (pulse, end, other_end) = (Arc::clone(&pulse), end.clone(), end.clone());
            vec![
                runtime.spawn(async move { control::listen(socket, orders, pulse, &end).await }),
                runtime.spawn(
                    async move { http::listen(listener, site, web::pages, &other_end).await },
                ),
            ]
        };
        Self {
            runtime,
            folder,
            address,
            pulse,
            metrics,
            status,
            triggered,
            end,
            listening,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/control.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// One request to the control socket.
    fn order(&self, method: &str, path: &str, body: &str) -> Answer {
        Answer::to(self.connect(), &request(method, path, body))
    }

    /// One request to the HTTP listener.
    fn get(&self, path: &str) -> Answer {
        Answer::to(tcp(self.address), &request("GET", path, ""))
    }

    /// What was triggered next.
    fn next_run(&mut self) -> Triggered {
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, self.triggered.recv()).await })
            .unwrap()
            .unwrap()
    }

    /// Ends both listeners.
    fn stop(&mut self) {
        self.end.cancel();
        for listening in self.listening.drain(..) {
            self.runtime
                .block_on(async { tokio::time::timeout(LIMIT, listening).await })
                .unwrap()
                .unwrap();
        }
    }
}

impl Triggered {
    fn say(&self, told: RunUpdate) {
        self.told.blocking_send(told).unwrap();
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: daemon\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a daemon answers at its control socket.
pub fn get(socket: &Path, path: &str) -> serde_json::Value {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    Answer::to(stream, &request("GET", path, "")).json()
}

/// One answer of a server.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// Sends a request and reads to the end of the connection.
    fn to(mut stream: impl Read + Write, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        Self::rest(stream)
    }

    fn rest(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no whole answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_lowercase();
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Self { status, head, body }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn kind(&self) -> String {
        let json = self.json();
        assert!(
            json["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{json}"
        );
        json["kind"].as_str().unwrap().to_owned()
    }
}

/// A body without the lengths of its chunks (RFC 9112 section 7.1).
fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let (chunk, after) = rest.split_at(usize::from_str_radix(length, 16).unwrap());
        text.push_str(chunk);
        body = after.strip_prefix("\r\n").unwrap();
    }
    text
}

/// The program with these arguments.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Status, standard output and standard error.
fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}
