//! What the next run does about what was put back.

use super::line;
use crate::model::report::Report;

/// Says that the next run does not do it again, where that is so: whoever puts back what nothing in the
/// directory asks for, as an undo or a release does, rejects nothing.
pub(super) fn write(text: &mut String, report: &Report) {
    if report.redoes.is_some() {
        if !report.dry_run && report.counts.changed() > 0 {
            line(
                text,
                "What the undo had rejected of it is rejected no more.",
            );
        }
    } else if report.rejects.is_some() {
        let again = "The next run does not do it again: what was put back counts as rejected, until \
                     its cause ends.";
        line(text, again);
    }
}
