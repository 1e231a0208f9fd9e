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
mod monitoring;
mod packages;

use image::{Image, PROGRAMS, USER};

const COMPOSE: &str = include_str!("../../deploy/compose.yaml");
const COMPOSE_CONFIG: &str = include_str!("../../deploy/etc/config.toml");
const KUBERNETES: &str = include_str!("../../deploy/kubernetes.yaml");
const SECRET: &str = include_str!("../../deploy/kubernetes-secret.yaml");
const OVERLAY_CONFIG: &str = include_str!("../../deploy/overlay/config.yaml");
const SERVICE_MONITOR: &str = include_str!("../../deploy/monitoring/service-monitor.yaml");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
/// How a container is asked whether its daemon runs, whatever its configuration is by now.
const HEALTH_CHECK: [&str; 4] = [
    "/usr/local/bin/ftrack-ldap-sync",
    "status",
    "--socket",
    "/run/ftrack-ldap-sync/control.sock",
];

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// All objects for Kubernetes.
fn objects() -> Vec<Value> {
    [KUBERNETES, SECRET, SERVICE_MONITOR]
        .into_iter()
        .flat_map(documents)
        .collect()
}

/// The Kubernetes object of a kind.
fn object(kind: &str) -> Value {
    let mut objects: Vec<Value> = objects()
        .into_iter()
        .filter(|object| object["kind"] == kind)
        .collect();
    assert_eq!(objects.len(), 1, "{kind}");
    objects.remove(0)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn each_configuration_is_valid_once_its_placeholders_are_replaced() {
    let of_kubernetes = object("ConfigMap");
    let of_overlay = documents(OVERLAY_CONFIG).remove(0);
    let configurations = [&of_kubernetes, &of_overlay]
        .map(|object| object["data"]["config.toml"].as_str().unwrap().to_owned());
    for config in &configurations {
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
        let placeholders = config.matches("\"https://replace-me").count()
            + config.matches("//ldap").count()
            + config.matches("//dc").count();
        assert_eq!(placeholders, 3, "{config}");
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
    }
    let [of_kubernetes, of_overlay] =
        configurations.map(|config| config.replace("replace-me", "studio"));
    for config in [COMPOSE_CONFIG, &of_kubernetes, &of_overlay] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        for name in ["ftrack-api-key", "ldap-password", "coordinator-token"] {
            fs::write(secrets.join(name), "a-secret-of-some-length\n").unwrap();
        }
        let authority = include_bytes!("certificates/ca.pem");
        fs::write(folder.path().join("studio-ca.pem"), authority).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
            .env_clear()
            .env("CREDENTIALS_DIRECTORY", &secrets)
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
            .starts_with("/run/ftrack-ldap-sync:")
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

#[test]
fn kubernetes_runs_one_locked_up_pod_and_looks_after_it() {
    let deployment = object("Deployment");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        deployment["spec"]["template"]["metadata"]["labels"]
    );
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(
        [
            &pod["securityContext"]["runAsNonRoot"],
            &pod["automountServiceAccountToken"]
        ],
        [true, false]
    );
    assert_eq!(pod["securityContext"]["runAsUser"].to_string(), USER);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    assert_eq!(
        container["livenessProbe"]["exec"]["command"],
        json!(HEALTH_CHECK)
    );
    assert_eq!(
        container["readinessProbe"]["httpGet"],
        json!({"path": "/readyz", "port": "http"})
    );
    assert_eq!(
        container["ports"],
        json!([{"name": "http", "containerPort": 9464}])
    );
    assert!(container["resources"]["limits"]["memory"].is_string());

    // Each volume is one that there is, of an object that there is.
    let volumes = pod["volumes"].as_array().unwrap();
    let mounted: Vec<&Value> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| &mount["name"])
        .collect();
    assert_eq!(
        mounted,
        volumes
            .iter()
            .map(|volume| &volume["name"])
            .collect::<Vec<_>>()
    );
    for (kind, reference) in [
        ("ConfigMap", "/projected/sources/0/configMap/name"),
        ("Secret", "/secret/secretName"),
        ("PersistentVolumeClaim", "/persistentVolumeClaim/claimName"),
    ] {
        let named: Vec<&Value> = volumes
            .iter()
            .filter_map(|volume| volume.pointer(reference))
            .collect();
        assert_eq!(named, [&object(kind)["metadata"]["name"]]);
    }
    let namespace = &object("Namespace")["metadata"]["name"];
    for object in objects()
        .iter()
        .filter(|object| object["kind"] != "Namespace")
    {
        assert_eq!(
            &object["metadata"]["namespace"], namespace,
            "{}",
            object["kind"]
        );
    }
}

#[test]
fn kubernetes_lets_in_and_out_what_is_needed_and_has_the_metrics_scraped() {
    let labels = &object("Deployment")["spec"]["selector"]["matchLabels"];
    let service = object("Service");
    assert_eq!(&service["spec"]["selector"], labels);
    assert_eq!(
        service["spec"]["ports"],
        json!([{"name": "http", "port": 9464, "targetPort": "http"}])
    );
    let monitor = object("ServiceMonitor");
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"],
        service["metadata"]["labels"]
    );
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], "http");
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
    assert_eq!(monitor["spec"]["endpoints"][0]["honorLabels"], true);
    let policy = object("NetworkPolicy");
    assert_eq!(&policy["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        policy["spec"]["ingress"][0]["ports"],
        json!([{"port": "http"}])
    );
    let out: Vec<u64> = policy["spec"]["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    assert_eq!(out, [53, 53, 636, 389, 3269, 3268, 88, 88, 443, 465, 587]);
    // A second `kubectl apply` of the rest does not put the placeholders back.
    assert!(
        documents(KUBERNETES)
            .iter()
            .all(|object| object["kind"] != "Secret")
    );
    assert_eq!(
        object("Secret")["stringData"],
        json!({"ldap-password": "replace-me", "ftrack-api-key": "replace-me"})
    );
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
