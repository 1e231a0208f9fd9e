//! The numbered holds, and the people of each.
//!
//! A number is never used twice, also when this database is lost. Every report has the last number,
//! so that the counter goes on from there. Where the reports are lost as well, it begins at the
//! milliseconds since the start of 2026, which no counter reaches by itself; at 1 only where ftrack
//! shows that the program never got as far as to give numbers: no user has a link yet, and this run
//! makes the first ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chrono::{DateTime, TimeZone, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{
    model::{
        adopted_roles,
        change::Fingerprint,
        hold_number::HoldNumber,
        open_hold::{
            Became, ClosedHold, Decided, Ended, EndedBy, HeldPart, HeldPerson, HoldKind, OpenHold,
            OpenedHold,
        },
    },
    state::{
        database::{
            State, columns,
            columns::{Count, EnumText, HoldColumn as Number, JsonText, PersonRow, Time},
            look::{Looked, look},
        },
        files::StateError,
    },
};

/// The most holds that have ended by themselves and are kept, with their people.
const ENDED_KEPT: usize = 200;

/// The same of those about which a person decided: who did is asked for later than anything else.
const DECIDED_KEPT: usize = 1000;

/// The most reasons of one hold that are named.
const REASONS: usize = 3;

/// The numbers of the held parts of a run, and what that changed.
#[derive(Debug, Default)]
pub struct Numbered {
    /// One for each part, in their order.
    pub numbers: Vec<HoldNumber>,
    /// Holds that are new.
    pub opened: Vec<OpenedHold>,
    /// Holds that ended.
    pub closed: Vec<ClosedHold>,
}

/// Where a counter begins that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstNumber {
    /// No user at ftrack has a link, and this run makes the first ones.
    One,
    /// There may have been numbers before: it is later than all of them, by the latest time that it
    /// may be.
    ByClock(DateTime<Utc>),
}

/// A hold, with what was seen of each of its people who did not leave.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct SeenHold {
    pub hold: OpenHold,
    pub waiting: BTreeMap<Fingerprint, HeldPerson>,
}

/// The holds of a state directory, as far as they are known without changing anything.
#[derive(Debug)]
pub enum Holds {
    /// These, by number.
    Known(Vec<OpenHold>),
    /// The next run has to update or to recreate the database first.
    Unusable,
}

impl State {
    /// Gives the held parts of a run their numbers: that of the hold in which a part was seen, or a
    /// new one. Whoever is no longer among the parts leaves where `leaves` says what became of it.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn number_holds(
        &self,
        job: &str,
        at: DateTime<Utc>,
        (parts, first): (&[HeldPart], FirstNumber),
        leaves: impl Fn(HoldKind, &HeldPerson) -> Option<Became>,
    ) -> Result<Numbered, StateError> {
        let is_settled = self.read(|connection| {
            let is_counting = last(connection)?.is_some();
            Ok(is_counting && parts.is_empty() && open_of(connection, job)?.is_empty())
        })?;
        if is_settled {
            return Ok(Numbered::default());
        }
        self.write(|transaction| {
            begin_counting(transaction, first)?;
            number(transaction, job, at, parts, &leaves)
        })
    }

    /// The last number that was given; none where there was none yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_hold(&self) -> Result<Option<HoldNumber>, StateError> {
        let last = self.read(last)?;
        Ok(last.and_then(HoldNumber::new))
    }

    /// Takes people out of a hold, by what was seen of them; returns the hold if nobody is left.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn end_held(
        &self,
        hold: HoldNumber,
        decided: &Decided,
        seen: &BTreeSet<Fingerprint>,
        by: EndedBy,
    ) -> Result<Option<ClosedHold>, StateError> {
        self.write(|transaction| {
            let became = Became::of_decision(by);
            let decided_by = Some(decided);
            let left = Left {
                by,
                became,
                decided: decided_by,
            };
            leave(transaction, hold, seen, left)?;
            Ok(close_empty(transaction, None, decided.at)?
                .into_iter()
                .find(|closed| closed.hold == hold))
        })
    }

    /// A hold, open or not; none where there is no such number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn hold(&self, hold: HoldNumber) -> Result<Option<SeenHold>, StateError> {
        self.read(|connection| {
            let query = "SELECT * FROM holds WHERE hold = ?1";
            let found = connection
                .query_row(query, params![Number(hold)], columns::hold)
                .optional()?;
            let Some(found) = found else { return Ok(None) };
            let people = of_hold(connection, hold)?;
            let waiting = people
                .iter()
                .filter(|row| row.ended_by.is_none())
                .map(|row| (row.seen, row.person.clone()))
                .collect();
            let hold = with_people(found, people);
            Ok(Some(SeenHold { hold, waiting }))
        })
    }

    /// All holds, by number, also those that ended of late.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn all_holds(&self) -> Result<Vec<OpenHold>, StateError> {
        self.read(all)
    }

    /// The number of a job's open holds that wait for a person, and when the oldest of them was opened.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn open_holds(&self, job: &str) -> Result<(usize, Option<DateTime<Utc>>), StateError> {
        let query = "SELECT count(*), min(since) FROM holds WHERE job = ?1 AND ended_at IS NULL AND \
                     held_by NOT IN ('window', 'freeze', 'paused')";
        self.read(|connection| {
            connection.query_row(query, params![job], |row| {
                let (Count(open), oldest): (_, Option<Time>) = (row.get(0)?, row.get(1)?);
                Ok((open, oldest.map(|Time(since)| since)))
            })
        })
    }
}

/// All holds, also those that ended of late; nothing is created or changed.
///
/// # Errors
/// The database cannot be read.
pub fn all_holds(state_dir: &Path) -> Result<Holds, StateError> {
    Ok(match look(state_dir, all)? {
        Looked::Read(holds) => Holds::Known(holds),
        Looked::Missing => Holds::Known(Vec::new()),
        Looked::Unusable => Holds::Unusable,
    })
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<OpenHold>> {
    let mut statement = connection.prepare("SELECT * FROM holds ORDER BY hold")?;
    let heads: Vec<OpenHold> = statement
        .query_map([], columns::hold)?
        .collect::<rusqlite::Result<_>>()?;
    heads
        .into_iter()
        .map(|hold| {
            let people = of_hold(connection, hold.hold)?;
            Ok(with_people(hold, people))
        })
        .collect()
}

/// Lets the counter go on above the numbers in a report.
pub(super) fn count_from(connection: &Connection, given: &[HoldNumber]) -> rusqlite::Result<()> {
    let Some(highest) = given.iter().max() else {
        return Ok(());
    };
    connection.execute(
        "INSERT INTO hold_counter (only, last) VALUES (1, ?1) \
         ON CONFLICT (only) DO UPDATE SET last = max(last, ?1)",
        params![Number(*highest)],
    )?;
    Ok(())
}

fn last(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let query = "SELECT last FROM hold_counter";
    connection
        .query_row(query, [], |row| row.get("last"))
        .map(|Count(last)| u64::try_from(last).unwrap_or(u64::MAX))
        .optional()
}

fn begin_counting(transaction: &Transaction<'_>, first: FirstNumber) -> rusqlite::Result<()> {
    let before = match first {
        FirstNumber::One => 0,
        FirstNumber::ByClock(at) => {
            let start = Utc.timestamp_opt(1_767_225_600, 0).single();
            let passed = start.map_or(0, |start| {
                at.signed_duration_since(start).num_milliseconds()
            });
            passed.max(0)
        }
    };
    let query = "INSERT OR IGNORE INTO hold_counter (only, last) VALUES (1, ?1)";
    transaction.execute(query, params![before]).map(drop)
}

/// Somebody in an open hold.
struct Open {
    hold: HoldNumber,
    of: HoldKind,
    seen: Fingerprint,
    person: HeldPerson,
}

fn number(
    transaction: &Transaction<'_>,
    job: &str,
    at: DateTime<Utc>,
    parts: &[HeldPart],
    leaves: &dyn Fn(HoldKind, &HeldPerson) -> Option<Became>,
) -> rusqlite::Result<Numbered> {
    let open = open_of(transaction, job)?;
    let known: BTreeMap<(HoldKind, Fingerprint), HoldNumber> = open
        .iter()
        .map(|open| ((open.of, open.seen), open.hold))
        .collect();
    let mut numbered = Numbered::default();
    let mut opened: BTreeMap<HoldKind, OpenedHold> = BTreeMap::new();
    let mut held: BTreeSet<(HoldKind, Fingerprint)> = BTreeSet::new();
    let mut again: BTreeSet<HoldNumber> = BTreeSet::new();
    let mut whys: BTreeMap<HoldNumber, Vec<&str>> = BTreeMap::new();
    let mut opens: BTreeMap<HoldNumber, Option<DateTime<Utc>>> = BTreeMap::new();
    let mut set_opening = transaction.prepare("UPDATE holds SET opens_at = ?2 WHERE hold = ?1")?;
    for part in parts {
        let HeldPart { of, seen, why, .. } = part;
        let is_twice = !held.insert((*of, *seen));
        let hold = match (known.get(&(*of, *seen)), opened.get_mut(of)) {
            (Some(hold), _) => {
                again.insert(*hold);
                *hold
            }
            (None, Some(new)) => {
                new.changes += usize::from(!is_twice);
                new.hold
            }
            (None, None) => {
                let hold = open_one(transaction, job, at, part)?;
                let (of, changes) = (*of, 1);
                opened.insert(of, OpenedHold { hold, of, changes });
                hold
            }
        };
        add_person(transaction, hold, part)?;
        let known = whys.entry(hold).or_default();
        if !known.contains(&&**why) {
            known.push(why);
        }
        if opens.insert(hold, part.opens_at) != Some(part.opens_at) {
            let opens_at = part.opens_at.map(Time);
            set_opening.execute(params![Number(hold), opens_at])?;
        }
        numbered.numbers.push(hold);
    }
    for hold in again {
        let query = "UPDATE holds SET runs = runs + 1 WHERE hold = ?1";
        transaction.execute(query, params![Number(hold)])?;
    }
    for Open {
        hold,
        of,
        seen,
        person,
    } in &open
    {
        if held.contains(&(*of, *seen)) {
            continue;
        }
        match leaves(*of, person) {
            // What holds the rest of them is not known anew.
            None => drop(whys.remove(hold)),
            Some(became) => {
                let left = Left {
                    by: EndedBy::Cause,
                    became: Some(became),
                    decided: None,
                };
                leave(transaction, *hold, &[*seen].into(), left)?;
            }
        }
    }
    for (hold, whys) in whys {
        let query = "UPDATE holds SET why = ?2 WHERE hold = ?1 AND why <> ?2";
        transaction.execute(query, params![Number(hold), joined(&whys)])?;
    }
    numbered.opened = opened.into_values().collect();
    numbered.closed = close_empty(transaction, Some(job), at)?;
    forget_old(transaction)?;
    Ok(numbered)
}

/// Why people are held who are not all held for the same reason.
fn joined(whys: &[&str]) -> String {
    let whys = adopted_roles::grouped(whys.iter().map(|why| (*why, 1)));
    let number = whys.len();
    let whys = whys.into_iter().map(|(why, _)| why);
    let mut named: Vec<String> = whys.take(REASONS).collect();
    if let more @ 1.. = number.saturating_sub(REASONS) {
        named.push(format!("and for {more} more reasons"));
    }
    named.join("; ")
}

fn open_one(
    transaction: &Transaction<'_>,
    job: &str,
    at: DateTime<Utc>,
    part: &HeldPart,
) -> rusqlite::Result<HoldNumber> {
    let Number(hold) = transaction.query_row(
        "UPDATE hold_counter SET last = last + 1 RETURNING last",
        [],
        |row| row.get(0),
    )?;
    transaction.execute(
        "INSERT INTO holds (hold, job, held_by, kind, since, runs, why) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
        params![
            Number(hold),
            job,
            EnumText(part.of.by),
            EnumText(part.of.kind),
            Time(at),
            part.why
        ],
    )?;
    Ok(hold)
}

fn add_person(
    transaction: &Transaction<'_>,
    hold: HoldNumber,
    part: &HeldPart,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            // What somebody carries changes, and is the same change all the same.
            "INSERT INTO hold_people (hold, seen, person) VALUES (?1, ?2, ?3) \
             ON CONFLICT (hold, seen) DO UPDATE SET person = excluded.person",
        )?
        .execute(params![
            Number(hold),
            EnumText(part.seen),
            JsonText(&part.person)
        ])
        .map(drop)
}

/// How somebody leaves a hold, and by whose decision, if by one.
pub(super) struct Left<'d> {
    pub(super) by: EndedBy,
    pub(super) became: Option<Became>,
    pub(super) decided: Option<&'d Decided>,
}

pub(super) fn leave(
    transaction: &Transaction<'_>,
    hold: HoldNumber,
    seen: &BTreeSet<Fingerprint>,
    left: Left<'_>,
) -> rusqlite::Result<()> {
    let Left {
        by,
        became,
        decided,
    } = left;
    let mut leave = transaction.prepare_cached(
        "UPDATE hold_people SET ended_by = ?3, became = ?4, decided_by = ?5, decided_at = ?6 WHERE \
         hold = ?1 AND seen = ?2 AND ended_by IS NULL",
    )?;
    seen.iter().try_for_each(|seen| {
        leave
            .execute(params![
                Number(hold),
                EnumText(seen),
                EnumText(by),
                became.map(EnumText),
                decided.map(|decided| &decided.by),
                decided.map(|decided| Time(decided.at))
            ])
            .map(drop)
    })
}

/// Ends the holds that hold nobody any more: by what a person did, if one did anything.
pub(super) fn close_empty(
    transaction: &Transaction<'_>,
    job: Option<&str>,
    at: DateTime<Utc>,
) -> rusqlite::Result<Vec<ClosedHold>> {
    let mut statement = transaction.prepare(
        "UPDATE holds SET ended_at = ?2, ended_by = (SELECT min(ended_by) FROM hold_people AS \
         people WHERE people.hold = holds.hold AND (ended_by <> 'cause' OR NOT EXISTS (SELECT 1 \
         FROM hold_people AS other WHERE other.hold = holds.hold AND other.ended_by <> 'cause'))) \
         WHERE ended_at IS NULL AND (?1 IS NULL OR job = ?1) AND NOT EXISTS (SELECT 1 FROM \
         hold_people AS people WHERE people.hold = holds.hold AND people.ended_by IS NULL) \
         RETURNING *",
    )?;
    let closed = statement.query_map(params![job, Time(at)], |row| {
        let hold = columns::hold(row)?;
        let (by, kind) = (hold.held_by, hold.kind);
        Ok(ClosedHold {
            hold: hold.hold,
            of: HoldKind { by, kind },
            by: hold.ended.map_or(EndedBy::Cause, |ended| ended.by),
        })
    })?;
    closed.collect()
}

/// Removes the oldest of the holds that have ended, so that they do not become more and more.
fn forget_old(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (which, kept) in [("=", ENDED_KEPT), ("<>", DECIDED_KEPT)] {
        let which = format!("ended_at IS NOT NULL AND ended_by {which} 'cause'");
        transaction.execute(
            &format!(
                "DELETE FROM holds WHERE {which} AND hold NOT IN (SELECT hold FROM holds WHERE \
                 {which} ORDER BY hold DESC LIMIT {kept})"
            ),
            [],
        )?;
    }
    transaction.execute(
        "DELETE FROM hold_people WHERE hold NOT IN (SELECT hold FROM holds)",
        [],
    )?;
    Ok(())
}

fn open_of(connection: &Connection, job: &str) -> rusqlite::Result<Vec<Open>> {
    let mut statement = connection.prepare(
        "SELECT holds.hold, held_by, kind, seen, person FROM holds JOIN hold_people USING (hold) \
         WHERE job = ?1 AND ended_at IS NULL AND hold_people.ended_by IS NULL",
    )?;
    let open = statement.query_map(params![job], |row| {
        Ok(Open {
            hold: row.get("hold").map(|Number(hold)| hold)?,
            of: HoldKind {
                by: row.get("held_by").map(|EnumText(by)| by)?,
                kind: row.get("kind").map(|EnumText(kind)| kind)?,
            },
            seen: row.get("seen").map(|EnumText(seen)| seen)?,
            person: row.get("person").map(|JsonText(person)| person)?,
        })
    })?;
    open.collect()
}

fn of_hold(connection: &Connection, hold: HoldNumber) -> rusqlite::Result<Vec<PersonRow>> {
    let mut statement = connection.prepare_cached("SELECT * FROM hold_people WHERE hold = ?1")?;
    let people = statement.query_map(params![Number(hold)], columns::held_person)?;
    people.collect()
}

/// The hold with those whom it holds and those who left it; with all whom it held, once it ended.
fn with_people(hold: OpenHold, people: Vec<PersonRow>) -> OpenHold {
    let is_open = hold.ended.is_none();
    let (left, still): (Vec<PersonRow>, Vec<PersonRow>) = people
        .into_iter()
        .partition(|row| is_open && row.ended_by.is_some());
    let people = by_login(still);
    let ended = hold.ended.map(|ended| Ended {
        became: became(&people),
        ..ended
    });
    OpenHold {
        ended,
        changes: if is_open { people.len() } else { 0 },
        people,
        left: by_login(left),
        ..hold
    }
}

/// What became of people, with how many of them.
fn became(people: &[HeldPerson]) -> BTreeMap<Became, usize> {
    let mut counts = BTreeMap::new();
    for became in people.iter().filter_map(|person| person.became) {
        *counts.entry(became).or_default() += 1;
    }
    counts
}

/// The people of a hold, with what became of them.
pub(super) fn by_login(rows: Vec<PersonRow>) -> Vec<HeldPerson> {
    let mut people: Vec<HeldPerson> = rows
        .into_iter()
        .map(|row| {
            let decided = row.ended_by.and_then(Became::of_decision);
            let became = row.became.or(decided);
            HeldPerson {
                became,
                decided: row.decided,
                ..row.person
            }
        })
        .collect();
    people.sort_by(|a, b| a.username.cmp(&b.username));
    people
}
