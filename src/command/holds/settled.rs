//! What a person did by hand since the last run of a job, which may have settled what a hold is about.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use crate::{
    escape::escape_control,
    model::{
        open_hold::OpenHold,
        report::{Outcome, Trigger},
        summary::RunSummary,
    },
    state::database::each_run,
};

/// Says of the jobs of these holds whose users a person linked, unlinked or released since the last
/// run that the next one ends what that settled; empty where there are none. What cannot be read is
/// not said.
pub(super) fn by_hand(open: &[&OpenHold], state_dir: &Path) -> String {
    let jobs: BTreeSet<&str> = open.iter().map(|hold| hold.job.as_str()).collect();
    let since_last_run = |job: &&str| changed_by_hand(state_dir, job);
    let lines = jobs.into_iter().filter(since_last_run).map(|job| {
        format!(
            "\n{}: `link`, `unlink` or `release` changed users after the last run; what a hold is about \
             may be settled by that, and then it ends with the next run.\n",
            escape_control(job)
        )
    });
    lines.collect()
}

/// Whether the newest run of a job that came to its end, and wrote, is one of a person's links.
fn changed_by_hand(state_dir: &Path, job: &str) -> bool {
    let mut is_by_hand = false;
    // The newest come first.
    let mut look = |run: RunSummary| {
        if run.job != job || run.dry_run || run.outcome == Outcome::Failed {
            return ControlFlow::Continue(());
        }
        is_by_hand = matches!(run.trigger, Trigger::Link | Trigger::Release);
        ControlFlow::Break(())
    };
    // Without it, the list is as good as before.
    let _ = each_run(state_dir, &mut look);
    is_by_hand
}
