//! The files of a configuration that is not in force yet: in a folder beside their later places, which
//! is removed when nothing comes of it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
};

use tempfile::{TempDir, TempPath};

use super::{InitArgs, KEY_FILE, PASSWORD_FILE, answers::Answers, beside};
use crate::{
    cli::{BindWith, Stop},
    config::{self, Config, Environment},
};

/// The configuration's name while it is tried.
const CONFIG: &str = "config.toml";

/// A folder with the files as they will be.
pub struct Stage {
    folder: TempDir,
    out: PathBuf,
}

impl Stage {
    /// Makes the folder.
    ///
    /// # Errors
    /// A file that would be written exists, or there is no folder for it.
    pub fn new(out: &Path, args: &InitArgs) -> Result<Self, Stop> {
        let beside = beside(out);
        let secrets = [
            (
                PASSWORD_FILE,
                args.bind_password_file.is_none() && args.bind_with() == BindWith::Password,
                "--bind-password-file",
            ),
            (KEY_FILE, args.api_key_file.is_none(), "--api-key-file"),
        ];
        let exists = |path: &Path| !args.force && fs::symlink_metadata(path).is_ok();
        if exists(out) {
            return Err(Stop::usage(&format!(
                "{} exists; choose another file with --out, or replace it with --force",
                out.display()
            )));
        }
        for (name, is_typed, option) in secrets {
            let path = beside.join(name);
            if is_typed && exists(&path) {
                return Err(Stop::usage(&format!(
                    "{0} exists; use it with {option} {0}, or replace it with --force",
                    path.display()
                )));
            }
        }
        let folder = TempDir::with_prefix_in(".ftrack-ldap-sync-init-", beside);
        let folder = folder.map_err(|error| {
            Stop::usage(&format!(
                "nothing can be written in the folder {}: {error}",
                beside.display()
            ))
        })?;
        Ok(Self {
            folder,
            out: out.to_owned(),
        })
    }

    /// Writes the files into the folder, and loads them.
    ///
    /// # Errors
    /// What of the answers makes no configuration.
    pub fn config(&self, answers: &Answers) -> Result<Config, String> {
        let file = self.write(answers).map_err(|error| format!("{error:#}"))?;
        // The environment may say otherwise, and is not what is written.
        config::load(&file, &Environment::default()).map_err(|findings| {
            let said = findings.to_string();
            let lines = said.lines().map(|line| without_place(line, &file));
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    /// A state directory in which a check keeps nothing.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn write(&self, answers: &Answers) -> anyhow::Result<PathBuf> {
        let file = self.folder.path().join(CONFIG);
        put(&file, 0o644, answers.to_toml()?.as_bytes())?;
        for (name, mode, content) in answers.files() {
            put(
                &self.folder.path().join(name),
                mode,
                content.expose().as_bytes(),
            )?;
        }
        for (name, place) in answers.in_place() {
            let staged = self.folder.path().join(name);
            remove(&staged)?;
            symlink(place, staged)?;
        }
        // Before a key is known, its file has something with which an address can be tried.
        if answers.key.is_none() {
            put(&self.folder.path().join(KEY_FILE), 0o600, b"unknown")?;
        }
        Ok(file)
    }

    /// Puts the files in their places, the configuration last, and names them. Those that are
    /// `replaced` may be there.
    ///
    /// # Errors
    /// One cannot be put there; then none is, unless they may replace others.
    pub fn persist(
        self,
        answers: &Answers,
        force: bool,
        replaced: &[&str],
    ) -> Result<Vec<PathBuf>, Stop> {
        let beside = beside(&self.out);
        // While it was tried, it was elsewhere.
        let text = answers.to_toml_in(Some(beside));
        text.and_then(|text| {
            Ok(put(
                &self.folder.path().join(CONFIG),
                0o644,
                text.as_bytes(),
            )?)
        })
        .map_err(|error| Stop::failed(&format!("{error:#}")))?;
        let files = answers.files();
        let files = files.iter().map(|(name, ..)| (*name, beside.join(name)));
        let all: Vec<(&str, PathBuf)> = files.chain([(CONFIG, self.out.clone())]).collect();
        let mut written: Vec<PathBuf> = Vec::new();
        for (staged, place) in all {
            let may_exist = |name: &str| force || replaced.contains(&name);
            let from = self.folder.path().join(staged);
            if let Err(error) = move_to(&from, &place, may_exist(staged)) {
                for path in &written {
                    let name = path.file_name().and_then(|name| name.to_str());
                    if !name.is_some_and(may_exist) {
                        // It was not there before.
                        let _ = fs::remove_file(path);
                    }
                }
                return Err(Stop::failed(&format!(
                    "{} cannot be written: {error}",
                    place.display()
                )));
            }
            written.push(place);
        }
        written.reverse();
        Ok(written)
    }
}

/// What is wrong, without the place in a file that nobody has seen.
fn without_place<'l>(line: &'l str, file: &Path) -> &'l str {
    let rest = line.strip_prefix(&file.display().to_string());
    let said = rest.and_then(|rest| rest.split_once(": "));
    said.map_or(line, |(_, said)| said)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file with these rights.
fn put(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Moves a file, at one stroke, to where none is, unless it may be replaced.
fn move_to(from: &Path, to: &Path, force: bool) -> io::Result<()> {
    let staged = TempPath::try_from_path(from)?;
    if force {
        staged.persist(to)?;
    } else {
        staged.persist_noclobber(to)?;
    }
    Ok(())
}
