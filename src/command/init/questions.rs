//! Questions on the terminal, with defaults, and secrets that are typed without being shown.

use std::io::{self, BufRead, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio_util::sync::CancellationToken;

use crate::{cli::Stop, config::Secret, escape::escape_control, log, wrap::wrapped};

/// The longest answer that is read, in bytes; a terminal gives no longer line.
const LONGEST: u64 = 4096;

/// Who answers.
pub struct Asker<'a> {
    can_ask: bool,
    cancel: &'a CancellationToken,
}

impl<'a> Asker<'a> {
    pub fn new(can_ask: bool, cancel: &'a CancellationToken) -> Self {
        Self { can_ask, cancel }
    }

    /// Whether there is somebody who answers.
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Says something to who answers.
    pub fn say(&self, text: &str) {
        if self.can_ask {
            log::say(text);
        }
    }

    /// Says what is wrong with an answer, so that it is asked for again.
    ///
    /// # Errors
    /// Nobody can be asked: it is the end.
    pub fn again(&self, stop: Stop) -> Result<(), Stop> {
        if !self.can_ask {
            return Err(stop);
        }
        for line in &stop.lines {
            log::say(&format!("  {}", escape_control(line)));
        }
        Ok(())
    }

    /// Waits for something, unless a stop is requested.
    ///
    /// # Errors
    /// It is.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(stopped()),
            done = work => Ok(done),
        }
    }

    /// One line, without blanks around it; the default for an empty one.
    ///
    /// # Errors
    /// A stop is requested, or there are no more answers.
    pub async fn line(&self, question: &str, default: Option<&str>) -> Result<String, Stop> {
        let shown = default.map(|default| format!(" [{}]", escape_control(default)));
        loop {
            ask(&format!(
                "{question}{}: ",
                shown.as_deref().unwrap_or_default()
            ));
            let answer = self.read().await?;
            let answer = answer.trim();
            match default {
                _ if !answer.is_empty() => return Ok(answer.to_owned()),
                Some(default) => return Ok(default.to_owned()),
                None => log::say("  An answer is needed."),
            }
        }
    }

    /// One line, or nothing for an empty one.
    ///
    /// # Errors
    /// As for a line.
    pub async fn line_or_nothing(&self, question: &str) -> Result<Option<String>, Stop> {
        ask(&format!("{question}: "));
        let answer = self.read().await?;
        let answer = answer.trim();
        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }

    /// A secret, which is not shown.
    ///
    /// # Errors
    /// As for a line, or the terminal cannot be told not to show it.
    pub async fn secret(&self, question: &str) -> Result<Secret, Stop> {
        loop {
            let question = format!("{question} (not shown)");
            if let Some(secret) = self.secret_or_nothing(&question).await? {
                return Ok(secret);
            }
            log::say("  An answer is needed.");
        }
    }

    /// A secret, which is not shown, or nothing for an empty one.
    ///
    /// # Errors
    /// As for a secret.
    pub async fn secret_or_nothing(&self, question: &str) -> Result<Option<Secret>, Stop> {
        let answer = {
            let _hidden = Hidden::new()?;
            ask(&format!("{question}: "));
            let answer = self.read().await;
            // The line end was not shown either.
            log::ask("\n");
            answer?
        };
        let secret = answer.trim_end_matches(['\r', '\n']);
        Ok((!secret.trim().is_empty()).then(|| Secret::new(secret.to_owned())))
    }

    /// Yes or no, of which no is the default; no where nobody can be asked.
    ///
    /// # Errors
    /// As for a line.
    pub async fn confirms(&self, question: &str) -> Result<bool, Stop> {
        self.yes_or_no(question, false).await
    }

    /// Yes or no, of which yes is the default; no where nobody can be asked.
    ///
    /// # Errors
    /// As for a line.
    pub async fn agrees(&self, question: &str) -> Result<bool, Stop> {
        self.yes_or_no(question, true).await
    }

    /// Yes or no, asked for until it is one of these; the default for an empty line.
    async fn yes_or_no(&self, question: &str, default: bool) -> Result<bool, Stop> {
        if !self.can_ask {
            return Ok(false);
        }
        loop {
            ask(question);
            let answer = self.read().await?.trim().to_ascii_lowercase();
            match answer.as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => log::say("  Answer y or n."),
            }
        }
    }

    async fn read(&self) -> Result<String, Stop> {
        // A thread that waits for an answer ends with the process.
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            let mut input = io::stdin().lock().take(LONGEST);
            input.read_line(&mut answer).map(|_| answer)
        });
        let answer = self.unless_stopped(answer).await;
        if answer.is_err() {
            // The cursor stands behind the question.
            log::ask("\n");
        }
        let answer = answer?.map_err(|error| Stop::failed(&error))?;
        let answer = answer.map_err(|error| {
            Stop::failed(&format!(
                "the answer cannot be read: {error}; nothing is written"
            ))
        })?;
        if answer.is_empty() {
            log::ask("\n");
            return Err(Stop::failed(
                "there are no more answers; nothing is written",
            ));
        }
        Ok(answer)
    }
}

/// Asks, with no line longer than the terminal's, so that it breaks no word.
fn ask(question: &str) {
    match log::terminal::columns() {
        Some(columns) => {
            // The blank before the answer stands on the last line.
            let words = wrapped(question.trim_end(), columns.saturating_sub(1).max(1));
            log::ask(&format!("{words} "));
        }
        None => log::ask(question),
    }
}

fn stopped() -> Stop {
    Stop::failed("stopped on request; nothing is written")
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn new() -> Result<Self, Stop> {
        let fail = |error: rustix::io::Errno| {
            Stop::failed(&format!("the terminal cannot hide what is typed: {error}"))
        };
        let before = tcgetattr(io::stdin()).map_err(fail)?;
        let mut hidden = before.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL);
        // What was typed before is kept.
        tcsetattr(io::stdin(), OptionalActions::Drain, &hidden).map_err(fail)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
