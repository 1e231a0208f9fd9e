//! ftrack's own LDAP synchronisation: started once, and followed by its id to its end.
//!
//! The server creates a `Job` for it (`delayed_job` with `SYNC_USERS_LDAP`, see the vendor's page
//! on that API call); neither the content of `Job.data` nor the `Job.type` is documented, so a job
//! is identified only by its id.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    answer::AnyAnswer,
    error::{FtrackError, FtrackErrorKind, WriteFailure},
    operation::Operation,
    page, query,
    row::{Row, bounded, of_value},
    session::{Reader, Until, Writer},
};
use crate::model::{
    server_job::{ServerJob, Status},
    user::EntityId,
};

/// How many of the newest jobs are recorded before one is started: far more than are created while
/// one call is answered.
const NOTED: u32 = 200;
/// The first interval between two polls of a job.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest interval between two polls.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The number of polls in a row in which a job must be missing before it counts as gone: one of
/// several servers may not know it yet.
const MISSING_LOOKS: u32 = 3;

/// The newest jobs at one time, to recognise later ones.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Noted {
    ids: BTreeSet<EntityId>,
    newest: Option<String>,
}

/// Why no job is followed.
#[derive(Debug)]
pub enum NotStarted {
    /// The server refused the call, or was not reached: nothing was started.
    Refused(FtrackError),
    /// It is not known whether something was started.
    Unclear(String),
}

/// Why a job was not followed to its end.
#[derive(Debug)]
pub enum NotFollowed {
    /// It was still queued or running at the deadline.
    Late,
    /// The server no longer knows it, or never showed it.
    Vanished,
    /// The server could not be asked.
    Unread(FtrackError),
}

/// A job, as a query returns it.
#[derive(Debug, Deserialize)]
struct JobRow {
    id: EntityId,
    #[serde(default)]
    status: Option<String>,
    #[serde(default, deserialize_with = "bounded")]
    data: Value,
    #[serde(default, deserialize_with = "bounded")]
    created_at: Value,
    #[serde(default)]
    user_id: Option<EntityId>,
}

impl Row for JobRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.id.heap_size() + of_value(&self.data) + of_value(&self.created_at)
    }
}

impl JobRow {
    /// Its creation time; ftrack writes a time as an object, and newer servers may write it as
    /// text.
    fn created_at(&self) -> Option<&str> {
        self.created_at
            .as_str()
            .or_else(|| self.created_at.get("value")?.as_str())
    }

    fn shown(self, reader: &Reader) -> ServerJob {
        let text = match &self.data {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => {
                Some(reader.excerpt(&described(text).unwrap_or_else(|| text.clone())))
            }
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(reader.excerpt(&other.to_string()))
            }
        };
        ServerJob {
            id: self.id,
            // A row without a status is read again.
            status: self
                .status
                .as_deref()
                .map_or(Status::Queued, |word| status(word, reader)),
            text,
        }
    }
}

/// The text of a JSON object with only a description, as the vendor's own jobs have it.
fn described(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Described {
        description: String,
    }
    serde_json::from_str::<Described>(text)
        .ok()
        .map(|described| described.description)
}

fn status(word: &str, reader: &Reader) -> Status {
    match word {
        "queued" => Status::Queued,
        "running" => Status::Running,
        "done" => Status::Done,
        "failed" => Status::Failed,
        other => Status::Unknown(reader.excerpt(other)),
    }
}

/// Records the newest jobs, of any kind.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn note(reader: &Reader, until: &Until) -> Result<Noted, FtrackError> {
    let rows = newest(reader, until).await?;
    Ok(Noted {
        newest: rows
            .iter()
            .filter_map(JobRow::created_at)
            .max()
            .map(str::to_owned),
        ids: rows.into_iter().map(|row| row.id).collect(),
    })
}

async fn newest(reader: &Reader, until: &Until) -> Result<Vec<JobRow>, FtrackError> {
    page::beginning::<JobRow>(reader, &query::newest_jobs(), NOTED, until).await
}

/// Starts the synchronisation: one call, which is repeated only where the server provably did not
/// process it. After an unclear answer, the one job that was created since `noted`, and belongs to
/// nobody else than `api_user`, is taken for it.
///
/// # Errors
/// Nothing was started, or it is not known whether something was.
pub async fn start(
    writer: &Writer,
    noted: &Noted,
    api_user: Option<&EntityId>,
    until: &Until,
) -> Result<ServerJob, NotStarted> {
    let reader = writer.reader();
    let answers = writer
        .write_as::<AnyAnswer>(&[Operation::start_ldap_sync()], until)
        .await;
    let error = match answers {
        Ok(answers) => {
            let answer = answers.into_iter().next();
            let answer = answer.map_or(Value::Null, |AnyAnswer(answer)| answer);
            return of_answer(answer.get("data").unwrap_or(&answer), reader);
        }
        // An error of the server's own, after which the job may exist all the same.
        Err(WriteFailure::Refused(error))
            if error.refusal().is_some_and(|refusal| refusal.status >= 500) =>
        {
            error
        }
        Err(
            WriteFailure::Refused(error)
            | WriteFailure::NotSent(error)
            | WriteFailure::Fatal(error),
        ) => return Err(NotStarted::Refused(error)),
        Err(WriteFailure::Unclear(error)) => error,
    };
    let unclear = |why: &dyn fmt::Display| {
        NotStarted::Unclear(format!(
            "it is not known whether ftrack started it, since {error}; {why}, so none is \
             followed, and none is started again before the next scheduled or manual run"
        ))
    };
    match come_about_since(reader, noted, api_user, until).await {
        Ok(Ok(job)) => Ok(job),
        Ok(Err(why)) => Err(unclear(&why)),
        Err(unread) => Err(unclear(&format!(
            "the server's jobs could not be read either: {unread}"
        ))),
    }
}

/// The job in the server's answer.
fn of_answer(answer: &Value, reader: &Reader) -> Result<ServerJob, NotStarted> {
    let row = serde_json::from_str::<JobRow>(&answer.to_string());
    row.map(|row| row.shown(reader)).map_err(|_| {
        NotStarted::Unclear(format!(
            "ftrack answered the start of its own LDAP synchronisation without the id of a job, \
             so it cannot be followed: {}",
            reader.excerpt(&answer.to_string())
        ))
    })
}

/// The one job that was created since, and belongs to nobody else than the API user; or why there
/// is none to be taken for it.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn come_about_since(
    reader: &Reader,
    noted: &Noted,
    api_user: Option<&EntityId>,
    until: &Until,
) -> Result<Result<ServerJob, String>, FtrackError> {
    let rows = newest(reader, until).await?;
    // An older job may be among the newest now only because another one was deleted.
    let is_later = |row: &JobRow| match (row.created_at(), noted.newest.as_deref()) {
        (Some(made), Some(newest)) => made >= newest,
        (None, _) | (_, None) => true,
    };
    let is_ours = |row: &JobRow| {
        row.user_id.is_none() || api_user.is_none() || row.user_id.as_ref() == api_user
    };
    let mut new = rows
        .into_iter()
        .filter(|row| !noted.ids.contains(&row.id) && is_later(row) && is_ours(row));
    Ok(match (new.next(), new.count()) {
        (Some(only), 0) => Ok(only.shown(reader)),
        (Some(_), more) => Err(format!("{} jobs were created meanwhile", more + 1)),
        (None, _) => Err("no job was created meanwhile".to_owned()),
    })
}

/// Looks for a job that should exist; `None` when the server does not show it several times in a
/// row.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn find(
    reader: &Reader,
    id: &EntityId,
    until: &Until,
) -> Result<Option<ServerJob>, FtrackError> {
    for _ in 1..MISSING_LOOKS {
        if let Some(job) = look(reader, id, until).await? {
            return Ok(Some(job));
        }
        tokio::select! {
            () = until.cancel.cancelled() => {}
            () = tokio::time::sleep(FIRST_WAIT) => {}
        }
    }
    look(reader, id, until).await
}

/// Reads a job once; `None` when the server does not show it.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn look(
    reader: &Reader,
    id: &EntityId,
    until: &Until,
) -> Result<Option<ServerJob>, FtrackError> {
    let rows = page::beginning::<JobRow>(reader, &query::job(id), 2, until).await?;
    Ok(rows
        .into_iter()
        .find(|row| row.id == *id)
        .map(|row| row.shown(reader)))
}

/// Polls a job in growing intervals until it has ended, or the deadline of `until` has passed;
/// `job` is its last known state, and `seen` is called after each poll.
///
/// # Errors
/// The job did not end, or could not be followed to its end. Temporary errors are retried.
pub async fn follow(
    reader: &Reader,
    job: &mut ServerJob,
    until: &Until,
    seen: impl Fn(&ServerJob),
) -> Result<(), NotFollowed> {
    let (mut wait, mut missing, mut unread) = (FIRST_WAIT, 0, None);
    // If the server has not answered lately, report that.
    let late =
        |unread: Option<FtrackError>| Err(unread.map_or(NotFollowed::Late, NotFollowed::Unread));
    while job.is_under_way() {
        seen(job);
        let left = until.deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            () = until.cancel.cancelled() => return Err(NotFollowed::Unread(reader.error_of("following the server's job", FtrackErrorKind::Cancelled))),
            () = tokio::time::sleep(wait.min(left)) => {}
        }
        if Instant::now() >= until.deadline {
            return late(unread);
        }
        match look(reader, &job.id, until).await {
            Ok(Some(now)) => {
                (missing, unread) = (0, None);
                *job = now;
            }
            Ok(None) if missing + 1 >= MISSING_LOOKS => return Err(NotFollowed::Vanished),
            Ok(None) => missing += 1,
            Err(error) if matches!(error.kind(), FtrackErrorKind::DeadlinePassed) => {
                return late(unread);
            }
            Err(error)
                if error.may_be_retried()
                    && !matches!(error.kind(), FtrackErrorKind::Cancelled) =>
            {
                unread = Some(error)
            }
            Err(error) => return Err(NotFollowed::Unread(error)),
        }
        wait = (wait * 3 / 2).min(LONGEST_WAIT);
    }
    Ok(())
}
