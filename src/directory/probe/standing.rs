//! Checks of a server that say whether it stays usable: its certificate, its clock, the account, and how
//! results come.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::{Facts, Observation, Probed, Step};
use crate::{
    directory::{
        clock, connection::Connection, error::DirectoryError, own_account::own_account,
        server::RootDse,
    },
    model::{ending, server_kind::ServerKind},
    tls::expiry::{self, Of},
};

/// The certificate that a server of this host showed and that is trusted.
pub(super) fn certificate(host: &str) -> Step {
    let looked_at = Probed::Tls;
    let Some(end) = expiry::of(Of::Directory, host) else {
        let found = Observation::Well("the certificate is trusted".into());
        return Step::new(looked_at, found);
    };
    let now = Utc::now();
    let day = ending::day_of(end, now);
    let found = if ending::is_near(end, now) {
        Observation::Doubtful {
            seen: format!(
                "the certificate, which is trusted, or one of its chain expires on {day}"
            ),
            way_out: "renew it on the server before then: afterwards no run can read it".into(),
        }
    } else {
        Observation::Well(format!(
            "the certificate, which is trusted, is valid with its chain until {day}"
        ))
    };
    let mut facts = Facts::new();
    facts.insert("expires_at", ending::rfc3339(end).into());
    facts.insert("days_left", ending::days_left(end, now).into());
    Step::new(looked_at, found).with(facts)
}

/// Whether the server's clock and this machine's agree.
///
/// # Errors
/// The server did not answer.
pub(super) async fn clock(
    connection: &mut Connection,
    root: &RootDse,
) -> Result<Step, DirectoryError> {
    let Some(ahead) = clock::ahead(connection, root).await? else {
        let why = match root.kind {
            ServerKind::ActiveDirectory | ServerKind::Samba => "its root DSE shows no currentTime",
            ServerKind::Ds389 | ServerKind::FreeIpa => {
                "the account may not read currenttime of cn=monitor"
            }
            ServerKind::OpenLdap | ServerKind::Generic => {
                "cn=Monitor (slapd-monitor) is not there, or hidden from the account"
            }
        };
        let found = Observation::Well(format!("the server does not tell its time: {why}"));
        return Ok(Step::new(Probed::Clock, found));
    };
    let found = if clock::is_right(ahead) {
        Observation::Well("this machine's clock and the server's agree".into())
    } else {
        disagree(ahead, root.kind)
    };
    let facts = Facts::from([("difference_seconds", ahead.num_seconds().into())]);
    Ok(Step::new(Probed::Clock, found).with(facts))
}

fn disagree(ahead: TimeDelta, kind: ServerKind) -> Observation {
    let apart = clock::apart(ahead);
    let side = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let kerberos = if kind.is_active_directory() {
        ", and Kerberos refuses more than 5 minutes"
    } else {
        ""
    };
    Observation::Doubtful {
        seen: format!("the server's clock is {apart} {side} this machine's"),
        way_out: format!(
            "set the clock that is wrong (NTP): ends of accounts and what changed are judged by \
             both{kerberos}"
        ),
    }
}

/// Until when the account may bind.
///
/// # Errors
/// The server did not answer.
pub(super) async fn account(
    connection: &mut Connection,
    root: &RootDse,
    identity: Option<&str>,
) -> Result<Option<Step>, DirectoryError> {
    if connection.is_anonymous() {
        return Ok(None);
    }
    let now = Utc::now();
    let Some(own) = own_account(connection, root, identity).await? else {
        let found = Observation::Well(
            "until when it may bind is not known: it has no entry here, or may not read its own"
                .into(),
        );
        return Ok(Some(Step::new(Probed::Account, found)));
    };
    let found = match own.way_out(root.kind, now) {
        Some(way_out) => Observation::Doubtful {
            seen: own.words(now),
            way_out,
        },
        None => Observation::Well(own.words(now)),
    };
    let mut facts = Facts::new();
    for (name, end) in own.times() {
        let end = end.map(ending::rfc3339);
        facts.insert(name, json!(end));
    }
    let ends = own.times().into_iter().filter_map(|(_, end)| end);
    let days = ends.min().map(|end| ending::days_left(end, now));
    facts.insert("days_left", json!(days));
    Ok(Some(Step::new(Probed::Account, found).with(facts)))
}

/// How long results come: in pages, and long attributes in ranges.
pub(super) fn paging(root: &RootDse, page_size: i32) -> Step {
    let ranges = root.returns_ranges();
    let values = if ranges {
        "attributes with very many values in ranges, of which each is fetched"
    } else {
        "all values of an attribute at once"
    };
    let found = if root.offers_pages() {
        Observation::Well(format!(
            "results come in pages of {page_size} entries (RFC 2696), and {values}"
        ))
    } else {
        Observation::Doubtful {
            seen: "the server does not say that it offers paged results (RFC 2696), without which \
                   no read is known to be complete"
                .into(),
            way_out: "let the account read supportedControl of the root DSE, or switch the \
                      server's paged results on"
                .into(),
        }
    };
    let facts = Facts::from([
        ("paged", root.offers_pages().into()),
        ("page_size", page_size.into()),
        ("ranges", ranges.into()),
    ]);
    Step::new(Probed::Paging, found).with(facts)
}
