//! Explains what a past run did about one person, from its report alone.

use crate::{
    model::{
        edit::Field,
        explanation::{ExplainedEntry, ExplainedUser, Explanation, Step, StepName, Verdict},
        fold::fold,
        report::{ChangeResult, Report, Reported},
    },
    sync::verdict,
};

/// What the report of a run says of somebody.
#[must_use]
pub fn explain(report: &Report, who: &str) -> Explanation {
    let folded = fold(who);
    let change = report
        .changes
        .iter()
        .find(|change| is_about(change, &folded));
    let skipped = report
        .skipped
        .iter()
        .find(|entry| fold(&entry.dn) == folded);
    let explanation = Explanation {
        who: who.to_owned(),
        job: report.job.clone(),
        run: Some(report.run.clone()),
        verdict: Verdict::Unknown,
        reason: String::new(),
        directory: None,
        ftrack: None,
        change: None,
        steps: Vec::new(),
        commands: vec![format!("ftrack-ldap-sync runs show {}", report.run)],
    };
    match (change, skipped) {
        (Some(change), _) => of_change(explanation, change),
        (None, Some(entry)) => Explanation {
            verdict: Verdict::InvalidValue,
            reason: entry.reason.clone(),
            directory: Some(ExplainedEntry {
                dn: entry.dn.clone(),
                ..ExplainedEntry::default()
            }),
            steps: vec![step(StepName::Map, false, &entry.reason)],
            ..explanation
        },
        (None, None) => {
            let reason = match &report.error {
                Some(error) => format!("the run failed, and its report names nobody else: {error}"),
                None => "the report of that run does not name anybody by that: nothing was to be \
                         done, or the person was not among those that the run read"
                    .to_owned(),
            };
            Explanation {
                reason,
                ..explanation
            }
        }
    }
}

/// Whether a change is about the person with this login, mail, DN, directory id or ftrack id, before
/// or after it; the text is folded.
fn is_about(change: &Reported, folded: &str) -> bool {
    let person = change.person.iter();
    let person = person.flat_map(|person| [&person.email, &person.last_dn]);
    let mut known = [&change.dn, &change.directory_id]
        .into_iter()
        .chain(person)
        .flatten();
    let is = |text: &str| fold(text) == folded;
    let is_name = |field: &Field| matches!(field, Field::Username | Field::Email);
    let names = change.fields.iter().filter(|(field, _)| is_name(field));
    let mut values = names.flat_map(|(_, values)| [&values.old, &values.new]);
    is(&change.username)
        || is(change.ftrack_id.as_str())
        || known.any(|text| is(text))
        || values.any(|value| value.as_str().is_some_and(is))
}

fn of_change(explanation: Explanation, change: &Reported) -> Explanation {
    let held = change.held_by.zip(change.hold());
    let mut steps = vec![step(StepName::Decide, true, &change.reason)];
    let mut reason = change.reason.clone();
    let mut verdict = match change.result {
        ChangeResult::Rejected => Verdict::Rejected,
        ChangeResult::Unsettled => Verdict::NoSeat,
        ChangeResult::Applied
        | ChangeResult::Planned
        | ChangeResult::Held
        | ChangeResult::Failed
        | ChangeResult::Unconfirmed => verdict::of_action(change.action),
    };
    if let Some((by, why)) = held {
        verdict = verdict::of_hold(by);
        reason = format!("{reason}; it was held ({}): {why}", by.as_str());
        steps.push(step(StepName::Guard, false, why));
    } else {
        let result = match (change.result, &change.error) {
            (ChangeResult::Applied, _) => "it was written".to_owned(),
            (ChangeResult::Planned, _) => "it was planned, and not written".to_owned(),
            (ChangeResult::Held, _) => "it was held".to_owned(),
            (ChangeResult::Rejected, _) => "a person rejected it".to_owned(),
            (ChangeResult::Failed, Some(error)) => format!("it failed: {error}"),
            (ChangeResult::Unsettled, Some(error)) => format!("there was no seat: {error}"),
            (ChangeResult::Unsettled, None) => "there was no seat".to_owned(),
            (ChangeResult::Failed, None) => "it failed".to_owned(),
            (ChangeResult::Unconfirmed, _) => "whether it was written is not known".to_owned(),
        };
        steps.push(step(StepName::Guard, true, &result));
        reason = format!("{reason}; {result}");
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
        steps,
        ..explanation
    }
}

fn step(step: StepName, passed: bool, detail: &str) -> Step {
    Step {
        step,
        passed,
        detail: detail.to_owned(),
    }
}
