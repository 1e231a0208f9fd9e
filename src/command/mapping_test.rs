//! `config test`: a job's mapping with the entries of LDIF files, beside the users expected of them. No
//! server is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::{job, print_json, print_text};
use crate::{
    cli::{ConfigTestArgs, Exit, Format, Stop},
    config::{self, Config, Environment},
    directory::{from_file, from_file::Beside, ldif::Ldif},
    model::{
        entry::{DirectoryId, Entry},
        server_kind::ServerKind,
    },
    run::{CompiledRules, LdapRules},
    sync::desired::{Identified, Mapped},
};

mod compare;
mod expected;
mod text;

use compare::{Tested, compare, key};
use expected::{Expected, Outcome, outcomes};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 8 << 20;
/// The most LDIF files of a folder.
const MOST_FILES: usize = 1000;
/// How their names end.
const LDIF: &str = ".ldif";
const EXPECTED: &str = ".expected.toml";

/// What `config test --format json` prints.
#[derive(Debug, Serialize)]
struct TestResult {
    job: String,
    files: Vec<FileResult>,
    passed: usize,
    failed: usize,
    /// Whether nothing failed.
    ok: bool,
}

/// The result of one LDIF file with its expected file.
#[derive(Debug, Default, Serialize)]
struct FileResult {
    /// The name of the LDIF file.
    file: String,
    /// The kind of directory as of which it was judged.
    kind: Option<&'static str>,
    entries: Vec<Tested>,
    /// Why it could not be tested.
    error: Option<String>,
    /// With `--write`, what became of the expected file.
    written: Option<Written>,
    notes: Vec<String>,
}

/// What `--write` did to an expected file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Created,
    Updated,
    Unchanged,
}

/// `config test`: 0 when every entry is as expected, 1 when one is not, or a file cannot be tested, 2
/// when there is nothing to test.
///
/// # Errors
/// The configuration or the folder cannot be used.
pub(super) fn test(file: &Path, args: &ConfigTestArgs) -> Result<Exit, Stop> {
    // What it takes to test a mapping is no secret.
    let config = config::without_secrets(file, &Environment::of_process());
    let config = Arc::new(config.map_err(|findings| Stop::usage(&findings))?);
    let (name, job) = job(&config, args.job.as_deref())?;
    let rules = CompiledRules::new(&config, name, job);
    let Some(rules) = rules.ldap() else {
        return Err(Stop::usage(&format!(
            "the job {name} has ftrack do its own synchronisation, so it has no mapping to test"
        )));
    };
    let folder = Folder::read(&args.folder)?;
    let job = TestedJob {
        rules,
        id_attribute: id_attribute(&config, rules),
        kind: rules.kind.or(args.kind),
    };
    let files = folder.test(&job, args.write);
    let entries = || files.iter().flat_map(|file| &file.entries);
    let passed = entries().filter(|entry| entry.passed).count();
    let failed = entries().count() - passed;
    let ok = failed == 0 && files.iter().all(|file| file.error.is_none());
    let result = TestResult {
        job: name.to_owned(),
        passed,
        failed,
        ok,
        files,
    };
    match args.format {
        Format::Text => print_text(&text::text(&result))?,
        Format::Json => print_json(&result)?,
    };
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

fn id_attribute(config: &Config, rules: &LdapRules) -> Option<String> {
    let directory = config.directories.get(&rules.job.directory)?;
    directory.id_attribute.clone()
}

/// What is tested.
struct TestedJob<'a> {
    rules: &'a LdapRules,
    id_attribute: Option<String>,
    /// As configured, or as said on the command line.
    kind: Option<ServerKind>,
}

/// The files of a folder, by what stands before `.ldif` and `.expected.toml`.
struct Folder {
    path: PathBuf,
    ldifs: BTreeSet<String>,
    expected: BTreeSet<String>,
}

impl Folder {
    fn read(path: &Path) -> Result<Self, Stop> {
        let unreadable = |error: io::Error| {
            Stop::usage(&format!(
                "the folder {} cannot be read: {error}",
                path.display()
            ))
        };
        let mut folder = Self {
            path: path.to_owned(),
            ldifs: BTreeSet::new(),
            expected: BTreeSet::new(),
        };
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(name) = name.strip_suffix(LDIF) {
                folder.ldifs.insert(name.to_owned());
            } else if let Some(name) = name.strip_suffix(EXPECTED) {
                folder.expected.insert(name.to_owned());
            }
        }
        if folder.ldifs.is_empty() && folder.expected.is_empty() {
            return Err(Stop::usage(&format!(
                "the folder {} has no file NAME.ldif to test; `ldapsearch -LLL … '*' '+'` prints \
                 entries as LDIF",
                path.display()
            )));
        }
        if folder.ldifs.len() > MOST_FILES {
            return Err(Stop::usage(&format!(
                "the folder {} has {} LDIF files; {MOST_FILES} are the most",
                path.display(),
                folder.ldifs.len()
            )));
        }
        Ok(folder)
    }

    fn file(&self, name: &str, suffix: &str) -> PathBuf {
        self.path.join(format!("{name}{suffix}"))
    }

    /// Tests all files; of what is written, nothing fails.
    fn test(&self, job: &TestedJob<'_>, write: bool) -> Vec<FileResult> {
        let parsed: BTreeMap<&String, Result<Ldif, String>> = self
            .ldifs
            .iter()
            .map(|name| (name, ldif(&self.file(name, LDIF))))
            .collect();
        // A file of groups alone is for all the others.
        let is_of_groups = |name: &String, ldif: &Ldif| {
            !self.expected.contains(name)
                && !ldif.entries.is_empty()
                && from_file::are_all_groups(ldif)
        };
        let mut of_groups: Vec<&Entry> = Vec::new();
        let mut of_schema: Vec<&Entry> = Vec::new();
        let mut tested: Vec<(&String, Result<&Ldif, &String>)> = Vec::new();
        for (name, ldif) in &parsed {
            match ldif {
                Ok(ldif) if !ldif.entries.is_empty() && from_file::is_schema(ldif) => {
                    of_schema.extend(ldif.entries.iter().map(|(_, entry)| entry));
                }
                Ok(ldif) if is_of_groups(name, ldif) => {
                    of_groups.extend(ldif.entries.iter().map(|(_, entry)| entry));
                }
                ldif => tested.push((name, ldif.as_ref())),
            }
        }
        let beside = Beside {
            groups: &of_groups,
            schema: &of_schema,
            pictures: job.rules.pictures(),
        };
        let mut results: Vec<FileResult> = tested
            .into_iter()
            .map(|(name, ldif)| {
                let mut result = FileResult {
                    file: format!("{name}{LDIF}"),
                    ..FileResult::default()
                };
                let done = ldif.map_err(Clone::clone).and_then(|ldif| {
                    self.test_one((name, ldif), beside, job, (write, &mut result))
                });
                result.error = done.err();
                result
            })
            .collect();
        for name in self.expected.difference(&self.ldifs) {
            results.push(FileResult {
                file: format!("{name}{LDIF}"),
                error: Some(format!(
                    "it is missing, and {name}{EXPECTED} says what is expected of it"
                )),
                ..FileResult::default()
            });
        }
        results
    }

    fn test_one(
        &self,
        (name, ldif): (&str, &Ldif),
        beside: Beside<'_>,
        job: &TestedJob<'_>,
        (write, result): (bool, &mut FileResult),
    ) -> Result<(), String> {
        if ldif.entries.is_empty() {
            return Err("it has no entries".to_owned());
        }
        let kind = job.kind.unwrap_or_else(|| {
            let kind = from_file::kind_of(ldif);
            result.notes.push(format!(
                "its entries are judged as those of the kind {kind}, as they look; set kind in the \
                 configuration, or --kind, to be sure"
            ));
            kind
        });
        result.kind = Some(kind.name());
        let request = job.rules.request_of_file(job.id_attribute.clone());
        let mapping = job.rules.mappings.of(kind);
        let read = from_file::from_file((ldif, beside), &request, kind, |_, entry| {
            mapping.map(entry)
        });
        let read = read.map_err(|fault| fault.to_string())?;
        result.notes.extend(mapping.empty_rules(&people(&read)));
        let (actual, notes) = outcomes(read, &job.rules.job, mapping);
        result.notes.extend(notes);
        let path = self.file(name, EXPECTED);
        let before = if self.expected.contains(name) {
            Some(expected(&path)?)
        } else {
            None
        };
        let expected = match (before, write) {
            (before, true) => {
                let (now, what) = written(before, &actual, &path)?;
                result.written = Some(what);
                now
            }
            (Some(expected), false) => expected,
            (None, false) => {
                return Err(format!(
                    "{name}{EXPECTED} is missing, which says what is expected of its entries; --write \
                     writes what the mapping gives now"
                ));
            }
        };
        result.entries = compare(&expected, actual);
        Ok(())
    }
}

/// The people who could be mapped, to see which rules give nobody anything.
fn people(read: &from_file::FromFile<Mapped>) -> Vec<Identified> {
    let persons = read
        .entries
        .iter()
        .filter_map(|entry| match &entry.standing {
            from_file::Standing::Person(shown) => match &shown.mapped {
                Mapped::Person(person) => Some((
                    DirectoryId::new(&format!("line-{}", entry.line))?,
                    person.clone(),
                )),
                Mapped::Skipped { .. } | Mapped::Alias { .. } => None,
            },
            from_file::Standing::OutsideBases
            | from_file::Standing::FilteredOut
            | from_file::Standing::NotAMember => None,
        });
    persons.collect()
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let most = LARGEST + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let length = u64::try_from(bytes.len()).unwrap_or(most);
    if length > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    Ok(bytes)
}

fn ldif(path: &Path) -> Result<Ldif, String> {
    Ldif::parse(&bytes(path)?).map_err(|error| error.to_string())
}

fn expected(path: &Path) -> Result<Expected, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let wrong = |what: &dyn std::fmt::Display| format!("{name}: {what}");
    let bytes = bytes(path).map_err(|error| wrong(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not text (UTF-8)"))?;
    let expected: Expected =
        toml::from_str(&text).map_err(|error| wrong(&error.to_string().trim_end()))?;
    let mut seen = BTreeSet::new();
    for outcome in &expected.entries {
        if !seen.insert(key(&outcome.dn)) {
            return Err(wrong(&format!("it has {} twice", outcome.dn)));
        }
    }
    Ok(expected)
}

/// What stands above the entries of a file that was written.
const HEADER: &str = "\
# What the mapping is to make of the entries of the LDIF file beside this one, for
# `ftrack-ldap-sync config test`; `--write` writes it anew.

";

/// Writes what the mapping gives now, where that is not what the file says.
fn written(
    before: Option<Expected>,
    actual: &[(bool, Outcome)],
    path: &Path,
) -> Result<(Expected, Written), String> {
    let people = actual
        .iter()
        .filter(|(is_unread_group, _)| !is_unread_group);
    let now = Expected {
        entries: people.map(|(_, outcome)| outcome.clone()).collect(),
    };
    let what = match before {
        Some(before) if before == now => return Ok((now, Written::Unchanged)),
        Some(_) => Written::Updated,
        None => Written::Created,
    };
    let unwritten = |error: &dyn std::fmt::Display| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} cannot be written: {error}")
    };
    let text = toml::to_string(&now).map_err(|error| unwritten(&error))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let save = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(format!("{HEADER}{text}").as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    save().map_err(|error| unwritten(&error))?;
    Ok((now, what))
}
