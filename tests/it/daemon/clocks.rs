//! Days that pass in seconds: the real daemon under libfaketime, with clocks that run fast, jump
//! and go back. Its timers stay those of the machine.

mod back;
mod changes;
mod jumps;
mod limits;
mod outages;
mod refusals;
mod windows;

use std::{ffi::OsString, fs, path::PathBuf, process::Command, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::model::report::{Outcome, Report};

use super::{Daemon, LIMIT, status};
use crate::{ability, slapd::wait_until, studio::Studio};

/// A time as people write it.
fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// The library shows a program a time of ours, and of files and timers what is so.
fn fake(command: &mut Command, library: &OsString) {
    command
        .env("LD_PRELOAD", library)
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
}

/// How far a time is from the machine's, in libfaketime's words.
fn offset(time: DateTime<Utc>) -> String {
    format!("{:+.3}", (time - Utc::now()).as_seconds_f64())
}

/// A clock that runs as fast as the machine's, and is set while the daemon looks at it.
struct SetClock {
    library: OsString,
    file: PathBuf,
}

impl SetClock {
    /// A clock that shows this; none where there is no libfaketime.
    fn showing(test: &str, studio: &Studio, time: DateTime<Utc>) -> Option<Self> {
        let clock = Self {
            library: ability::fake_time(test)?.into(),
            file: studio.folder().join("clock"),
        };
        clock.set(time);
        Some(clock)
    }

    /// Sets the clock.
    fn set(&self, time: DateTime<Utc>) {
        let new = self.file.with_extension("new");
        fs::write(&new, offset(time)).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Has a program look at this clock.
    fn prepare(&self, command: &mut Command) {
        fake(command, &self.library);
        command
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1");
    }

    /// Starts a daemon that looks at this clock.
    fn daemon(&self, studio: &Studio) -> Daemon {
        Daemon::start_with(studio, |command| self.prepare(command))
    }
}

/// A clock that runs so many times as fast as the machine's, over restarts of the daemon.
struct FastClock {
    library: OsString,
    from: DateTime<Utc>,
    since: Instant,
    speed: u32,
}

impl FastClock {
    /// A clock that shows this now; none where there is no libfaketime.
    fn from(test: &str, time: DateTime<Utc>, speed: u32) -> Option<Self> {
        Some(Self {
            library: ability::fake_time(test)?.into(),
            from: time,
            since: Instant::now(),
            speed,
        })
    }

    /// What it shows.
    fn now(&self) -> DateTime<Utc> {
        self.from + self.since.elapsed() * self.speed
    }

    /// Starts a daemon under this clock.
    fn daemon(&self, studio: &Studio) -> Daemon {
        Daemon::start_with(studio, |command| {
            fake(command, &self.library);
            command.env(
                "FAKETIME",
                format!("{} x{}", offset(self.now()), self.speed),
            );
        })
    }

    /// Waits until it shows this.
    fn wait(&self, time: DateTime<Utc>) {
        assert!(
            wait_until(LIMIT, || self.now() >= time),
            "the clock shows {}",
            self.now()
        );
    }
}

/// Waits until everything has been done that was due at this time: two beats, since jobs and a beat
/// that are due together come in any order.
fn let_pass(studio: &Studio, time: DateTime<Utc>) {
    let beat = || {
        status(studio)["beat_at"]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
    };
    let mut first = None;
    let passed = wait_until(LIMIT, || {
        let now = beat();
        now >= time && now - time < TimeDelta::minutes(1) && *first.get_or_insert(now) != now
    });
    assert!(passed, "no beat at {time}: {}", beat());
}

/// The reports of one job, the oldest first; no run may have failed.
fn runs(studio: &Studio, job: &str) -> Vec<Report> {
    let runs: Vec<Report> = studio
        .reports()
        .into_iter()
        .filter(|report| report.job == job)
        .collect();
    assert!(
        runs.iter().all(|run| run.outcome == Outcome::Succeeded),
        "{runs:#?}"
    );
    runs
}

/// When the runs of one job began.
fn starts(studio: &Studio, job: &str) -> Vec<DateTime<Utc>> {
    runs(studio, job).iter().map(|run| run.started_at).collect()
}

/// Asserts that a job's runs began at these times and no others, each at most so much later.
fn assert_starts(studio: &Studio, job: &str, expected: &[DateTime<Utc>], late: TimeDelta) {
    let starts = starts(studio, job);
    let fits = |(start, expected): (&DateTime<Utc>, &DateTime<Utc>)| {
        start >= expected && *start - expected < late
    };
    assert!(
        starts.len() == expected.len() && starts.iter().zip(expected).all(fits),
        "{job}: {starts:#?}, and not {expected:#?}"
    );
}

/// Another job over the same people, which finds that they belong to the first one.
fn another(name: &str, lines: &str) -> String {
    format!(
        "\n[jobs.{name}]\ndirectory = \"studio\"\nsearch_bases = \
         [\"ou=people,dc=studio,dc=test\"]\nfilter = \"(uid=*)\"\nattributes = {{ username = \
         \"uid\" }}\n{lines}\n"
    )
}

/// How late a run may be that begins at a whole second of a clock that runs as usual.
const SOON: TimeDelta = TimeDelta::seconds(8);
