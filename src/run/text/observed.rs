//! What became of what the run before would have done, as text.

use super::{Extent, green, line, paint, yellow};
use crate::{
    escape::escape_control,
    model::report::{Became, Observed, ObservedChange},
};

/// Writes how many of the changes somebody else made, and names those that became something else.
pub(super) fn write(text: &mut String, observed: &Observed, extent: Extent) {
    let Some(run) = &observed.run else {
        line(text, "  observed   no run before this one to compare with");
        return;
    };
    let of = |became: Became| {
        let changes = observed.changes.iter();
        changes.filter(move |change| change.became == became)
    };
    let counts = [
        (Became::Done, "done by somebody else"),
        (Became::NotDone, "not done"),
        (Became::Otherwise, "done otherwise"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(became, words)| (of(became).count(), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let counts = match counts.as_slice() {
        [] => "nothing".to_owned(),
        counts => counts.join(", "),
    };
    line(
        text,
        &format!("  observed   of what run {run} would have changed: {counts}"),
    );
    let few = extent.few();
    for change in of(Became::Otherwise).take(few) {
        one(text, change);
    }
    let more = of(Became::Otherwise).count().saturating_sub(few);
    if more > 0 {
        line(text, &format!("             … and {more} more"));
    }
}

fn one(text: &mut String, change: &ObservedChange) {
    let fields = change.fields.iter().map(|(field, now)| {
        let now = escape_control(&now.to_string()).into_owned();
        format!("{} is {now}", field.name())
    });
    let fields: Vec<String> = fields.collect();
    let now = match (&change.ftrack_id, fields.as_slice()) {
        (None, _) => "there is no such user any more".to_owned(),
        (Some(_), []) => "only a part of it was done".to_owned(),
        (Some(_), fields) => fields.join(", "),
    };
    line(
        text,
        &format!(
            "             {} {}: {now}",
            paint(green(), change.action.as_str()),
            paint(yellow(), &escape_control(&change.username))
        ),
    );
}
