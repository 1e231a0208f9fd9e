//! The first contacts: asked for at the start, and again until each server was reached.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{Coordinator, IN_TURN, Word, ends::jitter};
use crate::{
    daemon::{backoff::PutOff, contacts::Reached, orders::Refusal, setup::Setup},
    directory,
    event::{Outage, Quiet, daemon::DaemonEvent, quietly},
    ftrack::{
        self,
        error::FtrackError,
        session::{Session, Until},
    },
    run::report::FailureKind,
};

/// How long one contact may take.
const LIMIT: Duration = Duration::from_secs(60);

impl Coordinator {
    /// Asks each server whose first contact is due.
    pub(super) fn make_contacts(&mut self, now: DateTime<Utc>) {
        for server in self.contacts.due(now) {
            let marked = self.marked(server.clone());
            if let Some(barred) = self.accounts.barred(std::slice::from_ref(&marked), now) {
                let until = barred.until;
                self.contacts.put_off(&server, PutOff { since: now, until }, Refusal::from(barred).to_string());
                continue;
            }
            if self.accounts.has_refused(&server) && self.underway.keys().any(|job| self.setup.servers_of(job).any(|name| name == server)) {
                // That run finds out.
                let until = now + IN_TURN;
                self.contacts.put_off(&server, PutOff { since: now, until }, "a run tries it".to_owned());
                continue;
            }
            let words = self.house.words.clone();
            // What is tried again meanwhile says nothing that the contact's end does not say.
            let quiet = Quiet {
                outage: Outage::Lasts,
                known: Arc::default(),
            };
            let reaching = self.house.runs.spawn(quietly(quiet, reach(&self.setup, &server)));
            tokio::spawn(async move {
                let reached = reaching.await.unwrap_or_else(|error| Reached::Failed(error.to_string()));
                // A daemon that has gone does not wait for it.
                let _ = words.send(Word::Contacted { server, reached }).await;
            });
        }
    }

    /// Bars refused credentials as long as was meant, though the clock was set back.
    pub(super) async fn bar_anew(&mut self, now: DateTime<Utc>) {
        for (server, account) in self.accounts.clock_went_back(now) {
            let _ = self.keep(move |state| state.set_refusal(&server, Some(&account))).await;
        }
    }

    /// What became known of a server, from a contact or a run.
    pub(super) async fn learn(&mut self, server: &str, reached: &Reached, now: DateTime<Utc>) {
        let is_news = self.contacts.ended(server, reached, now);
        match reached {
            Reached::Well => {
                if is_news {
                    DaemonEvent::ContactMade { server }.emit();
                }
                if self.accounts.accepted(server) {
                    let server = server.to_owned();
                    let _ = self.keep(move |state| state.set_refusal(&server, None)).await;
                }
            }
            Reached::Failed(error) => {
                if is_news {
                    DaemonEvent::ContactFailed { server, error }.emit();
                }
            }
            Reached::Refused(error) => {
                let mark = self.setup.refused_mark(server);
                let account = self.accounts.refused(server, mark, error, now, jitter());
                // Before anything else begins: what would be used now is what was refused, unless it has changed.
                self.look_at_credentials().await;
                let until = account.next_at;
                self.contacts.put_off(server, PutOff { since: now, until }, error.clone());
                let (name, next) = (server.to_owned(), account.next_at);
                let _ = self.keep(move |state| state.set_refusal(&name, Some(&account))).await;
                DaemonEvent::CredentialsRefused { server, next, error }.emit();
            }
        }
    }
}

/// Asks ftrack for its version, with the key that its file holds now.
async fn greet(session: &mut Session, until: &Until) -> Result<(), FtrackError> {
    session.take_key().await?;
    ftrack::server::information(session, until).await.map(drop)
}

/// Reaches one server.
fn reach(setup: &Setup, server: &str) -> impl Future<Output = Reached> + Send + use<> {
    let cancel = tokio_util::sync::CancellationToken::new();
    let pool = setup.pool(server);
    let mut session = setup.servers.ftrack().clone();
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
                None => match greet(&mut session, &until).await {
                    Ok(()) => Ok(()),
                    Err(error) => Err((FailureKind::from(&error), error.to_string())),
                },
            }
        };
        match tokio::time::timeout(LIMIT, reaching).await {
            Ok(Ok(())) => Reached::Well,
            Ok(Err((kind, error))) if kind.is_refusal() => Reached::Refused(error),
            Ok(Err((_, error))) => Reached::Failed(error),
            Err(_) => Reached::Failed(format!("no answer within {}", humantime::format_duration(LIMIT))),
        }
    }
}
