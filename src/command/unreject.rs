//! `unreject`: a person takes a rejection back.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    job, not_decided, not_started, open_state, print_text,
    sync::{approver, prepare},
};
use crate::{
    cli::{Exit, Stop, UnrejectArgs},
    config::Config,
    escape::escape_control,
    run::{failure::HoldError, taking_back::TakeBack},
};

/// How many people are named.
const NAMED: usize = 20;

/// `unreject`: what was rejected is judged anew by the next run.
///
/// # Errors
/// Nothing of it is rejected, or it cannot be taken back.
pub async fn unreject(
    config: &Arc<Config>,
    args: &UnrejectArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let state = open_state(config)?;
    let name = match args.hold {
        None => job(config, args.job.as_deref())?.0.to_owned(),
        Some(hold) => {
            let found = state.hold(hold).map_err(|error| Stop::failed(&error))?;
            let unknown = || not_decided(&HoldError::Unknown(hold));
            let job = found.ok_or_else(unknown)?.hold.job;
            if !config.jobs.contains_key(&job) {
                return Err(not_decided(&HoldError::NoJob { hold, job }));
            }
            job
        }
    };
    let (prepared, servers) = prepare(config, &name)?;
    let order = TakeBack {
        hold: args.hold,
        only: args.only.clone(),
        by: approver(),
    };
    let taken_back = prepared.take_back(&state, &order, cancel).await;
    super::lift_lockouts(config, &servers);
    let logins = taken_back.map_err(|error| not_started(&error))?;
    let mut named = logins.iter().take(NAMED).cloned().collect::<Vec<_>>();
    if let more @ 1.. = logins.len().saturating_sub(NAMED) {
        named.push(format!("and {more} more"));
    }
    print_text(&format!(
        "What was rejected of {} is taken back: {}. The next run judges it anew.\n",
        match logins.len() {
            1 => "1 person".to_owned(),
            people => format!("{people} people"),
        },
        escape_control(&named.join(", "))
    ))
}
