//! Explanations of one person: read beside the loop and beside the runs, one at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Completion, Coordinator};
use crate::{
    daemon::{
        commands::{CommandError, ExplainRequest},
        core::Input,
        readiness::ProbeResult,
        setup::{Setup, last_refusal},
    },
    model::explanation::Explanation,
    run::CompiledJob,
};

/// How long one explanation may take.
const LIMIT: Duration = Duration::from_secs(60);

impl Coordinator {
    /// Explains a person, unless another one is being explained; it ends when the daemon is told to
    /// stop, as a run does.
    pub(super) fn explain(&mut self, request: ExplainRequest) {
        let ExplainRequest { job, who, answer } = request;
        let Ok(place) = Arc::clone(&self.explains).try_acquire_owned() else {
            // Whoever left before the answer is no error.
            let _ = answer.send(Err(CommandError::ExplainsAlready));
            return;
        };
        let setup = Arc::clone(&self.setup);
        let Some(prepared) = setup.compiled(&job) else {
            let known = setup.job_names().join(", ");
            let _ = answer.send(Err(CommandError::UnknownJob { job, known }));
            return;
        };
        let cancel = self.stop_approvals.child_token();
        let completions = self.context.completions.clone();
        let on = self.context.runs.clone();
        self.context.runs.spawn_blocking(move || {
            on.block_on(async {
                let began = Instant::now();
                let explained = explained(&prepared, &who, &cancel).await;
                if explained.is_err() {
                    tell_refusals(&setup, &job, began, &explained, &completions).await;
                }
                // Before the answer: whoever has it may ask for the next one.
                drop(place);
                let _ = answer.send(explained);
            });
        });
    }
}

async fn explained(
    job: &CompiledJob,
    who: &str,
    cancel: &CancellationToken,
) -> Result<Explanation, CommandError> {
    job.can_be_planned().map_err(CommandError::CannotTell)?;
    match timeout(LIMIT, job.explain(who, cancel, &|_| ())).await {
        Ok(explained) => explained.map_err(|error| CommandError::NotExplained(error.to_string())),
        Err(_) => Err(CommandError::NotExplained(format!(
            "the servers did not answer within {}",
            humantime::format_duration(LIMIT)
        ))),
    }
}

/// Refused credentials are left alone by everybody from then on, so that the account is not locked.
async fn tell_refusals(
    setup: &Setup,
    job: &str,
    began: Instant,
    explained: &Result<Explanation, CommandError>,
    completions: &mpsc::Sender<Completion>,
) {
    let error = explained.as_ref().err();
    let error = error.map(ToString::to_string).unwrap_or_default();
    let salt = setup.salt();
    for (server, access) in setup.reads_of(job) {
        let refused = last_refusal(&setup.servers, &salt, &server);
        let Some((_, mark)) = refused.filter(|(at, _)| *at >= began) else {
            continue;
        };
        let error = error.clone();
        let result = ProbeResult::Refused { error, mark };
        let input = Input::ProbeEnded {
            server,
            access,
            result,
        };
        // A daemon that has gone does not wait for it.
        let _ = completions.send(Completion::Input(input)).await;
    }
}
