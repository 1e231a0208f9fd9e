//! Errors in a configuration: every finding, with the file and line (or the variable) and the key
//! that it is about.

use std::{
    error::Error,
    fmt::{self, Write},
    path::PathBuf,
};

/// One step of the path to a value: into a table, or into a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A key of a table.
    Key(String),
    /// A position in a list, counted from 0.
    Index(usize),
}

/// The path from the top of the configuration to a value; printed as in
/// `jobs.artists.search_bases[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// This path, extended by a key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// This path, extended by a position in a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The path of the parent; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        Some(Self(before.to_vec()))
    }

    /// The path of the table that this value is a key of; `None` for an element of a list, and at
    /// the top.
    pub(super) fn table(&self) -> Option<Self> {
        match self.0.last() {
            Some(Step::Key(_)) => self.parent(),
            Some(Step::Index(_)) | None => None,
        }
    }

    /// Whether this path is that path, or lies inside it.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// The keys of the path, without positions in lists.
    pub(super) fn keys(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect()
    }

    /// Whether this is the path of the whole configuration.
    pub(super) fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_char('.')?;
                    }
                    // A key that TOML requires to be quoted is shown in quotes, which also keeps
                    // line breaks out of the message.
                    let bare = !key.is_empty()
                        && key.bytes().all(|byte| {
                            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
                        });
                    if bare {
                        f.write_str(key)?
                    } else {
                        write!(f, "{key:?}")?
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Place {
    File {
        path: PathBuf,
        /// Counted from 1; absent when the finding is about the whole file.
        line: Option<usize>,
    },
    /// In an environment variable of this name.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => {
                f.write_str(&escape_control(&path.to_string_lossy()))?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))
            }
            Self::Variable(name) => write!(f, "environment variable {}", escape_control(name)),
        }
    }
}

/// One error, in one line that contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the value was written, or where it is missing.
    pub place: Place,
    /// The value; the top when it is about a whole file.
    pub key: KeyPath,
    /// What is wrong, and how to fix it.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_top() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&escape_control(&self.problem))
    }
}

/// All errors in a configuration, by file and line, then those in variables; never empty where it
/// is returned as an error. Printed as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_char('\n')?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for Findings {}

/// The longest name for which a similar one is looked for, in bytes.
const LONGEST: usize = 100;

/// The candidate most similar to a written name, if it is similar enough to be what was meant.
#[must_use]
pub fn nearest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Distances between long texts take long, and nobody misspells a name of this length.
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    // A third of the letters may be wrong: `fliter` still matches `filter`, and `foo` matches
    // nothing.
    let letters = written.chars().count();
    let most = (letters / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&written, &candidate.to_lowercase()),
                candidate,
            )
        })
        // Of a single letter nothing would be left.
        .filter(|(distance, _)| *distance <= most && *distance < letters)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A question to append to a message when a similar name exists; empty otherwise.
#[must_use]
pub fn did_you_mean<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(written, candidates)
        .map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// What to append to a message about a job that does not exist: the most similar name, and the others.
#[must_use]
pub fn other_jobs<'c>(written: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = did_you_mean(written, known.iter().copied());
    match known.as_slice() {
        [] => String::new(),
        // The only one is named once.
        [_] if !hint.is_empty() => hint,
        [one] => format!(" (the only job is {one})"),
        several => format!(" (the jobs are {}){hint}", several.join(", ")),
    }
}

/// Escapes whatever could break or forge a line.
fn escape_control(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default())
        } else {
            line.push(character)
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_toml_would_write_it() {
        let path = KeyPath::default()
            .key("jobs")
            .key("artists")
            .key("attributes")
            .key("custom_attributes.number")
            .key("x")
            .index(2);
        assert_eq!(
            path.to_string(),
            r#"jobs.artists.attributes."custom_attributes.number".x[2]"#
        );
        assert_eq!(KeyPath::default().key("a\nb").to_string(), r#""a\nb""#);
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["filter", "schedule", "splay"];
        assert_eq!(nearest("fliter", names), Some("filter"));
        assert_eq!(nearest("Schedul", names), Some("schedule"));
        assert_eq!(nearest("password", names), None);
        // Neither is compared, which would take long.
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("fliter", [long.as_str(), "filter"]), Some("filter"));
        assert_eq!(did_you_mean("spaly", names), r#"; did you mean "splay"?"#);
        assert_eq!(did_you_mean("x", names), "");
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding {
            place: Place::File {
                path: "/etc/a\nb.toml".into(),
                line: Some(3),
            },
            key: KeyPath::default().key("ftrack"),
            problem: "no\r\ngood".to_owned(),
        };
        assert_eq!(finding.to_string(), r"/etc/a\nb.toml:3: ftrack: no\r\ngood");
    }
}
