//! What a job remembers from its earlier runs: what its limits count, which directory it read, and
//! how many entries it had. If it is lost, the program holds more, never less.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{
    model::{
        clocks::Clocks, freshness::Freshness, held_people::HeldPeople,
        preferred_server::PreferredServer, user::EntityId,
    },
    state::{
        database::{
            State, absences, columns,
            columns::{Count, EnumText, Ids, JsonText, Time},
            jobs,
            look::{Looked, look},
            put, reading_sizes, rejections, runs, stored_values,
            values::{Remembered, Written},
        },
        files::StateError,
        journal,
    },
    sync::settings::Settings,
};

/// How long written changes are remembered, in days: longer than any `limits.per`.
const KEPT_DAYS: i64 = 400;

/// The most records of written changes that are removed at once because of their age: where ftrack
/// shows no time, a clock that leapt does not remove them all.
const AGED_AT_ONCE: usize = 10;

impl State {
    /// What a job remembers; the users with links are those in that ftrack server.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn remembered(&self, job: &str, ftrack: &str) -> Result<Remembered, StateError> {
        let remembered = self.read(|connection| of_job(connection, job, ftrack))?;
        Ok(Remembered {
            begun: journal::begun_creates(&self.config.state_dir, job, ftrack)?,
            ..remembered
        })
    }

    /// Saves how many changes a run writes without approval: before it writes them, so that a run
    /// that is killed counts as well, and once more when the numbers are known. Removes the oldest
    /// of those that are too old by both clocks.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn count_written(&self, job: &str, all: &[Written]) -> Result<(), StateError> {
        let Some(Clocks { here, ftrack }) = all
            .iter()
            .map(|written| written.at)
            .max_by_key(|at| at.here)
        else {
            return Ok(());
        };
        let oldest = |at: DateTime<Utc>| {
            let oldest = at.checked_sub_signed(TimeDelta::days(KEPT_DAYS));
            Time(oldest.unwrap_or(DateTime::<Utc>::MIN_UTC))
        };
        self.write(|transaction| {
            transaction.execute(
                &format!(
                    "DELETE FROM written WHERE job = ?1 AND run IN (SELECT run FROM written \
                     WHERE job = ?1 AND at < ?2 AND ifnull(at_ftrack, at) < ?3 \
                     ORDER BY run LIMIT {AGED_AT_ONCE})"
                ),
                params![job, oldest(here), oldest(ftrack.unwrap_or(here))],
            )?;
            all.iter()
                .try_for_each(|written| put::put_written(transaction, job, written))
        })
    }

    /// Saves whose changes are held, replacing those before; nothing is written where they are the
    /// same.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_held(
        &self,
        job: &str,
        before: &HeldPeople,
        now: &HeldPeople,
    ) -> Result<(), StateError> {
        if before == now {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute("DELETE FROM held_people WHERE job = ?1", params![job])?;
            let mut add = transaction.prepare(
                "INSERT INTO held_people (job, held_by, kind, directory_id, cause) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            now.iter().try_for_each(|(by, kind, id, cause)| {
                add.execute(params![job, EnumText(by), EnumText(kind), id, cause])
                    .map(drop)
            })
        })
    }

    /// Saves with which settings a job read its people; nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_settings(
        &self,
        job: &str,
        before: Option<&Settings>,
        now: &Settings,
    ) -> Result<(), StateError> {
        if before == Some(now) {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute("DELETE FROM settings WHERE job = ?1", params![job])?;
            let mut add = transaction
                .prepare("INSERT INTO settings (job, setting, value) VALUES (?1, ?2, ?3)")?;
            now.iter().try_for_each(|(setting, value)| {
                add.execute(params![job, setting.to_string(), value])
                    .map(drop)
            })
        })
    }

    /// Saves that a job's first contact with its people at an ftrack server has begun, or that a
    /// run of it came to its end.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_first_contact(
        &self,
        job: &str,
        ftrack: &str,
        has_begun: bool,
    ) -> Result<(), StateError> {
        let statement = if has_begun {
            "INSERT OR REPLACE INTO first_contacts (job, ftrack) VALUES (?1, ?2)"
        } else {
            "DELETE FROM first_contacts WHERE job = ?1 AND ftrack = ?2"
        };
        self.write(|transaction| {
            transaction
                .execute(statement, params![job, ftrack])
                .map(drop)
        })
    }

    /// Saves which directory was read, and how many entries each search base showed; nothing is
    /// written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_directory(
        &self,
        job: &str,
        before: &Remembered,
        directory: Option<&str>,
        bases: &BTreeMap<String, usize>,
    ) -> Result<(), StateError> {
        let is_known = directory.is_none_or(|now| before.directory.as_deref() == Some(now));
        // Only whether there was anybody matters, not how many.
        let as_before = |(base, entries): (&String, &usize)| {
            before
                .bases
                .get(base)
                .is_some_and(|known| (*known > 0) == (*entries > 0))
        };
        if is_known && bases.iter().all(as_before) {
            return Ok(());
        }
        self.write(|transaction| {
            if let Some(directory) = directory {
                transaction.execute(
                    "INSERT OR REPLACE INTO directories (job, directory) VALUES (?1, ?2)",
                    params![job, directory],
                )?;
            }
            put_bases(transaction, job, bases)
        })
    }
}

impl State {
    /// Saves the time at which the two clocks agreed in a run of a job; one at which they did not
    /// replaces none.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_clocks_agreed(
        &self,
        job: &str,
        agreed: Option<DateTime<Utc>>,
    ) -> Result<(), StateError> {
        let Some(at) = agreed else { return Ok(()) };
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO clocks_agreed (job, at) VALUES (?1, ?2)",
                params![job, Time(at)],
            )?;
            Ok(())
        })
    }

    /// Saves how current a directory was when a job read it; nothing is written where that is known.
    /// The directory is empty where its id is not known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_freshness(
        &self,
        job: &str,
        before: &Remembered,
        directory: Option<&str>,
        now: &Freshness,
    ) -> Result<(), StateError> {
        if before.freshness_of(directory) == Some(now) {
            return Ok(());
        }
        let directory = directory.unwrap_or_default();
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO freshness (job, directory, newest) VALUES (?1, ?2, ?3)",
                params![job, directory, JsonText(now)],
            )?;
            Ok(())
        })
    }

    /// Saves which server counts as the preferred one; nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_preferred_server(
        &self,
        job: &str,
        before: &Remembered,
        now: &PreferredServer,
    ) -> Result<(), StateError> {
        if before.preferred_server.as_ref() == Some(now) {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO preferred_servers (job, preferred) VALUES (?1, ?2)",
                params![job, JsonText(now)],
            )?;
            Ok(())
        })
    }

    /// Saves how many referral objects a job read; nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_referrals(
        &self,
        job: &str,
        before: &Remembered,
        number: usize,
    ) -> Result<(), StateError> {
        if before.referrals == number {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO referrals (job, number) VALUES (?1, ?2)",
                params![job, Count(number)],
            )?;
            Ok(())
        })
    }

    /// Saves which users of a job in an ftrack server are inactive although the program did not
    /// deactivate them; nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_inactive(
        &self,
        job: &str,
        ftrack: &str,
        before: &Remembered,
        now: BTreeSet<EntityId>,
    ) -> Result<(), StateError> {
        if before.inactive.as_ref() == Some(&now) {
            return Ok(());
        }
        let ids = Ids(now);
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO inactive (job, ftrack, ftrack_ids) VALUES (?1, ?2, ?3)",
                params![job, ftrack, ids],
            )?;
            Ok(())
        })
    }
}

impl State {
    /// Saves how many members each group names; nothing is written where that is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_groups(
        &self,
        job: &str,
        before: &Remembered,
        now: &BTreeMap<String, usize>,
    ) -> Result<(), StateError> {
        if before.groups == *now {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute("DELETE FROM groups WHERE job = ?1", params![job])?;
            let mut add =
                transaction.prepare("INSERT INTO groups (job, dn, members) VALUES (?1, ?2, ?3)")?;
            now.iter().try_for_each(|(dn, members)| {
                add.execute(params![job, dn, Count(*members)]).map(drop)
            })
        })
    }
}

fn put_bases(
    transaction: &Transaction<'_>,
    job: &str,
    bases: &BTreeMap<String, usize>,
) -> rusqlite::Result<()> {
    let mut add = transaction
        .prepare("INSERT OR REPLACE INTO bases (job, base, entries) VALUES (?1, ?2, ?3)")?;
    bases
        .iter()
        .try_for_each(|(base, entries)| add.execute(params![job, base, Count(*entries)]).map(drop))
}

fn settings(connection: &Connection, job: &str) -> rusqlite::Result<Option<Settings>> {
    let mut rows = connection.prepare("SELECT * FROM settings WHERE job = ?1")?;
    let rows = rows.query_map(params![job], columns::setting)?;
    let known: Vec<Option<_>> = rows.collect::<rusqlite::Result<_>>()?;
    Ok((!known.is_empty()).then(|| Settings::saved(known.into_iter().flatten())))
}

/// What a job remembers, as far as it is known without creating or changing anything: nothing where
/// there is no database yet, or where the next run has to update it first.
///
/// # Errors
/// It cannot be read.
pub fn known(state_dir: &Path, job: &str, ftrack: &str) -> Result<Remembered, StateError> {
    let looked = look(state_dir, |connection| of_job(connection, job, ftrack))?;
    let remembered = match looked {
        Looked::Read(remembered) => remembered,
        Looked::Unusable => Remembered::default(),
        Looked::Missing => Remembered {
            absences: absences::of_file(state_dir, job)?,
            ..Remembered::default()
        },
    };
    Ok(Remembered {
        begun: journal::begun_creates(state_dir, job, ftrack)?,
        ..remembered
    })
}

/// Whether a server has refused anything, as far as it is known without creating or changing
/// anything.
///
/// # Errors
/// It cannot be read.
pub fn has_refusals(state_dir: &Path) -> Result<bool, StateError> {
    let looked = look(state_dir, |connection| {
        connection.query_row("SELECT EXISTS (SELECT 1 FROM refusals)", [], |row| {
            row.get(0)
        })
    })?;
    Ok(matches!(looked, Looked::Read(true)))
}

fn of_job(connection: &Connection, job: &str, ftrack: &str) -> rusqlite::Result<Remembered> {
    let mut written = connection.prepare("SELECT * FROM written WHERE job = ?1")?;
    let written = written.query_map(params![job], columns::written)?;
    let mut rows = connection.prepare("SELECT * FROM held_people WHERE job = ?1")?;
    let mut held = HeldPeople::default();
    for row in rows.query_map(params![job], columns::held)? {
        let (by, kind, id, cause) = row?;
        held.add(by, kind, &id, &cause);
    }
    let mut bases = connection.prepare("SELECT base, entries FROM bases WHERE job = ?1")?;
    let bases = bases.query_map(params![job], |row| {
        let Count(entries) = row.get("entries")?;
        Ok((row.get("base")?, entries))
    })?;
    let mut groups = connection.prepare("SELECT dn, members FROM groups WHERE job = ?1")?;
    let groups = groups.query_map(params![job], |row| {
        let Count(members) = row.get("members")?;
        Ok((row.get("dn")?, members))
    })?;
    let mut freshness = connection.prepare("SELECT * FROM freshness WHERE job = ?1")?;
    let freshness = freshness.query_map(params![job], columns::freshness)?;
    Ok(Remembered {
        groups: groups.collect::<rusqlite::Result<_>>()?,
        absences: absences::of_job(connection, absences::Table::Absences, job)?,
        disabled: absences::of_job(connection, absences::Table::Disabled, job)?,
        directory: connection
            .query_row(
                "SELECT directory FROM directories WHERE job = ?1",
                params![job],
                |row| row.get("directory"),
            )
            .optional()?,
        written: written.collect::<rusqlite::Result<_>>()?,
        clocks_agreed_at: connection
            .query_row(
                "SELECT at FROM clocks_agreed WHERE job = ?1",
                params![job],
                |row| row.get("at"),
            )
            .optional()?
            .map(|Time(at)| at),
        held,
        settings: settings(connection, job)?,
        freshness: freshness.collect::<rusqlite::Result<_>>()?,
        preferred_server: connection
            .query_row(
                "SELECT * FROM preferred_servers WHERE job = ?1",
                params![job],
                columns::preferred,
            )
            .optional()?,
        has_begun: connection
            .prepare("SELECT 1 FROM first_contacts WHERE job = ?1 AND ftrack = ?2")?
            .exists(params![job, ftrack])?,
        bases: bases.collect::<rusqlite::Result<_>>()?,
        referrals: connection
            .query_row(
                "SELECT number FROM referrals WHERE job = ?1",
                params![job],
                |row| row.get("number"),
            )
            .optional()?
            .map_or(0, |Count(number)| number),
        inactive: connection
            .query_row(
                "SELECT ftrack_ids FROM inactive WHERE job = ?1 AND ftrack = ?2",
                params![job, ftrack],
                |row| row.get("ftrack_ids"),
            )
            .optional()?
            .map(|Ids(ids)| ids),
        reading_sizes: reading_sizes::of_server(connection, ftrack)?,
        stored_otherwise: stored_values::of_job(connection, job, ftrack)?,
        rejected: rejections::rejected(connection, job)?,
        linked: runs::linked_before(connection, job, ftrack)?,
        has_succeeded: runs::has_succeeded(connection, job, ftrack)?,
        begun: BTreeSet::new(),
        without_seat: BTreeSet::new(),
        paused: jobs::paused_kinds(connection, job)?,
        users_before: None,
    })
}
