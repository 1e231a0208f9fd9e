//! What is not written now because of a window, a freeze or a pause, whether or not a run has found
//! anything to hold by now.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    cli::Stop,
    config::{self, Config, Environment, Job, schedule::Schedule},
    escape::escape_control,
    model::{pause::Pause, readable_time::readable_time},
    run::host::host,
    state::{self, Paused},
    sync::guard::{ClosedKind, Times},
};

/// What is not written now, one line each. Windows and freezes are those of the configuration, if
/// there is one and it can be read.
///
/// # Errors
/// The state cannot be read.
pub(super) fn closed(
    file: Option<&Path>,
    state_dir: &Path,
    only: Option<&str>,
) -> Result<Vec<String>, Stop> {
    let now = Utc::now();
    let pauses = state::all_pauses(state_dir).map_err(|error| Stop::failed(&error))?;
    let config = file.and_then(|file| {
        let config = config::without_secrets(file, &Environment::of_process());
        config.ok()
    });
    let configured = config.iter().flat_map(|config| config.jobs.keys());
    let mut names: Vec<&String> = pauses.keys().chain(configured).collect();
    names.sort_unstable();
    names.dedup();
    let none = Paused::default();
    let lines = names
        .into_iter()
        .filter(|name| only.is_none_or(|only| only == *name))
        .flat_map(|name| {
            let job = config
                .as_ref()
                .and_then(|config: &Config| config.jobs.get(name));
            of_job(name, job, pauses.get(name).unwrap_or(&none), now)
        });
    Ok(lines.collect())
}

fn of_job(name: &str, job: Option<&Job>, paused: &Paused, now: DateTime<Utc>) -> Vec<String> {
    let zone = job.map_or(Tz::UTC, |job| job.timezone);
    let shown = escape_control(name);
    let whole = paused.job.iter().filter(|pause| !pause.is_over(now));
    let mut lines: Vec<String> = whole
        .map(|pause| format!("{shown}: {}", of_pause(name, pause, zone)))
        .collect();
    let ldap = job.and_then(Job::ldap);
    let no_windows = BTreeMap::new();
    let host = host();
    let schedules = job.map(|job| Schedule::all_of(name, job, &host));
    let times = Times {
        job: name,
        windows: ldap.map_or(&no_windows, |ldap| &ldap.windows),
        freezes: ldap.map_or(&[], |ldap| &ldap.freezes),
        paused: &paused.kinds,
        schedules: schedules
            .into_iter()
            .flatten()
            .map(|(_, schedule)| schedule)
            .collect(),
        zone,
    };
    let kinds = times.closed_kinds_at(now).into_iter();
    lines.extend(
        kinds.map(|ClosedKind { kind, why, .. }| {
            format!("{shown}: {kind}: {}", escape_control(&why))
        }),
    );
    lines
}

/// What the pause of a whole job stops.
fn of_pause(name: &str, pause: &Pause, zone: Tz) -> String {
    let until = pause.until.map(|until| readable_time(until, &zone));
    let until = until.unwrap_or_else(|| format!("`resume {}`", escape_control(name)));
    let reason = pause.reason.as_deref().map(escape_control);
    let reason = reason.map(|reason| format!(" ({reason})"));
    format!(
        "paused until {until}{}, {}: the daemon starts no run of it",
        reason.unwrap_or_default(),
        escape_control(&pause.since_words(&zone))
    )
}
