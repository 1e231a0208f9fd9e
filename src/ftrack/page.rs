//! Reads a whole list page by page, several pages in flight, and notices when the list changed
//! during the read.
//!
//! Offset paging is not a snapshot: a user who is removed between two pages moves all later ones
//! up, and one of them would never be seen. So each page begins with the last row of the page
//! before it; when it does not, or a row occurs twice, the list is read again.

use futures_util::{StreamExt, stream};

use super::{
    answer::{After, Page},
    budget::Charge,
    error::{FtrackError, FtrackErrorKind},
    operation::Operation,
    query::Listing,
    row::Row,
    session::{Reader, Until},
};

/// The number of attempts to read a list that changes.
const TRIES: u32 = 5;
/// The most rows of one list: far above any studio, and a bound on memory.
const MOST_ROWS: usize = 1_000_000;

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
    let mut one_row_each_time = true;
    for _ in 0..TRIES {
        match once::<R>(reader, listing, until).await? {
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
    let (rows, ..) = page(reader, listing, 0, rows, until).await?;
    Ok(rows)
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

/// Reads the list once.
async fn once<R: Row>(
    reader: &Reader,
    listing: &Listing,
    until: &Until,
) -> Result<ListAttempt<R>, FtrackError> {
    let mut limit = reader.page_size();
    let (mut rows, after, mut charge) = page::<R>(reader, listing, 0, limit, until).await?;
    if after == After::End || rows.is_empty() {
        return Ok(ListAttempt::Whole(rows, charge));
    }
    if rows.len() == 1 {
        // The server says that there is more, whether or not that is true.
        let (next, ..) = page::<R>(reader, listing, 1, limit, until).await?;
        return Ok(if next.is_empty() {
            ListAttempt::Whole(rows, charge)
        } else {
            ListAttempt::OneRow
        });
    }
    limit = limit.min(length(rows.len()));
    // Pages past the end are requested in vain, so no more are requested at once than were read
    // before.
    let mut at_once = 1;
    loop {
        let start = length(rows.len() - 1);
        let offsets =
            (0..).map_while(move |index: u32| index.checked_mul(limit - 1)?.checked_add(start));
        let in_this_round = if at_once < reader.connections() {
            at_once
        } else {
            usize::MAX
        };
        let mut pages = stream::iter(offsets.take(in_this_round))
            .map(move |offset| page::<R>(reader, listing, offset, limit, until))
            .buffered(at_once);
        at_once = (at_once * 2).min(reader.connections());
        while let Some(page) = pages.next().await {
            let (page, after, taken) = page?;
            charge.add(taken);
            let length_found = length(page.len());
            match join(&mut rows, page, after, limit) {
                Step::Last => return Ok(ListAttempt::Whole(rows, charge)),
                Step::Broken => return Ok(ListAttempt::Changed),
                Step::Full => {}
                Step::OtherLength => {
                    limit = limit.min(length_found);
                    break;
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
}

/// Appends a page to the rows before it.
fn join<R: Row>(rows: &mut Vec<R>, page: Vec<R>, after: After, limit: u32) -> Step {
    let found = length(page.len());
    let mut page = page.into_iter();
    let continues = match (rows.last(), page.next()) {
        (Some(last), Some(first)) => last.identity() == first.identity(),
        _ => false,
    };
    if !continues {
        return Step::Broken;
    }
    rows.extend(page);
    if after == After::End || found == 1 {
        Step::Last
    } else if found == limit {
        Step::Full
    } else {
        Step::OtherLength
    }
}

async fn page<R: Row>(
    reader: &Reader,
    listing: &Listing,
    offset: u32,
    limit: u32,
    until: &Until,
) -> Result<(Vec<R>, After, Charge), FtrackError> {
    let operation = Operation::query(listing.page(offset, limit));
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let answers = reader
        .read_as::<Page<R>>(std::slice::from_ref(&operation), most, until)
        .await?;
    let page = match answers.into_iter().next() {
        Some(page) => page.rows(),
        None => Err(FtrackErrorKind::Malformed("no answer".to_owned())),
    };
    page.map_err(|trouble| reader.error_of(&operation.to_string(), trouble))
}

fn length(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// The maximum number of users in one call; bounds the length of the expressions.
const USERS_A_CALL: usize = 400;

/// The number of users in one call; a list that is as long as a page would be followed by another,
/// empty one.
pub(super) fn users_a_call(reader: &Reader) -> usize {
    usize::try_from(reader.page_size() - 1)
        .unwrap_or(USERS_A_CALL)
        .min(USERS_A_CALL)
}
