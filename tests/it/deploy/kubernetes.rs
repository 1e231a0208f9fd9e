//! The manifests for Kubernetes: the base runs one locked-up pod, and the overlay, once it is filled in,
//! gives it everything that it needs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{HEALTH_CHECK, assert_valid, documents, image::USER, text};
use crate::ability::{is_skipped, must_skip};

/// The configuration of the overlay.
pub const CONFIG: &str = include_str!("../../../deploy/kubernetes/overlay/config.toml");
const BASE: &str = include_str!("../../../deploy/kubernetes/base/manifests.yaml");
const OVERLAY: &str = include_str!("../../../deploy/kubernetes/overlay/kustomization.yaml");
const SERVICE_MONITOR: &str =
    include_str!("../../../deploy/kubernetes/overlay/service-monitor.yaml");

/// The objects of the base, and what the Prometheus operator needs.
fn objects() -> Vec<Value> {
    [BASE, SERVICE_MONITOR]
        .into_iter()
        .flat_map(documents)
        .collect()
}

/// The object of a kind.
fn object(kind: &str) -> Value {
    only(objects(), kind)
}

fn only(objects: Vec<Value>, kind: &str) -> Value {
    let mut of_kind = objects.into_iter().filter(|object| object["kind"] == kind);
    let object = of_kind.next().expect(kind);
    assert_eq!(of_kind.next(), None, "{kind}");
    object
}

#[test]
fn it_runs_one_locked_up_pod_and_looks_after_it() {
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
    let claimed = |volume: &Value| volume.pointer("/persistentVolumeClaim/claimName").cloned();
    let claims: Vec<Value> = volumes.iter().filter_map(claimed).collect();
    assert_eq!(
        claims,
        [object("PersistentVolumeClaim")["metadata"]["name"].clone()]
    );
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
fn it_lets_in_and_out_what_is_needed_and_has_the_metrics_scraped() {
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
}

/// Whether no kubectl is here that builds kustomizations of today's form; that of 1.20 does not.
fn must_skip_kubectl(test: &str) -> bool {
    must_skip(test, &["kubectl"]) || {
        let version = Command::new("kubectl")
            .args(["version", "--client", "--output=json"])
            .output()
            .unwrap();
        let is_known = text(&version).contains("kustomizeVersion");
        let reason = || "the kubectl of this machine is too old".to_owned();
        is_skipped(test, (!is_known).then(reason))
    }
}

/// A copy of the kustomizations, as an administrator makes one.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
        for name in ["base", "overlay"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            for file in fs::read_dir(from.join(name)).unwrap() {
                let file = file.unwrap();
                let to = folder.path().join(name).join(file.file_name());
                fs::copy(file.path(), to).unwrap();
            }
        }
        Self(folder)
    }

    fn overlay(&self, name: &str) -> PathBuf {
        self.0.path().join("overlay").join(name)
    }

    /// Replaces a text in each file of the overlay.
    fn replace(&self, from: &str, to: &str) {
        for file in fs::read_dir(self.overlay("")).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace(from, to)).unwrap();
        }
    }

    fn kustomize(&self, name: &str) -> Output {
        Command::new("kubectl")
            .arg("kustomize")
            .arg(self.0.path().join(name))
            .output()
            .unwrap()
    }

    /// What a kustomization builds.
    fn built(&self, name: &str) -> String {
        let output = self.kustomize(name);
        assert!(output.status.success(), "{}", text(&output));
        assert!(output.stderr.is_empty(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The files from which the overlay's comment makes the secret, by their names.
fn secrets() -> Vec<&'static str> {
    let (_, from_files) = OVERLAY
        .split_once("create secret generic ftrack-ldap-sync \\\n#")
        .expect("a command that makes the secret");
    let files = from_files.lines().next().unwrap();
    files
        .split_whitespace()
        .map(|file| file.strip_prefix("--from-file=").unwrap())
        .collect()
}

#[test]
fn the_base_is_the_manifests() {
    if must_skip_kubectl("the_base_is_the_manifests") {
        return;
    }
    let kinds = |text: &str| -> BTreeSet<String> {
        let kind = |object: &Value| object["kind"].as_str().unwrap().to_owned();
        documents(text).iter().map(kind).collect()
    };
    let built = kinds(&Copy::new().built("base"));
    assert_eq!(built, kinds(BASE));
    assert!(
        !built.contains("Secret") && !built.contains("ConfigMap"),
        "nobody's own"
    );
}

#[test]
fn the_overlay_shows_each_value_that_is_still_to_be_filled_in() {
    if must_skip_kubectl("the_overlay_shows_each_value_that_is_still_to_be_filled_in") {
        return;
    }
    let copy = Copy::new();
    let without_authority = text(&copy.kustomize("overlay"));
    assert!(
        without_authority.contains("studio-ca.pem: no such file"),
        "{without_authority}"
    );
    fs::write(copy.overlay("studio-ca.pem"), "").unwrap();
    let built = copy.built("overlay");
    let left: Vec<&str> = built
        .lines()
        .filter(|line| line.contains("replace-me"))
        .map(str::trim)
        .collect();
    assert_snapshot!(left.join("\n"), @r#"
    server = "https://replace-me.ftrackapp.com"
    urls = ["ldaps://dc1.replace-me.test", "ldaps://dc2.replace-me.test"]   # in order of preference
    bind_dn = 'ldap-sync@replace-me.test'
    search_bases = ['OU=Artists,DC=replace-me,DC=test']
    - image: registry.replace-me.test/ftrack-ldap-sync:0.1.0
    cidr: replace-me/32
    "#);
}

#[test]
fn the_overlay_once_filled_in_gives_the_pod_everything_that_it_needs() {
    if must_skip_kubectl("the_overlay_once_filled_in_gives_the_pod_everything_that_it_needs") {
        return;
    }
    let copy = Copy::new();
    let authority = include_str!("../certificates/ca.pem");
    fs::write(copy.overlay("studio-ca.pem"), authority).unwrap();
    copy.replace("replace-me/32", "192.0.2.10/32");
    copy.replace("replace-me", "studio");
    copy.replace("# - service-monitor.yaml", "- service-monitor.yaml");
    copy.replace("\n  # ingress:", "\n  ingress:");
    copy.replace("\n  #   ", "\n    ");
    let built = copy.built("overlay");
    assert!(!built.contains("replace-me"), "{built}");

    let objects = documents(&built);
    let pod = &only(objects.clone(), "Deployment")["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["image"],
        concat!(
            "registry.studio.test/ftrack-ldap-sync:",
            env!("CARGO_PKG_VERSION")
        )
    );
    // Each object that the pod names is built, apart from the secret, for which there is a command.
    let config_map = |source: usize| {
        let name = &pod["volumes"][0]["projected"]["sources"][source]["configMap"]["name"];
        let is_it =
            |object: &&Value| object["kind"] == "ConfigMap" && object["metadata"]["name"] == *name;
        let object = objects.iter().find(is_it).expect("the mounted ConfigMap");
        (name.as_str().unwrap(), &object["data"])
    };
    let (of_config, config) = config_map(0);
    let (of_authority, certificate) = config_map(1);
    assert_eq!(of_authority, "ftrack-ldap-sync-ca");
    assert_eq!(certificate, &json!({"studio-ca.pem": authority}));
    assert_eq!(
        pod["volumes"][1]["secret"]["secretName"],
        "ftrack-ldap-sync"
    );
    assert_valid(
        config["config.toml"].as_str().unwrap(),
        &secrets(),
        authority.as_bytes(),
    );
    assert_eq!(
        only(objects.clone(), "NetworkPolicy")["spec"]["egress"],
        json!([
            {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            {"to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}], "ports": [{"port": 636}]},
            {"ports": [{"port": 443}]},
        ])
    );
    let let_in = only(objects.clone(), "NetworkPolicy")["spec"]["ingress"][0]["from"].clone();
    let namespaces = let_in.as_array().unwrap().iter();
    let namespaces: Vec<Value> = namespaces
        .map(|from| from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].clone())
        .collect();
    assert_eq!(namespaces, ["monitoring", "ingress-nginx"]);
    let namespace = &only(objects.clone(), "Namespace")["metadata"]["name"];
    let others = objects
        .iter()
        .filter(|object| object["kind"] != "Namespace");
    for object in others.clone() {
        assert_eq!(&object["metadata"]["namespace"], namespace, "{object}");
    }
    assert!(
        others
            .clone()
            .any(|object| object["kind"] == "ServiceMonitor")
    );

    // Another configuration needs a new pod, another certificate does not.
    copy.replace("*/15 * * * *", "*/20 * * * *");
    fs::write(copy.overlay("studio-ca.pem"), "another").unwrap();
    let built = copy.built("overlay");
    assert!(!built.contains(of_config), "{of_config}");
    assert!(built.contains("name: ftrack-ldap-sync-ca\n"), "{built}");
}
