//! What people carry, as text.

use crate::{
    escape::escape_control,
    model::work::{Work, WorkItem, WorkKind},
};

/// What a user still carries, a line each; nothing where nothing is known to be there.
#[must_use]
pub fn work(work: &Work) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(work.summary().map(|summary| format!("work: {summary}")));
    for WorkItem { kind, name, url } in &work.items {
        let what = match kind {
            WorkKind::Timers => "timer",
            WorkKind::Projects => "project",
            WorkKind::Tasks => "task",
        };
        let name = name.as_deref().unwrap_or("without a name");
        let (name, url) = (escape_control(name), escape_control(url));
        lines.push(format!("  {what} {name}: {url}"));
    }
    let numbers = WorkKind::ALL.into_iter();
    let all: usize = numbers.filter_map(|kind| work.number(kind)).sum();
    let more = all.saturating_sub(work.items.len());
    if more > 0 && !work.items.is_empty() {
        lines.push(format!("  … and {more} more"));
    }
    if let Some(error) = &work.error {
        let error = escape_control(error);
        lines.push(format!("work: not everything could be read: {error}"));
    }
    lines.extend(api_keys(work));
    lines
}

fn api_keys(work: &Work) -> Option<String> {
    if work.api_keys.is_empty() {
        return None;
    }
    let names = work.api_keys.iter().map(|name| escape_control(name));
    let names: Vec<_> = names.collect();
    let more = match work.more_api_keys {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "API keys of the user: {}{more}; whether ftrack refuses them once the user is inactive is \
         not known",
        names.join(", ")
    ))
}
