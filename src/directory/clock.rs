//! What a server's clock shows, as far as the server tells.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    account::generalized_time, connection::Connection, error::DirectoryError, lookup::look,
    server::RootDse,
};
use crate::model::server_kind::ServerKind;

/// By how much two clocks may differ that both show the right time.
const RIGHT: TimeDelta = TimeDelta::minutes(2);

/// How far the server's clock is ahead of this machine's; none where the server does not tell.
///
/// # Errors
/// The server did not answer; that it does not tell is an answer.
pub(super) async fn ahead(
    connection: &mut Connection,
    root: &RootDse,
) -> Result<Option<TimeDelta>, DirectoryError> {
    // MS-ADTS section 3.1.1.3.2.1; cn=monitor of 389-ds; slapd-monitor(5).
    let (place, name) = match root.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => ("", "currentTime"),
        ServerKind::Ds389 | ServerKind::FreeIpa => ("cn=monitor", "currenttime"),
        ServerKind::OpenLdap | ServerKind::Generic => {
            ("cn=Current,cn=Time,cn=Monitor", "monitorTimestamp")
        }
    };
    let before = Utc::now();
    let entry = match look(connection, place, "(objectClass=*)", &[name]).await {
        Ok(entry) => entry,
        Err(error) if error.concerns_one_server() => return Err(error),
        Err(_) => None,
    };
    let now = before + (Utc::now() - before) / 2;
    let shown = entry.and_then(|entry| {
        let value = entry.values(name).first()?;
        generalized_time(std::str::from_utf8(value).ok()?.trim())
    });
    Ok(shown.map(|shown| difference(shown, now)))
}

/// How far a time that shows whole seconds is ahead.
fn difference(shown: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds((shown - now).num_seconds())
}

/// Whether clocks that differ by so much are both right.
pub(super) fn is_right(ahead: TimeDelta) -> bool {
    ahead.abs() <= RIGHT
}

/// How far apart two clocks are, for people.
pub(super) fn apart(ahead: TimeDelta) -> String {
    let seconds = ahead.abs().num_seconds().unsigned_abs();
    let rounded = if seconds > 120 {
        seconds / 60 * 60
    } else {
        seconds
    };
    let length = std::time::Duration::from_secs(rounded);
    humantime::format_duration(length).to_string()
}
