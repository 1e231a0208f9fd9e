//! About whom a desired state says something.

use std::collections::BTreeSet;

use crate::model::entry::DirectoryId;

/// About whom a desired state says something.
#[derive(Debug, Default)]
pub(super) enum Extent {
    /// About everybody: whoever is not shown is missing.
    #[default]
    Everybody,
    /// About those who are shown, and those whom the server named as deleted.
    Changed {
        deleted: BTreeSet<DirectoryId>,
        /// The number of entries of the last complete reading.
        entries: usize,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::{
        directory::ChangedEntries,
        sync::{
            desired::{Desired, Mapped, Person},
            properties::generators::limits,
        },
    };

    #[test]
    fn of_what_changed_nobody_is_missing_but_whom_the_server_named() {
        let id = |id: &str| DirectoryId::new(id).unwrap();
        let shown = |name: &str| (Some(id(name)), Mapped::Person(Person::unmapped(name, 0)));
        let changed = ChangedEntries::for_tests(vec![shown("there"), shown("moved")]);
        let deleted = BTreeSet::from([id("gone"), id("moved")]);
        let desired = Desired::of_changes(changed, deleted, 10, &limits()).unwrap();
        let lacks = ["there", "moved", "gone", "anybody"].map(|name| desired.lacks(&id(name)));
        assert_eq!(lacks, [false, false, true, false]);
        let tells = ["there", "moved", "gone", "anybody"].map(|name| desired.tells_of(&id(name)));
        assert_eq!(tells, [true, true, true, false]);
    }
}
