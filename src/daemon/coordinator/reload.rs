//! The configuration's files taken anew: for the next run when they are right, and not at all when they are not.

use chrono::Utc;

use super::{Coordinator, Word};
use crate::{daemon::setup::Setup, event::daemon::DaemonEvent};

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
                self.take_setup();
                self.set_ticks().await;
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
}
