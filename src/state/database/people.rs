//! The DNs of a job's people, as the last run that wrote saw them.

use std::{collections::BTreeMap, path::Path};

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
    /// Saves the DNs of everybody who was read, each with the directory id, by which they are
    /// ordered; nothing is written where they are known. Those of people who are missing stay, all
    /// others go. Of several with one id, the last counts.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn set_dns<'d>(
        &self,
        job: &str,
        dns: impl Iterator<Item = Known<'d>>,
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

/// A person's directory id and DN.
type Known<'d> = (&'d str, &'d str);

/// What has to be written, and whom to remove: both sides are ordered by id, byte by byte, and are
/// compared in one pass.
fn differences<'d>(
    connection: &Connection,
    job: &str,
    dns: impl Iterator<Item = Known<'d>>,
    missing: &Absences,
) -> rusqlite::Result<(Vec<Known<'d>>, Vec<String>)> {
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    let mut dns = dns.peekable();
    let mut next = || loop {
        let shown = dns.next()?;
        if dns.peek().is_none_or(|(id, _)| *id != shown.0) {
            return Some(shown);
        }
    };
    let mut statement = connection
        .prepare("SELECT directory_id, dn FROM people WHERE job = ?1 ORDER BY directory_id")?;
    let mut rows = statement.query(params![job])?;
    let mut shown = next();
    while let Some(row) = rows.next()? {
        let (id, dn) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        while let Some(before) = shown.filter(|(shown, _)| *shown < id) {
            new.push(before);
            shown = next();
        }
        match shown.filter(|(shown, _)| *shown == id) {
            Some(same) => {
                if same.1 != dn {
                    new.push(same);
                }
                shown = next();
            }
            None if missing.contains_key(id) => {}
            None => gone.push(id.to_owned()),
        }
    }
    new.extend(shown);
    new.extend(std::iter::from_fn(next));
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
