//! Builds one log line.

use std::{cell::RefCell, io};

thread_local! {
    /// The lines that this thread captures; none where they go to the queue.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// A line under construction, which is passed on when it is dropped. Writing to it neither fails
/// nor blocks.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<u8>);

impl io::Write for Line {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = without_origin(std::mem::take(&mut self.0));
        if line.is_empty() {
            return;
        }
        let kept = CAPTURED.try_with(|captured| match captured.borrow_mut().as_mut() {
            Some(captured) => {
                captured.extend_from_slice(&line);
                true
            }
            None => false,
        });
        if !kept.unwrap_or(false) {
            super::queue().add(line);
        }
    }
}

/// A line of JSON without the fields that say where a library's line was written, which name folders of
/// the machine on which the program was built.
fn without_origin(line: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&line).unwrap_or_default();
    if !text.starts_with('{') || !text.contains("\"log.") {
        return line;
    }
    let Ok(mut fields) = serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(text) else {
        return line;
    };
    fields.retain(|name, _| !name.starts_with("log."));
    format!("{}\n", serde_json::Value::Object(fields)).into_bytes()
}

/// Captures the lines logged during a call, in the usual format; they are written nowhere else.
pub(super) fn captured(say: impl FnOnce()) -> Vec<u8> {
    CAPTURED.set(Some(Vec::new()));
    say();
    CAPTURED.take().unwrap_or_default()
}
