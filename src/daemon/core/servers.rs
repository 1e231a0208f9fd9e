//! Servers: which ones are probed, whose credentials are left alone, and what follows from what a
//! probe or a run found out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Core, Effect, IN_TURN,
    effect::{Notice, Write},
};
use crate::{
    daemon::{
        commands::CommandError,
        lockouts::{ServerCredentials, of_credentials},
        readiness::{Access, ProbeResult},
        status::RefusedCredentials,
    },
    model::{backoff::PutOff, report::FailureKind},
};

/// The failures after which other credentials are tried at once.
const AFTER_REFUSALS: [FailureKind; 2] =
    [FailureKind::DirectoryRefused, FailureKind::FtrackRefused];

impl Core {
    /// Probes each server that is due.
    pub(super) fn start_probes(&mut self) {
        if self.stopping {
            return;
        }
        let now = self.now.time;
        // A run that reaches a server with something else finds out nothing about it.
        let runs = self.runs.values().flat_map(|run| &run.reads);
        let current = runs.filter(|(server, access)| self.readiness.is_current(server, *access));
        let mut asked: BTreeSet<String> = current
            .map(|(server, _)| server.clone())
            .chain(self.readiness.under_way())
            .collect();
        let unknown: BTreeSet<String> = self
            .configuration
            .loaded()
            .servers
            .iter()
            .filter(|server| self.is_unknown(&server.name))
            .map(|server| server.name.clone())
            .collect();
        let configuration = &self.configuration;
        let is_asked = |server: &str| {
            let by_another = configuration
                .same_account(server)
                .skip(1)
                .any(|other| asked.contains(other));
            unknown.contains(server) || by_another || !asked.insert(server.to_owned())
        };
        for server in self.readiness.due(now, is_asked) {
            let credentials = self.credentials_at(&server);
            if let Some(locked) = self.lockouts.locked_out(&credentials, now) {
                let until = locked.until;
                self.readiness.put_off(
                    &server,
                    PutOff { since: now, until },
                    CommandError::from(locked).to_string(),
                );
            } else if let Some(access) = self.configuration.access(&server) {
                self.effect(Effect::Probe { server, access });
            }
        }
    }

    /// A probe or a run found out about a server.
    pub(super) fn on_server_known(&mut self, server: &str, access: Access, result: &ProbeResult) {
        let is_news = self.readiness.ended(server, access, result, self.now.time);
        let is_current = self.readiness.is_current(server, access);
        let server = server.to_owned();
        match result {
            // Of other credentials than those that are to be used now.
            ProbeResult::Well if !is_current => {}
            ProbeResult::Well => {
                self.logged_refusals.remove(&server);
                if self.lockouts.accepted(&server) {
                    self.persist(Write::Refusal(server.clone(), None));
                }
                if is_news {
                    self.notice(Notice::ContactMade { server });
                }
            }
            ProbeResult::Failed(error) => {
                let error = error.clone();
                if is_news {
                    self.notice(Notice::ContactFailed { server, error });
                }
            }
            ProbeResult::Refused { error, mark } => {
                self.on_refused(server, is_current, error, mark);
            }
        }
    }

    fn on_refused(
        &mut self,
        server: String,
        is_current: bool,
        error: &str,
        fingerprint: &Option<String>,
    ) {
        let (since, jitter) = (self.now.time, self.now.jitter);
        let account = self
            .lockouts
            .refused(&server, fingerprint.clone(), error, since, jitter);
        let until = account.next_at;
        // Nobody tries them before it is known that there are others by now.
        self.fingerprints
            .forget(self.configuration.same_account(&server));
        self.compute_fingerprints();
        if is_current {
            let put_off = PutOff { since, until };
            self.readiness.put_off(&server, put_off, error.to_owned());
        }
        self.persist(Write::Refusal(server.clone(), Some(account)));
        // The same ones again are no news, however long it lasts.
        let logged = self
            .logged_refusals
            .insert(server.clone(), fingerprint.clone());
        if logged.as_ref() != Some(fingerprint) {
            self.notice(Notice::CredentialsRefused {
                server,
                next: until,
                error: error.to_owned(),
            });
        }
    }

    /// Leaves refused credentials alone for as long as was meant, though the clock was set back.
    pub(super) fn correct_lockouts_after_clock_change(&mut self) {
        for (server, account) in self.lockouts.clock_went_back(self.now.time) {
            self.persist(Write::Refusal(server, Some(account)));
        }
    }

    /// Has it looked up which credentials would be used now at the servers that refused some:
    /// whether they are still the same decides who may try.
    pub(super) fn compute_fingerprints(&mut self) {
        let servers: BTreeSet<String> = self
            .lockouts
            .servers()
            .flat_map(|server| self.configuration.same_account(server))
            .map(str::to_owned)
            .collect();
        if servers.is_empty() {
            // Whoever waited for a comparison has nothing to compare with any more.
            for parked in self.fingerprints.take_waiting() {
                self.decide_trigger(parked);
            }
            return;
        }
        if let Some(id) = self.fingerprints.begin() {
            let servers = servers.into_iter().collect();
            self.effect(Effect::ComputeFingerprints { id, servers });
        }
    }

    pub(super) fn on_fingerprints(
        &mut self,
        id: u64,
        fingerprints: BTreeMap<String, Option<String>>,
        lifted: BTreeMap<String, DateTime<Utc>>,
    ) {
        let (ready, again) = self.fingerprints.ended(id, fingerprints);
        for (server, refused_at) in lifted {
            if self.lockouts.lifted(&server, refused_at) {
                self.logged_refusals.remove(&server);
                self.persist(Write::Refusal(server.clone(), None));
                self.retry_now(&server, &AFTER_REFUSALS);
            }
        }
        if again {
            self.compute_fingerprints();
        }
        let refused: Vec<String> = self.lockouts.servers().map(str::to_owned).collect();
        for server in refused {
            let Some(fingerprint) = self.fingerprints.get(&server) else {
                continue;
            };
            if self
                .lockouts
                .observe_fingerprint(&server, fingerprint.as_ref())
            {
                self.retry_now(&server, &AFTER_REFUSALS);
            }
        }
        if std::mem::take(&mut self.lockouts_to_log) {
            self.log_lockouts();
        }
        self.start_probes();
        for parked in ready {
            self.decide_trigger(parked);
        }
    }

    /// Logs which credentials are locked out since an earlier daemon.
    fn log_lockouts(&mut self) {
        let servers: Vec<String> = self.lockouts.servers().map(str::to_owned).collect();
        for server in servers {
            let credentials = self.credentials_at(&server);
            let Some(locked) = self.lockouts.locked_out(&credentials, self.now.time) else {
                continue;
            };
            let (next, error) = (locked.until, CommandError::from(locked).to_string());
            self.logged_refusals
                .insert(server.clone(), self.lockouts.fingerprint(&server));
            self.notice(Notice::CredentialsRefused {
                server,
                next,
                error,
            });
        }
    }

    /// Whatever waits since a server was tried with something else than now goes on: jobs whose last
    /// run failed in one of these ways.
    pub(super) fn retry_now(&mut self, server: &str, after: &[FailureKind]) {
        self.readiness.retry_now(server);
        let uses = |job: &&str| {
            let servers = self.configuration.servers_of(job);
            servers.iter().any(|other| other == server)
        };
        let jobs: Vec<String> = self.jobs.names().filter(uses).map(str::to_owned).collect();
        for job in jobs {
            self.jobs.hasten(&job, after, self.now.time);
        }
    }

    /// The server of a job that refused the credentials, which must not be tried yet; none before it is
    /// known whether they are still the same.
    pub(super) fn refusal_of(&self, job: &str) -> Option<RefusedCredentials> {
        let servers = self.configuration.servers_of(job);
        if servers.iter().any(|server| self.is_unknown(server)) {
            return None;
        }
        let credentials = self.credentials_of(job);
        let locked = self.lockouts.locked_out(&credentials, self.now.time)?;
        Some(RefusedCredentials {
            server: locked.server.to_owned(),
            since: locked.at,
            next: locked.until,
            error: self.lockouts.error(locked.server).to_owned(),
        })
    }

    /// People are told of a job that is to run and cannot, as of one that fails: once, by the first
    /// run that does not begin. One that failed before has told it.
    pub(super) fn report_refusal(&mut self) {
        if self.stopping {
            return;
        }
        let due: Vec<String> = self
            .jobs
            .due_without_failures()
            .filter(|job| !self.refusal_reported.contains(*job))
            .map(str::to_owned)
            .collect();
        for job in due {
            let Some(refused) = self.refusal_of(&job) else {
                continue;
            };
            let zone = self.configuration.zone_of(&job);
            let (why, error) = (CommandError::from(&refused).in_zone(zone), &refused.error);
            let error = format!("the run was not started: {why}; the refusal: {error}");
            self.refusal_reported.insert(job.clone());
            self.effect(Effect::TellRefused { job, error });
        }
    }

    /// The servers of a job, with what is known of the credentials that would be used there.
    pub(super) fn credentials_of(&self, job: &str) -> Vec<ServerCredentials> {
        let servers = self.configuration.servers_of(job).iter();
        servers
            .flat_map(|server| self.credentials_at(server))
            .collect()
    }

    /// A server, and those where the same account would be used, with what is known of the
    /// credentials that would be used at the first one.
    fn credentials_at(&self, server: &str) -> Vec<ServerCredentials> {
        // Those that were refused, as long as it is not known.
        let fingerprint = self
            .fingerprints
            .get(server)
            .cloned()
            .unwrap_or_else(|| self.lockouts.fingerprint(server));
        // Wherever else the account is used, its credentials count, and not how they get there.
        let of_account = fingerprint
            .as_deref()
            .map(of_credentials)
            .map(str::to_owned);
        let others = self.configuration.same_account(server).skip(1);
        std::iter::once((server.to_owned(), fingerprint))
            .chain(others.map(|other| (other.to_owned(), of_account.clone())))
            .collect()
    }

    /// Whether a server, or another one with the same account, refused credentials.
    pub(super) fn is_suspect(&self, server: &str) -> bool {
        self.configuration
            .same_account(server)
            .any(|server| self.lockouts.has_refused(server))
    }

    /// Whether a server is suspect, and it is not known which credentials would be used there.
    pub(super) fn is_unknown(&self, server: &str) -> bool {
        self.is_suspect(server) && self.fingerprints.get(server).is_none()
    }

    /// Until when a job may not reach its servers.
    pub(super) fn locked_until(&self, job: &str) -> Option<DateTime<Utc>> {
        let now = self.now.time;
        let locked = self
            .lockouts
            .locked_out(&self.credentials_of(job), now)
            .map(|locked| locked.until);
        // Before the first contact is decided, the credentials are tried by it alone.
        let waits = |server: &String| {
            self.is_unknown(server)
                || self
                    .configuration
                    .same_account(server)
                    .any(|server| self.readiness.is_open(server))
        };
        let servers = self.configuration.servers_of(job);
        locked.or_else(|| servers.iter().any(waits).then(|| now + IN_TURN))
    }
}
