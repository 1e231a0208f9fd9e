//! Checks a configuration without contacting a server, beyond what loading it has shown: rules that
//! compile, and the next runs.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    finding::{About, Finding},
    settings, windows,
};
use crate::{
    config,
    config::{Config, Job, Mode, schedule::Schedule},
    model::readable_time::readable_times,
    run::{
        CompiledJob, CompiledRules, LdapRules, LdapWork,
        host::host,
        servers::{ServerError, Servers},
    },
    state::paths,
};

/// How many of a job's next runs are shown.
const RUNS: usize = 5;

/// The compiled configuration, for the checks of the servers.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Compiled {
    pub servers: Servers,
    pub jobs: Vec<CompiledJob>,
}

impl Compiled {
    /// The jobs that read a directory, by name.
    pub fn ldap_jobs(&self) -> impl Iterator<Item = (&str, &LdapWork)> {
        self.jobs
            .iter()
            .filter_map(|job| Some((job.name(), job.ldap()?)))
    }
}

/// Compiles everything; the result is absent when anything has failed. The next runs are those
/// after `now`.
#[must_use]
pub fn compile(config: &Arc<Config>, now: DateTime<Utc>) -> (Vec<Finding>, Option<Compiled>) {
    let (mut findings, servers) = servers(config, now);
    let mut rules = Vec::new();
    let mut all = true;
    let host = host();
    for (name, job) in &config.jobs {
        let mut about = About::new(format!("job {name}"));
        let of_job = CompiledRules::new(config, name, job);
        match of_job.ldap() {
            Some(ldap) => all &= attributes(&mut about, ldap),
            None => two_writers(&mut about, name, config),
        }
        settings::of_job(&mut about, name, job, config);
        rules.push(of_job);
        if job.ldap().is_some_and(|ldap| ldap.mode == Mode::Observe) {
            about.warn(
                "mode",
                "mode = \"observe\": runs report what they would do and write nothing, and `apply` \
                 refuses its plans",
                "mode = \"sync\" lets it write",
            );
        }
        match Schedule::of(name, job, &host) {
            Some(schedule) => next_runs(&mut about, "schedule", job, &schedule, now),
            None => about.ok("schedule", "no schedule; the job runs only on request"),
        }
        if let Some(schedule) = Schedule::of_changes(name, job, &host) {
            next_runs(&mut about, "changes_schedule", job, &schedule, now);
        }
        windows::of_job(&mut about, name, job, now);
        findings.extend(about.into_findings());
    }
    let compiled = servers.filter(|_| all).and_then(|servers| {
        let jobs = rules.into_iter().map(|rules| rules.connect(&servers).ok());
        Some(Compiled {
            jobs: jobs.collect::<Option<_>>()?,
            servers,
        })
    });
    (findings, compiled)
}

/// The findings about the servers' settings and the state directory, and the connections, none of
/// which is opened yet.
fn servers(config: &Config, now: DateTime<Utc>) -> (Vec<Finding>, Option<Servers>) {
    let mut about = About::new("configuration".into());
    let servers = match Servers::new(config) {
        Ok(servers) => {
            about.ok(
                "configuration",
                "it is valid, and the files that it names are readable",
            );
            Some(servers)
        }
        Err(errors) => {
            let is_ftrack = |error: &&ServerError| matches!(error, ServerError::Ftrack(_));
            let of_ftrack = errors
                .iter()
                .filter(is_ftrack)
                .map(|error| ("ftrack", error));
            let of_directories = errors.iter().filter(|error| !is_ftrack(error));
            for (check, error) in of_ftrack.chain(of_directories.map(|error| ("directory", error)))
            {
                let (what, way_out) = (error.what(), error.way_out());
                about.fail(check, what, way_out);
            }
            None
        }
    };
    let state_dir = config.state_dir.display();
    match paths::can_keep(&config.state_dir) {
        Ok(()) if config.state_dir.is_dir() => {
            about.ok("state", format!("{state_dir} is writable"));
        }
        Ok(()) => about.ok(
            "state",
            format!("{state_dir} does not exist yet, and can be made"),
        ),
        Err(error) => about.fail(
            "state",
            format!("cannot save reports in {state_dir}: {error}"),
            "make the directory writable for the user who runs the program, or run it as the \
             directory's owner",
        ),
    }
    settings::of_program(&mut about, config, now);
    (about.into_findings(), servers)
}

/// A job that has ftrack synchronise, beside jobs of the program that write the same users.
fn two_writers(about: &mut About, own: &str, config: &Config) {
    let same = config
        .jobs
        .iter()
        .filter(|(name, job)| *name != own && job.ldap().is_none());
    let same: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
    if !same.is_empty() {
        about.warn(
            "writers",
            format!(
                "it starts the same ftrack synchronisation as {}",
                same.join(", ")
            ),
            "remove one of them",
        );
    }
    let others: Vec<&str> = config.ldap_jobs().map(|(name, _)| name).collect();
    if others.is_empty() {
        if same.is_empty() {
            about.ok("writers", "no other job writes users of this ftrack");
        }
        return;
    }
    let (jobs, write) = if others.len() == 1 {
        ("job", "writes")
    } else {
        ("jobs", "write")
    };
    about.warn(
        "writers",
        format!(
            "ftrack's own synchronisation and the {jobs} {} both write the users of this ftrack: \
             ftrack's disables every user that it does not find, without a limit",
            others.join(", ")
        ),
        format!("use only one of them once you trust what the {jobs} {write}"),
    );
}

/// Whether the attributes of a job can be made.
fn attributes(about: &mut About, rules: &LdapRules) -> bool {
    if rules.job.attributes.is_none() && rules.kind.is_none() {
        about.ok("attributes", "they follow from the kind of the directory");
        return true;
    }
    let mapping = rules.mappings.of(rules.kind.unwrap_or_default());
    let ldap_attributes = mapping.ldap_attributes();
    let impossible: Vec<&String> = ldap_attributes
        .iter()
        .filter(|name| !config::is_attribute(name))
        .collect();
    for name in &impossible {
        about.fail(
            "template",
            format!(
                "attributes: a template reads {name}, which is not a valid LDAP attribute name \
                 (RFC 4512)"
            ),
            "write the LDAP attribute's name, such as givenName",
        );
    }
    let can_be_made = impossible.is_empty();
    if can_be_made {
        about.ok(
            "attributes",
            format!("they are made of {}", ldap_attributes.join(", ")),
        );
    }
    can_be_made
}

fn next_runs(
    about: &mut About,
    check: &'static str,
    job: &Job,
    schedule: &Schedule,
    now: DateTime<Utc>,
) {
    let next: Vec<DateTime<Utc>> = schedule.occurrences(now).take(RUNS).collect();
    let (next, zone) = readable_times(&next, &schedule.zone(), "%Y-%m-%d %H:%M:%S");
    let zone = zone.map(|zone| format!(" {zone}")).unwrap_or_default();
    let expression = schedule.expression();
    let [splay, lag] = [job.splay, schedule.lag()].map(humantime::format_duration);
    let splay = if job.splay == Duration::ZERO {
        String::new()
    } else {
        format!(", on this host {lag} later (splay {splay})")
    };
    about.ok(
        check,
        format!(
            "{expression} in {}{splay}: {}{zone}",
            job.timezone,
            next.join(", ")
        ),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use chrono::TimeZone;

    use super::*;
    use crate::config::Environment;

    /// The finding for a job in Stockholm on the evening before clocks change, with further keys.
    fn next_runs_of(schedule: &str, (month, day): (u32, u32), keys: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text = format!(
            "[ftrack]\nserver = \"https://studio.test\"\napi_user = \"sync\"\napi_key = \
             \"key\"\n[directories.studio]\nurls = \
             [\"ldaps://ldap.studio.test\"]\n[jobs.artists]\nsearch_bases = [\"dc=test\"]\nfilter \
             = \"(uid=*)\"\nattributes = {{ username = \"uid\" }}\nschedule = \
             {schedule:?}\ntimezone = \"Europe/Stockholm\"\n{keys}\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = config::load(&file, &Environment::default()).unwrap();
        let now = Utc.with_ymd_and_hms(2026, month, day, 20, 0, 0).unwrap();
        let mut about = About::new(String::new());
        let job = &config.jobs["artists"];
        let schedule = Schedule::of("artists", job, "host").unwrap();
        super::next_runs(&mut about, "schedule", job, &schedule, now);
        about.into_findings().remove(0).detail
    }

    #[test]
    fn the_next_runs_are_told_in_the_jobs_zone_and_across_the_change_of_its_clock() {
        let spring = |schedule| next_runs_of(schedule, (3, 28), "");
        assert_eq!(
            spring("30 12 * * *"),
            "30 12 * * * in Europe/Stockholm: 2026-03-29 12:30:00, \
             2026-03-30 12:30:00, 2026-03-31 12:30:00, 2026-04-01 12:30:00, \
             2026-04-02 12:30:00 CEST"
        );
        assert!(
            spring("15 0 */6 * * *")
                .contains(": 2026-03-29 00:00:15 CET, 2026-03-29 06:00:15 CEST, ")
        );
        assert!(spring("@daily").contains(": 2026-03-29 00:00:00 CET, 2026-03-30 00:00:00 CEST, "));
        // A time that the clock skips, one that occurs twice, and an hour that occurs twice.
        assert!(spring("30 2 * * *").contains(": 2026-03-29 03:00:00, 2026-03-30 02:30:00, "));
        assert!(
            next_runs_of("30 2 * * *", (10, 24), "")
                .contains(": 2026-10-25 02:30:00 CEST, 2026-10-26 02:30:00 CET, ")
        );
        assert!(
            next_runs_of("30 * 25 * *", (10, 24), "")
                .contains(", 2026-10-25 02:30:00 CEST, 2026-10-25 02:30:00 CET, ")
        );
    }

    #[test]
    fn the_next_runs_are_told_with_the_hosts_part_of_the_splay() {
        let splayed = next_runs_of("30 12 * * *", (3, 28), "splay = \"5m\"");
        assert!(
            splayed.starts_with(
                "30 12 * * * in Europe/Stockholm, on this host 4m 32s later (splay 5m): \
                 2026-03-29 12:34:32, 2026-03-30 12:34:32, "
            ),
            "{splayed}"
        );
    }
}
