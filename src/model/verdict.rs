//! What a run does about somebody, in one word: a name that scripts rely on, and words for people.

use serde::{Deserialize, Serialize};

use crate::model::reason::{ADOPT_NEVER, Reason};

/// What a run does about somebody, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The user is as it should be, or nothing is to be done.
    InStep,
    /// A user is created.
    Create,
    /// An existing user becomes the person's.
    Adopt,
    /// The user gets other values.
    Update,
    /// The user is deactivated.
    Deactivate,
    /// The user is reactivated.
    Reactivate,
    /// A change waits for a person, a window, or the end of a freeze or a pause.
    Held,
    /// A person rejected the change.
    Rejected,
    /// Missing, or disabled, but not for long enough.
    Waiting,
    /// The job's filter does not match the entry.
    FilteredOut,
    /// The entry is outside of the job's search bases.
    OutsideBases,
    /// The person is in none of the job's groups.
    NotAMember,
    /// The person may not sign in.
    Disabled,
    /// The entry lacks a value that is required.
    MissingValue,
    /// A value of the entry cannot be used.
    InvalidValue,
    /// Somebody else has, or claims, the same login, mail or user.
    Collision,
    /// The entry was most likely deleted and made again.
    Successor,
    /// The user is never changed, or only with an approval.
    Protected,
    /// The user is an administrator, and changes only with an approval.
    Administrator,
    /// Somebody else deactivated the user.
    DeactivatedByHand,
    /// Another job owns the user.
    OtherSource,
    /// The user belongs to no job.
    NotOwned,
    /// ftrack had no seat for the user.
    NoSeat,
    /// Nobody is known by that name.
    Unknown,
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in_step",
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Waiting => "waiting",
            Self::FilteredOut => "filtered_out",
            Self::OutsideBases => "outside_bases",
            Self::NotAMember => "not_a_member",
            Self::Disabled => "disabled",
            Self::MissingValue => "missing_value",
            Self::InvalidValue => "invalid_value",
            Self::Collision => "collision",
            Self::Successor => "successor",
            Self::Protected => "protected",
            Self::Administrator => "administrator",
            Self::DeactivatedByHand => "deactivated_by_hand",
            Self::OtherSource => "other_source",
            Self::NotOwned => "not_owned",
            Self::NoSeat => "no_seat",
            Self::Unknown => "unknown",
        }
    }

    /// The same for people; of a past run, what it found.
    #[must_use]
    pub fn in_words(self, is_past: bool) -> &'static str {
        if is_past {
            return self.in_past_words();
        }
        match self {
            Self::InStep => "nothing is to be done",
            Self::Create => "a user is to be created",
            Self::Adopt => "an existing user is to become the person's",
            Self::Update => "the user is to be changed",
            Self::Deactivate => "the user is to be deactivated",
            Self::Reactivate => "the user is to be reactivated",
            Self::Held => "a change is held",
            Self::Rejected => "a person rejected the change, or had it undone",
            Self::Waiting => "nothing is done yet",
            Self::FilteredOut => "not one of the job's people: the filter does not match",
            Self::OutsideBases => "not one of the job's people: outside of the search bases",
            Self::NotAMember => "not one of the job's people: in none of its groups",
            Self::Disabled => "may not sign in, as the directory says",
            Self::MissingValue => "the entry is skipped: a value is missing",
            Self::InvalidValue => "the entry is skipped: a value cannot be used",
            Self::Collision => "somebody else has, or asks for, the same",
            Self::Successor => "a change is held: the entry was most likely made again",
            Self::Protected => "a protected user",
            Self::Administrator => "a change is held: the last administrator",
            Self::DeactivatedByHand => "somebody deactivated the user in ftrack",
            Self::OtherSource => "the user belongs to another job",
            Self::NotOwned => "the user belongs to no job",
            Self::NoSeat => "ftrack had no seat for the user",
            Self::Unknown => "nobody is known by that name",
        }
    }

    /// The same of a past run that did it.
    #[must_use]
    pub fn in_words_of_done(self) -> &'static str {
        match self {
            Self::Create => "a user was created",
            Self::Adopt => "an existing user became the person's",
            Self::Update => "the user was changed",
            Self::Deactivate => "the user was deactivated",
            Self::Reactivate => "the user was reactivated",
            Self::InStep
            | Self::Held
            | Self::Rejected
            | Self::Waiting
            | Self::FilteredOut
            | Self::OutsideBases
            | Self::NotAMember
            | Self::Disabled
            | Self::MissingValue
            | Self::InvalidValue
            | Self::Collision
            | Self::Successor
            | Self::Protected
            | Self::Administrator
            | Self::DeactivatedByHand
            | Self::OtherSource
            | Self::NotOwned
            | Self::NoSeat
            | Self::Unknown => self.in_past_words(),
        }
    }

    fn in_past_words(self) -> &'static str {
        match self {
            Self::InStep => "nothing was to be done",
            Self::Create => "a user was to be created",
            Self::Adopt => "an existing user was to become the person's",
            Self::Update => "the user was to be changed",
            Self::Deactivate => "the user was to be deactivated",
            Self::Reactivate => "the user was to be reactivated",
            Self::Held => "a change was held",
            Self::Waiting => "nothing was done yet",
            Self::Unknown => "the report does not say",
            Self::MissingValue => "the entry was skipped: a value was missing",
            Self::InvalidValue => "the entry was skipped: a value could not be used",
            Self::Successor => "a change was held: the entry was most likely made again",
            Self::Administrator => "a change was held: the last administrator",
            Self::NoSeat
            | Self::Rejected
            | Self::FilteredOut
            | Self::OutsideBases
            | Self::NotAMember
            | Self::Disabled
            | Self::Collision
            | Self::Protected
            | Self::DeactivatedByHand
            | Self::OtherSource
            | Self::NotOwned => self.in_words(false),
        }
    }
}

impl Reason {
    /// The verdict where this is why nothing is changed.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NoId
            | Self::TooLarge
            | Self::SeveralIds(_)
            | Self::AliasEntry
            | Self::InvalidValue(_)
            | Self::EntrySkipped => Verdict::InvalidValue,
            Self::MissingValue(_) => Verdict::MissingValue,
            Self::SeveralUsers(_)
            | Self::ClaimedBy(_)
            | Self::LinkOfAnother(_)
            | Self::SeveralAdoptable(_)
            | Self::Contested(_)
            | Self::UsernameTaken(_)
            | Self::SharedLink => Verdict::Collision,
            Self::NotAdopted(refused) if refused.1 == ADOPT_NEVER => Verdict::NotOwned,
            // What it is, an administrator perhaps, is why it never becomes anybody's.
            Self::NotAdopted(_)
            | Self::OwnUsername(_)
            | Self::ProtectedUsername(_)
            | Self::Untouchable(_)
            | Self::UntouchableLeft(_) => Verdict::Protected,
            Self::Unlinked(_) => Verdict::NotOwned,
            Self::OfJob(_) | Self::MovedToJob(_) | Self::OtherIdAttribute => Verdict::OtherSource,
            Self::DeactivatedByHand => Verdict::DeactivatedByHand,
            Self::DisabledWithoutUser
            | Self::EndedWithoutUser(_)
            | Self::DisabledNotAdopted(_)
            | Self::DisabledInactive
            | Self::EndedInactive(_)
            | Self::DisabledStays(_)
            | Self::ReleasedDisabled => Verdict::Disabled,
            Self::MissingSince(_)
            | Self::DisabledSince(_)
            | Self::FoundById(_)
            | Self::NotAsked => Verdict::Waiting,
            // What the job's rules leave as it is.
            Self::CreateOff
            | Self::ReactivateOff
            | Self::DeactivateOff
            | Self::LeftInactive
            | Self::ReleasedBefore
            | Self::Released
            | Self::InStep
            // The reasons of changes.
            | Self::NoUser
            | Self::OtherValues
            | Self::OtherRoles
            | Self::RoleGone
            | Self::AdoptBegun
            | Self::AdoptCreated
            | Self::AdoptMatched(_)
            | Self::LeftJob(_)
            | Self::LeftJobInactive(_)
            | Self::FromNoJob(_)
            | Self::ByHand(_)
            | Self::Completed
            | Self::Unsigned
            | Self::LinkIncomplete
            | Self::Protection
            | Self::Back(_)
            | Self::SeatRefused
            | Self::ReactivatedAndBack
            | Self::DeactivationDone
            | Self::Absent
            | Self::FilteredOut
            | Self::NotAMember
            | Self::OutsideBases
            | Self::Unlocated
            | Self::Disabled
            | Self::Ended(_)
            | Self::DisabledElsewhere
            | Self::PutBack(_) => Verdict::InStep,
        }
    }
}
