//! The holds as lists show them: without their people, who are counted and not read.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use uuid::Uuid;

use crate::{
    model::{
        hold_number::HoldNumber,
        open_hold::{Became, EndedBy, HeldPerson, HoldHead},
    },
    state::{
        database::{
            State, columns,
            columns::{Count, EnumText, HoldColumn as Number},
            holds::by_login,
        },
        files::StateError,
    },
};

/// Each hold with the number of its people; an open one no longer holds those who left it.
const HEADS: &str = "SELECT holds.*, (SELECT count(*) FROM hold_people AS people WHERE people.hold \
                     = holds.hold AND (holds.ended_at IS NOT NULL OR people.ended_by IS NULL)) AS \
                     people FROM holds";

/// The namespace of digests; a constant of this program.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1b_0f27_93c4_5a1e_8f52_7be3_04d9_c65a);

/// What an open hold holds, to compare: another one has another digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldContent {
    /// How many people it holds.
    pub people: usize,
    /// Of whom, and of which values are to be written.
    pub digest: String,
}

impl State {
    /// What a hold holds now; nobody where it has ended, or there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn hold_content(&self, hold: HoldNumber) -> Result<HoldContent, StateError> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT seen FROM hold_people AS people JOIN holds USING (hold) WHERE hold = ?1 AND \
                 holds.ended_at IS NULL AND people.ended_by IS NULL ORDER BY seen",
            )?;
            let seen = statement.query_map(params![Number(hold)], |row| row.get(0))?;
            let seen: Vec<String> = seen.collect::<rusqlite::Result<_>>()?;
            let all = format!("{hold} {}", seen.join(" "));
            Ok(HoldContent {
                people: seen.len(),
                digest: Uuid::new_v5(&NAMESPACE, all.as_bytes()).to_string(),
            })
        })
    }

    /// The open holds, by number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn open_hold_heads(&self) -> Result<Vec<HoldHead>, StateError> {
        self.read(|connection| heads(connection, "WHERE ended_at IS NULL ORDER BY hold", []))
    }

    /// The last holds that ended, the newest first, `limit` at the most.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn ended_hold_heads(&self, limit: usize) -> Result<Vec<HoldHead>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let which = "WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, hold DESC LIMIT ?1";
        self.read(|connection| heads(connection, which, params![limit]))
    }

    /// A hold, open or not, with those whom it holds, `limit` at the most after the first `offset`, by
    /// login; none where there is no such number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn hold_with_people(
        &self,
        hold: HoldNumber,
        (offset, limit): (usize, usize),
    ) -> Result<Option<(HoldHead, Vec<HeldPerson>)>, StateError> {
        let [offset, limit] = [offset, limit].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        self.read(|connection| {
            let query = format!("{HEADS} WHERE hold = ?1");
            let found = connection.query_row(&query, params![Number(hold)], head);
            let Some(found) = found.optional()? else {
                return Ok(None);
            };
            let found = with_ends(connection, found)?;
            let mut statement = connection.prepare(
                "SELECT * FROM hold_people WHERE hold = ?1 AND (?2 OR ended_by IS NULL) ORDER BY \
                 json_extract(person, '$.username'), seen LIMIT ?3 OFFSET ?4",
            )?;
            let whom = params![Number(hold), found.of.ended.is_some(), limit, offset];
            let people = statement.query_map(whom, columns::held_person)?;
            let people = by_login(people.collect::<rusqlite::Result<_>>()?);
            Ok(Some((found, people)))
        })
    }
}

fn heads(
    connection: &Connection,
    which: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<HoldHead>> {
    let mut statement = connection.prepare(&format!("{HEADS} {which}"))?;
    let heads = statement.query_map(params, head)?;
    let heads = heads.collect::<rusqlite::Result<Vec<HoldHead>>>()?;
    let heads = heads.into_iter();
    heads.map(|head| with_ends(connection, head)).collect()
}

/// The same of one that has ended, with how many of its people became what.
fn with_ends(connection: &Connection, mut head: HoldHead) -> rusqlite::Result<HoldHead> {
    let Some(ended) = &mut head.of.ended else {
        return Ok(head);
    };
    let mut statement = connection.prepare_cached(
        "SELECT became, ended_by, count(*) AS people FROM hold_people WHERE hold = ?1 GROUP BY became, \
         ended_by",
    )?;
    let mut rows = statement.query(params![Number(head.of.hold)])?;
    while let Some(row) = rows.next()? {
        let became = row.get::<_, Option<EnumText<Became>>>("became")?;
        let by = row.get::<_, Option<EnumText<EndedBy>>>("ended_by")?;
        let decided = by.and_then(|EnumText(by)| Became::of_decision(by));
        let Count(people) = row.get("people")?;
        if let Some(became) = became.map(|EnumText(became)| became).or(decided) {
            *ended.became.entry(became).or_default() += people;
        }
    }
    Ok(head)
}

fn head(row: &Row<'_>) -> rusqlite::Result<HoldHead> {
    let Count(people) = row.get("people")?;
    Ok(HoldHead {
        of: columns::hold(row)?,
        people,
    })
}
