//! Findings of `check`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Finding {
    /// The subject, such as `directory studio ldaps://ldap1.studio.test` or `job artists`; findings
    /// with the same subject are grouped.
    pub about: String,
    /// The check, as a stable word such as `bind`.
    pub check: &'static str,
    pub result: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do; absent when the level is `Ok`.
    pub advice: Option<String>,
    /// What was found, for programs: the fields depend on the check, and many have none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<&'static str, Value>,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// It works, but probably not as intended.
    Warn,
    /// It does not work.
    Fail,
}

/// Collects the findings about one subject.
#[derive(Debug)]
pub struct About {
    about: String,
    findings: Vec<Finding>,
}

impl About {
    /// Starts without findings.
    #[must_use]
    pub fn new(about: String) -> Self {
        Self {
            about,
            findings: Vec::new(),
        }
    }

    /// Adds a finding without a problem.
    pub fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.push(check, Verdict::Ok, detail.into(), None);
    }

    /// Adds a warning.
    pub fn warn(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.push(check, Verdict::Warn, detail.into(), Some(advice.into()));
    }

    /// Adds a failure.
    pub fn fail(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.push(check, Verdict::Fail, detail.into(), Some(advice.into()));
    }

    /// Adds what the last finding found, for programs.
    pub fn facts(&mut self, facts: &BTreeMap<&'static str, Value>) {
        if let Some(last) = self.findings.last_mut() {
            last.facts.clone_from(facts);
        }
    }

    /// Whether something has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.result == Verdict::Fail)
    }

    /// Adds this advice to each finding with a problem, since all of them may have one cause. It
    /// takes the place of what these checks advise, which would then do harm.
    pub fn blame(&mut self, cause: &str, instead_of: &[&str]) {
        for finding in &mut self.findings {
            match (finding.result, &mut finding.advice) {
                (Verdict::Ok, _) => {}
                (Verdict::Warn | Verdict::Fail, Some(advice))
                    if !instead_of.contains(&finding.check) =>
                {
                    let apart = if advice.ends_with('?') { " " } else { "; " };
                    advice.push_str(apart);
                    advice.push_str(cause);
                }
                (Verdict::Warn | Verdict::Fail, advice) => *advice = Some(cause.to_owned()),
            }
        }
    }

    /// The findings, in the order in which they were added.
    #[must_use]
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn push(
        &mut self,
        check: &'static str,
        result: Verdict,
        detail: String,
        advice: Option<String>,
    ) {
        self.findings.push(Finding {
            about: self.about.clone(),
            check,
            result,
            detail,
            advice: advice.filter(|advice| !advice.is_empty()),
            facts: BTreeMap::new(),
        });
    }
}
