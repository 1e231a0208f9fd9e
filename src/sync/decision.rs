//! Decisions, and the plan, which consists of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::desired::{DesiredValue, Identified, SkippedEntry};
use crate::model::{
    absence::Absences,
    change::{Action, Change, Hold, Skipped},
    edit::Field,
    entry::DirectoryId,
    freshness::Lag,
    given::GrantId,
    reason::Reason,
    user::{EntityId, User},
};

/// What was decided about a person, an entry or a user, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'a> {
    /// Whom it is about.
    pub who: Who<'a>,
    /// The user of whom something is decided; none where an entry is skipped.
    pub user: Option<&'a User>,
    /// What happens.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

/// Whom a decision is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Who<'a> {
    /// A person of the reading.
    Person(&'a Identified),
    /// An entry of the reading that shows no person who could be matched.
    Entry(&'a SkippedEntry),
    /// A user that the job owns, without a person in the reading.
    User(&'a User),
}

/// What happens to somebody.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The user is changed, if the guard allows it.
    Change(Box<Change>),
    /// The person's user needs no change.
    Unchanged,
    /// Nothing can be done for the entry.
    Skipped,
    /// The user is not this job's, or is not to be changed.
    LeftAlone,
    /// The person is missing, but has not been for long enough.
    Waiting,
}

impl Decision<'_> {
    /// The change, if it is one.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        match &self.outcome {
            Outcome::Change(change) => Some(change),
            Outcome::Unchanged | Outcome::Skipped | Outcome::LeftAlone | Outcome::Waiting => None,
        }
    }

    /// What an administrator should know about it, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let user = self.user?;
        let is_adopted = self
            .change()
            .is_some_and(|change| change.action == Action::Adopt);
        match self.who {
            // It is not known who deactivated it, and the program undoes only what it did.
            Who::Person((_, person)) if is_adopted && !user.is_active => Some(format!(
                "the user {:?}, adopted for {}, is inactive and stays inactive; activate it in \
                 ftrack if the person needs access",
                user.username, person.dn
            )),
            Who::Person(_) | Who::Entry(_) | Who::User(_) => self.reason.warning(&user.username),
        }
    }

    /// The entry as reports show it, if it is skipped.
    #[must_use]
    pub fn skipped(&self) -> Option<Skipped> {
        match self.outcome {
            Outcome::Skipped => {
                let text = |text: &str| Some(text.to_owned());
                let (dn, username, email, id) = match self.who {
                    Who::Person((id, person)) => {
                        let email = match &person.email {
                            DesiredValue::Text(email) => text(email),
                            DesiredValue::Keep | DesiredValue::Clear => None,
                        };
                        (&*person.dn, text(&person.username), email, Some(id))
                    }
                    Who::Entry(entry) => {
                        let username = entry.username.as_deref().and_then(text);
                        (&*entry.dn, username, None, entry.id.as_ref())
                    }
                    Who::User(user) => (&*user.username, text(&user.username), None, None),
                };
                Some(Skipped {
                    dn: dn.to_owned(),
                    username,
                    email,
                    directory_id: id.map(|id| id.as_str().to_owned()),
                    verdict: Some(self.reason.verdict()),
                    reason: self.reason.to_string(),
                    unsettled: false,
                })
            }
            Outcome::Change(_) | Outcome::Unchanged | Outcome::LeftAlone | Outcome::Waiting => None,
        }
    }
}

/// What a run would do if nothing were held: the decision about everybody, and what else it found.
#[derive(Debug, Clone, Default)]
pub struct Plan<'a> {
    /// The changes in the order in which they are to be written; then people by directory id,
    /// skipped entries, and users by id. Somebody whose login is taken is skipped, and changed in
    /// everything else.
    pub decisions: Vec<Decision<'a>>,
    /// The former users of people who are back, where a person rejected to give them back.
    pub proposals_rejected: BTreeSet<EntityId>,
    /// Warnings that concern nobody in particular.
    pub notices: Vec<String>,
    /// Users that the job owns.
    pub owned: usize,
    /// Active users that the job owns; the base of a percentage limit.
    pub owned_active: usize,
    /// Roles and memberships that the job gave, according to the links; the base of a percentage limit.
    pub given_grants: usize,
    /// Ids of the active administrators that are visible in ftrack.
    pub active_administrators: Vec<EntityId>,
    /// Why the reading itself is doubtful, which holds every deactivation.
    pub doubts: Vec<String>,
    /// Why a reading of the groups that give something is doubtful, which holds every role that would be
    /// taken.
    pub grant_doubts: Vec<String>,
    /// Why a role or membership of one user is not taken, by the ids of both.
    pub grant_holds: BTreeMap<(EntityId, GrantId), Hold>,
    /// Why changes of one user are held.
    pub holds: BTreeMap<EntityId, Hold>,
    /// Users whose login, mail and activity change only with a person's approval, and why.
    pub guarded: BTreeMap<EntityId, &'static str>,
    /// Why the reading only creates users; none when it is of the preferred server, as far as that
    /// is known to be current.
    pub replica: Option<Replica>,
    /// The directory's id; none where it is not known, or differs from the links.
    pub directory: Option<Arc<str>>,
    /// Users with a trusted link, of any source.
    pub linked: usize,
    /// Users of the job that are inactive although the program did not deactivate them.
    pub inactive: BTreeSet<EntityId>,
    /// Whether the job has only begun with its people.
    pub is_first_contact: bool,
    /// People of the reading without an active user, for a reason that a person must settle;
    /// where most people are skipped because of their values, these as well.
    pub unsettled: BTreeSet<DirectoryId>,
    /// The DNs of members of groups, normalised, that are neither groups nor among the entries.
    pub outside_members: Vec<String>,
    /// Those of them that were found out to be no groups.
    pub member_accounts: BTreeSet<String>,
    /// The DNs of the groups that only give something.
    pub grant_groups: Vec<String>,
    /// Whether one of them, or a group that had members, is not seen, so that whoever left the groups
    /// may be in it.
    pub has_unseen_member: bool,
    /// Where the entries of those whose users are deactivated were when a run last saw them.
    pub last_dns: BTreeMap<DirectoryId, String>,
    /// When users that the job owns were deactivated, according to their links.
    pub deactivated_at: Vec<DateTime<Utc>>,
    /// Fields of users of which it is no longer known how ftrack stores them, since they were
    /// compared.
    pub outdated: Vec<(EntityId, Field)>,
    /// What is to be written into links beside the changes, unless something holds it.
    pub notes: Vec<Note>,
    /// Whose links say since when they have been missing: the state need not.
    pub in_links: BTreeSet<DirectoryId>,
    /// Why values of people are left out, which ftrack cannot take.
    pub unfit: BTreeMap<DirectoryId, Vec<String>>,
    /// Who is missing after this read.
    pub absences: Absences,
    /// Who may not sign in after this read, and has an active user.
    pub disabled: Absences,
}

/// What a link is to say beside who owns its user; no change of the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Writes the link, and nothing else.
    pub change: Change,
    /// Why the user would be deactivated once somebody has been missing for long enough: what holds
    /// that holds the note. Empty where the link is to say nothing of it any longer.
    pub would_be: Vec<Reason>,
}

/// A server whose reading only creates users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its URL.
    pub server: String,
    /// Why.
    pub why: MayLag,
}

/// Why a server may lag behind others, or behind what it showed itself before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayLag {
    /// It was read instead of the preferred server.
    NotPreferred,
    /// The DNS names it first only of late, in place of this host.
    NewlyFirst(String),
    /// It shows that it does.
    LagsBehind(Lag),
}

impl Replica {
    /// Whether it is known to lag behind.
    #[must_use]
    pub fn lags_behind(&self) -> bool {
        match &self.why {
            MayLag::LagsBehind(_) => true,
            MayLag::NotPreferred | MayLag::NewlyFirst(_) => false,
        }
    }
}

impl Plan<'_> {
    /// The changes, in the order in which they are to be written.
    pub fn changes(&self) -> impl Iterator<Item = &Change> + Clone {
        // Changes come first.
        self.decisions.iter().map_while(Decision::change)
    }

    /// The changes of one kind.
    pub fn changes_of(&self, action: Action) -> impl Iterator<Item = &Change> + Clone {
        self.changes().filter(move |change| change.action == action)
    }

    /// The skipped entries, sorted.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut skipped: Vec<Skipped> = self
            .decisions
            .iter()
            .filter_map(|decision| {
                let skipped = decision.skipped()?;
                let unsettled = match decision.who {
                    Who::Person((id, _)) => self.unsettled.contains(id),
                    Who::Entry(_) | Who::User(_) => false,
                };
                Some(Skipped {
                    unsettled,
                    ..skipped
                })
            })
            .collect();
        skipped.sort();
        skipped
    }

    /// People whose user needs no change.
    #[must_use]
    pub fn unchanged(&self) -> usize {
        let is_unchanged = |decision: &&Decision<'_>| decision.outcome == Outcome::Unchanged;
        self.decisions.iter().filter(is_unchanged).count()
    }

    /// Users that stay active although their person left, or may not sign in.
    #[must_use]
    pub fn active_leavers(&self) -> usize {
        let reasons = self.decisions.iter().map(|decision| &decision.reason);
        reasons.filter(|reason| reason.keeps_leaver()).count()
    }

    /// People who have no user, and get none, since they may not sign in.
    #[must_use]
    pub fn disabled_without_user(&self) -> usize {
        let reasons = self.decisions.iter().map(|decision| &decision.reason);
        reasons.filter(|reason| reason.is_without_user()).count()
    }

    /// What concerns nobody in particular, then what concerns somebody.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let of_people = self.decisions.iter().filter_map(Decision::warning);
        self.notices.iter().cloned().chain(of_people).collect()
    }
}
