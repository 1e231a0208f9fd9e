//! The tables, their migrations, and the validation of a file.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, TransactionBehavior};
use rustix::fs::OFlags;

use crate::state::{
    database::{columns, corruption, corruption::UnusableDatabase},
    files::StateError,
};

/// The application id in SQLite's header: `flds`.
const APPLICATION_ID: i32 = 0x666c_6473;

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// The migrations, one for each version of the database; a released one is never changed.
///
/// Times are in UTC, all of the same length, so that they sort as text. An `outcome` and similar
/// columns have the names used in the reports.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE runs (
        job          TEXT NOT NULL,
        run          TEXT NOT NULL,
        \"trigger\"    TEXT NOT NULL,
        dry_run      INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
        started_at   TEXT NOT NULL,
        finished_at  TEXT NOT NULL,
        outcome      TEXT NOT NULL,
        error_kind   TEXT,
        error        TEXT,
        ftrack       TEXT NOT NULL,
        entries      INTEGER NOT NULL CHECK (entries >= 0),
        owned        INTEGER NOT NULL CHECK (owned >= 0),
        owned_active INTEGER NOT NULL CHECK (owned_active >= 0),
        held         INTEGER NOT NULL CHECK (held >= 0),
        failed       INTEGER NOT NULL CHECK (failed >= 0),
        PRIMARY KEY (job, run)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE backoffs (
        job          TEXT NOT NULL PRIMARY KEY,
        failures     INTEGER NOT NULL CHECK (failures > 0),
        since        TEXT NOT NULL,
        retry_at     TEXT NOT NULL,
        suspended    INTEGER NOT NULL CHECK (suspended IN (0, 1)),
        kind         TEXT NOT NULL,
        error        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pauses (
        job          TEXT NOT NULL PRIMARY KEY,
        since        TEXT NOT NULL,
        until        TEXT,
        reason       TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE refusals (
        server       TEXT NOT NULL PRIMARY KEY,
        mark         TEXT,
        failures     INTEGER NOT NULL CHECK (failures > 0),
        refused_at   TEXT NOT NULL,
        next_at      TEXT NOT NULL,
        error        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE absences (
        job          TEXT NOT NULL,
        directory_id TEXT NOT NULL,
        since        TEXT NOT NULL,
        reads        INTEGER NOT NULL CHECK (reads > 0),
        PRIMARY KEY (job, directory_id)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE runs ADD COLUMN linked INTEGER CHECK (linked >= 0);
    CREATE TABLE written (
        job          TEXT NOT NULL,
        run          TEXT NOT NULL,
        kind         TEXT NOT NULL,
        at           TEXT NOT NULL,
        number       INTEGER NOT NULL CHECK (number >= 0),
        since        TEXT NOT NULL,
        settled      INTEGER NOT NULL CHECK (settled IN (0, 1)),
        PRIMARY KEY (job, run, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE held (
        job          TEXT NOT NULL,
        kind         TEXT NOT NULL,
        directory_id TEXT NOT NULL,
        PRIMARY KEY (job, kind, directory_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE directories (
        job          TEXT NOT NULL PRIMARY KEY,
        directory    TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE bases (
        job          TEXT NOT NULL,
        base         TEXT NOT NULL,
        entries      INTEGER NOT NULL CHECK (entries >= 0),
        PRIMARY KEY (job, base)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE inactive (
        job          TEXT NOT NULL,
        ftrack       TEXT NOT NULL,
        ftrack_ids   TEXT NOT NULL CHECK (json_valid(ftrack_ids)),
        PRIMARY KEY (job, ftrack)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE held_people (
        job          TEXT NOT NULL,
        held_by      TEXT NOT NULL,
        kind         TEXT NOT NULL,
        directory_id TEXT NOT NULL,
        cause        TEXT NOT NULL,
        PRIMARY KEY (job, held_by, kind, directory_id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO held_people SELECT job, 'limit', kind, directory_id, '' FROM held;
    DROP TABLE held;
    CREATE TABLE settings (
        job          TEXT NOT NULL,
        setting      TEXT NOT NULL,
        value        TEXT NOT NULL,
        PRIMARY KEY (job, setting)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE runs ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0 CHECK (unsettled >= 0);
    CREATE TABLE first_contacts (
        job          TEXT NOT NULL,
        ftrack       TEXT NOT NULL,
        PRIMARY KEY (job, ftrack)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE referrals (
        job          TEXT NOT NULL PRIMARY KEY,
        number       INTEGER NOT NULL CHECK (number >= 0)
    ) STRICT, WITHOUT ROWID;
",
    // Runs of earlier versions have neither counts nor changes until their reports are read again.
    "
    ALTER TABLE runs ADD COLUMN changed INTEGER CHECK (changed >= 0);
    ALTER TABLE runs ADD COLUMN counts TEXT CHECK (json_valid(counts));
    ALTER TABLE runs ADD COLUMN alarm INTEGER NOT NULL DEFAULT 0 CHECK (alarm IN (0, 1));
    CREATE INDEX runs_by_time ON runs (run DESC, job DESC);
    CREATE TABLE people (
        job          TEXT NOT NULL,
        directory_id TEXT NOT NULL,
        dn           TEXT NOT NULL,
        PRIMARY KEY (job, directory_id)
    ) STRICT, WITHOUT ROWID;
",
    // The values are digests: what people are called is stored once, in ftrack.
    "
    CREATE TABLE stored_values (
        job          TEXT NOT NULL,
        ftrack       TEXT NOT NULL,
        ftrack_id    TEXT NOT NULL,
        field        TEXT NOT NULL,
        wanted       TEXT NOT NULL,
        stored       TEXT NOT NULL,
        PRIMARY KEY (job, ftrack, ftrack_id, field)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE runs ADD COLUMN planned TEXT CHECK (json_valid(planned));
",
    // The columns before are by this machine's clock. Times of earlier versions are by one of the two:
    // they count for both, like those of a run to which ftrack showed no time.
    "
    ALTER TABLE absences ADD COLUMN since_ftrack TEXT;
    ALTER TABLE written ADD COLUMN at_ftrack TEXT;
    CREATE TABLE clocks_agreed (
        job          TEXT NOT NULL PRIMARY KEY,
        at           TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE disabled (
        job          TEXT NOT NULL,
        directory_id TEXT NOT NULL,
        since        TEXT NOT NULL,
        since_ftrack TEXT,
        reads        INTEGER NOT NULL CHECK (reads > 0),
        PRIMARY KEY (job, directory_id)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE groups (
        job          TEXT NOT NULL,
        dn           TEXT NOT NULL,
        members      INTEGER NOT NULL CHECK (members >= 0),
        PRIMARY KEY (job, dn)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE freshness (
        job          TEXT NOT NULL PRIMARY KEY,
        directory    TEXT NOT NULL,
        newest       TEXT NOT NULL CHECK (json_valid(newest))
    ) STRICT, WITHOUT ROWID;
",
    // Logins and mail addresses are digests, as above.
    "
    CREATE TABLE known_changes (
        job          TEXT NOT NULL,
        ftrack       TEXT NOT NULL,
        known        TEXT NOT NULL CHECK (json_valid(known)),
        PRIMARY KEY (job, ftrack)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE known_users (
        job          TEXT NOT NULL,
        ftrack       TEXT NOT NULL,
        ftrack_id    TEXT NOT NULL,
        directory_id TEXT,
        username     TEXT NOT NULL,
        email        TEXT,
        PRIMARY KEY (job, ftrack, ftrack_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX known_users_by_person ON known_users (job, ftrack, directory_id);
    CREATE INDEX known_users_by_login ON known_users (job, ftrack, username);
    CREATE INDEX known_users_by_mail ON known_users (job, ftrack, email);
",
    // Whether the job only observed.
    "
    ALTER TABLE runs ADD COLUMN observed INTEGER NOT NULL DEFAULT 0 CHECK (observed IN (0, 1));
",
    // A reading that does not show the directory's id, which is empty then, leaves what is known.
    "
    CREATE TABLE freshness_of_directories (
        job          TEXT NOT NULL,
        directory    TEXT NOT NULL,
        newest       TEXT NOT NULL CHECK (json_valid(newest)),
        PRIMARY KEY (job, directory)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO freshness_of_directories SELECT job, directory, newest FROM freshness;
    DROP TABLE freshness;
    ALTER TABLE freshness_of_directories RENAME TO freshness;
",
    "
    CREATE TABLE preferred_servers (
        job          TEXT NOT NULL PRIMARY KEY,
        preferred    TEXT NOT NULL CHECK (json_valid(preferred))
    ) STRICT, WITHOUT ROWID;
",
    // Whether a run was for some people alone.
    "
    ALTER TABLE runs ADD COLUMN for_some INTEGER NOT NULL DEFAULT 0 CHECK (for_some IN (0, 1));
",
    // Kinds of change that are paused.
    "
    CREATE TABLE paused_kinds (
        job          TEXT NOT NULL,
        kind         TEXT NOT NULL,
        since        TEXT NOT NULL,
        until        TEXT,
        reason       TEXT,
        PRIMARY KEY (job, kind)
    ) STRICT, WITHOUT ROWID;
",
    // The counter has at most one row; earlier versions gave no numbers.
    "
    CREATE TABLE hold_counter (
        only         INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
        last         INTEGER NOT NULL CHECK (last >= 0)
    ) STRICT;
    CREATE TABLE holds (
        hold         INTEGER NOT NULL PRIMARY KEY CHECK (hold > 0),
        job          TEXT NOT NULL,
        held_by      TEXT NOT NULL,
        kind         TEXT NOT NULL,
        since        TEXT NOT NULL,
        runs         INTEGER NOT NULL CHECK (runs > 0),
        why          TEXT NOT NULL,
        ended_at     TEXT,
        ended_by     TEXT
    ) STRICT;
    CREATE TABLE hold_people (
        hold         INTEGER NOT NULL,
        seen         TEXT NOT NULL,
        person       TEXT NOT NULL CHECK (json_valid(person)),
        ended_by     TEXT,
        PRIMARY KEY (hold, seen)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rejected (
        job          TEXT NOT NULL,
        ftrack_id    TEXT NOT NULL,
        edit         TEXT NOT NULL CHECK (json_valid(edit)),
        hold         INTEGER NOT NULL CHECK (hold > 0),
        at           TEXT NOT NULL,
        rejected_by  TEXT NOT NULL,
        PRIMARY KEY (job, ftrack_id, edit)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO hold_counter SELECT 1, 0 WHERE EXISTS (SELECT 1 FROM runs);
    ALTER TABLE runs ADD COLUMN open_holds INTEGER CHECK (open_holds >= 0);
",
    "
    ALTER TABLE holds ADD COLUMN opens_at TEXT;
",
    // What is undone or restored counts as rejected, and no hold had it.
    "
    CREATE TABLE rejected_of_all (
        job          TEXT NOT NULL,
        ftrack_id    TEXT NOT NULL,
        edit         TEXT NOT NULL CHECK (json_valid(edit)),
        hold         INTEGER CHECK (hold > 0),
        at           TEXT NOT NULL,
        rejected_by  TEXT NOT NULL,
        PRIMARY KEY (job, ftrack_id, edit)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO rejected_of_all SELECT job, ftrack_id, edit, hold, at, rejected_by FROM rejected;
    DROP TABLE rejected;
    ALTER TABLE rejected_of_all RENAME TO rejected;
",
    // What became of each person of a hold; and of what was rejected also what the links say, with who
    // it is: who rejected it, and when, is not known of what was found there alone.
    "
    ALTER TABLE hold_people ADD COLUMN became TEXT;
    CREATE TABLE rejected_with_links (
        job          TEXT NOT NULL,
        ftrack_id    TEXT NOT NULL,
        edit         TEXT NOT NULL CHECK (json_valid(edit)),
        hold         INTEGER CHECK (hold > 0),
        at           TEXT,
        rejected_by  TEXT,
        person       TEXT CHECK (json_valid(person)),
        in_link      INTEGER NOT NULL DEFAULT 0 CHECK (in_link IN (0, 1)),
        PRIMARY KEY (job, ftrack_id, edit)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO rejected_with_links (job, ftrack_id, edit, hold, at, rejected_by)
        SELECT job, ftrack_id, edit, hold, at, rejected_by FROM rejected;
    DROP TABLE rejected;
    ALTER TABLE rejected_with_links RENAME TO rejected;
",
    "
    ALTER TABLE pauses ADD COLUMN paused_by TEXT;
    ALTER TABLE paused_kinds ADD COLUMN paused_by TEXT;
",
    // Numbers of actions are never used twice, though old ones are removed.
    "
    CREATE TABLE page_actions (
        action       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT CHECK (action > 0),
        at           TEXT NOT NULL,
        done_by      TEXT NOT NULL,
        came_from    TEXT NOT NULL,
        kind         TEXT NOT NULL,
        job          TEXT,
        hold         INTEGER CHECK (hold > 0),
        detail       TEXT NOT NULL,
        result       TEXT
    ) STRICT;
",
    // Who decided about a person of a hold, and when; not known of what earlier versions saved.
    "
    ALTER TABLE hold_people ADD COLUMN decided_by TEXT;
    ALTER TABLE hold_people ADD COLUMN decided_at TEXT;
",
    "
    CREATE TABLE reading_sizes (
        ftrack       TEXT NOT NULL PRIMARY KEY,
        page_rows    INTEGER NOT NULL CHECK (page_rows > 0),
        calls        INTEGER NOT NULL CHECK (calls > 0),
        changes      INTEGER NOT NULL CHECK (changes > 0),
        users        INTEGER NOT NULL CHECK (users >= 0),
        links        INTEGER NOT NULL CHECK (links >= 0)
    ) STRICT, WITHOUT ROWID;
",
    // Messages are removed as soon as their receiver has them; `settled` are the addresses of a mail
    // that get it no more.
    "
    CREATE TABLE undelivered_messages (
        job          TEXT NOT NULL,
        receiver     TEXT NOT NULL,
        id           TEXT NOT NULL,
        at           TEXT NOT NULL,
        message      TEXT NOT NULL CHECK (json_valid(message)),
        settled      TEXT NOT NULL CHECK (json_valid(settled)),
        PRIMARY KEY (job, receiver, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE failure_messages (
        job          TEXT NOT NULL PRIMARY KEY,
        at           TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE digests (
        job          TEXT NOT NULL PRIMARY KEY,
        schedule     TEXT NOT NULL,
        until        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    // The people of a hold are counted without reading them.
    "
    CREATE INDEX hold_people_by_end ON hold_people (hold, ended_by);
",
    // The directory server that was read in place of the preferred one.
    "
    ALTER TABLE runs ADD COLUMN replica TEXT;
",
];

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// Reading only.
    Read,
    /// Reading and writing an existing file.
    Write,
}

/// Connects to an existing file.
pub(super) fn connect(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let always = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags | always)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    match access {
        // This one already reads the file, which is left to the caller.
        Access::Read => {}
        Access::Write => connection.execute_batch("PRAGMA synchronous = FULL;")?,
    }
    Ok(connection)
}

/// Connects to an existing database, migrates it to the newest version, and checks that each row of
/// it can be read.
///
/// # Errors
/// It is damaged, or it cannot be used for another reason.
pub(super) fn examine(path: &Path) -> Result<Connection, UnusableDatabase> {
    let failed = |error: rusqlite::Error| UnusableDatabase::of(path, &error);
    // SQLite would continue without write permission. No other lock of this process on the file
    // could be lost by closing it.
    let writable = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(no_link().cast_signed())
        .open(path);
    writable.map_err(|source| UnusableDatabase::Failed(StateError::new("open", path, source)))?;
    let mut connection = connect(path, Access::Write).map_err(failed)?;
    let form = form(&connection, path)?;
    if connection.is_readonly(MAIN_DB).map_err(failed)? {
        return Err(UnusableDatabase::Damaged(
            "its header is damaged".to_owned(),
        ));
    }
    whole(&connection)
        .map_err(failed)?
        .map_or(Ok(()), |why| Err(UnusableDatabase::Damaged(why)))?;
    // One file and, while something is written, a journal beside it; a reader without write
    // permission can use that.
    connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(failed)?;
    migrate(&mut connection, form, STEPS).map_err(failed)?;
    columns::read_all(&connection).map_err(failed)?;
    Ok(connection)
}

/// Opens neither through a link nor waiting for the other end of a pipe.
fn no_link() -> u32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()
}

/// Connects for reading only, where everything is complete and of the newest version; none where
/// the next writer has to do something first.
pub(super) fn look(path: &Path) -> Result<Option<Connection>, StateError> {
    let looked = to_read(path)
        .map_err(|error| UnusableDatabase::of(path, &error))
        .and_then(|connection| {
            let newest = form(&connection, path)? == STEPS.len();
            let whole = newest
                && whole(&connection)
                    .map_err(|error| UnusableDatabase::of(path, &error))?
                    .is_none();
            Ok(whole.then_some(connection))
        });
    match looked {
        Ok(connection) => Ok(connection),
        Err(UnusableDatabase::Damaged(_)) => Ok(None),
        Err(UnusableDatabase::Failed(error)) => Err(error),
    }
}

/// Connects for reading only, unless a program that was killed left an incomplete write: then
/// SQLite has to restore the earlier content.
fn to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, Access::Read)?;
    match connection.query_row("PRAGMA schema_version", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            connect(path, Access::Write)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(connection),
    }
}

/// Creates the tables in an empty database.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection, 0, STEPS)
}

/// Migrates a database to the newest version; after each step it is consistent, whatever happens.
pub(super) fn migrate(
    connection: &mut Connection,
    form: usize,
    steps: &[&str],
) -> rusqlite::Result<()> {
    for (before, step) in steps.iter().enumerate().skip(form) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(before + 1).unwrap_or(i64::MAX),
        )?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version of a database: the number of migrations applied.
fn form(connection: &Connection, path: &Path) -> Result<usize, UnusableDatabase> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    let application: i32 =
        pragma("application_id").map_err(|error| UnusableDatabase::of(path, &error))?;
    let form: i32 = pragma("user_version").map_err(|error| UnusableDatabase::of(path, &error))?;
    let known = STEPS.len();
    match usize::try_from(form) {
        Ok(form) if application == APPLICATION_ID && form > known => {
            let newer = format!(
                "a newer version of this program wrote it (its schema version is {form}, and this \
                 program supports {known}); use that version, or move the file away to restore it \
                 from the reports"
            );
            Err(UnusableDatabase::Failed(StateError::new(
                "use",
                path,
                io::Error::new(io::ErrorKind::InvalidData, newer),
            )))
        }
        Ok(form) if application == APPLICATION_ID && form > 0 => Ok(form),
        Ok(_) | Err(_) => Err(UnusableDatabase::Damaged(
            "it is not a state database of this program".to_owned(),
        )),
    }
}

/// Checks every page of the file; returns what is wrong with the first bad one.
fn whole(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then(|| corruption::one_line(&said)))
}
