//! The vendor's own clients against the ftrack stand-in: they verify that it behaves like ftrack.
//!
//! They are installed once under `target/official-clients/`, at the versions that `tests/clients/`
//! pins; that needs `python3`, `npm` and their registries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ftrack_ldap_sync::demo::ftrack::{Account, FtrackServer, Options};
use tokio::process::Command;

/// How long an installation may take.
const INSTALL: Duration = Duration::from_secs(300);

/// How long a client may take.
const RUN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works() {
    let home = folder("python");
    let python = home.join("bin/python");
    install(&home, "requirements.txt", |pinned| {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&home);
        let mut fill = Command::new(&python);
        fill.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(pinned);
        vec![create, fill]
    })
    .await;
    let server = server().await;
    let mut client = Command::new(python);
    client
        .arg(clients().join("official.py"))
        .env("FTRACK_SERVER", server.url());
    satisfied(client, "the Python client is satisfied").await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_works() {
    let home = folder("javascript");
    install(&home, "package.json", |pinned| {
        fs::copy(pinned, home.join("package.json")).unwrap();
        let mut fill = Command::new("npm");
        fill.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--prefix",
        ])
        .arg(&home)
        .current_dir(&home);
        vec![fill]
    })
    .await;
    let server = server().await;
    let mut client = Command::new("node");
    client
        .arg(clients().join("official.mjs"))
        .env("FTRACK_SERVER", server.url())
        .env("FTRACK_CLIENT", &home);
    satisfied(client, "the JavaScript client is satisfied").await;
    server.stop().await.unwrap();
}

/// A studio of 1200 artists, twelve of them in the group Lighting, with custom attributes of several types.
async fn server() -> FtrackServer {
    let server = FtrackServer::start(
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        Options::default(),
    )
    .await
    .unwrap();
    let studio = server.studio();
    studio
        .add_custom_attribute("employee_number", "text")
        .unwrap();
    studio.add_custom_attribute("floor", "number").unwrap();
    studio.add_custom_attribute("staff", "boolean").unwrap();
    studio
        .add_enumerator("skills", true, &["paint", "rig"])
        .unwrap();
    let artist = |place: usize| Account {
        username: format!("artist{place:04}"),
        first_name: Some("Artist".to_owned()),
        email: Some(format!("artist{place:04}@studio.test")),
        groups: place
            .is_multiple_of(100)
            .then(|| "Lighting".to_owned())
            .into_iter()
            .collect(),
        ..Account::default()
    };
    studio.add_users((0..1200).map(artist)).unwrap();
    server
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Where a client is installed: beside what cargo builds, so that it goes with `cargo clean`.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("official-clients")
        .join(name)
}

/// Installs what the pinned file says unless it stands there already; the lock keeps two test
/// processes from doing so at once.
async fn install(home: &Path, pinned: &str, commands: impl FnOnce(&Path) -> Vec<Command>) {
    fs::create_dir_all(home).unwrap();
    let lock = File::create(home.with_extension("lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await
        .unwrap()
        .unwrap();
    let pinned = clients().join(pinned);
    let (wanted, stamp) = (fs::read(&pinned).unwrap(), home.join("installed"));
    if fs::read(&stamp).ok().as_ref() == Some(&wanted) {
        return;
    }
    for mut command in commands(&pinned) {
        if let Err(reason) = finished(&mut command, INSTALL).await {
            panic!(
                "cannot install the vendor's client into {}: {reason}\nThis test needs python3 \
                 with venv, node with npm, and access to their package registries.",
                home.display()
            );
        }
    }
    fs::write(stamp, wanted).unwrap();
    drop(lock);
}

async fn satisfied(mut client: Command, last_words: &str) {
    let said = finished(&mut client, RUN)
        .await
        .unwrap_or_else(|reason| panic!("{reason}"));
    assert!(said.trim_end().ends_with(last_words), "{said}");
}

/// What the command wrote to its standard output, or why it did not end well.
async fn finished(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = format!("{:?}", command.as_std());
    let child = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, child)
        .await
        .map_err(|_| format!("{name} took longer than {limit:?}"))?
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{name}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
