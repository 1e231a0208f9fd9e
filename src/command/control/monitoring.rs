//! `status --check`: one line and an exit status as monitoring plugins have them (Nagios, Icinga,
//! Naemon, Zabbix and others), with performance data behind the bar.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::{
    cli::{Exit, PluginStatus, Stop},
    command::print,
    config::{Environment, default_control_socket},
    daemon::{
        control::StatusReply,
        heartbeat::HEALTHY,
        status::{JobPhase, JobStatus, RefusedCredentials, Status},
    },
    escape::escape_control,
    model::{change::Action, readable_time::readable_time},
};

use super::client::Daemon;

/// How long after its time a job must have started, and after the daemon's start a server must have
/// been reached.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// From so many failures in a row on, a job is critical.
const FAILURES: u32 = 3;

/// The longest text before the performance data, in characters: with these it fits where only 1024
/// bytes are passed on, unless most of it is not ASCII.
const LONGEST: usize = 600;

/// The longest error within it, in characters.
const LONGEST_ERROR: usize = 200;

/// Which daemon is asked.
pub(in crate::command) struct Asked {
    socket: Result<PathBuf, Stop>,
    /// Why the configuration does not tell.
    unreadable: Option<String>,
}

impl Asked {
    /// The one of the configuration; where that cannot be read, the one that the environment names or
    /// that is where it usually is: it goes on with the configuration that it has read.
    pub fn of(socket: Result<PathBuf, Stop>) -> Self {
        let usual = Environment::of_process().control_socket();
        let usual = usual.unwrap_or_else(default_control_socket);
        match socket {
            Err(stop) if usual.exists() => Self {
                socket: Ok(usual),
                unreadable: Some(stop.lines.join("; ")),
            },
            socket => Self {
                socket,
                unreadable: None,
            },
        }
    }
}

/// `status --check`: whether something needs a person. It never fails: what it cannot find out is
/// unknown.
pub(in crate::command) async fn check(Asked { socket, unreadable }: Asked) -> Exit {
    let now = Utc::now();
    let daemon = socket.and_then(|socket| Daemon::at(&socket));
    let (status, line) = match daemon {
        Err(stop) => (PluginStatus::Unknown, stop.lines.join("; ")),
        Ok(daemon) => match daemon.status_or_why().await {
            Err((status, stop)) => (status, stop.lines.join("; ")),
            Ok(reply) => {
                let mut findings = Findings::of(&reply, now);
                let unreadable = unreadable.iter();
                findings.warning.extend(unreadable.map(|error| {
                    let error = limited(error, LONGEST_ERROR);
                    format!("the configuration on disk cannot be read: {error}")
                }));
                return say(&findings.said(&reply.status, now));
            }
        },
    };
    say(&(status, limited(&line, LONGEST)))
}

/// Says that it is not known how the daemon is.
pub(in crate::command) fn unknown(stop: &Stop) -> Exit {
    say(&(
        PluginStatus::Unknown,
        limited(&stop.lines.join("; "), LONGEST),
    ))
}

/// Prints the line; a reader that has gone learns the status all the same.
fn say((status, text): &(PluginStatus, String)) -> Exit {
    let _ = print(&format!("FTRACK-LDAP-SYNC {}: {text}\n", status.as_str()));
    Exit::Plugin(*status)
}

/// What needs a person, and how much.
#[derive(Debug, Default)]
struct Findings {
    critical: Vec<String>,
    warning: Vec<String>,
}

impl Findings {
    fn of(reply: &StatusReply, now: DateTime<Utc>) -> Self {
        let mut findings = Self::default();
        findings.daemon(reply, now);
        for job in &reply.status.jobs {
            findings.schedule(job, now);
            if let Some(refused) = &job.refused {
                let is_late = now.signed_duration_since(reply.status.started_at) > LATE;
                findings.add(is_late, not_started(job, refused));
            }
            findings.last_run(job);
        }
        findings
    }

    fn daemon(&mut self, reply: &StatusReply, now: DateTime<Utc>) {
        let StatusReply {
            beat_age_seconds,
            status,
        } = reply;
        if !(0.0..HEALTHY.as_secs_f64()).contains(beat_age_seconds) {
            let text = format!("the scheduler made no progress for {beat_age_seconds:.0} s");
            self.critical.push(text);
        }
        let is_late = now.signed_duration_since(status.started_at) > LATE;
        let unreached = status
            .contacts
            .iter()
            .filter(|contact| contact.since.is_none());
        for contact in unreached {
            let why = contact.error.as_deref().unwrap_or("not tried yet");
            let why = limited(why, LONGEST_ERROR);
            let text = format!(
                "{} was not reached since the start: {why}",
                limited(&contact.server, LONGEST_ERROR)
            );
            self.add(is_late, text);
        }
        if let Some(error) = &status.config.error {
            let error = limited(error, LONGEST_ERROR);
            let text = format!("the configuration is invalid, the old one is used: {error}");
            self.warning.push(text);
        }
        if status.jobs.is_empty() {
            self.warning.push("there are no jobs".to_owned());
        }
        if status.stopping {
            self.warning.push("the daemon is stopping".to_owned());
        }
    }

    /// Whether a job runs when it is to.
    fn schedule(&mut self, job: &JobStatus, now: DateTime<Utc>) {
        let name = limited(&job.job, LONGEST_ERROR);
        if let Some(backoff) = &job.backoff {
            let times = match backoff.failures {
                1 => "failed once".to_owned(),
                failures => format!("failed {failures} times in a row"),
            };
            let state = if backoff.suspended { "suspended: " } else { "" };
            let error = limited(&backoff.error, LONGEST_ERROR);
            let is_critical = backoff.suspended || backoff.failures >= FAILURES;
            self.add(is_critical, format!("{name}: {state}{times}: {error}"));
        }
        let is_due = match job.phase {
            JobPhase::Idle | JobPhase::BackingOff | JobPhase::Suspended => true,
            JobPhase::Waiting | JobPhase::Running | JobPhase::Paused => false,
        };
        let late = job.next_run.map(|next| now.signed_duration_since(next));
        // A run that never ends, or never begins, is no success either.
        let without_success = job.success_due.map(|due| now.signed_duration_since(due));
        if let Some(late) = late.filter(|late| is_due && *late > LATE) {
            let text = format!("{name}: {} minutes overdue", late.num_minutes());
            self.critical.push(text);
        } else if let Some(late) = without_success.filter(|late| !is_due && *late > LATE) {
            let text = format!(
                "{name}: no success, which was due {} minutes ago",
                late.num_minutes()
            );
            self.critical.push(text);
        }
        if let Some(pause) = &job.pause {
            let zone = zone_of(job);
            let until = pause.until.map(|until| readable_time(until, &zone));
            let until = until.map(|until| format!(" until {until}"));
            let text = format!("{name}: paused{}", until.unwrap_or_default());
            self.warning.push(text);
        }
        for kind in job.paused_kinds.keys() {
            self.warning.push(format!("{name}: {kind} is paused"));
        }
    }

    /// What the last run left to a person.
    fn last_run(&mut self, job: &JobStatus) {
        let Some(run) = &job.last_run else { return };
        let name = limited(&job.job, LONGEST_ERROR);
        if run.alarm {
            let text = format!(
                "{name}: ftrack's own synchronisation did more than the limits allow, see `runs show {}`",
                limited(&run.run, LONGEST_ERROR)
            );
            self.critical.push(text);
        }
        if let Some(server) = &run.replica {
            let server = limited(server, LONGEST_ERROR);
            let text = format!("{name}: {server} was read, not the preferred server");
            self.warning.push(text);
        }
        let waiting = run.planned.get(&Action::Deactivate);
        if let Some(leavers) = waiting.filter(|_| run.observed) {
            let text = format!(
                "{name}: {leavers} to deactivate, and the job only observes (mode = \"observe\")"
            );
            self.warning.push(text);
        }
        let Left {
            open_holds,
            failed,
            unconfirmed,
            unsettled,
        } = Left::of(job);
        let counts = [
            (open_holds, "hold waits", "holds wait", " for a person"),
            (failed, "change", "changes", " could not be applied"),
            (unconfirmed, "change is", "changes are", " not confirmed"),
            (unsettled, "person needs", "people need", " a decision"),
        ];
        for (count, one, several, rest) in counts {
            let noun = match count {
                0 => continue,
                1 => one,
                _ => several,
            };
            self.warning.push(format!("{name}: {count} {noun}{rest}"));
        }
    }

    fn add(&mut self, is_critical: bool, text: String) {
        if is_critical {
            self.critical.push(text);
        } else {
            self.warning.push(text);
        }
    }

    /// The status, and the line behind it: the worst first.
    fn said(&self, status: &Status, now: DateTime<Utc>) -> (PluginStatus, String) {
        let level = match (self.critical.as_slice(), self.warning.as_slice()) {
            ([], []) => PluginStatus::Ok,
            ([], [..]) => PluginStatus::Warning,
            ([..], _) => PluginStatus::Critical,
        };
        let found: Vec<&str> = self
            .critical
            .iter()
            .chain(&self.warning)
            .map(String::as_str)
            .collect();
        let text = match (found.as_slice(), status.jobs.len()) {
            ([], 1) => "1 job, nothing needs a person".to_owned(),
            ([], jobs) => format!("{jobs} jobs, nothing needs a person"),
            ([..], _) => found.join("; "),
        };
        let text = limited(&text, LONGEST);
        (level, format!("{text} | {}", figures(status, now)))
    }
}

/// That a job is not run, since a server refused the credentials.
fn not_started(job: &JobStatus, refused: &RefusedCredentials) -> String {
    let RefusedCredentials {
        server,
        since: _,
        next,
        error: _,
    } = refused;
    format!(
        "{}: no run is started before {}, since {} refused these credentials",
        limited(&job.job, LONGEST_ERROR),
        readable_time(*next, &zone_of(job)),
        limited(server, LONGEST_ERROR)
    )
}

/// The zone of a job's schedule.
fn zone_of(job: &JobStatus) -> Tz {
    job.timezone.parse().unwrap_or(Tz::UTC)
}

/// What the last run of a job left to a person.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    open_holds: usize,
    failed: usize,
    unconfirmed: usize,
    unsettled: usize,
}

impl Left {
    fn of(job: &JobStatus) -> Self {
        let Some(run) = &job.last_run else {
            return Self::default();
        };
        let open_holds = run.open_holds;
        if run.dry_run {
            // What it did not write is no trouble.
            return Self {
                open_holds,
                ..Self::default()
            };
        }
        Self {
            open_holds,
            failed: run.failed,
            unconfirmed: run.counts.unconfirmed,
            unsettled: run.unsettled,
        }
    }
}

/// The performance data: over all jobs, so that it stays as long as it is.
fn figures(status: &Status, now: DateTime<Utc>) -> String {
    let jobs = &status.jobs;
    let failures = jobs
        .iter()
        .filter_map(|job| Some(job.backoff.as_ref()?.failures));
    let is_paused = |job: &&JobStatus| job.pause.is_some() || !job.paused_kinds.is_empty();
    let paused = jobs.iter().filter(is_paused).count();
    let left = jobs.iter().map(Left::of);
    let left = left.fold(Left::default(), |sum, job| Left {
        open_holds: sum.open_holds + job.open_holds,
        failed: sum.failed + job.failed,
        unconfirmed: sum.unconfirmed + job.unconfirmed,
        unsettled: sum.unsettled + job.unsettled,
    });
    let mut figures = format!(
        "jobs={};;;0 failures={};0;{};0 paused={paused};0;;0 open_holds={};0;;0 \
         failed_changes={};0;;0 unconfirmed_changes={};0;;0 unsettled_people={};0;;0",
        jobs.len(),
        failures.max().unwrap_or_default(),
        FAILURES - 1,
        left.open_holds,
        left.failed,
        left.unconfirmed,
        left.unsettled,
    );
    let oldest = jobs.iter().filter_map(|job| job.last_success).min();
    if let Some(oldest) = oldest {
        let seconds = now.signed_duration_since(oldest).num_seconds().max(0);
        figures.push_str(&format!(" since_success={seconds}s;;;0"));
    }
    figures
}

/// The beginning of a text, in which nothing ends the line or begins performance data.
fn limited(text: &str, longest: usize) -> String {
    let text = escape_control(text).replace('|', "/");
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
