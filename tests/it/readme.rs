//! The pages: each command in them runs, each configuration in them is valid, and their plans are
//! real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
pub mod form;
pub mod leaving;
pub mod recipes;
mod rights;

use std::{fs, path::Path, process::Command};

use ftrack_ldap_sync::{
    config::{self, Environment},
    demo::ftrack::Account,
};

use crate::{
    daemon::Daemon,
    rules::add_config,
    studio::{Studio, dn, person},
};

/// A page of the repository.
pub struct Page {
    /// Its path from the top of the repository.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Every page for people, the front page first.
pub fn pages() -> Vec<Page> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.md",
        ])
        .current_dir(top)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // Of those, one is the template of a report.
    let mut paths: Vec<&str> = listed
        .lines()
        .filter(|path| *path != "src/run/text/page.md" && top.join(path).exists())
        .collect();
    paths.sort_by_key(|path| (*path != "README.md", *path));
    paths.dedup();
    assert!(paths.len() > 15, "{paths:?}");
    paths
        .into_iter()
        .map(|path| Page {
            path: path.to_owned(),
            text: text_of(path),
        })
        .collect()
}

/// What the page at this path says.
pub fn text_of(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The fenced blocks of one language in all pages, without their fences.
pub fn blocks(language: &str) -> Vec<String> {
    let found: Vec<String> = pages()
        .iter()
        .flat_map(|page| fenced(&page.text, language))
        .collect();
    assert!(!found.is_empty(), "no page has a {language} block");
    found
}

/// The fenced blocks of one language in a page that has some, without their fences.
pub fn blocks_of(page: &str, language: &str) -> Vec<String> {
    let found = fenced(page, language);
    assert!(!found.is_empty(), "the page has no {language} block");
    found
}

fn fenced(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (Some(text), None) => text.extend([line, "\n"]),
            (open @ Some(_), Some(_)) => found.extend(open.take()),
            (open @ None, Some(opened)) => {
                *open = (opened == language)
                    .then(String::new)
                    .or(Some(String::from("\0")))
            }
            (None, None) => {}
        }
    }
    found.retain(|text| !text.starts_with('\0'));
    found
}

/// The job of the recipe for ftrack's own synchronisation, which stands beside other jobs. The blocks
/// that name it have tests of their own.
const BUILTIN: &str = "nightly-builtin";

/// Some people are synced, then things happen, as the front page shows them.
fn small_studio() -> Studio {
    let mut studio = Studio::empty();
    for (uid, first, last) in [
        ("anna.berg", "Anna", "Berg"),
        ("jo.malik", "Jo", "Malik"),
        ("liu.wei", "Wei", "Liu"),
        ("sam.ortiz", "Sam", "Ortiz"),
    ] {
        studio.tree().add(person(uid, first, last)).unwrap();
    }
    studio.job = "users.protect = [\"svc-*\"]\n".into();
    studio.sync();
    studio
        .tree()
        .add(person("pia.lund", "Pia", "Lund"))
        .unwrap();
    studio
        .tree()
        .rename(&dn("anna.berg"), &dn("anna.holm"))
        .unwrap();
    studio
        .tree()
        .replace(&dn("anna.holm"), "sn", &["Holm"])
        .unwrap();
    studio.tree().remove(&dn("sam.ortiz")).unwrap();
    studio
}

/// More happens there, as the other pages show it.
fn studio() -> Studio {
    let studio = small_studio();
    studio
        .ftrack()
        .add_user(&Account {
            username: "Noa.Levi".into(),
            is_active: true,
            ..Account::default()
        })
        .unwrap();
    studio
        .tree()
        .add(person("noa.levi", "Noa", "Levi"))
        .unwrap();
    studio
        .tree()
        .replace(&dn("jo.malik"), "mail", &["jo at studio"])
        .unwrap();
    studio
}

#[test]
fn each_command_runs_and_each_plan_is_a_real_one() {
    let mut plans = 0;
    for page in pages() {
        let mut blocks = fenced(&page.text, "console");
        blocks.retain(|block| !block.contains(BUILTIN));
        if blocks.is_empty() {
            continue;
        }
        let studio = if page.path == "README.md" {
            small_studio()
        } else {
            studio()
        };
        fs::write(studio.folder().join("plan.json"), "").unwrap();
        for block in blocks {
            plans += usize::from(is_as_shown(&studio, &page.path, &block));
        }
    }
    assert_eq!(plans, 2);
}

/// Runs the commands of a block; whether the block has what they print.
fn is_as_shown(studio: &Studio, page: &str, block: &str) -> bool {
    let mut shown = String::new();
    let mut expected = String::new();
    for line in block.lines() {
        let Some(command) = line.strip_prefix("$ ") else {
            expected.extend([line, "\n"]);
            continue;
        };
        let arguments = command
            .strip_prefix("ftrack-ldap-sync ")
            .unwrap_or_else(|| panic!("{page}: {command}"));
        let words: Vec<&str> = arguments
            .split(" #")
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let mut command = studio.command(&words);
        let output = command.current_dir(studio.folder()).output().unwrap();
        let status = output.status.code().unwrap();
        assert!(
            matches!(status, 0 | 10),
            "{page}: {arguments}: status {status}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        shown.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    if !expected.is_empty() {
        // The servers of the pages.
        let shown = shown
            .replace(&studio.directory_url, "ldaps://ldap1.studio.test")
            .replace(&studio.ftrack_url(), "https://studio.ftrackapp.com");
        assert_eq!(shown, expected, "{page}");
    }
    !expected.is_empty()
}

#[test]
fn the_job_of_ftracks_own_synchronisation_runs_as_it_is_written() {
    let studio = studio();
    let written = blocks("toml")
        .into_iter()
        .find(|block| block.contains(BUILTIN))
        .unwrap();
    let job = &written[written.find("[jobs.").unwrap()..];
    add_config(&studio, job);
    studio.ftrack().change_rules(|rules| {
        rules.builtin_users = vec![Account {
            username: "liu.wei".into(),
            is_active: false,
            ..Account::default()
        }];
    });
    let commands = blocks("console")
        .into_iter()
        .find(|block| block.contains(BUILTIN))
        .unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("$ ftrack-ldap-sync "))
        .collect();
    assert_eq!(commands.len(), 1);
    for command in commands {
        let ended = studio.run(&command.split_whitespace().collect::<Vec<_>>());
        assert_eq!(ended.status, 0, "{command}: {}", ended.stderr);
        for said in [
            "deactivate liu.wei",
            "is_active: true -> false",
            "ftrack's own synchronisation",
        ] {
            assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
        }
    }
}

/// The commands of the table of a section, each as words.
fn commands_of(section: &str) -> Vec<Vec<String>> {
    let page = text_of("deploy/operation/README.md");
    let (_, text) = page.split_once(section).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let commands = spans.filter_map(|span| span.strip_prefix("ftrack-ldap-sync "));
    commands
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn each_question_of_three_in_the_morning_is_answered_by_one_command() {
    let studio = studio();
    let studio = studio.for_a_daemon("users.protect = [\"svc-*\"]\nschedule = \"@yearly\"");
    let said = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = studio.run(&words);
        assert_eq!(ended.status, 0, "{words:?}: {}", ended.stderr);
        ended.stdout
    };
    let commands = commands_of("## Three in the morning");
    let told = [
        "liu.wei in artists: nothing is to be done",
        "No saved run wrote such a change on Tuesday, ",
        "deactivate of artists is paused until",
        "deactivate of artists is resumed",
        "process ",
        "STARTED",
        "Nothing is held.",
        "No hold has ended.",
        "sam.ortiz has no access any more, because the person is no longer in the directory",
        "reactivate sam.ortiz",
    ];
    assert_eq!(commands.len(), told.len(), "{commands:#?}");
    for (words, told) in commands.iter().zip(told) {
        // Everything but the status is answered without a daemon as well.
        let daemon = (words[0] == "status").then(|| Daemon::start(&studio));
        let shown = said(words);
        assert!(shown.contains(told), "{words:?}: {shown}");
        drop(daemon);
    }
    let today = commands[1]
        .iter()
        .map(|word| word.replace("tuesday", "today"));
    let shown = said(&today.collect::<Vec<_>>());
    assert!(
        shown.contains("  deactivate sam.ortiz (Sam Ortiz, sam.ortiz@studio.test), artists")
            && shown.contains("the person is no longer in the directory"),
        "{shown}"
    );
}

#[test]
fn each_configuration_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ftrack-api-key", "ldap-password"] {
        fs::write(folder.path().join(name), "a-secret").unwrap();
    }
    fs::write(folder.path().join("web-token"), "a-secret-of-the-pages").unwrap();
    for (number, block) in blocks("toml").into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.toml"));
        fs::write(&path, &block).unwrap();
        let loaded = config::load(&path, &Environment::default());
        assert!(loaded.is_ok(), "{}\n{block}", loaded.unwrap_err());
    }
}

#[test]
fn the_two_commands_are_on_the_front_page() {
    let two = "cargo run -- demo\ntests/run\n";
    assert!(
        fenced(&text_of("README.md"), "sh")
            .iter()
            .any(|block| block == two),
        "the README is to show {two}"
    );
}
