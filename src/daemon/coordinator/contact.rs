//! The first contacts: asked for at the start, and again until each server was reached.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{Coordinator, Word, ends::jitter};
use crate::{
    daemon::{
        backoff::PutOff,
        contacts::Reached,
        orders::Refusal,
        setup::{Setup, last_refusal},
    },
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
        let setup = &self.setup;
        let runs = self
            .underway
            .values()
            .flat_map(|underway| underway.reads.clone());
        let mut asked: BTreeSet<String> = runs.chain(self.contacts.underway()).collect();
        let is_asked = |server: &str| {
            let by_another = setup.twins(server).iter().any(|twin| asked.contains(twin));
            by_another || !asked.insert(server.to_owned())
        };
        for server in self.contacts.due(now, is_asked) {
            let marked = self.marked(&server);
            if let Some(barred) = self.accounts.barred(&marked, now) {
                let until = barred.until;
                self.contacts.put_off(
                    &server,
                    PutOff { since: now, until },
                    Refusal::from(barred).to_string(),
                );
                continue;
            }
            let words = self.house.words.clone();
            // What is tried again meanwhile says nothing that the contact's end does not say.
            let quiet = Quiet {
                outage: Outage::Lasts,
                known: Arc::default(),
            };
            let reaching = self
                .house
                .runs
                .spawn(quietly(quiet, reach(&self.setup, &server)));
            tokio::spawn(async move {
                let reached = reaching
                    .await
                    .unwrap_or_else(|error| Reached::Failed(error.to_string()));
                // A daemon that has gone does not wait for it.
                let _ = words.send(Word::Contacted { server, reached }).await;
            });
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
                self.refusals_said.remove(server);
                if self.accounts.accepted(server) {
                    let server = server.to_owned();
                    let _ = self
                        .keep(move |state| state.set_refusal(&server, None))
                        .await;
                }
            }
            Reached::Failed(error) => {
                if is_news {
                    DaemonEvent::ContactFailed { server, error }.emit();
                }
            }
            Reached::Refused { error, mark } => {
                let account = self
                    .accounts
                    .refused(server, mark.clone(), error, now, jitter());
                // Before anybody else begins: a job that waits for its turn would try them again.
                self.look_at_credentials().await;
                let (name, until) = (server.to_owned(), account.next_at);
                self.contacts
                    .put_off(server, PutOff { since: now, until }, error.clone());
                let _ = self
                    .keep(move |state| state.set_refusal(&name, Some(&account)))
                    .await;
                // The same ones again are no news, however long it lasts.
                if self
                    .refusals_said
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
async fn greet(session: &mut Session, until: &Until) -> Result<(), FtrackError> {
    session.take_key().await?;
    ftrack::server::information(session, until).await.map(drop)
}

/// Reaches one server.
fn reach(setup: &Setup, server: &str) -> impl Future<Output = Reached> + Send + use<> {
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
                None => match greet(&mut session, &until).await {
                    Ok(()) => Ok(()),
                    Err(error) => Err((FailureKind::from(&error), error.to_string())),
                },
            }
        };
        match tokio::time::timeout(LIMIT, reaching).await {
            Ok(Ok(())) => Reached::Well,
            Ok(Err((kind, error))) if kind.is_refusal() => {
                // Of these connections, also when others are in use by now.
                let mark = last_refusal(&servers, &salt, &server).and_then(|(_, mark)| mark);
                Reached::Refused { error, mark }
            }
            Ok(Err((_, error))) => Reached::Failed(error),
            Err(_) => Reached::Failed(format!(
                "no answer within {}",
                humantime::format_duration(LIMIT)
            )),
        }
    }
}
