//! The DNs of a job's people, as the last run that wrote saw them.

use std::{collections::BTreeMap, path::Path};

use foldhash::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    model::absence::Absences,
    state::{
        database::{
            State,
            look::{Looked, look},
        },
        files::StateError,
    },
};

impl State {
    /// Saves the DNs of everybody who was read, by directory id; nothing is written where they are
    /// known. Those of people who are missing stay, all others go.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn set_dns(
        &self,
        job: &str,
        dns: &HashMap<&str, &str>,
        missing: &Absences,
    ) -> Result<(), StateError> {
        let (new, gone) = self.read(|connection| differences(connection, job, dns, missing))?;
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut put = transaction.prepare(
                "INSERT OR REPLACE INTO people (job, directory_id, dn) VALUES (?1, ?2, ?3)",
            )?;
            for (id, dn) in &new {
                put.execute(params![job, id, dn])?;
            }
            let mut remove =
                transaction.prepare("DELETE FROM people WHERE job = ?1 AND directory_id = ?2")?;
            for id in &gone {
                remove.execute(params![job, id])?;
            }
            Ok(())
        })
    }
}

/// What has to be written, and whom to remove.
fn differences<'d>(
    connection: &Connection,
    job: &str,
    dns: &HashMap<&'d str, &'d str>,
    missing: &Absences,
) -> rusqlite::Result<(HashMap<&'d str, &'d str>, Vec<String>)> {
    let (mut new, mut gone) = (dns.clone(), Vec::new());
    let mut statement = connection.prepare("SELECT directory_id, dn FROM people WHERE job = ?1")?;
    let mut rows = statement.query(params![job])?;
    while let Some(row) = rows.next()? {
        let (id, dn) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        match dns.get(id) {
            Some(known) if *known == dn => {
                new.remove(id);
            }
            Some(_) => {}
            None if missing.contains_key(id) => {}
            None => gone.push(id.to_owned()),
        }
    }
    Ok((new, gone))
}

/// The last known DNs of all people of a job, without creating or changing anything.
///
/// # Errors
/// The database cannot be read.
pub fn all_dns(state_dir: &Path, job: &str) -> Result<Vec<String>, StateError> {
    let found = look(state_dir, |connection| {
        let mut statement = connection.prepare("SELECT dn FROM people WHERE job = ?1")?;
        statement
            .query_map(params![job], |row| row.get(0))?
            .collect()
    });
    Ok(match found? {
        Looked::Read(dns) => dns,
        Looked::Unusable | Looked::Missing => Vec::new(),
    })
}

/// The last known DNs of these people of a job, by directory id, without creating or changing
/// anything.
///
/// # Errors
/// The database cannot be read.
pub fn last_dns<'i>(
    state_dir: &Path,
    job: &str,
    ids: impl IntoIterator<Item = &'i str>,
) -> Result<BTreeMap<String, String>, StateError> {
    let mut ids = ids.into_iter().peekable();
    if ids.peek().is_none() {
        return Ok(BTreeMap::new());
    }
    let found = look(state_dir, |connection| {
        let mut statement =
            connection.prepare("SELECT dn FROM people WHERE job = ?1 AND directory_id = ?2")?;
        let mut dns = BTreeMap::new();
        for id in ids {
            let dn = statement.query_row(params![job, id], |row| row.get(0));
            if let Some(dn) = dn.optional()? {
                dns.insert(id.to_owned(), dn);
            }
        }
        Ok(dns)
    });
    Ok(match found? {
        Looked::Read(dns) => dns,
        Looked::Unusable | Looked::Missing => BTreeMap::new(),
    })
}
