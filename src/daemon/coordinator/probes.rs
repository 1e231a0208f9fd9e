//! Probes: one server is reached, beside the loop.

use std::{sync::Arc, time::Duration};

use super::{Completion, Coordinator};
use crate::{
    daemon::{
        core::Input,
        readiness::{Access, ProbeResult},
        setup::{Setup, last_refusal},
    },
    directory,
    event::{AlreadyLogged, OutageLogged, without_repeats},
    ftrack::{
        self,
        error::FtrackError,
        session::{Reader, Until},
    },
    model::report::FailureKind,
};

/// How long one probe may take.
const LIMIT: Duration = Duration::from_secs(60);

impl Coordinator {
    pub(super) fn start_probe(&self, server: String, access: Access) {
        let completions = self.context.completions.clone();
        // What is tried again meanwhile logs nothing that the probe's end does not log.
        let quiet = AlreadyLogged {
            outage: OutageLogged::Lasts,
            known: Arc::default(),
        };
        let reaching = self
            .context
            .runs
            .spawn(without_repeats(quiet, probe(&self.setup, &server)));
        tokio::spawn(async move {
            let result = reaching
                .await
                .unwrap_or_else(|error| ProbeResult::Failed(error.to_string()));
            let input = Input::ProbeEnded {
                server,
                access,
                result,
            };
            // A daemon that has gone does not wait for it.
            let _ = completions.send(Completion::Input(input)).await;
        });
    }
}

/// Asks ftrack for its version, with the key that its file holds now.
async fn query_server_information(reader: &Reader, until: &Until) -> Result<(), FtrackError> {
    reader.take_key().await?;
    ftrack::server::information(reader, until).await.map(drop)
}

/// Reaches one server.
fn probe(setup: &Setup, server: &str) -> impl Future<Output = ProbeResult> + Send + use<> {
    let cancel = tokio_util::sync::CancellationToken::new();
    let pool = setup.pool(server);
    let reader = setup.servers.ftrack().reader();
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
                None => match query_server_information(&reader, &until).await {
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
