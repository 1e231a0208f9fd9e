//! `notify test`, and what `sync` and `apply` tell people.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{job, print_json, print_text};
use crate::{
    cli::{Exit, Format, NotifyTestArgs, Stop},
    config::{Config, Job},
    escape::escape_control,
    model::report::Report,
    notify::{self, Notifier, Program},
    run::host::host,
    state::State,
};

/// How long a command waits until its messages are delivered.
const DELIVERING: Duration = Duration::from_secs(10);

/// The same, once it was told to stop.
const AT_ONCE: Duration = Duration::from_millis(200);

/// What came of a test message, as JSON.
#[derive(Debug, Serialize)]
struct Tested<'a> {
    job: &'a str,
    receiver: &'static str,
    to: String,
    /// Null where it was taken.
    error: Option<String>,
}

/// `notify test`: 0 when every receiver took the test, 1 when one did not.
///
/// # Errors
/// There is no such job, nobody is told anything, or standard output cannot be written.
pub async fn test(config: &Config, args: &NotifyTestArgs) -> Result<Exit, Stop> {
    let jobs: Vec<(&str, &Job)> = match &args.job {
        Some(name) => vec![job(config, Some(name))?],
        None => {
            let all = config.jobs.iter();
            all.map(|(name, job)| (name.as_str(), job)).collect()
        }
    };
    let host = host();
    let mut tested = Vec::new();
    for (name, job) in jobs {
        let of_job = notify::test::test(name, job, &host).await;
        tested.extend(of_job.into_iter().map(|one| Tested {
            job: name,
            receiver: one.kind.as_str(),
            to: one.to,
            error: one.error,
        }));
    }
    if tested.is_empty() {
        return Err(Stop::usage(
            &"nobody is told anything: add a table such as [notifications.mail], which \
              `config example` explains",
        ));
    }
    match args.format {
        Format::Json => print_json(&tested)?,
        Format::Text => {
            let lines: Vec<String> = tested.iter().map(line).collect();
            print_text(&lines.concat())?
        }
    };
    let has_failed = tested.iter().any(|one| one.error.is_some());
    Ok(if has_failed { Exit::Failed } else { Exit::Done })
}

fn line(tested: &Tested<'_>) -> String {
    let Tested {
        job,
        receiver,
        to,
        error,
    } = tested;
    let what = format!("{job}  {receiver:<8} {}", escape_control(to));
    match error {
        None => format!("{what}: sent\n"),
        Some(error) => format!("{what}: not sent: {}\n", escape_control(error)),
    }
}

/// Tells people what happened in a run of a command, as the daemon does, and waits for that no longer
/// than ten seconds, or until it is told to stop; whether all of it got there. Whatever comes of it, the
/// run has ended as it has.
pub(super) async fn tell(
    config: &Arc<Config>,
    report: &Report,
    cancel: &CancellationToken,
) -> bool {
    let lost = Arc::new(AtomicBool::new(false));
    let count: notify::Count = Arc::new({
        let lost = Arc::clone(&lost);
        move |_, _, result| {
            if result != notify::Result::Sent {
                lost.store(true, Ordering::Relaxed);
            }
        }
    });
    let on = Handle::current();
    if report.dry_run || !notify::has_receivers(config, &report.job) {
        return true;
    }
    // What cannot be kept is told all the same.
    let opened = Arc::clone(config);
    let state = tokio::task::spawn_blocking(move || State::open(&opened).ok()).await;
    let state = state.ok().flatten().map(|(state, _)| Arc::new(state));
    let notifier = Notifier::start(config, &host(), (Program::Command, state), count, &on);
    notifier.ended(report);
    let delivered = tokio::select! {
        biased;
        () = notifier.stop(DELIVERING) => true,
        () = cancel.cancelled() => false,
    };
    if !delivered {
        notifier.stop(AT_ONCE).await;
    }
    !lost.load(Ordering::Relaxed)
}
