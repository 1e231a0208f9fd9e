//! Events about ftrack's own synchronisation.

use std::time::Duration;

use tracing::Level;

use super::RunName;
use crate::{escape::escape_control, model::server_job::ServerJob};

/// An event of ftrack's own synchronisation.
#[derive(Debug, Clone, Copy)]
pub enum Builtin<'a> {
    /// ftrack created the job: it is running or queued.
    Started(&'a ServerJob),
    /// The job, in its last known state, is no longer followed, after this time: it ended, or could
    /// not be followed to its end.
    Finished(&'a ServerJob, Duration),
    /// It deactivated or renamed more users than the job's limits.
    Alarm(BuiltinAlarm),
}

/// What ftrack's own synchronisation did, and the job's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct BuiltinAlarm {
    /// Users that were active before it.
    pub active: usize,
    /// Users that it deactivated.
    pub deactivated: usize,
    pub deactivate_limit: usize,
    /// Users whose login changed.
    pub renamed: usize,
    pub rename_limit: usize,
}

impl BuiltinAlarm {
    /// Whether a limit is exceeded.
    #[must_use]
    pub fn is_raised(self) -> bool {
        self.deactivated > self.deactivate_limit || self.renamed > self.rename_limit
    }
}

impl Builtin<'_> {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Started(_) | Self::Finished(..) => Level::INFO,
            Self::Alarm(_) => Level::ERROR,
        }
    }

    pub(super) fn emit(self, level: Level, RunName { job, run }: RunName<'_>) {
        match self {
            Self::Started(ServerJob { id, status, .. }) => {
                let (id, status) = (id.text(), status.to_string());
                let status = escape_control(&status);
                say!(level, event = "builtin.started", job, run, server_job = &*id, %status, "ftrack's own synchronisation started");
            }
            Self::Finished(ServerJob { id, status, text }, took) => {
                let (id, status, seconds) = (id.text(), status.to_string(), took.as_secs_f64());
                let (status, text) = (
                    escape_control(&status),
                    escape_control(text.as_deref().unwrap_or_default()),
                );
                say!(level, event = "builtin.finished", job, run, server_job = &*id, %status, %text, seconds, "ftrack's own synchronisation followed");
            }
            Self::Alarm(BuiltinAlarm {
                active,
                deactivated,
                deactivate_limit,
                renamed,
                rename_limit,
            }) => {
                say!(
                    level,
                    event = "builtin.alarm",
                    job,
                    run,
                    active,
                    deactivated,
                    deactivate_limit,
                    renamed,
                    rename_limit,
                    "ftrack's own synchronisation changed more than the limits allow"
                );
            }
        }
    }
}
