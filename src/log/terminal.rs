//! A terminal on standard error, for the progress display: each frame goes through the log queue,
//! so that drawing never blocks.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{ProgressDrawTarget, TermLike};
use rustix::termios::tcgetwinsize;

use crate::config::Environment;

/// The maximum number of frames per second.
const REFRESH_RATE: u8 = 20;

/// The width of a terminal that does not report it.
const WIDTH: u16 = 80;

/// The frame, until it is shown.
#[derive(Debug, Default)]
struct Terminal(Mutex<Vec<u8>>);

/// Where progress is drawn: standard error if it is a suitable terminal, and nowhere otherwise.
#[must_use]
pub fn draw_target() -> ProgressDrawTarget {
    // Finds out whether it is a terminal, and which one; NO_COLOR also means no moving line.
    if ProgressDrawTarget::stderr().is_hidden() || !super::is_coloured() {
        return ProgressDrawTarget::hidden();
    }
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), REFRESH_RATE)
}

/// The width of standard error in columns; none where it is no terminal, or one that does not report
/// it.
pub(super) fn reported_width() -> Option<u16> {
    let size = tcgetwinsize(super::standard_error()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// The width for lines on standard error in columns: the terminal's, otherwise `COLUMNS`, otherwise
/// 80; none where it is no terminal.
pub(crate) fn columns() -> Option<usize> {
    let of_environment = || Environment::of_process().columns().unwrap_or(WIDTH.into());
    super::is_on_terminal().then(|| reported_width().map_or_else(of_environment, usize::from))
}

impl Terminal {
    fn drawn(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor in the direction that a letter names (ECMA-48: CUU, CUD, CUF, CUB).
    fn move_cursor(&self, times: usize, direction: char) -> io::Result<()> {
        match times {
            0 => Ok(()),
            _ => write!(self.drawn(), "\x1b[{times}{direction}"),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        reported_width().unwrap_or(WIDTH)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        writeln!(self.drawn(), "{line}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.drawn().write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn());
        if !drawn.is_empty() {
            super::queue().show(drawn);
        }
        Ok(())
    }
}
