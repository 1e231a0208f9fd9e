//! Bad input: one clear message that names the cause, the exit status of the contract, and never a
//! panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damaged;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::studio::Studio;

/// Bad usage or configuration.
const USAGE: i32 = 2;
/// Something failed.
const FAILED: i32 = 1;

/// The program with these arguments alone.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

/// One thing that is wrong.
struct Bad<'a> {
    arguments: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
    status: i32,
    /// What the message must hold.
    names: &'a [&'a str],
}

impl<'a> Bad<'a> {
    fn new(arguments: &'a [&'a str], status: i32, names: &'a [&'a str]) -> Self {
        Self {
            arguments,
            variables: &[],
            status,
            names,
        }
    }

    fn with(self, variables: &'a [(&'a str, &'a str)]) -> Self {
        Self { variables, ..self }
    }

    /// For people, for programs, and for whoever has no terminal: the same message once.
    fn check(&self, config: &Path) {
        let config = config.to_str().unwrap();
        for form in [Some("text"), Some("json"), None] {
            let mut arguments = vec!["--config", config];
            arguments.extend(form.iter().flat_map(|form| ["--log-format", *form]));
            arguments.extend(self.arguments);
            let output = program(&arguments)
                .envs(self.variables.iter().copied())
                .output()
                .unwrap();
            let errors = String::from_utf8(output.stderr.clone()).unwrap();
            assert_eq!(
                output.status.code(),
                Some(self.status),
                "{:?}: {errors}",
                self.arguments
            );
            assert_no_panic(&output);
            let messages = match form {
                Some("text") => messages_for_people(&errors),
                _ => messages_for_programs(&errors),
            };
            let [message] = &messages[..] else {
                panic!(
                    "{:?} {form:?}: one message, not {messages:?}",
                    self.arguments
                )
            };
            for name in self.names {
                assert!(
                    message.contains(name),
                    "{:?} {form:?}: {name:?} is not in {message:?}",
                    self.arguments
                );
            }
        }
    }
}

fn assert_no_panic(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(
            !text.contains("panicked") && !text.contains("RUST_BACKTRACE"),
            "{text}"
        );
    }
}

/// All that is said, cut where a new message begins; hints and usage belong to the message before
/// them.
fn messages_for_people(errors: &str) -> Vec<String> {
    let text = format!("\n{errors}");
    text.split("\nerror: ").skip(1).map(str::to_owned).collect()
}

/// Every line is an object; those that say why the program failed.
fn messages_for_programs(errors: &str) -> Vec<String> {
    let lines = errors.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line:?}"))
    });
    lines
        .filter(|line| line["event"] == "program.failed")
        .map(|line| {
            assert!(
                line["timestamp"].is_string() && line["level"] == "ERROR",
                "{line}"
            );
            line["error"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn configurations() {
    let studio = Studio::of(&["ada"]);
    let good = fs::read_to_string(studio.config()).unwrap();
    let path = studio.folder().join("bad.toml");
    let wrong = |from: &str, to: &str, names: &[&str]| {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        for arguments in [&["sync"][..], &["plan"], &["check", "--offline"]] {
            Bad::new(arguments, USAGE, &[&["bad.toml:"], names].concat()).check(&path);
        }
    };
    wrong(
        "search_bases",
        "serch_bases",
        &[
            "jobs.artists.serch_bases",
            "unknown key",
            "\"search_bases\"",
        ],
    );
    wrong(
        "api_user = \"ldap-sync\"",
        "api_user = 7",
        &["ftrack.api_user", "whole number"],
    );
    wrong(
        "(objectClass=inetOrgPerson)",
        "(objectClass=inetOrgPerson",
        &["jobs.artists.filter", "(objectClass=inetOrgPerson"],
    );
    wrong(
        "username = \"uid\"",
        "username = \"{{ uid \"",
        &["jobs.artists.attributes.username"],
    );
    wrong("[ftrack]", "[ftrack", &["not TOML"]);
    wrong(
        "\"ldap-password\"",
        "\"no-such-file\"",
        &["bind_password_file", "no-such-file"],
    );
}

#[test]
fn configuration_files_that_cannot_be_read() {
    let studio = Studio::empty();
    let missing = studio.folder().join("missing.toml");
    Bad::new(
        &["sync"],
        USAGE,
        &["missing.toml", "no configuration found"],
    )
    .check(&missing);
    Bad::new(
        &["sync"],
        USAGE,
        &[studio.folder().to_str().unwrap(), "not a regular file"],
    )
    .check(studio.folder());
    let bytes = studio.folder().join("bytes.toml");
    fs::write(&bytes, b"\xff\xfe\x00state_dir").unwrap();
    Bad::new(&["sync"], USAGE, &["bytes.toml", "UTF-8"]).check(&bytes);
    let below = studio.config().join("config.toml");
    Bad::new(
        &["sync"],
        USAGE,
        &["config.toml/config.toml", "Not a directory"],
    )
    .check(&below);
}

#[test]
fn names_that_nobody_knows() {
    let studio = Studio::of(&["ada"]);
    let config = studio.config();
    for arguments in [
        &["sync", "lightning"][..],
        &["sync", "--dry-run", "lightning"],
        &["plan", "lightning"],
        &["runs", "--job", "lightning"],
        &["runs", "show", "last", "--job", "lightning"],
    ] {
        Bad::new(arguments, USAGE, &["lightning", "artists"]).check(&config);
    }
    Bad::new(&["runs", "show", "last"], USAGE, &["no saved runs yet"]).check(&config);
    studio.sync();
    studio.sync();
    Bad::new(
        &["runs", "show", "yesterday's"],
        USAGE,
        &["yesterday's", "`runs`"],
    )
    .check(&config);
    Bad::new(&["runs", "show", "../../config"], USAGE, &["../../config"]).check(&config);
    Bad::new(&["runs", "show", "20"], USAGE, &["\"20\" matches 2 runs"]).check(&config);
    Bad::new(&["snyc"], USAGE, &["'snyc'", "'sync'"]).check(&config);
    Bad::new(&["sync", "--dry"], USAGE, &["'--dry'", "'--dry-run'"]).check(&config);
    Bad::new(&["sync", "--format", "xml"], USAGE, &["'xml'", "--format"]).check(&config);
    Bad::new(&["apply"], USAGE, &["<FILE>"]).check(&config);
    Bad::new(&["runs", "--limit", "many"], USAGE, &["'many'", "--limit"]).check(&config);
    Bad::new(&["runs", "shwo"], USAGE, &["'shwo'"]).check(&config);
    Bad::new(
        &["runs", "--outcome", "good"],
        USAGE,
        &["'good'", "succeeded"],
    )
    .check(&config);
    for option in ["--since", "--until"] {
        Bad::new(
            &["runs", option, "someday"],
            USAGE,
            &[option, "someday", "2h"],
        )
        .check(&config);
    }
    for filter in ["info,ldap3=lots", "a=b=c"] {
        Bad::new(&["sync"], USAGE, &["RUST_LOG", filter])
            .with(&[("RUST_LOG", filter)])
            .check(&config);
    }
}

#[test]
fn no_command_is_answered_with_help_or_one_line() {
    let text = program(&["--log-format", "text"]).output().unwrap();
    let errors = String::from_utf8(text.stderr).unwrap();
    assert!(
        text.status.code() == Some(USAGE) && errors.contains("Usage:"),
        "{errors}"
    );
    let json = program(&[]).output().unwrap();
    let messages = messages_for_programs(&String::from_utf8(json.stderr).unwrap());
    assert!(
        json.status.code() == Some(USAGE) && messages.len() == 1 && messages[0].contains("--help"),
        "{messages:?}"
    );
    let help = program(&["--help"]).output().unwrap();
    assert!(help.status.success() && help.stderr.is_empty() && !help.stdout.is_empty());
}

#[test]
fn plan_files() {
    let studio = Studio::of(&["ada", "bob"]);
    let config = studio.config();
    let file = |name: &str, content: &[u8]| {
        let path = studio.folder().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = studio.folder().join("good.plan");
    assert_eq!(
        studio
            .run(&["plan", "--out", good.to_str().unwrap()])
            .status,
        0
    );
    let good = fs::read_to_string(&good).unwrap();
    Bad::new(
        &["plan", "--out", "/no/such/folder/new.plan"],
        FAILED,
        &["/no/such/folder", "no such file or directory"],
    )
    .check(&config);
    let folder = studio.folder().to_str().unwrap().to_owned();
    let nowhere = format!("{folder}/nowhere.plan");
    Bad::new(
        &["apply", &nowhere],
        USAGE,
        &["nowhere.plan", "No such file"],
    )
    .check(&config);
    Bad::new(
        &["apply", &folder],
        USAGE,
        &[&folder, "is not a regular file"],
    )
    .check(&config);
    let wrong = |content: &[u8], names: &[&str]| {
        let path = file("wrong.plan", content);
        Bad::new(&["apply", &path], USAGE, &[&["wrong.plan"], names].concat()).check(&config);
    };
    wrong(b"", &["is not a plan"]);
    wrong(b"\xff\xfe\x00\x01", &["is not a plan"]);
    wrong(b"{}", &["is not a plan", "format"]);
    wrong(b"[[[[[[[[", &["is not a plan"]);
    wrong("[".repeat(100_000).as_bytes(), &["is not a plan"]);
    wrong(&good.as_bytes()[..good.len() / 2], &["is not a plan"]);
    wrong(
        good.replacen("\"format\": 3", "\"format\": 99", 1)
            .as_bytes(),
        &["99"],
    );
    wrong(
        good.replacen("\"job\": \"artists\"", "\"job\": \"lightning\"", 1)
            .as_bytes(),
        &["lightning"],
    );
    wrong(
        fs::read(studio.config()).unwrap().as_slice(),
        &["is not a plan"],
    );
    assert_eq!(studio.ftrack().users().len(), 2, "a bad plan was applied");
    let out = format!("{nowhere}/deeper.plan");
    Bad::new(&["plan", "--out", &out], FAILED, &["deeper.plan"]).check(&config);
    let out = format!("{folder}/config.toml/deeper.plan");
    Bad::new(
        &["plan", "--out", &out],
        FAILED,
        &["deeper.plan", "not a directory"],
    )
    .check(&config);
}

/// A path below a file can be used by nobody, not even by an administrator.
#[test]
fn state_folders() {
    let studio = Studio::of(&["ada"]);
    let good = fs::read_to_string(studio.config()).unwrap();
    let folder = studio.folder().to_str().unwrap().to_owned();
    let path = studio.folder().join("bad.toml");
    fs::write(studio.folder().join("file"), "no folder").unwrap();
    let plan = format!("{folder}/good.plan");
    assert_eq!(studio.run(&["plan", "--out", &plan]).status, 0);
    fs::write(
        &path,
        good.replace(&format!("{folder}/state"), &format!("{folder}/file/state")),
    )
    .unwrap();
    for arguments in [
        &["sync"][..],
        &["sync", "--dry-run"],
        &["plan"],
        &["apply", &plan],
        &["runs"],
        &["runs", "show", "last"],
    ] {
        Bad::new(arguments, FAILED, &["file/state", "Not a directory"]).check(&path);
    }
    assert_eq!(
        studio.ftrack().users().len(),
        2,
        "something was written that no journal could tell"
    );

    // Parts of it: what is to be a folder is a file.
    let state = studio.state_dir();
    for (part, named) in [
        ("locks", "locks"),
        ("journals", "journals"),
        ("reports", "reports"),
    ] {
        let _ = fs::remove_dir_all(&state);
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join(part), "no folder").unwrap();
        let ended = studio.run(&["sync", "--log-format", "json"]);
        assert_eq!(ended.status, FAILED, "{part}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(named) || ended.stdout.contains(named),
            "{part}: {}",
            ended.stderr
        );
        assert_eq!(studio.ftrack().users().len(), 2, "{part}");
    }
    let _ = fs::remove_dir_all(&state);
    assert_eq!(studio.sync().counts.created, 1);
}
