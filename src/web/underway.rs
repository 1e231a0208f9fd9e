//! What was begun on a page and goes on beside it: runs, plans and approvals, until they end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{Site, answer::Answer, visitor::Visitor};
use crate::{
    daemon::commands::RunUpdate,
    event::web::WebEvent,
    model::{hold_number::HoldNumber, page_action::AskedAction},
};

/// The most that are remembered; the oldest ones that ended are forgotten.
const MOST: usize = 200;

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// A run of a job.
    Run(String),
    /// A dry run of a job.
    Plan(String),
    /// An approval.
    Approval(HoldNumber),
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// It goes on.
    UnderWay,
    /// It ended with a report.
    Reported {
        job: String,
        run: String,
        outcome: &'static str,
    },
    /// It ended without one.
    Ended(String),
}

/// Something that was begun.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub at: DateTime<Utc>,
    pub by: String,
    pub course: Course,
}

/// Everything that was begun of late.
#[derive(Debug, Default)]
pub(super) struct Underway(Mutex<BTreeMap<About, Begun>>);

impl Underway {
    fn open(&self) -> MutexGuard<'_, BTreeMap<About, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, about: &About) -> Option<Begun> {
        self.open().get(about).cloned()
    }

    /// The job of the plan that is being made, if one is.
    pub(super) fn plan(&self) -> Option<String> {
        self.open().iter().find_map(|(about, begun)| match about {
            About::Plan(job) if begun.course == Course::UnderWay => Some(job.clone()),
            About::Plan(_) | About::Run(_) | About::Approval(_) => None,
        })
    }

    /// Notes that a plan is being made, unless one is already.
    pub(super) fn begin_plan(&self, job: &str, by: &str, at: DateTime<Utc>) -> bool {
        if self.plan().is_some() {
            return false;
        }
        self.begin(About::Plan(job.to_owned()), by, at);
        true
    }

    /// Notes that a hold is being approved, unless it is already.
    pub(super) fn begin_approval(&self, hold: HoldNumber, by: &str, at: DateTime<Utc>) -> bool {
        let about = About::Approval(hold);
        let known = self.of(&about);
        if known.is_some_and(|begun| begun.course == Course::UnderWay) {
            return false;
        }
        self.begin(about, by, at);
        true
    }

    /// Forgets what was not begun after all.
    pub(super) fn forget(&self, about: &About) {
        self.open().remove(about);
    }

    pub(super) fn begin(&self, about: About, by: &str, at: DateTime<Utc>) {
        let mut all = self.open();
        while all.len() >= MOST {
            let ended = all
                .iter()
                .filter(|(_, begun)| begun.course != Course::UnderWay);
            let oldest = ended.min_by_key(|(_, begun)| begun.at);
            let Some(oldest) = oldest.map(|(about, _)| about.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        let by = by.to_owned();
        let course = Course::UnderWay;
        all.insert(about, Begun { at, by, course });
    }

    fn end(&self, about: &About, course: Course) {
        if let Some(begun) = self.open().get_mut(about) {
            begun.course = course;
        }
    }
}

impl Site {
    /// Does something to its end, also where whoever asked for it has gone meanwhile.
    pub(super) async fn to_its_end(
        &self,
        visitor: &Visitor,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        let done = tokio::spawn(work).await;
        done.unwrap_or_else(|error| Err(self.broken(visitor, &error.to_string())))
    }

    /// Follows what was begun to its end, also when nobody looks, and saves what became of it.
    pub(super) fn follow(
        self: &Arc<Self>,
        about: About,
        (number, asked): (u64, AskedAction),
        mut told: mpsc::Receiver<RunUpdate>,
    ) {
        let site = Arc::clone(self);
        tokio::spawn(async move {
            let course = loop {
                match told.recv().await {
                    Some(RunUpdate::Waiting | RunUpdate::Started | RunUpdate::Progress(_)) => {}
                    Some(RunUpdate::Finished { report }) => {
                        break Course::Reported {
                            outcome: report.outcome.as_str(),
                            job: report.job,
                            run: report.run,
                        };
                    }
                    Some(RunUpdate::NothingChanged) => {
                        break Course::Ended("nothing had changed".to_owned());
                    }
                    Some(RunUpdate::Ended { error }) => break Course::Ended(error),
                    None => break Course::Ended("it ended without a report".to_owned()),
                }
            };
            let result = match &course {
                Course::UnderWay => String::new(),
                Course::Reported { run, outcome, .. } => format!("{outcome}, run {run}"),
                Course::Ended(error) => error.clone(),
            };
            site.underway.end(&about, course);
            site.ended(number, &asked, &result).await;
        });
    }

    /// Saves what became of an action, and logs it.
    pub(super) async fn ended(&self, number: u64, asked: &AskedAction, result: &str) {
        WebEvent::Action { asked, result }.emit();
        let (state, result) = (Arc::clone(&self.http.state), result.to_owned());
        let saving = tokio::task::spawn_blocking(move || state.end_action(number, &result));
        // It is in the log, and in the history.
        let _ = saving.await;
    }
}
