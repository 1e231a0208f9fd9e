//! The configuration's files taken anew: for the next run when they are right, and not at all when
//! they are not.

use std::time::Duration;

use chrono::Utc;

use super::{Completion, Coordinator};
use crate::{daemon::setup::Setup, event::daemon::DaemonEvent};

/// How long the files may take to be read; those on a network may never answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether the configuration's files are being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reloading {
    /// They are not.
    #[default]
    No,
    /// They are.
    Once,
    /// They are, and once more after that: they may have changed since.
    Again,
}

impl Coordinator {
    /// Reads the files beside the context; what comes of it is heard later. One reading at a time, so
    /// that an older one never comes after a newer one.
    pub(super) fn reload(&mut self) {
        if self.stopping {
            return;
        }
        if self.reloading != Reloading::No {
            self.reloading = Reloading::Again;
            return;
        }
        self.reloading = Reloading::Once;
        self.systemd.reloading();
        let (source, words) = (self.source.clone(), self.context.completions.clone());
        tokio::spawn(async move {
            let loading = tokio::task::spawn_blocking(move || source.load(Utc::now()));
            let loaded = match tokio::time::timeout(LIMIT, loading).await {
                Ok(Ok(loaded)) => loaded,
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!(
                    "its files could not be read within {}",
                    humantime::format_duration(LIMIT)
                )),
            };
            // A daemon that has gone needs no configuration.
            let _ = words.send(Completion::Loaded(loaded.map(Box::new))).await;
        });
    }

    pub(super) async fn on_config_loaded(&mut self, loaded: Result<Setup, String>) {
        if self.stopping {
            return;
        }
        match loaded {
            Ok(setup) => {
                self.restart_for = setup.needs_restart(&self.started_with);
                self.config_error = None;
                self.setup = setup;
                let new = self
                    .setup
                    .job_names()
                    .into_iter()
                    .filter(|job| !self.job_table.has(job));
                let recalled = self.load(new.collect()).await;
                self.apply_setup(recalled);
                self.set_schedules().await;
                self.context
                    .servers
                    .send_replace(self.setup.servers.clone());
                DaemonEvent::ConfigReloaded {
                    restart_for: &self.restart_for.join(", "),
                }
                .emit();
            }
            Err(error) => {
                self.context.metrics.reload_failed();
                self.reload_failures += 1;
                let error = error.lines().collect::<Vec<_>>().join("; ");
                DaemonEvent::ConfigRefused { error: &error }.emit();
                self.config_error = Some(error);
            }
        }
        self.systemd.ready();
        if std::mem::take(&mut self.reloading) == Reloading::Again {
            self.reload();
        }
    }
}
