//! Progress of a run on a terminal; nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{log, run::Progress};

/// A progress line on standard error; drawn only on a terminal, and removed at the end.
#[derive(Debug)]
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Starts the line.
    #[must_use]
    pub fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, log::terminal::draw_target());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message("reading");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Shows what is being waited for.
    pub fn say(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Shows the progress of a run.
    pub fn show(&self, progress: Progress) {
        self.0.set_message(match progress {
            Progress::Entries(entries) => format!("reading both servers: {entries} entries so far"),
            Progress::Changes(done, of) => format!("writing: {done} of {of} changes"),
            Progress::ServerJobQueued => "ftrack's own synchronisation is queued".to_owned(),
            Progress::ServerJobRunning => "ftrack's own synchronisation is running".to_owned(),
            Progress::WaitingForRun => {
                "waiting for the run of the job that is in progress".to_owned()
            }
        });
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        // Removes the line, so that what is printed next does not end up in it.
        log::flush();
    }
}
