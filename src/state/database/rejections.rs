//! What people rejected, by the edits of a user, until its cause ends. The users' links say it, as
//! digests; here is also what no link says yet, and who and what the digests stand for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use crate::{
    model::{
        change::Fingerprint,
        listed_rejection::{ListedRejection, RejectedWho},
        open_hold::{Became, ClosedHold, Decided, EndedBy, HeldPerson, OpenHold},
        rejected::Rejected,
        report::Approver,
        user::EntityId,
    },
    state::{
        database::{
            State, columns,
            columns::{EnumText, HoldColumn as Number, JsonText, Time},
            holds::{Left, close_empty, leave},
            look::{Looked, look},
            values::RejectedRow,
        },
        files::StateError,
    },
};

/// What is rejected in a state directory, as far as it is known without changing anything.
#[derive(Debug)]
pub enum Rejections {
    /// These.
    Known(Vec<ListedRejection>),
    /// The next run has to update or to recreate the database first.
    Unusable,
}

/// Edits of users, as texts.
type Edits<'e> = &'e [(EntityId, String)];

impl State {
    /// Saves that a person rejected changes of a hold; returns the hold if nobody is left.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn reject(
        &self,
        of: &OpenHold,
        at: DateTime<Utc>,
        by: &Approver,
        people: &BTreeMap<Fingerprint, HeldPerson>,
    ) -> Result<Option<ClosedHold>, StateError> {
        self.write(|transaction| {
            for person in people.values() {
                for edit in Rejected::texts(person) {
                    let row = RejectedRow {
                        job: of.job.clone(),
                        user: person.ftrack_id.clone(),
                        edit,
                        hold: Some(of.hold),
                        at: Some(at),
                        by: Some(by.to_string()),
                        who: Some(person.into()),
                        is_in_link: false,
                    };
                    put(transaction, &row)?;
                }
            }
            let seen = people.keys().copied().collect();
            let decided = Decided {
                by: by.to_string(),
                at,
            };
            let left = Left {
                by: EndedBy::Rejected,
                became: Some(Became::Rejected),
                decided: Some(&decided),
            };
            leave(transaction, of.hold, &seen, left)?;
            let closed = close_empty(transaction, None, at)?;
            Ok(closed.into_iter().find(|closed| closed.hold == of.hold))
        })
    }

    /// Saves that edits of users, as texts, are not written again until their cause ends, since a
    /// person had them undone; and that others are rejected no more, since the person had them written.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn reject_undone(
        &self,
        job: &str,
        (at, by): (DateTime<Utc>, &Approver),
        (undone, written): (Edits<'_>, Edits<'_>),
        who: impl Fn(&EntityId) -> Option<RejectedWho>,
    ) -> Result<(), StateError> {
        if undone.is_empty() && written.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let written = written.iter().map(|(user, edit)| (user, &**edit));
            end(transaction, job, written)?;
            undone.iter().try_for_each(|(user, edit)| {
                let row = RejectedRow {
                    job: job.to_owned(),
                    user: user.clone(),
                    edit: edit.clone(),
                    hold: None,
                    at: Some(at),
                    by: Some(by.to_string()),
                    who: who(user),
                    is_in_link: false,
                };
                put(transaction, &row)
            })
        })
    }

    /// Saves what is still rejected, and what of it no link says; of what is due, also who it is.
    /// Nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_rejected(
        &self,
        job: &str,
        (now, in_state): (&Rejected, &Rejected),
        due: &[HeldPerson],
    ) -> Result<(), StateError> {
        let rows = self.read(|connection| of_job(connection, job))?;
        let is_ended = |row: &RejectedRow| !now.has_text(&row.user, &row.edit);
        let (ended, still): (Vec<RejectedRow>, Vec<RejectedRow>) =
            rows.into_iter().partition(is_ended);
        let mut known: BTreeMap<(EntityId, String), RejectedRow> = still
            .iter()
            .map(|row| ((row.user.clone(), row.edit.clone()), row.clone()))
            .collect();
        for person in due {
            for edit in Rejected::known_texts(person) {
                let user = person.ftrack_id.clone();
                if now.has_text(&user, &edit) {
                    let key = (user, edit);
                    let row = known
                        .entry(key)
                        .or_insert_with_key(|(user, edit)| found(job, user, edit));
                    row.who.get_or_insert_with(|| person.into());
                }
            }
        }
        for row in known.values_mut() {
            row.is_in_link = !in_state.has_text(&row.user, &row.edit);
        }
        let before: BTreeSet<String> = still.iter().map(digest).collect();
        let new: Vec<&RejectedRow> = known
            .values()
            .filter(|row| !before.contains(&digest(row)))
            .collect();
        if ended.is_empty() && new.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            end(
                transaction,
                job,
                ended.iter().map(|row| (&row.user, &*row.edit)),
            )?;
            new.iter().try_for_each(|row| put(transaction, row))
        })
    }

    /// What is rejected of a job, as far as it is known here.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn rejected_rows(&self, job: &str) -> Result<Vec<RejectedRow>, StateError> {
        self.read(|connection| of_job(connection, job))
    }

    /// Forgets that edits of users were rejected.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn forget_rejected(&self, job: &str, taken_back: &Rejected) -> Result<(), StateError> {
        self.write(|transaction| {
            let rows = of_job(transaction, job)?;
            let rows = rows.iter().map(|row| (&row.user, &*row.edit));
            end(
                transaction,
                job,
                rows.filter(|(user, edit)| taken_back.has_text(user, edit)),
            )
        })
    }
}

/// What is rejected of all jobs, or of one; nothing is created or changed.
///
/// # Errors
/// The database cannot be read.
pub fn all_rejected(state_dir: &Path, job: Option<&str>) -> Result<Rejections, StateError> {
    let looked = look(state_dir, |connection| {
        let mut rows = connection.prepare(
            "SELECT * FROM rejected WHERE ?1 IS NULL OR job = ?1 ORDER BY job, hold, at",
        )?;
        let rows = rows.query_map(params![job], columns::rejected)?;
        rows.collect::<rusqlite::Result<Vec<RejectedRow>>>()
    })?;
    Ok(match looked {
        Looked::Read(rows) => Rejections::Known(listed(rows)),
        Looked::Missing => Rejections::Known(Vec::new()),
        Looked::Unusable => Rejections::Unusable,
    })
}

/// One for each user, hold and time, with all its edits.
fn listed(rows: Vec<RejectedRow>) -> Vec<ListedRejection> {
    let mut all: Vec<ListedRejection> = Vec::new();
    for row in rows {
        // What an earlier or a later version wrote is listed all the same.
        let (edit, cause) =
            Rejected::shown(&row.edit).map_or((None, None), |(edit, cause)| (Some(edit), cause));
        let is_same = |listed: &&mut ListedRejection| {
            (&listed.job, listed.hold, listed.since) == (&row.job, row.hold, row.at)
                && listed.ftrack_id == row.user
        };
        match all.iter_mut().rev().find(is_same) {
            Some(listed) => {
                listed.cause = listed.cause.filter(|known| Some(*known) == cause);
                // What was undone has one for each cause that it might have again.
                listed
                    .edits
                    .extend(edit.filter(|edit| !listed.edits.contains(edit)));
            }
            None => all.push(ListedRejection {
                hold: row.hold,
                run: None,
                job: row.job,
                since: row.at,
                rejected_by: row.by,
                who: row.who,
                ftrack_id: row.user,
                cause,
                edits: edit.into_iter().collect(),
            }),
        }
    }
    all.sort_by(|a, b| {
        let key = |of: &ListedRejection| {
            let login = of.who.as_ref().map(|who| who.username.clone());
            (of.job.clone(), of.hold, login)
        };
        key(a).cmp(&key(b))
    });
    all
}

/// What people rejected of a job, and no link says.
pub(super) fn rejected(connection: &Connection, job: &str) -> rusqlite::Result<Rejected> {
    let mut rejected = Rejected::default();
    for row in of_job(connection, job)? {
        if !row.is_in_link {
            rejected.add(row.user, &row.edit);
        }
    }
    Ok(rejected)
}

fn of_job(connection: &Connection, job: &str) -> rusqlite::Result<Vec<RejectedRow>> {
    let mut rows = connection.prepare("SELECT * FROM rejected WHERE job = ?1")?;
    let rows = rows.query_map(params![job], columns::rejected)?;
    rows.collect()
}

/// What only a link says.
fn found(job: &str, user: &EntityId, edit: &str) -> RejectedRow {
    RejectedRow {
        job: job.to_owned(),
        user: user.clone(),
        edit: edit.to_owned(),
        hold: None,
        at: None,
        by: None,
        who: None,
        is_in_link: true,
    }
}

/// Tells rows apart that are not the same.
fn digest(row: &RejectedRow) -> String {
    let is_known = row.who.is_some();
    format!("{} {} {} {is_known}", row.user, row.is_in_link, row.edit)
}

fn put(connection: &Connection, row: &RejectedRow) -> rusqlite::Result<()> {
    let RejectedRow {
        job,
        user,
        edit,
        hold,
        at,
        by,
        who,
        is_in_link,
    } = row;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO rejected (job, ftrack_id, edit, hold, at, rejected_by, person, \
             in_link) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            job,
            EnumText(user),
            edit,
            hold.map(Number),
            at.map(Time),
            by,
            who.as_ref().map(JsonText),
            is_in_link
        ])
        .map(drop)
}

fn end<'r>(
    connection: &Connection,
    job: &str,
    mut rows: impl Iterator<Item = (&'r EntityId, &'r str)>,
) -> rusqlite::Result<()> {
    let mut end = connection
        .prepare_cached("DELETE FROM rejected WHERE job = ?1 AND ftrack_id = ?2 AND edit = ?3")?;
    rows.try_for_each(|(user, edit)| end.execute(params![job, EnumText(user), edit]).map(drop))
}
