//! `holds --rejected`: what people rejected, or had put back, and how it is taken back.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Local, Utc};

use super::{
    super::{print, print_json, print_text, terminal, terminal::Screen},
    UNUSABLE, in_words_of,
};
use crate::{
    cli::{Exit, Format, HoldsArgs, Stop},
    escape::escape_control,
    model::{
        approver::short_approver, listed_rejection::ListedRejection, readable_time::readable_time,
        report::Trigger, summary::RunSummary,
    },
    run::decided::put_back_at,
    state::{self, Rejections, history::History},
};

/// The most runs that are named below the list.
const MOST_RUNS: usize = 5;

/// The undos and restores that rejected something, by their ids, with how many people of each are
/// listed.
type PutBack = BTreeMap<String, (Trigger, usize)>;

/// Lists what people rejected, of all jobs or of one.
///
/// # Errors
/// The state cannot be read, or standard output not written.
pub(super) fn list(state_dir: &Path, args: &HoldsArgs) -> Result<Exit, Stop> {
    let all = state::all_rejected(state_dir, args.list.saved.job.as_deref());
    let mut all = match all.map_err(|error| Stop::failed(&error))? {
        Rejections::Known(all) => all,
        Rejections::Unusable => return Err(Stop::failed(UNUSABLE)),
    };
    let put_back = name_runs(&History::new(state_dir), &mut all);
    match args.list.format {
        Format::Json => print_json(&all),
        Format::Text if all.is_empty() => print_text("Nothing is rejected.\n"),
        Format::Text => print(&text(&all, &put_back, Screen::of_stdout())),
    }
}

/// Names the run that put each of them back, as far as the history has it.
fn name_runs(history: &History, all: &mut [ListedRejection]) -> PutBack {
    let mut known: BTreeMap<(String, DateTime<Utc>), Option<RunSummary>> = BTreeMap::new();
    let mut put_back = PutBack::new();
    for one in all.iter_mut().filter(|one| one.hold.is_none()) {
        let Some(at) = one.since else { continue };
        let run = known
            .entry((one.job.clone(), at))
            .or_insert_with(|| put_back_at(history, &one.job, at));
        if let Some(RunSummary { run, trigger, .. }) = run {
            put_back.entry(run.clone()).or_insert((*trigger, 0)).1 += 1;
            one.run = Some(run.clone());
        }
    }
    put_back
}

fn text(all: &[ListedRejection], put_back: &PutBack, screen: Screen) -> String {
    let mut table = screen.table();
    table.set_header(["HOLD", "JOB", "WHO", "WHAT IS NOT WRITTEN", "SINCE", "BY"]);
    let unknown = || "not known".to_owned();
    for rejection in all {
        let ListedRejection {
            hold,
            run: _,
            job,
            since,
            rejected_by,
            who,
            ftrack_id,
            cause: _,
            edits,
        } = rejection;
        let who = who
            .as_ref()
            .map_or_else(|| ftrack_id.to_string(), |who| who.username.clone());
        let edits: Vec<String> = edits.iter().map(in_words_of).collect();
        table.add_row([
            hold.map_or_else(|| "none".to_owned(), |hold| hold.to_string()),
            escape_control(job).into_owned(),
            escape_control(&who).into_owned(),
            escape_control(&edits.join(", ")).into_owned(),
            since.map_or_else(unknown, |since| readable_time(since, &Local)),
            rejected_by.as_deref().map_or_else(unknown, |by| {
                escape_control(&short_approver(by)).into_owned()
            }),
        ]);
    }
    terminal::unbroken(&mut table, &[0, 1, 2]);
    terminal::lines(&table) + &screen.fit(&ways_back(all, put_back))
}

/// How it is taken back: of a hold, of somebody, or all that a run put back.
fn ways_back(all: &[ListedRejection], put_back: &PutBack) -> String {
    let of_somebody = "`unreject --only WHO`";
    let of_hold = all.iter().any(|one| one.hold.is_some());
    let mut text = if of_hold {
        format!("\n`unreject N`, or {of_somebody}, takes it back.\n")
    } else {
        format!("\n{of_somebody} takes it back.\n")
    };
    // The newest first.
    for (run, (trigger, people)) in put_back.iter().rev().take(MOST_RUNS) {
        let people = match people {
            1 => "1 person".to_owned(),
            people => format!("{people} people"),
        };
        text.push_str(&format!(
            "`undo {}` takes back what that {} put back, and so what it rejected ({people}).\n",
            escape_control(run),
            trigger.as_str()
        ));
    }
    let more = put_back.len().saturating_sub(MOST_RUNS);
    if more > 0 {
        text.push_str(&format!(
            "{more} more such runs: `holds --rejected --format json` names the run of each.\n"
        ));
    }
    text
}
