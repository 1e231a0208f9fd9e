//! Decides about everybody: a pure function from the desired and the current state to a plan.
//!
//! It has two steps, since a deactivation needs proof: [`Matched`] says whose user is due to be
//! deactivated, and those are asked for once more before [`Matched::decide`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    directory::{Absent, GroupsRead, Location, LostGroup},
    model::{
        absence::Absences,
        change::{Action, Change, ChangeParts, Hold},
        clocks::Present,
        edit::{Edit, Field, Values},
        entry::DirectoryId,
        freshness::Freshness,
        link::Link,
        picture::UnfitPicture,
        preferred_server::PreferredServer,
        reason::{LeftJob, Reason},
        rejected::Rejected,
        stored_value::StoredOtherwise,
        user::{Current, EntityId, User},
    },
};

use super::{
    decision::{Decision, MayLag, Outcome, Plan, Replica, Who},
    desired::{Desired, Identified, SkippedEntry},
    grants::GrantPlaces,
    matching::{Match, match_people},
    order,
    owner::{LeftGroups, OtherDirectory, Owner, Owners},
    rules::{PROTECTED, Rules},
};

mod adoption;
mod disabled;
mod given;
mod grants;
mod invitations;
mod links;
mod logins;
mod mails;
mod missing;
mod noted;
mod notices;
mod owned;
mod people;
mod pictures;
mod returners;
mod strangers;
mod subject;
mod successors;
mod unfit;
mod unsettled;

pub use given::{GivenUser, NotGiven, user_named};
use noted::Waiting;
use owned::OwnedUsers;
use subject::Subject;

/// What a job remembers from its earlier runs.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who was missing after the last complete read.
    pub absences: &'a Absences,
    /// Who might not sign in after the last complete read.
    pub disabled: &'a Absences,
    /// The directory's id in the last run.
    pub directory: Option<&'a str>,
    /// Users of the job that were inactive although the program did not deactivate them; none where
    /// that is not known.
    pub inactive: Option<&'a BTreeSet<EntityId>>,
    /// Whether another job starts ftrack's own synchronisation, which deactivates users too.
    pub has_another_writer: bool,
    /// Whether the job had no run that wrote what it should.
    pub is_new: bool,
    /// Whether its first contact with its people has begun, and no run of it came to its end.
    pub has_begun: bool,
    /// The values that ftrack stores otherwise than they were written.
    pub stored_otherwise: &'a StoredOtherwise,
    /// Whether `users.protect` changed since the last run.
    pub is_protect_changed: bool,
    /// How current the directory was when earlier runs read it; none where that is not known.
    pub freshness: Option<&'a Freshness>,
    /// Which server counts as the preferred one; none where every one that comes first does.
    pub preferred_server: Option<&'a PreferredServer>,
    /// What a person rejected.
    pub rejected: &'a Rejected,
    /// The users that an interrupted run of the job began to create.
    pub begun: &'a BTreeSet<EntityId>,
    /// What the last complete reading showed of the job's users; it counts where only what changed
    /// was read.
    pub users_before: Option<&'a UsersBefore>,
    /// The users who got no seat in the last run.
    pub without_seat: &'a BTreeSet<EntityId>,
}

/// What a complete reading shows of a job's users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersBefore {
    /// Users that the job owned.
    pub owned: usize,
    /// Active ones among them.
    pub owned_active: usize,
    /// Users with a trusted link, of any source.
    pub linked: usize,
    /// When the job deactivated users of late, according to their links.
    pub deactivated_at: Vec<DateTime<Utc>>,
}

/// What was found out about the people whose users are due to be deactivated, and where they would
/// be.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Whom no search by id found.
    pub absent: BTreeMap<DirectoryId, Absent>,
    /// Where the entries of absent people are, as far as it is known.
    pub locations: BTreeMap<DirectoryId, Location>,
    /// Where the entries of people who are due were when a run last saw them.
    pub last_dns: BTreeMap<DirectoryId, String>,
    /// Who was found by id on the server that was read.
    pub there: BTreeSet<DirectoryId>,
    /// Who is among the people of another job, and of which, after leaving what of this one.
    pub of_job: BTreeMap<DirectoryId, LeftJob>,
    /// Servers that could not be asked, as warnings.
    pub unanswered: Vec<String>,
    /// Search bases that show nobody, and showed somebody before.
    pub emptied_bases: Vec<String>,
    /// How many referral objects there were before, and now, where these differ.
    pub changed_referrals: Option<(usize, usize)>,
    /// Groups that had members before and do not show them, although they may still have them.
    pub lost_groups: Vec<LostGroup>,
    /// The same of groups that give something.
    pub lost_grant_groups: Vec<LostGroup>,
    /// Who would lose a role, by its place in the configuration, and is a member of its groups all the
    /// same, or may be; and what holds that.
    pub still_members: BTreeMap<(DirectoryId, usize), Hold>,
    /// The DNs of members of groups, normalised, that may be groups which the account cannot see.
    pub unseen_members: BTreeSet<String>,
    /// Those that are known to be none.
    pub member_accounts: BTreeSet<String>,
}

/// Both servers were read completely, but the combined result must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// The directory is another one.
    #[error(transparent)]
    OtherDirectory(#[from] OtherDirectory),
    /// Most people's users are not this job's.
    #[error(
        "{count} of {people} people have users that {whose}, so nothing was written: {way_out}"
    )]
    NotOurs {
        /// How many people.
        count: usize,
        /// Of how many.
        people: usize,
        /// Whose the users are.
        whose: String,
        /// What to do about it.
        way_out: String,
    },
}

/// Everybody with their users.
#[derive(Debug)]
pub struct Matched<'a> {
    desired: &'a Desired,
    current: &'a Current,
    rules: &'a Rules,
    known: Known<'a>,
    now: Present,
    owners: Owners<'a>,
    matches: Vec<Match<'a>>,
    /// The user that a person gives to somebody by hand, whatever the rules of adoption say.
    given: Option<&'a User>,
    owned: OwnedUsers<'a>,
    grant_places: GrantPlaces,
    /// True if no active administrator is visible, so that anybody may be one.
    is_blind: bool,
}

impl<'a> Matched<'a> {
    /// Finds the user of each person.
    ///
    /// # Errors
    /// The directory is another one than before, or most of its people have users that are not this
    /// job's.
    pub fn new(
        desired: &'a Desired,
        current: &'a Current,
        rules: &'a Rules,
        known: Known<'a>,
        now: Present,
    ) -> Result<Self, PlanRefused> {
        let owners = Owners::new(desired, current, rules, known.directory)?;
        Self::of_owners(desired, current, rules, owners, (known, now))
    }

    /// The same, knowing who left the groups of other jobs.
    ///
    /// # Errors
    /// As for `new`.
    pub fn knowing(self, left_groups: LeftGroups) -> Result<Self, PlanRefused> {
        if left_groups.is_empty() {
            return Ok(self);
        }
        let owners = self.owners.knowing(left_groups);
        let past = (self.known, self.now);
        Self::of_owners(self.desired, self.current, self.rules, owners, past)
    }

    fn of_owners(
        desired: &'a Desired,
        current: &'a Current,
        rules: &'a Rules,
        owners: Owners<'a>,
        (known, now): (Known<'a>, Present),
    ) -> Result<Self, PlanRefused> {
        // A clock that leapt ahead ends no account.
        let earliest = now.earliest();
        let matches = match_people(desired, current, rules, &owners, earliest);
        strangers::most_are_ours(desired, current, &owners, &matches)?;
        let owned = OwnedUsers::new(desired, current, &owners, &matches, earliest);
        let is_administrator = |user: &User| user.administrator && user.is_active;
        Ok(Self {
            is_blind: !current.users.iter().any(is_administrator),
            desired,
            current,
            rules,
            known,
            now,
            owners,
            matches,
            given: None,
            owned,
            grant_places: GrantPlaces::of(current),
        })
    }

    /// The links of the users that would be deactivated if their people are absent.
    #[must_use]
    pub fn due(&self) -> Vec<&'a Link> {
        let missing = self.owned.missing.iter();
        missing
            .filter(|missing| self.is_due(missing))
            .map(|missing| missing.link)
            .collect()
    }

    /// Whether the reading lacks people of the job's users.
    #[must_use]
    pub fn lacks_anybody(&self) -> bool {
        !self.owned.missing.is_empty()
    }

    /// The links of this reading's people that another job of the same directory keeps, with the
    /// name of that job.
    pub fn kept_by_others(&self) -> impl Iterator<Item = (&str, &'a Link)> {
        self.matches.iter().filter_map(|found| match found {
            Match::Linked(_, link, Owner::Sibling { job }) if self.owners.shows(link) => {
                Some((&**job, *link))
            }
            Match::Linked(..)
            | Match::Adopted(_)
            | Match::New
            | Match::Disabled(_)
            | Match::Unlinked(_)
            | Match::Skipped(_) => None,
        })
    }

    /// The sources that own users.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<&'a str> {
        let links = self
            .current
            .users
            .iter()
            .filter_map(|user| user.link.link());
        links.map(|link| &*link.source).collect()
    }

    /// The sources whose users all belong to other directories.
    #[must_use]
    pub fn sources_elsewhere(&self) -> BTreeSet<Arc<str>> {
        self.owners.of_other_directories(self.current)
    }

    /// Decides about everybody; equal values give equal plans, byte for byte.
    #[must_use]
    pub fn decide(&self, evidence: &Evidence) -> Plan<'a> {
        let mut decider = Decider {
            matched: self,
            evidence,
            plan: Plan {
                member_accounts: evidence.member_accounts.clone(),
                ..self.first_facts()
            },
            changes: Vec::new(),
            newcomers: self.newcomers(),
            unusable: self.unusable(evidence),
            unknown_people: self.unknown_people(evidence),
            unseen_member: missing::unseen_member(evidence),
            unsettled: BTreeSet::new(),
            unlike: Vec::new(),
            waiting: Vec::new(),
            unfit: Vec::new(),
            unfit_pictures: Vec::new(),
            others: Vec::with_capacity(self.desired.entries()),
        };
        let returners = self.returners();
        for (identified, found) in self.desired.people().iter().zip(&self.matches) {
            match found {
                Match::Linked(user, _, Owner::Sibling { job }) => {
                    // That job stays the owner as long as the entry lies in its bases, whatever its
                    // filter says.
                    let reason = Reason::OfJob((**job).into());
                    decider.leave_alone(Who::Person(identified), Some(user), reason);
                }
                Match::Linked(user, link, owner) if self.is_disabled(&identified.0) => {
                    decider.disabled(identified, user, link, owner);
                }
                Match::Linked(user, link, owner) => decider.linked(identified, user, link, owner),
                Match::Disabled(user) => decider.disabled_without_a_user(identified, *user),
                Match::Unlinked(user) => {
                    let who = Who::Person(identified);
                    let reason = Reason::Unlinked(user.username.clone());
                    decider.settle(who, Some(user), Outcome::Skipped, reason);
                }
                Match::Adopted(user) => decider.adopt(identified, user),
                Match::New => match returners.get(&identified.0) {
                    Some(returner) => decider.returned(identified, returner),
                    None => decider.create(identified),
                },
                Match::Skipped(reason) => {
                    if reason.needs_a_person() {
                        decider.unsettled.insert(&identified.0);
                    }
                    decider.skip(Who::Person(identified), reason.clone());
                }
            }
        }
        for entry in self.desired.skipped() {
            decider.skip(Who::Entry(entry), entry.reason.clone());
        }
        decider.plan.has_unseen_member =
            decider.unseen_member.is_some() || !evidence.lost_groups.is_empty();
        decider.owned_users();
        decider.disabled_without_a_person();
        decider.hold_the_unclear();
        decider.skip_taken_usernames();
        decider.hold_second_users();
        decider.finish()
    }

    /// What is known before anything is decided.
    fn first_facts(&self) -> Plan<'a> {
        let stays = |user: &&User| {
            user.administrator && user.is_active && !self.rules.is_api_user(&user.username)
        };
        let administrators = self.current.users.iter().filter(stays);
        let UsersBefore {
            owned,
            owned_active,
            linked,
            deactivated_at,
        } = self.users();
        Plan {
            active_administrators: administrators.map(|user| user.id.clone()).collect(),
            owned,
            owned_active,
            given_grants: self.given_grants(),
            linked,
            is_first_contact: self.is_first_contact(owned),
            outside_members: self
                .desired
                .groups()
                .map(|groups| groups.outside().collect())
                .unwrap_or_default(),
            member_accounts: BTreeSet::new(),
            grant_groups: self
                .desired
                .groups()
                .map(GroupsRead::only_of_grants)
                .unwrap_or_default(),
            inactive: self.owned.inactive.keys().map(|id| (*id).clone()).collect(),
            deactivated_at,
            replica: self.replica(),
            directory: self
                .desired
                .directory()
                .filter(|_| self.owners.former_directories().next().is_none())
                .cloned(),
            ..Plan::default()
        }
    }

    /// Why a reading of this server only creates users: it is known to lag behind, whichever server
    /// it is, or it may.
    fn replica(&self) -> Option<Replica> {
        let (shown, latest) = (self.desired.freshness(), self.now.clocks.latest());
        let seen = self.known.freshness;
        let why = match seen.and_then(|seen| shown.lag(seen, latest)) {
            Some(lag) => MayLag::LagsBehind(lag),
            None if !self.desired.is_preferred() => MayLag::NotPreferred,
            None => match self.known.preferred_server {
                Some(known) if !known.counts(self.desired.server(), &self.now) => {
                    MayLag::NewlyFirst(known.host().to_owned())
                }
                Some(_) | None => return None,
            },
        };
        Some(Replica {
            server: self.desired.server().to_owned(),
            why,
        })
    }

    /// The users of the job: of what changed they are not counted anew, since the limits are parts
    /// of all of them.
    fn users(&self) -> UsersBefore {
        let known = self.owned.counts();
        match self.known.users_before {
            Some(before) if !self.desired.is_of_everybody() => {
                let mut all = before.clone();
                let new = known.deactivated_at.into_iter();
                // Whoever is among both counts twice, which only holds more.
                all.deactivated_at.extend(new);
                all
            }
            Some(_) | None => known,
        }
    }

    /// Whether the job has only begun with its people: it had no run that wrote what it should, and
    /// owned nobody when it began. So many users it owns now, also where only some are looked at.
    fn is_first_contact(&self, owned: usize) -> bool {
        self.known.is_new && (owned == 0 || self.known.has_begun)
    }
}

impl Matched<'_> {
    /// Why the login, mail and activity of a user change only with a person's approval, if they do.
    fn guarded(&self, user: &User, link: &Link) -> Option<&'static str> {
        let unknown = "no active administrator is visible in ftrack, so anybody may be one";
        let guarded = self.rules.guarded(user);
        let guarded = guarded.or((link.protected == Some(true)).then_some(PROTECTED));
        guarded.or(self.is_blind.then_some(unknown))
    }
}

/// Collects the decisions.
struct Decider<'a, 'm> {
    matched: &'m Matched<'a>,
    evidence: &'m Evidence,
    plan: Plan<'a>,
    changes: Vec<Draft<'a>>,
    /// People without a user, by folded login; empty where nobody is missing.
    newcomers: HashMap<Cow<'a, str>, &'a Identified>,
    /// Entries that have an id and cannot be used, by folded DN; empty where nobody is due.
    unusable: HashMap<Cow<'a, str>, &'a SkippedEntry>,
    /// People whom no user has a link to, by folded DN; empty where nobody is due.
    unknown_people: HashMap<Cow<'a, str>, &'a Identified>,
    /// A new member of the groups that is not seen, and nobody's former entry.
    unseen_member: Option<&'m str>,
    /// People who are skipped for a reason that a person must settle.
    unsettled: BTreeSet<&'a DirectoryId>,
    /// Values that ftrack stores as quite others, from what it stores to what is wanted.
    unlike: Vec<(&'a User, (Field, Values))>,
    /// Who is missing or disabled, and has not been for long enough.
    waiting: Vec<Waiting<'a>>,
    /// People whose custom attributes cannot take what the directory shows, by login, and why.
    unfit: Vec<(&'a str, String)>,
    /// People whose pictures cannot be sent, by login.
    unfit_pictures: Vec<(UnfitPicture, &'a str)>,
    /// The decisions to change nothing.
    others: Vec<Decision<'a>>,
}

/// A change whose login may turn out to be taken.
struct Draft<'a> {
    who: Who<'a>,
    user: Option<&'a User>,
    change: Change,
}

impl<'a> Decider<'a, '_> {
    /// Drafts a change, with what holds it.
    fn change(
        &mut self,
        who: Who<'a>,
        action: Action,
        subject: &Subject<'_, 'a>,
        edits: Vec<Edit>,
        (reason, link): (Reason, Link),
    ) {
        let Subject { user, id, dn, .. } = subject;
        if let Some(hold) = subject
            .hold()
            .or_else(|| self.matched.unknown_person(subject))
        {
            self.hold(user, hold);
        }
        if let Some(why) = self.matched.guarded(user, &link) {
            self.plan.guarded.insert(user.id.clone(), why);
        }
        self.hold_grants(user, id, &edits);
        let change = Change::new(ChangeParts {
            action,
            username: user.username.to_string(),
            dn: dn.map(str::to_owned),
            directory_id: (*id).clone(),
            ftrack_id: user.id.clone(),
            edits,
            reason,
            before: subject.link.cloned(),
            link,
        });
        self.changes.push(Draft {
            who,
            user: Some(user),
            change,
        });
    }

    fn hold(&mut self, user: &User, hold: Hold) {
        self.plan.holds.entry(user.id.clone()).or_insert(hold);
    }

    fn skip(&mut self, who: Who<'a>, reason: Reason) {
        self.settle(who, None, Outcome::Skipped, reason);
    }

    fn leave_alone(&mut self, who: Who<'a>, user: Option<&'a User>, reason: Reason) {
        self.settle(who, user, Outcome::LeftAlone, reason);
    }

    fn settle(&mut self, who: Who<'a>, user: Option<&'a User>, outcome: Outcome, reason: Reason) {
        self.others.push(Decision {
            who,
            user,
            outcome,
            reason,
        });
    }

    /// Puts the changes in the order in which they are written, and everything else after them.
    fn finish(mut self) -> Plan<'a> {
        let changes: Vec<&Change> = self.changes.iter().map(|draft| &draft.change).collect();
        let in_order = order::in_order(&changes, self.matched.known.without_seat);
        let mut drafts: Vec<Option<Draft<'a>>> = std::mem::take(&mut self.changes)
            .into_iter()
            .map(Some)
            .collect();
        let changes = in_order.into_iter().filter_map(|place| {
            let draft = drafts.get_mut(place.index)?.take()?;
            let change = Change {
                rotation: place.rotation,
                ..draft.change
            };
            Some(Decision {
                who: draft.who,
                user: draft.user,
                reason: change.reason.clone(),
                outcome: Outcome::Change(Box::new(change)),
            })
        });
        // In place: these are the decisions about everybody.
        self.plan.decisions = std::mem::take(&mut self.others);
        self.plan.decisions.splice(..0, changes);
        self.find_unsettled();
        self.notices();
        self.note_in_links();
        if self.plan.replica.is_some() || !self.matched.desired.is_of_everybody() {
            // A reading of a replica, or of what changed, shows nobody absent for later runs.
            self.keep_absences();
        }
        self.plan
    }
}
