//! The writer of queued lines; it also reports dropped ones.

use std::time::Duration;

use super::{
    queue::{Entry, Next, Queue},
    sink::Destination,
};

/// The interval at which a reader that has left is checked for, while nothing else is to be
/// written.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Clears a frame from a terminal.
const AWAY: &[u8] = b"\r\x1b[2K";

/// Writes queued items until the queue is closed; `dropped` makes the line that reports dropped
/// lines.
pub(super) fn write(queue: &Queue, to: &mut impl Destination, dropped: impl Fn(u64) -> Vec<u8>) {
    let is_over = &|| queue.is_over();
    let (mut unsaid, mut has_frame) = (0, false);
    loop {
        let line = match queue.next((unsaid > 0).then_some(LOOK_AGAIN)) {
            Next::Write(Entry::Frame(frame)) => {
                // Shown or not, the next frame replaces it.
                has_frame = to.frame(&frame, is_over).is_ok();
                continue;
            }
            Next::Write(Entry::Line {
                text,
                dropped_before,
            }) => {
                unsaid += dropped_before;
                Some(text)
            }
            Next::Dropped(lines) => {
                unsaid += lines;
                None
            }
            Next::Nothing => None,
            Next::End => return,
        };
        if std::mem::take(&mut has_frame) {
            let _ = to.frame(AWAY, is_over);
        }
        if unsaid > 0 && to.line(&dropped(unsaid), is_over).is_ok() {
            unsaid = 0;
        }
        if let Some(line) = line
            && (unsaid > 0 || to.line(&line, is_over).is_err())
        {
            queue.count_dropped();
            unsaid += 1;
        }
    }
}

#[cfg(test)]
mod tests;
