//! What people did on the daemon's pages: the last thousand actions, each with who, from where and
//! when; and beside them the last plans, which change nothing and push no action out.

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::{
    model::page_action::{ActionKind, AskedAction, PageAction},
    state::{
        database::{
            State,
            columns::{self, EnumText, Time},
        },
        files::StateError,
    },
};

/// How many actions are kept.
const KEPT: i64 = 1000;

/// How many plans are kept.
const PLANS_KEPT: i64 = 200;

impl State {
    /// Saves that somebody asked for something, before it is done; returns its number.
    ///
    /// # Errors
    /// It cannot be written; then it must not be done.
    pub fn begin_action(&self, at: DateTime<Utc>, asked: &AskedAction) -> Result<u64, StateError> {
        let AskedAction {
            by,
            from,
            kind,
            job,
            hold,
            detail,
        } = asked;
        let hold = hold.map(|hold| i64::try_from(hold).unwrap_or(i64::MAX));
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO page_actions (at, done_by, came_from, kind, job, hold, detail) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![Time(at), by, from, EnumText(kind), job, hold, detail],
            )?;
            let number = transaction.last_insert_rowid();
            let is_plan = *kind == ActionKind::Plan;
            let kept = if is_plan { PLANS_KEPT } else { KEPT };
            transaction.execute(
                "DELETE FROM page_actions WHERE (kind = 'plan') = ?1 AND action NOT IN (SELECT action \
                 FROM page_actions WHERE (kind = 'plan') = ?1 ORDER BY action DESC LIMIT ?2)",
                params![is_plan, kept],
            )?;
            Ok(u64::try_from(number).unwrap_or_default())
        })
    }

    /// Saves what became of an action.
    ///
    /// # Errors
    /// It cannot be written; then it is not known.
    pub fn end_action(&self, number: u64, result: &str) -> Result<(), StateError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.write(|transaction| {
            transaction
                .execute(
                    "UPDATE page_actions SET result = ?2 WHERE action = ?1",
                    params![number, result],
                )
                .map(drop)
        })
    }

    /// The last actions, the newest first, `limit` at the most; plans are none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn page_actions(&self, limit: usize) -> Result<Vec<PageAction>, StateError> {
        self.listed_actions("<>", limit)
    }

    /// The last plans, likewise.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn page_plans(&self, limit: usize) -> Result<Vec<PageAction>, StateError> {
        self.listed_actions("=", limit)
    }

    fn listed_actions(&self, is: &str, limit: usize) -> Result<Vec<PageAction>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let query = format!(
                "SELECT * FROM page_actions WHERE kind {is} 'plan' ORDER BY action DESC LIMIT ?1"
            );
            let mut statement = connection.prepare(&query)?;
            let rows = statement.query_map(params![limit], columns::page_action)?;
            rows.collect()
        })
    }
}
