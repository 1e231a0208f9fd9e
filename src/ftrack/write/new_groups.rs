//! Makes the groups that users are to join and ftrack does not have, before any user is written.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ftrack::{
        error::{FtrackError, FtrackErrorKind, WriteFailure},
        groups::{MissingGroups, paths},
        operation::Operation,
        session::{Until, Writer},
    },
    model::{change::Change, edit::Edit, grant::Group, user::EntityId},
};

/// How often a call that makes groups is repeated where its answer is not clear.
const TRIES: usize = 3;

/// Makes the groups that are missing and that somebody joins by one of these changes, before any user
/// is written. Returns the paths of those whose groups were made.
///
/// # Errors
/// They could not be made, or not all of them are seen afterwards; or somebody else made one
/// meanwhile, which the next run finds.
pub(super) async fn make_missing(
    writer: &Writer,
    changes: &[Change],
    until: &Until,
) -> Result<Vec<Arc<str>>, FtrackError> {
    let joined: BTreeMap<&EntityId, &Group> = changes
        .iter()
        .flat_map(|change| &change.edits)
        .filter_map(Edit::joins)
        .filter(|group| !group.missing.is_empty())
        .map(|group| (&group.id, group))
        .collect();
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    let reader = writer.reader();
    let what = "making the job's groups";
    let before = paths(reader, until).await?;
    for group in joined.values() {
        let now = before.group(&group.name, MissingGroups::AreMade);
        let now = now.map_err(|kind| reader.error_of(what, kind))?;
        if now != **group {
            let problem = format!(
                "the group {:?} was made, or changed, since ftrack was read; the next run uses it",
                &*group.name
            );
            return Err(reader.error_of(what, before.unusable(problem)));
        }
    }
    let mut operations: Vec<Operation> = Vec::new();
    for new in joined.values().flat_map(|group| &group.missing) {
        let operation = Operation::create_group(new);
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    for tried in 1..=TRIES {
        let answer = writer.write_call(&operations, until).await;
        // Also after a refusal, what is there counts: another program may have made them.
        let after = paths(reader, until).await?;
        let is_there = |group: &&&Group| after.only(&group.name) == Ok(Some(&group.id));
        if joined.values().all(|group| is_there(&group)) {
            return Ok(joined.values().map(|group| group.name.clone()).collect());
        }
        match answer {
            Err(WriteFailure::Unclear(_)) if tried < TRIES => {}
            Err(failure) => return Err(failure.error().clone()),
            Ok(()) => break,
        }
    }
    let problem = "ftrack accepted the new groups, and does not show them; give the API key's role read \
                   access to groups";
    Err(reader.error_of(what, FtrackErrorKind::Malformed(problem.to_owned())))
}
