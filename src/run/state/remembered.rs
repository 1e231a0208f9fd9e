//! What a job remembers from its earlier runs: what its limits count, which directory it read, and
//! how many entries it had. If it is lost, the program holds more, never less.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::Path,
};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    DatabaseLock, FILE, State, StateError, absences,
    columns::{self, Count, Ids, Time},
    corruption, runs, schema,
};
use crate::{ftrack::user::EntityId, sync::change::Absences};

/// How long written changes are remembered, in days: longer than any `limits.per`.
const KEPT_DAYS: i64 = 400;

/// What a job remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Who was missing after the last complete reading of a preferred server.
    pub absences: Absences,
    /// The directory's id in the last run.
    pub directory: Option<String>,
    /// Deactivations that were written, and how many of them without a person's approval; for those
    /// that are missing here the links are used.
    pub deactivations: Vec<Written>,
    /// The directory ids of people whose deactivation a limit holds.
    pub held: BTreeSet<String>,
    /// How many entries each search base showed in the last reading without doubts.
    pub bases: BTreeMap<String, usize>,
    /// The users of the job that were inactive in the last run although the program had not
    /// deactivated them; not known before the first.
    pub inactive: Option<BTreeSet<EntityId>>,
    /// How many users had links after the last run that did not fail.
    pub linked: Option<LinkedUsers>,
}

/// The deactivations of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Written {
    pub run: String,
    pub at: DateTime<Utc>,
    /// How many users without a person's approval, or the maximum while that is not settled.
    pub number: usize,
    /// The time in their links: the same for all of one run, and for no other.
    pub since: DateTime<Utc>,
    /// Whether the run was completed; otherwise the links tell how many there were.
    pub is_settled: bool,
}

impl Written {
    /// How many users it was, according to the links.
    fn number(&self, links: &[DateTime<Utc>]) -> usize {
        if self.is_settled {
            return self.number;
        }
        links
            .iter()
            .filter(|since| **since == self.since)
            .count()
            .min(self.number)
    }
}

/// How many users had links after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedUsers {
    /// Those of the job.
    pub owned: usize,
    /// Those of any job; not known for runs of earlier versions.
    pub of_all: Option<usize>,
}

impl State {
    /// What a job remembers; the users with links are those in that ftrack server.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn remembered(&self, job: &str, ftrack: &str) -> Result<Remembered, StateError> {
        self.read(|connection| of_job(connection, job, ftrack))
    }

    /// Saves how many deactivations a run writes without approval: before it writes them, so that a
    /// run that is killed counts as well, and once more when the number is known.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn count_deactivations(&self, job: &str, written: &Written) -> Result<(), StateError> {
        let Written {
            run,
            at,
            number,
            since,
            is_settled,
        } = written;
        self.write(|transaction| {
            let oldest = at
                .checked_sub_signed(TimeDelta::days(KEPT_DAYS))
                .unwrap_or(*at);
            transaction.execute(
                "DELETE FROM written WHERE job = ?1 AND at < ?2",
                params![job, Time(oldest)],
            )?;
            transaction.execute(
                "INSERT OR REPLACE INTO written (job, run, kind, at, number, since, settled) \
                 VALUES (?1, ?2, 'deactivate', ?3, ?4, ?5, ?6)",
                params![
                    job,
                    run,
                    Time(*at),
                    Count(*number),
                    Time(*since),
                    is_settled
                ],
            )?;
            Ok(())
        })
    }

    /// Saves whose deactivation a limit holds, replacing those before; nothing is written where
    /// they are the same.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_held(
        &self,
        job: &str,
        before: &BTreeSet<String>,
        now: &BTreeSet<String>,
    ) -> Result<(), StateError> {
        if before == now {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute(
                "DELETE FROM held WHERE job = ?1 AND kind = 'deactivate'",
                params![job],
            )?;
            let mut add = transaction.prepare(
                "INSERT INTO held (job, kind, directory_id) VALUES (?1, 'deactivate', ?2)",
            )?;
            now.iter()
                .try_for_each(|id| add.execute(params![job, id]).map(drop))
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

/// What a job remembers, as far as it is known without creating or changing anything: nothing where
/// there is no database yet, or where the next run has to update it first.
///
/// # Errors
/// It cannot be read.
pub fn known(state_dir: &Path, job: &str, ftrack: &str) -> Result<Remembered, StateError> {
    let folder = std::path::absolute(state_dir)
        .map_err(|source| StateError::new("find", state_dir, source))?;
    let path = folder.join(FILE);
    match fs::metadata(&path) {
        Ok(there) if there.is_file() && there.len() > 0 => {}
        Ok(there) if there.is_dir() => {
            return Err(StateError::new(
                "read",
                &path,
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        Ok(_) => return Ok(Remembered::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Remembered {
                absences: absences::of_file(&folder, job)?,
                ..Remembered::default()
            });
        }
        Err(error) => return Err(StateError::new("read", &path, error)),
    }
    let gate = DatabaseLock::look(&folder)?;
    let _among_others = gate.as_ref().map(DatabaseLock::shared).transpose()?;
    match schema::look(&path)? {
        Some(connection) => of_job(&connection, job, ftrack)
            .map_err(|error| corruption::failed("read", &path, &error)),
        None => Ok(Remembered::default()),
    }
}

fn of_job(connection: &Connection, job: &str, ftrack: &str) -> rusqlite::Result<Remembered> {
    let mut written =
        connection.prepare("SELECT * FROM written WHERE job = ?1 AND kind = 'deactivate'")?;
    let deactivations = written.query_map(params![job], columns::written)?;
    let mut held = connection
        .prepare("SELECT directory_id FROM held WHERE job = ?1 AND kind = 'deactivate'")?;
    let mut bases = connection.prepare("SELECT base, entries FROM bases WHERE job = ?1")?;
    let bases = bases.query_map(params![job], |row| {
        let Count(entries) = row.get("entries")?;
        Ok((row.get("base")?, entries))
    })?;
    Ok(Remembered {
        absences: absences::of_job(connection, job)?,
        directory: connection
            .query_row(
                "SELECT directory FROM directories WHERE job = ?1",
                params![job],
                |row| row.get("directory"),
            )
            .optional()?,
        deactivations: deactivations.collect::<rusqlite::Result<_>>()?,
        held: held
            .query_map(params![job], |row| row.get("directory_id"))?
            .collect::<rusqlite::Result<_>>()?,
        bases: bases.collect::<rusqlite::Result<_>>()?,
        inactive: connection
            .query_row(
                "SELECT ftrack_ids FROM inactive WHERE job = ?1 AND ftrack = ?2",
                params![job, ftrack],
                |row| row.get("ftrack_ids"),
            )
            .optional()?
            .map(|Ids(ids)| ids),
        linked: runs::linked_before(connection, job, ftrack)?,
    })
}

impl Remembered {
    /// The deactivations that count for a limit now: those that were written within that time
    /// before it, according to this state and, where it knows nothing of them, to the links of the
    /// users: the state was lost, the job had another name, or another host ran it. Times in the
    /// future count as now.
    #[must_use]
    pub fn deactivated_within(
        &self,
        per: TimeDelta,
        now: DateTime<Utc>,
        links: &[DateTime<Utc>],
    ) -> usize {
        let is_within = |at: DateTime<Utc>| now.signed_duration_since(at) < per;
        let known: HashSet<DateTime<Utc>> = self
            .deactivations
            .iter()
            .map(|written| written.since)
            .collect();
        let counted: usize = self
            .deactivations
            .iter()
            .filter(|written| is_within(written.at))
            .map(|written| written.number(links))
            .sum();
        counted
            + links
                .iter()
                .filter(|since| is_within(**since) && !known.contains(*since))
                .count()
    }

    /// What interrupted runs wrote, now that the links are known.
    pub fn settled<'a>(&'a self, links: &'a [DateTime<Utc>]) -> impl Iterator<Item = Written> + 'a {
        self.deactivations
            .iter()
            .filter(|written| !written.is_settled)
            .map(|written| Written {
                number: written.number(links),
                is_settled: true,
                ..written.clone()
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn written(at: DateTime<Utc>, number: usize) -> Written {
        Written {
            run: "run".into(),
            at,
            number,
            since: at,
            is_settled: true,
        }
    }

    #[test]
    fn what_counts_for_a_limit() {
        let now: DateTime<Utc> = "2026-11-25T12:00:00Z".parse().unwrap();
        let hours = |hours| now - TimeDelta::hours(hours);
        let remembered = Remembered {
            deactivations: vec![
                written(hours(1), 2),
                written(hours(23), 3),
                written(hours(25), 100),
                written(hours(-9), 1),
                // A person approved it.
                written(hours(5), 0),
            ],
            ..Remembered::default()
        };
        let day = TimeDelta::hours(24);
        assert_eq!(
            remembered.deactivated_within(day, now, &[]),
            6,
            "one in the future counts as now"
        );
        // Of the links, those that are not known.
        assert_eq!(
            remembered.deactivated_within(
                day,
                now,
                &[hours(1), hours(5), hours(11), hours(30), hours(-1)]
            ),
            8
        );
        let lost = Remembered::default();
        assert_eq!(
            lost.deactivated_within(day, now, &[hours(5), hours(11), hours(30), hours(-1)]),
            3
        );
        // For a run that was killed, the links tell how many there were.
        let killed = Remembered {
            deactivations: vec![Written {
                is_settled: false,
                ..written(hours(1), 5)
            }],
            ..Remembered::default()
        };
        assert_eq!(
            killed.deactivated_within(day, now, &[hours(1), hours(1), hours(2)]),
            3
        );
        assert_eq!(killed.settled(&[hours(1); 9]).next().unwrap().number, 5);
    }
}
