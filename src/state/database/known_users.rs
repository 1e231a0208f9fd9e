//! What a run of changes works on: an index of ftrack's users, and up to where the changes of the
//! directory are known. If it is lost, or not certain, everything is read instead.
//!
//! The index only says which users to read: what is decided is decided about what ftrack shows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    model::{entry::DirectoryId, user::EntityId},
    state::{
        database::{
            State, columns,
            columns::{EnumText, JsonText},
            known::{KnownChanges, KnownUser, Sought, digest},
        },
        files::StateError,
    },
};

impl State {
    /// What the runs of changes of a job know; none before the first complete reading.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known_changes(
        &self,
        job: &str,
        ftrack: &str,
    ) -> Result<Option<KnownChanges>, StateError> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT known FROM known_changes WHERE job = ?1 AND ftrack = ?2",
                    params![job, ftrack],
                    |row| row.get("known").map(|JsonText(known)| known),
                )
                .optional()
        })
    }

    /// Saves what they know, or that they know nothing.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_known_changes(
        &self,
        job: &str,
        ftrack: &str,
        known: Option<&KnownChanges>,
    ) -> Result<(), StateError> {
        self.write(|transaction| {
            match known {
                Some(known) => transaction.execute(
                    "INSERT OR REPLACE INTO known_changes (job, ftrack, known) VALUES (?1, ?2, ?3)",
                    params![job, ftrack, JsonText(known)],
                ),
                None => transaction.execute(
                    "DELETE FROM known_changes WHERE job = ?1 AND ftrack = ?2",
                    params![job, ftrack],
                ),
            }
            .map(drop)
        })
    }

    /// Saves the index of all users, as a complete reading showed them. Only differences are
    /// written.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_known_users(
        &self,
        job: &str,
        ftrack: &str,
        users: &BTreeMap<EntityId, KnownUser>,
    ) -> Result<(), StateError> {
        let before = self.read(|connection| all(connection, job, ftrack))?;
        let new = users
            .iter()
            .filter(|(id, user)| before.get(*id) != Some(*user));
        let new: Vec<_> = new.collect();
        let gone: Vec<_> = before
            .keys()
            .filter(|id| !users.contains_key(*id))
            .collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            put(transaction, job, ftrack, &new)?;
            let mut remove = transaction.prepare(
                "DELETE FROM known_users WHERE job = ?1 AND ftrack = ?2 AND ftrack_id = ?3",
            )?;
            gone.iter()
                .try_for_each(|id| remove.execute(params![job, ftrack, &*id.text()]).map(drop))
        })
    }

    /// Adds users to the index.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn add_known_users(
        &self,
        job: &str,
        ftrack: &str,
        users: &BTreeMap<EntityId, KnownUser>,
    ) -> Result<(), StateError> {
        if users.is_empty() {
            return Ok(());
        }
        let users: Vec<_> = users.iter().collect();
        self.write(|transaction| put(transaction, job, ftrack, &users))
    }

    /// The users that the index has for any of these.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known_users(
        &self,
        job: &str,
        ftrack: &str,
        sought: &Sought<'_>,
    ) -> Result<BTreeSet<EntityId>, StateError> {
        let Sought {
            people,
            logins,
            mails,
        } = sought;
        let people = people.iter().map(|id| id.as_str().to_owned());
        self.read(|connection| {
            let mut found = BTreeSet::new();
            let by = [
                ("directory_id", people.clone().collect::<Vec<_>>()),
                (
                    "username",
                    logins.iter().map(|login| digest(login)).collect(),
                ),
                ("email", mails.iter().map(|mail| digest(mail)).collect()),
            ];
            for (column, values) in by {
                let mut statement = connection.prepare(&format!(
                    "SELECT ftrack_id FROM known_users \
                     WHERE job = ?1 AND ftrack = ?2 AND {column} = ?3"
                ))?;
                for value in values {
                    let ids = statement.query_map(params![job, ftrack, value], |row| {
                        row.get("ftrack_id")
                            .map(|EnumText(id): EnumText<EntityId>| id)
                    })?;
                    for id in ids {
                        found.insert(id?);
                    }
                }
            }
            Ok(found)
        })
    }

    /// The DNs of those of these who are a job's people, as the runs before saw them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn dns<'i>(
        &self,
        job: &str,
        ids: impl IntoIterator<Item = &'i DirectoryId>,
    ) -> Result<BTreeMap<DirectoryId, String>, StateError> {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return Ok(BTreeMap::new());
        }
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT dn FROM people WHERE job = ?1 AND directory_id = ?2")?;
            let mut dns = BTreeMap::new();
            for id in ids {
                let dn = statement.query_row(params![job, id.as_str()], |row| row.get(0));
                if let Some(dn) = dn.optional()? {
                    dns.insert(id.clone(), dn);
                }
            }
            Ok(dns)
        })
    }

    /// The DNs of all of a job's people, by directory id, as the runs before saw them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn people(&self, job: &str) -> Result<BTreeMap<String, String>, StateError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT directory_id, dn FROM people WHERE job = ?1")?;
            let people = statement.query_map(params![job], |row| Ok((row.get(0)?, row.get(1)?)))?;
            people.collect()
        })
    }

    /// Adds the DNs of people, and removes those of others.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn change_dns(
        &self,
        job: &str,
        shown: &BTreeMap<&str, &str>,
        gone: &BTreeSet<String>,
    ) -> Result<(), StateError> {
        if shown.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut add = transaction.prepare(
                "INSERT OR REPLACE INTO people (job, directory_id, dn) VALUES (?1, ?2, ?3)",
            )?;
            for (id, dn) in shown {
                add.execute(params![job, id, dn])?;
            }
            let mut remove =
                transaction.prepare("DELETE FROM people WHERE job = ?1 AND directory_id = ?2")?;
            gone.iter()
                .try_for_each(|id| remove.execute(params![job, id]).map(drop))
        })
    }
}

fn put(
    connection: &Connection,
    job: &str,
    ftrack: &str,
    users: &[(&EntityId, &KnownUser)],
) -> rusqlite::Result<()> {
    let mut put = connection.prepare(
        "INSERT OR REPLACE INTO known_users (job, ftrack, ftrack_id, directory_id, username, email) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    users.iter().try_for_each(|(id, user)| {
        let KnownUser {
            directory_id,
            username,
            email,
        } = user;
        put.execute(params![
            job,
            ftrack,
            &*id.text(),
            directory_id,
            username,
            email
        ])
        .map(drop)
    })
}

fn all(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<BTreeMap<EntityId, KnownUser>> {
    let mut statement =
        connection.prepare("SELECT * FROM known_users WHERE job = ?1 AND ftrack = ?2")?;
    let users = statement.query_map(params![job, ftrack], columns::known_user)?;
    users.collect()
}
