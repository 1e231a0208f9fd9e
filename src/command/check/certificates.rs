//! How long certificates are valid.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::finding::About;
use crate::model::ending;

/// Tells how long a certificate is valid, of which something is true, and what to do when that is soon
/// over.
pub fn tell(
    about: &mut About,
    check: &'static str,
    (what, end): (&str, DateTime<Utc>),
    way_out: &str,
) {
    tell_at(about, check, (what, end), way_out, Utc::now());
}

/// The same at a given time.
pub fn tell_at(
    about: &mut About,
    check: &'static str,
    (what, end): (&str, DateTime<Utc>),
    way_out: &str,
    now: DateTime<Utc>,
) {
    let day = ending::day_of(end, now);
    if end < now {
        about.fail(check, format!("{what} expired on {day}"), way_out);
    } else if ending::is_near(end, now) {
        about.warn(check, format!("{what} expires on {day}"), way_out);
    } else {
        about.ok(check, format!("{what} is valid until {day}"));
    }
    facts(about, end, now);
}

/// What programs are told of the end of a certificate, of which the last finding is.
pub fn facts(about: &mut About, end: DateTime<Utc>, now: DateTime<Utc>) {
    let facts = [
        ("expires_at", json!(ending::rfc3339(end))),
        ("days_left", json!(ending::days_left(end, now))),
    ];
    about.facts(&facts.into());
}
