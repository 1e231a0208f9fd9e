//! Whether the servers of one directory show the same state of it.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::finding::{About, Finding};
use crate::model::freshness::{Freshness, Lag};

/// So far may a replica be behind at any moment.
const USUAL: TimeDelta = TimeDelta::minutes(5);

/// A server that was read, and how current it is.
pub struct Replica {
    /// Its URL.
    pub server: String,
    /// The newest changes that it shows.
    pub shows: Freshness,
}

/// Compares each server that was read with all others; of one alone there is nothing to say.
pub fn compare(directory: &str, replicas: &[Replica]) -> Vec<Finding> {
    let mut about = About::new(format!("directory {directory}"));
    // Of those that could not be read, something else is told.
    if replicas.len() < 2 {
        return Vec::new();
    }
    let known =
        |replica: &&Replica| !replica.shows.is_unknown() && replica.shows.invocation().is_none();
    let comparable = replicas.iter().filter(known).count();
    if comparable < 2 {
        about.ok(
            "replica",
            "the servers do not show by what they could be compared (contextCSN of OpenLDAP, \
             nsds50ruv of 389-ds; a domain controller counts its own changes only), so whether one \
             lags behind is not known",
        );
        return about.into_findings();
    }
    let latest = Utc::now();
    let mut worst = TimeDelta::zero();
    let mut is_late = false;
    for replica in replicas {
        let behind = replicas.iter().filter_map(|other| {
            let lag = replica.shows.lag(&other.shows, latest)?;
            Some((other, lag))
        });
        let behind = behind.max_by_key(|(_, lag)| lag.behind().unwrap_or(TimeDelta::MAX));
        let Some((other, lag)) = behind else { continue };
        let seconds = lag.behind();
        worst = worst.max(seconds.unwrap_or_default());
        if seconds.is_some_and(|seconds| seconds < USUAL) {
            continue;
        }
        is_late = true;
        late(&mut about, (replica, other), &lag);
    }
    if !is_late {
        about.ok("replica", on_time(comparable, worst));
        let seconds = worst.num_seconds();
        about.facts(&[("behind_seconds", json!(seconds))].into());
    }
    about.into_findings()
}

fn on_time(comparable: usize, worst: TimeDelta) -> String {
    if worst == TimeDelta::zero() {
        format!("{comparable} servers show the same changes")
    } else {
        format!(
            "{comparable} servers show the same changes but for the last {}",
            humantime::format_duration(std::time::Duration::from_secs(
                worst.num_seconds().unsigned_abs().max(1)
            ))
        )
    }
}

fn late(about: &mut About, (replica, other): (&Replica, &Replica), lag: &Lag) {
    let shows = format!("{} shows", other.server);
    about.warn(
        "replica",
        format!("{}: {}", replica.server, lag.words(&shows)),
        "see why it does not receive what others have (its log; `dsconf … repl-agmt status`, \
         syncrepl of OpenLDAP); until then let urls begin with a server that is current",
    );
    let facts = [
        ("server", json!(replica.server)),
        (
            "behind_seconds",
            json!(lag.behind().map(|behind| behind.num_seconds())),
        ),
    ];
    about.facts(&facts.into());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{command::check::finding::Verdict, model::freshness::NewestChanges};

    fn replica(server: &str, csns: &[&str]) -> Replica {
        let newest = NewestChanges::of_context_csns(csns.iter().copied());
        let shows = newest.map_or_else(Freshness::default, |newest| {
            Freshness::default().with_context("dc=test", newest)
        });
        Replica {
            server: server.into(),
            shows,
        }
    }

    fn found(replicas: &[Replica]) -> Vec<(Verdict, String)> {
        let findings = compare("studio", replicas);
        let found = findings.into_iter();
        found
            .map(|finding| (finding.result, finding.detail))
            .collect()
    }

    #[test]
    fn a_server_that_lags_behind_is_named_with_the_one_that_does_not() {
        let one = "20240127003612.000000Z#000000#001#000000";
        let soon = "20240127003912.000000Z#000000#001#000000";
        let later = "20240127013612.000000Z#000000#001#000000";
        let of_another = "20240127003612.000000Z#000000#002#000000";
        let same = found(&[replica("a", &[one]), replica("b", &[one])]);
        assert_eq!(
            same,
            [(Verdict::Ok, "2 servers show the same changes".into())]
        );
        let usual = found(&[replica("a", &[one]), replica("b", &[soon])]);
        assert_eq!(
            usual,
            [(
                Verdict::Ok,
                "2 servers show the same changes but for the last 3m".into()
            )]
        );
        let [(verdict, detail)] =
            <[_; 1]>::try_from(found(&[replica("a", &[later]), replica("b", &[one])])).unwrap();
        assert_eq!(verdict, Verdict::Warn);
        assert_eq!(
            detail,
            "b: its newest change of the directory's server 1 is of 2024-01-27 00:36:12 UTC, 60 \
             minutes older than what a shows (2024-01-27 01:36:12 UTC)"
        );
        let lacking = found(&[replica("a", &[one, of_another]), replica("b", &[one])]);
        assert!(
            lacking[0].0 == Verdict::Warn && lacking[0].1.starts_with("b: it shows no change"),
            "{lacking:?}"
        );
        let unknown = found(&[replica("a", &[one]), replica("b", &[])]);
        assert_eq!(unknown[0].0, Verdict::Ok);
        assert!(unknown[0].1.contains("is not known"));
        assert_eq!(found(&[replica("a", &[one])]), []);
    }
}
