//! Watches of directories, beside the loop: one connection and one task each.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Completion, Coordinator};
use crate::{
    daemon::{
        core::{Input, effect::WatchNews},
        readiness::Access,
        setup::last_refusal,
    },
    directory::{
        DirectoryError,
        watch::{Signals, WatchError},
    },
    event::{AlreadyLogged, OutageLogged, without_repeats},
    model::report::FailureKind,
};

/// How long what changes is waited for after the first change: what is done at once is read at once.
const SETTLES: Duration = Duration::from_millis(200);
/// The least time from one run to the next.
const APART: Duration = Duration::from_secs(1);

/// Sends what a watch notices to the loop.
#[derive(Clone)]
struct Reporter {
    job: String,
    id: u64,
    completions: mpsc::Sender<Completion>,
}

impl Reporter {
    fn input(&self, news: WatchNews) -> Completion {
        let (job, id) = (self.job.clone(), self.id);
        Completion::Input(Input::Watch { job, id, news })
    }

    async fn send(&self, news: WatchNews) {
        // A daemon that has gone does not wait for it.
        let _ = self.completions.send(self.input(news)).await;
    }
}

impl Coordinator {
    pub(super) fn start_watch(&mut self, job: String, id: u64, server: (String, Access)) {
        let completions = self.context.completions.clone();
        let reporter = Reporter {
            job: job.clone(),
            id,
            completions,
        };
        let Some(prepared) = self.setup.compiled(&job) else {
            return;
        };
        let cancel = CancellationToken::new();
        self.watches.insert(job, cancel.clone().drop_guard());
        let (servers, salt) = (self.setup.servers.clone(), self.setup.salt());
        let (state, runs) = (Arc::clone(&self.context.state), self.context.runs.clone());
        // What is tried again logs nothing that its end does not log.
        let quiet = AlreadyLogged {
            outage: OutageLogged::Lasts,
            known: Arc::default(),
        };
        runs.spawn(without_repeats(quiet, async move {
            let (changed, begun) = (Notify::new(), Notify::new());
            let reached = std::sync::OnceLock::new();
            let signals = Signals {
                begun: &|server| {
                    let _ = reached.set(server.to_owned());
                    begun.notify_one();
                },
                changed: &changed,
            };
            let reporting = async {
                begun.notified().await;
                let server = reached.get().cloned().unwrap_or_default();
                reporter.send(WatchNews::Begun(server)).await;
                loop {
                    changed.notified().await;
                    sleep(SETTLES).await;
                    // What came meanwhile is read with it.
                    let _ = changed.notified().now_or_never();
                    reporter.send(WatchNews::Changed).await;
                    sleep(APART.saturating_sub(SETTLES)).await;
                }
            };
            let ended = tokio::select! {
                ended = prepared.watch(&state, signals, &cancel) => ended,
                () = reporting => None,
            };
            let Some(error) = ended else {
                return;
            };
            let kind = match &error {
                WatchError::Directory(DirectoryError::Cancelled) => return,
                WatchError::Directory(error) => Some(FailureKind::from(error)),
                WatchError::Unavailable { .. } => None,
            };
            let refused = kind.filter(|kind| kind.is_refusal()).map(|_| {
                let (server, access) = server;
                let mark = last_refusal(&servers, &salt, &server).and_then(|(_, mark)| mark);
                (server, access, mark)
            });
            reporter
                .send(WatchNews::Ended {
                    error: error.to_string(),
                    is_unavailable: matches!(error, WatchError::Unavailable { .. }),
                    refused,
                })
                .await;
        }));
    }
}
