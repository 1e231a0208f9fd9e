//! What is read from files beside the loop: the configuration, and secrets for their fingerprints.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Completion, Coordinator, persistence::Reader};
use crate::daemon::{
    core::{Input, effect::Persisted},
    setup::{Setup, Source},
};

/// How long the files, and what is remembered, may take to be read; a disk may never answer.
const LIMIT: Duration = Duration::from_secs(30);

/// How long what another process has found out may take to be read; others wait for it.
const LIFTED_LIMIT: Duration = Duration::from_secs(1);

impl Coordinator {
    /// Loads the configuration, and what is remembered of jobs that are new.
    pub(super) fn load_configuration(&self) {
        let (source, reader) = (self.source.clone(), self.persistence.reader());
        let known: Vec<String> = self.core.job_names().map(str::to_owned).collect();
        let completions = self.context.completions.clone();
        tokio::spawn(async move {
            let loaded = load(source, reader, &known).await.map(Box::new);
            // A daemon that has gone needs no configuration.
            let _ = completions.send(Completion::Loaded(loaded)).await;
        });
    }

    /// Computes the fingerprints of the credentials that would be used now.
    pub(super) fn compute_fingerprints(&self, id: u64, servers: Vec<String>) {
        let (setup, completions) = (Arc::clone(&self.setup), self.context.completions.clone());
        let reader = self.persistence.reader();
        tokio::spawn(async move {
            let computed = servers.into_iter().map(|server| async {
                let fingerprint = setup.fingerprint(&server).await;
                (server, fingerprint)
            });
            // All at once: a disk that hangs is waited for once.
            let fingerprints = timeout(LIMIT, join_all(computed)).await;
            let lifted = timeout(LIFTED_LIMIT, reader.lifted()).await;
            let input = Input::Fingerprints {
                id,
                fingerprints: fingerprints.unwrap_or_default().into_iter().collect(),
                // Otherwise the next time.
                lifted: lifted.unwrap_or_default(),
            };
            let _ = completions.send(Completion::Input(input)).await;
        });
    }
}

async fn load(
    source: Source,
    reader: Reader,
    known: &[String],
) -> Result<(Setup, Persisted), String> {
    let loading = tokio::task::spawn_blocking(move || source.load(Utc::now()));
    let too_slow = |what| {
        format!(
            "{what} could not be read within {}",
            humantime::format_duration(LIMIT)
        )
    };
    let setup = match timeout(LIMIT, loading).await {
        Ok(Ok(loaded)) => loaded?,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(too_slow("its files")),
    };
    let mut new = setup.job_names();
    new.retain(|job| !known.contains(job));
    // Without it, a job that is paused would run.
    let persisted = match timeout(LIMIT, reader.read(Vec::new(), new)).await {
        Ok(Some(persisted)) => persisted,
        Ok(None) => return Err("the daemon is stopping".to_owned()),
        Err(_) => return Err(too_slow("what state_dir holds of its new jobs")),
    };
    Ok((setup, persisted))
}
