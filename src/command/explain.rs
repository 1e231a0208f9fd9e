//! `explain`: one person, now or in a past run.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{job, print, print_json, print_text, progress::ProgressLine, runs, sync::prepare};
use crate::{
    cli::{Exit, ExplainArgs, Format, Stop},
    config::{self, Config, Environment},
    escape::escape_control,
    model::explanation::{Explanation, Verdict},
    run::{
        explain::{
            ExplainError, past,
            renamed::{self, Renamed},
        },
        text,
    },
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
    let known: Vec<&str> = config.jobs.keys().map(String::as_str).collect();
    let (named, who) = job_and_who(args, &known)?;
    let (name, _) = job(config, named)?;
    let (prepared, servers) = prepare(config, name)?;
    prepared
        .can_be_planned()
        .map_err(|error| Stop::usage(&error))?;
    let line = ProgressLine::start();
    let progress = |progress| line.show(progress);
    let explained = prepared.explain(who, cancel, &progress).await;
    drop(line);
    super::lift_lockouts(config, &servers);
    let explained = explained.map_err(|error| match &error {
        ExplainError::Ambiguous { .. } => Stop::usage(&error),
        ExplainError::Plan(_) => Stop::failed(&error),
    })?;
    show(&explained, args.format)
}

/// What a run did about one person, as its report shows.
///
/// # Errors
/// There is no such run, or its report cannot be read.
pub fn past(file: &Path, args: &ExplainArgs) -> Result<Exit, Stop> {
    let paths = config::paths(file, &Environment::of_process());
    let paths = paths.map_err(|findings| Stop::usage(&findings))?;
    let history = History::new(&paths.state_dir);
    let mut known = history.jobs().map_err(|error| Stop::failed(&error))?;
    known.extend(config::job_names(file, &Environment::of_process()));
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let (job, who) = job_and_who(args, &known)?;
    let run = args.run.as_deref().unwrap_or("last");
    let report = history.find(run, job).map_err(runs::stop)?;
    let explained = past::explain(&report, who);
    let is_unknown = explained.verdict == Verdict::Unknown;
    let renamed = is_unknown.then(|| renamed::renamed(&history, &report.job, who));
    let explained = match renamed.flatten() {
        Some(Renamed { ftrack_id, said }) => Explanation {
            who: explained.who,
            renamed: Some(said),
            ..past::explain(&report, &ftrack_id.text())
        },
        None => explained,
    };
    show(&explained, args.format)
}

/// The job, if it is named, and the person. Several words may be a name without its quotes.
fn job_and_who<'a>(
    args: &'a ExplainArgs,
    known: &[&str],
) -> Result<(Option<&'a str>, &'a str), Stop> {
    let (job, who) = match args.who.as_slice() {
        [] => (None, ""),
        [who] => (None, who.as_str()),
        [job, who] if known.contains(&job.as_str()) => (Some(job.as_str()), who.as_str()),
        [job, words @ ..] if known.contains(&job.as_str()) => {
            let words = words.join(" ");
            return Err(Stop::usage(&escape_control(&format!(
                "explain takes one person; if these words are one name, put them in quotes: explain \
                 {job} {words:?}"
            ))));
        }
        [job, ..] => {
            let words = args.who.join(" ");
            return Err(Stop::usage(&escape_control(&format!(
                "if these words are one name, put them in quotes: explain {words:?}; else there is no \
                 job {job:?}{}",
                config::other_jobs(job, known.iter().copied())
            ))));
        }
    };
    Ok((job, checked(who)?))
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

/// Prints it; commands are never wrapped, so that they can be copied.
fn show(explained: &Explanation, format: Format) -> Result<Exit, Stop> {
    match format {
        Format::Text => {
            print_text(&text::explained(explained))?;
            let commands = text::commands(explained);
            if commands.is_empty() {
                return Ok(Exit::Done);
            }
            print(&commands)?;
            print_text(&text::again(explained))
        }
        Format::Json => print_json(explained),
    }
}
