//! Credentials that were refused: who may try them again, and what goes on when there are others.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::{Coordinator, IN_TURN};
use crate::{
    daemon::{accounts::Marked, orders::Refusal},
    event::daemon::DaemonEvent,
};

impl Coordinator {
    /// Says which credentials are barred from an earlier daemon on.
    pub(super) fn say_what_is_barred(&mut self, now: DateTime<Utc>) {
        let servers: Vec<String> = self.accounts.servers().map(str::to_owned).collect();
        for server in servers {
            let marked = self.marked(&server);
            let Some(barred) = self.accounts.barred(&marked, now) else {
                continue;
            };
            let (next, error) = (barred.until, Refusal::from(barred).to_string());
            self.refusals_said
                .insert(server.clone(), self.accounts.mark(&server));
            DaemonEvent::CredentialsRefused {
                server: &server,
                next,
                error: &error,
            }
            .emit();
        }
    }

    /// Bars refused credentials as long as was meant, though the clock was set back.
    pub(super) async fn bar_anew(&mut self, now: DateTime<Utc>) {
        for (server, account) in self.accounts.clock_went_back(now) {
            let _ = self
                .keep(move |state| state.set_refusal(&server, Some(&account)))
                .await;
        }
    }

    /// Notes which credentials would be used now at the servers that refused some: whether they are
    /// still the same decides who may try.
    pub(super) async fn look_at_credentials(&mut self) {
        let setup = &self.setup;
        // All at once: a disk that hangs is waited for once.
        let refused = self.accounts.servers();
        let looked_at: BTreeSet<String> = refused
            .flat_map(|server| setup.twins(server).into_iter().chain([server.to_owned()]))
            .collect();
        let looks = looked_at.into_iter().map(|server| async move {
            let mark = setup.mark(&server).await;
            (server, mark)
        });
        self.marks = join_all(looks).await.into_iter().collect();
        let news: Vec<String> = self
            .marks
            .iter()
            .filter(|(server, mark)| self.accounts.notice(server, mark.as_ref()))
            .map(|(server, _)| server.clone())
            .collect();
        for server in news {
            self.hasten(&server);
        }
    }

    /// Whatever waits because a server refused other credentials than there are now goes on.
    pub(super) fn hasten(&mut self, server: &str) {
        self.contacts.hasten(server);
        let jobs: Vec<String> = self.roster.names().map(str::to_owned).collect();
        for job in jobs {
            if self.setup.servers_of(&job).any(|other| other == server) {
                self.roster.hasten(&job, Utc::now());
            }
        }
    }

    /// The servers of a job, with what is known of the credentials that would be used there.
    pub(super) fn servers_of(&self, job: &str) -> Vec<Marked> {
        self.setup
            .servers_of(job)
            .flat_map(|server| self.marked(&server))
            .collect()
    }

    /// A server, and those where the same account would be used, with what is known of the
    /// credentials that would be used at the first one.
    pub(super) fn marked(&self, server: &str) -> Vec<Marked> {
        // Those that were refused, as long as nobody has looked.
        let mark = self
            .marks
            .get(server)
            .cloned()
            .unwrap_or_else(|| self.accounts.mark(server));
        let twins = self.setup.twins(server);
        std::iter::once(server.to_owned())
            .chain(twins)
            .map(|server| (server, mark.clone()))
            .collect()
    }

    /// Until when a job may not reach its servers.
    pub(super) fn barred(&self, job: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let servers = self.servers_of(job);
        let barred = self
            .accounts
            .barred(&servers, now)
            .map(|barred| barred.until);
        // Before the first contact is decided, the credentials are tried by it alone.
        let open = || {
            servers
                .iter()
                .any(|(server, _)| self.contacts.is_open(server))
        };
        barred.or_else(|| open().then(|| now + IN_TURN))
    }
}
