//! What later runs wrote to the fields that a run wrote: an undo leaves alone what is theirs. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{
    edit::Field,
    report::{ChangeResult, Report, Reported},
    user::EntityId,
};

/// What runs after one run wrote to its users, and which of that was put back since.
#[derive(Debug)]
pub struct LaterRuns {
    /// The run that is undone.
    run: String,
    /// The users that it changed.
    users: BTreeSet<EntityId>,
    writes: BTreeMap<(EntityId, Field), Vec<LaterWrite>>,
    /// Of each undo, the run that it put back or, as the undo of an undo, did again.
    undone: BTreeMap<String, Undone>,
}

#[derive(Debug)]
struct LaterWrite {
    run: String,
    new: Value,
    is_put_back: bool,
}

#[derive(Debug, Clone)]
struct Undone {
    run: String,
    is_put_back: bool,
}

impl LaterRuns {
    /// Of no run after this one yet.
    #[must_use]
    pub fn than(report: &Report) -> Self {
        let users = report.changes.iter();
        Self {
            run: report.run.clone(),
            users: users.map(|change| change.ftrack_id.clone()).collect(),
            writes: BTreeMap::new(),
            undone: BTreeMap::new(),
        }
    }

    /// Adds what a run wrote; the reports come in the order of their runs.
    pub fn add(&mut self, report: &Report) {
        if report.dry_run || report.observed.is_some() {
            return;
        }
        let undone = report.undoes.as_ref().map(|undone| self.resolved(undone));
        if let Some(undone) = &undone {
            self.undone.insert(report.run.clone(), undone.clone());
        }
        if undone.as_ref().is_some_and(|undone| undone.run == self.run) {
            return;
        }
        let changes = report.changes.iter();
        for change in changes.filter(|change| self.users.contains(&change.ftrack_id)) {
            for field in written(change) {
                let Some(values) = change.fields.get(field) else {
                    continue;
                };
                let of_field = (change.ftrack_id.clone(), field.clone());
                let writes = self.writes.entry(of_field).or_default();
                let known = undone.as_ref().and_then(|undone| {
                    let mut writes = writes.iter_mut();
                    Some((writes.find(|write| write.run == undone.run)?, undone))
                });
                match known {
                    Some((write, undone)) => write.is_put_back = undone.is_put_back,
                    None => writes.push(LaterWrite {
                        run: report.run.clone(),
                        new: values.new.clone(),
                        is_put_back: false,
                    }),
                }
            }
        }
    }

    /// What an undo of this run comes to.
    fn resolved(&self, run: &str) -> Undone {
        self.undone.get(run).map_or_else(
            || Undone {
                run: run.to_owned(),
                is_put_back: true,
            },
            |undone| Undone {
                is_put_back: !undone.is_put_back,
                ..undone.clone()
            },
        )
    }

    /// The last run that wrote a field of a user, and was not put back.
    #[must_use]
    pub fn last(&self, user: &EntityId, field: &Field) -> Option<&str> {
        let writes = self.of(user, field).iter().rev();
        let mut stand = writes.filter(|write| !write.is_put_back);
        stand.next().map(|write| &*write.run)
    }

    /// What runs wrote to a field of a user that was put back since.
    pub fn put_back(&self, user: &EntityId, field: &Field) -> impl Iterator<Item = &Value> {
        let writes = self.of(user, field).iter();
        writes
            .filter(|write| write.is_put_back)
            .map(|write| &write.new)
    }

    fn of(&self, user: &EntityId, field: &Field) -> &[LaterWrite] {
        let writes = self.writes.get(&(user.clone(), field.clone()));
        writes.map_or(&[], Vec::as_slice)
    }
}

/// The fields of a change that its run wrote, or may have written.
#[must_use]
pub fn written(change: &Reported) -> BTreeSet<&Field> {
    match change.result {
        ChangeResult::Applied | ChangeResult::Unconfirmed => change.fields.keys().collect(),
        // The link is written first, and is no value.
        ChangeResult::Failed | ChangeResult::Unsettled => {
            let fields = change.fields.keys();
            fields
                .filter(|field| change.written.contains(*field) || **field == Field::Link)
                .collect()
        }
        ChangeResult::Held | ChangeResult::Rejected | ChangeResult::Planned => BTreeSet::new(),
    }
}
