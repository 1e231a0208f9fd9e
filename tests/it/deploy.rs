//! The files in `deploy/`: they are well-formed, their configurations are valid, and the image runs
//! sandboxed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    ability::must_skip_as_root,
    slapd::wait_until,
    studio::{KEY, PASSWORD, Studio},
};

mod image;
mod kubernetes;
mod monitoring;
mod packages;

use image::{Image, PROGRAMS, USER};

const COMPOSE: &str = include_str!("../../deploy/compose.yaml");
const COMPOSE_CONFIG: &str = include_str!("../../deploy/etc/config.toml");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
/// How a container is asked whether its daemon runs, whatever its configuration is by now.
const HEALTH_CHECK: [&str; 4] = [
    "/usr/local/bin/ftrack-ldap-sync",
    "status",
    "--socket",
    "/srv/ftrack-ldap-sync/control.sock",
];

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn each_configuration_is_valid_once_its_placeholders_are_replaced() {
    for config in [COMPOSE_CONFIG, kubernetes::CONFIG] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        fs::write(folder.path().join("ftrack-api-key"), "replace-me\n").unwrap();
        let refused = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
            .env_clear()
            .arg("--config")
            .arg(folder.path().join("config.toml"))
            .args(["check", "--offline"])
            .output()
            .unwrap();
        assert!(!refused.status.success());
        let said = text(&refused);
        for key in [
            "ftrack.server",
            "directories.studio.urls[0]",
            "directories.studio.urls[1]",
            "directories.studio.bind_dn",
            "jobs.artists.search_bases[0]",
        ] {
            let refusal = format!("{key}: the placeholder of an example; replace it");
            assert!(said.contains(&refusal), "{key}\n{said}");
        }
        let key = "contains the placeholder of an example; replace it";
        assert!(said.contains(key), "{said}");

        let config = config.replace("replace-me", "studio");
        let secrets = ["ftrack-api-key", "ldap-password", "coordinator-token"];
        assert_valid(&config, &secrets, include_bytes!("certificates/ca.pem"));
    }
}

/// Asserts that a configuration for a container is valid with these secrets, and with this certificate of
/// an authority beside it.
fn assert_valid(config: &str, secrets: &[&str], authority: &[u8]) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    fs::write(folder.path().join("studio-ca.pem"), authority).unwrap();
    let mounted = folder.path().join("secrets");
    fs::create_dir(&mounted).unwrap();
    for name in secrets {
        fs::write(mounted.join(name), "a-secret-of-some-length\n").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
        .env_clear()
        .env("CREDENTIALS_DIRECTORY", &mounted)
        .env("FTRACK_LDAP_SYNC_STATE_DIR", folder.path())
        .arg("--config")
        .arg(folder.path().join("config.toml"))
        .args(["check", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{config}", text(&output));
    assert!(
        config.contains("listen = \"0.0.0.0:9464\""),
        "the probes come from outside the container"
    );
}

#[test]
fn compose_locks_the_container_up() {
    let compose = documents(COMPOSE).remove(0);
    let service = &compose["services"]["ftrack-ldap-sync"];
    assert_eq!(service["read_only"], true);
    assert_eq!(service["cap_drop"], json!(["ALL"]));
    assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]));
    assert_eq!(service["user"], format!("{USER}:{USER}"));
    assert_eq!(service["stop_grace_period"], "30s");
    assert_eq!(
        [&service["mem_limit"], &service["pids_limit"]],
        [&json!("1g"), &json!(256)]
    );
    assert_eq!(
        service["healthcheck"]["test"],
        json!([&["CMD"], &HEALTH_CHECK[..]].concat())
    );
    assert_eq!(
        service["volumes"],
        json!([
            "./etc:/etc/ftrack-ldap-sync:ro",
            "state:/var/lib/ftrack-ldap-sync"
        ])
    );
    assert_eq!(service["ports"], json!(["127.0.0.1:9464:9464"]));
    assert!(
        service["tmpfs"][0]
            .as_str()
            .unwrap()
            .starts_with("/srv/ftrack-ldap-sync:")
    );
    for secret in service["secrets"].as_array().unwrap() {
        let file = compose["secrets"][secret.as_str().unwrap()]["file"]
            .as_str()
            .unwrap();
        assert_eq!(file, format!("./secrets/{}", secret.as_str().unwrap()));
        assert!(
            COMPOSE_CONFIG.contains(&format!("_file = {secret}")),
            "nothing uses the secret {secret}"
        );
    }
    assert!(
        compose["volumes"]
            .as_object()
            .unwrap()
            .contains_key("state")
    );
}

/// What compose.yaml says, the page says as options.
#[test]
fn the_page_starts_a_container_as_compose_does() {
    let page = crate::readme::text_of("deploy/README.md");
    let (_, block) = page.split_once("  docker run -d ").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let compose = documents(COMPOSE).remove(0);
    let service = &compose["services"]["ftrack-ldap-sync"];
    let of = |key: &str, option: &str| {
        let value = service[key].as_str().map(str::to_owned);
        format!(
            "{option}={}",
            value.unwrap_or_else(|| service[key].to_string())
        )
    };
    let mut expected = vec![
        of("hostname", "--hostname"),
        of("restart", "--restart"),
        of("mem_limit", "--memory"),
        of("pids_limit", "--pids-limit"),
        of("stop_grace_period", "--stop-timeout")
            .trim_end_matches('s')
            .to_owned(),
        format!("-p {}", service["ports"][0].as_str().unwrap()),
        format!("--tmpfs={}", service["tmpfs"][0].as_str().unwrap()),
    ];
    expected.extend(image::LOCKED_UP.map(str::to_owned));
    let secrets = service["secrets"].as_array().unwrap();
    expected.extend(secrets.iter().map(|secret| {
        let name = secret.as_str().unwrap();
        format!("-v \"$PWD/deploy/secrets/{name}:/run/secrets/{name}:ro\"")
    }));
    for option in expected {
        assert!(block.contains(&option), "{option} is not in {block}");
    }
}

#[test]
fn the_image_is_made_of_fixed_ones_and_does_not_say_where() {
    let images: Vec<&str> = DOCKERFILE
        .lines()
        .filter_map(|line| line.strip_prefix("ARG "))
        .filter(|line| line.contains("_IMAGE="))
        .collect();
    assert_eq!(images.len(), 2);
    for image in images {
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        assert!(
            digest.is_some_and(|digest| digest.len() == 64
                && digest.chars().all(|digit| digit.is_ascii_hexdigit())),
            "{image}"
        );
    }
    let from = |line: &&str| line.starts_with("FROM ");
    assert!(
        DOCKERFILE
            .lines()
            .filter(from)
            .all(|line| line.starts_with("FROM ${")),
        "every base image can be replaced"
    );
    for remapped in ["/src=", ".cargo}=", "$sysroot="] {
        assert!(
            DOCKERFILE.contains(&format!("--remap-path-prefix={remapped}"))
                || DOCKERFILE.contains(&format!(
                    "--remap-path-prefix=${{CARGO_HOME:-$HOME/{remapped}"
                )),
            "{remapped}"
        );
    }
}

#[test]
fn the_image_runs_locked_up_and_stops_when_told() {
    if must_skip_as_root("the_image_runs_locked_up_and_stops_when_told", PROGRAMS) {
        return;
    }
    let image = Image::build();
    describes_itself(&image);
    let demo = image
        .command(&["--tmpfs=/tmp"], &["demo"])
        .output()
        .unwrap();
    assert!(demo.status.success(), "{}", text(&demo));
    let shell = image
        .command(&["--entrypoint=/bin/sh"], &["-c", "true"])
        .output()
        .unwrap();
    assert!(!shell.status.success(), "there is no shell in the image");

    let mut studio = Studio::of(&["anna.berg"]);
    studio.job = "schedule = \"@yearly\"\n".into();
    let mounts = mounts(&studio);
    let options = [format!(
        "--volume={}:/etc/ftrack-ldap-sync:ro",
        mounts.path().join("etc").display()
    )]
    .into_iter()
    .chain([format!(
        "--volume={}:/run/secrets:ro",
        mounts.path().join("secrets").display()
    )])
    .chain([format!(
        "--volume={}:/var/lib/ftrack-ldap-sync",
        mounts.path().join("state").display()
    )])
    .collect::<Vec<_>>();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let check = image
        .command(&options, &["check", "--offline"])
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", text(&check));

    let daemon = image.start("daemon", &options, &[]);
    if !wait_until(Duration::from_secs(30), || {
        image.inside("daemon", &["status"]).status.success()
    }) {
        image.remove("daemon");
        panic!(
            "it does not answer: {}",
            text(&daemon.wait_with_output().unwrap())
        );
    }
    let triggered = image.inside("daemon", &["trigger", "artists"]);
    assert!(triggered.status.success(), "{}", text(&triggered));
    assert!(studio.user("anna.berg").is_active);
    let stopping = Instant::now();
    image.stop("daemon", 20);
    let took = stopping.elapsed();
    let ended = daemon.wait_with_output().unwrap();
    // Force would be status 137, and later.
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

fn describes_itself(image: &Image) {
    let configuration = image.configuration();
    assert_eq!(configuration["User"], format!("{USER}:{USER}"));
    assert_eq!(configuration["StopSignal"], "SIGTERM");
    assert_eq!(
        configuration["Entrypoint"],
        json!(["/usr/local/bin/ftrack-ldap-sync"])
    );
    assert_eq!(configuration["Cmd"], json!(["daemon"]));
    // Below /run, an engine may mount a tmpfs that belongs to root.
    let socket = json!("FTRACK_LDAP_SYNC_CONTROL_SOCKET=/srv/ftrack-ldap-sync/control.sock");
    let variables = configuration["Env"].as_array().unwrap();
    assert!(variables.contains(&socket), "{variables:?}");
    assert_eq!(
        configuration["Healthcheck"]["Test"],
        json!([&["CMD"], &HEALTH_CHECK[..]].concat())
    );
    assert_eq!(
        configuration["Labels"]["org.opencontainers.image.revision"],
        "0123abc"
    );
}

/// The folders of a container: its configuration, its secrets and its state, the last two for its
/// user alone.
fn mounts(studio: &Studio) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["etc", "secrets", "state"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let config = fs::read_to_string(studio.config()).unwrap();
    let config: String = config
        .lines()
        .filter(|line| !line.starts_with("state_dir"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(folder.path().join("etc/config.toml"), config).unwrap();
    for (name, secret) in [("ftrack-api-key", KEY), ("ldap-password", PASSWORD)] {
        fs::write(
            folder.path().join("secrets").join(name),
            format!("{secret}\n"),
        )
        .unwrap();
    }
    let user = USER.parse().unwrap();
    for name in [
        "secrets",
        "secrets/ftrack-api-key",
        "secrets/ldap-password",
        "state",
    ] {
        let path = folder.path().join(name);
        chown(&path, Some(user), Some(user)).unwrap();
        let is_folder = path.is_dir();
        fs::set_permissions(
            &path,
            fs::Permissions::from_mode(if is_folder { 0o700 } else { 0o400 }),
        )
        .unwrap();
    }
    folder
}
