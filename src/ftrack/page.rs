//! Reads a whole list page by page, several pages in flight, and notices when the list changed
//! during the read.
//!
//! Offset paging is not a snapshot: a user who is removed between two pages moves all later ones
//! up, and one of them would never be seen. So each page begins with the last row of the page
//! before it; when it does not, or a row occurs twice, the list is read again.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesOrdered};

use super::{
    answer::{After, Page},
    budget::Charge,
    error::{FtrackError, FtrackErrorKind},
    operation::Operation,
    query::Listing,
    row::Row,
    session::{Reader, Until},
    window::TooMuch,
};

/// The number of attempts to read a list that changes.
const TRIES: u32 = 5;
/// The most rows of one list: far above any studio, and a bound on memory.
const MOST_ROWS: usize = 1_000_000;

/// How long answers to pages past the end are waited for.
const PAST_THE_END: Duration = Duration::from_secs(1);

/// All rows of a list, sorted by identity, without duplicates.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::Changing`] when the list changed during each of the
/// attempts.
pub(super) async fn list<R: Row>(
    reader: &Reader,
    listing: &Listing,
    until: &Until,
) -> Result<Vec<R>, FtrackError> {
    list_of_about(reader, listing, 0, until).await
}

/// As [`list`], of a list that probably has so many rows: its pages are asked for without waiting
/// to see whether there are more.
///
/// # Errors
/// Those of [`list`].
pub(super) async fn list_of_about<R: Row>(
    reader: &Reader,
    listing: &Listing,
    expected: usize,
    until: &Until,
) -> Result<Vec<R>, FtrackError> {
    let mut one_row_each_time = true;
    for _ in 0..TRIES {
        match once::<R>(reader, listing, expected, until).await? {
            ListAttempt::Whole(mut rows, charge) => {
                rows.sort_unstable_by(|one, other| one.identity().cmp(other.identity()));
                if rows.is_sorted_by(|one, other| one.identity() < other.identity()) {
                    charge.settle();
                    return Ok(rows);
                }
                one_row_each_time = false;
            }
            ListAttempt::Changed => one_row_each_time = false,
            ListAttempt::OneRow => {}
        }
    }
    let what = listing.what.to_owned();
    let trouble = if one_row_each_time {
        FtrackErrorKind::Malformed("the server gives one row at a time".to_owned())
    } else {
        FtrackErrorKind::Changing { what, tries: TRIES }
    };
    Err(reader.error_of(&format!("reading {}", listing.what), trouble))
}

/// The first rows of a list, at most this many.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn beginning<R: Row>(
    reader: &Reader,
    listing: &Listing,
    rows: u32,
    until: &Until,
) -> Result<Vec<R>, FtrackError> {
    Ok(page(reader, listing, (0, rows), until).await?.rows)
}

/// The result of reading a list once.
enum ListAttempt<R> {
    /// All rows, in the order in which they arrived, and the memory that they take.
    Whole(Vec<R>, Charge),
    /// It changed during the read.
    Changed,
    /// One row, and another one after it: it grew during the read, or the server returns one row at
    /// a time, and pages of one row cannot overlap.
    OneRow,
}

/// How to continue after a page.
enum Step {
    /// It is as long as requested: the next one follows where expected.
    Full,
    /// Of another length, and not the last: the server has a limit of its own.
    OtherLength,
    /// The last one.
    Last,
    /// It does not continue the page before it.
    Broken,
}

/// A page as it arrived.
struct Arrived<R> {
    /// The number of rows that were asked for.
    asked: u32,
    rows: Vec<R>,
    after: After,
    charge: Charge,
    /// How long its call took.
    took: Duration,
}

/// Reads the list once.
async fn once<R: Row>(
    reader: &Reader,
    listing: &Listing,
    expected: usize,
    until: &Until,
) -> Result<ListAttempt<R>, FtrackError> {
    let mut plan = PagePlan::new(expected);
    let (mut rows, mut charge) = (Vec::new(), Charge::on(reader.budget()));
    let mut in_flight = FuturesOrdered::new();
    // Fewer where the server gives fewer than it is asked for.
    let mut most_rows = u32::MAX;
    loop {
        while in_flight.len() < reader.window().sizes().calls
            && let Some(page) = plan.next(reader.window().sizes().page_rows.min(most_rows))
        {
            in_flight.push_back(small_enough(reader, listing, page, until));
        }
        let Some(arrived) = in_flight.next().await else {
            // As many again as there are: pages past the end are asked for in vain.
            plan.extend(rows.len());
            continue;
        };
        let Some(arrived) = arrived? else {
            in_flight.clear();
            plan.begin_again(rows.len());
            continue;
        };
        let (asked, found) = (arrived.asked, length(arrived.rows.len()));
        charge.add(arrived.charge);
        match join(&mut rows, arrived.rows, arrived.after, asked) {
            Step::Last => {
                // A call that is dropped costs its connection.
                let rest = in_flight.by_ref().for_each(|_| async {});
                let _ = tokio::time::timeout(PAST_THE_END, rest).await;
                return Ok(ListAttempt::Whole(rows, charge));
            }
            Step::Broken => return Ok(ListAttempt::Changed),
            Step::Full => {}
            Step::OtherLength if rows.len() == 1 => {
                // What is not waited for must not take places.
                in_flight.clear();
                // The server says that there is more, whether or not that is true.
                let next = page::<R>(reader, listing, (1, asked), until).await?;
                return Ok(if next.rows.is_empty() {
                    ListAttempt::Whole(rows, charge)
                } else {
                    ListAttempt::OneRow
                });
            }
            Step::OtherLength => {
                most_rows = most_rows.min(found);
                if found >= reader.window().sure_rows() {
                    reader.window().note_limit(found);
                }
                in_flight.clear();
                plan.begin_again(rows.len());
            }
        }
        if rows.len() > MOST_ROWS {
            return Err(reader.error_of(
                &format!("reading {}", listing.what),
                FtrackErrorKind::Malformed(format!("the list has more than {MOST_ROWS} rows")),
            ));
        }
    }
}

/// Which pages of a list are asked for, each beginning with the last row of the one before.
struct PagePlan {
    /// Where the next page begins.
    next: usize,
    /// Where the list probably ends.
    end: usize,
}

/// A list may have grown by so many rows, and by this part of it, without another page.
const GROWTH: usize = 8;
const PART_OF_GROWTH: usize = 50;

impl PagePlan {
    fn new(expected: usize) -> Self {
        let growth = expected / PART_OF_GROWTH + GROWTH;
        let end = if expected == 0 { 1 } else { expected + growth };
        Self { next: 0, end }
    }

    /// The next page, from a row and of at most so many rows, if there is one: all that are left are
    /// of about the same length.
    fn next(&mut self, most: u32) -> Option<(u32, u32)> {
        let left = self.end.checked_sub(self.next).filter(|left| *left > 0)?;
        let new_rows = usize::try_from(most.max(2) - 1).ok()?;
        let pages = left.div_ceil(new_rows);
        let new_rows = if pages == 1 {
            new_rows
        } else {
            left.div_ceil(pages)
        };
        let page = (
            u32::try_from(self.next).ok()?,
            u32::try_from(new_rows + 1).ok()?,
        );
        self.next += new_rows;
        Some(page)
    }

    /// There is more than expected after so many rows.
    fn extend(&mut self, rows: usize) {
        self.begin_again(rows);
        self.end = self.end.max(self.next.saturating_mul(2));
    }

    /// Continues after so many rows.
    fn begin_again(&mut self, rows: usize) {
        self.next = rows.saturating_sub(1);
        self.end = self.end.max(self.next + 1);
    }
}

/// Appends a page to the rows before it.
fn join<R: Row>(rows: &mut Vec<R>, page: Vec<R>, after: After, limit: u32) -> Step {
    let found = length(page.len());
    let mut page = page.into_iter();
    if !rows.is_empty() || found == 0 {
        let continues = match (rows.last(), page.next()) {
            (Some(last), Some(first)) => last.identity() == first.identity(),
            (None, None) => return Step::Last,
            _ => false,
        };
        if !continues {
            return Step::Broken;
        }
    }
    let is_first = rows.is_empty();
    rows.extend(page);
    if after == After::End || (found == 1 && !is_first) {
        Step::Last
    } else if found == limit {
        Step::Full
    } else {
        Step::OtherLength
    }
}

/// A page; `None` where one of fewer rows has to be asked for.
async fn small_enough<R: Row>(
    reader: &Reader,
    listing: &Listing,
    at: (u32, u32),
    until: &Until,
) -> Result<Option<Arrived<R>>, FtrackError> {
    let (_, asked) = at;
    match page::<R>(reader, listing, at, until).await {
        Ok(arrived) => {
            let window = reader.window();
            window.note_page(asked, length(arrived.rows.len()), arrived.took);
            Ok(Some(arrived))
        }
        Err(error) if asked > reader.window().sure_rows() && TooMuch::of(error.kind()).rows => {
            reader.window().note_failed_page();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn page<R: Row>(
    reader: &Reader,
    listing: &Listing,
    (offset, asked): (u32, u32),
    until: &Until,
) -> Result<Arrived<R>, FtrackError> {
    let operation = Operation::query(listing.page(offset, asked));
    let (answers, took) = reader
        .read_page::<Page<R>>(&operation, asked, until)
        .await?;
    let page = match answers.into_iter().next() {
        Some(page) => page.rows(),
        None => Err(FtrackErrorKind::Malformed("no answer".to_owned())),
    };
    let (rows, after, charge) =
        page.map_err(|trouble| reader.error_of(&operation.to_string(), trouble))?;
    Ok(Arrived {
        asked,
        rows,
        after,
        charge,
        took,
    })
}

fn length(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// The maximum number of users in one call; bounds the length of the expressions.
const USERS_A_CALL: usize = 400;

/// The number of users in one call; a list that is as long as a page would be followed by another,
/// empty one.
pub(super) fn users_a_call(reader: &Reader) -> usize {
    usize::try_from(reader.window().sure_rows() - 1)
        .unwrap_or(USERS_A_CALL)
        .min(USERS_A_CALL)
}
