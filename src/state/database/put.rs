//! Writes what holds jobs up, and what limits count.

use rusqlite::{Connection, params};

use super::{
    columns::{Count, EnumText, Time},
    values::{RefusedAccount, Written},
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
        by,
    }) = pause
    else {
        return connection
            .execute("DELETE FROM pauses WHERE job = ?1", params![job])
            .map(drop);
    };
    connection.execute(
        "INSERT OR REPLACE INTO pauses (job, since, until, reason, paused_by) VALUES (?1, ?2, ?3, \
         ?4, ?5)",
        params![job, Time(*since), until.map(Time), reason, by],
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
        by,
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
        "INSERT OR REPLACE INTO paused_kinds (job, kind, since, until, reason, paused_by) VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            job,
            EnumText(kind),
            Time(*since),
            until.map(Time),
            reason,
            by
        ],
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

/// Saves how much of a kind a run wrote without approval.
pub(super) fn put_written(
    connection: &Connection,
    job: &str,
    written: &Written,
) -> rusqlite::Result<()> {
    let Written {
        run,
        kind,
        at,
        number,
        since,
        is_settled,
    } = written;
    let (at, at_ftrack, since) = (Time(at.here), at.ftrack.map(Time), Time(*since));
    let (kind, number) = (EnumText(kind), Count(*number));
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO written (job, run, kind, at, at_ftrack, number, since, settled) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            job, run, kind, at, at_ftrack, number, since, is_settled
        ])
        .map(drop)
}
