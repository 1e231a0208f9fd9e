//! Who rejected what is not written, or had it undone, and when.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::parts::what;
use crate::{
    model::{
        listed_rejection::ListedRejection,
        readable_time::readable_time,
        report::{ChangeResult, Reported, Trigger},
        summary::RunSummary,
        user::EntityId,
    },
    run::{RunContext, decided::put_back_at},
    state::{Rejections, all_rejected},
};

/// What follows from a rejection.
const NOT_WRITTEN: &str = "so it is not written until its cause has ended";

impl<W> RunContext<'_, W> {
    /// Of each of these parts that is rejected, who rejected it or had it undone, in words; empty of all
    /// others.
    pub(super) fn rejections(&self, parts: &[Reported]) -> Vec<String> {
        let told = parts.iter().map(|part| (part, what(part, parts)));
        self.rejections_of(told.collect())
    }

    /// Lets each rejected change of a report say who rejected it or had it undone: the state knows that
    /// only until the cause has ended.
    pub(in crate::run) fn name_who_rejected(&self, changes: &mut [Reported]) {
        let told = changes.iter().map(|change| (change, "it".to_owned()));
        let told = self.rejections_of(told.collect());
        for (change, told) in changes
            .iter_mut()
            .zip(told)
            .filter(|(_, told)| !told.is_empty())
        {
            change.error = Some(format!("{told}, {NOT_WRITTEN}"));
        }
    }

    /// The same of parts that are called so.
    fn rejections_of(&self, parts: Vec<(&Reported, String)>) -> Vec<String> {
        let is_rejected = |part: &Reported| part.result == ChangeResult::Rejected;
        if !parts.iter().any(|(part, _)| is_rejected(part)) {
            return vec![String::new(); parts.len()];
        }
        let job = &self.prepared.name;
        let listed = match all_rejected(&self.prepared.config.state_dir, Some(job)) {
            Ok(Rejections::Known(listed)) => listed,
            // The links say that it is rejected, and no more.
            Ok(Rejections::Unusable) | Err(_) => Vec::new(),
        };
        let mut of_user: HashMap<&EntityId, Vec<&ListedRejection>> = HashMap::new();
        for one in &listed {
            of_user.entry(&one.ftrack_id).or_default().push(one);
        }
        let mut put_back = BTreeMap::new();
        let told = parts.into_iter().map(|(part, what)| {
            if !is_rejected(part) {
                return String::new();
            }
            let listed = of_user.get(&part.ftrack_id).map_or(&[][..], Vec::as_slice);
            self.rejection(part, &what, (listed, &mut put_back))
        });
        told.collect()
    }

    fn rejection(
        &self,
        part: &Reported,
        what: &str,
        (listed, put_back): (
            &[&ListedRejection],
            &mut BTreeMap<DateTime<Utc>, Option<RunSummary>>,
        ),
    ) -> String {
        let has_edit = |one: &ListedRejection| {
            let mut edits = one.edits.iter();
            edits.any(|edit| part.edits.contains(edit))
        };
        let of_part = listed.iter().filter(|one| has_edit(one));
        let Some((one, at)) = of_part
            .filter_map(|one| Some((one, one.since?)))
            .max_by_key(|(_, at)| *at)
        else {
            return format!("a person rejected {what}, or had it undone");
        };
        let by = one.rejected_by.as_deref().unwrap_or("somebody");
        let when = readable_time(at, &self.prepared.job.timezone);
        if let Some(hold) = one.hold {
            return format!("a person rejected {what} (hold {hold}, by {by}, at {when})");
        }
        let run = || put_back_at(&self.history, &self.prepared.name, at);
        match put_back.entry(at).or_insert_with(run) {
            Some(run) if run.trigger == Trigger::Restore => {
                format!(
                    "the restore {} put {what} back, by {by}, at {when}",
                    run.run
                )
            }
            Some(run) => {
                format!(
                    "{what} was undone by the run {}, by {by}, at {when}",
                    run.run
                )
            }
            None => format!("{what} was undone or restored by {by}, at {when}"),
        }
    }
}
