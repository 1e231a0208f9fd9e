//! Run by cargo before it compiles the program: finds the commit that is built, for `--version` and
//! the metrics.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "this is how cargo and a build script speak"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The commit, where a packager sets it in the environment of the build.
const GIVEN: &str = "FTRACK_LDAP_SYNC_COMMIT";
/// The variable for the program. Cargo also sets it for programs that it runs, which take a variable
/// of their own prefix for a key of their configuration.
const VARIABLE: &str = "COMMIT_OF_THE_BUILD";

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let given = env::var(GIVEN).ok().filter(|commit| is_commit(commit));
    let commit = given.or_else(|| of_checkout(Path::new(&env::var_os("CARGO_MANIFEST_DIR")?)));
    let commit = commit.as_deref().unwrap_or("unknown");
    println!("cargo::rustc-env={VARIABLE}={commit}");
}

/// The short hash of the commit that is checked out, if the sources are a checkout of their own;
/// cargo runs this again when another one is.
fn of_checkout(sources: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(sources)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // Sources that were unpacked inside another repository are not that repository's commit.
    let top = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if top != fs::canonicalize(sources).ok()? {
        return None;
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    // The log of HEAD grows with each commit; where none is kept, the branch's own file changes.
    let moving = ["HEAD", "logs/HEAD", "packed-refs"].into_iter();
    for name in moving.chain(branch.as_deref()) {
        let file = sources.join(git(&["rev-parse", "--git-path", name]).map(PathBuf::from)?);
        // Cargo would run this each time for a file that does not exist.
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    git(&["rev-parse", "--short", "HEAD"]).filter(|commit| is_commit(commit))
}

fn is_commit(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}
