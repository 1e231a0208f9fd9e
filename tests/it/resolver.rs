//! Names are resolved by the system's resolver, as nsswitch.conf says, and nothing waits for one
//! that hangs.

use std::{
    fs::{self, OpenOptions},
    net::{Ipv6Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ftrack_ldap_sync::model::report::{FailureKind, Report};

use crate::{
    ability::must_skip_as_root, daemon::LIMIT, several_servers::BlackHole, slapd::wait_until,
    studio::Studio,
};

/// The name of both servers; nothing listens at the port.
const HOST: &str = "servers.studio.test:1";

/// Of Linux, on all processors that the program is built for.
const O_NONBLOCK: i32 = 0o4000;

/// What the program sees of the system.
pub struct System {
    pub studio: Studio,
    nsswitch: PathBuf,
}

impl System {
    /// One whose nsswitch.conf says this about hosts, and where no name server answers; none where
    /// the machine cannot show it to a program.
    pub fn with(test: &str, nsswitch: &str) -> Option<Self> {
        if must_skip_as_root(test, &["unshare", "mount", "mkfifo"]) {
            return None;
        }
        let studio = Studio::of(&["ada"]);
        let folder = studio.folder();
        fs::write(folder.join("hosts"), "127.0.0.1 servers.studio.test\n").unwrap();
        fs::write(folder.join("nsswitch"), format!("hosts: {nsswitch}\n")).unwrap();
        // Port 53 is closed, which is an answer at once.
        fs::write(folder.join("resolv"), "nameserver 127.0.0.1\n").unwrap();
        let nsswitch = folder.join("nsswitch");
        Some(Self { studio, nsswitch })
    }

    /// The program on that system, in the same process as the shell that mounts the files.
    pub fn start(&self, arguments: &[&str], variables: &[(&str, String)]) -> Child {
        let command = self.studio.command(arguments);
        let mounts = "mount --bind hosts /etc/hosts && mount --bind resolv /etc/resolv.conf && \
                      mount --bind nsswitch /etc/nsswitch.conf && exec \"$0\" \"$@\"";
        Command::new("unshare")
            .args(["--mount", "sh", "-c", mounts])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .current_dir(self.studio.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A report of a sync that must fail.
    pub fn sync(&self, variables: &[(&str, String)]) -> Report {
        let child = self.start(&["sync", "--format", "json"], variables);
        report_of(child)
    }

    /// Puts a file in the place of nsswitch.conf that nobody can read to its end, so that each
    /// look-up of a name hangs in the system's library.
    fn let_it_hang(&self) {
        fs::remove_file(&self.nsswitch).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&self.nsswitch)
                .status()
                .unwrap()
                .success()
        );
    }

    /// The other end of that file, as soon as somebody reads it.
    fn reader(&self) -> fs::File {
        let mut found = None;
        let is_read = || {
            let mut options = OpenOptions::new();
            // Without a reader, it cannot be opened so.
            options.write(true).custom_flags(O_NONBLOCK);
            found = options.open(&self.nsswitch).ok();
            found.is_some()
        };
        assert!(wait_until(LIMIT, is_read), "no name is looked up");
        found.unwrap()
    }
}

pub fn report_of(mut child: Child) -> Report {
    let ended = wait_until(LIMIT, || child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    assert!(ended, "it does not end");
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn ftrack(settings: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let server = ("FTRACK_LDAP_SYNC_FTRACK__SERVER", format!("https://{HOST}"));
    let attempts = ("FTRACK_LDAP_SYNC_FTRACK__ATTEMPTS", "1".to_owned());
    let more = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    [server, attempts].into_iter().chain(more).collect()
}

fn directory() -> Vec<(&'static str, String)> {
    let urls = "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__URLS";
    vec![(urls, format!("[\"ldaps://{HOST}\"]"))]
}

#[test]
fn both_servers_names_are_found_as_the_system_finds_them() {
    let test = "both_servers_names_are_found_as_the_system_finds_them";
    for (nsswitch, found) in [("files", true), ("dns", false)] {
        let Some(system) = System::with(test, nsswitch) else {
            return;
        };
        for (variables, unresolved) in [
            (ftrack(&[]), "this machine's name resolution"),
            (directory(), "cannot be resolved"),
        ] {
            let error = system.sync(&variables).error.unwrap();
            assert_eq!(!error.contains(unresolved), found, "{nsswitch}: {error}");
            assert!(error.contains("servers.studio.test"), "{nsswitch}: {error}");
        }
    }
}

#[test]
fn a_resolver_that_hangs_is_waited_for_as_long_as_a_connection_may_take() {
    let test = "a_resolver_that_hangs_is_waited_for_as_long_as_a_connection_may_take";
    let Some(system) = System::with(test, "files") else {
        return;
    };
    system.let_it_hang();
    let began = Instant::now();
    let report = system.sync(&ftrack(&[(
        "FTRACK_LDAP_SYNC_FTRACK__CONNECT_TIMEOUT",
        "1s",
    )]));
    assert_eq!(report.error_kind, Some(FailureKind::Ftrack), "{report:#?}");
    let error = report.error.unwrap();
    assert!(
        error.contains("none within 1s") && error.contains("servers.studio.test"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_resolver_that_hangs_keeps_nothing_from_its_end() {
    let test = "a_resolver_that_hangs_keeps_nothing_from_its_end";
    let Some(system) = System::with(test, "files") else {
        return;
    };
    system.let_it_hang();
    let mut child = system.start(
        &["sync", "--format", "json"],
        &ftrack(&[("FTRACK_LDAP_SYNC_FTRACK__CONNECT_TIMEOUT", "60s")]),
    );
    let reader = system.reader();
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = wait_until(Duration::from_secs(10), || {
        child.try_wait().unwrap().is_some()
    });
    if !ended {
        child.kill().unwrap();
    }
    drop(reader);
    assert!(ended, "it waits for the resolver");
    assert_eq!(report_of(child).error_kind, Some(FailureKind::Stopped));
}

#[test]
fn a_name_with_a_dead_address_is_connected_to_within_seconds() {
    let test = "a_name_with_a_dead_address_is_connected_to_within_seconds";
    let Some(system) = System::with(test, "files") else {
        return;
    };
    let port = system.studio.directory().address().port();
    // Where there is no IPv6, the dead address is another one of IPv4.
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let dead = if TcpListener::bind(six).is_ok() {
        six
    } else {
        SocketAddr::from(([127, 0, 0, 2], port))
    };
    let _black_hole = BlackHole::at(dead);
    let hosts = format!(
        "{} servers.studio.test\n127.0.0.1 servers.studio.test\n",
        dead.ip()
    );
    fs::write(system.studio.folder().join("hosts"), hosts).unwrap();
    let key = |key: &str| format!("FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__{key}");
    let [urls, plain, limit] = [key("URLS"), key("ALLOW_PLAINTEXT"), key("CONNECT_TIMEOUT")];
    let began = Instant::now();
    let report = system.sync(&[
        (
            urls.as_str(),
            format!("[\"ldap://servers.studio.test:{port}\"]"),
        ),
        (plain.as_str(), "true".to_owned()),
        (limit.as_str(), "60s".to_owned()),
    ]);
    assert_eq!((report.error, report.counts.created), (None, 1));
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}
