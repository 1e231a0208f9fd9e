//! How far a run is, on a terminal; nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{log, run::Progress};

/// A line on standard error that says how far a run is; drawn on a terminal alone, and gone at the
/// end.
#[derive(Debug)]
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Begins the line.
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

    /// Shows what is waited for.
    pub fn say(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        self.0.set_message(match progress {
            Progress::Entries(entries) => format!("reading both servers: {entries} entries so far"),
            Progress::Changes(done, of) => format!("writing: {done} of {of} changes"),
            Progress::ServerJobQueued => "ftrack's own synchronisation is queued".to_owned(),
            Progress::ServerJobRunning => "ftrack's own synchronisation is running".to_owned(),
        });
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        // What is printed next is not to stand in its place.
        log::flush();
    }
}
