//! `--version` names the commit that was built, wherever it was built.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::ability;

fn done(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}:\n{said}");
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// Git in a folder, by nobody's own settings.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@studio.test"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    done(&mut git)
}

/// A program with the build script of this one, which prints what it provides.
fn package(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/build.rs");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::copy(script, folder.join("src/build.rs")).unwrap();
    let main = "fn main() { println!(env!(\"COMMIT_OF_THE_BUILD\")) }\n";
    fs::write(folder.join("src/main.rs"), main).unwrap();
    let manifest = "[package]\nname = \"probe\"\nedition = \"2024\"\nbuild = \
                    \"src/build.rs\"\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join(".gitignore"), "target\nCargo.lock\n").unwrap();
}

/// Builds and runs it, and returns the commit, with whether anything was compiled.
fn built(folder: &Path, given: Option<&str>) -> (String, bool) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--offline"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("FTRACK_LDAP_SYNC_COMMIT")
        .envs(given.map(|commit| ("FTRACK_LDAP_SYNC_COMMIT", commit)));
    let output = cargo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let commit = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    (commit, said.contains("Compiling"))
}

#[test]
fn the_commit_is_that_of_the_sources_and_follows_the_checkout() {
    if ability::must_skip("the commit", &["git"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("package");
    package(&here);
    assert_eq!(built(&here, None), ("unknown".into(), true));
    assert_eq!(built(&here, None), ("unknown".into(), false));
    assert_eq!(built(&here, Some("0123abc")).0, "0123abc");
    // Told nonsense, it says what it knows.
    assert_eq!(built(&here, Some("a\nb")).0, "unknown");

    // Unpacked inside another repository.
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(
        folder.path(),
        &["commit", "--quiet", "--allow-empty", "--message=outer"],
    );
    fs::write(here.join("src/build.rs"), script() + "\n").unwrap();
    assert_eq!(built(&here, None).0, "unknown");

    git(&here, &["init", "--quiet", "--initial-branch=main"]);
    git(&here, &["add", "."]);
    git(&here, &["commit", "--quiet", "--message=one"]);
    fs::write(here.join("src/build.rs"), script() + "\n\n").unwrap();
    let head = || git(&here, &["rev-parse", "--short", "HEAD"]);
    let first = head();
    assert_eq!(built(&here, None), (first.clone(), true));
    assert_eq!(built(&here, None), (first.clone(), false));
    git(&here, &["commit", "--quiet", "--all", "--message=two"]);
    assert_eq!(built(&here, None), (head(), true));
    git(&here, &["pack-refs", "--all"]);
    git(&here, &["checkout", "--quiet", "--force", &first]);
    assert_eq!(built(&here, None).0, first);

    let worktree = folder.path().join("worktree");
    let path = worktree.to_str().unwrap();
    git(
        &here,
        &["worktree", "add", "--quiet", "-b", "other", path, "main"],
    );
    let main = git(&here, &["rev-parse", "--short", "main"]);
    assert_eq!(built(&worktree, None).0, main);
}

fn script() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/build.rs")).unwrap()
}

#[test]
fn the_version_is_followed_by_the_commit() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    assert_eq!(
        done(program.arg("--version")),
        format!("ftrack-ldap-sync {}", ftrack_ldap_sync::VERSION_AND_COMMIT)
    );
    assert!(
        ftrack_ldap_sync::VERSION_AND_COMMIT.ends_with(&format!("({})", ftrack_ldap_sync::COMMIT))
    );
}
