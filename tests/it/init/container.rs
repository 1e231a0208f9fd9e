//! `init` and what follows it in a container: what is written can be moved, and what is advised can be
//! done there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use super::Place;
use crate::{
    ability,
    studio::{Ended, PASSWORD, Studio},
};

/// The options of a folder that has all its files beside the configuration.
fn beside(place: &Place, studio: &Studio) -> Vec<(&'static str, String)> {
    fs::write(place.file("ldap-password"), format!("{PASSWORD}\n")).unwrap();
    let ca = include_bytes!("../certificates/ca.pem");
    fs::write(place.file("ca.pem"), ca).unwrap();
    let path = |name: &str| place.file(name).display().to_string();
    let mut options = super::with(
        &place.options(studio),
        "--bind-password-file",
        &path("ldap-password"),
    );
    options.push(("--ca-file", path("ca.pem")));
    options
}

fn init(place: &Place, options: &[(&'static str, String)], container: bool) -> Ended {
    let options = options.iter().flat_map(|(name, value)| [*name, value]);
    let arguments: Vec<&str> = ["init"].into_iter().chain(options).collect();
    let mut command = place.command(&arguments);
    command.envs(container.then_some(("container", "oci")));
    Ended::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn what_is_written_can_be_moved() {
    let studio = Studio::of(&["ada"]);
    for container in [false, true] {
        let place = Place::new();
        let ended = init(&place, &beside(&place, &studio), container);
        assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
        let written: toml::Table = fs::read_to_string(place.config()).unwrap().parse().unwrap();
        let directory = &written["directories"]["studio"];
        for (key, name) in [
            ("ca_file", "ca.pem"),
            ("bind_password_file", "ldap-password"),
        ] {
            assert_eq!(directory[key].as_str(), Some(name));
        }
        // That of another folder is named as it is.
        let key = written["ftrack"]["api_key_file"].as_str().unwrap();
        assert!(key.starts_with('/'), "{key}");
        let moved = tempfile::tempdir().unwrap();
        for name in ["config.toml", "ca.pem", "ldap-password"] {
            fs::copy(place.file(name), moved.path().join(name)).unwrap();
            fs::remove_file(place.file(name)).unwrap();
        }
        let config = moved.path().join("config.toml");
        let config = config.to_str().unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        check
            .env_clear()
            .args(["--config", config, "check", "--offline"]);
        let checked = Ended::of(check.output().unwrap());
        assert_eq!(checked.status, 0, "{}{}", checked.stdout, checked.stderr);
    }
}

#[test]
fn the_next_steps_are_those_of_a_container() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let ended = init(&place, &beside(&place, &studio), true);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let (_, next) = ended.stdout.split_once("Next:\n").unwrap();
    let plan = place.file("state/plan.json").display().to_string();
    for part in [
        "move config.toml and certificates to the folder that is mounted at /etc/ftrack-ldap-sync",
        "`chown 65532:65532`",
        "docker compose run --rm ftrack-ldap-sync check ",
        &format!("docker compose run --rm ftrack-ldap-sync plan --out {plan}"),
        &format!("docker compose run --rm ftrack-ldap-sync apply {plan}"),
        "docker compose up -d",
    ] {
        assert!(next.contains(part), "{part} in {next}");
    }
    assert!(!next.contains("systemctl"), "{next}");
    assert!(
        !ended
            .stdout
            .contains("everybody who can reach this machine"),
        "{}",
        ended.stdout
    );
}

#[test]
fn after_a_plan_a_container_is_started_and_the_plan_outlives_it() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"")
        .end_to_end();
    let shown = |container: bool| {
        let program = env!("CARGO_BIN_EXE_ftrack-ldap-sync");
        let config = studio.config().display().to_string();
        let line = format!("{program} --config {config} plan");
        let mut command = std::process::Command::new("script");
        command
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(container.then_some(("container", "oci")))
            .stdin(Stdio::null());
        let shown = Ended::of(command.output().unwrap()).stdout;
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let plan = "/plan.json` saves a plan, and `apply ";
    let there = shown(true);
    assert!(
        there.contains(plan)
            && there.contains("`docker compose up -d` has it run")
            && !there.contains("systemctl"),
        "{there}"
    );
    let here = shown(false);
    assert!(
        here.contains("`plan --out FILE` saves a plan") && here.contains("`systemctl enable --now"),
        "{here}"
    );
}

#[test]
fn a_secret_that_a_container_may_not_read_is_given_to_its_user() {
    use std::os::unix::process::CommandExt;
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can be somebody else");
        return;
    }
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let ended = place.init(&place.options(&studio), &[]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let rights = |path: &std::path::Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    rights(place.out.path(), 0o755);
    rights(place.secrets.path(), 0o755);
    let key = place.secrets.path().join("key");
    rights(&place.secrets.path().join("password"), 0o644);
    rights(&key, 0o600);
    let program = place.out.path().join("program");
    ability::copy_program(&program);
    let output = std::process::Command::new(&program)
        .env_clear()
        .envs([("container", "oci"), ("CREDENTIALS_DIRECTORY", "/nowhere")])
        .uid(65532)
        .gid(65532)
        .arg("--config")
        .arg(place.config())
        .args(["check", "--offline"])
        .output()
        .unwrap();
    let said = Ended::of(output);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(
        text.contains(&format!(
            "may not read {}: `chown 65532:65532 FILE`",
            key.display()
        )) && !text.contains("systemctl")
            && !text.contains("LoadCredential"),
        "{text}"
    );
}

#[test]
fn the_examples_are_for_a_container() {
    let place = Place::new();
    for kind in [
        None,
        Some("active-directory"),
        Some("samba"),
        Some("389"),
        Some("freeipa"),
        Some("openldap"),
        Some("generic"),
    ] {
        let option = kind.map(|kind| ["--kind", kind]);
        let arguments: Vec<&str> = ["config", "example"]
            .into_iter()
            .chain(option.into_iter().flatten())
            .collect();
        let mut command = place.command(&arguments);
        command.env("container", "oci");
        let said = Ended::of(command.output().unwrap());
        assert_eq!(said.status, 0, "{}", said.stderr);
        let written: toml::Table = said.stdout.parse().unwrap();
        assert_eq!(written["http"]["listen"].as_str(), Some("0.0.0.0:9464"));
        assert!(
            said.stdout.contains("# ca_file = \"ca.pem\" "),
            "{}",
            said.stdout
        );
        assert!(!said.stdout.contains("/etc/ssl/studio-ca.pem"));
        let here = place.run(&arguments).stdout;
        let here: toml::Table = here.parse().unwrap();
        assert!(!here.contains_key("http"));
        let lines = said.stdout.lines();
        assert_eq!(lines.filter(|line| line.chars().count() > 100).count(), 0);
    }
}
