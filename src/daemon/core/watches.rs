//! Which directories are watched: those of the jobs that say so, unless they are paused, over
//! connections whose credentials nobody doubts. What a watch notices starts a run, and decides
//! nothing.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Core, Effect,
    effect::{Counter, Notice, WatchNews},
};
use crate::daemon::{readiness::ProbeResult, setup::FTRACK, status::WatchStatus};

/// How soon a watch that ended begins again, after the first failure; twice as long after each
/// other one.
const FIRST: TimeDelta = TimeDelta::seconds(1);
/// The longest of these delays.
const LONGEST: TimeDelta = TimeDelta::minutes(1);
/// The delay where a directory offers nothing by which it could be watched.
const WHILE_UNAVAILABLE: TimeDelta = TimeDelta::minutes(10);
/// The most failures that are counted.
const MOST: u32 = 10;

/// The watch of one job.
#[derive(Debug)]
pub(super) struct Watch {
    /// The number of the one that was started last.
    id: u64,
    activity: Activity,
    /// Since when it is watched, or is not.
    since: DateTime<Utc>,
    /// The failures in a row.
    failures: u32,
    /// Whether it was logged that it is not watched.
    is_logged: bool,
    /// Why it is not watched.
    why: Option<String>,
}

/// What a watch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// It begins when it may, and not before this time.
    Waits(DateTime<Utc>),
    /// It was started, and connects.
    Connects,
    Watches,
}

impl Core {
    /// Starts the watches that may begin, and ends those that are not wanted any more.
    pub(super) fn update_watches(&mut self) {
        let now = self.now.time;
        let jobs: Vec<String> = self.watches.keys().cloned().collect();
        let is_wanted = |core: &Self, job: &str| {
            let configured = core.configuration.job(job);
            !core.stopping && configured.is_some_and(|job| job.rules.is_watched)
        };
        for job in jobs {
            if !is_wanted(self, &job) {
                self.end_watch(&job);
                self.watches.remove(&job);
            }
        }
        let wanted: Vec<String> = self
            .jobs
            .names()
            .filter(|job| is_wanted(self, job))
            .map(str::to_owned)
            .collect();
        for job in wanted {
            let why = self.why_not_watched(&job);
            let watch = self.watches.entry(job.clone()).or_insert_with(|| Watch {
                id: 0,
                activity: Activity::Waits(now),
                since: now,
                failures: 0,
                is_logged: false,
                why: None,
            });
            match (why, watch.activity) {
                (Some(why), Activity::Waits(_)) => watch.why = Some(why),
                // Of what keeps others from beginning, only a pause ends one.
                (Some(why), Activity::Connects | Activity::Watches) => {
                    if self.jobs.is_paused(&job) {
                        watch.activity = Activity::Waits(now);
                        (watch.since, watch.why) = (now, Some(why));
                        watch.id = watch.id.saturating_add(1);
                        self.effect(Effect::StopWatch { job });
                    }
                }
                // Never for longer, also when the clock was set back.
                (None, Activity::Waits(until))
                    if until <= now || until - now > WHILE_UNAVAILABLE =>
                {
                    self.start_watch(job);
                }
                (None, Activity::Waits(_) | Activity::Connects | Activity::Watches) => {}
            }
        }
    }

    /// Ends all watches, since what they were made of is not in use any more; they begin anew.
    pub(super) fn renew_watches(&mut self) {
        let now = self.now.time;
        let jobs: Vec<String> = self.watches.keys().cloned().collect();
        for job in jobs {
            self.end_watch(&job);
            if let Some(watch) = self.watches.get_mut(&job) {
                watch.id = watch.id.saturating_add(1);
                watch.activity = Activity::Waits(now);
                (watch.since, watch.why) = (now, None);
            }
        }
    }

    fn end_watch(&mut self, job: &str) {
        let watch = self.watches.get(job);
        if watch.is_some_and(|watch| !matches!(watch.activity, Activity::Waits(_))) {
            let job = job.to_owned();
            self.effect(Effect::StopWatch { job });
        }
    }

    fn start_watch(&mut self, job: String) {
        let servers = self.configuration.servers_of(&job).iter();
        let server = servers
            .filter(|server| *server != FTRACK)
            .find_map(|server| Some((server.clone(), self.configuration.access(server)?)));
        let (Some(server), Some(watch)) = (server, self.watches.get_mut(&job)) else {
            return;
        };
        watch.id = watch.id.saturating_add(1);
        watch.activity = Activity::Connects;
        let id = watch.id;
        self.effect(Effect::StartWatch { job, id, server });
    }

    /// Why a watch of a job may not begin: credentials that were refused are tried again by a run or
    /// a probe alone, and those that nobody tried yet as well.
    fn why_not_watched(&self, job: &str) -> Option<String> {
        if self.jobs.is_paused(job) {
            return Some("the job is paused".to_owned());
        }
        let servers = self.configuration.servers_of(job).iter();
        servers
            .filter(|server| *server != FTRACK)
            .find_map(|server| {
                let is_open = |server: &str| self.readiness.is_open(server);
                if self.is_suspect(server) {
                    Some(format!("{server} refused the credentials"))
                } else if self.configuration.same_account(server).any(is_open) {
                    Some(format!("{server} was not reached yet"))
                } else {
                    None
                }
            })
    }

    /// A watch says something.
    pub(super) fn on_watch(&mut self, job: &str, id: u64, news: WatchNews) {
        let now = self.now.time;
        if let WatchNews::Ended {
            refused: Some((server, access, mark)),
            error,
            ..
        } = &news
        {
            let (error, mark) = (error.clone(), mark.clone());
            self.on_server_known(server, *access, &ProbeResult::Refused { error, mark });
        }
        let jitter = self.now.jitter;
        let Some(watch) = self.watches.get_mut(job).filter(|watch| watch.id == id) else {
            return;
        };
        match news {
            WatchNews::Begun(server) => {
                watch.activity = Activity::Watches;
                (watch.since, watch.failures) = (now, 0);
                (watch.is_logged, watch.why) = (false, None);
                let job = job.to_owned();
                self.notice(Notice::WatchStarted {
                    job: job.clone(),
                    server,
                });
                // Something may have been missed.
                self.notify_changed(job);
            }
            WatchNews::Changed => self.notify_changed(job.to_owned()),
            WatchNews::Ended {
                error,
                is_unavailable,
                ..
            } => {
                if watch.activity == Activity::Watches {
                    watch.since = now;
                }
                let delay = if is_unavailable {
                    WHILE_UNAVAILABLE
                } else {
                    (FIRST * 2_i32.saturating_pow(watch.failures)).min(LONGEST)
                };
                let spread = (delay.num_milliseconds() as f64 * (0.75 + jitter / 4.0)) as i64;
                let delay = TimeDelta::milliseconds(spread);
                watch.failures = watch.failures.saturating_add(1).min(MOST);
                watch.activity = Activity::Waits(now.checked_add_signed(delay).unwrap_or(now));
                watch.why = Some(error.clone());
                if std::mem::replace(&mut watch.is_logged, true) {
                    return;
                }
                let job = job.to_owned();
                self.notice(if is_unavailable {
                    Notice::WatchUnavailable { job, error }
                } else {
                    Notice::WatchLost { job, error }
                });
            }
        }
    }

    fn notify_changed(&mut self, job: String) {
        if self.jobs.notify_changed(&job, self.now.time) {
            self.effect(Effect::Count(Counter::WatchedChange(job)));
        }
    }

    /// Whether the directory of a job is watched; none where it is not to be.
    pub(super) fn watch_status(&self, job: &str) -> Option<WatchStatus> {
        let watch = self.watches.get(job)?;
        Some(WatchStatus {
            watching: watch.activity == Activity::Watches,
            since: watch.since,
            error: watch.why.clone(),
        })
    }
}
