//! Credentials that were refused: who may try them again, and what goes on when there are others.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::{Coordinator, IN_TURN};
use crate::{
    daemon::{commands::CommandError, lockouts::ServerCredentials},
    event::daemon::DaemonEvent,
};

impl Coordinator {
    /// Says which credentials are barred from an earlier daemon on.
    pub(super) fn log_lockouts(&mut self, now: DateTime<Utc>) {
        let servers: Vec<String> = self.lockouts.servers().map(str::to_owned).collect();
        for server in servers {
            let marked = self.same_account(&server);
            let Some(barred) = self.lockouts.locked_out(&marked, now) else {
                continue;
            };
            let (next, error) = (barred.until, CommandError::from(barred).to_string());
            self.logged_refusals
                .insert(server.clone(), self.lockouts.fingerprint(&server));
            DaemonEvent::CredentialsRefused {
                server: &server,
                next,
                error: &error,
            }
            .emit();
        }
    }

    /// Bars refused credentials as long as was meant, though the clock was set back.
    pub(super) async fn correct_lockouts_after_clock_change(&mut self, now: DateTime<Utc>) {
        for (server, account) in self.lockouts.clock_went_back(now) {
            let _ = self
                .save(move |state| state.set_refusal(&server, Some(&account)))
                .await;
        }
    }

    /// Notes which credentials would be used now at the servers that refused some: whether they are
    /// still the same decides who may try.
    pub(super) async fn check_for_new_credentials(&mut self) {
        let setup = &self.setup;
        // All at once: a disk that hangs is waited for once.
        let refused = self.lockouts.servers();
        let looked_at: BTreeSet<String> = refused
            .flat_map(|server| {
                setup
                    .same_account(server)
                    .into_iter()
                    .chain([server.to_owned()])
            })
            .collect();
        let looks = looked_at.into_iter().map(|server| async move {
            let mark = setup.fingerprint(&server).await;
            (server, mark)
        });
        self.fingerprints = join_all(looks).await.into_iter().collect();
        let news: Vec<String> = self
            .fingerprints
            .iter()
            .filter(|(server, mark)| self.lockouts.observe_fingerprint(server, mark.as_ref()))
            .map(|(server, _)| server.clone())
            .collect();
        for server in news {
            self.retry_now(&server);
        }
    }

    /// Whatever waits because a server refused other credentials than there are now goes on.
    pub(super) fn retry_now(&mut self, server: &str) {
        self.readiness.retry_now(server);
        let jobs: Vec<String> = self.job_table.names().map(str::to_owned).collect();
        for job in jobs {
            if self.setup.servers_of(&job).any(|other| other == server) {
                self.job_table.hasten(&job, Utc::now());
            }
        }
    }

    /// The servers of a job, with what is known of the credentials that would be used there.
    pub(super) fn servers_of(&self, job: &str) -> Vec<ServerCredentials> {
        self.setup
            .servers_of(job)
            .flat_map(|server| self.same_account(&server))
            .collect()
    }

    /// A server, and those where the same account would be used, with what is known of the
    /// credentials that would be used at the first one.
    pub(super) fn same_account(&self, server: &str) -> Vec<ServerCredentials> {
        // Those that were refused, as long as nobody has looked.
        let mark = self
            .fingerprints
            .get(server)
            .cloned()
            .unwrap_or_else(|| self.lockouts.fingerprint(server));
        let twins = self.setup.same_account(server);
        std::iter::once(server.to_owned())
            .chain(twins)
            .map(|server| (server, mark.clone()))
            .collect()
    }

    /// Until when a job may not reach its servers.
    pub(super) fn locked_until(&self, job: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let servers = self.servers_of(job);
        let barred = self
            .lockouts
            .locked_out(&servers, now)
            .map(|barred| barred.until);
        // Before the first contact is decided, the credentials are tried by it alone.
        let open = || {
            servers
                .iter()
                .any(|(server, _)| self.readiness.is_open(server))
        };
        barred.or_else(|| open().then(|| now + IN_TURN))
    }
}
