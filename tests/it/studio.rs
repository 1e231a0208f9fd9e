//! The tests' environment: a directory, an ftrack, a configuration and the program, in this process
//! or as one of its own.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast,
        directory::{DirectoryServer, Tree, TreeEntry},
        ftrack::{
            Account, Call, CallKind, Fault, FtrackServer, Gate, Options, Rules, Studio as Ftrack,
        },
    },
    model::{
        change::Action,
        edit::Field,
        explanation::Explanation,
        report::{ChangeResult, Report, Reported},
    },
    run::saved::SavedPlan,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    crash::LIMIT,
    in_process::{self, Finished},
    slapd::wait_until,
};

/// The password of the account that reads the directory.
pub const PASSWORD: &str = crate::slapd::SYNC_PASSWORD;
/// The key at ftrack.
pub const KEY: &str = "ftrack-secret-key";

/// A studio whose servers live as long as it does.
pub struct Studio {
    runtime: Runtime,
    directory: DirectoryServer,
    ftrack: FtrackServer,
    folder: TempDir,
    /// What stands in the configuration above its tables.
    pub top: String,
    /// What stands in the configuration for the job beyond the defaults, and instead of
    /// `directory_url`.
    pub job: String,
    /// What stands in the configuration for ftrack beyond the defaults.
    pub ftrack_settings: String,
    /// Where the directory is said to be: a proxy, perhaps.
    pub directory_url: String,
    /// Where ftrack is said to be, if not where it is.
    pub ftrack_at: Option<String>,
    /// Whose people are read; of several bases, with `|` between them.
    pub search_base: String,
    /// Which entries are people.
    pub filter: String,
    /// What fills the users' attributes.
    pub attributes: String,
    /// What stands in the file of the directory's password.
    pub password: String,
    runs: Runs,
}

/// How `sync`, `plan` and `apply` run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// In the process of the test.
    InProcess,
    /// As the real program.
    AsProgram,
}

/// How the program ended, and what it said.
pub struct Ended {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// What a program left that has ended.
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The report on standard output.
    pub fn report(&self) -> Report {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("no report ({error}):\n{}\n{}", self.stdout, self.stderr)
        })
    }
}

/// A person's entry, with a mail address made of the login.
pub fn person(uid: &str, first: &str, last: &str) -> TreeEntry {
    TreeEntry::new(dn(uid))
        .with("objectClass", "inetOrgPerson")
        .with("uid", uid)
        .with("cn", format!("{first} {last}"))
        .with("givenName", first)
        .with("sn", last)
        .with("mail", format!("{uid}@studio.test"))
}

/// Where a person's entry is.
pub fn dn(uid: &str) -> String {
    format!("uid={uid},{}", cast::PEOPLE)
}

impl Studio {
    /// An empty studio: the service account, and ftrack's own administrators.
    pub fn empty() -> Self {
        Self::with(Rules::default())
    }

    /// A studio of these logins, not yet synced.
    pub fn of(uids: &[&str]) -> Self {
        let studio = Self::empty();
        for uid in uids {
            studio.tree().add(person(uid, "Given", uid)).unwrap();
        }
        studio
    }

    /// An empty studio whose ftrack follows these rules.
    pub fn with(rules: Rules) -> Self {
        let tree = cast::tree(&[], &Secret::new(PASSWORD.into())).unwrap();
        Self::over(tree, rules)
    }

    /// A studio over a directory tree.
    pub fn over(tree: Tree, rules: Rules) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = Options {
            api_user: "ldap-sync".into(),
            api_key: KEY.into(),
            rules,
        };
        let directory = runtime
            .block_on(DirectoryServer::start(anywhere, tree))
            .unwrap();
        let ftrack = runtime
            .block_on(FtrackServer::start(anywhere, options))
            .unwrap();
        let directory_url = directory.url();
        Self {
            runtime,
            directory,
            ftrack,
            folder: TempDir::new().unwrap(),
            top: String::new(),
            job: String::new(),
            ftrack_settings: String::new(),
            directory_url,
            ftrack_at: None,
            search_base: cast::PEOPLE.into(),
            filter: "(objectClass=inetOrgPerson)".into(),
            attributes: "username = \"uid\", email = \"mail\", first_name = \"givenName\", \
                         last_name = \"sn\""
                .into(),
            password: PASSWORD.into(),
            runs: Runs::InProcess,
        }
    }

    /// The same studio, whose commands are those of the real program: end to end.
    pub fn end_to_end(mut self) -> Self {
        self.runs = Runs::AsProgram;
        self
    }

    /// The directory's tree.
    pub fn tree(&self) -> &Tree {
        self.directory.tree()
    }

    /// The directory.
    pub fn directory(&self) -> &DirectoryServer {
        &self.directory
    }

    /// ftrack, past its API.
    pub fn ftrack(&self) -> Ftrack {
        self.ftrack.studio()
    }

    /// A user of ftrack who must be there.
    pub fn user(&self, username: &str) -> Account {
        self.ftrack()
            .user(username)
            .unwrap_or_else(|| panic!("there is no user {username:?}"))
    }

    /// Holds the answer to every call of that kind until the gate is opened.
    pub fn hold(&self, kind: CallKind) -> Gate {
        self.hold_when(move |call| call.kind == kind)
    }

    /// Holds the answer to every call that is so until the gate is opened.
    pub fn hold_when(&self, mut is_so: impl FnMut(&Call) -> bool + Send + 'static) -> Gate {
        let gate = Gate::new();
        let held = gate.clone();
        self.ftrack()
            .fail_when(move |call| is_so(call).then(|| Fault::HoldAnswer(held.clone())));
        gate
    }

    /// Where ftrack is.
    pub fn ftrack_url(&self) -> String {
        self.ftrack.url()
    }

    /// The runtime in which the servers live.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The studio's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the program keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.folder().join("state")
    }

    /// Writes the configuration anew and returns its path.
    pub fn config(&self) -> PathBuf {
        let path = self.folder().join("config.toml");
        self.write("ldap-password", &self.password);
        self.write("ftrack-api-key", KEY);
        let Self {
            top,
            job,
            ftrack_settings,
            directory_url,
            search_base,
            filter,
            attributes,
            ..
        } = self;
        let server = self.ftrack_at.clone().unwrap_or_else(|| self.ftrack.url());
        let (state, bind_dn) = (self.state_dir(), cast::SERVICE);
        // Without them, the directory's kind decides.
        let filter = if filter.is_empty() {
            String::new()
        } else {
            format!("filter = {filter:?}\n")
        };
        let attributes = if attributes.is_empty() {
            String::new()
        } else {
            format!("attributes = {{ {attributes} }}\n")
        };
        let search_bases: Vec<&str> = search_base.split('|').collect();
        let text = format!(
            "state_dir = {state:?}\n{top}[ftrack]\nserver = {server:?}\napi_user = \
             \"ldap-sync\"\napi_key_file = \
             \"ftrack-api-key\"\n{ftrack_settings}\n[directories.studio]\nurls = \
             [{directory_url:?}]\nbind_dn = {bind_dn:?}\nbind_password_file = \
             \"ldap-password\"\noperation_timeout = \"3s\"\n[jobs.artists]\ndirectory = \
             \"studio\"\nsearch_bases = {search_bases:?}\n{filter}{attributes}{job}\n"
        );
        self.write("config.toml", &text);
        path
    }

    /// Writes a file at one stroke: a daemon that reads it meanwhile sees the old one or the new
    /// one.
    fn write(&self, name: &str, text: &str) {
        let (path, new) = (
            self.folder().join(name),
            self.folder().join(format!("{name}.new")),
        );
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// The program with these arguments, and a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let run = || Ended::of(self.command(arguments).output().unwrap());
        let mut ended = run();
        // A process that another test is starting has the locks of this one, until it is its own program.
        let in_process = matches!(self.runs, Runs::InProcess);
        let busy = "another run of this job is in progress";
        wait_until(Duration::from_secs(2), || {
            let is_busy = in_process && ended.status == 1 && ended.stderr.contains(busy);
            if is_busy {
                ended = run();
            }
            !is_busy
        });
        ended
    }

    /// Starts the program and lets it go on.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The program on a terminal, with this answer to what it asks; both outputs are there.
    pub fn on_a_terminal(&self, arguments: &str, answer: &str) -> Ended {
        let program = env!("CARGO_BIN_EXE_ftrack-ldap-sync");
        let config = self.config();
        let line = format!("{program} --config {} {arguments}", config.display());
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(answer.as_bytes()).unwrap();
        let ended = Ended::of(child.wait_with_output().unwrap());
        drop(input);
        ended
    }

    /// One `sync`, whose report must be there, and whose counts must be what ftrack saw being
    /// written.
    pub fn sync(&self) -> Report {
        self.synced(&["sync", "--format", "json"])
    }

    /// One command that gives a report, checked like `sync`.
    pub fn synced(&self, arguments: &[&str]) -> Report {
        self.ftrack().forget();
        let (report, status) = match self.runs {
            Runs::AsProgram => {
                let ended = self.run(arguments);
                (ended.report(), ended.status)
            }
            Runs::InProcess => {
                return self.synced_with(&self.config(), arguments);
            }
        };
        assert_report(&report, status);
        report
    }

    /// The same in this process, with another file of the configuration.
    pub fn synced_with(&self, file: &Path, arguments: &[&str]) -> Report {
        let run = || {
            let finished = in_process::report(file, arguments);
            self.runtime.block_on(Box::pin(finished))
        };
        let mut finished = run();
        wait_until(LIMIT, || {
            let is_busy = finished.as_ref().is_err_and(in_process::is_busy);
            if is_busy {
                finished = run();
            }
            !is_busy
        });
        let Finished { result, status } =
            finished.unwrap_or_else(|error| panic!("no report: {error:#}"));
        assert_report(&result, status);
        result
    }

    /// What `plan` finds to do, or why it cannot tell; `--out` writes the file.
    pub fn plan(&self, arguments: &[&str]) -> Result<SavedPlan, String> {
        match self.runs {
            Runs::AsProgram => {
                let ended = self.run(&[&["plan", "--format", "json"], arguments].concat());
                match ended.status {
                    0 => Ok(serde_json::from_str(&ended.stdout).unwrap()),
                    _ => Err(ended.stderr),
                }
            }
            Runs::InProcess => {
                let arguments = [&["plan"], arguments].concat();
                let file = self.config();
                let plan = in_process::plan(&file, &arguments);
                let plan = self.runtime.block_on(Box::pin(plan));
                plan.map_err(|error| format!("{error:#}"))
            }
        }
    }

    /// What `explain WHO` answers, or why it cannot.
    pub fn explain(&self, arguments: &[&str]) -> Result<Explanation, String> {
        let arguments = [&["explain"], arguments].concat();
        let file = self.config();
        let explained = in_process::explain(&file, &arguments);
        let explained = self.runtime.block_on(Box::pin(explained));
        explained.map_err(|error| format!("{error:#}"))
    }

    /// A `sync` that finds nothing to do: no write call, and as many read calls as ever.
    pub fn sync_changes_nothing(&self) -> Report {
        let report = self.sync();
        assert_ne!(
            report.outcome,
            ftrack_ldap_sync::model::report::Outcome::Failed,
            "{:?}",
            report.error
        );
        assert_eq!(report.changes, [], "a second run is to change nothing");
        assert_eq!(report.ftrack.write_calls, 0);
        assert_eq!(self.ftrack().counters().write_calls, 0);
        report
    }
}

/// A report is consistent in itself, and with the exit status.
fn assert_report(report: &Report, status: i32) {
    assert_eq!(status, expected_status(report), "{report:#?}");
    assert_counts_add_up(report);
}

/// The status that the contract gives an outcome.
fn expected_status(report: &Report) -> i32 {
    use ftrack_ldap_sync::model::report::Outcome;
    match report.outcome {
        Outcome::Succeeded if report.named.iter().any(|person| person.due) => 3,
        Outcome::Succeeded => 0,
        Outcome::Failed => 1,
        Outcome::Held => 3,
        Outcome::Partial => 4,
    }
}

/// The counts are those of the listed changes.
fn assert_counts_add_up(report: &Report) {
    let applied = || {
        let changes = report.changes.iter();
        changes.filter(|change| change.result == ChangeResult::Applied)
    };
    let number = |is_so: fn(&Field) -> bool| {
        let fields = applied().flat_map(|change| change.fields.keys());
        fields.filter(|field| is_so(field)).count()
    };
    assert_eq!(report.counts.role_changes, number(Field::is_role));
    assert_eq!(report.counts.group_changes, number(Field::is_group));
    // Where only roles and memberships change, no value of the user does.
    let is_of_grants_alone = |change: &Reported| {
        let mut fields = change.fields.keys();
        change.action == Action::Update && !change.fields.is_empty() && fields.all(Field::is_grant)
    };
    let count = |action| {
        let counted = applied().filter(|change| !is_of_grants_alone(change));
        counted.filter(|change| change.action == action).count()
    };
    let counts = &report.counts;
    assert_eq!(
        [
            counts.created,
            counts.updated,
            counts.deactivated,
            counts.reactivated,
            counts.adopted
        ],
        [
            Action::Create,
            Action::Update,
            Action::Deactivate,
            Action::Reactivate,
            Action::Adopt
        ]
        .map(count)
    );
    let with = |result| {
        report
            .changes
            .iter()
            .filter(|change| change.result == result)
            .count()
    };
    assert_eq!(
        [counts.held, counts.failed, counts.unconfirmed],
        [
            ChangeResult::Held,
            ChangeResult::Failed,
            ChangeResult::Unconfirmed
        ]
        .map(with)
    );
    // Besides those who are skipped for a reason that a person must settle.
    assert!(counts.unsettled >= with(ChangeResult::Unsettled));
    assert_eq!(counts.skipped, report.skipped.len());
}
