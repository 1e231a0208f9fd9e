//! A whole report as text, as `runs show` prints it.

use chrono::TimeZone;

use super::{Extent, report};
use crate::{
    escape::escape_control,
    model::{readable_time::readable_time, report::Report},
};

/// A whole report, with when it began, by a zone's clocks, and what and who started it.
#[must_use]
pub fn whole<Z: TimeZone<Offset: std::fmt::Display>>(saved: &Report, zone: &Z) -> String {
    let text = report(saved, Extent::Whole);
    let by = saved.started_by.as_ref();
    let by = by.map(|person| format!(", by {}", escape_control(&person.to_string())));
    let started = format!(
        "  started    {} ({}{})\n",
        readable_time(saved.started_at, zone),
        saved.trigger.as_str(),
        by.unwrap_or_default()
    );
    match text.split_once('\n') {
        Some((first, rest)) => format!("{first}\n{started}{rest}"),
        None => text + &started,
    }
}
