//! One finding of `check`, and the list that they are gathered in.

use serde::Serialize;

/// One thing that was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to, such as `directory studio ldaps://ldap1.studio.test` or `job artists`;
    /// findings of one thing stand together.
    pub about: String,
    /// What was looked at; a stable word such as `bind`.
    pub check: &'static str,
    /// How it is.
    pub result: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do; absent where all is well.
    pub advice: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It works, but is hardly what is wanted.
    Warn,
    /// It does not work.
    Fail,
}

/// The findings about one thing.
#[derive(Debug)]
pub struct About {
    about: String,
    findings: Vec<Finding>,
}

impl About {
    /// Nothing found yet.
    #[must_use]
    pub fn new(about: String) -> Self {
        Self {
            about,
            findings: Vec::new(),
        }
    }

    /// All is well.
    pub fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.push(check, Verdict::Ok, detail.into(), None);
    }

    /// It works, but is hardly what is wanted.
    pub fn warn(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.push(check, Verdict::Warn, detail.into(), Some(advice.into()));
    }

    /// It does not work.
    pub fn fail(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.push(check, Verdict::Fail, detail.into(), Some(advice.into()));
    }

    /// The findings, in the order in which they came.
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
        });
    }
}
