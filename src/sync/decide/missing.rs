//! Users that the job owns and whose people the reading does not show.

use std::collections::BTreeSet;

use chrono::{SecondsFormat, Utc};

use super::{Decider, Evidence, Matched, noted::Waiting, owned::MissingPerson, subject::Subject};
use crate::{
    directory::{AbsenceDoubt, Absent, Location, LostGroup, dn::Dn},
    model::{
        absence::Absence,
        change::{Action, HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        link::{Activity, Link},
        readable_time::readable_time,
        reason::{Reason, Since},
        user::User,
    },
    sync::{
        decision::{Outcome, Who},
        rules::After,
    },
};

/// In how many complete reads a person must be missing where `deactivate_after` is not zero.
const ENOUGH_READS: u32 = 2;

/// What a missing person means for the user.
enum Missing {
    /// Only the link is to be written, with this activity.
    Note(Activity, Reason),
    /// Nothing is done.
    LeftAlone(Reason),
    /// The user is active, and has been the program's until now.
    Active(Absence, Next),
}

/// What comes next for the active user of a missing person.
enum Next {
    /// It is not deactivated.
    Stays(Reason),
    /// It is not deactivated yet.
    Waits(Reason),
    /// It is deactivated if the person is absent.
    Due,
}

impl Matched<'_> {
    /// Whether the user is deactivated if the person is absent.
    pub(super) fn is_due(&self, missing: &MissingPerson<'_>) -> bool {
        matches!(self.examine(missing), Missing::Active(_, Next::Due))
    }

    fn examine(&self, missing: &MissingPerson<'_>) -> Missing {
        let MissingPerson {
            user,
            link,
            owner: _,
            is_shared,
        } = missing;
        if *is_shared {
            return Missing::LeftAlone(Reason::SharedLink);
        }
        // Of a user that is never changed, the link is not either.
        let note = |activity, reason, otherwise| match self.rules.untouchable(user) {
            Some(_) => Missing::LeftAlone(otherwise),
            None => Missing::Note(activity, reason),
        };
        match (&link.activity, user.is_active) {
            (Activity::Deactivating { since }, false) => {
                let since = since.clone();
                let done = Activity::Deactivated { since };
                note(done, Reason::DeactivationDone, Reason::LeftInactive)
            }
            (_, false) => Missing::LeftAlone(Reason::LeftInactive),
            (Activity::Deactivated { .. }, true) => {
                note(Activity::Released, Reason::Released, Reason::ReleasedBefore)
            }
            (Activity::Released | Activity::Unlinked, true) => {
                Missing::LeftAlone(Reason::ReleasedBefore)
            }
            (Activity::Settled | Activity::Activating | Activity::Deactivating { .. }, true) => {
                let absence = self.absence(link);
                let next = self.next(user, &absence);
                Missing::Active(absence, next)
            }
        }
    }

    /// How long the person has been missing or disabled, with this read: somebody who is disabled
    /// and then moved away has been gone since the first of it. What the link says is true; the state
    /// knows it only of those whose link says nothing.
    pub(super) fn absence(&self, link: &Link) -> Absence {
        let clocks = self.now.clocks;
        let id = link.id.as_str();
        let known = [self.known.absences, self.known.disabled];
        let known = known.into_iter().filter_map(|known| known.get(id));
        let in_state = || known.min_by_key(|absence| absence.since.here);
        match link.notes.missing().or_else(in_state) {
            // Two are sufficient; a number that stops growing need not be saved after each run.
            Some(before) if !clocks.is_surely_before(&before.since) => Absence {
                since: before.since,
                // Only a complete read counts.
                reads: before
                    .reads
                    .saturating_add(u32::from(self.desired.is_of_everybody()))
                    .min(ENOUGH_READS),
            },
            Some(_) | None => Absence {
                since: clocks,
                reads: 1,
            },
        }
    }

    fn next(&self, user: &User, absence: &Absence) -> Next {
        if !self.rules.users.deactivate {
            return Next::Stays(Reason::DeactivateOff);
        }
        if let Some(why) = self.rules.untouchable(user) {
            return Next::Stays(Reason::UntouchableLeft(why));
        }
        // The cause is known only after the second look.
        let after = self.rules.patience.least();
        if self.waits(absence, after) {
            return Next::Waits(missing_since(absence, after));
        }
        Next::Due
    }

    /// Whether this has not lasted for long enough, or was not seen often enough.
    pub(super) fn waits(&self, absence: &Absence, after: After) -> bool {
        let lasts = self.now.passed_since(&absence.since);
        let After { least, key: _ } = after;
        !least.is_zero() && (absence.reads < ENOUGH_READS || lasts < least)
    }

    /// The activity of a user that is deactivated now.
    pub(super) fn deactivated_now(&self) -> Activity {
        // To the millisecond, so that it distinguishes the deactivations of one run from those of
        // another. Where the state is lost, limits.per counts from this time: one that is too early
        // would let more people through, and one that is too late only holds them.
        let latest = self.now.clocks.latest();
        let since = latest.to_rfc3339_opts(SecondsFormat::Millis, true);
        Activity::Deactivated { since }
    }

    /// Holds every change to a user whose link names a directory, where the id of the directory
    /// that was read is not known and the person's id may be another person's elsewhere.
    pub(super) fn unknown_person(&self, subject: &Subject<'_, '_>) -> Option<Hold> {
        let link = subject.link?;
        let is_known = link.attribute.is_universal()
            || link.directory.is_none()
            || self.desired.directory().is_some();
        (!is_known).then(|| unknown_directory(link))
    }
}

impl<'a> Decider<'a, '_> {
    /// Decides about every user that the job owns and that has no person.
    pub(super) fn owned_users(&mut self) {
        let matched = self.matched;
        for missing in &matched.owned.missing {
            self.missing(missing);
        }
        for (user, reason) in &matched.owned.undecided {
            self.leave_alone(Who::User(user), Some(user), reason.clone());
        }
    }

    fn missing(&mut self, missing: &MissingPerson<'a>) {
        let MissingPerson { user, link, .. } = *missing;
        let who = Who::User(user);
        match self.matched.examine(missing) {
            Missing::Note(activity, reason) => {
                let new = link.clone().with(|link| link.activity = activity);
                let subject = Subject::of_link(user, link, &missing.owner);
                let edits = vec![Edit::Link];
                self.change(who, Action::Update, &subject, edits, (reason, new));
            }
            Missing::LeftAlone(reason) => self.leave_alone(who, Some(user), reason),
            Missing::Active(absence, next) => {
                let id = link.id.as_str().to_owned();
                self.plan.absences.insert(id, absence.clone());
                match next {
                    Next::Stays(reason) => self.leave_alone(who, Some(user), reason),
                    Next::Waits(reason) => {
                        // It may be either: the second look has not been asked.
                        let would_be = vec![Reason::Absent, Reason::OutsideBases];
                        self.wait(missing, absence, (reason, would_be));
                    }
                    Next::Due => self.due(missing, &absence),
                }
            }
        }
    }

    /// A user that is due to be deactivated: it is, if the person is absent.
    fn due(&mut self, missing: &MissingPerson<'a>, absence: &Absence) {
        let MissingPerson { user, link, .. } = *missing;
        let id = &link.id;
        let shown: Box<str> = id.as_str().into();
        let found = if self.evidence.there.contains(id) {
            Some(Reason::FoundById(shown))
        } else {
            let job = self.evidence.of_job.get(id);
            job.map(|job| Reason::MovedToJob(Box::new((shown, job.clone()))))
        };
        let evidence = self.evidence;
        let absent = evidence.absent.get(id);
        match (found, absent.filter(|absent| absent.id() == id)) {
            (Some(reason), _) => {
                self.plan.absences.remove(id.as_str());
                self.leave_alone(Who::User(user), Some(user), reason);
            }
            (None, Some(absent)) => {
                let would_be = self.reason_of_absence(id);
                let after = self.matched.rules.patience.of(would_be.cause());
                if self.matched.waits(absence, after) {
                    let reason = missing_since(absence, after);
                    self.wait(missing, absence.clone(), (reason, vec![would_be]));
                } else {
                    self.deactivate(missing, absent);
                }
            }
            (None, None) => self.leave_alone(Who::User(user), Some(user), Reason::NotAsked),
        }
    }

    /// Somebody who has not been missing for long enough.
    fn wait(
        &mut self,
        missing: &MissingPerson<'a>,
        absence: Absence,
        (reason, would_be): (Reason, Vec<Reason>),
    ) {
        let MissingPerson { user, link, .. } = *missing;
        self.waiting.push(Waiting {
            user,
            link,
            is_held: Subject::of_link(user, link, &missing.owner)
                .hold()
                .is_some(),
            absence,
            reason: reason.clone(),
            would_be,
        });
        self.settle(Who::User(user), Some(user), Outcome::Waiting, reason);
    }

    /// Holds the deactivation of somebody whose entry was renamed or moved, where the groups still name
    /// the former DN: not every server changes them along.
    fn still_named(&self, absent: &Absent) -> Option<Hold> {
        let last_dn = self.evidence.last_dns.get(absent.id())?;
        let groups = self.matched.desired.groups()?;
        if !absent.is_no_member() || !groups.names_in_vain(last_dn) {
            return None;
        }
        let why = format!(
            "the groups of member_of still name {last_dn}, where the person's entry was before it \
             was renamed or moved: correct the groups' members; or, if the person left the groups, \
             approve it"
        );
        Some(Hold::new(HeldBy::Doubt, why))
    }

    /// Holds the deactivation of somebody who may still be in a group that had members before, and does
    /// not show them.
    fn lost_group(&self, absent: &Absent) -> Option<Hold> {
        let lost = self.evidence.lost_groups.first();
        let what = match lost.filter(|_| absent.is_no_member())? {
            LostGroup::Empty(dn) => {
                format!("the group {dn} shows no members, and had some before")
            }
            LostGroup::Hidden(dn) => format!(
                "the group {dn} is not seen any longer, and is still a member of another one"
            ),
        };
        let why = format!(
            "{what}: can the bind account still read it and its members? If so, and the person left \
             the groups, approve it"
        );
        Some(Hold::new(HeldBy::Doubt, why))
    }

    /// Holds the deactivation of somebody who may be a member of a group that the account cannot see.
    fn unseen_group(&self, absent: &Absent) -> Option<Hold> {
        let unseen = self.unseen_member.filter(|_| absent.is_no_member())?;
        let why = format!(
            "the groups of member_of have a member that is not seen, {unseen}: if it is a group, let \
             the bind account read it, since the person may be in it; or, if the person left the \
             groups, approve it, after which this member is taken for no group"
        );
        Some(Hold::new(HeldBy::Doubt, why))
    }

    /// Why a person is absent, which is said only as far as it is known. That the account is
    /// disabled says more than where the entry is.
    fn reason_of_absence(&self, id: &DirectoryId) -> Reason {
        let now = self.matched.now.earliest();
        let is_no_member = self
            .evidence
            .absent
            .get(id)
            .is_some_and(Absent::is_no_member);
        match self.evidence.locations.get(id) {
            Some(Location::Filtered(elsewhere) | Location::Outside(elsewhere))
                if elsewhere.account.is_disabled(now) =>
            {
                Reason::DisabledElsewhere
            }
            Some(Location::Filtered(_)) | None if is_no_member => Reason::NotAMember,
            Some(Location::Filtered(_)) => Reason::FilteredOut,
            Some(Location::Outside(_)) => Reason::OutsideBases,
            Some(Location::Nowhere) => Reason::Absent,
            None => Reason::Unlocated,
        }
    }

    /// Deactivates the user of somebody who is proven to be absent.
    fn deactivate(&mut self, missing: &MissingPerson<'a>, absent: &Absent) {
        let MissingPerson { user, link, .. } = *missing;
        let activity = self.matched.deactivated_now();
        let new = link.clone().with(|link| link.activity = activity);
        if link.directory.is_none() || self.matched.desired.directory().is_none() {
            self.hold(user, unknown_directory(link));
        }
        if let Some(dn) = self.evidence.last_dns.get(&link.id) {
            self.plan.last_dns.insert(link.id.clone(), dn.clone());
        }
        let location = self.evidence.locations.get(&link.id);
        let subject = Subject {
            dn: location.and_then(Location::dn),
            ..Subject::of_link(user, link, &missing.owner)
        };
        let edits = vec![Edit::Deactivate];
        let reason = (self.reason_of_absence(&link.id), new);
        self.change(Who::User(user), Action::Deactivate, &subject, edits, reason);
        let hold = self
            .successor(user, link)
            .or_else(|| self.unusable_successor(user, link))
            .or_else(|| self.successor_in_its_place(user, link));
        if let Some(hold) = hold {
            self.hold(user, hold);
        }
        let hold = self
            .still_named(absent)
            .or_else(|| self.lost_group(absent))
            .or_else(|| self.unseen_group(absent));
        if let Some(hold) = hold {
            self.hold(user, hold);
        }
        match absent.doubt() {
            Some(AbsenceDoubt::ShownBy { server }) => {
                let why = format!(
                    "{server} still shows the person {:?} (directory id {}), which the server \
                     that was read does not",
                    user.username,
                    absent.id()
                );
                self.plan.notices.push(why.clone());
                self.hold(user, Hold::new(HeldBy::Replica, why));
            }
            Some(AbsenceDoubt::Unclear(why)) => {
                self.hold(user, Hold::new(HeldBy::Doubt, why.as_str()));
            }
            None => {}
        }
    }
}

/// A member of the groups that is not seen; of people who are absent, groups may still name the
/// former entry, and the present one elsewhere.
pub(super) fn unseen_member(evidence: &Evidence) -> Option<&str> {
    if evidence.unseen_members.is_empty() {
        return None;
    }
    let former = evidence.last_dns.values().map(String::as_str);
    let elsewhere = evidence.locations.values().filter_map(Location::dn);
    let of_people: BTreeSet<Dn> = former.chain(elsewhere).filter_map(Dn::parse).collect();
    let is_persons = |dn: &str| Dn::parse(dn).is_some_and(|dn| of_people.contains(&dn));
    let mut unseen = evidence.unseen_members.iter().map(String::as_str);
    unseen.find(|dn| !is_persons(dn))
}

fn missing_since(absence: &Absence, after: After) -> Reason {
    Reason::MissingSince(since(absence, after))
}

/// Since when somebody is missing or disabled, and which key asks for longer.
pub(super) fn since(absence: &Absence, after: After) -> Box<Since> {
    Box::new(Since {
        time: readable_time(absence.since.here, &Utc).into(),
        reads: absence.reads,
        key: after.key,
    })
}

/// Why it cannot be proven that a person left the directory of a link.
fn unknown_directory(link: &Link) -> Hold {
    let why = match &link.directory {
        None => {
            "the user's link does not record the person's directory, since an earlier version \
             wrote it or the directory's id could not be read, and the directory has not shown \
             the person since; if the person left, approve it"
        }
        Some(_) => {
            "the id of the naming context's own entry cannot be read, so it is not known whether \
             this is the directory of the user's link; grant the bind account read access to it, \
             or set id for the directory"
        }
    };
    Hold::new(HeldBy::Doubt, why)
}
