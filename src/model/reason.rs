//! Why something was decided: every reason with its values, and the words of each.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use crate::model::since::Since;
use crate::model::user::EntityId;

mod by_hand;
mod parts;
mod words;

pub use by_hand::ByHand;
pub use parts::{Contested, ContestedValue, JobPart, LeftJob, MatchedBy};
use words::{left_job, moved_to_job, several_ids, several_users};

/// Why a user is not adopted where `users.adopt` forbids it.
pub const ADOPT_NEVER: &str = "it is not this job's, and users.adopt is \"never\"";

/// Why a change is made, an entry is skipped, or a user is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The person's user has all values.
    InStep,

    // Changes.
    /// The person has no user.
    NoUser,
    /// The directory has other values than the user.
    OtherValues,
    /// The mapped groups give the person other roles or memberships.
    OtherRoles,
    /// A role that the program gave was taken by somebody else, or given to no effect.
    RoleGone,
    /// This program began to create the user, and did not finish.
    AdoptBegun,
    /// The user has the id of one that this program creates for the person, and no owner.
    AdoptCreated,
    /// The user has no owner, and the rule `users.adopt` matches it.
    AdoptMatched(Box<(Box<str>, MatchedBy)>),
    /// The person left the search bases of another job, and the user follows.
    LeftJob(Box<LeftJob>),
    /// The same, for a user that the other job deactivated.
    LeftJobInactive(Box<LeftJob>),
    /// The user's source belongs to no job.
    FromNoJob(Box<str>),
    /// A person linked the user to the person of the directory, or ended that.
    ByHand(ByHand),
    /// What an earlier run began is complete.
    Completed,
    /// The user's link has no valid signature.
    Unsigned,
    /// The user's link lacks what links have now.
    LinkIncomplete,
    /// The user's link is to record whether the user is protected.
    Protection,
    /// The person is back; the user was deactivated at this time, RFC 3339.
    Back(Box<str>),
    /// The user got no seat in an earlier run.
    SeatRefused,
    /// Somebody else reactivated the user, and the person is back.
    ReactivatedAndBack,
    /// A run was interrupted after the deactivation.
    DeactivationDone,
    /// Somebody else reactivated the user of a person who left.
    Released,
    /// The person left the directory.
    Absent,
    /// The person's entry no longer matches the job's filter.
    FilteredOut,
    /// The person is in none of the job's groups.
    NotAMember,
    /// The person's entry is outside of what the job searches.
    OutsideBases,
    /// Complete reads no longer show the person, and nothing more is known.
    Unlocated,
    /// A person asked to put it back, as these words say.
    PutBack(Box<str>),
    /// The person may not sign in.
    Disabled,
    /// The person may not sign in since this day, at which the account ended.
    Ended(NaiveDate),
    /// The same, of a person whose entry is not among the job's people either.
    DisabledElsewhere,
    /// Somebody else reactivated the user of a person who may not sign in.
    ReleasedDisabled,

    // Skipped entries.
    /// The entry shows no id attribute.
    NoId,
    /// The entry is larger than is read.
    TooLarge,
    /// The entry has so many values of the id attribute.
    SeveralIds(usize),
    /// The entry is only another name of an entry.
    AliasEntry,
    /// The entry has no value of this attribute or template, which is required.
    MissingValue(Box<str>),
    /// A value cannot be used, or ftrack would not accept it, as these words say.
    InvalidValue(Box<str>),
    /// These users have the person's link.
    SeveralUsers(Box<[Box<str>]>),
    /// This user has a link to the person that cannot be read.
    ClaimedBy(EntityId),
    /// This user was created for the person, and has a link that does not say so.
    LinkOfAnother(Box<str>),
    /// These users could be adopted.
    SeveralAdoptable(Box<[Box<str>]>),
    /// The only user that matches is not adopted, and why.
    NotAdopted(Box<(Box<str>, &'static str)>),
    /// Other entries claim the same.
    Contested(Box<Contested>),
    /// The person's login is that of the API user.
    OwnUsername(Box<str>),
    /// The person asks for a login that `users.protect` reserves.
    ProtectedUsername(Box<str>),
    /// `users.create` is off.
    CreateOff,
    /// The login belongs to another user, and whose it is.
    UsernameTaken(Box<(Box<str>, String)>),

    /// A person unlinked this user from the person.
    Unlinked(Box<str>),

    // Users that are left alone.
    /// The user is never changed, and why.
    Untouchable(&'static str),
    /// The same, for a user whose person left.
    UntouchableLeft(&'static str),
    /// Another job owns the user.
    OfJob(Box<str>),
    /// The person is present, but the entry was skipped.
    EntrySkipped,
    /// Somebody else deactivated the user.
    DeactivatedByHand,
    /// `users.reactivate` is off.
    ReactivateOff,
    /// The user is identified by another id attribute than this reading uses.
    OtherIdAttribute,
    /// The person left, and the user is inactive.
    LeftInactive,
    /// The person left, and somebody else reactivated the user.
    ReleasedBefore,
    /// `users.deactivate` is off.
    DeactivateOff,
    /// The person has been missing since a time, which is not long enough.
    MissingSince(Box<Since>),
    /// The person may not sign in, and has no user.
    DisabledWithoutUser,
    /// The same, since this day, at which the account ended.
    EndedWithoutUser(NaiveDate),
    /// The person may not sign in, and the user with this login has no owner.
    DisabledNotAdopted(Box<str>),
    /// The person may not sign in, and the user is inactive.
    DisabledInactive,
    /// The same, since this day, at which the account ended.
    EndedInactive(NaiveDate),
    /// The person may not sign in, and why the user stays active.
    DisabledStays(&'static str),
    /// The person may not sign in since a time, which is not long enough.
    DisabledSince(Box<Since>),
    /// The person left, and several users have the link.
    SharedLink,
    /// The person with this directory id was found by the second look.
    FoundById(Box<str>),
    /// The person with this directory id is now in the search bases of this job.
    MovedToJob(Box<(Box<str>, LeftJob)>),
    /// No server was asked for the person again.
    NotAsked,
}

impl Reason {
    /// What an administrator should know although nothing, or something else, is done about it;
    /// of the user with that login.
    #[must_use]
    pub fn warning(&self, username: &str) -> Option<String> {
        Some(match self {
            Self::Untouchable(why) => format!("the user {username:?} is left alone: {why}"),
            Self::UntouchableLeft(why) => {
                format!(
                    "the person of the user {username:?} left, but the user stays active: {why}"
                )
            }
            Self::ReactivatedAndBack => format!(
                "the user {username:?}, whom this program deactivated, was reactivated by \
                 somebody else; the person is back in the directory"
            ),
            Self::ReleasedDisabled => format!(
                "the user {username:?} is active, although the person's account is disabled: this \
                 program deactivated it, and somebody reactivated it"
            ),
            Self::DisabledStays(why) => format!(
                "the account of the user {username:?} is disabled in the directory, but the user \
                 stays active: {why}"
            ),
            Self::DisabledSince(since) => format!(
                "the account of the user {username:?} has been disabled in the directory since \
                 {}; the user stays active until users.{} is over",
                since.time, since.key
            ),
            Self::Released | Self::ReleasedBefore => format!(
                "the user {username:?} is active, although the person left: this program \
                 deactivated it, and somebody reactivated it"
            ),
            Self::DeactivateOff => {
                format!("the person of the user {username:?} left, and users.deactivate is false")
            }
            Self::MissingSince(since) => format!(
                "the person of the user {username:?} has been missing since {}; the user stays \
                 active until users.{} is over",
                since.time, since.key
            ),
            Self::SharedLink => format!(
                "the user {username:?} and others have the same link, and its person left the \
                 directory; none of them is changed: delete the link of those who are not that \
                 person"
            ),
            Self::FoundById(_) | Self::MovedToJob(_) | Self::NotAsked => self.to_string(),
            Self::InStep
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
            | Self::Unlinked(_)
            | Self::Completed
            | Self::Unsigned
            | Self::LinkIncomplete
            | Self::Protection
            | Self::Back(_)
            | Self::SeatRefused
            | Self::DeactivationDone
            | Self::Absent
            | Self::FilteredOut
            | Self::NotAMember
            | Self::OutsideBases
            | Self::Unlocated
            | Self::Disabled
            | Self::Ended(_)
            | Self::DisabledElsewhere
            | Self::PutBack(_)
            | Self::DisabledWithoutUser
            | Self::EndedWithoutUser(_)
            | Self::DisabledNotAdopted(_)
            | Self::DisabledInactive
            | Self::EndedInactive(_)
            | Self::NoId
            | Self::TooLarge
            | Self::SeveralIds(_)
            | Self::AliasEntry
            | Self::MissingValue(_)
            | Self::InvalidValue(_)
            | Self::SeveralUsers(_)
            | Self::ClaimedBy(_)
            | Self::LinkOfAnother(_)
            | Self::SeveralAdoptable(_)
            | Self::NotAdopted(_)
            | Self::Contested(_)
            | Self::OwnUsername(_)
            | Self::ProtectedUsername(_)
            | Self::CreateOff
            | Self::UsernameTaken(_)
            | Self::OfJob(_)
            | Self::EntrySkipped
            | Self::DeactivatedByHand
            | Self::ReactivateOff
            | Self::OtherIdAttribute
            | Self::LeftInactive => return None,
        })
    }
}

/// Why a person's user is deactivated, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No search found an entry, wherever it looked.
    Absent,
    /// The entry is in the directory, and no longer among the job's people.
    OutOfScope,
    /// The person may not sign in.
    Disabled,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Absent, Self::OutOfScope, Self::Disabled];

    /// The name in reports, events and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::OutOfScope => "out_of_scope",
            Self::Disabled => "disabled",
        }
    }
}

impl Reason {
    /// Why the person's user is deactivated; none where that is not known, or it is not.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        let is = |reasons: &[Self]| reasons.contains(self);
        let of = [
            (is(&[Self::Absent]), Cause::Absent),
            (
                is(&[Self::FilteredOut, Self::NotAMember, Self::OutsideBases]),
                Cause::OutOfScope,
            ),
            (
                is(&[Self::Disabled, Self::DisabledElsewhere]) || matches!(self, Self::Ended(_)),
                Cause::Disabled,
            ),
        ];
        of.into_iter().find_map(|(is, cause)| is.then_some(cause))
    }

    /// Whether a person has no user, and gets none, since they may not sign in.
    #[must_use]
    pub fn is_without_user(&self) -> bool {
        let is_ended = matches!(self, Self::EndedWithoutUser(_));
        is_ended
            || matches!(
                self,
                Self::DisabledWithoutUser | Self::DisabledNotAdopted(_)
            )
    }

    /// Whether the user of somebody who left, or may not sign in, stays active, and no time ends that.
    #[must_use]
    pub fn keeps_leaver(&self) -> bool {
        matches!(
            self,
            Self::UntouchableLeft(_)
                | Self::Released
                | Self::ReleasedBefore
                | Self::ReleasedDisabled
                | Self::DeactivateOff
                | Self::DisabledStays(_)
        )
    }

    /// The words of the reasons without a value.
    fn fixed(&self) -> Option<&'static str> {
        Some(match self {
            Self::InStep => "the user has the directory's values",
            Self::NoUser => "the person is in the directory and has no user",
            Self::OtherValues => "the directory has other values",
            Self::OtherRoles => {
                "the groups give the person other roles or memberships than the user has"
            }
            Self::RoleGone => "the user's link names a role or membership that is gone",
            Self::AdoptBegun => {
                "this program began to create the user in a run that was interrupted"
            }
            Self::AdoptCreated => {
                "this program created the user for the person, or began to, and it has no link now"
            }
            Self::Completed => "the change that an earlier run began is complete",
            Self::Unsigned => "the user's link needs a signature",
            Self::LinkIncomplete => "the user's link is incomplete",
            Self::Protection => "the user's link records whether users.protect protects the user",
            Self::SeatRefused => {
                "the person is in the directory, and the user was refused a seat before"
            }
            Self::ReactivatedAndBack => {
                "somebody reactivated the user, and the person is back in the directory"
            }
            Self::DeactivationDone => "a run was interrupted after it had deactivated the user",
            Self::Released => {
                "somebody reactivated the user, although the person left; the program leaves it \
                 alone from now on"
            }
            Self::Absent => "the person is no longer in the directory, as complete reads show",
            Self::FilteredOut => {
                "the person is still in the directory, but the entry no longer matches the job's \
                 filter"
            }
            Self::NotAMember => {
                "the person is still in the directory, but is in none of the groups of the job's \
                 member_of"
            }
            Self::OutsideBases => {
                "the person is still in the directory, but the entry is outside of the job's \
                 search bases and scope"
            }
            Self::Unlocated => {
                "complete reads no longer show the person; whether the entry is elsewhere in the \
                 directory could not be found out"
            }
            Self::Disabled => DISABLED,
            Self::DisabledElsewhere => {
                "the person's account is disabled in the directory, and the entry is no longer \
                 among the job's people"
            }
            Self::ReleasedDisabled => {
                "somebody reactivated the user, although the person's account is disabled; the \
                 program leaves it alone from now on"
            }
            Self::DisabledWithoutUser => {
                "the person's account is disabled in the directory, so no user is created"
            }
            Self::DisabledInactive => {
                "the person's account is disabled in the directory, and the user is inactive"
            }
            Self::NoId => "it shows no id attribute, so it cannot be identified",
            Self::TooLarge => "it is larger than 16 MiB, so it was not read",
            Self::AliasEntry => "it is an alias entry (objectClass alias), and nobody's own",
            Self::CreateOff => "there is no user for it, and users.create is false",
            Self::EntrySkipped => "the person is in the directory, and the entry was skipped",
            Self::DeactivatedByHand => "somebody else deactivated the user",
            Self::ReactivateOff => "users.reactivate is false",
            Self::OtherIdAttribute => {
                "the user is identified by another id attribute than this read uses"
            }
            Self::LeftInactive => "the person left, and the user is inactive",
            Self::ReleasedBefore => "the person left, and somebody else reactivated the user",
            Self::DeactivateOff => "the person left, and users.deactivate is false",
            Self::SharedLink => "the person left, and several users have the link",
            Self::NotAsked => "no server was asked for the person again, so the user is unchanged",
            Self::AdoptMatched(_)
            | Self::LeftJob(_)
            | Self::LeftJobInactive(_)
            | Self::FromNoJob(_)
            | Self::ByHand(_)
            | Self::Unlinked(_)
            | Self::Back(_)
            | Self::SeveralIds(_)
            | Self::MissingValue(_)
            | Self::InvalidValue(_)
            | Self::SeveralUsers(_)
            | Self::ClaimedBy(_)
            | Self::LinkOfAnother(_)
            | Self::SeveralAdoptable(_)
            | Self::NotAdopted(_)
            | Self::Contested(_)
            | Self::OwnUsername(_)
            | Self::ProtectedUsername(_)
            | Self::UsernameTaken(_)
            | Self::Untouchable(_)
            | Self::UntouchableLeft(_)
            | Self::OfJob(_)
            | Self::MissingSince(_)
            | Self::DisabledNotAdopted(_)
            | Self::DisabledStays(_)
            | Self::DisabledSince(_)
            | Self::Ended(_)
            | Self::EndedWithoutUser(_)
            | Self::EndedInactive(_)
            | Self::FoundById(_)
            | Self::PutBack(_)
            | Self::MovedToJob(_) => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(words) = self.fixed() {
            return f.write_str(words);
        }
        match self {
            Self::ByHand(what) => what.fmt(f),
            Self::Unlinked(username) => f.write_str(&by_hand::unlinked(username)),
            Self::AdoptMatched(matched) => f.write_str(&adopt_matched(matched)),
            Self::LeftJob(job) => f.write_str(&left_job(job, ",")),
            Self::LeftJobInactive(job) => {
                f.write_str(&left_job(job, ", which deactivated the user,"))
            }
            Self::FromNoJob(source) => write!(
                f,
                "the user moves from the source {source:?}, which no job has, to this job"
            ),
            Self::Back(since) => write!(
                f,
                "the job finds the person again; this program deactivated the user on {since}"
            ),
            Self::PutBack(words) => f.write_str(words),
            Self::SeveralIds(number) => f.write_str(&several_ids(*number)),
            Self::MissingValue(name) => write!(f, "it has no {name}, which is required"),
            Self::InvalidValue(words) => f.write_str(words),
            Self::SeveralUsers(names) => f.write_str(&several_users(names, "have its link")),
            Self::ClaimedBy(user) => write!(
                f,
                "the ftrack user {user} has a link to it that cannot be read"
            ),
            Self::LinkOfAnother(username) => write!(
                f,
                "its ftrack user {username:?} has a link that does not identify it"
            ),
            Self::SeveralAdoptable(names) => {
                f.write_str(&several_users(names, "could be adopted for it"))
            }
            Self::NotAdopted(refusal) => {
                let (username, why) = &**refusal;
                write!(f, "the ftrack user {username:?} is not adopted: {why}")
            }
            Self::Contested(contested) => write!(f, "{contested}"),
            Self::OwnUsername(username) => write!(
                f,
                "the username {username:?} is that of the program's own API user"
            ),
            Self::ProtectedUsername(username) => write!(
                f,
                "users.protect reserves the username {username:?}, so no user is made for it"
            ),
            Self::UsernameTaken(taken) => {
                let (username, whose) = &**taken;
                write!(
                    f,
                    "the username {username:?} belongs to another ftrack user, {whose}"
                )
            }
            Self::Untouchable(why) | Self::UntouchableLeft(why) => f.write_str(why),
            Self::OfJob(job) => write!(f, "the job {job:?} owns the user"),
            Self::MissingSince(since) => write!(f, "the person has been missing since {since}"),
            Self::DisabledNotAdopted(username) => {
                write!(f, "{DISABLED}, so the user {username:?} is not adopted")
            }
            Self::Ended(day) => write!(f, "{ENDED} {day}"),
            Self::EndedWithoutUser(day) => write!(f, "{ENDED} {day}, so no user is created"),
            Self::EndedInactive(day) => write!(f, "{ENDED} {day}, and the user is inactive"),
            Self::DisabledStays(why) => write!(f, "{DISABLED}, but the user stays active: {why}"),
            Self::DisabledSince(since) => write!(
                f,
                "the person's account has been disabled in the directory since {since}"
            ),
            Self::FoundById(id) => write!(
                f,
                "the person with the directory id {id} was missing from the read, but was found \
                 by id; the user is unchanged"
            ),
            Self::MovedToJob(moved) => f.write_str(&moved_to_job(moved)),
            Self::InStep
            | Self::NoUser
            | Self::OtherValues
            | Self::OtherRoles
            | Self::RoleGone
            | Self::AdoptBegun
            | Self::AdoptCreated
            | Self::Completed
            | Self::Unsigned
            | Self::LinkIncomplete
            | Self::Protection
            | Self::SeatRefused
            | Self::ReactivatedAndBack
            | Self::DeactivationDone
            | Self::Released
            | Self::Absent
            | Self::FilteredOut
            | Self::NotAMember
            | Self::OutsideBases
            | Self::Unlocated
            | Self::Disabled
            | Self::DisabledElsewhere
            | Self::ReleasedDisabled
            | Self::DisabledWithoutUser
            | Self::DisabledInactive
            | Self::NoId
            | Self::TooLarge
            | Self::AliasEntry
            | Self::CreateOff
            | Self::EntrySkipped
            | Self::DeactivatedByHand
            | Self::ReactivateOff
            | Self::OtherIdAttribute
            | Self::LeftInactive
            | Self::ReleasedBefore
            | Self::DeactivateOff
            | Self::SharedLink
            | Self::NotAsked => Ok(()),
        }
    }
}

fn adopt_matched((username, by): &(Box<str>, MatchedBy)) -> String {
    format!("the user {username:?} has no owner, and matches the person by {by}")
}

const ENDED: &str = "the person's account ended on";
const DISABLED: &str = "the person's account is disabled in the directory";
