//! `erase`: takes one person out of what runs left.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{print_json, print_text, terminal};
use crate::{
    cli::{EraseArgs, Exit, Format, Stop},
    config::Config,
    escape::escape_control,
    state::erase::{self, EraseError, Erased},
};

/// What `erase --format json` prints.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    person: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    erased: &'a Erased,
}

/// `erase`: 0 when the person is in none of the files any more, 1 when not all of it could be done, 2 when
/// there is no such person, or a job still has it.
///
/// # Errors
/// Nobody said that it is to be done, or it cannot be.
pub(super) async fn erase(
    config: &Config,
    args: &EraseArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    if args.who.trim().is_empty() {
        return Err(Stop::usage("WHO is empty"));
    }
    if !args.yes && !args.dry_run && !terminal::can_ask() {
        return Err(Stop::usage(
            "erase takes a person out of the history for good: say --yes, or run it on a terminal, \
             where it asks; --dry-run shows what it would do",
        ));
    }
    let state = super::open_state(config)?;
    let state_dir = &config.state_dir;
    let _locks =
        erase::lock(state_dir, config.jobs.keys().cloned()).map_err(|error| stop(&error))?;
    let person = erase::find(&state, state_dir, args.who.trim()).map_err(|error| stop(&error))?;
    let shown = person.shown();
    let would = erase::look(&state, state_dir, &person).map_err(|error| stop(&error))?;
    if args.dry_run {
        return tell(&shown, &would, args);
    }
    if !args.yes {
        let question = format!(
            "{}Erase this for good? It cannot be put back, and what was written of this person can no \
             longer be undone. [y/N]",
            words(&shown, &would, "would be erased")
        );
        if !terminal::confirmed(&question, cancel).await? {
            return Err(Stop::failed("not erased: nothing was changed"));
        }
    }
    let erased = erase::erase(&state, state_dir, person).map_err(|error| stop(&error))?;
    tell(&shown, &erased, args)
}

fn tell(shown: &str, erased: &Erased, args: &EraseArgs) -> Result<Exit, Stop> {
    let done = if args.dry_run {
        "would be erased"
    } else {
        "erased"
    };
    match args.format {
        Format::Text => print_text(&words(shown, erased, done))?,
        Format::Json => print_json(&Shown {
            person: shown,
            dry_run: args.dry_run,
            erased,
        })?,
    };
    Ok(Exit::Done)
}

/// What was erased where, and what is elsewhere.
fn words(shown: &str, erased: &Erased, done: &str) -> String {
    let Erased {
        reports,
        changes,
        skipped,
        texts,
        snapshots,
        database,
        damaged_databases,
    } = erased;
    let mut lines = vec![
        format!("{}: {done} from", escape_control(shown)),
        format!(
            "  reports    {reports}, with {changes} changes, {skipped} skipped entries and {texts} \
             other texts; their counts stay"
        ),
        format!("  snapshots  {snapshots}"),
        format!(
            "  state.db   {} of ended holds, {} actions on the pages, {} stored values",
            database.hold_people, database.page_actions, database.stored_values
        ),
    ];
    if *damaged_databases > 0 {
        lines.push(format!(
            "  state.db.damaged-…  {damaged_databases} copies, as a whole"
        ));
    }
    lines.push(
        "Elsewhere, and not changed: ftrack, logs, mails that were sent, saved plans, backups; what \
         people rejected (`holds --rejected`) and holds that are open stay until their cause ends. As \
         long as ftrack has the user, the next run reads it there, and snapshots save it."
            .to_owned(),
    );
    lines.push(String::new());
    lines.join("\n")
}

fn stop(error: &EraseError) -> Stop {
    match error {
        EraseError::Unknown(_) | EraseError::Ambiguous { .. } | EraseError::InStep { .. } => {
            Stop::usage(error)
        }
        EraseError::State(_) | EraseError::Busy { .. } | EraseError::Damaged { .. } => {
            Stop::failed(error)
        }
    }
}
