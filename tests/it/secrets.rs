//! No secret in any output, log at its most verbose, report or state file, in no form that is
//! easily decoded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};

use crate::{
    ability,
    bounds::tampering::Proxy,
    crash::LIMIT,
    faults::NO_LIMIT,
    ldap_proxy::{Fault, LdapProxy, Trouble, ber, ber::Message},
    slapd::wait_until,
    studio::{Ended, KEY, PASSWORD, Studio, dn, person},
};

/// Secrets that the servers refuse.
const WRONG: [&str; 2] = ["a-refused-passphrase", "a-refused-token"];

/// A secret in every form in which a log of bytes, headers or JSON would show it.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), secret.chars().rev().collect()];
    // Within a longer text, base64 comes in three alignments, whose first and last letters depend
    // on what is around.
    for before in 0..3 {
        let text = [vec![b'x'; before], secret.as_bytes().to_vec()].concat();
        let encoded = BASE64_STANDARD_NO_PAD.encode(text);
        let (start, end) = ([0, 2, 3][before], encoded.len() - 1);
        forms.push(encoded[start..end].to_owned());
    }
    let each = |show: fn(&u8) -> String, between: &str| {
        secret
            .as_bytes()
            .iter()
            .map(show)
            .collect::<Vec<_>>()
            .join(between)
    };
    forms.extend([
        each(|byte| format!("{byte:02x}"), ""),
        each(|byte| format!("{byte:02X}"), ""),
        each(|byte| format!("{byte:02x}"), " "),
        each(|byte| format!("{byte:02x}"), ":"),
        each(|byte| byte.to_string(), ", "),
        each(|byte| byte.to_string(), ","),
        each(|byte| format!("0x{byte:02x}"), ", "),
    ]);
    forms
}

/// Where a secret shows, if it does.
fn shown(text: &str) -> Option<String> {
    let found = |form: &String| text.find(form.as_str()).map(|place| (place, form.clone()));
    let (place, form) = [PASSWORD, KEY, WRONG[0], WRONG[1]]
        .iter()
        .flat_map(|secret| forms(secret))
        .find_map(|form| found(&form))?;
    let around: String = text
        .chars()
        .skip(text[..place].chars().count().saturating_sub(200))
        .take(400)
        .collect();
    Some(format!("{form:?} in {around}"))
}

/// The program, from its quietest to its most verbose.
fn everything_it_says(
    studio: &Studio,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Vec<Output> {
    let loud = [
        "trace",
        "debug,ldap3=trace,hyper=trace,hyper_util=trace,reqwest=trace,h2=trace,rustls=trace,\
         log=trace",
    ];
    let mut said = Vec::new();
    for form in ["text", "json"] {
        for filter in [None, Some(loud[0]), Some(loud[1])] {
            let mut command: Command = studio.command(arguments);
            command
                .args(["--log-format", form, "--verbose"])
                .envs(variables.iter().copied());
            if let Some(filter) = filter {
                command.env("RUST_LOG", filter);
            }
            let output = command.output().unwrap();
            for text in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(text);
                assert_eq!(shown(&text), None, "{arguments:?} {form} {filter:?}");
                assert!(!text.contains("panicked"), "{arguments:?}: {text}");
            }
            let reads_servers = matches!(arguments.first(), Some(&("sync" | "plan" | "apply")));
            if reads_servers && filter.is_some() && output.status.code() != Some(2) {
                let log = String::from_utf8_lossy(&output.stderr);
                assert!(
                    log.contains("TRACE") || log.contains("DEBUG"),
                    "{arguments:?} logs nothing: {log}"
                );
            }
            said.push(output);
        }
    }
    assert_files_are_clean(&studio.state_dir());
    said
}

fn assert_files_are_clean(folder: &Path) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.is_file() {
            let content = fs::read(&path).unwrap();
            assert_eq!(
                shown(&String::from_utf8_lossy(&content)),
                None,
                "{}",
                path.display()
            );
        }
    }
}

fn fragment(studio: &Studio, text: &str) {
    let folder = studio.folder().join("config.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("test.toml"), text).unwrap();
}

#[test]
fn the_search_for_secrets_finds_them() {
    use base64::prelude::BASE64_STANDARD;
    for before in ["", "a", "ab", "ldap-sync:"] {
        for after in ["", "z", "\n\n"] {
            let text = format!("{before}{KEY}{after}");
            assert!(shown(&format!("log {text} log")).is_some());
            let encoded = BASE64_STANDARD.encode(&text);
            assert!(
                shown(&format!("authorization: Basic {encoded}")).is_some(),
                "{text:?} as {encoded}"
            );
        }
    }
    assert!(shown(&format!("{:?}", WRONG[0].as_bytes())).is_some());
    assert!(shown("nothing of the kind").is_none());
}

#[test]
fn runs_that_succeed_and_every_command_after_them() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = NO_LIMIT.into();
    for arguments in [
        &["sync"][..],
        &["sync", "--format", "json"],
        &["sync", "--dry-run"],
    ] {
        // A change each time, so that something is written and logged.
        let uid = format!("joiner{}", studio.ftrack().users().len());
        studio.tree().add(person(&uid, "Given", "Joiner")).unwrap();
        assert!(
            everything_it_says(&studio, arguments, &[])
                .iter()
                .all(|output| output.status.success())
        );
    }
    studio.tree().remove(&dn("ada")).unwrap();
    let plan: PathBuf = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    everything_it_says(&studio, &["plan", "--out", plan], &[]);
    assert_eq!(shown(&fs::read_to_string(plan).unwrap()), None);
    for arguments in [
        &["apply", plan][..],
        &["runs"],
        &["runs", "show", "last"],
        &["runs", "show", "last", "--format", "json"],
        &["config", "show"],
        &["config", "schema"],
        &["check"],
        &["check", "--offline"],
    ] {
        everything_it_says(&studio, arguments, &[]);
    }
}

#[test]
fn secrets_from_the_environment_and_from_the_file_itself() {
    let studio = Studio::of(&["ada"]);
    let inline = format!(
        "[ftrack]\napi_key = {KEY:?}\n[directories.studio]\nbind_password = {PASSWORD:?}\n"
    );
    let variables = [
        ("FTRACK_LDAP_SYNC_FTRACK__API_KEY", KEY),
        (
            "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD",
            PASSWORD,
        ),
    ];
    let refused = format!(
        "[ftrack]\napi_key = {:?}\n[directories.studio]\nbind_password = {:?}\n",
        WRONG[1], WRONG[0]
    );
    for (text, variables) in [(inline, &[][..]), (refused, &variables[..])] {
        fragment(&studio, &text);
        for arguments in [&["sync"][..], &["config", "show"]] {
            let said = everything_it_says(&studio, arguments, variables);
            assert!(
                said.iter().all(|output| output.status.success()),
                "{arguments:?}"
            );
        }
    }
}

#[test]
fn refused_secrets_and_broken_connections() {
    let mut studio = Studio::of(&["ada"]);
    studio.ftrack_settings = "attempts = 1".into();
    let tell = |studio: &Studio, variables: &[(&str, &str)], word: &str| {
        for arguments in [&["sync"][..], &["plan"], &["check"]] {
            let said = everything_it_says(studio, arguments, variables);
            if arguments != ["check"] {
                assert!(
                    said.iter().all(|output| output.status.code() == Some(1)),
                    "{arguments:?} {word}"
                );
            }
        }
    };
    tell(
        &studio,
        &[(
            "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD",
            WRONG[0],
        )],
        "bind",
    );
    tell(
        &studio,
        &[("FTRACK_LDAP_SYNC_FTRACK__API_KEY", WRONG[1])],
        "key",
    );
    tell(
        &studio,
        &[("FTRACK_LDAP_SYNC_FTRACK__SERVER", "http://127.0.0.1:1")],
        "server",
    );
    let proxy = LdapProxy::start(studio.directory().address(), None);
    studio.directory_url = proxy.url();
    for fault in [
        Fault::at_bind(1, Trouble::Reset),
        Fault::at_bind(1, Trouble::Result(49)),
        Fault::in_search(1, 0, Trouble::Result(51)),
    ] {
        for filter in ["trace", "info"] {
            proxy.set_fault(fault);
            let output = studio
                .command(&["sync", "--verbose"])
                .env("RUST_LOG", filter)
                .output()
                .unwrap();
            assert!(!output.status.success() && proxy.injected());
            assert_eq!(
                shown(&String::from_utf8_lossy(
                    &[output.stdout, output.stderr].concat()
                )),
                None
            );
        }
    }
    assert_files_are_clean(&studio.state_dir());
}

#[test]
fn mistakes_around_secrets() {
    let studio = Studio::of(&["ada"]);
    let key = |line: &str| format!("[ftrack]\n{line}\n");
    let directory = |line: &str| format!("[directories.studio]\n{line}\n");
    for text in [
        key(&format!("api_kee = {KEY:?}")),
        key(&format!("api_key = {KEY}")),
        key(&format!("api_key = \"{KEY}")),
        key(&format!("api_key = [{KEY:?}]")),
        key(&format!("api_key = {{ text = {KEY:?} }}")),
        key(&format!("server = \"https://ldap-sync:{KEY}@127.0.0.1\"")),
        directory(&format!("bind_pasword = {PASSWORD:?}")),
        directory(&format!("bind_password = {{ of = {PASSWORD:?} }}")),
        directory(&format!("urls = [\"ldap://user:{PASSWORD}@127.0.0.1\"]")),
        directory(&format!(
            "bind_password = {PASSWORD:?}\nbind_password_file = \"nowhere\""
        )),
    ] {
        fragment(&studio, &text);
        for arguments in [&["sync"][..], &["config", "show"]] {
            let said = everything_it_says(&studio, arguments, &[]);
            assert!(
                said.iter().all(|output| output.status.code() == Some(2)),
                "{text} {arguments:?}"
            );
        }
    }
}

/// A directory that repeats the password that it was given, in its answers of a kind.
fn repeating(studio: &Studio, tag: u8, code: u8) -> Proxy {
    let tamper = move |_, answer: Vec<u8>| {
        let message = Message::new(&answer);
        let text = format!("{PASSWORD} is what you sent, {PASSWORD}");
        Some(if message.tag == tag {
            let text = text.as_bytes();
            ber::result_saying(message.id, tag, code, text, text)
        } else {
            answer
        })
    };
    Proxy::of_directory(studio.directory().address(), Arc::new(tamper))
}

#[test]
fn a_directory_that_repeats_the_password_is_not_repeated() {
    let mut studio = Studio::of(&["ada"]).end_to_end();
    for (tag, code) in [
        (ber::BIND_RESPONSE, 49),
        (ber::SEARCH_DONE, 53),
        (ber::SEARCH_DONE, 32),
    ] {
        let proxy = repeating(&studio, tag, code);
        studio.directory_url = format!("ldap://{}", proxy.address);
        for arguments in [&["sync"][..], &["check"]] {
            let said = everything_it_says(&studio, arguments, &[]);
            let first = String::from_utf8_lossy(&said[0].stdout).into_owned()
                + &String::from_utf8_lossy(&said[0].stderr);
            assert!(
                first.contains("*** is what you sent, ***"),
                "{code}: {first}"
            );
        }
    }
}

#[test]
fn nothing_of_the_memory_can_be_dumped_or_read_however_the_program_is_started() {
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    };
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("program");
    ability::copy_program(&copy);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "ulimit -c unlimited; exec \"$0\" demo --serve --people 10",
        ])
        .arg(&copy)
        .env("TMPDIR", "/tmp")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root {
        shell.uid(65_534).gid(65_534);
    }
    let mut child = shell.spawn().unwrap();
    let proc = Path::new("/proc").join(child.id().to_string());
    let limits = || fs::read_to_string(proc.join("limits")).unwrap();
    let is_forbidden = || {
        let limits = limits();
        let cores = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"));
        cores.is_some_and(|line| line.split_whitespace().take(2).eq(["0", "0"]))
    };
    // Of a process that can be dumped, and traced, its files below /proc belong to its user.
    let is_closed = || !is_root || fs::metadata(proc.join("mem")).unwrap().uid() == 0;
    let is_so = wait_until(LIMIT, || is_forbidden() && is_closed());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_so);
}

#[test]
fn a_proxy_that_is_down_is_named_and_its_password_is_not() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let of_proxy = "a-proxy-passphrase";
    let there = [
        (
            "HTTPS_PROXY",
            format!("http://someone:{of_proxy}@127.0.0.1:1"),
        ),
        (
            "ALL_PROXY",
            format!("http://someone:{of_proxy}@127.0.0.1:2"),
        ),
    ];
    for (number, variables) in [(1, &there[..]), (2, &there[1..])] {
        let output = studio
            .command(&["sync"])
            .env(
                "FTRACK_LDAP_SYNC_FTRACK__SERVER",
                "https://studio.example.test",
            )
            .env("FTRACK_LDAP_SYNC_FTRACK__ATTEMPTS", "1")
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        let ended = Ended::of(output);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        let named = format!("through the proxy 127.0.0.1:{number} of {}", variables[0].0);
        assert!(told.contains(&named) && told.contains("NO_PROXY"), "{told}");
        assert!(
            !told.contains(of_proxy) && !told.contains("someone"),
            "{told}"
        );
    }
    // Reached without it.
    let output = studio
        .command(&["sync"])
        .env("HTTPS_PROXY", &there[0].1)
        .env("HTTP_PROXY", &there[0].1)
        .output()
        .unwrap();
    assert_eq!(Ended::of(output).status, 0);
}
