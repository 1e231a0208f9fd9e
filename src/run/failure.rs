//! Why a run ended early, or could not start.

use super::saved::Stale;
use crate::{
    directory::{DirectoryError, ReadFailure},
    ftrack::{error::FtrackError, stopped::StopCause},
    model::{hold_number::HoldNumber, open_hold::EndedBy, report::FailureKind},
    state::{files::StateError, history::HistoryError, lock::LockError, snapshots::SnapshotError},
};

/// Why a run ended early; the report contains the rest.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: FailureKind,
    /// As text.
    pub why: String,
}

/// A run did not start, and there is no report of it.
#[derive(Debug, thiserror::Error)]
pub enum RunStartError {
    /// Another run of the job is in progress, of this program or of another one on the same state
    /// directory.
    #[error(transparent)]
    Busy(StateError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A dry run of a job whose changes cannot be planned.
    #[error(transparent)]
    NotPlannable(#[from] NotPlannable),
    /// The job never reads only what changed.
    #[error(transparent)]
    NoChanges(#[from] NoChanges),
    /// The job only observes.
    #[error(transparent)]
    OnlyObserves(#[from] OnlyObserves),
    /// There is nothing to approve.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// Whom the run was for cannot be told from the names.
    #[error("{0}")]
    Misnamed(String),
    /// There is nothing to put back.
    #[error(transparent)]
    PutBack(#[from] PutBackError),
}

/// Why nothing can be undone or restored.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum PutBackError {
    #[error(
        "the run {run} is one of the job {job:?}, which is not configured any more, so it cannot be \
         undone"
    )]
    NoJob { run: String, job: String },
    #[error(
        "the run {run} is one of ftrack's own synchronisation, and its report shows what is \
         different since, not what it wrote: `restore {run}` puts those users back whom it changed"
    )]
    OfFtrack { run: String },
    #[error("the run {run} only looked, and wrote nothing that could be undone")]
    DryRun { run: String },
    #[error("the run {run} wrote nothing, so there is nothing to undo")]
    WroteNothing { run: String },
    #[error(
        "{what} is of the ftrack server {there}, and the job {job:?} has {here} now, so nothing is \
         put back"
    )]
    OtherServer {
        /// The run or the snapshot.
        what: String,
        job: String,
        there: String,
        here: String,
    },
    #[error(
        "{many}, so nothing was written: say --yes to do it all the same, --dry-run to see it, or run \
         it on a terminal, where it is shown first (in a container by exec -it)"
    )]
    Unconfirmed {
        /// How many it deactivates.
        many: String,
    },
    #[error("--only: {what} names nobody with the login, mail address, DN or id {who:?}")]
    Nobody {
        /// The run or the snapshot.
        what: String,
        who: String,
    },
    #[error(transparent)]
    Report(#[from] HistoryError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// What a person approved is for a job that only observes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the job {job:?} has mode = \"observe\" and writes nothing to ftrack; mode = \"sync\" \
     lets it write"
)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct OnlyObserves {
    pub job: String,
}

/// A job never reads only what changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the job {job:?} has no changes_schedule and no watch, so no run of it notes up to where the \
     changes are known; set one, or run it without --changes"
)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct NoChanges {
    pub job: String,
}

/// The changes of a job's run cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the job {job:?} is of kind \"ftrack-ldap\": the changes of ftrack's own synchronisation \
     cannot be planned; `sync {job}` runs it and reports what it changed"
)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct NotPlannable {
    pub job: String,
}

/// Why nothing can be decided about a hold.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum HoldError {
    #[error("there is no hold {0}, or it ended long ago; `holds` lists those that are open")]
    Unknown(HoldNumber),
    /// It has ended.
    #[error(
        "hold {hold} is settled: {}, at {at}; nothing is left to decide, and nothing was written{}",
        ended.in_words(),
        way_back(*hold, *ended)
    )]
    Settled {
        hold: HoldNumber,
        ended: EndedBy,
        /// When, as text.
        at: String,
    },
    #[error("hold {hold} holds nobody named {who:?}{elsewhere}; `holds show {hold}` lists them")]
    Nobody {
        hold: HoldNumber,
        who: String,
        /// Which other hold does, to append.
        elsewhere: String,
    },
    /// It holds the person no more.
    #[error("hold {hold} holds {who:?} no more: {told}; nothing was decided")]
    Decided {
        hold: HoldNumber,
        who: String,
        /// What became of it, when, and by whom.
        told: String,
    },
    #[error(
        "hold {hold} holds {people}, who are all named {who:?}, so nothing was decided; name the \
         person by the DN or an id"
    )]
    Several {
        hold: HoldNumber,
        who: String,
        /// Who they are.
        people: String,
    },
    #[error(
        "hold {hold} cannot be approved: what it holds would leave ftrack without an active \
         administrator; make somebody else one first"
    )]
    LastAdministrator { hold: HoldNumber },
    #[error("hold {hold} cannot be approved now, and nothing was written: {why}; {then}")]
    Paused {
        hold: HoldNumber,
        /// Which pause is on, and what ends it.
        why: String,
        /// What comes after that.
        then: &'static str,
    },
    #[error("hold {hold} is one of the job {job:?}, which is not configured any more")]
    NoJob { hold: HoldNumber, job: String },
    #[error(
        "nothing of hold {hold} is rejected, or not any more; `holds --rejected` lists what is"
    )]
    NotRejected { hold: HoldNumber },
    #[error("nothing is rejected")]
    NothingRejected,
    #[error("nothing is rejected of anybody named {who:?}; `holds --rejected` lists whom")]
    NobodyRejected { who: String },
    #[error(
        "{people} are all named {who:?}, so nothing was decided; name the person by the DN or an id"
    )]
    SeveralRejected {
        who: String,
        /// Who they are.
        people: String,
    },
    /// The links could not be read or written.
    #[error("it stays rejected, as the users' links at ftrack say so: {0}; try it again")]
    NotTakenBack(String),
    #[error(transparent)]
    State(#[from] StateError),
}

/// How a decision is taken back.
fn way_back(hold: HoldNumber, ended: EndedBy) -> String {
    match ended {
        EndedBy::Rejected => format!("; `unreject {hold}` takes the rejection back"),
        EndedBy::Approved | EndedBy::Cause => String::new(),
    }
}

/// Which server could not be read.
pub(super) enum ReadError {
    Directory(ReadFailure),
    Ftrack(FtrackError),
}

/// A plan could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A server could not be read.
    #[error("{0}")]
    Read(String),
    /// The changes cannot be planned.
    #[error(transparent)]
    CannotTell(#[from] NotPlannable),
}

impl Failure {
    /// The plan that a person gave is not applied.
    pub fn plan_refused(stale: &Stale) -> Self {
        Self {
            kind: FailureKind::PlanRefused,
            why: stale.to_string(),
        }
    }

    /// Both servers were read, but the result must not be used.
    pub fn refused(why: impl std::fmt::Display) -> Self {
        Self {
            kind: FailureKind::Refused,
            why: why.to_string(),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self {
            kind: FailureKind::State,
            why: error.to_string(),
        }
    }
}

impl From<LockError> for RunStartError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Taken(error) => Self::Busy(error),
            LockError::State(error) => Self::State(error),
        }
    }
}

impl From<StopCause> for FailureKind {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Requested => Self::Stopped,
            StopCause::TimeLimit => Self::TimeLimit,
            StopCause::Credentials => Self::FtrackRefused,
            StopCause::Other => Self::Ftrack,
        }
    }
}

impl From<&FtrackError> for FailureKind {
    fn from(error: &FtrackError) -> Self {
        error.cause().into()
    }
}

impl From<&DirectoryError> for FailureKind {
    fn from(error: &DirectoryError) -> Self {
        match error {
            _ if error.is_refusal() => Self::DirectoryRefused,
            DirectoryError::Cancelled => Self::Stopped,
            DirectoryError::Deadline { .. } => Self::TimeLimit,
            DirectoryError::File { .. }
            | DirectoryError::Settings { .. }
            | DirectoryError::ServersNotFound { .. }
            | DirectoryError::NameNotResolved { .. }
            | DirectoryError::Connect { .. }
            | DirectoryError::TimedOut { .. }
            | DirectoryError::StartTlsRefused { .. }
            | DirectoryError::Tls { .. }
            | DirectoryError::Gssapi { .. }
            | DirectoryError::BindRefused { .. }
            | DirectoryError::NoSuchBase { .. }
            | DirectoryError::Refused { .. }
            | DirectoryError::Referred { .. }
            | DirectoryError::NotProven { .. }
            | DirectoryError::UnknownNames { .. }
            | DirectoryError::Group { .. }
            | DirectoryError::TooMuch { .. }
            | DirectoryError::Garbled { .. }
            | DirectoryError::Lost { .. }
            | DirectoryError::PoolExhausted { .. }
            | DirectoryError::NotAsked { .. }
            | DirectoryError::AllServers(_) => Self::Directory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::BindMethod;

    fn refused(code: u32) -> DirectoryError {
        DirectoryError::BindRefused {
            by: BindMethod::Simple,
            server: "ldap://a".into(),
            who: "cn=sync".into(),
            with: None,
            code,
            text: String::new(),
        }
    }

    #[test]
    fn refused_credentials_are_found_wherever_they_are() {
        let lost = || DirectoryError::Lost {
            server: "ldap://b".into(),
            tried: "the bind".into(),
            reason: "x".into(),
        };
        for error in [
            refused(49),
            refused(53),
            DirectoryError::AllServers(vec![lost(), DirectoryError::AllServers(vec![refused(49)])]),
        ] {
            assert_eq!(
                FailureKind::from(&error),
                FailureKind::DirectoryRefused,
                "{error}"
            );
        }
        // A busy server says nothing about a password.
        for error in [
            refused(51),
            refused(52),
            DirectoryError::AllServers(vec![lost(), refused(52)]),
            lost(),
        ] {
            assert_eq!(FailureKind::from(&error), FailureKind::Directory, "{error}");
        }
    }
}
