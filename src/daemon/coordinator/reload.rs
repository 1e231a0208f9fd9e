//! The configuration's files taken anew: for the next run when they are right, and not at all when they are not.

use std::collections::BTreeSet;

use chrono::Utc;

use super::{Coordinator, Word};
use crate::{
    daemon::{orders::Told, setup::Setup},
    event::daemon::DaemonEvent,
};

impl Coordinator {
    /// Reads the files beside the house; what comes of it is heard later.
    pub(super) fn reload(&mut self) {
        self.system.reloading();
        let (source, words) = (self.source.clone(), self.house.words.clone());
        tokio::spawn(async move {
            let loading = tokio::task::spawn_blocking(move || source.load(Utc::now())).await;
            let loaded = loading.unwrap_or_else(|error| Err(error.to_string()));
            // A daemon that has gone needs no configuration.
            let _ = words.send(Word::Loaded(loaded.map(Box::new))).await;
        });
    }

    pub(super) async fn loaded(&mut self, loaded: Result<Setup, String>) {
        match loaded {
            Ok(setup) => {
                self.restart_for = setup.needs_restart(&self.begun_with);
                self.config_error = None;
                self.setup = setup;
                let new = self.setup.job_names().into_iter().filter(|job| !self.past.contains_key(job));
                let recalled = self.recall(new.collect()).await;
                self.take_setup(recalled);
                self.set_ticks().await;
                self.tell_those_in_vain();
                self.house.servers.send_replace(self.setup.servers.clone());
                DaemonEvent::ConfigReloaded {
                    restart_for: &self.restart_for.join(", "),
                }
                .emit();
            }
            Err(error) => {
                self.house.metrics.reload_failed();
                self.reload_failures += 1;
                let error = error.lines().collect::<Vec<_>>().join("; ");
                DaemonEvent::ConfigRefused { error: &error }.emit();
                self.config_error = Some(error);
            }
        }
        self.system.ready();
    }

    /// Whoever triggered a run of a job that is gone now, and that has not begun, hears that it will not.
    fn tell_those_in_vain(&mut self) {
        let names: BTreeSet<&str> = self.roster.names().collect();
        let gone = self
            .told
            .keys()
            .filter(|job| !names.contains(job.as_str()) && !self.underway.contains_key(*job));
        for job in gone.cloned().collect::<Vec<_>>() {
            let error = format!("the configuration has no job {job} any more");
            self.tell_last(&job, Told::Ended { error });
        }
    }
}
