//! `explain`: one person, now or in a past run.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{job, print_json, print_text, progress::ProgressLine, runs, sync::prepare};
use crate::{
    cli::{Exit, ExplainArgs, Format, Stop},
    config::{self, Config, Environment},
    model::explanation::Explanation,
    run::{explain::past, text},
    state::history::History,
};

/// What a sync would do about one person, and why.
///
/// # Errors
/// There is no such job, or a server cannot be asked.
pub async fn explain(
    config: &Arc<Config>,
    args: &ExplainArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (named, who) = args.job_and_who();
    let who = checked(who)?;
    let (name, _) = job(config, named)?;
    let (prepared, servers) = prepare(config, name)?;
    prepared
        .can_be_planned()
        .map_err(|error| Stop::usage(&error))?;
    let line = ProgressLine::start();
    let show = |progress| line.show(progress);
    let explained = prepared.explain(who, cancel, &show).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    let explained = explained.map_err(|error| Stop::failed(&error))?;
    print(&explained, args.format)
}

/// What a run did about one person, as its report shows.
///
/// # Errors
/// There is no such run, or its report cannot be read.
pub fn past(file: &Path, args: &ExplainArgs) -> Result<Exit, Stop> {
    let (job, who) = args.job_and_who();
    let who = checked(who)?;
    let paths = config::paths(file, &Environment::of_process());
    let paths = paths.map_err(|findings| Stop::usage(&findings))?;
    let run = args.run.as_deref().unwrap_or("last");
    let report = History::new(&paths.state_dir)
        .find(run, job)
        .map_err(runs::stop)?;
    print(&past::explain(&report, who), args.format)
}

fn checked(who: &str) -> Result<&str, Stop> {
    let who = who.trim();
    if who.is_empty() {
        return Err(Stop::usage(
            &"WHO is empty: give a login, a mail address, a DN, a directory id or an ftrack id",
        ));
    }
    Ok(who)
}

fn print(explained: &Explanation, format: Format) -> Result<Exit, Stop> {
    match format {
        Format::Text => print_text(&text::explained(explained)),
        Format::Json => print_json(explained),
    }
}
