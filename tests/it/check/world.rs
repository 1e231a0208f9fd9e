//! A configuration for a directory of the test's choice and the ftrack stand-in, and the findings
//! of `check`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use ftrack_ldap_sync::{
    command::check::checks::CHECKS,
    demo::ftrack::{FtrackServer, Options, Rules, Studio},
};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::slapd::{PEOPLE, SYNC_DN, SYNC_PASSWORD, Slapd};

/// The key at ftrack.
pub const KEY: &str = "ftrack-secret-key";

/// Everything that `check` looks at; the fields are what stands in the configuration.
pub struct World {
    runtime: Runtime,
    ftrack: FtrackServer,
    folder: TempDir,
    /// ftrack's address.
    pub server: String,
    /// The key's text.
    pub key: String,
    /// More lines of `[ftrack]`.
    pub ftrack_settings: String,
    /// The directory's servers.
    pub urls: Vec<String>,
    /// The directory's password.
    pub password: String,
    /// How the directory is bound to, as lines of `[directories.studio]`.
    pub bind: String,
    /// More lines of `[directories.studio]`.
    pub directory_settings: String,
    /// Where people are searched.
    pub bases: Vec<String>,
    /// Which entries are people.
    pub filter: String,
    /// The attribute rules, as a TOML table.
    pub attributes: String,
    /// More lines of `[jobs.artists]`, and whole tables after it.
    pub job: String,
    /// A whole configuration instead, but for `state_dir`.
    pub whole: Option<String>,
    /// The rights to the files of the secrets.
    pub mode: u32,
    /// What stands in the environment, beside the path.
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl World {
    /// A world in which nothing is wrong, with a directory at this address.
    pub fn at(url: impl Into<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let options = Options {
            api_user: "ldap-sync".into(),
            api_key: KEY.into(),
            rules: Rules::default(),
        };
        let ftrack = runtime
            .block_on(FtrackServer::start(
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                options,
            ))
            .unwrap();
        Self {
            server: ftrack.url(),
            runtime,
            ftrack,
            folder: TempDir::new().unwrap(),
            key: KEY.into(),
            ftrack_settings: String::new(),
            urls: vec![url.into()],
            password: SYNC_PASSWORD.into(),
            bind: format!("bind_dn = {SYNC_DN:?}\nbind_password_file = \"ldap-password\""),
            directory_settings: String::new(),
            bases: vec![PEOPLE.into()],
            filter: "(objectClass=inetOrgPerson)".into(),
            attributes: r#"{ username = "uid", email = "mail", last_name = "sn" }"#.into(),
            job: String::new(),
            whole: None,
            mode: 0o600,
            environment: Vec::new(),
        }
    }

    /// A world in which nothing is wrong, over TLS to a real server.
    pub fn over(slapd: &Slapd) -> Self {
        let mut world = Self::at(bare(&slapd.tls_url()));
        world.directory_settings = format!("ca_file = {:?}", slapd.ca_file());
        world
    }

    /// ftrack, past its API.
    pub fn studio(&self) -> Studio {
        self.ftrack.studio()
    }

    /// The runtime in which ftrack lives.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Writes the configuration and returns its path.
    pub fn config(&self) -> PathBuf {
        let path = self.folder.path().join("config.toml");
        for (name, secret) in [
            ("ldap-password", &self.password),
            ("ftrack-api-key", &self.key),
        ] {
            let path = self.folder.path().join(name);
            fs::write(&path, secret).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(self.mode)).unwrap();
        }
        let Self {
            server,
            ftrack_settings,
            urls,
            bind,
            directory_settings,
            bases,
            filter,
            attributes,
            job,
            ..
        } = self;
        let state = self.folder.path().join("state");
        let text = format!(
            "state_dir = {state:?}\n[ftrack]\nserver = {server:?}\napi_user = \
             \"ldap-sync\"\napi_key_file = \
             \"ftrack-api-key\"\n{ftrack_settings}\n[directories.studio]\nurls = \
             {urls:?}\n{bind}\n{directory_settings}\n[jobs.artists]\nsearch_bases = \
             {bases:?}\nfilter = {filter:?}\nattributes = {attributes}\n{job}\n"
        );
        let whole = self.whole.as_ref();
        let whole = whole.map(|whole| format!("state_dir = {state:?}\n{whole}"));
        fs::write(&path, whole.unwrap_or(text)).unwrap();
        path
    }

    /// Runs `check` with these arguments beside it.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.start(arguments))
    }

    /// Starts `check` and lets it go on.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.start_command(&[&["check"], arguments].concat())
    }

    /// Runs another command.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.start_command(arguments))
    }

    fn start_command(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs `check --format json`, whose verdict, exit status and findings must agree.
    pub fn check(&self, arguments: &[&str]) -> Checked {
        let ended = self.run(&[&["--format", "json"], arguments].concat());
        for secret in [SYNC_PASSWORD, KEY, &self.password, &self.key] {
            assert!(
                !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
                "{secret} is shown"
            );
        }
        let printed: Value = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", ended.stdout, ended.stderr));
        let text =
            |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let findings: Vec<Finding> = printed["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| Finding {
                about: text(finding, "about"),
                check: text(finding, "check"),
                result: text(finding, "result"),
                detail: text(finding, "detail"),
                advice: text(finding, "advice"),
                facts: finding["facts"].clone(),
            })
            .collect();
        for finding in &findings {
            finding.is_documented();
            assert_eq!(
                finding.advice.is_empty(),
                finding.result == "ok",
                "only trouble says what to do: {finding:?}"
            );
        }
        let is_well = findings.iter().all(|finding| finding.result != "fail");
        assert_eq!(
            (printed["ok"].as_bool(), ended.status == 0),
            (Some(is_well), is_well),
            "{findings:#?}"
        );
        Checked {
            status: ended.status,
            findings,
        }
    }
}

/// How the program ended, and what it said.
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Waits for the program's end.
    pub fn of(program: Child) -> Self {
        let output = program.wait_with_output().unwrap();
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What `check --format json` said.
#[derive(Debug)]
pub struct Checked {
    pub status: i32,
    pub findings: Vec<Finding>,
}

/// One finding as it was printed.
#[derive(Debug)]
pub struct Finding {
    pub about: String,
    pub check: String,
    pub result: String,
    pub detail: String,
    pub advice: String,
    pub facts: Value,
}

impl Finding {
    /// Programs rely on the words of checks and facts.
    fn is_documented(&self) {
        let mut checks = CHECKS.iter();
        let facts = checks.find(|(check, _)| *check == self.check);
        let (_, facts) = facts.unwrap_or_else(|| panic!("no such check: {self:?}"));
        let shown = self.facts.as_object();
        for name in shown.into_iter().flat_map(|facts| facts.keys()) {
            assert!(facts.contains(&name.as_str()), "{name}: {self:?}");
        }
    }
}

impl Checked {
    /// The findings that are not `ok`, as `RESULT CHECK about ABOUT: DETAIL; ADVICE`.
    pub fn trouble(&self) -> Vec<String> {
        let trouble = self
            .findings
            .iter()
            .filter(|finding| finding.result != "ok");
        trouble
            .map(|finding| {
                let Finding {
                    about,
                    check,
                    result,
                    detail,
                    advice,
                    ..
                } = finding;
                format!("{result} {check} about {about}: {detail}; {advice}")
            })
            .collect()
    }

    /// The only finding that is not `ok`, and the exit status.
    pub fn only_trouble(&self) -> (String, i32) {
        match <[String; 1]>::try_from(self.trouble()) {
            Ok([only]) => (only, self.status),
            Err(others) => panic!("not one finding but {others:#?}"),
        }
    }

    /// The first finding of a check about something.
    pub fn finding(&self, about: &str, check: &str) -> &Finding {
        let mut findings = self.findings.iter();
        findings
            .find(|finding| finding.about == about && finding.check == check)
            .unwrap_or_else(|| panic!("no {check} about {about}: {:#?}", self.findings))
    }

    /// What was looked at and found well about something.
    pub fn well(&self, about: &str) -> Vec<&str> {
        let well = self
            .findings
            .iter()
            .filter(|finding| finding.result == "ok" && finding.about == about);
        well.map(|finding| finding.check.as_str()).collect()
    }
}

/// A URL without the slash at its end, as it is shown.
pub fn bare(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A port of this machine at which nobody listens, and nobody else can as long as this is held.
pub struct ClosedPort(Socket);

impl ClosedPort {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        Self(socket)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().as_socket().unwrap().port()
    }
}
