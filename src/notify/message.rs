//! One message, for programs as it is, and for people as [`Shown`](super::shown::Shown).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{
    digest::Digest,
    ended::{Ended, LISTED, ToldPerson, of_a_run, short},
    occasions::{Before, new},
    program_text::ProgramText,
};
use crate::{
    config::Environment,
    model::{
        counts::Counts, occasion::Occasion, open_hold::OpenHold, report::Outcome,
        way_to_approve::in_hold,
    },
};

/// The namespace of the ids of messages.
const NAMESPACE: Uuid = Uuid::from_u128(0x7b1e_94c2_0d5f_4a36_9c8e_51f2_6ab3_d7e4);

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The version of this form.
    pub version: u32,
    /// The same in each attempt to deliver it.
    pub id: Uuid,
    /// What it is about: [`Occasion`]s, the most urgent first, or `test`.
    pub occasions: Vec<ProgramText>,
    pub job: String,
    /// The machine on which the program runs.
    pub host: String,
    /// Null where it is about no run.
    pub run: Option<String>,
    pub outcome: Option<Outcome>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the run failed.
    pub error: Option<String>,
    /// What kind of failure it was, as in reports.
    pub error_kind: Option<ProgramText>,
    pub counts: Option<Counts>,
    /// Whether ftrack's own synchronisation did more than the job's limits allow.
    pub alarm: bool,
    /// The holds that it is about.
    pub holds: Vec<ToldHold>,
    /// The people whom it is about, 50 at most.
    pub people: Vec<ToldPerson>,
    /// How many more there are.
    pub more_people: usize,
    /// The summary of a week.
    pub digest: Option<Digest>,
    /// The page of the run on the daemon's web page, where that is configured.
    pub run_url: Option<Url>,
    /// The daemon's web page, where it is configured.
    pub page_url: Option<Url>,
}

/// What is told of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldHold {
    pub hold: u64,
    pub held_by: ProgramText,
    pub kind: ProgramText,
    pub changes: usize,
    pub since: DateTime<Utc>,
    pub why: String,
    /// The first of those whom it holds, by login.
    pub people: Vec<String>,
    /// Where it can be approved, where the web page is configured.
    pub url: Option<Url>,
    /// The command that approves it.
    pub command: String,
}

/// The most people whom a message lists of one hold, and the most holds.
const LISTED_OF_HOLD: usize = 20;

/// For whom a message is made.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct About<'a> {
    pub job: &'a str,
    pub host: &'a str,
    pub page_url: Option<&'a Url>,
}

impl About<'_> {
    /// A message about nothing yet; those about the same have the same id.
    fn message(self, occasions: Vec<&'static str>, of: &str) -> Message {
        let name = format!("{}\0{}\0{of}\0{}", self.host, self.job, occasions.join(","));
        Message {
            version: 1,
            id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
            occasions: occasions.into_iter().map(ProgramText::Borrowed).collect(),
            job: self.job.to_owned(),
            host: self.host.to_owned(),
            run: None,
            outcome: None,
            started_at: None,
            finished_at: None,
            error: None,
            error_kind: None,
            counts: None,
            alarm: false,
            holds: Vec::new(),
            people: Vec::new(),
            more_people: 0,
            digest: None,
            run_url: None,
            page_url: self.page_url.cloned(),
        }
    }

    /// About a run that has ended.
    #[must_use]
    pub fn run(
        self,
        ended: &Ended,
        before: &Before,
        waiting: &[OpenHold],
        occasions: &[Occasion],
    ) -> Message {
        let run = &ended.summary;
        let is_about = |occasion| occasions.contains(&occasion);
        let mut people = Vec::new();
        let mut all = 0;
        if is_about(Occasion::Partial) {
            all += new(ended, before).count();
            let new = new(ended, before).map(|not_done| not_done.person.clone());
            people.extend(new.take(LISTED));
        }
        if is_about(Occasion::Changes) || (is_about(Occasion::Partial) && run.alarm) {
            all += ended.changed;
            let room = LISTED.saturating_sub(people.len());
            people.extend(ended.applied.iter().take(room).cloned());
        }
        let holds = waiting.iter().filter(|_| is_about(Occasion::Held));
        let names = occasions.iter().map(|occasion| occasion.as_str()).collect();
        Message {
            run: Some(run.run.clone()),
            outcome: Some(run.outcome),
            started_at: Some(run.started_at),
            finished_at: Some(run.finished_at),
            error: run.error.clone(),
            error_kind: run.error_kind.map(|kind| kind.as_str().into()),
            counts: Some(run.counts.clone()),
            alarm: run.alarm,
            holds: holds
                .take(LISTED_OF_HOLD)
                .map(|hold| self.hold(hold))
                .collect(),
            more_people: all.saturating_sub(people.len()),
            people,
            run_url: self.page(&["runs", self.job, &run.run]),
            ..self.message(names, &run.run)
        }
    }

    /// About a run that left no report.
    #[must_use]
    pub fn broken(self, error: &str, now: DateTime<Utc>) -> Message {
        Message {
            outcome: Some(Outcome::Failed),
            finished_at: Some(now),
            error: Some(of_a_run(error)),
            ..self.message(vec![Occasion::Failed.as_str()], &now.to_rfc3339())
        }
    }

    /// The summary of a week.
    #[must_use]
    pub fn digest(self, digest: Digest, open: &[OpenHold]) -> Message {
        let of = digest.until.to_rfc3339();
        let holds = open.iter().take(LISTED_OF_HOLD);
        Message {
            holds: holds.map(|hold| self.hold(hold)).collect(),
            digest: Some(digest),
            ..self.message(vec![Occasion::Digest.as_str()], &of)
        }
    }

    /// About nothing: only that the job is alive, as this run shows.
    #[must_use]
    pub fn alive(self, run: &str) -> Message {
        Message {
            run: Some(run.to_owned()),
            ..self.message(Vec::new(), run)
        }
    }

    /// A test.
    #[must_use]
    pub fn test(self, now: DateTime<Utc>) -> Message {
        self.message(vec!["test"], &now.to_rfc3339())
    }

    /// A page below the daemon's web page, where that is configured.
    fn page(self, path: &[&str]) -> Option<Url> {
        let mut url = self.page_url?.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        Some(url)
    }

    fn hold(self, hold: &OpenHold) -> ToldHold {
        let people = hold.people.iter().take(LISTED_OF_HOLD);
        ToldHold {
            hold: hold.hold.get(),
            held_by: hold.held_by.as_str().into(),
            kind: hold.kind.as_str().into(),
            changes: hold.changes,
            since: hold.since,
            why: short(&in_hold(&hold.why, hold.hold)),
            people: people.map(|person| short(&person.username)).collect(),
            url: self.page(&["holds", &hold.hold.to_string()]),
            command: format!(
                "{} approve {}",
                Environment::of_process().program(),
                hold.hold
            ),
        }
    }
}
