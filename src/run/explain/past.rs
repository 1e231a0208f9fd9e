//! Explains what a past run did about one person, from its report alone.

use super::parts::what;
use crate::{
    directory::dn,
    model::{
        change::Skipped,
        explanation::{ExplainedEntry, ExplainedUser, Explanation, Step, StepName, Verdict},
        fold::{fold, names},
        report::{ChangeResult, Report, Reported},
    },
    sync::verdict,
};

/// What the report of a run says of somebody.
#[must_use]
pub fn explain(report: &Report, who: &str) -> Explanation {
    let folded = fold(who);
    let mut changes: Vec<&Reported> = report
        .changes
        .iter()
        .filter(|change| change.is_about(who))
        .collect();
    changes.sort_by_key(|change| change.held_by.is_none());
    let mut skipped = report.skipped.iter();
    let skipped = skipped.find(|entry| entry.is_named(&folded) || is_named_by_dn(entry, &folded));
    let warnings: Vec<&str> = report
        .warnings
        .iter()
        .map(String::as_str)
        .filter(|warning| names(warning, who))
        .collect();
    let explanation = Explanation {
        who: who.to_owned(),
        job: report.job.clone(),
        run: Some(report.run.clone()),
        verdict: Verdict::Unknown,
        reason: String::new(),
        renamed: None,
        directory: None,
        ftrack: None,
        change: None,
        changes: Vec::new(),
        steps: Vec::new(),
        commands: vec![format!("ftrack-ldap-sync runs show {}", report.run)],
    };
    match (changes.as_slice(), skipped) {
        (changes @ [first, ..], skipped) => {
            let mut explained = of_changes(explanation, first, changes);
            if let Some(entry) = skipped {
                explained.reason = format!("{}; besides, {}", entry.reason, explained.reason);
                explained.verdict = entry.verdict.unwrap_or(explained.verdict);
                explained
                    .steps
                    .insert(0, step(StepName::Map, false, &entry.reason));
            }
            explained
        }
        ([], Some(entry)) => Explanation {
            verdict: entry.verdict.unwrap_or(Verdict::InvalidValue),
            reason: entry.reason.clone(),
            directory: Some(ExplainedEntry {
                dn: entry.dn.clone(),
                directory_id: entry.directory_id.clone(),
                ..ExplainedEntry::default()
            }),
            steps: vec![step(StepName::Map, false, &entry.reason)],
            ..explanation
        },
        ([], None) => {
            let reason = match (&report.error, warnings.as_slice()) {
                (_, [_, ..]) => format!("a warning of that run names it: {}", warnings.join("; ")),
                (Some(error), []) => {
                    format!("the run failed, and its report names nobody else: {error}")
                }
                (None, []) => "the report of that run does not name anybody by that: nothing was \
                               to be done, or the person was not among those that the run read"
                    .to_owned(),
            };
            Explanation {
                reason,
                ..explanation
            }
        }
    }
}

/// Whether the value by which an entry is named in its DN is this text: reports of earlier versions
/// have no more of it.
fn is_named_by_dn(entry: &Skipped, folded: &str) -> bool {
    let values = dn::naming_values(&entry.dn);
    values.iter().any(|value| fold(value) == folded)
}

fn of_changes(explanation: Explanation, change: &Reported, all: &[&Reported]) -> Explanation {
    let mut steps = vec![step(StepName::Decide, true, &change.reason)];
    let mut reason = change.reason.clone();
    let verdict = match (change.result, change.held_by) {
        (ChangeResult::Rejected, _) => Verdict::Rejected,
        (ChangeResult::Unsettled, _) => Verdict::NoSeat,
        (_, Some(by)) if change.hold().is_some() => verdict::of_hold(by),
        (_, Some(_) | None) => verdict::of_action(change.action),
    };
    let parts: Vec<Reported> = all.iter().map(|part| (*part).clone()).collect();
    for part in all {
        let what = what(part, &parts);
        let (is_free, told) = match part.held_by.zip(part.hold()) {
            Some((by, why)) => (false, format!("{what} was held ({}): {why}", by.as_str())),
            None => (true, result(part, &what)),
        };
        steps.push(step(StepName::Guard, is_free, &told));
        reason = format!("{reason}; {told}");
    }
    Explanation {
        verdict,
        reason,
        directory: change.dn.as_ref().map(|dn| ExplainedEntry {
            dn: dn.clone(),
            directory_id: change.directory_id.clone(),
            ..ExplainedEntry::default()
        }),
        ftrack: Some(ExplainedUser {
            ftrack_id: change.ftrack_id.clone(),
            username: change.username.clone(),
            email: None,
            is_active: None,
            administrator: None,
            source: None,
        }),
        change: Some(change.clone()),
        changes: parts,
        steps,
        ..explanation
    }
}

/// What became of a change that nothing held.
fn result(change: &Reported, what: &str) -> String {
    match (change.result, &change.error) {
        (ChangeResult::Applied, _) => format!("{what} was written"),
        (ChangeResult::Planned, _) => format!("{what} was planned, and not written"),
        (ChangeResult::Held, _) => format!("{what} was held"),
        // The run says who rejected it, and when.
        (ChangeResult::Rejected, Some(error)) if what == "it" => error.clone(),
        (ChangeResult::Rejected, Some(error)) => format!("{what}: {error}"),
        (ChangeResult::Rejected, None) => format!("a person rejected {what}"),
        (ChangeResult::Failed, Some(error)) => format!("{what} failed: {error}"),
        (ChangeResult::Failed, None) => format!("{what} failed"),
        (ChangeResult::Unsettled, Some(error)) => format!("there was no seat: {error}"),
        (ChangeResult::Unsettled, None) => "there was no seat".to_owned(),
        (ChangeResult::Unconfirmed, _) => format!("whether {what} was written is not known"),
    }
}

fn step(step: StepName, passed: bool, detail: &str) -> Step {
    Step {
        step,
        passed,
        detail: detail.to_owned(),
    }
}
