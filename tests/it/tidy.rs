//! Rules of this project that no linter knows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod graph;
mod layers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every source file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "{folder} holds no sources");
    found.sort();
    found
}

fn is_in(path: &Path, rooms: &[&str]) -> bool {
    rooms
        .iter()
        .any(|room| path.to_string_lossy().contains(&format!("/src/{room}")))
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let of = |folder, most| {
        sources(folder)
            .into_iter()
            .map(move |source| (source, most))
    };
    for ((path, text), most) in of("src", 650).chain(of("tests", 800)) {
        let lines = text.lines().count();
        assert!(
            lines <= most,
            "{} has {lines} lines; {most} are the most",
            path.display()
        );
        assert!(
            text.starts_with("//! ") || text.starts_with("#![doc = include_str!"),
            "{} does not open with what it is for",
            path.display()
        );
    }
}

#[test]
fn few_files_write_to_ftrack_and_one_room_speaks_to_logs() {
    for (path, text) in sources("src") {
        // Pictures and invitations follow changes that were written; `check` asks with operations that
        // change nothing whether they would be allowed.
        let writes = [
            "ftrack/write.rs",
            "ftrack/picture.rs",
            "ftrack/invite.rs",
            // The groups that users are to join are made first.
            "ftrack/write/new_groups.rs",
            "ftrack/session/writer.rs",
            "ftrack/rights.rs",
        ];
        assert!(
            !text.contains("write_call(") || is_in(&path, &writes),
            "{} writes to ftrack",
            path.display()
        );
        let speaks = [
            "tracing::info!",
            "tracing::warn!",
            "tracing::error!",
            "tracing::debug!",
        ]
        .iter()
        .any(|word| text.contains(word));
        assert!(
            !speaks || is_in(&path, &["event.rs", "event/"]),
            "{} logs past event.rs",
            path.display()
        );
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    for (path, text) in sources("src") {
        let reads = text.contains("std::env::") || text.contains("env::var");
        assert!(
            !reads || is_in(&path, &["config/layers.rs", "build.rs"]),
            "{} reads the environment",
            path.display()
        );
    }
}

#[test]
fn tests_do_not_sleep_and_are_not_ignored() {
    for (path, text) in sources("tests") {
        for word in [
            concat!("#[ig", "nore"),
            concat!("thread::sl", "eep"),
            concat!("time::sl", "eep"),
        ] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let output = Command::new("git")
        .args(["ls-files"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "src",
        "tests",
        "deploy",
        "systemd",
        "config",
    ];
    for path in String::from_utf8(output.stdout).unwrap().lines() {
        let top = path.split('/').next().unwrap();
        assert!(
            top.starts_with('.') || allowed.contains(&top),
            "{path} lies at the top level"
        );
    }
}
