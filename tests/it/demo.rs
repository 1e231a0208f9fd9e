//! `demo`, as a newcomer runs it: the whole story, both servers kept up, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long the demo may take to end once it was told to.
const GOODBYE: Duration = Duration::from_secs(10);

/// A run of the program whose temporary files are watched.
struct Run {
    temporary: TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            temporary: TempDir::new().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command
            .args(arguments)
            .env("TMPDIR", self.temporary.path())
            .kill_on_drop(true);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        timeout(LIMIT, self.command(arguments).output())
            .await
            .unwrap()
            .unwrap()
    }

    /// Nothing that the program made is left.
    fn is_tidy(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.temporary.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

/// A demo that is under way, line by line.
struct Under {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Under {
    fn start(run: &Run, arguments: &[&str]) -> Self {
        let mut child = run
            .command(arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The rest of the first line that starts with this, apart from spaces around it.
    async fn line(&mut self, start: &str) -> String {
        let found = timeout(LIMIT, async {
            loop {
                let line = self
                    .lines
                    .next_line()
                    .await
                    .unwrap()
                    .unwrap_or_else(|| panic!("no line {start:?}"));
                if let Some(rest) = line.trim().strip_prefix(start) {
                    return rest.trim().to_owned();
                }
            }
        });
        found.await.unwrap()
    }

    /// The rest of the first line that contains this, behind it.
    async fn rest_of_line_with(&mut self, part: &str) -> String {
        let found = timeout(LIMIT, async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("no line with {part:?}"));
                if let Some((_, rest)) = line.split_once(part) {
                    return rest.trim().to_owned();
                }
            }
        });
        found.await.unwrap()
    }

    /// Sends a signal, and gives what is printed from then on.
    async fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .await
            .unwrap();
        assert!(killed.success());
        let mut rest = String::new();
        timeout(GOODBYE, self.lines.get_mut().read_to_string(&mut rest))
            .await
            .unwrap()
            .unwrap();
        (
            timeout(GOODBYE, self.child.wait()).await.unwrap().unwrap(),
            rest,
        )
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_story_as_a_newcomer_reads_it() {
    let run = Run::new();
    let output = run.output(&["demo"]).await;
    let story = text(&output.stdout);
    assert!(output.status.success(), "{story}\n{}", text(&output.stderr));
    assert!(
        !story.contains('\u{1b}'),
        "colours where there is no terminal"
    );
    insta::with_settings!({filters => [
        (r"\d{8}-\d{6}-[0-9a-f]{4}", "[run]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"in \d+\.\d s", "in [time]"),
        (r"\d+ read calls?", "[some] read calls"),
        (r"\d{4}-\d\d-\d\d [\d:]+ UTC", "[time]"),
        (r#""[^"]*/ftrack-ldap-sync-demo-[^/"]+"#, "\"[folder]"),
        (r"/\S+/ftrack-ldap-sync ", "[binary] "),
    ]}, { insta::assert_snapshot!("story", story) });
    run.is_tidy();
}

/// Also with an odd number, and where the environment names servers that the demo must leave alone.
#[tokio::test]
async fn the_story_comes_out_with_the_fewest_people_and_with_many() {
    let run = Run::new();
    for (people, joined) in [
        ("10", "12 unchanged."),
        ("11", "13 unchanged."),
        ("450", "452 unchanged."),
    ] {
        let mut command = run.command(&["demo", "--people", people]);
        command
            .env("FTRACK_LDAP_SYNC_FTRACK__SERVER", "http://127.0.0.1:1")
            .env("FTRACK_LDAP_SYNC_NONSENSE", "1");
        command
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env("http_proxy", "http://127.0.0.1:1");
        let output = timeout(LIMIT, command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(
            text(&output.stdout).contains(joined),
            "{}",
            text(&output.stdout)
        );
    }
    run.is_tidy();
}

#[tokio::test]
async fn interrupted_it_ends_at_once_and_leaves_nothing() {
    let run = Run::new();
    let mut demo = Under::start(&run, &["demo", "--people", "5000"]);
    demo.line("1. The first sync").await;
    let (status, rest) = demo.stop("INT").await;
    assert_eq!(status.code(), Some(1), "{rest}");
    assert!(!rest.contains("7. Back to normal"), "{rest}");
    run.is_tidy();
}

/// Reads the status page until it shows a text: it is served before the jobs are loaded.
async fn page_with(page: &str, text: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let answer = client.get(page).send().await.unwrap();
        let shown = answer.text().await.unwrap();
        if shown.contains(text) {
            return;
        }
        assert!(tokio::time::Instant::now() < limit, "{shown}");
    }
}

#[tokio::test]
async fn served_it_can_be_synced_by_hand() {
    let run = Run::new();
    let mut demo = Under::start(&run, &["demo", "--serve", "--people", "30"]);
    let directory = demo.line("LDAP directory").await;
    let bind_dn = demo.line("bind DN").await;
    let password = demo.line("password").await;
    let ftrack = demo.line("ftrack stand-in").await;
    assert_eq!(demo.line("API user").await, "ldap-sync");
    assert_eq!(demo.line("API key").await, "demo-key");
    let page = demo.line("status page").await;
    let config = demo.line("configuration").await;
    let written = fs::read_to_string(&config).unwrap();
    for value in [&directory, &bind_dn, &password, &ftrack] {
        assert!(
            written.contains(&format!("\"{value}\"")),
            "{value} is not in\n{written}"
        );
    }
    page_with(&page, "artists").await;
    let somebody = demo.rest_of_line_with(" explain ").await;
    demo.line("ldapsearch").await;

    let said = |arguments: &[&str]| {
        let arguments: Vec<String> = ["--config", &config]
            .iter()
            .chain(arguments)
            .map(ToString::to_string)
            .collect();
        let run = &run;
        async move {
            let output = run
                .output(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
                .await;
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                text(&output.stderr)
            );
            text(&output.stdout).to_owned()
        }
    };
    assert!(
        said(&["plan"])
            .await
            .starts_with("Plan for artists: 30 to create\n")
    );
    assert!(said(&["trigger"]).await.ends_with("\n30 created.\n"));
    let again = said(&["sync"]).await;
    assert!(
        again.contains(", 0 write calls\n") && again.ends_with("\n30 unchanged.\n"),
        "{again}"
    );
    assert!(said(&["status"]).await.contains("artists"));
    assert_eq!(said(&["runs"]).await.matches("succeeded").count(), 2);
    let shown = said(&["runs", "show", "last"]).await;
    let started = |line: &&str| line.starts_with("  started ");
    let (started, others): (Vec<&str>, Vec<&str>) = shown.lines().partition(started);
    assert_eq!(started.len(), 1, "{shown}");
    assert_eq!(others.join("\n") + "\n", again);
    // What the list of commands names.
    let explained = said(&["explain", &somebody]).await;
    assert!(explained.contains("nothing is to be done"), "{explained}");
    assert!(
        said(&["runs", "--changes", "--on", "today"])
            .await
            .contains("  create ")
    );
    assert_eq!(said(&["holds"]).await, "Nothing is held.\n");
    said(&["pause", "--only", "deactivate"]).await;
    said(&["resume", "--only", "deactivate"]).await;

    let (status, rest) = demo.stop("TERM").await;
    assert_eq!(
        (status.code(), rest.as_str()),
        (
            Some(0),
            "The daemon and both servers are stopped, and the directory is removed.\n"
        )
    );
    assert!(!Path::new(&config).exists());
    run.is_tidy();
}

#[tokio::test]
async fn what_it_refuses_is_said_in_one_line() {
    let run = Run::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let far = "is not on loopback; the demo's passwords are public, so it listens on 127.0.0.1 or \
               [::1] only";
    for (arguments, status, error) in [
        (
            ["--ldap-listen", "0.0.0.0:0"],
            2,
            format!("0.0.0.0:0 {far}"),
        ),
        (["--ftrack-listen", "[::]:0"], 2, format!("[::]:0 {far}")),
        (
            ["--ftrack-listen", "192.0.2.1:80"],
            2,
            format!("192.0.2.1:80 {far}"),
        ),
        (
            ["--ldap-listen", &taken],
            1,
            format!("the directory cannot listen on {taken}: Address already in use (os error 98)"),
        ),
        (
            ["--ftrack-listen", &taken],
            1,
            format!(
                "the ftrack stand-in cannot listen on {taken}: Address already in use (os error \
                 98)"
            ),
        ),
    ] {
        for serve in [&["demo"][..], &["demo", "--serve"]] {
            let all: Vec<&str> = ["--log-format", "text"]
                .iter()
                .chain(serve)
                .chain(&arguments)
                .copied()
                .collect();
            let output = run.output(&all).await;
            assert_eq!(text(&output.stderr), format!("error: {error}\n"), "{all:?}");
            assert_eq!(
                (output.status.code(), text(&output.stdout)),
                (Some(status), ""),
                "{all:?}"
            );
        }
    }
    run.is_tidy();
}
