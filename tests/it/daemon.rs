//! The daemon: the real binary on its schedules, observed through systemd, its log and the control
//! socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod by_hand;
mod clocks;
pub mod control;
pub mod credentials;
mod outage;
mod reload;
mod schedules;
mod soak;
mod state;
mod stop;
mod turns;

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    process::{Child, Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{model::report::Report, state::history::History};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    slapd::wait_until,
    studio::{Ended, Studio},
};

/// Far longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(30);

/// What somebody who posts to a path of the control socket is told, line by line.
fn told<T: DeserializeOwned>(studio: &Studio, path: &str) -> impl Iterator<Item = T> + use<T> {
    let mut socket = UnixStream::connect(studio.folder().join("control.sock")).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    // Who is late finds a daemon that no longer listens.
    let lines = BufReader::new(socket).lines().map_while(|line| match line {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        line => Some(line.unwrap()),
    });
    lines
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(&line).unwrap())
}

/// A running daemon, which is killed when it is dropped.
pub struct Daemon {
    child: Child,
    /// What it says to systemd, line by line.
    notified: Arc<Lines<String>>,
    /// What it logs.
    logged: Arc<Lines<Map<String, Value>>>,
    _notify_folder: tempfile::TempDir,
    over: Arc<AtomicBool>,
}

/// Lines that come in, and whoever waits for them.
pub struct Lines<T> {
    all: std::sync::Mutex<Vec<T>>,
    news: std::sync::Condvar,
}

impl<T: Clone> Lines<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            all: std::sync::Mutex::new(Vec::new()),
            news: std::sync::Condvar::new(),
        })
    }

    fn add(&self, line: T) {
        self.all.lock().unwrap().push(line);
        self.news.notify_all();
    }

    fn all(&self) -> Vec<T> {
        self.all.lock().unwrap().clone()
    }

    /// The nth line that fits, as soon as there is one.
    fn wait(&self, nth: usize, limit: Duration, fits: impl Fn(&T) -> bool) -> Option<T> {
        let until = Instant::now() + limit;
        let mut all = self.all.lock().unwrap();
        loop {
            if let Some(found) = all.iter().filter(|line| fits(line)).nth(nth) {
                return Some(found.clone());
            }
            let left = until.checked_duration_since(Instant::now())?;
            all = self.news.wait_timeout(all, left).unwrap().0;
        }
    }
}

impl Studio {
    /// What the configuration says above its tables, for a daemon.
    pub fn for_a_daemon(mut self, job: &str) -> Self {
        let socket = self.folder().join("control.sock");
        self.top = format!("control_socket = {socket:?}\n");
        self.job = job.to_owned();
        self
    }

    /// The reports of the runs so far, the oldest first.
    pub fn reports(&self) -> Vec<Report> {
        let history = History::new(&self.state_dir());
        let mut runs = history.runs(None).unwrap();
        runs.reverse();
        runs.iter()
            .map(|(run, job)| history.load(job, run).unwrap())
            .collect()
    }

    /// The reports, as soon as there are so many.
    pub fn reports_when(&self, at_least: usize) -> Vec<Report> {
        assert!(
            wait_until(LIMIT, || self.reports().len() >= at_least),
            "{:#?}",
            self.reports()
        );
        self.reports()
    }
}

impl Daemon {
    /// Starts a daemon and waits until it says that it is ready.
    pub fn start(studio: &Studio) -> Self {
        Self::start_with(studio, |_| {})
    }

    /// Starts a daemon otherwise than usual, and waits until it says that it is ready.
    pub fn start_with(studio: &Studio, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut daemon = Self::launch(studio, prepare);
        if daemon
            .notified
            .wait(0, LIMIT, |line| line == "READY=1")
            .is_none()
        {
            daemon.child.kill().unwrap();
            panic!("the daemon did not get ready: {:#?}", daemon.logged.all());
        }
        daemon
    }

    /// Starts a daemon and waits for nothing.
    pub fn launch(studio: &Studio, prepare: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut command = studio.command(&["daemon"]);
        command.env("NOTIFY_SOCKET", &path);
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let (notified, logged, over) =
            (Lines::new(), Lines::new(), Arc::new(AtomicBool::new(false)));
        let stderr = child.stderr.take().unwrap();
        thread::spawn({
            let logged = Arc::clone(&logged);
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    logged.add(serde_json::from_str(&line).unwrap_or_else(|error| {
                        Map::from_iter([("not_json".to_owned(), format!("{error}: {line}").into())])
                    }));
                }
            }
        });
        thread::spawn({
            let (notified, over) = (Arc::clone(&notified), Arc::clone(&over));
            move || {
                let mut buffer = vec![0; 64 * 1024];
                while !over.load(Ordering::Relaxed) {
                    if let Ok(length) = socket.recv(&mut buffer) {
                        for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                            notified.add(line.to_owned());
                        }
                    }
                }
            }
        });
        Self {
            child,
            notified,
            logged,
            _notify_folder: folder,
            over,
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Every line that was logged so far.
    pub fn logged(&self) -> Vec<Map<String, Value>> {
        self.logged.all()
    }

    /// The events of this name so far.
    pub fn events(&self, name: &str) -> Vec<Map<String, Value>> {
        self.logged()
            .into_iter()
            .filter(|line| line["event"] == name)
            .collect()
    }

    /// The first event of this name, as soon as it is there.
    pub fn event(&self, name: &str) -> Map<String, Value> {
        self.nth_event(0, name)
    }

    /// The nth event of this name, counted from 0, as soon as it is there.
    pub fn nth_event(&self, nth: usize, name: &str) -> Map<String, Value> {
        let found = self.logged.wait(nth, LIMIT, |line| {
            line.get("event").is_some_and(|event| event == name)
        });
        found.unwrap_or_else(|| panic!("no {name} ({nth}) in {:#?}", self.logged()))
    }

    /// The first line to systemd that fits, as soon as it is there.
    pub fn notified(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        self.notified.wait(0, LIMIT, |line| fits(line))
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = wait_until(LIMIT, || self.child.try_wait().unwrap().is_some());
        if !ended {
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap();
        assert!(ended, "the daemon does not end: {:#?}", self.logged());
        status
    }

    /// Stops it as systemd does, and says how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal("TERM");
        (self.wait(), began.elapsed())
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if !thread::panicking() {
            for line in self.logged() {
                crate::events::check_line(&line);
            }
        }
        // One that has ended cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `status` says.
pub fn status(studio: &Studio) -> Value {
    let ended = studio.run(&["status", "--format", "json"]);
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", ended.stdout, ended.stderr))
}

/// What `status` says of the only job.
pub fn job(studio: &Studio) -> Value {
    status(studio)["jobs"][0].clone()
}

/// Waits until the only job does this.
pub fn wait_for_phase(studio: &Studio, phase: &str) -> Value {
    let mut last = Value::Null;
    let is_so = wait_until(LIMIT, || {
        last = job(studio);
        last["phase"] == phase
    });
    assert!(is_so, "not {phase}: {last:#}");
    last
}

/// A command that must end like this.
pub fn must(studio: &Studio, status: i32, arguments: &[&str]) -> Ended {
    let ended = studio.run(arguments);
    assert_eq!(
        ended.status, status,
        "{arguments:?}: {} {}",
        ended.stdout, ended.stderr
    );
    ended
}
