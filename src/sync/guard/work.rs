//! Deactivations of people who still carry work in ftrack.

use crate::{
    model::{
        change::{Change, HeldBy, Hold},
        work::Work,
    },
    sync::guard::Bounds,
};

const WAY_OUT: &str = "give it to somebody else in ftrack, and the next run deactivates the user, or \
                       approve it";

/// What holds a deactivation where the job's people may leave no work behind: some is there, or it is
/// not known whether there is.
pub(super) fn carried(bounds: &Bounds<'_>, change: &Change) -> Option<Hold> {
    let work = bounds.work.as_ref()?.of(&change.ftrack_id);
    let why = match work {
        Some(work) if work.is_some() => {
            format!("the user still has work in ftrack (users.work_in_hand = \"hold\"); {WAY_OUT}")
        }
        Some(Work { error: None, .. }) => return None,
        Some(Work {
            error: Some(error), ..
        }) => format!(
            "whether the user still has work in ftrack could not be read ({error}), and \
             users.work_in_hand is \"hold\"; a run that reads it decides, or an approval"
        ),
        None => "nobody asked ftrack whether the user still has work there, and \
                 users.work_in_hand is \"hold\"; the next run does"
            .to_owned(),
    };
    Some(Hold::new(HeldBy::Work, why))
}
