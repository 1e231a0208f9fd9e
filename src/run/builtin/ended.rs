//! The result of a synchronisation as a message that says what to do.

use std::time::Duration;

use crate::{
    ftrack::{
        builtin_sync::NotFollowed,
        error::{FtrackError, FtrackErrorKind},
    },
    model::{
        report::FailureKind,
        server_job::{ServerJob, Status},
    },
    run::failure::Failure,
};

/// Where an administrator configures it.
const SETTINGS: &str = "System settings > Resources > LDAP settings";

/// Whether the result of the server's job is known.
pub(super) enum SyncEnd {
    /// It has ended, and the run reports the result.
    Seen(Result<(), Failure>),
    /// It may still be running, or its state is unknown.
    Unseen(Failure),
}

/// The server's message for a synchronisation that is not configured is not known, so each refusal
/// gets the same advice.
pub(super) fn refused(error: &FtrackError) -> Failure {
    let why = match (error.kind(), error.refusal()) {
        (FtrackErrorKind::Refused(_), Some(refusal)) => {
            format!(
                "ftrack did not start its own LDAP synchronisation, and reports: {refusal}; is it \
                 configured? See {SETTINGS} in ftrack"
            )
        }
        _ => format!("ftrack's own LDAP synchronisation was not started: {error}"),
    };
    let kind = match (FailureKind::from(error), error.kind()) {
        // The key was valid for reading the users right before.
        (FailureKind::FtrackRefused, trouble)
            if !matches!(trouble, FtrackErrorKind::Credentials(_)) =>
        {
            FailureKind::Ftrack
        }
        (kind, _) => kind,
    };
    Failure { kind, why }
}

/// The result of a job that has ended.
pub(super) fn over(job: &ServerJob) -> SyncEnd {
    let text = job.text.as_deref().unwrap_or("no reason");
    match &job.status {
        Status::Done | Status::Queued | Status::Running => SyncEnd::Seen(Ok(())),
        Status::Failed => SyncEnd::Seen(Err(Failure {
            kind: FailureKind::Ftrack,
            why: format!(
                "ftrack's own LDAP synchronisation failed (its job {}), and ftrack reports: \
                 {text}; is it configured? See {SETTINGS} in ftrack",
                job.id
            ),
        })),
        Status::Unknown(word) => SyncEnd::Unseen(Failure {
            kind: FailureKind::FtrackUnclear,
            why: format!(
                "ftrack reports the status {word:?} for its own LDAP synchronisation (its job \
                 {}), which this version does not know, so its result is not known either; see \
                 the job in ftrack",
                job.id
            ),
        }),
    }
}

pub(super) fn not_followed(job: &ServerJob, why: NotFollowed, limit: Duration) -> Failure {
    let (id, limit) = (&job.id, humantime::format_duration(limit));
    match why {
        NotFollowed::Late if job.status == Status::Queued => Failure {
            kind: FailureKind::TimeLimit,
            why: format!(
                "ftrack did not start its own LDAP synchronisation: its job {id} was still queued \
                 when the time limit of {limit} was nearly over; check ftrack's job worker. The \
                 job may start later"
            ),
        },
        NotFollowed::Late => Failure {
            kind: FailureKind::TimeLimit,
            why: format!(
                "ftrack's own LDAP synchronisation (its job {id}) was still {} when the time \
                 limit of {limit} was nearly over; it continues in ftrack, and the next run \
                 follows it. If it needs that long, raise time_limit",
                job.status
            ),
        },
        NotFollowed::Vanished => Failure {
            kind: FailureKind::FtrackUnclear,
            why: format!(
                "ftrack does not show the job {id} of its own LDAP synchronisation, whose last \
                 known status was {}, so its result is not known; does the key's role have read \
                 access to jobs?",
                job.status
            ),
        },
        NotFollowed::Unread(error) if matches!(error.kind(), FtrackErrorKind::Cancelled) => {
            Failure {
                kind: FailureKind::Stopped,
                why: format!(
                    "the run was stopped on request while ftrack's own LDAP synchronisation (its \
                     job {id}) \
                 was {}; it continues in ftrack, and the next run follows it",
                    job.status
                ),
            }
        }
        NotFollowed::Unread(error) => Failure {
            kind: FailureKind::from(&error),
            why: format!(
                "ftrack's own LDAP synchronisation (its job {id}) could not be followed: {error}; \
                 its last known status was {}, and the next run looks for it",
                job.status
            ),
        },
    }
}

/// The users could not be read again.
pub(super) fn unread_after(ended: SyncEnd, error: &FtrackError) -> Failure {
    let (kind, how) = match ended {
        SyncEnd::Seen(Ok(())) => (
            FailureKind::from(error),
            "ftrack's own LDAP synchronisation is done".to_owned(),
        ),
        SyncEnd::Seen(Err(Failure { kind, why })) | SyncEnd::Unseen(Failure { kind, why }) => {
            (kind, why)
        }
    };
    Failure {
        kind,
        why: format!(
            "{how}; the users could not be read again, so the next run reports its changes: {error}"
        ),
    }
}
