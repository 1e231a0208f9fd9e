//! Conversion between values and columns, and of rows to values.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use rusqlite::{
    Connection, Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Deserialize, Serialize, de::IntoDeserializer};

use crate::{
    model::{
        absence::Absence,
        backoff::Backoff,
        call_sizes::{CallSizes, ReadingSizes},
        change::{Fingerprint, HeldBy},
        change_kind::ChangeKind,
        clocks::Clocks,
        edit::Field,
        freshness::Freshness,
        hold_number::HoldNumber,
        open_hold::{Became, Decided, Ended, EndedBy, HeldPerson, OpenHold},
        page_action::{AskedAction, PageAction},
        pause::Pause,
        preferred_server::PreferredServer,
        report::Counts,
        stored_message::{DigestMark, StoredMessage},
        stored_value::{ValueDigest, WrittenAndStored},
        summary::RunSummary,
        user::EntityId,
    },
    state::database::{
        RefusedAccount,
        known::{KnownChanges, KnownUser},
        values::{RejectedRow, Written},
    },
    sync::settings::Setting,
};

/// A time as text: RFC 3339 in UTC, to the nanosecond, always of the same length. Years that would
/// be longer become the last valid one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) DateTime<Utc>);

/// An enum value, as the reports write it.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnumText<T>(pub(super) T);

#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) usize);

/// Ids of users, as a JSON list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids(pub(super) BTreeSet<EntityId>);

/// Several values of a run, such as its counts, as a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonText<T>(pub(super) T);

impl<T: Serialize> ToSql for JsonText<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        json_text(&self.0)
    }
}

impl<T: for<'a> Deserialize<'a>> FromSql for JsonText<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

fn json_text(value: &impl Serialize) -> rusqlite::Result<ToSqlOutput<'static>> {
    let text = serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(text.into())
}

impl ToSql for Ids {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        json_text(&self.0)
    }
}

impl FromSql for Ids {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

impl ToSql for Time {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = match self.0.year() {
            0..=9999 => self.0.to_rfc3339_opts(SecondsFormat::Nanos, true),
            i32::MIN..0 => "0000-01-01T00:00:00.000000000Z".to_owned(),
            10_000.. => "9999-12-31T23:59:59.999999999Z".to_owned(),
        };
        Ok(text.into())
    }
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let time = DateTime::parse_from_rfc3339(value.as_str()?).map_err(FromSqlError::other)?;
        Ok(Self(time.with_timezone(&Utc)))
    }
}

impl<T: Serialize> ToSql for EnumText<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let word = serde_json::to_value(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(word.as_str().unwrap_or_default().to_owned().into())
    }
}

impl<T: for<'a> Deserialize<'a>> FromSql for EnumText<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?.into_deserializer();
        let read: Result<T, serde::de::value::Error> = T::deserialize(word);
        read.map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let count = value.as_i64()?;
        usize::try_from(count)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(count))
    }
}

/// A number as a column.
pub(super) struct HoldColumn(pub(super) HoldNumber);

impl ToSql for HoldColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // There is none that does not fit.
        Ok(i64::try_from(self.0.get()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for HoldColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let known = u64::try_from(number).ok().and_then(HoldNumber::new);
        known.map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

/// Somebody of a hold.
pub(super) struct PersonRow {
    pub(super) seen: Fingerprint,
    pub(super) person: HeldPerson,
    pub(super) ended_by: Option<EndedBy>,
    pub(super) became: Option<Became>,
    pub(super) decided: Option<Decided>,
}

/// Something that was done on a page.
pub(super) fn page_action(row: &Row<'_>) -> rusqlite::Result<PageAction> {
    let number: i64 = row.get("action")?;
    let Time(at) = row.get("at")?;
    let EnumText(kind) = row.get("kind")?;
    let hold: Option<i64> = row.get("hold")?;
    Ok(PageAction {
        number: u64::try_from(number).unwrap_or_default(),
        at,
        asked: AskedAction {
            by: row.get("done_by")?,
            from: row.get("came_from")?,
            kind,
            job: row.get("job")?,
            hold: hold.and_then(|hold| u64::try_from(hold).ok()),
            detail: row.get("detail")?,
        },
        result: row.get("result")?,
    })
}

/// Reads every row, so that later reads of this database cannot fail because of its content.
pub(super) fn read_all(connection: &Connection) -> rusqlite::Result<()> {
    each(connection, "SELECT * FROM runs", run)?;
    each(connection, "SELECT * FROM backoffs", backoff)?;
    each(connection, "SELECT * FROM pauses", pause)?;
    each(connection, "SELECT * FROM paused_kinds", paused_kind)?;
    each(connection, "SELECT * FROM refusals", refusal)?;
    each(connection, "SELECT * FROM absences", absence)?;
    each(connection, "SELECT * FROM disabled", absence)?;
    each(connection, "SELECT * FROM written", written)?;
    each(connection, "SELECT * FROM held_people", held)?;
    each(connection, "SELECT * FROM settings", setting)?;
    each(connection, "SELECT job FROM first_contacts", |row| {
        row.get::<_, String>("job")
    })?;
    each(connection, "SELECT directory FROM directories", |row| {
        row.get::<_, String>("directory")
    })?;
    each(connection, "SELECT dn FROM people", |row| {
        row.get::<_, String>("dn")
    })?;
    each(connection, "SELECT ftrack_ids FROM inactive", |row| {
        row.get::<_, Ids>("ftrack_ids")
    })?;
    each(connection, "SELECT * FROM stored_values", stored_value)?;
    each(connection, "SELECT known FROM known_changes", |row| {
        row.get::<_, JsonText<KnownChanges>>("known").map(drop)
    })?;
    each(connection, "SELECT * FROM known_users", known_user)?;
    each(connection, "SELECT at FROM clocks_agreed", |row| {
        row.get::<_, Time>("at").map(drop)
    })?;
    each(connection, "SELECT number FROM referrals", |row| {
        row.get::<_, Count>("number").map(drop)
    })?;
    each(connection, "SELECT dn, members FROM groups", |row| {
        let (_, Count(_)): (String, _) = (row.get("dn")?, row.get("members")?);
        Ok(())
    })?;
    each(connection, "SELECT * FROM freshness", freshness)?;
    each(connection, "SELECT * FROM preferred_servers", preferred)?;
    each(connection, "SELECT * FROM reading_sizes", reading_sizes)?;
    each(connection, "SELECT * FROM holds", hold)?;
    each(connection, "SELECT * FROM hold_people", held_person)?;
    each(connection, "SELECT * FROM rejected", rejected)?;
    each(connection, "SELECT * FROM page_actions", page_action)?;
    each(
        connection,
        "SELECT * FROM undelivered_messages",
        stored_message,
    )?;
    each(connection, "SELECT * FROM digests", digest_mark)?;
    each(connection, "SELECT at FROM failure_messages", |row| {
        row.get::<_, Time>("at").map(drop)
    })?;
    each(connection, "SELECT last FROM hold_counter", |row| {
        row.get::<_, Count>("last").map(drop)
    })?;
    each(connection, "SELECT base, entries FROM bases", |row| {
        let (_, Count(_)): (String, _) = (row.get("base")?, row.get("entries")?);
        Ok(())
    })
}

fn each<T>(
    connection: &Connection,
    query: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read(row)?;
    }
    Ok(())
}

pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    let time = |name| row.get(name).map(|Time(time)| time);
    let count = |name| row.get(name).map(|Count(count)| count);
    let (held, failed) = (count("held")?, count("failed")?);
    let counts = row.get::<_, Option<JsonText<_>>>("counts")?;
    let planned = row.get::<_, Option<JsonText<_>>>("planned")?;
    Ok(RunSummary {
        run: row.get("run")?,
        job: row.get("job")?,
        trigger: row.get("trigger").map(|EnumText(word)| word)?,
        dry_run: row.get("dry_run")?,
        for_some: row.get("for_some")?,
        observed: row.get("observed")?,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        outcome: row.get("outcome").map(|EnumText(word)| word)?,
        error_kind: row
            .get::<_, Option<EnumText<_>>>("error_kind")?
            .map(|EnumText(word)| word),
        error: row.get("error")?,
        ftrack: row.get("ftrack")?,
        replica: row.get("replica")?,
        entries: count("entries")?,
        owned: count("owned")?,
        owned_active: count("owned_active")?,
        linked: row
            .get::<_, Option<Count>>("linked")?
            .map(|Count(linked)| linked),
        unsettled: count("unsettled")?,
        held,
        failed,
        counts: counts.map_or_else(
            || Counts {
                held,
                failed,
                ..Counts::default()
            },
            |JsonText(counts)| counts,
        ),
        planned: planned.map(|JsonText(planned)| planned).unwrap_or_default(),
        alarm: row.get("alarm")?,
        open_holds: row
            .get::<_, Option<Count>>("open_holds")?
            .map_or(0, |Count(open)| open),
        oldest_hold: None,
        hold_numbers: Vec::new(),
    })
}

/// The directory, and how current it was.
pub(super) fn freshness(row: &Row<'_>) -> rusqlite::Result<(String, Freshness)> {
    let JsonText(newest) = row.get("newest")?;
    Ok((row.get("directory")?, newest))
}

/// What fitted an ftrack server.
pub(super) fn reading_sizes(row: &Row<'_>) -> rusqlite::Result<ReadingSizes> {
    let count = |name| row.get(name).map(|Count(count)| count);
    Ok(ReadingSizes {
        asked: CallSizes {
            page_rows: row.get("page_rows")?,
            calls: count("calls")?,
            changes: count("changes")?,
        },
        users: count("users")?,
        links: count("links")?,
    })
}

/// The server that counts as the preferred one.
pub(super) fn preferred(row: &Row<'_>) -> rusqlite::Result<PreferredServer> {
    let JsonText(preferred) = row.get("preferred")?;
    Ok(preferred)
}

pub(super) fn backoff(row: &Row<'_>) -> rusqlite::Result<Backoff> {
    Ok(Backoff {
        failures: row.get("failures")?,
        since: row.get("since").map(|Time(time)| time)?,
        retry_at: row.get("retry_at").map(|Time(time)| time)?,
        suspended: row.get("suspended")?,
        kind: row.get("kind").map(|EnumText(word)| word)?,
        error: row.get("error")?,
        asked: None,
    })
}

pub(super) fn pause(row: &Row<'_>) -> rusqlite::Result<Pause> {
    Ok(Pause {
        since: row.get("since").map(|Time(time)| time)?,
        until: row.get::<_, Option<Time>>("until")?.map(|Time(time)| time),
        reason: row.get("reason")?,
        by: row.get("paused_by")?,
    })
}

/// A kind of change of a job, and its pause.
pub(super) fn paused_kind(row: &Row<'_>) -> rusqlite::Result<(ChangeKind, Pause)> {
    Ok((row.get("kind").map(|EnumText(kind)| kind)?, pause(row)?))
}

pub(super) fn refusal(row: &Row<'_>) -> rusqlite::Result<(String, RefusedAccount)> {
    let refused = RefusedAccount {
        mark: row.get("mark")?,
        failures: row.get("failures")?,
        refused_at: row.get("refused_at").map(|Time(time)| time)?,
        next_at: row.get("next_at").map(|Time(time)| time)?,
        error: row.get("error")?,
    };
    Ok((row.get("server")?, refused))
}

pub(super) fn written(row: &Row<'_>) -> rusqlite::Result<Written> {
    Ok(Written {
        run: row.get("run")?,
        kind: row.get("kind").map(|EnumText(kind)| kind)?,
        at: clocks(row, "at", "at_ftrack")?,
        number: row.get("number").map(|Count(number)| number)?,
        since: row.get("since").map(|Time(since)| since)?,
        is_settled: row.get("settled")?,
    })
}

pub(super) fn held(row: &Row<'_>) -> rusqlite::Result<(HeldBy, ChangeKind, String, String)> {
    Ok((
        row.get("held_by").map(|EnumText(by)| by)?,
        row.get("kind").map(|EnumText(kind)| kind)?,
        row.get("directory_id")?,
        row.get("cause")?,
    ))
}

/// A setting; none where this version has no such setting.
pub(super) fn setting(row: &Row<'_>) -> rusqlite::Result<Option<(Setting, String)>> {
    let name: String = row.get("setting")?;
    let value = row.get("value")?;
    Ok(Setting::named(&name).map(|setting| (setting, value)))
}

/// A field of a user that ftrack stores otherwise than it was written.
pub(super) fn stored_value(row: &Row<'_>) -> rusqlite::Result<(EntityId, Field, WrittenAndStored)> {
    let digest = |column| {
        let text: String = row.get(column)?;
        ValueDigest::parse(&text).ok_or_else(|| {
            let problem = format!("{text:?} is no digest").into();
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, problem)
        })
    };
    Ok((
        row.get("ftrack_id").map(|EnumText(id)| id)?,
        row.get("field").map(|EnumText(field)| field)?,
        WrittenAndStored {
            wanted: digest("wanted")?,
            stored: digest("stored")?,
        },
    ))
}

/// What the clocks showed, in two columns.
fn clocks(row: &Row<'_>, here: &str, ftrack: &str) -> rusqlite::Result<Clocks> {
    Ok(Clocks {
        here: row.get(here).map(|Time(time)| time)?,
        ftrack: row.get::<_, Option<Time>>(ftrack)?.map(|Time(time)| time),
    })
}

pub(super) fn absence(row: &Row<'_>) -> rusqlite::Result<(String, Absence)> {
    let absence = Absence {
        since: clocks(row, "since", "since_ftrack")?,
        reads: row.get("reads")?,
    };
    Ok((row.get("directory_id")?, absence))
}

/// A row of the index.
pub(super) fn known_user(row: &Row<'_>) -> rusqlite::Result<(EntityId, KnownUser)> {
    let EnumText(id) = row.get("ftrack_id")?;
    Ok((
        id,
        KnownUser {
            directory_id: row.get("directory_id")?,
            username: row.get("username")?,
            email: row.get("email")?,
        },
    ))
}

/// A message that its receiver has not taken.
pub(super) fn stored_message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        job: row.get("job")?,
        receiver: row.get("receiver")?,
        id: row.get("id")?,
        at: row.get("at").map(|Time(at)| at)?,
        message: row.get("message")?,
        settled: row.get("settled").map(|JsonText(settled)| settled)?,
    })
}

/// Up to when the digests of a job are made.
pub(super) fn digest_mark(row: &Row<'_>) -> rusqlite::Result<DigestMark> {
    Ok(DigestMark {
        job: row.get("job")?,
        schedule: row.get("schedule")?,
        until: row.get("until").map(|Time(until)| until)?,
    })
}

/// A numbered hold, without its people.
pub(super) fn hold(row: &Row<'_>) -> rusqlite::Result<OpenHold> {
    let ended_at = row.get::<_, Option<Time>>("ended_at")?;
    let ended_by = row.get::<_, Option<EnumText<EndedBy>>>("ended_by")?;
    Ok(OpenHold {
        hold: row.get("hold").map(|HoldColumn(hold)| hold)?,
        job: row.get("job")?,
        held_by: row.get("held_by").map(|EnumText(by)| by)?,
        kind: row.get("kind").map(|EnumText(kind)| kind)?,
        since: row.get("since").map(|Time(since)| since)?,
        runs: row.get("runs").map(|Count(runs)| runs)?,
        changes: 0,
        opens_at: row
            .get::<_, Option<Time>>("opens_at")?
            .map(|Time(opens_at)| opens_at),
        why: row.get("why")?,
        ended: ended_at.map(|Time(at)| Ended {
            at,
            by: ended_by.map_or(EndedBy::Cause, |EnumText(by)| by),
            became: BTreeMap::new(),
        }),
        people: Vec::new(),
        left: Vec::new(),
    })
}

/// Somebody of a hold.
pub(super) fn held_person(row: &Row<'_>) -> rusqlite::Result<PersonRow> {
    let by = row.get::<_, Option<String>>("decided_by")?;
    let at = row.get::<_, Option<Time>>("decided_at")?;
    Ok(PersonRow {
        seen: row.get("seen").map(|EnumText(seen)| seen)?,
        person: row.get("person").map(|JsonText(person)| person)?,
        ended_by: row
            .get::<_, Option<EnumText<_>>>("ended_by")?
            .map(|EnumText(by)| by),
        became: row
            .get::<_, Option<EnumText<_>>>("became")?
            .map(|EnumText(became)| became),
        decided: by.zip(at).map(|(by, Time(at))| Decided { by, at }),
    })
}

/// A rejected edit of a user.
pub(super) fn rejected(row: &Row<'_>) -> rusqlite::Result<RejectedRow> {
    let EnumText(user) = row.get("ftrack_id")?;
    let at = row.get::<_, Option<Time>>("at")?;
    let hold = row.get::<_, Option<HoldColumn>>("hold")?;
    let who = row.get::<_, Option<JsonText<_>>>("person")?;
    Ok(RejectedRow {
        job: row.get("job")?,
        user,
        edit: row.get("edit")?,
        hold: hold.map(|HoldColumn(hold)| hold),
        at: at.map(|Time(at)| at),
        by: row.get("rejected_by")?,
        who: who.map(|JsonText(who)| who),
        is_in_link: row.get("in_link")?,
    })
}
