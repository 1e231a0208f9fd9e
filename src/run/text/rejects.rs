//! What the next run does about what was put back.

use serde_json::Value;

use super::line;
use crate::model::{
    edit::Field,
    report::{Report, Reported},
};

/// Says that the next run does not do it again, where that is so: whoever puts back what nothing in the
/// directory asks for, as an undo or a release does, rejects nothing.
pub(super) fn write(text: &mut String, report: &Report) {
    let puts_back = report.trigger.puts_back() && !report.dry_run && report.ftrack.write_calls > 0;
    if puts_back && report.changes.iter().any(rejects) {
        let again = "The next run does not do it again: what was put back counts as rejected, until \
                     its cause ends.";
        line(text, again);
    }
}

/// Whether the user's link says of more than before that it is rejected, or is gone, so that it is kept
/// elsewhere.
fn rejects(change: &Reported) -> bool {
    let Some(link) = change.fields.get(&Field::Link) else {
        return false;
    };
    if link.old.is_null() {
        // The user gets its link back, with what that said.
        return false;
    }
    let before = rejected(&link.old);
    link.new.is_null()
        || rejected(&link.new)
            .iter()
            .any(|edit| !before.contains(edit))
}

fn rejected(link: &Value) -> &[Value] {
    let edits = link.get("rejected").and_then(Value::as_array);
    edits.map_or(&[], Vec::as_slice)
}
