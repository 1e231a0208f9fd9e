//! Writes what holds jobs up.

use rusqlite::{Connection, params};

use super::{
    columns::{EnumText, Time},
    values::RefusedAccount,
};
use crate::model::{backoff::Backoff, change_kind::ChangeKind, pause::Pause};

/// Replaces a job's back-off, or removes it.
pub(super) fn put_backoff(
    connection: &Connection,
    job: &str,
    backoff: Option<&Backoff>,
) -> rusqlite::Result<()> {
    let Some(backoff) = backoff else {
        return connection
            .execute("DELETE FROM backoffs WHERE job = ?1", params![job])
            .map(drop);
    };
    let Backoff {
        failures,
        since,
        retry_at,
        suspended,
        kind,
        error,
        asked: _,
    } = backoff;
    connection.execute(
        "INSERT OR REPLACE INTO backoffs (job, failures, since, retry_at, suspended, kind, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            job,
            failures,
            Time(*since),
            Time(*retry_at),
            suspended,
            EnumText(kind),
            error
        ],
    )?;
    Ok(())
}

/// Replaces a job's pause, or removes it.
pub(super) fn put_pause(
    connection: &Connection,
    job: &str,
    pause: Option<&Pause>,
) -> rusqlite::Result<()> {
    let Some(Pause {
        since,
        until,
        reason,
    }) = pause
    else {
        return connection
            .execute("DELETE FROM pauses WHERE job = ?1", params![job])
            .map(drop);
    };
    connection.execute(
        "INSERT OR REPLACE INTO pauses (job, since, until, reason) VALUES (?1, ?2, ?3, ?4)",
        params![job, Time(*since), until.map(Time), reason],
    )?;
    Ok(())
}

/// Replaces the pause of a job's kind of change, or removes it.
pub(super) fn put_paused_kind(
    connection: &Connection,
    (job, kind): (&str, ChangeKind),
    pause: Option<&Pause>,
) -> rusqlite::Result<()> {
    let Some(Pause {
        since,
        until,
        reason,
    }) = pause
    else {
        return connection
            .execute(
                "DELETE FROM paused_kinds WHERE job = ?1 AND kind = ?2",
                params![job, EnumText(kind)],
            )
            .map(drop);
    };
    connection.execute(
        "INSERT OR REPLACE INTO paused_kinds (job, kind, since, until, reason) VALUES (?1, ?2, ?3, \
         ?4, ?5)",
        params![job, EnumText(kind), Time(*since), until.map(Time), reason],
    )?;
    Ok(())
}

/// Replaces a server's refusal, or removes it.
pub(super) fn put_refusal(
    connection: &Connection,
    server: &str,
    refused: Option<&RefusedAccount>,
) -> rusqlite::Result<()> {
    let Some(refused) = refused else {
        return connection
            .execute("DELETE FROM refusals WHERE server = ?1", params![server])
            .map(drop);
    };
    let RefusedAccount {
        mark,
        failures,
        refused_at,
        next_at,
        error,
    } = refused;
    connection.execute(
        "INSERT OR REPLACE INTO refusals (server, mark, failures, refused_at, next_at, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            server,
            mark,
            failures,
            Time(*refused_at),
            Time(*next_at),
            error
        ],
    )?;
    Ok(())
}
