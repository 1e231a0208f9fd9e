//! `unreject`: a person takes a rejection back.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    holds,
    link::job_of_option,
    not_decided, not_started, open_state, print_text,
    sync::{approver, prepare},
};
use crate::{
    cli::{Exit, Stop, UnrejectArgs},
    config::Config,
    escape::escape_control,
    model::{
        hold_number::{HoldName, HoldNumber},
        open_hold::{Became, OpenHold},
    },
    run::{failure::HoldError, taking_back::TakeBack},
    state::State,
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
    let hold = match &args.hold {
        None => None,
        Some(name) => Some(rejected(&state, name)?),
    };
    let name = match hold {
        None => job_of_option(config, args.job.as_deref())?.to_owned(),
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
        hold,
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

/// The number of the hold that a person means: one that is open, or of which something is rejected.
fn rejected(state: &State, name: &HoldName) -> Result<HoldNumber, Stop> {
    let all = state.all_holds().map_err(|error| Stop::failed(&error))?;
    let was_rejected = |hold: &OpenHold| {
        let mut people = hold.people.iter().chain(&hold.left);
        people.any(|person| person.became == Some(Became::Rejected))
    };
    let may_be = |hold: &&OpenHold| hold.ended.is_none() || was_rejected(hold);
    let those = all.iter().filter(may_be).map(|hold| hold.hold);
    holds::number(name, those)
}
