//! What fitted an ftrack server.
#![allow(clippy::unwrap_used)]

use super::{FTRACK, open, studio};
use crate::model::call_sizes::{CallSizes, ReadingSizes};

#[test]
fn what_fitted_a_server_is_known_to_all_jobs_and_written_only_where_it_differs() {
    let (_folder, config) = studio();
    let state = open(&config);
    let sizes = |page_rows, users| ReadingSizes {
        asked: CallSizes {
            page_rows,
            calls: 8,
            changes: 100,
        },
        users,
        links: 900,
    };
    let known = |job| state.remembered(job, FTRACK).unwrap().reading_sizes;
    assert_eq!(known("artists"), None);
    let first = sizes(2000, 1000);
    state.set_reading_sizes(FTRACK, None, first).unwrap();
    assert_eq!(
        (known("artists"), known("interns")),
        (Some(first), Some(first))
    );
    assert_eq!(
        state
            .remembered("artists", "another")
            .unwrap()
            .reading_sizes,
        None
    );
    state
        .set_reading_sizes(FTRACK, Some(first), sizes(2000, 1009))
        .unwrap();
    assert_eq!(known("artists"), Some(first), "about the same");
    state.set_changes_at_once(FTRACK, 400).unwrap();
    assert_eq!(known("interns").unwrap().asked.changes, 400);
    for now in [sizes(1000, 1000), sizes(2000, 1011)] {
        state.set_reading_sizes(FTRACK, Some(first), now).unwrap();
        assert_eq!(known("artists"), Some(now));
    }
}
