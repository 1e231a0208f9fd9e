//! A whole report as text, as `runs show` prints it.

use std::fmt::Display;

use chrono::TimeZone;

use super::{Extent, report};
use crate::{
    escape::escape_control,
    model::{readable_time::readable_time, report::Report},
};

/// A whole report, with when it began, by a zone's clocks, and what and who started it.
#[must_use]
pub fn whole<Z: TimeZone<Offset: Display>>(saved: &Report, zone: &Z) -> String {
    let text = report(saved, Extent::Whole);
    let started = format!("  started    {}\n", started(saved, zone));
    match text.split_once('\n') {
        Some((first, rest)) => format!("{first}\n{started}{rest}"),
        None => text + &started,
    }
}

/// When a run began, by a zone's clocks, and what and who started it.
pub(super) fn started<Z: TimeZone<Offset: Display>>(saved: &Report, zone: &Z) -> String {
    let by = saved.started_by.as_ref();
    let by = by.map(|person| format!(", by {}", escape_control(&person.to_string())));
    format!(
        "{} ({}{})",
        readable_time(saved.started_at, zone),
        saved.trigger.as_str(),
        by.unwrap_or_default()
    )
}
