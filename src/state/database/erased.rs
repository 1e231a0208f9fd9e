//! One person is taken out of what the database keeps of the past.

use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;

use super::{State, columns::JsonText};
use crate::{model::erasure::Identity, state::files::StateError};

/// What was taken out of the database, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ErasedRows {
    /// People of holds that have ended.
    pub hold_people: usize,
    /// Actions on the pages whose text named the person.
    pub page_actions: usize,
    /// Digests of values that ftrack stores otherwise.
    pub stored_values: usize,
}

impl ErasedRows {
    /// Adds those of another person.
    pub fn add(&mut self, other: Self) {
        self.hold_people += other.hold_people;
        self.page_actions += other.page_actions;
        self.stored_values += other.stored_values;
    }
}

/// What jobs need of people whom they still have.
const NEEDED: [&str; 4] = ["people", "absences", "disabled", "held_people"];

impl State {
    /// The people of all holds, as they were seen.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn people_of_holds(&self) -> Result<Vec<Value>, StateError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT person FROM hold_people")?;
            let people =
                statement.query_map([], |row| row.get(0).map(|JsonText(person)| person))?;
            people.collect()
        })
    }

    /// The job that still has somebody with one of these directory ids, or needs to know of them.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn job_of_person<'i>(
        &self,
        ids: impl Iterator<Item = &'i str>,
    ) -> Result<Option<String>, StateError> {
        let ids: Vec<&str> = ids.collect();
        self.read(|connection| {
            for table in NEEDED {
                let query = format!("SELECT job FROM {table} WHERE directory_id = ?1 LIMIT 1");
                let mut statement = connection.prepare(&query)?;
                for id in &ids {
                    let mut rows = statement.query(params![id])?;
                    if let Some(row) = rows.next()? {
                        return row.get(0).map(Some);
                    }
                }
            }
            Ok(None)
        })
    }

    /// Takes a person out of the holds that have ended, and of what people did on the pages; the file is
    /// then made anew, so that nothing of it stays on its free pages.
    ///
    /// # Errors
    /// It cannot be read or written; then the earlier state stays.
    pub fn erase_person(
        &self,
        person: &Identity,
        is_written: bool,
    ) -> Result<ErasedRows, StateError> {
        if !is_written {
            return self.read(|connection| Ok(found(connection, person)?.counts()));
        }
        let rows = self.write(|transaction| {
            transaction.pragma_update(None, "secure_delete", true)?;
            let found = found(transaction, person)?;
            for (hold, seen) in &found.hold_people {
                transaction.execute(
                    "DELETE FROM hold_people WHERE hold = ?1 AND seen = ?2",
                    params![hold, seen],
                )?;
            }
            for (action, detail, result) in &found.page_actions {
                transaction.execute(
                    "UPDATE page_actions SET detail = ?2, result = ?3 WHERE action = ?1",
                    params![action, detail, result],
                )?;
            }
            for id in person.ftrack_ids() {
                transaction.execute(
                    "DELETE FROM stored_values WHERE ftrack_id = ?1",
                    params![id],
                )?;
            }
            Ok(found.counts())
        })?;
        // Also what runs removed before is on pages that are free.
        self.vacuum()?;
        Ok(rows)
    }
}

struct FoundRows {
    hold_people: Vec<(i64, String)>,
    page_actions: Vec<(i64, String, Option<String>)>,
    stored_values: usize,
}

impl FoundRows {
    fn counts(&self) -> ErasedRows {
        ErasedRows {
            hold_people: self.hold_people.len(),
            page_actions: self.page_actions.len(),
            stored_values: self.stored_values,
        }
    }
}

fn found(connection: &Connection, person: &Identity) -> rusqlite::Result<FoundRows> {
    let mut statement = connection.prepare(
        "SELECT hold, seen, person FROM hold_people JOIN holds USING (hold) WHERE ended_at IS NOT NULL",
    )?;
    let mut hold_people = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let JsonText(held): JsonText<Value> = row.get(2)?;
        if person.is_about(&held) {
            hold_people.push((row.get(0)?, row.get(1)?));
        }
    }
    let mut statement = connection.prepare("SELECT action, detail, result FROM page_actions")?;
    let mut page_actions = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (detail, result): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let of_detail = person.take_out_of(&detail);
        let of_result = result.as_deref().and_then(|text| person.take_out_of(text));
        if of_detail.is_some() || of_result.is_some() {
            let detail = of_detail.unwrap_or(detail);
            page_actions.push((row.get(0)?, detail, of_result.or(result)));
        }
    }
    let mut stored_values = 0_usize;
    for id in person.ftrack_ids() {
        let query = "SELECT count(*) FROM stored_values WHERE ftrack_id = ?1";
        let number: i64 = connection.query_row(query, params![id], |row| row.get(0))?;
        stored_values = stored_values.saturating_add(usize::try_from(number).unwrap_or_default());
    }
    Ok(FoundRows {
        hold_people,
        page_actions,
        stored_values,
    })
}
