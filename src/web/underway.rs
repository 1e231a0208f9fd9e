//! What was begun on a page and goes on beside it: runs, plans and approvals, until they end; and what is
//! done at once, each to its end also where whoever asked for it has gone.

use std::{
    collections::BTreeMap,
    mem::discriminant,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{Site, answer::Refused, visitor::Visitor};
use crate::{
    daemon::{
        commands::{CommandError, RunUpdate},
        control::{ApiError, ApiErrorCode, within_limit},
    },
    event::web::WebEvent,
    model::{hold_number::HoldNumber, page_action::AskedAction},
};

/// The most of one kind that are remembered; the oldest ones that ended are forgotten.
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

/// How something that was begun ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With a report.
    Reported {
        job: String,
        run: String,
        outcome: &'static str,
    },
    /// Without one, which is why.
    Unreported(String),
}

/// Something that was begun.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub at: DateTime<Utc>,
    pub by: String,
    /// None as long as it is under way.
    pub end: Option<End>,
}

/// Everything that was begun of late.
#[derive(Debug, Default)]
pub(super) struct Underway(Mutex<BTreeMap<About, Begun>>);

impl About {
    /// Why it is not begun while another one is under way.
    fn refusal(&self, other: &Self) -> Option<&'static str> {
        match (self, other) {
            (Self::Plan(_), Self::Plan(_)) => {
                Some("Another plan is being made; one is made at a time.")
            }
            (Self::Run(own), Self::Run(other)) if own == other => {
                Some("A run that was asked for here is under way.")
            }
            (Self::Approval(own), Self::Approval(other)) if own == other => {
                Some("This hold is being approved; what comes of that is shown here.")
            }
            (Self::Run(_) | Self::Plan(_) | Self::Approval(_), _) => None,
        }
    }
}

impl Underway {
    fn open(&self) -> MutexGuard<'_, BTreeMap<About, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, about: &About) -> Option<Begun> {
        self.open().get(about).cloned()
    }

    /// Notes that something is begun; what was begun of the same before is given back.
    ///
    /// # Errors
    /// It must not be begun beside what is under way.
    fn begin(
        &self,
        about: &About,
        by: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<Begun>, &'static str> {
        let mut all = self.open();
        let mut under_way = all.iter().filter(|(_, begun)| begun.end.is_none());
        if let Some(refusal) = under_way.find_map(|(other, _)| about.refusal(other)) {
            return Err(refusal);
        }
        forget_old(&mut all, about);
        let by = by.to_owned();
        Ok(all.insert(about.clone(), Begun { at, by, end: None }))
    }

    /// It was not begun after all: what was there before is there again.
    fn take_back(&self, about: &About, before: Option<Begun>) {
        let mut all = self.open();
        match before {
            Some(before) => drop(all.insert(about.clone(), before)),
            None => drop(all.remove(about)),
        }
    }

    fn end(&self, about: &About, end: End) {
        if let Some(begun) = self.open().get_mut(about) {
            begun.end = Some(end);
        }
    }
}

/// Makes room for one more of a kind: no kind pushes another one out.
fn forget_old(all: &mut BTreeMap<About, Begun>, about: &About) {
    let of_kind = |other: &About| discriminant(other) == discriminant(about);
    while all.keys().filter(|other| of_kind(other)).count() >= MOST {
        let ended = all
            .iter()
            .filter(|(other, begun)| of_kind(other) && begun.end.is_some());
        let oldest = ended.min_by_key(|(_, begun)| begun.at);
        let Some(oldest) = oldest.map(|(about, _)| about.clone()) else {
            break;
        };
        all.remove(&oldest);
    }
}

impl Site {
    /// Begins something that goes on until it ends, saves who asked for it, and follows it.
    ///
    /// # Errors
    /// It is under way already, it cannot be saved who asked for it, or the daemon refuses it.
    pub(super) async fn begin(
        self: &Arc<Self>,
        visitor: &Visitor,
        (about, asked): (About, AskedAction),
        command: impl Future<Output = Result<mpsc::Receiver<RunUpdate>, CommandError>> + Send + 'static,
    ) -> Result<(), Refused> {
        let (of, asking) = (Arc::clone(self), visitor.clone());
        self.to_its_end(visitor, async move {
            let begun = of.underway.begin(&about, &asked.by, Utc::now());
            let before = match begun {
                Ok(before) => before,
                Err(why) => return Err(of.refused_at_once(&asking, &asked, why).await),
            };
            let number = match of.noted(&asking, &asked).await {
                Ok(number) => number,
                Err(refused) => {
                    of.underway.take_back(&about, before);
                    return Err(refused);
                }
            };
            match within_limit(command).await {
                Ok(told) => {
                    of.follow(about, (number, asked), told);
                    Ok(())
                }
                Err(error) => {
                    of.underway.take_back(&about, before);
                    Err(of.refused(&asking, number, &asked, &error).await)
                }
            }
        })
        .await
    }

    /// Does something at once, and saves who asked for it and what became of it.
    ///
    /// # Errors
    /// It cannot be saved who asked for it, or the daemon refuses it.
    pub(super) async fn act(
        self: &Arc<Self>,
        visitor: &Visitor,
        asked: AskedAction,
        work: impl Future<Output = Result<String, ApiError>> + Send + 'static,
    ) -> Result<(), Refused> {
        let (of, asking) = (Arc::clone(self), visitor.clone());
        self.to_its_end(visitor, async move {
            let number = of.noted(&asking, &asked).await?;
            match work.await {
                Ok(result) => {
                    of.ended(number, &asked, &result).await;
                    Ok(())
                }
                Err(error) => Err(of.refused(&asking, number, &asked, &error).await),
            }
        })
        .await
    }

    /// Does something to its end, also where whoever asked for it has gone meanwhile.
    async fn to_its_end(
        &self,
        visitor: &Visitor,
        work: impl Future<Output = Result<(), Refused>> + Send + 'static,
    ) -> Result<(), Refused> {
        let done = tokio::spawn(work).await;
        done.unwrap_or_else(|error| Err(self.broken(visitor, &error.to_string())))
    }

    /// Follows what was begun to its end, also when nobody looks, and saves what became of it.
    fn follow(
        self: &Arc<Self>,
        about: About,
        (number, asked): (u64, AskedAction),
        mut told: mpsc::Receiver<RunUpdate>,
    ) {
        let site = Arc::clone(self);
        tokio::spawn(async move {
            let end = loop {
                match told.recv().await {
                    Some(RunUpdate::Waiting | RunUpdate::Started | RunUpdate::Progress(_)) => {}
                    Some(RunUpdate::Finished { report }) => {
                        let end = End::Reported {
                            outcome: report.outcome.as_str(),
                            job: report.job.clone(),
                            run: report.run.clone(),
                        };
                        // That of a large studio takes a while to be freed.
                        tokio::task::spawn_blocking(move || drop(report));
                        break end;
                    }
                    Some(RunUpdate::NothingChanged) => {
                        break End::Unreported("nothing had changed".to_owned());
                    }
                    Some(RunUpdate::Ended { error }) => break End::Unreported(error),
                    None => break End::Unreported("it ended without a report".to_owned()),
                }
            };
            let result = match &end {
                End::Reported { run, outcome, .. } => format!("{outcome}, run {run}"),
                End::Unreported(error) => error.clone(),
            };
            site.underway.end(&about, end);
            site.ended(number, &asked, &result).await;
        });
    }

    /// Saves that something was asked for, and returns its number.
    ///
    /// # Errors
    /// It cannot be saved, so it must not be done.
    async fn noted(&self, visitor: &Visitor, asked: &AskedAction) -> Result<u64, Refused> {
        let (state, saved) = (Arc::clone(&self.http.state), asked.clone());
        let save = move || state.begin_action(Utc::now(), &saved);
        let noted = self.beside(&self.notes, visitor, save).await?;
        noted.map_err(|error| {
            let why = format!("It could not be noted who did it, so nothing was done: {error}");
            self.broken(visitor, &why)
        })
    }

    /// Saves that an action was refused, and says why.
    async fn refused(
        &self,
        visitor: &Visitor,
        number: u64,
        asked: &AskedAction,
        error: &ApiError,
    ) -> Refused {
        let why = &error.error;
        if error.kind == ApiErrorCode::NoAnswer {
            // The daemon has it, and may still do it.
            self.ended(number, asked, &format!("not known: {why}"))
                .await;
            let said = "It is not known whether it was done";
            return self.refuse(visitor, StatusCode::GATEWAY_TIMEOUT, said, why);
        }
        self.ended(number, asked, &format!("refused: {why}")).await;
        self.not_done(visitor, why)
    }

    /// Saves that something was asked for which is under way already, and says why it is not done.
    async fn refused_at_once(&self, visitor: &Visitor, asked: &AskedAction, why: &str) -> Refused {
        match self.noted(visitor, asked).await {
            Ok(number) => {
                self.ended(number, asked, &format!("refused: {why}")).await;
                self.not_done(visitor, why)
            }
            Err(refused) => refused,
        }
    }

    fn not_done(&self, visitor: &Visitor, why: &str) -> Refused {
        self.refuse(visitor, StatusCode::CONFLICT, "It was not done", why)
    }

    /// Saves what became of an action, and logs it.
    async fn ended(&self, number: u64, asked: &AskedAction, result: &str) {
        WebEvent::Action { asked, result }.emit();
        let (state, result) = (Arc::clone(&self.http.state), result.to_owned());
        let saving = tokio::task::spawn_blocking(move || state.end_action(number, &result));
        // It is in the log, and in the history.
        let _ = saving.await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn at(second: usize) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::try_from(second).unwrap(), 0).unwrap()
    }

    #[test]
    fn plans_push_no_approval_out() {
        let all = Underway::default();
        let approval = About::Approval("7".parse().unwrap());
        all.begin(&approval, "eva", at(0)).unwrap();
        all.end(&approval, End::Unreported(String::new()));
        for number in 0..MOST * 2 {
            let plan = About::Plan(format!("job-{number}"));
            all.begin(&plan, "", at(number + 1)).unwrap();
            all.end(&plan, End::Unreported(String::new()));
        }
        assert_eq!(all.of(&approval).unwrap().by, "eva");
        assert_eq!(all.open().len(), MOST + 1);
        assert!(all.of(&About::Plan("job-0".to_owned())).is_none());
    }

    #[test]
    fn what_was_not_begun_after_all_leaves_what_was_known_before() {
        let all = Underway::default();
        let run = About::Run("artists".to_owned());
        assert!(all.begin(&run, "eva", at(0)).unwrap().is_none());
        assert!(all.begin(&run, "bo", at(1)).is_err());
        all.end(&run, End::Unreported("it failed".to_owned()));
        let before = all.begin(&run, "bo", at(2)).unwrap();
        all.take_back(&run, before);
        assert_eq!(all.of(&run).unwrap().by, "eva");
        let plan = About::Plan("artists".to_owned());
        let before = all.begin(&plan, "bo", at(3)).unwrap();
        all.take_back(&plan, before);
        assert!(all.of(&plan).is_none());
    }
}
