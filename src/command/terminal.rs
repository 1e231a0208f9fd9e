//! The terminal that standard output is, and how results fit on it.

use std::io::{self, BufRead, IsTerminal, Read};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING};
use rustix::termios::tcgetwinsize;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Stop,
    config::Environment,
    log,
    wrap::{display_width, wrapped},
};

/// The size of a terminal that reports none.
const SIZE: (usize, usize) = (80, 24);

/// The narrowest width for which lines are wrapped, in columns.
const NARROWEST: usize = 20;

/// The longest answer to a question that is read, in bytes.
const LONGEST_ANSWER: u64 = 64;

/// Whether there is somebody who can be asked.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && log::is_on_terminal() && !log::is_journal()
}

/// Asks on the terminal; anything but yes is no.
///
/// # Errors
/// The answer cannot be read.
pub(super) async fn confirmed(question: &str, cancel: &CancellationToken) -> Result<bool, Stop> {
    log::say(question);
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let mut input = io::stdin().lock().take(LONGEST_ANSWER);
        input.read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        () = cancel.cancelled() => Ok(false),
        answer = answer => {
            let answer = answer.map_err(|error| Stop::failed(&error))??;
            let answer = answer.trim();
            Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
        }
    }
}

/// Where a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub(super) enum Screen {
    Terminal {
        columns: usize,
        rows: usize,
    },
    /// A pipe or a file: no line is wrapped, and nothing is left out.
    Unbounded,
}

impl Screen {
    /// What standard output is. The size is the terminal's, otherwise `COLUMNS`, otherwise 80
    /// columns of 24 rows.
    pub(super) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::Unbounded;
        }
        let (columns, rows) = tcgetwinsize(&stdout).map_or((0, 0), |size| {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        });
        let or = |size: usize, otherwise| if size > 0 { size } else { otherwise };
        Self::Terminal {
            columns: or(
                columns,
                Environment::of_process().columns().unwrap_or(SIZE.0),
            )
            .max(NARROWEST),
            rows: or(rows, SIZE.1),
        }
    }

    /// The columns of a terminal.
    pub(super) fn columns(self) -> Option<usize> {
        match self {
            Self::Terminal { columns, .. } => Some(columns),
            Self::Unbounded => None,
        }
    }

    /// The rows of a terminal.
    pub(super) fn rows(self) -> Option<usize> {
        match self {
            Self::Terminal { rows, .. } => Some(rows),
            Self::Unbounded => None,
        }
    }

    /// What is left of it beside something of this many columns.
    #[cfg(feature = "demo")]
    pub(super) fn beside(self, taken: usize) -> Self {
        match self {
            Self::Terminal { columns, rows } => Self::Terminal {
                columns: columns.saturating_sub(taken).max(NARROWEST),
                rows,
            },
            Self::Unbounded => Self::Unbounded,
        }
    }

    /// Text that fits: lines are wrapped between words.
    pub(super) fn fit(self, text: &str) -> String {
        match self {
            Self::Terminal { columns, .. } => wrapped(text, columns),
            Self::Unbounded => text.to_owned(),
        }
    }

    /// An empty table that fits: its cells are wrapped between words.
    pub(super) fn table(self) -> Table {
        let mut table = Table::new();
        *table.style_mut() = NOTHING;
        if let Self::Terminal { columns, .. } = self {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
        }
        table
    }
}

/// The widest line of help, in columns.
const HELP: usize = 100;

/// The width of the help in columns: that of the terminal on standard output, otherwise on standard
/// error, as for `--help | less`, and at most 100.
#[must_use]
pub fn help_width() -> usize {
    let of_stderr = log::terminal::columns;
    Screen::of_stdout()
        .columns()
        .or_else(of_stderr)
        .map_or(HELP, |columns| columns.clamp(NARROWEST, HELP))
}

/// The widest column that is never broken.
const UNBROKEN: u16 = 24;

/// What stands beside the content of a column: one blank on each side.
const PADDING: u16 = 2;

/// Keeps what is in these columns on one line: somebody may copy it. What is wider than 24 columns is
/// broken all the same; and what consists of words, such as a time, where no column would have room
/// for its longest word otherwise.
pub(super) fn unbroken(table: &mut Table, columns: &[usize]) {
    let widths = table.column_max_content_widths();
    let mut needed = longest_words(table);
    for place in columns {
        let width = widths
            .get(*place)
            .copied()
            .unwrap_or_default()
            .min(UNBROKEN);
        let Some(word) = needed.get_mut(*place) else {
            continue;
        };
        let longest = std::mem::replace(word, width.max(*word));
        let all = needed.iter().map(|width| width + PADDING).sum::<u16>();
        if longest < width && table.width().is_some_and(|most| all > most) {
            if let Some(word) = needed.get_mut(*place) {
                *word = longest;
            }
            continue;
        }
        if let Some(column) = table.column_mut(*place) {
            let padding = column.padding_width();
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
                width + padding,
            )));
        }
    }
}

/// The width of the longest word of each column, its header among them.
fn longest_words(table: &Table) -> Vec<u16> {
    let mut longest = vec![0; table.column_max_content_widths().len()];
    for row in table.header().into_iter().chain(table.row_iter()) {
        for (longest, cell) in longest.iter_mut().zip(row.cell_iter()) {
            let content = cell.content();
            let widths = content.split_whitespace().map(display_width);
            let width = u16::try_from(widths.max().unwrap_or_default()).unwrap_or(u16::MAX);
            *longest = width.max(*longest).min(UNBROKEN);
        }
    }
    longest
}

/// A table as lines without blanks at their ends.
pub(super) fn lines(table: &Table) -> String {
    table
        .to_string()
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect()
}
