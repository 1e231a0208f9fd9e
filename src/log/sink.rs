//! The output for log lines: a file, a terminal, a pipe or a socket, whose reader may stall, leave
//! and come back.

use std::{os::fd::AsFd, thread, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, write},
    net::{SendFlags, send, sockopt::socket_type},
};

/// How long one wait for a reader lasts before the writer checks whether to continue.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The delay where the system accepts nothing although it reported that it would.
const PAUSE: Duration = Duration::from_millis(10);

/// As many bytes as a pipe accepts at once or not at all (POSIX's PIPE_BUF on Linux): a writable
/// pipe accepts them without blocking.
const CHUNK: usize = 4096;

/// It was not written, or not all of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotWritten;

/// What the writer writes to.
pub(super) trait Destination {
    /// Writes one line, however long the reader takes, unless the reader has left or `is_over`.
    ///
    /// # Errors
    /// It is not written.
    fn line(&mut self, text: &[u8], is_over: &dyn Fn() -> bool) -> Result<(), NotWritten>;

    /// Shows a frame of the progress display.
    ///
    /// # Errors
    /// It is not shown.
    fn frame(&mut self, frame: &[u8], is_over: &dyn Fn() -> bool) -> Result<(), NotWritten>;
}

impl<F: AsFd> Destination for Sink<F> {
    fn line(&mut self, text: &[u8], is_over: &dyn Fn() -> bool) -> Result<(), NotWritten> {
        self.write(text, is_over)
    }

    fn frame(&mut self, frame: &[u8], is_over: &dyn Fn() -> bool) -> Result<(), NotWritten> {
        self.write(frame, is_over)
    }
}

/// A file descriptor to which lines are written.
#[derive(Debug)]
pub(super) struct Sink<F> {
    to: F,
    is_socket: bool,
    /// Whether part of a line was written, which has to be ended before the next.
    is_torn: bool,
}

impl<F: AsFd> Sink<F> {
    /// Writes to a file descriptor.
    pub(super) fn new(to: F) -> Self {
        Self {
            is_socket: socket_type(&to).is_ok(),
            is_torn: false,
            to,
        }
    }

    /// Writes all of it, however long the reader takes, unless the reader has left or `is_over`.
    ///
    /// # Errors
    /// It is not written, or only a part of it, which is ended before the next text.
    pub(super) fn write(
        &mut self,
        text: &[u8],
        is_over: impl Fn() -> bool,
    ) -> Result<(), NotWritten> {
        if self.is_torn {
            self.put_all(b"\n", &is_over)?;
        }
        self.put_all(text, &is_over)
    }

    fn put_all(&mut self, text: &[u8], is_over: &impl Fn() -> bool) -> Result<(), NotWritten> {
        let mut left = text;
        while !left.is_empty() {
            if is_over() {
                return Err(NotWritten);
            }
            if !self.is_ready()? {
                continue;
            }
            let chunk = left.get(..CHUNK).unwrap_or(left);
            match self.put(chunk) {
                Ok(written @ 1..) => {
                    left = left.get(written..).unwrap_or_default();
                    self.is_torn = !left.is_empty();
                }
                Err(Errno::AGAIN) => thread::park_timeout(PAUSE),
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return Err(NotWritten),
            }
        }
        Ok(())
    }

    /// Whether something can be written now, after a short wait.
    fn is_ready(&self) -> Result<bool, NotWritten> {
        let mut polled = [PollFd::new(&self.to, PollFlags::OUT)];
        match poll(&mut polled, Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(_)
                if polled
                    .iter()
                    .any(|polled| polled.revents().contains(PollFlags::OUT)) =>
            {
                Ok(true)
            }
            // The reader has left; for a pipe that is not full, the attempt to write reports that.
            Ok(_) | Err(_) => Err(NotWritten),
        }
    }

    fn put(&self, chunk: &[u8]) -> Result<usize, Errno> {
        if self.is_socket {
            send(&self.to, chunk, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
        } else {
            write(&self.to, chunk)
        }
    }
}
