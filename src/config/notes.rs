//! The findings so far, and where each value was written, while a configuration is checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::finding::{Finding, Findings, KeyPath, Place};

/// The findings so far, with what is needed to locate the next.
pub struct Notes {
    file: PathBuf,
    places: BTreeMap<KeyPath, Place>,
    findings: Vec<Finding>,
    excused: Vec<KeyPath>,
}

impl Notes {
    /// Notes on a configuration with this main file.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            places: BTreeMap::new(),
            findings: Vec::new(),
            excused: Vec::new(),
        }
    }

    /// Adds the places of a layer: its values hide those of the layers before it, while a table
    /// keeps the place where it was first opened.
    pub fn learn(&mut self, places: BTreeMap<KeyPath, Place>) {
        let tables: BTreeSet<KeyPath> = places.keys().filter_map(KeyPath::table).collect();
        for (key, place) in places {
            if self.places.contains_key(&key) && tables.contains(&key) {
                continue;
            }
            self.places.insert(key, place);
        }
    }

    /// Records that a value is wrong.
    pub fn find(&mut self, key: &KeyPath, problem: impl Into<String>) {
        let place = self.place(key);
        self.findings.push(Finding {
            place,
            key: key.clone(),
            problem: problem.into(),
        });
    }

    /// Records that a value is missing, unless there is already a finding about it.
    pub fn missing(&mut self, key: &KeyPath, advice: &str) {
        if !self.is_judged(key) {
            self.find(key, format!("missing; {advice}"));
        }
    }

    /// Adds a finding with its place.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Suppresses findings about a value and its content, since its key is wrong, which is a
    /// finding already.
    pub fn excuse(&mut self, key: KeyPath) {
        self.excused.push(key);
    }

    /// Whether there is a finding about a value or inside it, so that consequences need not be
    /// reported.
    pub fn is_judged(&self, key: &KeyPath) -> bool {
        let excused = |found: &KeyPath| found.is_within(key) || key.is_within(found);
        self.findings
            .iter()
            .any(|finding| finding.key.is_within(key))
            || self.excused.iter().any(excused)
    }

    /// The variable that sets a value; none where a file does.
    pub fn variable(&self, key: &KeyPath) -> Option<String> {
        match self.place(key) {
            Place::Variable(name) => Some(name),
            Place::File { .. } => None,
        }
    }

    /// The file in which a value stands; none where a variable sets it.
    pub fn file(&self, key: &KeyPath) -> Option<PathBuf> {
        match self.place(key) {
            Place::File { path, line: _ } => Some(path),
            Place::Variable(_) => None,
        }
    }

    /// The names of the tables in a table, such as those of the jobs.
    pub fn names_in(&self, table: &str) -> BTreeSet<String> {
        let within = self.places.keys().map(KeyPath::keys);
        within
            .filter(|keys| keys.first() == Some(&table))
            .filter_map(|keys| keys.get(1).map(|name| (*name).to_owned()))
            .collect()
    }

    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub fn count(&self) -> usize {
        self.findings.len()
    }

    pub fn into_findings(self) -> Findings {
        let mut findings: Vec<Finding> = Vec::with_capacity(self.findings.len());
        for finding in self.findings {
            // What is wrong for all jobs is found for each of them.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by(|one, other| order(&one.place).cmp(&order(&other.place)));
        Findings(findings)
    }

    /// Where a value was written, or the nearest table around it if it was not.
    fn place(&self, key: &KeyPath) -> Place {
        let mut around = Some(key.clone());
        while let Some(key) = around {
            if let Some(place) = self.places.get(&key) {
                return place.clone();
            }
            around = key.parent();
        }
        Place::File {
            path: self.file.clone(),
            line: None,
        }
    }
}

/// Files before variables, each in the order of its lines.
fn order(place: &Place) -> (bool, &str, Option<usize>) {
    match place {
        Place::File { path, line } => (false, path.to_str().unwrap_or_default(), *line),
        Place::Variable(name) => (true, name, None),
    }
}
