//! Log lines and results whose reader goes away, stalls, or never existed: the program works as
//! usual, and counts dropped lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod closed;
mod defect;
mod journal;
mod results;
mod stalled;
mod terminal;

use std::{
    fs,
    io::Read,
    process::{Child, Command, ExitStatus},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use crate::{
    events::check_line,
    slapd::wait_until,
    studio::{Studio, person},
};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A studio of so many people, not yet synced.
fn studio_of(people: usize) -> Studio {
    let studio = Studio::empty();
    for number in 0..people {
        studio
            .tree()
            .add(person(&format!("p{number:05}"), "Given", "Name"))
            .unwrap();
    }
    studio
}

/// Waits for the end of a program that must come by itself.
fn end_of(child: &mut Child) -> ExitStatus {
    let ended = wait_until(LIMIT, || child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(ended, "the program does not end");
    status
}

/// Everything that comes out, read on a thread of its own.
fn all_of(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

/// A log line, which must be whole and as promised, and the name of its event.
fn event(line: &str) -> (String, Map<String, Value>) {
    let line: Map<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (check_line(&line), line)
}

/// How many lines a reader was told that it missed.
fn missed(lines: &[(String, Map<String, Value>)]) -> u64 {
    let said = lines.iter().filter(|(name, _)| name == "log.dropped");
    said.map(|(_, line)| line["lines"].as_u64().unwrap()).sum()
}

impl Studio {
    /// A studio whose daemon listens on a free port, and runs only what it is told to.
    pub fn watched(self) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut studio = self.for_a_daemon("schedule = \"@yearly\"\nlimits.unusable = \"100%\"");
        fs::write(studio.folder().join("port"), port.to_string()).unwrap();
        studio.top += &format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        studio
    }

    /// A page of the daemon, which must answer at once; none before it listens.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let port = fs::read_to_string(self.folder().join("port")).unwrap();
        self.runtime().block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap();
            let answer = client
                .get(format!("http://127.0.0.1:{port}{path}"))
                .send()
                .await
                .ok()?;
            Some((answer.status().as_u16(), answer.text().await.unwrap()))
        })
    }

    /// Waits until the daemon has reached both servers.
    pub fn wait_until_ready(&self) {
        let is_ready = || {
            self.page("/readyz")
                .is_some_and(|(status, _)| status == 200)
        };
        assert!(wait_until(LIMIT, is_ready), "the daemon does not get ready");
    }

    /// How many log lines the daemon has dropped.
    fn dropped(&self) -> u64 {
        let (_, metrics) = self.page("/metrics").unwrap();
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("ftrack_ldap_sync_log_lines_dropped_total "));
        value
            .unwrap_or_else(|| panic!("no such metric in\n{metrics}"))
            .parse()
            .unwrap()
    }
}

/// A daemon whose log is the test's own affair, killed when it is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(studio: &Studio) -> Self {
        Self(studio.start(&["daemon"]))
    }

    /// Stops it as systemd does; it must end in time.
    fn stop(mut self) {
        let began = Instant::now();
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(self.0.id().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        assert!(end_of(&mut self.0).success());
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
