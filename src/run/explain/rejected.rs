//! Who rejected what is not written, or had it undone, and when.

use chrono::{DateTime, TimeDelta, Utc};

use super::parts::what;
use crate::{
    model::{
        listed_rejection::ListedRejection,
        readable_time::readable_time,
        report::{ChangeResult, Reported, Trigger},
        summary::RunSummary,
    },
    run::{RunContext, ldap_work::LdapWork},
    state::{Rejections, all_rejected, history::RunFilter},
};

/// The longest time that a run may take which undid something.
const LONGEST: TimeDelta = TimeDelta::hours(25);

/// The most runs that are looked through for the one that undid something.
const RUNS: usize = 500;

impl RunContext<'_, LdapWork> {
    /// Of each of these parts that is rejected, who rejected it or had it undone, in words; empty of all
    /// others.
    pub(super) fn rejections(&self, parts: &[Reported]) -> Vec<String> {
        let is_rejected = |part: &&Reported| part.result == ChangeResult::Rejected;
        if !parts.iter().any(|part| is_rejected(&part)) {
            return vec![String::new(); parts.len()];
        }
        let job = &self.prepared.name;
        let listed = match all_rejected(&self.prepared.config.state_dir, Some(job)) {
            Ok(Rejections::Known(listed)) => listed,
            // The links say that it is rejected, and no more.
            Ok(Rejections::Unusable) | Err(_) => Vec::new(),
        };
        let told = parts.iter().map(|part| match part.result {
            ChangeResult::Rejected => self.rejection(part, &what(part, parts), &listed),
            ChangeResult::Applied
            | ChangeResult::Held
            | ChangeResult::Failed
            | ChangeResult::Planned
            | ChangeResult::Unsettled
            | ChangeResult::Unconfirmed => String::new(),
        });
        told.collect()
    }

    fn rejection(&self, part: &Reported, what: &str, listed: &[ListedRejection]) -> String {
        let has_edit = |one: &ListedRejection| {
            let mut edits = one.edits.iter();
            edits.any(|edit| part.edits.contains(edit))
        };
        let of_part = listed
            .iter()
            .filter(|one| one.ftrack_id == part.ftrack_id && has_edit(one));
        let Some((one, at)) = of_part
            .filter_map(|one| Some((one, one.since?)))
            .max_by_key(|(_, at)| *at)
        else {
            return format!("a person rejected {what}, or had it undone");
        };
        let by = one.rejected_by.as_deref().unwrap_or("somebody");
        let when = readable_time(at, &self.prepared.job.timezone);
        match (one.hold, self.put_back_at(at)) {
            (Some(hold), _) => {
                format!("a person rejected {what} (hold {hold}, by {by}, at {when})")
            }
            (None, Some(run)) if run.trigger == Trigger::Restore => {
                format!(
                    "the restore {} put {what} back, by {by}, at {when}",
                    run.run
                )
            }
            (None, Some(run)) => {
                format!(
                    "{what} was undone by the run {}, by {by}, at {when}",
                    run.run
                )
            }
            (None, None) => format!("{what} was undone or restored by {by}, at {when}"),
        }
    }

    /// The run that put users back at that time, as far as the history has it.
    fn put_back_at(&self, at: DateTime<Utc>) -> Option<RunSummary> {
        let filter = RunFilter {
            job: Some(self.prepared.name.clone()),
            since: at.checked_sub_signed(LONGEST),
            until: at.checked_add_signed(TimeDelta::seconds(1)),
            ..RunFilter::default()
        };
        let is_it = |run: &RunSummary| {
            run.trigger.puts_back() && !run.dry_run && run.started_at <= at && at <= run.finished_at
        };
        let runs = self.history.list(&filter, RUNS).ok()?.runs;
        runs.into_iter().find(is_it)
    }
}
