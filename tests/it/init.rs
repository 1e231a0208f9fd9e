//! `init`: a first configuration, by options, and on a terminal by questions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ftrack_ldap_sync::demo::cast;
use tempfile::TempDir;

use crate::{
    readme::text_of,
    studio::{Ended, KEY, PASSWORD, Studio},
};

mod asked;
mod authority;
mod container;
pub mod entered;
mod saved;

/// A folder in which a configuration is to be written, and its secrets are elsewhere.
struct Place {
    out: TempDir,
    secrets: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            out: TempDir::new().unwrap(),
            secrets: TempDir::new().unwrap(),
        };
        place.secret("password", &format!("{PASSWORD}\n"));
        place.secret("key", KEY);
        place
    }

    fn secret(&self, name: &str, text: &str) {
        fs::write(self.secrets.path().join(name), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.file("config.toml")
    }

    /// The names of the files in the folder, the state aside.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.out.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "state").collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .arg("--config")
            .arg(self.config())
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        Ended::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// The options that are right for a studio.
    fn options(&self, studio: &Studio) -> Vec<(&'static str, String)> {
        let secret = |name: &str| self.secrets.path().join(name).display().to_string();
        vec![
            ("--server", studio.directory_url.clone()),
            ("--bind-dn", cast::SERVICE.to_owned()),
            ("--bind-password-file", secret("password")),
            ("--base", cast::PEOPLE.to_owned()),
            ("--ftrack", studio.ftrack_url()),
            ("--api-user", "ldap-sync".to_owned()),
            ("--api-key-file", secret("key")),
            ("--state-dir", self.file("state").display().to_string()),
        ]
    }

    /// `init` with these options.
    fn init(&self, options: &[(&'static str, String)], more: &[&str]) -> Ended {
        let options = options.iter().flat_map(|(name, value)| [*name, value]);
        let arguments: Vec<&str> = ["init"]
            .into_iter()
            .chain(options)
            .chain(more.iter().copied())
            .collect();
        self.run(&arguments)
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn with(
    options: &[(&'static str, String)],
    name: &str,
    value: &str,
) -> Vec<(&'static str, String)> {
    let changed = options.iter().map(|(option, before)| {
        let value = if *option == name { value } else { before };
        (*option, value.to_owned())
    });
    changed.collect()
}

#[test]
fn options_alone_make_a_configuration_that_works() {
    let studio = Studio::of(&["ada", "bob"]);
    let place = Place::new();
    let ended = place.init(&place.options(&studio), &[]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("0 failed"), "{}", ended.stdout);
    let next = format!(
        "Next:\n  ftrack-ldap-sync --config {} check",
        place.config().display()
    );
    assert!(ended.stdout.contains(&next), "{}", ended.stdout);
    let (_, runs) = ended
        .stdout
        .split_once("The service runs artists by the schedule `*/15 * * * *` in the time zone ")
        .unwrap();
    let (zone, first) = runs.split_once(", first at ").unwrap();
    let config = fs::read_to_string(place.config()).unwrap();
    assert!(
        config.contains(&format!("timezone = \"{zone}\"")),
        "{zone}\n{config}"
    );
    let first: Vec<&str> = first.lines().next().unwrap().split(' ').collect();
    assert_eq!(first.len(), 3, "a day, a time and its zone: {first:?}");
    let mut steps = ended.stdout.lines().rev().take(5);
    for step in ["daemon", "sync", "apply plan.json", "plan --out plan.json"] {
        let line = steps.next().unwrap();
        let command = format!("config.toml {step} ");
        assert!(line.contains(&command), "{step}: {line}");
    }
    // The secrets stay where they are.
    assert_eq!(place.files(), ["config.toml"]);
    let written = fs::read_to_string(place.config()).unwrap();
    let written = written
        .replace(&place.out.path().display().to_string(), "OUT")
        .replace(&place.secrets.path().display().to_string(), "SECRETS")
        .replace(&studio.directory_url, "DIRECTORY")
        .replace(&studio.ftrack_url(), "FTRACK");
    // The zone is that of the machine.
    let written: String = written
        .lines()
        .filter(|line| !line.starts_with("timezone = "))
        .flat_map(|line| [line, "\n"])
        .collect();
    insta::assert_snapshot!(written, @r##"
    # The configuration of ftrack-ldap-sync for an LDAP directory,
    # as `ftrack-ldap-sync init` wrote it.
    #
    # `ftrack-ldap-sync check` tests both servers, and `ftrack-ldap-sync config
    # example` describes every key.

    state_dir = "OUT/state"

    [ftrack]
    server = "FTRACK"
    api_user = "ldap-sync"   # the ftrack user as whom the key acts
    api_key_file = "SECRETS/key"

    [directories.studio]
    kind = "generic"
    # in order of preference
    urls = ["DIRECTORY"]
    bind_dn = "cn=ldap-sync,ou=services,dc=studio,dc=test"
    bind_password_file = "SECRETS/password"
    # While the first server is down, leavers keep their access, since the second
    # may lag behind; this trusts it.
    # trust_replicas = true
    # For certificates by an authority of your own:
    # ca_file = "/etc/ssl/studio-ca.pem"

    [jobs.artists]
    schedule = "*/15 * * * *"
    search_bases = ["ou=people,dc=studio,dc=test"]
    filter = '(objectClass=inetOrgPerson)'

    [jobs.artists.attributes]
    username = "uid"
    email = "mail"
    first_name = "givenName"
    last_name = "sn"

    [jobs.artists.users]
    # Usernames that are never created or adopted, and whose login, mail, activity
    # and roles change only with your approval:
    protect = ["admin", "svc-*"]
    "##);
    let planned = place.run(&["plan"]);
    assert_eq!(planned.status, 0, "{}", planned.stderr);
    for uid in ["ada", "bob"] {
        assert!(
            planned.stdout.contains(&format!("+ create     {uid} ")),
            "{}",
            planned.stdout
        );
    }
}

#[test]
fn the_command_of_the_page_works() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let page = text_of("config/README.md");
    let mut lines = page.lines();
    let command = lines.find_map(|line| line.strip_prefix("ftrack-ldap-sync init "));
    let mut words: Vec<String> = command.unwrap().split(' ').map(str::to_owned).collect();
    // Its servers and files are those of the test.
    for (option, value) in place.options(&studio) {
        if let Some(place) = words.iter().position(|word| word == option) {
            words[place + 1] = value;
        } else {
            words.extend([option.to_owned(), value]);
        }
    }
    let arguments = ["init"].into_iter().chain(words.iter().map(String::as_str));
    let ended = place.run(&arguments.collect::<Vec<_>>());
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(words.len(), place.options(&studio).len() * 2);
    assert_eq!(place.files(), ["config.toml"]);
}

#[test]
fn nothing_is_ever_overwritten_unless_that_is_said() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    fs::write(place.config(), "mine").unwrap();
    let ended = place.init(&place.options(&studio), &[]);
    assert_eq!(ended.status, 2);
    assert!(
        ended
            .stderr
            .contains("config.toml exists; choose another file with --out"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(place.config()).unwrap(), "mine");
    let elsewhere = place.file("other.toml").display().to_string();
    let ended = place.init(&place.options(&studio), &["--out", &elsewhere]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let ended = place.init(&place.options(&studio), &["--force"]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let both =
        [place.config(), place.file("other.toml")].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(both[0], both[1]);
    assert_eq!(place.files(), ["config.toml", "other.toml"]);
}

#[test]
fn without_a_terminal_every_answer_is_needed() {
    let place = Place::new();
    let ended = place.run(&["init", "--server", "ldap.studio.test", "--base", "dc=test"]);
    assert_eq!(ended.status, 2);
    let said = "there is no terminal on which to ask, so these options are needed: --bind-dn, \
                --bind-password-file, --ftrack, --api-user, --api-key-file";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let nowhere = place.file("none/config.toml").display().to_string();
    let studio = Studio::empty();
    let ended = place.init(&place.options(&studio), &["--out", &nowhere]);
    assert_eq!(ended.status, 2);
    assert!(
        ended
            .stderr
            .contains("nothing can be written in the folder"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_wrong_option_is_explained_and_nothing_is_written() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let right = place.options(&studio);
    place.secret("wrong", "wrong");
    place.secret("empty", "\n");
    let secret = |name: &str| place.secrets.path().join(name).display().to_string();
    for (option, value, status, said) in [
        (
            "--server",
            "ldaps://127.0.0.1:1".to_owned(),
            1,
            "cannot connect to",
        ),
        (
            "--server",
            "http://127.0.0.1".to_owned(),
            2,
            "is not an LDAP scheme",
        ),
        ("--server", "ldap://[".to_owned(), 2, "is not an address"),
        (
            "--bind-dn",
            "cn=nobody,dc=studio,dc=test".to_owned(),
            1,
            "refused",
        ),
        (
            "--bind-dn",
            "ldap-sync".to_owned(),
            2,
            "that is no account, and was not sent",
        ),
        ("--bind-password-file", secret("wrong"), 1, "refused"),
        ("--bind-password-file", secret("empty"), 2, "empty"),
        ("--bind-password-file", secret("none"), 2, "none"),
        (
            "--base",
            "ou=nobody,dc=studio,dc=test".to_owned(),
            1,
            "ou=nobody,dc=studio,dc=test",
        ),
        ("--base", "nonsense".to_owned(), 2, "nonsense"),
        ("--ftrack", "ftp://studio".to_owned(), 2, "ftrack.server"),
        (
            "--ftrack",
            "https://127.0.0.1:1".to_owned(),
            1,
            "Connection refused",
        ),
        (
            "--principal",
            "sync@STUDIO.TEST".to_owned(),
            2,
            "--bind-dn belongs to --bind password, and not to --bind gssapi",
        ),
        (
            "--bind",
            "anonymous".to_owned(),
            2,
            "--bind-dn belongs to --bind password, and not to --bind anonymous",
        ),
        ("--api-key-file", secret("wrong"), 1, "key"),
        (
            "--api-user",
            "somebody".to_owned(),
            1,
            "username is not valid",
        ),
    ] {
        let mut options = with(&right, option, &value);
        if !options.iter().any(|(known, _)| *known == option) {
            options.push((option, value.clone()));
        }
        let ended = place.init(&options, &[]);
        assert_eq!(
            ended.status, status,
            "{option} {value}: {}{}",
            ended.stdout, ended.stderr
        );
        assert!(
            ended.stderr.contains(said),
            "{option} {value}: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains(".ftrack-ldap-sync-init"),
            "{}",
            ended.stderr
        );
        assert_eq!(place.files(), [""; 0], "{option} {value}");
    }
    // Everything is right by itself, and nobody is there.
    let ended = place.init(
        &with(&right, "--base", "ou=services,dc=studio,dc=test"),
        &[],
    );
    assert_eq!(ended.status, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("FAIL"), "{}", ended.stdout);
    assert!(
        ended
            .stderr
            .contains("nothing is written: see what failed above"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.files(), [""; 0]);
}
