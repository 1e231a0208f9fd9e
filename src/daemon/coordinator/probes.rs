//! The first contacts: asked for at the start, and again until each server was reached.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{Completion, Coordinator, run_ended::jitter};
use crate::{
    daemon::{
        commands::CommandError,
        readiness::ProbeResult,
        setup::{Setup, last_refusal},
    },
    directory,
    event::{AlreadyLogged, OutageLogged, daemon::DaemonEvent, without_repeats},
    ftrack,
    ftrack::{
        error::FtrackError,
        session::{Session, Until},
    },
    model::{backoff::PutOff, report::FailureKind},
};

/// How long one contact may take.
const LIMIT: Duration = Duration::from_secs(60);

impl Coordinator {
    /// Asks each server whose first contact is due.
    pub(super) fn start_probes(&mut self, now: DateTime<Utc>) {
        let setup = &self.setup;
        let runs = self
            .active_runs
            .values()
            .flat_map(|underway| underway.reads.clone());
        let mut asked: BTreeSet<String> = runs.chain(self.readiness.under_way()).collect();
        let is_asked = |server: &str| {
            let by_another = setup
                .same_account(server)
                .iter()
                .any(|twin| asked.contains(twin));
            by_another || !asked.insert(server.to_owned())
        };
        for server in self.readiness.due(now, is_asked) {
            let marked = self.same_account(&server);
            if let Some(barred) = self.lockouts.locked_out(&marked, now) {
                let until = barred.until;
                self.readiness.put_off(
                    &server,
                    PutOff { since: now, until },
                    CommandError::from(barred).to_string(),
                );
                continue;
            }
            let words = self.context.completions.clone();
            // What is tried again meanwhile says nothing that the contact's end does not say.
            let quiet = AlreadyLogged {
                outage: OutageLogged::Lasts,
                known: Arc::default(),
            };
            let reaching = self
                .context
                .runs
                .spawn(without_repeats(quiet, probe(&self.setup, &server)));
            tokio::spawn(async move {
                let reached = reaching
                    .await
                    .unwrap_or_else(|error| ProbeResult::Failed(error.to_string()));
                // A daemon that has gone does not wait for it.
                let _ = words.send(Completion::Contacted { server, reached }).await;
            });
        }
    }

    /// What became known of a server, from a contact or a run.
    pub(super) async fn on_probe_ended(
        &mut self,
        server: &str,
        reached: &ProbeResult,
        now: DateTime<Utc>,
    ) {
        let is_news = self.readiness.ended(server, reached, now);
        match reached {
            ProbeResult::Well => {
                if is_news {
                    DaemonEvent::ContactMade { server }.emit();
                }
                self.logged_refusals.remove(server);
                if self.lockouts.accepted(server) {
                    let server = server.to_owned();
                    let _ = self
                        .save(move |state| state.set_refusal(&server, None))
                        .await;
                }
            }
            ProbeResult::Failed(error) => {
                if is_news {
                    DaemonEvent::ContactFailed { server, error }.emit();
                }
            }
            ProbeResult::Refused { error, mark } => {
                let account = self
                    .lockouts
                    .refused(server, mark.clone(), error, now, jitter());
                // Before anybody else begins: a job that waits for its turn would try them again.
                self.check_for_new_credentials().await;
                let (name, until) = (server.to_owned(), account.next_at);
                self.readiness
                    .put_off(server, PutOff { since: now, until }, error.clone());
                let _ = self
                    .save(move |state| state.set_refusal(&name, Some(&account)))
                    .await;
                // The same ones again are no news, however long it lasts.
                if self
                    .logged_refusals
                    .insert(server.to_owned(), mark.clone())
                    .as_ref()
                    != Some(mark)
                {
                    DaemonEvent::CredentialsRefused {
                        server,
                        next: until,
                        error,
                    }
                    .emit();
                }
            }
        }
    }
}

/// Asks ftrack for its version, with the key that its file holds now.
async fn query_server_information(session: &mut Session, until: &Until) -> Result<(), FtrackError> {
    session.take_key().await?;
    ftrack::server::information(session, until).await.map(drop)
}

/// Reaches one server.
fn probe(setup: &Setup, server: &str) -> impl Future<Output = ProbeResult> + Send + use<> {
    let cancel = tokio_util::sync::CancellationToken::new();
    let pool = setup.pool(server);
    let mut session = setup.servers.ftrack().clone();
    let (servers, salt, server) = (setup.servers.clone(), setup.salt(), server.to_owned());
    async move {
        let until = Until {
            deadline: std::time::Instant::now() + LIMIT,
            cancel: cancel.clone(),
        };
        let reaching = async {
            match pool {
                Some(pool) => match directory::contact(&pool, &cancel).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err((FailureKind::from(&error), error.to_string())),
                },
                None => match query_server_information(&mut session, &until).await {
                    Ok(()) => Ok(()),
                    Err(error) => Err((FailureKind::from(&error), error.to_string())),
                },
            }
        };
        match tokio::time::timeout(LIMIT, reaching).await {
            Ok(Ok(())) => ProbeResult::Well,
            Ok(Err((kind, error))) if kind.is_refusal() => {
                // Of these connections, also when others are in use by now.
                let mark = last_refusal(&servers, &salt, &server).and_then(|(_, mark)| mark);
                ProbeResult::Refused { error, mark }
            }
            Ok(Err((_, error))) => ProbeResult::Failed(error),
            Err(_) => ProbeResult::Failed(format!(
                "no answer within {}",
                humantime::format_duration(LIMIT)
            )),
        }
    }
}
