//! An explanation of one person as text.

use anstyle::Style;

use super::{changes::one_change, dim, green, line, paint, red, yellow};
use crate::{
    escape::escape_control,
    model::explanation::{ExplainedEntry, ExplainedUser, Explanation, Verdict},
};

/// An explanation as text; the caller strips colours where they are not wanted.
#[must_use]
pub fn explained(explained: &Explanation) -> String {
    let mut text = String::new();
    let of_run = explained.run.as_ref();
    let of_run = of_run.map(|run| format!(", in the run {}", escape_control(run)));
    let who = paint(Style::new().bold(), &escape_control(&explained.who));
    let verdict = paint(style(explained.verdict), explained.verdict.as_str());
    let job = escape_control(&explained.job);
    let headline = format!("{who} in {job}{}: {verdict}", of_run.unwrap_or_default());
    line(&mut text, &headline);
    line(
        &mut text,
        &format!("  {}", escape_control(&explained.reason)),
    );
    text.push('\n');
    line(&mut text, &entry(explained.directory.as_ref()));
    line(&mut text, &user(explained.ftrack.as_ref()));
    if let Some(change) = &explained.change {
        text.push('\n');
        one_change(&mut text, change);
    }
    if !explained.steps.is_empty() {
        text.push('\n');
    }
    for step in &explained.steps {
        let mark = if step.passed {
            paint(green(), "yes")
        } else {
            paint(red(), "no ")
        };
        let detail = escape_control(&step.detail);
        line(
            &mut text,
            &format!("  {mark} {:<8} {detail}", step.step.as_str()),
        );
    }
    if !explained.commands.is_empty() {
        line(&mut text, "\nThe same by hand:");
    }
    for command in explained
        .commands
        .iter()
        .flat_map(|command| command.lines())
    {
        line(
            &mut text,
            &format!("  {}", paint(dim(), &escape_control(command))),
        );
    }
    text
}

fn entry(entry: Option<&ExplainedEntry>) -> String {
    let Some(entry) = entry else {
        return "  directory  no entry".to_owned();
    };
    let id = entry.directory_id.as_ref().map(|id| {
        let attribute = entry.id_attribute.as_deref().unwrap_or("id");
        format!(" ({attribute} {})", escape_control(id))
    });
    let dn = escape_control(&entry.dn);
    format!("  directory  {dn}{}", id.unwrap_or_default())
}

fn user(user: Option<&ExplainedUser>) -> String {
    let Some(user) = user else {
        return "  ftrack     no user".to_owned();
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
