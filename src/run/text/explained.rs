//! An explanation of one person as text.

use std::collections::BTreeSet;

use anstyle::Style;

use super::{changes, dim, green, line, magenta, paint, red, yellow};
use crate::{
    escape::escape_control,
    model::{
        explanation::{ExplainedEntry, ExplainedUser, Explanation, StepName, Verdict},
        report::{ChangeResult, Reported},
        way_to_approve::in_hold,
    },
};

/// An explanation as text, without the commands that show the same; the caller strips colours where
/// they are not wanted.
#[must_use]
pub fn explained(explained: &Explanation) -> String {
    let mut text = String::new();
    let is_past = explained.run.is_some();
    line(&mut text, &headline(explained));
    if let Some(renamed) = &explained.renamed {
        line(&mut text, &format!("  {}", escape_control(renamed)));
    }
    for reason in reasons(explained) {
        line(&mut text, &format!("  {}", escape_control(reason)));
    }
    text.push('\n');
    line(&mut text, &entry(explained.directory.as_ref(), is_past));
    line(&mut text, &user(explained.ftrack.as_ref(), is_past));
    for change in &explained.changes {
        text.push('\n');
        changes::values(&mut text, change);
        changes::carried(&mut text, change);
        line(&mut text, &format!("      {}", may_be_written(change)));
    }
    // What is decided, and what holds it, stands above.
    let steps = explained.steps.iter();
    let steps: Vec<_> = steps
        .filter(|step| !matches!(step.step, StepName::Decide | StepName::Guard))
        .collect();
    if !steps.is_empty() {
        text.push('\n');
    }
    for step in steps {
        let mark = if step.passed {
            paint(green(), "yes")
        } else {
            paint(red(), "no ")
        };
        let detail = escape_control(&step.detail);
        line(
            &mut text,
            &format!("  {mark} {:<11} {detail}", step.step.in_words()),
        );
    }
    text
}

/// Whom it is about, and what happens, or happened.
fn headline(explained: &Explanation) -> String {
    let of_run = explained.run.as_ref();
    let of_run = of_run.map(|run| format!(", in the run {}", escape_control(run)));
    let who = paint(Style::new().bold(), &escape_control(&explained.who));
    let verdict = paint(style(explained.verdict), &verdict(explained));
    let job = escape_control(&explained.job);
    format!("{who} in {job}{}: {verdict}", of_run.unwrap_or_default())
}

/// What happens; of a past run, what came of it.
fn verdict(explained: &Explanation) -> String {
    let is_past = explained.run.is_some();
    let words = explained.verdict.in_words(is_past);
    let result = explained.change.as_ref().map(|change| change.result);
    match result.filter(|_| is_past) {
        Some(ChangeResult::Applied) => explained.verdict.in_words_of_done().to_owned(),
        Some(ChangeResult::Failed) => format!("{words}, and that failed"),
        Some(ChangeResult::Unconfirmed) => format!("{words}; whether it was is not known"),
        Some(
            ChangeResult::Planned
            | ChangeResult::Held
            | ChangeResult::Rejected
            | ChangeResult::Unsettled,
        )
        | None => words.to_owned(),
    }
}

/// What happens once more, as the last line: what is before it may not fit on a screen.
#[must_use]
pub fn again(explained: &Explanation) -> String {
    format!("\n{}\n", headline(explained))
}

/// The commands that show the same, each on a line that is never wrapped; empty without any.
#[must_use]
pub fn commands(explained: &Explanation) -> String {
    let mut text = String::new();
    let commands = explained.commands.iter();
    let mut shown = BTreeSet::new();
    for command in commands.flat_map(|command| command.lines()) {
        if shown.is_empty() {
            line(&mut text, "\nThe same by hand:");
        }
        if shown.insert(command) {
            let command = paint(dim(), &escape_control(command));
            line(&mut text, &format!("  {command}"));
        }
    }
    text
}

/// Why, without what stands beside each change; of several reasons each once.
fn reasons(explained: &Explanation) -> Vec<&str> {
    if explained.changes.is_empty() {
        return vec![&explained.reason];
    }
    let decided = explained.steps.iter();
    let decided = decided.filter(|step| match step.step {
        StepName::Decide => true,
        StepName::Map => !step.passed && explained.run.is_some(),
        StepName::Search
        | StepName::Scope
        | StepName::Filter
        | StepName::Groups
        | StepName::Disabled
        | StepName::Match
        | StepName::Guard => false,
    });
    decided.map(|step| step.detail.as_str()).collect()
}

/// What holds a change, or what became of it.
fn may_be_written(change: &Reported) -> String {
    let error = change.error.as_deref().unwrap_or_default();
    match (change.held_by, change.hold(), change.result) {
        (Some(by), Some(why), _) => {
            let number = change.hold.map(|hold| format!(", hold {hold}"));
            let approve = change
                .hold
                .filter(|_| by.ends_by_approval())
                .map(|hold| format!("; `approve {hold} --only {}`", change.username));
            let why = match change.hold {
                Some(hold) => in_hold(why, hold),
                None => why.to_owned(),
            };
            let why = format!(
                "held ({}{}): {why}{}",
                by.as_str(),
                number.unwrap_or_default(),
                approve.unwrap_or_default()
            );
            paint(magenta(), &escape_control(&why))
        }
        (_, _, ChangeResult::Planned) if change.is_so_already() => error.to_owned(),
        (_, _, ChangeResult::Planned) => {
            paint(dim(), "nothing holds it; limits are those of the last run")
        }
        (_, _, ChangeResult::Applied) => paint(green(), "written"),
        (_, _, ChangeResult::Held) => paint(magenta(), "held"),
        (_, _, ChangeResult::Rejected) if error.is_empty() => {
            paint(dim(), "a person rejected it, or had it undone")
        }
        (_, _, ChangeResult::Rejected) => paint(dim(), &escape_control(error)),
        (_, _, ChangeResult::Failed) => paint(red(), &escape_control(&format!("failed: {error}"))),
        (_, _, ChangeResult::Unsettled) => {
            let why = format!("there was no seat: {error}");
            paint(yellow(), &escape_control(&why))
        }
        (_, _, ChangeResult::Unconfirmed) => paint(red(), "whether it was written is not known"),
    }
}

fn entry(entry: Option<&ExplainedEntry>, is_past: bool) -> String {
    let Some(entry) = entry else {
        return if is_past {
            "  directory  the report does not say".to_owned()
        } else {
            "  directory  no entry".to_owned()
        };
    };
    let id = entry.directory_id.as_ref().map(|id| {
        let attribute = entry.id_attribute.as_deref().unwrap_or("id");
        format!(" ({attribute} {})", escape_control(id))
    });
    let dn = escape_control(&entry.dn);
    format!("  directory  {dn}{}", id.unwrap_or_default())
}

fn user(user: Option<&ExplainedUser>, is_past: bool) -> String {
    let Some(user) = user else {
        return if is_past {
            "  ftrack     the report does not say".to_owned()
        } else {
            "  ftrack     no user".to_owned()
        };
    };
    let mut about = vec![user.ftrack_id.to_string()];
    about.extend(
        user.email
            .as_ref()
            .map(|mail| escape_control(mail).into_owned()),
    );
    about.extend(
        user.is_active
            .map(|active| if active { "active" } else { "inactive" }.to_owned()),
    );
    about.extend((user.administrator == Some(true)).then(|| "administrator".to_owned()));
    let source = user.source.as_ref();
    about.extend(source.map(|source| format!("of the source {}", escape_control(source))));
    let username = escape_control(&user.username);
    format!("  ftrack     {username} ({})", about.join(", "))
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::InStep | Verdict::Create | Verdict::Adopt | Verdict::Reactivate => green(),
        Verdict::Update
        | Verdict::Waiting
        | Verdict::Held
        | Verdict::Rejected
        | Verdict::Successor
        | Verdict::Protected
        | Verdict::Administrator
        | Verdict::OtherSource
        | Verdict::NotOwned => yellow(),
        Verdict::Deactivate
        | Verdict::FilteredOut
        | Verdict::OutsideBases
        | Verdict::NotAMember
        | Verdict::Disabled
        | Verdict::MissingValue
        | Verdict::InvalidValue
        | Verdict::Collision
        | Verdict::DeactivatedByHand
        | Verdict::NoSeat
        | Verdict::Unknown => red(),
    }
}
